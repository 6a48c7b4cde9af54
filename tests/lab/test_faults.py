# SPDX-License-Identifier: Apache-2.0
"""The API server does everything wrong in turn: lbd recovers from each without a restart and without a storm, keeps
announcing what it announced, and announces nothing that no Service holds."""

import ipaddress
import itertools
import json
import os
import shutil
import threading
import time

import pytest
from judge import USERS, History, start_nodes
from kubesim import ControlConnection
from lab import API_ADDR, FAST, Lab, Timeout, wait_for

LONG = bool(os.environ.get("LONG"))
ON_S = 3.3        # a fault lasts longer than the node's Lease (FAST: 3 s), so that whoever trusted it would move things
STORM = 20        # requests per second and node that are a storm
BACKOFF_S = 5     # the client's longest pause between two tries; then a leader Lease of 2 s expires, and is taken
OPEN_S = 15       # it waits so long for the answer to a watch
NUMBERS = itertools.count()


def stalls(dump):
    return dump["counters"]["lbd_loop_stalls_total"]


def stands(vip, stalled):
    """Announced here, or the owner asks for it anew because its loop was starved (OWNERSHIP R24), as on a busy machine."""
    return any(e["announced"] for e in vip["here"]) or (stalled and vip["state"] == "probe" and vip["term"] > 0)


def claimed(lab):
    """The addresses in all nodes' claims, as the API has them: "TERM:START[-COUNT],+GAP[-COUNT],... TERM:..."."""
    leases = lab.must("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?labelSelector=lbd.io/lease%3Dclaims")
    out = set()
    for text in (x["metadata"]["annotations"].get("lbd.io/claims", "") for x in leases["items"]):
        for part in text.replace(" ", ",").split(","):
            start, _, count = part.rpartition(":")[2].partition("-")
            if start:
                first = last + int(start[1:]) if start[0] == "+" else ipaddress.ip_address(start)
                last = first + int(count or 1) - 1
                out |= {str(first + i) for i in range(int(count or 1))}
    return out


class Watcher(threading.Thread):
    """Looks at every node all the time: what stands must stay where it is, nothing else may be announced but what a
    living Service holds, and by one node; every process must live on."""

    def __init__(self, lab, lawful, owner):
        super().__init__(daemon=True)
        self.lab, self.lawful, self.owner = lab, lawful, owner  # lawful(): addresses; owner: {address: node}
        self.pids = {n.name: n.pid for n in lab.nodes}
        self.stalls = {n.name: stalls(n.dump()) for n in lab.nodes}
        self.over, self.found, self.twice, self.looks = threading.Event(), [], set(), 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(timeout=10)

    def run(self):
        try:
            while not self.over.wait(0.04):
                self.look()
        except Exception as e:  # noqa: BLE001  told by faults()
            self.found.append(repr(e))

    def say(self, what):
        if what not in self.found and len(self.found) < 10:
            self.found.append(what)

    def announced(self):
        """{address: [nodes]}, by the daemons' own word; None when one was too busy to tell."""
        out = {}
        for n in self.lab.nodes:
            if not n.alive() or n.pid != self.pids[n.name]:
                self.say(f"{n.name} is not the process that it was")
            dump = n.dump()
            if dump is None:
                return None
            stalled = stalls(dump) > self.stalls[n.name]
            for v in dump["vips"]:
                if stands(v, stalled):
                    out.setdefault(v["ip"], []).append(n.name)
        return out

    def look(self):
        seen = self.announced()
        if seen is None:
            return
        for ip, node in self.owner.items():
            if seen.get(ip, []) != [node.name]:
                self.say(f"{ip} stands on {node.name}, seen on {seen.get(ip, [])}")
        for ip in set(seen) - set(self.lawful()):
            self.say(f"{ip} is announced by {seen[ip]} and no Service holds it")
        twice = {ip for ip, nodes in seen.items() if len(nodes) > 1}
        for ip in twice & self.twice:
            self.say(f"{ip} is announced by {seen[ip]}, seen twice in a row")
        self.twice, self.looks = twice, self.looks + 1

    def nothing(self):
        """It has looked, and found nothing."""
        assert self.found == [] and self.looks > 4, self.found  # one may take long on a busy machine


