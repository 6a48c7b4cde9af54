# SPDX-License-Identifier: Apache-2.0
"""make bench [bench-GROUP]: the figures of docs/figures.md, printed as a table and written to build/bench.json.

    bench.py [GROUP...]      alloc mem idle arp bfd l2 bgp small; LONG=1 for the table's full durations

Every figure is measured in this run, on this machine, of the static binary (LBD=FILE: of that one); what could not be
measured is named in "skipped", with why.  No figure is read through `lbd dump`, which would cost the memory and the time that
are to be measured: the API's counts, the wire and /proc tell.
"""

import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lab"))
from bench_bfd import bench_bfd  # noqa: E402
from bench_bgp import Rig, bench_bgp  # noqa: E402
from bench_l2 import bench_l2  # noqa: E402
from bench_small import Tools, bench_small  # noqa: E402
import matrix  # noqa: E402
from kubesim import ControlConnection  # noqa: E402
from lab import CLIENT_ADDR, FAST, Inside, Lab, wait_for  # noqa: E402

LONG = os.environ.get("LONG") == "1"
STATIC = Path(os.environ.get("LBD", ROOT / "build" / "static" / "x86_64-linux-gnu" / "lbd")).resolve()
TOOLS = ROOT / "build" / "bench"
HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
FIRST_VIP = "10.89.64.0"
WIDE = HEAD + f"pools:\n- name: wide\n  addresses: [{FIRST_VIP}/18]\nl2Advertisements:\n- {{name: all, interfaces: [eth0]}}\n"
TWO_POOLS = "pools:\n- name: two\n  addresses: [10.89.0.100-10.89.0.110, \"fd00:89::100-fd00:89::110\"]\n"
BARS = {
    "alloc.100k_ms": 100, "alloc.100k_pool90_ms": 100, "alloc.e2e_10k_s": 2, "alloc.e2e_p99_ms": 5,
    "alloc.e2e_first_answer_ms": 20, "mem.rss_0_mb": 1.5, "mem.rss_1k_mb": 2.5, "mem.rss_10k_mb": 8,
    "mem.churn_growth_kb": 64, "size.static_kb": 1000, "start.first_vip_ms": 50, "start.first_vip_10k_ms": 300,
    "mem.rss_100_peers3_mb": 3, "start.ready_ms": 10, "start.control_ms": 10,
    "idle.writes_per_s": 0.1, "idle.writes_per_s_10k": 0.1, "idle.reads_per_s": 0, "idle.bytes_per_s": 1000,
    "idle.wakeups_per_s": 1, "idle.cpu_ms_per_s": 0.05, "idle.bfd3_cpu_ms_per_s": 1, "arp.rate_vs_kernel": 0.45, "arp.rtt_p50_vs_kernel": 2.5,
    "arp.rate_10k_vs_1": 0.95, "arp.under_junk_ms": 1, "ndp.rate_vs_kernel": 0.45, "bfd.detect_10ms_ms": 31, "bfd.detect_3ms_ms": 10,
    "bfd.256_cpu_pct": 10, "l2.portdown.default.median_ms": 300, "l2.portdown.default.worst_ms": 400,
    "l2.kill.default.median_ms": 300, "l2.kill.default.worst_ms": 400, "l2.stop.default.median_ms": 300,
    "l2.stop.default.worst_ms": 400, "l2.portdown.fast.worst_ms": 45, "l2.drain.lost_10khz": 0, "l2.api_down.kill.median_ms": 300,
    "l2.mass_1k_ms": 20, "l2.mass_10k_ms": 100, "l2.false_moves_4hogs": 0, "l2.false_moves_16hogs": 0,
    "bgp.dump_10k_ms": 3, "bgp.dump_100k_ms": 20, "bgp.change_p99_ms": 1, "bgp.withdraw_10k_ms": 10, "bgp.hostile_1m_rss_kb": 64,
    "bgp.hostile_1m_cpu_s": 0.05, "bgp.rss_10k_mb": 4, "bgp.rss_100k_mb": 20,
}
AT_LEAST = {"ndp.rate_vs_kernel", "l2.garp_matrix_flips", "arp.rate_vs_kernel", "arp.rate_10k_vs_1"}
figures, skipped = {}, {}


