# SPDX-License-Identifier: Apache-2.0
"""BGP sessions of lbd with the routers of the laboratory: how they come up, and what is said when they do not."""

import errno
import signal
import socket
import struct
import time

import pytest

from lab import Inside, wait_for
from peering import ASN, DUAL, ROUTER_ADDR, ROUTER_ADDR6, ROUTER_ASN, config, is_up, peer, said
from routers import ROUTERS, Bird, ExaBgp, Frr, GoBgp, Neighbor, OpenBgpd, those_that
from shake import stopped

ALL = pytest.mark.parametrize("kind", ROUTERS, ids=lambda k: k.name)


def param(*kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda k: k.name)


def wait_error(node, *words, timeout=15):
    """lbd says why there is no session, in these words, and that there is none."""
    def there():
        p = said(node)
        return p.get("state") != "Established" and all(w in p.get("lastError", "") for w in words)
    wait_for(f"an error with {words}", there, timeout, 0.1)


@ALL
@pytest.mark.parametrize("over, dual", [(4, False), (6, False), (4, True), (6, True)], ids=["v4", "v6", "dual-v4", "dual-v6"])
def test_families(rack, kind, over, dual):
    """A session over either family announces its own family, or both, with the node's own address as the next hop."""
    lab = rack(config(peer(peerAddress=ROUTER_ADDR6 if over == 6 else ROUTER_ADDR, dualStackAddressFamily=dual)))
    router = lab.up(kind, over=over)
    node = lab.nodes[0]
    by_family = dict(zip((4, 6), lab.vips("web", **DUAL)))
    for family, vip in by_family.items():
        if dual or family == over:
            path, = router.wait_paths(vip)
            assert path.source == lab.address(node, over)
            assert (path.as_path, path.next_hop) == ((ASN,), lab.address(node, family))
    announced = {vip + ("/32" if f == 4 else "/128") for f, vip in by_family.items() if dual or f == over}
    assert set(router.routes()) == announced
    wait_for("the count", lambda: sum(said(node)["announced"].values()) == len(announced))


@pytest.mark.slow
@ALL
def test_password(rack, kind):
    """TCP MD5 (RFC 2385): the right password; then another one at lbd: no session, and it says so; then the right one again."""
    lab = rack(config(peer(password="correct-horse")))
    router = lab.up(kind, password="correct-horse")
    vip, = lab.vips("web")
    router.wait_paths(vip)
    lab.configure(config(peer(password="battery-staple")))
    wait_error(lab.nodes[0], "cannot connect", "no answer, as if the passwords differ", timeout=40)
    assert not router.established(lab.nodes[0].addr)
    lab.configure(config(peer(password="correct-horse")))
    router.wait_established(lab.nodes[0].addr, timeout=40)
    router.wait_paths(vip)
    assert "battery" not in lab.nodes[0].log.read_text() + str(lab.nodes[0].dump())


def test_authentication_option(rack):
    """TCP-AO: a key file that is not there is named, and so is a kernel without it.  (Where there is one, no router of Debian's speaks it.)"""
    key = {"keyID": 1, "algorithm": "hmac-sha1-96", "keyFile": "/nonexistent"}
    lab = rack(config(peer(tcpAO=key)))
    lab.start_router(Bird)
    lab.start()
    node = lab.nodes[0]
    wait_error(node, "TCP-AO", "file cannot be read")
    file = lab.dir / "key"
    file.write_text("correct-horse\n")
    lab.configure(config(peer(tcpAO={**key, "keyFile": str(file)})))
    wait_error(node, "no answer, as if" if has_ao(node) else "this kernel has no TCP-AO", timeout=40)
    assert "correct-horse" not in node.log.read_text() + str(node.dump())


def has_ao(node):
    """Does the kernel know TCP_AO_ADD_KEY?"""
    def ask():
        with socket.socket() as s:
            try:
                s.setsockopt(socket.IPPROTO_TCP, 38, bytes(4))
            except OSError as e:
                return e.errno != errno.ENOPROTOOPT
    with Inside(node.ns) as inside:
        return inside.run(ask)


@param(*those_that("gtsm"))
def test_ttl_security(rack, kind):
    """GTSM (RFC 5082) on both sides."""
    lab = rack(config(peer(ttlSecurity=1)))
    router = lab.up(kind, security=1)
    router.wait_paths(lab.vips("web")[0])


