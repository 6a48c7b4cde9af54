# SPDX-License-Identifier: Apache-2.0
"""The contract: what lbd and the tests rely on in an API server, asked of kubesim, of kubesim in the manner of 1.20.2, and of
the real one. Where they differ, kubesim is wrong.

make check asks kubesim; make check-k8s asks all three.
"""

import json
import os
import time
from urllib.parse import quote

import pytest

from apiserver import APPLY, JSON_PATCH, MERGE, STRATEGIC, Watch
from kubesim import Kubesim
from lab import wait_for
from objects import configmaps, ingress, ips, lb, lease, must, rv

N = "/api/v1/namespaces/demo"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/demo/leases"
T0, T5 = "2024-01-01T00:00:00.000000Z", "2024-01-01T00:00:05.000000Z"


@pytest.fixture(scope="module", params=["kubesim", "kubesim-1.20.2", pytest.param("real", marks=pytest.mark.k8s)])
def server(request):
    if request.param == "real":
        k = request.getfixturevalue("k8s").server
        must(k, "POST", "/api/v1/namespaces", {"metadata": {"name": "demo"}})
        yield k
        return
    old = request.param != "kubesim"
    with Kubesim() as k:
        k.slices = "v1beta1" if old else "v1"
        k.start(extra=["--kube-version", "v1.20.2"] if old else [])
        must(k, "POST", "/api/v1/namespaces", {"metadata": {"name": "demo"}})
        yield k
        assert k.stop() == 0, (k.dir / "kubesim.log").read_text()


@pytest.fixture
def k(server):
    """The server, with an empty namespace demo."""
    slices = f"/apis/discovery.k8s.io/{server.slices}/namespaces/demo/endpointslices"
    for path in (N + "/services", N + "/configmaps", LEASES, N + "/events", N + "/endpoints", N + "/pods", slices):
        for o in server.get(path)["items"]:
            one = f"{path}/{o['metadata']['name']}"
            if o["metadata"].get("finalizers"):
                must(server, "PATCH", one, {"metadata": {"finalizers": None}}, MERGE)
            assert server.api("DELETE", one + "?gracePeriodSeconds=0")[0] in (200, 404)
    return server


def watch(k, path, **query):
    return Watch(k, path, user="second", **query)


def is_old(k):
    """Of 1.20: fields of later versions are dropped without a word."""
    return k.slices != "v1"


# -- Services and their status -------------------------------------------------------------------------------------------


def test_service_local_has_health_port(k):
    s = must(k, "POST", N + "/services", lb("t1", externalTrafficPolicy="Local"))
    assert s["spec"]["healthCheckNodePort"] >= 30000
    s = must(k, "PATCH", N + "/services/t1", {"spec": {"externalTrafficPolicy": "Cluster"}}, MERGE)
    assert "healthCheckNodePort" not in s["spec"]


@pytest.mark.parametrize("spec,field", [
    ({"ports": []}, "spec.ports"), ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
    ({"ports": [{"port": 1}, {"port": 2}]}, "spec.ports[0].name"), ({"type": "Nonsense"}, "spec.type"),
    ({"externalTrafficPolicy": "No"}, "spec.externalTrafficPolicy"), ({"clusterIP": "1.2.3.4"}, "spec.clusterIPs"),
    ({"loadBalancerSourceRanges": ["10.0.0.0/40"]}, "spec.LoadBalancerSourceRanges")])
def test_service_invalid(k, spec, field):
    code, status = k.api("POST", N + "/services", lb("t1", **spec))
    assert code == 422 and any(c["field"].startswith(field) for c in status["details"]["causes"]), status


def test_status_by_every_way(k):
    """Merge patch, JSON patch, PUT, server-side apply; through the main resource it is ignored."""
    first = must(k, "POST", N + "/services", lb("t1"))
    st = N + "/services/t1/status"
    s = must(k, "PATCH", st, ingress("10.89.0.100"), MERGE)
    assert s["status"]["loadBalancer"]["ingress"] == [{"ip": "10.89.0.100", **({} if is_old(k) else {"ipMode": "VIP"})}]
    assert ips(must(k, "PATCH", N + "/services/t1", ingress("10.89.0.200"), MERGE)) == ["10.89.0.100"]
    stale = {"metadata": {"resourceVersion": rv(first)}, **ingress("10.89.0.101")}
    assert k.api("PATCH", st, stale, MERGE)[1]["reason"] == "Conflict"
    test = [{"op": "test", "path": "/status/loadBalancer/ingress/0/ip", "value": "1.2.3.4"},
            {"op": "remove", "path": "/status/loadBalancer/ingress"}]
    assert k.api("PATCH", st, test, JSON_PATCH)[0] == 422
    assert ips(must(k, "PATCH", st, test[1:], JSON_PATCH)) == []
    s = k.get(N + "/services/t1")
    s["status"] = ingress("10.89.0.102")["status"]
    assert ips(must(k, "PUT", st, s)) == ["10.89.0.102"]
    assert k.api("PUT", st, s)[0] == 409
    apply = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "t1"}, **ingress("10.89.0.103")}
    assert ips(must(k, "PATCH", st + "?fieldManager=lbd&force=true", apply, APPLY)) == ["10.89.0.103"]


def test_who_wrote_the_status(k):
    """managedFields have the name of who wrote status.loadBalancer last, by its user agent; of those before nothing is left
    there, and what others change elsewhere is not counted."""
    def writers():
        fields = k.get(N + "/services/t1")["metadata"].get("managedFields", [])
        return [f["manager"] for f in fields if "f:loadBalancer" in f["fieldsV1"].get("f:status", {})]

    must(k, "POST", N + "/services", lb("t1"))
    for agent, ip in (("lbd/0.1.0", "10.89.0.100"), ("k3s/v1.30.4+k3s1 (linux/amd64) kubernetes", "10.89.0.101")):
        code, s = k.api("PATCH", N + "/services/t1/status", ingress(ip), MERGE, headers={"User-Agent": agent})
        assert code == 200 and ips(s) == [ip]
    assert writers() == ["k3s"]
    code, _ = k.api("PATCH", N + "/services/t1", {"metadata": {"labels": {"a": "b"}}}, MERGE, headers={"User-Agent": "kubectl/v1"})
    assert code == 200 and writers() == ["k3s"]


