# SPDX-License-Identifier: Apache-2.0
"""BFD on the wire: lbd's engine and sockets (bfdpeer) beside FRR's bfdd and BIRD, and against each other."""

import base64
import signal
import socket
import struct
import time

import pytest

from apiserver import MERGE
from lab import Lab, wait_for
from shake import stopped
from speakers import Bird, Frr, LbdBfd, Wire, now

RIVALS = [Bird, Frr]


def both_families(one, other):
    return [(one.addr, other.addr), (one.addr6, other.addr6)]


@pytest.fixture
def wire():
    with Wire(nodes=2) as w:
        yield w


def up(wire, rival, ours=None, theirs=None):
    """lbd on n1, the other on n2, Up by IPv4 and IPv6 on both sides."""
    n1, n2 = wire.nodes
    lbd = LbdBfd(n1, both_families(n1, n2), **(ours or {}))
    other = rival(n2, both_families(n2, n1), **(theirs or {}))
    lbd.wait_all_up()
    other.wait_all_up()
    return lbd, other


@pytest.mark.parametrize("rival", [*RIVALS, LbdBfd])
def test_up_and_down(wire, rival):
    """Up by both families, stays so; the port blocked: Down on both sides within the detection time, for want of packets; open
    again: Up."""
    n1, n2 = wire.nodes
    lbd, other = up(wire, rival)
    time.sleep(1)
    assert lbd.downs() == 0 and other.downs() == 0
    at = wire.port(n2, False)
    for s, peers in ((lbd, n2), (other, n1)):
        for remote in (peers.addr, peers.addr6):
            s.wait(remote, "Down")
    for remote in (n2.addr, n2.addr6):
        assert lbd.last(remote)["diag"] == "detection time expired"
    falls = [t for s in (lbd, other) for t, _, state in s.changes() if t > at and state == "Down"]
    assert all(0.1 < t - at < 0.5 for t in falls), [t - at for t in falls]
    wire.port(n2, True)
    lbd.wait_all_up()
    other.wait_all_up()


@pytest.mark.parametrize("rival", RIVALS)
def test_timers(wire, rival):
    """Both want other intervals and multipliers: what is negotiated is the same on both sides."""
    n1, n2 = wire.nodes
    lbd, other = up(wire, rival, ours={"tx_ms": 150, "rx_ms": 50, "multiplier": 4}, theirs={"interval_ms": 80, "multiplier": 5})
    wait_for("the timers", lambda: (lbd.last(n2.addr)["transmitUs"], lbd.last(n2.addr)["detectUs"]) == (150000, 5 * 80000))
    if rival is Bird:  # state, interval, timeout: the last is what it waits for our packets
        wait_for("BIRD's view", lambda: other.shows()[n1.addr] == ("Up", 0.08, 4 * 0.15))
    else:
        def view():
            p = other.shows()[n1.addr]
            return p["status"], p["remote-receive-interval"], p["remote-transmit-interval"], p["remote-detect-multiplier"]
        wait_for("FRR's view", lambda: view() == ("up", 50, 150, 4))
    assert lbd.downs() == 0


@pytest.mark.parametrize("rival", RIVALS)
def test_our_admin_down(wire, rival):
    """We say AdminDown: the other is Down at once, not after its detection time; taken back: Up."""
    n1, n2 = wire.nodes
    lbd, other = up(wire, rival)
    begin = now()
    lbd.admin_down(True)
    for remote in (n1.addr, n1.addr6):
        other.wait(remote, "Down", 2)
    assert other.first_down(begin) - begin < 0.25
    if rival is Frr:
        assert "neighbor" in other.shows()[n1.addr]["diagnostic"]
    time.sleep(2.5)  # it stays so while it is said
    assert other.state(n1.addr) == "Down"
    lbd.admin_down(False)
    lbd.wait_all_up()
    other.wait_all_up()


