"""What those who run the broker rely on: where it listens, its tools, settings that take effect, and a disk that fails.

    operation.py SLUICE CASE...      (no case: all)
"""
import json
import os
import socket
import subprocess
import time

import kafka
import kafka.admin
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

import cases
from raw import Raw, commit
from server import Server

NOW = int(time.time() * 1000)


def create(server, name, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": server.address})
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
        future.result(10)
    return admin


def produce(server, topic, values, **settings):
    """Returns the offsets that were acknowledged, and the names of errors."""
    offsets, errors = [], []
    producer = Producer(dict({"bootstrap.servers": server.address, "enable.idempotence": True, "linger.ms": 5}, **settings))
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda e, m: errors.append(e.name()) if e else offsets.append(m.offset()))
    producer.flush(20)
    return offsets, errors


def tool(server, *words):
    result = subprocess.run([server.sluice, "broker"] + list(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    return result.returncode, (result.stdout + result.stderr).decode()


def watermarks(server, topic, partition=0):
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "watermarks"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
    finally:
        consumer.close()


def addresses(server):
    """Beyond this machine only when it is asked for, with a warning; and a start says what this log is not."""
    assert "one node, no replication, no transactions" in server.whole_log()
    assert "acknowledged records survive kill -9 and power loss" in server.whole_log()
    for listen, words, said in (("0.0.0.0:0", [], "no authentication"), ("192.0.2.7:0", [], "no authentication"),
                                ("0.0.0.0:0", ["--allow-remote"], "--advertise"), ("unix:/tmp/x", [], "address"),
                                ("127.0.0.1:%d" % server.port, [], "cannot listen")):
        code, text = tool(server, "--data", server.data + "-other", "--listen", listen, *words)
        assert code != 0 and said in text, (listen, code, text)
    remote = Server(server.sluice, ["--allow-remote", "--advertise", "127.0.0.1:1"])
    remote.host = "0.0.0.0"
    try:
        remote.start()
        text = remote.whole_log()
        assert "without authentication or encryption" in text and "warning" in text.lower(), text
        # Reached under an address that is not the loopback's, and clients are told the advertised one.
        own = [line.split()[3].split("/")[0] for line in subprocess.run(["ip", "-4", "-o", "addr"], stdout=subprocess.PIPE).stdout.decode().splitlines()]
        for address in own or ["127.0.0.1"]:
            socket.create_connection((address, remote.port), 5).close()
        nodes = AdminClient({"bootstrap.servers": "127.0.0.1:%d" % remote.port}).list_topics(timeout=5).brokers
        assert [(node.host, node.port) for node in nodes.values()] == [("127.0.0.1", 1)]
    finally:
        remote.close()
    quiet = Server(server.sluice, ["--flush", "interval", "--flush-interval-ms", "250"])
    try:
        quiet.start()
        assert "a power loss may take the last 250 ms" in quiet.whole_log()
    finally:
        quiet.close()


def settings_take_effect(server):
    """Retention that is changed removes records soon after, by size and by time; a changed setting survives kill -9."""
    create(server, "size", segment_bytes=16384)
    create(server, "time", segment_bytes=16384)
    values = [b"x" * 1000] * 200
    for topic in ("size", "time"):
        assert produce(server, topic, values, **{"batch.num.messages": 5})[0] == list(range(200))
    time.sleep(1.5)
    assert watermarks(server, "size") == (0, 200) and watermarks(server, "time") == (0, 200)
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=server.address)
    topic = kafka.admin.ConfigResourceType.TOPIC
    admin.alter_configs([kafka.admin.ConfigResource(topic, "size", {"segment.bytes": "16384", "retention.bytes": "60000"})])
    admin.alter_configs([kafka.admin.ConfigResource(topic, "time", {"segment.bytes": "16384", "retention.ms": "500"})])
    deadline = time.time() + 10
    while time.time() < deadline and not (100 < watermarks(server, "size")[0] < 160 and watermarks(server, "time") == (200, 200)):
        time.sleep(0.2)
    low, high = watermarks(server, "size")
    assert 100 < low < 160 and high == 200, (low, high)
    assert watermarks(server, "time") == (200, 200)
    def kept():
        return sum(os.path.getsize(os.path.join(folder, f)) for folder, _, files in os.walk(server.data) if "/size." in folder for f in files)
    while time.time() < deadline and kept() > 120000:
        time.sleep(0.2)
    assert kept() < 120000, "%d bytes are still on the disk" % kept()
    server.kill()
    server.start()
    # Settings of the broker itself are shown and cannot be changed here.
    client = AdminClient({"bootstrap.servers": server.address})
    shown = list(client.describe_configs([ConfigResource(2, "size")]).values())[0].result(10)
    assert shown["retention.bytes"].value == "60000" and shown["segment.bytes"].value == "16384"
    shown = list(client.describe_configs([ConfigResource(4, "1")]).values())[0].result(10)
    assert shown["sluice.flush"].value == "always" and shown["sluice.flush"].is_read_only
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=server.address)
    refused = admin.alter_configs([kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.BROKER, "1", {"sluice.flush": "never"})])
    assert "42" in str(refused) or "only topics" in str(refused), refused


