# SPDX-License-Identifier: Apache-2.0
"""The laboratory: nodes, a client and an API host as network namespaces on one bridge.

    sw      br0, no addresses; bridge port names p-<host>
     |- api     10.89.0.10       kubesim :6443, and the stand-in for kube-proxy (proxy.py); in tests/k8s the real ones
     |- n1..nN  10.89.0.11 ...   MAC 02:00:0a:59:00:0b ..., one lbd each; cali0 -> pod1..podN 10.244.i.2
     |- c       10.89.0.50       MAC 02:00:0a:59:00:32, the client on the same LAN

Every namespace's name begins with a tag of this process, so laboratories side by side do not meet, and the same
addresses can be used in each.  Everything is removed on any exit: what a killed process leaves is removed by another
(guard()), or, were that killed as well, by the next one (sweep()).
"""

import concurrent.futures
import contextlib
import ctypes
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import shake  # noqa: E402
from apiserver import MERGE  # noqa: E402
from kubesim import Kubesim  # noqa: E402

API_ADDR = "10.89.0.10"
CLIENT_ADDR = "10.89.0.50"
POOL = "10.89.0.100-10.89.0.119"

# Fast Leases: failover by Lease alone in about three seconds. Shipped defaults are 40 s and 15 s.
FAST = """elections:
  nodeLease: {duration: 3s, renew: 750ms}
  leaderLease: {duration: 2s, renewDeadline: 1300ms, retryPeriod: 400ms}
"""


class Timeout(AssertionError):
    pass


def wait_for(what, check, timeout=10.0, interval=0.02):
    """Polls check() until it is truthy and returns that; raises with the last value after the deadline.

    An entry that check() looks at may not be there yet: no reason to end before the deadline.  What it asserts must hold each time."""
    end = time.monotonic() + timeout
    while True:
        value, missing = None, None
        try:
            value = check()
        except (LookupError, StopIteration, TypeError) as e:
            missing = e
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"{what}: not within {timeout} s (last: {missing or value!r})") from missing
        time.sleep(interval)


def sh(*argv, check=True, **kw):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kw)
    if check and r.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {r.returncode}\n{r.stdout}{r.stderr}")
    return r


def binary():
    return Path(os.environ.get("LBD", ROOT / "lbd")).resolve()


