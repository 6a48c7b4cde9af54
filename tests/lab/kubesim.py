# SPDX-License-Identifier: Apache-2.0
"""kubesim as a fixture: start it, speak to it, make it misbehave, stop it.

    with Kubesim().start() as k:
        print(k.kubectl("get", "svc", "-A").stdout)
        k.fault("429", match={"user": "lbd"}, count=3, retryAfterS=1)
        code, svc = k.api("GET", "/api/v1/namespaces/demo/services/web")

api(), fault(), stats(), log(), bulk() and endpoints() go by the control socket, which no fault
reaches and which works from any network namespace.
"""
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

from apiserver import ROOT, ApiServer


def binary():
    return os.environ.get("LBD_KUBESIM") or str(ROOT / "build" / "kubesim")


def admin_context(directory):
    """(url, ssl context with the admin's client certificate) of the kubesim that runs in directory."""
    directory = Path(directory)
    context = ssl.create_default_context(cafile=directory / "ca.crt")
    context.load_cert_chain(directory / "admin.crt", directory / "admin.key")
    return (directory / "ready").read_text().strip(), context


class ControlConnection(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, path, timeout):
        super().__init__("kubesim", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)
        self.sock.settimeout(self.timeout)


class Kubesim(ApiServer):
    def __init__(self):
        self.process = None
        self.dir = None
        self.own_dir = None
        self.netns = None
        self.url = None
        self.urls = []

    # -- life --

    def start(self, listen=("127.0.0.1:0",), dir=None, netns=None, extra=(), timeout=15,
              tokens=(("second-token", "second"),)):
        """listen: one address or several; dir: kept by the caller, else a temporary one.

        The user lbd has a token always (token(), kubeconfig("lbd")); tokens are further ones.
        Called again after stop() or kill() it comes back with the same CA and tokens; give the
        port of the first run, and --state FILE in extra to keep the objects.
        """
        assert self.process is None
        if isinstance(listen, str):
            listen = (listen,)
        if dir is not None:
            self.dir = Path(dir)
        elif self.dir is None:
            self.own_dir = Path(tempfile.mkdtemp(prefix="kubesim-"))
            self.dir = self.own_dir
        self.dir.mkdir(parents=True, exist_ok=True)
        if len(str(self.dir)) > 80 and self.own_dir is None:  # a unix socket's path is short
            self.own_dir = Path(tempfile.mkdtemp(prefix="kubesim-"))
        self.control = str((self.own_dir or self.dir) / "control")
        self.netns = netns
        ready = self.dir / "ready"
        ready.unlink(missing_ok=True)
        command = [binary(), "--dir", str(self.dir), "--control", self.control]
        for address in listen:
            command += ["--listen", address]
        for token, user in tokens:
            command += ["--token", f"{token}={user}"]
        self.log_file = open(self.dir / "kubesim.log", "ab")
        self.out_file = open(self.dir / "kubesim.out", "w+b")
        self.process = subprocess.Popen(self.inside(command + list(extra)),
                                        stdin=subprocess.DEVNULL, stdout=self.out_file,
                                        stderr=self.log_file)
        deadline = time.monotonic() + timeout
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                code = self.kill()
                text = (self.dir / "kubesim.log").read_text(errors="replace")
                raise RuntimeError(f"kubesim did not start ({code}): {text[-2000:]}")
            time.sleep(0.01)
        lines = (self.dir / "kubesim.out").read_text().splitlines()
        self.urls = [line.split()[1] for line in lines if line.startswith("URL ")]
        self.url = self.urls[0]
        return self

    @property
    def pid(self):
        """kubesim's own: ip netns exec becomes the command."""
        return self.process.pid

    def _end(self, sig, timeout):
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(sig)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self.log_file.close()
        self.out_file.close()
        return code

    def stop(self, timeout=10):
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self):
        return self._end(signal.SIGKILL, 10)

    def close(self):
        self.stop()
        if self.own_dir:
            shutil.rmtree(self.own_dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # -- files --

    def kubeconfig(self, user="admin"):
        return self.dir / f"{user}.kubeconfig"

    def token(self, user="lbd"):
        return (self.dir / f"{user}.token").read_text()

    # -- clients --

    def connection(self, token, timeout):
        if token is None:
            return ControlConnection(self.control, timeout)
        u = urllib.parse.urlparse(self.url)
        tls = ssl.create_default_context(cafile=self.dir / "ca.crt")
        return http.client.HTTPSConnection(u.hostname, u.port, timeout=timeout, context=tls)

    # -- the laboratory's side --

    def _admin(self, method, path, body=None):
        code, obj = self.api(method, "/kubesim" + path, body)
        assert code == 200, f"{method} {path}: {code} {obj}"
        return obj

    def fault(self, kind, **spec):
        """See README.md for the kinds; the fault's id."""
        return self._admin("POST", "/fault", dict(spec, kind=kind)).get("id")

    def clear(self, id=None):
        self._admin("DELETE", f"/fault/{id}" if id else "/fault")

    def forget_history(self):
        """Every version but the newest is too old from now on."""
        self.fault("compact")

    def faults(self):
        return {f["id"]: f for f in self._admin("GET", "/fault")["faults"]}

    def stats(self):
        """{"users": {user: {"requests", "reads", "writes", "bytes", "watchOpens", "counts": [..]}}}"""
        return self._admin("GET", "/stats")

    def count(self, user, verb=None, resource=None):
        """Requests of a user so far."""
        rows = self.stats()["users"].get(user, {}).get("counts", [])
        return sum(r["n"] for r in rows if verb in (None, r["verb"]) and
                   resource in (None, r["resource"]))

    def reset_stats(self):
        self._admin("POST", "/stats/reset")

    def log(self, since=0):
        """All writes with seq > since; each a dict."""
        entries = []
        while True:
            page = self._admin("GET", f"/log?since={since}")
            if not page["entries"]:
                return entries
            entries += page["entries"]
            since = page["last"]

    def bulk(self, services, prefix="svc-", namespace="default", **spec):
        return self._admin("POST", "/bulk", dict(spec, services=services, prefix=prefix,
                                                 namespace=namespace))

    def bulk_delete(self, prefix="svc-", namespace="default"):
        return self._admin("DELETE", "/bulk", {"prefix": prefix, "namespace": namespace})

    def endpoints(self, service, addresses, namespace="default", port=8080, **spec):
        """Endpoints and EndpointSlice; addresses: {"ip":, "node":, "ready": True}."""
        return self._admin("POST", "/endpoints", dict(spec, service=service, port=port,
                                                      namespace=namespace, addresses=addresses))

    def set_token(self, token, user):
        self._admin("POST", "/token", {"token": token, "user": user})

    def drop_tokens(self, user):
        self._admin("DELETE", "/token", {"user": user})

    def new_ca(self):
        self._admin("POST", "/ca")

    def clock(self, skew_s):
        """Its Date header is so much ahead of this machine's clock."""
        self._admin("POST", "/clock", {"skewS": skew_s})

    def save(self, path):
        self._admin("POST", "/save", {"path": str(path)})

    def info(self):
        return self._admin("GET", "/info")
