"""What takes a part of a system away and brings it back, what is sent meanwhile, and what came of it: shared by the fault tests."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

from benchlib import System, run


def descendants(pid):
    found = [pid]
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += descendants(int(child))
    return found


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Parts(System):
    """A system whose parts are found by their names, whatever has become of them."""

    def listed(self, name=None):
        """What `sluice status` says: of all, or of one part once it runs."""
        while True:
            text = subprocess.run(
                [self.sluice, "status", "--data", self.data, "--json"], stdout=subprocess.PIPE, text=True).stdout
            parts = json.loads(text)
            if name is None:
                return parts
            part = next(part for part in parts if part["name"] == name)
            if part["pid"]:
                return part
            time.sleep(0.05)

    def pid_of(self, name):
        return self.listed(name)["pid"]

    @property
    def supervisor(self):
        return json.loads((self.data / "state.json").read_text())["supervisor"]["pid"]

    def unhealthy(self):
        return [f"{part['name']} is {part['state']}" for part in self.listed() if part["state"] != "healthy"]

    def until_healthy(self, seconds=60):
        """Seconds until every part is; None when that takes longer."""
        began = time.monotonic()
        while self.unhealthy():
            if time.monotonic() > began + seconds:
                return None
            time.sleep(0.1)
        return time.monotonic() - began

    @property
    def read_timeout(self):
        """After how many seconds this system's nginx takes a read to another gateway, by the configuration that it runs with."""
        path = self.data / "nginx/api.conf"
        block = re.search(r"^location = /\.read \{(.*?)^\}", path.read_text(), re.MULTILINE | re.DOTALL)
        found = block and re.search(r"^\s*proxy_read_timeout (\d+)s;", block[1], re.MULTILINE)
        if not found:
            sys.exit(f"faults: {path} has no proxy_read_timeout for reads, in seconds")
        return int(found[1])

    def sql(self, text, conninfo=None, superuser=False):
        conninfo = conninfo or self.settings["SLUICE_DATABASE"]
        if superuser:
            conninfo = re.sub(r"user=\S+", "user=postgres", conninfo)
        words = ["psql", "-qAtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", conninfo]
        for part in text if isinstance(text, list) else [text]:
            words += ["-c", part]
        return [line.split("\t") for line in run(*words, stdout=subprocess.PIPE).stdout.splitlines()]


class Fault:
    """Something that begins and ends; without an end it is over at once."""

    # Seconds between the two.
    hold = 0.0

    def begin(self):
        pass

    def end(self):
        pass


class Signal(Fault):
    """To the part's first process, as an operator or the kernel would; its supervisor starts it again."""

    def __init__(self, system, name, number):
        self.system, self.name, self.number = system, name, number

    def begin(self):
        os.kill(self.system.pid_of(self.name), self.number)


class Freeze(Fault):
    """Parts and their children stand still; the kernel still takes connections and bytes for them."""

    def __init__(self, system, *names, hold=0.0):
        self.system, self.names, self.hold, self.pids = system, names, hold, []

    def begin(self):
        self.pids = [pid for name in self.names for pid in descendants(self.system.pid_of(name))]
        signal_all(self.pids, signal.SIGSTOP)

    def end(self):
        signal_all(self.pids, signal.SIGCONT)
        self.pids = []


class Behind(Freeze):
    """Only the process of a replica that replays the primary's log stands still."""

    def begin(self):
        for pid in descendants(self.system.pid_of(self.names[0])):
            if b"startup" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                self.pids.append(pid)
                os.kill(pid, signal.SIGSTOP)


class Away(Fault):
    """Stopped in order, and started again only after a while: the supervisor is frozen meanwhile."""

    def __init__(self, system, name, number, hold):
        self.system, self.name, self.number, self.hold = system, name, number, hold

    def begin(self):
        pid = self.system.pid_of(self.name)
        os.kill(self.system.supervisor, signal.SIGSTOP)
        os.kill(pid, self.number)

    def end(self):
        os.kill(self.system.supervisor, signal.SIGCONT)


class Probes:
    """A payment that waits for its outcome and a read, several times a second, each on a connection of its own: whether the system works."""

    EVERY = 0.2
    SLOW = 1.0

    def __init__(self, system):
        self.system = system
        self.url = system.settings["SLUICE_URL"]
        # When it began, how long it took, and whether it was as it should be.
        self.seen = []
        self.is_stopping = False
        self.thread = threading.Thread(target=self.send_all, daemon=True)
        self.thread.start()

    def send_all(self):
        next_at = time.monotonic()
        while not self.is_stopping:
            for probe in (self.pay, self.read):
                threading.Thread(target=self.note, args=(probe,), daemon=True).start()
            next_at += self.EVERY
            time.sleep(max(0.0, next_at - time.monotonic()))

    def note(self, probe):
        began = time.monotonic()
        try:
            answer = probe()
        except (OSError, ValueError, urllib.error.URLError):
            answer = 0
        self.seen.append((began, time.monotonic() - began, answer in (200, 201)))

    def request(self, path, body=None, **fields):
        fields = {"Authorization": f"Bearer {self.system.key}", "Content-Type": "application/json", **fields}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, fields), timeout=15) as answer:
            answer.read()
            return answer.status

    def pay(self):
        body = json.dumps({"debit": "bench:cash", "credit": "bench:1", "amount": 1, "currency": "CZK"}).encode()
        return self.request("/v1/payments", body, **{"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=5"})

    def read(self):
        return self.request("/v1/accounts/bench:1/balance")

    def stop(self):
        self.is_stopping = True
        self.thread.join()

    def works_after(self, instant):
        """Seconds after an instant until every probe is answered as it should be, within a second."""
        late = [began for began, took, is_right in list(self.seen) if not is_right or took > self.SLOW]
        return max([0.0] + [began + self.EVERY - instant for began in late])


