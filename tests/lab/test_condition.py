# SPDX-License-Identifier: Apache-2.0
"""The condition lbd.io/Announced of a Service: what kubectl wait waits for, and what it costs."""

import re
import threading
import time

import pytest

from apiserver import STRATEGIC
from lab import FAST, wait_for
from routers import Bird

POOL = "pools:\n- name: plain\n  addresses: [10.89.0.100-10.89.0.149]\n"
PATH = "/api/v1/namespaces/default/services/"
MINE = "lbd.io/Announced"


def status(lab, name):
    return (lab.condition(name) or {}).get("status")


def set_condition(lab, name, agent="foreign/v1", **c):
    """By another client."""
    lab.must("PATCH", f"{PATH}{name}/status", {"status": {"conditions": [c]}}, STRATEGIC)


def leader(lab):
    return wait_for("a leader", lambda: next((n for n in lab.nodes if n.alive() and n.dump()["leader"]["ready"]), None), 20)


def settled(lab, seconds):
    """Time in which what is debounced would be written."""
    end = time.monotonic() + seconds
    wait_for("the time to pass", lambda: time.monotonic() > end, seconds + 5)


def test_true_false_true(bare):
    """True once somebody announces the address, with words that name no node; False without a ready endpoint, and True again;
    lastTransitionTime moves with the status alone; kubectl wait sees it."""
    lab = bare(nodes=2, pods=False, proxy=False, config=POOL + FAST).start()
    lab.service("web")
    r = lab.kubectl("wait", f"--for=condition={MINE}", "--timeout=20s", "svc/web")
    assert "condition met" in r.stdout
    c = lab.condition("web")
    assert (c["status"], c["reason"], c["message"]) == ("True", "Announced", "every address is announced")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", c["lastTransitionTime"])
    assert "observedGeneration" not in c and lab.wait_owner(lab.ips("web")[0])
    lab.endpoints("web", ready=False)
    c2 = lab.wait_condition("web", "False")
    assert (c2["reason"], c2["message"]) == ("NoEndpoints", "the Service has no ready endpoint")
    assert c2["lastTransitionTime"] > c["lastTransitionTime"]
    lab.endpoints("web")
    assert lab.wait_condition("web", "True")["lastTransitionTime"] > c2["lastTransitionTime"]
    assert len(lab.service_writes(conditions=True)) == 3 and len(lab.service_writes()) == 1


def test_no_address(bare):
    """Without an address it is False, and says why as the Event does; a Service of another class has none."""
    lab = bare(nodes=1, pods=False, proxy=False, config=POOL.replace("10.89.0.149", "10.89.0.100") + FAST).start()
    lab.service("first")
    lab.wait_ip("first")
    lab.service("second")
    c = lab.wait_condition("second", "False")
    assert (c["reason"], c["message"]) == ("PoolExhausted", "every address of the fitting pools is in use")
    lab.service("other", loadBalancerClass="else/where")
    lab.service("last", annotations={"lbd.io/address-pool": "none"})
    assert lab.wait_condition("last", "False")["reason"] == "PoolUnknown"
    assert lab.condition("other") is None
    lab.delete_service("first")
    lab.wait_condition("second", "True")


def test_failover_writes_nothing(bare):
    """The owner is killed: another takes its addresses, the condition stays, unwritten; so it does with another leader."""
    lab = bare(nodes=3, pods=False, proxy=False, config=POOL + FAST).start()
    names = [f"s{i}" for i in range(6)]
    for name in names:
        lab.service(name)
    for name in names:
        lab.wait_condition(name, "True")
    since = lab.kubesim.log()[-1]["seq"]
    was = leader(lab)
    for node in [n for n in lab.nodes if n is not was][:1] + [was]:
        ips = [ip for name in names for ip in lab.ips(name) if node.announces(ip)]
        node.kill()
        for ip in ips:
            lab.wait_owner(ip, 20, but=[node])
        node.start()
    new = leader(lab)
    wait_for("everything to be owned", lambda: all(len(lab.owners(ip)) == 1 for name in names for ip in lab.ips(name)))
    lab.service("marker")  # written by a leader that has looked at all of them
    lab.wait_condition("marker", "True", timeout=30)
    settled(lab, 5)
    assert [w["name"] for w in lab.service_writes(since, conditions=True)] == ["marker"], new.name


def test_last_node_dies(bare):
    """Nobody else may announce it, for the only endpoint is on that node: False, though no other node takes it."""
    lab = bare(nodes=2, pods=False, proxy=False, config=POOL + FAST).start()
    first = leader(lab)
    other = next(n for n in lab.nodes if n is not first)
    lab.service("web", endpoints=False, externalTrafficPolicy="Local")
    lab.endpoints("web", pods=[{"ip": "10.244.1.2", "node": other.name, "name": "p"}])
    lab.wait_condition("web", "True")
    other.kill()
    c = lab.wait_condition("web", "False", timeout=40)
    assert c["reason"] in ("NoLocalEndpoints", "NoOwner"), c
    other.start()
    lab.wait_condition("web", "True", timeout=30)


