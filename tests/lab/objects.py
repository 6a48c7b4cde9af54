# SPDX-License-Identifier: Apache-2.0
"""Small API objects, and what tests read out of them."""


def lb(name, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": 8080}], **spec}}


def lease(name, **spec):
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}


def ingress(*ips):
    return {"status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}}


def must(k, method, path, body=None, type=None, code=None):
    got, obj = k.api(method, path, body, type)
    assert got == code if code else got < 300, f"{method} {path}: {got} {obj}"
    return obj


def ips(svc):
    return [i["ip"] for i in svc["status"]["loadBalancer"].get("ingress", [])]


def rv(obj):
    return obj["metadata"]["resourceVersion"]


def configmaps(k, n):
    """c1 to cn in the namespace demo."""
    for i in range(1, n + 1):
        must(k, "POST", "/api/v1/namespaces/demo/configmaps", {"metadata": {"name": f"c{i}", "labels": {"t": "page"}}})
