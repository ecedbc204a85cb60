"""Measures the broker: latency at 2,000 records a second, 50,000 a second held, reading from the start, memory, and the start itself.

    bench.py SLUICE OUTPUT.json [--seconds N] [--records N] [--peer]

Records have 200 bytes, there are 12 partitions, the producer is idempotent with acks=all and the broker flushes always.
The client is librdkafka through confluent-kafka, in processes of its own: what it costs is not counted as the broker's.
--peer measures noida-db in the same run (its executable is named by NOIDA_DB).
"""
import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from server import Server, dies_with_parent, free_port

PARTITIONS = 12
BYTES = 200
WIDE = {"receive.message.max.bytes": 2000000000}


def quantiles(values):
    values = sorted(values)

    def at(q):
        return round(1000 * values[min(len(values) - 1, int(len(values) * q))], 3)
    return {"count": len(values), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1)} if values else {"count": 0}


def create(address, topic):
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(20)


def follow(address, topic, sampling, ready, stop, result):
    """A live consumer; notes how old each record is as it arrives."""
    consumer = Consumer(dict(WIDE, **{"bootstrap.servers": address, "group.id": "bench", "enable.auto.commit": False}))
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    consumer.poll(0.5)
    ready.set()
    ages, count = [], 0
    while not stop.is_set():
        # Not consume(), which waits for its whole batch.
        message = consumer.poll(0.05)
        if message is not None and not message.error():
            count += 1
            if count % sampling == 0:
                ages.append(time.monotonic() - float(message.value()[:20]))
    consumer.close()
    result.put((count, quantiles(ages)))


def load(address, topic, rate, seconds, linger, sampling=1):
    """Produces at a fixed rate; latency counts from when a record should have been sent."""
    reports, failed = [], [0]
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": linger,
                         "queue.buffering.max.messages": 1000000})

    def report(due):
        def called(error, message):
            if error:
                failed[0] += 1
            else:
                reports.append(time.monotonic() - due)
        return called
    # The producer's id and its connections are there before the clock starts.
    for partition in range(PARTITIONS):
        producer.produce(topic, (b"%020.9f" % time.monotonic()).ljust(BYTES, b"x"), partition=partition)
    failed[0] += producer.flush(10)
    start = time.monotonic()
    total = int(rate * seconds)
    for number in range(total):
        due = start + number / rate
        while True:
            now = time.monotonic()
            if now >= due:
                break
            producer.poll(min(due - now, 0.001))
        value = (b"%020.9f" % due).ljust(BYTES, b"x")
        if number % sampling == 0:
            producer.produce(topic, value, partition=number % PARTITIONS, on_delivery=report(due))
        else:
            producer.produce(topic, value, partition=number % PARTITIONS)
        if number % 16 == 0:
            producer.poll(0)
    left = producer.flush(60)
    return {"rate": rate, "seconds": round(time.monotonic() - start, 1), "sent": total, "failed": failed[0] + left, "report": quantiles(reports)}


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    with open("/proc/%d/status" % pid) as status:
        return {line.split(":")[0]: round(int(line.split()[1]) / 1024, 1) for line in status if line.startswith(("VmRSS", "VmHWM"))}


def held(address, pid, topic, rate, seconds, linger, sampling=1):
    create(address, topic)
    ready, stop, result = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    reader = multiprocessing.Process(target=follow, args=(address, topic, sampling, ready, stop, result), daemon=True)
    reader.start()
    ready.wait(10)
    before, start = cpu_seconds(pid), time.monotonic()
    figures = load(address, topic, rate, seconds, linger, sampling)
    time.sleep(1)
    figures["broker_cores"] = round((cpu_seconds(pid) - before) / (time.monotonic() - start), 3)
    stop.set()
    figures["consumed"], figures["consume"] = result.get(timeout=20)
    reader.join(5)
    return figures


def fill(address, topic, records):
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": 20,
                         "queue.buffering.max.messages": 500000})
    value = b"x" * BYTES
    for number in range(records):
        while True:
            try:
                producer.produce(topic, value, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def read_from_start(address, topic, records):
    consumer = Consumer(dict(WIDE, **{"bootstrap.servers": address, "group.id": "read", "enable.auto.commit": False,
                                      "queued.max.messages.kbytes": 131072, "queued.min.messages": 1000000}))
    start = time.monotonic()
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    count = 0
    while count < records:
        batch = consumer.consume(10000, 5)
        if not batch:
            break
        count += sum(1 for m in batch if not m.error())
    took = time.monotonic() - start
    consumer.close()
    return {"records": count, "seconds": round(took, 2), "per_second": int(count / took)}


def measure(address, pid, arguments):
    figures = {"latency": held(address, pid, "latency", 2000, min(arguments.seconds, 20), 0)}
    figures["held"] = held(address, pid, "held", 50000, arguments.seconds, 5, sampling=50)
    create(address, "million")
    fill(address, "million", min(arguments.records, 1000000))
    before = cpu_seconds(pid)
    figures["read"] = read_from_start(address, "million", min(arguments.records, 1000000))
    figures["read"]["broker_cpu_seconds"] = round(cpu_seconds(pid) - before, 2)
    figures["memory_mib"] = memory_mib(pid)
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sluice")
    parser.add_argument("output")
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--records", type=int, default=10000000)
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    result = {"load_average_before": os.getloadavg()[0], "processors": os.cpu_count()}
    server = Server(arguments.sluice)
    try:
        server.start()
        result["sluice"] = measure(server.address, server.process.pid, arguments)
        have = sum(result["sluice"][part].get("sent", 0) for part in ("latency", "held")) + result["sluice"]["read"]["records"]
        if arguments.records > have:
            create(server.address, "rest")
            fill(server.address, "rest", arguments.records - have)
        result["sluice"]["memory_mib_filled"] = memory_mib(server.process.pid)
        server.kill()
        start = time.monotonic()
        server.start()
        result["sluice"]["restart"] = {"records": max(arguments.records, have), "seconds": round(time.monotonic() - start, 2)}
    finally:
        server.close()
    if arguments.peer:
        with tempfile.TemporaryDirectory(prefix="sluice-peer-") as folder:
            port = free_port()
            peer = subprocess.Popen([os.environ["NOIDA_DB"], "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", folder],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=dies_with_parent)
            try:
                time.sleep(3)
                address = "127.0.0.1:%d" % port
                result["noida-db"] = {"latency": held(address, peer.pid, "latency", 2000, min(arguments.seconds, 20), 0)}
                result["noida-db"]["held"] = held(address, peer.pid, "held", 20000, min(arguments.seconds, 30), 5, sampling=50)
            finally:
                peer.kill()
                peer.wait()
    result["load_average_after"] = os.getloadavg()[0]
    os.makedirs(os.path.dirname(os.path.abspath(arguments.output)), exist_ok=True)
    with open(arguments.output, "w") as output:
        json.dump(result, output, indent=2)
    print(json.dumps(result, indent=2))


main()