def tools(server):
    """`inspect` shows groups and their lag while the broker serves; `verify` wants it stopped, and finds what was changed."""
    create(server, "shown", 2, retention_bytes=100000000)
    produce(server, "shown", [b"%d" % n for n in range(50)])
    produce(server, "shown", [b"packed"] * 20, **{"compression.type": "lz4"})
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "readers"})
    consumer.commit(offsets=[TopicPartition("shown", 0, 15)], asynchronous=False)
    consumer.close()
    code, text = tool(server, "inspect", server.data)
    lines = [line.strip() for line in text.splitlines()]
    assert code == 0 and any(line.startswith("topic shown id=") and line.endswith("partitions=2 retention.bytes=100000000") for line in lines), text
    assert any(line.startswith("partition 0 start=0 end=70 bytes=") for line in lines), text
    assert "group readers" in lines and "shown 0 committed=15 lag=55" in lines, text
    code, text = tool(server, "inspect", server.data, "--topic", "shown", "--from", "48", "--count", "3")
    first, second, packed = [json.loads(line) for line in text.splitlines()]
    assert (first["offset"], first["value"], second["offset"]) == (48, "48", 49) and packed["compression"] == "lz4", text
    code, text = tool(server, "inspect", server.data, "--topic", "nothing")
    assert code != 0 and "no partition" in text, text
    code, text = tool(server, "verify", server.data)
    assert code != 0 and "in use" in text, text
    server.stop()
    code, text = tool(server, "verify", server.data)
    assert code == 0 and ", 70 records, " in text and " 0 damaged" in text, text
    journal = [os.path.join(server.data, "state", name) for name in os.listdir(server.data + "/state") if name.endswith(".journal")][0]
    flip(journal, 40)
    code, text = tool(server, "verify", server.data)
    assert code == 1 and "journal" in text and "damage" in text, text
    try:
        server.start()
        raise AssertionError("the broker started on a damaged journal")
    except Exception as error:
        assert "damaged at byte" in str(error) and "journal" in str(error), error
    flip(journal, 40)
    server.start()
    assert watermarks(server, "shown") == (0, 70)
    for words in (["inspect", "/nowhere"], ["verify", "/nowhere"]):
        code, text = tool(server, *words)
        assert code != 0 and "/nowhere" in text, text


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def failed_sync(server):
    """A failed fdatasync ends the process and acknowledges nothing; the next start recovers what was acknowledged."""
    for part, code in (("/topics/", 74), ("/state/", 74)):
        create(server, "sync-" + part.strip("/"))
        name = "sync-" + part.strip("/")
        assert produce(server, name, [b"before"] * 10)[0] == list(range(10))
        with open(server.broken, "w") as file:
            file.write(part)
        if part == "/topics/":
            offsets, _ = produce(server, name, [b"after"] * 10, **{"message.timeout.ms": 2500})
            assert offsets == [], "acknowledged on a broken disk: %s" % offsets
        else:
            try:
                raise AssertionError("answered on a broken disk: %s" % Raw(server.port).ask(8, 2, commit("g", name, {0: 5})))
            except OSError:
                pass
        assert server.process.wait(5) == code, server.process.returncode
        assert "the disk failed" in server.last_log() and "fdatasync" in server.last_log(), server.last_log()
        os.remove(server.broken)
        server.start()
        low, high = watermarks(server, name)
        assert low == 0 and 10 <= high <= 20, high
        assert produce(server, name, [b"again"])[0] == [high]


failed_sync.interposed = True


def full_journal(server):
    """With no room for the journal, topics and commits are refused, records that are there can be read, and it goes on when there is room."""
    admin = create(server, "there")
    assert produce(server, "there", [b"x"] * 10)[0] == list(range(10))
    open(server.full, "w").close()
    try:
        create(server, "not-there")
        raise AssertionError("a topic was made without room")
    except KafkaException as error:
        assert error.args[0].name() == "KAFKA_STORAGE_ERROR", error
    raw = Raw(server.port)
    assert raw.ask(8, 2, commit("g", "there", {0: 5}))[-2:] == b"\x00\x0f"
    assert "not-there" not in admin.list_topics(timeout=10).topics
    reader = kafka.KafkaConsumer("there", bootstrap_servers=server.address, auto_offset_reset="earliest", consumer_timeout_ms=1500)
    assert len(list(reader)) == 10
    reader.close()
    assert "the disk is full" in server.whole_log()
    os.remove(server.full)
    create(server, "not-there")
    assert raw.ask(8, 2, commit("g", "there", {0: 7}))[-2:] == b"\x00\x00"
    server.kill()
    server.start()
    assert {"there", "not-there"} <= set(AdminClient({"bootstrap.servers": server.address}).list_topics(timeout=10).topics)
    _, text = tool(server, "inspect", server.data)
    assert "there 0 committed=7 lag=3" in text, text
    server.stop()
    assert tool(server, "verify", server.data)[0] == 0


full_journal.interposed = True

cases.run([addresses, settings_take_effect, tools, failed_sync, full_journal])
