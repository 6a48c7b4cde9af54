# SPDX-License-Identifier: Apache-2.0
"""BGP routers in the laboratory's namespaces, with one face: FRR, BIRD, GoBGP, ExaBGP and OpenBGPD.

    frr = Frr(lab.host("r", 60), 64501, [Neighbor(node.addr, 64500) for node in lab.nodes])
    frr.wait_established(node.addr); frr.routes()["10.99.0.1/32"][0].communities

What a Path says is what the router itself prints; where routers print one thing by different names (well-known communities,
link bandwidth), it is brought to one form.
"""

import contextlib
import dataclasses
import ipaddress
import json
import os
import re
import signal
import struct

from lab import wait_for
from programs import BirdProgram, FrrProgram, Program, parsed

WELL_KNOWN = {"gracefulShutdown": "65535:0", "graceful_shutdown": "65535:0", "noExport": "65535:65281", "no_export": "65535:65281",
              "noAdvertise": "65535:65282", "no_advertise": "65535:65282", "localAs": "65535:65283", "no_export_subconfed": "65535:65283",
              "GRACEFUL_SHUTDOWN": "65535:0", "NO_EXPORT": "65535:65281", "NO_ADVERTISE": "65535:65282", "NO_EXPORT_SUBCONFED": "65535:65283"}
DEFAULT_LOCAL_PREF = 100
LINK_BANDWIDTH = (0x4004, 0x0004)  # type and sub-type of the extended community


@dataclasses.dataclass(frozen=True)
class Neighbor:
    """A peer as the router is configured for it."""
    address: str  # or the interface, unnumbered
    asn: int
    password: str = ""
    multihop: int = 0  # the TTL
    security: int = 0  # RFC 5082: hops
    passive: bool = False
    bfd: bool = False
    local: str = ""  # the router's own address
    unnumbered: bool = False
    extended_next_hop: bool = False
    families: tuple = (4, 6)
    port: int = 179  # the router's; BIRD alone


@dataclasses.dataclass(frozen=True)
class Path:
    """One path to a prefix."""
    source: str  # the peer's address
    next_hop: str
    as_path: tuple
    communities: frozenset = frozenset()
    large: frozenset = frozenset()
    bandwidth: float = None  # bytes per second
    local_pref: int = DEFAULT_LOCAL_PREF
    med: int = 0


def float32(bits):
    return struct.unpack(">f", struct.pack(">I", bits))[0]


def standard(words):
    return frozenset(WELL_KNOWN.get(w, w) for w in words)


class Router:
    """Takes the routes of every neighbour, and announces what it is given (prefixes)."""

    # Of announces (what it is told to), gtsm, unnumbered, bfd, kernel (its routes are its host's), refresh, graceful (keeps
    # the routes of a peer that restarts), bandwidth (prints link bandwidth).
    can = frozenset()

    def __init__(self, host, asn, neighbors, announced=()):
        super().__init__(host)
        self.asn, self.neighbors = asn, list(neighbors)
        self.announced = list(announced)
        self.start()
        self.wait_ready()

    def start(self):
        raise NotImplementedError

    def ready(self):
        """Does it answer?"""
        raise NotImplementedError

    def wait_ready(self):
        wait_for(f"{self.name} answers", self.ready, 20)

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        self.start()
        self.wait_ready()

    def established(self, peer):
        raise NotImplementedError

    def wait_established(self, *peers, timeout=20):
        for peer in peers:
            wait_for(f"{self.name}: session with {peer}", lambda p=peer: self.established(p), timeout)

    def routes(self):
        """{prefix: [Path]} of what peers announced."""
        raise NotImplementedError

    def paths(self, prefix):
        return self.routes().get(str(ipaddress.ip_network(prefix)), [])

    def wait_paths(self, prefix, n=1, timeout=10):
        """The n paths to a prefix, once there are as many."""
        def there():
            p = self.paths(prefix)
            return (p or True) if len(p) == n else None
        got = wait_for(f"{self.name}: {n} paths to {prefix}", there, timeout, 0.1)
        return [] if got is True else got

    def clear(self, peer):
        """The session begins anew."""
        raise NotImplementedError

    def refresh(self, peer):
        """It asks for the routes again (RFC 2918)."""
        raise NotImplementedError

    def session(self, peer):
        """Something that is another when the session is another."""
        raise NotImplementedError

    def updates(self, peer):
        """The UPDATEs that it received."""
        raise NotImplementedError

    def kernel_next_hops(self, prefix):
        """In its host's kernel."""
        found = set()
        for family in ("-4", "-6"):
            for route in json.loads(self.host.run("ip", family, "-j", "route", "show", prefix, check=False).stdout or "[]"):
                hops = route.get("nexthops", [route])
                found |= {hop["gateway"] if "gateway" in hop else hop["via"]["host"] for hop in hops if {"gateway", "via"} & set(hop)}
        return found


