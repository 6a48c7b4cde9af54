# SPDX-License-Identifier: Apache-2.0
"""The bgp group of bench.py: what a counting receiver (bgppeer) is told, and when, beside BIRD, FRR, GoBGP, OpenBGPD and ExaBGP,
which run at the same time on nodes of their own, on one bridge, and are measured by turns.

Time runs from the receiver's KEEPALIVE, with which the session is Established for the other side, to the last prefix.

RT=1, for a machine with other work: whatever takes part in what is timed, rivals and all, has real-time priority once it is loaded;
else the scheduler's time slices are measured.
"""

import contextlib
import dataclasses
import ipaddress
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import Callable

from bench_bfd import RR
from lab import Lab, wait_for
from programs import FRR_DIR, BirdProgram, Program
from speakers import Wire

ASN, RECEIVER_ASN, FEEDER_ASN = 65001, 65000, 65009
FIRST = "10.128.0.0"
PORT = ":179"
IDLE_S = 1.0  # so long without work: it has loaded what it has to
DELAY_S = 2
TABLE = ("-s", 1000000, "-f", "11.0.0.0", "-d", DELAY_S * 1000)
HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
POOL = "pools:\n- name: wide\n  addresses: [10.89.64.0/18]\n"
CHANGE_S = 0.01  # between two changes
REAL_TIME = os.environ.get("RT") == "1"
LOAD_S = 240  # ExaBGP reads its configuration for half a minute, alone on the machine


def key_of(who, key):
    """alone: lbd's BGP without the rest of it."""
    return {"lbd": key, "alone": key.replace("bgp.", "bgp.alone.")}.get(who, f"rival.{who}.{key}")


def hurry(*pids):
    """Of all their threads; not of those that stop meanwhile."""
    for pid in pids if REAL_TIME else ():
        subprocess.run(["chrt", "--all-tasks", "--rr", "--pid", "1", str(pid)], capture_output=True, check=False)


def prefixes(n):
    first = int(ipaddress.ip_address(FIRST))
    return [f"{ipaddress.ip_address(first + i)}/32" for i in range(n)]


def config(peers):
    """For lbd: that announces its addresses to those."""
    lines = [f"- {{name: p{i}, myASN: {ASN}, peerASN: {RECEIVER_ASN}, peerAddress: {p}, connectTime: 1s}}"
             for i, p in enumerate(peers)]
    return HEAD + POOL + "\n".join(["peers:", *lines, "bgpAdvertisements:", "- {name: all}", ""])


# -- the receiver --

