# SPDX-License-Identifier: Apache-2.0
"""The bgp group of bench.py: what a counting receiver (bgppeer) is told, and when, beside BIRD, FRR, GoBGP, OpenBGPD and ExaBGP,
which run at the same time on nodes of their own, on one bridge, and are measured by turns.

Time runs from the receiver's KEEPALIVE, with which the session is Established for the other side, to the last prefix.
"""

import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import statistics
import time
from pathlib import Path

from speakers import FRR_DIR, Speaker, Wire, wait_for

ASN, RECEIVER_ASN, FEEDER_ASN = 65001, 65000, 65009
FIRST = "10.128.0.0"
PORT = ":179"
IDLE_S = 1.0  # so long without work: it has loaded what it has to
MILLION, DELAY_S = 1000000, 2
LOAD_S = 400  # OpenBGPD needs minutes for 100,000 networks when others are at work


def key_of(who, key):
    return key if who == "lbd" else f"rival.{who}.{key}"


def prefixes(n):
    first = int(ipaddress.ip_address(FIRST))
    return [f"{ipaddress.ip_address(first + i)}/32" for i in range(n)]


# -- the receiver --

class Peer:
    """A bgppeer on a node."""

    def __init__(self, tools, node, *argv):
        self.log = node.lab.dir / f"bgppeer-{time.monotonic_ns()}"
        self.process = node.popen(tools / "bgppeer", *argv, log=self.log)

    def events(self):
        """Of what is written in whole lines: {name: the first of it}."""
        found = {}
        for line in self.log.read_text().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("}\n"):
                e = json.loads(line)
                found.setdefault(e["event"], e)
        return found

    def wait(self, event, timeout=60):
        return wait_for(f"bgppeer: {event}", lambda: self.events().get(event), timeout, 0.05)["ns"]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


# -- who announces --

class Announcer(Speaker):
    """n host prefixes to each of the receivers, which connect to it; from the enemy it wants nothing."""

    package = ""

    def __init__(self, node, tools, n, receivers, enemy=None):
        self.tools, self.n, self.receivers, self.enemy = tools, n, receivers, enemy
        super().__init__(node, [])

    def peers(self):
        return [*self.receivers, *([self.enemy] if self.enemy else [])]

    def pids(self):
        """The process and what it started."""
        found = [p.pid for p in self.processes[:1]]
        for pid in found:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def cpu_s(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def kb(self, field):
        return sum(int(re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1)) for pid in self.pids())

    def wait_idle(self, timeout=LOAD_S):
        def idle():
            before = self.cpu_s()
            time.sleep(IDLE_S)
            return self.cpu_s() - before < 0.01 * IDLE_S
        wait_for(f"{self.name} to come to rest", idle, timeout)

    def wait_loaded(self):
        wait_for(f"{self.name} to listen", lambda: PORT in self.node.run("ss", "-Hltn").stdout, LOAD_S, 0.2)
        self.wait_idle()

    def meet(self, receiver, address):
        """A session with a receiver at that address: the bgppeer."""
        return Peer(self.tools, receiver, "-a", RECEIVER_ASN, "-n", self.n, "-l", address, self.node.addr)

    def part(self):
        """After a session."""

    def attack(self, enemy):
        return Peer(self.tools, enemy, "-a", RECEIVER_ASN, "-s", MILLION, "-f", "11.0.0.0", "-d", DELAY_S * 1000, self.node.addr)

    def write(self, name, lines, mode=0o644):
        path = self.dir / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(mode)
        return path


class Lbd(Announcer):
    """The shipping bgp.c, bgp_rib.c and bgpio.c (bgpspeak): a process for each session, which connects."""

    name = "lbd"

    def start(self):
        pass

    def speak(self, remote, n):
        self.run(self.tools / "bgpspeak", "-n", n, "-f", FIRST, "-a", ASN, "-A", RECEIVER_ASN, self.node.addr, remote, log=self.log)

    def wait_loaded(self):
        pass

    def meet(self, receiver, address):
        p = Peer(self.tools, receiver, "-a", RECEIVER_ASN, "-n", self.n, "-l", address)
        time.sleep(0.2)
        self.speak(address, self.n)
        return p

    def part(self):
        self.stop()

    def attack(self, enemy):
        p = Peer(self.tools, enemy, "-a", RECEIVER_ASN, "-s", MILLION, "-f", "11.0.0.0", "-d", DELAY_S * 1000)
        time.sleep(0.2)
        self.speak(enemy.addr, self.n)
        return p


