# SPDX-License-Identifier: Apache-2.0
"""CVE-2020-8554: who may write a Service's status or externalIPs gets no other host's traffic.

Every address that is no Service's to have is written into statuses and externalIPs of Services of all kinds. The client hears
every ARP frame of the whole test: none that speaks for such an address comes from a node, but its own for its own."""

import re
import sys

from lab import FAST, wait_for

CONFIG = f"classless: false\npools:\n- name: lan\n  addresses: [10.89.0.100-10.89.0.150]\n{FAST}"
SNIFF = """
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("eth0", 0x0806))
print("listening", flush=True)
while True:
    f = s.recv(2048)
    if len(f) >= 42 and f[12:14] == b"\\x08\\x06":
        print(f[22:28].hex(":"), socket.inet_ntoa(f[28:32]), socket.inet_ntoa(f[38:42]), flush=True)
"""
OURS = {"loadBalancerClass": "lbd.io/lbd"}
# beside those of lbd's: of another class; of none, with classless: false; not a LoadBalancer, whose status the API server guards itself
KINDS = {"other": {"loadBalancerClass": "example.com/lb"}, "bare": {}, "inside": {"type": "ClusterIP"}}


class Sniffer:
    """Who spoke for which address, in ARP's sender fields, as the client heard it."""

    def __init__(self, lab):
        self.path = lab.dir / "sniffed"
        self.process = lab.client.popen(sys.executable, "-c", SNIFF, log=self.path)
        lab.stack.callback(self.end)
        wait_for("the sniffer", lambda: "listening" in self.path.read_text())

    def end(self):
        self.process.kill()
        self.process.wait()

    def said(self):
        return {tuple(line) for line in re.findall(r"^(\S+) (\S+) \S+$", self.path.read_text(), re.M)}


def path(name):
    return f"/api/v1/namespaces/default/services/{name}"


def forge(lab, name, *ips):
    lab.patch(f"{path(name)}/status", {"status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}})


def ask(lab, ip):
    """MACs of those who answer, the machines' own addresses included."""
    return set(lab.client.arping(ip))


def test_status_and_external_ips(bare):
    """Foreign addresses, one after another, in all kinds of Services: nobody answers for them who did not before; a Service of
    lbd's gets its own status back, the others' stays as somebody wrote it."""
    lab = bare(nodes=2, pods=False, proxy=False, config=CONFIG).start()
    sniffer = Sniffer(lab)
    lab.service("victim", **OURS)
    victim = lab.wait_ip("victim")
    holder = lab.wait_owner(victim)
    for name, spec in KINDS.items():
        lab.service(name, **spec)

    free = "10.89.0.140"  # lbd's to give: in a Service of lbd's it is nobody's loss, and corrected
    # whose it is, by MAC: a public one, two nodes', the API host's (which stands for a gateway), the client's, another
    # Service's, a free one of the pool, one of the Service network
    hosts = {"8.8.8.8": None, **{n.addr: n.mac for n in lab.nodes}, lab.api.addr: lab.api.mac, lab.client.addr: lab.client.mac,
             victim: holder.mac, free: None, lab.must("GET", path("victim"))["spec"]["clusterIP"]: None}
    mine = {victim}
    for i, (ip, mac) in enumerate(hosts.items()):
        # one of lbd's for each: a status that is changed again and again is contested, and not corrected at once any more
        own = f"own{i}"
        lab.service(own, **OURS)
        address = lab.wait_ip(own)
        mine.add(address)
        lab.wait_owner(address)
        for name in (own, *KINDS):
            lab.patch(path(name), {"spec": {"externalIPs": [ip]}})
            if name != "inside" and (name, ip) != (own, free):
                forge(lab, name, ip)
        assert ask(lab, ip) <= {mac}, ip
        wait_for(f"{own} corrected after {ip}", lambda: lab.ips(own) == [address], timeout=15)
        lab.wait_owner(address)
        if ip != free:
            forge(lab, own, address, ip)
        assert ask(lab, ip) <= {mac}, ip
        # by whomever: it was gone from the status, and who announces it was settled anew
        wait_for(f"{address} to be answered for beside {ip}", lambda: ask(lab, address) == {lab.wait_owner(address).mac},
                 timeout=15)
        assert lab.ips("other") == [ip] and lab.ips("bare") == [ip]
        for node in lab.nodes:
            told = {v["ip"] for v in node.dump()["vips"] if any(e["announced"] for e in v["here"])}
            assert told <= mine, (ip, told)
    assert lab.ips("victim") == [victim] and ask(lab, victim) == {holder.mac}

    nodes = {n.mac: n for n in lab.nodes}
    wrong = [(mac, ip) for mac, ip in sniffer.said() if mac in nodes and ip not in (nodes[mac].addr, "0.0.0.0", *mine)]
    assert wrong == []
    assert {ip for _, ip in sniffer.said()} >= mine  # it hears what is said


def test_found_by_a_new_leader(bare):
    """The statuses were forged while no lbd ran: the one that starts adopts only what is a pool's."""
    lab = bare(nodes=1, pods=False, proxy=False, config=CONFIG)
    sniffer = Sniffer(lab)
    for name, ip in (("a", "8.8.8.8"), ("b", lab.client.addr), ("c", "10.89.0.120")):
        lab.service(name, **OURS)
        forge(lab, name, ip)
    lab.start()
    wait_for("all corrected", lambda: sorted(lab.ips(n) for n in "abc") == [["10.89.0.100"], ["10.89.0.101"], ["10.89.0.120"]])
    assert lab.ips("c") == ["10.89.0.120"]
    for ip in ("10.89.0.100", "10.89.0.101", "10.89.0.120"):
        lab.wait_owner(ip)
    assert ask(lab, "8.8.8.8") == set()
    node = lab.nodes[0]
    assert {ip for mac, ip in sniffer.said() if mac == node.mac} <= {
        node.addr, "10.89.0.100", "10.89.0.101", "10.89.0.120", "0.0.0.0"}