@pytest.mark.parametrize("entry", [{"ip": "not-an-ip"}, {"hostname": "10.0.0.1"}, {"ip": "10.0.0.1/24"}])
def test_status_invalid_ingress(k, entry):
    must(k, "POST", N + "/services", lb("t1"))
    assert k.api("PATCH", N + "/services/t1/status", {"status": {"loadBalancer": {"ingress": [entry]}}}, MERGE)[0] == 422


def test_status_keeps_what_it_knows(k):
    must(k, "POST", N + "/services", lb("t1"))
    status = {"conditions": [{"type": "x", "status": "True", "reason": "r", "message": "m",
                              "lastTransitionTime": "2024-01-01T00:00:00Z"}],
              "loadBalancer": {"ingress": [{"ip": "10.0.0.1", **({} if is_old(k) else {"ipMode": "VIP"}), "ports": [{"port": 80, "protocol": "TCP"}]}]}}
    assert must(k, "PATCH", N + "/services/t1/status", {"status": status}, MERGE)["status"] == status


def test_status_condition_by_strategic_merge(k):
    """One condition among others is set, worded otherwise and taken away by its type; the rest of the status stays; with the
    uid of another Service nothing is written."""
    first = must(k, "POST", N + "/services", lb("t1"))
    st = N + "/services/t1/status"
    other = {"type": "other", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "2024-01-01T00:00:00Z"}
    must(k, "PATCH", st, {"status": {"conditions": [other], **ingress("10.0.0.1")["status"]}}, MERGE)
    mine = {"type": "lbd.io/Announced", "status": "True", "reason": "Announced", "message": "m",
            "lastTransitionTime": "2024-01-01T00:00:05Z"}

    def patch(condition, uid=first["metadata"]["uid"], **status):
        return k.api("PATCH", st, {"metadata": {"uid": uid}, "status": {"conditions": [condition], **status}}, STRATEGIC)

    def conditions(answer):
        assert answer[0] == 200 and ips(answer[1]) == ["10.0.0.1"], answer
        return {c["type"]: c for c in answer[1]["status"]["conditions"]}

    assert conditions(patch(mine)) == {"other": other, "lbd.io/Announced": mine}
    words = {"type": "lbd.io/Announced", "status": "True", "reason": "New", "message": "n"}
    assert conditions(patch(words)) == {"other": other, "lbd.io/Announced": {**mine, **words}}
    was = rv(k.get(N + "/services/t1"))
    assert conditions(patch(words)) and rv(k.get(N + "/services/t1")) == was, "no write"
    assert patch(mine, uid="another")[0] in (409, 422)
    gone = {"type": "lbd.io/Announced", "$patch": "delete"}
    assert conditions(patch(gone)) == {"other": other}
    assert conditions(patch(gone)) == {"other": other}
    must(k, "PATCH", st, {"metadata": {"annotations": {"lbd.io/a": "b"}}}, MERGE)
    patch(mine)
    code, s = k.api("PATCH", st, {"metadata": {"uid": first["metadata"]["uid"], "resourceVersion": rv(k.get(N + "/services/t1")),
                                               "annotations": {"lbd.io/a": None}},
                                  "status": {"conditions": [gone], "loadBalancer": {"ingress": None}}}, STRATEGIC)
    assert code == 200 and ips(s) == [] and s["status"]["conditions"] == [other], s
    assert "lbd.io/a" not in s["metadata"].get("annotations", {})
    stale = {"metadata": {"resourceVersion": rv(first)}, "status": {"conditions": [mine]}}
    assert k.api("PATCH", st, stale, STRATEGIC)[1]["reason"] == "Conflict"
    s = must(k, "PATCH", N + "/services/t1", {"status": {"conditions": [mine]}}, STRATEGIC)
    assert s["status"]["conditions"] == [other], "not through the Service itself"


def test_status_of_other_types(k):
    """Only a LoadBalancer has ingress: a Service that stops being one loses it. A server of 1.20 leaves that to others."""
    must(k, "POST", N + "/services", lb("t1"))
    must(k, "PATCH", N + "/services/t1/status", ingress("10.0.0.1"), MERGE)
    s = must(k, "PATCH", N + "/services/t1", {"spec": {"type": "ClusterIP"}}, MERGE)
    assert ips(s) == (["10.0.0.1"] if is_old(k) else []) and s["spec"]["clusterIP"]
    assert "nodePort" not in s["spec"]["ports"][0] and "externalTrafficPolicy" not in s["spec"]
    assert k.api("PATCH", N + "/services/t1/status", ingress("10.0.0.2"), MERGE)[0] == (200 if is_old(k) else 422)


def test_status_patch_takes_annotations_not_spec(k):
    """What lbd writes in one patch: address and annotation. The spec stays out of reach."""
    must(k, "POST", N + "/services", lb("t1"))
    s = must(k, "PATCH", N + "/services/t1/status", {"metadata": {"annotations": {"lbd.io/pool": "lan"}},
                                                     "spec": {"type": "NodePort"}, **ingress("10.0.0.1")}, MERGE)
    assert s["metadata"]["annotations"] == {"lbd.io/pool": "lan"}
    assert s["spec"]["type"] == "LoadBalancer" and ips(s) == ["10.0.0.1"]


def test_status_patch_of_another_object(k):
    """lbd's patch names the Service by uid and version: one of the same name that came after it is not written."""
    first = must(k, "POST", N + "/services", lb("t1"))
    patch = {"metadata": {"uid": first["metadata"]["uid"], "resourceVersion": rv(first)}, **ingress("10.0.0.1")}
    must(k, "DELETE", N + "/services/t1")
    assert k.api("PATCH", N + "/services/t1/status", patch, MERGE)[0] == 404
    second = must(k, "POST", N + "/services", lb("t1"))
    code, status = k.api("PATCH", N + "/services/t1/status", patch, MERGE)
    assert code in (409, 422), status
    patch["metadata"]["resourceVersion"] = rv(second)
    assert k.api("PATCH", N + "/services/t1/status", patch, MERGE)[0] in (409, 422)
    patch["metadata"]["uid"] = second["metadata"]["uid"]
    assert ips(must(k, "PATCH", N + "/services/t1/status", patch, MERGE)) == ["10.0.0.1"]