def report(key, value, note=""):
    figures[key] = round(value, 4)
    bar = BARS.get(key)
    verdict = ""
    if bar is not None:
        good = value >= bar if key in AT_LEAST else value <= bar
        verdict = f"{'at least' if key in AT_LEAST else 'at most'} {bar}: {'met' if good else 'MISSED'}"
    print(f"  {key:34} {value:12.3f}   {verdict:24} {note}".rstrip(), flush=True)


def status_kb(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def cpu_ms(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


# -- what the API saw --

def written(lab):
    """{name: created, ns}, {name: first status with an address, ns}, from the API's own journal."""
    made, done = {}, {}
    for w in lab.kubesim.log():
        if w["resource"] != "services":
            continue
        if w["user"] == "lbd":
            if w.get("ips"):
                done.setdefault(w["name"], w["ns"])
        elif w["verb"] != "delete":
            made.setdefault(w["name"], w["ns"])
    return made, done


def status_writes(lab):
    return lab.kubesim.count("lbd", "patch", "services/status")


def addresses_written(lab):
    """Of the status writes those that gave an address, not the conditions that follow."""
    n, shown = 0, {}
    for w in lab.kubesim.log():
        if w["resource"] == "services":
            n += w["user"] == "lbd" and w["verb"] != "delete" and bool(w["ips"]) and not shown.get(w["name"])
            shown[w["name"]] = w["verb"] != "delete" and w["ips"]
    return n


def wait_written(lab, n, timeout=120):
    """Polls a counter: printing the journal would take the API server's time."""
    wait_for(f"{n} status writes", lambda: status_writes(lab) >= n, timeout, interval=0.05)
    wait_for(f"{n} addresses written", lambda: addresses_written(lab) >= n, timeout, interval=1)


def wait_leader(lab):
    """The leader Lease has a holder, and all that is watched is live: three kinds, and one of endpoints."""
    def leads():
        status, lease = lab.kubesim.api("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lbd-leader")
        return (status == 200 and lease["spec"].get("holderIdentity") and
                lab.kubesim.stats()["users"].get("lbd", {}).get("watchesOpen", 0) >= 4)
    wait_for("a leader", leads, 60)


class Control:
    """Requests on one kept connection of the control socket."""

    def __init__(self, lab):
        self.conn = ControlConnection(lab.kubesim.control, 30)

    def post(self, path, body):
        self.conn.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self.conn.getresponse()
        answer.read()
        assert answer.status == 201, answer.status

    def service(self, name, ip=None):
        spec = {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": name}}
        if ip:
            spec["loadBalancerIP"] = ip
        self.post("/api/v1/namespaces/default/services", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})

    def endpoint(self, service):
        """One ready endpoint, on n1: a Service without one is not announced."""
        self.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{service}-1", "labels": {"kubernetes.io/service-name": service}},
            "endpoints": [{"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": True},
                           "targetRef": {"kind": "Pod", "name": "pod1"}}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]})


def endpoints(lab, n, prefix="b"):
    """Of the Services that bulk() makes; made beforehand, as pods' readiness is not what is measured."""
    control = Control(lab)
    for i in range(n):
        control.endpoint(f"{prefix}{i:05d}")


def services(lab, n, prefix="b"):
    """n Services with one ready endpoint each, as if they had stood for long."""
    endpoints(lab, n, prefix)
    lab.kubesim.bulk(n, prefix=prefix)


# -- what the wire says --

def blast(lab, *argv, core=None):
    pin = [] if core is None else ["taskset", "-c", core]
    sender = lab.client.addr6 if any(":" in str(a) for a in argv) else CLIENT_ADDR
    out = lab.client.run(*pin, TOOLS / "arpblast", "-i", "eth0", "-s", sender, *argv, check=False).stdout
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", out)}


def answering(lab, n):
    """How many of the first n addresses of the pool answer."""
    return int(blast(lab, "-w", "32", "-n", n, FIRST_VIP, n).get("replies", 0))


def wait_answering(lab, n, timeout=60):
    wait_for(f"{n} addresses to answer", lambda: answering(lab, n) == n, timeout, 0.2)


def wait_published(lab, node, n):
    """The node's claims object names n addresses."""
    def claimed():
        status, lease = lab.kubesim.api(
            "GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lbd-claims-{node.name}")
        text = lease["metadata"].get("annotations", {}).get("lbd.io/claims", "") if status == 200 else ""
        ranges = [r for section in text.split() for r in section.split(":", 1)[1].split(",")]
        return sum(int(r.split("-")[1]) if "-" in r else 1 for r in ranges) == n
    wait_for("the claims to be published", claimed, 30, 0.1)


