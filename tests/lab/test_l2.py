# SPDX-License-Identifier: Apache-2.0
"""Ownership on the wire with shipped elections: who answers for an address while nodes, links and the API fail.

The F in a docstring is a failure's number in shared/OWNERSHIP.md. Judges are an asker that asks all the time (answers.py),
arping, ndisc6, the client's kernel and curl; lbd's own word counts for what is not on the wire.
"""

import hashlib
import os
import re
import signal

import pytest

from answers import Answers
from lab import FAST, POOL, binary, wait_for
from shake import stopped

CONFIG = f"pools:\n- name: lan\n  addresses: [{POOL}]\n"
TAKEN_S = 1.0   # a dead owner's addresses are another's
HEALED_S = 2.0  # one owner is left after a heal (I1)
LEASE_S, RENEW_S = 3, 0.75  # FAST
LONG = bool(os.environ.get("LONG"))


def know_each_other(lab):
    """Every node has a session with every other, and has been in step for so long that it may take (R9: join)."""
    for node in lab.nodes:
        wait_for(f"{node.name}'s sessions", lambda: all(
            n["peer"] == "up" for n in node.dump()["nodes"] if n["name"] != node.name), 15)


@pytest.fixture
def lan(bare):
    """Three nodes without pods, and w, who asks."""
    lab = bare(pods=False, proxy=False, config=CONFIG).start()
    lab.w = lab.host("w", 51)
    return lab


def serve(lab, n=1):
    """n Services that are owned and known to be: their addresses."""
    for i in range(n):
        lab.service(f"s{i}")
    ips = [lab.wait_ip(f"s{i}") for i in range(n)]
    for ip in ips:
        lab.wait_owner(ip)
    know_each_other(lab)
    wait_for("all to know the owners", lambda: all(
        len(n.dump()["vips"]) >= len(ips) and all(v["owner"] for v in n.dump()["vips"]) for n in lab.nodes))
    return ips


def resolve(host, ip, mac):
    """host's kernel has the address, by its own asking."""
    wait_for(f"{host.name}'s entry", lambda: (host.curl(ip, timeout=0.2), host.neighbour(ip.strip("[]")) == mac)[1])


def test_killed(lan):
    """Another answers within a second of kill -9, the client's kernel follows unasked, and nothing moves back. F16, F31."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    resolve(lan.client, ip, owner.mac)
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        owner.kill()
        heir, _ = answers.wait_other(ip, owner.mac, begin, TAKEN_S)
        wait_for("the client's entry", lambda: lan.client.neighbour(ip) == heir, 1)
        answers.never_silent(begin, TAKEN_S)
        back = answers.now()
        owner.start()
        know_each_other(lan)
        assert answers.wait_one(ip, back, 0.0) == heir
        answers.never_silent(back, 0.3)


def test_paused(lan):
    """An owner that is stopped is replaced within a second; when it goes on it answers nothing of what waited for it. F6."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        with stopped(owner.pid):
            heir, took = answers.wait_other(ip, owner.mac, begin, TAKEN_S)
            answers.look_on(1, lambda: answers.macs(ip, max(begin + took, answers.now() - 0.5)) == {heir})
            go_on = answers.now()
        assert answers.wait_one(ip, go_on, 0.0) == heir
        answers.never_silent(go_on, 0.3)
    assert lan.owners(ip) == [lan.node_of_mac(heir)]


