# SPDX-License-Identifier: Apache-2.0
"""packaging/rbac.yaml, right by right, judged by the real server's RBAC: all together suffice; without any one of them lbd says
which it lacks, what does not need it goes on, and once it is given all is well without a restart."""

import pytest

from apiserver import MERGE
from kubernetes import FAST, SERVICES, K8sLab
from lab import Timeout, wait_for
from objects import lb
from rules import CORE, bound, full_name, lacking, optional, rights, sentence

pytestmark = pytest.mark.k8s

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
# Needed only where there are no EndpointSlices.
FALLBACK = ("endpoints",)
READS = ("services", "nodes", "endpointslices", "endpoints", "leases")


def params(fallback):
    return [pytest.param(*r, id=f"{r[3]}-{r[2].replace('/', '-')}") for r in rights(*CORE) if (r[2] in FALLBACK) == fallback]


@pytest.fixture
def lab(k8s):
    yield from quiet(k8s)


@pytest.fixture(scope="module")
def old():
    """A server without EndpointSlices, one node, and a kube-proxy that reads Endpoints."""
    with K8sLab(nodes=1, kubesim_args=["--runtime-config=discovery.k8s.io/v1beta1=false"],
                proxy_args=["--feature-gates=EndpointSliceProxying=false"]) as the_lab:
        yield the_lab


@pytest.fixture
def old_lab(old):
    yield from quiet(old)


def quiet(the_lab):
    """No lbd runs, and none has. Afterwards all is gone."""
    the_lab.forget()
    yield the_lab
    the_lab.clear()
    the_lab.forget()


def repeat_an_event(lab):
    """A Service that asks for what no pool has, again and again: one Event, counted."""
    for ip in ("203.0.113.1", "10.89.0.119"):
        wait_for("no 409", lambda: lab.server.api("PATCH", f"{SERVICES}/asks", {"spec": {"loadBalancerIP": ip}}, MERGE)[0] == 200)


def disturb_leases(lab):
    """Others write lbd's Leases between its read and its write: it has to look."""
    for name in ("lbd-leader", "lbd-node-n1"):
        for i in range(50):
            lab.server.api("PATCH", f"{LEASES}/{name}", {"metadata": {"annotations": {"turn": str(i)}}}, MERGE)


PROVOKE = {("create", "events"): repeat_an_event, ("patch", "events"): repeat_an_event,
           ("get", "leases"): disturb_leases}


def served(lab, name):
    """From a new Service to a pod's answer, with its Event."""
    lab.run_pods(name, lab.pods[:1])
    ip = lab.expose(name)
    lab.wait_owner(ip, 20)
    lab.wait_http(ip, 20)
    wait_for("its Event", lambda: "IPAllocated" in {e["reason"] for e in lab.events(name)})
    return ip


def stands(lab, node, resource, verb):
    """What goes on without the right."""
    assert node.alive() and node.dump()["api"]["synced"] == (resource not in READS or verb not in ("list", "watch"))
    if resource != "events":
        return
    wait_for("an address", lambda: lab.ips("asks") == ["10.89.0.119"])
    lab.wait_owner("10.89.0.119", 20)
    assert verb != "create" or [e for e in lab.events("asks") if e["source"]["component"] == "lbd"] == []


def lacks(lab, role, group, resource, verb):
    node, full = lab.nodes[0], full_name(group, resource)
    namespace = role["metadata"].get("namespace")
    asked_in = namespace or ("default" if resource in ("services/status", "events") else None)
    begin = len(node.log.read_text()) if node.log.exists() else 0
    said = lambda: node.log.read_text()[begin:]
    provoke = PROVOKE.get((verb, resource), lambda lab: None)
    with lacking(lab, role, group, resource, verb, namespace):
        node.start(ready=False)
        lab.run_pods("asks", lab.pods[:1])
        lab.must("POST", SERVICES, lb("asks", selector={"app": "asks"}, loadBalancerIP="10.89.0.119"))
        wait_for("lbd's word", lambda: provoke(lab) or sentence(verb, full, asked_in) in said(), 20)
        assert node.dump()["api"]["refused"] == [f"{verb} {full}"]
        assert node.dump()["counters"]['lbd_api_errors_total{reason="403"}'] > 0
        stands(lab, node, resource, verb)
    wait_for("nothing refused", lambda: provoke(lab) or node.dump()["api"]["refused"] == [], 40)
    served(lab, "web")
    assert node.stop() == 0
    assert said().count("the API refuses to") == said().count("the API no longer refuses to") == 1, "once, and of nothing else"