class Frr(Router, FrrProgram):
    can = frozenset({"gtsm", "unnumbered", "bfd", "kernel", "refresh", "announces", "graceful", "bandwidth"})

    def start(self):
        lines = [f"router bgp {self.asn}", f" bgp router-id {self.host.addr}", " bgp log-neighbor-changes",
                 " no bgp ebgp-requires-policy", " no bgp default ipv4-unicast", " no bgp network import-check",
                 " bgp bestpath as-path multipath-relax"]
        for n in self.neighbors:
            lines += [f" neighbor {n.address} {what}" for what in self._neighbor(n)]
        for family in (4, 6):
            lines += [f" address-family ipv{family} unicast", "  maximum-paths 16", "  maximum-paths ibgp 16"]
            lines += [f"  network {p}" for p in self.announced if (":" in p) == (family == 6)]
            lines += [f"  neighbor {n.address} activate" for n in self.neighbors if family in n.families]
            lines.append(" exit-address-family")
        daemons = {"bgpd": lines}
        if any(n.bfd for n in self.neighbors):
            daemons["bfdd"] = ["bfd", " profile fast", "  receive-interval 100", "  transmit-interval 100"]
        self.start_frr(**daemons)

    def _neighbor(self, n):
        yield f"interface remote-as {n.asn}" if n.unnumbered else f"remote-as {n.asn}"
        yield "timers connect 1"
        if n.password:
            yield f"password {n.password}"
        if n.multihop:
            yield f"ebgp-multihop {n.multihop}"
        if n.security:
            yield f"ttl-security hops {n.security}"
        if n.passive:
            yield "passive"
        if n.local:
            yield f"update-source {n.local}"
        if n.bfd:
            yield from ("bfd", "bfd profile fast")
        if n.extended_next_hop:
            yield "capability extended-nexthop"

    def ready(self):
        return self.shown("show bgp neighbors json") is not None

    def _peer(self, peer):
        return (self.shown("show bgp neighbors json") or {}).get(peer, {})

    def established(self, peer):
        return self._peer(peer).get("bgpState") == "Established"

    def session(self, peer):
        return self._peer(peer).get("connectionsEstablished")

    def updates(self, peer):
        return self._peer(peer)["messageStats"]["updatesRecv"]

    def routes(self):
        found = {}
        for family in ("ipv4", "ipv6"):
            table = (self.shown(f"show bgp {family} unicast json detail") or {}).get("routes", {})
            for prefix, entries in table.items():
                paths = [self._path(e) for e in entries if "aspath" in e and not e.get("local")]
                if paths:
                    found[prefix] = paths
        return found

    def _path(self, e):
        link = re.search(r"LB:\d+:(\d+)", e.get("extendedCommunity", {}).get("string", ""))
        return Path(source=e["peer"]["peerId"], next_hop=e["nexthops"][0]["ip"],
                    as_path=tuple(a for s in e["aspath"]["segments"] for a in s["list"]),
                    communities=standard(e.get("community", {}).get("list", [])),
                    large=frozenset(e.get("largeCommunity", {}).get("list", [])),
                    bandwidth=float(link.group(1)) if link else None,
                    local_pref=e.get("locPrf", DEFAULT_LOCAL_PREF), med=e.get("metric", 0))

    def clear(self, peer):
        self.command(f"clear bgp {peer}")

    def refresh(self, peer):
        for family in ("ipv4", "ipv6"):
            self.command(f"clear bgp {family} unicast {peer} soft in")


