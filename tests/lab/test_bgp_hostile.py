# SPDX-License-Identifier: Apache-2.0
"""BGP peers that send what they should not, and behave as they should not: lbd's verdict is the right one, no session is lost that
need not be, and nobody else is disturbed."""

import concurrent.futures
import contextlib
import fcntl
import queue
import struct
import sys
import termios
import time

import pytest

import bgppeer
from bgppeer import KEEPALIVE, NOTIFICATION, OPEN, ROUTE_REFRESH, UPDATE, Listener, message, peer_of, rows, wait_state
from lab import FAST, wait_for
from shake import stopped
from test_rt import RR, needs_rr

LOCAL, PEER, ROUTER = 65001, 65002, "10.89.0.60"
PORTS = range(1790, 1796)
POOL = "pools:\n- name: lan\n  addresses: [10.89.0.100-10.89.0.119]\n"
DISCARDED_WITHDRAWN = {"taken": (0, 0), "discarded": (1, 0), "withdrawn": (0, 1)}


def peer(port, asn=PEER, more=""):
    """A session that ended is begun again after a second."""
    return (f"- {{name: p{port}, myASN: {LOCAL}, peerASN: {asn}, peerAddress: {ROUTER}, peerPort: {port}, connectTime: 1s,"
            f" dualStackAddressFamily: true{more}}}\n")


def passive(name, last, graceful):
    """One that lbd waits for."""
    return (f"- {{name: {name}, myASN: {LOCAL}, peerASN: {PEER}, peerAddress: 10.89.0.{last}, passive: true,"
            f" enableGracefulRestart: {'true' if graceful else 'false'}}}\n")


def config(*peers):
    return f"{POOL}peers:\n{''.join(peers)}bgpAdvertisements:\n- {{name: all}}\nl2Advertisements:\n- {{name: all}}\n{FAST}"


@pytest.fixture
def start(bare):
    """start(peer...): a node, a router of scripted peers; lbd runs."""
    def run(*peers, **kw):
        lab = bare(nodes=1, config=config(*peers), **{"pods": False, "proxy": False, **kw})
        lab.router = lab.host("r", int(ROUTER.rpartition(".")[2]))
        return lab.nodes[0], lab.router
    return run


def in_parallel(listeners, cases, check):
    """check(listener, case) for each: a connection comes once a second only."""
    todo = queue.SimpleQueue()
    for case in cases:
        todo.put(case)

    def work(listener):
        with contextlib.suppress(queue.Empty):
            while True:
                check(listener, todo.get_nowait())

    with concurrent.futures.ThreadPoolExecutor(len(listeners)) as pool:
        for done in [pool.submit(work, listener) for listener in listeners]:
            done.result()


SESSIONS = {"ebgp": {"asn": PEER}, "ibgp": {"asn": LOCAL}, "two": {"asn": PEER, "as4": False}}


@pytest.mark.parametrize("session", SESSIONS)
def test_malformed_updates(start, session):
    """Each row, and a sentinel behind it: it arrives on the same session, the row was judged as it should be.  Those that end a
    session, each on one of its own: with that NOTIFICATION."""
    asn, as4 = SESSIONS[session]["asn"], SESSIONS[session].get("as4", True)
    node, router = start(*[peer(port, asn) for port in PORTS])
    listeners = [Listener(router, port) for port in PORTS]
    node.start()
    caps = bgppeer.capabilities(asn, as4=as4)
    s = listeners[0].accept().handshake(asn, caps=caps)
    now = wait_state(node, f"p{PORTS[0]}", "Established")
    sentinel = bgppeer.good_update("192.0.2.1/32", asn=asn, internal=asn == LOCAL, as4=as4)
    for row in rows("update", session):
        if row.verdict == "reset":
            continue
        before = now
        s.send(UPDATE, row.body)
        s.send(UPDATE, sentinel)

        def judged():
            assert not s.over.is_set(), (row.name, s.notification)
            p = peer_of(node, f"p{PORTS[0]}")
            return p if p["messagesReceived"] == before["messagesReceived"] + 2 else None

        now = wait_for(f"{row.name}: the sentinel", judged)
        counted = tuple(now[k] - before[k] for k in ("updatesDiscarded", "updatesWithdrawn"))
        assert counted == DISCARDED_WITHDRAWN[row.verdict], row
        received = sum(now["received"].values()) - sum(before["received"].values())
        assert received == 1 if row.verdict == "withdrawn" else received >= 1, row

    def ended(listener, row):
        with contextlib.closing(listener.accept()) as one:
            one.handshake(asn, caps=caps)
            one.send(UPDATE, sentinel)
            one.send(UPDATE, row.body)
            one.wait_over()
            assert one.notification is not None and one.notification[:2] == (3, row.subcode), (row, one.notification)

    in_parallel(listeners[1:], [r for r in rows("update", session) if r.verdict == "reset"], ended)
    assert not s.over.is_set() and peer_of(node, f"p{PORTS[0]}")["sessions"] == 1


