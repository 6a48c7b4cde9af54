# SPDX-License-Identifier: Apache-2.0
"""make bench [bench-GROUP]: the figures of shared/BENCH.md, printed as a table and written to build/bench.json.

    bench.py [GROUP...]      alloc mem idle arp; LONG=1 for the table's full durations

Every figure is measured in this run, on this machine; what could not be measured is named in "skipped", with why.
"""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlparse

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lab"))
from kubesim import admin_context  # noqa: E402
from lab import FAST, Lab, wait_for  # noqa: E402

LONG = os.environ.get("LONG") == "1"
STATIC = ROOT / "build" / "static" / "x86_64-linux-gnu" / "lbd"
HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
WIDE = HEAD + "pools:\n- name: wide\n  addresses: [10.89.64.0/18]\nl2Advertisements:\n- {name: all, interfaces: [eth0]}\n"
BARS = {
    "alloc.100k_ms": 100, "alloc.100k_pool90_ms": 100, "alloc.e2e_10k_s": 2, "alloc.e2e_p99_ms": 5,
    "alloc.e2e_first_answer_ms": 20, "mem.rss_0_mb": 1.5, "mem.rss_1k_mb": 2.5, "mem.rss_10k_mb": 8,
    "mem.churn_growth_kb": 64, "size.static_kb": 1000, "start.first_vip_ms": 50, "start.first_vip_10k_ms": 300,
    "idle.writes_per_s": 0.1, "idle.writes_per_s_10k": 0.1, "idle.reads_per_s": 0, "idle.bytes_per_s": 1000,
    "idle.wakeups_per_s": 1, "idle.cpu_ms_per_s": 0.05, "arp.rate_vs_kernel": 0.45, "arp.rtt_p50_vs_kernel": 2.5,
    "arp.rate_10k_vs_1": 0.95, "arp.under_junk_ms": 1,
}
AT_LEAST = {"arp.rate_vs_kernel", "arp.rate_10k_vs_1"}
figures, skipped = {}, {}


def report(key, value):
    figures[key] = round(value, 4)
    bar = BARS.get(key)
    verdict = ""
    if bar is not None:
        good = value >= bar if key in AT_LEAST else value <= bar
        verdict = f"{'at least' if key in AT_LEAST else 'at most'} {bar}: {'met' if good else 'MISSED'}"
    print(f"  {key:32} {value:12.3f}   {verdict}", flush=True)


def status_kb(pid, field):
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def real_pid(node):
    """ip netns exec becomes the command: the process is lbd itself."""
    return node.process.pid


def bulk(lab, n, prefix="b", method="POST"):
    lab.must(method, "/kubesim/bulk", {"services": n, "prefix": prefix, "namespace": "default"})


def written(lab, since=0):
    """name -> (created ns, first status with an address ns), from the API's own journal."""
    made, done = {}, {}
    for w in lab.kubesim.log(since):
        if w["resource"] != "services":
            continue
        if w["user"] == "lbd":
            if w.get("ips"):
                done.setdefault(w["name"], w["ns"])
        else:
            made.setdefault(w["name"], w["ns"])
    return made, done


def wait_written(lab, n, since=0, timeout=120):
    wait_for(f"{n} addresses", lambda: len(written(lab, since)[1]) >= n, timeout, interval=0.3)
    return written(lab, since)


# -- alloc --

