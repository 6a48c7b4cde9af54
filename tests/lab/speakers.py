# SPDX-License-Identifier: Apache-2.0
"""BFD speakers on a wire: lbd's own (tests/bench/bfdpeer), BIRD's, FRR's bfdd, with one face.

    with Wire(nodes=2) as wire:
        a = LbdBfd(wire.nodes[0], [(addr1, addr2)]); b = Bird(wire.nodes[1], [(addr2, addr1)])
        a.wait(addr2, "Up"); wire.port(wire.nodes[1], False); a.wait(addr2, "Down")

Times are seconds of CLOCK_BOOTTIME.
"""

import contextlib
import datetime
import ipaddress
import json
import os
import re
import signal
import socket
import struct
import time
from pathlib import Path

from lab import ROOT, Inside, Lab, sh, wait_for
from programs import BirdProgram, FrrProgram, Program

BFDPEER = Path(os.environ.get("BFDPEER", ROOT / "build" / "bench" / "bfdpeer")).resolve()


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def from_wall_clock(text, form):
    """A local time of a log, on our clock."""
    return datetime.datetime.strptime(text, form).timestamp() - time.time() + now()


def set_port_state(name, forwarding):
    """RTM_SETLINK of a bridge port's state: at once, where `ip link set down` waits for an RCU grace period.  Returns when
    that was."""
    state = struct.pack("HHBxxx", 5, 1, 3 if forwarding else 0)  # IFLA_BRPORT_STATE
    protinfo = struct.pack("HH", 4 + len(state), 12 | 0x8000) + state  # IFLA_PROTINFO, nested
    body = struct.pack("BxHiII", socket.AF_BRIDGE, 0, socket.if_nametoindex(name), 0, 0) + protinfo
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        at = now()
        s.send(struct.pack("IHHII", 16 + len(body), 19, 5, 1, 0) + body)  # NLM_F_REQUEST | NLM_F_ACK
        err = struct.unpack_from("i", s.recv(4096), 16)[0]
        assert err == 0, os.strerror(-err)
        return at


class Wire(Lab):
    """Hosts on a bridge, without an API server."""

    def __init__(self, nodes=2):
        self.inside_switch = None
        super().__init__(nodes=nodes, pods=False, proxy=False)
        self.inside_switch = Inside(f"{self.tag}-sw")
        self.stack.callback(self.inside_switch.close)

    def _start_api(self, args):
        pass

    def port(self, node, forwarding):
        """The switch's port of a node; frames vanish while it is blocked, and nobody is told.  Returns when that was."""
        return self.inside_switch.run(set_port_state, f"p-{node.name}", forwarding)

    def span(self, node, third, n):
        """n more addresses for a node: 10.91.<third>.1 and those after it."""
        first = ipaddress.ip_address(f"10.91.{third}.1")
        sh("ip", "-n", node.ns, "-batch", "-", input="".join(f"addr add {first + i}/16 dev eth0\n" for i in range(n)))
        return [str(first + i) for i in range(n)]