def test_malformed_opens(start):
    """Each row of an OPEN: KEEPALIVE, or the NOTIFICATION with its data."""
    node, router = start(*map(peer, PORTS))
    listeners = [Listener(router, port) for port in PORTS]
    node.start()

    def answered(listener, row):
        with contextlib.closing(listener.accept()) as s:
            s.expect(OPEN)
            s.send(OPEN, row.body)
            want = (KEEPALIVE, b"") if row.verdict == "taken" else (NOTIFICATION, bytes([2, row.subcode]) + row.data)
            assert s.read() == want, row
            assert row.verdict == "taken" or s.read() is None, row

    in_parallel(listeners, rows("open"), answered)


REFRESH = bytes([0, 1, 0, 1])
MESSAGES = [  # name, in which state, bytes, the NOTIFICATION or None
    ("another marker", "Established", message(KEEPALIVE, marker=bytes(16)), (1, 1, b"")),
    ("a KEEPALIVE of 18", "Established", message(KEEPALIVE, length=18), (1, 2, b"\x00\x12")),
    ("a KEEPALIVE of 20", "Established", message(KEEPALIVE, b"\0"), (1, 2, b"\x00\x14")),
    ("an UPDATE of 22", "Established", message(UPDATE, bytes(3)), (1, 2, b"\x00\x16")),
    ("an UPDATE of 4,097", "Established", message(UPDATE, bytes(4078)), (1, 2, b"\x10\x01")),
    ("an UPDATE of 65,535", "Established", message(UPDATE, length=65535), (1, 2, b"\xff\xff")),
    ("a NOTIFICATION of 20", "Established", message(NOTIFICATION, b"\x06"), (1, 2, b"\x00\x14")),
    ("a type 0", "Established", message(0), (1, 3, b"\0")),
    ("a type 255", "Established", message(255), (1, 3, b"\xff")),
    ("an OPEN of 28", "OpenSent", message(OPEN, bytes(9)), (1, 2, b"\x00\x1c")),
    ("an OPEN of 4,097", "OpenSent", message(OPEN, bytes(4078)), (1, 2, b"\x10\x01")),
    ("a KEEPALIVE before the OPEN", "OpenSent", message(KEEPALIVE), (5, 1, b"")),
    ("an UPDATE before the OPEN", "OpenSent", message(UPDATE, bytes(4)), (5, 1, b"")),
    ("a ROUTE-REFRESH before the OPEN", "OpenSent", message(ROUTE_REFRESH, REFRESH), (5, 1, b"")),
    ("an UPDATE before the KEEPALIVE", "OpenConfirm", message(UPDATE, bytes(4)), (5, 2, b"")),
    ("two OPENs", "OpenConfirm", message(OPEN, bgppeer.open_body(PEER)), (5, 2, b"")),
    ("an OPEN later on", "Established", message(OPEN, bgppeer.open_body(PEER)), (5, 3, b"")),
    ("a ROUTE-REFRESH of 3", "Established", message(ROUTE_REFRESH, REFRESH[:3]), (7, 1, message(ROUTE_REFRESH, REFRESH[:3]))),
    ("a storm of NOTIFICATIONs", "Established", message(NOTIFICATION, b"\x06\x02\x01x") * 1000, None),
    ("a NOTIFICATION of no known code", "Established", message(NOTIFICATION, b"\xff\xff\xff"), None),
    ("a reason that overruns", "Established", message(NOTIFICATION, b"\x06\x02\xffab"), None),
    ("a NOTIFICATION before the OPEN", "OpenSent", message(NOTIFICATION, b"\x02\x02"), None),
    ("the parts of an UPDATE overrun", "Established", message(UPDATE, b"\xff\xff\x00\x00"), (3, 1, b"")),
    ("the attributes of an UPDATE overrun", "Established", message(UPDATE, b"\x00\x00\xff\xff"), (3, 1, b"")),
]