def test_port_cut(bare):
    """A node's port is cut at the switch, its carrier and the API stay: it takes nothing of others while the others take what
    is its; one owner is left of each after the heal. F1, F3, F17."""
    lab = bare(pods=False, proxy=False, config=CONFIG)
    lab.management()
    lab.start()
    w, x = lab.host("w", 51), lab.host("x", 52)
    ips = serve(lab, 6)
    owners = {ip: lab.wait_owner(ip) for ip in ips}
    cut = owners[ips[0]]
    with Answers(w, ips) as answers, Answers(x, ips) as beside_it:
        begin = answers.now()
        lab.part(cut, x)
        for ip in ips:
            if owners[ip] is cut:
                answers.wait_other(ip, cut.mac, begin, TAKEN_S)
        beside_it.look_on(3, lambda: all(owners[ip] is cut for ip in ips if cut.mac in beside_it.macs(ip, begin)))
        assert cut.dump()["api"]["synced"]
        for ip in ips:
            others = answers.macs(ip, begin + TAKEN_S)
            assert len(others) == 1 and cut.mac not in others
            assert owners[ip] is cut or others == {owners[ip].mac}
        heal = answers.now()
        lab.part(cut, x, heal=True)
        for ip in ips:
            answers.wait_one(ip, heal, HEALED_S)
        answers.never_silent(heal, 0.3)


def test_carrier_lost(lan):
    """The owner's cable is pulled: another answers within a second; plugged in again it takes nothing back. F6, F29."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        owner.link(False)
        heir, _ = answers.wait_other(ip, owner.mac, begin, TAKEN_S)
        plugged = answers.now()
        owner.link(True)
        assert answers.wait_one(ip, plugged, 0.0) == heir
        answers.never_silent(plugged, 0.3)


SHORT_LEASES = CONFIG + """elections:
  nodeLease: {duration: 2s, renew: 500ms}
  leaderLease: {duration: 2s, renewDeadline: 1300ms, retryPeriod: 400ms}
"""


def stop_api(lab):
    lab.kubesim.save(lab.dir / "state")
    lab.kubesim.kill()


def start_api(lab):
    lab.kubesim.start([f"{lab.api.addr}:6443", "127.0.0.1:6443"], lab.dir / "api", netns=lab.api.ns,
                      extra=["--state", lab.dir / "state"])
    for node in lab.nodes:
        if node.alive():
            node.wait_synced(15)


def test_api_killed(bare):
    """The API server is killed for longer than the Leases: every address answers all the time, a node that is killed then is
    replaced as fast as ever, and when the API is back nothing moves. F4, F12, F21."""
    lab = bare(pods=False, proxy=False, config=SHORT_LEASES).start()
    w = lab.host("w", 51)
    ips = serve(lab, 6)
    with Answers(w, ips) as answers:
        stop_api(lab)
        owners = {ip: answers.wait_one(ip, answers.now(), 0.0, 0.2) for ip in ips}
        begin = answers.now()
        answers.look_on(600 if LONG else 60, lambda: all(answers.macs(ip, begin) <= {owners[ip]} for ip in ips))
        answers.never_silent(begin, 0.3)
        killed = answers.now()
        lab.node_of_mac(owners[ips[0]]).kill()
        for ip in ips:
            if owners[ip] == owners[ips[0]]:
                answers.wait_other(ip, owners[ips[0]], killed, TAKEN_S)
        answers.never_silent(killed, TAKEN_S)
        begin = answers.now()
        owners = {ip: answers.wait_one(ip, begin, 0.0) for ip in ips}
        start_api(lab)
        answers.look_on(6, lambda: all(answers.macs(ip, begin) == {owners[ip]} for ip in ips))
        answers.never_silent(begin, 0.3)


@pytest.mark.parametrize("given_back", [True, False], ids=["stopped", "killed"])
def test_renamed(bare, given_back):
    """A host that has another name now: the Lease of its old name, which stays, keeps nobody from having BFD with it."""
    lab = bare(pods=False, proxy=False, config=SHORT_LEASES).start()
    serve(lab)
    node = lab.nodes[0]
    node.kill(signal.SIGTERM if given_back else signal.SIGKILL)
    node.name = "a-new-name"
    lab.create_node(node)
    node.start()
    for other in lab.nodes[1:]:
        wait_for(f"{other.name}'s session", lambda o=other: {n["name"]: n["peer"] for n in o.dump()["nodes"]}["a-new-name"] == "up",
                 5 if given_back else LEASE_S + 5)
        assert {n["name"]: n["peer"] for n in other.dump()["nodes"]}["n1"] == "never"


DEAF = ("setpriv", "--bounding-set", "-net_raw")


def test_deaf(lan):
    """A node that may not open a capture announces nothing, says so, and leaves no address dark: others have them all."""
    node = lan.nodes[2]
    node.stop()
    node.start(prefix=DEAF)
    ips = serve(lan, 9)
    with Answers(lan.w, ips) as answers:
        begin = answers.now()
        for ip in ips:
            assert lan.node_of_mac(answers.wait_one(ip, begin, 0.0)) is not node
        for vip in node.dump()["vips"]:
            assert [(e["announced"], e["reason"]) for e in vip["here"]] == [(False, "noInterface")]
        status = node.run(binary(), "status", "--control", node.control, check=False)
        assert status.returncode == 1
        assert "lbd cannot listen on eth0 (ARP): this node announces" in " ".join(status.stdout.split())
        assert "lbd needs the capability CAP_NET_RAW" in node.log.read_text()
        node.stop()
        node.start()
        know_each_other(lan)
        assert node.dump()["vips"][0]["here"][0]["reason"] == "notOwner"
        for owner in lan.nodes[:2]:
            owner.kill()
        for ip in ips:
            assert answers.wait_one(ip, answers.now(), LEASE_S + 2 * TAKEN_S) == node.mac
    assert node.stop() == 0


def test_drained_without_the_api(lan):
    """SIGTERM while there is no API server: another is asked by BFD's word, and no question is left without an answer. F13."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    with Answers(lan.w, [ip]) as answers:
        lan.kubesim.kill()
        begin = answers.now()
        assert owner.stop() == 0
        heir, took = answers.wait_other(ip, owner.mac, begin, 0.2)
        assert answers.wait_one(ip, begin, 2.5) == heir
        answers.never_silent(begin, 0.1)