def sweep(gone=None):
    """Removes namespaces and folders of laboratories whose process is gone (killed hard; gone: which one is, though it may not have
    been waited for yet), and what still runs in them."""
    def is_left(name):
        m = re.match(r"lbd(?:-lab-)?(\d+)-\S+", name)
        return m and (m.group(1) == gone or not Path(f"/proc/{m.group(1)}").exists())

    for ns in [line.split()[0] for line in sh("ip", "netns", "list").stdout.splitlines()]:
        if is_left(ns):
            for pid in sh("ip", "netns", "pids", ns, check=False).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            sh("ip", "netns", "del", ns, check=False)
    for folder in Path(tempfile.gettempdir()).iterdir():
        if is_left(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def guard():
    """A process that waits for this one's end, however that comes, and sweeps."""
    return subprocess.Popen([sys.executable, __file__, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


class Inside:
    """A thread that lives in a network namespace: sockets made by it stay there."""

    def __init__(self, namespace):
        self.pool = concurrent.futures.ThreadPoolExecutor(1, initializer=self._enter, initargs=(namespace,))

    @staticmethod
    def _enter(namespace):
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{namespace}") as f:
            if libc.setns(f.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def start(self, fn, *args):
        return self.pool.submit(fn, *args)

    def run(self, fn, *args):
        return self.start(fn, *args).result()

    def close(self):
        self.pool.shutdown()


class Host:
    def __init__(self, lab, name, addr):
        self.lab, self.name, self.addr = lab, name, addr
        self.ns = f"{lab.tag}-{name}"
        last = int(addr.split(".")[3])
        self.mac = f"02:00:0a:59:00:{last:02x}"
        self.addr6 = f"fd00:89::{last:x}"

    def argv(self, *argv):
        return ["ip", "netns", "exec", self.ns, *map(str, argv)]

    def run(self, *argv, check=True, **kw):
        return sh(*self.argv(*argv), check=check, **kw)

    def popen(self, *argv, log=None, **kw):
        out = open(log, "ab") if log else subprocess.DEVNULL
        try:
            return subprocess.Popen(self.argv(*argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    start_new_session=True, **kw)
        finally:
            if log:
                out.close()

    def neighbour(self, ip):
        """The MAC that this host's kernel has for ip, or None."""
        m = re.search(r"lladdr (\S+)", self.run("ip", "neigh", "show", "to", ip).stdout)
        return m.group(1) if m else None

    def forget(self, ip):
        self.run("ip", "neigh", "flush", "to", ip, check=False)

    def curl(self, ip, port=80, timeout=1.0):
        """The body, or None."""
        r = self.run("curl", "-s", "--max-time", timeout, f"http://{ip}:{port}/", check=False)
        return r.stdout if r.returncode == 0 else None

    def arping(self, ip, count=1, timeout=1):
        """The MACs that answered an ARP request for ip."""
        r = self.run("arping", "-I", "eth0", "-c", count, "-w", timeout, ip, check=False)
        return [m.lower() for m in re.findall(r"\[([0-9A-Fa-f:]{17})\]", r.stdout)]

    def link(self, up):
        """Plugs or pulls the cable: the host sees the carrier go."""
        self.lab.switch("ip", "link", "set", f"p-{self.name}", "up" if up else "down")

    def cut(self, on=True):
        """A silent partition: the carrier stays, frames vanish."""
        if on:
            self.lab.switch("ip", "link", "set", f"p-{self.name}", "nomaster")
        else:
            self.lab.switch("ip", "link", "set", f"p-{self.name}", "master", "br0")


class Node(Host):
    def __init__(self, lab, name, addr):
        super().__init__(lab, name, addr)
        self.process = None
        self.control = lab.dir / f"{name}.sock"
        self.log = lab.dir / f"{name}.log"
        self.runtime_dir = lab.dir / f"{name}.run"  # as systemd's RuntimeDirectory=
        self.state_dir = lab.dir / f"{name}.state"  # and StateDirectory=

    def start(self, config=None, *, extra=(), kubeconfig=None, binary_path=None, prefix=(), ready=True):
        conf = config if config is not None else self.lab.config
        self.config_path = self.lab.dir / f"{self.name}.conf" / "lbd.yaml"  # alone in a folder: lbd watches it
        self.config_path.parent.mkdir(exist_ok=True)
        for folder in (self.runtime_dir, self.state_dir):
            folder.mkdir(exist_ok=True)
        self.config_path.write_text(conf)
        self.process = self.popen(*prefix, binary_path or binary(), "run", "-c", self.config_path, "--kubeconfig",
                                  kubeconfig or self.lab.server.kubeconfig("lbd"), "--node-name", self.name,
                                  "--control", self.control, *extra, log=self.log,
                                  env={**os.environ, "RUNTIME_DIRECTORY": str(self.runtime_dir),
                                       "STATE_DIRECTORY": str(self.state_dir)})
        if ready:
            self.wait_synced()
        return self

    def wait_synced(self, timeout=10):
        synced = wait_for(f"{self.name} in step with the API", lambda: (self.dump() or {}).get("api", {}).get("synced"), timeout)
        shake.stop_all([self])
        return synced

    def dump(self):
        """lbd dump, or None while no daemon answers."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(5)
        try:
            s.connect(str(self.control))
            s.sendall(b'{"command":"dump"}\n')
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(1 << 16)
                if not part:
                    break
                data += part
            return json.loads(data)
        except (OSError, ValueError):
            return None
        finally:
            s.close()

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self, sig=signal.SIGKILL, wait=True):
        if self.alive():
            os.kill(self.process.pid, sig)
            if wait:
                self.process.wait(timeout=15)

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.kill(signal.SIGTERM)
        return self.process.returncode

    def announces(self, ip):
        """Does this node's lbd announce ip, by its own word?"""
        for v in (self.dump() or {}).get("vips", []):
            if v["ip"] == ip and any(e["announced"] for e in v["here"]):
                return True
        return False


class Lab:
    Server = Kubesim  # of class ApiServer; tests/k8s has another

    def __init__(self, nodes=3, pods=True, proxy=True, config=None, kubesim_args=(), directory=None):
        sweep()
        guard()
        self.tag = f"lbd{os.getpid()}-{Lab._next()}"
        self.dir = Path(directory or tempfile.mkdtemp(prefix=f"lbd-lab-{os.getpid()}-"))
        self.stack = contextlib.ExitStack()
        self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.config = config or f"pools:\n- name: lan\n  addresses: [{POOL}]\n{FAST}"
        self.config = self.config if "apiVersion" in self.config else "apiVersion: lbd.io/v1\nkind: Config\n" + self.config
        self.nodes = [Node(self, f"n{i}", f"10.89.0.{10 + i}") for i in range(1, nodes + 1)]
        self.api = Host(self, "api", API_ADDR)
        self.client = Host(self, "c", CLIENT_ADDR)
        self.pods, self.server, self.proxy = [], None, None
        try:
            self._wire()
            self._start_api(kubesim_args)
            self.stack.enter_context(shake.shaken(self))
            if pods:
                self._start_pods()
            if proxy:
                self._start_proxy()
        except BaseException:
            self.close()
            raise

    _count = 0

    @classmethod
    def _next(cls):
        cls._count += 1
        return cls._count

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.show_logs()
        self.close()

    # -- building --

    def _namespace(self, name):
        ns = f"{self.tag}-{name}"
        sh("ip", "netns", "add", ns)
        self.stack.callback(sh, "ip", "netns", "del", ns, check=False)
        sh("ip", "-n", ns, "link", "set", "lo", "up")
        return ns

    def switch(self, *argv, check=True, **kw):
        return sh("ip", "netns", "exec", f"{self.tag}-sw", *argv, check=check, **kw)

    def _plug(self, host):
        self._namespace(host.name)
        sw = f"{self.tag}-sw"
        sh("ip", "-n", sw, "link", "add", f"p-{host.name}", "type", "veth", "peer", "name", "eth0", "netns", host.ns)
        sh("ip", "-n", sw, "link", "set", f"p-{host.name}", "master", "br0", "up")
        sh("ip", "-n", host.ns, "link", "set", "eth0", "address", host.mac)
        sh("ip", "-n", host.ns, "addr", "add", f"{host.addr}/24", "dev", "eth0")
        sh("ip", "-n", host.ns, "addr", "add", f"{host.addr6}/64", "dev", "eth0", "nodad")
        sh("ip", "-n", host.ns, "link", "set", "eth0", "up")

    def _wire(self):
        sw = self._namespace("sw")
        sh("ip", "-n", sw, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0",
           "mcast_snooping", "0")
        sh("ip", "-n", sw, "link", "set", "br0", "up")
        for host in [self.api, self.client, *self.nodes]:
            self._plug(host)
        for node in self.nodes:
            node.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def _start_api(self, args):
        self.server = self.Server()
        self.stack.callback(self.server.kill)
        self.server.start([f"{API_ADDR}:6443", "127.0.0.1:6443"], self.dir / "api", netns=self.api.ns, extra=args)
        for node in self.nodes:
            self.create_node(node)

    def host(self, name, last):
        """One host more on the LAN, 10.89.0.<last>."""
        host = Host(self, name, f"10.89.0.{last}")
        self._plug(host)
        return host

    def beyond(self, middle, name):
        """A host that is reached through middle (of this LAN), which forwards: 10.90.0.2 behind 10.90.0.1."""
        host = Host(self, name, "10.90.0.2")
        host.addr6 = "fd00:90::2"
        self._namespace(name)
        sh("ip", "-n", middle.ns, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", host.ns)
        for where, iface, own, own6 in ((middle, "eth1", "10.90.0.1", "fd00:90::1"), (host, "eth0", host.addr, host.addr6)):
            where.run("ip", "addr", "add", f"{own}/24", "dev", iface)
            where.run("ip", "addr", "add", f"{own6}/64", "dev", iface, "nodad")
            where.run("ip", "link", "set", iface, "up")
        middle.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        host.run("ip", "route", "add", "default", "via", "10.90.0.1")
        host.run("ip", "route", "add", "default", "via", "fd00:90::1")
        for node in self.nodes:
            node.run("ip", "route", "add", "10.90.0.0/24", "via", middle.addr)
            node.run("ip", "route", "add", "fd00:90::/64", "via", middle.addr6)
        return host

    def part(self, *hosts, heal=False):
        """Those hosts are a LAN of their own, their carriers stay; or they are joined to the others again."""
        if not heal:
            self.switch("ip", "link", "add", "br1", "type", "bridge", "stp_state", "0", "forward_delay", "0",
                        "mcast_snooping", "0", check=False)
            self.switch("ip", "link", "set", "br1", "up")
        self.switch("ip", "-batch", "-", input="".join(
            f"link set p-{h.name} master br{0 if heal else 1}\n" for h in hosts))

    def lose(self, *matches):
        """The switch loses the frames that go from one host to another, and nobody is told; nothing given: none any more.
        A match: (from, to), None being any, or such a pair with nft's words about the frame behind it."""
        rules = "table bridge lose { }\ndelete table bridge lose\n"
        if matches:
            rules += "table bridge lose { chain c { type filter hook forward priority 0;\n"
        for source, target, *words in matches:
            rules += f"iifname p-{source.name} " if source else ""
            rules += f"oifname p-{target.name} " if target else ""
            rules += " ".join([*words, "drop\n"])
        self.switch("nft", "-f", "-", input=rules + ("}\n}\n" if matches else ""))

    def management(self):
        """A second network, on which the nodes reach the API from then on."""
        self.switch("ip", "link", "add", "br9", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        self.switch("ip", "link", "set", "br9", "up")
        for host in (self.api, *self.nodes):
            own = host.addr.replace("10.89.", "10.88.")
            self.switch("ip", "link", "add", f"m-{host.name}", "type", "veth", "peer", "name", "mgmt0", "netns", host.ns)
            self.switch("ip", "link", "set", f"m-{host.name}", "master", "br9", "up")
            host.run("ip", "addr", "add", f"{own}/24", "dev", "mgmt0")
            host.run("ip", "link", "set", "mgmt0", "up")
            if host is not self.api:
                host.run("ip", "route", "add", f"{self.api.addr}/32", "dev", "mgmt0", "src", own)

    def create_node(self, node, labels=None):
        self.must("POST", "/api/v1/nodes", {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": node.name, "labels": {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux",
                                                       **(labels or {})}},
            "status": {"addresses": [{"type": "InternalIP", "address": node.addr}],
                       "conditions": [{"type": "Ready", "status": "True"}]}})

    def _start_pods(self):
        for i, node in enumerate(self.nodes, 1):
            ns = self._namespace(f"pod{i}")
            sh("ip", "-n", node.ns, "link", "add", "cali0", "type", "veth", "peer", "name", "eth0", "netns", ns)
            sh("ip", "-n", node.ns, "addr", "add", f"10.244.{i}.1/24", "dev", "cali0")
            sh("ip", "-n", node.ns, "link", "set", "cali0", "up")
            sh("ip", "-n", ns, "addr", "add", f"10.244.{i}.2/24", "dev", "eth0")
            sh("ip", "-n", ns, "link", "set", "eth0", "up")
            sh("ip", "-n", ns, "route", "add", "default", "via", f"10.244.{i}.1")
            for other in self.nodes:
                if other is not node:
                    sh("ip", "-n", other.ns, "route", "add", f"10.244.{i}.0/24", "via", node.addr)
            self._background("ip", "netns", "exec", ns, "/usr/bin/python3", HERE / "pod.py", f"pod{i}")
            self.pods.append({"name": f"pod{i}", "ip": f"10.244.{i}.2", "node": node.name, "ns": ns})
        for pod in self.pods:
            wait_for(f"{pod['name']} serving", lambda: sh(
                "ip", "netns", "exec", pod["ns"], "curl", "-s", "--max-time", "1", "http://127.0.0.1:8080/",
                check=False).returncode == 0)

    def _background(self, *argv):
        log = open(self.dir / "background.log", "ab")
        p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                             start_new_session=True)
        log.close()

        def end():
            p.kill()
            p.wait()
        self.stack.callback(end)
        return p

    def _start_proxy(self):
        self.proxy = self._background(*self.api.argv("/usr/bin/python3", HERE / "proxy.py", self.kubesim.control,
                                                     *[f"{n.name}={n.ns}" for n in self.nodes]))

    def show_logs(self):
        for log in sorted([*self.dir.glob("*.log"), *self.dir.glob("*/log")]):  # the daemons', and programs'
            text = log.read_text(errors="replace").splitlines()
            print(f"--- {log.relative_to(self.dir)} (last 40 of {len(text)} lines)")
            print("\n".join(text[-40:]))

    def close(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                with contextlib.suppress(OSError):
                    os.kill(node.process.pid, signal.SIGKILL)
                node.process.wait()
        self.stack.close()

    # -- using --

    @property
    def kubesim(self):
        """The API server, where a test needs what only kubesim has."""
        return self.server

    def start(self, **kw):
        for node in self.nodes:
            node.start(ready=False, **kw)
        for node in self.nodes:
            node.wait_synced()
        return self

    def must(self, method, path, body=None, type=None):
        """An API request as the administrator (of kubesim by the control socket, which no fault reaches); its answer."""
        status, answer = self.server.api(method, path, body, type)
        assert status < 300, f"{method} {path}: {status} {answer}"
        if method != "GET":
            shake.stop_all(self.nodes)
        return answer

    def kubectl(self, *argv, **kw):
        """Real kubectl over TLS; a CompletedProcess."""
        return self.server.kubectl(*argv, **kw)

    def patch(self, path, body):
        return self.must("PATCH", path, body, MERGE)

    def service(self, name, *, namespace="default", ip=None, annotations=None, ports=None, endpoints=True, **spec):
        """Creates a Service of type LoadBalancer and an EndpointSlice with a ready pod on each node."""
        body = {"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
                "spec": {"type": "LoadBalancer", "selector": {"app": name},
                         "ports": ports or [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}], **spec}}
        if ip:
            body["spec"]["loadBalancerIP"] = ip
        made = self.must("POST", f"/api/v1/namespaces/{namespace}/services", body)
        if endpoints:
            self.endpoints(name, namespace=namespace)
        return made

    def endpoints(self, name, *, namespace="default", pods=None, ready=True):
        """Creates or replaces the one EndpointSlice of a Service."""
        pods = self.pods if pods is None else pods
        fake = [{"ip": f"10.244.{i}.2", "node": n.name, "name": f"pod{i}"} for i, n in enumerate(self.nodes, 1)]
        group = f"discovery.k8s.io/{self.server.slices}"
        body = {"apiVersion": group, "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"{name}-1", "namespace": namespace,
                             "labels": {"kubernetes.io/service-name": name}},
                "endpoints": [{"addresses": [p["ip"]], "conditions": {"ready": ready}, **self._endpoint_node(p["node"]),
                               "targetRef": {"kind": "Pod", "name": p["name"]}} for p in (pods or fake)],
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}
        path = f"/apis/{group}/namespaces/{namespace}/endpointslices"
        status, _ = self.server.api("POST", path, body)
        if status == 409:
            self.must("PUT", f"{path}/{name}-1", body)

    def _endpoint_node(self, name):
        """v1beta1 says it by topology."""
        return {"nodeName": name} if self.server.slices == "v1" else {"topology": {"kubernetes.io/hostname": name}}

    def delete_service(self, name, namespace="default"):
        self.must("DELETE", f"/api/v1/namespaces/{namespace}/services/{name}")

    def ips(self, name, namespace="default"):
        s = self.must("GET", f"/api/v1/namespaces/{namespace}/services/{name}")
        return [i["ip"] for i in (s.get("status", {}).get("loadBalancer", {}).get("ingress") or [])]

    def condition(self, name, namespace="default", type="lbd.io/Announced"):
        """The Service's condition of that type; None when there is none."""
        s = self.must("GET", f"/api/v1/namespaces/{namespace}/services/{name}")
        return next((c for c in s.get("status", {}).get("conditions", []) if c["type"] == type), None)

    def wait_condition(self, name, status, namespace="default", timeout=15):
        def there():
            c = self.condition(name, namespace)
            return (c or {"status": None}) if (c or {}).get("status") == status else None
        return wait_for(f"{name} to be announced: {status}", there, timeout)

    def service_writes(self, since=0, user="lbd", conditions=False):
        """Writes of Services' status by lbd, of kubesim's journal: those of addresses, or (conditions) those that change a
        condition and no address."""
        was, found = {}, []
        for w in self.kubesim.log():
            if w["resource"] != "services":
                continue
            key = (w["namespace"], w["name"])
            before, now = was.get(key, ([], None)), (w["ips"], w.get("conditions"))
            was[key] = now
            alone = before[0] == now[0] and before[1] != now[1]
            if w["seq"] > since and w["user"] == user and alone == conditions:
                found.append(w)
        return found

    def wait_ip(self, name, namespace="default", timeout=10):
        return wait_for(f"an address for {name}", lambda: self.ips(name, namespace), timeout)[0]

    def owners(self, ip):
        """The nodes whose lbd says that it announces ip."""
        return [n for n in self.nodes if n.alive() and n.announces(ip)]

    def wait_owner(self, ip, timeout=10, but=()):
        """The one node that announces ip."""
        def one():
            o = self.owners(ip)
            return o if len(o) == 1 and o[0] not in but else None
        return wait_for(f"one owner of {ip}", one, timeout)[0]

    def wait_http(self, ip, timeout=10, port=80):
        return wait_for(f"an HTTP answer from {ip}", lambda: self.client.curl(ip, port, 0.25), timeout)

    def node_of_mac(self, mac):
        return next((n for n in self.nodes if n.mac == mac), None)

    def events(self, name=None, namespace="default"):
        items = self.must("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
        return [e for e in items if name is None or e["involvedObject"]["name"] == name]


if __name__ == "__main__":
    sys.stdin.read()  # its end is guard()'s process's
    sweep(sys.argv[1])
