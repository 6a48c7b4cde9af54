# SPDX-License-Identifier: Apache-2.0
"""By hand: lbd drain, undrain, move, freeze, thaw, log-level; as an operator types them."""

import datetime
import json
import re
import socket
import subprocess

import pytest
from lab import FAST, POOL, Lab, binary, wait_for
from shake import stopped


def by_hand(node, command, *argv):
    """(exit code, what it says)"""
    r = subprocess.run([binary(), command, *argv, "--control", node.control], capture_output=True, text=True, timeout=40)
    return r.returncode, (r.stdout + r.stderr).strip()


def vip(node, ip):
    return next(v for v in node.dump()["vips"] if v["ip"] == ip)


def others(lab, *nodes):
    return [n for n in lab.nodes if n not in nodes]


def joined(lab):
    """Every node hears every other."""
    wait_for("BFD", lambda: all(n["self"] or n["peer"] == "up" for m in lab.nodes for n in m.dump()["nodes"]), timeout=15)


def serve(lab):
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    joined(lab)
    return ip, owner


def test_drain(lab):
    """The addresses go to others, no request in between is lost; nothing comes back before undrain."""
    ip, first = serve(lab)
    assert by_hand(first, "drain", "--reason", "new disk") == (
        0, "drained: this node announces nothing until `lbd undrain`")
    second = lab.wait_owner(ip, timeout=2)
    assert second is not first and lab.client.arping(ip) == [second.mac]
    assert vip(second, ip)["why"] == "offered"
    wait_for("the others to read why", lambda: any(
        n["name"] == first.name and n["draining"] == "new disk" for n in second.dump()["nodes"]))
    with stopped(*[n.pid for n in others(lab, first)]):  # even when the last one could take it
        assert lab.client.arping(ip, count=3, timeout=3) == []
    wait_for("the others' Leases", lambda: all(n["self"] or n["sinceRenewalMs"] < 1000 for n in first.dump()["nodes"]))
    assert by_hand(first, "undrain") == (0, "this node takes addresses again")
    assert by_hand(first, "undrain") == (0, "was not drained")
    assert lab.wait_owner(ip) is not first


def test_drain_again(bare):
    """A reason that is given later holds, here and in the Lease; a drain that gives none leaves it."""
    node = bare(nodes=2, pods=False, proxy=False).start().nodes[0]

    def reasons():
        return {next(n["draining"] for n in m.dump()["nodes"] if n["name"] == node.name) for m in node.lab.nodes}

    for argv, reason in (((), "by hand"), (("--reason", "new disk"), "new disk"), ((), "new disk"), (("--reason", ""), "new disk"),
                         (("--reason", "new fan"), "new fan")):
        assert by_hand(node, "drain", *argv)[0] == 0
        wait_for(f"all to say {reason}", lambda reason=reason: reasons() == {reason}, timeout=5)
    size = len(lines(node, "info"))
    assert by_hand(node, "drain", "--reason", "new fan")[0] == 0
    assert len(lines(node, "info")) == size  # no news


def test_drain_the_last(bare):
    """Nobody else could take them: they are answered for all the same, and the operator is told."""
    lab = bare(nodes=1).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    node = lab.wait_owner(ip)
    code, says = by_hand(node, "drain", "--timeout", "1s")
    assert (code, says) == (1, "1 address has found no other node yet: this node still answers for it")
    assert lab.client.arping(ip) == [node.mac]
    lab.service("more")
    lab.wait_ip("more")
    assert by_hand(node, "undrain")[0] == 0
    assert lab.wait_owner(ip) is node
    wait_for("both", lambda: sum(v["state"] == "owner" for v in node.dump()["vips"]) == 2)
    code, says = by_hand(node, "drain", "--timeout", "1s")
    assert (code, says) == (1, "2 addresses have found no other node yet: this node still answers for them")


