# SPDX-License-Identifier: Apache-2.0
"""lbd run --dry-run: all is decided and told; nothing is written to the API, no frame is sent."""

import re
import subprocess

import pytest
from lab import FAST, binary, wait_for
from test_explain import explain, explained

NODES = ["10.89.0.7", "10.89.0.8", "10.89.0.9"]  # as k3s's servicelb shows them
CONFIG = f"pools:\n- name: lan\n  addresses: [10.89.0.100-10.89.0.102]\n  reallocate: true\n{FAST}"


class Sniffer:
    """The ARP frames of a node that speak of the pools' addresses, taken at the switch."""

    def __init__(self, lab, node):
        self.node, self.log = node, lab.dir / f"{node.name}.frames"
        self.process = lab._background("ip", "netns", "exec", f"{lab.tag}-sw", "tcpdump", "-U", "-l", "-n", "-e", "-i",
                                       f"p-{node.name}", "-w", self.log, "arp")
        wait_for("a capture", lambda: self.log.exists() and self.log.stat().st_size >= 24)

    def frames(self):
        out = subprocess.run(["tcpdump", "-n", "-e", "-r", self.log], capture_output=True, text=True).stdout.splitlines()
        return [f for f in out if re.search(r"10\.89\.0\.1\d\d\b", f)]

    def sent(self):
        return [f for f in self.frames() if f.split()[1] == self.node.mac]


