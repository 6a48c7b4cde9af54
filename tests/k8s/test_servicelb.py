# SPDX-License-Identifier: Apache-2.0
"""servicelb mode on the real Kubernetes: a Service has the nodes' own addresses, and kube-proxy takes what comes there to a pod."""

import pytest

from kubernetes import FAST, SERVICES, K8sLab
from lab import wait_for
from objects import lb, rv

pytestmark = pytest.mark.k8s

NO_POOLS = f"apiVersion: lbd.io/v1\nkind: Config\n{FAST}"


@pytest.fixture(scope="module")
def single():
    """The commonest k3s: one node, an empty configuration."""
    with K8sLab(nodes=1, config=NO_POOLS) as the_lab:
        yield the_lab.start()


@pytest.fixture
def one(single):
    yield single
    single.clear()


@pytest.fixture
def three(k8s):
    k8s.forget()
    k8s.start(config=NO_POOLS)
    yield k8s
    k8s.clear()
    k8s.forget()


def served(lab, name, ip, port=80):
    """The answer of a pod that a client on the LAN gets."""
    return wait_for(f"{name} at {ip}", lambda: lab.client.curl(ip, port), 20)


def test_one_node(one):
    """The node's address, announced by nobody but the node itself; two Services by their ports; one that wants a port that is taken
    is refused with a reason, and gets it when it is free."""
    one.run_pods("web")
    assert one.expose("web") == "10.89.0.11"
    assert served(one, "web", "10.89.0.11").startswith("pod1 sees ")
    two = [{"name": "a", "port": 8000, "targetPort": 8080}, {"name": "b", "port": 8001, "targetPort": 8080}]
    one.must("POST", SERVICES, lb("two", selector={"app": "web"}, ports=two))
    assert one.wait_ip("two") == "10.89.0.11"
    assert served(one, "two", "10.89.0.11", 8000) and served(one, "two", "10.89.0.11", 8001)
    one.must("POST", SERVICES, lb("late", selector={"app": "web"}))
    wait_for("a reason", lambda: any(e["type"] == "Warning" for e in one.events("late")))
    assert one.ips("late") == []
    one.delete_service("web")
    assert one.wait_ip("late", timeout=20) == "10.89.0.11" and served(one, "late", "10.89.0.11")


def test_one_node_local(one):
    """externalTrafficPolicy Local: the client's address is kept; without a ready pod there is no address."""
    one.must("POST", SERVICES, lb("local", selector={"app": "local"}, externalTrafficPolicy="Local"))
    one.run_pods("local")
    assert one.wait_ip("local", timeout=20) == "10.89.0.11"
    assert served(one, "local", "10.89.0.11") == "pod1 sees 10.89.0.50\n"
    one.run_pods("local", ready=False)
    wait_for("no address", lambda: one.ips("local") == [], 20)


def test_one_node_stands_still(one):
    """What an old server drops of a status (ipMode) is not written again."""
    one.run_pods("still")
    one.expose("still")
    s = one.must("GET", f"{SERVICES}/still")
    assert s["status"]["loadBalancer"]["ingress"] == [{"ip": "10.89.0.11"}]
    for i in range(5):
        s = one.patch(f"{SERVICES}/still", {"metadata": {"labels": {"turn": str(i)}}})
    assert one.server.watch(f"{SERVICES}?fieldSelector=metadata.name%3Dstill&resourceVersion={rv(s)}", 3) == []
    assert one.written_once("still")


def test_three_nodes(three):
    """All nodes' addresses, and each of them answers, whichever node the pod is on."""
    three.run_pods("web", [three.pods[1]])
    three.must("POST", SERVICES, lb("web", selector={"app": "web"}))
    wait_for("three addresses", lambda: three.ips("web") == ["10.89.0.11", "10.89.0.12", "10.89.0.13"], 20)
    for ip in three.ips("web"):
        assert served(three, "web", ip).startswith("pod2 sees ")


def test_three_nodes_local(three):
    """Local: the addresses follow the pods, and the client's address is kept."""
    three.run_pods("local", [three.pods[1]])
    three.must("POST", SERVICES, lb("local", selector={"app": "local"}, externalTrafficPolicy="Local"))
    wait_for("the pod's node", lambda: three.ips("local") == ["10.89.0.12"], 20)
    assert served(three, "local", "10.89.0.12") == "pod2 sees 10.89.0.50\n"
    three.run_pods("local", [three.pods[2]])
    wait_for("both pods' nodes", lambda: three.ips("local") == ["10.89.0.12", "10.89.0.13"], 20)
    assert served(three, "local", "10.89.0.13") == "pod3 sees 10.89.0.50\n"


def test_nothing_was_refused(single):
    assert single.server.refused() == []
