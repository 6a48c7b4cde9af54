# SPDX-License-Identifier: Apache-2.0
"""The documents' Services, applied by kubectl under each of the documents' configurations, unchanged: who gets which address or
is refused why, and who answers for it."""

import json

import pytest
from lab import FAST, ROOT, wait_for

CONFIGS = ROOT.parent / "shared" / "configs"
SERVICES = ("nginx", "nginx2", "pool-by-annotation", "shared-tcp", "shared-udp", "openelb-style")

# What MetalLB or OpenELB makes of (reason, words of the Event), with that configuration:
OUTSIDE = ("requestNotInPool", "is in no pool")  # spec.loadBalancerIP 172.18.0.x: "not allowed in config"
NO_IP_POOL = ("poolUnknown", "the requested pool ip-pool does not exist")  # "unknown pool"
NO_EIP_POOL = ("poolUnknown", "the requested pool eip-pool does not exist")


def only_nginx(ip):
    """One pool, by another name and somewhere else: only who asks for nothing gets something."""
    return (ip, OUTSIDE, NO_IP_POOL, OUTSIDE, OUTSIDE, NO_EIP_POOL)


# configuration -> what each of SERVICES gets; by whom it is announced (None: by BGP, which is not served yet)
TABLE = {
    # MetalLB gives the first address of a CIDR, .0 as well.
    "metallb-configmap-bgp": (only_nginx("192.168.10.0"), None),
    "metallb-configmap-bgp-advertisements": (only_nginx("198.51.100.0"), None),
    # avoid-buggy-ips: not .0
    "metallb-configmap-node-selectors": (only_nginx("198.51.100.1"), None),
    "metallb-configmap-l2": (only_nginx("10.10.8.200"), {"n1", "n2", "n3"}),
    # A Service of one family, IPv4; the pool's ranges in their order.
    "metallb-cr-dual-stack": (only_nginx("192.168.10.0"), {"n1", "n2", "n3"}),
    # Two pools that are alike: MetalLB takes either, lbd the first of the file, which node-3 alone announces.
    "metallb-cr-l2-node-selectors": (only_nginx("192.168.209.150"), {"n3"}),
    # What the Services were written for; sharing: one key, TCP and UDP.
    "metallb-cr-l2": (("172.18.0.10", "172.18.0.20", "172.18.0.11", "172.18.0.21", "172.18.0.21", NO_EIP_POOL),
                      {"n1", "n2", "n3"}),
    # OpenELB serves only openelb-style, the annotated one; lbd, as long as classless is true, the others as well.
    "openelb-eip": (("172.18.0.10", "172.18.0.20", NO_IP_POOL, "172.18.0.21", "172.18.0.21", "172.18.0.11"),
                    {"n1", "n2", "n3"}),
}


def refused(lab, name):
    """(reason, Event's words or None) once the leader has decided."""
    for node in lab.nodes:
        for s in node.dump()["services"]:
            if s["name"] == f"default/{name}" and s["reason"] != "noIPAllocated":
                events = [e["message"] for e in lab.events(name) if e["reason"] == "AllocationFailed"]
                return s["reason"], events[-1] if events else None
    return None


def here(lab, ip):
    """The reasons that the nodes give for ip."""
    return {e["reason"] for n in lab.nodes for v in n.dump()["vips"] if v["ip"] == ip for e in v["here"]}


def check_refused(lab, name, reason, words):
    if words is None:
        wait_for(f"{name} left alone", lambda: refused(lab, name) == (reason, None))
    else:
        wait_for(f"{name} refused", lambda: (refused(lab, name) or ("", None))[1])
        got = refused(lab, name)
        assert got[0] == reason and words in got[1], (name, got)
    assert lab.ips(name) == []


def check_announced(lab, ip, by):
    if by is None:
        wait_for(f"{ip} not announced", lambda: here(lab, ip) == {"bgpOnly"})
        assert lab.client.arping(ip) == []
        return
    owner = lab.wait_owner(ip, timeout=20)
    assert owner.name in by
    assert set(lab.client.arping(ip, count=2, timeout=2)) == {owner.mac}


def test_table_is_complete():
    """Each configuration that there is has its line."""
    assert {p.stem for p in CONFIGS.glob("*.yaml")} == {*TABLE, "services"}


@pytest.mark.parametrize("name", TABLE)
def test_documents(bare, name):
    """Each Service has the very address, or the refusal, that the configuration's own load balancer would give it."""
    want, by = TABLE[name]
    lab = bare(nodes=3, pods=False, proxy=False)
    for i, node in enumerate(lab.nodes, 1):
        lab.patch(f"/api/v1/nodes/{node.name}", {"metadata": {"labels": {"kubernetes.io/hostname": f"node-{i}"}}})
    lab.start(config=(CONFIGS / f"{name}.yaml").read_text())
    lab.kubectl("apply", "-f", CONFIGS / "services.yaml")
    for service in SERVICES:
        lab.endpoints(service)
    for service, answer in zip(SERVICES, want):
        if isinstance(answer, str):
            assert lab.wait_ip(service) == answer, service
            check_announced(lab, answer, by)
        else:
            check_refused(lab, service, *answer)