def ask_until(host_mac, ip):
    """Asks for ip each millisecond until somebody answers: when that was."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    s.bind(("eth0", 0x0806))
    s.settimeout(0.001)
    mac, want = bytes.fromhex(host_mac.replace(":", "")), socket.inet_aton(ip)
    ask = (b"\xff" * 6 + mac + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + mac + socket.inet_aton(CLIENT_ADDR) + b"\0" * 6 +
           want)
    end = time.perf_counter() + 60
    with s:
        while time.perf_counter() < end:
            s.send(ask)
            with contextlib.suppress(TimeoutError):
                frame = s.recv(256)
                while frame[20:22] != b"\0\2" or frame[28:32] != want or frame[32:38] != mac:
                    frame = s.recv(256)
                return time.perf_counter()
    raise AssertionError("no answer")


def first_answer(ip):
    """The time of the first HTTP answer from ip."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((ip, 80), timeout=5) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if s.recv(4096):
                return time.perf_counter()
    raise AssertionError(f"no answer from {ip}")


# -- alloc --

def alone(**kw):
    """One node that will have all addresses of a wide pool."""
    return Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST, **kw)


def started(lab):
    for node in lab.nodes:
        node.start(binary_path=STATIC, ready=False)
    wait_leader(lab)


def bench_alloc():
    out = subprocess.run([TOOLS / "bench_alloc"], capture_output=True, text=True, check=True).stdout
    for key, value in re.findall(r"^(alloc\.\S+) ([0-9.]+)", out, re.M):
        report(key, float(value))
    report("alloc.flat_100k_vs_1k", figures["alloc.100k_ns"] / figures["alloc.1k_ns"], "processor time for one")
    all_at_once()
    one_among_many()
    first_answers()


def all_at_once():
    """10,000 created as fast as the API server creates; the clock runs from the first creation to the last status written."""
    with alone() as lab:
        endpoints(lab, 10000)
        started(lab)
        lab.kubesim.bulk(10000, prefix="b")
        wait_written(lab, 10000)
        made, done = written(lab)
        created = [made[k] for k in done]
        report("alloc.e2e_10k_s", (max(done.values()) - min(created)) / 1e9,
               f"of which the API server's creating {(max(created) - min(created)) / 1e9:.2f} s")