def test_their_admin_down(wire):
    """FRR's `shutdown` and BIRD's `disable` are seen as what they are."""
    n1, n2 = wire.nodes
    lbd, frr = up(wire, Frr)
    frr.command("configure terminal", "bfd", f"peer {n1.addr} local-address {n2.addr} interface eth0", "shutdown")
    lbd.wait(n2.addr, "Down", 2)
    assert (lbd.last(n2.addr)["remoteState"], lbd.last(n2.addr)["diag"]) == ("AdminDown", "the neighbour said down")
    assert not lbd.last(n2.addr)["deaf"]
    assert lbd.state(n2.addr6) == "Up"
    frr.command("configure terminal", "bfd", f"peer {n1.addr} local-address {n2.addr} interface eth0", "no shutdown")
    lbd.wait(n2.addr, "Up")


@pytest.mark.parametrize("rival", [*RIVALS, LbdBfd])
def test_restarted(wire, rival):
    """The other is killed and started again before it could be missed: Up again, and it stays."""
    n1, n2 = wire.nodes
    lbd, other = up(wire, rival, ours={"multiplier": 50}, theirs={"multiplier": 50})
    other.stop(signal.SIGKILL)
    again = rival(n2, both_families(n2, n1), multiplier=50)
    again.wait_all_up()
    lbd.wait_all_up()
    time.sleep(1)
    falls = lbd.downs()
    assert falls in (0, 2)  # 0: it started while ours were still waiting
    time.sleep(1)
    assert lbd.downs() == falls


def test_keyed(wire):
    """Two nodes with one key file; a node without the key is not heard, and the key is changed without a fall."""
    n1, n2 = wire.nodes
    files = [wire.dir / "key1", wire.dir / "key2"]

    def write(i, *lines):
        new = files[i].with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.chmod(0o600)
        new.rename(files[i])

    write(0, "a secret of the cluster")
    write(1, "something else entirely")
    a = LbdBfd(n1, both_families(n1, n2), key_file=files[0])
    b = LbdBfd(n2, both_families(n2, n1), key_file=files[1])
    time.sleep(2.5)
    assert a.changes() == [] and b.changes() == []
    write(1, "a secret of the cluster")
    a.wait_all_up()
    b.wait_all_up()
    for lines in (("a secret of the cluster", "the next one"), ("the next one", "a secret of the cluster"), ("the next one",)):
        for i in (0, 1):
            write(i, *lines)
            time.sleep(0.7)
    time.sleep(1)
    assert a.downs() == 0 and b.downs() == 0
    write(0, "no longer the same")
    a.wait(n2.addr, "Down")
    a.wait(n2.addr6, "Down")
    sums = a.sums()
    assert sums["downs"] == 2 and sums["key"] > 0 and "digest" not in sums


def test_keyed_with_bird(wire):
    """Keyed SHA1 is BIRD's, too: the bytes are the RFC's."""
    n1, n2 = wire.nodes
    secret = "apples and bananas.."
    auth = f'authentication keyed sha1; password "{secret}" {{ id 7; }};'
    lbd, bird = up(wire, Bird, ours={"raw_key": f"7:{secret}"}, theirs={"auth": auth})
    time.sleep(15)  # more seconds than the window has numbers
    assert lbd.downs() == 0 and bird.downs() == 0
    bird.stop(signal.SIGKILL)
    lbd.wait(n2.addr, "Down")
    again = Bird(n2, both_families(n2, n1), auth=auth)
    again.wait_all_up()
    lbd.wait_all_up()
    lbd.stop(signal.SIGKILL)
    LbdBfd(n1, both_families(n1, n2), raw_key=f"7:{secret}").wait_all_up()


def test_multihop(wire):
    """RFC 5883: port 4784, by address alone. BIRD sends with the host's TTL there, 64."""
    n1, n2 = wire.nodes
    lbd = LbdBfd(n1, both_families(n1, n2), iface="-", minimum_ttl=60)
    bird = Bird(n2, both_families(n2, n1), multihop=True)
    lbd.wait_all_up()
    bird.wait_all_up()
    wire.port(n2, False)
    lbd.wait(n2.addr, "Down")
    bird.wait(n1.addr6, "Down")


def link_local(node):
    return node.run("sh", "-c", "ip -6 -o addr show dev eth0 scope link | awk '{print $4}'").stdout.split("/")[0]


def test_link_local(wire):
    """Peers known by their link-local addresses alone (unnumbered)."""
    n1, n2 = wire.nodes
    wait_for("addresses", lambda: "tentative" not in n1.run("ip", "-6", "addr").stdout + n2.run("ip", "-6", "addr").stdout)
    a, b = link_local(n1), link_local(n2)
    one, other = LbdBfd(n1, [(a, b)]), LbdBfd(n2, [(b, a)])
    one.wait_all_up()
    other.wait_all_up()


