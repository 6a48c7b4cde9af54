# SPDX-License-Identifier: Apache-2.0
"""A BGP peer that says what a test tells it to: bytes, right or wrong, over TCP from a host of the laboratory.

    with Listener(host, password="secret") as port:
        s = port.accept()                # lbd connected
        s.handshake(asn=65002)           # OPEN and KEEPALIVE, both ways; the rest is read by a thread
        s.send(UPDATE, row.body)
        s.routes                         # what lbd announces: {prefix: attributes}
        s.wait_over(); s.notification    # (code, subcode, data), or None

rows() are the messages of tests/golden/bgp-malformed.txt.
"""

import collections
import contextlib
import ipaddress
import socket
import struct
import sys
import threading
import time

from lab import ROOT, Inside, wait_for

OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE_REFRESH = range(1, 6)
MARKER = b"\xff" * 16
HEADER = struct.Struct("!16sHB")
MAX, MAX_EXTENDED = 4096, 65535
AS_TRANS = 23456

MULTIPROTOCOL, REFRESH, EXTENDED_NEXT_HOP, EXTENDED_MESSAGE, GRACEFUL, AS4, ENHANCED_REFRESH = 1, 2, 5, 6, 64, 65, 70
IPV4, IPV6 = 1, 2
ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF, COMMUNITIES, MP_REACH, MP_UNREACH = 1, 2, 3, 4, 5, 8, 14, 15
EXTENDED_COMMUNITIES, LARGE_COMMUNITIES = 16, 32
TCP_MD5SIG, MD5_KEY_MAX = 14, 80


# -- messages --

def message(kind, body=b"", length=None, marker=MARKER):
    return HEADER.pack(marker, HEADER.size + len(body) if length is None else length, kind) + body


def capability(code, value=b""):
    return bytes([code, len(value)]) + value


def capabilities(asn, families=(IPV4, IPV6), as4=True, extended_message=False, refresh=True, enhanced=False,
                 graceful=None, extended_next_hop=False):
    """graceful: flags and time, as they stand in the capability."""
    out = b"".join(capability(MULTIPROTOCOL, struct.pack("!HBB", f, 0, 1)) for f in families)
    out += capability(REFRESH) if refresh else b""
    out += capability(ENHANCED_REFRESH) if enhanced else b""
    out += capability(EXTENDED_MESSAGE) if extended_message else b""
    out += capability(EXTENDED_NEXT_HOP, struct.pack("!HHH", IPV4, 1, IPV6)) if extended_next_hop else b""
    if graceful is not None:
        out += capability(GRACEFUL, struct.pack("!H", graceful) + b"".join(struct.pack("!HBB", f, 1, 0x80) for f in families))
    return out + (capability(AS4, struct.pack("!I", asn)) if as4 else b"")


def open_body(asn, hold=90, ident="10.0.0.1", caps=b"", version=4):
    parameters = bytes([2, len(caps)]) + caps if caps else b""
    return struct.pack("!BHH4sB", version, asn if asn < 65536 else AS_TRANS, hold, socket.inet_aton(ident),
                       len(parameters)) + parameters


def attribute(flags, kind, value):
    long = len(value) > 255
    return struct.pack("!BBH" if long else "!BBB", flags | (0x10 if long else 0), kind, len(value)) + value