class Bird(Router, BirdProgram):
    can = frozenset({"gtsm", "bfd", "kernel", "refresh", "announces", "graceful", "bandwidth"})

    def start(self):
        lines = [f"router id {self.host.addr};", "debug protocols { states, events };", "protocol device {}"]
        for family in (4, 6):
            lines += [f"protocol kernel {{ ipv{family} {{ import none; export where source = RTS_BGP; }}; merge paths on; }}",
                      f"protocol static static{family} {{ ipv{family};",
                      *(f"route {p} blackhole;" for p in self.announced if (":" in p) == (family == 6)), "}"]
        if any(n.bfd for n in self.neighbors):
            timers = "min rx interval 100 ms; min tx interval 100 ms;"
            lines.append(f'protocol bfd {{ interface "*" {{ {timers} }}; multihop {{ {timers} }}; }}')
        for i, n in enumerate(self.neighbors):
            lines.append(f"protocol bgp peer{i} {{ {' '.join(self._neighbor(n))} }}")
        self.start_bird(lines)

    def _neighbor(self, n):
        yield f"local {n.local} port {n.port} as {self.asn}; neighbor {n.address} as {n.asn};"
        yield "connect delay time 1; connect retry time 1; error wait time 1, 2; enable extended messages on;"
        if n.password:
            yield f'password "{n.password}";'
        if n.multihop or n.security > 1:
            yield f"multihop {n.multihop or n.security};"
        if n.security:
            yield "ttl security on;"
        if n.passive:
            yield "passive on;"
        if n.bfd:
            yield "bfd on;"
        for family in n.families:
            more = "extended next hop on;" if n.extended_next_hop else ""
            yield f"ipv{family} {{ import all; export where source ~ [RTS_STATIC, RTS_BGP]; {more} }};"

    def _protocol(self, peer):
        return next(f"peer{i}" for i, n in enumerate(self.neighbors) if n.address == peer)

    def ready(self):
        return "Daemon is up" in self.command("show", "status")

    def _shown(self, peer):
        return self.command("show", "protocols", "all", self._protocol(peer))

    def established(self, peer):
        return re.search(r"BGP state: +Established", self._shown(peer)) is not None

    def session(self, peer):
        """How many there were: since when it stands BIRD prints as a millisecond more or less from time to time."""
        return self.text().count(f" {self._protocol(peer)}: BGP session established\n")

    def updates(self, peer):
        return sum(int(n) for n in re.findall(r"Import updates: +(\d+)", self._shown(peer)))

    def routes(self):
        found, prefix, block = {}, None, None
        for line in self.command("show", "route", "all", "where", "source = RTS_BGP").splitlines():
            begin = re.match(r"(\S*) +\w+ \[peer(\d+) ", line)
            if begin:
                prefix = begin.group(1) or prefix
                block = {"source": self.neighbors[int(begin.group(2))].address}
                found.setdefault(prefix, []).append(block)
            elif line.startswith("\tBGP."):
                key, value = line.strip()[len("BGP."):].split(":", 1)
                block[key] = value.strip()
        return {prefix: [self._path(b) for b in blocks] for prefix, blocks in found.items()}

    def _path(self, b):
        def tuples(key):
            return [t.replace(", ", ":").replace(",", ":") for t in re.findall(r"\(([^)]*)\)", b.get(key, ""))]
        extended = (re.fullmatch(r"unknown (0x[0-9a-f]+):\d+:(\d+)", t) for t in tuples("ext_community"))
        link = next((int(m.group(2)) for m in extended if m and int(m.group(1), 16) in LINK_BANDWIDTH), None)
        return Path(source=b["source"], next_hop=b["next_hop"].split()[0], as_path=tuple(int(a) for a in b["as_path"].split()),
                    communities=standard(tuples("community")), large=frozenset(tuples("large_community")),
                    bandwidth=None if link is None else float32(link),
                    local_pref=int(b.get("local_pref", DEFAULT_LOCAL_PREF)), med=int(b.get("med", 0)))

    def clear(self, peer):
        self.command("restart", self._protocol(peer))

    def refresh(self, peer):
        self.command("reload", "in", self._protocol(peer))


