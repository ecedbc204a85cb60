"""Kills the broker under load, again and again, and checks that nothing acknowledged is lost, doubled or out of order.

    durability.py SLUICE kill|powercut|freeze|full --rounds N --seed S [--unsafe | --interval]

--interval runs with `--flush interval`, which promises to survive kill -9 and nothing more.
--unsafe runs with flushing off and succeeds only if the same check finds a loss: it proves that the check can fail.
"""
import argparse
import collections
import logging
import os
import random
import struct
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from raw import Raw, array, commit, text
from server import Server

QUIET = logging.getLogger("quiet")
QUIET.setLevel(logging.CRITICAL)
PARTITIONS = 6
TOPIC = "work"


class Load:
    """An idempotent producer that numbers the records of each partition and notes what was acknowledged, and where."""

    def __init__(self, address, rate):
        self.rate = rate
        self.acknowledged = [dict() for _ in range(PARTITIONS)]
        self.failed = collections.Counter()
        self.sent = [0] * PARTITIONS
        self.fatal = []
        self.stopping = False
        self.producer = Producer({
            "bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": 2, "compression.type": "lz4",
            "message.timeout.ms": 120000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20,
            "socket.timeout.ms": 3000, "error_cb": self.on_error, "queue.buffering.max.messages": 200000}, logger=QUIET)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_error(self, error):
        if error.code() == KafkaError._FATAL:
            self.fatal.append(str(error))

    def run(self):
        next_time = time.time()
        while not self.stopping and not self.fatal:
            for partition in range(PARTITIONS):
                number = self.sent[partition]
                try:
                    self.producer.produce(TOPIC, b"%d" % number, partition=partition, on_delivery=self.report(partition, number))
                except BufferError:
                    continue
                self.sent[partition] += 1
            self.producer.poll(0)
            next_time = max(next_time + PARTITIONS / self.rate, time.time() - 0.05)
            time.sleep(max(0, next_time - time.time()))

    def report(self, partition, number):
        def called(error, message):
            if error is None:
                self.acknowledged[partition][number] = message.offset()
            else:
                self.failed[error.name()] += 1
        return called

    def finish(self):
        self.stopping = True
        self.thread.join()
        try:
            left = self.producer.flush(60)
            if left:
                self.failed["never reported"] += left
        except KafkaException as error:
            self.fatal.append(str(error))


class Keeper:
    """Commits rising offsets and makes topics all the while, and notes what was acknowledged: as durable as records must be.

    By hand, not through a client: one that looks for its coordinator anew after each kill would hardly get to commit.
    """

    def __init__(self, port):
        self.port = port
        self.committed = [-1] * PARTITIONS
        self.tried = [-1] * PARTITIONS
        self.made = []
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        raw, number = None, 0
        while not self.stopping:
            try:
                raw = raw or Raw(self.port, seconds=8)
                number += 1
                partition = number % PARTITIONS
                self.tried[partition] = number
                if raw.ask(8, 2, commit("kept", TOPIC, {partition: number}))[-2:] == b"\0\0":
                    self.committed[partition] = number
                if number % 50 == 0 and len(self.made) < 500:
                    name = "made-%d" % number
                    topic = text(name) + struct.pack(">ih", 1, 1) + array([]) + array([])
                    if raw.ask(19, 0, array([topic]) + struct.pack(">i", 5000))[-2:] == b"\0\0":
                        self.made.append(name)
                time.sleep(0.002)
            except OSError:
                # Not acknowledged, so nothing is promised.
                raw = None
                time.sleep(0.02)

    def check(self):
        self.stopping = True
        self.thread.join()
        problems = []
        consumer = Consumer({"bootstrap.servers": "127.0.0.1:%d" % self.port, "group.id": "kept"})
        for found in consumer.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], 20):
            least, most = self.committed[found.partition], self.tried[found.partition]
            if not least <= found.offset <= most:
                problems.append("partition %d: offset %d is committed, and %d was acknowledged, %d tried" % (
                    found.partition, found.offset, least, most))
        topics = consumer.list_topics(timeout=20).topics
        consumer.close()
        missing = [name for name in self.made if name not in topics]
        if missing:
            problems.append("%d topics of %d are lost, first %s" % (len(missing), len(self.made), missing[0]))
        if min(self.committed) < 5:
            problems.append("hardly an offset was committed: this proves nothing")
        print("%d offsets were committed, %d topics made" % (max(self.committed), len(self.made)))
        return problems


