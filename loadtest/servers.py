"""Servers that a benchmark starts for itself: a process that is stopped by its id, and a PostgreSQL in a folder of its own."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from measure import children, processor_seconds, run

POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
# What `sluice up` sets where it bears on the cost of a commit; no standby.
SETTINGS = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica", "wal_compression": "lz4",
    "shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min", "random_page_cost": "1.1", "jit": "off",
    "max_connections": "100", "listen_addresses": "", "autovacuum_naptime": "10s",
}


def as_postgres():
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []


class Server:
    """A process of the benchmark's own, stopped by its id whatever happens."""

    def __init__(self, words, log, environment=None, stop=signal.SIGTERM, user=()):
        self.words = [*user, *(str(word) for word in words)]
        self.environment = dict(os.environ, **(environment or {}))
        self.log = open(log, "ab")
        self.stop = stop
        self.begin()

    def begin(self):
        self.process = subprocess.Popen(
            self.words, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=self.environment)

    def wait_for(self, ready, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{what} did not start; see {self.log.name}")
            time.sleep(0.02)
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(self.stop)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class Redis:
    """A Redis of its own in a folder, on a Unix socket there; nothing is saved."""

    def __init__(self, folder):
        self.socket = folder / "redis.sock"
        self.address = f"unix:{self.socket}"
        words = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", folder]
        self.server = Server(words, folder / "redis.log").wait_for(self.socket.exists, "Redis")

    def end(self):
        self.server.end()


class Database:
    """A PostgreSQL of its own in a folder, and psql sessions to it."""

    def __init__(self, folder, settings=None):
        self.folder = folder / "postgres"
        self.socket = folder / "socket"
        self.log = folder / "postgres.log"
        self.folder.mkdir()
        self.socket.mkdir()
        if os.getuid() == 0:
            for path in (self.folder, self.socket):
                shutil.chown(path, "postgres")
        run(*as_postgres(), POSTGRES / "initdb", "-D", self.folder, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C",
            stdout=subprocess.DEVNULL)
        self.start(settings)

    def start(self, settings=None):
        """Starts the server on what is in its folder, and waits until it can be asked."""
        options = [word for name, value in dict(SETTINGS, **(settings or {})).items() for word in ("-c", f"{name}={value}")]
        self.server = Server([POSTGRES / "postgres", "-D", self.folder, "-k", self.socket, *options], self.log, stop=signal.SIGINT,
                             user=as_postgres())
        ready = [POSTGRES / "pg_isready", "-q", "-h", self.socket]
        self.server.wait_for(lambda: subprocess.run(ready).returncode == 0, "PostgreSQL")
        self.postmaster = int((self.folder / "postmaster.pid").read_text().split()[0])

    def drop(self):
        """Ends it at once: nothing of it is needed any more, so it need not write what it has in memory."""
        try:
            os.kill(self.postmaster, signal.SIGQUIT)
        except ProcessLookupError:
            pass
        self.server.end()

    def address(self, name):
        return f"host={self.socket} user=postgres dbname={name}"

    def psql(self, name, text, **options):
        return run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.address(name), input=text, stdout=subprocess.PIPE,
                   **options).stdout.strip()

    def count(self, name, query):
        return int(self.psql(name, query) or 0)

    def processor_seconds(self):
        """All of PostgreSQL: its processes, and those that have ended since it started."""
        total = processor_seconds([self.postmaster], ended_children=True)
        for pid in children(self.postmaster)[1:]:
            try:
                total += processor_seconds([pid])
            except FileNotFoundError:
                pass
        return total


class Watch:
    """A psql session that is asked again and again how far the worker is: one that is kept costs PostgreSQL little."""

    QUERY = b"SELECT sum(next_offset) FROM sluice.kafka_offset;\n"

    def __init__(self, database, name):
        words = ["psql", "-X", "-q", "-A", "-t", "-d", database.address(name)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def applied(self):
        self.process.stdin.write(self.QUERY)
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