def test_packets(wire):
    """TTL and hop limit 255, DSCP CS6, a source port of the session's own in 49152..65535."""
    n1, n2 = wire.nodes
    s = wire.inside_switch.run(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind(("p-n1", 3))
    s.settimeout(5)
    up(wire, LbdBfd)
    ports = {}
    with s:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            f = s.recv(2048)
            if f[12:14] == b"\x08\x00" and f[23] == 17 and struct.unpack(">H", f[36:38])[0] == 3784:
                assert f[15] == 0xc0 and f[22] == 255
                ports.setdefault(f[26:30], set()).add(struct.unpack(">H", f[34:36])[0])
            elif f[12:14] == b"\x86\xdd" and f[20] == 17 and struct.unpack(">H", f[56:58])[0] == 3784:
                assert struct.unpack(">H", f[14:16])[0] >> 4 & 0xff == 0xc0 and f[21] == 255
                ports.setdefault(f[22:38], set()).add(struct.unpack(">H", f[54:56])[0])
    assert len(ports) == 4 and all(len(p) == 1 and min(p) >= 49152 for p in ports.values()), ports


def test_port_in_use(wire):
    """FRR's bfdd has the port on our own host: said once, nothing of FRR's breaks, and when it goes we listen."""
    n1, n2 = wire.nodes
    here = Frr(n1, [(n1.addr, n2.addr)])
    there = LbdBfd(n2, [(n2.addr, n1.addr)])
    here.wait_all_up()
    ours = LbdBfd(n1, [(n1.addr6, n2.addr6)])
    wait_for("the warning", lambda: "another program on this node speaks BFD" in ours.text())
    time.sleep(2.5)
    assert ours.text().count("another program") == 2  # a line for each family
    assert here.downs() == 0 and there.downs() == 0
    here.stop()
    wait_for("our socket", lambda: ours.text().count("listening works again") == 2)


def test_stopped(wire):
    """A process that was stopped is missed by its peer, but does not itself declare the peer dead when it goes on."""
    n1, n2 = wire.nodes
    a, b = up(wire, LbdBfd)
    with stopped(a.pid):
        b.wait(n1.addr, "Down")
        time.sleep(0.5)
    wait_for("word of it", lambda: a.downs() == 2)
    a.wait_all_up()
    b.wait_all_up()
    assert "detection time expired" not in {d.get("diag") for d in a.lines()}


def test_interface_comes_and_goes(wire):
    """The link goes down, the address goes, both return: Up again by itself."""
    n1, n2 = wire.nodes
    a, b = up(wire, LbdBfd)
    n1.run("ip", "link", "set", "eth0", "down")
    b.wait(n1.addr, "Down")
    a.wait(n2.addr, "Down")
    n1.run("ip", "addr", "flush", "dev", "eth0")
    n1.run("ip", "link", "set", "eth0", "up")
    time.sleep(1.5)
    assert a.state(n2.addr) == "Down"
    n1.run("ip", "addr", "add", f"{n1.addr}/24", "dev", "eth0")
    n1.run("ip", "addr", "add", f"{n1.addr6}/64", "dev", "eth0", "nodad")
    a.wait_all_up()
    b.wait_all_up()


def test_one_way(wire):
    """n2 hears nothing while n1 hears it: n1 is told so (DEAF), and is never Up."""
    n1, n2 = wire.nodes
    a, b = up(wire, LbdBfd)
    n2.run("nft", "add table inet deaf; add chain inet deaf in { type filter hook input priority 0; };"
           " add rule inet deaf in udp dport 3784 drop")
    b.wait(n1.addr, "Down")
    wait_for("word of it", lambda: a.last(n2.addr)["deaf"])
    time.sleep(3)
    assert a.state(n2.addr) != "Up" and a.last(n2.addr)["deaf"]
    assert b.last(n1.addr)["diag"] == "detection time expired" and not b.last(n1.addr)["deaf"]
    n2.run("nft", "delete", "table", "inet", "deaf")
    a.wait_all_up()
    wait_for("the end of it", lambda: not a.last(n2.addr)["deaf"])


def test_nodes_with_and_without_the_key(tmp_path):
    """lbd itself: nodes with one key file hear each other; one without is never heard, and costs the others nothing."""
    key = tmp_path / "key"
    key.write_text("the secret of this cluster\n")
    key.chmod(0o600)
    with Lab(nodes=3, pods=False, proxy=False) as lab:
        keyed = f"{lab.config}  bfd: {{keyFile: {key}}}\n"
        n1, n2, n3 = lab.nodes
        for node, config in ((n1, keyed), (n2, keyed), (n3, None)):
            node.start(config, ready=False)

        def seen(node):
            return {m["name"]: m["peer"] for m in (node.dump() or {}).get("nodes", []) if "peer" in m}
        wait_for("n2, heard by n1", lambda: seen(n1).get("n2") == "up")
        wait_for("n1, heard by n2", lambda: seen(n2).get("n1") == "up")
        time.sleep(2)
        assert seen(n1)["n3"] == "never" and seen(n3)["n1"] == "never" and seen(n1)["n2"] == "up"
        assert "no key: who can send" in n3.log.read_text() and "no key: who can send" not in n1.log.read_text()


def test_key_in_a_secret(bare):
    """The key comes from a Secret, is kept in a file for a start without the API, and is changed (old; old, new; new, old; new)
    while the session stays Up; what is no key changes nothing, and nothing of it is shown. F19."""
    lab = bare(nodes=2, pods=False, proxy=False)
    secrets = "/api/v1/namespaces/kube-system/secrets"
    written = iter(range(1, 100))

    def config(node):
        """Each time another one: Secrets are read at once, not after their minute."""
        return f"{lab.config}  bfd: {{keySecret: lbd-bfd, keyFile: {node.state_dir}/bfd.key}}\n  holdDown: {next(written)}s\n"

    def put(text):
        data = {"data": {"key": base64.b64encode(text.encode()).decode()}}
        if lab.server.api("PATCH", f"{secrets}/lbd-bfd", data, MERGE)[0] == 404:
            lab.must("POST", secrets, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lbd-bfd"}, **data})

    def holds(node, text):
        kept = node.state_dir / "bfd.key"
        return kept.exists() and kept.read_text() == text

    def peer(node):
        return next(m["peer"] for m in node.dump()["nodes"] if not m["self"])

    def fell():
        """How often a session was not what it was."""
        return sum(node.log.read_text().count("a node's state is another") for node in lab.nodes)

    for node in lab.nodes:
        node.start(config(node))
    time.sleep(1)
    assert {peer(n) for n in lab.nodes} == {"never"}  # without a key nothing is believed
    put("the old one\n")
    for node in lab.nodes:
        node.config_path.write_text(config(node))
    for node in lab.nodes:
        wait_for("the session", lambda n=node: peer(n) == "up")
        assert (node.state_dir / "bfd.key").stat().st_mode & 0o777 == 0o600
        assert "stopped or starved" not in node.log.read_text()  # what could not be sent before is not late
    before = fell()
    for text in ("the old one\nthe new one", "the new one\nthe old one\n", "the new one\n"):
        put(text)
        for node in lab.nodes:
            node.config_path.write_text(config(node))
            wait_for("the file", lambda n=node, t=text: holds(n, t))
            time.sleep(1)  # several detection times, and the file's debounce
    put("short\n")
    lab.nodes[0].config_path.write_text(config(lab.nodes[0]))
    wait_for("word of it", lambda: "a key of less than 8 characters" in lab.nodes[0].log.read_text())
    assert holds(lab.nodes[0], "the new one\n")
    assert fell() == before and {peer(n) for n in lab.nodes} == {"up"}

    lab.server.kill()
    lab.nodes[1].kill()
    wait_for("its death", lambda: peer(lab.nodes[0]) == "silent")
    lab.nodes[1].start(config(lab.nodes[1]), ready=False)
    wait_for("it, by the key that it kept", lambda: peer(lab.nodes[0]) == "up", 15)
    words = [w for t in ("the old one", "the new one") for w in (t, base64.b64encode(t.encode()).decode()[:12])]
    assert not any(w in n.log.read_text() + str(n.dump()) for n in lab.nodes for w in words)