class BirdBgp(Announcer):
    name, package = "bird", "bird2"

    def start(self):
        lines = [f'log "{self.log}" all;', f"router id {self.node.addr};", "protocol device {}", "protocol static vips { ipv4;",
                 *(f"  route {p} blackhole;" for p in prefixes(self.n)), "}"]
        for i, peer in enumerate(self.peers()):
            lines.append(f"protocol bgp peer{i} {{ local {self.node.addr} as {ASN}; neighbor {peer} as {RECEIVER_ASN}; passive;"
                         f" ipv4 {{ import none; export {'none' if peer == self.enemy else 'all'}; }}; }}")
        self.run("bird", "-f", "-c", self.write("bird.conf", lines), "-s", self.dir / "ctl", "-P", self.dir / "pid")


class FrrBgp(Announcer):
    name, package = "frr", "frr"

    def start(self):
        shutil.chown(self.dir, "frr", "frr")
        self.dir.parent.chmod(0o755)
        lines = [f"router bgp {ASN}", f" bgp router-id {self.node.addr}", " no bgp ebgp-requires-policy", " no bgp network import-check"]
        for peer in self.peers():
            lines += [f" neighbor {peer} remote-as {RECEIVER_ASN}", f" neighbor {peer} passive"]
        lines.append(" address-family ipv4 unicast")
        if self.enemy:
            lines += [f"  neighbor {self.enemy} route-map none in", f"  neighbor {self.enemy} route-map none out"]
        lines += [*(f"  network {p}" for p in prefixes(self.n)), " exit-address-family", "exit", "route-map none deny 10"]
        self.run(FRR_DIR / "bgpd", "-n", "-Z", "-f", self.write("bgpd.conf", lines), "-i", self.dir / "pid", "--vty_socket", self.dir,
                 "-P", "0", "-u", "frr", "-g", "frr")


class GoBgp(Announcer):
    """Its own command line loses routes when many are injected: they come from another peer."""

    name, package = "gobgp", "gobgpd"

    def neighbour(self, address, asn):
        return ["[[neighbors]]", f'[neighbors.config]\nneighbor-address = "{address}"\npeer-as = {asn}',
                "[neighbors.transport.config]\npassive-mode = true", "[[neighbors.afi-safis]]",
                '[neighbors.afi-safis.config]\nafi-safi-name = "ipv4-unicast"']

    def start(self):
        feeder = self.node.addr.replace("10.89.0.", "10.89.0.1")
        self.node.run("ip", "addr", "add", f"{feeder}/24", "dev", "eth0")
        lines = [f'[global.config]\nas = {ASN}\nrouter-id = "{self.node.addr}"']
        for peer in self.peers():
            lines += self.neighbour(peer, RECEIVER_ASN)
        lines += self.neighbour(feeder, FEEDER_ASN)
        if self.enemy:
            lines += ["[global.apply-policy.config]", 'default-import-policy = "accept-route"', 'import-policy-list = ["enemy"]',
                      '[[defined-sets.neighbor-sets]]\nneighbor-set-name = "enemy"', f'neighbor-info-list = ["{self.enemy}/32"]',
                      '[[policy-definitions]]\nname = "enemy"\n[[policy-definitions.statements]]\nname = "enemy"',
                      '[policy-definitions.statements.conditions.match-neighbor-set]\nneighbor-set = "enemy"\nmatch-set-options = "any"',
                      '[policy-definitions.statements.actions]\nroute-disposition = "reject-route"']
        self.run("gobgpd", "-f", self.write("gobgpd.toml", lines), "--pprof-disable", "--api-hosts", "127.0.0.1:50051", "-l", "warn")
        self.feeder = Peer(self.tools, self.node, "-a", FEEDER_ASN, "-i", feeder, "-l", feeder, "-s", self.n, "-f", FIRST, self.node.addr)
        self.node.lab.stack.callback(self.feeder.stop)

    def wait_loaded(self):
        self.feeder.wait("sent", LOAD_S)
        self.wait_idle()


