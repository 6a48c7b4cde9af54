# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium in a network namespace, driven by its DevTools protocol over two pipes.

    with Browser(node.ns, lab.dir) as b:
        tab = b.tab(); tab.go("http://127.0.0.1:7472/"); tab.value("document.title")
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import time

CHROMIUM = ("chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
            "--no-first-run", "--remote-debugging-pipe")
ANSWER_S = 30


class Browser:
    def __init__(self, namespace, folder):
        to, self.send_fd = os.pipe()
        self.read_fd, out = os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to, out)]  # neither may be 3 or 4, which they become
        log = open(folder / "chromium.log", "ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "bash", "-c", f'exec "$0" "$@" 3<&{theirs[0]} 4>&{theirs[1]}', *CHROMIUM,
             f"--user-data-dir={folder / 'chromium'}"], pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env={**os.environ, "HOME": str(folder)})
        log.close()
        for fd in (to, out, *theirs):
            os.close(fd)
        self.data, self.last, self.answers, self.events = b"", 0, {}, []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.send_fd)
        os.close(self.read_fd)

    def pump(self, seconds):
        """Takes what comes in that time, or the first of it."""
        if not select.select([self.read_fd], [], [], seconds)[0]:
            return
        part = os.read(self.read_fd, 1 << 20)
        assert part, "chromium is gone"
        self.data += part
        *whole, self.data = self.data.split(b"\0")
        for text in whole:
            message = json.loads(text)
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.events.append(message)

    def call(self, method, session=None, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.send_fd, data):]
        end = time.monotonic() + ANSWER_S
        while self.last not in self.answers:
            assert time.monotonic() < end, f"no answer to {method}"
            self.pump(0.2)
        answer = self.answers.pop(self.last)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def tab(self, **kw):
        return Tab(self, **kw)


class Tab:
    def __init__(self, browser, width=1280, height=900, dark=False, scripts=True):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def events(self, method):
        self.browser.pump(0)
        return [e["params"] for e in self.browser.events if e.get("sessionId") == self.session and e["method"] == method]

    def go(self, url):
        loaded = len(self.events("Page.loadEventFired"))
        assert "errorText" not in (r := self.call("Page.navigate", url=url)), r
        end = time.monotonic() + ANSWER_S
        while len(self.events("Page.loadEventFired")) == loaded:
            assert time.monotonic() < end, f"{url} is not loaded"
            self.browser.pump(0.2)
        return self

    def value(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in r, r
        return r["result"].get("value")

    def requests(self):
        return [e["request"]["url"] for e in self.events("Network.requestWillBeSent")]

    def complaints(self):
        """What stands in the console, and what was thrown."""
        return [e["entry"]["text"] for e in self.events("Log.entryAdded")] + [
            e["exceptionDetails"]["text"] for e in self.events("Runtime.exceptionThrown")] + [
            e["type"] for e in self.events("Runtime.consoleAPICalled")]

    def picture(self, path, whole=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))