def test_restarted_in_turn(bare):
    """A rolling upgrade of two nodes in a hurry: each goes as soon as the other is in step with the API, which takes all that it has at
    once, though it does not know that one's BFD yet. F13."""
    lab = bare(nodes=2, pods=False, proxy=False, config=SHORT_LEASES).start()
    w = lab.host("w", 51)
    ips = serve(lab, 8)
    know_each_other(lab)
    with Answers(w, ips) as answers:
        begin = answers.now()
        for node in lab.nodes * 3:
            assert node.stop() == 0
            node.start()
        for ip in ips:
            answers.wait_one(ip, answers.now(), 0.0)
        answers.never_silent(begin, 0.1)


@pytest.mark.parametrize("api", ["one side", "neither"])
def test_parted(bare, api):
    """The LAN is parted in two, with the API on one side or on neither: each side has one owner; after the heal there is one
    within two seconds, and nothing is dark. F2, F3, F4, F18, T1."""
    lab = bare(nodes=4, pods=False, proxy=False, config=SHORT_LEASES).start()
    w, x = lab.host("w", 51), lab.host("x", 52)
    ips = serve(lab, 8)
    far = lab.nodes[2:]
    with Answers(w, ips) as here, Answers(x, ips) as there:
        if api == "neither":
            lab.kubesim.kill()
        begin = here.now()
        lab.part(*far, x)
        for ip in ips:
            for side, mine in ((here, lab.nodes[:2]), (there, far)):
                mac = side.wait_one(ip, begin, TAKEN_S)
                assert lab.node_of_mac(mac) in mine
        here.look_on(4, lambda: all(len(a.macs(ip, begin + TAKEN_S)) == 1 for a in (here, there) for ip in ips))
        heal = here.now()
        lab.part(*far, x, heal=True)
        for ip in ips:
            assert here.wait_one(ip, heal, HEALED_S) == there.wait_one(ip, heal, HEALED_S)
        here.never_silent(heal, 0.5)