class GoBgp(Router, Program):
    name = "gobgp"
    can = frozenset({"gtsm", "graceful", "bandwidth"})
    FAMILIES = {4: "ipv4-unicast", 6: "ipv6-unicast"}

    def start(self):
        config = {"global": {"config": {"as": self.asn, "router-id": self.host.addr}},
                  "neighbors": [self._neighbor(n) for n in self.neighbors]}
        path = self.dir / "gobgp.json"
        path.write_text(json.dumps(config))
        self.run("gobgpd", "-t", "json", "-f", path, "--api-hosts", "127.0.0.1:50051", "--pprof-disable", "-p", log=self.log)

    def _neighbor(self, n):
        conf = {"config": {"neighbor-address": n.address, "peer-as": n.asn, "auth-password": n.password},
                "timers": {"config": {"connect-retry": 1}},
                "transport": {"config": {"passive-mode": n.passive, "local-address": n.local}},
                "graceful-restart": {"config": {"enabled": True, "helper-only": True, "restart-time": 60}},
                "afi-safis": [{"config": {"afi-safi-name": self.FAMILIES[f]}, "mp-graceful-restart": {"config": {"enabled": True}}}
                              for f in n.families]}
        if n.multihop:
            conf["ebgp-multihop"] = {"config": {"enabled": True, "multihop-ttl": n.multihop}}
        if n.security:
            conf["ttl-security"] = {"config": {"enabled": True, "ttl-min": 256 - n.security}}
        return conf

    def command(self, *words):
        return self.host.run("gobgp", *words, check=False).stdout

    def shown(self, *words):
        return parsed(self.command("-j", *words))

    def ready(self):
        return self.shown("neighbor") is not None

    def _peer(self, peer):
        return self.shown("neighbor", peer) or {}

    def established(self, peer):
        return self._peer(peer).get("state", {}).get("session_state") == 6

    def session(self, peer):
        return self._peer(peer)["timers"]["state"].get("uptime")

    def updates(self, peer):
        return self._peer(peer)["state"]["messages"]["received"].get("update", 0)

    def routes(self):
        found = {}
        for family in ("ipv4", "ipv6"):
            for prefix, entries in (self.shown("global", "rib", "-a", family) or {}).items():
                found[prefix] = [self._path(e) for e in entries]
        return found

    def _path(self, e):
        by_type = {a["type"]: a for a in e["attrs"]}
        link = next((c for c in by_type.get(16, {}).get("value", []) if c.get("bandwidth")), {})
        return Path(source=e["neighbor-ip"], next_hop=by_type.get(3, by_type.get(14))["nexthop"],
                    as_path=tuple(a for s in by_type[2].get("as_paths") or [] for a in s["asns"]),
                    communities=frozenset(f"{c >> 16}:{c & 0xffff}" for c in by_type.get(8, {}).get("communities", [])),
                    large=frozenset(f"{c['ASN']}:{c['LocalData1']}:{c['LocalData2']}" for c in by_type.get(32, {}).get("value", [])),
                    bandwidth=link.get("bandwidth"), local_pref=by_type.get(5, {}).get("value", DEFAULT_LOCAL_PREF),
                    med=by_type.get(4, {}).get("metric", 0))

    def clear(self, peer):
        self.command("neighbor", peer, "reset")


