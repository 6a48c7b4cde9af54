# SPDX-License-Identifier: Apache-2.0
"""Allocation that hangs on others: the labels of Namespaces, and other programs that write the same status."""

import contextlib
import json
import threading

from apiserver import MERGE
from lab import FAST, wait_for

BOUND = """pools:
- name: bound
  addresses: [10.89.0.110-10.89.0.115]
  serviceAllocation: {namespaceSelectors: [{matchLabels: {team: a}}]}
- name: plain
  addresses: [10.89.0.100-10.89.0.109]
""" + FAST
PLAIN = "pools:\n- name: plain\n  addresses: [10.89.0.100-10.89.0.149]\n" + FAST
NAMESPACES = "/api/v1/namespace[s]"  # a pattern, or it would be the beginning of every Service's path


def events(lab, name, reason, namespace="default"):
    return [e for e in lab.events(name, namespace) if e["reason"] == reason]


def namespace(lab, name, **labels):
    lab.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def reload(lab, config):
    before = {n.name: n.dump()["config"]["reloads"] for n in lab.nodes}
    for n in lab.nodes:
        n.config_path.write_text("apiVersion: lbd.io/v1\nkind: Config\n" + config)
    wait_for("the new configuration", lambda: all(n.dump()["config"]["reloads"] > before[n.name] for n in lab.nodes))


def reason(lab, key):
    """What the leader says of a Service."""
    dumps = [n.dump() for n in lab.nodes]
    return next((s["reason"] for d in dumps if d and d["leader"]["ready"] for s in d["services"] if s["name"] == key), None)


def test_namespace_selectors(bare):
    """A pool for Namespaces of a label: a label that comes brings the address, one that goes takes none away; Namespaces are
    not even asked for before a pool wants their labels."""
    lab = bare(nodes=2, pods=False, proxy=False, config=PLAIN).start()
    namespace(lab, "blue", team="a")
    namespace(lab, "red")
    lab.service("first", namespace="blue")
    assert lab.wait_ip("first", "blue") == "10.89.0.100"
    assert lab.kubesim.count("lbd", resource="namespaces") == 0
    reload(lab, BOUND)
    assert "namespaces" in json.dumps([n.dump()["api"] for n in lab.nodes])
    lab.service("a", namespace="blue")
    lab.service("b", namespace="red")
    assert lab.wait_ip("a", "blue") == "10.89.0.110"
    assert lab.wait_ip("b", "red") == "10.89.0.101"
    lab.service("asks", namespace="red", annotations={"lbd.io/address-pool": "bound"})
    wait_for("a refusal", lambda: events(lab, "asks", "AllocationFailed", "red"))
    assert reason(lab, "red/asks") == "poolNotAdmitted"
    lab.kubectl("label", "namespace", "red", "team=a")
    assert lab.wait_ip("asks", "red") == "10.89.0.111"
    lab.kubectl("label", "namespace", "red", "team-")
    lab.service("later", namespace="red")
    assert lab.wait_ip("later", "red") == "10.89.0.102"
    assert lab.ips("asks", "red") == ["10.89.0.111"] and lab.ips("first", "blue") == ["10.89.0.100"]
    namespace(lab, "new", team="a")  # the Service at once, whichever watch is faster
    lab.service("at-once", namespace="new")
    assert lab.wait_ip("at-once", "new") == "10.89.0.112"
    assert events(lab, "at-once", "AllocationFailed", "new") == []
    reload(lab, PLAIN)
    assert "namespaces" not in json.dumps([n.dump()["api"] for n in lab.nodes])


def test_namespaces_not_there_yet(bare):
    """While the API does not answer about Namespaces, nothing that hangs on them is given, and nobody is alarmed."""
    lab = bare(nodes=1, pods=False, proxy=False, config=BOUND)
    lab.kubesim.fault("500", match={"user": "lbd", "path": NAMESPACES})
    namespace(lab, "blue", team="a")
    lab.start()
    lab.service("a", namespace="blue")
    lab.service("b", namespace="blue", annotations={"lbd.io/address-pool": "plain"})
    assert lab.wait_ip("b", "blue") == "10.89.0.100"
    wait_for("a reason", lambda: reason(lab, "blue/a") == "namespaceUnknown")
    assert lab.ips("a", "blue") == []
    lab.kubesim.clear()
    assert lab.wait_ip("a", "blue") == "10.89.0.110"
    assert events(lab, "a", "AllocationFailed", "blue") == []


