# SPDX-License-Identifier: Apache-2.0
"""The l2 group of bench.py: what clients see while owners die, stop or hand over, beside keepalived, which runs at the same time
on a LAN of its own and is measured by turns.

Every node has an echo (udpprobe -e) for the address, which says who it is: a failover is over with the first probe that another
node answers.  After a round the node is started anew, so that each begins without a past.
"""

import contextlib
import os
import re
import signal
import statistics
import struct
import subprocess
import time

from bench_bfd import RR, hogs
from lab import CLIENT_ADDR, Inside, Lab, wait_for
from speakers import set_port_state

HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
POOL = "pools:\n- name: lan\n  addresses: [10.89.64.0/18]\nl2Advertisements:\n- {name: all, interfaces: [eth0]}\n"
VIP = "10.89.64.0"
FAST = "elections:\n  bfd: {interval: 10ms, multiplier: 3}\n"
ECHO_PORT = 7007
SETTLED_S = 4  # a node that was started takes part (R9: join)


class Cluster:
    """Three nodes that serve one address, each with an echo that knows its number."""

    SETTLED_S = 0

    def __init__(self, stack, tools, lab):
        self.lab, self.tools, self.started = lab, tools, time.monotonic()
        self.switch = Inside(f"{lab.tag}-sw")
        stack.callback(self.switch.close)
        lab.client.run("ip", "route", "add", "10.89.64.0/18", "dev", "eth0")
        for i, node in enumerate(lab.nodes):
            lab._background(*node.argv(tools / "udpprobe", "-e", *self.lay(node), i))

    def start_probe(self, seconds, rate=1000):
        return subprocess.Popen(self.lab.client.argv(self.tools / "udpprobe", "-r", rate, "-t", seconds, VIP, 7),
                                stdout=subprocess.PIPE, text=True)

    @staticmethod
    def end_probe(p):
        """(lost, longest gap in ms, [(who, when)])"""
        out = p.communicate()[0]
        lost, gap_us = map(int, re.search(r"lost=(\d+) gap_us=(\d+)", out).groups())
        return lost, gap_us / 1000, [(int(i), int(ns) / 1e9) for i, ns in re.findall(r"by=(\d+) at_ns=(\d+)", out)]

    def owner(self):
        """Who answers."""
        def one():
            changes = self.end_probe(self.start_probe(0.1))[2]
            return changes and [self.lab.nodes[changes[-1][0]]]
        return wait_for("an owner", one, 30, 0.2)[0]

    def port(self, node, forwarding):
        self.switch.run(set_port_state, f"p-{node.name}", forwarding)

    def fail(self, how, node):
        """When that was."""
        at = time.monotonic()
        if how == "portdown":
            self.port(node, False)
        else:
            for pid in self.pids(node):
                os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
        return at

    def round(self, how, window_s):
        """ms until another node answers; None: none did."""
        self.settle()
        node = self.owner()
        p = self.start_probe(window_s)
        time.sleep(0.3)
        at = self.fail(how, node)
        gap, changes = self.end_probe(p)[1:]
        self.mend(how, node)
        after = [t for i, t in changes if t > at and self.lab.nodes[i] is not node]
        if not after:
            return None
        return gap if how == "portdown" else (after[0] - at) * 1000

    def mend(self, how, node):
        self.kill(node)
        if how == "portdown":
            self.port(node, True)
        self.start(node)
        self.started = time.monotonic()

    def settle(self):
        """All take part: others are measured meanwhile."""
        time.sleep(max(0, self.started + max(SETTLED_S, self.SETTLED_S) - time.monotonic()))

    def kill(self, node):
        for pid in self.pids(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process(node).wait()

    def hand_over(self):
        """Probes lost while the owner stops, and while it comes back."""
        self.settle()
        node, p = self.owner(), self.start_probe(2.5, 10000)
        time.sleep(0.3)
        self.process(node).send_signal(signal.SIGTERM)
        self.process(node).wait(15)
        lost, _, changes = self.end_probe(p)
        assert len(changes) > 1, f"{self.name}: nothing was handed over"
        p = self.start_probe(SETTLED_S + 1, 10000)
        self.start(node)
        self.started = time.monotonic()
        return lost + self.end_probe(p)[0]


class Lbd(Cluster):
    name = "lbd"

    def lay(self, node):
        """As kube-proxy does: whatever comes for the address, whoever has it."""
        node.run("nft", "add table ip lay; add chain ip lay nat { type nat hook prerouting priority dstnat; };"
                        f" add rule ip lay nat udp dport 7 redirect to :{ECHO_PORT}")
        return "0.0.0.0", ECHO_PORT

    def __init__(self, stack, tools, binary, config="", services=1, prefix=(), **kw):
        lab = stack.enter_context(Lab(nodes=3, pods=False, proxy=False, config=HEAD + POOL + config, **kw))
        super().__init__(stack, tools, lab)
        self.binary, self.prefix = binary, list(prefix)
        for i in range(services):
            self.lab.service(f"s{i}", ip=VIP if services == 1 else None)
        for node in lab.nodes:
            self.start(node)

    def start(self, node):
        node.start(binary_path=self.binary, prefix=self.prefix, ready=False)

    def settle(self):
        for node in self.lab.nodes:
            wait_for(f"{node.name}'s sessions", lambda: (d := node.dump()) and all(
                n["self"] or n["peer"] == "up" for n in d["nodes"]) and len(d["nodes"]) == 3, 30, 0.1)
        super().settle()

    def process(self, node):
        return node.process

    def pids(self, node):
        return [node.pid]


class Keepalived(Cluster):
    name = "keepalived"

    def lay(self, node):
        """A service on the address itself."""
        return VIP, 7

    def __init__(self, stack, tools, advert_s, prefix=()):
        lab = stack.enter_context(Alone(nodes=3))
        super().__init__(stack, tools, lab)
        self.prefix, self.running = list(prefix), {}
        self.SETTLED_S = 4 * advert_s
        for i, node in enumerate(lab.nodes):
            (lab.dir / f"{node.name}.keepalived").write_text(f"""
global_defs {{
    vrrp_version 3
}}
vrrp_instance one {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {250 - i}
    advert_int {advert_s}
    nopreempt
    virtual_ipaddress {{
        {VIP}/32
    }}
}}
""")
            self.start(node)
        stack.callback(lambda: [self.kill(n) for n in lab.nodes])

    def start(self, node):
        directory = self.lab.dir
        node.run("ip", "addr", "del", f"{VIP}/32", "dev", "eth0", check=False)  # what a killed one left
        for kind in ("pid", "vrrp"):
            (directory / f"{node.name}.{kind}").unlink(missing_ok=True)
        self.running[node] = node.popen(*self.prefix, "keepalived", "-n", "-P", "-l", "-p", directory / f"{node.name}.pid", "-r",
                                        directory / f"{node.name}.vrrp", "-f", directory / f"{node.name}.keepalived",
                                        log=directory / f"{node.name}.log")

    def process(self, node):
        return self.running[node]

    def pids(self, node):
        pid = self.running[node].pid
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as f:
            return [pid, *map(int, f.read().split())]
        return [pid]


class Alone(Lab):
    """Nodes and a client without an API server."""

    def __init__(self, nodes):
        super().__init__(nodes=nodes, pods=False, proxy=False, config="pools: []\n")

    def _start_api(self, args):
        pass


def key_of(who, group, how):
    return f"{'' if who == 'lbd' else f'rival.{who}.'}l2.{how}.{group}"


def bench_failover(report, tools, binary, rounds):
    """Interleaved: each round fails the owner of each cluster once in each way."""
    with contextlib.ExitStack() as stack:
        clusters = {("lbd", "default"): Lbd(stack, tools, binary), ("lbd", "fast"): Lbd(stack, tools, binary, FAST),
                    ("keepalived", "default"): Keepalived(stack, tools, 1), ("keepalived_100ms", "default"):
                    Keepalived(stack, tools, 0.1), ("keepalived", "fast"): Keepalived(stack, tools, 0.01)}
        times = {}
        for _ in range(rounds):
            for how in ("portdown", "kill", "stop"):
                for (who, group), cluster in clusters.items():
                    window_s = 5 if who == "keepalived" and group == "default" else 2
                    ms = cluster.round(how, window_s)
                    assert ms is not None or who != "lbd", f"{group}: nobody took over after {how}"
                    times.setdefault(key_of(who, group, how), []).append(ms)
    for key, taken in sorted(times.items()):
        v = [ms for ms in taken if ms is not None]
        missed = f", {len(taken) - len(v)} more in which nobody took over" if len(v) < len(taken) else ""
        assert v, f"{key}: nobody took over"
        report(f"{key}.median_ms", statistics.median(v), f"{len(v)} times{missed}: {' '.join(f'{x:.0f}' for x in sorted(v))}"[:100])
        report(f"{key}.worst_ms", max(v))


def bench_drain(report, tools, binary, times):
    with contextlib.ExitStack() as stack:
        clusters = {"": Lbd(stack, tools, binary), "rival.keepalived.": Keepalived(stack, tools, 1),
                    "rival.keepalived_10ms.": Keepalived(stack, tools, 0.01)}
        lost = {key: [] for key in clusters}
        for _ in range(times):
            for key, cluster in clusters.items():
                lost[key].append(cluster.hand_over())
        for key, v in lost.items():
            report(f"{key}l2.drain.lost_10khz", sum(v), f"in {len(v)} hand-overs there and back, most in one {max(v)}")


def bench_api_down(report, tools, binary, rounds, down_s):
    with contextlib.ExitStack() as stack:
        cluster, times = Lbd(stack, tools, binary), []
        for _ in range(rounds):
            cluster.settle()
            node = cluster.owner()
            cluster.lab.kubesim.save(cluster.lab.dir / "state")
            cluster.lab.kubesim.kill()
            time.sleep(down_s)
            p = cluster.start_probe(2)
            time.sleep(0.3)
            at = cluster.fail("kill", node)
            changes = cluster.end_probe(p)[2]
            times.append(min(t - at for i, t in changes if t > at and cluster.lab.nodes[i] is not node) * 1000)
            cluster.lab.kubesim.start(["10.89.0.10:6443", "127.0.0.1:6443"], cluster.lab.dir / "api", netns=cluster.lab.api.ns,
                                      extra=["--state", cluster.lab.dir / "state"])
            cluster.mend("kill", node)
        report("l2.api_down.kill.median_ms", statistics.median(times), f"{rounds} times, API dead for {down_s} s; worst {max(times):.0f}")


def claims(path):
    """{address: time of its first claim}, [claimants of VIP in turn] from tcpdump's file."""
    data, at, first, last, moves = path.read_bytes(), 24, {}, {}, 0
    while at + 16 <= len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
        frame, at = data[at + 16:at + 16 + size], at + 16 + size
        if frame[12:14] != b"\x08\x06" or frame[28:32] != frame[38:42]:
            continue
        ip, mac = frame[28:32], frame[22:28]
        first.setdefault(ip, seconds + micros / 1e6)
        moves += last.get(ip, mac) != mac
        last[ip] = mac
    return first, moves


@contextlib.contextmanager
def sniffed(lab, name, found):
    """What is claimed meanwhile: found gets claims()'s answer."""
    path = lab.dir / name
    p = lab.client.popen("tcpdump", "-i", "eth0", "-U", "-B", 65536, "-s", 64, "-w", path, "arp")
    wait_for("tcpdump", lambda: path.exists() and path.stat().st_size >= 24)
    try:
        yield
    finally:
        p.terminate()
        p.wait(10)
        found += claims(path)


def bench_mass(report, tools, binary, services, rounds, n, key):
    """All addresses on one node, which is killed: first claims of its successors, first to last.  services(lab, n) makes them.  Beside
    it the least that one broadcast of each would take from a bare sender there."""
    spans, seen, rates = [], [], []
    for _ in range(rounds):
        with Lab(nodes=3, pods=False, proxy=False, config=HEAD + POOL) as lab:
            first, *others = lab.nodes
            services(lab, n)
            first.start(binary_path=binary)
            wait_for(f"{n} to answer", lambda: answering(lab, tools, n) == n, 120, 0.5)
            for node in others:
                node.start(binary_path=binary)
            for node in lab.nodes:
                wait_for("sessions", lambda: all(x["self"] or x["peer"] == "up" for x in node.dump()["nodes"]), 30, 0.2)
            time.sleep(SETTLED_S + 6)  # the burst is over, claims are read
            found = []
            with sniffed(lab, "mass.pcap", found):
                first.kill()
                wait_for(f"{n} to answer", lambda: answering(lab, tools, n) == n, 30, 0.3)
            times = sorted(found[0].values())
            spans.append((times[-1] - times[0]) * 1000)
            seen.append(len(times))
            out = others[0].run(tools / "arpblast", "-i", "eth0", "-j", 1000000, "-t", 1, "10.89.32.0", n, check=False).stdout
            rates.append(float(re.search(r"rate=([\d.]+)", out).group(1)))
    report(key, statistics.median(spans), f"{rounds} times, worst {max(spans):.1f}; claims of {min(seen)} or more were seen")
    report(f"bare.{key}", n / statistics.median(rates) * 1000, f"{statistics.median(rates):.0f} broadcasts a second")


def answering(lab, tools, n):
    out = lab.client.run(tools / "arpblast", "-i", "eth0", "-s", CLIENT_ADDR, "-w", "32", "-n", n, VIP, n, check=False).stdout
    found = re.search(r"replies=(\d+)", out)
    return int(found.group(1)) if found else 0


def bench_hogs(report, tools, binary, seconds, slices):
    """Moves and duplicate owners at 10 ms x 3 with more busy processes than cores, each alone with the hogs, by turns: claims of
    the address by another than the one before. As the unit file runs it (SCHED_RR), as ordinary processes, and keepalived, which
    runs as shipped."""
    ways = {"l2.false_moves": lambda s: Lbd(s, tools, binary, FAST, prefix=RR),
            "l2.false_moves_plain": lambda s: Lbd(s, tools, binary, FAST),
            "rival.keepalived.l2.false_moves": lambda s: Keepalived(s, tools, 0.01)}
    for n in (4, 16):
        moves = dict.fromkeys(ways, 0)
        for _ in range(slices):
            for key, make in ways.items():
                with contextlib.ExitStack() as stack:
                    found, cluster = [], make(stack)
                    cluster.settle()
                    owner = cluster.owner()
                    with sniffed(cluster.lab, "hogs.pcap", found):
                        with hogs(n):
                            time.sleep(seconds / slices)
                        time.sleep(1)
                    moves[key] += found[1] + (cluster.owner() is not owner)
        for key, v in moves.items():
            report(f"{key}_{n}hogs", v, f"in {seconds} s")


def bench_l2(report, tools, binary, services, long):
    bench_failover(report, tools, binary, 20 if long else 4)
    bench_drain(report, tools, binary, 50 if long else 10)
    bench_api_down(report, tools, binary, 10 if long else 3, 60 if long else 5)
    for n, key in ((1000, "l2.mass_1k_ms"), (10000, "l2.mass_10k_ms")):
        bench_mass(report, tools, binary, services, 5 if long else 2, n, key)
    bench_hogs(report, tools, binary, 600 if long else 30, 10 if long else 3)
