# SPDX-License-Identifier: Apache-2.0
"""The small group of bench.py: what a small cluster sees, 100 Services and 3 BGP peers beside ARP and NDP: memory, and how long a
restart takes.

A start's time begins before the fork, so that it has the fork and the exec in it, and ends
  start.ready_ms    with READY=1, as systemd is told; start.ready_cpu_ms: lbd's own processor time until then, the rest it waited,
                    most of it for the kernel to make a capture ring (PACKET_RX_RING: a grace period of RCU)
  start.control_ms  with the first answer at the control socket
  start.vip_ms      with the first ARP answer for an address that it announced before

On a machine with other work: chrt --rr 1 make bench-small.
"""

import contextlib
import dataclasses
import os
import socket
import statistics
import subprocess
import time
from pathlib import Path
from typing import Callable

from bench_bgp import RECEIVER_ASN, Peer
from lab import Inside, wait_for

SERVICES, PEERS = 100, 3
IDLE_S = 5


@dataclasses.dataclass
class Tools:
    """What bench.py has: a laboratory of one node, how Services are made and awaited, who asks."""

    folder: Path
    alone: Callable
    services: Callable
    started: Callable
    wait_written: Callable
    wait_published: Callable
    ask_until: Callable
    status_kb: Callable
    cpu_ms: Callable
    first_vip: str


class Restarts:
    """The node's daemon, started again and again as it was started first, without anything between."""

    def __init__(self, stack, lab, tools):
        self.lab, self.tools, self.node, self.cpu_ms = lab, tools, lab.nodes[0], []
        self.inside = stack.enter_context(Inside(self.node.ns))
        self.client = stack.enter_context(Inside(lab.client.ns))
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(lab.dir / "notify"))
        self.notify.settimeout(10)
        stack.callback(self.notify.close)
        proc = Path(f"/proc/{self.node.pid}")
        self.argv = proc.joinpath("cmdline").read_bytes().split(b"\0")[:-1]
        pairs = (pair.split(b"=", 1) for pair in proc.joinpath("environ").read_bytes().split(b"\0")[:-1])
        self.env = {**dict(pairs), b"NOTIFY_SOCKET": os.fsencode(lab.dir / "notify")}

    def _spawn(self):
        begin = time.perf_counter()
        with open(self.node.log, "ab") as log:
            self.node.process = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return begin

    def stop(self):
        self.tools.wait_published(self.lab, self.node, SERVICES)
        self.node.kill()
        self.notify.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.notify.recv(4096)
        self.notify.settimeout(10)

    def start(self):
        """When that was."""
        return self.inside.run(self._spawn)

    def ready_ms(self):
        self.stop()
        begin = self.start()
        while b"READY=1" not in self.notify.recv(4096):
            pass
        took = (time.perf_counter() - begin) * 1000
        self.cpu_ms.append(self.tools.cpu_ms(self.node.pid))
        return took

    def control_ms(self):
        self.stop()
        begin = self.start()
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(10)
                s.connect(str(self.node.control))
                s.sendall(b"{}\n")
                if s.recv(4096):
                    return (time.perf_counter() - begin) * 1000
            time.sleep(0.0002)

    def vip_ms(self):
        self.stop()
        found = self.client.start(self.tools.ask_until, self.lab.client.mac, self.tools.first_vip)
        time.sleep(0.1)  # nobody answers
        begin = self.start()
        return (found.result() - begin) * 1000


def config(base, receivers):
    lines = [f"- {{name: r{i}, myASN: 65001, peerASN: {RECEIVER_ASN}, peerAddress: {r.addr}, connectTime: 1s}}"
             for i, r in enumerate(receivers)]
    return "\n".join([base.rstrip("\n"), "peers:", *lines, "bgpAdvertisements:", "- {name: all}", ""])


def bench_small(report, figures, tools, long):
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(tools.alone())
        receivers = [lab.host(f"r{i}", 60 + i) for i in range(PEERS)]
        lab.config = config(lab.config, receivers)
        peers = [stack.enter_context(Peer(tools.folder, r, "-a", RECEIVER_ASN, "-n", SERVICES, "-l", r.addr)) for r in receivers]
        tools.services(lab, SERVICES)
        tools.started(lab)
        tools.wait_written(lab, SERVICES)
        for peer in peers:
            peer.wait("all")
        time.sleep(IDLE_S)
        pid = lab.nodes[0].pid
        report("mem.rss_100_peers3_mb", tools.status_kb(pid, "VmHWM") / 1024,
               f"the peak; now {tools.status_kb(pid, 'VmRSS') / 1024:.2f}, of its own {tools.status_kb(pid, 'RssAnon') / 1024:.2f}")
        figures["mem.rss_100_peers3_now_mb"] = round(tools.status_kb(pid, "VmRSS") / 1024, 4)
        restarts = Restarts(stack, lab, tools)
        for key in ("ready_ms", "control_ms", "vip_ms"):
            waits = [getattr(restarts, key)() for _ in range(30 if long else 15)]
            report(f"start.{key}", statistics.median(waits), f"best {min(waits):.1f}, worst {max(waits):.1f}")
            figures[f"start.{key.replace('_ms', '_worst_ms')}"] = round(max(waits), 3)
        report("start.ready_cpu_ms", statistics.median(restarts.cpu_ms))
        wait_for("the peers' sessions again", lambda: all(len(p.events("all")) > 1 for p in peers), 60)