class ExaBgp(Router, Program):
    """Installs nothing and decides nothing: what it was told is what it prints."""

    name = "exabgp"
    can = frozenset({"announces", "refresh"})

    def start(self):
        self.told, self.orders, api = self.dir / "told", self.dir / "orders", self.dir / "api.sh"
        self.told.write_text("")
        self.orders.write_text("".join(
            f"announce route {p} next-hop {self.host.addr6 if ':' in p else self.host.addr}\n" for p in self.announced))
        api.write_text(f"#!/bin/sh\ntail -n +1 -f {self.orders} &\nexec cat >>{self.told}\n")
        api.chmod(0o755)
        config = self.dir / "exabgp.conf"
        config.write_text("\n".join([f"process api {{ run {api}; encoder json; }}", *map(self._neighbor, self.neighbors)]) + "\n")
        settings = {"daemon.user": "root", "daemon.drop": "false", "tcp.bind": f"{self.host.addr} {self.host.addr6}",
                    "api.cli": "false", "api.ack": "false", "log.level": "INFO"}
        self.run("exabgp", config, log=self.log, env={**os.environ, **{f"exabgp.{k}": v for k, v in settings.items()}})

    def _neighbor(self, n):
        own = n.local or (self.host.addr6 if ":" in n.address else self.host.addr)
        lines = [f"neighbor {n.address} {{ router-id {self.host.addr}; local-address {own}; local-as {self.asn}; peer-as {n.asn};"]
        if n.password:
            lines.append(f'md5-password "{n.password}";')
        if n.multihop:
            lines.append(f"outgoing-ttl {n.multihop};")
        if n.passive:
            lines.append("passive;")
        families = " ".join(f"ipv{f} unicast;" for f in n.families)
        return "\n".join([*lines, "capability { graceful-restart 60; route-refresh; }", f"family {{ {families} }}",
                          "api { processes [ api ]; neighbor-changes; receive { parsed; update; notification; } }", "}"])

    def _events(self, kind=None, peer=None):
        """What it said, in order: (peer, type, event)."""
        for line in self.told.read_text().splitlines():
            with contextlib.suppress(ValueError):
                e = json.loads(line)
                who = e.get("neighbor", {}).get("address", {}).get("peer")
                if kind in (None, e["type"]) and peer in (None, who):
                    yield who, e["type"], e["neighbor"]

    def text(self):
        return super().text() + self.told.read_text()

    def ready(self):
        return "loaded new configuration" in super().text()

    def _states(self, peer):
        return [e["state"] for _, _, e in self._events("state", peer)]

    def established(self, peer):
        return self._states(peer)[-1:] == ["up"]

    def session(self, peer):
        return self._states(peer).count("up")

    def told_of(self, peer):
        """What each UPDATE said, End-of-RIBs included."""
        return [e["message"] for _, _, e in self._events("update", peer)]

    def updates(self, peer):
        return len(self.told_of(peer))

    def routes(self):
        now = {}
        for peer, kind, e in self._events():
            if kind == "state" and e["state"] != "up":
                now = {key: path for key, path in now.items() if key[0] != peer}
            update = e.get("message", {}).get("update", {}) if kind == "update" else {}
            for prefixes in update.get("withdraw", {}).values():
                for p in prefixes:
                    now.pop((peer, p["nlri"]), None)
            for by_next_hop in update.get("announce", {}).values():
                for next_hop, prefixes in reversed(by_next_hop.items()):  # the second is the link-local one (RFC 2545 3)
                    for p in prefixes:
                        now[peer, p["nlri"]] = self._path(peer, next_hop, update["attribute"])
        found = {}
        for (_, prefix), path in now.items():
            found.setdefault(prefix, []).append(path)
        return found

    def _path(self, peer, next_hop, a):
        extended = [c["value"] for c in a.get("extended-community", [])]
        link = next((v & 0xffffffff for v in extended if v >> 48 in LINK_BANDWIDTH), None)
        return Path(source=peer, next_hop=next_hop, as_path=tuple(a.get("as-path", [])),
                    communities=frozenset(f"{x}:{y}" for x, y in a.get("community", [])),
                    large=frozenset(":".join(map(str, c)) for c in a.get("large-community", [])),
                    bandwidth=None if link is None else float32(link), local_pref=a.get("local-preference", DEFAULT_LOCAL_PREF),
                    med=a.get("med", 0))

    def order(self, line):
        with self.orders.open("a") as f:
            f.write(line + "\n")

    def clear(self, peer):
        self.order(f"neighbor {peer} teardown 4")

    def refresh(self, peer):
        for n in self.neighbors:
            if n.address == peer:
                for f in n.families:
                    self.order(f"neighbor {peer} announce route-refresh ipv{f} unicast")


