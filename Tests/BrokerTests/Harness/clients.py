"""Independent clients against the broker: kcat, python3-kafka and confluent-kafka, each reading what another wrote.

    clients.py SLUICE CASE...      (no case: all)
"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import confluent_kafka
import kafka
import kafka.admin
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from cases import run
from server import Server, dies_with_parent

# Recent, so that retention leaves the records alone.
START = int(time.time() * 1000) - 3600000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def create(server, name, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": server.address})
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
        future.result(10)
    return admin


def produce(server, topic, messages, codec="none", **settings):
    """Messages are dicts of produce()'s arguments; returns their offsets."""
    offsets, errors = [], []
    producer = Producer(dict({"bootstrap.servers": server.address, "compression.type": codec, "linger.ms": 20, "acks": "all",
                              "enable.idempotence": True}, **settings))

    def report(error, message):
        (errors if error else offsets).append(error or message.offset())
    for message in messages:
        producer.produce(topic, on_delivery=report, **message)
    left = producer.flush(20)
    assert not errors and not left, (errors[:1], left)
    return offsets


def consume(server, topic, count, partitions=1, **settings):
    """`count` messages from the start, and that there are no more."""
    consumer = Consumer(dict({"bootstrap.servers": server.address, "group.id": "reader", "enable.auto.commit": False,
                              "enable.partition.eof": True, "check.crcs": True}, **settings))
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    found, ended, deadline = [], set(), time.time() + 20
    while len(ended) < partitions and time.time() < deadline:
        for message in consumer.consume(500, 0.5):
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                ended.add(message.partition())
            else:
                found.append(message)
    consumer.close()
    assert len(found) == count, "%d of %d messages" % (len(found), count)
    return found


def kcat(server, *arguments, given=None):
    result = subprocess.run(["kcat", "-q", "-b", server.address] + list(arguments), input=given, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=30)
    assert result.returncode == 0, result.stderr
    return result.stdout


def stored_bytes(server, topic):
    """What a topic's records take, without the room that is kept behind them."""
    text = subprocess.run([server.sluice, "broker", "inspect", server.data], stdout=subprocess.PIPE, timeout=30).stdout.decode()
    mine = text.split("topic %s " % topic)[1].split("\ntopic ")[0]
    return sum(int(word[6:]) for word in mine.split() if word.startswith("bytes="))


def codecs(server):
    """Every codec, with keys, headers, tombstones and timestamps, read back alike by three clients."""
    for codec in CODECS:
        topic = "codec-" + codec
        create(server, topic)
        messages = [{"key": b"key-%d" % i, "value": None if i % 10 == 3 else b"value-%d " % i * 20, "timestamp": START + i,
                     "headers": [("name", b"\x00\xff%d" % i), ("empty", b"")]} for i in range(300)]
        offsets = produce(server, topic, messages, codec)
        assert offsets == list(range(300))
        for message, found in zip(messages, consume(server, topic, 300)):
            assert found.key() == message["key"] and found.value() == message["value"], (codec, found.offset())
            assert found.timestamp() == (confluent_kafka.TIMESTAMP_CREATE_TIME, message["timestamp"])
            assert found.headers() == message["headers"]
        lines = kcat(server, "-C", "-t", topic, "-o", "beginning", "-e", "-J").decode(errors="replace").splitlines()
        assert [json.loads(line)["offset"] for line in lines] == list(range(300))
        assert [json.loads(line)["key"] for line in lines] == ["key-%d" % i for i in range(300)]
        stored = stored_bytes(server, topic)
        # Stored as it was sent: a broker that made the client send plain records would show here.
        assert (stored < 40000) == (codec != "none"), (codec, stored)
        if codec in ("none", "gzip"):
            reader = kafka.KafkaConsumer(topic, bootstrap_servers=server.address, auto_offset_reset="earliest", consumer_timeout_ms=2000)
            assert [m.value for m in reader] == [m["value"] for m in messages]
            reader.close()


