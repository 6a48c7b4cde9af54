# SPDX-License-Identifier: Apache-2.0
"""A Service gets an address and a client reaches it: allocation as a user sees it."""

import json
import time

from lab import FAST, wait_for


def reasons(lab, name, reason):
    return [e for e in lab.events(name) if e["reason"] == reason]


def test_address_and_answer(lab):
    """A Service gets the pool's first address; exactly one node answers ARP; a pod answers HTTP; kubectl shows it."""
    lab.service("web")
    ip = lab.wait_ip("web")
    assert ip == "10.89.0.100"
    assert "sees" in lab.wait_http(ip)
    owner = lab.wait_owner(ip)
    assert set(lab.client.arping(ip, count=3, timeout=3)) == {owner.mac}
    assert lab.client.neighbour(ip) == owner.mac
    line = lab.kubectl("get", "svc", "web").stdout.splitlines()[1].split()
    assert line[1] == "LoadBalancer" and line[3] == ip
    status = lab.must("GET", "/api/v1/namespaces/default/services/web")
    assert status["status"]["loadBalancer"]["ingress"] == [{"ip": ip, "ipMode": "VIP"}]
    assert status["metadata"]["annotations"]["lbd.io/ip-allocated-from-pool"] == "lan"


def test_asked_for_addresses(lab):
    """spec.loadBalancerIP and the annotations are obeyed; an address in use or outside the pools is refused, with words."""
    lab.service("a", ip="10.89.0.110")
    assert lab.wait_ip("a") == "10.89.0.110"
    for i, note in enumerate(("lbd.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs", "kube-vip.io/loadbalancerIPs")):
        lab.service(f"n{i}", annotations={note: f"10.89.0.{111 + i}"})
        assert lab.wait_ip(f"n{i}") == f"10.89.0.{111 + i}"
    lab.service("taken", ip="10.89.0.110")
    event = wait_for("a refusal", lambda: reasons(lab, "taken", "AllocationFailed"))[0]
    assert "default/a" in event["message"] and event["type"] == "Warning"
    assert lab.ips("taken") == []
    lab.service("outside", ip="192.0.2.1")
    event = wait_for("a refusal", lambda: reasons(lab, "outside", "AllocationFailed"))[0]
    assert "192.0.2.1" in event["message"]
    lab.delete_service("a")
    assert lab.wait_ip("taken") == "10.89.0.110"


def test_release(lab):
    """Deletion and a change of type free the address, and nobody answers for it any more."""
    lab.service("one")
    lab.service("two")
    one, two = lab.wait_ip("one"), lab.wait_ip("two")
    lab.wait_owner(one)
    lab.wait_owner(two)
    lab.delete_service("one")
    lab.patch("/api/v1/namespaces/default/services/two", {"spec": {"type": "ClusterIP"}})
    wait_for("silence", lambda: not lab.owners(one) and not lab.owners(two))
    assert lab.client.arping(one) == [] and lab.client.arping(two) == []
    wait_for("an empty status", lambda: lab.ips("two") == [])
    wait_for("no trace of the pool", lambda: "lbd.io/ip-allocated-from-pool" not in lab.must(
        "GET", "/api/v1/namespaces/default/services/two")["metadata"].get("annotations", {}))
    event = wait_for("an Event", lambda: reasons(lab, "two", "ClearAssignment"))[0]
    assert event["message"] == 'released the IP of "default/two": the Service\'s type is not LoadBalancer'
    lab.service("three", ip=one)
    assert lab.wait_ip("three") == one


def test_another_address(lab):
    """Who asks for another address than the one that it has gets it, and the Event says that this is why."""
    lab.service("fickle")
    had = lab.wait_ip("fickle")
    lab.patch("/api/v1/namespaces/default/services/fickle", {"spec": {"loadBalancerIP": "10.89.0.117"}})
    wait_for("the other address", lambda: lab.ips("fickle") == ["10.89.0.117"] != [had])
    event = wait_for("an Event", lambda: reasons(lab, "fickle", "ClearAssignment"))[0]
    assert event["message"] == 'released the IP of "default/fickle": the Service asks for another address'


def test_full_pool(bare):
    """A full pool refuses with an Event; a freed address goes to the one that waits."""
    lab = bare(pods=False, proxy=False, config=f"pools:\n- name: tiny\n  addresses: [10.89.0.100/31]\n{FAST}").start()
    for name in "ab":
        lab.service(name)
        lab.wait_ip(name)
    lab.service("c")
    wait_for("a refusal", lambda: reasons(lab, "c", "AllocationFailed"))
    assert "in use" in reasons(lab, "c", "AllocationFailed")[0]["message"]
    wait_for("each node to know why", lambda: [s["reason"] for n in lab.nodes for s in n.dump()["services"]
                                               if s["name"] == "default/c"] == ["poolExhausted"] * 3)
    lab.delete_service("a")
    assert lab.wait_ip("c") == "10.89.0.100"


