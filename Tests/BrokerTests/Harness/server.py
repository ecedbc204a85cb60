"""The broker as a process of a test: started, killed, frozen, and its folder cut as a power loss leaves it."""
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

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
        self.log = os.path.join(self.folder, "log")
        self.port = free_port()
        self.environment = dict(os.environ)
        if interposed:
            library = os.path.join(self.folder, "interposer.so")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "interposer.c"), "-ldl"], check=True)
            self.environment.update(LD_PRELOAD=library, SLUICE_SYNC_RECORD=self.record, SLUICE_FULL=self.full)
        self.process = None

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def start(self):
        ready = os.path.join(self.folder, "port")
        if os.path.exists(ready):
            os.remove(ready)
        command = [self.sluice, "broker", "--data", self.data, "--listen", self.address, "--port-file", ready] + self.options
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
        with open(self.log) as log:
            return "".join(log.readlines()[-5:])

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
        """Does to the folder what a power loss may: everything that no completed sync covers is cut, scribbled on, or gone."""
        chance = random.Random(seed)
        synced, names = self.read_record()
        done = []
        for folder, _, files in os.walk(self.data, topdown=False):
            for file in sorted(files):
                path = os.path.join(folder, file)
                if file == "lock":
                    continue
                if path not in names and chance.random() < 0.5:
                    os.remove(path)
                    done.append("gone " + path)
                    continue
                if file == "durable":
                    if path not in synced and chance.random() < 0.5:
                        self.write(path, 0, bytes(64))
                    continue
                size, kept = os.path.getsize(path), synced.get(path, 0)
                if size <= kept:
                    continue
                done.append("%s %d..%d %s" % (self.damage(chance, path, kept, size), kept, size, path))
            if folder != self.data and folder not in names and not os.listdir(folder):
                os.rmdir(folder)
        return done

    @staticmethod
    def write(path, at, content):
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(content)

    def damage(self, chance, path, kept, size):
        kind = chance.choice(["cut", "cut", "noise", "zeros", "hole", "kept"])
        if kind == "cut":
            os.truncate(path, chance.randint(kept, size))
        elif kind in ("noise", "zeros"):
            start = chance.randint(kept, size - 1)
            count = chance.randint(1, size - start)
            self.write(path, start, chance.randbytes(count) if kind == "noise" else bytes(count))
        elif kind == "hole":
            # The size reached the disk, the first pages did not: what follows is whole.
            self.write(path, kept, bytes(min(size - kept, 4096)))
        return kind

    def read_record(self):
        synced, names = {}, set()
        with open(self.record) as record:
            for line in record:
                word = line.rstrip("\n").split("\t")
                if word[0] == "sync":
                    synced[word[1]] = max(int(word[2]), synced.get(word[1], 0))
                elif word[0] == "name":
                    names.add(word[1])
                elif word[0] == "rename" and word[1] in synced:
                    synced[word[2]] = synced.pop(word[1])
        return synced, names