def test_malformed_messages(start):
    """What is wrong with a message beside its body, or the state it comes in."""
    node, router = start(*map(peer, PORTS))
    listeners = [Listener(router, port) for port in PORTS]
    node.start()

    def ended(listener, case):
        name, state, data, want = case
        with contextlib.closing(listener.accept()) as s:
            if state == "Established":
                s.handshake_only(PEER)
            else:
                s.expect(OPEN)
            if state == "OpenConfirm":
                s.send(OPEN, bgppeer.open_body(PEER))
                s.expect(KEEPALIVE)
            s.send_raw(data)
            s.listen().wait_over()
            assert s.notification == want, (name, s.notification)

    in_parallel(listeners, MESSAGES, ended)
    assert wait_for("the daemon", node.dump)


def test_one_byte_at_a_time(start):
    """OPEN, KEEPALIVE and all rows that end no session, each byte in a segment of its own."""
    node, router = start(peer(1790))
    listener = Listener(router, 1790)
    node.start()
    s = listener.accept().handshake(PEER, piece=1)
    todo = [r for r in rows("update") if r.verdict != "reset"]
    for row in todo:
        s.send(UPDATE, row.body, piece=1)
    p = wait_for("the last row", lambda: (p := peer_of(node, "p1790"))["messagesReceived"] >= len(todo) + 2 and p)
    assert not s.over.is_set() and p["sessions"] == 1
    assert p["updatesDiscarded"] == sum(r.verdict == "discarded" for r in todo)
    assert p["updatesWithdrawn"] == sum(r.verdict == "withdrawn" for r in todo)


def test_long_messages(start):
    """Extended messages (RFC 8654) where both said so: an AS_PATH of 16,000 numbers (CVE-2026-49943), as many prefixes as fit, an
    attribute of 65,000 bytes, one that says it is longer; in pieces of all sizes."""
    node, router = start(peer(1790))
    listener = Listener(router, 1790)
    node.start()
    s = listener.accept().handshake(PEER, caps=bgppeer.capabilities(PEER, extended_message=True))
    start_of = bgppeer.attribute(0x40, bgppeer.ORIGIN, b"\0")
    path = bgppeer.attribute(0x40, bgppeer.AS_PATH, b"\x02\x01\x00\x00\xfd\xea")
    hop = bgppeer.attribute(0x40, bgppeer.NEXT_HOP, b"\x0a\0\0\1")
    long_path = bgppeer.attribute(0x40, bgppeer.AS_PATH, (b"\x02\xfa" + b"\0\0\xfd\xea" * 250) * 64)
    unknown = bgppeer.attribute(0xc0, 254, bytes(65000))
    net = bgppeer.prefix_bytes("203.0.113.0/24")
    many = b"".join(bytes([32, 100, 64, i >> 8, i & 255]) for i in range(13000))
    s.send(UPDATE, bgppeer.update_body(b"", start_of + long_path + hop, net), piece=4096)
    s.send(UPDATE, bgppeer.update_body(b"", start_of + path + hop, many), piece=1000)
    s.send(UPDATE, bgppeer.update_body(b"", start_of + path + hop + unknown, net), piece=65000)
    s.send(UPDATE, bgppeer.update_body(many))
    wrong = bytearray(unknown)
    wrong[2:4] = b"\xff\xff"
    s.send(UPDATE, bgppeer.update_body(b"", start_of + path + hop + bytes(wrong), net))
    p = wait_for("the last one", lambda: (p := peer_of(node, "p1790"))["messagesReceived"] >= 7 and p)
    assert not s.over.is_set() and p["sessions"] == 1
    assert p["received"]["ipv4"] == 1 + 13000 + 1 and (p["updatesDiscarded"], p["updatesWithdrawn"]) == (0, 1)


