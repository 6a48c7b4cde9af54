# SPDX-License-Identifier: Apache-2.0
"""bindAddress: the owner's kernel has the address, answers for it, and fences itself when lbd is gone. kube-ipvs0: the kernel
is told to answer for nothing else. arping, ip and the client's neighbour table judge.
"""

import re
import threading
import time

import pytest

from lab import FAST, POOL, wait_for

BIND = f"pools:\n- name: lan\n  addresses: [{POOL}]\nl2Advertisements:\n- name: lan\n  bindAddress: %s\n{FAST}"
YARDSTICK = "10.89.0.200"
CONFIG = "apiVersion: lbd.io/v1\nkind: Config\n" + BIND


def on_link(node, ip, dev="eth0"):
    """The line of ip on the interface, with its lifetime; None."""
    out = node.run("ip", "-o", "addr", "show", "dev", dev, "to", f"{ip}/32", check=False).stdout
    return out.strip() or None


def lifetime(node, ip):
    m = re.search(r"valid_lft (\d+)sec", on_link(node, ip) or "")
    return int(m.group(1)) if m else None


def here(node, ip):
    return next((e for v in (node.dump() or {}).get("vips", []) if v["ip"] == ip for e in v["here"]), {})


def wait_bound(node, ip, timeout=5):
    wait_for(f"{ip} bound on {node.name}", lambda: on_link(node, ip) and here(node, ip).get("bound"), timeout)


class Asking(threading.Thread):
    """Asks who has ip, one request after the other."""

    def __init__(self, lab, ip):
        super().__init__(daemon=True)
        self.lab, self.ip, self.answers, self.end = lab, ip, [], threading.Event()

    def run(self):
        while not self.end.is_set():
            self.answers.append(self.lab.client.arping(self.ip))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.join()


@pytest.fixture
def bound(bare):
    return bare(config=CONFIG % "true").start()


def test_bound(bound):
    """On the owner alone, for three seconds at a time, never as a source; the kernel answers, lbd does not; the address is
    published neither as the node's nor as a subnet. T10."""
    lab = bound
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_bound(owner, ip)
    lab.wait_http(ip)
    for node in lab.nodes:
        assert bool(on_link(node, ip)) == (node is owner)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert lifetime(owner, ip) is not None, "the kernel lost it"
        time.sleep(0.1)
    before = here(owner, ip)
    assert lab.client.arping(ip, count=3, timeout=3) == [owner.mac] * 3
    assert here(owner, ip)["requests"] > before["requests"] and here(owner, ip)["replies"] == before["replies"]
    assert f"src {owner.addr}" in owner.run("ip", "route", "get", "10.89.0.50").stdout
    me = next(n for n in owner.dump()["nodes"] if n["self"])
    assert ip not in (me["subnets"] or "")
    owner.stop()
    assert on_link(owner, ip) is None


def test_sigkill_fences_itself(bound):
    """lbd killed, just after a refresh: three seconds later the kernel stops answering by itself, and another node takes over by the
    Lease. How exact the kernel is with three seconds (a quarter of one, and what its worker waits for the processor) is measured
    beside it, with an address of the test's own: the VIP goes in the same round of the kernel's or an earlier one, and rounds are a
    second apart. F10."""
    lab = bound
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_bound(owner, ip)
    monitor = owner.popen("ip", "monitor", "address", log=lab.dir / "monitor.out")
    lines = lab.dir / "monitor.out"
    wait_for("a refresh seen", lambda: f"{ip}/32" in lines.read_text(), timeout=3)
    owner.kill()
    owner.run("ip", "addr", "add", f"{YARDSTICK}/32", "dev", "eth0", "valid_lft", 3, "preferred_lft", 0)
    monitor.kill()
    monitor.wait()
    wait_for("the kernel to let its own three seconds pass", lambda: on_link(owner, YARDSTICK) is None, timeout=10)
    wait_for("it to have let go of the VIP", lambda: on_link(owner, ip) is None, timeout=0.9)
    successor = lab.wait_owner(ip, timeout=10, but=[owner])
    wait_bound(successor, ip)
    assert set(lab.client.arping(ip, count=2, timeout=2)) == {successor.mac}


def test_left_over_removed_at_start(bound):
    """What a killed lbd left is taken off by the next one at once, and what is not lbd's stays."""
    lab = bound
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_bound(owner, ip)
    owner.kill()
    # Leftovers that would stay for a minute, one without lbd's number and its lifetime: the host's own.
    owner.run("ip", "addr", "add", "10.89.0.118/32", "dev", "eth0", "proto", "0x6c", "valid_lft", "60", "preferred_lft", "0",
              check=False)
    owner.run("ip", "addr", "add", "10.89.0.119/32", "dev", "eth0")
    owner.start()
    wait_for("the leftover to go", lambda: on_link(owner, "10.89.0.118") is None, timeout=3)
    assert on_link(owner, "10.89.0.119")