@pytest.mark.parametrize("deaf", ["owner", "others"])
def test_one_way(lan, deaf):
    """Frames pass in one direction alone: an owner that is deaf to the others goes on; others that are deaf to the owner take,
    and it goes. One is left in each case, and the address is never dark. F7."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    others = [n for n in lan.nodes if n is not owner]
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        lan.lose(*[(n, owner) if deaf == "owner" else (owner, n) for n in others])
        if deaf == "owner":
            answers.look_on(5, lambda: answers.macs(ip, begin) <= {owner.mac})
        else:
            answers.wait_other(ip, owner.mac, begin, TAKEN_S)
            assert answers.wait_one(ip, begin, 13.0) != owner.mac
        heal = answers.now()
        lan.lose()
        answers.wait_one(ip, heal, HEALED_S)
        answers.never_silent(begin, 0.5)


def firewall(host, verdict):
    host.run("nft", "add table inet fw; add chain inet fw in { type filter hook input priority 0; };"
                    f" add rule inet fw in udp dport 3784 {verdict}")


def test_no_bfd(bare):
    """A firewall lets no BFD through: all works by Leases, nothing flaps. F18, F19."""
    lab = bare(pods=False, proxy=False, config=CONFIG + FAST)
    w = lab.host("w", 51)
    for node in lab.nodes:
        firewall(node, "drop")
    lab.start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    with Answers(w, [ip]) as answers:
        begin = answers.now()
        answers.look_on(4, lambda: answers.macs(ip, begin) <= {owner.mac})
        answers.never_silent(begin, 0.3)
        assert all(n["peer"] == "never" for node in lab.nodes for n in node.dump()["nodes"])
        begin = answers.now()
        owner.kill()
        answers.wait_other(ip, owner.mac, begin, LEASE_S + RENEW_S + 1.5)


def test_bfd_goes_mute(lan):
    """A firewall begins to drop BFD: all look dead by it, but answer when they are asked, so that nothing moves; and when it
    ends neither. F9."""
    ips = serve(lan, 6)
    with Answers(lan.w, ips) as answers:
        owners = {ip: answers.wait_one(ip, answers.now(), 0.0, 0.2) for ip in ips}
        begin = answers.now()
        for node in lan.nodes:
            firewall(node, "drop")
        wait_for("all to look dead", lambda: all(n["self"] or n["peer"] == "silent" for node in lan.nodes
                                                 for n in node.dump()["nodes"]))
        answers.look_on(3, lambda: all(answers.macs(ip, begin) == {owners[ip]} for ip in ips))
        for node in lan.nodes:
            node.run("nft", "delete table inet fw")
        know_each_other(lan)
        answers.look_on(2, lambda: all(answers.macs(ip, begin) == {owners[ip]} for ip in ips))
        answers.never_silent(begin, 0.3)


def test_wrong_key(bare):
    """One node has another BFD key: the others take none of its addresses and it none of theirs; the two that agree watch each
    other, and it is replaced by its Lease. F19."""
    lab = bare(pods=False, proxy=False, config=CONFIG + FAST)
    w = lab.host("w", 51)
    odd = lab.nodes[0]
    for node in lab.nodes:
        key = lab.dir / f"{node.name}.key"
        key.write_text("another secret\n" if node is odd else "a common secret\n")
        key.chmod(0o600)
        node.start(lab.config + f"  bfd: {{keyFile: {key}}}\n", ready=False)
    for node in lab.nodes:
        node.wait_synced()
    ips = [lab.service(f"s{i}") and lab.wait_ip(f"s{i}") for i in range(8)]
    owners = {ip: lab.wait_owner(ip) for ip in ips}

    def peers(node):
        return {n["name"]: n["peer"] for n in node.dump()["nodes"] if not n["self"]}
    wait_for("the sessions", lambda: peers(lab.nodes[1]) == {"n1": "never", "n3": "up"} and
             set(peers(odd).values()) == {"never"})
    with Answers(w, ips) as answers:
        begin = answers.now()
        answers.look_on(4, lambda: all(answers.macs(ip, begin) <= {owners[ip].mac} for ip in ips))
        answers.never_silent(begin, 0.3)
        for dead, within in ((odd, LEASE_S + RENEW_S + 1.5), (lab.nodes[1], TAKEN_S)):
            lost = [ip for ip in ips if answers.wait_one(ip, answers.now(), 0.5, 0.2) == dead.mac]
            assert lost
            begin = answers.now()
            dead.kill()
            for ip in lost:
                answers.wait_other(ip, dead.mac, begin, within)


def test_rolled_out(bare):
    """The one endpoint of a Service with externalTrafficPolicy Local goes to another node: the address follows it, and is
    answered for all the time. F28."""
    lab = bare(config=CONFIG).start()
    w = lab.host("w", 51)
    lab.service("web", endpoints=False, externalTrafficPolicy="Local")
    lab.endpoints("web", pods=lab.pods[:1])
    ip = lab.wait_ip("web")
    assert lab.wait_owner(ip) is lab.nodes[0]
    know_each_other(lab)
    assert lab.wait_http(ip).startswith("pod1 ")
    with Answers(w, [ip]) as answers:
        for was, pod in ((0, 1), (1, 2), (2, 0)):
            begin = answers.now()
            lab.endpoints("web", pods=[lab.pods[pod]])
            mac, _ = answers.wait_other(ip, lab.nodes[was].mac, begin, TAKEN_S)
            assert mac == lab.nodes[pod].mac == answers.wait_one(ip, begin, TAKEN_S)
            answers.never_silent(begin, 0.1)
            assert lab.wait_http(ip).startswith(f"pod{pod + 1} ")


def test_flapping(lan):
    """The owner's link flaps: the address goes to another once and stays. F29."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        owner.link(False)
        heir, _ = answers.wait_other(ip, owner.mac, begin, TAKEN_S)
        begin = answers.now()
        for _ in range(6):
            owner.link(True)
            answers.look_on(0.6, lambda: answers.macs(ip, begin) <= {heir})
            owner.link(False)
            answers.look_on(0.3, lambda: answers.macs(ip, begin) <= {heir})
        owner.link(True)
        answers.look_on(3, lambda: answers.macs(ip, begin) == {heir})
        answers.never_silent(begin, 0.3)


