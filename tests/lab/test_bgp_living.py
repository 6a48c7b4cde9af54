# SPDX-License-Identifier: Apache-2.0
"""lbd's BGP over time: traffic spread and kept, nodes that die, restarts, routers that say much."""

import re
import signal
import threading
import time

import pytest

from lab import binary, sh, wait_for
from peering import ASN, DUAL, ROUTER_ASN, config, is_up, peer, said
from routers import ROUTERS, Bird, ExaBgp, Frr, Neighbor, those_that

GRACEFUL_SHUTDOWN = "65535:0"
SANITIZED = "asan" in binary().parts  # which keeps memory that was freed
FAST_BFD = [{"name": "fast", "receiveInterval": 100, "transmitInterval": 100, "detectMultiplier": 3}]


def param(*features):
    return pytest.mark.parametrize("kind", those_that(*features), ids=lambda k: k.name)


class Client:
    """Asks for a VIP all the time, a connection each, from a host that does nothing else."""

    def __init__(self, host, vip):
        self.host, self.vip = host, vip
        self.answers, self.failed, self.cut, self.ended = [], [], [], threading.Event()
        self.before = self._again()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended.is_set():
            began = time.monotonic()
            r = self.host.run("curl", "-s", "-m", "5", "-w", "\n%{time_connect}", f"http://{self.vip}/", check=False)
            answer, _, connected = r.stdout.rpartition("\n")
            (self.answers if r.returncode == 0 else self.failed).append(answer)
            if r.returncode != 0 and float(connected) > 0:
                self.cut.append(began)

    def _again(self):
        """How many SYNs its kernel sent again."""
        return int(self.host.run("nstat", "-asz", "TcpExtTCPSynRetrans").stdout.split()[-2])

    def lost(self):
        """Requests without an answer, and those whose first packet was lost. cut: when those of them began that had a connection."""
        return len(self.failed) + self._again() - self.before

    def wait_more(self, n):
        """Until it has asked so many times more."""
        asked = len(self.answers) + len(self.failed)
        wait_for(f"{n} requests", lambda: len(self.answers) + len(self.failed) >= asked + n, 30)

    def stop(self):
        self.ended.set()
        self.thread.join()


def spread(rack, kind, conf=None, **neighbor):
    """Three nodes with a pod each, a client beyond the router, a Local Service: who answers is who was chosen."""
    lab = rack(conf or config(peer()), nodes=3, pods=True, proxy=True)
    far = lab.beyond(lab.gateway, "far")
    lab.gateway.run("sysctl", "-qw", "net.ipv4.fib_multipath_hash_policy=1")
    router = lab.up(kind, **neighbor)
    vip, = lab.vips("web", externalTrafficPolicy="Local")
    router.wait_paths(vip, 3)
    everyone = {n.addr for n in lab.nodes}
    wait_for("the kernel's route", lambda: router.kernel_next_hops(vip) == everyone)
    seen = set()  # the pods, each of which only its own node's proxy has
    wait_for("an answer by way of each", lambda: (seen.update(pods_of([far.curl(vip)])), len(seen) == 3)[1])
    return lab, router, far, vip


def pods_of(answers):
    return {a.split()[0] for a in answers if a}


@param("kernel")
def test_spread(rack, kind):
    """ECMP: the router's kernel has three next hops, and a client's connections are answered by all three nodes."""
    lab, router, far, vip = spread(rack, kind)
    answers = [far.curl(vip) for _ in range(60)]
    assert None not in answers and pods_of(answers) == {"pod1", "pod2", "pod3"}
    assert all("10.90.0.2" in a for a in answers)  # the client, as the pods see it


@param("kernel")
def test_spread_of_both_families(rack, kind):
    """The kernel's routes of both families, over one session with each of three nodes."""
    lab = rack(config(peer(dualStackAddressFamily=True)), nodes=3)
    router = lab.up(kind)
    v4, v6 = lab.vips("web", **DUAL)
    wait_for("IPv4", lambda: router.kernel_next_hops(v4) == {n.addr for n in lab.nodes})
    wait_for("IPv6", lambda: len(router.kernel_next_hops(v6)) == 3)


