# SPDX-License-Identifier: Apache-2.0
"""lbd status, as an operator types it."""

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios

import pytest

from lab import POOL, binary, wait_for
from peering import DUAL
from test_hand import by_hand, joined
from test_ndp import POOL6
from test_wire import claim

WORDS = ("services", "vips", "pools", "nodes", "peers", "events")


def status(node, *argv, **kw):
    """(exit code, what it says)"""
    r = subprocess.run([binary(), "status", *argv, "--control", node.control], capture_output=True, text=True, timeout=20, **kw)
    return r.returncode, r.stdout + r.stderr


def table(node, *argv):
    """The rows of a wide table, by their columns' heads."""
    code, text = status(node, *argv, "-o", "wide")
    assert code == 0
    head, *lines = text.splitlines()
    starts = [i for i in range(len(head)) if head[i] != " " and (i == 0 or head[i - 2:i] == "  ")]
    cuts = list(zip(starts, [*starts[1:], None]))
    return [{head[a:b].strip(): line[a:b].strip() for a, b in cuts} for line in lines]


def degraded(node):
    """The sentences of lbd status."""
    code, text = status(node, "-o", "json")
    assert code == 0
    return json.loads(text)["degraded"]


def is_fine(lab):
    return all(status(n)[0] == 0 for n in lab.nodes)


def settle(lab):
    joined(lab)
    wait_for("nothing degraded", lambda: is_fine(lab), timeout=15, interval=0.2)


@pytest.fixture
def dual(bare):
    lab = bare(config=f"pools:\n- name: lan\n  addresses: [{POOL}, '{POOL6}']\n"
                      "elections:\n  nodeLease: {duration: 3s, renew: 750ms}\n"
                      "  leaderLease: {duration: 2s, renewDeadline: 1300ms, retryPeriod: 400ms}\n")
    lab.start()
    return lab