def test_others_conditions_stay(bare):
    """Conditions of others are neither changed nor lost, whatever happens to ours; ours goes in the write that clears the
    address, and where there is none, by itself."""
    lab = bare(nodes=1, pods=False, proxy=False, config=POOL + FAST).start()
    theirs = {"type": "their/Own", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "2024-01-01T00:00:00Z"}
    lab.service("web")
    set_condition(lab, "web", **theirs)
    lab.wait_condition("web", "True")
    lab.endpoints("web", ready=False)
    lab.wait_condition("web", "False")
    assert lab.condition("web", type="their/Own") == theirs
    since = lab.kubesim.log()[-1]["seq"]
    lab.patch(PATH + "web", {"spec": {"type": "ClusterIP"}})
    wait_for("no address and no condition", lambda: lab.ips("web") == [] and lab.condition("web") is None)
    assert lab.condition("web", type="their/Own") == theirs
    assert len([w for w in lab.kubesim.log(since) if w["resource"] == "services" and w["user"] == "lbd"]) == 1
    lab.service("none", annotations={"lbd.io/address-pool": "none"})
    lab.wait_condition("none", "False")
    lab.patch(PATH + "none", {"spec": {"type": "ClusterIP"}})
    lab.wait_condition("none", None)


@pytest.mark.parametrize("wrong", [{"status": "False", "reason": "Lie", "message": "not announced"},
                                   {"status": "True", "reason": "Lie", "message": "wonderful"}])
def test_corrected(bare, wrong):
    """What somebody else writes into our condition is put right, once."""
    lab = bare(nodes=1, pods=False, proxy=False, config=POOL + FAST).start()
    lab.service("web")
    right = lab.wait_condition("web", "True")
    since = lab.kubesim.log()[-1]["seq"]
    set_condition(lab, "web", type=MINE, **wrong)
    wait_for("the right words", lambda: lab.condition("web")["reason"] == "Announced", 30)
    assert lab.condition("web")["status"] == "True" and lab.condition("web")["message"] == right["message"]
    assert len(lab.service_writes(since, conditions=True)) == 1


def test_hostile_flapper(bare):
    """One who writes it back and forth without end makes lbd write a few times, not without bound; another Service's is
    written in time all the same."""
    lab = bare(nodes=1, pods=False, proxy=False, config=POOL + FAST).start()
    lab.service("web")
    lab.wait_condition("web", "True")
    since, over = lab.kubesim.log()[-1]["seq"], threading.Event()

    def flap():
        while not over.is_set():
            for s in ("False", "Unknown"):
                lab.server.api("PATCH", f"{PATH}web/status", {"status": {"conditions": [
                    {"type": MINE, "status": s, "reason": "X", "message": "x"}]}}, STRATEGIC)
                over.wait(0.05)

    thread = threading.Thread(target=flap, daemon=True)
    thread.start()
    try:
        settled(lab, 15)
        lab.service("other")
        lab.wait_condition("other", "True")
    finally:
        over.set()
        thread.join()
    writes = [w for w in lab.service_writes(since, conditions=True) if w["name"] == "web"]
    assert 1 <= len(writes) <= 4, len(writes)


def test_api_down(bare):
    """While the API is away nothing is written; when it is back the condition says what is."""
    lab = bare(nodes=1, pods=False, proxy=False, config=POOL + FAST).start()
    lab.service("web")
    lab.wait_condition("web", "True")
    lab.kubesim.fault("500", match={"user": "lbd", "verb": "patch"})
    lab.endpoints("web", ready=False)
    lab.service("new")
    settled(lab, 6)
    asked = lab.kubesim.count("lbd", "patch", "services/status")
    assert status(lab, "web") == "True" and asked < 40
    lab.kubesim.clear()
    lab.wait_condition("web", "False", timeout=45)
    lab.wait_condition("new", "True", timeout=45)


def test_many_at_once(bare):
    """Of many Services the addresses come first; conditions at a pace, each once."""
    lab = bare(nodes=1, pods=False, proxy=False, config=POOL.replace("10.89.0.149", "10.89.3.254") + FAST).start()
    lab.kubesim.bulk(700, prefix="b")
    wait_for("all addresses", lambda: len(lab.service_writes()) >= 700, 60, 0.5)
    wait_for("all conditions", lambda: len(lab.service_writes(conditions=True)) >= 700, 90, 0.5)
    settled(lab, 4)
    writes = lab.service_writes(conditions=True)
    assert len(writes) == 700 and len({w["name"] for w in writes}) == 700
    last_address = lab.service_writes()[-1]["ns"]
    between = [w for w in writes if w["ns"] < last_address]
    assert len(between) < 70, "conditions stood in the way of addresses"
    lab.nodes[0].stop()
    since = lab.kubesim.log()[-1]["seq"]
    lab.start()
    lab.service("marker")
    lab.wait_condition("marker", "True", timeout=30)
    settled(lab, 8)
    assert [w["name"] for w in lab.service_writes(since, conditions=True)] == ["marker"]


def test_bgp(rack):
    """By BGP alone: False while the one node that may announce has no session, then True, with a reason of its own."""
    lab = rack(nodes=1)
    lab.start()
    lab.service("web")
    c = lab.wait_condition("web", "False")
    assert (c["reason"], c["message"]) == ("NoBGPSession", "no BGP session is up on a node that may announce the address")
    router = lab.start_router(Bird)
    c = lab.wait_condition("web", "True", timeout=30)
    assert c["reason"] == "AnnouncedByBGP" and "by BGP" in c["message"]
    router.wait_paths(lab.ips("web")[0], 1)
    router.stop()
    assert lab.wait_condition("web", "False", timeout=30)["reason"] == "NoBGPSession"
    assert len(lab.service_writes(conditions=True)) == 3