def bench_alloc():
    out = subprocess.run([ROOT / "build" / "bench" / "bench_alloc"], capture_output=True, text=True, check=True).stdout
    for key, value in re.findall(r"(alloc\.\S+) ([0-9.]+)", out):
        report(key, float(value))
    with Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST) as lab:
        lab.start(binary_path=STATIC)
        wait_for("a leader", lambda: lab.nodes[0].dump()["leader"]["ready"])
        since = lab.kubesim.log()[-1]["seq"]
        bulk(lab, 10000)
        made, done = wait_written(lab, 10000, since)
        report("alloc.e2e_10k_s", (max(done.values()) - min(made.values())) / 1e9)
    # The latency of one among many: creations at a rate that the writers can keep up with, over a standing 1,000.
    with Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST) as lab:
        lab.start(binary_path=STATIC)
        bulk(lab, 1000)
        wait_written(lab, 1000)
        since = lab.kubesim.log()[-1]["seq"]
        create = raw_creator(lab)
        for i in range(2000):
            create(f"p{i}")
        made, done = wait_written(lab, 2000, since)
        waits = sorted(done[k] - made[k] for k in done if k in made)
        report("alloc.e2e_p99_ms", waits[len(waits) * 99 // 100] / 1e6)
    bench_first_answer()


def raw_creator(lab):
    """A function that creates a Service by one POST on a kept connection, from inside the API's namespace."""
    url, context = admin_context(lab.kubesim.dir)
    conn = in_namespace(lab.api.ns, lambda: connect(url, context))

    def create(name, ip=None):
        spec = {"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": name}}
        if ip:
            spec["loadBalancerIP"] = ip
        body = json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
        conn.request("POST", "/api/v1/namespaces/default/services", body, {"Content-Type": "application/json"})
        answer = conn.getresponse()
        answer.read()
        assert answer.status == 201, answer.status
    return create


def connect(url, context):
    u = urlparse(url)
    conn = http.client.HTTPSConnection(u.hostname, u.port, context=context)
    conn.connect()
    conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return conn


def in_namespace(name, fn):
    """Runs fn in a thread that is in the network namespace: sockets made there stay there."""
    def run():
        with open(f"/run/netns/{name}") as f:
            setns(f.fileno())
        return fn()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def setns(fd):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def bench_first_answer():
    """Create -> the client's first HTTP answer. The data path is laid beforehand (a DNAT for the whole pool), so that this
    measures lbd and not the stand-in for kube-proxy."""
    waits = []
    with Lab(nodes=3, proxy=False) as lab:
        for n in lab.nodes:
            n.run("nft", "add table ip lay; add chain ip lay nat { type nat hook prerouting priority dstnat; };"
                  " add chain ip lay out { type nat hook postrouting priority srcnat; };"
                  " add rule ip lay nat ip daddr 10.89.0.96/27 tcp dport 80 dnat to 10.244.1.2:8080;"
                  " add rule ip lay out ct status dnat masquerade")
        lab.start(binary_path=STATIC)
        wait_for("a leader", lambda: any(n.dump()["leader"]["ready"] for n in lab.nodes))
        create = raw_creator(lab)
        for i in range(30):
            ip = f"10.89.0.{100 + i % 20}"
            name = f"f{i}"
            lab.endpoints(name)
            lab.client.forget(ip)
            begin = time.perf_counter()
            create(name, ip)
            in_namespace(lab.client.ns, lambda: first_answer(ip))
            waits.append((time.perf_counter() - begin) * 1000)
            lab.delete_service(name)
            wait_for("silence", lambda: not lab.owners(ip))
    report("alloc.e2e_first_answer_ms", statistics.median(waits))
    figures["alloc.e2e_first_answer_worst_ms"] = round(max(waits), 3)


def first_answer(ip):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            with socket.create_connection((ip, 80), timeout=5) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if s.recv(4096):
                    return
        except OSError:
            time.sleep(0.002)
    raise AssertionError(f"no answer from {ip}")


# -- mem --

def hwm_with(n, churn=False):
    with Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST) as lab:
        if n:
            bulk(lab, n)
        lab.start(binary_path=STATIC)
        pid = real_pid(lab.nodes[0])
        wait_for("a leader", lambda: lab.nodes[0].dump()["leader"]["ready"])
        if n:
            wait_written(lab, n)
            wait_for("all announced", lambda: sum(any(e["announced"] for e in v["here"])
                                                  for v in lab.nodes[0].dump()["vips"]) == n, 60, 0.5)
        else:
            time.sleep(1)
        return status_kb(pid, "VmHWM") / 1024


def churn_growth():
    """RSS after each round of 1,000 Services that come and go; growth between the marks."""
    rounds, first, size = (100, 20, 1000) if LONG else (25, 5, 1000)
    with Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST) as lab:
        lab.start(binary_path=STATIC)
        pid = real_pid(lab.nodes[0])
        at = 0
        for i in range(rounds):
            since = lab.kubesim.log()[-1]["seq"] if i else 0
            bulk(lab, size, prefix=f"c{i}-")
            wait_written(lab, size, since)
            bulk(lab, size, prefix=f"c{i}-", method="DELETE")
            wait_for("all gone", lambda: not lab.nodes[0].dump()["vips"], 30, 0.1)
            if i + 1 == first:
                at = status_kb(pid, "VmRSS")
        return status_kb(pid, "VmRSS") - at, first * size, rounds * size


