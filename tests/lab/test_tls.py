# SPDX-License-Identifier: Apache-2.0
"""TLS conformance of http.c and tls.c, by tests/tls/tlsget, for each build of it that LBD_TLSGET names.

Every server that must not be trusted is refused with a sentence that says why; every server that must be, is not.
Servers are Python's ssl and openssl s_server on loopback; certificates are made by the openssl command line.
"""

import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARIES = [Path(p) for p in os.environ.get("LBD_TLSGET", str(ROOT / "build/tests/tlsget")).split(":") if p]
LIMIT_S = 20  # of any one step; nothing here should take a second
NAME = "kubernetes.default.svc"


# -- certificates ------------------------------------------------------------------------------------------------------

CA_CONF = """
[ca]
default_ca = d
[d]
database = {dir}/{name}.index
new_certs_dir = {dir}
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
"""


def openssl(*argv):
    subprocess.run(["openssl", *map(str, argv)], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)


class Pki:
    """Authorities and the certificates they sign, as files in a folder."""

    def __init__(self, folder):
        self.dir = folder
        self.keys = {"rsa": ["-newkey", "rsa:2048"], "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
                     "ec384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
                     "rsa1024": ["-newkey", "rsa:1024"]}

    def file(self, name):
        return self.dir / name

    def authority(self, name, key="ec", parent=None):
        if parent is None:
            openssl("req", "-x509", "-nodes", *self.keys[key], "-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.crt"),
                    "-subj", f"/CN={name}", "-days", "30", "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign")
        else:
            self.cert(name, f"/CN={name}", "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign", ca=parent, key=key)
        self.file(f"{name}.index").write_text("")
        self.file(f"{name}.conf").write_text(CA_CONF.format(dir=self.dir, name=name))

    def cert(self, name, subject, extensions, ca="ca", key="ec", start=-86400, end=86400 * 10):
        stamp = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + t)) for t in (start, end)]
        self.file(f"{name}.ext").write_text(extensions + "\n")
        openssl("req", "-new", "-nodes", *self.keys[key], "-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.csr"), "-subj", subject)
        openssl("ca", "-batch", "-notext", "-config", self.file(f"{ca}.conf"), "-cert", self.file(f"{ca}.crt"), "-keyfile", self.file(f"{ca}.key"),
                "-in", self.file(f"{name}.csr"), "-out", self.file(f"{name}.crt"), "-extfile", self.file(f"{name}.ext"),
                "-startdate", stamp[0], "-enddate", stamp[1])


