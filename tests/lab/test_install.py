# SPDX-License-Identifier: Apache-2.0
"""The files in packaging/ do what the README says of them."""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml
from lab import API_ADDR, ROOT, binary, sh

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


def test_kubeconfig_command(bare, tmp_path):
    """lbd kubeconfig makes the same text as the template, in a file for its owner's eyes alone, and lbd gets in with it; what it
    cannot use leaves the file as it was."""
    lab = bare(nodes=1, pods=False, proxy=False)
    ca, token, out = lab.kubesim.dir / "ca.crt", tmp_path / "token", tmp_path / "kubeconfig"
    token.write_text(lab.kubesim.token() + "\n")
    sh(binary(), "kubeconfig", "--server", f"https://{API_ADDR}:6443", "--token-file", token, "--ca-file", ca, "-o", out)
    template = (ROOT / "packaging/kubeconfig.tmpl").read_text()
    for place, value in {"https://127.0.0.1:6443": f"https://{API_ADDR}:6443", "{{.data.token | base64decode}}": lab.kubesim.token(),
                         '{{index .data "ca.crt"}}': base64.b64encode(ca.read_bytes()).decode()}.items():
        assert place in template
        template = template.replace(place, value)
    assert out.read_text() == template and out.stat().st_mode & 0o777 == 0o600
    lab.nodes[0].start(kubeconfig=out)
    token.write_text("two words\n")
    r = sh(binary(), "kubeconfig", "--token-file", token, "--ca-file", ca, "-o", out, check=False)
    assert r.returncode == 1 and "the token: expected one word" in r.stderr and out.read_text() == template


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
    realtime = (tmp_path / "etc/systemd/system/lbd.service.d/realtime.conf").read_text()
    assert "LimitRTPRIO=1\n" in realtime and "\nRestrictRealtime=no\n" in realtime and "\nCPUSchedulingPolicy=" not in unit + realtime
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
    assert (tmp_path / "lib/systemd/system/lbd.service.d/realtime.conf").is_file()
    for page in ("man8/lbd.8.gz", "man5/lbd.yaml.5.gz"):
        assert b".Dt LBD" in gzip.decompress((tmp_path / "usr/share/man" / page).read_bytes())


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A clean Debian, made once by debootstrap and kept in build/debian; here a copy of it."""
    kept, made = ROOT / "build/debian", tmp_path_factory.mktemp("debian") / "root"
    if not kept.exists():
        fresh = kept.with_name("debian.new")
        sh("rm", "-rf", fresh)
        sh("debootstrap", "--variant=minbase", "bookworm", fresh, timeout=1200)
        fresh.rename(kept)
    sh("cp", "-a", kept, made)
    return made


def everything(root):
    """{path: what it is} below root; what dpkg and useradd note of their own work is left out."""
    own = re.compile(r"var/(log|cache|lib/dpkg)(/|$)|etc/\S+-$|etc/\.pwd\.lock$")
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            p = Path(folder, name)
            at = str(p.relative_to(root))
            if not own.match(at):
                found[at] = os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else "folder"
    return found


def test_deb_on_a_clean_debian(packages, debian, tmp_path):
    """Installed with nothing else there: the user, every file, a binary that runs, a unit that systemd takes. Removed: what the
    administrator wrote stays. Purged: everything is as it was before."""
    def dpkg(*argv):
        return sh("chroot", debian, "dpkg", *argv).stdout

    deb = next((ROOT / "build/deb").glob("*.deb"))
    shutil.copy(deb, debian / "lbd.deb")
    before = everything(debian)
    dpkg("-i", "/lbd.deb")
    assert "Status: install ok installed" in dpkg("-s", "lbd") and dpkg("--verify", "lbd") == ""
    entry = sh("chroot", debian, "getent", "passwd", "lbd").stdout.strip().split(":")
    assert int(entry[2]) < 1000 and entry[5:] == ["/", "/usr/sbin/nologin"]
    assert sh("chroot", debian, "lbd", "check-config", "/etc/lbd/lbd.yaml").returncode == 0
    unit = (debian / "lib/systemd/system/lbd.service").read_text()
    programs = re.findall(r"^Exec\w+=(/\S+)", unit, re.M)
    assert len(programs) == 2 and all((debian / at.lstrip("/")).exists() for at in programs)
    verified = tmp_path / "lbd.service"
    verified.write_text(unit.replace("/usr/bin/lbd", f"{debian}/usr/bin/lbd"))
    r = sh("systemd-analyze", "verify", "--man=no", verified, check=False)
    assert (r.returncode, r.stderr) == (0, "")
    for name in ("kubeconfig", "bfd.key"):
        (debian / "etc/lbd" / name).write_text("x")
    for folder in ("var/lib/lbd", "run/lbd", "etc/systemd/system/lbd.service.d", "etc/systemd/system/multi-user.target.wants"):
        (debian / folder).mkdir(parents=True, exist_ok=True)
        (debian / folder / "snapshot").write_text("x")
    (debian / "etc/systemd/system/multi-user.target.wants/snapshot").unlink()
    (debian / "etc/systemd/system/lbd.service.d/snapshot").rename(debian / "etc/systemd/system/lbd.service.d/listen.conf")
    (debian / "etc/systemd/system/multi-user.target.wants/lbd.service").symlink_to("/lib/systemd/system/lbd.service")
    dpkg("-i", "/lbd.deb")
    dpkg("-r", "lbd")
    assert not (debian / "usr/bin/lbd").exists() and (debian / "etc/lbd/kubeconfig").exists()
    dpkg("-P", "lbd")
    after = everything(debian)
    assert {at for at in before.keys() | after.keys() if before.get(at) != after.get(at)} <= {
        "etc/systemd/system/multi-user.target.wants"}  # where it was not there


def test_sysusers(tmp_path):
    """Where there is systemd-sysusers it makes the user."""
    (tmp_path / "etc").mkdir()
    sh("systemd-sysusers", f"--root={tmp_path}", ROOT / "packaging/systemd/lbd.sysusers")
    assert re.search(r"^lbd:x:(\d+):(\d+):[^:]*:/:\S*nologin$", (tmp_path / "etc/passwd").read_text(), re.M)
    assert re.search(r"^lbd:x:", (tmp_path / "etc/group").read_text(), re.M)


def test_checksums(packages):
    """make checksums: sums of the binary, package and image that sha256sum finds right."""
    sh("make", "-C", ROOT, "--no-print-directory", "checksums")
    sums = (ROOT / "build/SHA256SUMS").read_text().splitlines()
    assert [Path(line.split()[1]).suffix for line in sums] == ["", ".deb", ".tar"]
    sh("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=ROOT / "build")


def linked():
    """The libraries that make static links, as it names them, without lib."""
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"-l(\w+)", text[text.index("$(STATIC): $(STATIC_SRC)"):].split("-Wl,--gc-sections")[0]))


def third_party(text):
    """Every library that is linked has its section, with terms in it."""
    assert linked() == {"uv", "cjson", "pcap", "yaml", "mbedtls", "mbedx509", "mbedcrypto"}
    sections = dict(re.findall(r"^={100}\n(\S+)\n\n(.*?)(?=\n={100}\n|\Z)", text, re.M | re.S))
    assert [re.sub(r"-[\d.]+$", "", name) for name in sections] == [
        "musl", "libuv1", "cjson", "mbedtls", "libpcap", "libyaml", "uthash"]
    assert all("opyright" in section and len(section) > 1000 for section in sections.values())


def test_licences(packages, tmp_path):
    """The package has the terms of all that is linked in, its own, and SECURITY.md."""
    sh("dpkg-deb", "-x", next((ROOT / "build/deb").glob("*.deb")), tmp_path)
    docs = tmp_path / "usr/share/doc/lbd"
    third_party((docs / "third-party").read_text())
    assert (docs / "copyright").read_text() == (ROOT / "LICENSE").read_text()
    assert (docs / "SECURITY.md").read_text() == (ROOT / "SECURITY.md").read_text()
    r = sh(ROOT / "packaging/licences.sh", tmp_path, check=False)
    assert r.returncode == 1 and "is not there" in r.stderr


def kustomized():
    """What kubectl apply -k would send."""
    return list(yaml.safe_load_all(sh("kubectl", "kustomize", ROOT / "packaging/kubernetes").stdout))


def daemonset():
    return next(d for d in kustomized() if d["kind"] == "DaemonSet")


def test_kustomization():
    """rbac.yaml but for the token that does not end, a ConfigMap whose configuration is a right one, a DaemonSet that uses both and
    may no more than it needs."""
    docs = {(d["kind"], d["metadata"]["name"]): d for d in kustomized()}
    rbac = {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(RBAC.read_text())}
    assert docs.keys() == rbac.keys() - {("Secret", "lbd")} | {("ConfigMap", "lbd"), ("DaemonSet", "lbd")}
    assert all(docs[key] == rbac[key] for key in docs.keys() & rbac.keys())
    conf = docs["ConfigMap", "lbd"]["data"]["lbd.yaml"]
    assert "192.168.1.200" in sh(binary(), "check-config", "-p", "-", input=conf).stdout
    pod = docs["DaemonSet", "lbd"]["spec"]["template"]["spec"]
    container, mounts = pod["containers"][0], {m["name"]: m for m in pod["containers"][0]["volumeMounts"]}
    assert pod["hostNetwork"] and pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "system-node-critical"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] and not container["securityContext"]["allowPrivilegeEscalation"]
    assert {v["name"] for v in pod["volumes"]} == mounts.keys() and mounts["config"]["mountPath"] == "/etc/lbd"
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert {env["RUNTIME_DIRECTORY"], env["STATE_DIRECTORY"]} == {mounts["run"]["mountPath"], mounts["state"]["mountPath"]}


def test_image(packages, tmp_path):
    """make image: every digest and size of the OCI layout is true, and the entry point runs."""
    with tarfile.open(next((ROOT / "build/image").glob("*.tar"))) as t:
        files = {m.name: t.extractfile(m).read() for m in t if m.isfile()}

    def blob(d):
        data = files[f"blobs/{d['digest'].replace(':', '/')}"]
        assert len(data) == d["size"] and f"sha256:{hashlib.sha256(data).hexdigest()}" == d["digest"]
        return data

    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    entry = json.loads(files["index.json"])["manifests"][0]
    manifest = json.loads(blob(entry))
    assert entry["annotations"]["io.containerd.image.name"] == daemonset()["spec"]["template"]["spec"]["containers"][0]["image"]
    config = json.loads(blob(manifest["config"]))
    root = gzip.decompress(blob(manifest["layers"][0]))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(root).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(root)) as t:
        t.extractall(tmp_path)
    assert sh(str(tmp_path) + config["config"]["Entrypoint"][0], "version").returncode == 0
    third_party((tmp_path / "usr/share/doc/lbd/third-party").read_text())
    assert (tmp_path / "usr/share/doc/lbd/SECURITY.md").is_file()