def show(lab, name, *ips):
    """As another load balancer would write it."""
    lab.patch(f"/api/v1/namespaces/default/services/{name}/status",
              {"status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}})


def services(node):
    return {s["name"].split("/")[1]: s for s in node.dump()["services"]}


def summary(node, count=1):
    lines = wait_for("the sum", lambda: len(f := re.findall(r'msg="dry run: (.*)"', node.log.read_text())) >= count and f)
    return lines[count - 1]


@pytest.fixture
def migrating(bare):
    """What another load balancer left: kept, in no pool, empty; one that asks for what is not there."""
    lab = bare(nodes=2, pods=False, proxy=False, config=CONFIG)
    for name, spec in (("keeps", {}), ("moves", {}), ("waits", {}), ("asks", {"ip": "192.0.2.1"})):
        lab.service(name, **spec)
    show(lab, "keeps", "10.89.0.101")
    show(lab, "moves", *NODES)
    return lab


def test_tells(migrating):
    """What would stay, change, be given, be refused: in the log, in lbd dump, by lbd explain."""
    lab, node = migrating, migrating.nodes[0]
    node.start(extra=["--dry-run"])
    told = summary(node)
    assert told.startswith("1 Services keep their address, 1 would get one, 1 would get another, 0 would lose theirs, 1 refused; ")
    got = re.search(r"default/waits would get ([0-9.]+)", told).group(1)
    moved = re.search(r"default/moves would go from 10\.89\.0\.7,10\.89\.0\.8,10\.89\.0\.9 to ([0-9.]+)", told).group(1)
    assert {got, moved} == {"10.89.0.100", "10.89.0.102"}
    assert "default/asks refused: the requested address 192.0.2.1 is in no pool" in told
    dump, shown = node.dump(), services(node)
    assert dump["dryRun"] == {"keep": 1, "get": 1, "change": 1, "lose": 0, "refused": 1} and dump["version"]["dryRun"]
    assert (shown["keeps"]["ips"], shown["keeps"].get("wouldWrite")) == (["10.89.0.101"], None)
    assert (shown["moves"]["ips"], shown["moves"]["wouldWrite"]) == (NODES, {"ips": [moved], "pool": "lan"})
    assert (shown["waits"]["ips"], shown["waits"]["wouldWrite"]["ips"]) == ([], [got])
    assert (shown["asks"]["reason"], shown["asks"]["ips"]) == ("requestNotInPool", [])
    tree = explained(node, "waits")
    assert (tree["status"], tree["wouldWrite"], tree["dryRun"], tree["reason"]) == ([], [got], True, "dryRun")
    first = re.fullmatch(rf"node (n[12]) would be the first to answer for {re.escape(got)}", tree["text"]).group(1)
    log = node.log.read_text()
    assert re.search(rf'svc=default/waits ip={re.escape(got)} .*msg="would write status"', log)
    words = "would announce" if first == node.name else "would leave it to the first node"
    assert re.search(rf'ip={re.escape(got)} iface=eth0 node={first} msg="{words}"', log)
    assert explain(node, "asks")[0] == 1
    assert node.stop() == 0


def test_follows(migrating):
    """It goes on: a Service that comes, one that goes, another configuration, each told once; one that gives way lets
    another have its address, as it would be."""
    lab, node = migrating, migrating.nodes[0]
    node.start(extra=["--dry-run"])
    summary(node)
    lab.service("late")
    wait_for("the refusal", lambda: services(node).get("late", {}).get("reason") == "poolExhausted")
    lab.delete_service("keeps")
    wait_for("its address", lambda: services(node)["late"].get("wouldWrite", {}).get("ips") == ["10.89.0.101"])
    assert lab.ips("late") == []
    for i in range(5):
        lab.patch("/api/v1/namespaces/default/services/late", {"metadata": {"labels": {"turn": str(i)}}})
    lab.service("last", ip="10.89.0.102")
    wait_for("the last", lambda: "last" in services(node))
    assert services(node)["late"].get("wouldWrite", {}).get("ips") == ["10.89.0.101"]
    assert services(node)["late"]["reason"] == "allocated"
    assert len(re.findall(r'svc=default/late .*msg="would write status"', node.log.read_text())) == 1
    node.config_path.write_text("apiVersion: lbd.io/v1\nkind: Config\n" + CONFIG.replace("lan", "new").replace(".100-10.89.0.102", ".110-10.89.0.119"))
    told = summary(node, 2)
    assert "0 Services keep their address" in told and "1 would get another" in told
    wait_for("all anew", lambda: services(node)["waits"]["wouldWrite"]["pool"] == "new")


def test_writes_nothing(migrating):
    """No request but GET, no frame, beside nodes that work in earnest or alone; the Lease it would have is not there."""
    lab, node = migrating, migrating.nodes[0]
    sniffer, since = Sniffer(lab, node), lab.kubesim.log()[-1]["seq"]
    node.start(extra=["--dry-run"])
    summary(node)
    lab.service("more", ip="10.89.0.102")
    wait_for("it decided", lambda: "more" in services(node) and services(node)["more"]["reason"] != "notSynced")
    lab.client.arping("10.89.0.100", count=3, timeout=3)  # time for probes and answers; and the capture is seen to work
    assert wait_for("a frame captured", sniffer.frames)
    assert sniffer.sent() == []
    assert node.stop() == 0
    assert [w for w in lab.kubesim.log(since) if w["user"] != "admin"] == []
    verbs = {r["verb"] for r in lab.kubesim.stats()["users"]["lbd"]["counts"]}
    assert verbs <= {"get", "list", "watch"}, verbs
    assert sniffer.sent() == []


def test_after_ownership(bare):
    """A node that owned addresses and starts again as a dry run asks the wire for nothing and answers for nothing; its
    claims stay as they were."""
    lab = bare(nodes=1, pods=False, proxy=False, config=CONFIG)
    node = lab.nodes[0].start()
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    wait_for("the claim", lambda: ip in str(lab.must("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases")))
    node.kill()
    sniffer, since = Sniffer(lab, node), lab.kubesim.log()[-1]["seq"]
    node.start(extra=["--dry-run"])
    assert summary(node).startswith("1 Services keep their address, 0 would get one")
    assert lab.client.arping(ip, count=4, timeout=4) == []
    assert node.dump()["vips"][0]["here"][0]["reason"] == "dryRun"
    assert sniffer.frames() and sniffer.sent() == []
    assert [w for w in lab.kubesim.log(since) if w["user"] != "admin"] == []


def test_beside_another(migrating):
    """On a node where lbd runs it wants a control socket of its own, and says so; then both go on."""
    lab, node = migrating, migrating.nodes[0]
    node.start()
    lab.wait_ip("waits")
    argv = ["run", "-c", node.config_path, "--kubeconfig", lab.server.kubeconfig("lbd"), "--node-name", node.name, "--dry-run"]
    r = node.run(binary(), *argv, "--control", node.control, check=False, timeout=10)
    assert r.returncode == 1 and "a dry run wants a --control of its own" in r.stderr
    other = lab.dir / "dry.sock"
    log = lab.dir / "dry.log"
    p = node.popen(binary(), *argv, "--control", other, log=log)
    try:
        wait_for("the sum", lambda: "dry run: 3 Services keep their address, 0 would get one, 0 would get another" in log.read_text())
        assert node.dump()["version"]["dryRun"] is False and lab.wait_owner(lab.ips("waits")[0]) is node
    finally:
        p.terminate()
        assert p.wait(10) == 0
    assert node.alive() and lab.wait_owner(lab.ips("waits")[0]) is node