GOOD_SAN = f"subjectAltName=DNS:{NAME},DNS:*.kube.test,IP:127.0.0.1,IP:::1"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.authority("ca")
    p.authority("rsaca", "rsa")
    p.authority("otherca")
    p.authority("middle", parent="ca")
    p.cert("ec", "/CN=api", GOOD_SAN)
    p.cert("rsa", "/CN=api", GOOD_SAN, ca="rsaca", key="rsa")
    p.cert("ec384", "/CN=api", GOOD_SAN, key="ec384")
    p.cert("chained", "/CN=api", GOOD_SAN, ca="middle")
    p.file("chain.crt").write_text(p.file("chained.crt").read_text() + p.file("middle.crt").read_text())
    p.cert("expired", "/CN=api", GOOD_SAN, start=-20000, end=-10000)
    p.cert("future", "/CN=api", GOOD_SAN, start=10000)
    p.cert("other-ip", f"/CN={NAME}", "subjectAltName=IP:127.0.0.2,IP:::2,IP:::ffff:127.0.0.1")
    p.cert("ip-in-cn", "/CN=127.0.0.1", "basicConstraints=CA:false")
    p.cert("ip-in-cn-with-san", "/CN=127.0.0.1", "subjectAltName=DNS:other")
    p.cert("ip-in-dns", "/CN=api", "subjectAltName=DNS:127.0.0.1,DNS:*.0.0.1")
    p.cert("ip-in-uri", "/CN=api", "subjectAltName=URI:127.0.0.1")
    p.cert("name-in-cn", f"/CN={NAME}", "basicConstraints=CA:false")
    p.cert("name-in-uri", "/CN=api", f"subjectAltName=URI:{NAME}")
    p.cert("client-only", "/CN=api", GOOD_SAN + "\nextendedKeyUsage=clientAuth")
    p.cert("weak", "/CN=api", GOOD_SAN, key="rsa1024")
    p.cert("client", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth")
    p.cert("rsa-client", "/CN=admin", "extendedKeyUsage=clientAuth", key="rsa")
    p.cert("other-client", "/CN=admin", "extendedKeyUsage=clientAuth", ca="otherca")
    openssl("req", "-x509", "-nodes", *p.keys["ec"], "-keyout", p.file("self.key"), "-out", p.file("self.crt"), "-subj", "/CN=api",
            "-days", "10", "-addext", GOOD_SAN)
    # Keys in their older forms, as k3s and kubeadm write them; and one that nobody can open.
    openssl("ec", "-in", p.file("client.key"), "-out", p.file("client.sec1.key"))
    openssl("rsa", "-traditional", "-in", p.file("rsa-client.key"), "-out", p.file("rsa-client.pkcs1.key"))
    openssl("ec", "-in", p.file("client.key"), "-aes128", "-passout", "pass:x", "-out", p.file("client.locked.key"))
    return p


# -- servers -----------------------------------------------------------------------------------------------------------

class Listener:
    """Calls serve(socket) for each connection, in a thread, until the end of the with block.

    Only the thread that uses a socket closes it; the end of the block wakes it by shutdown, and waits for it.
    """

    def __init__(self, serve, family=socket.AF_INET, port=0):
        self.serve = serve
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        self.sock.listen(8)
        self.port = self.sock.getsockname()[1]
        self.lock = threading.Lock()
        self.wakers = []  # duplicates of the sockets in use
        self.threads = [threading.Thread(target=self.accept)]
        self.accepted = 0
        self.answered = 0

    def __enter__(self):
        self.threads[0].start()
        return self

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.sock.accept()
                conn.settimeout(LIMIT_S)
                thread = threading.Thread(target=self.run, args=(conn,))
                with self.lock:
                    self.accepted += 1
                    self.wakers.append(conn.dup())
                    self.threads.append(thread)
                thread.start()

    def run(self, conn):
        with conn, contextlib.suppress(OSError, ValueError):
            self.serve(conn)

    def __exit__(self, *_):
        wake(self.sock)
        self.threads[0].join()
        for s in self.wakers:
            wake(s)
        for t in self.threads[1:]:
            t.join()
        for s in [self.sock, *self.wakers]:
            s.close()


def wake(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def hang_up(conn):
    """Ends the connection now, though a Listener holds a duplicate of it: without close_notify."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(conn, socket.SHUT_RDWR)


def answer(body=b"hello", length=None, clean=True):
    """A request handler: Content-Length as given, False for none; clean: with close_notify."""
    head = b"HTTP/1.1 200 OK\r\n"
    if length is not False:
        head += b"Content-Length: %d\r\n" % (len(body) if length is None else length)

    def handle(conn):
        request = b""
        while b"\r\n\r\n" not in request:
            got = conn.recv(4096)
            if not got:
                return
            request += got
        conn.sendall(head + b"\r\n" + body)
        if clean:
            conn.unwrap()
        hang_up(conn)

    return handle


def server_context(pki, cert, version=None, client_ca=None, chain=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.set_ciphers("DEFAULT:@SECLEVEL=0")
    ctx.load_cert_chain(pki.file(chain or f"{cert}.crt"), pki.file(f"{cert}.key"))
    if version:
        ctx.minimum_version = ctx.maximum_version = version
    if client_ca:
        ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.load_verify_locations(pki.file(f"{client_ca}.crt"))
    return ctx


def tls_server(pki, cert, handle=None, version=None, client_ca=None, family=socket.AF_INET, chain=None):
    ctx = server_context(pki, cert, version, client_ca, chain)
    handle = handle or answer()

    def serve(conn):
        try:
            with ctx.wrap_socket(conn, server_side=True) as tls:
                handle(tls)
                listener.answered += 1
        finally:
            for s in listener.wakers:
                hang_up(s)

    listener = Listener(serve, family)
    return listener


def records(conn):
    """TLS records of a stream, headers included."""
    buf = b""
    while True:
        while len(buf) < 5 or len(buf) < 5 + int.from_bytes(buf[3:5], "big"):
            got = conn.recv(65536)
            if not got:
                return
            buf += got
        n = 5 + int.from_bytes(buf[3:5], "big")
        yield buf[:n]
        buf = buf[n:]


def relay(port, down):
    """A listener before the server at port; down(client, server) carries the server's bytes to the client."""

    def pump_up(client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)

    def serve(client):
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up = threading.Thread(target=pump_up, args=(client, server))
            up.start()
            with contextlib.suppress(OSError):
                down(client, server)
            hang_up(client)
            hang_up(server)
            up.join()

    return Listener(serve)


# -- the client --------------------------------------------------------------------------------------------------------

class Tlsget:
    def __init__(self, path, pki):
        self.path = path
        self.pki = pki
        out = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stdout
        self.is_3 = out.startswith("mbedTLS 3")
        self.newest = "TLSv1.3" if self.is_3 else "TLSv1.2"

    def run(self, port, name=NAME, ca="ca", host="127.0.0.1", cert=None, key=None, options=(), inside=()):
        argv = [*inside, self.path, *options]
        if cert:
            argv += ["-c", self.pki.file(cert)]
        if key:
            argv += ["-k", self.pki.file(key)]
        argv += [host, str(port), name, self.pki.file(f"{ca}.crt")]
        r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
        assert r.stderr == "", r.stderr
        return r.returncode, r.stdout.strip()

    def accepts(self, server, version=None, length=5, **how):
        with server as s:
            code, out = self.run(s.port, **how)
        assert (code, out) == (0, f"200 {length} {version or self.newest}")

    def refuses(self, server, why, **how):
        """Ends with exit code 1 and a sentence that holds why; and the server never got a request to answer."""
        with server as s:
            code, out = self.run(s.port, **how)
        assert code == 1, out
        assert why in out
        return s


@pytest.fixture(params=BINARIES, ids=lambda p: p.name)
def get(request, pki):
    assert request.param.exists(), f"{request.param} is not built: make tls-test"
    return Tlsget(request.param, pki)


def test_a_binary_is_tested():
    """At least one build of tlsget is named."""
    assert BINARIES


# -- accepted ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [NAME, NAME.upper(), NAME + ".", "api.kube.test", "127.0.0.1", "::1"])
def test_good_names(get, pki, name):
    """A name, a wildcard's, an IPv4 and an IPv6 address of the certificate are verified and accepted."""
    get.accepts(tls_server(pki, "ec"), name=name)


def test_good_over_ipv6(get, pki):
    """https://[::1] is verified against the IPv6 entry."""
    get.accepts(tls_server(pki, "ec", family=socket.AF_INET6), name="::1", host="::1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("cert,ca", [("ec", "ca"), ("rsa", "rsaca"), ("ec384", "ca")])
def test_versions_and_keys(get, pki, cert, ca, version):
    """RSA and ECDSA, TLS 1.2 alone and 1.3 alone; the build that has no 1.3 says so."""
    server = tls_server(pki, cert, version=version)
    if version == ssl.TLSVersion.TLSv1_2:
        get.accepts(server, "TLSv1.2", ca=ca)
    elif get.is_3:
        get.accepts(server, "TLSv1.3", ca=ca, name="127.0.0.1")
    else:
        get.refuses(server, "does not speak TLS 1.2", ca=ca)


def test_intermediate(get, pki):
    """A chain over an intermediate authority."""
    get.accepts(tls_server(pki, "chained", chain="chain.crt"), name="127.0.0.1")
    get.refuses(tls_server(pki, "chained"), "not signed by the CA")


def test_openssl_server(get, pki):
    """openssl s_server -www, whose answer runs to the end of the connection."""
    with openssl_server(pki, "ec", "-www") as port:
        code, out = get.run(port, name="127.0.0.1")
    assert code == 0 and out.startswith("200 ") and out.endswith(get.newest), out


@pytest.mark.parametrize("sigalgs", ["rsa_pss_rsae_sha256", "RSA+SHA256"], ids=["pss", "pkcs1"])
def test_signatures(get, pki, sigalgs):
    """A server of TLS 1.2 that insists on one kind of RSA signature (3.6.6 needs a patch for PSS; 2.28 does not offer it)."""
    with openssl_server(pki, "rsa", "-www", "-tls1_2", "-sigalgs", sigalgs) as port:
        code, out = get.run(port, ca="rsaca")
    if get.is_3 or "PSS" not in sigalgs.upper():
        assert code == 0 and out.endswith("TLSv1.2"), out
    else:
        assert code == 1 and "no common TLS settings" in out, out


def test_large_body(get, pki):
    """Many records."""
    get.accepts(tls_server(pki, "ec", answer(b"x" * 1000000)), length=1000000)


def test_byte_by_byte(get, pki):
    """Records in the smallest pieces."""

    def down(client, server):
        while data := server.recv(65536):
            for i in range(len(data)):
                client.sendall(data[i:i + 1])

    with tls_server(pki, "ec", answer(b"x" * 2000)) as s:
        get.accepts(relay(s.port, down), length=2000, name="127.0.0.1")


def test_to_the_end(get, pki):
    """A body without length that ends with close_notify is complete."""
    get.accepts(tls_server(pki, "ec", answer(b"x" * 50000, length=False)), length=50000)


# -- client certificates -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, None], ids=["1.2", "newest"])
@pytest.mark.parametrize("cert,key", [("client", "client.key"), ("client", "client.sec1.key"), ("rsa-client", "rsa-client.key"),
                                      ("rsa-client", "rsa-client.pkcs1.key")])
def test_client_certificate(get, pki, cert, key, version):
    """The server asks for a client certificate and takes ours, with the key in each common form."""
    get.accepts(tls_server(pki, "ec", client_ca="ca", version=version), "TLSv1.2" if version else None, cert=f"{cert}.crt", key=key)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, None], ids=["1.2", "newest"])
def test_client_certificate_missing(get, pki, version):
    """The server wants one and gets none: refused, and the sentence speaks of it."""
    s = get.refuses(tls_server(pki, "ec", client_ca="ca", version=version), "client certificate")
    assert s.answered == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, None], ids=["1.2", "newest"])