def python_producer(server):
    """What python3-kafka writes, kcat reads; and kcat's, python3-kafka."""
    create(server, "python", 3)
    producer = kafka.KafkaProducer(bootstrap_servers=server.address, acks="all", compression_type="gzip")
    for i in range(100):
        producer.send("python", key=b"%d" % i, value=b"v%d" % i, headers=[("h", b"x")], partition=i % 3)
    producer.flush(10)
    lines = kcat(server, "-C", "-t", "python", "-o", "beginning", "-e", "-f", "%p %k %s %h\n").decode().splitlines()
    assert sorted(lines) == sorted("%d %d v%d h=x" % (i % 3, i, i) for i in range(100)), lines[:3]
    create(server, "cat")
    kcat(server, "-P", "-t", "cat", "-K", ":", "-z", "gzip", "-X", "enable.idempotence=true", given=b"".join(b"k:%d\n" % i for i in range(50)))
    reader = kafka.KafkaConsumer("cat", bootstrap_servers=server.address, auto_offset_reset="earliest", consumer_timeout_ms=2000)
    assert [m.value for m in reader] == [b"%d" % i for i in range(50)]


class Members:
    """Consumers of one group, polled together in this process."""

    def __init__(self, server, topic, strategy, group):
        self.settings = {"bootstrap.servers": server.address, "group.id": group, "auto.offset.reset": "earliest",
                         "partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 200}
        self.topic, self.members, self.values = topic, [], []

    def join(self, **settings):
        consumer = Consumer(dict(self.settings, **settings))
        consumer.subscribe([self.topic])
        self.members.append(consumer)
        return consumer

    def settle(self, partitions, shares, seconds=15):
        """Polls until every partition has exactly one owner and the shares are as given."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            for consumer in self.members:
                message = consumer.poll(0.05)
                if message and not message.error():
                    self.values.append(message.value())
            owned = [sorted(p.partition for p in consumer.assignment()) for consumer in self.members]
            if sorted(sum(owned, [])) == list(range(partitions)) and sorted(map(len, owned)) == shares:
                return
        raise AssertionError("the group did not settle: %s" % owned)

    def close(self):
        for consumer in self.members:
            consumer.close()


def groups(server):
    """Groups of one, two and three, eager and cooperative: every partition has one owner, also after a member left."""
    create(server, "shared", 12)
    for strategy in ("range", "roundrobin", "cooperative-sticky"):
        group = Members(server, "shared", strategy, "group-" + strategy)
        group.join()
        group.settle(12, [12])
        group.join()
        group.settle(12, [6, 6])
        group.join()
        group.settle(12, [4, 4, 4])
        group.members.pop(0).close()
        group.settle(12, [6, 6])
        group.close()


# A member of the group and topic of one name: prints how many partitions it is given, or the values it is given.
MEMBER = """
import sys
from confluent_kafka import Consumer
address, name, what = sys.argv[1:]
c = Consumer({"bootstrap.servers": address, "group.id": name, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
              "auto.offset.reset": "earliest"})
c.subscribe([name], on_assign=lambda c, p: print(len(p), flush=True) if what == "partitions" else None)
while True:
    m = c.poll(0.1)
    if m and not m.error() and what == "values": print(m.value().decode(), flush=True)
"""
READER = """
import sys, kafka
for m in kafka.KafkaConsumer("mixed", bootstrap_servers=sys.argv[1], group_id="mixed", auto_offset_reset="earliest", session_timeout_ms=6000,
                             heartbeat_interval_ms=300): print(m.value.decode(), flush=True)
"""


class Lines(threading.Thread):
    """A group member that is a program of its own and prints the values it is given."""

    def __init__(self, *words):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=dies_with_parent)
        self.values = []
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.values.append(line.strip())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.join()


def mixed_group(server):
    """kcat, python3-kafka and confluent-kafka share one group; when one is killed, the others take its partitions and miss nothing."""
    create(server, "mixed", 12)
    settings = {"auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 300,
                "partition.assignment.strategy": "range,roundrobin"}
    options = [word for name, value in settings.items() for word in ("-X", "%s=%s" % (name, value))]
    members = [Lines(sys.executable, "-c", MEMBER, server.address, "mixed", "values"), Lines(sys.executable, "-c", READER, server.address),
               Lines("kcat", "-q", "-u", "-b", server.address, "-G", "mixed", "-f", "%s\\n", *options, "mixed")]
    waves = []

    def settle(shares):
        """Sends waves of a record to each partition until one is divided as given, with every record at one member only."""
        deadline = time.time() + 40
        while time.time() < deadline:
            wave = [b"%d-%d" % (len(waves), partition) for partition in range(12)]
            waves.append(wave)
            produce(server, "mixed", [{"value": value, "partition": number} for number, value in enumerate(wave)])
            time.sleep(0.7)
            counts = [sum(member.values.count(value) for value in wave) for member in members]
            if sorted(counts) == shares and {value for member in members for value in member.values} >= set(wave):
                return
        raise AssertionError("the last wave was divided %s" % counts)
    try:
        settle([4, 4, 4])
        members[1].end()
        settle([0, 6, 6])
        missing = {value for wave in waves for value in wave} - {value for member in members for value in member.values}
        assert not missing, "%d records reached nobody" % len(missing)
    finally:
        for member in members:
            member.end()


def static_member(server):
    """A static member that comes back within its session finds its partitions again, and nobody else is disturbed."""
    create(server, "static", 4)
    group = Members(server, "static", "range", "static")
    group.join(**{"group.instance.id": "a"})
    group.join(**{"group.instance.id": "b"})
    group.settle(4, [2, 2])
    before = sorted(p.partition for p in group.members[0].assignment())
    changes = []
    group.members[1].subscribe(["static"], on_revoke=lambda c, p: changes.append(p))
    group.settle(4, [2, 2])
    changes.clear()
    group.members.pop(0).close()
    group.members.insert(0, None)
    group.members[0] = Consumer(dict(group.settings, **{"group.instance.id": "a"}))
    group.members[0].subscribe(["static"])
    group.settle(4, [2, 2])
    assert sorted(p.partition for p in group.members[0].assignment()) == before
    assert not changes, "the other member lost its partitions"
    group.close()


def eviction(server):
    """A killed member's partitions go to the other within its session time-out plus a second."""
    create(server, "evict", 4)
    doomed = subprocess.Popen([sys.executable, "-c", MEMBER, server.address, "evict", "partitions"], stdout=subprocess.PIPE, preexec_fn=dies_with_parent)
    assert doomed.stdout.readline().strip() == b"4"
    group = Members(server, "evict", "range,roundrobin", "evict")
    group.join(**{"session.timeout.ms": 6000, "heartbeat.interval.ms": 100})
    deadline = time.time() + 15
    while time.time() < deadline and len(group.members[0].assignment()) != 2:
        group.members[0].poll(0.05)
    assert len(group.members[0].assignment()) == 2
    doomed.kill()
    start = time.time()
    doomed.wait()
    group.settle(4, [4], seconds=10)
    took = time.time() - start
    group.close()
    # Its last heartbeat may be up to half a second old when it dies; the other hears of it at its next heartbeat.
    assert 4.5 < took < 7.2, "evicted after %.1f s" % took
    print("  evicted after %.1f s of a session time-out of 6 s" % took)


def resume(server):
    """Offsets that were committed are there after kill -9: the group goes on behind them."""
    create(server, "resume", 3)
    produce(server, "resume", [{"value": b"%d" % i, "partition": i % 3} for i in range(300)])
    settings = {"bootstrap.servers": server.address, "group.id": "resume", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    seen = []
    for expected in (120, 180):
        consumer = Consumer(settings)
        consumer.subscribe(["resume"])
        deadline = time.time() + 20
        while len(seen) < (120 if expected == 120 else 300) and time.time() < deadline:
            message = consumer.poll(0.2)
            if message and not message.error():
                seen.append(int(message.value()))
                consumer.commit(message=message, asynchronous=False)
        if expected == 120:
            server.kill()
            server.start()
        consumer.close()
    assert sorted(seen) == list(range(300)), "%d seen, %d different" % (len(seen), len(set(seen)))


def times(server):
    """Offsets by time: exact for plain records, never too late for compressed ones."""
    create(server, "times", segment_bytes=16384)
    create(server, "times-lz4", segment_bytes=16384)
    messages = [{"value": b"x" * 100, "timestamp": START + 10 * i} for i in range(1000)]
    produce(server, "times", messages)
    produce(server, "times-lz4", messages, "lz4", **{"batch.num.messages": 50})
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "times"})

    def lookup(topic, timestamp):
        return consumer.offsets_for_times([TopicPartition(topic, 0, timestamp)], 10)[0].offset
    for i in (0, 1, 499, 500, 999):
        assert lookup("times", START + 10 * i) == i
        assert lookup("times", START + 10 * i - 5) == i
        found = lookup("times-lz4", START + 10 * i)
        assert i - 50 < found <= i, (i, found)
    assert lookup("times", START + 10000) in (-1, 1000)
    assert consumer.get_watermark_offsets(TopicPartition("times", 0), 10) == (0, 1000)
    consumer.close()