class Peer:
    """A bgppeer on a node."""

    def __init__(self, tools, node, *argv):
        self.log = node.lab.dir / f"bgppeer-{time.monotonic_ns()}"
        self.process = node.popen(*(RR if REAL_TIME else ()), tools / "bgppeer", *argv, log=self.log)

    def events(self, event):
        """Of what is written in whole lines."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if f'"event":"{event}"' in line and line.endswith("}\n")]

    def wait(self, event, timeout=60):
        """When the first of them was."""
        return wait_for(f"bgppeer: {event}", lambda: self.events(event), timeout, 0.05)[0]["ns"]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


# -- who announces --

class Announcer(Program):
    """n host prefixes to each of the receivers, which connect to it; from the enemy it wants nothing."""

    package = ""

    def __init__(self, host, tools, n, receivers, enemy=None):
        super().__init__(host)
        self.tools, self.n, self.receivers, self.enemy = tools, n, receivers, enemy
        self.start()

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
        return sum(int(re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1))
                   for pid in self.pids())

    def wait_idle(self, timeout=LOAD_S):
        def idle():
            before = self.cpu_s()
            time.sleep(IDLE_S)
            return self.cpu_s() - before < 0.01 * IDLE_S
        wait_for(f"{self.name} to come to rest", idle, timeout)

    def wait_loaded(self):
        wait_for(f"{self.name} to listen", lambda: PORT in self.host.run("ss", "-Hltn").stdout, LOAD_S, 0.2)
        self.wait_idle()

    def hurry(self):
        hurry(*self.pids())

    def meet(self, receiver, address):
        """A session with a receiver at that address: the bgppeer."""
        return Peer(self.tools, receiver, "-a", RECEIVER_ASN, "-n", self.n, "-l", address, self.host.addr)

    def part(self):
        """After a session."""

    def attack(self, enemy):
        return Peer(self.tools, enemy, "-a", RECEIVER_ASN, *TABLE, self.host.addr)

    def write(self, name, lines, mode=0o644):
        path = self.dir / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(mode)
        return path


class Alone(Announcer):
    """The shipping bgp.c, bgp_rib.c and bgpio.c (bgpspeak): a process for each session, which connects."""

    name = "alone"

    def start(self):
        pass

    def speak(self, remote, n):
        self.run(*(RR if REAL_TIME else ()), self.tools / "bgpspeak", "-n", n, "-f", FIRST, "-a", ASN, "-A", RECEIVER_ASN,
                 self.host.addr, remote, log=self.log)

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
        p = Peer(self.tools, enemy, "-a", RECEIVER_ASN, *TABLE)
        time.sleep(0.2)
        self.speak(enemy.addr, self.n)
        return p


@dataclasses.dataclass
class Rig:
    """What bench.py has for lbd: the binary, and how Services are made and awaited."""

    binary: Path
    services: Callable
    wait_leader: Callable
    wait_written: Callable


class Daemon(Announcer):
    """All of lbd, with n Services. It connects, again and again, to its one receiver, or to the enemy."""

    name = "lbd"

    def __init__(self, host, rig, tools, n, receivers, enemy=None):
        self.rig = rig
        super().__init__(host, tools, n, receivers, enemy)

    def start(self):
        lab = self.host.lab
        self.rig.services(lab, self.n)
        self.host.start(config(self.peers()), binary_path=self.rig.binary, ready=False)
        self.processes = [self.host.process]
        self.rig.wait_leader(lab)
        self.rig.wait_written(lab, self.n)

    def wait_loaded(self):
        self.wait_idle()

    def hurry(self):
        hurry(*self.pids(), self.host.lab.kubesim.process.pid)

    def meet(self, receiver, address):
        return Peer(self.tools, receiver, "-a", RECEIVER_ASN, "-n", self.n, "-l", self.receivers[0])

    def attack(self, enemy):
        return Peer(self.tools, enemy, "-a", RECEIVER_ASN, *TABLE)


class BirdBgp(Announcer, BirdProgram):
    package = "bird2"

    def start(self):
        lines = [f"router id {self.host.addr};", "protocol device {}", "protocol static vips { ipv4;",
                 *(f"  route {p} blackhole;" for p in prefixes(self.n)), "}"]
        for i, peer in enumerate(self.peers()):
            lines.append(f"protocol bgp peer{i} {{ local {self.host.addr} as {ASN}; neighbor {peer} as {RECEIVER_ASN}; passive;"
                         f" ipv4 {{ import none; export {'none' if peer == self.enemy else 'all'}; }}; }}")
        self.start_bird(lines)


class FrrBgp(Announcer):
    name, package = "frr", "frr"

    def start(self):
        shutil.chown(self.dir, "frr", "frr")
        self.dir.parent.chmod(0o755)
        lines = [f"router bgp {ASN}", f" bgp router-id {self.host.addr}", " no bgp ebgp-requires-policy",
                 " no bgp network import-check"]
        for peer in self.peers():
            lines += [f" neighbor {peer} remote-as {RECEIVER_ASN}", f" neighbor {peer} passive"]
        lines.append(" address-family ipv4 unicast")
        if self.enemy:
            lines += [f"  neighbor {self.enemy} route-map none in", f"  neighbor {self.enemy} route-map none out"]
        lines += [*(f"  network {p}" for p in prefixes(self.n)), " exit-address-family", "exit", "route-map none deny 10"]
        self.run(FRR_DIR / "bgpd", "-n", "-Z", "-f", self.write("bgpd.conf", lines), "-i", self.dir / "pid",
                 "--vty_socket", self.dir, "-P", "0", "-u", "frr", "-g", "frr")


class Fed(Announcer):
    """Has its routes from another peer, an address of the same node."""

    def start(self):
        self.feeder_addr = self.host.addr.replace("10.89.0.", "10.89.0.1")
        self.host.run("ip", "addr", "add", f"{self.feeder_addr}/24", "dev", "eth0", check=False)
        self.feeder = None
        self.start_fed()
        self.feeder = Peer(self.tools, self.host, "-a", FEEDER_ASN, "-i", self.feeder_addr, "-l", self.feeder_addr, "-s", self.n,
                           "-f", FIRST, self.host.addr)
        self.host.lab.stack.callback(self.feeder.stop)

    def wait_loaded(self):
        self.feeder.wait("sent", LOAD_S)
        self.wait_idle()

    def stop(self, **kw):
        super().stop(**kw)
        if self.feeder:
            self.feeder.stop()


class GoBgp(Fed):
    """Its own command line loses routes when many are injected."""

    name, package = "gobgp", "gobgpd"

    def neighbour(self, address, asn):
        return ["[[neighbors]]", f'[neighbors.config]\nneighbor-address = "{address}"\npeer-as = {asn}',
                "[neighbors.transport.config]\npassive-mode = true", "[[neighbors.afi-safis]]",
                '[neighbors.afi-safis.config]\nafi-safi-name = "ipv4-unicast"']

    def start_fed(self):
        lines = [f'[global.config]\nas = {ASN}\nrouter-id = "{self.host.addr}"']
        for peer in self.peers():
            lines += self.neighbour(peer, RECEIVER_ASN)
        lines += self.neighbour(self.feeder_addr, FEEDER_ASN)
        if self.enemy:
            lines += ["[global.apply-policy.config]", 'default-import-policy = "accept-route"', 'import-policy-list = ["enemy"]',
                      '[[defined-sets.neighbor-sets]]\nneighbor-set-name = "enemy"', f'neighbor-info-list = ["{self.enemy}/32"]',
                      '[[policy-definitions]]\nname = "enemy"\n[[policy-definitions.statements]]\nname = "enemy"',
                      '[policy-definitions.statements.conditions.match-neighbor-set]\nneighbor-set = "enemy"',
                      '[policy-definitions.statements.actions]\nroute-disposition = "reject-route"']
        self.run("gobgpd", "-f", self.write("gobgpd.toml", lines), "--pprof-disable", "--api-hosts", "127.0.0.1:50051",
                 "-l", "warn")


class OpenBgpd(Fed):
    """The time that it takes to read its configuration grows with the square of the networks there."""

    name, package = "openbgpd", "openbgpd"

    def start_fed(self):
        lines = [f"AS {ASN}", f"router-id {self.host.addr}", "fib-update no", f"listen on {self.host.addr}",
                 f'socket "{self.dir}/ctl"']
        for peer, asn in [(self.feeder_addr, FEEDER_ASN), *((p, RECEIVER_ASN) for p in self.peers())]:
            lines.append(f"neighbor {peer} {{\n remote-as {asn}\n passive\n announce IPv4 unicast\n}}")
        lines += ["deny from any", f"allow from {self.feeder_addr}", *(f"allow to {peer}" for peer in self.receivers)]
        # It locks itself in a directory below /run that its unit file would have made; this /run is seen by it alone.
        self.run("sh", "-c", 'mount -t tmpfs none /run && mkdir /run/openbgpd && exec bgpd -d -f "$0"',
                 self.write("bgpd.conf", lines, 0o600))


class ExaBgp(Announcer):
    """Connects, again and again, to its one receiver."""

    name, package = "exabgp", "exabgp"

    def start(self):
        peer = self.receivers[0]
        routes = (f"    route {p} next-hop self;" for p in prefixes(self.n))
        lines = [f"neighbor {peer} {{", f"  router-id {self.host.addr};", f"  local-address {self.host.addr};",
                 f"  local-as {ASN};", f"  peer-as {RECEIVER_ASN};", "  family { ipv4 unicast; }",
                 "  static {", *routes, "  }", "}"]
        options = {"exabgp.daemon.user": "root", "exabgp.api.cli": "false", "exabgp.log.level": "CRIT",
                   "exabgp.daemon.drop": "false"}
        self.run("env", *(f"{k}={v}" for k, v in options.items()), "exabgp", self.write("exabgp.conf", lines))

    def wait_loaded(self):
        self.wait_idle()

    def meet(self, receiver, address):
        return Peer(self.tools, receiver, "-a", RECEIVER_ASN, "-n", self.n, "-l", self.receivers[0])


RIVALS = (BirdBgp, FrrBgp, GoBgp, OpenBgpd, ExaBgp)
COMMANDS = {"bird2": "bird", "frr": str(FRR_DIR / "bgpd"), "gobgpd": "gobgpd", "openbgpd": "bgpd", "exabgp": "exabgp"}


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


def measure_dump(wire, all_of, receiver, addresses):
    """{who: [ms]}, {who: kB}. Each receiver's address has one session with each announcer, as how soon it would have another one is
    not measured; those that connect have an address of their own."""
    times, kb, bare = {a.name: [] for a in all_of}, {}, []
    for a in all_of:
        a.wait_loaded()
        a.hurry()
    for address in addresses:
        for a in all_of:
            ms, peak = one_dump(a, receiver, address)
            times[a.name].append(ms)
            kb.setdefault(a.name, peak)
        bare.append(bare_dump(all_of[0].tools, wire.nodes[-2], receiver, all_of[0].n))
    return {**times, "bare": bare}, kb


def report_dump(report, times, kb, short):
    for who, v in times.items():
        report(key_of(who, f"bgp.dump_{short}_ms"), statistics.median(v),
               f"{len(v)} sessions, least {min(v):.2f}, worst {max(v):.2f}")
        report(key_of(who, f"bgp.dump_{short}_worst_ms"), max(v))
    for who, peak in kb.items():
        report(key_of(who, f"bgp.rss_{short}_mb"), peak / 1024)


def bench_dump_10k(report, tools, rig, rounds, rivals):
    n = 10000
    with Lab(nodes=len(rivals) + 4, pods=False, proxy=False, config=config([])) as lab:
        receiver = lab.nodes[-1]
        mine, exa, *addresses = more_addresses(receiver, 201, rounds + 2)
        all_of = [Daemon(lab.nodes[0], rig, tools, n, [mine]), Alone(lab.nodes[1], tools, n, addresses),
                  *(k(lab.nodes[2 + i], tools, n, [exa] if k is ExaBgp else addresses) for i, k in enumerate(rivals))]
        report_dump(report, *measure_dump(lab, all_of, receiver, addresses), "10k")


def bench_dump_100k(report, tools, rounds, rivals):
    """Of lbd its BGP alone: a cluster of so many Services is more than it takes in."""
    n = 100000
    with Wire(nodes=len(rivals) + 3) as wire:
        receiver = wire.nodes[-1]
        exa, *addresses = more_addresses(receiver, 201, rounds + 1)
        all_of = [Alone(wire.nodes[0], tools, n, addresses),
                  *(k(wire.nodes[1 + i], tools, n, [exa] if k is ExaBgp else addresses) for i, k in enumerate(rivals))]
        times, kb = measure_dump(wire, all_of, receiver, addresses)
    report_dump(report, *({{"alone": "lbd"}.get(who, who): v for who, v in x.items()} for x in (times, kb)), "100k")


def one_attack(a, enemy):
    """A session, and then a million prefixes that nobody wants: (s of processor time, kB) on top, until there is no work left."""
    a.wait_loaded()
    with a.attack(enemy) as peer:
        peer.wait("established")
        time.sleep(DELAY_S / 2)
        before, kb = a.cpu_s(), a.kb("VmRSS")
        peer.wait("sent", LOAD_S)
        a.wait_idle()
        found = a.cpu_s() - before, a.kb("VmHWM") - kb
    a.part()
    return found


def bench_hostile(report, tools, rig, rounds, rivals):
    found = {}
    with Lab(nodes=len(rivals) + 3, pods=False, proxy=False, config=config([])) as lab:
        enemy = lab.nodes[-1]
        daemon = Daemon(lab.nodes[0], rig, tools, 10, [], enemy.addr)
        for _ in range(rounds):
            found.setdefault("lbd", []).append(one_attack(daemon, enemy))
            for i, kind in enumerate([Alone, *rivals]):
                a = kind(lab.nodes[1 + i], tools, 10, [], enemy.addr)
                found.setdefault(a.name, []).append(one_attack(a, enemy))
                a.stop()
    for who, v in found.items():
        for key, values in zip(("bgp.hostile_1m_cpu_s", "bgp.hostile_1m_rss_kb"), zip(*v)):
            report(key_of(who, key), statistics.median(values), f"worst {max(values):.4g}")


def flip(lab, i, ready):
    """The one endpoint of the how manieth Service."""
    lab.endpoints(f"b{i:05d}", ready=ready)


def changes(lab, peer, n):
    """n endpoints that become unready, one after the other, and ready again: ms from the API server's write of each to the
    UPDATE at the receiver."""
    shift, last = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns(), max(e["seq"] for e in lab.kubesim.log())
    address = {i: int(ipaddress.ip_address(lab.ips(f"b{i:05d}")[0])) for i in range(n)}
    took = []
    for ready, event, had in ((False, "withdrawn", 0), (True, "announced", len(peer.events("announced")))):
        for i in range(n):
            flip(lab, i, ready)
            time.sleep(CHANGE_S)
        wait_for("the last change", lambda: len(peer.events(event)) == had + n, 20, 0.2)
        told = {e["prefix"]: e["ns"] for e in peer.events(event)[had:]}
        wrote = [e for e in lab.kubesim.log(last) if e["resource"] == "endpointslices"]
        last = wrote[-1]["seq"]
        took += [(told[address[int(e["name"][1:6])]] - e["ns"] - shift) / 1e6 for e in wrote]
    return sorted(took)


def bench_change(report, tools, rig, n):
    with Lab(nodes=1, pods=False, proxy=False, config=config([])) as lab:
        receiver = lab.host("r", 201)
        a = Daemon(lab.nodes[0], rig, tools, 1000, [receiver.addr])
        a.wait_loaded()
        a.hurry()
        with Peer(tools, receiver, "-a", RECEIVER_ASN, "-n", a.n, "-l", receiver.addr, "-v") as peer:
            peer.wait("all")
            time.sleep(1)
            took = changes(lab, peer, n)
    median = took[len(took) // 2]
    report("bgp.change_p99_ms", took[len(took) * 99 // 100], f"median {median:.2f}, worst {took[-1]:.2f}, of {len(took)} endpoints"
           " among 1,000 Services, from the API server's write on")
    report("bgp.change_median_ms", median)


def bench_drain(report, tools, rig, rounds):
    """lbd drain, with 10,000 announced: what is withdrawn after the second in which routers find other ways (RFC 8326)."""
    all_of, rest = [], []
    with Lab(nodes=1, pods=False, proxy=False, config=config([])) as lab:
        node, receiver = lab.nodes[0], lab.host("r", 201)
        a = Daemon(node, rig, tools, 10000, [receiver.addr])
        a.wait_loaded()
        a.hurry()
        for _ in range(rounds):
            with a.meet(receiver, receiver.addr) as peer:
                peer.wait("all")
                a.wait_idle()
                begin = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                node.run(rig.binary, "drain", "--control", node.control)
                none = peer.wait("none")
                all_of.append((none - begin) / 1e6)
                rest.append((none - peer.wait("fewer")) / 1e6)
            node.run(rig.binary, "undrain", "--control", node.control)
    report("bgp.withdraw_10k_ms", statistics.median(rest), f"first withdrawal to last, worst {max(rest):.2f}")
    report("bgp.drain_10k_ms", statistics.median(all_of),
           f"from the command on, with a second of GRACEFUL_SHUTDOWN, worst {max(all_of):.0f}")


def bench_withdraw(report, tools, rounds):
    """All of 10,000 taken back at once, by the BGP alone."""
    took = []
    with Wire(nodes=2) as wire:
        a = Alone(wire.nodes[0], tools, 10000, [])
        for _ in range(rounds):
            with a.meet(wire.nodes[1], wire.nodes[1].addr) as peer:
                peer.wait("all")
                time.sleep(0.2)
                os.kill(a.pid, signal.SIGUSR1)
                last = peer.wait("none")
                began = [json.loads(line)["ns"] for line in a.text().splitlines() if '"withdraw"' in line][-1]
                took.append((last - began) / 1e6)
                a.part()
    report("bgp.alone.withdraw_10k_ms", statistics.median(took), f"from the order on, worst {max(took):.2f}")


def bench_bgp(report, skipped, tools, rig, long):
    rivals = [k for k in RIVALS if shutil.which(COMMANDS[k.package])]
    for k in RIVALS:
        if k not in rivals:
            skipped[f"rival.{k.name}.bgp.*"] = f"{k.package} is not installed"
    skipped["rival.exabgp.bgp.hostile_1m_*"] = "it has no policy of its own: what arrives goes to the program behind it"
    skipped["rival.*.bgp.change_p99_ms, .withdraw_10k_ms"] = "the start of their command line tools would be measured"
    rounds = 20 if long else 5
    bench_dump_10k(report, tools, rig, rounds, rivals)
    bench_dump_100k(report, tools, rounds, rivals)
    bench_hostile(report, tools, rig, 5 if long else 1, [k for k in rivals if k is not ExaBgp])
    bench_change(report, tools, rig, 1000 if long else 300)
    bench_drain(report, tools, rig, rounds)
    bench_withdraw(report, tools, rounds)
