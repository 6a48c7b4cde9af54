# SPDX-License-Identifier: Apache-2.0
"""The port for metrics: what it says is so, and who misuses it disturbs nobody."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time

import yaml

from bgppeer import Listener, wait_state
from lab import FAST, POOL, ROOT, Inside, wait_for
from test_bgp_hostile import ASK, peer, start  # noqa: F401 (a fixture)
from test_rt import RR, needs_rr
from test_wire import claim

RULES, DASHBOARD = ROOT / "packaging/prometheus/alerts.yaml", ROOT / "packaging/grafana/lbd.json"
SAMPLE = re.compile(r'^([a-z0-9_]+)(?:\{(.*)\})? ([0-9.]+)$')


def get(node, path="/metrics", *, at="127.0.0.1", port=7472, host=None, **kw):
    """(status, body) as curl has it; (0, "") when nobody answers."""
    at = f"[{at}]" if ":" in at else at
    r = (host or node).run("curl", "-s", "-m", "5", "-w", "\n%{http_code}", *kw.get("more", ()), f"http://{at}:{port}{path}", check=False)
    body, _, status = r.stdout.rpartition("\n")
    return int(status), body


def parse(text):
    """{name: {labels: value}}; labels as they are written."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        assert labels not in found.setdefault(name, {}), line
        found[name][labels or ""] = float(value)
    return found


def scrape(node, **kw):
    status, body = get(node, **kw)
    assert status == 200, (status, body)
    return parse(body)


def value(node, name, *labels):
    """Of the one sample with those labels; None where there is none."""
    found = [v for k, v in scrape(node).get(name, {}).items() if all(x in k for x in labels)]
    assert len(found) <= 1, found
    return found[0] if found else None


def ip_is(ip):
    return f'ip="{ip}"'


def test_values(bare):
    """What happens is counted, on the node it happens on: an address taken, of a pool, ARP requests and answers, a conflict; the text is
    valid for Prometheus; MetalLB's names say the same."""
    lab = bare(nodes=2, pods=False, proxy=False)
    lab.start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    other = next(n for n in lab.nodes if n is not owner)
    before = scrape(owner)
    for _ in range(3):
        assert lab.client.arping(ip) == [owner.mac]
    m = scrape(owner)
    asked = m["lbd_arp_requests_received_total"][""] - before["lbd_arp_requests_received_total"][""]
    assert asked >= 3 and m["lbd_arp_replies_sent_total"][""] - before["lbd_arp_replies_sent_total"][""] == asked
    assert m["metallb_layer2_requests_received"][ip_is(ip)] == m["lbd_arp_requests_received_total"][""]
    assert m["metallb_layer2_responses_sent"][ip_is(ip)] == m["lbd_arp_replies_sent_total"][""]
    assert m["metallb_layer2_gratuitous_sent"][ip_is(ip)] == m["lbd_arp_announcements_sent_total"][""] >= 1
    announced = f'{ip_is(ip)},pool="lan",protocol="layer2"'
    assert m["lbd_vip_announced"] == {announced: 1} and scrape(other)["lbd_vip_announced"] == {announced: 0}
    assert m["metallb_speaker_announced"] == {f'service="default/web",protocol="layer2",node="{owner.name}",{ip_is(ip)}': 1}
    assert "metallb_speaker_announced" not in scrape(other)
    assert (m["lbd_vips"]['state="owner"'], scrape(other)["lbd_vips"]['state="watch"']) == (1, 1)
    assert m["lbd_vip_takes_total"][""] == 1 and (m["lbd_services"][""], m["lbd_services_pending"][""]) == (1, 0)
    for n in lab.nodes:
        assert value(n, "lbd_pool_addresses", 'pool="lan"', "ipv4") == 20
        assert value(n, "lbd_pool_addresses_used", 'pool="lan"', "ipv4") == 1
        assert scrape(n)["lbd_node_alive"] == {f'node="{x.name}"': 1 for x in lab.nodes}
        wait_for("BFD", lambda n=n: set(scrape(n)["lbd_bfd_session_up"].values()) == {1})
    leaders = [n for n in lab.nodes if value(n, "lbd_leader")]
    assert len(leaders) == 1
    assert value(leaders[0], "metallb_allocator_addresses_in_use_total", 'pool="lan"') == 1
    assert value(leaders[0], "metallb_allocator_addresses_total", 'pool="lan"') == 20
    assert [n for n in lab.nodes if "metallb_allocator_addresses_total" in scrape(n)] == leaders
    assert m["lbd_api_request_duration_seconds_count"][""] > 3
    assert m["lbd_api_request_duration_seconds_bucket"]['le="+Inf"'] == m["lbd_api_request_duration_seconds_count"][""]
    assert 1e6 < m["process_resident_memory_bytes"][""] < 1e8 and abs(m["process_start_time_seconds"][""] - time.time()) < 60
    assert "lbd_vip_conflict" not in m
    claim(lab.api, ip)
    wait_for("the conflict", lambda: scrape(owner).get("lbd_vip_conflict") == {ip_is(ip): 1})
    assert value(owner, "lbd_arp_claims_heard_total") >= 1


