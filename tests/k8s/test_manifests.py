# SPDX-License-Identifier: Apache-2.0
"""The manifests in packaging/, judged by the real API server: as kubectl apply would send them, and as k3s's folder takes them."""

import os

import pytest
import yaml

from lab import API_ADDR, ROOT, binary, sh

pytestmark = pytest.mark.k8s

PACKAGING = ROOT / "packaging"


def apply(k8s, text):
    """What the server says to all of it, written nowhere. kubectl's own check of the fields (the server of 1.20 drops unknown ones
    without a word) is on."""
    return k8s.kubectl("apply", "--dry-run=server", "--validate=true", "-f", "-", input=text, check=False)


@pytest.mark.parametrize("source", ["kustomization", "k3s"])
def test_valid(k8s, source):
    """The server takes each object, and has nothing to warn of."""
    text = sh("kubectl", "kustomize", PACKAGING / "kubernetes").stdout if source == "kustomization" else (PACKAGING / "rbac.yaml").read_text()
    r = apply(k8s, text)
    assert r.returncode == 0, r.stderr
    assert len([line for line in r.stdout.splitlines() if "(server dry run)" in line]) == len(list(yaml.safe_load_all(text)))
    assert "Warning" not in r.stderr


def test_would_be_refused(k8s):
    """The same with one field that there is not, and with one value that is none: so the check can fail."""
    text = sh("kubectl", "kustomize", PACKAGING / "kubernetes").stdout
    for wrong in (text.replace("hostNetwork:", "hostNetwrk:"), text.replace("type: RollingUpdate", "type: Rolling")):
        assert wrong != text
        assert apply(k8s, wrong).returncode != 0


def test_install_on_k3s(k8s, tmp_path):
    """install.sh on a tree that looks like a k3s server, with this API server in k3s's place: it leaves the manifest, waits for the
    token that the server puts into the Secret, and lbd gets in with the kubeconfig that it makes; uninstall takes the rights away."""
    root, kubeconfig = tmp_path / "root", k8s.server.kubeconfig("admin")
    rancher = root / "var/lib/rancher/k3s"
    for folder in ("agent", "server/manifests"):
        (rancher / folder).mkdir(parents=True)
    (rancher / "agent/server-ca.crt").write_text((k8s.server.dir / "ca.crt").read_text())
    kubectl = " ".join(map(str, k8s.server.inside(["kubectl", "--kubeconfig", kubeconfig])))

    def install(*argv, wait, check=True):
        return sh(PACKAGING / "k3s/install.sh", *argv, check=check,
                  env={**os.environ, "ROOT": str(root), "KUBECTL": kubectl, "LBD_WAIT": wait, "HOME": str(tmp_path)})

    arguments = ("--binary", binary(), "--server", f"https://{API_ADDR}:6443")
    k8s.kubectl("delete", "--ignore-not-found", "-f", PACKAGING / "rbac.yaml")
    try:
        r = install(*arguments, wait="0", check=False)
        assert r.returncode == 1 and "no token in the Secret" in r.stderr
        k8s.kubectl("apply", "-f", rancher / "server/manifests/lbd.yaml")  # as k3s does
        install(*arguments, wait="30")
        node = k8s.nodes[0]
        node.start(kubeconfig=root / "etc/lbd/kubeconfig")
        node.stop()
        install("uninstall", "--purge", wait="0")
        r = k8s.kubectl("-n", "kube-system", "get", "serviceaccount,secret,role", "lbd", check=False)
        assert r.returncode != 0 and "NotFound" in r.stderr and r.stdout == ""
        assert not (root / "etc/lbd").exists()
    finally:
        k8s.server.install()
