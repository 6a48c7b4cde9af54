# SPDX-License-Identifier: Apache-2.0
"""The leader dies, pauses, is cut off, stops; Services come and go meanwhile. The API's whole journal is the judge."""

import os
import random
import threading
import time

import pytest
from judge import USERS, History, node_of, start_node, start_nodes, waits
from lab import FAST, wait_for
from shake import stopped

LEASE_S = 2.0  # FAST
AUTO = 20      # addresses of the pool that is given from; ASKED are given only to who asks
ASKED = [f"10.89.0.{i}" for i in range(120, 124)]
CONFIG = (f"pools:\n- name: auto\n  addresses: [10.89.0.100-10.89.0.{99 + AUTO}]\n"
          f"- name: asked\n  addresses: [{ASKED[0]}-{ASKED[-1]}]\n  autoAssign: false\n{FAST}")


@pytest.fixture
def judged(bare):
    """A laboratory whose nodes write under their own names, and the judge of what they write; in the end it must have
    found nothing."""
    lab = start_nodes(bare(pods=False, proxy=False, config=CONFIG, kubesim_args=USERS))
    with History(lab.kubesim) as history:
        yield lab, history
    assert history.faults() == []


def leader(lab, history, but=(), timeout=15):
    """The node that holds the Lease, by the journal, and under which identity; not one of the identities but."""
    def held():
        holder = history.holder
        return holder if holder and holder not in but else None
    holder = wait_for("a leader", held, timeout, interval=0.005)
    return next(n for n in lab.nodes if n.name == node_of(holder)), holder


def wait_served(history, holder, at_least=1, timeout=15):
    """Until this leader has written the status of so many Services."""
    wait_for(f"{holder} serving {at_least} Services", lambda: history.served.get(holder, 0) >= at_least, timeout,
             interval=0.002)


def status_writes(lab, node):
    """Requests, not only those applied."""
    return lab.kubesim.count(f"lbd-{node.name}", "patch", "services/status")


class Churn(threading.Thread):
    """Services come and go, a dozen and a half at a time; some ask for an address, which another may have; some change
    their type; some live for a moment only."""

    def __init__(self, lab, seed):
        super().__init__(daemon=True)
        self.lab, self.rng, self.over, self.error = lab, random.Random(seed), threading.Event(), None
        self.live, self.wanted, self.count = [], {}, 0

    def run(self):
        try:
            while not self.over.wait(self.rng.uniform(0.02, 0.12)):
                self.step()
        except Exception as e:  # noqa: BLE001  told by stop()
            self.error = e

    def stop(self):
        self.over.set()
        self.join(timeout=10)
        assert self.error is None and not self.is_alive(), self.error

    def create(self):
        self.count += 1
        name = f"s{self.count}"
        if self.rng.random() < 0.25:
            self.wanted[name] = self.rng.choice(ASKED)
        self.lab.service(name, ip=self.wanted.get(name), endpoints=False)
        self.live.append(name)

    def step(self):
        auto = sum(n not in self.wanted for n in self.live)
        if auto < AUTO - 6 and len(self.live) < AUTO and self.rng.random() < 0.6:
            self.create()
        elif self.live and self.rng.random() < 0.7:
            self.lab.delete_service(self.live.pop(self.rng.randrange(len(self.live))))
        elif self.live:
            name = self.rng.choice(self.live)
            kind = self.rng.choice(["ClusterIP", "LoadBalancer"])
            self.lab.patch(f"/api/v1/namespaces/default/services/{name}", {"spec": {"type": kind}})


def kill_leader(lab, history, dead, quiet, rng):
    """Kills the leader with -9 in the middle of its first writes, or (quiet) when it has had time for all that waited;
    restarts it at once. The moment."""
    node, holder = leader(lab, history, but=dead)
    wait_served(history, holder)
    time.sleep(rng.uniform(0.3, 0.6) if quiet else rng.choice([0, rng.uniform(0, 0.02)]))
    node.kill()
    moment = time.monotonic_ns()
    dead.append(holder)
    start_node(lab, node, ready=False)
    return moment


@pytest.mark.slow
def test_killed_while_services_come_and_go(judged):
    """kill -9 of the leader fifty times, Leases of two seconds: no two Services ever share an address, none is lost, each
    gets one within two Leases of its creation or of the leader's death that it met."""
    lab, history = judged
    churn, rng, dead, moments = Churn(lab, seed=1), random.Random(2), [], []
    churn.start()
    for turn in range(int(os.environ.get("KILLS", 50))):
        moments.append(kill_leader(lab, history, dead, turn % 2 == 0, rng))
    node, holder = leader(lab, history, but=dead)
    wait_served(history, holder)
    time.sleep(2 * LEASE_S)
    churn.stop()
    time.sleep(2 * LEASE_S)
    now = time.monotonic_ns()
    history.sync()
    assert history.faults() == []
    waited = waits(history.entries, moments, now, churn.wanted)
    assert [w for w in waited if w[1] > 2 * LEASE_S] == [], "(Service, seconds without an address, deaths met meanwhile)"
    assert max(w[2] for w in waited) <= 2, "a Service outlived so many leaders without an address"
    for name in churn.live:
        assert lab.ips(name) == history.addresses(name)
    assert len(waited) > 10 * len(moments) / 2, f"only {len(waited)} waits: nothing was tried"
    print(f"{len(moments)} leaders killed, {churn.count} Services, longest wait "
          f"{max(w[1] for w in waited):.2f} s")