def test_status_is_cleared_by_null(k):
    must(k, "POST", N + "/services", lb("t1"))
    st = N + "/services/t1/status"
    must(k, "PATCH", st, {"metadata": {"annotations": {"lbd.io/a": "b", "c": "d"}}, **ingress("10.0.0.1", "10.0.0.2")}, MERGE)
    s = must(k, "PATCH", st, {"metadata": {"annotations": {"lbd.io/a": None}}, "status": {"loadBalancer": {"ingress": None}}}, MERGE)
    assert ips(s) == [] and s["metadata"]["annotations"] == {"c": "d"}


def test_fields_of_later_versions(k):
    """An old server takes them and drops them, without a word."""
    new = {"loadBalancerClass": "lbd.io/lbd", "allocateLoadBalancerNodePorts": False, "ipFamilyPolicy": "SingleStack",
           "internalTrafficPolicy": "Cluster"}
    s = must(k, "POST", N + "/services", lb("t1", **new))
    kept = {f: s["spec"][f] for f in new if f in s["spec"]}
    assert kept == ({} if is_old(k) else new)


def test_no_op_is_not_a_write(k):
    s = must(k, "POST", N + "/services", lb("t1"))
    s = must(k, "PATCH", N + "/services/t1/status", ingress("10.0.0.1"), MERGE)
    assert rv(must(k, "PATCH", N + "/services/t1/status", ingress("10.0.0.1"), MERGE)) == rv(s)
    assert rv(must(k, "PUT", N + "/services/t1", s)) == rv(s)


def test_uid_precondition(k):
    s = must(k, "POST", N + "/services", lb("t1"))
    for uid, code in (("not-it", 422), (s["metadata"]["uid"], 200)):
        assert k.api("PATCH", N + "/services/t1", {"metadata": {"uid": uid, "labels": {"a": "b"}}}, MERGE)[0] == code
    gone = {**s, "metadata": {**s["metadata"], "name": "gone"}}
    assert k.api("PUT", N + "/services/gone", gone)[0] == (404 if is_old(k) else 409)


def test_finalizer_holds(k):
    must(k, "POST", N + "/services", lb("t1"))
    must(k, "PATCH", N + "/services/t1", {"metadata": {"finalizers": ["lbd.io/x"]}}, MERGE)
    must(k, "DELETE", N + "/services/t1")
    must(k, "DELETE", N + "/services/t1")
    assert k.get(N + "/services/t1")["metadata"]["deletionTimestamp"]
    must(k, "PATCH", N + "/services/t1", {"metadata": {"finalizers": None}}, MERGE)
    assert k.api("GET", N + "/services/t1")[0] == 404


def test_service_update_keeps_allocations(k):
    """A PUT without the allocated fields keeps them, as kubectl replace needs."""
    s = must(k, "POST", N + "/services", lb("t1"))
    body = lb("t1", loadBalancerIP="10.0.0.9")
    if is_old(k):  # it keeps nothing, and wants to know which version is replaced
        assert k.api("PUT", N + "/services/t1", body)[0] == 422
        body["metadata"] = s["metadata"]
        body["spec"].update(clusterIP=s["spec"]["clusterIP"], ports=s["spec"]["ports"])
    u = must(k, "PUT", N + "/services/t1", body)
    assert u["spec"]["clusterIP"] == s["spec"]["clusterIP"]
    assert u["spec"]["ports"][0]["nodePort"] == s["spec"]["ports"][0]["nodePort"]
    assert k.api("PATCH", N + "/services/t1", {"spec": {"clusterIP": "10.96.9.9"}}, MERGE)[0] == 422
    must(k, "DELETE", N + "/services/t1")
    u = must(k, "POST", N + "/services", lb("t2", clusterIP=s["spec"]["clusterIP"],
                                            ports=[{"port": 1, "nodePort": s["spec"]["ports"][0]["nodePort"]}]))
    assert k.api("POST", N + "/services", lb("t3", clusterIP=u["spec"]["clusterIP"]))[0] == 422
    assert k.api("POST", N + "/services", lb("t3", ports=u["spec"]["ports"]))[0] == 422


# -- patches -------------------------------------------------------------------------------------------------------------


def test_strategic_merge_of_ports(k):
    """By the number alone: of two with one number the first is changed, even if the patch says the other's protocol."""
    must(k, "POST", N + "/services", lb("t1", ports=[{"name": "t", "port": 53}, {"name": "u", "port": 54}]))
    s = must(k, "PATCH", N + "/services/t1", {"spec": {"ports": [{"port": 54, "targetPort": 5353}, {"name": "w", "port": 80}]}},
             STRATEGIC)
    assert {p["name"]: p["targetPort"] for p in s["spec"]["ports"]} == {"t": 53, "u": 5353, "w": 80}
    s = must(k, "PATCH", N + "/services/t1", {"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}, STRATEGIC)
    assert [p["name"] for p in s["spec"]["ports"]] == ["t", "u"]
    s = must(k, "PATCH", N + "/services/t1", {"spec": {"ports": [{"port": 9}, {"$patch": "replace"}]}}, STRATEGIC)
    assert [p["port"] for p in s["spec"]["ports"]] == [9]
    two = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "s", "port": 53, "protocol": "SCTP"}]
    must(k, "PATCH", N + "/services/t1", {"spec": {"type": "ClusterIP", "ports": two}}, MERGE)
    change = {"spec": {"ports": [{"port": 53, "protocol": "SCTP", "targetPort": 1}]}}
    assert k.api("PATCH", N + "/services/t1", change, STRATEGIC)[0] == 422, "two SCTP ports now"