def test_client_certificate_unknown(get, pki, version):
    """One of another authority: refused, and the sentence speaks of it."""
    s = get.refuses(tls_server(pki, "ec", client_ca="ca", version=version), "client certificate", cert="other-client.crt", key="other-client.key")
    assert s.answered == 0


# -- a name with two addresses -----------------------------------------------------------------------------------------


def reset(conn):
    conn.recv(1)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say_nothing(conn):
    while conn.recv(4096):
        pass


@pytest.mark.parametrize("bad", [reset, say_nothing, lambda conn: conn.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "self"],
                         ids=["reset", "silent", "plain", "impostor"])
def test_next_address(get, pki, bad):
    """What answers at the first address is not the server: the next one is tried."""
    hosts = pki.file("hosts")
    hosts.write_text("::1 two.test\n127.0.0.1 two.test\n")  # RFC 6724: ::1 is tried first
    with tls_server(pki, "ec") as good:
        serve = tls_server(pki, bad).serve if isinstance(bad, str) else bad
        with Listener(serve, socket.AF_INET6, good.port) as first:
            inside = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts]
            assert get.run(good.port, host="two.test", options=["-t", 1000], inside=inside) == (0, f"200 5 {get.newest}")
            assert (first.accepted, good.accepted) == (1, 1)


