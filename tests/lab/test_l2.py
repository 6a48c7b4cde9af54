# SPDX-License-Identifier: Apache-2.0
"""Ownership on the wire with shipped elections: who answers for an address while nodes, links and the API fail.

The F in a docstring is a failure's number in shared/OWNERSHIP.md. Judges are an asker that asks all the time (answers.py),
arping, ndisc6, the client's kernel and curl; lbd's own word counts for what is not on the wire.
"""

import os
import signal
import time

import pytest

from answers import Answers
from lab import POOL, wait_for

CONFIG = f"pools:\n- name: lan\n  addresses: [{POOL}]\n"
TAKEN_S = 1.0   # a dead owner's addresses are another's
HEALED_S = 2.0  # one owner is left after a heal (I1)
LONG = bool(os.environ.get("LONG"))


def know_each_other(lab):
    """Every node has a session with every other, and has been in step for so long that it may take (R9: join)."""
    for node in lab.nodes:
        wait_for(f"{node.name}'s sessions", lambda: all(
            n["peer"] == "up" for n in node.dump()["nodes"] if n["name"] != node.name), 15)


@pytest.fixture
def lan(bare):
    """Three nodes without pods, and w, who asks."""
    lab = bare(pods=False, proxy=False, config=CONFIG).start()
    lab.w = lab.host("w", 51)
    return lab


def serve(lab, n=1):
    """n Services that are owned and known to be: their addresses."""
    for i in range(n):
        lab.service(f"s{i}")
    ips = [lab.wait_ip(f"s{i}") for i in range(n)]
    for ip in ips:
        lab.wait_owner(ip)
    know_each_other(lab)
    wait_for("all to know the owners", lambda: all(
        len(n.dump()["vips"]) >= len(ips) and all(v["owner"] for v in n.dump()["vips"]) for n in lab.nodes))
    return ips


def resolve(host, ip, mac):
    """host's kernel has the address, by its own asking."""
    wait_for(f"{host.name}'s entry", lambda: (host.curl(ip, timeout=0.2), host.neighbour(ip) == mac)[1])


def test_killed(lan):
    """Another answers within a second of kill -9, the client's kernel follows unasked, and nothing moves back. F16, F31."""
    ip, = serve(lan)
    owner = lan.wait_owner(ip)
    resolve(lan.client, ip, owner.mac)
    with Answers(lan.w, [ip]) as answers:
        begin = answers.now()
        owner.kill()
        heir, _ = answers.wait_other(ip, owner.mac, begin, TAKEN_S)
        wait_for("the client's entry", lambda: lan.client.neighbour(ip) == heir, 1)
        answers.never_silent(begin, TAKEN_S)
        back = answers.now()
        owner.start()
        know_each_other(lan)
        assert answers.wait_one(ip, back, 0.0) == heir
        answers.never_silent(back, 0.3)