def test_failover_is_timed(bare):
    """An address that is taken from a node that died is an observation: of more than BFD's detection, of less than what the outside
    sees."""
    lab = bare(nodes=2, pods=False, proxy=False)
    lab.start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    other = next(n for n in lab.nodes if n is not owner)
    wait_for("BFD", lambda: set(scrape(other)["lbd_bfd_session_up"].values()) == {1})
    assert value(other, "lbd_failover_seconds_count") == 0
    began = time.monotonic()
    owner.kill()
    wait_for("the address", lambda: value(other, "lbd_vip_announced", ip_is(ip)) == 1)
    took = time.monotonic() - began
    assert value(other, "lbd_failover_seconds_count") == 1
    assert 0.05 < value(other, "lbd_failover_seconds_sum") < took
    wait_for("its death", lambda: value(other, "lbd_node_alive", f'node="{owner.name}"') == 0)


def test_bgp(start):  # noqa: F811
    """A session and what is told on it, by lbd's names and by MetalLB's."""
    node, router = start(peer(1790))
    listener = Listener(router, 1790)
    node.start()
    label = 'peer="10.89.0.60:1790"'
    wait_for("its row", lambda: value(node, "metallb_bgp_session_up", label) == 0)
    s = listener.accept().handshake(65002)
    wait_state(node, "p1790", "Established")
    node.lab.service("web")
    wait_for("the route", lambda: s.routes)
    m = scrape(node)
    assert m["metallb_bgp_session_up"][label] == 1 == m["lbd_bgp_session_up"]['peer="p1790"']
    assert m["metallb_bgp_announced_prefixes_total"][label] == 1 == m["lbd_bgp_prefixes_announced"]['peer="p1790"']
    assert m["metallb_bgp_updates_total"][label] >= 1 and m["metallb_bgp_opens_sent"][label] >= 1
    assert m["metallb_bgp_opens_received"][label] == 1 and m["metallb_bgp_keepalives_received"][label] >= 1
    kinds = ("opens", "notifications", "keepalives", "route_refresh")
    assert m["metallb_bgp_total_sent"][label] == m["metallb_bgp_updates_total"][label] + sum(
        m[f"metallb_bgp_{k}_sent"][label] for k in kinds)
    assert sum(v for k, v in m["lbd_vip_announced"].items() if 'protocol="bgp"' in k) == 1


def names_in(expr):
    return {re.sub(r"_(bucket|sum|count)$", "", n) for n in re.findall(r"\b((?:lbd|metallb|process)_[a-z0-9_]+)", expr)}