@param("kernel", "bfd")
def test_node_dies(rack, kind):
    """BFD is up on both sides; a node's cable is cut silently: the router's kernel forgets it within a second, and the client is
    answered by the others. The session with another node is not touched."""
    lab, router, far, vip = spread(rack, kind, config(peer(bfdProfile="fast"), bfdProfiles=FAST_BFD), bfd=True)
    for node in lab.nodes:
        wait_for(f"BFD of {node.name}", lambda n=node: said(n)["bfd"] == "Up")
    time.sleep(1)
    n1, n2, n3 = lab.nodes
    session = router.session(n1.addr)
    n3.cut()
    at = time.monotonic()
    wait_for("the kernel's route", lambda: router.kernel_next_hops(vip) == {n1.addr, n2.addr}, 5, 0.01)
    took = time.monotonic() - at
    answers = [far.curl(vip) for _ in range(20)]
    print(f"failover with {kind.name}: {took * 1000:.0f} ms after the cable was cut")
    assert took < 1 and None not in answers and pods_of(answers) == {"pod1", "pod2"}
    wait_for("lbd's word of it", lambda: not is_up(n3) and "BFD" in said(n3)["lastError"], 5)
    assert router.session(n1.addr) == session and is_up(n1)
    n3.cut(False)
    wait_for("the node again", lambda: len(router.kernel_next_hops(vip)) == 3, 40)


@param("bfd")
def test_bfd_over_hops(rack, kind):
    """RFC 5883 with a router behind another host: the link behind that one is cut, and the session ends by BFD."""
    lab = rack(config(peer(peerAddress="10.90.0.2", ebgpMultiHop=True, bfdProfile="far"),
                      bfdProfiles=[{**FAST_BFD[0], "name": "far", "minimumTtl": 60}]))
    far = lab.beyond(lab.gateway, "far")
    node = lab.nodes[0]
    router = lab.start_router(kind, host=far, neighbors=[Neighbor(node.addr, ASN, multihop=4, local=far.addr, bfd=True)])
    lab.start()
    router.wait_established(node.addr)
    wait_for("BFD", lambda: said(node).get("bfd") == "Up")
    time.sleep(1)
    lab.gateway.run("ip", "link", "set", "eth1", "down")
    at = time.monotonic()
    wait_for("the end", lambda: not is_up(node), 5)
    assert time.monotonic() - at < 1.5 and "BFD" in said(node)["lastError"]


@param("kernel", "graceful")
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_graceful_restart(rack, kind, sig):
    """lbd is stopped or killed, and started again, while a client asks: no request is lost, and the route never leaves the router's
    kernel."""
    lab, router, far, vip = spread(rack, kind, config(peer(enableGracefulRestart=True)))
    node = lab.nodes[2]
    session = router.session(node.addr)
    client, hops = Client(far, vip), []
    watch = threading.Event()

    def look():
        while not watch.is_set():
            hops.append(len(router.kernel_next_hops(vip)))
    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    client.wait_more(10)
    node.kill(sig)
    client.wait_more(20)
    node.start()
    wait_for("another session", lambda: router.established(node.addr) and router.session(node.addr) != session, 30)
    wait_for("its word of it", lambda: is_up(node))
    client.wait_more(20)
    time.sleep(1)  # stale routes would have gone
    watch.set()
    looker.join()
    client.stop()
    assert set(hops) == {3} and client.lost() == 0
    assert pods_of(client.answers) == {"pod1", "pod2", "pod3"}


@param("graceful")
def test_nothing_stale_stays(rack, kind):
    """A Service that went while lbd was down is not kept by graceful restart: End-of-RIB says that all was said."""
    lab = rack(config(peer(enableGracefulRestart=True)), nodes=2)
    router = lab.up(kind, families=(4,))  # GoBGP waits for the End-of-RIB of all that it is configured for
    (one,), (two,) = lab.vips("one"), lab.vips("two")
    router.wait_paths(one, 2)
    router.wait_paths(two, 2)
    node = lab.nodes[1]
    node.kill()
    lab.delete_service("one")
    wait_for("the other node's withdrawal", lambda: {p.source for p in router.paths(one)} == {node.addr}, interval=0.1)
    node.start()
    router.wait_paths(one, 0, 30)
    router.wait_paths(two, 2)


@param("refresh")
def test_refresh(rack, kind):
    """The router asks again (RFC 2918): it is told again, and the session stays."""
    lab = rack(config(peer(dualStackAddressFamily=True)))
    router = lab.up(kind)
    node = lab.nodes[0]
    for vip in lab.vips("web", **DUAL):
        router.wait_paths(vip)
    time.sleep(1)
    session, before, routes = router.session(node.addr), router.updates(node.addr), router.routes()
    router.refresh(node.addr)
    wait_for("UPDATEs", lambda: router.updates(node.addr) >= before + 2)
    time.sleep(0.5)
    assert router.session(node.addr) == session and router.routes() == routes