# -- resumption --------------------------------------------------------------------------------------------------------

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, None], ids=["1.2", "newest"])


def in_turn(*contexts, handle=None):
    """A server whose first connection meets the first context, and so on; the last one meets all that follow."""
    handle = handle or answer()

    def serve(conn):
        with contexts[min(listener.accepted, len(contexts)) - 1].wrap_socket(conn, server_side=True) as tls:
            handle(tls)

    listener = Listener(serve)
    return listener


def say(get, version, *lines):
    """What tlsget prints: each line "full" or "resumed", or words that must be in it."""
    v = "TLSv1.2" if version else get.newest
    return [{"full": f"200 5 {v}", "resumed": f"200 5 {v} resumed"}.get(line, line) for line in lines]


def check_turns(get, server, want, *options, **how):
    with server as s:
        _, out = get.run(s.port, options=["-n", len(want), *options], **how)
    lines = out.splitlines()
    assert len(lines) == len(want), out
    for line, w in zip(lines, want):
        assert line == w if w.startswith("200 ") else w in line, out


@VERSIONS
@pytest.mark.parametrize("name", [NAME, "127.0.0.1"])
def test_resumed(get, pki, version, name):
    """A second connection goes on from the first, a third from the second."""
    check_turns(get, in_turn(server_context(pki, "ec", version)), say(get, version, "full", "resumed", "resumed"), name=name)


