# SPDX-License-Identifier: Apache-2.0
"""A pool edit drops an address in use: the Service keeps it, on every node and under every leader, and nobody else may."""

import pytest
from lab import FAST, wait_for

HEAD = "apiVersion: lbd.io/v1\nkind: Config\npools:\n- name: lan\n  addresses: "
BEFORE, AFTER = f"{HEAD}[10.89.0.100-10.89.0.109]\n{FAST}", f"{HEAD}[10.89.0.105-10.89.0.109]\n{FAST}"
RECORD = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lbd-retired"


def vip(node, ip):
    return next((v for v in node.dump()["vips"] if v["ip"] == ip), None)


def record(lab):
    status, lease = lab.server.api("GET", RECORD)
    return lease["metadata"]["annotations"].get("lbd.io/retired", "") if status == 200 else None


def edit(nodes, text):
    before = {n: n.dump()["config"]["hash"] for n in nodes}
    for node in nodes:
        node.config_path.write_text(text)
    for node in nodes:
        wait_for(f"{node.name} with the new file", lambda n=node: n.dump()["config"]["hash"] != before[n], timeout=15)


def forge(lab, name, ip):
    lab.patch(f"/api/v1/namespaces/default/services/{name}/status", {"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}})


def leader(lab):
    return next((n for n in lab.nodes if n.alive() and n.dump()["leader"]["self"]), None)


def test_kept(bare):
    """The address stays through the edit on all nodes, a new leader, a restart of its owner; Events say so; the record
    goes with the Service."""
    lab = bare(nodes=3, pods=False, proxy=False, config=BEFORE).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    edit(lab.nodes, AFTER)
    wait_for("the record", lambda: ip in (record(lab) or ""), timeout=10)
    assert lab.ips("web") == [ip]
    assert lab.client.arping(ip) == [owner.mac]
    wait_for("the Event", lambda: any("kept although" in e["message"] for e in lab.events("web")), timeout=10)
    lab.service("other")
    assert lab.wait_ip("other") == "10.89.0.105"
    lab.service("forger")
    forger = lab.wait_ip("forger")
    forge(lab, "forger", "10.89.0.101")
    wait_for("the forged status put right", lambda: lab.ips("forger") == [forger], timeout=10)
    assert lab.client.arping("10.89.0.101") == []

    first = leader(lab)
    first.kill()
    second = wait_for("another leader", lambda: leader(lab), timeout=15)
    assert second is not first
    wait_for("its adoption", lambda: second.dump()["leader"]["ready"], timeout=10)
    lab.wait_owner(ip, timeout=15)
    first.start(config=AFTER)
    wait_for("the restarted node knows it", lambda: vip(first, ip), timeout=10)
    assert lab.ips("web") == [ip]

    lab.delete_service("web")
    wait_for("no record", lambda: record(lab) == "", timeout=10)
    wait_for("nobody answers", lambda: lab.client.arping(ip) == [], timeout=10)


def test_not_all_nodes_at_once(bare):
    """The owner, which does not lead, reads its file long before the leader does: its VIP does not blink."""
    lab = bare(nodes=2, pods=False, proxy=False, config=BEFORE)
    first, follower = lab.nodes
    first.start()
    wait_for("a leader", lambda: leader(lab))
    follower.start()
    for i in range(4):
        lab.service(f"web{i}")
    ips = [lab.wait_ip(f"web{i}") for i in range(4)]
    owners = {ip: lab.wait_owner(ip) for ip in ips}
    edit([follower], AFTER)
    held = [ip for ip, n in owners.items() if n is follower]
    assert held, owners
    for ip in held:
        assert vip(follower, ip)["state"] == "owner"
        assert lab.client.arping(ip) == [follower.mac]
    assert record(lab) is None
    edit([first], AFTER)
    wait_for("the record", lambda: all(ip in (record(lab) or "") for ip in ips), timeout=10)
    for ip, node in owners.items():
        assert lab.client.arping(ip) == [node.mac]


def test_reallocate(bare):
    """With reallocate: true the Service moves, and nothing is recorded."""
    moves = AFTER.replace("10.89.0.109]\n", "10.89.0.109]\n  reallocate: true\n")
    lab = bare(nodes=1, pods=False, proxy=False, config=BEFORE).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    edit(lab.nodes, moves)
    new = wait_for("the move", lambda: next((i for i in lab.ips("web") if i != ip), None), timeout=10)
    assert new == "10.89.0.105"
    wait_for("the Event", lambda: any(e["reason"] == "ClearAssignment" for e in lab.events("web")), timeout=10)
    assert record(lab) is None


def test_a_bad_record(bare):
    """Somebody writes nonsense, and a foreign address, into the record: the leader puts it right, nobody announces it."""
    lab = bare(nodes=2, pods=False, proxy=False, config=BEFORE).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    edit(lab.nodes, AFTER)
    good = wait_for("the record", lambda: record(lab), timeout=10)
    for bad in ("nonsense", good + "uid 10.89.0.101\n", ""):
        lab.patch(RECORD, {"metadata": {"annotations": {"lbd.io/retired": bad}}})
        wait_for("the record as it was", lambda: record(lab) == good, timeout=10)
        assert lab.client.arping("10.89.0.101") == []
    assert lab.wait_owner(ip)


@pytest.mark.parametrize("pools", ("[]", "[{name: other, addresses: [10.89.0.130-10.89.0.139]}]"))
def test_pool_gone(bare, pools):
    """The pool goes, and with it its advertisement by default: what is in use stays, is recorded, and a node that starts
    anew serves it."""
    lab = bare(nodes=1, pods=False, proxy=False, config=BEFORE).start()
    node = lab.nodes[0]
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    gone = f"apiVersion: lbd.io/v1\nkind: Config\npools: {pools}\nservicelb: {{mode: never}}\n{FAST}"
    edit([node], gone)
    wait_for("the record", lambda: ip in (record(lab) or ""), timeout=10)
    assert lab.client.arping(ip) == [node.mac]
    node.stop()
    node.start(config=gone)
    lab.wait_owner(ip)
    assert lab.client.arping(ip) == [node.mac]
    assert lab.ips("web") == [ip]
    assert vip(node, ip)["kept"] is True