def test_strategic_merge_directives(k):
    must(k, "POST", N + "/configmaps", {"metadata": {"name": "c", "finalizers": ["a/a", "b/b"]}, "data": {"x": "1", "y": "2"}})
    c = must(k, "PATCH", N + "/configmaps/c", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/a"],
                                                            "finalizers": ["c/c"]}, "data": {"x": None}}, STRATEGIC)
    assert sorted(c["metadata"]["finalizers"]) == ["b/b", "c/c"] and c["data"] == {"y": "2"}
    c = must(k, "PATCH", N + "/configmaps/c", {"metadata": {"finalizers": None}, "data": {"$patch": "replace", "z": "3"}}, STRATEGIC)
    assert c["data"] == {"z": "3"}


@pytest.mark.parametrize("ops,code", [
    ([{"op": "add", "path": "/metadata/labels/a.b~1c", "value": "v"}], 200), ([{"op": "add", "path": "/data/y", "value": "v"}], 200),
    ([{"op": "add", "path": "/data/a~1b", "value": "v"}], 422), ([{"op": "add", "path": "/data/a~0b", "value": "v"}], 422),
    ([{"op": "add", "path": "/metadata/labels/a~0b~1c", "value": "v"}], 422),
    ([{"op": "copy", "from": "/data/x", "path": "/data/w"}], 200), ([{"op": "move", "from": "/data/x", "path": "/data/w"}], 200),
    ([{"op": "test", "path": "/data/x", "value": "1"}], 200), ([{"op": "test", "path": "/data/x", "value": "2"}], 422),
    ([{"op": "remove", "path": "/data/none"}], 422), ([{"op": "nonsense", "path": "/data"}], 422),
    ([{"op": "add", "path": "data", "value": 1}], 422), ([{"op": "replace", "path": "", "value": 7}], 422), ({"op": "add"}, 400)])