def test_wrong_peers(start):
    """Another AS: told so.  Another password, or none, or a TTL of more hops than allowed: no session; with the right ones
    there is."""
    secret, near = ", password: right", ", ttlSecurity: 1"
    node, router = start(peer(1790), peer(1791, more=secret), peer(1792, more=secret), peer(1793, more=secret),
                         peer(1794, more=near), peer(1795, more=near))
    wrong = Listener(router, 1790)
    right_key = Listener(router, 1791, remote=node.addr, password="right")
    other_key = Listener(router, 1792, remote=node.addr, password="wrong")
    no_key = Listener(router, 1793)
    near_by = Listener(router, 1794, ttl=255)
    far_off = Listener(router, 1795, ttl=254)
    node.start()
    with contextlib.closing(wrong.accept()) as s:
        s.expect(OPEN)
        s.send(OPEN, bgppeer.open_body(PEER + 1))
        assert s.expect(NOTIFICATION) == b"\x02\x02"
    wait_for("its error", lambda: "bad peer AS" in peer_of(node, "p1790")["lastError"])
    right_key.accept().handshake(PEER)
    near_by.accept().handshake(PEER)
    for name in ("p1791", "p1794"):
        wait_state(node, name, "Established")
    for listener in (other_key, no_key, far_off):
        listener.wait_refused(2)
    for name in ("p1792", "p1793", "p1795"):
        assert peer_of(node, name)["sessions"] == 0, name


def wait_listening(node, *names):
    for name in names:
        wait_state(node, name, "Active")
    wait_for("port 179", lambda: node.run("ss", "-Hltn", "sport = :179").stdout)


def test_connects_anew(start):
    """A router that waits for nobody comes back before lbd knows that it was gone (RFC 4724 5): its new connection takes the place
    of the old one.  Without graceful restart the old one stays."""
    node, _ = start(passive("waits", 61, True), passive("plain", 62, False))
    hosts = {name: node.lab.host(name, last) for name, last in (("waits", 61), ("plain", 62))}
    caps = bgppeer.capabilities(PEER, families=(bgppeer.IPV4,), graceful=120)
    node.start()
    wait_listening(node, *hosts)

    def again(name):
        old = bgppeer.connect(hosts[name], node.addr).handshake(PEER, caps=caps)
        wait_state(node, name, "Established")
        return old, bgppeer.connect(hosts[name], node.addr)

    old, new = again("waits")
    new.handshake(PEER, caps=caps)
    old.wait_over()
    assert old.notification is None and wait_state(node, "waits", "Established")["sessions"] == 2
    old, new = again("plain")
    assert new.read() is None and not old.over.is_set() and peer_of(node, "plain")["sessions"] == 1


def test_connects_from_afar(start):
    """One that comes from too many hops off is told nothing, keeps nobody out, and is what the operator reads."""
    node, _ = start(passive("waits", 61, False).replace("passive:", "ttlSecurity: 1, passive:"))
    host = node.lab.host("waits", 61)
    node.start()
    wait_listening(node, "waits")
    with contextlib.closing(bgppeer.connect(host, node.addr)) as far:
        assert far.read() is None
    assert peer_of(node, "waits")["lastError"] == "connection refused: its TTL is 64, not 255 or more"
    bgppeer.connect(host, node.addr, ttl=255).handshake(PEER)
    wait_state(node, "waits", "Established")


