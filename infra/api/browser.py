"""Chromium without a window, and what is looked for on any page of ours."""

import base64
import json
import os
import pathlib
import queue
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

# Every way in which a page is looked at: a name, the window, and what the reader's system prefers.
SIGHTS = (
    ("phone-light", 390, 844, "light"), ("phone-dark", 390, 844, "dark"),
    ("desktop-light", 1280, 900, "light"), ("desktop-dark", 1280, 900, "dark"),
)

# Texts that are hard to read: less contrast to what is behind them than 4.5 (WCAG 2.1, 1.4.3), as [text, contrast].
FAINT = """
JSON.stringify((() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => part / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let seen = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const [text, element] = [texts.currentNode.textContent.trim(), texts.currentNode.parentElement];
    if (!text || !element.getClientRects().length || element.tagName === 'title') continue;
    seen += 1;
    const style = getComputedStyle(element);
    const [a, b] = [light(numbers(element instanceof SVGElement ? style.fill : style.color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push([text.slice(0, 40), Math.round(contrast * 100) / 100]);
  }
  return seen ? faint : [['there is no text', 0]];
})())
"""


class Browser:
    """Chromium, told what to do over its DevTools protocol: a WebSocket (RFC 6455) with JSON in it."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="sluice-browser-")
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={self.folder}",
             "--no-first-run", "--disable-background-networking", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.folder})
        port_file = pathlib.Path(self.folder, "DevToolsActivePort")
        for _ in range(300):
            if port_file.exists() and len(port_file.read_text().split()) == 2:
                break
            time.sleep(0.1)
        else:
            raise SystemExit("the browser does not start")
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as pages:
            path = next(page for page in json.load(pages) if page["type"] == "page")["webSocketDebuggerUrl"].partition(port)[2]
        self.socket = socket.create_connection(("127.0.0.1", int(port)), 30)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.reader = self.socket.makefile("rb")
        while self.reader.readline() not in (b"\r\n", b""):
            pass
        self.number = 0
        self.answers = queue.Queue()
        self.complaints, self.asked = [], set()
        threading.Thread(target=self.listen, daemon=True).start()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def listen(self):
        while True:
            head = self.reader.read(2)
            if len(head) < 2:
                return
            length = head[1] & 127
            if length == 126:
                length = struct.unpack(">H", self.reader.read(2))[0]
            elif length == 127:
                length = struct.unpack(">Q", self.reader.read(8))[0]
            message = json.loads(self.reader.read(length))
            if "id" in message:
                self.answers.put(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"]["text"])
            elif message["method"] == "Runtime.consoleAPICalled" and message["params"]["type"] in ("error", "assert"):
                self.complaints.append(str([said.get("value") for said in message["params"]["args"]]))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"]["text"])
            elif message["method"] == "Network.requestWillBeSent":
                self.asked = self.asked | {message["params"]["request"]["url"]}

    def call(self, method, **parameters):
        self.number += 1
        text = json.dumps({"id": self.number, "method": method, "params": parameters}).encode()
        mask = secrets.token_bytes(4)
        length = struct.pack(">BBH", 0x81, 0x80 | 126, len(text))
        self.socket.sendall(length + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(text)))
        while True:
            answer = self.answers.get(timeout=30)
            if answer["id"] == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def show(self, url, width, height, scheme, seconds):
        """Loads a page in a window of this size, and gives it time."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.complaints, self.asked, self.width = [], set(), width
        self.call("Page.navigate", url=url)
        time.sleep(seconds)

    def picture(self, path):
        """The whole page, below the window's end too."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]))

    def check(self, check, name, scheme):
        """What holds for every page, once it is shown."""
        check(f"{name}: no error and nothing refused by its own policy", not self.complaints, self.complaints)
        # Not window.innerWidth: a phone zooms out where the page is wider, and says that its window is as wide.
        width = self.value("document.documentElement.scrollWidth")
        check(f"{name}: nothing is wider than the window", width <= self.width, width)
        ground = self.value("getComputedStyle(document.body).backgroundColor")
        is_dark = sum(int(part) for part in ground[4:-1].split(",")) < 200
        check(f"{name}: its colours follow the system", is_dark == (scheme == "dark"), ground)
        faint = json.loads(self.value(FAINT))
        check(f"{name}: no text is faint", not faint, faint)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
