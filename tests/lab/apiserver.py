# SPDX-License-Identifier: Apache-2.0
"""What tests do with an API server, whichever it is: kubesim (kubesim.py) or the real one (tests/k8s/kubernetes.py).

A server gives: dir (with ca.crt), netns, kubeconfig(user), token(user), connection(token, timeout).
"""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiServer:
    slices = "v1"  # the version of discovery.k8s.io that has EndpointSlices
    dir = netns = process = None

    def inside(self, command):
        return ["ip", "netns", "exec", self.netns, *map(str, command)] if self.netns else [str(a) for a in command]

    def connection(self, token, timeout):
        """An http.client connection; token None: the administrator's way in, else over TLS."""
        raise NotImplementedError

    def kubectl(self, *args, input=None, check=True, kubectl=None, timeout=30, user="admin"):
        """Real kubectl, in the server's namespace; a CompletedProcess with text."""
        env = dict(os.environ, KUBECONFIG=str(self.kubeconfig(user)), HOME=str(self.dir))
        r = subprocess.run(self.inside([kubectl or "kubectl", *args]), input=input, env=env, capture_output=True, text=True,
                           timeout=timeout)
        if check and r.returncode:
            raise AssertionError(f"kubectl {args}: {r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def apply(self, obj, *args):
        return self.kubectl("apply", "-f", "-", *args, input=json.dumps(obj))

    def raw(self, method, path, body=None, type=None, token=None, headers=None, timeout=30):
        """(status, headers, bytes). token None: as the administrator."""
        c = self.connection(token, timeout)
        h = dict(headers or {})
        if token:
            h["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            h["Content-Type"] = type or "application/json"
        try:
            c.request(method, path, body=body, headers=h)
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def api(self, method, path, body=None, type=None, token=None, headers=None, timeout=30):
        """(status, decoded JSON)."""
        code, _, text = self.raw(method, path, body, type, token, headers, timeout)
        try:
            return code, json.loads(text)
        except ValueError:
            return code, text.decode(errors="replace")

    def get(self, path):
        code, obj = self.api("GET", path)
        assert code == 200, obj
        return obj

    def watch(self, path, seconds, token=None, timeout=None):
        """All events of a watch that the server ends after so many seconds."""
        sep = "&" if "?" in path else "?"
        code, _, text = self.raw("GET", f"{path}{sep}watch=1&timeoutSeconds={seconds}",
                                 token=token, timeout=timeout or seconds + 10)
        assert code == 200, text
        return [json.loads(line) for line in text.splitlines() if line]


class Watch:
    """A watch over TLS, in a thread; events are collected as they come."""

    def __init__(self, server, path, user="lbd", **query):
        self.events, self.lines, self.error, self.opened = [], [], None, threading.Event()
        q = "&".join(f"{a}={quote(str(b))}" for a, b in query.items())
        self.path, self.token = f"{path}?watch=1&{q}", server.token(user)
        self.conn = server.connection(self.token, 30)
        self.conn.connect()
        self.sock = self.conn.sock
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.conn.request("GET", self.path, headers={"Authorization": f"Bearer {self.token}"})
            r = self.conn.getresponse()
            self.status = r.status
            self.opened.set()
            for line in r:
                self.lines.append(line)
                self.events.append(json.loads(line))
        except (OSError, ValueError, http.client.HTTPException, AttributeError) as e:
            self.error = e
        self.opened.set()

    def types(self):
        return [(e["type"], e["object"]["metadata"].get("name")) for e in self.events if e["type"] != "BOOKMARK"]

    def wait(self, n, timeout=10):
        end = time.monotonic() + timeout
        while len(self.types()) < n:
            assert time.monotonic() < end, f"{n} events (have {self.types()}): not within {timeout} s"
            time.sleep(0.01)
        return self

    def ended(self, timeout=10):
        self.thread.join(timeout)
        return not self.thread.is_alive()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