def test_namespaces_forbidden(bare):
    """Without the right to list Namespaces, the other pools serve, and the log and the Event say what is missing."""
    lab = bare(nodes=1, pods=False, proxy=False, config=BOUND)
    lab.kubesim.fault("403", match={"user": "lbd", "path": NAMESPACES})
    namespace(lab, "blue", team="a")
    lab.start()
    lab.service("b")
    assert lab.wait_ip("b") == "10.89.0.100"
    lab.service("a", namespace="blue", annotations={"lbd.io/address-pool": "bound"})
    event = wait_for("a refusal", lambda: events(lab, "a", "AllocationFailed", "blue"))[0]
    assert "its ClusterRole needs list and watch on namespaces" in event["message"]
    assert "let lbd's ClusterRole list and watch namespaces" in lab.nodes[0].log.read_text()
    assert reason(lab, "blue/a") == "namespacesForbidden"
    lab.kubesim.clear()
    assert lab.wait_ip("a", "blue", timeout=30) == "10.89.0.110"


@contextlib.contextmanager
def rival(lab, agent, ip="192.168.7.7"):
    """Another load balancer: writes its address into every Service's status, whenever another one is there."""
    end = threading.Event()

    def run():
        while not end.is_set():
            for s in lab.server.api("GET", "/api/v1/services")[1]["items"]:
                ingress = (s.get("status", {}).get("loadBalancer", {}).get("ingress") or [])
                if s["spec"]["type"] == "LoadBalancer" and [i.get("ip") for i in ingress] != [ip]:
                    lab.server.api("PATCH", f"/api/v1/namespaces/default/services/{s['metadata']['name']}/status",
                                   {"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}}, MERGE, headers={"User-Agent": agent})
            end.wait(0.02)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def status_writes(lab, name, since):
    return [w for w in lab.service_writes(since) if w["name"] == name]


def test_rival(bare):
    """servicelb left on: one Event with its name and the remedy, and no fight; what the user asks for is written all the
    same, and once the other is gone a Service without a quarrel is served as ever."""
    lab = bare(nodes=2, pods=False, proxy=False, config=PLAIN).start()
    lab.service("web")
    lab.wait_ip("web")
    since = lab.kubesim.log()[-1]["seq"]
    with rival(lab, "k3s/v1.30.4+k3s1 (linux/amd64) kubernetes"):
        event = wait_for("an Event", lambda: events(lab, "web", "StatusConflict"), timeout=20)[0]
        assert event["type"] == "Warning"
        assert '"k3s"' in event["message"] and "--disable servicelb" in event["message"]
        assert any("--disable servicelb" in n.log.read_text() for n in lab.nodes)
        assert reason(lab, "default/web") == "statusContested"
        before = status_writes(lab, "web", since)
        assert len(before) == 1, before  # the one correction
        lab.patch("/api/v1/namespaces/default/services/web", {"spec": {"loadBalancerIP": "10.89.0.140"}})
        wait_for("the user's address", lambda: any(
            w["ips"] == ["10.89.0.140"] for w in status_writes(lab, "web", since)))
        wait_for("the other's again", lambda: lab.ips("web") == ["192.168.7.7"])
        lab.service("other")
        wait_for("an Event", lambda: events(lab, "other", "StatusConflict"), timeout=20)
    assert len(status_writes(lab, "web", since)) == 2
    assert [e.get("count", 1) for e in events(lab, "web", "StatusConflict")] == [1]
    lab.service("quiet")
    ip = lab.wait_ip("quiet")
    assert lab.wait_owner(ip)


def test_many_rivals(bare):
    """With many contested Services the Events are few, and the Node says the rest."""
    lab = bare(nodes=1, pods=False, proxy=False, config=PLAIN).start()
    names = [f"s{i}" for i in range(20)]
    for name in names:
        lab.service(name, endpoints=False)
    for name in names:
        lab.wait_ip(name)
    with rival(lab, "controller/v0.0.0"):
        event = wait_for("the Node's Event", lambda: events(lab, lab.nodes[0].name, "StatusConflict"), timeout=30)[0]
    assert "MetalLB" in event["message"] and "more than 16 Services" in event["message"]
    told = wait_for("the Services' Events", lambda: (
        lambda e: e if len(e) == 17 else None)([e for e in lab.events() if e["reason"] == "StatusConflict"]))
    assert all(e.get("count", 1) == 1 for e in told)


def test_edit_by_hand(bare):
    """Somebody who edits a status by hand is corrected, and nobody is alarmed; a new leader adopts the rest as it is."""
    lab = bare(nodes=1, pods=False, proxy=False, config=PLAIN).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.patch("/api/v1/namespaces/default/services/web/status", {"status": {"loadBalancer": {"ingress": [{"ip": "192.168.7.7"}]}}})
    wait_for("the right address", lambda: lab.ips("web") == [ip])
    lab.nodes[0].stop()
    lab.patch("/api/v1/namespaces/default/services/web/status",  # a node's, as servicelb has them
             {"status": {"loadBalancer": {"ingress": [{"ip": lab.nodes[0].addr}]}}})
    lab.start()
    wait_for("the right address", lambda: lab.ips("web") == ["10.89.0.100"])
    assert events(lab, "web", "StatusConflict") == [] and reason(lab, "default/web") == "allocated"
