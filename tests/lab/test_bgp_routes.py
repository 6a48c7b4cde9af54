# SPDX-License-Identifier: Apache-2.0
"""What lbd announces by BGP, as the routers of the laboratory print it."""

import time

import pytest

from lab import ROOT, wait_for
from peering import ASN, DUAL, config, peer, said
from routers import ROUTERS, Bird, ExaBgp, Frr, Neighbor, those_that

ALL = pytest.mark.parametrize("kind", ROUTERS, ids=lambda k: k.name)
CONFIGS = ROOT.parent / "shared" / "configs"

NAMES = [{"name": "no-adv", "value": "65535:65282"}, {"name": "shop", "value": "65000:7"}, {"name": "big", "value": "large:4200000000:1:2"}]


def advertise(name="all", **more):
    return {"name": name, "ipAddressPools": ["rack"], **more}


def wait_routes(router, *prefixes):
    wait_for(f"{router.name}: {prefixes}", lambda: set(router.routes()) == set(prefixes), interval=0.1)


@ALL
@pytest.mark.parametrize("inside", [False, True], ids=["ebgp", "ibgp"])
def test_attributes(rack, kind, inside):
    """Host routes and aggregates of both families, standard and large communities by number and by name, MULTI_EXIT_DISC, and
    the local preference, which only iBGP is told."""
    host = advertise("host", localPref=150, med=20, communities=["shop", "65000:1", "big", "large:64500:3:4"])
    net = advertise("net", aggregationLength=24, aggregationLengthV6=121, communities=["65000:24"])
    asn = ASN if inside else 64501
    lab = rack(config(peer(peerASN=asn, dualStackAddressFamily=True), advertisements=[host, net], communities=NAMES))
    router = lab.up(kind, asn=asn)
    v4, v6 = lab.vips("web", **DUAL)
    wait_routes(router, f"{v4}/32", f"{v6}/128", "10.99.0.0/24", "fd00:99::/121")
    for prefix, wide in ((v4, False), (v6, False), ("10.99.0.0/24", True), ("fd00:99::/121", True)):
        path, = router.wait_paths(prefix)
        assert path.as_path == (() if inside else (ASN,))
        assert path.communities == ({"65000:24"} if wide else {"65000:7", "65000:1"})
        assert path.large == (frozenset() if wide else {"4200000000:1:2", "64500:3:4"})
        assert path.local_pref == (150 if inside and not wide else 100)
        assert path.med == (0 if wide else 20)
        assert path.next_hop == lab.address(lab.nodes[0], 6 if ":" in prefix else 4)


@ALL
def test_well_known_communities(rack, kind):
    """RFC 1997's and GRACEFUL_SHUTDOWN, as numbers and by a name of the configuration."""
    known = ["no-adv", "65535:65281", "65535:65283", "65535:0"]
    lab = rack(config(peer(), advertisements=[advertise(communities=known)], communities=NAMES))
    router = lab.up(kind)
    path, = router.wait_paths(lab.vips("web")[0])
    assert path.communities == {"65535:65282", *known[1:]}


@ALL
def test_merged(rack, kind):
    """Several advertisements of one prefix: it is announced once, with the communities of all."""
    some = [advertise(f"a{i}", communities=[f"65000:{i}", f"large:64500:0:{i}"]) for i in range(3)]
    lab = rack(config(peer(), advertisements=some))
    router = lab.up(kind)
    vip, = lab.vips("web")
    path, = router.wait_paths(vip)
    assert path.communities == {f"65000:{i}" for i in range(3)} and path.large == {f"64500:0:{i}" for i in range(3)}
    assert set(router.routes()) == {f"{vip}/32"}


@pytest.mark.parametrize("kind", those_that("bandwidth"), ids=lambda k: k.name)
def test_link_bandwidth(rack, kind):
    """Local: a node with three ready endpoints is given three times what one with a single one is."""
    lab = rack(config(peer(), advertisements=[advertise(linkBandwidth=True)]), nodes=2)
    router = lab.up(kind)
    n1, n2 = lab.nodes
    lab.service("web", endpoints=False, externalTrafficPolicy="Local")
    ready = [{"ip": f"10.244.0.{i}", "node": node.name, "name": f"p{i}"} for i, node in enumerate((n1, n1, n1, n2), 1)]
    lab.endpoints("web", pods=ready)
    vip = lab.wait_ip("web")
    by = {p.source: p.bandwidth for p in router.wait_paths(vip, 2)}
    assert by[n2.addr] > 0 and by[n1.addr] == 3 * by[n2.addr]
    lab.endpoints("web", pods=ready[1:])
    wait_for("another share", lambda: {p.source: p.bandwidth for p in router.paths(vip)}[n1.addr] == 2 * by[n2.addr])