@VERSIONS
def test_resumed_with_client_certificate(get, pki, version):
    check_turns(get, in_turn(server_context(pki, "ec", version, client_ca="ca")), say(get, version, "full", "resumed"),
                cert="client.crt", key="client.key")


@VERSIONS
def test_ticket_of_another_server(get, pki, version):
    """The server was restarted: it does not know the ticket, and shows its certificate again."""
    one, other = (server_context(pki, c, version) for c in ("ec", "ec384"))
    check_turns(get, in_turn(one, other), say(get, version, "full", "full", "resumed"))


@VERSIONS
def test_ticket_and_wrong_certificate(get, pki, version):
    """A ticket is no excuse for a server that has another certificate: of an unknown authority, or for another name.  It
    is not offered again."""
    good, unknown, other = (server_context(pki, c, version) for c in ("ec", "self", "other-ip"))
    check_turns(get, in_turn(good, unknown, good, other, good),
                say(get, version, "full", "is not signed by the CA", "full", "does not hold the name", "full"))


@VERSIONS
def test_proof_grows_old(get, pki, version):
    """Resumed again and again, and yet the certificate is looked at anew after an hour."""
    ctx = server_context(pki, "ec", version)
    check_turns(get, in_turn(ctx), say(get, version, "full", *["resumed"] * 2, "full", "resumed"), "-a", 1_300_000)


@VERSIONS
def test_server_that_cannot_resume(get, pki, version):
    """A server that hangs up on what was resumed is asked without a ticket the next time."""
    def handle(tls):
        if tls.session_reused:
            hang_up(tls)
        else:
            answer()(tls)

    check_turns(get, in_turn(server_context(pki, "ec", version), handle=handle),
                say(get, version, "full", "closed the connection", "full"))


def test_no_tickets(get, pki):
    ctx = server_context(pki, "ec")
    ctx.options |= ssl.OP_NO_TICKET
    ctx.num_tickets = 0
    check_turns(get, in_turn(ctx), say(get, None, "full")[:1] * 2 if get.is_3 else say(get, None, "full", "resumed"))


@pytest.mark.parametrize("cert,key,why", [
    ("client.crt", "other-client.key", "does not belong to the client certificate"),
    ("client.crt", "client.locked.key", "encrypted"),
    ("client.crt", "client.crt", "client key cannot be read"),
    ("client.key", "client.key", "client certificate cannot be read"),
    ("client.crt", None, "without its key"),
    (None, "client.key", "without its certificate"),
])
def test_client_files(get, pki, cert, key, why):
    """Unusable files are refused before anything is sent."""
    s = get.refuses(tls_server(pki, "ec"), why, cert=cert, key=key)
    assert s.accepted == 0


