# SPDX-License-Identifier: Apache-2.0
"""The last picture on disk (OWNERSHIP R4, F12): a node that starts while the API is away serves what it served."""

import ipaddress
import json
import os
import shutil
import stat
import time

import pytest

from lab import API_ADDR, FAST, POOL, wait_for

SERVED_S = 2.0  # from the start of lbd
CONFIG_BIND = f"pools:\n- name: lan\n  addresses: [{POOL}]\nl2Advertisements:\n- name: lan\n  bindAddress: true\n{FAST}"


def snapshot(node, folder=None):
    return (folder or node.runtime_dir) / "snapshot"


def claimed(text):
    """The addresses of an annotation lbd.io/claims: "TERM:START[-COUNT],+GAP[-COUNT],... TERM:..."."""
    ips = set()
    for section in text.split():
        last = None
        for part in section.partition(":")[2].split(","):
            start, _, count = part.partition("-")
            first = last + int(start[1:]) if start[0] == "+" else ipaddress.ip_address(start)
            last = first + int(count or 1) - 1
            ips |= {str(first + i) for i in range(int(count or 1))}
    return ips


def claims_in(node, ip, at=None):
    """Does the snapshot of node (or that at another) say that node owns ip?"""
    try:
        lines = snapshot(at or node).read_text().splitlines()[:-1]
    except OSError:
        return False
    for o in map(json.loads, lines):
        if o["kind"] == "Lease" and o["metadata"]["name"] == f"lbd-claims-{node.name}":
            return ip in claimed(o["metadata"]["annotations"].get("lbd.io/claims", ""))
    return False


def serve(lab, name="web"):
    lab.service(name)
    ip = lab.wait_ip(name)
    owner = lab.wait_owner(ip)
    lab.wait_http(ip)
    wait_for("the snapshot to know it", lambda: claims_in(owner, ip))
    return ip, owner


def restart_api(lab):
    lab.server.start([f"{API_ADDR}:6443", "127.0.0.1:6443"], lab.dir / "api", netns=lab.api.ns,
                     extra=["--state", lab.dir / "state"])


def go_down(lab):
    """A site loses its power: the API server and every node's lbd are gone at once."""
    lab.server.save(lab.dir / "state")
    lab.server.kill()
    for node in lab.nodes:
        node.kill()


@pytest.mark.parametrize("where", ["runtime", "state"])
def test_served_without_api(lab, where):
    """API server and all nodes' lbd killed, the nodes started again while it is away: the VIPs answer within 2 s, each
    from the node that had it; when the API returns nothing moves. Also where the runtime directory is lost, as in a power
    cut. F12."""
    vips = dict(serve(lab, name) for name in ("web", "shop", "mail"))
    if where == "state":
        go_down(lab)
        for node in lab.nodes:  # as the next file there would have been, within a minute
            snapshot(node).rename(snapshot(node, node.state_dir))
            shutil.rmtree(node.runtime_dir)  # with what it was writing
    else:
        go_down(lab)
    for ip in vips:
        lab.client.forget(ip)
        assert lab.client.arping(ip) == []
    began = time.monotonic()
    for node in lab.nodes:
        node.start(ready=False)
    for ip, owner in vips.items():
        wait_for(f"{ip} served", lambda: lab.client.arping(ip) == [owner.mac], timeout=5)
    took = time.monotonic() - began
    assert took < SERVED_S, took
    for ip in vips:
        assert lab.client.curl(ip), "no answer over HTTP"
    terms = {ip: term(owner, ip) for ip, owner in vips.items()}
    restart_api(lab)
    for node in lab.nodes:
        node.wait_synced(timeout=20)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for ip, owner in vips.items():
            assert lab.owners(ip) == [owner]
    assert {ip: term(owner, ip) for ip, owner in vips.items()} == terms


def term(node, ip):
    return next(v["term"] for v in node.dump()["vips"] if v["ip"] == ip)


def test_bound_without_api(bare):
    """The same with bindAddress: what the killed process left on the interface is taken off, and comes back."""
    lab = bare(nodes=1, config=CONFIG_BIND).start()
    ip, owner = serve(lab)
    wait_for("it bound", lambda: f"{ip}/32" in owner.run("ip", "addr").stdout)
    go_down(lab)
    began = time.monotonic()
    owner.start(ready=False)
    wait_for("it gone", lambda: f"{ip}/32" not in owner.run("ip", "addr").stdout, timeout=1)
    wait_for("it bound again", lambda: f"{ip}/32" in owner.run("ip", "addr").stdout, timeout=SERVED_S)
    assert time.monotonic() - began < SERVED_S
    assert lab.client.arping(ip) == [owner.mac] and lab.client.curl(ip)