def test_taken_off_by_hand(bound):
    """Somebody removes the address: it is back at once, and was answered for all the time."""
    lab = bound
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_bound(owner, ip)
    for _ in range(3):
        owner.run("ip", "addr", "del", f"{ip}/32", "dev", "eth0")
        assert lab.client.arping(ip) == [owner.mac]
        wait_for("it to be put back", lambda: on_link(owner, ip), timeout=0.5)


@pytest.mark.parametrize("first", ["true", "false"])
def test_switched_in_service(bare, first):
    """bindAddress switched on and off for an address in service: every request is answered, by the same node."""
    lab = bare(config=CONFIG % first).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    if first == "true":
        wait_bound(owner, ip)
    with Asking(lab, ip) as asking:
        for want in (["false", "true"] if first == "true" else ["true", "false"]) * 5:
            for node in lab.nodes:
                node.config_path.write_text(CONFIG % want)
            wait_for(f"bindAddress {want}", lambda: bool(on_link(owner, ip)) == (want == "true"), timeout=5)
            wait_for("the dump", lambda: here(owner, ip).get("bindAddress") == (want == "true"))
            asked = len(asking.answers)  # the first of the next two may be of before
            wait_for("questions afterwards", lambda: len(asking.answers) > asked + 1)
    assert all(set(macs) == {owner.mac} for macs in asking.answers), asking.answers
    assert lab.wait_owner(ip) is owner


def test_interface_comes_back(bound):
    """The interface goes down and comes back, and the address with it."""
    lab = bound
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_bound(owner, ip)
    owner.link(False)
    wait_for("the address taken off", lambda: on_link(owner, ip) is None, timeout=5)
    owner.link(True)
    now = lab.wait_owner(ip, timeout=15)
    wait_bound(now, ip)
    assert set(lab.client.arping(ip)) == {now.mac}


def test_dry_run_writes_nothing(bare):
    lab = bare(nodes=2, config=CONFIG % "true", pods=False, proxy=False)
    lab.nodes[0].start()
    lab.service("web")
    ip = lab.wait_ip("web")
    wait_bound(lab.nodes[0], ip)
    lab.nodes[1].run("ip", "addr", "add", "10.89.0.118/32", "dev", "eth0", "valid_lft", "3", "preferred_lft", "0")
    lab.nodes[1].start(extra=["--dry-run"])
    assert on_link(lab.nodes[1], "10.89.0.118") and on_link(lab.nodes[1], ip) is None


# -- kube-ipvs0; a bridge stands in for the dummy link, which not every kernel has --

def setting(node, name):
    return node.run("cat", f"/proc/sys/net/ipv4/conf/all/{name}").stdout.strip()


def add_ipvs(node):
    node.run("ip", "link", "add", "kube-ipvs0", "type", "bridge")


def test_ipvs_made_strict(bare):
    """Every kernel has every address on kube-ipvs0, and answers for it by default: with lbd only the owner's does, also
    where the link comes later."""
    lab = bare(nodes=2)
    add_ipvs(lab.nodes[0])
    lab.start()
    assert (setting(lab.nodes[0], "arp_ignore"), setting(lab.nodes[0], "arp_announce")) == ("1", "2")
    assert setting(lab.nodes[1], "arp_ignore") == "0"
    add_ipvs(lab.nodes[1])
    wait_for("the second node strict", lambda: setting(lab.nodes[1], "arp_announce") == "2", timeout=5)
    lab.service("web")
    ip = lab.wait_ip("web")
    for node in lab.nodes:
        node.run("ip", "addr", "add", f"{ip}/32", "dev", "kube-ipvs0")
    owner = lab.wait_owner(ip)
    assert set(lab.client.arping(ip, count=3, timeout=3)) == {owner.mac}
    assert here(owner, ip)["interface"] == "eth0"


def test_ipvs_may_not(bare):
    """/proc/sys is read-only, as in a pod or under ProtectKernelTunables: one Event and one line say what to do."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    add_ipvs(node)
    wrap = lab.dir / "lbd-ro"
    from lab import binary
    wrap.write_text(f"#!/bin/sh\nmount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys || exit 9\n"
                    f'exec {binary()} "$@"\n')
    wrap.chmod(0o755)
    node.start(binary_path=wrap)
    event = wait_for("an Event", lambda: [e for e in lab.events(node.name) if e["reason"] == "strictARPMissing"])
    assert "arp_ignore=1" in event[0]["message"]
    node.run("ip", "link", "add", "other0", "type", "bridge")  # looked at again, and not said again
    time.sleep(1)
    assert node.log.read_text().count("arp_ignore=1") == 1
    assert setting(node, "arp_ignore") == "0"


def test_ipvs_dry_run(bare):
    lab = bare(nodes=1, pods=False, proxy=False)
    add_ipvs(lab.nodes[0])
    lab.nodes[0].start(extra=["--dry-run"])
    assert setting(lab.nodes[0], "arp_ignore") == "0"
