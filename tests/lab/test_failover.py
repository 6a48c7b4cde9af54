# SPDX-License-Identifier: Apache-2.0
"""Nodes die, pause, come back, are cut off: who answers, and that it is one."""

import os
import re
import time
from pathlib import Path

from lab import wait_for
from shake import stopped


def one_owner_for(lab, ip, seconds):
    """Watches for a while: never two nodes that announce ip."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert len(lab.owners(ip)) <= 1, [n.name for n in lab.owners(ip)]
    return lab.owners(ip)


def test_node_dies(lab):
    """kill -9 and the cable pulled: another node answers within the Lease's time and a little; it does not move back."""
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_http(ip)
    first = lab.wait_owner(ip)
    first.kill(wait=False)
    first.link(False)
    begin = time.monotonic()
    wait_for("curl to work again", lambda: lab.client.curl(ip, timeout=0.3), timeout=10)
    assert time.monotonic() - begin < 3 + 0.75 + 1.5
    second = lab.wait_owner(ip)
    assert second is not first and lab.client.neighbour(ip) == second.mac
    first.link(True)
    first.start()
    assert one_owner_for(lab, ip, 4) == [second]
    assert set(lab.client.arping(ip, count=2, timeout=2)) == {second.mac}


def test_planned_stop(lab):
    """SIGTERM hands over at once and exits 0."""
    lab.service("web")
    ip = lab.wait_ip("web")
    first = lab.wait_owner(ip)
    begin = time.monotonic()
    assert first.stop() == 0
    second = lab.wait_owner(ip, timeout=3)
    assert second is not first and time.monotonic() - begin < 3
    assert lab.wait_http(ip, timeout=2)


def test_last_node_stops(bare):
    """A lone node stops cleanly although nobody takes over, and takes its address again when it is back."""
    lab = bare(nodes=1).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_http(ip)
    assert lab.nodes[0].stop() == 0
    assert lab.client.arping(ip) == []
    begin = time.monotonic()
    lab.nodes[0].start()
    lab.wait_http(ip, timeout=10)
    assert time.monotonic() - begin < 8


def test_paused_owner(lab):
    """SIGSTOP of the owner past its Lease: another takes over; when the first wakes it answers no question that waited
    meanwhile, and there is one owner."""
    lab.service("web")
    ip = lab.wait_ip("web")
    first = lab.wait_owner(ip)
    with stopped(first.pid):
        wait_for("another owner", lambda: [n for n in lab.nodes if n is not first and n.announces(ip)], timeout=8)
        second = [n for n in lab.nodes if n is not first and n.announces(ip)][0]
        wait_for("the client to know", lambda: lab.client.neighbour(ip) in (None, second.mac) or lab.client.arping(ip))
    wait_for("one owner", lambda: lab.owners(ip) == [second], timeout=5)
    assert one_owner_for(lab, ip, 3) == [second]
    assert set(lab.client.arping(ip, count=2, timeout=2)) == {second.mac}


def test_api_outage(lab):
    """The API server is frozen for longer than every Lease: the address stays where it is and answers; afterwards too."""
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    lab.wait_http(ip)
    with stopped(lab.kubesim.pid):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            assert lab.owners(ip) == [owner]
            assert lab.client.arping(ip) == [owner.mac]
    assert one_owner_for(lab, ip, 6) == [owner]
    lab.service("later")
    lab.wait_ip("later", timeout=15)


def test_cut_from_the_api(lab):
    """A node that loses only the API keeps answering until the others take over by its Lease, and yields when it hears."""
    lab.service("web")
    ip = lab.wait_ip("web")
    first = lab.wait_owner(ip)
    first.run("nft", "add table ip cut; add chain ip cut out { type filter hook output priority 0; };"
              " add rule ip cut out ip daddr 10.89.0.10 drop")
    second = wait_for("another owner", lambda: [n for n in lab.nodes if n is not first and n.announces(ip)], timeout=10)[0]
    first.run("nft", "delete table ip cut")
    wait_for("one owner", lambda: len(lab.owners(ip)) == 1, timeout=15)
    lab.wait_owner(ip)
    assert len(set(lab.client.arping(ip, count=3, timeout=3))) == 1
    assert second