def one_among_many():
    """Creations at 500 a second, a rate that the writes keep up with, over a standing 1,000."""
    with alone() as lab:
        services(lab, 1000)
        endpoints(lab, 2000, "p")
        started(lab)
        wait_written(lab, 1000)
        time.sleep(3)  # their Events
        control, begin = Control(lab), time.perf_counter()
        for i in range(2000):
            time.sleep(max(0, begin + i / 500 - time.perf_counter()))
            control.service(f"p{i:05d}")
        wait_written(lab, 3000)
        made, done = written(lab)
        waits = sorted(done[k] - made[k] for k in done if k[0] == "p")
        report("alloc.e2e_p99_ms", waits[len(waits) * 99 // 100] / 1e6,
               f"median {waits[len(waits) // 2] / 1e6:.2f}, worst {waits[-1] / 1e6:.2f}")


def first_answers():
    """Create -> the client's first HTTP answer, on three nodes. The data path is laid beforehand (a DNAT for the whole pool):
    this measures lbd and not the stand-in for kube-proxy."""
    waits = []
    pool = HEAD + "pools:\n- name: lan\n  addresses: [10.89.0.98-10.89.0.127]\n" + FAST
    with Lab(nodes=3, proxy=False, config=pool) as lab, Inside(lab.client.ns) as client:
        for n in lab.nodes:
            n.run("nft", "add table ip lay; add chain ip lay nat { type nat hook prerouting priority dstnat; };"
                  " add chain ip lay out { type nat hook postrouting priority srcnat; };"
                  " add rule ip lay nat ip daddr 10.89.0.96/27 tcp dport 80 dnat to 10.244.1.2:8080;"
                  " add rule ip lay out ct status dnat masquerade")
        lab.start(binary_path=STATIC)
        wait_for("a leader", lambda: any(n.dump()["leader"]["ready"] for n in lab.nodes))
        time.sleep(4)  # the nodes know each other (OWNERSHIP: join)
        control = Control(lab)
        for i in range(30):
            ip = f"10.89.0.{98 + i}"
            control.endpoint(f"f{i}")
            time.sleep(0.2)
            begin = time.perf_counter()
            control.service(f"f{i}", ip)
            waits.append((client.run(first_answer, ip) - begin) * 1000)
    report("alloc.e2e_first_answer_ms", statistics.median(waits), f"worst {max(waits):.1f}")
    figures["alloc.e2e_first_answer_worst_ms"] = round(max(waits), 3)


# -- mem --

def hwm_with(n):
    """The peak of a start with n Services standing, all without an address: list, allocate, write, announce."""
    with alone() as lab:
        if n:
            services(lab, n)
        started(lab)
        if n:
            wait_written(lab, n)
            wait_answering(lab, n)
        time.sleep(2)
        return status_kb(lab.nodes[0].pid, "VmHWM") / 1024


def churn_growth():
    """RSS when 1,000 Services have come and gone, again and again: its growth between two rounds. The allocator's slack makes
    it swing by some ten kilobytes from one to the next, so each mark is the median of five."""
    rounds, first, size, window = (100, 20, 1000, 5) if LONG else (30, 18, 1000, 5)
    at = {}
    with alone() as lab:
        endpoints(lab, size, "c")
        started(lab)
        for i in range(1, rounds + 1):
            lab.kubesim.bulk(size, prefix="c")
            wait_written(lab, i * size)
            lab.kubesim.bulk_delete(prefix="c")
            if 0 <= first - i < window or rounds - i < window:
                time.sleep(1)
                at[i] = status_kb(lab.nodes[0].pid, "VmRSS")
    before = statistics.median(v for i, v in at.items() if i <= first)
    return statistics.median(v for i, v in at.items() if i > first) - before, first * size, rounds * size


def first_vip(n):
    """A restart with n Services standing: exec -> the first VIP answered again."""
    with alone() as lab, Inside(lab.client.ns) as client:
        node, waits = lab.nodes[0], []
        services(lab, n)
        started(lab)
        wait_written(lab, n)
        wait_answering(lab, n)
        for _ in range(10 if LONG else 5):
            wait_published(lab, node, n)
            node.kill()
            found = client.start(ask_until, lab.client.mac, FIRST_VIP)
            time.sleep(0.1)
            begin = time.perf_counter()
            node.start(binary_path=STATIC, ready=False)
            waits.append((found.result() - begin) * 1000)
            wait_answering(lab, n)
        return statistics.median(waits), max(waits)


def bench_mem():
    report("size.static_kb", STATIC.stat().st_size / 1000)
    for n, key in ((0, "mem.rss_0_mb"), (1000, "mem.rss_1k_mb"), (10000, "mem.rss_10k_mb")):
        report(key, hwm_with(n))
    growth, first, last = churn_growth()
    long = "" if LONG else " (LONG=1: 20,000, 100,000)"
    report("mem.churn_growth_kb", growth, f"between Service {first:,} and {last:,}{long}")
    for n, key in ((1000, "start.first_vip"), (10000, "start.first_vip_10k")):
        median, worst = first_vip(n)
        report(f"{key}_ms", median, f"worst {worst:.0f}")
        figures[f"{key}_worst_ms"] = round(worst, 3)


# -- idle --

class Idle:
    """Two nodes with shipped timers; the second is neither leader nor owner of an address, and has a user of its own, so that
    the API's counts tell the two apart."""

    def __init__(self, stack, n):
        minute = ("--bookmark-ms", 60000)  # as the real API server
        self.n = n
        self.lab = stack.enter_context(Lab(nodes=2, pods=False, proxy=False, config=WIDE, kubesim_args=minute))
        first, self.node = self.lab.nodes
        if n:
            services(self.lab, n)
        first.start(binary_path=STATIC, ready=False)
        wait_leader(self.lab)
        if n:
            wait_written(self.lab, n)
            wait_answering(self.lab, n)
        # In no segment with the first, and deaf at its port: no BFD.
        alone = WIDE.replace("[eth0]", "[eth9]") + "elections: {bfd: {port: 3785}}\n"
        self.node.start(alone, binary_path=STATIC, kubeconfig=self.lab.kubesim.kubeconfig("second"), ready=False)

    def settle(self):
        """Until the Events and conditions of the start are written and the second node has its place."""
        counts = [-1]
        # Each Service's address, then its condition, which waits for seconds before it begins.
        wait_for("every condition to be written", lambda: status_writes(self.lab) >= 2 * self.n, 600, 1)

        def calm():
            counts.append(self.lab.kubesim.count("lbd", resource="events") + status_writes(self.lab))
            return counts[-1] == counts[-2]
        wait_for("the Events and conditions to be written", calm, 600, 8)

    def read(self):
        pid = self.node.pid
        users = self.lab.kubesim.stats()["users"]
        counts = {f"{user}.{k}": users.get(user, {}).get(k, 0) for user in ("lbd", "second")
                  for k in ("writes", "reads", "bytes")}
        return {**counts, "wakeups": status_kb(pid, "voluntary_ctxt_switches"),
                "cpu_ms": cpu_ms(pid), "s": time.monotonic()}


def bench_idle():
    seconds = 600 if LONG else 60
    with contextlib.ExitStack() as stack:
        rigs = [Idle(stack, 0), Idle(stack, 10000)]
        for rig in rigs:
            rig.settle()
        time.sleep(15)
        before = [rig.read() for rig in rigs]
        time.sleep(seconds)
        after = [rig.read() for rig in rigs]
        figures["mem.rss_10k_member_mb"] = round(status_kb(rigs[1].node.pid, "VmHWM") / 1024, 4)
    none, many = ({k: (v - b[k]) / (r["s"] - b["s"]) for k, v in r.items()} for r, b in zip(after, before))
    long = "" if LONG else " (LONG=1: 600 s)"
    report("idle.writes_per_s", none["second.writes"], f"{seconds} s{long}; leader {none['lbd.writes']:.3f}")
    report("idle.writes_per_s_10k", many["second.writes"], f"leader, which owns all 10,000: {many['lbd.writes']:.3f}")
    figures["idle.leader_writes_per_s"] = round(none["lbd.writes"], 4)
    figures["idle.leader_writes_per_s_10k"] = round(many["lbd.writes"], 4)
    report("idle.reads_per_s", none["second.reads"])
    report("idle.bytes_per_s", none["second.bytes"], f"at 10,000 Services: {many['second.bytes']:.0f}")
    report("idle.wakeups_per_s", none["wakeups"], f"at 10,000 Services: {many['wakeups']:.2f}")
    report("idle.cpu_ms_per_s", none["cpu_ms"], f"at 10,000 Services: {many['cpu_ms']:.3f}")
    report("mem.rss_10k_member_mb", figures["mem.rss_10k_member_mb"], "a node that only looks on")
    three_nodes(seconds)


def three_nodes(seconds):
    """What BFD at the shipped 100 ms costs each of three nodes: of one that is not the leader."""
    with Lab(nodes=3, pods=False, proxy=False, config=WIDE) as lab:
        lab.nodes[0].start(binary_path=STATIC, ready=False)
        wait_leader(lab)
        for node in lab.nodes[1:]:
            node.start(binary_path=STATIC, ready=False)
        time.sleep(15)
        pid, at = lab.nodes[2].pid, time.monotonic()
        cpu, woken = cpu_ms(pid), status_kb(pid, "voluntary_ctxt_switches")
        time.sleep(seconds)
        took = time.monotonic() - at
        report("idle.bfd3_cpu_ms_per_s", (cpu_ms(pid) - cpu) / took,
               f"{(status_kb(pid, 'voluntary_ctxt_switches') - woken) / took:.1f} wake-ups a second")
    bare = subprocess.run([TOOLS / "bareloop", "44", str(seconds // 4)], capture_output=True, text=True, check=True).stdout
    report("rival.bareloop.idle.bfd3_cpu_ms_per_s", float(bare), "44 wake-ups and 22 datagrams a second, nothing else")


# -- arp --

def rtt_on(lab, cores, ip):
    """Median round trip, us: arpblast on the first core, lbd on the last of them."""
    os.sched_setaffinity(lab.nodes[0].pid, {cores[-1]})
    try:
        return blast(lab, "-w", "1", "-t", 3 if LONG else 1, ip, core=cores[0])["rtt_p50_us"]
    finally:
        os.sched_setaffinity(lab.nodes[0].pid, range(os.cpu_count()))


def against_kernel(lab, name, vip, kernel):
    """Interleaved, so that both see the same machine. The kernel answers on the asker's core: round trips are compared with lbd
    on that core too; between cores they cost what the machine's interrupts between cores cost, which is told beside it."""
    rounds, seconds = (20, 3) if LONG else (5, 1)
    rate, rtt, apart = {"lbd": [], "kernel": []}, {"lbd": [], "kernel": []}, []
    for _ in range(rounds):
        for who, ip in (("kernel", kernel), ("lbd", vip)):
            rate[who].append(blast(lab, "-w", "64", "-t", seconds, ip)["rate"])
            rtt[who].append(rtt_on(lab, (0, 0), ip))
        if os.cpu_count() > 1:
            apart.append(rtt_on(lab, (0, 1), vip))
    for who, key in (("lbd", name), ("kernel", f"rival.kernel.{name}")):
        figures[f"{key}.rate_per_s"] = statistics.median(rate[who])
        figures[f"{key}.rate_worst_per_s"] = min(rate[who])
        figures[f"{key}.rtt_p50_us"] = statistics.median(rtt[who])
        figures[f"{key}.rtt_p50_worst_us"] = max(rtt[who])
    for key, what, worst, unit in (("rate_vs_kernel", "rate_per_s", "rate_worst_per_s", " a second"),
                                   ("rtt_p50_vs_kernel", "rtt_p50_us", "rtt_p50_worst_us", " us")):
        ours, theirs = figures[f"{name}.{what}"], figures[f"rival.kernel.{name}.{what}"]
        report(f"{name}.{key}", ours / theirs, f"{ours:.6g} (worst {figures[f'{name}.{worst}']:.6g}), kernel {theirs:.6g}"
               f" (worst {figures[f'rival.kernel.{name}.{worst}']:.6g}){unit}")
    if apart:
        report(f"{name}.rtt_p50_two_cores_us", statistics.median(apart))


def under_junk(lab, vip, kernel):
    """The worst answer while junk from a third host passes, ours and the kernel's by turns: with fewer cores than busy
    processes it is the scheduler that is measured, in both."""
    rounds, worst, rtt = (10 if LONG else 4), {"lbd": [], "kernel": []}, {}
    junk = subprocess.Popen(lab.api.argv(TOOLS / "arpblast", "-i", "eth0", "-j", "200000", "-t", 2.2 * rounds + 1, "10.77.0.1",
                                         "250"), stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    for _ in range(rounds):
        for who, ip in (("kernel", kernel), ("lbd", vip)):
            rtt[who] = blast(lab, "-w", "1", "-t", "1", ip)
            worst[who].append(rtt[who]["rtt_max_us"] / 1000)
    rate = re.search(r"rate=(\d+)", junk.communicate()[0]).group(1)
    figures["rival.kernel.arp.under_junk_ms"] = max(worst["kernel"])
    p999 = {who: r["rtt_p999_us"] for who, r in rtt.items()}
    report("arp.under_junk_ms", max(worst["lbd"]), f"kernel {max(worst['kernel']):.2f}; p99.9 {p999['lbd']:.0f} us,"
           f" kernel {p999['kernel']:.0f} us; {rate} frames a second")


def many_vips(lab, vip):
    """Interleaved: one address asked for, then all in turn, while all 10,000 are there."""
    rounds, seconds = (20, 3) if LONG else (5, 1)
    lab.kubesim.bulk(9999, prefix="more")
    wait_written(lab, 10000)
    wait_answering(lab, 10000)
    time.sleep(6)  # their bursts are over
    ratios = []
    for _ in range(rounds):
        one = blast(lab, "-w", "64", "-t", seconds, vip)["rate"]
        ratios.append(blast(lab, "-w", "64", "-t", seconds, FIRST_VIP, "10000")["rate"] / one)
    report("arp.rate_10k_vs_1", statistics.median(ratios), f"worst {min(ratios):.3f}")


def bench_arp():
    with alone() as lab:
        services(lab, 1)
        endpoints(lab, 9999, "more")
        started(lab)
        wait_written(lab, 1)
        wait_answering(lab, 1)
        time.sleep(6)  # its burst is over
        against_kernel(lab, "arp", FIRST_VIP, lab.nodes[0].addr)
        under_junk(lab, FIRST_VIP, lab.nodes[0].addr)
        many_vips(lab, FIRST_VIP)
    bench_ndp()


def six(lab, name):
    """A Service of IPv6, with an endpoint and an owner; its address."""
    lab.service(name, ipFamilies=["IPv6"], ipFamilyPolicy="SingleStack")
    return lab.wait_ip(name)


def bench_ndp():
    with Lab(nodes=1, pods=False, proxy=False, config=HEAD + TWO_POOLS + FAST) as lab:
        started(lab)
        ip = six(lab, "web")
        wait_for("an answer", lambda: blast(lab, "-n", 1, ip).get("replies"), 30, 0.2)
        time.sleep(6)  # its burst is over
        against_kernel(lab, "ndp", ip, lab.nodes[0].addr6)


# -- l2 --

def garp_matrix():
    """How soon a Linux neighbour follows each frame that lbd sends when it takes an address; the client has asked before, so that
    it is told apart, too."""
    rows, slow = [], []
    with Lab(nodes=1, pods=False, proxy=False, config=HEAD + TWO_POOLS + FAST) as lab:
        started(lab)
        node = lab.nodes[0]
        for make in (lambda: lab.service("four") and lab.wait_ip("four"), lambda: six(lab, "six")):
            ip = make()
            blast(lab, "-n", 1, ip)
            found = matrix.forms(lab.client, node.mac, ip, 10)  # to the end of the burst
            control = matrix.ignored_form(ip, lab.api.mac) if ":" not in ip else None
            assert control is None or matrix.measure(lab.client, lab.api, ip, control, lab.api.mac, 0.1) is None
            for form, frame in sorted(found.items()):
                for age in matrix.AGES_S:
                    took = [matrix.measure(lab.client, lab.api, ip, frame, node.mac, age) for _ in range(5 if LONG else 3)]
                    rows.append((form, age))
                    if None in took or statistics.median(took) > 1:
                        slow.append((form, age, took))
    figures["l2.garp_matrix_rows"] = len(rows)
    BARS["l2.garp_matrix_flips"] = len(rows)
    report("l2.garp_matrix_flips", len(rows) - len(slow), f"of {len(rows)}; {', '.join(sorted({f for f, _ in rows}))}"
           + (f"; not: {slow}" if slow else ""))


def bench_l2_group():
    garp_matrix()
    bench_l2(report, TOOLS, STATIC, services, LONG)


def bench_bfd_group():
    skipped["rival.frr.bfd.detect_3ms_ms"] = "FRR's bfdd takes no interval below 10 ms"
    bench_bfd(report, LONG)


def bench_bgp_group():
    bench_bgp(report, skipped, TOOLS, Rig(STATIC, services, wait_leader, wait_written), LONG)


def bench_small_group():
    tools = Tools(TOOLS, alone, services, started, wait_written, wait_published, ask_until, status_kb, cpu_ms, FIRST_VIP)
    bench_small(report, figures, tools, LONG)


GROUPS = {"alloc": bench_alloc, "mem": bench_mem, "idle": bench_idle, "arp": bench_arp, "bfd": bench_bfd_group,
          "l2": bench_l2_group, "bgp": bench_bgp_group, "small": bench_small_group}


def save(fresh):
    """fresh: begins the file; else what it held of other groups stays."""
    path = ROOT / "build" / "bench.json"
    old = json.loads(path.read_text()) if path.exists() and not fresh else {}
    gone = {**old.pop("skipped", {}), **skipped}
    new = {**old, **figures}
    new["skipped"] = {k: why for k, why in gone.items() if k not in new}
    path.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n")
    return path


def run(name):
    """False: it broke off; what it had measured until then stands."""
    print(name, flush=True)
    try:
        GROUPS[name]()
        return True
    except (AssertionError, OSError, KeyError, subprocess.SubprocessError) as e:
        traceback.print_exc()
        skipped[f"{name} (the rest of it)"] = str(e)
        return False


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = sys.argv[1:] or list(GROUPS)
    unknown = [n for n in names if n not in GROUPS]
    if unknown:
        sys.exit(f"bench.py: no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    print(f"{os.cpu_count()} x {cpu.group(1) if cpu else 'cpu'}, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f},"
          f" {'LONG' if LONG else 'short'} runs")
    good = [run(name) for name in names]
    path = save(fresh=not sys.argv[1:])
    for key, why in skipped.items():
        print(f"  skipped: {key}: {why}")
    print(f"written to {path.relative_to(ROOT)}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
