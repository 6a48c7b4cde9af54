# SPDX-License-Identifier: Apache-2.0
"""kubesim: what of a server newer than 1.20 the contract (tests/k8s/test_contract.py) cannot ask a real one; kubectl; its faults.

Nothing here needs root or a network namespace: everything is on loopback, on ports the kernel chose.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlparse

import pytest

from apiserver import APPLY, MERGE, ROOT, STRATEGIC, Watch
from kubesim import Kubesim, admin_context
from objects import configmaps, ingress, lb, lease, must, rv

N = "/api/v1/namespaces/demo"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/demo/leases"
T0, T5 = "2024-01-01T00:00:00.000000Z", "2024-01-01T00:00:05.000000Z"


@pytest.fixture(scope="module")
def sim():
    with Kubesim().start(extra=["--bookmark-ms", 300]) as k:
        assert k.api("POST", "/api/v1/namespaces", {"metadata": {"name": "demo"}})[0] == 201
        yield k
        assert k.stop() == 0, (k.dir / "kubesim.log").read_text()


@pytest.fixture
def k(sim):
    """The shared server, without faults, with an empty namespace demo."""
    sim.clear()
    for path in (N + "/services", N + "/configmaps", LEASES, N + "/events", N + "/endpoints", N + "/pods", "/api/v1/nodes",
                 "/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices"):
        assert sim.api("DELETE", path)[0] == 200
    yield sim
    sim.clear()


@pytest.fixture
def own():
    """A factory of servers of one's own."""
    started = []

    def make(**kw):
        started.append(Kubesim())
        return started[-1].start(**kw)
    yield make
    codes = [one.stop() for one in started]
    for one in started:
        one.close()
    assert set(codes) <= {0, None}


@pytest.fixture(scope="module")
def old_kubectl():
    """Debian 12's kubectl, 1.20.2, unpacked and not installed."""
    home = ROOT / "build" / "kubectl-1.20"
    path = Path(os.environ.get("LBD_KUBECTL_OLD") or home / "usr/bin/kubectl")
    if not path.exists():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as made:  # other workers do the same: the first one's stays
            subprocess.run(["apt-get", "download", "kubernetes-client"], cwd=made, capture_output=True, timeout=120)
            for deb in Path(made).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", deb, f"{made}/root"], check=True)
                with contextlib.suppress(OSError):
                    os.rename(f"{made}/root", home)
        if not path.exists():
            pytest.skip("kubernetes-client cannot be downloaded")
    return str(path)


@pytest.fixture(params=["machine's", "1.20.2"])
def kubectl(request, k):
    """kubectl of this machine and Debian's; a function that returns stdout."""
    binary = None if request.param == "machine's" else request.getfixturevalue("old_kubectl")
    return lambda *a, **kw: k.kubectl(*a, kubectl=binary, **kw).stdout


def wait_for(what, check, timeout=10):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {timeout} s")


# -- Services and their status -------------------------------------------------------------------------------------------


def test_service_create_defaults(k):
    """A LoadBalancer Service gets what the real server gives it: addresses, node port, policies."""
    s = must(k, "POST", N + "/services", lb("t1"), code=201)["spec"]
    assert s["clusterIP"].startswith("10.9") and s["clusterIPs"] == [s["clusterIP"]]
    assert 30000 <= s["ports"][0]["nodePort"] <= 32767 and s["ports"][0]["protocol"] == "TCP"
    assert (s["externalTrafficPolicy"], s["internalTrafficPolicy"], s["sessionAffinity"]) == ("Cluster", "Cluster", "None")
    assert (s["ipFamilies"], s["ipFamilyPolicy"], s["allocateLoadBalancerNodePorts"]) == (["IPv4"], "SingleStack", True)
    assert k.api("POST", N + "/services", lb("t1"))[1]["reason"] == "AlreadyExists"


@pytest.mark.parametrize("policy,families,want", [
    ("PreferDualStack", None, ["IPv4", "IPv6"]), ("RequireDualStack", ["IPv6"], ["IPv6", "IPv4"]),
    ("SingleStack", ["IPv6"], ["IPv6"])])
def test_service_families(k, policy, families, want):
    spec = {"ipFamilyPolicy": policy, **({"ipFamilies": families} if families else {})}
    s = must(k, "POST", N + "/services", lb("t1", **spec))["spec"]
    assert s["ipFamilies"] == want
    assert [":" in ip for ip in s["clusterIPs"]] == [f == "IPv6" for f in want]


def test_service_node_ports_not_allocated(k):
    s = must(k, "POST", N + "/services", lb("t1", allocateLoadBalancerNodePorts=False))
    assert "nodePort" not in s["spec"]["ports"][0]


def test_load_balancer_class_is_fixed(k):
    must(k, "POST", N + "/services", lb("t1", loadBalancerClass="lbd.io/lb"))
    assert k.api("PATCH", N + "/services/t1", {"spec": {"loadBalancerClass": "b/c"}}, MERGE)[0] == 422
    must(k, "PATCH", N + "/services/t1", {"spec": {"type": "ClusterIP"}}, MERGE)
    assert "loadBalancerClass" not in k.get(N + "/services/t1")["spec"]


# -- patches -------------------------------------------------------------------------------------------------------------