def test_json_patch(k, ops, code):
    must(k, "POST", N + "/configmaps", {"metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"x": "1"}})
    got, c = k.api("PATCH", N + "/configmaps/c", ops, JSON_PATCH)
    assert got == code, c


# -- Leases --------------------------------------------------------------------------------------------------------------


def test_lease_life(k):
    body = lease("vip-a", holderIdentity="n1", leaseDurationSeconds=3, acquireTime=T0, renewTime=T0, leaseTransitions=0)
    l1 = must(k, "POST", LEASES, body, code=201)
    assert k.api("POST", LEASES, lease("vip-a"))[1]["reason"] == "AlreadyExists"
    l1["spec"].update(holderIdentity="n2", leaseTransitions=1)
    l2 = must(k, "PUT", LEASES + "/vip-a", l1)
    l1["spec"]["holderIdentity"] = "n3"
    assert k.api("PUT", LEASES + "/vip-a", l1)[1]["reason"] == "Conflict"
    assert k.get(LEASES + "/vip-a")["spec"]["holderIdentity"] == "n2"
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": rv(l1)}}
    assert k.api("DELETE", LEASES + "/vip-a", options)[0] == 409
    assert k.api("DELETE", LEASES + "/vip-a", {"preconditions": {"uid": "other"}})[0] == 409
    must(k, "PATCH", LEASES + "/vip-a", {"spec": {"renewTime": T5}}, MERGE)
    blind = lease("vip-a", holderIdentity="n4")
    assert k.api("PUT", LEASES + "/vip-a", blind)[0] == 422, "a Lease is not updated without a resourceVersion"
    assert must(k, "DELETE", LEASES + "/vip-a", {"preconditions": {"uid": l2["metadata"]["uid"]}})["status"] == "Success"
    assert k.api("PUT", LEASES + "/vip-a", l2)[0] == 409, "gone: its uid no longer holds"
    assert k.api("PUT", LEASES + "/vip-a", blind)[0] == 201, "created by PUT"


@pytest.mark.parametrize("when", ["2024-01-01T00:00:05Z", "2024-01-01T00:00:05.123Z", "2024-01-01T00:00:05.123456789Z",
                                  "2024-01-01 00:00:05.000000Z", "yesterday", "", 7])
def test_lease_times_have_six_digits(k, when):
    must(k, "POST", LEASES, lease("a", renewTime=T0))
    assert k.api("PATCH", LEASES + "/a", {"spec": {"renewTime": when}}, MERGE)[0] == 422
    assert k.api("POST", LEASES, lease("b", acquireTime=when))[0] == 400, "decoding a whole object fails with 400"
    must(k, "PATCH", LEASES + "/a", {"spec": {"renewTime": "2024-01-01T00:00:05.123456+01:00"}}, MERGE)


@pytest.mark.parametrize("spec,code", [
    ({"leaseDurationSeconds": 0}, 422), ({"leaseDurationSeconds": "3"}, 400), ({"leaseTransitions": -1}, 422),
    ({"holderIdentity": 7}, 400), ({"holderIdentity": ""}, 201), ({"leaseDurationSeconds": 1.5}, 400), ({}, 201)])
def test_lease_fields(k, spec, code):
    assert k.api("POST", LEASES, lease("a", **spec))[0] == code


def test_owned_lease_goes_with_its_owner(k):
    n = must(k, "POST", "/api/v1/nodes", {"metadata": {"name": "tn"}})
    owner = {"apiVersion": "v1", "kind": "Node", "name": "tn", "uid": n["metadata"]["uid"]}
    body = lease("lbd-node-tn")
    body["metadata"]["ownerReferences"] = [owner]
    must(k, "POST", LEASES, body)
    must(k, "DELETE", "/api/v1/nodes/tn")
    wait_for("its end", lambda: k.api("GET", LEASES + "/lbd-node-tn")[0] == 404, 30)


# -- lists ---------------------------------------------------------------------------------------------------------------


def test_pages_are_one_snapshot(k):
    """All pages carry the first one's version and show what was there then."""
    configmaps(k, 7)
    path = N + "/configmaps?limit=3&labelSelector=" + quote("t=page")
    p1 = k.get(path)
    must(k, "DELETE", N + "/configmaps/c5")
    must(k, "PATCH", N + "/configmaps/c6", {"data": {"late": "yes"}}, MERGE)
    must(k, "POST", N + "/configmaps", {"metadata": {"name": "c65", "labels": {"t": "page"}}})
    p2 = k.get(path + "&continue=" + p1["metadata"]["continue"])
    p3 = k.get(path + "&continue=" + p2["metadata"]["continue"])
    assert rv(p1) == rv(p2) == rv(p3)
    assert [c["metadata"]["name"] for p in (p1, p2, p3) for c in p["items"]] == [f"c{i}" for i in range(1, 8)]
    assert "data" not in p2["items"][2] and not p3["metadata"].get("continue")
    assert k.get(N + "/configmaps?limit=3")["metadata"]["remainingItemCount"] == 4
    exact = k.get(f"{N}/configmaps?resourceVersion={rv(p1)}&resourceVersionMatch=Exact")
    assert len(exact["items"]) == 7


def test_continue_after_compaction_is_410_with_a_fresh_token(k):
    configmaps(k, 7)
    p1 = k.get(N + "/configmaps?limit=3")
    must(k, "DELETE", N + "/configmaps/c5")
    k.forget_history()
    code, status = k.api("GET", N + "/configmaps?limit=3&continue=" + p1["metadata"]["continue"])
    assert (code, status["reason"]) == (410, "Expired")
    rest = k.get(N + "/configmaps?continue=" + status["metadata"]["continue"])
    assert [c["metadata"]["name"] for c in rest["items"]] == ["c4", "c6", "c7"]
    assert k.api("GET", f"{N}/configmaps?resourceVersion={rv(p1)}&resourceVersionMatch=Exact")[0] == 410


@pytest.mark.parametrize("query,code", [("continue=nonsense", 400), ("continue=AAAA", 400), ("limit=x", 400), ("limit=-1", 200),
                                        ("resourceVersion=x", 500), ("labelSelector=%3D%3D", 400), ("labelSelector=a%20in%20(", 400),
                                        ("fieldSelector=spec.nonsense%3Dx", 400), ("fieldSelector=x", 400), ("limit=%zz", 200)])
def test_bad_list_queries(k, query, code):
    assert k.api("GET", N + "/configmaps?" + query)[0] == code


def test_version_zero_ignores_the_limit(k):
    configmaps(k, 4)
    assert len(k.get(N + "/configmaps?resourceVersion=0&limit=2")["items"]) == 4


def test_list_from_the_future_times_out(k):
    t = time.monotonic()
    code, headers, text = k.raw("GET", N + "/configmaps?resourceVersion=999999999")
    assert code == 504 and "Too large resource version" in json.loads(text)["message"] and headers["Retry-After"] == "1"
    assert 2.5 < time.monotonic() - t < 6


@pytest.mark.parametrize("selector,want", [
    ("color=red", "ab"), ("color==red", "ab"), ("color!=red", "cd"), ("color in (red,blue)", "abc"), ("color notin (red)", "cd"),
    ("color", "abc"), ("!color", "d"), ("color=red,size=1", "a"), ("size in (1, 2) , color", "ab"), ("color in ()", ""),
    (" color = red ", "ab")])
def test_label_selectors(k, selector, want):
    for name, labels in (("a", {"color": "red", "size": "1"}), ("b", {"color": "red", "size": "2"}), ("c", {"color": "blue"}),
                         ("d", {})):
        must(k, "POST", N + "/configmaps", {"metadata": {"name": name, "labels": labels}})
    got = k.get(N + "/configmaps?labelSelector=" + quote(selector))
    assert "".join(c["metadata"]["name"] for c in got["items"]) == want


def test_field_selectors(k):
    configmaps(k, 3)
    names = lambda path, sel: [o["metadata"]["name"] for o in k.get(f"{path}?fieldSelector={quote(sel)}")["items"]]
    assert names(N + "/configmaps", "metadata.name=c2") == ["c2"]
    assert names("/api/v1/configmaps", "metadata.namespace=demo,metadata.name!=c2") == ["c1", "c3"]
    must(k, "POST", N + "/services", lb("t1"))
    assert names("/api/v1/services", "metadata.name=t1") == ["t1"]
    must(k, "POST", N + "/pods", {"metadata": {"name": "p"}, "spec": {
        "nodeName": "n1", "containers": [{"name": "c", "image": "none"}], "automountServiceAccountToken": False}})
    assert names("/api/v1/pods", "spec.nodeName=n1,status.phase!=Failed") == ["p"]
    assert names("/api/v1/pods", "spec.nodeName=n2") == []


def test_items_of_builtin_lists_have_no_kind(k):
    configmaps(k, 1)
    listed = k.get(N + "/configmaps")
    assert listed["kind"] == "ConfigMapList" and "kind" not in listed["items"][0]
    assert k.get(N + "/configmaps/c1")["kind"] == "ConfigMap"


# -- watches -------------------------------------------------------------------------------------------------------------


def test_watch_sees_every_change_in_order(k):
    first = k.get(N + "/configmaps")
    w = watch(k, N + "/configmaps", resourceVersion=rv(first))
    configmaps(k, 2)
    must(k, "PATCH", N + "/configmaps/c1", {"data": {"a": "b"}}, MERGE)
    gone = must(k, "DELETE", N + "/configmaps/c2")
    w.wait(4)
    assert w.types() == [("ADDED", "c1"), ("ADDED", "c2"), ("MODIFIED", "c1"), ("DELETED", "c2")]
    versions = [int(rv(e["object"])) for e in w.events]
    assert versions == sorted(versions) and len(set(versions)) == 4 and gone["status"] == "Success"
    again = watch(k, N + "/configmaps", resourceVersion=versions[1]).wait(2)
    assert again.types() == w.types()[2:], "a later watch resumes where it says"
    w.close()
    again.close()


def test_watch_too_old_is_an_error_event_in_a_200(k):
    first = k.get(N + "/configmaps")
    configmaps(k, 1)
    k.forget_history()
    w = watch(k, N + "/configmaps", resourceVersion=rv(first))
    assert w.ended() and w.status == 200
    assert [(e["type"], e["object"]["code"], e["object"]["reason"]) for e in w.events] == [("ERROR", 410, "Expired")]


def test_watch_bookmarks_and_timeout(k):
    """A bookmark comes 2 s before the end when something of the kind changed; timeoutSeconds ends the stream cleanly."""
    first = k.get(N + "/configmaps")
    t = time.monotonic()
    w = watch(k, N + "/configmaps", resourceVersion=rv(first), allowWatchBookmarks="true", timeoutSeconds=4)
    assert w.opened.wait(5)
    configmaps(k, 1)
    assert w.ended() and w.error is None and 3.5 < time.monotonic() - t < 6
    marks = [e for e in w.events if e["type"] == "BOOKMARK"]
    assert marks and int(rv(marks[-1]["object"])) >= int(rv(w.events[0]["object"]))
    assert marks[0]["object"]["kind"] == "ConfigMap" and w.types() == [("ADDED", "c1")]
    assert "BOOKMARK" not in {e["type"] for e in k.watch(N + "/configmaps", 1)}


def test_watch_from_the_future_is_silent(k):
    """No error and no event, not even of what happens meanwhile; it ends at its time."""
    w = watch(k, N + "/configmaps", resourceVersion=10**12, timeoutSeconds=2)
    assert w.opened.wait(5) and w.status == 200
    configmaps(k, 1)
    assert w.ended() and w.error is None and w.events == []


def test_watch_begins_with_what_is(k):
    """Without a version, and from version 0."""
    configmaps(k, 2)
    for version in ({}, {"resourceVersion": 0}):
        w = watch(k, N + "/configmaps", **version).wait(2)
        assert sorted(w.types()) == [("ADDED", "c1"), ("ADDED", "c2")]
        w.close()


def test_watch_selectors_make_comings_and_goings(k):
    """An object that leaves the selection is seen deleted, one that enters it added."""
    configmaps(k, 2)
    w = watch(k, N + "/configmaps", resourceVersion=rv(k.get(N + "/configmaps")), labelSelector="on=yes")
    for label in ("yes", "yes", "no", "yes", None):
        must(k, "PATCH", N + "/configmaps/c1", {"metadata": {"labels": {"on": label}}, "data": {"n": os.urandom(4).hex()}}, MERGE)
    w.wait(5)
    assert [t for t, _ in w.types()] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert w.events[2]["object"]["metadata"]["labels"]["on"] == "yes", "as it was when it was selected"
    one = watch(k, N + "/configmaps", resourceVersion=rv(k.get(N + "/configmaps")), fieldSelector="metadata.name=c2")
    must(k, "DELETE", N + "/configmaps/c1")
    must(k, "DELETE", N + "/configmaps/c2")
    assert one.wait(1).types() == [("DELETED", "c2")]
    w.close()
    one.close()


def test_watch_ignores_what_it_does_not_know(k):
    """A query parameter of a later version does no harm."""
    configmaps(k, 1)
    w = watch(k, N + "/configmaps", resourceVersion=0, nonsense="true").wait(1)
    assert w.types() == [("ADDED", "c1")]
    w.close()


def test_watch_of_leases_by_label(k):
    """As lbd watches them: its own, by a label that they have from the beginning."""
    def body(name, labels, **spec):
        return {**lease(name, **spec), "metadata": {"name": name, "labels": labels}}
    w = watch(k, LEASES, resourceVersion=rv(k.get(LEASES)), labelSelector="lbd.io/lease")
    must(k, "POST", LEASES, body("of-others", {}))
    made = must(k, "POST", LEASES, body("lbd-node-n1", {"lbd.io/lease": "node"}, holderIdentity="n1", renewTime=T0))
    made["spec"]["renewTime"] = T5
    made["metadata"]["annotations"] = {"lbd.io/addresses": "10.0.0.1"}
    must(k, "PUT", LEASES + "/lbd-node-n1", made)
    must(k, "DELETE", LEASES + "/lbd-node-n1")
    w.wait(3)
    assert w.types() == [(t, "lbd-node-n1") for t in ("ADDED", "MODIFIED", "DELETED")]
    seen = w.events[1]["object"]
    assert seen["spec"]["renewTime"] == T5 and seen["metadata"]["annotations"] == {"lbd.io/addresses": "10.0.0.1"}
    w.close()


def test_watch_of_namespaces(k):
    """Their labels, which select."""
    w = watch(k, "/api/v1/namespaces", resourceVersion=rv(k.get("/api/v1/namespaces")))
    must(k, "PATCH", "/api/v1/namespaces/demo", {"metadata": {"labels": {"team": "a"}}}, MERGE)
    must(k, "PATCH", "/api/v1/namespaces/demo", {"metadata": {"labels": {"team": None}}}, MERGE)
    w.wait(2)
    assert w.types() == [("MODIFIED", "demo")] * 2
    assert [(e["object"]["metadata"].get("labels") or {}).get("team") for e in w.events] == ["a", None]
    w.close()


def test_watch_of_one_namespace(k):
    w = watch(k, N + "/services", resourceVersion=rv(k.get(N + "/services")))
    must(k, "POST", "/api/v1/namespaces/default/services", lb("elsewhere"))
    must(k, "POST", N + "/services", lb("here"))
    assert w.wait(1).types() == [("ADDED", "here")]
    must(k, "DELETE", "/api/v1/namespaces/default/services/elsewhere")
    w.close()


# -- nodes, endpoints, events --------------------------------------------------------------------------------------------


def test_node_by_hand(k):
    must(k, "POST", "/api/v1/nodes", {"metadata": {"name": "tn"}, "spec": {"podCIDR": "10.244.9.0/24"},
                                      "status": {"conditions": [{"type": "Ready", "status": "False"}]}}, code=201)
    n = must(k, "PATCH", "/api/v1/nodes/tn/status", {"status": {
        "addresses": [{"type": "InternalIP", "address": "10.89.0.19"}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]}}, STRATEGIC)
    assert [c["status"] for c in n["status"]["conditions"]] == ["True", "False"], "merged by type"
    n = must(k, "PATCH", "/api/v1/nodes/tn", {"spec": {"unschedulable": True, "taints": [{"key": "a", "effect": "NoSchedule"}]},
                                              "status": {"conditions": []}}, MERGE)
    assert n["spec"]["unschedulable"] and len(n["status"]["conditions"]) == 2
    must(k, "DELETE", "/api/v1/nodes/tn")


def test_endpoints_and_slices(k):
    must(k, "POST", N + "/endpoints", {"metadata": {"name": "t3"}, "subsets": [
        {"addresses": [{"ip": "10.244.1.2", "nodeName": "n1"}], "notReadyAddresses": [{"ip": "10.244.2.2"}],
         "ports": [{"port": 8080}]}]}, code=201)
    path = f"/apis/discovery.k8s.io/{k.slices}/namespaces/demo/endpointslices"
    e = {"metadata": {"name": "t3-a", "labels": {"kubernetes.io/service-name": "t3"}}, "addressType": "IPv4",
         "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": True}}]}
    assert must(k, "POST", path, e, code=201)["ports"] == [{"port": 8080, "name": "", "protocol": "TCP"}]
    assert k.api("POST", path, {**e, "metadata": {"name": "b"}, "addressType": "IPv6"})[0] == 422
    assert k.api("PATCH", path + "/t3-a", {"addressType": "FQDN"}, MERGE)[0] == 422
    gone = "v1beta1" if k.slices == "v1" else "v1"
    assert k.api("GET", f"/apis/discovery.k8s.io/{gone}/endpointslices")[0] == 404


