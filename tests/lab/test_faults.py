# SPDX-License-Identifier: Apache-2.0
"""The API server does everything wrong in turn: lbd recovers from each without a restart and without a storm, keeps
announcing what it announced, and announces nothing that no Service holds."""

import itertools
import threading
import time

import pytest
from judge import USERS, History, start_nodes
from lab import FAST, Lab, Timeout, wait_for

ON_S = 3.5        # a fault lasts longer than the node's Lease (FAST: 3 s), so that whoever trusted it would move things
STORM = 20        # requests per second and node that are a storm
BACKOFF_S = 5     # the client's longest pause between two tries; then a leader Lease of 2 s expires, and is taken
OPEN_S = 15       # it waits so long for the answer to a watch
NUMBERS = itertools.count()


class Watcher(threading.Thread):
    """Looks at every node all the time: what stands must stay where it is, nothing else may be announced but what a
    living Service holds, and by one node; every process must live on."""

    def __init__(self, lab, history, owner):
        super().__init__(daemon=True)
        self.lab, self.history, self.owner = lab, history, owner  # owner: {address: node} of what stands
        self.pids = {n.name: n.pid for n in lab.nodes}
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
        """{address: [nodes]}, by the daemons' own word."""
        out = {}
        for n in self.lab.nodes:
            if not n.alive() or n.pid != self.pids[n.name]:
                self.say(f"{n.name} is not the process that it was")
            for v in (n.dump() or {}).get("vips", []):
                if any(e["announced"] for e in v["here"]):
                    out.setdefault(v["ip"], []).append(n.name)
        return out

    def look(self):
        seen = self.announced()
        for ip, node in self.owner.items():
            if seen.get(ip, []) != [node.name]:
                self.say(f"{ip} stands on {node.name}, seen on {seen.get(ip, [])}")
        for ip in set(seen) - set(self.history.sync().held()):
            self.say(f"{ip} is announced by {seen[ip]} and no Service holds it")
        twice = {ip for ip, nodes in seen.items() if len(nodes) > 1}
        for ip in twice & self.twice:
            self.say(f"{ip} is announced by {seen[ip]}, seen twice in a row")
        self.twice, self.looks = twice, self.looks + 1

    def faults(self):
        return self.found + self.history.faults()


class Bench:
    """One laboratory for many faults; a new one after a fault that was not survived."""

    def __init__(self):
        self.lab = None

    def get(self):
        if self.lab is None:
            self.lab = start_nodes(Lab(pods=False, proxy=False, kubesim_args=USERS))
            self.lab.service("standing", ip="10.89.0.100")
            self.ip = self.lab.wait_ip("standing")
            self.owner = self.lab.wait_owner(self.ip)
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


def row(name, *faults, bound=BACKOFF_S + 4, progress=False, disturb="cut compact", heal=""):
    """bound: seconds after the end until the new Service is served; progress: it is while the fault lasts; disturb, heal:
    what is done to the watches at the begin and at the end."""
    return pytest.param(faults, bound, progress, disturb, heal, id=name)


def fault(kind, **spec):
    match = {"user": "lbd-*", **spec.pop("match", {})}
    return {"kind": kind, "match": match, **spec}


WRITES = {"verb": "[ucp][pra][dte]*"}  # update, create, patch