def test_apply_creates_and_merges(k):
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    assert k.api("PATCH", N + "/configmaps/c", obj, APPLY)[0] == 422
    must(k, "PATCH", N + "/configmaps/c?fieldManager=t", obj, APPLY, 201)
    c = must(k, "PATCH", N + "/configmaps/c?fieldManager=t", {**obj, "data": {"b": "2"}}, APPLY, 200)
    assert c["data"] == {"a": "1", "b": "2"}
    assert k.api("PATCH", N + "/configmaps/c?fieldManager=t", "data: {a: 1}", APPLY)[0] == 415


# -- Leases --------------------------------------------------------------------------------------------------------------


def test_unknown_fields_are_dropped_and_told(k):
    path, body = LEASES, lease("a", holderIdentity="x", nonsense=1)
    code, headers, text = k.raw("POST", path, body)
    assert code == 201 and "nonsense" not in json.loads(text)["spec"] and "spec.nonsense" in headers["Warning"]
    assert k.api("POST", path + "?fieldValidation=Strict", lease("b", nonsense=1))[0] == 400


def test_ingress_mode(k):
    must(k, "POST", N + "/services", lb("t1"))
    for entry in ({"hostname": "a.b", "ipMode": "VIP"}, {"ip": "10.0.0.1", "ipMode": "Nonsense"}):
        assert k.api("PATCH", N + "/services/t1/status", {"status": {"loadBalancer": {"ingress": [entry]}}}, MERGE)[0] == 422


# -- watches -------------------------------------------------------------------------------------------------------------


def test_watch_without_version_begins_with_what_is(k):
    configmaps(k, 2)
    for version in ({}, {"resourceVersion": 0}):
        w = Watch(k, N + "/configmaps", **version).wait(2)
        assert w.types() == [("ADDED", "c1"), ("ADDED", "c2")]
        w.close()
    w = Watch(k, N + "/configmaps", sendInitialEvents="true", allowWatchBookmarks="true",
              resourceVersionMatch="NotOlderThan").wait(2)
    mark = wait_for("the bookmark", lambda: [e for e in w.events if e["type"] == "BOOKMARK"])[0]
    assert mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
    w.close()


def test_slow_watcher_costs_no_memory(own):
    """A watcher that reads nothing is dropped when the history has passed it."""
    k = own(extra=["--history", 2000])
    u = urlparse(k.url)
    raw = socket.create_connection((u.hostname, u.port))
    s = ssl.create_default_context(cafile=k.dir / "ca.crt").wrap_socket(raw, server_hostname=u.hostname)
    s.sendall(f"GET /api/v1/services?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {k.token()}\r\n\r\n".encode())
    wait_for("the watch", lambda: k.stats()["users"].get("lbd", {}).get("watchesOpen") == 1)
    for i in range(6):
        k.bulk(2000, prefix=f"x{i}-")
        k.bulk_delete(prefix=f"x{i}-")
    s.settimeout(5)
    total = 0
    while True:
        got = s.recv(65536)
        total += len(got)
        if not got or got.endswith(b"0\r\n\r\n"):
            break
    assert total < 16 << 20
    s.close()


# -- nodes, endpoints, events --------------------------------------------------------------------------------------------


def test_endpoints_helper_writes_both_forms(k):
    back = [{"ip": "10.244.1.2", "node": "n1"}, {"ip": "10.244.2.2", "node": "n2", "ready": False}, {"ip": "fd00::2", "node": "n3"}]
    k.endpoints("web", back, namespace="demo")
    k.endpoints("web", back, namespace="demo")
    s = k.get(N + "/endpoints/web")["subsets"][0]
    assert [a["nodeName"] for a in s["addresses"]] == ["n1", "n3"] and s["notReadyAddresses"][0]["ip"] == "10.244.2.2"
    slices = k.get("/apis/discovery.k8s.io/v1/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb")["items"]
    assert sorted((e["addresses"][0], e["conditions"]["ready"]) for s in slices for e in s["endpoints"]) == [
        ("10.244.1.2", True), ("10.244.2.2", False), ("fd00::2", True)]


# -- namespaces, discovery, who may -----------------------------------------------------------------------------------------