def test_slices_of_v1beta1_name_nodes_by_topology(k):
    if not is_old(k):
        return
    path = "/apis/discovery.k8s.io/v1beta1/namespaces/demo/endpointslices"
    e = must(k, "POST", path, {"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [
        {"addresses": ["10.0.0.1"], "nodeName": "n1", "topology": {"kubernetes.io/hostname": "n1"},
         "conditions": {"ready": True, "serving": True, "terminating": False}}]})["endpoints"][0]
    assert e == {"addresses": ["10.0.0.1"], "topology": {"kubernetes.io/hostname": "n1"}, "conditions": {"ready": True}}


def test_event_is_counted_by_patch(k):
    """As lbd tells that the same happened again."""
    made = must(k, "POST", N + "/events", {
        "metadata": {"name": "web.1"}, "involvedObject": {"kind": "Service", "namespace": "demo", "name": "web"}, "reason": "r",
        "message": "m", "type": "Normal", "source": {"component": "lbd"}, "firstTimestamp": "2024-01-01T00:00:00Z",
        "lastTimestamp": "2024-01-01T00:00:00Z", "count": 1}, code=201)
    e = must(k, "PATCH", N + "/events/web.1", {"count": 2, "lastTimestamp": "2024-01-01T00:00:05Z"}, MERGE)
    assert (e["count"], e["firstTimestamp"], e["lastTimestamp"]) == (2, made["firstTimestamp"], "2024-01-01T00:00:05Z")
    assert k.api("POST", N + "/events", made | {"metadata": {"name": "web.1"}})[0] == 409
    must(k, "DELETE", N + "/events/web.1")
    assert k.api("PATCH", N + "/events/web.1", {"count": 3}, MERGE)[0] == 404


