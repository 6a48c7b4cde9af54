# SPDX-License-Identifier: Apache-2.0
"""configFrom: cluster: MetalLB's and OpenELB's objects in the API are the configuration; their status says what is used."""

import time

import pytest
import yaml
from lab import FAST, ROOT, wait_for

HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
CLUSTER = f"{HEAD}configFrom: cluster\n{FAST}"
CONFIGS = ROOT.parent / "shared" / "configs"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NS = "metallb-system"

KINDS = {  # plural -> kind, group, versions
    "ipaddresspools": ("IPAddressPool", "metallb.io", ["v1beta1"]),
    "l2advertisements": ("L2Advertisement", "metallb.io", ["v1beta1"]),
    "bgppeers": ("BGPPeer", "metallb.io", ["v1beta1", "v1beta2"]),
    "eips": ("Eip", "network.kubesphere.io", ["v1alpha2"]),
}


def crd(plural, versions=None):
    kind, group, all_versions = KINDS[plural]
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Cluster" if kind == "Eip" else "Namespaced",
                     "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                     "versions": [{"name": v, "served": True, "storage": i == 0, "subresources": {"status": {}}}
                                  for i, v in enumerate(versions or all_versions)]}}


def define(lab, *plurals):
    for plural in plurals or KINDS:
        lab.must("POST", CRDS, crd(plural))


def path(plural, name="", status=False):
    _, group, versions = KINDS[plural]
    where = "" if plural == "eips" else f"/namespaces/{NS}"
    return f"/apis/{group}/{versions[0]}{where}/{plural}" + (f"/{name}" if name else "") + ("/status" if status else "")


def make(lab, plural, name, spec, **metadata):
    kind, group, versions = KINDS[plural]
    return lab.must("POST", path(plural), {"apiVersion": f"{group}/{versions[0]}", "kind": kind,
                                           "metadata": {"name": name, **metadata}, "spec": spec})


def config_state(node):
    return node.dump()["config"]["state"]


def pools(node):
    return sorted(p["name"] for p in node.dump()["pools"])


@pytest.fixture
def cluster(bare):
    """A laboratory with the kinds defined; its configuration says configFrom: cluster."""
    def create(nodes=1, kinds=(), **kw):
        lab = bare(nodes=nodes, config=CLUSTER, **kw)
        lab.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})
        define(lab, *kinds)
        return lab
    yield create


def test_pool_and_advertisement(cluster):
    """An IPAddressPool and an L2Advertisement are applied: a Service gets an address and answers; the pool is edited."""
    lab = cluster().start()
    node = lab.nodes[0]
    make(lab, "ipaddresspools", "lan", {"addresses": ["10.89.0.100-10.89.0.109"]})
    make(lab, "l2advertisements", "lan", {"ipAddressPools": ["lan"]})
    lab.service("web")
    ip = lab.wait_ip("web")
    assert ip == "10.89.0.100" and lab.wait_owner(ip) is node
    assert lab.wait_http(ip)
    lab.patch(path("ipaddresspools", "lan"), {"spec": {"addresses": ["10.89.0.105-10.89.0.109"]}})
    wait_for("another address, as with MetalLB", lambda: lab.ips("web") == ["10.89.0.105"])
    assert lab.wait_http("10.89.0.105")
    assert config_state(node) == "current"


def test_bad_edit(cluster):
    """A wrong edit changes nothing: the object gets an Event that says why, and the configuration of before stays; corrected, all
    is as it should be.  The same for two pools of one address, where both objects get the Event."""
    lab = cluster(nodes=2).start()
    make(lab, "ipaddresspools", "a", {"addresses": ["10.89.0.100-10.89.0.109"]})
    make(lab, "ipaddresspools", "b", {"addresses": ["10.89.0.110-10.89.0.119"]})
    make(lab, "l2advertisements", "all", {})
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    lab.patch(path("ipaddresspools", "a"), {"spec": {"addresses": ["10.89.0.300/24"]}})
    event = wait_for("an Event", lambda: [e for e in lab.events("a", NS) if e["reason"] == "ConfigInvalid"])[0]
    assert event["type"] == "Warning" and event["involvedObject"]["kind"] == "IPAddressPool"
    assert event["message"].startswith("spec.addresses[0]: must be made of IPv4 or IPv6 addresses (got 10.89.0.300/24)")
    for node in lab.nodes:
        wait_for("stale", lambda: config_state(node) == "stale")
        assert node.dump()["config"]["faults"][0]["name"] == "a"
        assert "IPAddressPool/metallb-system/a: spec.addresses[0]: must be" in node.log.read_text()
    make(lab, "ipaddresspools", "c", {"addresses": ["10.89.0.120-10.89.0.121"]})  # not in force: the whole counts
    lab.service("more", annotations={"metallb.io/address-pool": "c"})
    lab.service("other", annotations={"metallb.io/address-pool": "b"})
    assert lab.wait_ip("other") == "10.89.0.110"
    assert lab.ips("web") == [ip] and lab.owners(ip) == [owner] and not lab.ips("more")
    assert lab.client.arping(ip) == [owner.mac]
    lab.patch(path("ipaddresspools", "a"), {"spec": {"addresses": ["10.89.0.100-10.89.0.111"]}})
    wait_for("Events of both", lambda: all(any("overlap" in e["message"] for e in lab.events(n, NS)) for n in "ab"))
    lab.patch(path("ipaddresspools", "a"), {"spec": {"addresses": ["10.89.0.100-10.89.0.109"]}})
    assert lab.wait_ip("more") == "10.89.0.120"
    for node in lab.nodes:
        wait_for("current", lambda: config_state(node) == "current")
        assert node.dump()["config"]["faults"] == []
    assert lab.ips("web") == [ip] and lab.owners(ip) == [owner]
    assert len([e for e in lab.events("a", NS) if "300" in e["message"]]) == 1