@param(*those_that("gtsm"))
@pytest.mark.parametrize("side", ["router", "lbd"])
def test_ttl_security_of_one_side(rack, kind, side):
    """A side that wants TTL 255 hears nothing of one that sends less."""
    lab = rack(config(peer(ttlSecurity=1) if side == "lbd" else peer()))
    router = lab.start_router(kind, security=1 if side == "router" else 0)
    lab.start()
    node = lab.nodes[0]
    wait_for("an attempt", lambda: said(node)["state"] not in ("Idle", "Active"))
    vip, = lab.vips("web")
    time.sleep(3)
    assert not router.established(node.addr) and router.paths(vip) == []
    assert side == "router" or said(node)["messagesReceived"] == 0


@ALL
def test_multihop(rack, kind):
    """A router behind another host."""
    lab = rack(config(peer(peerAddress="10.90.0.2", ebgpMultiHop=True)))
    far = lab.beyond(lab.gateway, "far")
    node = lab.nodes[0]
    router = lab.start_router(kind, host=far, neighbors=[Neighbor(node.addr, ASN, multihop=4, local=far.addr)])
    lab.start()
    router.wait_established(node.addr)
    path, = router.wait_paths(lab.vips("web")[0])
    assert path.next_hop == node.addr


@ALL
def test_four_octet_as(rack, kind):
    """RFC 6793, on both sides."""
    ours, theirs = 4200000001, 4200000002
    lab = rack(config(peer(myASN=ours, peerASN=theirs)))
    router = lab.up(kind, asn=theirs, their_asn=ours)
    path, = router.wait_paths(lab.vips("web")[0])
    assert path.as_path == (ours,)


@ALL
def test_wrong_as(rack, kind):
    """The router is of another AS than was said: no session, and the AS that it has is named."""
    lab = rack(config(peer(peerASN=64999)))
    lab.start_router(kind)
    lab.start()
    wait_error(lab.nodes[0], "AS")
    assert lab.router.established(lab.nodes[0].addr) is False


def test_last_word(rack):
    """A NOTIFICATION right before the connection is reset is read: the reason is told, and not only that the connection went."""
    lab = rack()
    with Inside(lab.gateway.ns) as inside, inside.run(socket.create_server, (ROUTER_ADDR, 179)) as listener:
        lab.start()
        node, (conn, _) = lab.nodes[0], inside.run(listener.accept)
        conn.recv(4096)
        with stopped(node.pid):
            conn.sendall(b"\xff" * 16 + bytes([0, 21, 3, 6, 5]))  # Cease, Connection Rejected
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        wait_for("an error", lambda: said(node)["lastError"])
        assert said(node)["lastError"].startswith("received")


@ALL
@pytest.mark.parametrize("which", ["external", "internal"])
def test_dynamic_as(rack, kind, which):
    """Any AS but ours, or ours."""
    conf = peer(dynamicASN=which)
    del conf["peerASN"]
    lab = rack(config(conf))
    router = lab.up(kind, asn=ROUTER_ASN if which == "external" else ASN)
    path, = router.wait_paths(lab.vips("web")[0])
    assert path.as_path == ((ASN,) if which == "external" else ())


@ALL
def test_local_as(rack, kind):
    """localASN in place of our own, in the OPEN and in paths."""
    lab = rack(config(peer(localASN=64999)))
    router = lab.up(kind, their_asn=64999)
    path, = router.wait_paths(lab.vips("web")[0])
    assert path.as_path == (64999,)


@ALL
def test_silent_router(rack, kind):
    """The router stops without a word: after the hold time its session is over, and lbd says why; when it goes on, there is another."""
    lab = rack(config(peer(holdTime="3s", keepaliveTime="1s")))
    router = lab.up(kind)
    node = lab.nodes[0]
    vip, = lab.vips("web")
    router.wait_paths(vip)
    assert said(node)["holdTime"] == 3
    time.sleep(4)
    assert said(node)["sessions"] == 1 and is_up(node)
    router.send(signal.SIGSTOP)
    try:
        wait_for("its end", lambda: not is_up(node), 6)
        assert "hold timer expired" in said(node)["lastError"]
    finally:
        router.send(signal.SIGCONT)
    wait_for("another session", lambda: is_up(node) and router.established(node.addr), 40)
    router.wait_paths(vip)


@ALL
def test_silent_lbd(rack, kind):
    """lbd is frozen: the router's hold timer ends the session and its routes go; when it goes on, they come back."""
    lab = rack(config(peer(holdTime="3s", enableGracefulRestart=False)))
    router = lab.up(kind)
    node = lab.nodes[0]
    vip, = lab.vips("web")
    router.wait_paths(vip)
    with stopped(node.pid):
        router.wait_paths(vip, 0)
    wait_for("another session", lambda: is_up(node) and router.established(node.addr), 40)
    router.wait_paths(vip)


@ALL
def test_passive(rack, kind):
    """lbd waits on port 179, and the router connects."""
    lab = rack(config(peer(passive=True)))
    lab.start()
    router = lab.start_router(kind)
    router.wait_established(lab.nodes[0].addr, timeout=30)
    router.wait_paths(lab.vips("web")[0])


