#!/usr/bin/env python3
"""Clients as they should be, at a steady rate: they keep connections, repeat a GET whose connection was closed under it (RFC 9110
section 9.2.2), and repeat a payment under the same key until they know.

  client.py ADDRESS:PORT KEY-FILE RATE SECONDS DEBIT CREDIT      four reads of DEBIT's balance to one payment from DEBIT to CREDIT

Prints one JSON object: gets, gets_failed (by kind), gets_repeated, posts, posts_unknown (never acknowledged), first_answers (what a
payment was first told, where that was no 2xx), and the slowest of each, milliseconds.
"""

import http.client
import json
import sys
import threading
import time
import uuid

ADDRESS, RATE, SECONDS, DEBIT, CREDIT = sys.argv[1], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5], sys.argv[6]
HEADERS = {"Authorization": "Bearer " + open(sys.argv[2]).read().strip()}
THREADS = 25
lock = threading.Lock()
result = {"gets": 0, "gets_failed": {}, "gets_repeated": 0, "posts": 0, "posts_unknown": 0, "first_answers": {}, "get_ms_max": 0.0, "post_ms_max": 0.0}


def count(name, amount=1, kind=None):
    with lock:
        if kind is None:
            result[name] += amount
        else:
            result[name][kind] = result[name].get(kind, 0) + amount


class Client:
    def __init__(self):
        self.connection = None

    def once(self, method, path, body=None, headers=HEADERS):
        """The status, or the name of what went wrong; and whether the connection was one that had served before."""
        is_reused = self.connection is not None
        try:
            if not is_reused:
                self.connection = http.client.HTTPConnection(ADDRESS, timeout=20)
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
            if answer.will_close:
                self.forget()
            code = json.loads(text).get("code", "") if answer.status >= 400 else ""
            return f"{answer.status} {code}".strip(), is_reused
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.forget()
            return type(error).__name__, is_reused

    def forget(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def get(self):
        start = time.monotonic()
        count("gets")
        status, is_reused = self.once("GET", f"/v1/accounts/{DEBIT}/balance")
        if not status[0].isdigit() and is_reused:
            count("gets_repeated")
            status, _ = self.once("GET", f"/v1/accounts/{DEBIT}/balance")
        if status != "200":
            count("gets_failed", kind=status)
        with lock:
            result["get_ms_max"] = max(result["get_ms_max"], (time.monotonic() - start) * 1000)

    def post(self):
        start = time.monotonic()
        count("posts")
        headers = HEADERS | {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        body = json.dumps({"debit": DEBIT, "credit": CREDIT, "amount": 1, "currency": "CZK"})
        is_first = True
        while time.monotonic() < start + 30:
            status, _ = self.once("POST", "/v1/payments", body, headers)
            if status in ("201", "202"):
                break
            if is_first:
                count("first_answers", kind=status)
            is_first = False
            time.sleep(0.05)
        else:
            count("posts_unknown")
        with lock:
            result["post_ms_max"] = max(result["post_ms_max"], (time.monotonic() - start) * 1000)


def work(number):
    client = Client()
    start = time.monotonic() + number / RATE
    index = 0
    while True:
        due = start + index * THREADS / RATE
        if due > start + SECONDS:
            return
        time.sleep(max(0, due - time.monotonic()))
        client.post() if index % 5 == number % 5 else client.get()
        index += 1


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(result))