OPENELB = {"lb.kubesphere.io/v1alpha1": "openelb"}


def eip(name, address, annotations=None, **spec):
    return json.dumps({"apiVersion": "network.kubesphere.io/v1alpha2", "kind": "Eip",
                       "metadata": {"name": name, "annotations": annotations or {}},
                       "spec": {"address": address, "protocol": "layer2", **spec}})


def test_eip_can_reach(bare):
    """interface: can_reach:ADDRESS is the link of the route to it, though another link has the Eip's subnet; it follows the
    route."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    node.run("ip", "link", "add", "alt0", "type", "veth", "peer", "name", "alt1")
    node.run("ip", "addr", "add", "172.18.0.1/24", "dev", "alt0")
    for link in ("alt0", "alt1"):
        node.run("ip", "link", "set", link, "up")
    default = {"eip.openelb.kubesphere.io/is-default-eip": "true"}
    lab.start(config=eip("e", "172.18.0.10-172.18.0.30", default, interface="can_reach:10.89.0.50"))
    lab.service("web")

    def link(ip):
        return [e["interface"] for v in node.dump()["vips"] if v["ip"] == ip for e in v["here"] if e["announced"]]
    ip = lab.wait_ip("web")
    wait_for("announced towards the address", lambda: link(ip) == ["eth0"])
    assert lab.client.arping(ip) == [node.mac]
    node.run("ip", "route", "add", "10.89.0.50/32", "dev", "alt0")
    wait_for("announced where the route leads now", lambda: link(ip) == ["alt0"], timeout=15)
    assert lab.client.arping(ip) == []


def test_eip_disable(bare):
    """A disabled Eip gives nothing new; what it gave stays and is answered for, across a change of leader too."""
    lab = bare(nodes=2, pods=False, proxy=False)
    on, off = (eip("e", "10.89.0.100-10.89.0.109", interface="eth0", disable=d) for d in (False, True))
    ask = {**OPENELB, "eip.openelb.kubesphere.io/v1alpha2": "e"}
    lab.start(config=f"{on}\n---\napiVersion: lbd.io/v1\nkind: Config\n{FAST}")
    lab.service("old", annotations=ask)
    ip = lab.wait_ip("old")
    lab.wait_owner(ip)
    before = lab.nodes[0].dump()["config"]["hash"]
    for node in lab.nodes:
        node.config_path.write_text(f"{off}\n---\napiVersion: lbd.io/v1\nkind: Config\n{FAST}")
    wait_for("the other configuration", lambda: all(n.dump()["config"]["hash"] != before for n in lab.nodes))
    lab.service("new", annotations=ask)
    check_refused(lab, "new", "poolNotAdmitted", "the requested pool e is disabled")
    next(n for n in lab.nodes if n.dump()["leader"]["self"]).stop()
    owner = lab.wait_owner(ip, timeout=15)
    lab.service("newer", annotations=ask)
    wait_for("the other leader's refusal", lambda: any(
        "is disabled" in e["message"] for e in lab.events("newer")), timeout=15)
    assert lab.ips("old") == [ip] and lab.client.arping(ip) == [owner.mac]


def test_eip_namespaces(bare):
    """An Eip's namespaceSelector: Services of a namespace with these labels that name no Eip get one of it, the others one of the
    default Eip."""
    lab = bare(nodes=1, pods=False, proxy=False)
    default = eip("plain", "10.89.0.100-10.89.0.109", {"eip.openelb.kubesphere.io/is-default-eip": "true"}, interface="eth0")
    bound = eip("bound", "10.89.0.110-10.89.0.119", interface="eth0", namespaceSelector={"team": "a"})
    for name, labels in (("blue", {"team": "a"}), ("red", {})):
        lab.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    lab.start(config=f"{default}\n---\n{bound}\n---\napiVersion: lbd.io/v1\nkind: Config\n{FAST}")
    for name, want in (("blue", "10.89.0.110"), ("red", "10.89.0.100")):
        lab.service("web", namespace=name, annotations=OPENELB)
        assert lab.wait_ip("web", name) == want
    lab.service("asks", namespace="red", annotations={**OPENELB, "eip.openelb.kubesphere.io/v1alpha2": "bound"})
    assert lab.wait_ip("asks", "red") == "10.89.0.111"  # who names an Eip gets it, whatever the namespace
    assert "not served" not in lab.nodes[0].log.read_text()
