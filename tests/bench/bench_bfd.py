# SPDX-License-Identifier: Apache-2.0
"""The bfd group of bench.py: lbd's BFD (bfdpeer: the shipping bfd.c and bfdio.c on a loop) beside BIRD and FRR, which run at the
same time on node pairs of their own, on one bridge, and are measured by turns."""

import contextlib
import os
import random
import re
import signal
import statistics
import subprocess
import time

from speakers import Bird, Frr, LbdBfd, Wire, wait_for

KINDS = {"lbd": LbdBfd, "bird": Bird, "frr": Frr}
FRR_LEAST_MS = 10  # its command takes no less
RR = ("chrt", "--rr", "1")


def key_of(who, key):
    return key if who == "lbd" else f"rival.{who}.{key}"


class Pair:
    """Two nodes that speak the same BFD with each other."""

    def __init__(self, wire, i, kind, pairs=None, **kw):
        self.wire, self.near, self.far = wire, wire.nodes[2 * i], wire.nodes[2 * i + 1]
        pairs = pairs or [(self.near.addr, self.far.addr)]
        self.a = kind(self.near, pairs, **kw)
        self.b = kind(self.far, [(r, l) for l, r in pairs], **kw)

    def wait_up(self, timeout=30):
        self.a.wait_all_up(timeout)
        self.b.wait_all_up(timeout)

    def downs(self):
        return self.a.downs() + self.b.downs()

    def stop(self):
        self.a.stop()
        self.b.stop()


def detection(pair):
    """The port of one node is blocked -> both sides' sessions down: two times, in ms."""
    at = pair.wire.port(pair.far, False)
    try:
        return [(wait_for("a session to fall", lambda s=s: s.first_down(at), 5, 0.01) - at) * 1000 for s in (pair.a, pair.b)]
    finally:
        pair.wire.port(pair.far, True)


def bench_detection(report, rounds, interval_ms, key):
    """Interleaved: each round cuts lbd's pair, BIRD's, FRR's."""
    kinds = {who: k for who, k in KINDS.items() if who != "frr" or interval_ms >= FRR_LEAST_MS}
    times = {who: [] for who in kinds}
    with Wire(nodes=2 * len(kinds)) as wire:
        pairs = {who: Pair(wire, i, kind, interval_ms=interval_ms) for i, (who, kind) in enumerate(kinds.items())}
        for _ in range(rounds):
            for who, pair in pairs.items():
                pair.wait_up()
                time.sleep(0.3 + random.random() * 0.05)
                times[who] += detection(pair)
    for who, v in times.items():
        report(key_of(who, key), statistics.median(v), f"{len(v)} times, least {min(v):.1f}, worst {max(v):.1f}")
        report(key_of(who, key.replace("_ms", "_worst_ms")), max(v))


def bench_256(report, seconds, rounds):
    """The processor time of one side with 256 sessions at 50 ms, by turns."""
    pct = {who: [] for who in KINDS}
    for _ in range(rounds):
        for who, kind in KINDS.items():
            with Wire(nodes=2) as wire:
                near, far = wire.span(wire.nodes[0], 0, 256), wire.span(wire.nodes[1], 8, 256)
                options = {"span": True} if who == "lbd" else {}
                pair = Pair(wire, 0, kind, list(zip(near, far)), interval_ms=50, **options)
                pair.wait_up(60)
                time.sleep(2)
                falls, begin, cpu = pair.downs(), time.monotonic(), pair.a.cpu_s()
                time.sleep(seconds)
                pct[who].append((pair.a.cpu_s() - cpu) / (time.monotonic() - begin) * 100)
                assert pair.downs() == falls, f"{who}: sessions fell"
    for who, v in pct.items():
        report(key_of(who, "bfd.256_cpu_pct"), statistics.median(v), f"worst {max(v):.2f}")


def bench_two(report, seconds):
    """What three nodes at 100 ms cost each: two sessions."""
    with Wire(nodes=3) as wire:
        n = wire.nodes
        all_of = [LbdBfd(x, [(x.addr, y.addr) for y in n if y is not x], interval_ms=100) for x in n]
        for s in all_of:
            s.wait_all_up()
        time.sleep(1)
        before, switches, begin = all_of[0].cpu_s(), wakeups(all_of[0].pid), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begin
        report("bfd.two_sessions_cpu_ms_per_s", (all_of[0].cpu_s() - before) * 1000 / took)
        report("bfd.two_sessions_wakeups_per_s", (wakeups(all_of[0].pid) - switches) / took)


def wakeups(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))


@contextlib.contextmanager
def hogs(n):
    """n processes that only burn time."""
    running = [subprocess.Popen(["sh", "-c", "while :; do :; done"], start_new_session=True) for _ in range(n)]
    try:
        yield
    finally:
        for p in running:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()


def bench_hogs(report, seconds, slices):
    """False downs at 10 ms x 3 with more busy processes than cores, each speaker alone with the hogs, by turns. lbd both as its
    unit file runs it (real-time, round robin) and as an ordinary process, the rivals as they are shipped."""
    ways = {"bfd.false_downs": (LbdBfd, RR), "bfd.false_downs_plain": (LbdBfd, ()), "rival.bird.bfd.false_downs": (Bird, ()),
            "rival.frr.bfd.false_downs": (Frr, ()), "rival.bird.bfd.false_downs_rr": (Bird, RR)}
    for n in (4, 16):
        falls = dict.fromkeys(ways, 0)
        for _ in range(slices):
            for key, (kind, prefix) in ways.items():
                with Wire(nodes=2) as wire:
                    pair = Pair(wire, 0, kind, interval_ms=10, prefix=prefix)
                    pair.wait_up()
                    time.sleep(0.5)
                    before = pair.downs()
                    with hogs(n):
                        time.sleep(seconds / slices)
                        falls[key] += pair.downs() - before
        for key, v in falls.items():
            report(f"{key}_{n}hogs", v, f"in {seconds} s")


def bench_bfd(report, long):
    bench_detection(report, 50 if long else 10, 10, "bfd.detect_10ms_ms")
    bench_detection(report, 50 if long else 10, 3, "bfd.detect_3ms_ms")
    bench_256(report, 60 if long else 5, 3 if long else 1)
    bench_two(report, 60 if long else 10)
    bench_hogs(report, 600 if long else 10, 10 if long else 1)