class OpenBgpd(Announcer):
    name, package = "openbgpd", "openbgpd"

    def start(self):
        Path("/run/openbgpd").mkdir(exist_ok=True)
        lines = [f"AS {ASN}", f"router-id {self.node.addr}", "fib-update no", f"listen on {self.node.addr}", f'socket "{self.dir}/ctl"',
                 *(f"network {p}" for p in prefixes(self.n))]
        for peer in self.peers():
            lines.append(f"neighbor {peer} {{\n remote-as {RECEIVER_ASN}\n passive\n announce IPv4 unicast\n}}")
        lines.append("deny from any")
        lines += [f"allow to {peer}" for peer in self.receivers]
        self.run("bgpd", "-d", "-f", self.write("bgpd.conf", lines, 0o600))


class ExaBgp(Announcer):
    """Listens only by hand: it connects, each time anew, to the first receiver."""

    name, package = "exabgp", "exabgp"

    def start(self):
        peer = self.receivers[0]
        routes = (f"    route {p} next-hop self;" for p in prefixes(self.n))
        lines = [f"neighbor {peer} {{", f"  router-id {self.node.addr};", f"  local-address {self.node.addr};", f"  local-as {ASN};",
                 f"  peer-as {RECEIVER_ASN};", "  family { ipv4 unicast; }", "  static {", *routes, "  }", "}"]
        options = {"exabgp.daemon.user": "root", "exabgp.api.cli": "false", "exabgp.log.level": "CRIT", "exabgp.daemon.drop": "false"}
        self.run("env", *(f"{k}={v}" for k, v in options.items()), "exabgp", self.write("exabgp.conf", lines))

    def wait_loaded(self):
        pass

    def meet(self, receiver, address):
        return Peer(self.tools, receiver, "-a", RECEIVER_ASN, "-n", self.n, "-l", self.receivers[0])


RIVALS = (BirdBgp, FrrBgp, GoBgp, OpenBgpd, ExaBgp)
COMMANDS = {"bird2": "bird", "frr": str(FRR_DIR / "bgpd"), "gobgpd": "gobgpd", "openbgpd": "bgpd", "exabgp": "exabgp"}


def present(kinds):
    """Those that are installed."""
    return [k for k in kinds if not k.package or shutil.which(COMMANDS[k.package])]


def more_addresses(node, first, n):
    """n more on its interface, of the same network."""
    found = [f"10.89.0.{first + i}" for i in range(n)]
    for a in found:
        node.run("ip", "addr", "add", f"{a}/24", "dev", "eth0")
    return found


# -- figures --

def one_dump(announcer, receiver, address, timeout=LOAD_S):
    """(ms from the receiver's KEEPALIVE to the last prefix, peak memory in kB then)"""
    with announcer.meet(receiver, address) as peer:
        try:
            last = peer.wait("all", timeout)
            return (last - peer.wait("opened")) / 1e6, announcer.kb("VmHWM")
        finally:
            announcer.part()


def bare_dump(tools, sender, receiver, n):
    with Peer(tools, receiver, "-a", RECEIVER_ASN, "-n", n) as peer:
        time.sleep(0.2)
        with Peer(tools, sender, "-a", ASN, "-i", sender.addr, "-s", n, "-f", FIRST, receiver.addr):
            return (peer.wait("all") - peer.wait("opened")) / 1e6