def standing(lab):
    """A Service that is announced: (address, node)."""
    lab.service("standing", ip="10.89.0.100")
    ip = lab.wait_ip("standing")
    return ip, lab.wait_owner(ip)


class Bench:
    """One laboratory for many faults; a new one after a fault that was not survived."""

    def __init__(self):
        self.lab = None

    def get(self):
        if self.lab is None:
            self.lab = start_nodes(Lab(pods=False, proxy=False, kubesim_args=USERS))
            self.ip, self.owner = standing(self.lab)
            self.history = History(self.lab.kubesim)
            self.history.__enter__()
        return self

    def drop(self):
        if self.lab is not None:
            self.history.__exit__()
            self.lab.close()
            self.lab = None


@pytest.fixture(scope="module")
def shared():
    b = Bench()
    yield b
    b.drop()


@pytest.fixture
def bench(shared, request):
    """The shared bench; thrown away when the test fails."""
    b = shared.get()
    failed = request.session.testsfailed
    yield b
    if request.session.testsfailed > failed:
        b.lab.show_logs()
        b.drop()


def row(name, *faults, bound=BACKOFF_S + 4, progress=False, disturb="cut compact", heal="", long=False):
    """bound: seconds after the end until the new Service is served; progress: it is while the fault lasts; disturb, heal:
    what is done to the watches at the begin and at the end; long: in long runs only, for another row is much like it."""
    marks = [pytest.mark.skipif(not LONG, reason="LONG=1")] if long else []
    return pytest.param(faults, bound, progress, disturb, heal, id=name, marks=marks)


def fault(kind, **spec):
    match = {"user": "lbd*", **spec.pop("match", {})}
    return {"kind": kind, "match": match, **spec}


WRITES = {"verb": "[ucp][pra][dte]*"}  # update, create, patch


ROWS = [
    row("drop", fault("drop"), bound=OPEN_S + BACKOFF_S + 4, long=True),
    row("drop-writes", fault("drop", match=WRITES), bound=10, disturb=""),
    row("delay-200ms", fault("delay", delayMs=200), progress=True),
    row("delay-3s", fault("delay", delayMs=3000)),
    row("late-writes", fault("delay", delayMs=900, before=True, match=WRITES), disturb=""),
    row("half-open", fault("half-open"), bound=OPEN_S + BACKOFF_S + 4),
    row("401-once", *[fault("401", count=1, match={"user": f"lbd-n{i}"}) for i in (1, 2, 3)], progress=True),
    row("401", fault("401")),
    row("403", fault("403")),
    row("404", fault("404")),
    row("409", fault("409", match=WRITES), disturb=""),
    row("409-half", fault("409", match=WRITES, probability=0.5, seed=1), progress=True, disturb=""),
    row("410", fault("410")),
    row("410-in-the-stream", fault("410", match={"verb": "watch"}), long=True),
    row("429", fault("429", retryAfterS=1)),
    row("429-once", *[fault("429", count=1, retryAfterS=1, match={"user": f"lbd-n{i}"}) for i in (1, 2, 3)],
        progress=True),
    row("429-without-words", fault("429", retryAfterS=0), long=True),
    row("500", fault("500")),
    row("500-half", fault("500", probability=0.5, seed=2), long=True),
    row("503", fault("503")),
    row("504-writes", fault("504", match=WRITES), disturb=""),
    row("garbage", fault("garbage")),
    row("garbage-watches", fault("garbage", match={"verb": "watch"}), long=True),
    row("garbage-http", fault("garbage-http")),
    row("byte-at-a-time", fault("byte-at-a-time", delayMs=1, match={"path": "/api/v1/services"}), progress=True,
        disturb="cut"),
    row("byte-at-a-time-all", fault("byte-at-a-time", delayMs=1), bound=BACKOFF_S + 12, heal="cut", long=True),
    row("truncate", fault("truncate")),
    row("close", fault("close")),
    row("reset", fault("close", reset=True), long=True),
    row("lost-answer", fault("lost-answer"), long=True),
    row("lost-answer-writes", fault("lost-answer", match=WRITES), disturb=""),
    row("lost-answer-half", fault("lost-answer", match=WRITES, probability=0.5, seed=3), progress=True, disturb=""),
    row("stale-list", fault("stale-list"), disturb="compact cut"),
    row("oversize", fault("oversize", bytes=20_000_000)),
    row("cut-5-a-second", fault("cut", everyMs=200), progress=True, disturb=""),
    row("cut-each-second", fault("cut", everyMs=1000, reset=True), progress=True, disturb=""),
    row("compact", progress=True, disturb="compact cut"),
    row("freeze", fault("freeze"), disturb=""),
    row("freeze-services", fault("freeze", match={"path": "/api/v1/services"}), disturb=""),
    row("freeze-server", {"kind": "freeze"}, disturb="", long=True),
]