def test_events_in_both_groups_are_one_store(k):
    core = {"metadata": {"generateName": "web."}, "involvedObject": {"kind": "Service", "namespace": "demo", "name": "web",
                                                                     "uid": "u"},
            "reason": "IPAllocated", "message": "m", "type": "Normal", "source": {"component": "lbd"},
            "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:00:00Z", "count": 1}
    e = must(k, "POST", N + "/events", core, code=201)
    assert e["metadata"]["name"].startswith("web.") and len(e["metadata"]["name"]) == 9
    new = {"metadata": {"generateName": "web-"}, "eventTime": T0, "reportingController": "lbd.io/lbd", "reportingInstance": "n1",
           "action": "Announce", "reason": "nodeAssigned", "note": "announcing", "type": "Normal",
           "regarding": {"kind": "Service", "namespace": "demo", "name": "web"}}
    path = "/apis/events.k8s.io/v1/namespaces/demo/events"
    e = must(k, "POST", path, new, code=201)
    assert e["note"] == "announcing" and e["apiVersion"] == "events.k8s.io/v1"
    got = k.get(N + "/events?fieldSelector=" + quote("involvedObject.name=web,involvedObject.kind=Service"))["items"]
    assert sorted(o["message"] for o in got) == ["announcing", "m"]
    assert {o["note"] for o in k.get(path)["items"]} == {"announcing", "m"}
    assert len(k.get(N + "/events?fieldSelector=involvedObject.uid%3Du")["items"]) == 1
    del new["action"]
    assert k.api("POST", path, new)[0] == 422
    core["involvedObject"]["namespace"] = "default"
    assert k.api("POST", N + "/events", core)[0] == 422
    del core["involvedObject"]["namespace"]
    assert k.api("POST", N + "/events", core)[0] == 422, "without a namespace: only in default"
    name = must(k, "POST", "/api/v1/namespaces/default/events", core)["metadata"]["name"]
    must(k, "DELETE", "/api/v1/namespaces/default/events/" + name)


# -- namespaces, discovery, who may -----------------------------------------------------------------------------------------


def test_namespace_must_exist_and_takes_all_along(k):
    assert k.api("POST", "/api/v1/namespaces/nowhere/services", lb("a"))[0] == 404
    must(k, "POST", "/api/v1/namespaces", {"metadata": {"name": "tmp"}})
    must(k, "POST", "/api/v1/namespaces/tmp/services", lb("a"))
    held = {"metadata": {"name": "held", "finalizers": ["x/y"]}}
    must(k, "POST", "/api/v1/namespaces/tmp/configmaps", held)
    must(k, "DELETE", "/api/v1/namespaces/tmp")
    assert k.get("/api/v1/namespaces/tmp")["status"]["phase"] == "Terminating"
    wait_for("its Services' end", lambda: k.api("GET", "/api/v1/namespaces/tmp/services/a")[0] == 404, 30)
    assert k.api("POST", "/api/v1/namespaces/tmp/services", lb("b"))[0] == 403
    must(k, "PATCH", "/api/v1/namespaces/tmp/configmaps/held", {"metadata": {"finalizers": None}}, MERGE)
    wait_for("its end", lambda: k.api("GET", "/api/v1/namespaces/tmp")[0] == 404, 30)


