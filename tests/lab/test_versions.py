# SPDX-License-Identifier: Apache-2.0
"""Two versions side by side, whose Leases differ (docs/ownership.md R3): the one built here, and `make next`, which writes in each
Lease one of each of what this one does not know.  Upgrade, rollback, and failures while they are mixed."""

import signal

import pytest

from answers import Answers
from lab import FAST, ROOT, binary, wait_for
from test_hand import by_hand
from test_kept import AFTER, BEFORE, edit, leader, record
from test_l2 import CONFIG, HEALED_S, TAKEN_S, know_each_other, serve

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
BUILDS = {"this": binary(), "next": ROOT / "build/next/lbd"}
BOTH_WAYS = pytest.mark.parametrize("old, new", [("this", "next"), ("next", "this")])


def mixed(bare, builds, config=CONFIG + FAST):
    """A node of each of these builds; the first leads; w asks."""
    lab = bare(nodes=len(builds), pods=False, proxy=False, config=config)
    lab.w = lab.host("w", 51)
    for node, build in zip(lab.nodes, builds):
        node.start(binary_path=BUILDS[build])
        wait_for("a leader", lambda: leader(lab))
    assert leader(lab) is lab.nodes[0]
    return lab


def notes(lab, name):
    return lab.must("GET", f"{LEASES}/{name}")["metadata"]["annotations"]


def owners_of(lab, ips):
    return {ip: lab.wait_owner(ip) for ip in ips}


def held_by(owners, node):
    return [ip for ip, owner in owners.items() if owner is node]


def stay(answers, owners, since, until=None):
    """Of each of these addresses nobody else answered, and its owner all the time."""
    for ip, owner in owners.items():
        assert answers.macs(ip, since, until) == {owner.mac}
        assert answers.longest_silence(ip, since, until) <= 0.3


def new_service(lab, answers, name):
    """The leader of the moment gives it an address that nobody has, and one node answers for it."""
    lab.service(name)
    ip = lab.wait_ip(name)
    assert ip not in answers.ips
    node = lab.wait_owner(ip)
    assert set(lab.client.arping(ip, count=2, timeout=2)) == {node.mac}
    lab.delete_service(name)


def test_they_differ(bare):
    """What the tests below rest on: each build's Leases are of its form, and each reads the other's whole."""
    lab = mixed(bare, ["this", "next"])
    serve(lab, 10)
    for node, schema in zip(lab.nodes, "12"):
        owned = sum(v["owner"] == node.name for v in node.dump()["vips"])
        claims = wait_for("its claims", lambda: owned and notes(lab, f"lbd-claims-{node.name}")["lbd.io/claims"])
        assert ("z;next=2:" in claims) == (schema == "2")
        for lease in (f"lbd-claims-{node.name}", f"lbd-node-{node.name}", *(["lbd-leader"] if schema == "1" else [])):
            assert notes(lab, lease)["lbd.io/schema"] == schema
            assert ("lbd.io/next" in notes(lab, lease)) == (schema == "2")
        for reader in lab.nodes:
            def seen():
                entry = next(n for n in reader.dump()["nodes"] if n["name"] == node.name)
                return entry["schema"] == schema and entry["claims"] == owned and "claimsUnread" not in entry
            wait_for(f"{reader.name} to have read {node.name}'s", seen)
    assert "a later version's form" in lab.nodes[0].log.read_text()
    assert "a later version's form" not in lab.nodes[1].log.read_text()


def replace(lab, answers, node, build):
    """One node gets another version, as systemctl restart or a DaemonSet gives it: only what it had moves."""
    owners = owners_of(lab, answers.ips)
    of_others = {ip: owner for ip, owner in owners.items() if owner is not node}
    begin = answers.now()
    assert node.stop() == 0
    heirs = {ip: answers.wait_one(ip, begin, HEALED_S) for ip in held_by(owners, node)}
    assert node.mac not in heirs.values()
    back = answers.now()
    node.start(binary_path=BUILDS[build])
    know_each_other(lab)
    answers.look_on(1, lambda: len(lab.owners(answers.ips[0])) == 1)
    stay(answers, of_others, begin)
    for ip, heir in heirs.items():
        assert answers.macs(ip, back) == {heir}
    answers.never_silent(begin, 0.3)


def test_upgrade_and_rollback(bare):
    """One node after the other, up and down again: every address is answered for all the time, only what the node in turn had
    moves, and whoever leads gives new Services their addresses."""
    lab = mixed(bare, ["this"] * 3)
    ips = serve(lab, 10)
    led = set()
    with Answers(lab.w, ips) as answers:
        for build in ("next", "this"):
            for i, node in enumerate(lab.nodes):
                replace(lab, answers, node, build)
                led.add(notes(lab, "lbd-leader")["lbd.io/schema"])
                new_service(lab, answers, f"{build}-{i}")
    assert led == {"1", "2"}


