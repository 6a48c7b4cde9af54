# SPDX-License-Identifier: Apache-2.0
"""packaging/k3s/install.sh against trees that look like k3s nodes. k3s itself is not to be had here; kubectl is a stand-in."""

import os
import shutil
import subprocess

import pytest
import yaml
from lab import ROOT, binary, sh

INSTALL = ROOT / "packaging/k3s/install.sh"
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CONFIG = "apiVersion: lbd.io/v1\nkind: Config\npools:\n- {name: lan, addresses: [10.0.0.1-10.0.0.9]}\n"
PEER = "peers:\n- {name: r, myASN: 64500, peerASN: 64501, peerAddress: 10.0.0.254, passive: true}\n"


class Tree:
    def __init__(self, path, role):
        self.path, self.token = path / "root", "tok.en"
        (self.path / "var/lib/rancher/k3s/agent").mkdir(parents=True)
        (self.path / "var/lib/rancher/k3s/agent/server-ca.crt").write_text(CA)
        if role == "server":
            (self.path / "var/lib/rancher/k3s/server/manifests").mkdir(parents=True)
            self.write("etc/rancher/k3s/config.yaml", "disable: [servicelb]\n")
        self.asked = path / "asked"
        self.kubectl = path / "kubectl"
        self.answer(self.token)
        self.config = path / "lbd.yaml"
        self.config.write_text(CONFIG)

    def answer(self, token):
        self.kubectl.write_text(f"#!/bin/sh\necho \"$@\" >>{self.asked}\ncase $* in *' get secret '*) printf %s '{token}' ;; esac\n")
        self.kubectl.chmod(0o755)

    def write(self, name, text):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def read(self, name):
        return (self.path / name).read_text()

    def run(self, *argv, check=True):
        return sh("dash", INSTALL, *argv, check=check,
                  env={**os.environ, "ROOT": str(self.path), "KUBECTL": str(self.kubectl), "LBD_WAIT": "0"})

    def install(self, *argv, check=True):
        return self.run("--binary", binary(), "--config", self.config, *argv, check=check)

    def files(self):
        """{name: (mode, mtime, bytes)}"""
        return {str(p.relative_to(self.path)): (p.stat().st_mode & 0o777, p.stat().st_mtime_ns, p.read_bytes())
                for p in self.path.rglob("*") if p.is_file()}


@pytest.fixture
def server(tmp_path):
    return Tree(tmp_path, "server")


@pytest.fixture
def agent(tmp_path):
    return Tree(tmp_path, "agent")


def test_shellcheck():
    """shellcheck has nothing to say of the scripts that a user runs."""
    scripts = [INSTALL, *(ROOT / "packaging").glob("*.sh"), *(ROOT / "packaging/deb").glob("p*[a-z]")]
    r = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert (r.returncode, r.stdout) == (0, "")


def test_server(server):
    """A server gets the binary, unit, configuration, manifest, token and kubeconfig; secrets are for root's eyes alone. A second run
    writes nothing."""
    before = server.files()
    out = server.install().stdout
    assert "this is a k3s server" in out and "WARNING" not in out
    files = server.files()
    assert {name: files[name][0] for name in files.keys() - before.keys()} == {
        "usr/local/bin/lbd": 0o755, "etc/systemd/system/lbd.service": 0o644,
        "etc/systemd/system/lbd.service.d/realtime.conf": 0o644, "etc/sysusers.d/lbd.conf": 0o644, "etc/lbd/lbd.yaml": 0o644,
        "var/lib/rancher/k3s/server/manifests/lbd.yaml": 0o600, "etc/lbd/token": 0o600, "etc/lbd/kubeconfig": 0o600}
    kubeconfig = yaml.safe_load(server.read("etc/lbd/kubeconfig"))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert kubeconfig["users"][0]["user"]["token"] == server.token
    kinds = {(d["kind"], d["metadata"]["name"]) for d in
             yaml.safe_load_all(server.read("var/lib/rancher/k3s/server/manifests/lbd.yaml"))}
    assert kinds >= {("ServiceAccount", "lbd"), ("Secret", "lbd"), ("ClusterRole", "lbd"), ("RoleBinding", "lbd")}
    assert "written" not in server.install().stdout
    assert server.files() == files


