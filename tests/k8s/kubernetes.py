# SPDX-License-Identifier: Apache-2.0
"""The real thing as a fixture: etcd, kube-apiserver, kube-controller-manager and kube-proxy 1.20.2 in the laboratory.

Kubernetes is to tests what Kubesim is; K8sLab is the laboratory around it. The binaries are what build.sh made.
"""

import base64
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from datetime import datetime, timezone
from pathlib import Path

from apiserver import MERGE, ROOT, ApiServer
from lab import API_ADDR, POOL, Lab, sh, wait_for
from objects import lb

BIN = (ROOT / "build" / "k8s").resolve()
TOKENS = {"admin": "system:masters", "second": "system:masters", "nobody": "", "system:kube-proxy": "",
          "system:kube-controller-manager": ""}
# With both cores busy this server takes half a second for a write: with the laboratory's FAST, whose requests end by then, leaders
# would come and go.
FAST = """elections:
  nodeLease: {duration: 3s, renew: 750ms}
  leaderLease: {duration: 4s, renewDeadline: 3s, retryPeriod: 500ms}
"""
LEASES_LAST = 4  # seconds
SERVICES = "/api/v1/namespaces/default/services"
SERVICE_ACCOUNT = "system:serviceaccount:kube-system:lbd"
SANS = f"IP:{API_ADDR},IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc"
AUDIT = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Request, users: ["%s"], resources: [{resources: [services/status]}]}
- {level: Metadata, users: ["%s"]}
- {level: None}
""" % (SERVICE_ACCOUNT, SERVICE_ACCOUNT)


def wall_clock():
    """Now, as the audit log writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


DIES = ("setpriv", "--pdeathsig", "KILL")  # with this process, however it ends


def socket_in(netns, address, timeout):
    """A TCP connection made in a network namespace: a socket stays in the one in which it was made."""
    result = []

    def make():
        try:
            fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(fd, 0x40000000) != 0:  # CLONE_NEWNET, of this thread alone
                    raise OSError(ctypes.get_errno(), f"setns {netns}")
            finally:
                os.close(fd)
            result.append(socket.create_connection(address, timeout))
        except OSError as e:
            result.append(e)
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