def bench_dump(report, tools, rounds, n, short):
    """Each receiver's address has one session with each announcer: how soon it would have another one is not measured."""
    kinds = [Lbd, *present(RIVALS)]
    times, kb, bare = {k.name: [] for k in kinds}, {}, []
    with Wire(nodes=len(kinds) + 1) as wire:
        receiver = wire.nodes[-1]
        addresses = more_addresses(receiver, 201, rounds)
        all_of = [k(wire.nodes[i], tools, n, addresses) for i, k in enumerate(kinds)]
        for a in all_of:
            a.wait_loaded()
        for address in addresses:
            for a in all_of:
                ms, peak = one_dump(a, receiver, address)
                times[a.name].append(ms)
                kb.setdefault(a.name, peak)
            bare.append(bare_dump(tools, wire.nodes[0], receiver, n))
    times["bare"] = bare
    for who, v in times.items():
        report(key_of(who, f"bgp.dump_{short}_ms"), statistics.median(v), f"{len(v)} sessions, least {min(v):.2f}, worst {max(v):.2f}")
        report(key_of(who, f"bgp.dump_{short}_worst_ms"), max(v))
    for who, peak in kb.items():
        report(key_of(who, f"bgp.rss_alone_{short}_mb" if who == "lbd" else f"bgp.rss_{short}_mb"), peak / 1024)


def bench_hostile(report, tools, rounds):
    """A session, and then a million prefixes that nobody wants: what comes on top, until there is no work left."""
    kinds = [Lbd, *(k for k in present(RIVALS) if k is not ExaBgp)]
    cpu, kb = {k.name: [] for k in kinds}, {k.name: [] for k in kinds}
    with Wire(nodes=len(kinds) + 1) as wire:
        enemy = wire.nodes[-1]
        for _ in range(rounds):
            for i, kind in enumerate(kinds):
                a = kind(wire.nodes[i], tools, 10, [], enemy.addr)
                a.wait_loaded()
                with a.attack(enemy) as peer:
                    peer.wait("established")
                    time.sleep(DELAY_S / 2)
                    before, peak = a.cpu_s(), a.kb("VmRSS")
                    peer.wait("sent", 120)
                    a.wait_idle()
                    cpu[a.name].append(a.cpu_s() - before)
                    kb[a.name].append(a.kb("VmHWM") - peak)
                a.stop()
    for who in cpu:
        report(key_of(who, "bgp.hostile_1m_rss_kb"), statistics.median(kb[who]), f"worst {max(kb[who])}")
        report(key_of(who, "bgp.hostile_1m_cpu_s"), statistics.median(cpu[who]), f"worst {max(cpu[who]):.4f}")


def bench_withdraw(report, tools, rounds):
    """All of 10,000 taken back at once, by the BGP alone."""
    took = []
    with Wire(nodes=2) as wire:
        a = Lbd(wire.nodes[0], tools, 10000, [])
        for _ in range(rounds):
            with a.meet(wire.nodes[1], wire.nodes[1].addr) as peer:
                peer.wait("all")
                time.sleep(0.2)
                os.kill(a.pid, signal.SIGUSR1)
                last = peer.wait("none")
                began = [json.loads(line)["ns"] for line in a.text().splitlines() if '"withdraw"' in line][-1]
                took.append((last - began) / 1e6)
                a.part()
    report("bgp.withdraw_10k_alone_ms", statistics.median(took), f"worst {max(took):.2f}")


def bench_bgp(report, skipped, tools, long):
    for kind in RIVALS:
        if kind not in present(RIVALS):
            skipped[f"rival.{kind.name}.bgp.*"] = f"{kind.package} is not installed"
    skipped["rival.exabgp.bgp.hostile_1m_*"] = "it has no policy of its own: what arrives goes to the program behind it"
    skipped["rival.*.bgp.change_p99_ms, .withdraw_10k_ms"] = "the start of their command line tools would be measured"
    rounds = 20 if long else 5
    bench_dump(report, tools, rounds, 10000, "10k")
    bench_dump(report, tools, rounds if not long else 10, 100000, "100k")
    bench_hostile(report, tools, 5 if long else 1)
    bench_withdraw(report, tools, rounds)
