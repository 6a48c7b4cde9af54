# SPDX-License-Identifier: Apache-2.0
"""configFrom: cluster on the real Kubernetes: its schemas prune and fill in, its status is a door of its own, and the optional roles
of packaging/rbac.yaml suffice."""

import contextlib
import signal

import pytest

from crds import CRDS, definitions
from kubernetes import FAST, SERVICES
from lab import wait_for
from objects import lb, rv
from rules import bound, full_name, lacking, optional, rights, sentence

pytestmark = pytest.mark.k8s

CLUSTER = f"apiVersion: lbd.io/v1\nkind: Config\nconfigFrom: cluster\n{FAST}"
METALLB = "/apis/metallb.io/v1beta1/namespaces/metallb-system"
POOLS, ADVERTISEMENTS = METALLB + "/ipaddresspools", METALLB + "/l2advertisements"
EIPS = "/apis/network.kubesphere.io/v1alpha2/eips"
PATHS = {"IPAddressPool": POOLS, "L2Advertisement": ADVERTISEMENTS, "Eip": EIPS}


@pytest.fixture(scope="module")
def defined(k8s, before):
    """The kinds are there, and lbd is bound to what it may do with them."""
    for d in definitions():
        k8s.must("POST", CRDS, d)
    for path in PATHS.values():
        wait_for(f"{path} served", lambda: k8s.server.api("GET", path)[0] == 200, 20)
    with bound(k8s):
        yield k8s
    k8s.kubectl("delete", "crd", "--all")


@pytest.fixture
def lab(defined):
    """lbd on every node by the configuration in the API, as if for the first time; afterwards no object of it is left."""
    defined.forget()
    for node in defined.nodes:
        node.start(config=CLUSTER, ready=False)
    for node in defined.nodes:
        node.wait_synced(30)
    yield defined
    defined.clear()
    for path in PATHS.values():
        defined.must("DELETE", path)
    for node in defined.nodes:
        node.kill(signal.SIGTERM)


def make(lab, kind, name, spec):
    """As a user does."""
    where = {} if kind == "Eip" else {"namespace": "metallb-system"}
    group = "network.kubesphere.io/v1alpha2" if kind == "Eip" else "metallb.io/v1beta1"
    lab.server.apply({"apiVersion": group, "kind": kind, "metadata": {"name": name, **where}, "spec": spec})


def lan(lab, addresses="10.89.0.100-10.89.0.109"):
    make(lab, "IPAddressPool", "lan", {"addresses": [addresses]})
    make(lab, "L2Advertisement", "lan", {"ipAddressPools": ["lan"]})


def eip(lab):
    make(lab, "Eip", "eip", {"address": "10.89.0.110-10.89.0.111", "protocol": "layer2"})


def status(lab, path):
    return lab.must("GET", path).get("status")


def stands_still(lab, collection, name):
    o = lab.must("GET", f"{collection}/{name}")
    return lab.server.watch(f"{collection}?fieldSelector=metadata.name%3D{name}&resourceVersion={rv(o)}", 4) == []


def test_pool_advertisement_status(lab):
    """A pool and its advertisement: an address, its announcement, a pod's answer; the pool's status counts it, and is written no
    oftener than it changes."""
    lan(lab)
    lab.run_pods("web")
    ip = lab.expose("web")
    assert ip == "10.89.0.100" and lab.wait_http(ip, 20)
    want = {"assignedIPv4": 1, "assignedIPv6": 0, "availableIPv4": 9, "availableIPv6": 0}
    wait_for("the counts", lambda: status(lab, POOLS + "/lan") == want, 20)
    assert lab.must("GET", f"{SERVICES}/web")["metadata"]["annotations"]["lbd.io/ip-allocated-from-pool"] == "lan"
    assert stands_still(lab, POOLS, "lan")