def test_custom_resources_come_and_go(k):
    """A kind is 404 until its definition is there; then it is listed, watched and patched, its status by a door of its own; when
    the definition goes, its objects go, the watch ends and it is 404 again."""
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    everything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    path = "/apis/lbd.test/v1/namespaces/demo/things"
    assert k.api("GET", path)[0] == 404
    must(k, "POST", definitions, {"metadata": {"name": "things.lbd.test"}, "spec": {
        "group": "lbd.test", "scope": "Namespaced", "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things",
                                                             "singular": "thing"},
        "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": everything, "status": everything}}}}]}})
    try:
        wait_for("the kind served", lambda: k.api("GET", path)[0] == 200, 20)
        w = watch(k, path, resourceVersion=rv(k.get(path)))
        body = {"apiVersion": "lbd.test/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"x": 1}, "status": {"no": 1}}
        first = must(k, "POST", path, body, code=201)
        assert "status" not in first and first["metadata"]["generation"] == 1
        changed = must(k, "PATCH", path + "/a", {"spec": {"x": 2}, "status": {"no": 1}}, MERGE)
        assert "status" not in changed and changed["metadata"]["generation"] == 2
        told = must(k, "PATCH", path + "/a/status", {"spec": {"x": 3}, "status": {"yes": 1}}, MERGE)
        assert told["status"] == {"yes": 1} and told["spec"] == {"x": 2} and told["metadata"]["generation"] == 2
        stale = {"metadata": {"resourceVersion": rv(first)}, "status": {"yes": 2}}
        assert k.api("PATCH", path + "/a/status", stale, MERGE)[0] == 409
        assert k.api("PATCH", path + "/a", {}, STRATEGIC)[0] == 415
        listed = k.get("/apis/lbd.test/v1/things")
        assert listed["kind"] == "ThingList" and listed["items"][0]["kind"] == "Thing", "unlike a builtin kind's"
        assert w.wait(3).types() == [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a")]
    finally:
        must(k, "DELETE", definitions + "/things.lbd.test")
    assert w.ended(30) and w.types()[3:] == [("DELETED", "a")]
    wait_for("the kind gone", lambda: k.api("GET", path)[0] == 404, 20)


def test_secret_by_name(k):
    """What a right on one Secret by its name allows: get it, and list and watch by its name."""
    secrets = N + "/secrets"
    must(k, "POST", secrets, {"metadata": {"name": "tor1"}, "type": "kubernetes.io/basic-auth",
                              "stringData": {"username": "u", "password": "p"}})
    try:
        assert k.get(secrets + "/tor1")["data"]["password"] == "cA=="
        one = secrets + "?fieldSelector=" + quote("metadata.name=tor1")
        listed = k.get(one)
        assert [s["metadata"]["name"] for s in listed["items"]] == ["tor1"]
        w = watch(k, secrets, resourceVersion=rv(listed), fieldSelector="metadata.name=tor1")
        must(k, "PATCH", secrets + "/tor1", {"data": {"password": "cQ=="}}, MERGE)
        assert w.wait(1).types() == [("MODIFIED", "tor1")]
        w.close()
    finally:
        must(k, "DELETE", secrets + "/tor1")


def test_only_the_known_come_in(k):
    for token, code in (("nonsense", 401), (k.token("second"), 200)):
        assert k.api("GET", "/api/v1/services", token=token)[0] == code


@pytest.mark.parametrize("path,code", [
    ("/api", 200), ("/api/v1", 200), ("/apis", 200), ("/apis/apps", 200), ("/apis/nonsense", 404), ("/apis/apps/v9", 404),
    ("/healthz", 200), ("/readyz", 200), ("/livez", 200), ("/version", 200), ("/openapi/v2", 200), ("/openapi/v3", 404), ("/", 200),
    ("/nonsense", 404), ("/api/v1/nonsense", 404), ("/api/v1/namespaces/demo/services/none", 404), ("/api/v1/services/x", 404),
    ("/api/v1/namespaces/demo/services/x/y/z", 404), ("/api/v1/namespaces/demo/configmaps/x/status", 404), ("//", 404)])
def test_paths(k, path, code):
    assert k.raw("GET", path)[0] == code


@pytest.mark.parametrize("method,path,code", [
    ("POST", "/api/v1/services", 405), ("PUT", N + "/services", 405), ("PATCH", N + "/services", 405),
    ("BREW", N + "/services", 405), ("POST", N + "/services/x", 405)])
def test_methods_that_are_not(k, method, path, code):
    assert k.api(method, path, lb("x"))[0] == code


@pytest.mark.parametrize("body,type,code", [
    ("{", None, 400), ("[]", None, 400), ("7", None, 400), ("", None, 400), ('{"kind":"Pod"}', None, 400),
    ('{"apiVersion":"v2","kind":"Service"}', None, 400), ('{"metadata":7}', None, 400),
    ('{"metadata":{"name":"UPPER"},"spec":{"ports":[{"port":1}]}}', None, 422), ('{"metadata":{}}', None, 422),
    ('{"metadata":{"name":"x","namespace":"other"}}', None, 400), ("k8s\0\1", "application/vnd.kubernetes.protobuf", 400),
    ('{"metadata":{"name":"x","resourceVersion":"1"},"spec":{"ports":[{"port":1}]}}', None, 500), ("[" * 2000, None, 400), ('{} x', None, 400)])
def test_bad_bodies(k, body, type, code):
    assert k.api("POST", N + "/services", body, type)[0] == code


def test_dry_run_stores_nothing(k):
    must(k, "POST", N + "/services?dryRun=All", lb("t1"), code=201)
    assert k.api("GET", N + "/services/t1")[0] == 404