def test_start_with_a_bad_object(cluster):
    """Where an object is wrong and there is no configuration of before: the rest is announced, nothing is allocated, no Service
    loses its address; corrected, all goes on."""
    lab = cluster(nodes=2).start()
    make(lab, "ipaddresspools", "a", {"addresses": ["10.89.0.100-10.89.0.109"]})
    make(lab, "ipaddresspools", "b", {"addresses": ["10.89.0.110-10.89.0.119"]})
    make(lab, "l2advertisements", "all", {})
    for name, pool in (("web", "a"), ("other", "b")):
        lab.service(name, annotations={"metallb.io/address-pool": pool})
    ips = {name: lab.wait_ip(name) for name in ("web", "other")}
    for node in lab.nodes:
        node.stop()
    lab.patch(path("ipaddresspools", "a"), {"spec": {"addresses": ["nonsense"]}})
    lab.start()
    for node in lab.nodes:
        wait_for("a part", lambda: config_state(node) == "partial")
    assert lab.wait_http(ips["other"])
    wait_for("an Event", lambda: any("nothing is allocated" in e["message"] for e in lab.events("a", NS)))
    lab.service("late")
    time.sleep(2)  # two leader Leases: what must not happen would have
    assert not lab.ips("late") and {name: lab.ips(name)[0] for name in ips} == ips
    lab.patch(path("ipaddresspools", "a"), {"spec": {"addresses": ["10.89.0.100-10.89.0.109"]}})
    assert lab.wait_ip("late") == "10.89.0.101"
    assert lab.wait_http(ips["web"]) and {name: lab.ips(name)[0] for name in ips} == ips


def test_kind_lost(cluster):
    """The CustomResourceDefinition is deleted, and with it every pool: the addresses stay.  It comes back with other pools: those
    count."""
    lab = cluster().start()
    node = lab.nodes[0]
    for name, addresses in (("a", "10.89.0.100-10.89.0.101"), ("b", "10.89.0.102-10.89.0.103")):
        make(lab, "ipaddresspools", name, {"addresses": [addresses]})
    make(lab, "l2advertisements", "all", {})
    for name, ip in (("a", "10.89.0.100"), ("b", "10.89.0.102")):
        lab.service(name, ip=ip)
    ips = [lab.wait_ip(name) for name in ("a", "b")]
    lab.must("DELETE", f"{CRDS}/ipaddresspools.metallb.io")
    lab.kubesim.fault("cut", match={"path": "/apis/metallb.io/v1beta1/ipaddresspools"})
    wait_for("the loss", lambda: "the API no longer serves IPAddressPool: its 2 objects stay" in node.log.read_text(), timeout=30)
    assert pools(node) == ["a", "b"] and [lab.ips(name)[0] for name in ("a", "b")] == ips
    assert all(lab.wait_http(ip) for ip in ips)
    node.stop()
    define(lab, "ipaddresspools")
    make(lab, "ipaddresspools", "c", {"addresses": ["10.89.0.100-10.89.0.105"]})
    node.start()
    assert pools(node) == ["c"] and [lab.ips(name)[0] for name in ("a", "b")] == ips