def arp_until(lab, ip, begin):
    """Asks for ip each millisecond from the client until somebody answers; milliseconds since begin."""
    def run():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        s.bind(("eth0", 0x0806))
        s.settimeout(0.001)
        mac, want = bytes.fromhex(lab.client.mac.replace(":", "")), socket.inet_aton(ip)
        ask = (b"\xff" * 6 + mac + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + mac + socket.inet_aton("10.89.0.50")
               + b"\0" * 6 + want)
        end = time.perf_counter() + 30
        while time.perf_counter() < end:
            s.send(ask)
            try:
                frame = s.recv(256)
                while not (frame[20:22] == b"\0\2" and frame[28:32] == want):
                    frame = s.recv(256)
                return (time.perf_counter() - begin()) * 1000
            except TimeoutError:
                continue
        raise AssertionError("no answer")
    return in_namespace(lab.client.ns, run)


def first_vip(n):
    """A restart with n Services standing: exec -> the first VIP answered again."""
    with Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST) as lab:
        bulk(lab, n)
        node = lab.nodes[0]
        lab.start(binary_path=STATIC)
        _, done = wait_written(lab, n)
        ip = lab.ips(min(done))[0]
        wait_for("all announced", lambda: sum(any(e["announced"] for e in v["here"]) for v in node.dump()["vips"]) == n,
                 60, 0.5)
        waits = []
        for _ in range(5):
            node.kill()
            started = []
            t = threading.Thread(target=lambda: (started.append(time.perf_counter()), node.start(
                binary_path=STATIC, ready=False)))
            t.start()
            waits.append(arp_until(lab, ip, lambda: started[0]))
            t.join()
            node.wait_synced()
        return statistics.median(waits)


def bench_mem():
    report("size.static_kb", STATIC.stat().st_size / 1000)
    for n, key in ((0, "mem.rss_0_mb"), (1000, "mem.rss_1k_mb"), (10000, "mem.rss_10k_mb")):
        report(key, hwm_with(n))
    growth, first, last = churn_growth()
    report("mem.churn_growth_kb", growth)
    print(f"    (between Service {first} and {last}{'' if LONG else '; LONG=1: 20,000 and 100,000'})")
    report("start.first_vip_ms", first_vip(1000))
    report("start.first_vip_10k_ms", first_vip(10000))


# -- idle --

def idle_run(n, seconds):
    """A node that is not the leader, shipped timers, nothing changing: its API traffic, wake-ups and CPU."""
    with Lab(nodes=2, pods=False, proxy=False, config=WIDE) as lab:
        if n:
            bulk(lab, n)
        first, second = lab.nodes
        first.start(binary_path=STATIC)
        wait_for("a leader", lambda: first.dump()["leader"]["ready"], 40)
        if n:
            wait_written(lab, n)
        second.start(binary_path=STATIC, kubeconfig=second_identity(lab))
        time.sleep(15)
        pid, before = real_pid(second), lab.kubesim.stats()
        wake, cpu = counters_of(pid)
        begin = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begin
        after, (wake2, cpu2) = lab.kubesim.stats(), counters_of(pid)
        traffic = {k: (sum_of(after, "second", k) - sum_of(before, "second", k)) / took
                   for k in ("writes", "reads", "bytes")}
        return traffic, (wake2 - wake) / took, (cpu2 - cpu) / 1e6 / took


def counters_of(pid):
    return (status_kb_plain(pid, "voluntary_ctxt_switches"), int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]))