def administration(server):
    """Topics, partitions, settings and groups are made, shown, changed and removed; impossible ones are refused by name."""
    admin = create(server, "admin", 2, retention_ms=3600000)

    def settings(name="admin"):
        resource = ConfigResource(ConfigResource.Type.TOPIC if hasattr(ConfigResource, "Type") else 2, name)
        return {k: v.value for k, v in list(admin.describe_configs([resource]).values())[0].result(10).items()}
    assert settings()["retention.ms"] == "3600000" and settings()["cleanup.policy"] == "delete"
    changed = kafka.admin.KafkaAdminClient(bootstrap_servers=server.address)
    # An old client resets what it does not name, a new one does not.
    changed.alter_configs([kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, "admin", {"max.message.bytes": "2000"})])
    assert settings()["max.message.bytes"] == "2000" and settings()["retention.ms"] in ("604800000", "3600000")
    refused = []
    producer = Producer({"bootstrap.servers": server.address})
    producer.produce("admin", b"x" * 3000, on_delivery=lambda e, m: refused.append(e and e.name()))
    producer.flush(10)
    assert refused == ["MSG_SIZE_TOO_LARGE"], refused
    list(admin.create_partitions([NewPartitions("admin", 5)]).values())[0].result(10)
    produce(server, "admin", [{"value": b"x", "partition": 4}])
    for topic, code in ((NewTopic("admin", 1, 1), "TOPIC_ALREADY_EXISTS"), (NewTopic("a b", 1, 1), "TOPIC_EXCEPTION"),
                        (NewTopic("three", 1, 3), "INVALID_REPLICATION_FACTOR"), (NewTopic("none", 9999, 1), "POLICY_VIOLATION"),
                        (NewTopic("odd", 1, 1, config={"cleanup.policy": "compact"}), "INVALID_CONFIG")):
        try:
            list(admin.create_topics([topic]).values())[0].result(10)
            raise AssertionError("%s was made" % topic)
        except confluent_kafka.KafkaException as error:
            assert error.args[0].name() == code, error
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "seen"})
    consumer.commit(offsets=[TopicPartition("admin", 0, 0)], asynchronous=False)
    consumer.close()
    assert "seen" in [g[0] for g in changed.list_consumer_groups()]
    assert changed.describe_consumer_groups(["seen"])[0].state == "Empty"
    result = changed.delete_consumer_groups(["seen"])
    assert "NoError" in str(result), result
    assert "seen" not in [g[0] for g in changed.list_consumer_groups()]
    list(admin.delete_topics(["admin"]).values())[0].result(10)
    assert "admin" not in admin.list_topics(timeout=10).topics
    time.sleep(0.3)
    assert not [f for f in os.listdir(server.data + "/topics") if f.startswith("admin.")]
    server.kill()
    server.start()
    assert "admin" not in admin.list_topics(timeout=10).topics