def test_kind_not_answered(cluster):
    """A server that says 404 for a while, as one that starts up does, and an advertisement that is deleted."""
    lab = cluster().start()
    node = lab.nodes[0]
    make(lab, "ipaddresspools", "a", {"addresses": ["10.89.0.100-10.89.0.101"]})
    for name in ("one", "two"):
        make(lab, "l2advertisements", name, {"ipAddressPools": ["a"]})
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    lab.kubesim.fault("404", match={"path": "/apis/metallb.io/"})
    lab.kubesim.fault("cut", match={"path": "/apis/metallb.io/"})
    wait_for("the loss", lambda: "no longer serves L2Advertisement: its 2 objects" in node.log.read_text(), timeout=30)
    assert node.announces(ip) and lab.wait_http(ip)
    lab.kubesim.clear()
    wait_for("live", lambda: all(k["state"] == "live" for k in node.dump()["config"]["kinds"]
                                 if k["kind"] in ("IPAddressPool", "L2Advertisement")), timeout=45)
    assert node.announces(ip)
    for name in ("one", "two"):
        lab.must("DELETE", path("l2advertisements", name))
    time.sleep(3)
    assert node.announces(ip), "the last one of a kind goes after CRD_EMPTIED_MS"
    wait_for("no longer announced", lambda: not node.announces(ip), timeout=30)


def test_kinds_appear_later(cluster):
    """lbd runs before MetalLB's definitions are there; they are found without a restart."""
    lab = cluster(kinds=["eips"]).start()
    node = lab.nodes[0]
    assert {k["kind"]: k["state"] for k in node.dump()["config"]["kinds"]}["IPAddressPool"] == "not served"
    define(lab, "ipaddresspools", "l2advertisements")
    make(lab, "ipaddresspools", "lan", {"addresses": ["10.89.0.100-10.89.0.109"]})
    make(lab, "l2advertisements", "lan", {})
    lab.service("web")
    assert lab.wait_http(lab.wait_ip("web", timeout=45))
    assert pools(node) == ["lan"]


def test_file_and_cluster(cluster):
    """The file changes to configFrom: cluster and back: no address is lost on the way; pools in both are refused."""
    lab = cluster(kinds=["ipaddresspools", "l2advertisements"])
    node = lab.nodes[0]
    native = f"{HEAD}pools:\n- name: lan\n  addresses: [10.89.0.100-10.89.0.109]\n{FAST}"
    node.start(config=native)
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    make(lab, "ipaddresspools", "crd", {"addresses": ["10.89.0.100-10.89.0.119"]})
    make(lab, "l2advertisements", "crd", {})
    node.config_path.write_text(native + "configFrom: cluster\n")
    wait_for("the refusal", lambda: "pools[0]: must be an object in the API: configFrom is cluster" in node.log.read_text())
    assert pools(node) == ["lan"]
    node.config_path.write_text(CLUSTER)
    wait_for("the API's pool", lambda: pools(node) == ["crd"])
    assert lab.ips("web") == [ip] and node.announces(ip)
    node.config_path.write_text(CLUSTER + "log: {level: debug}\n")
    wait_for("the new file", lambda: node.dump()["config"]["reloads"] == 2)
    node.config_path.write_text(native)
    wait_for("the file's pool", lambda: pools(node) == ["lan"])
    assert node.dump()["config"]["from"] == "file"
    assert lab.ips("web") == [ip] and node.announces(ip)


def documents(name):
    return [d for d in yaml.safe_load_all((CONFIGS / f"{name}.yaml").read_text()) if d]


@pytest.mark.parametrize("name", ["metallb-configmap-l2", "metallb-cr-l2", "openelb-eip"])
def test_shared_configurations(cluster, name):
    """What users have is applied with kubectl as it is: lbd's pools are those that the same file gives."""
    lab = cluster(pods=False, proxy=False).start()
    node = lab.nodes[0]
    for d in documents(name):
        lab.server.apply(d)
    file = lab.dir / "file.yaml"
    file.write_text((CONFIGS / f"{name}.yaml").read_text())
    want = yaml.safe_load(node.run(ROOT / "lbd", "check-config", "-p", file).stdout)["pools"]
    wait_for("the pools", lambda: pools(node) == sorted(p["name"] for p in want))
    got = {p["name"]: p["addresses"] for p in node.dump()["pools"]}
    assert sorted(got) == sorted(p["name"] for p in want)


def writes_of(lab, plural):
    return [e for e in lab.kubesim.log() if e["resource"] == plural and e["user"] == "lbd"]


def status(lab, plural, name):
    return lab.must("GET", path(plural, name)).get("status")


