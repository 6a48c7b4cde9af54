# SPDX-License-Identifier: Apache-2.0
"""IPv6 on layer 2: ndisc6, the kernel's neighbour table, its DAD and the switch's MLD table are the judges."""

import datetime
import re

import pytest

from lab import FAST, POOL, wait_for

POOL6 = "fd00:89::100-fd00:89::10f"
FIRST = "fd00:89::100"
GROUP = "ff02::1:ff00:100"
CONFIG = f"pools:\n- name: lan\n  addresses: [{POOL}, \"{POOL6}\"]\n{FAST}"

CLAIM = """
import socket, sys
mac, ip = bytes.fromhex(sys.argv[1].replace(":", "")), socket.inet_pton(socket.AF_INET6, sys.argv[2])
me, all_nodes = socket.inet_pton(socket.AF_INET6, sys.argv[3]), socket.inet_pton(socket.AF_INET6, "ff02::1")
def icmp(sum):
    return b"\\x88\\0" + sum.to_bytes(2, "big") + b"\\x20\\0\\0\\0" + ip + b"\\x02\\x01" + mac
text = me + all_nodes + (32).to_bytes(4, "big") + b"\\0\\0\\0\\x3a" + icmp(0)
total = sum(int.from_bytes(text[i:i + 2], "big") for i in range(0, len(text), 2))
while total > 0xffff:
    total = (total & 0xffff) + (total >> 16)
frame = (b"\\x33\\x33\\0\\0\\0\\x01" + mac + b"\\x86\\xdd\\x60\\0\\0\\0\\0\\x20\\x3a\\xff" + me + all_nodes
         + icmp(total ^ 0xffff))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0x86dd))
for _ in range(3):
    s.send(frame)
"""


def claim(host, ip):
    """host announces ip as its own, three times, without having it."""
    host.run("/usr/bin/python3", "-c", CLAIM, host.mac, ip, host.addr6)


def six(lab, name, **kw):
    lab.service(name, ipFamilies=["IPv6"], ipFamilyPolicy="SingleStack", **kw)
    return lab.wait_ip(name)


def ndisc(host, ip):
    """The MACs that answered a solicitation for ip."""
    r = host.run("ndisc6", "-n", "-q", "-m", "-r", "1", "-w", "500", ip, "eth0", check=False)
    return [m.lower() for m in re.findall(r"([0-9A-Fa-f:]{17})", r.stdout)]


def groups(host, dev="eth0"):
    return re.findall(r"inet6 (\S+)", host.run("ip", "-6", "maddr", "show", "dev", dev).stdout)


def serve(lab, ip):
    """In kube-proxy's place: what comes for ip goes to an HTTP server on the node itself."""
    for node in lab.nodes:
        lab._background(*node.argv("/usr/bin/python3", "-m", "http.server", "8080", "--bind", "::", "--directory", "/proc/sys/kernel/random"))
        node.run("nft", "add table ip6 six; add chain ip6 six in { type nat hook prerouting priority dstnat; };"
                        f"add rule ip6 six in ip6 daddr {ip} tcp dport 80 redirect to :8080")


@pytest.fixture
def lan(bare):
    return bare(pods=False, proxy=False, config=CONFIG).start()


def test_answered(lan):
    """A service address of IPv6 is answered for by one node, in the form that tools and kernels ask; others are nobody's."""
    ip = six(lan, "web")
    assert ip == FIRST
    owner = lan.wait_owner(ip)
    wait_for("ndisc6's answer", lambda: ndisc(lan.client, ip) == [owner.mac])
    serve(lan, ip)
    wait_for("an answer by HTTP", lambda: lan.client.curl(f"[{ip}]"))
    assert lan.client.neighbour(ip) == owner.mac
    for other in ("fd00:89::101", "fd00:89::1ff"):
        assert ndisc(lan.client, other) == []
    entry = next(v for v in owner.dump()["vips"] if v["ip"] == ip)["here"][0]
    assert entry["announced"] and entry["mac"] == owner.mac and entry["replies"] > 0
    assert owner.dump()["counters"]["lbd_ndp_announcements_sent_total"] >= 1


def test_neighbour_unreachability(lan):
    """A client that has the address confirms it by unicast, as kernels do, without a link-layer address in the question."""
    ip = six(lan, "web")
    owner = lan.wait_owner(ip)
    wait_for("an answer", lambda: ndisc(lan.client, ip) == [owner.mac])
    lan.client.run("ip", "neigh", "replace", ip, "lladdr", owner.mac, "nud", "probe", "dev", "eth0")
    wait_for("the client to have it confirmed",
             lambda: "REACHABLE" in lan.client.run("ip", "neigh", "show", "to", ip).stdout, timeout=5)