def test_silent_partition(lab):
    """The owner is cut off without losing its carrier, API included: another takes over, and one remains after the heal."""
    lab.service("web")
    ip = lab.wait_ip("web")
    first = lab.wait_owner(ip)
    first.cut()
    wait_for("another owner", lambda: [n for n in lab.nodes if n is not first and n.announces(ip)], timeout=8)
    lab.wait_http(ip)
    first.cut(False)
    wait_for("one owner", lambda: len(lab.owners(ip)) == 1, timeout=15)
    assert len(one_owner_for(lab, ip, 3)) == 1
    assert len(set(lab.client.arping(ip, count=3, timeout=3))) == 1


def test_cable_pulled(lab):
    """The owner's cable is pulled while lbd lives: another takes over."""
    lab.service("web")
    ip = lab.wait_ip("web")
    first = lab.wait_owner(ip)
    first.link(False)
    wait_for("another owner", lambda: [n for n in lab.nodes if n is not first and n.announces(ip)], timeout=8)
    lab.wait_http(ip)
    first.link(True)
    wait_for("one owner", lambda: len(lab.owners(ip)) == 1, timeout=15)


def test_many_move_together(lab):
    """A node with several addresses dies: each gets a new owner, one each, shared by the two that are left."""
    for i in range(12):
        lab.service(f"s{i}")
    ips = [lab.wait_ip(f"s{i}") for i in range(12)]
    owners = {ip: lab.wait_owner(ip) for ip in ips}
    dead = max(lab.nodes, key=lambda n: sum(o is n for o in owners.values()))
    dead.kill()
    dead.link(False)
    for ip in ips:
        now = lab.wait_owner(ip, timeout=10)
        assert now is owners[ip] or owners[ip] is dead  # what the living held stays


def test_restart_keeps_ownership(lab):
    """A daemon that restarts within its Lease takes its own addresses back; nothing else moves."""
    for i in range(6):
        lab.service(f"s{i}")
    ips = [lab.wait_ip(f"s{i}") for i in range(6)]
    owners = {ip: lab.wait_owner(ip).name for ip in ips}
    lab.nodes[0].kill()
    lab.nodes[0].start()
    wait_for("the same owners", lambda: {ip: [n.name for n in lab.owners(ip)] for ip in ips} ==
             {ip: [name] for ip, name in owners.items()}, timeout=10)


def test_restart_is_another_identity(bare):
    """node/boot/start in the node's Lease: a daemon that was started again is told from the one before (OWNERSHIP R29)."""
    lab = bare(nodes=1, pods=False, proxy=False).start()

    def holder():
        code, lease = lab.kubesim.api("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lbd-node-n1")
        return lease["spec"]["holderIdentity"] if code == 200 else None

    first = wait_for("the node's Lease", holder)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert re.fullmatch(f"n1/{boot}/[1-9][0-9]*", first)
    lab.nodes[0].kill()
    lab.nodes[0].start()
    wait_for("the Lease of the new one", lambda: holder() != first)


def cpu_seconds(pid):
    """Of the processor, used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_start_without_api(bare):
    """A node that starts while there is no API server waits for it, and costs nothing meanwhile."""
    lab = bare(nodes=1, pods=False, proxy=False)
    lab.server.stop()
    node = lab.nodes[0].start(ready=False)
    wait_for("the daemon", node.dump)
    before, begin = cpu_seconds(node.pid), time.monotonic()
    wait_for("five seconds of it", lambda: time.monotonic() - begin > 5, timeout=10)
    assert cpu_seconds(node.pid) - before < 0.5
    assert node.stop() == 0