def prefix_bytes(prefix):
    net = ipaddress.ip_network(prefix)
    return bytes([net.prefixlen]) + net.network_address.packed[:(net.prefixlen + 7) // 8]


def update_body(withdrawn=b"", attributes=b"", prefixes=b""):
    return struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + prefixes


def good_update(*prefixes, asn=65002, internal=False, as4=True, next_hop="10.0.0.1"):
    """IPv4 prefixes as a peer of this AS announces them."""
    path = b"" if internal else struct.pack("!BBI" if as4 else "!BBH", 2, 1, asn)
    attributes = attribute(0x40, ORIGIN, b"\0") + attribute(0x40, AS_PATH, path)
    attributes += attribute(0x40, NEXT_HOP, socket.inet_aton(next_hop))
    attributes += attribute(0x40, LOCAL_PREF, struct.pack("!I", 100)) if internal else b""
    return update_body(b"", attributes, b"".join(map(prefix_bytes, prefixes)))


class Malformed(AssertionError):
    """lbd sent what is none."""


def take(data, n):
    if len(data) < n:
        raise Malformed(f"{n} bytes wanted of {data.hex()}")
    return data[:n], data[n:]


def decode_open(body):
    (version, asn, hold, ident, n), rest = struct.unpack("!BHH4sB", body[:10]), body[10:]
    if version != 4 or n != len(rest):
        raise Malformed(body.hex())
    caps = collections.defaultdict(list)
    while rest:
        (kind, size), rest = take(rest, 2)
        value, rest = take(rest, size)
        while kind == 2 and value:
            (code, size), value = take(value, 2)
            one, value = take(value, size)
            caps[code].append(one)
    if caps[AS4]:
        asn = struct.unpack("!I", caps[AS4][0])[0]
    return {"asn": asn, "hold": hold, "id": socket.inet_ntoa(ident), "capabilities": dict(caps)}


def decode_prefixes(data, family):
    out, size = [], 4 if family == IPV4 else 16
    while data:
        (bits,), data = take(data, 1)
        if bits > 8 * size:
            raise Malformed(f"prefix of {bits}")
        value, data = take(data, (bits + 7) // 8)
        out.append(str(ipaddress.ip_network((value.ljust(size, b"\0"), bits))))
    return out


def decode_path(value, as4):
    out, size = [], 4 if as4 else 2
    while value:
        (_, n), value = take(value, 2)
        numbers, value = take(value, n * size)
        out += struct.unpack(f"!{n}{'I' if as4 else 'H'}", numbers)
    return out


def decode_update(body, as4=True):
    """({attribute: value}, announced, withdrawn); attributes in Python's terms where they are known."""
    size, rest = take(body, 2)
    gone, rest = take(rest, int.from_bytes(size, "big"))
    size, rest = take(rest, 2)
    data, prefixes = take(rest, int.from_bytes(size, "big"))
    attributes, announced, withdrawn = {}, decode_prefixes(prefixes, IPV4), decode_prefixes(gone, IPV4)
    while data:
        (flags, kind), data = take(data, 2)
        size, data = take(data, 2 if flags & 0x10 else 1)
        value, data = take(data, int.from_bytes(size, "big"))
        if kind in attributes:
            raise Malformed(f"attribute {kind} twice")
        attributes[kind] = value
        if kind == MP_REACH:
            afi, _, n = struct.unpack("!HBB", value[:4])
            attributes[NEXT_HOP], value = take(value[4:], n)
            announced += decode_prefixes(value[1:], afi)
        elif kind == MP_UNREACH:
            withdrawn += decode_prefixes(value[3:], struct.unpack("!H", value[:2])[0])
        elif kind == AS_PATH:
            attributes[kind] = decode_path(value, as4)
        elif kind in (MED, LOCAL_PREF):
            attributes[kind] = struct.unpack("!I", value)[0]
        elif kind == COMMUNITIES:
            attributes[kind] = [f"{a}:{b}" for a, b in struct.iter_unpack("!HH", value)]
        elif kind == LARGE_COMMUNITIES:
            attributes[kind] = [":".join(map(str, c)) for c in struct.iter_unpack("!III", value)]
    if NEXT_HOP in attributes:
        hop = attributes[NEXT_HOP]
        attributes[NEXT_HOP] = [str(ipaddress.ip_address(hop[i:i + 16])) for i in range(0, len(hop), 16)]
    return attributes, announced, withdrawn


# -- the rows --

Row = collections.namedtuple("Row", "name body verdict subcode data")
SESSIONS = ("ebgp", "ibgp", "two")


def rows(kind, session="ebgp"):
    """Those that have a part in this session.  verdict of an OPEN: taken or refused."""
    words = {}

    def unhex(cell):
        out = b""
        for word in cell.split():
            text = words.get((word, session), words.get((word, None)))
            out += bytes.fromhex(word) if text is None else unhex(text)
        return out

    for line in (ROOT / "tests/golden/bgp-malformed.txt").read_text().splitlines():
        what, _, rest = line.partition(" ")
        if what == "let":
            name, _, text = rest.partition("=")
            name, *of = name.split()
            words[name, of[0] if of else None] = text
        elif what == kind == "update":
            name, *cells, verdicts = (c.strip() for c in rest.split("|")[:5])
            of = {v.split()[0] if v.split()[0] in SESSIONS else None: v.split() for v in verdicts.split(",")}
            words_of = of.get(session, of.get(None))
            if words_of is None:
                continue
            verdict, *subcode = words_of[words_of[0] in SESSIONS:]
            yield Row(name, update_body(*map(unhex, cells)), verdict, int(subcode[0]) if subcode else None, b"")
        elif what == kind == "open":
            name, body, verdict = (c.strip() for c in rest.split("|")[:3])
            subcode, _, data = verdict.partition(" ")
            taken = verdict == "taken"
            yield Row(name, unhex(body), "taken" if taken else "refused", None if taken else int(subcode), bytes.fromhex(data))


# -- connections --

class Session:
    """One connection with lbd."""

    def __init__(self, sock, remote):
        self.sock, self.remote = sock, remote
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(10)
        self.buf = b""
        self.theirs = None  # the OPEN
        self.as4 = True
        self.routes, self.end_of_rib, self.heard = {}, 0, []  # heard: (monotonic time, type)
        self.notification, self.over, self.error = None, threading.Event(), None
        self.was_reset = False
        self.thread = None

    def send(self, kind, body=b"", piece=None):
        self.send_raw(message(kind, body), piece)

    def send_raw(self, data, piece=None):
        """In segments of so many bytes."""
        for at in range(0, len(data), piece or len(data)):
            self.sock.sendall(data[at:at + (piece or len(data))])

    def read(self):
        """The next message, (type, body); None: lbd ended it."""
        while True:
            if len(self.buf) >= HEADER.size:
                marker, length, kind = HEADER.unpack(self.buf[:HEADER.size])
                if marker != MARKER or not HEADER.size <= length <= MAX_EXTENDED:
                    raise Malformed(self.buf[:HEADER.size].hex())
                if len(self.buf) >= length:
                    body, self.buf = self.buf[HEADER.size:length], self.buf[length:]
                    return kind, body
            try:
                part = self.sock.recv(65536)
            except ConnectionError:
                self.was_reset = True
                return None
            if not part:
                return None
            self.buf += part

    def expect(self, kind):
        got = self.read()
        assert got is not None and got[0] == kind, got
        return got[1]

    def handshake(self, *args, **kw):
        """To Established; what comes after is read by a thread."""
        self.handshake_only(*args, **kw)
        return self.listen()

    def handshake_only(self, asn=65002, hold=90, ident="10.0.0.1", caps=None, piece=None):
        caps = capabilities(asn) if caps is None else caps
        self.theirs = decode_open(self.expect(OPEN))
        self.send(OPEN, open_body(asn, hold, ident, caps), piece)
        self.as4 = bytes([AS4, 4]) in caps
        self.expect(KEEPALIVE)
        self.send(KEEPALIVE, b"", piece)

    def keep_alive(self, seconds):
        """A KEEPALIVE every so many seconds, until the session is over."""
        def run():
            with contextlib.suppress(OSError):
                while not self.over.wait(seconds):
                    self.send(KEEPALIVE)
        threading.Thread(target=run, daemon=True).start()
        return self

    def listen(self):
        self.sock.settimeout(None)  # before others use it: in the midst of a send it is an error
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        return self

    def _listen(self):
        try:
            while (got := self.read()) is not None:
                self.heard.append((time.monotonic(), got[0]))
                self._take(*got)
        except (OSError, Malformed) as e:
            self.error = e
        finally:
            self.over.set()

    def _take(self, kind, body):
        if kind == NOTIFICATION:
            self.notification = body[0], body[1], body[2:]
        if kind != UPDATE:
            return
        attributes, announced, withdrawn = decode_update(body, self.as4)
        for p in withdrawn:
            self.routes.pop(p, None)
        self.routes.update((p, attributes) for p in announced)
        self.end_of_rib += not announced and not withdrawn

    def wait_over(self, timeout=10):
        assert self.over.wait(timeout), "lbd did not end the session"
        if self.error is not None and not isinstance(self.error, OSError):
            raise self.error

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        if self.thread is not None:
            self.thread.join(10)


def connect(host, remote, port=179, ttl=None):
    """To lbd, from a host of the laboratory."""
    def run():
        s = socket.socket()
        s.settimeout(5)
        if ttl is not None:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        s.connect((remote, port))
        return s

    with Inside(host.ns) as inside:
        return Session(inside.run(run), remote)


def set_password(sock, remote, password):
    """RFC 2385, of what comes from that address and goes there."""
    v4 = ":" not in remote
    address = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(remote)) if v4 else \
        struct.pack("=HHI16s", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, remote))
    key = password.encode()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG,
                    struct.pack(f"=128sBBHi{MD5_KEY_MAX}s", address, 0, 0, len(key), 0, key))