def test_groups(lan):
    """Every node that may answer is in the address's group, and the switch knows it; none is once the Service is gone."""
    lan.switch("ip", "link", "set", "br0", "type", "bridge", "mcast_snooping", "1")
    ip = six(lan, "web")
    lan.wait_owner(ip)
    for node in lan.nodes:
        wait_for(f"{node.name} in the group", lambda: GROUP in groups(node))

    def ports():
        mdb = lan.switch("bridge", "mdb", "show").stdout
        return {m.group(1) for m in re.finditer(rf"port (\S+) grp {GROUP} ", mdb)}
    wait_for("the switch to know all", lambda: ports() >= {f"p-{n.name}" for n in lan.nodes})
    lan.delete_service("web")
    for node in lan.nodes:
        wait_for(f"{node.name} out of the group", lambda: GROUP not in groups(node))


def test_failover(lan):
    """The owner is killed: the client's neighbour entry follows its successor without the client's asking, and HTTP works. T4."""
    ip = six(lan, "web")
    serve(lan, ip)
    owner = lan.wait_owner(ip)
    wait_for("an answer by HTTP", lambda: lan.client.curl(f"[{ip}]"))
    owner.kill()
    heir = lan.wait_owner(ip, timeout=15, but=(owner,))
    wait_for("the neighbour entry", lambda: lan.client.neighbour(ip) == heir.mac, timeout=3)
    wait_for("an answer by HTTP", lambda: lan.client.curl(f"[{ip}]"))
    assert set(ndisc(lan.client, ip)) == {heir.mac}


def test_new_mac_at_once(lan):
    """The owner's interface gets another MAC: the client's neighbour entry follows. T2."""
    ip = six(lan, "web")
    owner = lan.wait_owner(ip)
    serve(lan, ip)
    wait_for("an answer by HTTP", lambda: lan.client.curl(f"[{ip}]"))
    new = "02:00:0a:59:11:11"
    owner.run("ip", "link", "set", "eth0", "address", new)
    wait_for("the client to know the new MAC", lambda: lan.client.neighbour(ip) == new, timeout=3)


def test_address_in_use_on_the_lan(lan):
    """A foreign host has the pool's first address: DAD finds it, and lbd announces nothing beside that host."""
    lan.api.run("ip", "addr", "add", f"{FIRST}/64", "dev", "eth0", "nodad")
    ip = six(lan, "web")
    assert ip == FIRST
    wait_for("the conflict", lambda: any(v["state"] == "conflict" for n in lan.nodes for v in n.dump()["vips"]))
    assert lan.owners(ip) == []
    wait_for("an Event", lambda: [e for e in lan.events("web") if e["reason"] == "announceFailed"])
    assert set(ndisc(lan.client, ip)) == {lan.api.mac}
    lan.api.run("ip", "addr", "del", f"{FIRST}/64", "dev", "eth0")
    lan.wait_owner(ip, timeout=25)


def test_others_find_it_taken(lan):
    """A host that would give itself an address in service is told by its own kernel's DAD that it is taken."""
    ip = six(lan, "web")
    owner = lan.wait_owner(ip)
    lan.client.run("ip", "addr", "add", f"{ip}/64", "dev", "eth0")
    wait_for("dadfailed", lambda: "dadfailed" in lan.client.run("ip", "-6", "addr", "show", "dev", "eth0").stdout)
    assert lan.owners(ip) == [owner]


def owned_for(node, ip):
    """Seconds."""
    since = next(v["since"] for v in node.dump()["vips"] if v["ip"] == ip)
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(since)).total_seconds()


def test_foreign_host(lan):
    """A foreign host claims an address in service: it is defended against, at most once in ten seconds, and told by an Event."""
    ip = six(lan, "web")
    owner = lan.wait_owner(ip)
    serve(lan, ip)
    wait_for("an answer by HTTP", lambda: lan.client.curl(f"[{ip}]"))
    # in the second after a probe of lbd's it would pass for an answer: the owner was wrong to begin
    wait_for("that to be over", lambda: owned_for(owner, ip) > 1.5)
    claim(lan.api, ip)
    wait_for("the claim heard", lambda: owner.dump()["counters"]["lbd_ndp_claims_heard_total"] > 0)
    assert owner.announces(ip)
    assert 1 <= owner.dump()["counters"]["lbd_ndp_defences_sent_total"] <= 2
    wait_for("the client back on the owner", lambda: ndisc(lan.client, ip) == [owner.mac])
    entry = next(v for v in owner.dump()["vips"] if v["ip"] == ip)["here"][0]
    assert entry["foreignMac"] == lan.api.mac
    event = wait_for("an Event", lambda: [e for e in lan.events("web") if e["reason"] == "addressConflict"])
    assert lan.api.mac in event[0]["message"]


