"""A system whose gateways and worker are the test's own: each can be given a clock, and reaches every server over TCP, so that the network
between them can be broken."""

import json
import os
import re
import subprocess
import threading
import time
import urllib.request

from faults import Parts
from measure import free_port, run
from namespaces import Clock
from servers import Server


class Member(Server):
    """Started again a second after it has ended, until it is stopped."""

    PAUSE = 1.0

    def __init__(self, name, words, environment, log, admin):
        self.name, self.admin, self.is_stopping = name, admin, False
        super().__init__(words, log, environment)
        threading.Thread(target=self.keep, daemon=True).start()

    def keep(self):
        while True:
            self.process.wait()
            time.sleep(self.PAUSE)
            if self.is_stopping:
                return
            self.begin()

    @property
    def is_ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.admin}/readyz", timeout=1).status == 200
        except OSError:
            return False

    def end(self):
        self.is_stopping = True
        super().end()


class Applications(Parts):
    up = ["--only", "postgres,redis,broker,nginx", "--threads", "1"]

    def prepare(self):
        self.members = []
        self.read_settings()
        addresses = {part["name"]: part["address"] for part in self.listed()}
        number = lambda name: int(addresses[name].rpartition(":")[2])  # noqa: E731
        self.ports = {
            "nginx": number("nginx"), "broker": number("broker"), "primary": number("postgres-primary"),
            "replica": number("postgres-replica"), "redis": free_port()}
        # `sluice up` gives it a socket alone.
        run("redis-cli", "-s", self.redis, "CONFIG", "SET", "port", self.ports["redis"], stdout=subprocess.DEVNULL)
        over_tcp = lambda text: re.sub(r"host=\S+", "host=127.0.0.1", text)  # noqa: E731
        servers = {
            "SLUICE_KAFKA": self.settings["SLUICE_KAFKA"], "SLUICE_REDIS": f"127.0.0.1:{self.ports['redis']}",
            "SLUICE_DATABASE": over_tcp(self.settings["SLUICE_DATABASE"]), "SLUICE_REPLICAS": over_tcp(self.settings["SLUICE_REPLICAS"])}
        own = {**os.environ, **servers}
        run(self.sluice, "migrate", env=own, stdout=subprocess.DEVNULL)
        run(self.sluice, "keys", "bootstrap", "--tenant", "demo", "--out", self.key_file, env=own, stdout=subprocess.DEVNULL)
        sockets = json.loads((self.data / "state.json").read_text())["runFolder"] + "/edge/"
        of_gateways = {**own, "SLUICE_DATABASE": servers["SLUICE_DATABASE"].replace("user=sluice", "user=sluice_gateway")}
        for name in ("gateway-a", "gateway-b"):
            self.begin(name, "gateway", {
                **of_gateways, "SLUICE_LISTEN": f"127.0.0.1:{free_port()}", "SLUICE_LISTEN_UNIX": sockets + name, "SLUICE_THREADS": "1"})
        self.begin("worker-1", "worker", own)
        self.until_healthy()
        self.make_accounts()

    def begin(self, name, command, environment):
        admin = f"127.0.0.1:{free_port()}"
        environment = {**environment, "SLUICE_NAME": name, "SLUICE_ADMIN": admin, **Clock.environment(self.clock(name))}
        self.members.append(Member(name, [self.sluice, command], environment, self.folder / f"faults-{name}.log", admin))

    def clock(self, name):
        """The file that tells a member how wrong its time is."""
        return self.folder / f"{name}.clock"

    def unhealthy(self):
        return super().unhealthy() + [f"{member.name} is not ready" for member in self.members if not member.is_ready]

    def __exit__(self, *everything):
        for member in self.members:
            member.end()
        super().__exit__(*everything)