class Connection(http.client.HTTPSConnection):
    def __init__(self, netns, ca, timeout):
        self.netns, self.tls = netns, ssl.create_default_context(cafile=ca)
        super().__init__("127.0.0.1", 6443, timeout=timeout, context=self.tls)

    def connect(self):
        raw = socket_in(self.netns, (self.host, self.port), self.timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.tls.wrap_socket(raw, server_hostname=self.host)


class Kubernetes(ApiServer):
    slices = "v1beta1"

    def __init__(self):
        self.processes = {}  # name -> Popen, in the order of starting
        self.starts = []  # (begun, ready) of kube-apiserver, by wall_clock()

    # -- life --

    def start(self, listen, dir, netns, extra=()):
        """listen is fixed: :6443 on all addresses of the namespace. extra: flags of kube-apiserver, at each of its starts."""
        self.dir, self.netns, self.extra = Path(dir), netns, extra
        self.dir.mkdir(parents=True)
        self._pki()
        (self.dir / "etcd").mkdir()
        # in memory: it waits for the disk at each write; the mount is this process's own and goes with it
        self._run("etcd", "sh", "-c", 'mount -t tmpfs etcd "$1" && exec etcd --data-dir "$1" --log-level warn', "sh",
                  self.dir / "etcd")
        self.start_api()
        self._start_controllers()
        self.install()

    def _start_controllers(self):
        self._run("controller-manager", BIN / "kube-controller-manager", "--port=0", "--leader-elect=false",
                  "--bind-address=127.0.0.1", f"--cert-dir={self.dir}", f"--root-ca-file={self.dir}/ca.crt",
                  f"--kubeconfig={self.kubeconfig('system:kube-controller-manager')}",
                  f"--service-account-private-key-file={self.dir}/sa.key", "--use-service-account-credentials",
                  # nobody sends heartbeats for the nodes; the laboratory routes its pods itself
                  "--controllers=*,-nodelifecycle,-nodeipam,-cloud-node-lifecycle,-route,-service,-ttl,-root-ca-cert-publisher")

    def start_api(self):
        """At first, and again after stop_api(). The controllers begin anew as well: those that lost the server wait up to half a
        minute before they look again."""
        begun = wall_clock()
        self._run("apiserver", BIN / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443",
                  f"--advertise-address={API_ADDR}", "--service-cluster-ip-range=10.96.0.0/16",
                  "--authorization-mode=Node,RBAC", f"--token-auth-file={self.dir}/tokens.csv", f"--cert-dir={self.dir}",
                  f"--client-ca-file={self.dir}/ca.crt", f"--tls-cert-file={self.dir}/server.crt",
                  f"--tls-private-key-file={self.dir}/server.key", "--allow-privileged",
                  f"--service-account-key-file={self.dir}/sa.pub", f"--service-account-signing-key-file={self.dir}/sa.key",
                  "--service-account-issuer=https://kubernetes.default.svc",
                  f"--audit-policy-file={self.dir}/audit.yaml", f"--audit-log-path={self.dir}/audit.log", *self.extra)
        wait_for("the API server ready", self._ready, 90, 0.1)
        self.starts.append((begun, wall_clock()))
        if "controller-manager" in self.processes:
            self._end("controller-manager")
            self._start_controllers()

    def _ready(self):
        code = self.processes["apiserver"].poll()
        assert code is None, f"kube-apiserver ended: {code}\n" + (self.dir / "apiserver.log").read_text()[-2000:]
        try:
            return self.raw("GET", "/readyz", timeout=5)[0] == 200
        except OSError:
            return False

    def _run(self, name, *argv):
        with open(self.dir / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(self.inside([*DIES, *argv]), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    start_new_session=True)

    def _end(self, name):
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()  # the API server takes more than 8 s to end by itself while watches are open
            process.wait()

    def stop_api(self):
        self._end("apiserver")

    def forget_history(self):
        """Every version but the newest is too old from now on: compacted in etcd, and not in the cache of a new process."""
        newest = self.get("/api/v1/namespaces?limit=1")["metadata"]["resourceVersion"]
        sh(*self.inside(["curl", "-sf", "http://127.0.0.1:2379/v3/kv/compaction", "-d", json.dumps({"revision": newest})]))
        self.stop_api()
        self.start_api()

    def kill(self):
        for name in reversed(list(self.processes)):
            self._end(name)

    @property
    def pid(self):
        return self.processes["apiserver"].pid

    # -- who may --

    def _pki(self):
        def openssl(*argv):
            sh("openssl", *argv, cwd=self.dir)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-days", 30, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=lab-ca")
        openssl("genrsa", "-out", "sa.key", 2048)
        openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        for name, subject, extension in (("server", "/CN=kube-apiserver", f"subjectAltName={SANS}"),
                                         ("lbd", f"/CN={SERVICE_ACCOUNT}", "extendedKeyUsage=clientAuth")):
            (self.dir / "ext").write_text(extension + "\n")
            openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", 30,
                    "-out", f"{name}.crt", "-extfile", "ext")
        (self.dir / "audit.yaml").write_text(AUDIT)
        (self.dir / "audit.log").touch()
        (self.dir / "tokens.csv").write_text("".join(f'{self.token(u)},{u},{u},"{g}"\n' for u, g in TOKENS.items()))
        for user in TOKENS:
            self._write_kubeconfig(user, {"token": self.token(user)})
        self._write_kubeconfig("lbd-certificate", {"client-certificate": f"{self.dir}/lbd.crt",
                                                   "client-key": f"{self.dir}/lbd.key"})

    def _write_kubeconfig(self, name, user):
        cluster = {"server": f"https://{API_ADDR}:6443", "certificate-authority": f"{self.dir}/ca.crt"}
        self.kubeconfig(name).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": cluster}], "users": [{"name": "lab", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}]}))

    def install(self):
        """What README.md tells a user to do: the rights, and lbd.kubeconfig made of the ServiceAccount's token."""
        self.kubectl("apply", "-f", ROOT / "packaging/rbac.yaml")
        wait_for("the token of the ServiceAccount", lambda: self._secret().get("token"), 30)
        wait_for("the ServiceAccount of Pods", lambda: self.api(
            "GET", "/api/v1/namespaces/default/serviceaccounts/default")[1].get("secrets"), 30)
        made = self.kubectl("-n", "kube-system", "get", "secret", "lbd",
                            f"-o=go-template-file={ROOT}/packaging/kubeconfig.tmpl").stdout
        self.kubeconfig("lbd").write_text(made.replace("https://127.0.0.1:6443", f"https://{API_ADDR}:6443"))

    def _secret(self):
        return self.api("GET", "/api/v1/namespaces/kube-system/secrets/lbd")[1].get("data") or {}

    def kubeconfig(self, user="admin"):
        return self.dir / f"{user}.kubeconfig"

    def token(self, user="lbd"):
        return base64.b64decode(self._secret()["token"]).decode() if user == "lbd" else f"token-of-{user}"

    # -- clients --

    def connection(self, token, timeout):
        return Connection(self.netns, self.dir / "ca.crt", timeout)

    def raw(self, method, path, body=None, type=None, token=None, headers=None, timeout=30):
        return super().raw(method, path, body, type, token or self.token("admin"), headers, timeout)

    def requests(self, resource=None, name=None, since=0):
        """lbd's finished requests so far, by the audit log: dicts {verb, resource ("services/status"), namespace, name, code,
        address, early (it came before the server had said that it is ready), body (of services/status)}."""
        out = []
        for line in (self.dir / "audit.log").read_text().splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # being written
            e = json.loads(line)
            o, came = e.get("objectRef") or {}, e["requestReceivedTimestamp"]
            what = "/".join(p for p in (o.get("resource"), o.get("subresource")) if p)
            out.append({"verb": e["verb"], "resource": what, "namespace": o.get("namespace"), "name": o.get("name"),
                        "code": e["responseStatus"]["code"], "address": e["sourceIPs"][0], "body": e.get("requestObject"),
                        "early": any(begun <= came <= ready for begun, ready in self.starts)})
        return [r for r in out[since:] if resource in (None, r["resource"]) and name in (None, r["name"])]

    def writes(self, resource=None, name=None, since=0):
        """Those of them that write, but for the first so many requests of all."""
        return [r for r in self.requests(resource, name, since) if r["verb"] not in ("get", "list", "watch")]

    def refused(self, since=0):
        """Those after the first so many that were found to be forbidden or malformed. A server that is not ready forbids what it
        has not yet read the roles for (/readyz: informer-sync): that is not said of lbd's rights."""
        return [r for r in self.requests(since=since) if r["code"] in (400, 401, 403, 405, 415, 422)
                and not (r["code"] == 403 and r["early"])]

    # -- rights --

    def set_rules(self, role, rules):
        """Gives role (a Role or ClusterRole as packaging/rbac.yaml has it) these rules."""
        namespace = role["metadata"].get("namespace")
        path = "/apis/rbac.authorization.k8s.io/v1/" + (f"namespaces/{namespace}/roles/" if namespace else "clusterroles/")
        code, answer = self.api("PATCH", path + role["metadata"]["name"], {"rules": rules}, MERGE)
        assert code == 200, answer

    def may(self, verb, group, resource, namespace=None, name=None):
        """May lbd's ServiceAccount do that?"""
        resource, _, sub = resource.partition("/")
        code, answer = self.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {
            "user": SERVICE_ACCOUNT, "groups": ["system:authenticated"], "resourceAttributes": {
                "verb": verb, "group": group, "resource": resource, "subresource": sub, "namespace": namespace or "", "name": name or ""}}})
        assert code == 201, answer
        return answer["status"]["allowed"]