@ALL
def test_local(rack, kind):
    """externalTrafficPolicy Local: the nodes with a ready endpoint, and they alone; Cluster: every node."""
    lab = rack(nodes=3)
    router = lab.up(kind)
    n1, n2, n3 = lab.nodes
    lab.service("web", endpoints=False, externalTrafficPolicy="Local")
    vip = lab.wait_ip("web")
    pods = [{"ip": f"10.244.{i}.2", "node": n.name, "name": f"p{i}"} for i, n in enumerate(lab.nodes)]

    def sources(*nodes):
        wait_for(f"{[n.name for n in nodes]}", lambda: {p.source for p in router.paths(vip)} == {n.addr for n in nodes}, interval=0.1)
    lab.endpoints("web", pods=[pods[0], pods[2]])
    sources(n1, n3)
    lab.endpoints("web", pods=pods[1:])
    sources(n2, n3)
    lab.endpoints("web", pods=pods[:1], ready=False)
    sources()
    lab.patch("/api/v1/namespaces/default/services/web", {"spec": {"externalTrafficPolicy": "Cluster"}})
    sources()  # nobody is ready at all
    lab.endpoints("web", pods=pods[:1])
    sources(n1, n2, n3)


@ALL
def test_host_routes_for_local(rack, kind):
    """hostRoutesForLocal: a Local Service is announced by itself, whatever the aggregation: another node's clients must not come here
    for it.  Without it the aggregate is announced."""
    def wide(always):
        return config(peer(), advertisements=[advertise(aggregationLength=24, hostRoutesForLocal=always)])
    lab = rack(wide(True))
    router = lab.up(kind)
    (one,), _ = lab.vips("one", externalTrafficPolicy="Local"), lab.vips("two")
    wait_routes(router, f"{one}/32", "10.99.0.0/24")
    lab.delete_service("two")
    wait_routes(router, f"{one}/32")
    lab.configure(wide(False))
    wait_routes(router, "10.99.0.0/24")


@ALL
def test_withdrawn(rack, kind):
    """A Service's prefix goes with the Service, an aggregate with its last one."""
    net = advertise("net", aggregationLength=24)
    lab = rack(config(peer(), advertisements=[advertise(), net]))
    router = lab.up(kind)
    (one,), (two,) = lab.vips("one"), lab.vips("two")
    wait_routes(router, f"{one}/32", f"{two}/32", "10.99.0.0/24")
    session = router.session(lab.nodes[0].addr)
    lab.delete_service("one")
    wait_routes(router, f"{two}/32", "10.99.0.0/24")
    lab.delete_service("two")
    wait_routes(router)
    wait_for("the count", lambda: said(lab.nodes[0])["announced"] == {"ipv4": 0, "ipv6": 0})
    assert router.session(lab.nodes[0].addr) == session


@ALL
def test_another_advertisement(rack, kind):
    """Communities, lengths and local preference change, a peer and a pool come: the session stays what it was."""
    lab = rack(config(peer()))
    router = lab.up(kind)
    node = lab.nodes[0]
    vip, = lab.vips("web")
    router.wait_paths(vip)
    session = router.session(node.addr)

    lab.configure(config(peer(), advertisements=[advertise(communities=["65000:5"])]))
    wait_for("the community", lambda: [p.communities for p in router.paths(vip)] == [{"65000:5"}], interval=0.1)
    lab.configure(config(peer(), advertisements=[advertise(aggregationLength=25)]))
    wait_routes(router, "10.99.0.0/25")
    lab.configure(config(peer(), peer(name="other", peerAddress="10.89.0.77"), advertisements=[advertise(peers=["other"])]))
    wait_routes(router)
    lab.configure(config(peer(), advertisements=[advertise(peers=["tor"], localPref=7)]))
    wait_routes(router, f"{vip}/32")
    assert router.session(node.addr) == session and said(node)["sessions"] == 1