def test_dual_stack(lan):
    """A Service of both families: each address is answered for, by its own protocol; the group of each may have an owner of
    its own."""
    lan.service("web", ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
    four, fives = wait_for("two addresses", lambda: len(lan.ips("web")) == 2 and lan.ips("web"))
    assert fives == FIRST
    for ip, ask in ((four, lan.client.arping), (fives, lambda ip: ndisc(lan.client, ip))):
        owner = lan.wait_owner(ip)
        wait_for(f"an answer for {ip}", lambda: ask(ip) == [owner.mac])


def test_gateway_is_told(bare):
    """The router has never asked for the address and ignores announcements of what it does not know: it is told by a request of
    its own, in both families."""
    lab = bare(nodes=1, pods=False, proxy=False, config=CONFIG)
    node = lab.nodes[0]
    node.run("ip", "route", "add", "default", "via", lab.client.addr, "dev", "eth0")
    node.run("ip", "-6", "route", "add", "default", "via", lab.client.addr6, "dev", "eth0")
    node.start()
    lab.service("four")
    for ip in (lab.wait_ip("four"), six(lab, "web")):
        wait_for(f"the router to know {ip}", lambda: lab.client.neighbour(ip) == node.mac)


def test_interface_without_ipv6(bare):
    """An interface without IPv6, named by the advertisement: the address is answered for all the same, and in the group by the
    interface's filter."""
    config = CONFIG + "l2Advertisements:\n- name: all\n  interfaces: [eth0]\n"
    lab = bare(nodes=1, pods=False, proxy=False, config=config)
    node = lab.nodes[0]
    node.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
    node.start()
    ip = six(lab, "web")
    lab.wait_owner(ip)
    wait_for("ndisc6's answer", lambda: ndisc(lab.client, ip) == [node.mac])
    macs = node.run("ip", "maddr", "show", "dev", "eth0").stdout
    assert "33:33:ff:00:01:00" in macs
    node.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
    wait_for("the group by MLD, once there is IPv6", lambda: GROUP in groups(node), timeout=5)


def test_interface_without_ipv4(bare):
    """Of two interfaces the one with the subnet serves, though it has no IPv4; nothing of IPv4 is captured there."""
    lab = bare(nodes=1, pods=False, proxy=False, config=CONFIG.replace("fd00:89:", "fd00:99:"))
    node = lab.nodes[0]
    lab.switch("ip", "link", "add", "p-x", "type", "veth", "peer", "name", "eth1", "netns", node.ns)
    lab.switch("ip", "link", "set", "p-x", "master", "br0", "up")
    node.run("ip", "addr", "add", "fd00:99::1/64", "dev", "eth1", "nodad")
    node.run("ip", "link", "set", "eth1", "up")
    lab.client.run("ip", "addr", "add", "fd00:99::50/64", "dev", "eth0", "nodad")
    mac = re.search(r"link/ether (\S+)", node.run("ip", "link", "show", "eth1").stdout).group(1)
    node.start()
    ip = six(lab, "web")
    assert ip == "fd00:99::100"
    lab.wait_owner(ip)
    wait_for("ndisc6's answer", lambda: ndisc(lab.client, ip) == [mac])
    opened = re.findall(r'iface=(\S+) protocol=(\S+) msg="capture opened"', node.log.read_text())
    assert ("eth1", "NDP") in opened and ("eth1", "ARP") not in opened and ("eth0", "ARP") in opened


def test_link_comes_back(lan):
    """The owner's cable is out and in again: the group is joined anew, and the address answered by one. T3."""
    ip = six(lan, "web")
    owner = lan.wait_owner(ip)
    wait_for("an answer", lambda: ndisc(lan.client, ip) == [owner.mac])
    owner.link(False)
    lan.wait_owner(ip, timeout=15, but=(owner,))
    owner.link(True)
    wait_for("the group", lambda: GROUP in groups(owner))
    wait_for("one answer", lambda: len(set(ndisc(lan.client, ip))) == 1)


def test_dry_run(bare):
    """A dry run sends nothing and joins nothing."""
    lab = bare(nodes=1, pods=False, proxy=False, config=CONFIG)
    node = lab.nodes[0]
    node.start(extra=["--dry-run"], ready=False)
    lab.service("web", ipFamilies=["IPv6"], ipFamilyPolicy="SingleStack")
    wait_for("the address in its picture", lambda: [v for v in (node.dump() or {}).get("vips", []) if v["ip"] == FIRST])
    assert GROUP not in groups(node)
    assert ndisc(lab.client, FIRST) == []
