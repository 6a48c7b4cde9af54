# SPDX-License-Identifier: Apache-2.0
"""What is on the wire: ARP as real tools and kernels see it, interfaces that come, go and change."""

import re

from lab import wait_for


CLAIM = """
import socket, sys
mac, ip = bytes.fromhex(sys.argv[1].replace(":", "")), socket.inet_aton(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0x0806))
for _ in range(3):
    s.send(b"\\xff" * 6 + mac + bytes.fromhex("0806000108000604" "0001") + mac + ip + bytes(6) + ip)
"""


def claim(host, ip):
    """host announces ip as its own, three times, without having it."""
    host.run("/usr/bin/python3", "-c", CLAIM, host.mac, ip)


def test_new_mac_at_once(lab):
    """The owner's interface gets another MAC: the client's neighbour entry follows without asking. T2."""
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    lab.wait_http(ip)
    assert lab.client.neighbour(ip) == owner.mac
    new = "02:00:0a:59:11:11"
    owner.run("ip", "link", "set", "eth0", "address", new)
    wait_for("the client to know the new MAC", lambda: lab.client.neighbour(ip) == new, timeout=3)
    assert set(lab.client.arping(ip)) == {new}


def test_interface_appears_later(bare):
    """lbd starts before the LAN's interface is there; the address is answered once it comes."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    config = lab.config.replace("addresses: [10.89.0.100-10.89.0.119]", "addresses: [10.99.0.100-10.99.0.119]")
    node.start(config)
    lab.service("web")
    ip = lab.wait_ip("web")
    assert ip == "10.99.0.100"
    lab.switch("ip", "link", "add", "p-late", "type", "veth", "peer", "name", "late0", "netns", node.ns)
    lab.switch("ip", "link", "set", "p-late", "master", "br0", "up")
    node.run("ip", "addr", "add", "10.99.0.1/24", "dev", "late0")
    node.run("ip", "link", "set", "late0", "up")
    lab.client.run("ip", "addr", "add", "10.99.0.50/24", "dev", "eth0")
    mac = re.search(r"link/ether (\S+)", node.run("ip", "link", "show", "late0").stdout).group(1)
    wait_for("an answer on the new interface", lambda: lab.client.arping(ip) == [mac], timeout=8)
    node.run("ip", "link", "del", "late0")
    wait_for("the interface forgotten", lambda: not any(e["interface"] == "late0" for v in node.dump()["vips"]
                                                        for e in v["here"]), timeout=5)


def test_second_interface_in_the_subnet(bare):
    """A node with two interfaces in one subnet answers on one of them, and does not take its own frames for another's."""
    lab = bare(nodes=2, pods=False, proxy=False)
    for i, node in enumerate(lab.nodes):
        lab.switch("ip", "link", "add", f"p-x{i}", "type", "veth", "peer", "name", "eth1", "netns", node.ns)
        lab.switch("ip", "link", "set", f"p-x{i}", "master", "br0", "up")
        node.run("ip", "addr", "add", f"10.89.0.{60 + i}/24", "dev", "eth1")
        node.run("ip", "link", "set", "eth1", "up")
    lab.start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    assert set(lab.client.arping(ip, count=3, timeout=3)) == {owner.mac}
    entry = next(v for v in owner.dump()["vips"] if v["ip"] == ip)
    assert [e["interface"] for e in entry["here"] if e["announced"]] == ["eth0"]
    counters = owner.dump()["counters"]
    assert counters["lbd_arp_claims_heard_total"] == 0
    assert counters['lbd_arp_frames_dropped_total{reason="own"}'] > 0


def test_hairpin(bare):
    """A switch that sends a node's own frames back to it: they are not taken for a rival's."""
    lab = bare(nodes=2, pods=False, proxy=False)
    for node in lab.nodes:
        lab.switch("ip", "link", "set", f"p-{node.name}", "type", "bridge_slave", "hairpin", "on")
    lab.start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    assert lab.client.arping(ip) == [owner.mac]
    assert owner.dump()["counters"]["lbd_arp_claims_heard_total"] == 0
    assert owner.announces(ip)


