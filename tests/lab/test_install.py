# SPDX-License-Identifier: Apache-2.0
"""The files in packaging/ do what the README says of them."""

import base64
import gzip
import hashlib
import io
import json
import tarfile

import pytest
import yaml
from lab import API_ADDR, ROOT, sh

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
    """rbac.yaml's rules for the core allow every request that lbd makes while Services come and nodes go, and no write but those."""
    docs = [d for d in yaml.safe_load_all(RBAC.read_text()) if d["metadata"]["name"] == "lbd"]
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


@pytest.fixture(scope="module")
def packages():
    """make deb image, of the static binary that make check has built before."""
    sh("make", "-C", ROOT, "--no-print-directory", "deb", "image", timeout=600)


def test_install(tmp_path):
    """make install puts everything in its place, and leaves a configuration that is there already alone."""
    install = ("make", "-C", ROOT, "--no-print-directory", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/lbd")
    sh(*install)
    conf = tmp_path / "etc/lbd/lbd.yaml"
    assert conf.read_text() == (ROOT / "packaging/lbd.yaml").read_text()
    conf.write_text("# mine\n")
    sh(*install)
    assert conf.read_text() == "# mine\n"
    assert sh(tmp_path / "opt/lbd/bin/lbd", "version").returncode == 0
    assert "kubectl lbd status" in sh(tmp_path / "opt/lbd/bin/kubectl-lbd", "help").stdout
    unit = (tmp_path / "etc/systemd/system/lbd.service").read_text()
    assert "ExecStart=/opt/lbd/bin/lbd run\n" in unit and "/usr/local" not in unit
    # Real-time scheduling is asked for by lbd, so that it starts where that is refused (rt.c).
    assert "LimitRTPRIO=1\n" in unit and "\nCPUSchedulingPolicy=" not in unit and "\nRestrictRealtime=yes" not in unit
    assert (tmp_path / "opt/lbd/share/man/man8/lbd.8").stat().st_size > 1000


def test_deb(packages, tmp_path):
    """make deb: a package whose parts work where they lie, and that asks for no other."""
    deb = next((ROOT / "build/deb").glob("*.deb"))
    sh("dpkg-deb", "-x", deb, tmp_path)
    lbd = tmp_path / "usr/bin/lbd"
    assert f" {sh('dpkg-deb', '-f', deb, 'Version').stdout.strip()}" in sh(lbd, "version").stdout
    assert sh("dpkg-deb", "-f", deb, "Depends").stdout.strip() == ""
    sh(lbd, "check-config", tmp_path / "etc/lbd/lbd.yaml")
    assert "ExecStart=/usr/bin/lbd run\n" in (tmp_path / "lib/systemd/system/lbd.service").read_text()
    for page in ("man8/lbd.8.gz", "man5/lbd.yaml.5.gz"):
        assert b".Dt LBD" in gzip.decompress((tmp_path / "usr/share/man" / page).read_bytes())


def test_image(packages, tmp_path):
    """make image: every digest and size of the OCI layout is true, and the entry point runs."""
    with tarfile.open(next((ROOT / "build/image").glob("*.tar"))) as t:
        files = {m.name: t.extractfile(m).read() for m in t if m.isfile()}

    def blob(d):
        data = files[f"blobs/{d['digest'].replace(':', '/')}"]
        assert len(data) == d["size"] and f"sha256:{hashlib.sha256(data).hexdigest()}" == d["digest"]
        return data

    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    manifest = json.loads(blob(json.loads(files["index.json"])["manifests"][0]))
    config = json.loads(blob(manifest["config"]))
    root = gzip.decompress(blob(manifest["layers"][0]))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(root).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(root)) as t:
        t.extractall(tmp_path)
    assert sh(str(tmp_path) + config["config"]["Entrypoint"][0], "version").returncode == 0