def test_change(server):
    """Another configuration, and another token, are taken over; nothing else is written."""
    server.install()
    server.config.write_text(CONFIG + PEER)
    server.answer("other")
    out = server.install().stdout
    assert [line.split("/root/")[1] for line in out.splitlines() if line.endswith(": written")] == [
        "etc/lbd/lbd.yaml: written", "etc/systemd/system/lbd.service.d/listen.conf: written", "etc/lbd/token: written",
        "etc/lbd/kubeconfig: written"]
    assert "token: other\n" in server.read("etc/lbd/kubeconfig")


def test_agent(agent, tmp_path):
    """An agent goes through k3s's own load balancer, at the port that k3s was told; it gets no manifest and asks no kubectl. Without
    a token it is refused, once it has one it needs none again."""
    r = agent.install(check=False)
    assert r.returncode == 1 and "needs the token" in r.stderr
    token = tmp_path / "token"
    token.write_text("abc\n")
    agent.install("--token-file", token)
    kubeconfig = yaml.safe_load(agent.read("etc/lbd/kubeconfig"))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6444"
    assert kubeconfig["users"][0]["user"]["token"] == "abc"
    assert not agent.asked.exists() and not (agent.path / "var/lib/rancher/k3s/server").exists()
    agent.write("etc/rancher/k3s/config.yaml", "# lb-server-port: 1\nlb-server-port: 7445\n")
    assert "written" in agent.install().stdout
    assert "https://127.0.0.1:7445\n" in agent.read("etc/lbd/kubeconfig")
    agent.write("etc/systemd/system/k3s-agent.service", "ExecStart=/usr/local/bin/k3s agent \\\n\t'--lb-server-port' \\\n\t'7444' \\\n")
    agent.install()  # an argument outweighs the file
    assert "https://127.0.0.1:7444\n" in agent.read("etc/lbd/kubeconfig")
    agent.install("--server", "https://k3s.lan:6443")
    assert "https://k3s.lan:6443\n" in agent.read("etc/lbd/kubeconfig")


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_server_stays(agent, tmp_path, quote):
    """The API server that an earlier run was given stays, whatever else is another by then, until --server names another; which one
    it is is said."""
    token = tmp_path / "token"
    token.write_text("abc\n")
    assert "lbd: API server: https://10.0.0.9:6443\n" in agent.install("--token-file", token, "--server", "https://10.0.0.9:6443").stdout
    agent.write("etc/lbd/kubeconfig", agent.read("etc/lbd/kubeconfig").replace(
        "server: https://10.0.0.9:6443", f"server: {quote}https://10.0.0.9:6443{quote}"))
    token.write_text("def\n")
    out = agent.install("--token-file", token).stdout
    assert "API server: https://10.0.0.9:6443, as " in out and "(--server https://127.0.0.1:6444 for k3s's own" in out
    kubeconfig = yaml.safe_load(agent.read("etc/lbd/kubeconfig"))
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.0.0.9:6443"
    assert kubeconfig["users"][0]["user"]["token"] == "def"
    assert "lbd: API server: https://127.0.0.1:6444\n" in agent.install("--server", "https://127.0.0.1:6444").stdout
    assert "https://127.0.0.1:6444\n" in agent.read("etc/lbd/kubeconfig")