@pytest.mark.parametrize("role,group,resource,verb", params(False))
def test_each_right_is_needed(lab, role, group, resource, verb):
    """One is taken away, lbd started: it says so once, and what does not need it works; it is given back: all works."""
    lacks(lab, role, group, resource, verb)


@pytest.mark.parametrize("role,group,resource,verb", params(True))
def test_each_right_is_needed_without_slices(old_lab, role, group, resource, verb):
    lacks(old_lab, role, group, resource, verb)


def test_endpoints_where_there_are_no_slices(old_lab):
    """A server without EndpointSlices: externalTrafficPolicy Local by Endpoints, to the pod and with the client's address."""
    node = old_lab.nodes[0].start()
    ip = old_lab.expose("local", externalTrafficPolicy="Local")
    with pytest.raises(Timeout):
        wait_for("an announcement without an endpoint", lambda: old_lab.owners(ip), 1.5)
    old_lab.run_pods("local")
    assert old_lab.wait_owner(ip, 20) is node
    assert old_lab.wait_http(ip, 20) == "pod1 sees 10.89.0.50\n"
    assert [w["resource"] for w in node.dump()["api"]["watches"] if w["synced"]][-1] == "endpoints"
    old_lab.run_pods("local", ready=False)
    wait_for("silence", lambda: not old_lab.owners(ip))


SELECTING = f"""apiVersion: lbd.io/v1
kind: Config
pools:
- name: lan
  addresses: [10.89.0.100-10.89.0.109]
- name: team
  addresses: [10.89.0.110-10.89.0.119]
  serviceAllocation: {{namespaceSelectors: [{{matchLabels: {{team: a}}}}]}}
{FAST}"""


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_namespaces(lab, verb):
    """The optional role of a pool with namespaceSelectors: without one right of it that is said, and the other pool serves; given,
    the pool serves whom it selects."""
    node = lab.nodes[0]
    lab.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"team": "a"}}})
    with bound(lab):
        with lacking(lab, optional("lbd-namespaces"), "", "namespaces", verb):
            begin = len(node.log.read_text()) if node.log.exists() else 0
            node.start(config=SELECTING, ready=False)
            wait_for("lbd's word", lambda: sentence(verb, "namespaces", None) in node.log.read_text()[begin:], 20)
            assert node.dump()["api"]["refused"] == [f"{verb} namespaces"]
            lab.must("POST", SERVICES, {**lb("team"), "metadata": {"name": "team", "annotations": {"lbd.io/address-pool": "team"}}})
            lab.must("POST", SERVICES, {**lb("lan"), "metadata": {"name": "lan", "annotations": {"lbd.io/address-pool": "lan"}}})
            assert lab.wait_ip("lan", timeout=20) == "10.89.0.100"
        wait_for("nothing refused", lambda: node.dump()["api"]["refused"] == [], 40)
        assert lab.wait_ip("team", timeout=40) == "10.89.0.110"
        assert node.stop() == 0


def test_all_rights_suffice(lab):
    """With all of them nothing is refused, whatever lbd does."""
    begin = len(lab.server.requests())
    lab.start()
    served(lab, "web")
    lab.must("POST", SERVICES, lb("asks", loadBalancerIP="203.0.113.1"))
    counted = lambda: any(r["verb"] == "patch" and r["resource"] == "events" for r in lab.server.requests()[begin:])
    wait_for("a counted Event", lambda: repeat_an_event(lab) or counted(), 20)
    disturb_leases(lab)
    lab.delete_service("web")
    for node in lab.nodes:
        assert node.dump()["api"]["refused"] == [] and node.stop() == 0
    done = lab.server.requests()[begin:]
    assert [r for r in done if r["code"] in (401, 403)] == []
    used = {(r["verb"], r["resource"]) for r in done}
    wanted = {(verb, resource) for _, _, resource, verb in rights(*CORE) if resource not in FALLBACK}
    assert used == wanted, "all that is given is used, and no more"