class OpenBgpd(Router, Program):
    """Debian's knows no kernel route on Linux."""

    name = "openbgpd"
    can = frozenset({"gtsm", "refresh", "announces", "graceful"})

    def start(self):
        self.control = self.dir / "ctl"
        lines = [f"AS {self.asn}", f"router-id {self.host.addr}", f'socket "{self.control}"', "fib-update no",
                 *(f"network {p}" for p in self.announced)]
        for n in self.neighbors:
            lines += [f"neighbor {n.address} {{", *self._neighbor(n), "}"]
        config = self.dir / "bgpd.conf"
        config.write_text("\n".join([*lines, "allow from any", "allow to any"]) + "\n")
        config.chmod(0o600)
        # It locks itself in a directory below /run that its unit file would have made; this /run is seen by it alone.
        self.run("sh", "-c", 'mount -t tmpfs none /run && mkdir /run/openbgpd && exec bgpd -d -v -f "$0"', config, log=self.log)

    def _neighbor(self, n):
        yield f"remote-as {n.asn}"
        for f in n.families:
            yield f"announce IPv{f} unicast"
        if set(n.families) == {6}:
            yield "announce IPv4 none"
        if n.password:
            yield f"tcp md5sig password {n.password}"
        if n.multihop:
            yield f"multihop {n.multihop}"
        if n.security:
            yield "ttl-security yes"
        if n.passive:
            yield "passive"
        if n.local:
            yield f"local-address {n.local}"

    def command(self, *words):
        return self.host.run("bgpctl", "-s", self.control, *words, check=False).stdout

    def shown(self, *words):
        return parsed(self.command("-j", *words))

    def ready(self):
        return self.shown("show", "neighbor") is not None

    def _peer(self, peer):
        shown = (self.shown("show", "neighbor", peer) or {}).get("neighbors") or [{}]
        return shown[0]

    def established(self, peer):
        return self._peer(peer).get("state") == "Established"

    def session(self, peer):
        return self.text().count(f"neighbor {peer}: state change OpenConfirm -> Established")

    def updates(self, peer):
        return self._peer(peer)["stats"]["message"]["received"]["updates"]

    def routes(self):
        found = {}
        for e in (self.shown("show", "rib", "detail") or {}).get("rib", []):
            if not e.get("announced"):
                found.setdefault(e["prefix"], []).append(self._path(e))
        return found

    def _path(self, e):
        link = next((re.search(r"\d+:(\d+)", c) for c in e.get("extended_communities", []) if "bandwidth" in c), None)
        return Path(source=e["neighbor"]["remote_addr"], next_hop=e["exit_nexthop"],
                    as_path=tuple(int(a) for a in e["aspath"].split()), communities=standard(e.get("communities", [])),
                    large=frozenset(e.get("large_communities", [])), bandwidth=float(link.group(1)) if link else None,
                    local_pref=e["localpref"], med=e["metric"])

    def clear(self, peer):
        self.command("neighbor", peer, "clear")

    def refresh(self, peer):
        self.command("neighbor", peer, "refresh")


ROUTERS = [Frr, Bird, GoBgp, ExaBgp, OpenBgpd]


def those_that(*features):
    """The routers that can all of this."""
    return [r for r in ROUTERS if r.can >= set(features)]
