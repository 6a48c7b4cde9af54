# SPDX-License-Identifier: Apache-2.0
"""lbd explain: why a Service has its address or none, who answers for it; the same word as in its Event and in lbd dump."""

import json
import subprocess

import pytest
from lab import FAST, binary, wait_for

CONFIG = f"""pools:
- name: tiny
  addresses: [10.89.0.100/31]
- name: asked
  addresses: [10.89.0.110/32]
  autoAssign: false
{FAST}"""


def explain(node, *argv):
    """(exit code, standard output, standard error)"""
    r = subprocess.run([binary(), "explain", "--control", node.control, *argv], capture_output=True, text=True, timeout=20)
    return r.returncode, r.stdout, r.stderr


def explained(node, *argv):
    """The answer as a tree; a finding is no error here."""
    code, out, err = explain(node, *argv, "-o", "json")
    assert code in (0, 1) and err == "", (code, out, err)
    tree = json.loads(out)
    assert tree["finding"] == (code == 1)
    return tree


def rules(tree):
    return [(r["rule"], r.get("pool"), r.get("ip"), r["reason"]) for r in tree["rules"]]


def leader(lab):
    return wait_for("a leader", lambda: next((n for n in lab.nodes if n.dump()["leader"]["ready"]), None))


def refused(lab, name):
    return wait_for(f"{name} refused", lambda: [e for e in lab.events(name) if e["reason"] == "AllocationFailed"])[0]["message"]


def seen(lab, name):
    """Until every node's picture has the Service."""
    wait_for(f"{name} seen", lambda: all(any(s["name"] == f"default/{name}" for s in n.dump()["services"]) for n in lab.nodes))


@pytest.fixture
def full(bare):
    """Three nodes; a and b have the pool's two addresses, c waits for one."""
    lab = bare(pods=False, proxy=False, config=CONFIG).start()
    for name in "ab":
        lab.service(name)
        lab.wait_owner(lab.wait_ip(name))
    lab.service("c")
    refused(lab, "c")
    seen(lab, "c")
    return lab


def test_served(full):
    """Every node tells who answers, whether it is the leader or not; the leader and the rest say the same."""
    lab, ip = full, full.ips("a")[0]
    owner = lab.wait_owner(ip)
    for node in lab.nodes:
        wait_for("the owner known", lambda: explained(node, "a")["text"] == f"node {owner.name} answers for {ip}")
        tree = explained(node, "default/a")
        assert (tree["service"], tree["reason"], tree["status"], tree["decided"]) == ("default/a", "owner", [ip], [ip])
        assert rules(tree)[-1] == ("held", "tiny", ip, "allocated")
        vip = tree["vips"][0]
        assert (vip["owner"], vip["eligibleHere"], vip["advertisements"]) == (owner.name, True, ["default"])
        assert vip["next"] in {n.name for n in lab.nodes} - {owner.name}
        code, out, err = explain(node, "a")
        assert (code, err) == (0, "") and out.startswith(f"default/a: node {owner.name} answers for {ip}\n")
        assert tree["leader"]["node"] == leader(lab).name
        assert any("decides" in n for n in tree["notes"]) == (not tree["leader"]["self"])


def test_refused_agrees(full):
    """The Event, lbd dump on the leader and lbd explain on every node say the same sentence, and every rule that was tried."""
    lab = full
    lab.service("taken", ip="10.89.0.100")
    lab.service("outside", ip="192.0.2.1")
    lab.service("nopool", annotations={"lbd.io/address-pool": "none"})
    lab.service("odd", ip="10.89.0.110", annotations={"metallb.io/loadBalancerIPs": "10.89.0.111"})
    want = {"c": "poolExhausted", "taken": "addressInUse", "outside": "requestNotInPool", "nopool": "poolUnknown",
            "odd": "requestConflict"}
    for name, reason in want.items():
        event = refused(lab, name)
        seen(lab, name)
        dumped = next(s for s in leader(lab).dump()["services"] if s["name"] == f"default/{name}")
        assert dumped["reason"] == reason and event.endswith(f": {dumped['text']}")
        for node in lab.nodes:
            tree = wait_for("the rules", lambda: (t := explained(node, name)) and t["rules"] and t)
            assert (tree["reason"], tree["text"]) == (reason, dumped["text"]), node.name
            first = f"default/{name}: {dumped['text']} ({reason})\n"
            wait_for("the same in words", lambda: explain(node, name)[1].startswith(first))
    asked = explained(leader(lab), "odd")["asks"]["fields"]
    assert asked == [{"field": "spec.loadBalancerIP", "value": "10.89.0.110"},
                     {"field": "metallb.io/loadBalancerIPs", "value": "10.89.0.111"}]
    assert rules(explained(leader(lab), "c"))[3:] == [
        ("held", None, None, "noIPAllocated"), ("status", None, None, "noIPAllocated"), ("sharingKey", None, None, "noIPAllocated"),
        ("former", None, None, "noIPAllocated"), ("pool", "tiny", None, "poolExhausted"), ("pool", "asked", None, "noFittingPool")]


def test_not_ours(lab):
    """What lbd does not serve is said, too."""
    lab.service("other", loadBalancerClass="example.com/lb")
    lab.service("ignored", annotations={"lbd.io/ignore": "true"})
    seen(lab, "ignored")
    for name, reason in (("other", "otherClass"), ("ignored", "ignored"), ("kubernetes", "notLoadBalancer")):
        for node in lab.nodes:
            assert explained(node, name)["reason"] == reason


def test_not_announced(lab):
    """An address that nobody answers for: the reason of this node."""
    lab.service("idle", endpoints=False)
    ip = lab.wait_ip("idle")
    for node in lab.nodes:
        tree = wait_for("the reason", lambda: (t := explained(node, "idle"))["reason"] == "noEndpoints" and t)
        assert tree["finding"] and tree["vips"][0]["owner"] is None and ip in tree["text"]