def test_paused_leader_writes_nothing_stale(judged):
    """SIGSTOP of the leader in the middle of its writes, past its Lease; the next one gives the same addresses to others;
    then CONT: the first one writes nothing more as a leader."""
    lab, history = judged
    rng = random.Random(3)
    for turn in range(4):
        node, holder = leader(lab, history)
        wait_for("the leader to be ready", lambda: (node.dump() or {"leader": {"ready": False}})["leader"]["ready"])
        names = [f"p{turn}-{i}" for i in range(AUTO)]
        for name in names:
            lab.service(name, endpoints=False)
        time.sleep(rng.uniform(0, 0.03))
        with stopped(node.pid):
            _, second = leader(lab, history, but=[holder])
            if not all(history.sync().addresses(n) for n in names):
                wait_served(history, second)
            for name in names[::2]:  # their addresses go to others, for the pool has no more
                lab.delete_service(name)
                lab.service(f"{name}-again", endpoints=False)
            names = names[1::2] + [f"{n}-again" for n in names[::2]]
            wait_for("all served", lambda: all(history.sync().addresses(n) for n in names), 2 * LEASE_S)
            before = status_writes(lab, node)
        node.wait_synced()
        time.sleep(0.5)
        assert status_writes(lab, node) <= before + 6, "requests that were in the kernel's hands already: at most six"
        assert history.faults() == []
        for name in names:
            lab.delete_service(name)


def test_cut_off_leader_takes_its_writes_back(judged):
    """The leader's frames to the API are lost while its writes are on their way; the next leader serves; then the network
    is whole again: what TCP still held is not sent, for the connections were reset at the deadline."""
    lab, history = judged
    node, holder = leader(lab, history)
    for i in range(6):  # at once, so that as many connections are kept
        lab.service(f"first{i}", endpoints=False)
    wait_served(history, holder, 6)
    node.run("nft", "add table ip cut; add chain ip cut out { type filter hook output priority 0; };"
             " add rule ip cut out ip daddr 10.89.0.10 drop")
    before = status_writes(lab, node)
    for i in range(5):
        lab.service(f"cut{i}", endpoints=False)
    _, second = leader(lab, history, but=[holder])
    wait_served(history, second, 5)
    node.run("nft", "delete table ip cut")
    node.wait_synced(timeout=20)
    time.sleep(1)
    assert status_writes(lab, node) == before, "writes of the time before arrived after the heal"


@pytest.mark.parametrize("services", [0, 3])
def test_stopped_leader_hands_over(judged, services):
    """SIGTERM: the Lease is given back, the next leader is there within a second of that, and addresses stay."""
    lab, history = judged
    for i in range(services):
        lab.service(f"s{i}")
    node, holder = leader(lab, history)
    wait_for("addresses", lambda: len(history.sync().held()) == services)
    held, begin = history.held(), time.monotonic_ns()
    assert node.stop() == 0
    leader(lab, history, but=[holder])
    terms = [(ns, h) for ns, h in history.sync().terms if ns > begin]
    assert terms[0][1] == "", f"the Lease was not given back: {terms}"
    assert terms[1][0] - terms[0][0] < 1e9, f"{(terms[1][0] - terms[0][0]) / 1e6:.0f} ms without a leader"
    assert terms[1][0] - begin < 3.5e9, f"{(terms[1][0] - begin) / 1e6:.0f} ms from SIGTERM to the next leader"
    lab.service("later", endpoints=False)
    wait_for("an address from the next", lambda: history.sync().addresses("later"), 2)
    assert {ip: n for ip, n in history.held().items() if n != "later"} == held


def test_events_are_told_once(bare):
    """What one leader told of a Service stands: neither another leader nor a restart tells it again, nor touches it; what happens
    after that is told."""
    lab = bare(nodes=2, pods=False, proxy=False,
               config="pools:\n- name: plain\n  addresses: [10.89.0.100-10.89.0.102]\n" + FAST).start()
    for name in ("outside", "a", "b"):
        lab.service(name, **({"ip": "192.0.2.1"} if name == "outside" else {}))

    def told(name, reason):
        return [e for e in lab.events(name) if e["reason"] == reason]

    def of_leaders():
        """Each node tells for itself what it announces."""
        return sorted((e["involvedObject"]["name"], e["reason"], e["message"], e.get("count"), e["lastTimestamp"])
                      for e in lab.events() if e["reason"] != "nodeAssigned")

    for name, reason in (("outside", "AllocationFailed"), ("a", "IPAllocated"), ("b", "IPAllocated")):
        wait_for(f"{reason} of {name}", lambda n=name, r=reason: told(n, r))
        lab.wait_condition(name, "False" if name == "outside" else "True")
    before = of_leaders()

    def leads():
        return next((n for n in lab.nodes if n.alive() and n.dump()["leader"]["ready"]), None)

    for turn in range(2):
        first = wait_for("a leader", leads)
        posts = lab.kubesim.count("lbd", "create", "events")
        first.kill()
        wait_for("another leader", lambda f=first: leads() not in (None, f), 30)
        lab.service(f"marker{turn}", ip="192.0.2.9")
        wait_for("what is new to be told", lambda t=turn: told(f"marker{t}", "AllocationFailed"))
        assert lab.kubesim.count("lbd", "create", "events") > posts
        first.start()
    assert [e for e in of_leaders() if not e[0].startswith("marker")] == before
    lab.patch("/api/v1/namespaces/default/services/outside", {"spec": {"loadBalancerIP": "192.0.2.2"}})
    wait_for("the other refusal", lambda: len(told("outside", "AllocationFailed")) == 2)