def requests(lab):
    return {n.name: lab.kubesim.count(f"lbd-{n.name}") for n in lab.nodes}


def live(node):
    """Nothing is wrong with any watch of the node's; of the three ways to see endpoints one is enough."""
    api = (node.dump() or {}).get("api", {"synced": False})
    wrong = [w["resource"] for w in api.get("watches", []) if w["error"]]
    ways = [w for w in api.get("watches", []) if w["resource"].startswith("endpoint")]
    return api["synced"] and all(r.startswith("endpoint") for r in wrong) and any(not w["error"] for w in ways)


def served(lab, name):
    """The Service's address, when it has one and one node announces it."""
    ips = lab.ips(name)
    return ips[0] if ips and len(lab.owners(ips[0])) == 1 else None


def shake(lab, kinds):
    """cut: every watch of lbd ends; compact: none can go on from where it was."""
    for kind in kinds.split():
        lab.kubesim.fault(kind, **({"match": {"user": "lbd*"}} if kind == "cut" else {}))


def endure(bench, faults, disturb, name, patience):
    """Switches the faults on, creates a Service, lets them last; for up to patience until it is served: of faults that are
    a matter of chance one run has bad luck. The address it got meanwhile, or None."""
    lab = bench.lab
    for f in faults:
        lab.kubesim.fault(**f)
    shake(lab, disturb)
    before, begin = requests(lab), time.monotonic()
    lab.service(name)
    try:
        wait_for("progress", lambda: served(lab, name), patience, interval=0.1)
    except Timeout:
        pass
    time.sleep(max(0.0, begin + ON_S - time.monotonic()))
    got = served(lab, name)
    after, seconds = requests(lab), time.monotonic() - begin
    for node, n in after.items():
        assert n - before[node] < STORM * seconds, f"{node}: {n - before[node]} requests in {seconds:.1f} s"
    return got


def answered(bench, before):
    """Its owner answers, and nobody else, at any time; it may be silent if its loop was starved since, which asks first (R24)."""
    macs = bench.lab.client.arping(bench.ip)
    assert set(macs) <= {bench.owner.mac}, macs
    assert macs or stalls(bench.owner.dump()) > before, "the owner is silent, and was not starved"
    return macs


@pytest.mark.parametrize("faults, bound, progress, disturb, heal", ROWS)
def test_fault(bench, faults, bound, progress, disturb, heal):
    """One fault for longer than every Lease, met by requests and watches alike; a Service is created meanwhile. T12."""
    lab, name = bench.lab, f"during{next(NUMBERS)}"
    wait_for("every Lease to be new: the row before may have kept them from it", lambda: all(
        m["sinceRenewalMs"] < 1000 for n in lab.nodes for m in n.dump()["nodes"]))
    before = stalls(bench.owner.dump())
    with Watcher(lab, lambda: bench.history.sync().held(), {bench.ip: bench.owner}) as watcher:
        try:
            time.sleep(0.6 if progress else 0)  # a watch that lived so long begins with a short pause
            got = endure(bench, faults, disturb, name, 4 * ON_S if progress else ON_S)
            wait_for("its owner to answer", lambda: answered(bench, before), 3)
        finally:
            lab.kubesim.clear()
            shake(lab, heal)
        assert got or not progress, f"no address, or no owner, while it lasted: {lab.ips(name)}"
        wait_for("the Service to be served after the fault", lambda: served(lab, name), bound)
        wait_for("every watch live", lambda: all(live(n) for n in lab.nodes), bound)
        watcher.nothing()
        assert bench.history.faults() == []
    ip = lab.ips(name)[0]
    lab.delete_service(name)
    wait_for("every node to have heard of it", lambda: not any(v["ip"] == ip for n in lab.nodes for v in n.dump()["vips"]))