def test_ca_file(get, pki):
    """Without a readable CA nothing is sent."""
    pki.file("nonsense.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    pki.file("empty.crt").write_text("")
    for ca in ("nonsense", "empty"):
        s = get.refuses(tls_server(pki, "ec"), "CA certificate cannot be read", ca=ca)
        assert s.accepted == 0


# -- refused: who it is ------------------------------------------------------------------------------------------------

@VERSIONS
@pytest.mark.parametrize("cert,name,ca,why", [
    ("ec", NAME, "otherca", "not signed by the CA"),
    ("ec", "127.0.0.1", "otherca", "not signed by the CA"),
    ("self", NAME, "ca", "not signed by the CA"),
    ("self", "127.0.0.1", "ca", "not signed by the CA"),
    ("ec", "other.name", "ca", "does not hold the name other.name"),
    ("ec", "kubernetes.default", "ca", "does not hold the name kubernetes.default"),
    ("ec", "x" + NAME, "ca", "does not hold the name"),
    ("ec", "kube.test", "ca", "does not hold the name"),
    ("ec", "a.b.kube.test", "ca", "does not hold the name"),
    ("ec", "127.0.0.2", "ca", "does not hold the IP address 127.0.0.2"),
    ("ec", "10.0.0.1", "ca", "does not hold the IP address 10.0.0.1"),
    ("ec", "::2", "ca", "does not hold the IP address ::2"),
    ("ec", "::ffff:127.0.0.1", "ca", "does not hold the IP address"),
    ("other-ip", "127.0.0.1", "ca", "does not hold the IP address 127.0.0.1"),
    ("other-ip", "::1", "ca", "does not hold the IP address ::1"),
    ("other-ip", NAME, "ca", "does not hold the name"),
    ("ip-in-cn", "127.0.0.1", "ca", "does not hold the IP address"),
    ("ip-in-cn-with-san", "127.0.0.1", "ca", "does not hold the IP address"),
    ("ip-in-dns", "127.0.0.1", "ca", "does not hold the IP address"),
    ("ip-in-dns", "127.0.0.1.", "ca", "does not hold the IP address"),
    ("ip-in-uri", "127.0.0.1", "ca", "does not hold the IP address"),
    ("name-in-cn", NAME, "ca", "does not hold the name"),
    ("name-in-uri", NAME, "ca", "does not hold the name"),
    ("expired", NAME, "ca", "has expired, or this host's clock is wrong"),
    ("expired", "127.0.0.1", "ca", "has expired, or this host's clock is wrong"),
    ("future", NAME, "ca", "is not valid yet, or this host's clock is wrong"),
    ("future", "127.0.0.1", "ca", "is not valid yet, or this host's clock is wrong"),
    ("client-only", "127.0.0.1", "ca", "not meant for a server"),
    ("weak", "127.0.0.1", "ca", "of a kind that is not accepted"),
])
def test_wrong_certificate(get, pki, cert, name, ca, why, version):
    """No request ever reaches a server that cannot prove who it is."""
    if version is None and not get.is_3:
        pytest.skip("this build's newest version is 1.2, tested already")
    s = get.refuses(tls_server(pki, cert, version=version), why, name=name, ca=ca)
    assert s.accepted == 1 and s.answered == 0


# -- refused: how it speaks --------------------------------------------------------------------------------------------

@contextlib.contextmanager
def openssl_server(pki, cert, *options):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pki.file(f"{cert}.crt"),
                               "-key", pki.file(f"{cert}.key"), "-quiet", *options],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT_S
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S).close()
                break
            assert time.monotonic() < end and server.poll() is None, "openssl s_server does not start"
            time.sleep(0.02)  # a poll, to a deadline
        yield port
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("option", ["-tls1_1", "-tls1"])
def test_old_tls(get, pki, option):
    """TLS 1.1 and 1.0 are refused; that the server does speak them is checked with openssl's own client."""
    cipher = ["-cipher", "ALL:@SECLEVEL=0"]
    with openssl_server(pki, "ec", option, *cipher, "-www") as port:
        own = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", option, *cipher], input="", capture_output=True, text=True,
                             timeout=LIMIT_S)
        assert "Verification" in own.stdout and own.returncode == 0, own.stderr
        code, out = get.run(port)
    assert code == 1
    assert "TLS 1.2" in out, out


def test_plain_http(get, pki):
    """A server without TLS is recognised."""
    def serve(conn):
        conn.recv(4096)
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        conn.recv(4096)

    get.refuses(Listener(serve), "server speaks plain HTTP, not TLS")


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 100, bytes(range(255, 0, -1)), b"\x16\x03\x03\xff\xff" + b"x" * 70000,
                                     b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", b"\x17\x03\x03\x00\x10" + b"y" * 16],
                         ids=["ssh", "zeros", "bytes", "long-record", "empty-hello", "early-data"])