@pytest.mark.slow
@pytest.mark.parametrize("kind", [k for k in ROUTERS if k is not ExaBgp], ids=lambda k: k.name)  # which passes nothing on
def test_many_routes(rack, kind):
    """The router learns 100,000 prefixes and announces them, and withdraws them again: they are counted and dropped, memory stays what it
    was, and so does the session, over which a route more is announced meanwhile."""
    lab = rack()
    node, feeder = lab.nodes[0], lab.host("r2", 61)
    router = lab.up(kind, neighbors=[Neighbor(node.addr, ASN), Neighbor(feeder.addr, 64777, families=(4,))])
    vip, = lab.vips("web")
    router.wait_paths(vip)
    before = resident_kb(node)
    many = [f"{20 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(100000)]
    source = Bird(feeder, 64777, [Neighbor(lab.gateway.addr, ROUTER_ASN, families=(4,))], many)
    wait_for("100,000", lambda: said(node)["received"]["ipv4"] >= 100000, 120, 0.2)
    assert resident_kb(node) - before < 512 or SANITIZED
    other, = lab.vips("other")
    wait_for("a route more", lambda: said(node)["announced"]["ipv4"] == 2)
    source.stop()
    router.wait_paths(other, timeout=120)
    assert said(node)["sessions"] == 1 and is_up(node)
    assert resident_kb(node) - before < 512 or SANITIZED
    assert (said(node)["updatesDiscarded"], said(node)["updatesWithdrawn"]) == (0, 0)


def resident_kb(node):
    with open(f"/proc/{node.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


@param("graceful")
def test_drain(rack, kind):
    """`lbd drain`: GRACEFUL_SHUTDOWN first (RFC 8326), then the routes go, the other node's stay; `lbd undrain`: they are there again."""
    lab = rack(nodes=2)
    router = lab.up(kind)
    n1, n2 = lab.nodes
    vip, = lab.vips("web")
    router.wait_paths(vip, 2)

    def communities():
        return {p.source: p.communities for p in router.paths(vip)}
    result = []
    drain = threading.Thread(target=lambda: result.append(sh(binary(), "drain", "--control", n1.control).stdout))
    drain.start()
    wait_for("the word", lambda: communities().get(n1.addr) == {GRACEFUL_SHUTDOWN}, 3, 0.02)
    assert communities()[n2.addr] == set()
    wait_for("its withdrawal", lambda: set(communities()) == {n2.addr}, 5, 0.05)
    drain.join()
    assert "drained" in result[0]
    sh(binary(), "undrain", "--control", n1.control)
    wait_for("it again", lambda: communities() == {n1.addr: set(), n2.addr: set()}, 10, 0.1)


def test_drain_with_traffic(rack):
    """A node is drained while a client asks: no new connection is lost. The one under way when the router hashes its flows anew may
    be, as with any change of paths: no other node knows it."""
    lab, router, far, vip = spread(rack, Frr)
    client = Client(far, vip)
    client.wait_more(10)
    sh(binary(), "drain", "--control", lab.nodes[0].control)
    wait_for("two next hops", lambda: len(router.kernel_next_hops(vip)) == 2)
    changed = time.monotonic()
    client.wait_more(20)
    client.stop()
    assert client.lost() == len(client.cut) <= 1 and all(began < changed for began in client.cut), (client.lost(), client.cut, changed)
    assert pods_of(client.answers[-10:]) <= {"pod2", "pod3"}


def test_goes_in_order(rack):
    """SIGTERM without graceful restart, as ExaBGP was told: the community, the withdrawal, the end of the session."""
    lab = rack(config(peer(enableGracefulRestart=False)))
    router = lab.up(ExaBgp)
    node = lab.nodes[0]
    vip, = lab.vips("web")
    router.wait_paths(vip)
    assert node.stop() == 0
    wait_for("the end", lambda: not router.established(node.addr))
    told = [m["update"] for m in router.told_of(node.addr) if "update" in m]
    assert [65535, 0] in told[-2]["attribute"]["community"]
    assert told[-1]["withdraw"] == {"ipv4 unicast": [{"nlri": f"{vip}/32"}]}