def test_selected(rack):
    """An advertisement's peers, nodes, pools and Services; a peer's nodes."""
    here = {"matchLabels": {"kubernetes.io/hostname": "n2"}}
    ads = [advertise("one", peers=["tor"], nodeSelectors=[here], serviceSelectors=[{"matchLabels": {"tier": "front"}}]),
           {"name": "two", "ipAddressPools": ["other"], "peers": ["frr"]}]
    pools = [{"name": "rack", "addresses": ["10.99.0.0/24"]}, {"name": "other", "addresses": ["10.98.0.0/24"], "autoAssign": False}]
    second = peer(name="frr", peerAddress="10.89.0.61", peerASN=64777, nodeSelectors=[here])
    lab = rack(config(peer(), second, advertisements=ads, pools=pools), nodes=2)
    n1, n2 = lab.nodes
    frr = Frr(lab.host("r2", 61), 64777, [Neighbor(n.addr, ASN) for n in lab.nodes])
    bird = lab.up(Bird)
    frr.wait_established(n2.addr)
    front, = lab.vips("front")
    lab.vips("back")
    other, = lab.vips("other", annotations={"lbd.io/address-pool": "other"})
    lab.patch("/api/v1/namespaces/default/services/front", {"metadata": {"labels": {"tier": "front"}}})
    wait_routes(bird, f"{front}/32")
    assert [p.source for p in bird.paths(front)] == [n2.addr]
    wait_routes(frr, f"{other}/32")
    assert [p.source for p in frr.paths(other)] == [n2.addr]
    assert not frr.established(n1.addr) and said(n1, "frr")["state"] == "Idle"


def test_once(rack):
    """ExaBGP prints what it is told: 60 Services in few UPDATEs, no prefix twice, one End-of-RIB; a Service more, one UPDATE."""
    lab = rack()
    for i in range(60):
        lab.service(f"s{i}")
    router = lab.start_router(ExaBgp)
    lab.start()
    wait_for("60 addresses", lambda: len(router.routes()) == 60, 20, 0.1)
    lab.vips("web")
    wait_for("another route", lambda: len(router.routes()) == 61, interval=0.1)
    time.sleep(1)
    told = router.told_of(lab.nodes[0].addr)
    prefixes = [p["nlri"] for m in told for hops in m.get("update", {}).get("announce", {}).values() for ps in hops.values() for p in ps]
    assert len(prefixes) == len(set(prefixes)) == 61
    assert sum("eor" in m for m in told) == 1


# configuration -> what its one Service is announced with: {prefix: communities}
DOCUMENTS = {
    "metallb-configmap-bgp": {"192.168.10.0/32": set()},
    "metallb-configmap-bgp-advertisements": {"198.51.100.0/32": {"65535:65282"}, "198.51.100.0/24": set()},
    "metallb-configmap-node-selectors": {"198.51.100.1/32": set()},
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(rack, name):
    """Each configuration of the documents that has BGP, unchanged: what MetalLB would announce, from where."""
    lab = rack()
    lab.config = (CONFIGS / f"{name}.yaml").read_text()
    node = lab.nodes[0]
    for host, own in ((lab.gateway, "10.0.0.1/24"), (node, "10.0.0.9/24")):
        host.run("ip", "addr", "add", own, "dev", "eth0")
    router = lab.start_router(Bird, neighbors=[Neighbor("10.0.0.9", ASN)])
    lab.start()
    if name == "metallb-configmap-node-selectors":
        time.sleep(2)
        assert not router.established("10.0.0.9")
        lab.patch("/api/v1/nodes/n1", {"metadata": {"labels": {"rack": "frontend"}}})
    router.wait_established("10.0.0.9")
    lab.vips("web")
    wait_routes(router, *DOCUMENTS[name])
    for prefix, communities in DOCUMENTS[name].items():
        path, = router.paths(prefix)
        assert (path.as_path, path.next_hop, path.communities, path.local_pref) == ((ASN,), "10.0.0.9", communities, 100)


def test_every_document_with_bgp():
    """None is left out above."""
    with_bgp = {p.stem for p in CONFIGS.glob("*.yaml") if "peer" in p.read_text().lower()}
    assert with_bgp == set(DOCUMENTS)