def status_kb_plain(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def second_identity(lab):
    """The second node as a user of its own, so that the API's counts tell the two apart."""
    text = (lab.kubesim.dir / "lbd.kubeconfig").read_text()
    path = lab.dir / "second.kubeconfig"
    path.write_text(re.sub(r"token: .*", "token: second-token", text))
    return path


def sum_of(stats, user, what):
    return stats["users"].get(user, {}).get(what, 0)


def bench_idle():
    seconds = 600 if LONG else 40
    traffic, wakeups, cpu = idle_run(0, seconds)
    report("idle.writes_per_s", traffic["writes"])
    report("idle.reads_per_s", traffic["reads"])
    report("idle.bytes_per_s", traffic["bytes"])
    report("idle.wakeups_per_s", wakeups)
    report("idle.cpu_ms_per_s", cpu)
    traffic, _, _ = idle_run(10000, seconds)
    report("idle.writes_per_s_10k", traffic["writes"])
    print(f"    (over {seconds} s{'' if LONG else '; LONG=1: 600 s'})")
    skipped["idle.bfd3_cpu_ms_per_s"] = "BFD is not built yet"


# -- arp --

def blast(lab, *argv):
    out = lab.client.run(ROOT / "build" / "bench" / "arpblast", "-i", "eth0", *argv).stdout
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", out)}


def bench_arp():
    rounds, seconds = (10, 3) if LONG else (5, 1)
    with Lab(nodes=1, pods=False, proxy=False, config=WIDE + FAST) as lab:
        node = lab.nodes[0]
        lab.start(binary_path=STATIC)
        bulk(lab, 1, prefix="one")
        wait_written(lab, 1)
        vip, kernel = lab.ips("one0")[0], node.addr
        wait_for("the VIP", lambda: node.announces(vip))
        rate = {"lbd": [], "kernel": []}
        rtt = {"lbd": [], "kernel": []}
        for _ in range(rounds):  # interleaved: both see the same machine
            for who, ip in (("kernel", kernel), ("lbd", vip)):
                rate[who].append(blast(lab, "-w", "64", "-t", seconds, ip)["rate"])
                rtt[who].append(blast(lab, "-w", "1", "-t", seconds, ip)["rtt_p50_us"])
        med = {k: (statistics.median(rate[k]), statistics.median(rtt[k])) for k in rate}
        report("arp.rate_vs_kernel", med["lbd"][0] / med["kernel"][0])
        report("arp.rtt_p50_vs_kernel", med["lbd"][1] / med["kernel"][1])
        figures.update({"arp.rate_per_s": med["lbd"][0], "rival.kernel.arp.rate_per_s": med["kernel"][0],
                        "arp.rtt_p50_us": med["lbd"][1], "rival.kernel.arp.rtt_p50_us": med["kernel"][1]})
        junk = lab.client.popen(ROOT / "build" / "bench" / "arpblast", "-i", "eth0", "-j", "200000", "-t", "6", "10.77.0.1",
                                "250")
        time.sleep(0.5)
        report("arp.under_junk_ms", blast(lab, "-w", "1", "-t", "3", vip)["rtt_max_us"] / 1000)
        junk.wait()
        bulk(lab, 9999, prefix="more")
        wait_written(lab, 10000)
        wait_for("all announced", lambda: sum(any(e["announced"] for e in v["here"]) for v in node.dump()["vips"]) == 10000,
                 60, 0.5)
        time.sleep(6)  # the bursts of 10,000 are over
        many = []
        for _ in range(rounds):
            many.append((blast(lab, "-w", "64", "-t", seconds, vip)["rate"],
                         blast(lab, "-w", "64", "-t", seconds, "10.89.64.0", "10000")["rate"]))
        report("arp.rate_10k_vs_1", statistics.median(b for _, b in many) / med["lbd"][0])
    skipped["ndp.rate_vs_kernel"] = "NDP is not built yet"


GROUPS = {"alloc": bench_alloc, "mem": bench_mem, "idle": bench_idle, "arp": bench_arp}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = sys.argv[1:] or list(GROUPS)
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    print(f"{os.cpu_count()} x {cpu.group(1) if cpu else 'cpu'}, Linux {os.uname().release},"
          f" {'LONG' if LONG else 'short'} runs, static binary")
    for name in names:
        print(name, flush=True)
        GROUPS[name]()
    path = ROOT / "build" / "bench.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    gone = {**old.pop("skipped", {}), **skipped}
    path.write_text(json.dumps({**old, **figures, "skipped": {k: v for k, v in gone.items() if k not in figures}}, indent=1,
                               sort_keys=True) + "\n")
    for key, why in skipped.items():
        print(f"  skipped: {key}: {why}")
    print(f"written to {path.relative_to(ROOT)}")


main()