def test_foreign_host(lab):
    """A foreign host claims an address in service: it is defended, not yielded, at most one defence in ten seconds, and
    said by an Event or counter; the client is back on the owner."""
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    lab.wait_http(ip)
    claim(lab.api, ip)
    wait_for("the claim heard", lambda: owner.dump()["counters"]["lbd_arp_claims_heard_total"] > 0)
    assert owner.announces(ip)
    assert 1 <= owner.dump()["counters"]["lbd_arp_defences_sent_total"] <= 2
    wait_for("the client back on the owner", lambda: lab.client.arping(ip) == [owner.mac])
    entry = next(v for v in owner.dump()["vips"] if v["ip"] == ip)["here"][0]
    assert entry["foreignMac"] == lab.api.mac
    event = wait_for("an Event", lambda: [e for e in lab.events("web") if e["reason"] == "addressConflict"])
    assert len(event) == 1 and lab.api.mac in event[0]["message"]


def test_address_in_use_on_the_lan(lab):
    """A foreign host already answers for the pool's first address: lbd does not announce it beside that host."""
    lab.api.run("ip", "addr", "add", "10.89.0.100/32", "dev", "eth0")
    lab.service("web")
    ip = lab.wait_ip("web")
    if ip == "10.89.0.100":
        wait_for("the conflict", lambda: any(v["state"] == "conflict" for n in lab.nodes for v in n.dump()["vips"]))
        assert lab.owners(ip) == []
        wait_for("an Event", lambda: [e for e in lab.events("web") if e["reason"] == "announceFailed"])
        assert set(lab.client.arping(ip, count=2, timeout=2)) == {lab.api.mac}
        lab.api.run("ip", "addr", "del", "10.89.0.100/32", "dev", "eth0")
        lab.wait_owner(ip, timeout=25)


def test_nothing_answered_but_vips(lab):
    """Other addresses of the pool, and those outside it, are nobody's: lbd answers for what is in service alone."""
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    for other in ("10.89.0.101", "10.89.0.119", "10.89.0.200"):
        assert lab.client.arping(other) == []


def test_two_labs_side_by_side(bare):
    """Two laboratories with the same addresses do not meet."""
    a, b = bare(nodes=2, pods=False, proxy=False).start(), bare(nodes=1, pods=False, proxy=False).start()
    a.service("web")
    ip = a.wait_ip("web")
    owner = a.wait_owner(ip)
    assert b.client.arping(ip) == []
    b.service("other")
    assert b.wait_ip("other") == ip
    mac = b.wait_owner(ip).mac
    assert b.client.arping(ip) == [mac] and a.client.arping(ip) == [owner.mac]


FLOOD = """
import socket, sys
ip = socket.inet_aton(sys.argv[1])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0x0806))
for i in range(600):
    mac = bytes([2, 0xee, 0, 0, i >> 8, i & 255])
    s.send(b"\\xff" * 6 + mac + bytes.fromhex("0806000108000604" "0001") + mac + ip + bytes(6) + ip)
"""


def test_flood_of_claims_is_told_a_few_times(bare):
    """A host that claims an address under one MAC after another: the log and the Events tell of some of them, and lbd goes on
    answering."""
    lab = bare(nodes=1, pods=False, proxy=False).start()
    node = lab.nodes[0]
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    lab.client.run("/usr/bin/python3", "-c", FLOOD, ip)
    wait_for("the claims heard", lambda: node.dump()["counters"]["lbd_arp_claims_heard_total"] > 100)
    told = [line for line in node.log.read_text().splitlines() if "no node of this cluster" in line]
    assert 1 <= len(told) <= 22, len(told)
    assert node.mac in lab.client.arping(ip, count=3, timeout=3)
    assert len([e for e in lab.events("web") if e["reason"] == "addressConflict"]) <= 25
