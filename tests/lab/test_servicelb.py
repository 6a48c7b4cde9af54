# SPDX-License-Identifier: Apache-2.0
"""servicelb mode: Services get the addresses of the nodes, as k3s's servicelb gives them, and kube-proxy serves them."""

import subprocess

import pytest
from lab import FAST, POOL, binary, wait_for
from test_status import degraded, table

NODES = "/api/v1/nodes/"
ENABLE, GROUP = "svccontroller.k3s.cattle.io/enablelb", "svccontroller.k3s.cattle.io/lbpool"
PORT_81 = [{"name": "http", "port": 81, "targetPort": 8080, "protocol": "TCP"}]
HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
ALL = ["10.89.0.11", "10.89.0.12", "10.89.0.13"]
LAN = f"pools:\n- name: lan\n  addresses: [{POOL}]\n"


@pytest.fixture
def slb(bare):
    """Three nodes whose configuration has no pool."""
    return bare(config=FAST).start()


def wait_ips(lab, name, ips, timeout=10):
    def same():
        return lab.ips(name) == ips
    wait_for(f"{name} at {ips}", same, timeout)


def said(lab, name, reason, *texts):
    """An Event of the reason whose message has all texts."""
    def find():
        return [e for e in lab.events(name) if e["reason"] == reason and all(t in e["message"] for t in texts)]
    return wait_for(f"{reason} {texts} of {name}", find)[0]


def label(lab, node, **labels):
    names = {"enable": ENABLE, "group": GROUP}
    lab.patch(NODES + node, {"metadata": {"labels": {names[k]: v for k, v in labels.items()}}})


def addresses(lab, node, **kinds):
    lab.patch(f"{NODES}{node}/status", {"status": {"addresses": [
        {"type": kind, "address": a} for kind, v in kinds.items() for a in v]}})


def ready(lab, node, status):
    lab.patch(f"{NODES}{node}/status", {"status": {"conditions": [{"type": "Ready", "status": status}]}})


def service(lab, name):
    return lab.must("GET", f"/api/v1/namespaces/default/services/{name}")


def leader(lab):
    def one():
        return next((n for n in lab.nodes if n.alive() and (n.dump() or {"leader": {"ready": False}})["leader"]["ready"]), None)
    return wait_for("a leader that is ready", one)


def test_one_node(bare):
    """The commonest k3s: one node, an empty file. A Service gets the node's InternalIP, a client reaches it there, and
    lbd announces nothing."""
    lab = bare(nodes=1)
    lab.nodes[0].start(config="")
    lab.service("web")
    wait_ips(lab, "web", ["10.89.0.11"])
    assert "pod1 sees" in lab.wait_http("10.89.0.11")
    assert service(lab, "web")["status"]["loadBalancer"]["ingress"] == [{"ip": "10.89.0.11", "ipMode": "VIP"}]
    assert said(lab, "web", "UpdatedLoadBalancer")["message"] == "Updated LoadBalancer with new IPs: [] -> [10.89.0.11]"
    line = lab.kubectl("get", "svc", "web").stdout.splitlines()[1].split()
    assert line[3] == "10.89.0.11"
    dump = lab.nodes[0].dump()
    assert dump["config"]["servicelb"] and dump["vips"] == []
    assert [s["reason"] for s in dump["services"]] == ["nodeAddress"]
    assert "servicelb mode: Services get the nodes' own addresses" in lab.nodes[0].log.read_text()
    code, text = explain(lab.nodes[0], "web")
    assert code == 0 and text.startswith("default/web: 10.89.0.11: the address is a node's own, which answers for it itself\n")
    code, text = explain(lab.nodes[0], "10.89.0.11")
    assert code == 0 and "the address is a node's own" in text and "default/web" in text
    since = lab.kubesim.log()[-1]["seq"]
    lab.service("other", ports=PORT_81)
    wait_ips(lab, "other", ["10.89.0.11"])
    assert lab.wait_http("10.89.0.11", port=81)
    writes = [w for w in lab.kubesim.log(since) if w["resource"] == "services" and w["user"] != "admin"]
    assert len(writes) == 1