# -- the API server dies, comes back, comes back as another ------------------------------------------------------------


def addresses(lab):
    """What living Services hold."""
    items = lab.must("GET", "/api/v1/services")["items"]
    return {i["ip"] for s in items for i in s["status"].get("loadBalancer", {}).get("ingress") or []}


def restart_api(lab, down_s, *extra):
    """Kills the API server, and starts it again with the same CA and tokens."""
    lab.kubesim.kill()
    time.sleep(down_s)
    lab.kubesim.start([f"{API_ADDR}:6443", "127.0.0.1:6443"], lab.dir / "api", netns=lab.api.ns, extra=[*USERS, *extra])


def test_api_server_restarted(bare):
    """kill -9 of the API server, down for longer than every Lease, then back with the objects it had saved: nothing
    moves, and lbd goes on where it was."""
    lab = start_nodes(bare(pods=False, proxy=False, kubesim_args=USERS))
    ip, owner = standing(lab)
    with Watcher(lab, lambda: {ip, "10.89.0.101"}, {ip: owner}) as watcher:
        lab.kubesim.save(lab.dir / "state")
        restart_api(lab, ON_S, "--state", lab.dir / "state")
        lab.service("later")
        wait_for("the new Service served", lambda: served(lab, "later"), BACKOFF_S + 4)
        watcher.nothing()


def test_api_server_comes_back_empty(bare):
    """The API server loses all it knew. As long as it is down nothing changes; when a complete list says that there is no
    Service any more the address goes; what is created anew is served."""
    lab = start_nodes(bare(pods=False, proxy=False, kubesim_args=USERS))
    ip, owner = standing(lab)
    with Watcher(lab, lambda: {ip}, {ip: owner}) as watcher:
        lab.kubesim.kill()
        time.sleep(ON_S)
        watcher.nothing()
    restart_api(lab, 0)
    for node in lab.nodes:
        lab.create_node(node)
    wait_for("silence", lambda: not lab.owners(ip), 30)
    assert lab.client.arping(ip) == []
    lab.service("anew")
    wait_for("the new Service served", lambda: served(lab, "anew"), 15)
    assert all(n.alive() for n in lab.nodes)


@pytest.mark.skipif(not LONG, reason="LONG=1")
def test_mute_watch(bare):
    """A watch that is silent above TCP, as behind a proxy that lost its server: noticed when the server should have ended
    it, within 605 s; a Service made meanwhile is served then."""
    lab = start_nodes(bare(pods=False, proxy=False, kubesim_args=USERS))
    ip, owner = standing(lab)
    with Watcher(lab, lambda: addresses(lab), {ip: owner}) as watcher:
        lab.kubesim.fault("mute", match={"user": "lbd*", "verb": "watch", "path": "/api/v1/services"})
        shake(lab, "cut")
        wait_for("mute watches", lambda: all(f["hits"] >= 3 for f in lab.kubesim.faults().values()), 5)
        lab.kubesim.clear()
        lab.service("later")
        wait_for("the new Service served", lambda: served(lab, "later"), 605 + BACKOFF_S)
        watcher.nothing()