def identity(server):
    """The cluster's id survives a restart; a new folder has another."""
    def cluster():
        return AdminClient({"bootstrap.servers": server.address}).list_topics(timeout=10).cluster_id
    first = cluster()
    server.kill()
    server.start()
    assert cluster() == first and len(first) == 22
    other = Server(server.sluice).start()
    try:
        assert AdminClient({"bootstrap.servers": other.address}).list_topics(timeout=10).cluster_id != first
    finally:
        other.close()


def unserved(server):
    """What is not served is an error at once: transactions, old formats, other requests; a bad frame closes only its connection."""
    producer = Producer({"bootstrap.servers": server.address, "transactional.id": "t"})
    start = time.time()
    try:
        producer.init_transactions(10)
        raise AssertionError("transactions were initialized")
    except confluent_kafka.KafkaException as error:
        assert time.time() - start < 5, error
    bystander = socket.create_connection(("127.0.0.1", server.port))

    def versions(connection):
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
        answer = connection.recv(8, socket.MSG_WAITALL)
        assert len(answer) == 8 and answer[4:] == struct.pack(">i", 7)
        connection.recv(struct.unpack(">i", answer[:4])[0] - 4, socket.MSG_WAITALL)
    versions(bystander)
    for frame in (b"\xff\xff\xff\xff", struct.pack(">i", 2**31 - 1), struct.pack(">ihhih", 10, 0, 7, 1, 30000), struct.pack(">ihhih", 10, 999, 0, 1, -1),
                  struct.pack(">ihhihii", 18, 3, 4, 1, -1, 2**31 - 1, 0), b"GET / HTTP/1.1\r\n\r\n"):
        bad = socket.create_connection(("127.0.0.1", server.port))
        bad.settimeout(5)
        bad.sendall(frame)
        assert bad.recv(1) == b"", frame
        versions(bystander)