def test_move(lab):
    """An address goes to the very node that was asked for; where it cannot, the reason is said."""
    ip, first = serve(lab)
    target, third = others(lab, first)
    for to in (third, target):
        code, says = by_hand(lab.wait_owner(ip), "move", ip, to.name)
        assert (code, says) == (0, f"{ip} is announced by {to.name}")
        assert lab.wait_owner(ip) is to and lab.client.arping(ip) == [to.mac]
    assert by_hand(target, "move", ip, target.name) == (0, f"{ip} is announced by {target.name}")
    assert by_hand(first, "move", ip, third.name) == (
        1, f"lbd: this node does not announce {ip}: ask {target.name}, which does")
    assert by_hand(target, "move", "10.89.0.99", third.name) == (1, "lbd: no Service holds that address on layer 2")
    assert by_hand(target, "move", ip, "nobody") == (1, "lbd: there is no other node of that name at work")
    assert by_hand(target, "move", ip)[0] == 2


def test_freeze(lab):
    """A frozen node keeps what it has and takes nothing, not from the dead either."""
    ip, first = serve(lab)
    for n in others(lab, first):
        assert by_hand(n, "freeze")[0] == 0
    first.kill()
    assert lab.client.arping(ip, count=3, timeout=3) == []
    heir = others(lab, first)[0]
    assert by_hand(heir, "thaw") == (0, "this node takes addresses again")
    wait_for("the thawed one to take it", lambda: lab.client.arping(ip) == [heir.mac])


def cordon(lab, *nodes, on=True):
    for n in nodes:
        lab.patch(f"/api/v1/nodes/{n.name}", {"spec": {"unschedulable": on}})


def draining(node):
    return next(n["draining"] for n in node.dump()["nodes"] if n["self"])


def exclude(lab, node, value):
    """From announcing, by the label; None: no more."""
    lab.patch(f"/api/v1/nodes/{node.name}",
              {"metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": value}}})


def next_of(at, ip, node):
    """As that node sees it, would this one be next?"""
    return f"node {node.name} would be next" in by_hand(at, "explain", ip)[1]


def test_cordon(bare):
    """elections.drainOnCordon: kubectl cordon drains a node, uncordon ends that; when all are cordoned all may serve."""
    lab = bare(config=f"pools:\n- name: lan\n  addresses: [{POOL}]\n{FAST}  drainOnCordon: true\n").start()
    ip, first = serve(lab)
    cordon(lab, first)
    second = wait_for("another to have it", lambda: next(
        (n for n in others(lab, first) if lab.client.arping(ip) == [n.mac]), None), timeout=5)
    assert draining(first) == "the node is cordoned"
    code, says = by_hand(first, "undrain")
    assert code == 1 and "kubectl uncordon" in says and draining(first) == "the node is cordoned"
    status = subprocess.run([binary(), "status", "--control", first.control], capture_output=True, text=True, timeout=10).stdout
    assert f"until `kubectl uncordon {first.name}`" in " ".join(status.split())

    cordon(lab, *others(lab, first, second))
    third = others(lab, first, second)[0]
    wait_for("the third to drain", lambda: draining(third))
    cordon(lab, second)
    wait_for("nobody to drain", lambda: not any(draining(n) for n in lab.nodes))
    assert lab.client.arping(ip) == [second.mac]  # who has it keeps it

    assert by_hand(third, "drain", "--reason", "new disk")[0] == 0
    wait_for("the first to be next", lambda: next_of(third, ip, first))
    exclude(lab, first, "")
    wait_for("the first to be left out", lambda: not next_of(third, ip, first))
    cordon(lab, second, *others(lab, second), on=False)  # nobody else may take it meanwhile
    exclude(lab, first, None)  # what the third reads after that it is not cordoned
    wait_for("the third to have read it", lambda: next_of(third, ip, first))
    assert by_hand(third, "undrain") == (0, "this node takes addresses again")
    assert lab.client.arping(ip) == [second.mac]


def test_cordon_is_nothing_by_itself(lab):
    """Without the field a cordoned node serves on, as MetalLB's do."""
    ip, first = serve(lab)
    cordon(lab, first)
    assert set(lab.client.arping(ip, count=3, timeout=3)) == {first.mac} and draining(first) is None


def lines(node, level, start=0):
    """The log's lines of that level, without their time, from an offset on."""
    return [line.split(" ", 2)[2] for line in node.log.read_text()[start:].splitlines() if line.split(" ")[1:2] == [level]]


@pytest.fixture
def single(bare):
    return bare(nodes=1, pods=False, proxy=False).start()