def test_status(cluster):
    """The leader writes how much of each pool is in use, and only when that changes; another leader goes on from there."""
    lab = cluster(nodes=2).start()
    make(lab, "ipaddresspools", "lan", {"addresses": ["10.89.0.100-10.89.0.109", "fd00:89::100-fd00:89::103"]})
    make(lab, "ipaddresspools", "wide", {"addresses": ["fd00:90::/64"], "autoAssign": False})
    make(lab, "l2advertisements", "all", {})
    make(lab, "eips", "eip", {"address": "10.89.0.110-10.89.0.111", "protocol": "layer2"})
    for name in ("a", "b"):
        lab.service(name, annotations={"metallb.io/address-pool": "lan"})
    share = {"metallb.io/address-pool": "eip", "metallb.io/allow-shared-ip": "x"}
    for i, name in enumerate(("s", "t")):
        lab.service(name, annotations=share, ports=[{"name": "p", "port": 80 + i, "targetPort": 8080, "protocol": "TCP"}])
    want = {"assignedIPv4": 2, "assignedIPv6": 0, "availableIPv4": 8, "availableIPv6": 4}
    wait_for("the pool's", lambda: status(lab, "ipaddresspools", "lan") == want, timeout=20)
    eip = {"occupied": False, "ready": True, "v4": True, "usage": 1, "poolSize": 2, "firstIP": "10.89.0.110",
           "lastIP": "10.89.0.111", "used": {"10.89.0.110": "default/s;default/t"}}
    wait_for("the Eip's", lambda: status(lab, "eips", "eip") == eip, timeout=20)
    assert status(lab, "ipaddresspools", "wide")["availableIPv6"] == 10 ** 15 - 1
    lab.delete_service("t")
    lab.delete_service("s")
    lab.service("u", annotations={"metallb.io/address-pool": "eip"}, ip="10.89.0.111")
    eip["used"] = {"10.89.0.111": "default/u"}
    wait_for("the Eip's", lambda: status(lab, "eips", "eip") == eip, timeout=20)
    n = len(writes_of(lab, "eips")) + len(writes_of(lab, "ipaddresspools"))
    next(node for node in lab.nodes if node.dump()["leader"]["self"]).kill()
    wait_for("another leader", lambda: any(node.dump()["leader"]["ready"] for node in lab.nodes if node.alive()))
    time.sleep(3)  # the new leader looks once a second
    assert len(writes_of(lab, "eips")) + len(writes_of(lab, "ipaddresspools")) == n
    lab.delete_service("a")
    want = {**want, "assignedIPv4": 1, "availableIPv4": 9}
    wait_for("the pool's", lambda: status(lab, "ipaddresspools", "lan") == want, timeout=20)
    times = [e["ns"] for e in writes_of(lab, "ipaddresspools") if e["name"] == "lan"]
    assert all(b - a >= 5e9 for a, b in zip(times[:-2], times[1:-1]))


def test_status_of_others(cluster):
    """Another who writes the same status is not fought over without end."""
    lab = cluster(pods=False, proxy=False).start()
    make(lab, "ipaddresspools", "lan", {"addresses": ["10.89.0.100-10.89.0.109"]})
    wait_for("the pool's", lambda: status(lab, "ipaddresspools", "lan"), timeout=20)
    for _ in range(2):
        n = len(writes_of(lab, "ipaddresspools"))
        lab.patch(path("ipaddresspools", "lan", status=True), {"status": {"assignedIPv4": 7}})
        wait_for("a correction", lambda: len(writes_of(lab, "ipaddresspools")) > n, timeout=30)
        assert status(lab, "ipaddresspools", "lan")["assignedIPv4"] == 0
    assert len(writes_of(lab, "ipaddresspools")) == 3


def test_secret(cluster):
    """A BGPPeer's Secret is read, in the version of the kind that the server has; nothing of it is shown."""
    lab = cluster(pods=False, proxy=False, kinds=["ipaddresspools"])
    lab.must("POST", CRDS, crd("bgppeers", ["v1beta1"]))
    secrets = f"/api/v1/namespaces/{NS}/secrets"
    node = lab.nodes[0].start()
    make(lab, "bgppeers", "tor", {"myASN": 64500, "peerASN": 64501, "peerAddress": "10.0.0.1", "passwordSecret": {"name": "tor"}})
    def peers():
        return [(p["name"], p["passwordSecret"]) for p in node.dump()["peers"]]
    wait_for("the peer", lambda: peers() == [("tor", "missing")])
    lab.must("POST", secrets, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tor"}, "type": "kubernetes.io/basic-auth",
                               "data": {"password": "aHVzaC1odXNo"}})
    lab.patch(path("bgppeers", "tor"), {"spec": {"holdTime": "30s"}})
    wait_for("the Secret", lambda: peers() == [("tor", "read")])
    assert lab.kubesim.count("lbd", "list", "secrets") == 0 and lab.kubesim.count("lbd", "get", "secrets") > 0
    assert not any(word in node.log.read_text() for word in ("hush", "aHVzaC1odXNo"))