@BOTH_WAYS
def test_owner_killed(bare, old, new):
    """The leader, which is of one version, dies at once: those of the other take what it had and nothing else, lead, and give no
    address that is in use; it comes back and takes nothing."""
    lab = mixed(bare, [old, new, new])
    ips = serve(lab, 10)
    owners = owners_of(lab, ips)
    dead = lab.nodes[0]
    assert held_by(owners, dead)
    with Answers(lab.w, ips) as answers:
        begin = answers.now()
        dead.kill()
        heirs = {ip: answers.wait_other(ip, dead.mac, begin, TAKEN_S)[0] for ip in held_by(owners, dead)}
        wait_for("another leader", lambda: leader(lab), 10)
        new_service(lab, answers, "later")
        dead.start(binary_path=BUILDS[old])
        know_each_other(lab)
        for ip, heir in heirs.items():
            assert answers.wait_one(ip, begin + TAKEN_S, 0.0) == heir
        stay(answers, {ip: owner for ip, owner in owners.items() if owner is not dead}, begin)
        answers.never_silent(begin, TAKEN_S)


@BOTH_WAYS
def test_power_cut(bare, old, new):
    """All die at once and are of another version when they are back: each has again what it had. F12, F20."""
    lab = mixed(bare, [old] * 3)
    ips = serve(lab, 10)
    first = lab.wait_owner(ips[0])  # where rank alone would have it again
    assert by_hand(first, "move", ips[0], next(n for n in lab.nodes if n is not first).name)[0] == 0
    owners = owners_of(lab, ips)
    assert owners[ips[0]] is not first
    for owner in lab.nodes:
        wait_for("its claims to be in the API", lambda: next(
            n["claims"] for n in lab.nodes[0].dump()["nodes"] if n["name"] == owner.name) == len(held_by(owners, owner)))
    for node in lab.nodes:
        node.kill()
    with Answers(lab.w, owners) as answers:
        for node in lab.nodes:
            node.start(binary_path=BUILDS[new], ready=False)
        begin = answers.now()
        for ip, owner in owners.items():
            assert answers.wait_one(ip, begin, 5) == owner.mac
            assert answers.macs(ip, begin) == {owner.mac}
    for node in lab.nodes:
        wait_for("its own form", lambda: notes(lab, f"lbd-claims-{node.name}")["lbd.io/schema"] == ("2" if new == "next" else "1"))
        assert ("lbd.io/next" in notes(lab, f"lbd-claims-{node.name}")) == (new == "next")


@BOTH_WAYS
def test_moved_by_hand(bare, old, new):
    """lbd move from one version to the other and back: the third node leaves the offer to whom it is made."""
    lab = mixed(bare, [old, new, new])
    ip, = serve(lab, 1)
    owner = lab.wait_owner(ip)
    with Answers(lab.w, [ip]) as answers:
        for to in [n for n in (*lab.nodes, lab.nodes[0]) if n is not owner]:
            begin, had = answers.now(), lab.wait_owner(ip)
            if had is to:
                continue
            assert by_hand(had, "move", ip, to.name) == (0, f"{ip} is announced by {to.name}")
            assert answers.wait_one(ip, begin, HEALED_S) == to.mac
            assert answers.macs(ip, begin) <= {had.mac, to.mac}
            answers.never_silent(begin, 0.3)


@BOTH_WAYS
def test_kept_addresses(bare, old, new):
    """The record of addresses that a pool edit dropped, written by a leader of one version, is read by the next one of the other:
    the Service keeps its address."""
    lab = mixed(bare, [old, new], config=BEFORE)
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    edit(lab.nodes, AFTER)
    wait_for("the record", lambda: ip in (record(lab) or ""))
    assert ("#next" in record(lab)) == (old == "next")
    lab.nodes[1].kill()  # what it saw itself is forgotten: it has only the record
    lab.nodes[1].start(config=AFTER, binary_path=BUILDS[new])
    lab.nodes[0].kill()
    wait_for("the other leads", lambda: leader(lab) is lab.nodes[1] and lab.nodes[1].dump()["leader"]["ready"], 15)
    lab.service("other")
    lab.wait_ip("other")
    wait_for("the record as it writes it", lambda: ip in record(lab) and ("#next" in record(lab)) == (new == "next"))
    assert lab.ips("web") == [ip] and lab.wait_owner(ip, 15) is lab.nodes[1]


def test_claims_that_cannot_be_read(bare):
    """A claims object of no form that is known is not "claims nothing": its owner answers, so the wire decides, for a node that was
    never told what it has, too; and a new Service gets an address all the same."""
    lab = mixed(bare, ["this"] * 3)
    ips = serve(lab, 10)
    owners = owners_of(lab, ips)
    strange, reader = lab.nodes[0], lab.nodes[1]
    assert held_by(owners, strange) and held_by(owners, reader)
    with Answers(lab.w, ips) as answers:
        begin = answers.now()
        lab.patch(f"{LEASES}/lbd-claims-{strange.name}", {"metadata": {"annotations": {"lbd.io/claims": "claims/v9 of nothing"}}})
        unread = wait_for("the others to say so", lambda: [n for n in lab.nodes if any(
            m["name"] == strange.name and m.get("claimsUnread") for m in n.dump()["nodes"])])
        assert unread
        reader.stop()
        reader.start()
        know_each_other(lab)
        new_service(lab, answers, "later")
        stay(answers, {ip: strange for ip in held_by(owners, strange)}, begin)
        killed = answers.now()
        strange.kill(signal.SIGKILL)
        for ip in held_by(owners, strange):
            answers.wait_other(ip, strange.mac, killed, TAKEN_S)
        answers.never_silent(begin, TAKEN_S)