def test_api_server_restored(bare):
    """The API's store is put back to an older state, as from a backup: its versions begin lower, and a watch from what is
    now the future is silent. lbd finds out by its own Leases, within seconds: what the older state does not hold is
    silent, what it holds is served, and what stood stands."""
    lab = start_nodes(bare(pods=False, proxy=False, kubesim_args=USERS))
    ip, owner = standing(lab)
    lab.service("back", ip="10.89.0.101")
    lab.wait_owner("10.89.0.101")
    wait_for("the claims", lambda: claimed(lab) == {ip, "10.89.0.101"})
    lab.kubesim.save(lab.dir / "state")
    lab.delete_service("back")
    lab.service("gone", ip="10.89.0.102")
    lab.wait_owner("10.89.0.102")
    wait_for("silence", lambda: not lab.owners("10.89.0.101"))
    wait_for("the claims", lambda: claimed(lab) == {ip, "10.89.0.102"})
    lawful = {ip, *(f"10.89.0.{i}" for i in (101, 102, 103))}  # 103: the later one, if 102 must rest
    with Watcher(lab, lambda: lawful, {ip: owner}) as watcher:
        restart_api(lab, 0.5, "--state", lab.dir / "state")
        begin = time.monotonic()
        wait_for("silence of what is no more", lambda: not lab.owners("10.89.0.102"), BACKOFF_S + 3)
        wait_for("the old Service served", lambda: lab.owners("10.89.0.101"), BACKOFF_S + 3)
        assert time.monotonic() - begin < BACKOFF_S + 3
        lab.service("later")
        wait_for("the new Service served", lambda: served(lab, "later"), BACKOFF_S + 4)
        watcher.nothing()
    assert lab.ips("later") == ["10.89.0.102"] or lab.client.arping("10.89.0.102") == []


# -- credentials change while lbd runs ---------------------------------------------------------------------------------


def kubeconfig_with(lab, name, **fields):
    """The kubeconfig of lbd with files in place of what it holds: token=PATH, ca=PATH."""
    lines = []
    for line in lab.kubesim.kubeconfig("lbd").read_text().splitlines():
        key = line.strip().partition(":")[0]
        if key == "token" and "token" in fields:
            line = line.partition("token")[0] + f"tokenFile: {fields['token']}"
        if key == "certificate-authority-data" and "ca" in fields:
            line = line.partition("certificate")[0] + f"certificate-authority: {fields['ca']}"
        lines.append(line)
    path = lab.dir / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_token_rotated(bare):
    """The token is revoked before the file holds the new one: the address stands; the new one is read without a
    restart."""
    lab = bare(pods=False, proxy=False)
    token = lab.dir / "token"
    token.write_text(lab.kubesim.token("lbd") + "\n")
    lab.start(kubeconfig=kubeconfig_with(lab, "kc", token=token))
    ip, owner = standing(lab)
    with Watcher(lab, lambda: addresses(lab), {ip: owner}) as watcher:
        lab.kubesim.drop_tokens("lbd")
        lab.kubesim.set_token("another-token", "lbd")
        shake(lab, "cut")
        lab.service("later")
        time.sleep(ON_S)
        token.with_suffix(".new").write_text("another-token")
        token.with_suffix(".new").rename(token)
        wait_for("the new Service served", lambda: served(lab, "later"), BACKOFF_S + 4)
        watcher.nothing()


def test_ca_rotated(bare):
    """The API server has a certificate of a new CA: refused until the CA file is the new one, then taken without a
    restart; the address stands."""
    lab = bare(pods=False, proxy=False)
    ca = lab.dir / "ca.crt"
    shutil.copy(lab.kubesim.dir / "ca.crt", ca)
    lab.start(kubeconfig=kubeconfig_with(lab, "kc", ca=ca))
    ip, owner = standing(lab)
    with Watcher(lab, lambda: addresses(lab), {ip: owner}) as watcher:
        lab.kubesim.new_ca()
        lab.kubesim.fault("cut", match={"user": "lbd"})
        lab.kubesim.fault("close", match={"user": "lbd"}, reset=True)  # the kept connections, too
        wait_for("everybody out of step", lambda: not any((n.dump() or {})["api"]["synced"] for n in lab.nodes))
        lab.kubesim.clear()
        lab.service("later")
        time.sleep(ON_S)
        assert not any((n.dump() or {})["api"]["synced"] for n in lab.nodes), "a server of an unknown CA is trusted"
        shutil.copy(lab.kubesim.dir / "ca.crt", ca)
        wait_for("the new Service served", lambda: served(lab, "later"), 10 + BACKOFF_S + 4)  # files: each 10 s
        watcher.nothing()