def test_lossy(lan):
    """Of the frames between the nodes 30 in 100 are lost: nothing moves, and what dies is replaced all the same. F30."""
    ips = serve(lan, 6)
    owners = {ip: lan.wait_owner(ip) for ip in ips}
    with Answers(lan.w, ips) as answers:
        begin = answers.now()
        lan.lose(*[(a, b, "numgen random mod 100 < 30") for a in lan.nodes for b in lan.nodes if a is not b])
        answers.look_on(120 if LONG else 15, lambda: all(answers.macs(ip, begin) <= {owners[ip].mac} for ip in ips))
        answers.never_silent(begin, 0.3)
        begin = answers.now()
        owners[ips[0]].kill()
        for ip in ips:
            if owners[ip] is owners[ips[0]]:
                answers.wait_other(ip, owners[ip].mac, begin, 3 * TAKEN_S)


def ndisc(host, ip):
    """The MACs that answered a solicitation for ip."""
    r = host.run("ndisc6", "-n", "-q", "-m", "-r", "1", "-w", "200", ip, "eth0", check=False)
    return [m.lower() for m in re.findall(r"([0-9A-Fa-f:]{17})", r.stdout)]


def test_dual_stack(bare):
    """Each of a Service's two addresses has one owner, and another within a second of kill -9. F34."""
    lab = bare(pods=False, proxy=False, config=CONFIG.replace("]", ', "fd00:89::100-fd00:89::10f"]')).start()
    w = lab.host("w", 51)
    lab.service("web", ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
    four, six = wait_for("two addresses", lambda: len(lab.ips("web")) == 2 and lab.ips("web"))
    owner, owner6 = lab.wait_owner(four), lab.wait_owner(six)
    know_each_other(lab)
    wait_for("ndisc6's answer", lambda: ndisc(w, six) == [owner6.mac])
    resolve(lab.client, f"[{six}]", owner6.mac)
    with Answers(w, [four]) as answers:
        begin = answers.now()
        owner6.kill()
        wait_for("another's answer", lambda: set(ndisc(w, six)) - {owner6.mac}, begin + TAKEN_S - answers.now())
        heir6 = lab.wait_owner(six)
        wait_for("the client's entry", lambda: lab.client.neighbour(six) == heir6.mac, 1)
        assert set(ndisc(w, six)) == {heir6.mac}
        if owner is owner6:
            answers.wait_other(four, owner.mac, begin, TAKEN_S)
        else:
            assert answers.wait_one(four, begin, 0.0) == owner.mac


FORGE = """
import socket, sys, time
mac, ip, seconds = bytes.fromhex(sys.argv[1].replace(":", "")), socket.inet_aton(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0x0806))
end = time.monotonic() + seconds
while time.monotonic() < end:
    for operation in (b"\\0\\1", b"\\0\\2"):
        s.send(b"\\xff" * 6 + mac + bytes.fromhex("0806000108000604") + operation + mac + ip + mac + ip)
    time.sleep(0.1)
"""


@pytest.mark.parametrize("as_member", [True, False])
def test_forged_claims(lan, as_member):
    """A host claims an address in service all the time, as a foreigner or with the MAC of a node: the owner stays, defends it
    sparingly, and the one whose name it was forged in does not take it. F27."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    other = next(n for n in lan.nodes if n is not owner)
    mac = other.mac if as_member else lan.client.mac
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        forger = lan.client.popen("/usr/bin/python3", "-c", FORGE, mac, ip, 4)
        answers.look_on(5, lambda: answers.macs(ip, begin) <= {owner.mac} and lan.owners(ip) == [owner])
        assert forger.wait(5) == 0
        answers.never_silent(begin, 0.3)
        heard, sent = {mac for _, mac in answers.claims[ip]}, sum(m == owner.mac for _, m in answers.claims[ip])
        assert mac in heard and 1 <= sent <= 20
        begin = answers.now()
        owner.kill()
        assert lan.node_of_mac(answers.wait_other(ip, owner.mac, begin, TAKEN_S)[0])


def test_proxy_arp(lan):
    """A router answers for every address: what is in service is replaced all the same when its owner dies. For what is
    new it does not answer the probe (Linux routers proxy no probe of RFC 5227), but the announcement: an Event. F9, F27."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    router = lan.host("r", 53)
    router.run("ip", "link", "add", "far0", "type", "bridge")
    router.run("ip", "addr", "add", "10.99.0.1/24", "dev", "far0")
    router.run("ip", "link", "set", "far0", "up")
    router.run("sh", "-c", "cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >neigh/eth0/proxy_delay; echo 1 >conf/eth0/proxy_arp")
    router.run("ip", "route", "add", "10.89.0.64/26", "dev", "far0")  # the pool, elsewhere by its word
    wait_for("the router's answer", lambda: router.mac in lan.client.arping("10.89.0.119"))
    nodes = {n.mac for n in lan.nodes}
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        owner.kill()
        heir = lan.node_of_mac(wait_for("an heir's answer", lambda: (answers.macs(ip, begin) & nodes) - {owner.mac},
                                        TAKEN_S).pop())
        answers.look_on(3, lambda: lan.owners(ip) == [heir])
        assert {m for _, m in answers.of(ip, begin + TAKEN_S)} <= {router.mac, heir.mac}
    lan.service("new", ip="10.89.0.110")
    event = wait_for("an Event", lambda: [e for e in lan.events("new") if e["reason"] == "addressConflict"])
    assert router.mac in event[0]["message"] and lan.owners("10.89.0.110")


def test_cloned_mac(lan):
    """Two nodes have one MAC: the third keeps what it has and answers for it; when they differ again each address has one
    owner. F32."""
    ips = serve(lan, 9)
    third = next(n for n in lan.nodes if any(lan.wait_owner(ip) is n for ip in ips))
    one, two = (n for n in lan.nodes if n is not third)
    its = [ip for ip in ips if lan.wait_owner(ip) is third]
    with Answers(lan.w, ips) as answers:
        begin = answers.now()
        two.run("ip", "link", "set", "eth0", "address", one.mac)
        answers.look_on(4, lambda: all(third.mac in answers.macs(ip, begin) for ip in its if answers.now() > begin + 1))
        for ip in its:
            assert answers.longest_silence(ip, begin) < TAKEN_S
        two.run("ip", "link", "set", "eth0", "address", two.mac)
        begin = answers.now()
        for ip in ips:
            answers.wait_one(ip, begin, 15)
        for ip in its:
            assert third.announces(ip)


def test_cut_from_the_api(bare):
    """A node that loses the API alone is relieved when its Lease is over, make before break. F21."""
    lab = bare(pods=False, proxy=False, config=CONFIG + FAST).start()
    w = lab.host("w", 51)
    ip, = serve(lab)
    owner = lab.wait_owner(ip)
    with Answers(w, [ip]) as answers:
        begin = answers.now()
        owner.run("nft", "add table ip cut; add chain ip cut out { type filter hook output priority 0; };"
                         f" add rule ip cut out ip daddr {lab.api.addr} drop")
        answers.wait_other(ip, owner.mac, begin, LEASE_S + RENEW_S + 1.5)
        heir = answers.wait_one(ip, begin, LEASE_S + RENEW_S + 1.5 + 1.0)
        owner.run("nft", "delete table ip cut")
        owner.wait_synced(15)
        answers.look_on(3, lambda: answers.of(ip, answers.now() - 0.5)[-1][1] == heir)
        answers.never_silent(begin, 0.3)


def test_two_nodes(bare):
    """Two nodes and nobody else that they know: what dies is replaced; parted, each has all, and one is left after the heal.
    F1, F2."""
    lab = bare(nodes=2, pods=False, proxy=False, config=CONFIG)
    lab.management()
    lab.start()
    w, x = lab.host("w", 51), lab.host("x", 52)
    ips = serve(lab, 4)
    for node in lab.nodes:
        node.run("ip", "neigh", "flush", "dev", "eth0")
    with Answers(w, ips) as answers, Answers(x, ips) as there:
        begin = answers.now()
        lab.part(lab.nodes[1], x)
        for ip in ips:
            for side, node in ((answers, lab.nodes[0]), (there, lab.nodes[1])):
                side.wait_other(ip, (lab.nodes[1] if node is lab.nodes[0] else lab.nodes[0]).mac, begin, TAKEN_S)
                assert side.wait_one(ip, begin, TAKEN_S) == node.mac
        heal = answers.now()
        lab.part(lab.nodes[1], x, heal=True)
        for ip in ips:
            answers.wait_one(ip, heal, HEALED_S)
        answers.never_silent(heal, 0.3)
        begin = answers.now()
        lab.nodes[0].kill()
        for ip in ips:
            answers.wait_other(ip, lab.nodes[0].mac, begin, TAKEN_S)


def test_configured_witness(bare):
    """Two nodes and a witness in the configuration that no kernel knows: a node that is parted from both takes nothing and keeps what
    it has; the one that the witness answers takes all. F1."""
    lab = bare(nodes=2, pods=False, proxy=False, config=CONFIG + "elections: {witness: [10.89.0.51]}\n")
    lab.management()
    lab.start()
    w, x = lab.host("w", 51), lab.host("x", 52)
    assert w.addr == "10.89.0.51"
    ips = serve(lab, 4)
    first = lab.wait_owner(ips[0])
    for parted in sorted(lab.nodes, key=lambda n: n is first):
        well = next(n for n in lab.nodes if n is not parted)
        kept = {ip for ip in ips if lab.wait_owner(ip) is parted}
        for node in lab.nodes:
            node.run("ip", "neigh", "flush", "dev", "eth0")
        with Answers(w, ips) as answers, Answers(x, ips) as there:
            begin = answers.now()
            lab.part(parted, x)
            cut = answers.now()
            for ip in kept:
                answers.wait_other(ip, parted.mac, begin, TAKEN_S)
                assert answers.wait_one(ip, begin, TAKEN_S) == well.mac
            answers.look_on(2 * TAKEN_S, lambda: all(
                there.macs(ip, cut) <= ({parted.mac} if ip in kept else set()) for ip in ips))
            assert {ip for ip in ips if there.macs(ip, cut)} == kept
            lab.part(parted, x, heal=True)
        know_each_other(lab)


def home(lab, ip):
    """The node that is first for the address, as MetalLB reckons it."""
    return min(lab.nodes, key=lambda n: hashlib.sha256(f"{n.name}#{ip}".encode()).digest())


def test_failback(bare):
    """With failback a node that comes back gets its addresses back, make before break. F29."""
    lab = bare(pods=False, proxy=False, config=CONFIG + "elections: {failback: true, holdDown: 1s, maxShare: 0}\n").start()
    w = lab.host("w", 51)
    ips = serve(lab, 4)
    for ip in ips:
        wait_for(f"{ip} at home", lambda: lab.owners(ip) == [home(lab, ip)], 40)
    node = home(lab, ips[0])
    with Answers(w, ips) as answers:
        begin = answers.now()
        node.kill()
        for ip in ips:
            if home(lab, ip) is node:
                answers.wait_other(ip, node.mac, begin, TAKEN_S)
        begin = answers.now()
        node.start()
        wait_for("its first answer", lambda: answers.macs(ips[0], begin) >= {node.mac}, 40)
        assert answers.wait_one(ips[0], answers.now(), 0.5) == node.mac
        answers.never_silent(begin, 0.3)


def test_one_stays_dead(lan):
    """All nodes die at once and one does not come back: the others have all its addresses soon. F20."""
    ips = serve(lan, 9)
    wait_for("all claims published", lambda: sum(n["claims"] for n in lan.nodes[0].dump()["nodes"]) == len(ips), 15)
    owners = {ip: lan.wait_owner(ip) for ip in ips}
    with Answers(lan.w, ips) as answers:
        for node in lan.nodes:
            node.kill()
        dead = owners[ips[0]]
        begin = answers.now()
        back = [n for n in lan.nodes if n is not dead]
        for node in back:
            node.start(ready=False)
        for ip in ips:
            answers.wait_other(ip, dead.mac, begin, 15)
        for ip in ips:
            mac = answers.wait_one(ip, begin, 15)
            assert owners[ip] is dead or mac == owners[ip].mac


DUMMY = """ip link add ipvs0 type bridge; ip link set ipvs0 up
for ip in $*; do ip addr add $ip/32 dev ipvs0; done; echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore"""


def test_kernel_that_answers_for_everything(lan):
    """The kernel of a node has every address on a dummy and answers for all of them, as with IPVS and without strictARP: an owner
    that dies is replaced, and the address is never dark. F9."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    loud = next(n for n in lan.nodes if n is not owner)
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        loud.run("sh", "-c", DUMMY, "sh", ip)
        wait_for("the kernel's answers", lambda: loud.mac in answers.macs(ip, begin))
        answers.look_on(3, lambda: lan.owners(ip) == [owner])
        begin = answers.now()
        owner.kill()
        owner.link(False)
        wait_for("an owner", lambda: [n for n in lan.owners(ip) if n is not owner], 2 * TAKEN_S)
        answers.never_silent(begin, TAKEN_S)