@pytest.fixture(scope="module")
def idle():
    with Lab(nodes=1, pods=False, proxy=False) as lab:
        yield lab.start()


def serve_one(lab, name):
    lab.service(name)
    return lab.wait_owner(lab.wait_ip(name))


def test_log_level(single):
    """Debug, without a restart: what a person wants to know then is there; a reload leaves it; config ends it."""
    node = single.nodes[0]
    serve_one(single, "before")
    assert lines(node, "debug") == []
    assert by_hand(node, "log-level") == (0, "info, by the configuration")
    assert by_hand(node, "log-level", "debug") == (0, "debug, by hand: until a restart or `lbd log-level config`")
    assert node.dump()["log"] == {"level": "debug", "byHand": True, "otherwise": "info"}
    serve_one(single, "web")
    for word in (r"kube res=services namespace=default name=web rv=\d+ msg=added",       # the watch
                 r'kube method=PATCH path="/api/v1/namespaces/default/services/web/status\S* status=200 ms=\d+ err=',
                 r"elect ip=\S+ more=0 owner=n1 why=\S+ msg=owner",
                 r"arp ip=\S+ iface=\S+ reason=\w+ msg=\"not announcing\"",             # the plan, before it is taken
                 r"elect node=n1 claims=\S+ msg=\"a node's claims\""):
        wait_for(word, lambda word=word: any(re.match(word, line) for line in lines(node, "debug")))
    node.config_path.write_text(single.config + "log: {level: warn}\n")
    wait_for("the reload", lambda: node.dump()["config"]["reloads"] == 1)
    assert node.dump()["log"] == {"level": "debug", "byHand": True, "otherwise": "warn"}
    size = node.log.stat().st_size
    wait_for("what debug tells, still", lambda: lines(node, "debug", size))
    assert by_hand(node, "log-level", "config") == (0, "warn, by the configuration")
    size = node.log.stat().st_size
    serve_one(single, "after")
    assert lines(node, "debug", size) == lines(node, "info", size) == []
    assert [line for line in lines(node, "info") if "log level" in line] == [
        'lbd msg="log level: debug, by hand"', 'lbd msg="log level: warn, by the configuration"']


def test_log_level_for_a_time(single):
    """It ends by itself, and that is said whatever the level; --log-level outweighs the configuration."""
    node = single.nodes[0]
    code, says = by_hand(node, "log-level", "error", "--for", "1h")
    log = node.dump()["log"]
    until = datetime.datetime.fromisoformat(log["until"].replace("Z", "+00:00"))
    left = until - datetime.datetime.now(datetime.timezone.utc)
    assert (log["level"], log["byHand"], log["otherwise"]) == ("error", True, "info")
    assert 3500 < left.total_seconds() < 3601
    assert code == 0 and re.fullmatch(r"error until \d{4}-\S{18}Z, then info", says)
    assert by_hand(node, "log-level", "error", "--for", "1s")[0] == 0
    wait_for("its end", lambda: by_hand(node, "log-level") == (0, "info, by the configuration"), timeout=5)
    assert [line for line in lines(node, "info") if "log level" in line] == [
        'lbd msg="log level: error, by hand, for 1h"', 'lbd msg="log level: error, by hand, for 1s"',
        'lbd msg="log level: info, by the configuration"']
    assert node.stop() == 0
    assert any("stopping" in line for line in lines(node, "info"))
    node.start(extra=["--log-level", "warn"])
    assert by_hand(node, "log-level") == (0, "warn, by --log-level")


@pytest.mark.parametrize("request_", [
    {"level": "loud"}, {"level": ""}, {"level": 7}, {"level": None}, {"level": ["debug"]}, {"forMs": 1000},
    {"level": "config", "forMs": 1000}, *[{"level": "debug", "forMs": ms}
                                          for ms in (0, -1, 0.5, 1e300, 366 * 86400000 + 1, "1000", None, True)],
], ids=str)
def test_log_level_refused(request_, idle):
    """What is no request for a level changes none."""
    node = idle.nodes[0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect(str(node.control))
        s.sendall(json.dumps({"command": "log-level", **request_}).encode() + b"\n")
        assert list(json.loads(s.makefile().readline())) == ["error"]
    assert node.dump()["log"] == {"level": "info", "byHand": False, "otherwise": "info"}