def test_eip_status(lab):
    """OpenELB's Eip, with what its status says."""
    eip(lab)
    lab.run_pods("web")
    lab.must("POST", SERVICES, {**lb("web", selector={"app": "web"}), "metadata": {"name": "web", "annotations": {
        "lb.kubesphere.io/v1alpha1": "openelb", "eip.openelb.kubesphere.io/v1alpha2": "eip"}}})
    ip = lab.wait_ip("web")
    assert ip == "10.89.0.110" and lab.wait_http(ip, 20)
    want = {"occupied": False, "ready": True, "v4": True, "usage": 1, "poolSize": 2, "firstIP": "10.89.0.110",
            "lastIP": "10.89.0.111", "used": {"10.89.0.110": "default/web"}}
    wait_for("the status", lambda: status(lab, EIPS + "/eip") == want, 20)
    assert stands_still(lab, EIPS, "eip")


def test_bad_edit(lab):
    """What the schema lets through and lbd does not: an Event on the object, and what was in force stays; corrected, it counts."""
    lan(lab)
    lab.run_pods("web")
    ip = lab.expose("web")
    lab.wait_http(ip, 20)
    make(lab, "IPAddressPool", "lan", {"addresses": ["10.89.0.300/24"]})
    wait_for("an Event", lambda: any("10.89.0.300/24" in e["message"] for e in lab.events("lan", "metallb-system")), 20)
    assert lab.ips("web") == [ip] and lab.client.curl(ip)
    make(lab, "IPAddressPool", "lan", {"addresses": ["10.89.0.100-10.89.0.119"]})
    wait_for("the correction", lambda: all(n.dump()["config"]["state"] == "current" for n in lab.nodes), 20)
    assert lab.ips("web") == [ip]


def test_definition_goes_and_comes(lab):
    """The pools' definition is deleted, and all of them with it: the addresses stay. It comes back with a pool: that counts."""
    lan(lab)
    lab.run_pods("web")
    ip = lab.expose("web")
    owner = lab.wait_owner(ip)
    definition = next(d for d in definitions() if d["spec"]["names"]["kind"] == "IPAddressPool")
    lab.kubectl("delete", "crd", "ipaddresspools.metallb.io")
    try:
        wait_for("the loss", lambda: all("no longer serves IPAddressPool" in n.log.read_text() for n in lab.nodes), 60)
        assert lab.ips("web") == [ip] and lab.wait_owner(ip) is owner and lab.client.curl(ip)
    finally:
        wait_for("its definition again", lambda: lab.server.api("POST", CRDS, definition)[0] == 201, 20)
    wait_for("the kind served", lambda: lab.server.api("GET", POOLS)[0] == 200, 20)
    make(lab, "IPAddressPool", "new", {"addresses": ["10.89.0.100-10.89.0.119"]})
    wait_for("the new pool", lambda: all([p["name"] for p in n.dump()["pools"]] == ["new"] for n in lab.nodes), 90)
    assert lab.ips("web") == [ip] and lab.client.curl(ip)


def test_configmap(lab):
    """MetalLB's old ConfigMap: one, by its name."""
    path = "/api/v1/namespaces/metallb-system/configmaps"
    lab.must("POST", path, {"metadata": {"name": "config"}, "data": {
        "config": "address-pools:\n- name: old\n  protocol: layer2\n  addresses: [10.89.0.110-10.89.0.112]\n"}})
    try:
        lab.run_pods("web")
        ip = lab.expose("web")
        assert ip == "10.89.0.110" and lab.wait_http(ip, 20)
    finally:
        lab.must("DELETE", path + "/config")