def test_custom_resources(k):
    """A CustomResourceDefinition makes its kind served; its status has a door of its own."""
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "pools.lbd.test"},
           "spec": {"group": "lbd.test", "scope": "Namespaced", "names": {"kind": "Pool", "plural": "pools", "shortNames": ["pl"]},
                    "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}]}}
    path = "/apis/lbd.test/v1/namespaces/demo/pools"
    assert k.api("GET", path)[0] == 404
    must(k, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    must(k, "POST", path, {"apiVersion": "lbd.test/v1", "kind": "Pool", "metadata": {"name": "a"}, "spec": {"x": {"y": [1]}},
                           "status": {"no": 1}})
    p = must(k, "PATCH", path + "/a", {"spec": {"x": 2}, "status": {"no": 1}}, MERGE)
    assert p["metadata"]["generation"] == 2 and "status" not in p
    p = must(k, "PATCH", path + "/a/status", {"spec": {"x": 3}, "status": {"yes": 1}}, MERGE)
    assert p["status"] == {"yes": 1} and p["spec"] == {"x": 2} and p["metadata"]["generation"] == 2
    assert k.api("PATCH", path + "/a", {}, STRATEGIC)[0] == 415
    assert "a" in k.kubectl("-n", "demo", "get", "pl").stdout
    must(k, "DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pools.lbd.test")
    assert k.api("GET", path)[0] == 404


def test_only_the_known_come_in(k):
    lbd = k.token()
    for token, code in (("bad", 401), (lbd, 200), ("second-token", 200)):
        assert k.api("GET", "/api/v1/services", token=token)[0] == code
    u = urlparse(k.url)
    context = ssl.create_default_context(cafile=k.dir / "ca.crt")
    c = http.client.HTTPSConnection(u.hostname, u.port, context=context, timeout=10)
    c.request("GET", "/api/v1/services")
    assert c.getresponse().status == 401, "anonymous"
    url, context = admin_context(k.dir)
    c = http.client.HTTPSConnection(u.hostname, u.port, context=context, timeout=10)
    c.request("GET", "/kubesim/stats")
    assert c.getresponse().status == 200, "the admin's certificate"
    assert k.api("GET", "/kubesim/stats", token=lbd)[0] == 403
    k.set_token("fresh", "lbd2")
    assert k.api("GET", "/api/v1/services", token="fresh")[0] == 200
    k.drop_tokens("lbd2")
    assert k.api("GET", "/api/v1/services", token="fresh")[0] == 401


def test_curl_verifies(k):
    """curl, TLS 1.2 and 1.3, by the CA that was written."""
    for version in ("1.2", "1.3"):
        r = subprocess.run(["curl", "-sS", "--cacert", k.dir / "ca.crt", "--tlsv" + version, "--tls-max", version, "-H",
                            f"Authorization: Bearer {k.token()}", "-w", "%{http_code} %{http_version}", "-o", "/dev/null",
                            k.url + "/version"], capture_output=True, text=True, timeout=20)
        assert r.stdout == "200 1.1", r.stderr


@pytest.mark.parametrize("extra,curl", [
    (["--tls", "1.1"], 35), (["--cert-days", "-1"], 60), (["--no-default-sans", "--san", "elsewhere.example"], 60)])
def test_servers_not_to_be_trusted(own, extra, curl):
    k = own(extra=extra)
    r = subprocess.run(["curl", "-sS", "--cacert", k.dir / "ca.crt", k.url], capture_output=True, text=True, timeout=20)
    assert r.returncode == curl, r.stderr


def test_ca_rotation(own):
    k = own()
    before = (k.dir / "ca.crt").read_text()
    k.new_ca()
    assert (k.dir / "ca.crt").read_text() != before
    assert k.api("GET", "/version", token=k.token())[0] == 200
    assert "default" in k.kubectl("get", "ns").stdout


# -- kubectl -------------------------------------------------------------------------------------------------------------

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: demo}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080, protocol: TCP}
"""


def test_kubectl_get_prints_the_real_columns(k, kubectl):
    must(k, "POST", N + "/services", lb("web", selector={"app": "web"}))
    port = k.get(N + "/services/web")["spec"]["ports"][0]["nodePort"]
    row = kubectl("-n", "demo", "get", "svc").splitlines()
    assert row[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert row[1].split()[3:5] == ["<pending>", f"80:{port}/TCP"]
    must(k, "PATCH", N + "/services/web/status", ingress("10.0.0.1", "fd00::1"), MERGE)
    row = kubectl("get", "svc", "-A", "-o", "wide").splitlines()[-1].split()
    assert row[4] == "10.0.0.1,fd00::1" and row[-1] == "app=web"


def test_kubectl_get_every_kind(k, kubectl):
    must(k, "POST", "/api/v1/nodes", {"metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/worker": ""}}, "status": {
        "addresses": [{"type": "InternalIP", "address": "10.89.0.11"}], "conditions": [{"type": "Ready", "status": "True"}]}})
    must(k, "POST", LEASES, lease("l", holderIdentity="n1"))
    must(k, "POST", N + "/pods", {"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}})
    k.endpoints("web", [{"ip": "10.244.1.2", "node": "n1"}], namespace="demo")
    k.kubectl("cordon", "n1")
    want = {"nodes": ["n1", "Ready,SchedulingDisabled", "worker"], "leases": ["l", "n1"], "pods": ["p", "0/1", "Pending"],
            "endpoints": ["web", "10.244.1.2:8080"], "endpointslices": ["web-kubesim", "IPv4", "8080", "10.244.1.2"]}
    for kind, cells in want.items():
        assert kubectl("-n", "demo", "get", kind).splitlines()[1].split()[:len(cells)] == cells
    assert "10.89.0.11" in kubectl("get", "no", "-o", "wide")
    assert kubectl("get", "ns", "demo").splitlines()[1].split()[:2] == ["demo", "Active"]
    assert "kubernetes.io/metadata.name=demo" in kubectl("get", "ns", "demo", "--show-labels")
    assert kubectl("-n", "demo", "get", "svc,ep,cm,ev,po", "-o", "name").split() == ["endpoints/web", "pod/p"]


def test_kubectl_apply_edits_and_deletes(k, kubectl):
    assert "created" in kubectl("apply", "-f", "-", input=MANIFEST)
    assert "unchanged" in kubectl("apply", "-f", "-", input=MANIFEST)
    s = k.get(N + "/services/web")
    assert "configured" in kubectl("apply", "-f", "-", input=MANIFEST.replace("8080", "9090") + "  - {name: s, port: 443}\n")
    got = k.get(N + "/services/web")
    assert [(p["port"], p["targetPort"]) for p in got["spec"]["ports"]] == [(80, 9090), (443, 443)]
    assert got["spec"]["ports"][0]["nodePort"] == s["spec"]["ports"][0]["nodePort"]
    kubectl("apply", "-f", "-", input=MANIFEST)
    assert len(k.get(N + "/services/web")["spec"]["ports"]) == 1
    kubectl("-n", "demo", "annotate", "svc", "web", "lbd.io/loadBalancerIPs=10.0.0.7")
    kubectl("-n", "demo", "label", "svc", "web", "a=b")
    kubectl("-n", "demo", "patch", "svc", "web", "-p", '{"spec":{"loadBalancerIP":"10.0.0.7"}}')
    kubectl("-n", "demo", "patch", "svc", "web", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/a"}]')
    kubectl("-n", "demo", "patch", "svc", "web", "--type=merge", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    got = k.get(N + "/services/web")
    assert got["spec"]["loadBalancerIP"] == "10.0.0.7" and "labels" not in got["metadata"] or not got["metadata"]["labels"]
    assert got["metadata"]["annotations"]["lbd.io/loadBalancerIPs"] == "10.0.0.7" and got["spec"]["healthCheckNodePort"]
    assert "deleted" in kubectl("delete", "-f", "-", input=MANIFEST)
    assert k.api("GET", N + "/services/web")[0] == 404


def test_kubectl_create_sub_commands(k, kubectl):
    """kubectl 1.32 sends these in protobuf."""
    kubectl("create", "ns", "made")
    kubectl("-n", "made", "create", "service", "loadbalancer", "web", "--tcp=80:8080", "--tcp=443:https")
    s = k.get("/api/v1/namespaces/made/services/web")["spec"]
    assert [(p["port"], p["targetPort"]) for p in s["ports"]] == [(80, 8080), (443, "https")] and s["selector"] == {"app": "web"}
    kubectl("-n", "made", "create", "configmap", "c", "--from-literal=a=b")
    assert k.get("/api/v1/namespaces/made/configmaps/c")["data"] == {"a": "b"}
    kubectl("-n", "made", "create", "secret", "generic", "s", "--from-literal=a=b")
    assert k.get("/api/v1/namespaces/made/secrets/s")["data"] == {"a": "Yg=="}
    kubectl("-n", "made", "create", "serviceaccount", "lbd")
    kubectl("delete", "ns", "made")
    assert k.api("GET", "/api/v1/namespaces/made")[0] == 404


def test_kubectl_describe(k, kubectl):
    kubectl("apply", "-f", "-", input=MANIFEST)
    k.endpoints("web", [{"ip": "10.244.1.2", "node": "n1"}], namespace="demo", portName="http")
    must(k, "PATCH", N + "/services/web/status", ingress("10.0.0.1"), MERGE)
    uid = k.get(N + "/services/web")["metadata"]["uid"]
    must(k, "POST", N + "/events", {"metadata": {"name": "web.1"}, "involvedObject": {
        "kind": "Service", "namespace": "demo", "name": "web", "uid": uid}, "reason": "IPAllocated", "message": "Assigned it",
        "type": "Normal", "source": {"component": "lbd"}, "firstTimestamp": "2024-01-01T00:00:00Z",
        "lastTimestamp": "2024-01-01T00:00:00Z", "count": 3})
    text = kubectl("-n", "demo", "describe", "svc", "web")
    assert "IPAllocated" in text and "Assigned it" in text and "10.244.1.2:8080" in text and "10.0.0.1" in text
    row = kubectl("-n", "demo", "get", "events").splitlines()[1].split()
    assert row[1:4] == ["Normal", "IPAllocated", "service/web"]
    must(k, "POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
    assert "n1" in kubectl("describe", "node", "n1")
    assert "Active" in kubectl("describe", "ns", "demo")
    # 1.20.2 knows EndpointSlices of v1beta1 only, which a server of today has not
    version = json.loads(kubectl("version", "--client", "-o", "json"))["clientVersion"]
    slices = ["endpointslices"] if int(version["minor"].rstrip("+")) > 20 else []
    for kind in ["endpoints", "events", *slices]:
        assert "Name:" in kubectl("-n", "demo", "describe", kind)


def test_kubectl_watch_prints_changes(k, kubectl, request):
    must(k, "POST", N + "/services", lb("web"))
    binary = "kubectl" if request.node.callspec.params["kubectl"] == "machine's" else request.getfixturevalue("old_kubectl")
    p = subprocess.Popen([binary, "-n", "demo", "get", "svc", "-w"], stdout=subprocess.PIPE, text=True,
                         env=dict(os.environ, KUBECONFIG=str(k.kubeconfig()), HOME=str(k.dir)))
    try:
        assert p.stdout.readline().startswith("NAME") and "<pending>" in p.stdout.readline()
        must(k, "PATCH", N + "/services/web/status", ingress("10.0.0.1"), MERGE)
        assert "10.0.0.1" in p.stdout.readline()
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_kubectl_server_side_apply_wait_and_yaml(k, kubectl):
    kubectl("apply", "--server-side", "-f", "-", input=MANIFEST)
    text = kubectl("-n", "demo", "get", "svc", "web", "-o", "yaml")
    assert "kind: Service" in text and "uid:" in text
    assert "kind: List" in kubectl("-n", "demo", "get", "svc", "-o", "yaml")
    assert kubectl("-n", "demo", "get", "svc", "web", "-o", "jsonpath={.spec.type}") == "LoadBalancer"
    kubectl("-n", "demo", "delete", "svc", "--all", "--wait=true")
    kubectl("auth", "can-i", "create", "services")
    assert "Server Version" in kubectl("version")


def test_kubectl_diff_and_dry_run(k, kubectl):
    kubectl("apply", "-f", "-", input=MANIFEST)
    before = k.get(N + "/services/web")
    assert kubectl("diff", "-f", "-", input=MANIFEST) == ""
    assert "9090" in kubectl("diff", "-f", "-", input=MANIFEST.replace("8080", "9090"), check=False)
    assert "server dry run" in kubectl("apply", "--dry-run=server", "-f", "-", input=MANIFEST.replace("8080", "9090"))
    assert k.get(N + "/services/web") == before


@pytest.mark.parametrize("kind,path", [
    ("svc", N + "/services"), ("no", "/api/v1/nodes"), ("cm", N + "/configmaps"), ("lease", LEASES), ("ev", N + "/events"),
    ("ep", N + "/endpoints"), ("po", N + "/pods")])
def test_kubectl_changes_every_kind(k, kubectl, kind, path, monkeypatch):
    """label, annotate, the three patches, replace, edit, delete by label."""
    extra = {"svc": lb("x"), "po": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
             "ev": {"involvedObject": {"kind": "Service", "namespace": "demo", "name": "web"}}}
    must(k, "POST", path, {**extra.get(kind, {}), "metadata": {"name": "x"}})
    do = lambda *a, **kw: kubectl("-n", "demo", *a, **kw)
    do("label", kind, "x", "a=1")
    do("label", kind, "x", "a=2", "--overwrite")
    do("annotate", kind, "x", "b=1")
    for type, patch in (("strategic", '{"metadata":{"labels":{"s":"1"}}}'), ("merge", '{"metadata":{"labels":{"m":"1"}}}'),
                        ("json", '[{"op":"add","path":"/metadata/labels/j","value":"1"}]')):
        assert "patched" in do("patch", kind, "x", "--type", type, "-p", patch)
    assert "replaced" in do("replace", "-f", "-", input=do("get", kind, "x", "-o", "yaml").replace("j:", "r:"))
    monkeypatch.setenv("KUBE_EDITOR", "sed -i 's/ m: / e: /'")
    assert "edited" in do("edit", kind, "x")
    assert k.get(path + "/x")["metadata"]["labels"] == {"a": "2", "s": "1", "r": "1", "e": "1"}
    assert do("get", kind, "-l", "r", "-o", "name").strip().endswith("/x") and do("get", kind, "-l", "j", "-o", "name") == ""
    assert "deleted" in do("delete", kind, "-l", "a=2")
    assert k.api("GET", path + "/x")[0] == 404


def test_kubectl_expose_wait_and_rights(k, kubectl):
    must(k, "POST", N + "/pods", {"metadata": {"name": "p", "labels": {"app": "p"}}, "spec": {
        "containers": [{"name": "c", "image": "i"}]}})
    kubectl("-n", "demo", "expose", "pod", "p", "--port=80", "--target-port=8080", "--type=LoadBalancer", "--name=web")
    assert k.get(N + "/services/web")["spec"]["selector"] == {"app": "p"}
    kubectl("-n", "demo", "set", "selector", "svc", "web", "app=q")
    assert k.get(N + "/services/web")["spec"]["selector"] == {"app": "q"}
    must(k, "PATCH", N + "/pods/p/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, MERGE)
    assert "condition met" in kubectl("-n", "demo", "wait", "--for=condition=Ready", "pod/p", "--timeout=5s")
    assert "*.*" in kubectl("auth", "can-i", "--list")
    kubectl("create", "clusterrole", "made", "--verb=get", "--resource=services")
    rule = k.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/made")["rules"]
    assert rule == [{"verbs": ["get"], "apiGroups": [""], "resources": ["services"]}]
    kubectl("create", "clusterrolebinding", "made", "--clusterrole=made", "--user=u")
    kubectl("delete", "clusterrole,clusterrolebinding", "made")
    assert "services" in kubectl("api-resources") and "coordination.k8s.io/v1" in kubectl("api-versions")


def test_kubectl_with_the_token(k):
    assert "kubernetes" in k.kubectl("get", "svc", user="lbd").stdout


# -- as an old server ----------------------------------------------------------------------------------------------------


def test_old_server_drops_what_it_does_not_know(own, old_kubectl):
    k = own(extra=["--kube-version", "v1.20.2"])
    s = must(k, "POST", "/api/v1/namespaces/default/services", lb("a", loadBalancerClass="a/b", ipFamilyPolicy="SingleStack"))
    assert not {"loadBalancerClass", "ipFamilyPolicy", "internalTrafficPolicy"} & set(s["spec"])
    s = must(k, "PATCH", "/api/v1/namespaces/default/services/a/status",
             {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}}}, MERGE)
    assert s["status"]["loadBalancer"]["ingress"] == [{"ip": "10.0.0.1"}]
    assert k.api("GET", "/apis/discovery.k8s.io/v1/endpointslices")[0] == 404
    k.endpoints("a", [{"ip": "10.244.1.2", "node": "n1"}])
    e = k.get("/apis/discovery.k8s.io/v1beta1/endpointslices")["items"][0]["endpoints"][0]
    assert e["topology"] == {"kubernetes.io/hostname": "n1"} and "nodeName" not in e
    assert k.get("/version")["minor"] == "20"
    assert "10.0.0.1" in k.kubectl("get", "svc", "a", kubectl=old_kubectl).stdout


# -- faults --------------------------------------------------------------------------------------------------------------


def timed(k, method, path, timeout=3, **kw):
    """(status or the exception's class, seconds)"""
    t = time.monotonic()
    try:
        code = k.api(method, path, token=k.token(), timeout=timeout, **kw)[0]
    except (OSError, http.client.HTTPException) as e:
        code = type(e)
    return code, time.monotonic() - t


@pytest.mark.parametrize("kind", ["401", "403", "404", "409", "410", "429", "500", "503", "504"])
def test_fault_codes(k, kind):
    """So many times, for whom it is meant, and nobody else."""
    k.fault(kind, match={"user": "lbd", "verb": "list", "path": "/api/v1/services"}, count=2, retryAfterS=7)
    assert k.api("GET", "/api/v1/services", token="second-token")[0] == 200
    assert k.api("GET", "/api/v1/nodes", token=k.token())[0] == 200
    code, headers, _ = k.raw("GET", "/api/v1/services", token=k.token())
    assert code == int(kind) and (headers["Retry-After"] == "7" if kind in ("429", "503") else True)
    assert [timed(k, "GET", "/api/v1/services")[0] for _ in range(2)] == [int(kind), 200]


def test_fault_410_in_a_watch(k):
    k.fault("410", match={"verb": "watch"}, count=1)
    w = Watch(k, "/api/v1/services", resourceVersion=rv(k.get("/api/v1/services")))
    wait_for("the error", lambda: w.events)
    assert w.events[0]["type"] == "ERROR" and w.events[0]["object"]["code"] == 410
    w.close()


def test_fault_does_nothing_or_does_it_and_is_silent(k):
    """The difference that matters: was the write done?"""
    for kind, done in (("close", False), ("drop", False), ("half-open", False), ("500", False), ("lost-answer", True),
                       ("truncate", True)):
        must(k, "DELETE", LEASES)
        k.fault(kind, match={"user": "lbd", "verb": "create"}, count=1)
        code, _ = timed(k, "POST", LEASES, timeout=0.5, body=lease("l"))
        assert code == 500 or not isinstance(code, int), (kind, code)
        assert (k.api("GET", LEASES + "/l")[0] == 200) == done, kind
        k.clear()


def test_fault_delay(k):
    k.fault("delay", match={"user": "lbd"}, delayMs=400, count=1)
    code, took = timed(k, "POST", LEASES, body=lease("after"))
    assert code == 201 and 0.35 < took < 2
    k.fault("delay", match={"user": "lbd"}, delayMs=400, count=1, before=True)
    t = threading.Thread(target=timed, args=(k, "POST", LEASES), kwargs={"body": lease("before")})
    t.start()
    wait_for("the request", lambda: any(f["hits"] for f in k.faults().values()))
    assert k.api("GET", LEASES + "/before")[0] == 404, "not done yet"
    t.join()
    assert k.api("GET", LEASES + "/before")[0] == 200


def test_fault_slow_bytes(k):
    k.fault("byte-at-a-time", match={"user": "lbd"}, delayMs=2, count=1)
    code, took = timed(k, "GET", "/version")
    assert code == 200 and took > 0.5
    assert timed(k, "GET", "/version")[1] < 0.5


def test_fault_garbage(k):
    k.fault("garbage", match={"user": "lbd"})
    bodies = {k.raw("GET", "/api/v1/services", token=k.token())[2] for _ in range(12)}
    assert len(bodies) > 5
    k.clear()
    k.fault("garbage", match={"user": "lbd"}, body="{\"just\":\"this\"}", count=1)
    assert k.api("GET", "/api/v1/services", token=k.token())[1] == {"just": "this"}
    k.fault("garbage-http", match={"user": "lbd"}, count=1)
    assert issubclass(timed(k, "GET", "/api/v1/services")[0], http.client.HTTPException)


def test_fault_oversize_and_stale(k):
    k.fault("oversize", match={"user": "lbd"}, bytes=3000000, count=1)
    assert len(k.raw("GET", "/api/v1/services", token=k.token())[2]) > 3000000
    k.fault("stale-list", match={"user": "lbd"})
    version = rv(k.get(N + "/configmaps"))
    configmaps(k, 2)
    stale = k.api("GET", N + "/configmaps", token=k.token())[1]
    assert stale["items"] == [] and rv(stale) == version
    assert k.api("GET", N + "/configmaps/c1", token=k.token())[0] == 404
    k.clear()
    assert len(k.api("GET", N + "/configmaps", token=k.token())[1]["items"]) == 2


def test_fault_cut(k):
    w1, w2 = Watch(k, N + "/configmaps"), Watch(k, N + "/services", user="second")
    assert w1.opened.wait(5) and w2.opened.wait(5)
    k.fault("cut", match={"user": "lbd"})
    assert w1.ended(5) and not w2.ended(0.1)
    k.fault("cut", everyMs=200)
    assert w2.ended(5)
    w3 = Watch(k, N + "/configmaps")
    assert w3.opened.wait(5) and w3.ended(5), "cut every 200 ms"
    k.clear()


def test_fault_freeze_and_thaw(k):
    """As SIGSTOP: connections are accepted, nothing is read or written; then all goes on."""
    w = Watch(k, N + "/configmaps", resourceVersion=rv(k.get(N + "/configmaps")))
    assert w.opened.wait(5)
    k.fault("freeze")
    assert timed(k, "GET", "/version", timeout=0.4)[0] is TimeoutError
    configmaps(k, 1)
    time.sleep(0.2)
    assert w.types() == []
    k.clear()
    assert w.wait(1).types() == [("ADDED", "c1")]
    assert timed(k, "GET", "/version")[0] == 200
    k.fault("freeze", match={"user": "lbd"})
    assert timed(k, "GET", "/version", timeout=0.4)[0] is TimeoutError
    assert k.api("GET", "/version", token="second-token")[0] == 200
    w.close()


def test_fault_by_chance_repeats_with_its_seed(k):
    def run(seed):
        k.fault("500", match={"user": "lbd"}, probability=0.3, seed=seed)
        codes = [timed(k, "GET", "/version")[0] for _ in range(60)]
        k.clear()
        return codes
    one = run(7)
    assert 5 < one.count(500) < 35 and run(7) == one and run(8) != one


@pytest.mark.parametrize("spec", [{"kind": "nonsense"}, {}, {"kind": "drop", "match": 7}, {"kind": "drop", "match": {"verb": 1}},
                                  {"kind": "drop", "match": {"nonsense": "x"}}, {"kind": "drop", "cuont": 1}, []])
def test_bad_faults_are_refused(k, spec):
    assert k.api("POST", "/kubesim/fault", spec)[0] == 400
    assert k.faults() == {}


# -- journal, counts, bulk, restart -----------------------------------------------------------------------------------------


def test_journal(k):
    since = k.log()[-1]["seq"]
    must(k, "POST", N + "/services", lb("t1"))
    k.api("PATCH", N + "/services/t1/status", ingress("10.0.0.1", "10.0.0.2"), MERGE, token=k.token())
    must(k, "POST", LEASES, lease("l", holderIdentity="n1"))
    must(k, "DELETE", N + "/services/t1")
    log = k.log(since)
    assert [(e["verb"], e["resource"], e["name"], e["user"]) for e in log] == [
        ("create", "services", "t1", "admin"), ("update-status", "services", "t1", "lbd"), ("create", "leases", "l", "admin"),
        ("delete", "services", "t1", "admin")]
    assert [e.get("ips") for e in log] == [[], ["10.0.0.1", "10.0.0.2"], None, ["10.0.0.1", "10.0.0.2"]]
    assert log[2]["holder"] == "n1" and [e["seq"] for e in log] == list(range(since + 1, since + 5))
    assert all(a["ns"] < b["ns"] and a["rv"] < b["rv"] for a, b in zip(log, log[1:]))


def test_journal_is_bounded(own):
    k = own(extra=["--journal", 100])
    k.bulk(500)
    log = k.log()
    assert len(log) == 100 and log[-1]["name"] == "svc-00499" and log[-1]["seq"] - log[0]["seq"] == 99


def test_stats(k):
    k.reset_stats()
    k.api("GET", N + "/services", token=k.token())
    k.api("POST", LEASES, lease("l"), token=k.token())
    w = Watch(k, N + "/configmaps")
    assert w.opened.wait(5)
    s = k.stats()["users"]["lbd"]
    assert (s["requests"], s["reads"], s["writes"], s["watchOpens"], s["watchesOpen"]) == (3, 1, 1, 1, 1)
    assert s["bytesIn"] > 300 and s["bytesOut"] > 300 and s["bytes"] == s["bytesIn"] + s["bytesOut"]
    assert k.count("lbd", "create", "leases") == 1
    w.close()
    wait_for("the watch's end", lambda: k.stats()["users"]["lbd"]["watchesOpen"] == 0)


def test_ten_thousand_services(k):
    """Created, paged through, watched and deleted in a second or two."""
    t = time.monotonic()
    w = Watch(k, "/api/v1/services", resourceVersion=rv(k.get(N + "/services")))
    assert w.opened.wait(5)
    assert k.bulk(10000, prefix="b-", namespace="demo") == {"created": 10000}
    names, token = [], ""
    while True:
        page = k.get(f"{N}/services?limit=500" + (f"&continue={token}" if token else ""))
        names += [s["metadata"]["name"] for s in page["items"]]
        token = page["metadata"].get("continue")
        if not token:
            break
    assert names == [f"b-{i:05d}" for i in range(10000)]
    w.wait(10000, 20)
    assert k.bulk_delete("b-", "demo") == {"deleted": 10000}
    w.wait(20000, 20)
    w.close()
    assert time.monotonic() - t < 20


def test_write_rate(k):
    """Small writes over 8 kept connections: thousands a second (a figure; the limit is generous)."""
    u = urlparse(k.url)
    for i in range(8):
        must(k, "POST", LEASES, lease(f"l{i}"))

    def run(i):
        context = ssl.create_default_context(cafile=k.dir / "ca.crt")
        c = http.client.HTTPSConnection(u.hostname, u.port, context=context, timeout=20)
        for n in range(200):
            body = json.dumps({"spec": {"leaseTransitions": n + 1}})
            c.request("PATCH", f"{LEASES}/l{i}", body, {"Authorization": f"Bearer {k.token()}", "Content-Type": MERGE})
            assert c.getresponse().read()
    t = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    took = time.monotonic() - t
    print(f"{1600 / took:.0f} writes/s (Python clients)")
    assert took < 20


def test_restart_keeps_ca_tokens_and_objects(own, tmp_path):
    k = own(extra=["--state", tmp_path / "state"])
    must(k, "POST", "/api/v1/namespaces/default/services", lb("kept"))
    s = must(k, "PATCH", "/api/v1/namespaces/default/services/kept/status", ingress("10.0.0.1"), MERGE)
    token, ca, port = k.token(), (k.dir / "ca.crt").read_text(), urlparse(k.url).port
    assert k.stop() == 0
    k.start(listen=f"127.0.0.1:{port}", extra=["--state", tmp_path / "state"])
    assert (k.token(), (k.dir / "ca.crt").read_text()) == (token, ca)
    assert k.get("/api/v1/namespaces/default/services/kept") == s
    other = must(k, "POST", "/api/v1/namespaces/default/services", lb("new"))
    assert other["spec"]["clusterIP"] != s["spec"]["clusterIP"] and int(rv(other)) > int(rv(s))
    w = Watch(k, "/api/v1/services", resourceVersion=rv(s))
    assert w.ended() and w.events[0]["object"]["code"] == 410, "after a restart old versions are too old"
    k.save(tmp_path / "copy")
    assert (tmp_path / "copy").read_text().count("\n") > 5


def test_sigterm_ends_it_with_0(own):
    k = own()
    w = Watch(k, "/api/v1/services")
    assert w.opened.wait(5)
    process = k.process
    assert k.stop(5) == 0 and process.returncode == 0 and not (k.dir / "ready").exists()


# -- the wire ------------------------------------------------------------------------------------------------------------


def raw_bytes(k, data, timeout=2):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(k.control)
    s.sendall(data)
    s.shutdown(socket.SHUT_WR) if not data else None
    got = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                break
            got += more
            if b"\r\n\r\n" in got:
                break
    except TimeoutError:
        pass
    s.close()
    return got.split(b"\r\n")[0]


@pytest.mark.parametrize("data,want", [
    (b"GET /version HTTP/1.0\r\n\r\n", b"200"), (b"GET /version HTTP/1.1\r\n\r\n", b"200"), (b"nonsense\r\n\r\n", b"400"),
    (b"GET version HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/2.0\r\n\r\n", b"400"), (b"\r\n\r\n", b"400"),
    (b"GET /%00 HTTP/1.1\r\n\r\n", b"400"), (b"GET /%zz HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nA: " + b"x" * 40000 + b"\r\n\r\n", b"431"), (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
    (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"), (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
    (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"400"),
    (b"GET /version HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nT: r\r\n\r\n", b"200"),
    (b"GET /version?" + b"&".join(b"a=b" for _ in range(60)) + b" HTTP/1.1\r\n\r\n", b"400"),
    (b"POST /api/v1/namespaces HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", b"100")])
def test_wire(k, data, want):
    line = raw_bytes(k, data)
    assert line.startswith(b"HTTP/1.1 " + want), line
    assert k.get("/version")


def test_wire_pipelined(k):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(k.control)
    s.sendall(b"GET /healthz HTTP/1.1\r\n\r\n" * 3 + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    got = b""
    while more := s.recv(65536):
        got += more
    assert got.count(b"200 OK") == 4
    s.close()


def test_hostile_bytes_do_not_end_it(k):
    """Random requests and mangled real ones; on the TLS port too."""
    import random
    rng = random.Random(5)
    real = (b"PATCH /api/v1/namespaces/demo/services/x HTTP/1.1\r\nContent-Type: application/strategic-merge-patch+json\r\n"
            b"Content-Length: 60\r\n\r\n" + b'{"spec":{"ports":[{"port":80,"$patch":"delete"}]},"a":"bcdef"}')
    u = urlparse(k.url)
    for i in range(300):
        data = bytearray(real if i % 2 else rng.randbytes(rng.randrange(200)))
        for _ in range(rng.randrange(6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        s = socket.socket(socket.AF_UNIX) if i % 4 else socket.create_connection((u.hostname, u.port))
        if i % 4:
            s.connect(k.control)
        s.sendall(bytes(data))
        s.close()
    assert k.get("/version") and k.process.poll() is None


def test_stop_and_continue_by_signal(own):
    """SIGSTOP is the other way to freeze it: nothing is lost over it."""
    k = own()
    w = Watch(k, "/api/v1/services", resourceVersion=rv(k.get("/api/v1/services")))
    assert w.opened.wait(5)
    os.kill(k.pid, signal.SIGSTOP)
    assert timed(k, "GET", "/version", timeout=0.3)[0] is TimeoutError
    os.kill(k.pid, signal.SIGCONT)
    k.bulk(1)
    w.wait(1)
    w.close()
