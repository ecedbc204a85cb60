"""Faults that need root or another library: a full disk, lost packets, a wrong clock; and namespaces that keep them to the test."""

import errno
import os
import pathlib
import struct
import subprocess
import sys
import threading

from faults import Fault
from measure import run

INSIDE = "SLUICE_FAULTS_INSIDE"
SOURCE = pathlib.Path(__file__).resolve().parent / "limits/wrongclock.c"


def is_inside():
    return INSIDE in os.environ


def enter():
    """Begins anew with a network, mounts and processes of its own: what is done to them ends with the program. A shell is the first
    process, because somebody must reap what the supervisor leaves."""
    begin = 'ip link set lo up && "$@"; exit $?'
    words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", begin, "sh", *sys.argv]
    os.execvpe(words[0], words, {**os.environ, INSIDE: "1"})


class Lossy(Fault):
    """Of the packets to and from a TCP port, a share is lost, or answered by a reset to whoever sent it."""

    def __init__(self, port, hold, drop=0.0, reset=0.0):
        self.port, self.hold = port, hold
        chance = drop or reset
        self.rule = ["-j", "DROP"] if drop else ["-j", "REJECT", "--reject-with", "tcp-reset"]
        if chance < 1:
            self.rule = ["-m", "statistic", "--mode", "random", "--probability", chance, *self.rule]

    def begin(self):
        for side in ("--dport", "--sport"):
            run("iptables", "-A", "INPUT", "-i", "lo", "-p", "tcp", side, self.port, *self.rule)

    def end(self):
        run("iptables", "-F", "INPUT")


class Clock(Fault):
    """The wall clock of a process jumps, and back; the monotonic one goes on, as it does in a kernel."""

    def __init__(self, path, seconds, hold):
        self.path, self.seconds, self.hold = path, seconds, hold

    @staticmethod
    def environment(path):
        """For a process that shall be told a wrong time by a file."""
        library = path.with_name("wrongclock.so")
        run("cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE)
        path.write_bytes(bytes(8))
        return {"LD_PRELOAD": str(library), "WRONG_CLOCK": str(path)}

    def write(self, seconds):
        # In place, because the process has mapped the file.
        with open(self.path, "r+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))

    def begin(self):
        self.write(self.seconds)

    def end(self):
        self.write(0)


class Filled(Fault):
    """Nothing is left of a file system; also what is given back meanwhile is taken."""

    def __init__(self, folder, hold, meanwhile=None):
        self.path, self.hold = folder / "filler", hold
        self.meanwhile = threading.Thread(target=meanwhile) if meanwhile else None
        self.is_over = threading.Event()
        self.keeper = threading.Thread(target=self.keep)

    def fill(self, file):
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def keep(self):
        with open(self.path, "ab", buffering=0) as file:
            while not self.is_over.wait(0.001):
                self.fill(file)

    def begin(self):
        with open(self.path, "wb", buffering=0) as file:
            self.fill(file)
        self.keeper.start()
        if self.meanwhile:
            self.meanwhile.start()

    def end(self):
        if self.meanwhile:
            self.meanwhile.join()
        self.is_over.set()
        self.keeper.join()
        self.path.unlink()


def on_small_disks(folders, mebibytes):
    """Moves folders to file systems that have so much left."""
    for folder in folders:
        used = int(run("du", "-sm", folder, stdout=subprocess.PIPE).stdout.split()[0])
        disk = folder.with_name(folder.name + ".disk")
        disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={used + mebibytes}m", "tmpfs", disk)
        run("cp", "-a", f"{folder}/.", disk)
        for word in ("chown", "chmod"):
            run(word, f"--reference={folder}", disk)
        run("mount", "--bind", disk, folder)


def off_small_disks(folders):
    for folder in folders:
        for mount in (folder, folder.with_name(folder.name + ".disk")):
            subprocess.run(["umount", mount], check=False)
