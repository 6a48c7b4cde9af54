# SPDX-License-Identifier: Apache-2.0
"""The files in packaging/ do what the README says of them."""

import base64
import contextlib
import fcntl
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


@contextlib.contextmanager
def alone(name):
    """Others that want the same of build/ made wait: tests run side by side."""
    with open(ROOT / f"build/{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def packages():
    """make deb image, of the static binary that make check has built before."""
    with alone("packages"):
        sh("make", "-C", ROOT, "--no-print-directory", "deb", "image", timeout=600)


def made(pattern):
    """The one file in build/ of that name; of other processors there may be more."""
    (file,) = (ROOT / "build").glob(pattern)
    return file


def the_deb():
    return made("deb/lbd_*_amd64.deb")


def dead_links(folder):
    """The relative links of the Markdown below a folder that lead nowhere, or out of it."""
    dead, seen = [], 0
    for page in folder.rglob("*.md"):
        text = page.read_text()
        for link in re.findall(r"\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: (\S+)", text, re.M):
            path = "".join(link).partition("#")[0]
            if not path or re.match(r"[a-z]+:", path):
                continue
            seen += 1
            at = page.parent / path
            if not at.exists() or not Path(os.path.normpath(at)).is_relative_to(folder):
                dead.append((page.name, path))
    assert seen > 20
    return dead


def shared(share, *more):
    """share/lbd is packaging/, but for what builds; share/doc/lbd has the documents."""
    for folder in ("grafana", "k3s", "kubernetes", "prometheus", "systemd"):
        for file in (ROOT / "packaging" / folder).iterdir():
            at = share / "lbd" / folder / file.name
            assert at.read_bytes() == file.read_bytes() and at.stat().st_mode & 0o777 == (0o755 if at.suffix == ".sh" else 0o644)
    for name in ("rbac.yaml", "kubeconfig.tmpl", "lbd.yaml"):
        assert (share / "lbd" / name).read_bytes() == (ROOT / "packaging" / name).read_bytes()
    assert (share / "lbd/listen.conf").read_bytes() == (ROOT / "packaging/systemd/listen.conf").read_bytes()
    docs = share / "doc/lbd"
    assert {f.name for f in docs.iterdir()} == {"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "docs", "packaging",
                                                *more}
    assert (docs / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert dead_links(docs) == []


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
    shared(tmp_path / "opt/lbd/share")


def test_deb(packages, tmp_path):
    """make deb: a package whose parts work where they lie, and that asks for no other."""
    deb = the_deb()
    sh("dpkg-deb", "-x", deb, tmp_path)
    shared(tmp_path / "usr/share", "copyright", "third-party")
    lbd = tmp_path / "usr/bin/lbd"
    assert f" {sh('dpkg-deb', '-f', deb, 'Version').stdout.strip()}" in sh(lbd, "version").stdout
    assert sh("dpkg-deb", "-f", deb, "Depends").stdout.strip() == ""
    sh(lbd, "check-config", tmp_path / "etc/lbd/lbd.yaml")
    assert "ExecStart=/usr/bin/lbd run\n" in (tmp_path / "lib/systemd/system/lbd.service").read_text()
    assert (tmp_path / "lib/systemd/system/lbd.service.d/realtime.conf").is_file()
    for page in ("man8/lbd.8.gz", "man5/lbd.yaml.5.gz"):
        assert b".Dt LBD" in gzip.decompress((tmp_path / "usr/share/man" / page).read_bytes())


def bootstrapped(package=""):
    """A clean Debian, with nothing or with that package in it, made once by debootstrap and kept in build/."""
    kept = ROOT / f"build/debian{package and '-' + package}"
    if not shutil.which("debootstrap"):
        pytest.skip("no debootstrap: packaging/deps.sh test")
    with alone(kept.name):
        if kept.exists():
            return kept
        fresh = kept.with_name(kept.name + ".new")
        sh("rm", "-rf", fresh)
        r = sh("debootstrap", "--variant=minbase", *([f"--include={package}"] if package else []), "bookworm", fresh,
               timeout=1200, check=False)
        if r.returncode != 0:
            pytest.skip("debootstrap cannot run here: " + (r.stdout + r.stderr).strip().splitlines()[-1])
        return fresh.rename(kept)


@pytest.fixture(params=["", "systemd"], ids=["bare", "with systemd"])
def debian(request, tmp_path):
    """A copy of a clean Debian, with nothing or with systemd in it."""
    sh("cp", "-a", bootstrapped(request.param), tmp_path / "root")
    return tmp_path / "root"


def verified(debian, unit, tmp_path):
    """What systemd-analyze has to say of the installed unit: the root's own, where it has one."""
    if (debian / "usr/bin/systemd-analyze").exists():
        return sh("chroot", debian, "systemd-analyze", "verify", "--man=no", "lbd.service", check=False)
    file = tmp_path / "lbd.service"
    file.write_text(unit.replace("/usr/bin/lbd", f"{debian}/usr/bin/lbd"))
    return sh("systemd-analyze", "verify", "--man=no", file, check=False)


def everything(root):
    """{path: what it is} below root; what dpkg, useradd and systemd-analyze note of their own work is left out."""
    own = re.compile(r"var/(log|cache|lib/dpkg)(/|$)|run/systemd(/|$)|etc/\S+-$|etc/\.pwd\.lock$")
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            p = Path(folder, name)
            at = str(p.relative_to(root))
            if not own.match(at):
                found[at] = os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else "folder"
    return found


def test_deb_on_a_clean_debian(packages, debian, tmp_path):
    """Installed with nothing else there, and where systemd is: the user, every file, a binary that runs, a unit that systemd takes.
    Removed: what the administrator wrote stays. Purged: everything is as it was before."""
    def dpkg(*argv):
        return sh("chroot", debian, "dpkg", *argv).stdout

    shutil.copy(the_deb(), debian / "lbd.deb")
    before = everything(debian)
    dpkg("-i", "/lbd.deb")
    assert "Status: install ok installed" in dpkg("-s", "lbd") and dpkg("--verify", "lbd") == ""
    entry = sh("chroot", debian, "getent", "passwd", "lbd").stdout.strip().split(":")
    assert int(entry[2]) < 1000 and entry[5:] == ["/", "/usr/sbin/nologin"]
    assert sh("chroot", debian, "lbd", "check-config", "/etc/lbd/lbd.yaml").returncode == 0
    unit = (debian / "lib/systemd/system/lbd.service").read_text()
    programs = re.findall(r"^Exec\w+=(/\S+)", unit, re.M)
    assert len(programs) == 2 and all((debian / at.lstrip("/")).exists() for at in programs)
    r = verified(debian, unit, tmp_path)
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
    """make checksums: sums of every binary, package and image that is there, which sha256sum finds right."""
    sh("make", "-C", ROOT, "--no-print-directory", "checksums")
    names = {Path(line.split()[1]) for line in (ROOT / "build/SHA256SUMS").read_text().splitlines()}
    assert names >= {f.relative_to(ROOT / "build") for f in (the_deb(), the_image(), made("static/x86_64-linux-gnu/lbd"))}
    assert names == {f.relative_to(ROOT / "build") for p in ("static/*/lbd", "deb/*.deb", "image/*.tar")
                     for f in (ROOT / "build").glob(p)}
    sh("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=ROOT / "build")


QEMU = {"x86_64": [], "aarch64": ["qemu-aarch64-static"], "arm": ["qemu-arm-static"]}


@pytest.mark.parametrize("triplet", ["x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf"])
def test_static(triplet):
    """Each static binary that was made: position-independent, nothing writable and executable, relocations read-only, guarded stacks,
    no interpreter; it runs, and reads every configuration there is as lbd here does."""
    lbd, emulate = ROOT / "build/static" / triplet / "lbd", QEMU[triplet.split("-")[0]]
    if not lbd.exists():
        pytest.skip(f"make static TRIPLET={triplet} has not been run")
    if emulate and not shutil.which(emulate[0]):
        pytest.skip(f"no {emulate[0]}: packaging/deps.sh cross")
    elf = sh("readelf", "-hldW", lbd).stdout
    assert re.search(r"Type: +DYN", elf) and "BIND_NOW" in elf and "GNU_RELRO" in elf
    assert "INTERP" not in elf and "NEEDED" not in elf and "RWE" not in elf
    assert re.search(r"GNU_STACK .* RW +0x", elf)
    assert "__stack_chk_fail" in sh("nm", lbd.with_name("lbd.debug")).stdout
    assert sh(*emulate, lbd, "version").stdout == sh(binary(), "version").stdout
    for conf in sorted((ROOT / "tests/golden").rglob("*.yaml")):
        ours, theirs = (sh(*argv, "check-config", "-p", conf, check=False) for argv in ((*emulate, lbd), (binary(),)))
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


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
    sh("dpkg-deb", "-x", the_deb(), tmp_path)
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


def the_image():
    return made("image/lbd-*-amd64.tar")


class Image:
    """An OCI layout; whatever is read of it by digest has that digest, and the size that was said."""

    def __init__(self, file):
        with tarfile.open(file) as t:
            self.files = {m.name: t.extractfile(m).read() for m in t if m.isfile()}
        assert json.loads(self.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        (self.top,) = json.loads(self.files["index.json"])["manifests"]
        assert self.top["annotations"]["io.containerd.image.name"] == daemonset()["spec"]["template"]["spec"]["containers"][0]["image"]

    def blob(self, d):
        data = self.files[f"blobs/{d['digest'].replace(':', '/')}"]
        assert len(data) == d["size"] and f"sha256:{hashlib.sha256(data).hexdigest()}" == d["digest"]
        return data

    def unpack(self, entry, to):
        """The manifest's root, and its configuration."""
        manifest = json.loads(self.blob(entry))
        config = json.loads(self.blob(manifest["config"]))
        root = gzip.decompress(self.blob(manifest["layers"][0]))
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(root).hexdigest()}"]
        assert {k: config[k] for k in entry["platform"]} == entry["platform"]
        with tarfile.open(fileobj=io.BytesIO(root)) as t:
            t.extractall(to)
        return config


def test_image(packages, tmp_path):
    """make image: every digest and size of the OCI layout is true, and the entry point runs."""
    image = Image(the_image())
    config = image.unpack(image.top, tmp_path)
    assert sh(str(tmp_path) + config["config"]["Entrypoint"][0], "version").returncode == 0
    third_party((tmp_path / "usr/share/doc/lbd/third-party").read_text())
    assert (tmp_path / "usr/share/doc/lbd/SECURITY.md").is_file()


def test_image_of_several(tmp_path):
    """One image for several processors: an index of theirs, each with its own binary. The same input gives the same bytes."""
    binaries = {"amd64": b"one", "arm64": b"two", "armhf": b"three"}
    for arch, data in binaries.items():
        (tmp_path / arch).write_bytes(data)
    for out in ("a.tar", "b.tar"):
        sh("/usr/bin/python3", ROOT / "packaging/image.py", "0.1.0", tmp_path / out, *(f"{a}={tmp_path / a}" for a in binaries),
           "--", f"copyright={ROOT / 'LICENSE'}")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    image = Image(tmp_path / "a.tar")
    entries = {e["platform"]["architecture"]: e for e in json.loads(image.blob(image.top))["manifests"]}
    assert {a: e["platform"].get("variant") for a, e in entries.items()} == {"amd64": None, "arm64": "v8", "arm": "v7"}
    for arch, data in zip(("amd64", "arm64", "arm"), binaries.values()):
        image.unpack(entries[arch], tmp_path / f"root-{arch}")
        assert (tmp_path / f"root-{arch}/usr/bin/lbd").read_bytes() == data
