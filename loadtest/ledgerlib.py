"""What the long tests of the ledger share: commands in the log, a worker over a database of its own, and what its events said."""

import json
import os
import random
import subprocess
import sys
import threading
import time

import confluent_kafka

from measure import free_port, run
from servers import Server

COMMANDS = "payments.commands"
EVENTS = "payments.events"
DATABASE = "ledger"


def identity(source):
    return f"{source.getrandbits(128):032x}"


def open_account(name, kind="normal"):
    return f'{{"type":"open_account","account":"{name}","currency":"CZK","kind":"{kind}","overdraft_limit":0}}'


def payment(debit, credit, amount=1):
    return f'{{"type":"pay","debit":"{debit}","credit":"{credit}","amount":{amount},"currency":"CZK"}}'


class Log:
    """A broker of our own, and what is put into it for tenant 1, whose partition is 0."""

    def __init__(self, sluice, folder):
        port_file = folder / "broker.port"
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.server = Server(
            [sluice, "broker", "--data", folder / "log", "--listen", self.address, "--port-file", port_file], folder / "broker.log"
        ).wait_for(port_file.exists, "the broker")
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.address, "enable.idempotence": True, "linger.ms": 5, "queue.buffering.max.messages": 500_000})
        self.delivered = 0

    def produce(self, value, key):
        """One command; `key` is its id and its fingerprint turned round."""
        headers = {"v": "1", "tenant": "1", "id": key, "fingerprint": key[::-1], "accepted-at": str(time.time_ns() // 1_000)}

        def report(error, _):
            if error:
                sys.exit(f"the log was not filled: {error}")
            self.delivered += 1
        while True:
            try:
                self.producer.produce(COMMANDS, value, "1", 0, on_delivery=report, headers=headers)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def flush(self):
        self.producer.flush(60)

    def end(self):
        # Without it the producer speaks of a broker that is gone.
        self.producer.flush(1)
        del self.producer
        self.server.end()


def set_up(sluice, address, log, redis):
    """Makes an empty ledger for tenant 1 at a PostgreSQL address; what a worker's settings are then."""
    settings = {"SLUICE_DATABASE": address, "SLUICE_KAFKA": log.address, "SLUICE_REDIS": redis.address}
    for words in (["migrate", "--partitions", "1"], ["keys", "create-tenant", "one", "--partition", "0"]):
        run(sluice, *words, env=dict(os.environ, **settings), stdout=subprocess.DEVNULL)
    return settings


def open_accounts(log, count, source):
    """Has accounts opened and paid into, from one outside of the ledger."""
    log.produce(open_account("world", "external"), identity(source))
    for number in range(count):
        log.produce(open_account(f"a:{number}"), identity(source))
        log.produce(payment("world", f"a:{number}", 10**9), identity(source))
    log.flush()


def applied(database):
    """How many of the log's commands are in the ledger."""
    return database.count(DATABASE, "SELECT sum(next_offset) FROM sluice.kafka_offset")


class Load(threading.Thread):
    """Payments between accounts, so many a second, until it is stopped."""

    def __init__(self, log, accounts, rate, seed):
        super().__init__(daemon=True)
        self.log, self.accounts, self.rate = log, accounts, rate
        self.source = random.Random(seed)
        self.stopping = threading.Event()

    def run(self):
        start, made = time.monotonic(), 0
        while not self.stopping.is_set():
            while made < (time.monotonic() - start) * self.rate:
                debit, credit = self.source.sample(range(self.accounts), 2)
                self.log.produce(payment(f"a:{debit}", f"a:{credit}", 1 + made % 9), identity(self.source))
                made += 1
            time.sleep(0.002)

    def stop(self):
        self.stopping.set()
        self.join()
        self.log.flush()


class Witness(threading.Thread):
    """Keeps every event as it is told: the event by the payment's id, the first time each."""

    def __init__(self, log):
        super().__init__(daemon=True)
        self.consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": log.address, "group.id": "witness", "auto.offset.reset": "earliest", "enable.auto.commit": False})
        self.consumer.assign([confluent_kafka.TopicPartition(EVENTS, 0, 0)])
        self.stopping = threading.Event()
        self.seen = {}

    def run(self):
        while not self.stopping.is_set():
            for message in self.consumer.consume(500, 0.05):
                if message.error():
                    continue
                event = json.loads(message.value())
                if "payment" in event:
                    self.seen.setdefault(event["event"], event)

    def stop(self):
        self.stopping.set()
        self.join()
        self.consumer.close()

    def contradictions(self, psql):
        """Payments that were told and are otherwise in the ledger, or not at all."""
        rows = psql(
            "SELECT replace(p.id::text, '-', '') || ' ' || p.log_offset || ' ' || to_char(p.decided_at AT TIME ZONE 'UTC', "
            "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ' ' || coalesce(m.debit_sequence, 0) || ' ' || coalesce(m.debit_posted_after, 0) "
            "FROM sluice.payment p LEFT JOIN sluice.movement m ON m.debit_account = p.debit_account AND m.debit_sequence = p.debit_sequence")
        known = dict(row.split(" ", 1) for row in rows.splitlines())
        found = []
        for key, event in self.seen.items():
            entry = next((entry for entry in event.get("entries", []) if entry["amount"] < 0), None)
            told = f'{event["offset"]} {event["at"]} ' + (f'{entry["sequence"]} {entry["posted_after"]}' if entry else "0 0")
            if known.get(key) != told:
                found.append(f"{key}: told {told}, and the ledger has {known.get(key)}")
        return found


class Worker:
    """A worker process with an admin socket."""

    def __init__(self, sluice, folder, settings, name="worker-1"):
        self.admin = folder / f"{name}.sock"
        self.admin.unlink(missing_ok=True)
        self.log = folder / f"{name}.log"
        self.server = Server([sluice, "worker", "--name", name, "--admin", f"unix:{self.admin}"], self.log, settings)

    def readiness(self):
        """What /readyz says."""
        result = subprocess.run(["curl", "-s", "--max-time", "2", "--unix-socket", self.admin, "http://worker/readyz"],
                                stdout=subprocess.PIPE, text=True)
        return result.stdout

    def end(self):
        self.server.end()


def wait_until(condition, seconds, what, step=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds} s: {what}")
        time.sleep(step)