def test_events_once(lab):
    """An Event for each allocation, once per change and not once per pass. T5."""
    lab.service("web")
    lab.service("no", ip="192.0.2.9")
    lab.wait_owner(lab.wait_ip("web"))
    wait_for("a refusal", lambda: reasons(lab, "no", "AllocationFailed"))
    wait_for("nodeAssigned", lambda: reasons(lab, "web", "nodeAssigned"))
    for i in range(20):
        for name in ("web", "no"):
            lab.patch(f"/api/v1/namespaces/default/services/{name}", {"metadata": {"labels": {"turn": str(i)}}})
    lab.service("last")
    lab.wait_owner(lab.wait_ip("last"))
    wait_for("nodeAssigned", lambda: reasons(lab, "last", "nodeAssigned"))
    for name, reason in (("web", "IPAllocated"), ("web", "nodeAssigned"), ("no", "AllocationFailed")):
        events = reasons(lab, name, reason)
        assert len(events) == 1 and events[0].get("count", 1) == 1, (name, reason, events)


def test_shared_address(lab):
    """Two Services with one sharing key and different ports share an address, on one node."""
    note = {"metallb.io/allow-shared-ip": "dns"}
    lab.service("tcp", ip="10.89.0.115", annotations=note)
    lab.service("web", ip="10.89.0.115", annotations=note,
                ports=[{"name": "http", "port": 8081, "targetPort": 8080, "protocol": "TCP"}])
    assert lab.wait_ip("tcp") == lab.wait_ip("web") == "10.89.0.115"
    lab.wait_owner("10.89.0.115")
    assert lab.wait_http("10.89.0.115") and lab.wait_http("10.89.0.115", port=8081)
    lab.delete_service("tcp")
    assert lab.wait_http("10.89.0.115", port=8081)
    lab.service("clash", ip="10.89.0.115", annotations=note,
                ports=[{"name": "x", "port": 8081, "targetPort": 8080, "protocol": "TCP"}])
    event = wait_for("a refusal", lambda: reasons(lab, "clash", "AllocationFailed"))[0]
    assert "8081" in event["message"] and "default/web" in event["message"]


def test_restart_adopts(lab):
    """All daemons restarted at once: every address stays, and no status is written."""
    for i in range(8):
        lab.service(f"s{i}")
    before = {f"s{i}": lab.wait_ip(f"s{i}") for i in range(8)}
    assert len(set(before.values())) == 8
    owners = {ip: lab.wait_owner(ip) for ip in before.values()}
    assert owners
    for n in lab.nodes:
        n.kill()
    since = lab.kubesim.log()[-1]["seq"]
    lab.start()
    for ip in before.values():
        lab.wait_owner(ip, timeout=15)
    wait_for("a leader", lambda: any(n.dump()["leader"]["ready"] for n in lab.nodes))
    assert {name: lab.ips(name)[0] for name in before} == before
    assert lab.service_writes(since) == []


def test_foreign_address_in_status(lab):
    """An address that somebody wrote into a status from outside the pools is never announced, and is replaced
    (CVE-2020-8554)."""
    lab.service("evil", endpoints=True)
    good = lab.wait_ip("evil")
    lab.patch("/api/v1/namespaces/default/services/evil/status",
             {"status": {"loadBalancer": {"ingress": [{"ip": "10.89.0.1"}]}}})
    wait_for("the lawful address back", lambda: lab.ips("evil") == [good], timeout=15)
    assert lab.client.arping("10.89.0.1") == []
    assert all('"10.89.0.1"' not in json.dumps(n.dump()["vips"]) for n in lab.nodes)


def test_other_class_and_ignore(lab):
    """A Service of another class, or with lbd.io/ignore, is not ours; lbd's own class is."""
    lab.service("other", loadBalancerClass="example.com/lb")
    lab.service("ignored", annotations={"lbd.io/ignore": "true"})
    lab.service("own", loadBalancerClass="lbd.io/lbd")
    lab.wait_ip("own")
    assert lab.ips("other") == [] and lab.ips("ignored") == []


def test_local_traffic_policy(lab):
    """externalTrafficPolicy: Local: a node with a ready endpoint owns it; the endpoint moves, so does the address; the
    client's address is kept; without any endpoint nobody answers."""
    lab.service("local", externalTrafficPolicy="Local", endpoints=False)
    lab.endpoints("local", pods=[lab.pods[1]])
    ip = lab.wait_ip("local")
    assert lab.wait_owner(ip).name == "n2"
    assert "pod2 sees 10.89.0.50" in lab.wait_http(ip)
    lab.endpoints("local", pods=[lab.pods[2]])
    wait_for("n3 to own it", lambda: [n.name for n in lab.owners(ip)] == ["n3"], timeout=10)
    wait_for("pod3's answer", lambda: "pod3" in (lab.client.curl(ip) or ""))
    lab.endpoints("local", pods=[lab.pods[2]], ready=False)
    wait_for("silence", lambda: lab.owners(ip) == [])
    assert lab.client.arping(ip) == []


def test_many_services(lab):
    """The pool's twenty addresses: each is given once and has one owner; the nodes share them."""
    for i in range(20):
        lab.service(f"m{i}")
    ips = {lab.wait_ip(f"m{i}") for i in range(20)}
    assert len(ips) == 20
    owners = [lab.wait_owner(ip).name for ip in ips]
    assert all(owners.count(n.name) <= 9 for n in lab.nodes), owners  # ceil(1.25 * 20 / 3)


def test_first_answer_is_quick(lab):
    """From create to the first HTTP answer takes well under a second."""
    lab.service("warm")
    lab.wait_http(lab.wait_ip("warm"))
    begin = time.monotonic()
    lab.service("quick", ip="10.89.0.118")
    lab.wait_http("10.89.0.118")
    assert time.monotonic() - begin < 1.5