def test_one_full_handshake(bare):
    """Of the connections that a start opens one makes a whole TLS handshake; the others go on from it."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node, full = lab.nodes[0], 0
    for _ in range(5):  # nobody waits for long: on a busy machine there may be more
        node.start(extra=["--log-level", "debug"])
        node.kill()
        said = [line for line in node.log.read_text().splitlines() if "msg=connected" in line]
        assert len(said) >= 4, said
        full = sum("resumed=no" in line for line in said)
        if full == 1:
            return
        node.log.unlink()
    pytest.fail(f"{full} whole handshakes of {said}")


# -- what the API server does not have ---------------------------------------------------------------------------------


def local_service(lab, name, node):
    lab.service(name, endpoints=False, externalTrafficPolicy="Local")
    point_at(lab, name, node)
    return lab.wait_ip(name)


def point_at(lab, name, node):
    """The one endpoint of a Service, in both forms of the API."""
    lab.kubesim.endpoints(name, [{"ip": f"10.244.{node.name[1]}.2", "node": node.name}])


def follows(lab, name, ip):
    """The address follows the Service's one endpoint."""
    for node in lab.nodes[1:]:
        point_at(lab, name, node)
        wait_for(f"{node.name} to own {ip}", lambda: lab.owners(ip) == [node], 8)


def ways(node):
    watches = node.dump()["api"]["watches"]
    return [w["resource"] for w in watches if w["synced"] and w["resource"].startswith("endpoint")]


def test_no_discovery_v1(bare):
    """A server with EndpointSlices in v1beta1 only."""
    lab = bare(pods=False, proxy=False, kubesim_args=["--no-discovery-v1"]).start()
    follows(lab, "local", local_service(lab, "local", lab.nodes[0]))
    assert all(ways(n) == ["endpointslices.v1beta1"] for n in lab.nodes)


@pytest.mark.skipif(not LONG, reason="LONG=1")
def test_no_endpoint_slices(bare):
    """A server that loses its EndpointSlices while lbd runs (404, for longer than a start takes: 15 s): plain Endpoints
    are used, and what the slices had said is forgotten."""
    lab = bare(pods=False, proxy=False).start()
    ip = local_service(lab, "local", lab.nodes[0])
    lab.wait_owner(ip)
    assert all(ways(n) == ["endpointslices.v1"] for n in lab.nodes)
    lab.kubesim.fault("404", match={"user": "lbd", "path": "/apis/discovery.k8s.io"})
    shake(lab, "cut")
    wait_for("plain Endpoints", lambda: all(ways(n) == ["endpoints"] for n in lab.nodes), 15 + BACKOFF_S)
    follows(lab, "local", ip)


# -- others write what is lbd's ----------------------------------------------------------------------------------------


