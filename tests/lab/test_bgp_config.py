# SPDX-License-Identifier: Apache-2.0
"""BGP by every dialect of configuration, from a file and from the API; where a session goes out; what is said of it."""

import base64

import pytest

from lab import FAST, wait_for
from peering import ASN, ROUTER_ADDR, ROUTER_ASN, config, is_up, peer, said
from routers import Bird, Frr, Neighbor

NS = "metallb-system"
HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"

CUSTOM_RESOURCES = """apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: rack}}
spec: {{addresses: [10.99.0.0/24]}}
---
apiVersion: metallb.io/{version}
kind: BGPPeer
metadata: {{name: tor}}
spec: {{myASN: 64500, peerASN: 64501, peerAddress: 10.89.0.60, password: correct-horse}}
---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {{name: names}}
spec: {{communities: [{{name: shop, value: "65000:7"}}]}}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {{name: all}}
spec: {{ipAddressPools: [rack], communities: [shop]}}
"""

DIALECTS = {
    "v1beta1": CUSTOM_RESOURCES.format(version="v1beta1"),
    "v1beta2": CUSTOM_RESOURCES.format(version="v1beta2"),
    "configmap": """peers:
- {peer-address: 10.89.0.60, peer-asn: 64501, my-asn: 64500, password: correct-horse}
bgp-communities: {shop: "65000:7"}
address-pools:
- name: rack
  protocol: bgp
  addresses: [10.99.0.0/24]
  bgp-advertisements: [{communities: [shop]}]
""",
    "openelb": """apiVersion: network.kubesphere.io/v1alpha2
kind: BgpConf
metadata: {name: default}
spec: {as: 64500, listenPort: 179}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: BgpPeer
metadata: {name: tor}
spec: {conf: {peerAs: 64501, neighborAddress: 10.89.0.60, authPassword: correct-horse}}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: Eip
metadata: {name: rack}
spec: {address: 10.99.0.0/24, protocol: bgp}
""",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(rack, dialect):
    """One peer, pool, password and (but in OpenELB's, which has none) community, as MetalLB's custom resources of both versions, its
    old ConfigMap and OpenELB say it."""
    lab = rack()
    lab.config = DIALECTS[dialect]
    router = lab.start_router(Bird, password="correct-horse")
    lab.start()
    router.wait_established(lab.nodes[0].addr)
    path, = router.wait_paths(lab.vips("web")[0])
    assert path.as_path == (ASN,) and path.communities == (set() if dialect == "openelb" else {"65000:7"})


CRDS = {"ipaddresspools": ("IPAddressPool", "v1beta1"), "bgppeers": ("BGPPeer", "v1beta2"), "bfdprofiles": ("BFDProfile", "v1beta1"),
        "bgpadvertisements": ("BGPAdvertisement", "v1beta1"), "communities": ("Community", "v1beta1")}


def define(lab):
    lab.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})
    for plural, (kind, version) in CRDS.items():
        lab.must("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.metallb.io"},
            "spec": {"group": "metallb.io", "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                     "versions": [{"name": version, "served": True, "storage": True, "subresources": {"status": {}}}]}})


def custom(lab, method, plural, name, spec=None):
    kind, version = CRDS[plural]
    path = f"/apis/metallb.io/{version}/namespaces/{NS}/{plural}"
    if method == "DELETE":
        return lab.must("DELETE", f"{path}/{name}")
    return lab.must(method, path, {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec})


def test_custom_resources(rack):
    """configFrom: cluster: the peer, its password in a Secret, its BFD profile, pool, advertisement and community are objects in the
    API; they come and go while lbd runs.  (The last of a kind would be missed only after 20 s: it might be the kind that went.)"""
    lab = rack(f"{HEAD}configFrom: cluster\n{FAST}")
    define(lab)
    router = lab.start_router(Frr, password="correct-horse", bfd=True)
    lab.start()
    node = lab.nodes[0]
    lab.must("POST", f"/api/v1/namespaces/{NS}/secrets", {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tor"}, "type": "kubernetes.io/basic-auth",
        "data": {"password": base64.b64encode(b"correct-horse").decode()}})
    custom(lab, "POST", "bfdprofiles", "fast", {"receiveInterval": 100, "transmitInterval": 100})
    custom(lab, "POST", "communities", "names", {"communities": [{"name": "shop", "value": "65000:7"}]})
    custom(lab, "POST", "ipaddresspools", "rack", {"addresses": ["10.99.0.0/24"]})
    custom(lab, "POST", "bgppeers", "tor", {"myASN": ASN, "peerASN": ROUTER_ASN, "peerAddress": ROUTER_ADDR, "bfdProfile": "fast",
                                            "passwordSecret": {"name": "tor"}})
    custom(lab, "POST", "bgppeers", "other", {"myASN": ASN, "peerASN": ROUTER_ASN, "peerAddress": "10.89.0.77"})
    router.wait_established(node.addr, timeout=40)
    wait_for("BFD", lambda: said(node)["bfd"] == "Up")
    vip, = lab.vips("web")
    assert router.paths(vip) == []
    custom(lab, "POST", "bgpadvertisements", "all", {"communities": ["shop"]})
    custom(lab, "POST", "bgpadvertisements", "net", {"aggregationLength": 24})
    path, = router.wait_paths(vip)
    assert path.communities == {"65000:7"}
    custom(lab, "DELETE", "bgpadvertisements", "all")
    router.wait_paths(vip, 0)
    assert said(node)["sessions"] == 1 and is_up(node)
    custom(lab, "DELETE", "bgppeers", "tor")
    wait_for("the end of the session", lambda: not router.established(node.addr))
    wait_for("the word", lambda: "De-configured" in router.text())
    assert "correct-horse" not in node.log.read_text() + str(node.dump())


def test_source_and_port(rack):
    """A session from another address of the node to another port of the router; the next hop is that address."""
    own = "10.89.0.211"
    lab = rack(config(peer(sourceAddress=own, peerPort=1790)))
    node = lab.nodes[0]
    node.run("ip", "addr", "add", f"{own}/24", "dev", "eth0")
    router = lab.start_router(Bird, neighbors=[Neighbor(own, ASN, port=1790)])
    lab.start()
    router.wait_established(own)
    path, = router.wait_paths(lab.vips("web")[0])
    assert (path.source, path.next_hop) == (own, own)


def test_device(rack):
    """`vrf`: the session is bound to a device (SO_BINDTODEVICE), here the one of two links to the same subnet that routing would not
    take; of a device that is not there it says so."""
    lab = rack(config(peer(peerAddress="10.95.0.2", vrf="eth1")))
    node = lab.nodes[0]
    node.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", lab.gateway.ns)
    for host, addr in ((node, "10.95.0.1"), (lab.gateway, "10.95.0.2")):
        host.run("ip", "addr", "add", f"{addr}/24", "dev", "eth1")
        host.run("ip", "link", "set", "eth1", "up")
    node.run("ip", "route", "add", "10.95.0.2/32", "dev", "eth0", "metric", "1")
    router = lab.start_router(Bird, neighbors=[Neighbor("10.95.0.1", ASN)])
    lab.start()
    router.wait_established("10.95.0.1")
    router.wait_paths(lab.vips("web")[0])
    lab.configure(config(peer(peerAddress="10.95.0.2", vrf="blue")))
    wait_for("word of it", lambda: not is_up(node) and "no such device" in said(node)["lastError"].lower())


def test_events(rack):
    """A session that comes up and goes down is an Event of the Node, with the reason in words."""
    lab = rack()
    router = lab.up(Frr)
    node = lab.nodes[0]

    def messages(reason):
        return [e["message"] for e in lab.events(node.name) if e["reason"] == reason]
    wait_for("an Event", lambda: messages("BGPSessionUp"))
    assert messages("BGPSessionUp") == [f"BGP session with tor ({ROUTER_ADDR}, AS {ROUTER_ASN}) is established"]
    router.stop()
    wait_for("another", lambda: messages("BGPSessionDown"))
    assert messages("BGPSessionDown")[0].startswith(f"BGP session with tor ({ROUTER_ADDR}) is down: ")
    assert len(messages("BGPSessionDown")[0]) > len(f"BGP session with tor ({ROUTER_ADDR}) is down: ")
