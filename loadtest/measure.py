"""What the benchmarks in this folder share: processes and their CPU, and the list of figures with their targets."""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def run(*words, **options):
    """A command that must succeed."""
    return subprocess.run([str(word) for word in words], check=True, text=True, **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stat(pid):
    """The fields of /proc/PID/stat behind the name, which may hold anything but is followed by the last bracket."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def processor_seconds(pids, ended_children=False):
    """User and system time of all threads of these processes, and of their children that have ended if asked for."""
    total = 0
    for pid in pids:
        fields = stat(pid)
        total += sum(int(field) for field in fields[11:15 if ended_children else 13])
    return total / TICKS


def children(pid):
    """A process and its children."""
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [int(child) for child in listed]


def metrics(admin):
    """The metrics of the process with this admin listener, ADDRESS:PORT, by name: each the sum of its series, as of threads."""
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    sums = {}
    for line in lines:
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name = series.partition("{")[0]
            sums[name] = sums.get(name, 0) + float(value)
    return sums


def metric(admin, name):
    """One of them."""
    return metrics(admin)[name]


class Figures:
    """A result: a list of {name, value, unit, target, met, spread}. The value is the median of its samples."""

    def __init__(self):
        self.items = []

    def add(self, name, values, unit, target=None, at_least=False):
        value = statistics.median(values)
        met = None if target is None else (value >= target if at_least else value <= target)
        self.items.append({
            "name": name, "value": round(value, 3), "unit": unit, "target": target, "met": met,
            "spread": [round(min(values), 3), round(max(values), 3)],
        })

    def text(self):
        return json.dumps(self.items, indent=1) + "\n"

    def show_targets(self):
        """What was aimed at and what came of it, and the closing line."""
        for item in self.items:
            if item["target"] is not None:
                spread = f"{item['spread'][0]:.2f} to {item['spread'][1]:.2f}"
                verdict = "met" if item["met"] else "MISSED"
                print(f"{verdict:<8}{item['value']:>10.2f}  target {item['target']:<8g}{spread:<22}{item['name']}")
        targets = [item["met"] for item in self.items if item["target"] is not None]
        print(f"{targets.count(True)} met, {targets.count(False)} missed")