def test_garbage(get, pki, garbage):
    """Bytes that are not TLS end the connection at once."""
    def serve(conn):
        conn.recv(4096)
        conn.sendall(garbage)
        conn.recv(4096)
        with contextlib.suppress(TimeoutError):
            conn.recv(4096)

    start = time.monotonic()
    get.refuses(Listener(serve), "TLS")
    assert time.monotonic() - start < 3


def test_closed_in_handshake(get, pki):
    """A server that hangs up on the ClientHello."""
    get.refuses(Listener(lambda conn: (conn.recv(4096), conn.shutdown(socket.SHUT_RDWR))), "closed the connection during the TLS handshake")


def test_reset(get, pki):
    """A reset instead of an answer to the ClientHello."""
    def serve(conn):
        conn.recv(4096)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        conn.close()
        listener.wakers[0].close()  # the last descriptor of it

    listener = Listener(serve)
    get.refuses(listener, "connection reset by peer")


# -- refused: slow and cut off -----------------------------------------------------------------------------------------

def test_silent_handshake(get, pki):
    """A server that never answers the ClientHello is given up after the connect timeout."""
    start = time.monotonic()
    get.refuses(Listener(lambda conn: [None for _ in iter(lambda: conn.recv(4096), b"")]), "timed out after 300 ms in the TLS handshake",
                options=["-t", "300"])
    assert 0.3 <= time.monotonic() - start < 3


def test_slow_handshake(get, pki):
    """Nor does a byte now and then keep it waiting."""
    def down(client, server):
        while data := server.recv(1):
            client.sendall(data)
            time.sleep(0.05)

    start = time.monotonic()
    with tls_server(pki, "ec") as s:
        get.refuses(relay(s.port, down), "timed out after 500 ms in the TLS handshake", options=["-t", "500"])
    assert time.monotonic() - start < 3


def test_silent_answer(get, pki):
    """Nor a request without an answer."""
    get.refuses(tls_server(pki, "ec", lambda conn: conn.recv(65536) and conn.recv(1)), "no answer within 300 ms", options=["-T", "300"])


@VERSIONS
@pytest.mark.parametrize("handle,why", [
    (answer(b"x" * 1000, length=2000, clean=False), "without ending the TLS session"),
    (answer(b"x" * 1000, length=2000, clean=True), "in the middle of its answer"),
    (answer(b"x" * 1000, length=False, clean=False), "without ending the TLS session"),
], ids=["length-cut", "length-short", "to-the-end-cut"])
def test_truncated(get, pki, handle, why, version):
    """An attacker who cuts the TCP connection may not make a part look whole: close_notify or the length must say so."""
    get.refuses(tls_server(pki, "ec", handle, version=version), why)


def edit_third_record(edit):
    """Passes records on; edits the third of application data, then ends."""

    def down(client, server):
        seen = 0
        for record in records(server):
            seen += record[0] == 0x17
            if seen == 3 and record[0] == 0x17:
                client.sendall(edit(record))
                return
            client.sendall(record)

    return down


@pytest.mark.parametrize("edit,why", [
    (lambda r: r[:len(r) // 2], "without ending the TLS session"),
    (lambda r: r[:3], "without ending the TLS session"),
    (lambda r: r[:-1] + bytes([r[-1] ^ 1]), "TLS record refused"),
    (lambda r: r[:5] + bytes([r[5] ^ 0x80]) + r[6:], "TLS record refused"),
], ids=["cut", "cut-header", "bit-at-end", "bit-at-start"])
def test_record_damaged(get, pki, edit, why):
    """A record of the body that is cut or changed on the way."""
    with tls_server(pki, "ec", answer(b"x" * 100000), version=ssl.TLSVersion.TLSv1_2) as s:
        get.refuses(relay(s.port, edit_third_record(edit)), why)


def test_record_damaged_1_3(get, pki):
    """The same in TLS 1.3, where the third is still of the handshake."""
    if not get.is_3:
        pytest.skip("this build has no TLS 1.3")
    with tls_server(pki, "ec", answer(b"x" * 100000), version=ssl.TLSVersion.TLSv1_3) as s:
        get.refuses(relay(s.port, edit_third_record(lambda r: r[:-1] + bytes([r[-1] ^ 1]))), "TLS")
