# SPDX-License-Identifier: Apache-2.0
"""lbd on the real Kubernetes: kube-apiserver's RBAC lets it in with the token of README.md, kube-controller-manager makes the
endpoints out of Pods, kube-proxy takes the packets to them."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from apiserver import MERGE, STRATEGIC
from kubernetes import LEASES_LAST, SERVICES
from lab import wait_for
from objects import lb, rv

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
pytestmark = pytest.mark.k8s


@pytest.fixture
def lab(k8s, before):
    """lbd on every node; afterwards no Service, Pod or EndpointSlice is left."""
    for node in k8s.nodes:
        if not node.alive():
            node.start(ready=False)
    for node in k8s.nodes:
        node.wait_synced(30)
    yield k8s
    k8s.clear()


def leader(lab):
    """The node that holds the Lease, or None."""
    holder = lab.server.api("GET", f"{LEASES}/lbd-leader")[1].get("spec", {}).get("holderIdentity") or ""
    return next((n for n in lab.nodes if n.alive() and n.name == holder.rpartition("_")[0]), None)


class Steady(threading.Thread):
    """Asserts that over its time ip is announced by owner, and by nobody else. An owner that could not run for so long that others
    may have taken over asks for the address again, and does not answer meanwhile (OWNERSHIP R24): that is said by a counter, and
    allowed here, where the real server's start takes both cores."""

    def __init__(self, lab, ip, owner):
        super().__init__(daemon=True)
        self.lab, self.ip, self.want, self.seen, self.over = lab, ip, [owner.name], [], threading.Event()
        self.owner, self.stalls = owner, self.stalls_of(owner)

    @staticmethod
    def stalls_of(node):
        return node.dump()["counters"]["lbd_loop_stalls_total"]

    def run(self):
        while not self.over.wait(0.05):
            self.seen.append([n.name for n in self.lab.owners(self.ip)])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(10)
        lawful = [self.want, []] if self.stalls_of(self.owner) > self.stalls else [self.want]
        other = [s for s in self.seen if s not in lawful]
        assert len(self.seen) > 10 and not other, f"{self.ip}: {other[:5]} of {len(self.seen)} looks"


def test_address_event_and_answer(lab):
    """kubectl create: EXTERNAL-IP; the Events in kubectl describe; a client on the LAN comes by ARP, node and kube-proxy to a
    pod."""
    ip = lab.expose("web")
    lab.run_pods("web")
    row = lab.kubectl("get", "svc", "web").stdout.splitlines()[1].split()
    assert row[1] == "LoadBalancer" and row[3] == ip
    assert "sees" in lab.wait_http(ip, 20)
    owner = lab.wait_owner(ip)
    assert set(lab.client.arping(ip, count=3, timeout=3)) == {owner.mac} and lab.client.neighbour(ip) == owner.mac
    wait_for("both Events", lambda: {"IPAllocated", "nodeAssigned"} <= {e["reason"] for e in lab.events("web")})
    told = lab.kubectl("describe", "svc", "web").stdout
    assert f'Assigned IP ["{ip}"]' in told and "nodeAssigned" in told and f"LoadBalancer Ingress:     {ip}" in told
    assert lab.must("GET", f"{SERVICES}/web")["metadata"]["annotations"]["lbd.io/ip-allocated-from-pool"] == "lan"


def test_local_traffic_policy(lab):
    """Slices of v1beta1 say by topology where the endpoints are: the node that has one owns the address, and keeps the
    client's; when it moves, so does the address."""
    ip = lab.expose("local", externalTrafficPolicy="Local")
    lab.run_pods("local", [lab.pods[1]])
    assert lab.wait_owner(ip).name == "n2"
    assert lab.wait_http(ip, 20) == "pod2 sees 10.89.0.50\n"
    lab.run_pods("local", [lab.pods[1]], ready=False)
    wait_for("silence", lambda: lab.owners(ip) == [])
    lab.run_pods("local", [lab.pods[2]])
    wait_for("n3 to own it", lambda: [n.name for n in lab.owners(ip)] == ["n3"])
    wait_for("pod3's answer", lambda: "pod3" in (lab.client.curl(ip) or ""), 20)


@pytest.mark.parametrize("asked", [{}, {"loadBalancerClass": "lbd.io/lbd"}, {"loadBalancerClass": "someone.else/lb"}])
def test_one_write_for_an_address(lab, asked):
    """1.20 drops ipMode and loadBalancerClass without a word: what comes back is not what was written, and is not written again. A
    Service whose class was dropped has none, and is served as such."""
    name = f"once-{asked.get('loadBalancerClass', 'none').partition('.')[0]}"
    ip = lab.expose(name, **asked, externalTrafficPolicy="Cluster")
    lab.run_pods(name)
    lab.wait_owner(ip)
    lab.wait_condition(name, "True")  # the last write, which 1.20 does not let a patch of the Service pass over
    for i in range(10):  # each change is a pass over all Services
        lab.patch(f"{SERVICES}/{name}", {"metadata": {"labels": {"turn": str(i)}}})
    lab.expose("other")
    s = lab.must("GET", f"{SERVICES}/{name}")
    assert s["status"]["loadBalancer"]["ingress"] == [{"ip": ip}] and "loadBalancerClass" not in s["spec"]
    for node in lab.nodes:
        node.kill(signal.SIGHUP, wait=False)  # and so is a configuration read again
    changes = lab.server.watch(f"{SERVICES}?fieldSelector=metadata.name%3D{name}&resourceVersion={rv(s)}", 3)
    assert changes == [], "it stands still"
    assert lab.written_once(name), lab.server.writes("services/status", name)