def bounds(server):
    """More connections, larger frames and more at once than there is room for are refused or wait; others are served."""
    def ask(connection):
        connection.settimeout(5)
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
        return connection.recv(8, socket.MSG_WAITALL)[4:] == struct.pack(">i", 7)
    connections = []
    try:
        for _ in range(1000):
            connections.append(socket.create_connection(("127.0.0.1", server.port)))
        assert ask(connections[-1])
        extra = socket.create_connection(("127.0.0.1", server.port))
        extra.settimeout(5)
        assert extra.recv(1) == b"", "connection 1,001 was served"
    finally:
        for connection in connections:
            connection.close()
    time.sleep(0.2)
    # Five clients that begin frames of 15 MiB, which is more than may be received at once: the memory is not taken five times.
    greedy = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
    for connection in greedy:
        connection.settimeout(0.5)
        connection.sendall(struct.pack(">ihhi", 15 << 20, 0, 7, 1))
        try:
            connection.sendall(bytes(10 << 20))
        except socket.timeout:
            pass
    assert ask(socket.create_connection(("127.0.0.1", server.port)))
    with open("/proc/%d/status" % server.process.pid) as status:
        memory = [int(line.split()[1]) for line in status if line.startswith("VmRSS")][0]
    assert memory < 80 << 10, "%d KiB" % memory
    for connection in greedy:
        connection.close()
    # A text that a message repeats is longer than the protocol's strings may be.
    changed = kafka.admin.KafkaAdminClient(bootstrap_servers=server.address)
    create(server, "bounds")
    try:
        changed.alter_configs([kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, "bounds", {"x" * 32760: "1"})])
    except kafka.errors.KafkaError:
        pass
    assert ask(socket.create_connection(("127.0.0.1", server.port)))


def fetch_limits(server):
    """A consumer's limits on bytes are kept, and a record larger than them still comes."""
    create(server, "limits", 4, max_message_bytes=4000000)
    produce(server, "limits", [{"value": b"x" * 10000, "partition": i % 4} for i in range(400)], **{"message.max.bytes": 4000000})
    produce(server, "limits", [{"value": b"y" * 3000000, "partition": 0}], **{"message.max.bytes": 4000000})
    small = {"fetch.max.bytes": 50000, "max.partition.fetch.bytes": 20000, "message.max.bytes": 50000, "receive.message.max.bytes": 4000000}
    found = consume(server, "limits", 401, 4, **small)
    assert sum(len(m.value()) for m in found) == 400 * 10000 + 3000000
    reader = kafka.KafkaConsumer("limits", bootstrap_servers=server.address, auto_offset_reset="earliest", fetch_max_wait_ms=1500,
                                 fetch_min_bytes=1000, consumer_timeout_ms=500)
    reader.close()


def retention(server):
    """Old segments go, by size and by time; what is left starts where the broker says."""
    create(server, "by-size", segment_bytes=16384, retention_bytes=50000)
    create(server, "by-time", segment_bytes=16384, retention_ms=1000)
    now = int(time.time() * 1000)
    produce(server, "by-size", [{"value": b"x" * 1000, "timestamp": now} for _ in range(500)], **{"batch.num.messages": 5})
    produce(server, "by-time", [{"value": b"x" * 1000, "timestamp": now} for _ in range(100)], **{"batch.num.messages": 5})
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "r"})
    deadline = time.time() + 10
    while time.time() < deadline:
        low, high = consumer.get_watermark_offsets(TopicPartition("by-size", 0), 10)
        start, end = consumer.get_watermark_offsets(TopicPartition("by-time", 0), 10)
        if low > 400 and start == end:
            break
        time.sleep(0.2)
    assert high == 500 and 400 < low < 460, (low, high)
    assert (start, end) == (100, 100), (start, end)
    server.kill()
    server.start()
    again = Consumer({"bootstrap.servers": server.address, "group.id": "r"})
    assert again.get_watermark_offsets(TopicPartition("by-time", 0), 10) == (100, 100)
    assert again.get_watermark_offsets(TopicPartition("by-size", 0), 10)[1] == 500
    again.close()
    consumer.close()
    assert produce(server, "by-time", [{"value": b"y", "timestamp": int(time.time() * 1000)}]) == [100]