def test_dry_run(bare):
    """A dry run tells which addresses it would write, once, and what stays as servicelb has written it; it writes nothing."""
    lab = bare(pods=False, proxy=False, config=FAST)
    lab.service("web")
    lab.service("old", ports=[{"name": "dns", "port": 53, "targetPort": 8080, "protocol": "UDP"}])
    lab.patch("/api/v1/namespaces/default/services/old/status", {"status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ALL]}}})
    since = lab.kubesim.log()[-1]["seq"]
    node = lab.nodes[0].start(extra=["--dry-run"])
    line = 'dry svc=default/web ip=10.89.0.11,10.89.0.12,10.89.0.13 pool="" was="" msg="would write status"'
    wait_for("the line", lambda: line in node.log.read_text())
    wait_for("the sum", lambda: "dry run: 1 Services keep their address, 1 would get one, 0 would" in node.log.read_text())
    shown = next(s for s in node.dump()["services"] if s["name"] == "default/web")
    assert (shown["ips"], shown["wouldWrite"]["ips"]) == ([], ALL)
    lab.service("more", ports=PORT_81)
    wait_for("the other line", lambda: "default/more" in node.log.read_text())
    assert node.log.read_text().count("would write status") == 2
    assert node.stop() == 0
    assert [w for w in lab.kubesim.log(since) if w["user"] != "admin"] == []


def test_three_nodes(slb):
    """All nodes' addresses, sorted; each is answered by its node alone, and a node serves a pod of another one."""
    slb.service("web", endpoints=False)
    slb.endpoints("web", pods=[slb.pods[2]])
    wait_ips(slb, "web", ALL)
    for ip in ALL:
        assert "pod3 sees" in slb.wait_http(ip)
    rows = {r["ADDRESS"]: r["STATUS"] for r in table(slb.nodes[0], "services")}
    assert rows == dict.fromkeys(ALL, "the address is a node's own, which answers for it itself")
    assert set(slb.client.arping(ALL[0], count=3, timeout=3)) == {slb.nodes[0].mac}


def test_local(slb):
    """externalTrafficPolicy: Local: the nodes that have a ready endpoint; the client's address is kept; none: no address."""
    slb.service("web", externalTrafficPolicy="Local", endpoints=False)
    said(slb, "web", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer", "Local")
    slb.endpoints("web", pods=[slb.pods[1]])
    wait_ips(slb, "web", ["10.89.0.12"])
    assert "pod2 sees 10.89.0.50" in slb.wait_http("10.89.0.12")
    slb.endpoints("web", pods=[slb.pods[0], slb.pods[2]])
    wait_ips(slb, "web", ["10.89.0.11", "10.89.0.13"])
    slb.endpoints("web", pods=[slb.pods[0]], ready=False)
    wait_ips(slb, "web", [])


def test_labels(slb):
    """enablelb chooses nodes as soon as one has it, lbpool among them."""
    slb.service("web")
    wait_ips(slb, "web", ALL)
    label(slb, "n2", enable="true")
    wait_ips(slb, "web", ["10.89.0.12"])
    label(slb, "n1", enable="true", group="blue")
    wait_ips(slb, "web", ["10.89.0.11", "10.89.0.12"])
    slb.patch("/api/v1/namespaces/default/services/web", {"metadata": {"labels": {GROUP: "blue"}}})
    wait_ips(slb, "web", ["10.89.0.11"])
    label(slb, "n1", enable=None)
    label(slb, "n2", enable="false")
    wait_ips(slb, "web", [])
    said(slb, "web", "UnAvailableLoadBalancer", ENABLE)
    label(slb, "n2", enable=None)
    wait_ips(slb, "web", ALL)


def test_external_ip(slb):
    """ExternalIPs outweigh InternalIPs."""
    slb.service("web")
    wait_ips(slb, "web", ALL)
    addresses(slb, "n3", InternalIP=["10.89.0.13"], ExternalIP=["192.0.2.13"])
    wait_ips(slb, "web", ["192.0.2.13"])
    said(slb, "web", "UpdatedLoadBalancer", "[10.89.0.11 10.89.0.12 10.89.0.13] -> [192.0.2.13]")


def test_dual_stack(slb):
    """The families in the order of spec.ipFamilies."""
    for i, n in enumerate(slb.nodes):
        addresses(slb, n.name, InternalIP=[n.addr, n.addr6])
    sixes = [n.addr6 for n in slb.nodes]
    slb.service("six", ipFamilies=["IPv6"], ipFamilyPolicy="SingleStack")
    wait_ips(slb, "six", sixes)
    slb.service("both", ports=PORT_81, ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="PreferDualStack")
    wait_ips(slb, "both", sixes + ALL)


def test_port_conflict(slb):
    """A port of a node belongs to one Service; the other is told which one has it, and gets it when that goes."""
    slb.service("first")
    wait_ips(slb, "first", ALL)
    slb.service("second")
    event = said(slb, "second", "UnAvailableLoadBalancer")
    assert event["message"] == "There are no available nodes for LoadBalancer: TCP port 80 is taken by default/first"
    assert event["type"] == "Warning"
    assert [s["reason"] for s in leader(slb).dump()["services"] if s["name"] == "default/second"] == ["portTaken"]
    code, text = explain(leader(slb), "second")
    assert code == 1 and "TCP port 80 is taken by default/first (portTaken)" in text
    slb.service("third", ports=PORT_81)
    wait_ips(slb, "third", ALL)
    assert slb.ips("second") == [] and slb.ips("first") == ALL
    slb.delete_service("first")
    wait_ips(slb, "second", ALL)


def test_node_not_ready(slb):
    """A node that is not Ready leaves every status, and comes back; a cordoned one stays."""
    names = [f"s{i}" for i in range(10)]
    for i, name in enumerate(names):
        slb.service(name, ports=[{"name": "http", "port": 8000 + i, "targetPort": 8080, "protocol": "TCP"}])
    for name in names:
        wait_ips(slb, name, ALL)
    since = slb.kubesim.log()[-1]["seq"]
    ready(slb, "n2", "Unknown")
    for name in names:
        wait_ips(slb, name, ["10.89.0.11", "10.89.0.13"])
    slb.patch(NODES + "n1", {"spec": {"unschedulable": True}})
    ready(slb, "n2", "True")
    for name in names:
        wait_ips(slb, name, ALL)
    writes = [w for w in slb.kubesim.log(since) if w["resource"] == "services" and w["user"] != "admin"]
    assert len(writes) == 20


def test_leader_dies(slb):
    """Another leader keeps who has which port, and writes nothing."""
    slb.service("younger")
    wait_ips(slb, "younger", ALL)
    slb.service("waits")
    said(slb, "waits", "UnAvailableLoadBalancer", "default/younger")
    since = slb.kubesim.log()[-1]["seq"]
    first = leader(slb)
    first.kill()
    assert leader(slb) is not first
    slb.service("last", ports=PORT_81)
    wait_ips(slb, "last", ALL)
    writes = [w for w in slb.kubesim.log(since) if w["resource"] == "services" and w["user"] != "admin"]
    assert [w["name"] for w in writes] == ["last"]


def test_asked_and_foreign(slb):
    """What a Service asks for is not looked at, which is said; what somebody else writes into the status is corrected."""
    slb.service("web", ip="10.89.0.12")
    wait_ips(slb, "web", ALL)
    said(slb, "web", "UpdatedLoadBalancer", "is not looked at in servicelb mode")
    slb.patch("/api/v1/namespaces/default/services/web/status", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}})
    wait_ips(slb, "web", ALL)
    slb.service("other", loadBalancerClass="example.com/x")
    slb.service("own", ports=PORT_81, loadBalancerClass="lbd.io/lbd")
    wait_ips(slb, "own", ALL)
    assert slb.ips("other") == []


def explain(node, what):
    """(exit code, what lbd explain says)."""
    r = subprocess.run([str(binary()), "explain", what, "--control", str(node.control)], capture_output=True, text=True)
    return r.returncode, r.stdout


def reload(lab, config):
    """Gives all nodes the configuration."""
    before = {n: n.dump()["config"]["reloads"] for n in lab.nodes}
    for n in lab.nodes:
        n.config_path.write_text(HEAD + config + FAST)
    for n in lab.nodes:
        wait_for(f"{n.name}'s reload", lambda n=n: n.dump()["config"]["reloads"] > before[n])


def test_reload_does_not_enter(lab):
    """The pools vanish from the file: no Service gets another address."""
    lab.service("web")
    ip = lab.wait_ip("web")
    reload(lab, "")
    assert not any(n.dump()["config"]["servicelb"] for n in lab.nodes)
    assert all("there is no pool: servicelb mode is entered at a restart" in n.log.read_text() for n in lab.nodes)
    lab.service("later", ports=PORT_81)
    wait_for("a refusal", lambda: "noPool" in [s["reason"] for s in leader(lab).dump()["services"]])
    assert lab.ips("web") == [ip] and lab.ips("later") == []


def test_reload_does_not_leave(slb):
    """Pools appear in the file: no Service gets another address, and what to do is said."""
    slb.service("web")
    wait_ips(slb, "web", ALL)
    reload(slb, LAN)
    slb.service("later", ports=PORT_81)
    wait_ips(slb, "later", ALL)
    assert slb.ips("web") == ALL and all(n.dump()["config"]["servicelb"] for n in slb.nodes)
    assert all("the pools are not used: lbd started without any" in n.log.read_text() for n in slb.nodes)
    said = "pool lan is not used: lbd started without any, in servicelb mode; restart lbd on every node to leave that mode, " \
           "or say servicelb.mode: always to stay in it"
    assert all(said in degraded(n) for n in slb.nodes)
    slb.nodes[0].stop()
    slb.nodes[0].start(config=slb.nodes[0].config_path.read_text())
    assert not slb.nodes[0].dump()["config"]["servicelb"] and said not in degraded(slb.nodes[0])
    reload(slb, LAN + "servicelb: {mode: always}\n")
    assert not any(said in degraded(n) for n in slb.nodes)


def test_mode_by_the_field(lab):
    """The field says always: Services get the nodes' addresses, nothing is announced, the pool annotation goes; it says
    never: they get addresses of the pool again."""
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    reload(lab, LAN + "servicelb: {mode: always}\n")
    wait_ips(lab, "web", ALL)
    wait_for("silence", lambda: lab.owners(ip) == [])
    assert lab.client.arping(ip) == []
    assert "lbd.io/ip-allocated-from-pool" not in service(lab, "web")["metadata"].get("annotations", {})
    said(lab, "web", "UpdatedLoadBalancer", f"[{ip}] -> [10.89.0.11 10.89.0.12 10.89.0.13]")
    assert lab.wait_http(ALL[1])
    reload(lab, LAN + "servicelb: {mode: never}\n")
    wait_for("an address of the pool", lambda: lab.ips("web") and lab.ips("web")[0].startswith("10.89.0.1") and
             lab.ips("web") != ALL)
    back = lab.ips("web")
    assert len(back) == 1 and back[0] not in ALL
    lab.wait_owner(back[0])
    assert lab.wait_http(back[0])
    assert service(lab, "web")["metadata"]["annotations"]["lbd.io/ip-allocated-from-pool"] == "lan"