def test_addresses(full):
    """An address: in service, free, lately in use, in no pool, shown unlawfully."""
    lab, boss = full, leader(full)
    other = next(n for n in lab.nodes if n is not boss)
    ip = lab.ips("a")[0]
    for node in (boss, other):
        tree = explained(node, ip)
        assert (tree["place"], tree["pool"], [s["name"] for s in tree["services"]]) == ("held", "tiny", ["default/a"])
        assert explained(node, "10.89.0.110")["place"] == "free"
        assert explained(node, "fd00::1")["place"] == "inNoPool"
    lab.delete_service("c")
    lab.delete_service("a")
    wait_for("the address resting", lambda: explained(boss, ip)["place"] == "resting")
    lab.service("foreign", loadBalancerClass="example.com/lb")
    lab.patch("/api/v1/namespaces/default/services/foreign/status", {"status": {"loadBalancer": {"ingress": [{"ip": "10.89.0.77"}]}}})
    for node in (boss, other):
        shown = wait_for("the status seen", lambda: explained(node, "10.89.0.77")["services"])
        assert [(s["name"], s["lawful"], s["reason"]) for s in shown] == [("default/foreign", False, "otherClass")]


def test_names(full):
    """A name alone must be one Service's; what is not known is said, with exit code 1."""
    lab, node = full, full.nodes[0]
    lab.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    lab.service("a", namespace="web")
    wait_for("the second seen", lambda: explain(node, "a")[2])
    code, out, err = explain(node, "a")
    assert (code, out) == (1, "") and "default/a" in err and "web/a" in err
    assert explained(node, "web/a")["service"] == "web/a"
    for what in ("nobody", "default/nobody", "a/b/c", "x" * 3000):
        code, out, err = explain(node, what)
        assert (code, out) == (1, "") and "no Service" in err and len(err) < 400
    assert explain(node, "a/web")[2] == "lbd: no Service a/web (NAMESPACE/NAME) is known here: did you mean web/a?\n"
    assert explain(node, "b/web")[2] == "lbd: no Service b/web (NAMESPACE/NAME) is known here\n"
    assert explain(node, "nobody")[2] == "lbd: no Service nobody is known here\n"
    code, out, err = explain(node, "web/a", "--without", "n9")
    assert (code, out) == (1, "") and "no such node" in err


def test_without(full):
    """What would happen if a node went; and it does happen."""
    lab, ip = full, full.ips("a")[0]
    owner = lab.wait_owner(ip)
    asked = next(n for n in lab.nodes if n is not owner)
    idle = next(n for n in lab.nodes if n not in (owner, asked))
    wait_for("the owner known", lambda: explained(asked, "a")["reason"] == "owner")
    assert explained(asked, "a", "--without", idle.name)["vips"][0]["without"] == {
        "node": idle.name, "owner": owner.name, "moves": False}
    told = explained(asked, ip, "--without", owner.name)["vips"][0]["without"]
    assert told["node"] == owner.name and told["moves"] and told["owner"] in (asked.name, idle.name)
    assert f"without {owner.name}: it goes to {told['owner']}\n" in explain(asked, "a", "--without", owner.name)[1]


def test_api_down(full):
    """Without the API server it goes on by what was known last, and says so."""
    lab = full
    lab.server.kill()
    for node in lab.nodes:
        tree = wait_for("out of step", lambda: (t := explained(node, "a")) and "out of step" in str(t["notes"]) and t)
        assert tree["reason"] == "owner" and rules(tree)
    # nobody is leader any more: each decides for itself, and says that
    wait_for("no leader", lambda: not any(n.dump()["leader"]["self"] for n in lab.nodes))
    for node in lab.nodes:
        assert explained(node, "c")["reason"] == "poolExhausted"


def test_not_written(bare):
    """A status that the API server refuses is a reason, in the Event, in lbd dump and in lbd explain."""
    lab = bare(nodes=1, pods=False, proxy=False, config=CONFIG)
    node = lab.nodes[0].start()
    leader(lab)
    fault = lab.kubesim.fault("403", match={"verb": "patch", "path": "/api/v1/namespaces/default/services/*"})
    lab.service("web")
    told = refused(lab, "web")
    assert "does not take it" in told and "403" in told
    tree = wait_for("the reason", lambda: (t := explained(node, "web"))["reason"] == "notWritten" and t)
    assert tree["decided"] == ["10.89.0.100"] and tree["status"] == [] and "403" in tree["text"]
    dumped = next(s for s in node.dump()["services"] if s["name"] == "default/web")
    assert (dumped["reason"], dumped["text"]) == (tree["reason"], tree["text"]) and told.endswith(tree["text"])
    lab.kubesim.clear(fault)
    lab.wait_ip("web", timeout=40)


def test_no_leader(bare):
    """Where nobody holds the Lease, that is the reason, before the rules' verdict; a config that was rejected is noted."""
    lab = bare(nodes=2, pods=False, proxy=False, config=CONFIG)
    lab.kubesim.fault("403", match={"verb": "create", "path": "/apis/coordination.k8s.io/*"})
    node = lab.nodes[0].start()
    lab.service("web")
    wait_for("the Service seen", lambda: explain(node, "web")[0] == 1 and not explain(node, "web")[2])
    assert wait_for("rules", lambda: (t := explained(node, "web")) and t["rules"] and t)["reason"] == "noLeader"
    node.config_path.write_text("nonsense: [")
    wait_for("the note", lambda: any("rejected" in n for n in explained(node, "web")["notes"]))
    assert node.dump()["config"]["stale"]