class Speaker(Program):
    """pairs: (local, remote) addresses; a session each, on eth0."""

    def __init__(self, node, pairs, interval_ms=100, multiplier=3, prefix=(), **options):
        super().__init__(node)
        self.pairs, self.interval_ms, self.multiplier = pairs, interval_ms, multiplier
        self.prefix, self.options = list(map(str, prefix)), options
        self.start()

    def changes(self):
        """[(time, remote, state)], in order."""
        raise NotImplementedError

    def state(self, remote):
        last = [s for _, r, s in self.changes() if r == remote]
        return last[-1] if last else "Down"

    def wait(self, remote, state, timeout=10):
        wait_for(f"{self.name}: session with {remote} {state}", lambda: self.state(remote) == state, timeout)

    def wait_all_up(self, timeout=20):
        def up():
            states = {}
            for _, remote, state in self.changes():
                states[remote] = state
            return sum(s == "Up" for s in states.values()) == len(self.pairs)
        wait_for(f"{self.name}: {len(self.pairs)} sessions Up", up, timeout, 0.1)

    def downs(self):
        """How often a session that was Up fell."""
        last, n = {}, 0
        for _, remote, state in self.changes():
            n += last.get(remote) == "Up" and state != "Up"
            last[remote] = state
        return n

    def first_down(self, since):
        """When the first session fell after that, or None."""
        return next((t for t, _, s in self.changes() if t >= since and s != "Up"), None)

    def cpu_s(self):
        """Processor time so far, of all threads."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9


class LbdBfd(Speaker):
    name = "lbd"

    def start(self):
        argv = ["-t", self.options.get("tx_ms", self.interval_ms) * 1000, "-r", self.options.get("rx_ms", self.interval_ms) * 1000,
                "-m", self.multiplier]
        for option, flag in (("key_file", "-k"), ("raw_key", "-K"), ("minimum_ttl", "-T")):
            if option in self.options:
                argv += [flag, self.options[option]]
        local, remote = self.pairs[0]
        if len(self.pairs) > 1 and self.options.get("span"):
            argv += ["-n", len(self.pairs), "eth0", local, remote]
        else:
            for local, remote in self.pairs:
                argv += [self.options.get("iface", "eth0"), local, remote]
        self.run(*self.prefix, BFDPEER, *argv, log=self.log)

    def lines(self):
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]

    def changes(self):
        return [(d["us"] / 1e6, d["remote"], d["state"]) for d in self.lines() if "us" in d]

    def last(self, remote):
        """The last line about a session."""
        return [d for d in self.lines() if d.get("remote") == remote][-1]

    def admin_down(self, down):
        self.processes[-1].send_signal(signal.SIGUSR1 if down else signal.SIGUSR2)

    def sums(self):
        """Ends it: its counts."""
        self.stop()
        return self.lines()[-1]


class Bird(Speaker, BirdProgram):
    CHANGE = re.compile(r"^(\S+ \S+) .*Session to (\S+) changed state from (\w+) to (\w+)", re.M)

    def start(self):
        auth = self.options.get("auth", "")
        lines = ["router id 10.0.0.1;", "debug protocols {events, states};", "protocol device {}", "protocol bfd speaker {",
                 f'  interface "eth0" {{ min rx interval {self.interval_ms} ms; min tx interval {self.interval_ms} ms;'
                 f" multiplier {self.multiplier}; {auth} }};"]
        if self.options.get("multihop"):
            lines.append(f"  multihop {{ min rx interval {self.interval_ms} ms; min tx interval {self.interval_ms} ms;"
                         f" multiplier {self.multiplier}; }};")
        for local, remote in self.pairs:
            where = f"local {local} multihop on" if self.options.get("multihop") else f'dev "eth0" local {local}'
            lines.append(f"  neighbor {remote} {where};")
        self.start_bird([*lines, "}"], self.prefix)

    def changes(self):
        return [(from_wall_clock(at, "%Y-%m-%d %H:%M:%S.%f"), remote, to) for at, remote, _, to in self.CHANGE.findall(self.text())]

    def shows(self):
        """birdc's table: {remote: (state, interval, timeout)}."""
        out = self.command("show", "bfd", "sessions")
        rows = [line.split() for line in out.splitlines()]
        return {r[0]: (r[2], float(r[-2]), float(r[-1])) for r in rows if len(r) >= 6 and re.match(r"[0-9a-f.:]+$", r[0])}


class Frr(Speaker, FrrProgram):
    CHANGE = re.compile(r"^(\S+ \S+) .*state-change: \[.*?peer:(\S+?)[ \]].*?\] (\S+) -> (\S+)", re.M)
    STATE = {"up": "Up", "down": "Down", "init": "Init", "adm-down": "AdminDown"}

    def start(self):
        lines = ["debug bfd peer", "bfd"]
        for local, remote in self.pairs:
            lines += [f" peer {remote} local-address {local} interface eth0", f"  detect-multiplier {self.multiplier}", f"  receive-interval {self.interval_ms}",
                      f"  transmit-interval {self.interval_ms}", "  no shutdown", " exit"]
        self.start_frr(self.prefix, bfdd=lines)

    def changes(self):
        return [(from_wall_clock(at, "%Y/%m/%d %H:%M:%S.%f"), remote, self.STATE.get(to, to))
                for at, remote, _, to in self.CHANGE.findall(self.text())]

    def shows(self):
        """vtysh's view: {remote: dict}."""
        return {p["peer"]: p for p in self.shown("show bfd peers json") or []}