class Load:
    """`sluice bench` with clients that try again under the same key, and its audit at the end."""

    def __init__(self, system, phases, rate, connections):
        """The phases are names and seconds."""
        self.result = system.folder / "load.json"
        self.result.unlink(missing_ok=True)
        scenario = system.folder / "load-scenario.json"
        scenario.write_text(json.dumps({"phases": [{"name": name, "seconds": seconds} for name, seconds in phases]}))
        # A client that gives up sooner than nginx learns less: 20 s.
        words = [
            "--url", system.settings["SLUICE_URL"], "--key-file", system.key_file, "--mix", "5:1", "--rate", rate,
            "--scenario", scenario, "--connections", connections, "--duplicates", 0.1, "--wait", 0.2, "--follow", 0.3, "--retries", 100,
            "--timeout", 20, "--audit", "--drain", 60, "--quiet", "--json", self.result]
        self.process = subprocess.Popen(
            [str(word) for word in [system.sluice, "bench", *words]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **system.settings})

    def wait(self):
        """The report."""
        complaint = self.process.communicate()[1]
        # 1 and 2 say what the report says too, and what a fault may cause: that requests failed, that money is wrong.
        if self.process.returncode not in (0, 1, 2) or not self.result.exists():
            sys.exit(f"sluice bench ended with {self.process.returncode}: {complaint}")
        return json.loads(self.result.read_text())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class Outcome:
    """What clients saw of a fault, from a report and the probes."""

    def __init__(self, report, recovered, whole):
        tries = report["statuses"]
        self.requests = report["sent"] + report["dropped"]
        self.tries_failed = sum(report["errors"].values()) + sum(
            count for status, count in tries.items() if not status.startswith("2") and status != "402")
        refused = (report.get("refused") or {"count": 0})["count"]
        self.failed = report["dropped"] + max(0, report["sent"] - report["answered"]) + refused
        self.worst = (report.get("all") or {"max": 0.0})["max"] / 1e3
        # Seconds, of all that should have been sent while the fault was there, answered or not.
        during = next(phase for phase in report["phases"] if phase["name"] == DURING)
        self.reads_p99, self.payments_p99 = ((during.get(kind) or {"p99": 0.0})["p99"] / 1e3 for kind in ("reads", "writes"))
        self.read_tries_failed = report["read_tries_failed"]
        self.final = (report.get("time_to_final") or {"max": 0.0})["max"] / 1e3
        self.never_final = report["never_final"]
        self.recovered, self.whole = recovered, whole
        verdict = report.get("verdict") or {"word": "unknown", "sentence": "nobody looked"}
        self.verdict, self.sentence = verdict["word"], verdict["sentence"]
        self.is_doubled = report["duplicates_wrong"]
        self.tries = {**{status: count for status, count in tries.items() if not status.startswith("2")}, **report["errors"]}


# The phase of a load that a fault falls in.
DURING = "fault"
# Seconds that count as a fault's own when it is over at once.
AFTERMATH = 5.0


def strike(system, fault, rate, calm=3.0, after=8.0, connections=1024):
    """Begins and ends a fault under load; what came of it.

    As many connections as requests come while one of two gateways is frozen: with fewer, clients would wait for each other.
    """
    # The load needs a moment to open its connections: its own clock is behind by that, so the phase begins a little early.
    early = min(0.5, calm / 2)
    during = fault.hold or min(AFTERMATH, after / 2)
    load = Load(
        system, [("calm", calm - early), (DURING, early + during), ("after", fault.hold + after - during)], rate, connections)
    probes = Probes(system)
    try:
        time.sleep(calm)
        fault.begin()
        began = time.monotonic()
        try:
            time.sleep(fault.hold)
        finally:
            fault.end()
        # What is over at once is counted from its beginning.
        over = time.monotonic() if fault.hold else began
        # A supervisor that looks every two seconds may not have noticed yet.
        time.sleep(2.5)
        whole = system.until_healthy()
        whole = None if whole is None else time.monotonic() - over
        report = load.wait()
    finally:
        load.stop()
        probes.stop()
    return Outcome(report, probes.works_after(over), whole)