def test_one_address_written_into_two(bare):
    """Somebody writes a Service's address into another's status: the first keeps it, the other gets one of its own; the
    address never has two owners and never goes away."""
    lab = bare(pods=False, proxy=False).start()
    ip, owner = standing(lab)
    lab.service("second")
    second = lab.wait_ip("second")
    lab.service("third", loadBalancerClass="example.com/other")
    with Watcher(lab, lambda: addresses(lab) | {second}, {ip: owner}) as watcher:
        for name in ("second", "third"):
            lab.patch(f"/api/v1/namespaces/default/services/{name}/status",
                     {"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}})
        wait_for("the second to be repaired", lambda: lab.ips("second") not in ([], [ip]), 5)
        wait_for("its address served", lambda: served(lab, "second"), 5)
        assert lab.ips("standing") == [ip]
        watcher.nothing()


LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


def lease_names(lab):
    return sorted(i["metadata"]["name"] for i in lab.must("GET", LEASES)["items"])


def test_leases_deleted(bare):
    """Every Lease of lbd's is deleted, three times: no address is lost or gets a second owner, and they are written
    anew."""
    lab = bare(pods=False, proxy=False).start()
    ip, owner = standing(lab)
    names = lease_names(lab)
    with Watcher(lab, lambda: addresses(lab), {ip: owner}) as watcher:
        for turn in range(3):
            for name in lease_names(lab):
                lab.must("DELETE", f"{LEASES}/{name}")
            wait_for("the Leases anew", lambda: set(lease_names(lab)) >= set(names), 8)
            time.sleep(0.5)
        lab.service("later")
        wait_for("the new Service served", lambda: served(lab, "later"), BACKOFF_S)
        watcher.nothing()


@pytest.mark.parametrize("draining", [None, "forged"])
def test_leases_forged(bare, draining):
    """Another client writes itself into the Leases, makes a dead node of the owner and claims its address for another:
    nothing moves; the next leader is there when the forged Lease has run out."""
    lab = bare(pods=False, proxy=False).start()
    ip, owner = standing(lab)
    other = next(n for n in lab.nodes if n is not owner)
    with Watcher(lab, lambda: addresses(lab), {ip: owner}) as watcher:
        lab.patch(f"{LEASES}/lbd-leader", {"spec": {"holderIdentity": "mallory_1"}})
        lab.patch(f"{LEASES}/lbd-node-{owner.name}",
                  {"spec": {"renewTime": "2001-01-01T00:00:00.000000Z", "leaseDurationSeconds": 1},
                   "metadata": {"annotations": {"lbd.io/draining": draining, "lbd.io/macs": "banana"}}})
        claims = wait_for("the owner's claims", lambda: lab.kubesim.api("GET", f"{LEASES}/lbd-claims-{owner.name}")[1])
        note = {"annotations": claims["metadata"]["annotations"], "labels": claims["metadata"]["labels"]}
        forged = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "mallory_1"},
                  "metadata": {**note, "name": f"lbd-claims-{other.name}"}}
        if lab.kubesim.api("POST", LEASES, forged)[0] == 409:
            lab.patch(f"{LEASES}/lbd-claims-{other.name}", {"metadata": note})
        lab.service("later")
        wait_for("the new Service served", lambda: served(lab, "later"), 2 + BACKOFF_S)
        time.sleep(ON_S)
        watcher.nothing()


# -- many --------------------------------------------------------------------------------------------------------------


def bulk_slices(lab, n):
    """A ready endpoint for each of the bulk's Services, by one connection."""
    connection = ControlConnection(lab.kubesim.control, 30)
    for i in range(n):
        body = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"svc-{i:05}-1", "labels": {"kubernetes.io/service-name": f"svc-{i:05}"}},
                "endpoints": [{"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": True}}],
                "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]}
        connection.request("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", json.dumps(body),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        answer.read()
    connection.close()


def announced(node):
    return {v["ip"] for v in (node.dump() or {}).get("vips", []) if any(e["announced"] for e in v["here"])}


@pytest.mark.slow
def test_ten_thousand_services(bare):
    """Ten thousand Services: listed in pages, each gets an address of its own, each is announced by one node; all deleted
    at once, all silent."""
    n = 10_000
    lab = bare(pods=False, proxy=False, kubesim_args=USERS,
               config=f"pools:\n- name: big\n  addresses: [10.90.0.0/16]\n  avoidBuggyIPs: true\n{FAST}")
    lab.kubesim.bulk(n)
    bulk_slices(lab, n)
    start_nodes(lab)
    wait_for("ten thousand addresses", lambda: len(addresses(lab)) == n, 40, interval=0.5)
    each = wait_for("all announced", lambda: sum(map(len, e := [announced(node) for node in lab.nodes])) == n and e, 30, interval=0.5)
    assert set.union(*each) == addresses(lab), "announced twice, or what no Service holds"
    lab.kubesim.bulk_delete()
    wait_for("silence", lambda: not any(announced(node) for node in lab.nodes), 15, interval=0.2)
    assert all(node.alive() for node in lab.nodes)