def unsent(sock):
    """Bytes that the other side's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def test_notification_before_the_rest(start):
    """What a peer sent behind its error is read and dropped: closed with bytes unread, a connection ends with RST, which may be
    there before the NOTIFICATION.  Stopped meanwhile, lbd has all of it at once, and more than it reads in one turn."""
    node, router = start(peer(1790))
    listener = Listener(router, 1790)
    node.start()
    s = listener.accept().handshake(PEER)
    wait_state(node, "p1790", "Established")
    with stopped(node.pid):
        s.sock.sendall(message(UPDATE, marker=b"\0" * 16) + message(KEEPALIVE) * 2000)
        wait_for("all of it to be there", lambda: unsent(s.sock) == 0)
    s.wait_over()
    assert s.notification is not None and s.notification[:2] == (1, 1) and not s.was_reset, (s.notification, s.was_reset)


ASK = """
import os, socket, struct, sys, time
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
mac, own, *targets = sys.argv[1], *map(socket.inet_aton, sys.argv[2:])
mac = bytes.fromhex(mac.replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("eth0", 0x0806))
s.settimeout(1)
print("ready", flush=True)
while True:
    for target in targets:
        began = time.monotonic()
        s.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + mac + own + bytes(6) + target)
        while not ((f := s.recv(2048))[20:22] == b"\\0\\2" and f[28:32] == target):
            pass
        print(socket.inet_ntoa(target), (time.monotonic() - began) * 1000, flush=True)
    time.sleep(0.005)
"""


@needs_rr  # as the unit file lets it: what else this machine does is not what is judged here
def test_nobody_else_is_disturbed(start):
    """Peers that flood, do not read, announce without end, open and close without end, when lbd connects and when they do, have
    the wrong AS, and a stranger that connects, all at once: an ARP answer for a VIP comes within 10 ms, and the KEEPALIVEs of a
    good peer in time."""
    modes = {1791: "flood", 1792: "slow", 1793: "prefixes", 1794: "reopen", 1795: "wrong_as"}
    node, router = start(*map(peer, PORTS), passive("waits", 61, True), pods=True, proxy=True)
    lab, good = node.lab, Listener(router, 1790)
    knocker = lab.host("k", 61)
    node.start(prefix=RR)
    s = good.accept().handshake(PEER, hold=3).keep_alive(0.5)
    lab.service("web")
    vip = wait_for("the VIP by BGP", lambda: next(iter(s.routes), None)).partition("/")[0]
    wait_for("the VIP by ARP", lambda: lab.client.arping(vip))
    for port, mode in modes.items():
        bgppeer.start_misbehaving(router, mode, port, PEER)
    for host in (knocker, lab.client):
        bgppeer.start_misbehaving(host, "knock", 179, PEER, remote=node.addr)
    for port in (1791, 1792, 1793):
        wait_state(node, f"p{port}", "Established")
    out = lab.dir / "asked"
    asker = lab.client.popen(sys.executable, "-c", ASK, lab.client.mac, lab.client.addr, vip, node.addr, log=out)
    lab.stack.callback(asker.wait)
    lab.stack.callback(asker.kill)
    began = time.monotonic()
    time.sleep(6)
    asker.kill()
    delays = {ip: [] for ip in (vip, node.addr)}
    for line in out.read_text().splitlines()[1:-1]:
        ip, ms = line.split()
        delays[ip].append(float(ms))
    keepalives = [t for t, kind in s.heard if kind == KEEPALIVE and t > began]
    gaps = [b - a for a, b in zip(keepalives, keepalives[1:])]
    print(f"{len(delays[vip])} answers, worst {max(delays[vip]):.2f} ms, the kernel's {max(delays[node.addr]):.2f} ms;"
          f" KEEPALIVEs {max(gaps):.3f} s apart at most")
    flooded = peer_of(node, "p1791")
    assert flooded["messagesReceived"] > 10000 and peer_of(node, "p1793")["received"]["ipv4"] > 1000
    assert peer_of(node, "waits")["messagesReceived"] > 100
    assert len(delays[vip]) > 200 and max(delays[vip]) < 10
    assert len(gaps) >= 5 and max(gaps) < 1.01
    assert not s.over.is_set() and peer_of(node, "p1790")["sessions"] == 1
