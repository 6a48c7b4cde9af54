# SPDX-License-Identifier: Apache-2.0
"""The documents' Services, applied by kubectl under each of the documents' configurations, unchanged: who gets which address or
is refused why, and who answers for it."""

import pytest
from lab import ROOT, wait_for

CONFIGS = ROOT.parent / "shared" / "configs"
SERVICES = ("nginx", "nginx2", "pool-by-annotation", "shared-tcp", "shared-udp", "openelb-style")

# What MetalLB or OpenELB makes of (reason, words of the Event), with that configuration:
OUTSIDE = ("requestNotInPool", "is in no pool")  # spec.loadBalancerIP 172.18.0.x: "not allowed in config"
NO_IP_POOL = ("poolUnknown", "the requested pool ip-pool does not exist")  # "unknown pool"
NO_EIP_POOL = ("poolUnknown", "the requested pool eip-pool does not exist")
# OpenELB looks at nothing that is not annotated lb.kubesphere.io/v1alpha1: openelb while there is no default Eip.
NOT_OPENELB = ("classless", None)


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
    "openelb-eip": ((NOT_OPENELB,) * 5 + ("172.18.0.10",), {"n1", "n2", "n3"}),
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
        wait_for(f"{ip} not announced", lambda: here(lab, ip) == {"protocolNotServed"})
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
