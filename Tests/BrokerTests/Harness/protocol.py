"""What the broker answers byte by byte: versions, long polls, limits on fetches, bounds, and what it does not serve.

    protocol.py SLUICE CASE...      (no case: all)
"""
import struct
import threading
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import cases
from raw import Raw, array, commit, fetch, fetched, join, text

PRODUCE, FETCH, OFFSET_COMMIT, JOIN, SASL, VERSIONS, DELETE_ACLS, DESCRIBE_ACLS, CREATE_ACLS = 0, 1, 8, 11, 17, 18, 31, 29, 30
OUT_OF_RANGE, COORDINATOR_AWAY, SASL_STATE, UNSUPPORTED, SECURITY_DISABLED, GROUP_FULL, METADATA_TOO_LARGE = 1, 15, 34, 35, 54, 81, 12


def create(server, name, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": server.address})
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
        future.result(10)


def produce(server, topic, values, partition=0, **settings):
    """One batch for each value."""
    producer = Producer(dict({"bootstrap.servers": server.address, "linger.ms": 0, "batch.num.messages": 1}, **settings))
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0


def versions(server):
    """ApiVersions answers in the form that librdkafka before 2.2 can read: no tagged field anywhere; Produce from 0."""
    raw = Raw(server.port)
    answer = raw.ask(VERSIONS, 3, tagged=b"\x00", body=b"\x04raw\x041.0\x00")
    error, count = struct.unpack_from(">hB", answer)
    assert error == 0
    offered = {}
    for index in range(count - 1):
        key, least, most, tags = struct.unpack_from(">hhhB", answer, 3 + 7 * index)
        assert tags == 0, "tagged fields behind key %d" % key
        offered[key] = (least, most)
    assert answer[3 + 7 * (count - 1):] == b"\x00\x00\x00\x00\x00", "throttle time and no tagged field end the answer"
    assert offered[PRODUCE][0] == 0, "from 3 on librdkafka drops compression"
    assert offered[VERSIONS] == (0, 3) and offered[FETCH][1] >= 11 and offered[22][1] >= 4
    # A newer version than there is: the answer is version 0 with the protocol's error and what there is.
    answer = raw.ask(VERSIONS, 99, tagged=b"\x00")
    assert struct.unpack_from(">hi", answer) == (UNSUPPORTED, len(offered)), answer[:6]


def long_poll(server):
    """A fetch waits as long as it said, is answered as soon as there is enough, and others on its connection come after it."""
    create(server, "poll", 2)
    raw = Raw(server.port)
    start = time.time()
    assert fetched(raw.ask(FETCH, 4, fetch("poll", {0: 0, 1: 0}, wait=700)))[0] == (0, 0, b"")
    assert 0.65 < time.time() - start < 1.2, time.time() - start
    start = time.time()
    threading.Timer(0.3, produce, (server, "poll", [b"x"], 1)).start()
    answer = fetched(raw.ask(FETCH, 4, fetch("poll", {0: 0, 1: 0}, wait=8000)))
    assert answer[1][2] and not answer[0][2] and 0.25 < time.time() - start < 2, time.time() - start
    # Too little for what it wants: it waits for more, and for no longer than it said.
    one = len(answer[1][2])
    start = time.time()
    threading.Timer(0.2, produce, (server, "poll", [b"x"], 1)).start()
    assert len(fetched(raw.ask(FETCH, 4, fetch("poll", {1: 0}, wait=8000, least=2 * one)))[1][2]) == 2 * one
    assert time.time() - start < 2
    start = time.time()
    assert len(fetched(raw.ask(FETCH, 4, fetch("poll", {1: 0}, wait=600, least=100 * one)))[1][2]) == 2 * one
    assert 0.55 < time.time() - start < 1.2
    # Errors are said at once, also when it would wait.
    start = time.time()
    assert fetched(raw.ask(FETCH, 4, fetch("poll", {1: 77}, wait=8000)))[1][0] == OUT_OF_RANGE
    assert time.time() - start < 1
    first = raw.send(FETCH, 4, fetch("poll", {0: 0}, wait=500))
    second = raw.send(VERSIONS, 0)
    assert [raw.receive()[0], raw.receive()[0]] == [first, second]


def fetch_sizes(server):
    """Limits in bytes hold for a partition and for the answer; a first batch above them comes, alone."""
    create(server, "sizes", 3)
    for partition in range(3):
        produce(server, "sizes", [b"x" * 1000] * 20, partition)
    raw = Raw(server.port)
    everything = fetched(raw.ask(FETCH, 4, fetch("sizes", {0: 0})))[0][2]
    one = len(everything) // 20
    sizes = [len(found[2]) for found in fetched(raw.ask(FETCH, 4, fetch("sizes", {0: 0, 1: 5, 2: 0}, most_each=3 * one + 7))).values()]
    assert sizes == [3 * one, 3 * one, 3 * one], sizes
    sizes = [len(found[2]) for found in fetched(raw.ask(FETCH, 4, fetch("sizes", {0: 0, 1: 0, 2: 0}, most=25 * one))).values()]
    assert sizes == [20 * one, 5 * one, 0], sizes
    sizes = [len(found[2]) for found in fetched(raw.ask(FETCH, 4, fetch("sizes", {0: 0, 1: 0}, most_each=10))).values()]
    assert sizes == [one, 0], sizes
    sizes = [len(found[2]) for found in fetched(raw.ask(FETCH, 4, fetch("sizes", {0: 0, 1: 0}, most=10))).values()]
    assert sizes == [one, 0], sizes


def pipelining(server):
    """More requests ahead than are taken at once are answered, all of them and in order."""
    raw = Raw(server.port, seconds=20)
    create(server, "pipe")
    sent = []
    for number in range(1000):
        sent.append(raw.send(VERSIONS, 0) if number % 3 else raw.send(FETCH, 4, fetch("pipe", {0: 0}, wait=1)))
    assert [raw.receive()[0] for _ in sent] == sent


def slow_readers(server):
    """Clients that ask for much and take nothing fill no memory, and others are served meanwhile."""
    create(server, "slow", max_message_bytes=1000000)
    produce(server, "slow", [b"x" * 900000] * 4)
    greedy = [Raw(server.port) for _ in range(200)]
    for raw in greedy:
        for _ in range(8):
            raw.send(FETCH, 4, fetch("slow", {0: 0}, wait=100))
    time.sleep(1)
    assert len(Raw(server.port).ask(VERSIONS, 0)) > 50
    with open("/proc/%d/status" % server.process.pid) as status:
        memory = [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]
    assert memory < 100 << 10, "%d KiB" % memory
    # Those that read get their records although many others hold what they may.
    for raw in greedy[20:]:
        raw.close()
    for raw in greedy[:20]:
        assert fetched(raw.receive()[1])[0][0] == 0


def bounded_groups(server):
    """Groups, members, and what a group may keep are bounded; a group that is there goes on."""
    create(server, "groups", 4)
    raw = Raw(server.port)

    def committed(group, metadata=""):
        answer = raw.ask(OFFSET_COMMIT, 2, commit(group, "groups", {0: 1}, metadata))
        return struct.unpack(">h", answer[-2:])[0]
    assert committed("metadata", "x" * 4096) == 0
    assert committed("metadata", "x" * 4097) == METADATA_TOO_LARGE
    assert [committed("group-%d" % number) for number in range(999)] == [0] * 999
    assert committed("one-more") == COORDINATOR_AWAY
    assert committed("group-7") == 0
    assert struct.unpack_from(">h", raw.ask(JOIN, 1, join("one-more")))[0] == COORDINATOR_AWAY
    # Many members of one group at once: each a connection of its own, as its join waits.
    members = [Raw(server.port) for _ in range(260)]
    for member in members:
        member.send(JOIN, 1, join("group-1"))
    errors = [struct.unpack_from(">h", member.receive()[1])[0] for member in members]
    assert errors.count(GROUP_FULL) == 10 and errors.count(0) == 250, {error: errors.count(error) for error in set(errors)}
    assert struct.unpack_from(">h", raw.ask(JOIN, 1, join("group-2", metadata=b"x" * 70000)))[0] != 0


def unserved(server):
    """Security that is not there is refused in the protocol's own words; a request of no known kind closes its connection."""
    raw = Raw(server.port)
    for version in (0, 1):
        assert struct.unpack(">hi", raw.ask(SASL, version, text("PLAIN"))) == (SASL_STATE, 0)
        acl = struct.pack(">b", 2) + text("t") + (struct.pack(">b", 3) if version else b"") + text("User:x") + text("*") + struct.pack(">bb", 3, 3)
        for key, body in ((DESCRIBE_ACLS, acl), (CREATE_ACLS, array([acl, acl])), (DELETE_ACLS, array([acl, acl]))):
            answer = raw.ask(key, version, body)
            results = 1 if key == DESCRIBE_ACLS else struct.unpack_from(">i", answer, 4)[0]
            assert results == (1 if key == DESCRIBE_ACLS else 2)
            assert struct.unpack_from(">h", answer, 4 if key == DESCRIBE_ACLS else 8)[0] == SECURITY_DISABLED, (key, answer)
    said = []
    client = AdminClient({"bootstrap.servers": server.address, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN",
                          "sasl.username": "u", "sasl.password": "p", "error_cb": lambda error: said.append(str(error))})
    deadline = time.time() + 10
    while not any("current SASL state" in word for word in said) and time.time() < deadline:
        client.poll(0.1)
    assert any("current SASL state" in word for word in said), said
    for key, version in ((4, 0), (24, 0), (77, 0), (FETCH, 12), (FETCH, 3), (-1, 0)):
        odd = Raw(server.port)
        odd.send(key, version)
        assert odd.is_closed(), (key, version)
    assert len(raw.ask(VERSIONS, 0)) > 50


cases.run([versions, long_poll, fetch_sizes, pipelining, slow_readers, bounded_groups, unserved])