def test_alerts_fire():
    """Each alert, when it should, and for what it should."""
    cases = ROOT / "tests/lab/alerts_test.yaml"
    r = subprocess.run(["promtool", "test", "rules", cases], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    fired = {a["alertname"] for t in yaml.safe_load(cases.read_text())["tests"] for a in t["alert_rule_test"] if a["exp_alerts"]}
    assert fired == {r["alert"] for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"]}


def test_rules_and_dashboard(bare):
    """promtool takes the rules and what lbd says; each metric that the rules and the dashboard name is one that it has."""
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)
    rules = [r for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    exprs = [r["expr"] for r in rules] + [t["expr"] for p in panels for t in p.get("targets", [])]
    node = bare(nodes=1, pods=False, proxy=False).nodes[0].start()
    _, text = get(node)
    r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    # MetalLB's own names are not by the book, and cannot be others
    assert [line for line in r.stderr.splitlines() if line and not line.startswith("metallb_")] == [], r.stderr
    families = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    assert families and set().union(*map(names_in, exprs)) - families == set()
    assert sorted(families) == re.findall(r"^# TYPE (\S+) ", text, re.M)
    for expr in exprs:
        expr = expr.replace("$__rate_interval", "5m").replace("$instance", ".*")
        rule = {"groups": [{"name": "x", "rules": [{"record": "x", "expr": expr}]}]}
        path = node.lab.dir / "rule.yaml"
        path.write_text(yaml.safe_dump(rule))
        subprocess.run(["promtool", "check", "rules", path], check=True, capture_output=True)


def test_health(bare):
    """Not ready until it has seen the cluster; ready although the API is gone; alive all the time.  A configuration that is not taken is
    said."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    node.cut()
    node.start(ready=False)
    wait_for("the port", lambda: get(node, "/healthz")[0])
    assert get(node, "/healthz") == (200, "[+]loop ok\nhealthz check passed\n")
    status, text = get(node, "/readyz")
    assert status == 503 and "[-]api failed: Services and nodes are not known yet\n" in text
    assert "readyz check failed\n" in text and value(node, "lbd_api_synced") == 0
    node.cut(False)
    node.wait_synced(20)
    assert get(node, "/readyz") == (200, "[+]api ok\n[+]config ok\n[+]interfaces ok\n[+]running ok\nreadyz check passed\n")
    node.config_path.write_text("pools: nonsense\n")
    wait_for("word of the configuration", lambda: value(node, "lbd_config_valid") == 0)
    assert value(node, "metallb_k8s_client_config_stale_bool") == 1
    status, text = get(node, "/readyz")
    assert status == 200 and "[+]config ok: the latest one was not taken, the one before is in force\n" in text
    node.cut()
    wait_for("word of the outage", lambda: value(node, "lbd_api_synced") == 0, 60)
    assert get(node, "/healthz")[0] == 200
    node.link(False)
    wait_for("no interface", lambda: "[-]interfaces failed" in get(node, "/readyz")[1])
    assert get(node, "/readyz")[0] == 503 and get(node, "/healthz")[0] == 200


def conf(metrics):
    return f"apiVersion: lbd.io/v1\nkind: Config\npools:\n- name: lan\n  addresses: [{POOL}]\n{FAST}metrics: {metrics}\n"


def test_where(bare):
    """The address and port are what the configuration says now, without a restart; a port that is taken is an error in the log, and
    taken when it is free; port 0 is nowhere."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start(conf("{port: 7472}"))
    inside = Inside(node.ns)
    lab.stack.callback(inside.close)
    assert get(node)[0] == 200 and get(node, at=node.addr) == (0, "")

    def use(metrics):
        node.config_path.write_text(conf(metrics))

    use("{address: node}")
    wait_for("the node's address", lambda: get(node, at=node.addr, host=lab.client)[0] == 200)
    assert get(node) == (0, "")
    use("{address: '::', port: 7473}")
    wait_for("every address", lambda: get(node, port=7473)[0] == 200)
    assert get(node, port=7473, at="::1")[0] == get(node, port=7473, at=node.addr)[0] == 200
    assert get(node, at=node.addr) == (0, "")
    other = inside.run(lambda: socket.create_server(("127.0.0.1", 7474)))
    use("{port: 7474}")
    wait_for("word of the port", lambda: "another program has the port" in node.log.read_text())
    assert node.alive() and get(node, port=7473) == (0, "")
    other.close()
    wait_for("the port", lambda: get(node, port=7474)[0] == 200)
    assert node.log.read_text().count("another program has the port") == 1
    use("{port: 0}")
    wait_for("nowhere", lambda: get(node, port=7474) == (0, ""))
    assert "7474" not in node.run("ss", "-ltn").stdout
    use("{port: 7472}")
    wait_for("the port again", lambda: get(node)[0] == 200)
    assert node.stop() == 0


def test_where_without_the_api(bare):
    """Where the Node's addresses are not known, those of its interfaces are taken."""
    node = bare(nodes=1, pods=False, proxy=False).nodes[0]
    node.cut()
    node.start(conf("{address: node}"), ready=False)
    wait_for("its own address", lambda: get(node, "/readyz", at=node.addr)[0] == 503)
    assert get(node, "/readyz") == (0, "")
    node.cut(False)
    node.wait_synced(20)
    assert get(node, "/readyz", at=node.addr)[0] == 200


def test_many(bare):
    """Of a large cluster the answer is made by a copy of the process: about this process all the same."""
    lab = bare(nodes=1, pods=False, proxy=False, config=f"pools:\n- name: lan\n  addresses: [10.90.0.0/22]\n{FAST}")
    node = lab.nodes[0].start()
    for i in range(230):
        lab.service(f"s{i}", endpoints=False)
    wait_for("the addresses", lambda: value(node, "lbd_pool_addresses_used", "ipv4") == 230, 30)
    m = scrape(node)
    assert m["lbd_services"][""] == 230 == len(m["lbd_vip_announced"])
    assert m["process_open_fds"][""] > 10 and m["process_cpu_seconds_total"][""] > 0.01
    answers = [None] * 8

    def one(i):
        answers[i] = get(node)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(status == 200 and len(parse(text)["lbd_vip_announced"]) == 230 for status, text in answers)
    assert node.stop() == 0


def misbehave(mode, port, end):
    """Connections without end, of one kind."""
    many = []
    while not end.is_set():
        with contextlib.suppress(OSError):
            s = socket.create_connection(("127.0.0.1", port), timeout=1)
            s.settimeout(0.2)
            if mode == "crowd":
                many.append(s)
                del many[:-100]
            elif mode == "garbage":
                s.sendall(bytes(range(256)) * 64)
                s.close()
            elif mode == "slow":
                for c in b"GET /metrics HTTP/1.1\r\nX: ":
                    s.sendall(bytes([c]))
                    end.wait(0.01)
                many.append(s)
                del many[:-5]
            elif mode == "deaf":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
                many.append(s)
                del many[:-5]
            elif mode == "reset":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                s.close()
            else:
                s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 10)
                s.recv(100000)
                s.close()
    for s in many:
        s.close()


HOSTILE = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from test_metrics import misbehave
for mode in sys.argv[2:]:
    threading.Thread(target=misbehave, args=(mode, 7472, threading.Event())).start()
"""


@needs_rr  # as the unit file lets it: what else this machine does is not what is judged here
def test_nobody_else_is_disturbed(bare):
    """Clients that connect without end and say nothing, send garbage, one byte at a time, do not read, reset, ask without end: an ARP
    answer for a VIP comes within 10 ms, and Prometheus has its own; of twenty scrapes at most one is lost, as its connection goes for
    another's."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start(prefix=RR)
    lab.service("web")
    vip = lab.wait_ip("web")
    lab.wait_owner(vip)
    hostile = node.popen(sys.executable, "-c", HOSTILE, ROOT / "tests/lab", "crowd", "garbage", "slow", "deaf", "reset", "ask",
                         log=lab.dir / "hostile")
    lab.stack.callback(hostile.wait)
    lab.stack.callback(hostile.kill)

    def scraped():
        return parse(wait_for("a scrape among them", lambda: next((body for status, body in [get(node)] if status == 200), None)))

    wait_for("the crowd", lambda: scraped()["lbd_http_refused_total"]['reason="crowded"'])
    out = lab.dir / "asked"
    asker = lab.client.popen(sys.executable, "-c", ASK, lab.client.mac, lab.client.addr, vip, node.addr, log=out)
    lab.stack.callback(asker.wait)
    lab.stack.callback(asker.kill)
    until, codes = time.monotonic() + 6, []
    while time.monotonic() < until:
        codes.append(get(node)[0])
    answered = codes.count(200)
    asker.kill()
    delays = {ip: [] for ip in (vip, node.addr)}
    for line in out.read_text().splitlines()[1:-1]:
        ip, ms = line.split()
        delays[ip].append(float(ms))
    m = scraped()
    print(f"{len(delays[vip])} answers, worst {max(delays[vip]):.2f} ms, the kernel's {max(delays[node.addr]):.2f} ms; "
          f"{answered} of {len(codes)} scrapes; {m['lbd_http_requests_total']} {m['lbd_http_refused_total']}")
    assert m["lbd_http_requests_total"][""] > 1000 and m["lbd_http_refused_total"]['reason="malformed"'] > 10
    assert len(delays[vip]) > 200 and max(delays[vip]) < 10
    assert answered > 10 and answered >= 0.95 * len(codes) and m["lbd_loop_stalls_total"][""] == 0
    hostile.kill()
    hostile.wait()
    assert get(node, "/readyz")[0] == 200 and node.stop() == 0