@param(*those_that("gtsm"))
def test_waiting_router(rack, kind):
    """A router that never connects itself; lbd has no socket on port 179."""
    lab = rack()
    router = lab.up(kind, passive=True)
    router.wait_paths(lab.vips("web")[0])
    assert ":179 " not in lab.nodes[0].run("ss", "-Hltn").stdout


def test_another_speaker_on_the_node(rack):
    """BIRD has port 179 of the node, and is lbd's peer as well as the router's: lbd needs no port of its own."""
    node_addr, local = "10.95.0.1", "10.95.0.2"
    lab = rack(config(peer(), peer(name="here", peerAddress=local, peerASN=64777, sourceAddress=node_addr, ebgpMultiHop=True)))
    node = lab.nodes[0]
    node.run("ip", "link", "add", "here", "type", "veth", "peer", "name", "there")
    for addr in (node_addr, local):
        node.run("ip", "addr", "add", f"{addr}/24", "dev", "here")
    for iface in ("here", "there"):
        node.run("ip", "link", "set", iface, "up")
    bird = Bird(node, 64777, [Neighbor(node_addr, ASN, passive=True, multihop=2, local=local)])
    router = lab.up(Frr)
    wait_for("the session with BIRD", lambda: is_up(node, "here"))
    vip, = lab.vips("web")
    bird.wait_paths(vip)
    router.wait_paths(vip)
    assert "bird" in node.run("ss", "-Hltnp", "sport = :179").stdout


def test_unnumbered(rack):
    """FRR's `neighbor eth1 interface`: found by router advertisements, both families over link-local addresses."""
    conf = peer(interface="eth1", dualStackAddressFamily=True)
    del conf["peerAddress"]
    lab = rack(config(conf))
    node = lab.nodes[0]
    node.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", lab.gateway.ns)
    for host in (node, lab.gateway):
        host.run("ip", "link", "set", "eth1", "up")
    router = lab.start_router(Frr, neighbors=[Neighbor("eth1", ASN, unnumbered=True)])
    lab.start()
    router.wait_established("eth1", timeout=30)
    v4, v6 = lab.vips("web", **DUAL)
    for vip in (v4, v6):
        path, = router.wait_paths(vip)
        assert path.as_path == (ASN,)
    own = node.run("sh", "-c", "ip -6 -o addr show dev eth1 scope link | awk '{print $4}'").stdout.split("/")[0]
    wait_for("the kernel's route", lambda: router.kernel_next_hops(v4) == {own})


# How a router says that it was told; ExaBGP 4.2 cannot decode a communication, and says that instead.
SHUTDOWN = {Frr: "lbd stops", Bird: "lbd stops", GoBgp: "lbd stops", OpenBgpd: "lbd stops",
            ExaBgp: r'can not decode update message of type \"3\"'}


@ALL
def test_stopped(rack, kind):
    """SIGTERM: Cease, with a communication in words (RFC 9003) at the router; the routes go at once."""
    lab = rack(config(peer(enableGracefulRestart=False)))
    router = lab.up(kind)
    vip, = lab.vips("web")
    router.wait_paths(vip)
    assert lab.nodes[0].stop() == 0
    wait_for("the routes to go", lambda: router.paths(vip) == [], 3)
    wait_for("the words", lambda: SHUTDOWN[kind] in router.text(), 5)


@ALL
def test_died(rack, kind):
    """SIGKILL, then started again: the session comes back by itself, without waiting for a hold time."""
    lab = rack(config(peer(enableGracefulRestart=False)))
    router = lab.up(kind)
    node = lab.nodes[0]
    vip, = lab.vips("web")
    router.wait_paths(vip)
    before = router.session(node.addr)
    node.kill(signal.SIGKILL)
    node.start()
    wait_for("another session", lambda: router.established(node.addr) and router.session(node.addr) != before, 40)
    router.wait_paths(vip)


@ALL
def test_router_restarts(rack, kind):
    """The router is stopped and started, then killed and started: the session is there again, and the routes."""
    lab = rack()
    router = lab.up(kind)
    node = lab.nodes[0]
    vip, = lab.vips("web")
    router.wait_paths(vip)
    for times, sig in enumerate((signal.SIGTERM, signal.SIGKILL), 2):
        router.stop(sig)
        wait_for("lbd's word of it", lambda: said(node)["state"] != "Established" and said(node)["lastError"], 10)
        router.start()
        router.wait_ready()
        router.wait_established(node.addr)
        router.wait_paths(vip)
        wait_for("lbd's word of it", lambda n=times: is_up(node) and said(node)["sessions"] >= n)