def read_all(address):
    """What the log holds, partition by partition, as numbers with their offsets."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "enable.auto.commit": False, "check.crcs": True,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    found = [[] for _ in range(PARTITIONS)]
    open_partitions = set(range(PARTITIONS))
    deadline = time.time() + 60
    while open_partitions and time.time() < deadline:
        for message in consumer.consume(1000, 1.0):
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                continue
            found[message.partition()].append((int(message.value()), message.offset()))
    consumer.close()
    if open_partitions:
        raise Exception("the log could not be read to its end")
    return found


def check(load, found):
    problems = []
    for partition in range(PARTITIONS):
        numbers = [number for number, _ in found[partition]]
        offsets = {number: offset for number, offset in found[partition]}
        lost = [n for n in load.acknowledged[partition] if n not in offsets]
        if lost:
            problems.append("partition %d: %d acknowledged records lost, first %s" % (partition, len(lost), sorted(lost)[:3]))
        if len(set(numbers)) != len(numbers):
            problems.append("partition %d: %d records doubled" % (partition, len(numbers) - len(set(numbers))))
        if numbers != sorted(numbers):
            problems.append("partition %d: out of order" % partition)
        moved = [n for n, o in load.acknowledged[partition].items() if offsets.get(n, o) != o]
        if moved:
            problems.append("partition %d: %d records are not at the offset that was acknowledged" % (partition, len(moved)))
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sluice")
    parser.add_argument("mode", choices=["kill", "powercut", "freeze", "full"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=int, default=3000)
    parser.add_argument("--unsafe", action="store_true")
    parser.add_argument("--interval", action="store_true")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print("seed %d" % arguments.seed, flush=True)
    options = ["--flush", "interval", "--flush-interval-ms", "3600000"] if arguments.unsafe else []
    if arguments.interval:
        options = ["--flush", "interval", "--flush-interval-ms", "300"]
    server = Server(arguments.sluice, options, interposed=arguments.mode in ("powercut", "full"))
    if arguments.mode == "powercut":
        server.environment["SLUICE_SYNC_MICROSECONDS"] = "4000"
    taken = 0
    try:
        server.start()
        admin = AdminClient({"bootstrap.servers": server.address})
        # Small segments, so that rounds fall into their making and sealing too; not too small for zeros ahead of their ends.
        topic = NewTopic(TOPIC, PARTITIONS, 1, config={"segment.bytes": "196608"})
        for future in admin.create_topics([topic]).values():
            future.result()
        load, keeper = Load(server.address, arguments.rate), Keeper(server.port)
        for round_number in range(arguments.rounds):
            time.sleep(chance.uniform(0.2, 1.2))
            if arguments.mode == "freeze":
                server.freeze(5)
            elif arguments.mode == "full":
                open(server.full, "w").close()
                time.sleep(chance.uniform(0.2, 1.0))
                os.remove(server.full)
            else:
                server.kill()
                if arguments.mode == "powercut":
                    for line in server.cut(chance.random()):
                        print("  round %d: %s" % (round_number, line[-150:]))
                        taken += line.endswith(".log") and not line.startswith("kept")
                server.start()
            if load.fatal:
                break
        time.sleep(0.5)
        load.finish()
        problems = check(load, read_all(server.address)) + keeper.check()
        if load.fatal:
            problems.append("the producer became fatal: " + load.fatal[0])
        if load.failed:
            problems.append("records were not delivered: %s" % dict(load.failed))
        with open(server.log) as log:
            text = log.read()
        if arguments.mode == "full" and "the disk is full" not in text:
            problems.append("the log never says that the disk is full: this proves nothing")
        if arguments.mode == "powercut":
            print("%d segments lost what was not durable; the broker cut %d torn tails" % (taken, text.count("a torn tail is cut off")))
            if 2 * taken < arguments.rounds:
                problems.append("the cuts took next to nothing: this proves nothing")
        total = sum(len(a) for a in load.acknowledged)
        if total < 100 * arguments.rounds:
            problems.append("only %d records were acknowledged: this proves nothing" % total)
        print("%d rounds, %d records acknowledged, %d problems" % (arguments.rounds, total, len(problems)))
        for problem in problems:
            print(problem)
        if arguments.unsafe:
            lost = any("acknowledged records lost" in problem for problem in problems)
            print("flushing was off: a loss was %s" % ("found, as it must be" if lost else "NOT found"))
            return 0 if lost else 1
        if problems:
            print(server.last_log())
        return 1 if problems else 0
    finally:
        server.close()


sys.exit(main())
