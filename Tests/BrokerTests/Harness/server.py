"""The broker as a process of a test: started, killed, frozen, and its folder cut as a power loss leaves it."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from powercut import Disk

HERE = os.path.dirname(os.path.abspath(__file__))


def dies_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, sluice, options=(), interposed=False):
        self.sluice = sluice
        self.options = list(options)
        self.folder = tempfile.mkdtemp(prefix="sluice-broker-")
        self.data = os.path.join(self.folder, "data")
        self.record = os.path.join(self.folder, "synced")
        self.full = os.path.join(self.folder, "full")
        self.broken = os.path.join(self.folder, "broken")
        self.log = os.path.join(self.folder, "log")
        self.host = "127.0.0.1"
        self.port = free_port()
        self.environment = dict(os.environ)
        if interposed:
            library = os.path.join(self.folder, "interposer.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "interposer.c"), "-ldl"], check=True)
            self.environment.update(LD_PRELOAD=library, SLUICE_SYNC_RECORD=self.record, SLUICE_FULL=self.full, SLUICE_BROKEN=self.broken)
        self.process = None
        self.disk = None

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def start(self):
        ready = os.path.join(self.folder, "port")
        if os.path.exists(ready):
            os.remove(ready)
        command = [self.sluice, "broker", "--data", self.data, "--listen", "%s:%d" % (self.host, self.port), "--port-file", ready] + self.options
        self.process = subprocess.Popen(
            command, env=self.environment, stderr=open(self.log, "a"), stdout=subprocess.DEVNULL, preexec_fn=dies_with_parent)
        for _ in range(1000):
            if os.path.exists(ready):
                return self
            if self.process.poll() is not None:
                raise Exception("the broker ended with %d: %s" % (self.process.returncode, self.last_log()))
            time.sleep(0.01)
        raise Exception("the broker was not ready within 10 s")

    def last_log(self):
        return "".join(self.whole_log().splitlines(True)[-5:])

    def whole_log(self):
        with open(self.log) as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code and the seconds it took."""
        start = time.time()
        self.process.terminate()
        return self.process.wait(10), time.time() - start

    def freeze(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cut(self, seed):
        """Does to the stopped broker's folder what a power cut may; returns what was done."""
        if self.disk is None:
            self.disk = Disk(self.data, self.record)
        return self.disk.cut(seed)