def stopping(server):
    """SIGTERM under load ends with 0 within a second, and what was acknowledged is there; a second broker is refused the folder."""
    create(server, "stop", 4)
    acknowledged = []
    producer = Producer({"bootstrap.servers": server.address, "enable.idempotence": True, "linger.ms": 1})
    start = time.time()
    while time.time() < start + 1:
        try:
            producer.produce("stop", b"x", on_delivery=lambda e, m: e or acknowledged.append((m.partition(), m.offset())))
            producer.poll(0)
        except BufferError:
            producer.poll(0.01)
    second = subprocess.run([server.sluice, "broker", "--data", server.data, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, timeout=10)
    assert second.returncode != 0 and b"in use" in second.stderr, second
    code, took = server.stop()
    assert code == 0 and took < 1, (code, took)
    server.start()
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "s"})
    for partition in range(4):
        end = consumer.get_watermark_offsets(TopicPartition("stop", partition), 10)[1]
        offsets = sorted(o for p, o in acknowledged if p == partition)
        assert offsets == list(range(end)), partition
    consumer.close()


def damage(server):
    """A damaged middle is named and refused, at the start and by verify; a torn tail is cut and said."""
    create(server, "hurt", segment_bytes=16384)
    produce(server, "hurt", [{"value": b"%06d" % i * 20} for i in range(400)], **{"batch.num.messages": 10})
    time.sleep(0.2)
    server.kill()
    folder = [os.path.join(f) for f, _, names in os.walk(server.data) if "/hurt." in f and "durable" in names][0]
    logs = sorted(n for n in os.listdir(folder) if n.endswith(".log"))
    assert len(logs) > 2, logs

    def verify():
        result = subprocess.run([server.sluice, "broker", "verify", server.data], stdout=subprocess.PIPE, timeout=30)
        return result.returncode, result.stdout.decode()
    assert verify()[0] == 0, verify()
    last, first = os.path.join(folder, logs[-1]), os.path.join(folder, logs[0])
    with open(last, "ab") as file:
        file.write(b"torn" * 30)
    code, text = verify()
    assert code == 0 and "tail of a crash" in text and logs[-1] in text, text
    server.start()
    assert "a torn tail is cut off" in server.last_log()
    assert len(consume(server, "hurt", 400)) == 400
    server.kill()
    for path in (first, last):
        with open(path, "r+b") as file:
            file.seek(200)
            byte = file.read(1)
            file.seek(200)
            file.write(bytes([byte[0] ^ 1]))
        code, text = verify()
        assert code == 1 and os.path.basename(path) in text and "damage" in text, text
        if path == last:
            try:
                server.start()
                raise AssertionError("the broker started on a damaged log")
            except Exception as error:
                assert os.path.basename(path) in str(error) and "damaged at byte" in str(error), error
        else:
            # Sealed segments are not read at the start; the batch is refused to whoever fetches it, and the rest is served.
            server.start()
            consumer = Consumer({"bootstrap.servers": server.address, "group.id": "d"})
            consumer.assign([TopicPartition("hurt", 0, 0)])
            end = time.time() + 1.5
            while time.time() < end:
                message = consumer.poll(0.1)
                assert message is None or message.error(), "a damaged batch was delivered"
            consumer.assign([TopicPartition("hurt", 0, 390)])
            message = consumer.poll(10)
            assert message and message.value() == b"%06d" % 390 * 20
            consumer.close()
            server.kill()
        with open(path, "r+b") as file:
            file.seek(200)
            file.write(byte)
    assert verify()[0] == 0
    server.start()
    text = subprocess.run([server.sluice, "broker", "inspect", server.data], stdout=subprocess.PIPE, timeout=30).stdout.decode()
    assert "topic hurt" in text and "end=400" in text, text
    text = subprocess.run([server.sluice, "broker", "inspect", server.data, "--topic", "hurt", "--from", "7", "--count", "2"],
                          stdout=subprocess.PIPE, timeout=30).stdout.decode()
    assert [json.loads(line)["offset"] for line in text.splitlines()] == [7, 8], text


run([codecs, python_producer, groups, mixed_group, static_member, eviction, resume, times, administration, identity, unserved, bounds, fetch_limits,
     retention, stopping, damage], title="confluent-kafka %s, librdkafka %s, kafka-python %s" % (
         confluent_kafka.__version__, confluent_kafka.libversion()[0], kafka.__version__))