ROWS = [
    row("drop", fault("drop"), bound=OPEN_S + BACKOFF_S + 4),
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
    row("410-in-the-stream", fault("410", match={"verb": "watch"})),
    row("429", fault("429", retryAfterS=1)),
    row("429-once", *[fault("429", count=1, retryAfterS=1, match={"user": f"lbd-n{i}"}) for i in (1, 2, 3)],
        progress=True),
    row("429-without-words", fault("429", retryAfterS=0)),
    row("500", fault("500")),
    row("500-half", fault("500", probability=0.5, seed=2)),
    row("503", fault("503")),
    row("504-writes", fault("504", match=WRITES), disturb=""),
    row("garbage", fault("garbage")),
    row("garbage-watches", fault("garbage", match={"verb": "watch"})),
    row("garbage-http", fault("garbage-http")),
    row("byte-at-a-time", fault("byte-at-a-time", delayMs=1, match={"path": "/api/v1/services"}), progress=True,
        disturb="cut"),
    row("byte-at-a-time-all", fault("byte-at-a-time", delayMs=1), bound=BACKOFF_S + 12, heal="cut"),
    row("truncate", fault("truncate")),
    row("close", fault("close")),
    row("reset", fault("close", reset=True)),
    row("lost-answer", fault("lost-answer")),
    row("lost-answer-writes", fault("lost-answer", match=WRITES), disturb=""),
    row("lost-answer-half", fault("lost-answer", match=WRITES, probability=0.5, seed=3), progress=True, disturb=""),
    row("stale-list", fault("stale-list"), disturb="compact cut"),
    row("oversize", fault("oversize", bytes=20_000_000)),
    row("cut-5-a-second", fault("cut", everyMs=200), progress=True, disturb=""),
    row("cut-each-second", fault("cut", everyMs=1000, reset=True), progress=True, disturb=""),
    row("compact", progress=True, disturb="compact cut"),
    row("freeze", fault("freeze"), disturb=""),
    row("freeze-services", fault("freeze", match={"path": "/api/v1/services"}), disturb=""),
    row("freeze-server", {"kind": "freeze"}, disturb=""),
]


def requests(lab):
    return {n.name: lab.kubesim.count(f"lbd-{n.name}") for n in lab.nodes}


def live(node):
    """Nothing is wrong with any watch of the node's."""
    api = (node.dump() or {}).get("api", {"synced": False})
    return api["synced"] and not any(w["error"] for w in api["watches"])


def served(lab, name):
    """The Service's address, when it has one and one node announces it."""
    ips = lab.ips(name)
    return ips[0] if ips and len(lab.owners(ips[0])) == 1 else None


def shake(lab, kinds):
    """cut: every watch of lbd ends; compact: none can go on from where it was."""
    for kind in kinds.split():
        lab.kubesim.fault(kind, **({"match": {"user": "lbd-*"}} if kind == "cut" else {}))


def endure(bench, faults, disturb, name):
    """Switches the faults on, creates a Service, lets them last. The address it got meanwhile, or None."""
    lab = bench.lab
    for f in faults:
        lab.kubesim.fault(**f)
    shake(lab, disturb)
    before, begin = requests(lab), time.monotonic()
    lab.service(name)
    try:
        wait_for("progress", lambda: served(lab, name), max(ON_S - (time.monotonic() - begin), 0.1), interval=0.1)
    except Timeout:
        pass
    time.sleep(max(0.0, begin + ON_S - time.monotonic()))
    got = served(lab, name)
    after, seconds = requests(lab), time.monotonic() - begin
    for node, n in after.items():
        assert n - before[node] < STORM * seconds, f"{node}: {n - before[node]} requests in {seconds:.1f} s"
    return got


@pytest.mark.parametrize("faults, bound, progress, disturb, heal", ROWS)
def test_fault(bench, faults, bound, progress, disturb, heal):
    """One fault for longer than every Lease, met by requests and watches alike; a Service is created meanwhile."""
    lab, name = bench.lab, f"during{next(NUMBERS)}"
    with Watcher(lab, bench.history, {bench.ip: bench.owner}) as watcher:
        try:
            time.sleep(0.6 if progress else 0)  # a watch that lived so long begins with a short pause
            got = endure(bench, faults, disturb, name)
            assert lab.client.arping(bench.ip) == [bench.owner.mac]
        finally:
            lab.kubesim.clear()
            shake(lab, heal)
        assert got or not progress, f"no address, or no owner, while it lasted: {lab.ips(name)}"
        wait_for("the Service to be served after the fault", lambda: served(lab, name), bound)
        wait_for("every watch live", lambda: all(live(n) for n in lab.nodes), bound)
        assert watcher.faults() == [] and watcher.looks > 10
    ip = lab.ips(name)[0]
    lab.delete_service(name)
    wait_for("silence", lambda: not lab.owners(ip))
