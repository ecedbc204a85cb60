"""What the benchmarks share: servers started and loaded in turn, CPU by process, medians, and the file of results."""

import getpass
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import string
import subprocess
import sys
import time

from measure import Figures, children, free_port, processor_seconds, run

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = int(os.environ.get("SECONDS_EACH", "10"))
CONNECTIONS = [int(number) for number in os.environ.get("CONNECTIONS", "64 3000").split()]
PAYMENTS = [int(number) for number in os.environ.get("PAYMENTS", "2000 6000").split()]
ACCOUNTS = 1_000
HOME = pathlib.Path(__file__).resolve().parent


def percentile(values, percent):
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def resident_kibibytes(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class Program:
    """A limit program or a peer on a port of its own, for the time of one measurement."""

    def __init__(self, command, port, folder):
        self.port = port
        self.log = open(folder / "peers.log", "a")
        self.process = subprocess.Popen([str(word) for word in command], stderr=self.log)

    def __enter__(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    sys.exit(f"bench: {self.process.args[0]} did not start; see {self.log.name}")
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    @property
    def pids(self):
        return children(self.process.pid)


def load(port, connections, seconds, path, key, status):
    """What wrk saw; ends the run when answers are not what is to be measured."""
    environment = dict(os.environ, BENCH_PATH=path)
    if key:
        environment["BENCH_KEY"] = key
    text = run(
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", HOME / "peers/request.lua", f"http://127.0.0.1:{port}",
        env=environment, stdout=subprocess.PIPE).stdout
    line = next(line for line in text.splitlines() if line.startswith("RESULT "))
    seen = json.loads(line.removeprefix("RESULT "))
    # wrk counts 400 and above.
    expected = seen["requests"] if status >= 400 else 0
    wrong = abs(seen["statuses"] - expected)
    if seen["requests"] == 0 or wrong > seen["requests"] / 100:
        sys.exit(f"bench: GET {path} was to be answered with {status}, and wrk saw {seen}")
    if wrong or seen["errors"]:
        print(f"  GET {path}: {wrong} answers with another status, {seen['errors']} errors", file=sys.stderr)
    return seen


def measure(port, pids, connections, path="/", key=None, status=200):
    """One row's sample, after a warm-up."""
    load(port, connections, max(1, SECONDS // 5), path, key, status)
    before = processor_seconds(pids)
    seen = load(port, connections, SECONDS, path, key, status)
    used = processor_seconds(pids) - before
    return {
        "cpu": used * 1e6 / seen["requests"], "rate": seen["requests"] / (seen["microseconds"] / 1e6),
        "p50": seen["p50_us"] / 1e3, "p99": seen["p99_us"] / 1e3,
    }


class System:
    """The whole of Sluice, with accounts that were paid into."""

    # Further arguments of `sluice up`.
    up = []

    def __init__(self, sluice, folder):
        self.sluice = sluice
        self.data = folder / "data"
        self.folder = folder

    def __enter__(self):
        # A run that was broken off may have left one.
        subprocess.run([self.sluice, "down", "--data", self.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.data, ignore_errors=True)
        run(self.sluice, "up", "--data", self.data, "--port-base", "0", "--detach", *self.up, stdout=subprocess.DEVNULL)
        try:
            self.prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def prepare(self):
        self.read_settings()
        self.find_gateway()
        self.make_accounts()

    def read_settings(self):
        lines = (self.data / "settings.env").read_text().splitlines()
        self.settings = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        self.settings = {name: value.strip("'") for name, value in self.settings.items()}
        self.key_file = self.settings["SLUICE_KEY_FILE"]
        self.redis = self.settings["SLUICE_REDIS"].removeprefix("unix:")

    def find_gateway(self):
        listed = json.loads(run(self.sluice, "status", "--data", self.data, "--json", stdout=subprocess.PIPE).stdout)
        gateway = next(process for process in listed if process["name"] == "gateway-a")
        self.processes = listed
        self.pid = gateway["pid"]
        self.admin = gateway["admin"]
        # As `sluice up` decides it.
        self.threads = max(1, min(8, (os.cpu_count() or 2) // 2))
        self.port = int(gateway["address"].rpartition(":")[2])

    def make_accounts(self):
        self.key = pathlib.Path(self.key_file).read_text().strip()
        accounts = self.folder / "accounts.ndjson"
        with open(accounts, "w") as file:
            names = [f"bench:{number}" for number in range(1, ACCOUNTS + 1)]
            for name in ["bench:cash"] + names:
                kind = "external" if name == "bench:cash" else "normal"
                file.write(json.dumps({"type": "account", "id": name, "currency": "CZK", "kind": kind}) + "\n")
            for name in names:
                file.write(json.dumps({"debit": "bench:cash", "credit": name, "amount": 10**9, "currency": "CZK"}) + "\n")
        self.submit(accounts)

    def submit(self, accounts):
        run(
            self.sluice, "submit", accounts, "--url", self.settings["SLUICE_URL"], "--key-file", self.key_file, "--settle",
            stdout=subprocess.DEVNULL)

    def cached_key(self):
        """The Redis key of the account that is read, which the reads before have filled."""
        found = run("redis-cli", "-s", self.redis, "--scan", "--pattern", "a:*:bench:1", stdout=subprocess.PIPE).stdout.split()
        if len(found) != 1:
            sys.exit("bench: the balance that was read is not in Redis")
        return found[0]

    def pay(self, connections, rate, seconds):
        """CPU of the gateway for each accepted payment, and what clients saw of an open loop."""
        result = self.folder / "payments.json"
        result.unlink(missing_ok=True)
        before = processor_seconds([self.pid])
        # Its exit code says whether all was accepted, which the result says too.
        subprocess.run(
            [self.sluice, "bench", "--url", f"http://127.0.0.1:{self.port}", "--key-file", self.key_file, "--mix", "0:1",
             "--accounts", f"bench:1..{ACCOUNTS}", "--rate", str(rate), "--seconds", str(seconds),
             "--connections", str(connections), "--json", result], stdout=subprocess.DEVNULL)
        used = processor_seconds([self.pid]) - before
        seen = json.loads(result.read_text())
        writes = seen.get("writes")
        if not writes:
            sys.exit(f"bench: no payment was accepted: {seen['statuses']} {seen['errors']}")
        lost = seen["sent"] + seen["dropped"] - writes["count"]
        if lost:
            print(f"  {lost} of {seen['sent']} payments were not accepted: {seen['statuses']} {seen['errors']}", file=sys.stderr)
        return {
            "cpu": used * 1e6 / writes["count"], "rate": writes["count"] / seen["seconds"],
            "p50": seen["all"]["p50"], "p99": seen["all"]["p99"],
        }

    def __exit__(self, *_):
        subprocess.run([self.sluice, "down", "--data", self.data], stdout=subprocess.DEVNULL)


def template(name, folder, **values):
    text = string.Template((HOME / f"peers/{name}.conf.template").read_text()).substitute(
        FOLDER=folder, USER=getpass.getuser(), **values)
    path = folder / f"{name}.conf"
    path.write_text(text)
    return path


def show(samples, items):
    print(f"{'':<28}{'connections':>12}{'us/request':>12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for (name, connections), rows in samples.items():
        middle = {field: statistics.median(row[field] for row in rows) for field in rows[0]}
        print(f"{name:<28}{connections:>12}{middle['cpu']:>12.1f}{middle['rate']:>12.0f}{middle['p50']:>9.2f}{middle['p99']:>9.2f}")
    print("\nwrk is a closed loop: its latencies are those of a saturated server. Payments are an open loop's.\n")
    for item in items:
        # What has no target is in the table above, unless it is no row's.
        if item["target"] is None and not any(item["name"].startswith(f"{name}, {connections} ") for name, connections in samples):
            print(f"{'':<8}{item['value']:>9.2f}  {item['unit']:<34}{item['name']}")
        if item["target"] is not None:
            spread = f"{item['spread'][0]:.2f} to {item['spread'][1]:.2f}"
            verdict = "met" if item["met"] else "MISSED"
            print(f"{verdict:<8}{item['value']:>9.2f}  target {item['target']:<8g}{spread:<20}{item['name']}")
    targets = [item["met"] for item in items if item["target"] is not None]
    print(f"{targets.count(True)} met, {targets.count(False)} missed")


def bench(document, sample, evaluate, environment=None):
    """Runs a benchmark's main: `NAME SLUICE OUT.json`. `sample(system, folder)` gives samples, `evaluate(samples)` the items."""
    if len(sys.argv) != 3:
        sys.exit(document)
    sluice, output = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.update(environment or {})
    folder = output.parent
    folder.mkdir(parents=True, exist_ok=True)
    run("make", "-s", "-C", HOME / "limits", f"OUT={folder}")
    with System(sluice, folder) as system:
        samples = sample(system, folder)
    items = evaluate(samples)
    output.write_text(json.dumps(items, indent=1) + "\n")
    show(samples, items)