@pytest.mark.parametrize("file, text, off", [
    ("etc/rancher/k3s/config.yaml", "", False),
    ("etc/rancher/k3s/config.yaml", "disable: servicelb\n", True),
    ("etc/rancher/k3s/config.yaml", "disable:\n- traefik\n- \"servicelb\"\n", True),
    ("etc/rancher/k3s/config.yaml", "disable: [traefik]\n", False),
    ("etc/rancher/k3s/config.yaml", "#disable: [servicelb]\n", False),
    ("etc/rancher/k3s/config.yaml", "disable: [traefik]\nnode-label: [servicelb]\n", False),
    ("etc/rancher/k3s/config.yaml.d/lb.yaml", "disable: [traefik, servicelb]\n", True),
    ("etc/systemd/system/k3s.service", "ExecStart=/usr/local/bin/k3s server \\\n\t'--disable' \\\n\t'servicelb' \\\n", True),
    ("etc/systemd/system/k3s.service", "ExecStart=/usr/local/bin/k3s server --disable=traefik,servicelb\n", True),
    ("etc/systemd/system/k3s.service", "ExecStart=/usr/local/bin/k3s server --disable traefik --disable servicelb\n", True),
    ("etc/systemd/system/k3s.service", "ExecStart=/usr/local/bin/k3s server --disable traefik\n", False),
])
def test_servicelb(server, file, text, off):
    """Whether k3s's own load balancer is off, in each way that k3s can be told; where it is on, what to do about it."""
    server.write("etc/rancher/k3s/config.yaml", "")
    server.write(file, text)
    assert ("disable: [servicelb]" in server.install().stdout) == (not off)


def test_uninstall(server):
    """Everything is as it was, but for the configuration; --purge takes that, too. The rights are taken back by kubectl, for k3s does
    not. A second time is no error."""
    before = server.files()
    server.install()
    server.write("var/lib/lbd/snapshot", "x")
    server.run("uninstall")
    assert f"delete --ignore-not-found -f {server.path}/var/lib/rancher/k3s/server/manifests/lbd.yaml" in server.asked.read_text()
    assert server.files().keys() - before.keys() == {"etc/lbd/lbd.yaml"}
    server.run("uninstall", "--purge")
    assert server.files() == before
    assert not (server.path / "etc/lbd").exists() and not (server.path / "etc/systemd/system/lbd.service.d").exists()
    server.run("uninstall", "--purge")


def test_refused(server, tmp_path):
    """Neither server nor agent, a bad configuration, no token in the Secret, wrong arguments: said, and nothing half done that a
    second run would not mend."""
    for argv in (("bogus",), ("--binary",), ("uninstall", "--config", "x"), ("--purge",)):
        r = server.run(*argv, check=False)
        assert r.returncode == 2 and "install.sh uninstall [--purge]" in r.stderr
    server.config.write_text("pools: 1\n")
    r = server.install(check=False)
    assert r.returncode == 1 and not (server.path / "etc/lbd/lbd.yaml").exists()
    server.config.write_text(CONFIG)
    server.answer("<no value>")
    r = server.install(check=False)
    assert r.returncode == 1 and "does k3s run" in r.stderr
    assert not list((server.path / "etc/lbd").glob("*token"))
    server.answer("tok.en")
    server.install()
    (tmp_path / "empty").mkdir()
    r = sh("dash", INSTALL, check=False, env={**os.environ, "ROOT": str(tmp_path / "empty")})
    assert r.returncode == 1 and "neither server nor agent" in r.stderr


def test_packaged(server):
    """Where Debian's package is installed its binary, unit and user stay what they are: neither shadowed nor taken away."""
    (server.path / "usr/bin").mkdir(parents=True)
    shutil.copy(binary(), server.path / "usr/bin/lbd")
    server.write("var/lib/dpkg/info/lbd.list", "/usr/bin/lbd\n")
    before = server.files()
    assert "has its own" in server.install(check=False).stderr
    server.run("--config", server.config)
    assert server.files().keys() - before.keys() == {
        "etc/lbd/lbd.yaml", "etc/lbd/token", "etc/lbd/kubeconfig", "var/lib/rancher/k3s/server/manifests/lbd.yaml"}
    assert "apt-get purge" in server.run("uninstall", "--purge", check=False).stderr
    server.run("uninstall")
    assert server.files().keys() - before.keys() == {"etc/lbd/lbd.yaml"}
    assert before.keys() - server.files().keys() == set()