def test_secret(lab):
    """The Secret that a BGPPeer names, by a right on that name alone; one whose name has no right is refused, and said so."""
    peers = "/apis/metallb.io/v1beta2/namespaces/metallb-system/bgppeers"
    secrets = "/api/v1/namespaces/metallb-system/secrets"
    for name in ("tor1", "tor2"):
        lab.must("POST", secrets, {"metadata": {"name": name}, "type": "kubernetes.io/basic-auth",
                                   "stringData": {"username": "u", "password": "hush-hush"}})
        lab.must("POST", peers, {"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": {"name": name}, "spec": {
            "myASN": 64500, "peerASN": 64501, "peerAddress": f"10.0.0.{name[-1]}", "passwordSecret": {"name": name}}})
    try:
        state = lambda node: {p["name"]: p["passwordSecret"] for p in node.dump()["peers"]}
        for node in lab.nodes:
            wait_for("the Secrets", lambda: state(node).get("tor1") == "read" and state(node).get("tor2") not in (None, "read"), 20)
            assert 'cannot get resource \\"secrets\\"' in node.log.read_text() and "hush" not in node.log.read_text()
    finally:
        for path in (peers, secrets):
            for name in ("tor1", "tor2"):
                lab.must("DELETE", f"{path}/{name}")


def test_nothing_was_refused(lab, before):
    """Of all that configFrom: cluster asked for and wrote."""
    refused = [r for r in lab.server.refused(before)
               if (r["resource"] or "").split("/")[0] in ("ipaddresspools", "l2advertisements", "eips", "configmaps", "events")]
    assert refused == [] and all(n.dump()["api"]["refused"] == [] for n in lab.nodes)


def asked_in(resource):
    """The namespace that lbd asks in."""
    return "metallb-system" if resource in ("configmaps", "ipaddresspools/status") else None


@contextlib.contextmanager
def one_without(lab, role, group, resource, verb):
    """A new lbd on the first node, alone, which lacks this right of an optional role, has said so once, and lives. No status is
    written yet."""
    node, full = lab.nodes[0], full_name(group, resource)
    for other in lab.nodes:
        other.kill(signal.SIGTERM)
    for path in (f"{POOLS}/lan", f"{EIPS}/eip"):
        lab.patch(path + "/status", {"status": None})
    begin = len(node.log.read_text())
    said = lambda: node.log.read_text()[begin:]
    with lacking(lab, role, group, resource, verb, asked_in(resource), "config" if resource == "configmaps" else None):
        node.start(config=CLUSTER, ready=False)
        wait_for(f"lbd's word on {verb} {full}", lambda: sentence(verb, full, asked_in(resource)) in said(), 20)
        assert node.dump()["api"]["refused"] == [f"{verb} {full}"]
        yield node, said
    assert node.alive() and said().count("the API refuses to") == 1


def test_each_right_is_needed(lab):
    """As in test_rights.py: without it lbd says so, and of no other; what does not need it goes on."""
    lan(lab)
    eip(lab)
    for role in (optional("lbd-config"), optional("lbd-configmap")):
        for _, group, resource, verb in rights(role):
            with one_without(lab, role, group, resource, verb):
                pass


@pytest.mark.parametrize("resource,verb", [("ipaddresspools", "list"), ("l2advertisements", "watch")])
def test_right_is_given(lab, resource, verb):
    """One that was lacking at the start: all is well without a restart."""
    lan(lab)
    eip(lab)
    with one_without(lab, optional("lbd-config"), "metallb.io", resource, verb) as (node, said):
        pass
    wait_for("nothing refused", lambda: node.dump()["api"]["refused"] == [], 60)
    lab.run_pods("web", lab.pods[:1])
    assert lab.wait_http(lab.expose("web"), 20)
    assert said().count("the API no longer refuses to") == 1


def test_status_may_be_lacking(lab):
    """Without the right to write pools' status all else works."""
    lan(lab)
    eip(lab)
    with one_without(lab, optional("lbd-config"), "metallb.io", "ipaddresspools/status", "patch"):
        lab.run_pods("web", lab.pods[:1])
        assert lab.wait_http(lab.expose("web"), 20)
        wait_for("the Eip's status", lambda: status(lab, EIPS + "/eip"), 20)
        assert not status(lab, POOLS + "/lan")