class Listener:
    """Waits for lbd on a host of the laboratory.  ttl: of what is sent; window: bytes that the kernel receives unread."""

    def __init__(self, host, port=179, address=None, remote=None, password=None, ttl=None, window=None):
        self.inside = Inside(host.ns)
        self.sock = self.inside.run(self._make, address or host.addr, port, remote, password, ttl, window)
        host.lab.stack.callback(self.close)

    @staticmethod
    def _make(address, port, remote, password, ttl, window):
        v4 = ":" not in address
        s = socket.socket(socket.AF_INET if v4 else socket.AF_INET6, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if window is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        if ttl is not None:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        if password is not None:
            set_password(s, remote, password)
        s.bind((address, port))
        s.listen(16)
        return s

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def accept(self, timeout=20):
        self.sock.settimeout(timeout)
        sock, remote = self.sock.accept()
        return Session(sock, remote[0])

    def wait_refused(self, seconds):
        """Nobody gets through."""
        self.sock.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            self.sock.accept()
            raise AssertionError("somebody connected")

    def close(self):
        self.sock.close()
        self.inside.close()


# -- peers that misbehave, as processes of their own --

def flood(sock, asn):
    """Small messages as fast as it can: questions, empty UPDATEs, KEEPALIVEs; reads nothing."""
    s = Session(sock, None)
    s.handshake_only(asn)
    many = (message(ROUTE_REFRESH, struct.pack("!HBB", IPV4, 0, 1)) + message(KEEPALIVE) + message(UPDATE, bytes(4))) * 500
    while True:
        sock.settimeout(None)
        sock.sendall(many)


def slow(sock, asn):
    """Asks for everything again and again, and never reads."""
    s = Session(sock, None)
    s.handshake_only(asn)
    with contextlib.suppress(OSError):
        while True:
            s.send(ROUTE_REFRESH, struct.pack("!HBB", IPV4, 0, 1))
            time.sleep(0.001)


def reopen(sock, asn):
    """An OPEN, and away."""
    Session(sock, None).send(OPEN, open_body(asn, caps=capabilities(asn)))


def prefixes(sock, asn):
    """Announces a new prefix in each of very many UPDATEs."""
    s = Session(sock, None)
    s.handshake_only(asn)
    sock.settimeout(None)
    for i in range(1 << 24):
        s.send(UPDATE, good_update(ipaddress.ip_network(0x64000000 + i), asn=asn))


def wrong_as(sock, asn):
    s = Session(sock, None)
    s.send(OPEN, open_body(asn + 1, caps=capabilities(asn + 1)))
    s.read()


MISBEHAVIOURS = {f.__name__: f for f in (flood, slow, reopen, prefixes, wrong_as)}


def knock(remote, port, asn):
    """Connects without end, with an OPEN and away."""
    hello = message(OPEN, open_body(int(asn), caps=capabilities(int(asn))))
    while True:
        with contextlib.suppress(OSError), socket.create_connection((remote, int(port)), 1) as s:
            s.sendall(hello)


def misbehave(mode, address, port, asn):
    if mode == "knock":
        knock(address, port, asn)
    listener = Listener._make(address, int(port), None, None, None, None)
    while True:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError, AssertionError):
            MISBEHAVIOURS[mode](sock, int(asn))


def start_misbehaving(host, mode, port, asn, remote=None):
    """In a process of its own that gives way to others: on a real network its processor is its own."""
    p = host.popen("nice", "-n", "19", sys.executable, __file__, mode, remote or host.addr, port, asn,
                   log=host.lab.dir / "misbehaving")

    def end():
        p.kill()
        p.wait()
    host.lab.stack.callback(end)
    return p


# -- lbd's view --

def peer_of(node, name):
    """What lbd dump says of a peer."""
    return next((p for p in (node.dump() or {}).get("peers", []) if p["name"] == name), {})


def wait_state(node, name, state, timeout=20):
    return wait_for(f"{node.name}: peer {name} {state}", lambda: (p := peer_of(node, name)).get("state") == state and p, timeout)


if __name__ == "__main__":
    misbehave(*sys.argv[1:])
