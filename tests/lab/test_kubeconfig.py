# SPDX-License-Identifier: Apache-2.0
"""Every way to tell lbd where the API server is and who it is itself; and what it refuses, in which words."""

import base64
import contextlib
import time

import pytest
from kubesim import Kubesim
from lab import API_ADDR, Lab, Node, sh, wait_for

PORT, OTHER_PORT = 6443, 6444


class Rig:
    """A node on the API server's own host, so that 127.0.0.1 is the API server too; a second API server whose certificate
    names elsewhere.example alone."""

    def __init__(self, stack):
        self.lab = Lab(nodes=0, pods=False, proxy=False)
        stack.callback(self.lab.close)
        self.node = Node(self.lab, "api", API_ADDR)
        self.lab.nodes.append(self.node)
        self.lab.create_node(self.node)
        self.other = Kubesim().start(f"{API_ADDR}:{OTHER_PORT}", self.lab.dir / "other", netns=self.lab.api.ns,
                                     extra=["--no-default-sans", "--san", "elsewhere.example"])
        stack.callback(self.other.kill)
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
           "-subj", "/CN=kubesim-ca", "-keyout", self.lab.dir / "wrong.key", "-out", self.lab.dir / "wrong.crt")

    def kubeconfig(self, user, cluster, server=f"https://{API_ADDR}:{PORT}"):
        """A kubeconfig file of these fields (strings of YAML)."""
        def block(fields):
            return "".join(f"    {key}: {value}\n" for key, value in fields.items())
        path = self.lab.dir / "kubeconfig"
        path.write_text("apiVersion: v1\nkind: Config\ncurrent-context: lab\n"
                        "contexts:\n- name: lab\n  context: {cluster: lab, user: lab}\n"
                        f"clusters:\n- name: lab\n  cluster:\n    server: {server}\n{block(cluster)}"
                        f"users:\n- name: lab\n  user:\n{block(user)}")
        return path

    def ca(self, kubesim=None):
        return {"certificate-authority": (kubesim or self.lab.kubesim).dir / "ca.crt"}

    def users(self):
        """Ways to say who one is: {name: (fields, whom the API server takes one for)}."""
        d = self.lab.kubesim.dir
        return {
            "token": ({"token": (d / "lbd.token").read_text()}, "lbd"),
            "tokenFile": ({"tokenFile": d / "lbd.token"}, "lbd"),
            "certificate": ({"client-certificate": d / "admin.crt", "client-key": d / "admin.key"}, "admin"),
            "certificate-data": ({f"client-{what}-data": base64.b64encode((d / f"admin.{end}").read_bytes()).decode()
                                  for what, end in (("certificate", "crt"), ("key", "key"))}, "admin"),
        }

    def log(self):
        return self.node.log.read_text() if self.node.log.exists() else ""


@pytest.fixture(scope="module")
def the_rig():
    with contextlib.ExitStack() as stack:
        yield Rig(stack)


@pytest.fixture
def rig(the_rig):
    """Nothing runs, no log is there."""
    the_rig.node.log.unlink(missing_ok=True)
    yield the_rig
    the_rig.node.kill()


def start(rig, kubeconfig, **kw):
    return rig.node.start(kubeconfig=kubeconfig, **kw)


@pytest.mark.parametrize("server", [API_ADDR, "127.0.0.1"])
@pytest.mark.parametrize("how", ["token", "tokenFile", "certificate", "certificate-data"])
def test_identity(rig, how, server):
    """By token, token file and client certificate, by either address of the server's certificate: a Service gets an
    address, written by whom the credentials name."""
    user, name = rig.users()[how]
    start(rig, rig.kubeconfig(user, rig.ca(), server=f"https://{server}:{PORT}"))
    before = rig.lab.kubesim.count(name, "patch")
    rig.lab.service("web", endpoints=False)
    try:
        rig.lab.wait_ip("web", timeout=5)
        assert rig.lab.kubesim.count(name, "patch") > before, f"the status was not written by {name}"
        assert server in rig.node.dump()["api"]["server"]
    finally:
        rig.lab.delete_service("web")
        assert rig.node.stop() == 0


def test_generated_kubeconfigs(rig):
    """The files that kubesim writes, with CA data inside: as kubectl takes them."""
    for user in ("admin", "lbd"):
        start(rig, rig.lab.kubesim.kubeconfig(user))
        assert rig.node.stop() == 0


