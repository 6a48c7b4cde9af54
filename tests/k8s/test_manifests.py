# SPDX-License-Identifier: Apache-2.0
"""The manifests in packaging/, judged by the real API server: as kubectl apply would send them, and as k3s's folder takes them."""

import pytest
import yaml

from lab import ROOT, sh

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