class K8sLab(Lab):
    Server = Kubernetes

    def __init__(self, *, proxy_args=(), config=None, **kw):
        self.proxy_args = proxy_args
        super().__init__(config=config or f"pools:\n- name: lan\n  addresses: [{POOL}]\n{FAST}", **kw)

    def _start_proxy(self):
        for node in self.nodes:
            config = self.server.kubeconfig("system:kube-proxy")
            self._background(*node.argv(
                *DIES, BIN / "kube-proxy", f"--kubeconfig={config}", f"--hostname-override={node.name}", "--proxy-mode=iptables",
                "--cluster-cidr=10.244.0.0/16", "--conntrack-max-per-core=0", "--conntrack-min=0",
                "--iptables-min-sync-period=0s", "--healthz-bind-address=127.0.0.1:10256",
                "--metrics-bind-address=127.0.0.1:10249", *self.proxy_args))

    def run_pods(self, name, on=None, ready=True):
        """Pods for the selector app=name, one on each node, as a kubelet would report them."""
        path = "/api/v1/namespaces/default/pods"
        for pod in self.pods if on is None else on:
            unique = f"{name}-{pod['name']}"
            code, answer = self.server.api("POST", path, {
                "metadata": {"name": unique, "labels": {"app": name}},
                "spec": {"nodeName": pod["node"], "containers": [{"name": "c", "image": "none"}],
                         "automountServiceAccountToken": False}})
            assert code in (201, 409), answer
            self.patch(f"{path}/{unique}/status", {"status": {
                "phase": "Running", "podIP": pod["ip"], "podIPs": [{"ip": pod["ip"]}],
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}})

    def expose(self, name, **spec):
        """Creates a Service for those Pods as a user does; returns its address."""
        if spec:
            self.must("POST", SERVICES, lb(name, selector={"app": name}, **spec))
        else:
            self.kubectl("create", "service", "loadbalancer", name, "--tcp=80:8080")
        return self.wait_ip(name)

    def written_once(self, name):
        """Was the Service's address written once, and otherwise met by 409 alone? What lbd stopped waiting for, by its own word, has
        a 500 or 504 in the audit log, whether or not it was done before that."""
        given_up = sum(line.count(f"kube name=default/{name} status=0 ") for n in self.nodes if n.log.exists()
                       for line in n.log.read_text().splitlines())
        codes = [w["code"] for w in self.server.writes("services/status", name)
                 if w["code"] != 409 and "loadBalancer" in w["body"]["status"]]
        late = [code for code in codes if code in (500, 504)]
        done = [code for code in codes if code not in late]
        return len(late) <= given_up and (done == [200] or (late and done == []))

    def forget(self):
        """No lbd runs, and none ever has: no Lease, no Event and no file of one is left."""
        for node in self.nodes:
            node.kill(signal.SIGTERM)
            for folder in (node.runtime_dir, node.state_dir):
                shutil.rmtree(folder, ignore_errors=True)
        self.kubectl("-n", "kube-system", "delete", "leases", "-l", "lbd.io/lease")
        self.kubectl("delete", "events", "--all")

    def clear(self):
        """No Service and no Pod is left, and no address is announced."""
        self.kubectl("delete", "svc", "-l", "!component")
        self.kubectl("delete", "pods", "--all", "--grace-period=0", "--force")
        wait_for("no address announced", lambda: not any(n.alive() and any(
            e["announced"] for v in (n.dump() or {}).get("vips", []) for e in v["here"]) for n in self.nodes), 20)