def refused(rig, kubeconfig, *words, kubesim=None):
    """lbd lives on, says why, gets no answer out of the server, and announces nothing."""
    kubesim = kubesim or rig.lab.kubesim
    before = kubesim.count("lbd") + kubesim.count("admin", "list")
    start(rig, kubeconfig, ready=False)
    wait_for(f"a sentence with {words} in the log", lambda: any(
        all(w in line for w in words) for line in rig.log().splitlines()), 5)
    time.sleep(0.5)
    assert rig.node.alive()
    dump = rig.node.dump()
    assert not dump["api"]["synced"] and dump["vips"] == [], dump["api"]
    assert kubesim.count("lbd") + kubesim.count("admin", "list") == before, "it sent a request to a server it must not trust"


def test_wrong_ca(rig):
    """A server whose certificate another CA signed, of the same name even, is sent nothing."""
    refused(rig, rig.kubeconfig(rig.users()["token"][0], {"certificate-authority": rig.lab.dir / "wrong.crt"}),
            f"{API_ADDR}:{PORT}", "not signed by the CA")


def test_wrong_address(rig):
    """A server whose certificate does not hold the address that was asked for is sent nothing."""
    user = {"token": (rig.other.dir / "lbd.token").read_text()}
    refused(rig, rig.kubeconfig(user, rig.ca(rig.other), server=f"https://{API_ADDR}:{OTHER_PORT}"),
            f"{API_ADDR}:{OTHER_PORT}", f"does not hold the IP address {API_ADDR}", kubesim=rig.other)


def test_wrong_name(rig):
    """tls-server-name is what the certificate must hold, whatever the address."""
    refused(rig, rig.kubeconfig(rig.users()["token"][0], {**rig.ca(), "tls-server-name": "wrong.example"}),
            f"{API_ADDR}:{PORT}", "does not hold the name wrong.example")


def test_tls_server_name(rig):
    """tls-server-name: a certificate for another name than the address is taken when that name was asked for."""
    user = {"token": (rig.other.dir / "lbd.token").read_text()}
    start(rig, rig.kubeconfig(user, {**rig.ca(rig.other), "tls-server-name": "elsewhere.example"},
                              server=f"https://{API_ADDR}:{OTHER_PORT}"))
    assert rig.node.stop() == 0


def test_unknown_token(rig):
    """A token that the server does not know: said, and nothing announced; the server is asked without haste."""
    before, begin = rig.lab.kubesim.stats(), time.monotonic()
    start(rig, rig.kubeconfig({"token": "nobodys"}, rig.ca()), ready=False)
    wait_for("401 in the log", lambda: "401" in rig.log(), 5)
    time.sleep(2)
    asked = sum(u["requests"] for u in rig.lab.kubesim.stats()["users"].values()) - sum(
        u["requests"] for u in before["users"].values())
    assert asked < 20 * (time.monotonic() - begin) + 20, f"{asked} requests"
    assert rig.node.alive() and rig.node.dump()["vips"] == []


REFUSED = {
    "exec": ({"exec": "{apiVersion: client.authentication.k8s.io/v1, command: aws}"}, {},
             ["users[0].user.exec", "not supported"]),
    "auth-provider": ({"auth-provider": "{name: oidc}"}, {}, ["auth-provider", "not supported"]),
    "password": ({"username": "u", "password": "p"}, {}, ["username", "not supported"]),
    "unverified": ({"token": "t"}, {"insecure-skip-tls-verify": "true"}, ["insecure-skip-tls-verify"]),
    "proxy": ({"token": "t"}, {"proxy-url": "http://10.0.0.1"}, ["proxy-url"]),
    "no token file": ({"tokenFile": "/nowhere/token"}, {}, ["/nowhere/token", "No such file"]),
    "key without certificate": ({"client-certificate": "/nowhere/crt"}, {}, ["client-key"]),
    "bad CA": ({"token": "t"}, {"certificate-authority": "/etc/hostname"}, ["CA certificate cannot be read"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_start(rig, what):
    """What lbd does not support, or cannot read, ends it at once: exit 1, and a sentence that names file and field."""
    user, cluster, words = REFUSED[what]
    start(rig, rig.kubeconfig(user, {**rig.ca(), **cluster}), ready=False)
    assert rig.node.process.wait(timeout=5) == 1
    line = next((x for x in rig.log().splitlines() if " error " in x and "no way to the API" in x), rig.log())
    assert str(rig.lab.dir / "kubeconfig") in line or "/nowhere" in line, line
    assert all(w in line for w in words), line


def test_no_kubeconfig(rig):
    """A kubeconfig that is not there."""
    start(rig, rig.lab.dir / "none", ready=False)
    assert rig.node.process.wait(timeout=5) == 1
    assert str(rig.lab.dir / "none") in rig.log()