def test_kubectl_wait(lab):
    """kubectl waits for the condition, which the server keeps beside others'; a Service that is no LoadBalancer loses it."""
    lab.expose("waited")
    lab.run_pods("waited")
    lab.must("PATCH", f"{SERVICES}/waited/status", {"status": {"conditions": [
        {"type": "their/Own", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}},
        STRATEGIC)
    assert "condition met" in lab.kubectl("wait", "--for=condition=lbd.io/Announced", "--timeout=20s", "svc/waited").stdout
    assert lab.condition("waited")["reason"] == "Announced" and lab.condition("waited", type="their/Own")
    lab.patch(f"{SERVICES}/waited", {"spec": {"type": "ClusterIP", "externalTrafficPolicy": None}})
    lab.wait_condition("waited", None)
    assert lab.condition("waited", type="their/Own")


def test_owner_dies(lab):
    """SIGKILL of the daemon that announces: another one answers, and HTTP goes on."""
    ip = lab.expose("web")
    lab.run_pods("web")
    lab.wait_http(ip, 20)
    dead = lab.wait_owner(ip)
    dead.kill()
    heir = lab.wait_owner(ip, 20, but=(dead,))
    wait_for("the client's new neighbour", lambda: lab.client.curl(ip) and lab.client.neighbour(ip) == heir.mac, 20)


def test_leader_dies(lab):
    """SIGKILL of the leader: the next one gives addresses, and takes none away."""
    first = lab.expose("before")
    dead = wait_for("a leader", lambda: leader(lab))
    dead.kill()
    wait_for("another leader", lambda: leader(lab) not in (None, dead), 20)
    second = lab.expose("after")
    assert second != first and lab.ips("before") == [first]


def test_deletion_frees(lab):
    """The address of a deleted Service is silent, and given again."""
    ip = lab.expose("one")
    lab.run_pods("one")
    lab.wait_owner(ip)
    lab.kubectl("delete", "svc", "one")
    wait_for("silence", lambda: lab.owners(ip) == [])
    assert lab.client.arping(ip) == []
    assert lab.expose("two", loadBalancerIP=ip)
    wait_for("the address again", lambda: lab.ips("two") == [ip])


def test_no_longer_a_load_balancer(lab):
    """1.20 leaves the address in the status of a Service whose type changes: it is silent, lbd clears it and gives it again."""
    ip = lab.expose("changes")
    lab.run_pods("changes")
    lab.wait_owner(ip)
    lab.patch(f"{SERVICES}/changes", {"spec": {"type": "ClusterIP"}})
    wait_for("silence", lambda: lab.owners(ip) == [])
    wait_for("an empty status", lambda: lab.ips("changes") == [])
    lab.expose("next", loadBalancerIP=ip)
    wait_for("the address again", lambda: lab.ips("next") == [ip])


def test_server_restarts(lab):
    """The API server is killed and comes back, longer away than the Leases last: nothing is withdrawn or moved, no status is
    written; then the next Service is served. Watches from before are told 410 by the new process."""
    ip = lab.expose("web")
    lab.run_pods("web")
    lab.wait_http(ip, 20)
    owner = lab.wait_owner(ip)
    before = lab.must("GET", f"{SERVICES}/web")
    with Steady(lab, ip, owner):
        lab.server.stop_api()
        gone = time.monotonic()
        wait_for("all out of step", lambda: not any(n.dump()["api"]["synced"] for n in lab.nodes), 20)
        time.sleep(max(0, gone + LEASES_LAST + 1 - time.monotonic()))
        lab.server.start_api()
        for node in lab.nodes:
            node.wait_synced(30)
        assert lab.expose("after") != ip
    assert rv(lab.must("GET", f"{SERVICES}/web")) == rv(before)
    assert lab.client.curl(ip)


def test_history_is_forgotten(lab):
    """The nodes are cut off while Services come and go, and etcd is compacted before they are back: their watches are told 410,
    they list anew, and miss nothing."""
    lab.expose("stays")
    lab.run_pods("stays")
    gone = lab.expose("goes")
    lab.run_pods("goes")
    lab.wait_owner(gone, 20)
    expired = [n.dump()["counters"]["lbd_watch_expired_total"] for n in lab.nodes]
    lab.api.link(False)
    try:
        lab.must("DELETE", f"{SERVICES}/goes")
        lab.must("POST", SERVICES, lb("comes", selector={"app": "stays"}))
        lab.server.forget_history()
    finally:
        lab.api.link(True)
    ip = lab.wait_ip("comes", timeout=40)
    lab.wait_owner(ip, 20)
    wait_for("silence", lambda: lab.owners(gone) == [] or gone == ip, 20)
    assert lab.wait_http(ip, 60)  # kube-proxy waits up to half a minute before it looks again
    for node, before in zip(lab.nodes, expired):
        wait_for("a 410", lambda: node.dump()["counters"]["lbd_watch_expired_total"] > before, 20)


def freeze(pid):
    """SIGSTOP, and until it has reached each thread."""
    os.kill(pid, signal.SIGSTOP)
    wait_for("stopped", lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T"
                                    for stat in Path(f"/proc/{pid}/task").glob("*/stat")))


def test_server_freezes(lab):
    """The API server answers nothing for longer than the Leases last: nothing is withdrawn or moved; then all goes on."""
    ip = lab.expose("web")
    lab.run_pods("web")
    owner = lab.wait_owner(ip)
    wait_for("a leader", lambda: leader(lab))
    with Steady(lab, ip, owner):
        freeze(lab.server.pid)
        try:
            with pytest.raises(TimeoutError):
                lab.server.raw("GET", "/readyz", timeout=LEASES_LAST + 1)
            assert not any(n.dump()["leader"]["ready"] for n in lab.nodes)
        finally:
            os.kill(lab.server.pid, signal.SIGCONT)
        assert lab.wait_ip("web", timeout=30) == ip
        lab.kubectl("create", "service", "loadbalancer", "after", "--tcp=80:8080")
        assert lab.wait_ip("after", timeout=30) != ip


def test_others_write_too(lab):
    """Labels change all the time while addresses are given: stale patches are refused with 409 and made anew, each address
    is written once, and no label is lost."""
    names = [f"busy{i}" for i in range(8)]
    stop = threading.Event()

    def disturb():
        turn = 0
        while not stop.is_set():
            turn += 1
            for name in names:
                lab.server.api("PATCH", f"{SERVICES}/{name}", {"metadata": {"labels": {f"turn{turn % 5}": str(turn)}}}, MERGE)
    threads = [threading.Thread(target=disturb) for _ in range(2)]
    try:
        for t in threads:
            t.start()
        for name in names:
            lab.server.api("POST", SERVICES, lb(name))
        ips = [lab.wait_ip(name, timeout=20) for name in names]
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert len(set(ips)) == len(names)
    for name in names:
        assert lab.written_once(name), lab.server.writes("services/status", name)


def test_more_than_a_page(lab):
    """Six hundred Services are two pages of a list: lbd, started anew, serves the one at the end."""
    for node in lab.nodes:
        node.stop()
    lab.kubectl("create", "ns", "crowd")
    try:
        connection = lab.server.connection(None, 30)
        headers = {"Authorization": f"Bearer {lab.server.token('admin')}", "Content-Type": "application/json"}
        for body in [*(lb(f"s{i}", type="ClusterIP") for i in range(600)), lb("zz")]:
            body["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "none"}  # spares kube-proxy the work
            connection.request("POST", "/api/v1/namespaces/crowd/services", json.dumps(body), headers)
            assert json.load(connection.getresponse())["metadata"]["name"] == body["metadata"]["name"]
        connection.close()
        lab.start()
        assert lab.wait_ip("zz", "crowd", timeout=20)
    finally:
        lab.kubectl("delete", "ns", "crowd", "--wait=false")


def test_without_rights(lab):
    """A user who may do nothing: lbd says what is forbidden, and waits."""
    node = lab.nodes[0]
    node.stop()
    before = len(node.log.read_text())
    node.start(kubeconfig=lab.server.kubeconfig("nobody"), ready=False)
    wait_for("words", lambda: 'User \\"nobody\\" cannot list resource' in node.log.read_text()[before:])
    assert node.alive() and not node.dump()["api"]["synced"]
    assert node.stop() == 0


def test_by_client_certificate(lab):
    """A kubeconfig with a client certificate instead of a token, as k3s writes them."""
    for node in lab.nodes:
        node.stop()
        node.start(kubeconfig=lab.server.kubeconfig("lbd-certificate"))
    lab.expose("web")
    for node in lab.nodes:
        node.stop()


def test_rights_suffice(lab, before):
    """In all that went before the server refused nothing as forbidden or malformed: packaging/rbac.yaml is enough."""
    lab.expose("web")
    wait_for("Events", lambda: lab.events("web"))
    assert lab.server.refused(before) == []
    assert {w["resource"] for w in lab.server.writes(since=before)} == {"services/status", "leases", "events"}
    for node in lab.nodes:  # a server that has just begun may refuse until it knows its roles
        wait_for("nothing refused", lambda: node.dump()["api"]["refused"] == [])
