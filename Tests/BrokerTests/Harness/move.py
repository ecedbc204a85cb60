"""Moves a ledger in use to another log and back, as docs/broker.md says, and loses no payment.

    move.py SLUICE

PostgreSQL and Redis are real; two brokers of our own are the two logs. What a cluster is in this is another incarnation of the log.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from server import Server, dies_with_parent, free_port

PAYMENTS = 300


class System:
    def __init__(self, sluice):
        self.sluice = sluice
        # Below /tmp and open to others: as root, PostgreSQL is another user that must pass through.
        self.folder = tempfile.mkdtemp(prefix="sluice-move-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.environment = dict(os.environ)
        self.roles = {}
        self.supervisor = subprocess.Popen(
            [sluice, "up", "--data", self.folder + "/data", "--port-base", "0", "--only", "postgres,redis"],
            stdout=open(self.folder + "/up.log", "w"), stderr=subprocess.STDOUT, preexec_fn=dies_with_parent)
        self.wait_for(lambda: self.phase() == "running", 120, "PostgreSQL and Redis")
        with open(self.folder + "/data/settings.env") as settings:
            for line in settings:
                if line.startswith("SLUICE_"):
                    name, value = line.strip().split("=", 1)
                    self.environment[name] = value.strip("'")
        self.environment["SLUICE_KEY_FILE"] = self.folder + "/key"

    def phase(self):
        try:
            with open(self.folder + "/data/state.json") as state:
                return json.load(state)["phase"]
        except (OSError, ValueError):
            return ""

    def wait_for(self, condition, seconds, what):
        deadline = time.time() + seconds
        while not condition():
            if time.time() > deadline:
                raise Exception("%s: not within %d s" % (what, seconds))
            time.sleep(0.1)

    def use(self, log):
        self.environment["SLUICE_KAFKA"] = log.address

    def command(self, *words, code=0):
        result = subprocess.run([self.sluice] + list(words), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        text = (result.stdout + result.stderr).decode()
        assert result.returncode == code, "%s ended with %d: %s" % (" ".join(words), result.returncode, text)
        return result.stdout.decode() if code == 0 else text

    def start(self, role):
        admin = "127.0.0.1:%d" % free_port()
        extra = {"SLUICE_ADMIN": admin, "SLUICE_NAME": role}
        if role == "gateway":
            listen = "127.0.0.1:%d" % free_port()
            extra["SLUICE_LISTEN"] = listen
            self.environment["SLUICE_URL"] = "http://" + listen
        self.roles[role] = subprocess.Popen(
            [self.sluice, role], env=dict(self.environment, **extra), stdout=subprocess.DEVNULL,
            stderr=open("%s/%s.log" % (self.folder, role), "a"), preexec_fn=dies_with_parent)

        def is_ready():
            try:
                return urllib.request.urlopen("http://%s/readyz" % admin, timeout=2).status == 200
            except OSError:
                return False
        self.wait_for(is_ready, 60, role)

    def stop(self, role):
        process = self.roles.pop(role)
        process.terminate()
        assert process.wait(30) == 0, "%s ended with %d" % (role, process.returncode)

    def submit(self, name, settle=True):
        """A file of payments; all must be accepted. Every account is named in the first file."""
        path = "%s/%s.ndjson" % (self.folder, name)
        with open(path, "w") as file:
            if name == "first":
                for account, kind in [("world", "external")] + [("shop-%d" % n, "normal") for n in range(5)]:
                    file.write(json.dumps({"type": "account", "id": account, "currency": "CZK", "kind": kind}) + "\n")
            for number in range(PAYMENTS):
                file.write(json.dumps({"debit": "world", "credit": "shop-%d" % (number % 5), "amount": 100 + number, "currency": "CZK"}) + "\n")
        self.command("submit", path, *(["--settle"] if settle else []))

    def audit(self, log, name):
        """A clean, drained audit of a log, as the file that a migration takes."""
        self.use(log)
        path = "%s/%s.json" % (self.folder, name)

        def is_drained():
            with open(path, "w") as file:
                file.write(self.command("audit", "--json"))
            with open(path) as file:
                partitions = json.load(file)["partitions"]
            return all(p["high"] == p["next_offset"] for p in partitions)
        self.wait_for(is_drained, 30, "a drained log")
        return path

    def balance(self):
        """What the shops have, as the API says."""
        total = 0
        with open(self.environment["SLUICE_KEY_FILE"]) as file:
            key = file.read().strip()
        for number in range(5):
            request = urllib.request.Request("%s/v1/accounts/shop-%d/balance" % (self.environment["SLUICE_URL"], number),
                                             headers={"Authorization": "Bearer " + key})
            total += json.load(urllib.request.urlopen(request, timeout=10))["posted"]
        return total

    def close(self):
        for process in list(self.roles.values()):
            process.kill()
            process.wait()
        self.supervisor.terminate()
        self.supervisor.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


def commands(log):
    """Commands in a log, by what `inspect` shows."""
    text = subprocess.run([log.sluice, "broker", "inspect", log.data], stdout=subprocess.PIPE, timeout=30).stdout.decode()
    mine = text.split("topic payments.commands ")[1].split("\ntopic ")[0]
    return sum(int(line.split("end=")[1].split()[0]) for line in mine.splitlines() if line.startswith("  partition"))


def move(system, old, new, report):
    """From one log to another, both roles stopped."""
    system.use(new)
    system.command("migrate", "--adopt-log", report)
    system.start("worker")
    system.start("gateway")


def main():
    each = sum(100 + number for number in range(PAYMENTS))
    first, second = Server(sys.argv[1]).start(), Server(sys.argv[1]).start()
    system = System(sys.argv[1])
    try:
        system.use(first)
        system.command("migrate")
        system.command("keys", "bootstrap", "--tenant", "demo", "--out", system.environment["SLUICE_KEY_FILE"])
        system.start("worker")
        system.start("gateway")
        system.submit("first")
        assert system.balance() == each
        # Accepted and not decided: the worker is away. Nothing of it may be lost, so this log cannot be left yet.
        system.stop("worker")
        system.submit("left-behind", settle=False)
        system.stop("gateway")
        early = "%s/early.json" % system.folder
        with open(early, "w") as file:
            file.write(system.command("audit", "--json"))
        system.use(second)
        refused = system.command("migrate", "--adopt-log", early, code=1)
        assert "not decided" in refused, refused
        system.use(first)
        system.start("worker")
        report = system.audit(first, "there")
        system.stop("worker")
        in_first = commands(first)
        move(system, first, second, report)
        assert system.balance() == 2 * each, (system.balance(), 2 * each)
        system.submit("on-second")
        assert system.balance() == 3 * each
        assert commands(second) == PAYMENTS and commands(first) == in_first
        # A file that was accepted on the first log, again: the same payments, not new ones.
        system.submit("left-behind")
        assert system.balance() == 3 * each
        system.stop("gateway")
        report = system.audit(second, "back")
        system.stop("worker")
        in_second = commands(second)
        move(system, second, first, report)
        system.submit("back-on-first")
        assert system.balance() == 4 * each
        system.stop("gateway")
        system.audit(first, "end")
        assert commands(second) == in_second and commands(first) == in_first + PAYMENTS
        print("moved there and back: %d payments, %d commands in one log and %d in the other, 0 lost" % (
            4 * PAYMENTS, commands(first), commands(second)))
    except BaseException:
        for role in ("worker", "gateway"):
            path = "%s/%s.log" % (system.folder, role)
            if os.path.exists(path):
                print(role, "".join(open(path).readlines()[-8:]))
        raise
    finally:
        system.close()
        first.close()
        second.close()


main()