def test_whole_cluster_from_each_node(dual):
    """Each node shows each address with the same owner, interface and MAC, the others' too, and what was heard on the wire."""
    dual.service("web", **DUAL)
    dual.must("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "front"}})
    dual.service("shop", namespace="front")
    ips = [dual.wait_ip("web"), dual.ips("web")[1], dual.wait_ip("shop", namespace="front")]
    settle(dual)
    owner = {ip: dual.wait_owner(ip) for ip in ips}
    for node in dual.nodes:
        rows = {r["ADDRESS"]: r for r in table(node, "vips")}
        assert rows.keys() == set(ips)
        for ip, row in rows.items():
            assert (row["NODE"], row["INTERFACE"], row["MAC ANNOUNCED"]) == (owner[ip].name, "eth0", owner[ip].mac), row
            assert (row["STATUS"], row["POOL"]) == ("announced", "lan")
            if owner[ip] is not node:
                assert row["MAC SEEN"] == owner[ip].mac
                assert "was heard" in row["REASON"]
        assert {(r["NAMESPACE"], r["NAME"], r["ADDRESS"], r["NODE"]) for r in table(node, "services")} == {
            ("default", "web", ips[0], owner[ips[0]].name), ("default", "web", ips[1], owner[ips[1]].name),
            ("front", "shop", ips[2], owner[ips[2]].name)}
        assert {r["NAME"] for r in table(node, "nodes")} == {"n1", "n2", "n3"}
        assert {r["BFD"] for r in table(node, "nodes")} == {"up", "(this node)"}
        assert [r["NAME"] for r in table(node, "services", "-n", "front")] == ["shop"]
        assert [r["ADDRESS"] for r in table(node, "vips", "-n", "front")] == [ips[2]]
        code, text = status(node)
        assert code == 0 and "nothing is degraded" in text
        assert all(len(line) <= 80 for line in text.splitlines())


def test_hijack(lab):
    """A foreign host claims an address in service: within 5 s every node says so, with the host's MAC."""
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    settle(lab)
    claim(lab.api, ip)
    for node in lab.nodes:
        wait_for(f"{node.name} to say so", lambda n=node: any(
            ip in s and "foreign host" in s and lab.api.mac in s for s in degraded(n)), timeout=5)
        code, text = status(node)
        assert code == 1 and "claimed by a foreign host" in text
        row, = table(node, "vips")
        assert row["MAC SEEN"] == lab.api.mac and row["MAC ANNOUNCED"] == lab.node_of_mac(row["MAC ANNOUNCED"]).mac


@pytest.mark.parametrize("family", [4, 6])
def test_silent_hijack(dual, family):
    """A foreign host has an address in service and announces nothing, it only answers: lbd status asks the wire, and says so
    from every node, though clients' requests alone tell no node anything.  The Event is told once."""
    dual.service("web", ipFamilies=[f"IPv{family}"], ipFamilyPolicy="SingleStack")
    ip = dual.wait_ip("web")
    owner = dual.wait_owner(ip)
    settle(dual)
    dual.api.run("sysctl", "-qw", "net.ipv4.conf.all.arp_notify=0", "net.ipv6.conf.all.ndisc_notify=0")
    dual.api.run("ip", "addr", "add", f"{ip}/{32 if family == 4 else 128}", "dev", "eth0", *(["nodad"] if family == 6 else []))
    for node in dual.nodes:
        wait_for(f"{node.name} to say so", lambda n=node: any(
            ip in s and "foreign host" in s and dual.api.mac in s for s in degraded(n)), timeout=5)
    assert dual.wait_owner(ip) is owner
    wait_for("the Event", lambda: [e for e in dual.events("web") if e["reason"] == "addressConflict"])
    for _ in range(3):
        status(owner)
    assert len([e for e in dual.events("web") if e["reason"] == "addressConflict"]) == 1


def test_in_use(lab):
    """A foreign host has the pool's first address already: nobody announces it, and it is said why, with its MAC."""
    lab.api.run("ip", "addr", "add", "10.89.0.100/32", "dev", "eth0")
    lab.service("web", ip="10.89.0.100")
    assert lab.wait_ip("web") == "10.89.0.100"
    wait_for("it said", lambda: any("in use by a foreign host, MAC " + lab.api.mac in s for n in lab.nodes for s in degraded(n)),
             timeout=15)


def test_drained_frozen_dead(lab):
    """What was done by hand and what died is said, by each node that knows of it."""
    settle(lab)
    n1, n2, n3 = lab.nodes
    assert by_hand(n1, "drain", "--reason", "new disk")[0] == 0
    assert by_hand(n2, "freeze")[0] == 0
    n3.kill()
    said = wait_for("n2 to know", lambda: (lambda d: d if len(d) >= 3 else None)(degraded(n2)), timeout=15)
    assert any(s.startswith("this node is frozen") for s in said)
    assert any(s.startswith("node n1 is drained (new disk)") for s in said)
    wait_for("n3's death", lambda: any(s.startswith("node n3 is dead") for s in degraded(n2)), timeout=15)
    rows = {r["NAME"]: r["STATUS"] for r in table(n2, "nodes")}
    assert rows == {"n1": "drained", "n2": "frozen", "n3": "dead"}
    assert any(s.startswith("node n1 is drained (new disk)") for s in degraded(n1))


def test_no_node(bare):
    """lbd runs under a name that no Node has: status says so, until there is one."""
    lab = bare(nodes=2, pods=False, proxy=False)
    lab.nodes[1].name = "elsewhere"
    lab.start()
    said = "there is no Node elsewhere in the API: this host announces nothing; its Node's name is nodeName in the configuration"
    wait_for("it said", lambda: said in degraded(lab.nodes[1]))
    assert status(lab.nodes[1])[0] == 1 and said not in degraded(lab.nodes[0])
    lab.create_node(lab.nodes[1])
    wait_for("it not said", lambda: said not in degraded(lab.nodes[1]))


def test_another_name(bare):
    """Another nodeName is for the next start: that is logged once, and said until it is taken back, or lbd is started anew."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start(extra=["--node-name="], config=f"nodeName: n1\n{lab.config}")
    said = "lbd goes by the node's name n1, but nodeName in the configuration, or the host's name, is n2 now: restart lbd"

    def name(text, reloads):
        node.config_path.write_text(f"{text}\n{lab.config}")
        wait_for("the reload", lambda: node.dump()["config"]["reloads"] == reloads)
    assert said not in degraded(node)
    name("nodeName: n2", 1)
    assert said in degraded(node) and node.dump()["version"]["node"] == "n1"
    name("nodeName: n2 # still", 2)
    log = node.log.read_text()
    assert log.count("this node has another name from a restart of lbd on") == 1 and "now=n1 then=n2" in log
    name("nodeName: n1 # again", 3)
    assert said not in degraded(node)
    name("nodeName: n2", 4)
    assert said in degraded(node)
    node.stop()
    node.start(extra=["--node-name="], config=node.config_path.read_text())
    assert node.dump()["version"]["node"] == "n2" and not any("goes by" in s for s in degraded(node))


def test_bfd_not_up(lab):
    """Two nodes whose BFD packets are lost: it is said that failover goes by Lease, and how long that takes."""
    settle(lab)
    n1, n2, _ = lab.nodes
    lab.lose((n1, n2, "udp dport 3784"), (n2, n1, "udp dport 3784"))
    wait_for("it said", lambda: any(s.startswith("BFD not up to n2: failover by lease, 3 s") for s in degraded(n1)))


def test_config_differs(lab):
    """One node runs another configuration, then has one with an error in its file."""
    settle(lab)
    n1, n2, _ = lab.nodes
    text = n2.config_path.read_text()
    n2.config_path.write_text(text.replace("name: lan", "name: lane"))
    wait_for("n1 to say so", lambda: "the configuration differs from this node's on node n2" in degraded(n1))
    n2.config_path.write_text(text + "nonsense: 1\n")
    wait_for("n2 to say so", lambda: any("lbd check-config" in s for s in degraded(n2)))


def test_why_no_address(bare):
    """A pool that is full and a request that cannot be met: every node says the leader's reason, not the leader alone."""
    lab = bare(config="pools:\n- name: lan\n  addresses: [10.89.0.100/32]\n")
    lab.start()
    lab.service("first")
    lab.wait_ip("first")
    lab.service("second")
    lab.service("third", ip="10.77.0.1")
    for node in lab.nodes:
        wait_for("the reasons", lambda n=node: {r["NAME"]: r["STATUS"] for r in table(n, "services")}.get("second", "").startswith(
            "every IPv4 address"))
        rows = {r["NAME"]: r["STATUS"] for r in table(node, "services")}
        assert "10.77.0.1" in rows["third"] or "in no pool" in rows["third"]
        assert "pool lan is full: 1 of 1 IPv4 addresses are in use" in degraded(node)


def test_api_down(lab):
    """The API server is gone: lbd status works by the socket alone, says so, and who owns what is still there."""
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    settle(lab)
    lab.server.kill()
    for node in lab.nodes:
        wait_for("it said", lambda n=node: any(s.startswith("API server out of reach") for s in degraded(n)))
        row, = table(node, "vips")
        assert row["NODE"] == owner.name
        assert status(node)[0] == 1


def test_api_takes_nothing(lab):
    """The watches stand, but no Lease is taken: said after a while, and no longer when it is over."""
    node = lab.nodes[0]
    settle(lab)
    for verb in ("update", "create"):
        lab.server.fault("500", match={"user": "lbd", "verb": verb, "path": "/apis/coordination.k8s.io/*"})
    wait_for("it said", lambda: any(s.startswith("the API server is in reach, but has not taken this node's Lease for ")
                                    and "(HTTP 500" in s for s in degraded(node)), 30)
    assert "API server in reach" in status(node)[1]
    wait_for("no leader", lambda: "no node leads: no Service gets an address until one does" in degraded(node))
    lab.server.clear()
    wait_for("it no longer said", lambda: not any("has not taken" in s for s in degraded(node)), 15)


def test_exit_codes(lab):
    """0 when it could be printed, 1 when the summary has something degraded, 2 usage, 3 no daemon."""
    node = lab.nodes[0]
    settle(lab)
    assert status(node)[0] == 0
    assert by_hand(node, "freeze")[0] == 0
    assert status(node)[0] == 1
    assert status(node, "-o", "json")[0] == status(node, "vips")[0] == status(node, "nodes", "-o", "wide")[0] == 0
    for argv in (["vip"], ["-o", "yaml"], ["-n", "A b"], ["vips", "pools"], ["-x"], ["-n"]):
        code, text = status(node, *argv)
        assert code == 2 and text, argv
    node.kill()
    code, text = status(node)
    assert code == 3 and "no daemon answers" in text
    code, text = status(node, "-w")
    assert code == 3 and "no daemon answers" in text


def test_json(lab):
    """-o json is what the daemon said, part by part, and the sentences beside it."""
    lab.service("web")
    lab.wait_owner(lab.wait_ip("web"))
    node = lab.nodes[0]
    everything = json.loads(status(node, "-o", "json")[1])
    assert {"version", "config", "leader", "nodes", "services", "vips", "pools", "peers", "events", "degraded", "notes"} <= everything.keys()
    for word in WORDS:
        part = json.loads(status(node, word, "-o", "json")[1])
        assert isinstance(part, list) and (part or word in ("peers", "events"))
    assert json.loads(status(node, "services", "-n", "elsewhere", "-o", "json")[1]) == []


def test_watch(lab):
    """-w into a pipe: one block at once, one for each change, none for ages; SIGINT ends it cleanly."""
    node = lab.nodes[0]
    settle(lab)
    out = lab.dir / "watch"
    with open(out, "wb") as f, subprocess.Popen([binary(), "status", "nodes", "-w", "--control", node.control], stdout=f,
                                               stderr=subprocess.STDOUT) as p:
        wait_for("the first block", lambda: out.read_text().count("NAME  STATUS") == 1)
        assert by_hand(node, "freeze")[0] == 0
        wait_for("the second", lambda: "frozen" in out.read_text())
        assert by_hand(node, "thaw")[0] == 0
        wait_for("the third", lambda: out.read_text().count("NAME  STATUS") == 3)
        p.send_signal(signal.SIGINT)
        assert p.wait(timeout=5) == 0
    blocks = out.read_text().split("\n\n")
    assert ["frozen" in b for b in blocks] == [False, True, False]


def test_watch_outlives_the_daemon(lab):
    """The daemon goes and comes back: -w says both."""
    node = lab.nodes[0]
    out = lab.dir / "watch"
    with open(out, "wb") as f, subprocess.Popen([binary(), "status", "-w", "--control", node.control], stdout=f,
                                               stderr=subprocess.STDOUT) as p:
        wait_for("the first block", lambda: "SERVICES" in out.read_text())
        node.kill()
        wait_for("it gone", lambda: "no daemon answers" in out.read_text())
        node.start()
        wait_for("it back", lambda: out.read_text().rfind("SERVICES") > out.read_text().find("no daemon answers"))
        p.send_signal(signal.SIGTERM)
        assert p.wait(timeout=5) == 0


def read_all(fd):
    data = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while part := os.read(fd, 1 << 16):
            data += part
    return data.decode()


def test_terminal(lab):
    """On a terminal the tables are as wide as that; colours and the like there are none."""
    node = lab.nodes[0]
    lab.service("a-service-with-a-rather-long-name-that-does-not-fit")
    lab.wait_ip("a-service-with-a-rather-long-name-that-does-not-fit")
    for columns in (60, 200):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with subprocess.Popen([binary(), "status", "services", "--control", node.control], stdout=theirs) as p:
            os.close(theirs)
            text = read_all(ours)
            assert p.wait(timeout=10) == 0
        os.close(ours)
        assert max(len(line) for line in text.splitlines()) <= columns
        assert ("does-not-fit" in text) == (columns == 200) and "\x1b" not in text


def test_closed_pipe(lab):
    """Who reads only the first line ends it without a word."""
    for i in range(100):
        lab.service(f"s{i}", endpoints=False)
    node = lab.nodes[0]
    wait_for("them all", lambda: len(node.dump()["services"]) == 100)
    r = subprocess.run(["sh", "-c", f"{binary()} status services -o wide --control {node.control} | head -1"], capture_output=True, text=True)
    assert r.stdout.startswith("NAMESPACE") and r.stderr == ""
    with open("/dev/full", "w") as full:
        r = subprocess.run([binary(), "status", "--control", node.control], stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 1 and "cannot print" in r.stderr


def test_what_the_cluster_says_moves_no_terminal(lab):
    """A drain's reason with control characters, which the other nodes print."""
    settle(lab)
    n1, n2, _ = lab.nodes
    assert by_hand(n1, "drain", "--reason", "\x1b[2J\x07 für")[0] == 0
    wait_for("it read", lambda: "\\x1b[2J\\x07 für" in status(n2)[1])
    assert "\x1b" not in status(n2)[1]


def api_status(lab, *argv, program=None, kubeconfig=None, env=None):
    """The same without a daemon: from the client's host, with a kubeconfig."""
    way = [] if env else ["--kubeconfig", kubeconfig or lab.server.kubeconfig("admin")]
    r = lab.client.run(program or binary(), "status", *argv, *way, check=False, env={**os.environ, **(env or {})})
    return r.returncode, r.stdout + r.stderr


def test_by_the_api(lab):
    """--kubeconfig: the same tables from the API alone: who owns what, who died, why a Service has no address, a hijack."""
    lab.service("web")
    lab.service("typo", ip="10.77.0.1")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    wait_for("the claim", lambda: ip in (text := api_status(lab, "vips")[1]) and owner.name in text)
    row = next(line for line in api_status(lab, "services")[1].splitlines() if " web " in line)
    assert ip in row and owner.name in row and "announced" in row
    wait_for("the reason", lambda: any("10.77.0.1 is in no pool" in s and "default/typo" in s for s in json.loads(
        api_status(lab, "-o", "json")[1])["degraded"]))
    victim = next(n for n in lab.nodes if n is not owner)
    victim.kill()
    wait_for("the death", lambda: f"node {victim.name} is dead" in api_status(lab)[1], timeout=15)
    assert api_status(lab)[0] == 1 and api_status(lab, "nodes")[0] == 0
    claim(lab.api, ip)
    wait_for("the hijack", lambda: f"{ip} of default/web is claimed by a foreign host, too, MAC {lab.api.mac}" in " ".join(
        api_status(lab)[1].split()), timeout=5)
    for node in lab.nodes:
        assert "known to each node's daemon" in api_status(lab, "peers")[1]


def test_kubectl_plugin(lab):
    """As kubectl-lbd the binary asks the API by itself; what needs a daemon says so."""
    plugin = lab.dir / "kubectl-lbd"
    plugin.symlink_to(binary())
    kubeconfig = lab.server.kubeconfig("admin")
    settle(lab)
    wait_for("all nodes", lambda: api_status(lab, "nodes", program=plugin, env={"KUBECONFIG": str(kubeconfig)})[1].count("0.1.0") == 3)
    home = lab.dir / "home"
    (home / ".kube").mkdir(parents=True)
    (home / ".kube/config").write_text(kubeconfig.read_text())
    env = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}

    def said():
        r = lab.client.run(plugin, "status", check=False, env={**env, "HOME": str(home)})
        return r if r.returncode == 0 else None
    r = wait_for("nothing to be degraded, as the Leases have it", said)
    assert "as the API has it" in r.stdout and r.stderr == ""
    for command in ("drain", "doctor", "dump"):
        r = lab.client.run(plugin, command, check=False)
        assert r.returncode == 2 and f"run `lbd {command}` on a node" in r.stderr
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    explained = f"default/web: node {owner.name} answers for {ip}\n"
    wait_for("its claim", lambda: lab.client.run(
        plugin, "explain", "web", check=False, env={**env, "HOME": str(home)}).stdout.startswith(explained))
    r = lab.client.run(plugin, "explain", ip, "-o", "json", "--kubeconfig", kubeconfig, check=False)
    assert r.returncode == 0 and json.loads(r.stdout)["vips"][0]["owner"] == owner.name
    r = lab.client.run(plugin, "explain", "nix", "--kubeconfig", kubeconfig, check=False)
    assert (r.returncode, r.stderr) == (1, "lbd: there is no Service nix of type LoadBalancer\n")
    assert lab.client.run(plugin, "explain", "web", "--kubeconfig", "/nonexistent", check=False).returncode == 3
    assert lab.client.run(plugin, check=False).returncode == 2
    assert "kubectl lbd status" in lab.client.run(plugin, "help").stdout


def test_api_not_reached(lab):
    """No kubeconfig, a server that is gone, one that refuses: exit code 3 and a sentence."""
    assert api_status(lab, kubeconfig="/nonexistent")[0] == 3
    nobody = lab.dir / "nobody"
    nobody.write_text("".join("    token: wrong\n" if "token" in line else line + "\n"
                              for line in lab.server.kubeconfig("lbd").read_text().splitlines()))
    code, text = api_status(lab, kubeconfig=nobody)
    assert code == 3 and text.strip()
    lab.server.kill()
    code, text = api_status(lab)
    assert code == 3 and "refused" in text
