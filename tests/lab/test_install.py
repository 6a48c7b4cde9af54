# SPDX-License-Identifier: Apache-2.0
"""The files in packaging/ do what the README says of them."""

import base64

import yaml
from lab import API_ADDR, ROOT

RBAC = ROOT / "packaging/rbac.yaml"


def test_kubeconfig(bare):
    """rbac.yaml, and kubeconfig.tmpl from the Secret that the API server filled: lbd gets in with it."""
    lab = bare(nodes=1, pods=False, proxy=False)
    lab.kubectl("apply", "-f", RBAC)
    data = {"token": lab.kubesim.token(), "ca.crt": (lab.kubesim.dir / "ca.crt").read_text()}
    lab.patch("/api/v1/namespaces/kube-system/secrets/lbd",
              {"data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}})
    text = lab.kubectl("-n", "kube-system", "get", "secret", "lbd", "-o",
                       f"go-template-file={ROOT / 'packaging/kubeconfig.tmpl'}").stdout
    kubeconfig = lab.dir / "made.kubeconfig"
    kubeconfig.write_text(text.replace("127.0.0.1", API_ADDR))
    lab.nodes[0].start(kubeconfig=kubeconfig)


def test_rbac(lab):
    """rbac.yaml allows every request that lbd makes while Services come and nodes go, and writes nowhere but it must."""
    docs = list(yaml.safe_load_all(RBAC.read_text()))
    rules = [r for d in docs for r in d.get("rules", [])]
    allowed = {(verb, kind) for r in rules for verb in r["verbs"] for kind in r["resources"]}
    lab.service("web")
    lab.wait_http(lab.wait_ip("web"))
    lab.nodes[0].stop()
    lab.delete_service("web")
    lab.nodes[0].start()
    users = lab.kubesim.stats()["users"]
    asked = {(row["verb"], row["resource"]) for user in users if user.startswith("lbd") for row in users[user]["counts"]}
    assert asked - allowed == set()
    assert {kind for _, kind in asked} >= {"services", "services/status", "nodes", "endpointslices", "events", "leases"}
    assert {(v, k) for v, k in allowed if v not in ("get", "list", "watch")} == {
        ("patch", "services/status"), ("create", "events"), ("patch", "events"), ("create", "leases"), ("update", "leases")}
    namespaces = {e["namespace"] for e in lab.kubesim.log() if e["resource"] == "leases" and e["user"].startswith("lbd")}
    assert namespaces == {next(d for d in docs if d["kind"] == "Role")["metadata"]["namespace"]}