def test_others_is_not_ours(bare):
    """Without the API a node takes at once only what it had; another's address, whose node stays dead, when it was silent
    for five seconds after the three of joining (G6)."""
    lab = bare(nodes=2).start()
    ip, owner = serve(lab)
    other = next(n for n in lab.nodes if n is not owner)
    wait_for("the other's snapshot to know whose it is", lambda: claims_in(owner, ip, at=other))
    go_down(lab)
    began = time.monotonic()
    other.start(ready=False)
    wait_for("it to work from the snapshot", lambda: "serving from the picture" in other.log.read_text(), timeout=3)
    while time.monotonic() < began + 5:
        assert lab.owners(ip) == []
    lab.wait_owner(ip, timeout=15, but=[owner])


def test_taken_meanwhile(bare):
    """What a node took while the API was away is its own, too, when it is restarted then. F12."""
    lab = bare(nodes=2).start()
    ip, owner = serve(lab)
    other = next(n for n in lab.nodes if n is not owner)
    wait_for("the two to hear each other", lambda: all(
        n["peer"] == "up" for n in other.dump()["nodes"] if n["name"] == owner.name))
    lab.server.kill()
    owner.kill()
    lab.wait_owner(ip, but=[owner])
    wait_for("its snapshot to know it", lambda: claims_in(other, ip))
    other.kill()
    assert lab.client.arping(ip) == []
    began = time.monotonic()
    other.start(ready=False)
    wait_for(f"{ip} served", lambda: lab.client.arping(ip) == [other.mac], timeout=5)
    assert time.monotonic() - began < SERVED_S


def test_what_changed_meanwhile(lab):
    """The first lists replace the old picture: a Service that went while lbd was down is not served for long, one that
    came is."""
    ip, owner = serve(lab)
    owner.kill()
    lab.delete_service("web")
    lab.service("other")
    owner.start()
    wait_for("the picture to be the API's", lambda: [s["name"] for s in owner.dump()["services"]] == ["default/other"])
    lab.wait_owner(lab.wait_ip("other"))
    assert all(v["ip"] != ip or v["services"] == ["default/other"] for v in owner.dump()["vips"])


def test_the_file(lab):
    """Private, bounded, put in place whole; a cluster in which nothing changes writes none."""
    ip, owner = serve(lab)
    st = os.stat(snapshot(owner))
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_size < 20000
    wait_for("its condition", lambda: lab.must("GET", "/api/v1/namespaces/default/services/web")["status"].get("conditions"))
    time.sleep(3)  # the last writes of what has just changed
    before = os.stat(snapshot(owner)).st_mtime_ns
    time.sleep(4)  # five renewals of each node
    assert os.stat(snapshot(owner)).st_mtime_ns == before
    assert sorted(p.name for p in owner.runtime_dir.iterdir()) == ["snapshot"]


@pytest.mark.parametrize("how", ["empty", "cut", "noise", "foreign", "folder"])
def test_bad_file(bare, how):
    """A file that is no snapshot of this node is ignored with a line; lbd works as without one."""
    lab = bare(nodes=2, pods=False, proxy=False).start()
    ip, owner = serve_quietly(lab)
    other = next(n for n in lab.nodes if n is not owner)
    owner.kill()
    for folder in (owner.runtime_dir, owner.state_dir):
        path = snapshot(owner, folder)
        text = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        if how == "foreign":
            path.write_bytes(snapshot(other).read_bytes())
        elif how == "folder":
            path.mkdir()
        else:
            path.write_bytes({"empty": b"", "cut": text[:len(text) // 2], "noise": os.urandom(5000)}[how])
    owner.start()
    assert "msg=\"ignored\"" in owner.log.read_text() or "msg=ignored" in owner.log.read_text() or how == "folder"
    assert owner.alive()
    lab.wait_owner(ip)


def serve_quietly(lab):
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_for("snapshots", lambda: claims_in(owner, ip) and all(snapshot(n).exists() for n in lab.nodes))
    return ip, owner


def test_nowhere_to_write(bare):
    """A disk that is full, and a folder that is not there: one line each, and lbd goes on."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    node.start()
    shutil.rmtree(node.runtime_dir)
    node.run("mount", "-t", "tmpfs", "-o", "size=4k", "none", node.state_dir, check=False)
    for i in range(3):
        lab.service(f"web{i}")
        lab.wait_owner(lab.wait_ip(f"web{i}"))
    wait_for("the line", lambda: "cannot be kept there" in node.log.read_text())
    time.sleep(2)
    assert node.log.read_text().count("cannot be kept there") <= 2
    assert node.alive()
