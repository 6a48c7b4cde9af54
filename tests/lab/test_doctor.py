# SPDX-License-Identifier: Apache-2.0
"""lbd doctor: what of a host, its configuration or the cluster is in the way, by the host itself, another tree's /proc and
/sys, the wire and the API."""

import contextlib
import json
import os
import signal
import socket
import subprocess

import pytest
import yaml
from apiserver import MERGE
from lab import FAST, ROOT, Inside, binary, wait_for

BGP = """pools:
- name: lan
  addresses: [10.89.0.100-10.89.0.119]
peers:
- {name: tor, myASN: 64500, peerASN: 64501, peerAddress: 10.89.0.50, passive: true}
bgpAdvertisements: [{name: all}]
"""


def doctor(node, *argv, config=None, kubeconfig=None, prefix=(), name=None):
    """(exit code, {id: the findings of it}); standard error is empty."""
    path = node.lab.dir / "doctor.yaml"
    path.write_text("apiVersion: lbd.io/v1\nkind: Config\n" + config if config else node.lab.config)
    r = node.run(*prefix, binary(), "doctor", "-c", path, "--kubeconfig", kubeconfig or node.lab.server.kubeconfig("lbd"),
                 "--control", node.control, "--node-name", name or node.name, "-o", "json", *argv, check=False, timeout=30)
    assert r.stderr == ""
    tree = json.loads(r.stdout)
    assert tree["finding"] == (r.returncode == 1) and r.returncode in (0, 1)
    found = {}
    for f in tree["findings"]:
        found.setdefault(f["id"], []).append(f)
    assert sum(tree[s] for s in ("ok", "warn", "fail", "skip")) == len(tree["findings"])
    return r.returncode, found


def wrong(found):
    """{id: severity} of what is to be done."""
    return {id: f["severity"] for id, all in found.items() for f in all if f["severity"] in ("fail", "warn")}


@pytest.fixture
def served(bare):
    """Three nodes, one Service that has its address."""
    lab = bare(pods=False, proxy=False).start()
    lab.service("a")
    lab.wait_owner(lab.wait_ip("a"))
    return lab


def test_clean(served):
    """A host on which all is well: 0, and every check could be made."""
    code, found = doctor(served.nodes[0])
    assert (code, wrong(found)) == (0, {})
    assert {id for id, all in found.items() if all[0]["severity"] == "skip"} == set()
    assert found["vip-answered"][0]["what"] == "no foreign host answers for 1 address in use"
    assert found["node-name"][0]["what"] == "this host is Node n1"
    out = served.nodes[0].run(binary(), "doctor", "-c", served.nodes[0].config_path, "--kubeconfig",
                              served.server.kubeconfig("lbd"), "--control", served.nodes[0].control).stdout
    assert max(map(len, out.splitlines())) <= 80 and out.endswith("\nNothing is wrong that can be seen: 22 ok, 0 could not be "
                                                                  "checked.\n")


def test_node_name(bare):
    """There must be a Node of the host's name; the daemon's, where it runs, is the one it goes by."""
    lab = bare(pods=False, proxy=False)
    node = lab.nodes[0]
    code, found = doctor(node, name="n9")
    assert (code, wrong(found)) == (1, {"node-name": "fail"})
    assert found["node-name"][0]["what"] == "there is no Node n9 in the API; its Nodes are n1, n2, n3"
    assert found["node-name"][0]["fix"] == "Set nodeName in the configuration to the name of this host's Node"
    assert wrong(doctor(node, config="nodeName: n8\n", name="n2")[1]) == {}

    def plain(*prefix, config=""):
        """Without the option: the only finding."""
        path = lab.dir / "plain.yaml"
        path.write_text(f"apiVersion: lbd.io/v1\nkind: Config\n{config}")
        r = node.run(*prefix, binary(), "doctor", "-c", path, "--kubeconfig", lab.server.kubeconfig("lbd"), "--control", node.control,
                     "-o", "json", check=False)
        (one,) = (f["what"] for f in json.loads(r.stdout)["findings"] if f["id"] == "node-name")
        return one
    assert plain(config="nodeName: n8\n").startswith("there is no Node n8 in the API; ")
    assert plain("env", "NODE_NAME=n3", config="nodeName: n8\n") == "this host is Node n3"
    assert plain("unshare", "--uts", "sh", "-c", 'hostname N2; exec "$@"', "sh") == "this host is Node n2"
    assert plain("unshare", "--uts", "sh", "-c", 'echo "N 2/" >/proc/sys/kernel/hostname; exec "$@"', "sh").startswith("there is no Node n 2/ in the API; ")
    node.start()
    assert plain(config="nodeName: n8\n") == "this host is Node n1"
    lab.server.fault("403", match={"user": "lbd", "path": "/api/v1/nodes"})
    assert doctor(node)[1]["node-name"][0]["what"] == "the API server does not say whether there is a Node n1"


def test_many_nodes(bare):
    """A Node behind the first page of them is found, too."""
    lab = bare(nodes=1, pods=False, proxy=False)
    for i in range(230):
        lab.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"a{i:03}"}})
    code, found = doctor(lab.nodes[0])
    assert (code, wrong(found)) == (0, {}) and found["node-name"][0]["what"] == "this host is Node n1"
    assert doctor(lab.nodes[0], name="n9")[1]["node-name"][0]["what"] == (
        "there is no Node n9 in the API; its Nodes are a000, a001, a002 (and 228 more)")


def test_without_capabilities(served):
    """Who may not send frames is told that the wire was not asked; the daemon's own capabilities are what counts."""
    code, found = doctor(served.nodes[0], prefix=("setpriv", "--bounding-set=-net_raw"))
    assert (code, wrong(found)) == (0, {})
    assert found["vip-answered"][0]["severity"] == "skip" and "CAP_NET_RAW" in found["vip-answered"][0]["what"]
    served.nodes[0].stop()
    code, found = doctor(served.nodes[0], prefix=("setpriv", "--bounding-set=-net_raw"))
    assert wrong(found) == {"capabilities": "fail"}


def test_before_installation(bare):
    """No daemon runs yet: what it would tell is skipped, the rest is checked."""
    lab = bare(nodes=1, pods=False, proxy=False)
    code, found = doctor(lab.nodes[0])
    assert (code, wrong(found)) == (0, {})
    assert found["vip-answered"][0]["severity"] == "skip" and found["capabilities"][0]["severity"] == "ok"


@pytest.mark.parametrize("ip", ["10.89.0.100", "fd00:89::100"])
def test_vip_hijacked(bare, ip):
    """A foreign host that has a Service's address, too, is named by its MAC; a node that answers for it is none."""
    lab = bare(pods=False, proxy=False, config=f"pools: [{{name: lan, addresses: [\"{ip}-{ip}\"]}}]\n{FAST}").start()
    lab.service("a", ipFamilies=["IPv6" if ":" in ip else "IPv4"])
    assert lab.wait_ip("a") == ip
    wait_for("an owner", lambda: any(n.announces(ip) for n in lab.nodes))
    for node in lab.nodes:
        code, found = doctor(node)
        assert (code, wrong(found)) == (0, {}) and found["vip-answered"][0]["what"].endswith("1 address in use")
    lab.client.run("ip", "addr", "add", ip, "dev", "eth0", *(["nodad"] if ":" in ip else []))
    code, found = doctor(lab.nodes[0])
    assert (code, wrong(found)) == (1, {"vip-answered": "fail"})
    assert ip in found["vip-answered"][0]["what"] and lab.client.mac in found["vip-answered"][0]["what"]


def test_other_answers(served):
    """Answers to what the host itself asks for meanwhile, its gateway or the API server, are no finding: nobody was asked for those."""
    node = served.nodes[0]
    asker = node.popen("sh", "-c", f"while :; do ip neigh flush to {served.client.addr}; curl -s http://{served.client.addr}:9/; done")
    try:
        code, found = doctor(node)
        assert (code, wrong(found)) == (0, {}) and found["vip-answered"][0]["what"].endswith("1 address in use")
    finally:
        os.killpg(asker.pid, signal.SIGKILL)
        asker.wait()


def test_rights_and_clocks(served):
    """A right that lacks, and a server whose clock is another."""
    served.server.fault("403", match={"user": "lbd", "verb": "patch", "path": "/api/v1/services"})
    served.server.fault("403", match={"user": "lbd", "verb": "update", "path": "/apis/coordination.k8s.io/v1/namespaces/kube-system"})
    served.server.clock(30)
    code, found = doctor(served.nodes[0])
    assert (code, wrong(found)) == (1, {"rights": "fail", "clock-skew": "fail"})
    assert [f["what"] for f in found["rights"]] == [
        "these credentials may not patch services/status, which lbd must",
        "these credentials may not update leases.coordination.k8s.io in namespace kube-system, which lbd must"]
    assert "behind the API server's" in found["clock-skew"][0]["what"]
    served.server.clear()
    served.server.clock(-10)
    assert wrong(doctor(served.nodes[0], config="elections: {nodeLease: {duration: 40s, renew: 10s}}\n")[1]) == {
        "clock-skew": "warn"}


def test_api(bare):
    """No server at the address, one that does not know the credentials, no credentials: a finding each, the rest is checked."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    kubeconfig = lab.dir / "wrong"
    good = lab.server.kubeconfig("lbd").read_text()
    kubeconfig.write_text(good.replace(lab.server.token(), "another"))
    code, found = doctor(node, kubeconfig=kubeconfig)
    assert (code, wrong(found)) == (1, {"api": "fail"}) and "does not accept" in found["api"][0]["what"]
    lab.server.kill()
    code, found = doctor(node)
    assert (code, wrong(found)) == (1, {"api": "fail"}) and "does not answer at https://10.89.0.10:6443" in found["api"][0]["what"]
    assert found["rights"][0]["severity"] == "skip" and found["pool-subnet"][0]["severity"] == "ok"
    code, found = doctor(node, kubeconfig=lab.dir / "nothing")
    assert wrong(found) == {"api": "fail"} and "cannot be asked" in found["api"][0]["what"]


@pytest.mark.parametrize("fault, says", [
    ({"kind": "freeze"}, "no answer within 4000 ms"), ({"kind": "garbage"}, "no Kubernetes"), ({"kind": "503"}, ""),
    ({"kind": "garbage-http"}, "does not speak HTTP/1.1"), ({"kind": "oversize", "bytes": 5000000}, "too long")],
    ids=lambda v: v["kind"] if isinstance(v, dict) else "")
def test_api_misbehaves(bare, fault, says):
    """Whatever the server does it is a finding, in seconds."""
    lab = bare(nodes=1, pods=False, proxy=False)
    lab.server.fault(match={"user": "lbd"}, **fault)
    code, found = doctor(lab.nodes[0])
    assert (code, wrong(found)) == (1, {"api": "fail"}) and says in found["api"][0]["what"]


def test_reviews_refused(bare):
    """Rights that cannot be asked for are not called missing; 429 with a long Retry-After does not hold it up."""
    lab = bare(nodes=1, pods=False, proxy=False)
    for kind, more in (("403", {}), ("429", {"retryAfterS": 300}), ("drop", {})):
        lab.server.clear()
        lab.server.fault(kind, match={"user": "lbd", "path": "/apis/authorization.k8s.io"}, **more)
        code, found = doctor(lab.nodes[0])
        assert (code, wrong(found)) == (0, {}) and found["rights"][0]["severity"] == "skip"


def test_rights_are_those_of_rbac_yaml(bare):
    """What is asked for is what packaging/rbac.yaml gives, endpoints for old servers aside."""
    lab = bare(nodes=1, pods=False, proxy=False)
    for path in ("/api/v1/", "/apis/discovery.k8s.io", "/apis/coordination.k8s.io"):
        lab.server.fault("403", match={"user": "lbd", "path": path})
    asked = {f["what"].removeprefix("these credentials may not ").removesuffix(", which lbd must") for f in doctor(lab.nodes[0])[1]["rights"]}
    given = set()
    for role in yaml.safe_load_all((ROOT / "packaging/rbac.yaml").read_text()):
        if role and role["kind"] in ("ClusterRole", "Role") and role["metadata"]["name"] == "lbd":
            where = " in namespace kube-system" if role["kind"] == "Role" else ""
            given |= {f"{verb} {resource}{'.' + group if group else ''}{where}" for rule in role["rules"]
                      for verb in rule["verbs"] for resource in rule["resources"] for group in rule["apiGroups"]}
    assert asked == given - {"list endpoints", "watch endpoints"}


def test_cluster(bare):
    """servicelb's DaemonSets, kube-proxy without strictARP, pools among the Pods' addresses."""
    lab = bare(nodes=1, pods=False, proxy=False)
    lab.must("POST", "/apis/apps/v1/namespaces/kube-system/daemonsets", {
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "svclb-web-1a2b", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}}})
    lab.must("POST", "/api/v1/namespaces/kube-system/configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "data": {"config.conf": "mode: ipvs\nipvs:\n  strictARP: false\n"}})
    lab.must("PATCH", f"/api/v1/nodes/{lab.nodes[0].name}", {"spec": {"podCIDR": "10.89.0.0/17", "podCIDRs": ["10.89.0.0/17"]}},
             MERGE)
    code, found = doctor(lab.nodes[0])
    assert (code, wrong(found)) == (1, {"other-lb": "fail", "strict-arp": "fail", "pool-cluster": "fail"})
    assert "kube-system/svclb-web-1a2b" in found["other-lb"][0]["what"]


def test_ports(bare):
    """Somebody else has BGP's port, and BFD's; root is told who."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    with Inside(node.ns) as inside, contextlib.ExitStack() as stack:
        tcp = stack.enter_context(inside.run(socket.socket, socket.AF_INET6, socket.SOCK_STREAM))
        tcp.bind(("::", 179))
        tcp.listen()
        udp = stack.enter_context(inside.run(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("0.0.0.0", 3784))
        own = open("/proc/self/comm").read().strip()
        assert wrong(doctor(node)[1]) == {"port-3784": "warn"}  # no peers: the other port is not lbd's concern
        code, found = doctor(node, config=BGP)
        assert (code, wrong(found)) == (1, {"port-179": "fail", "port-3784": "warn"})
        assert found["port-179"][0]["what"].startswith(f"{own} listens on TCP port 179")
    assert wrong(doctor(node, config=BGP)[1]) == {}


def test_config(bare):
    """A pool off every subnet, one with the node's own address, an interface and a peer that are not there, a bad file."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]
    code, found = doctor(node, config="pools: [{name: lan, addresses: [10.95.0.0/24]}]\n")
    assert (code, wrong(found)) == (1, {"pool-subnet": "warn"}) and "10.95.0.0/24 of pool lan" in found["pool-subnet"][0]["what"]
    assert wrong(doctor(node, config=f"pools: [{{name: lan, addresses: [{node.addr}/32, {node.addr6}/128]}}]\n")[1]) == {
        "pool-own": "fail"}
    assert wrong(doctor(node, config="pools: [{name: lan, addresses: [10.89.0.100/32]}]\n"
                                     "l2Advertisements: [{name: a, interfaces: [\"ens*\"]}]\n")[1]) == {"interfaces": "warn"}
    assert wrong(doctor(node, config=BGP.replace("10.89.0.50", "10.77.0.1"))[1]) == {"peer-route": "warn"}
    code, found = doctor(node, config="pools: [{name: lan, adresses: [10.89.0.100/32]}]\n")
    assert wrong(found) == {"config": "fail"} and "did you mean" in found["config"][0]["what"]
    assert found["pool-own"][0]["severity"] == "skip"


def test_firewall(bare):
    """nftables: a policy that drops, an accept in time, a rule that drops one port, an answer that cannot be given."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0]

    def with_rules(rules):
        node.run("nft", "-f", "-", input="flush ruleset\ntable inet t {\nchain in { type filter hook input priority 0; "
                 f"{rules}\n}}\n}}\n")
        return doctor(node, config=BGP)[1]
    # answers of the API, of neighbours and of established connections come in
    usual = "policy drop; ct state established,related accept; iifname lo accept; meta l4proto icmp accept; "
    found = with_rules(usual)
    assert wrong(found) == {"firewall": "fail"} and len(found["firewall"]) == 2
    assert wrong(with_rules(usual + "udp dport 3784-3785 accept; tcp dport { 22, 179 } accept")) == {}
    found = with_rules("policy accept; tcp dport 179 reject")
    assert [f["what"] for f in found["firewall"]] == ["this host's firewall drops TCP port 179 (BGP) that comes in"]
    found = with_rules(usual + "ip saddr 10.0.0.0/8 accept")
    assert found["firewall"][0]["severity"] == "skip"


# -- other trees --

def tree(folder, files):
    """A folder with these files; a value that begins with -> is a symlink."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
    return folder


def iface(name, **own):
    return {f"sys/class/net/{name}/type": "1\n", f"sys/class/net/{name}/operstate": "up\n",
            f"sys/class/net/{name}/flags": "0x1003\n",
            **{f"proc/sys/net/ipv4/conf/{name}/{key}": f"{value}\n" for key, value in own.items()}}


HOST = {
    **iface("eth0", arp_ignore=0, arp_announce=0, rp_filter=2),
    "proc/sys/net/ipv4/conf/all/arp_ignore": "0\n", "proc/sys/net/ipv4/conf/all/arp_announce": "0\n",
    "proc/sys/net/ipv4/conf/all/rp_filter": "0\n",
    "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
                      "eth0\t0000590A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
    "proc/net/fib_trie": "Local:\n     |-- 10.89.0.11\n        /32 host LOCAL\n",
    "proc/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    "proc/net/udp": "  sl  local_address\n",
    "proc/self/status": "Name:\tlbd\nCapBnd:\t000001ffffffffff\n",
    "proc/1/comm": "systemd\n",
}


@pytest.fixture
def elsewhere(bare):
    lab = bare(nodes=1, pods=False, proxy=False)

    def ask(files=()):
        """files: those that are added, or are other ones."""
        return doctor(lab.nodes[0], "--root", tree(lab.dir / "root", {**HOST, **dict(files)}))
    return ask


def test_root(elsewhere):
    """Another tree, on which all is well: the wire and the firewall are left alone."""
    code, found = elsewhere()
    assert (code, wrong(found)) == (0, {})
    assert {id for id, all in found.items() if all[0]["severity"] == "skip"} == {"vip-answered", "firewall"}


@pytest.mark.parametrize("want, files", [
    ({"strict-arp": "fail"}, iface("kube-ipvs0")),
    ({}, {**iface("kube-ipvs0"), "proc/sys/net/ipv4/conf/all/arp_ignore": "1\n",
          "proc/sys/net/ipv4/conf/all/arp_announce": "2\n"}),
    ({"wifi": "warn"}, {**iface("wlan0"), "sys/class/net/wlan0/wireless/status": "0\n"}),
    ({"rp-filter": "warn"}, {**iface("eth1", rp_filter=1),
                             "proc/net/route": HOST["proc/net/route"] + "eth1\t0001590A\t0\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"}),
    ({"capabilities": "fail"}, {"proc/self/status": "CapBnd:\t000001ffffffdfff\n"}),
    ({"other-lb": "fail"}, {"proc/77/comm": "speaker\n"}),
    ({"port-metrics": "warn", "other-lb": "fail"}, {
        "proc/77/comm": "speaker\n", "proc/77/fd/5": "->socket:[4711]",
        "proc/net/tcp": HOST["proc/net/tcp"] + "   0: 00000000:1D30 00000000:0000 0A 0:0 0:0 0 0 0 4711\n"}),
    ({"pool-subnet": "warn"}, {"proc/net/route": "Iface\n"}),
], ids=["ipvs", "strict", "wifi", "rp", "caps", "metallb", "port", "subnet"])
def test_root_with(elsewhere, want, files):
    """What this host may lack: each alone."""
    code, found = elsewhere(files=files)
    assert (code, wrong(found)) == (1 if want else 0, want)


def test_root_hostile(tmp_path):
    """Files that never end, pipes, folders in their place, links in a ring, other bytes: all is skipped, at once."""
    hostile = tree(tmp_path, {**iface("eth0"), "proc/1/comm": "\x1b[2J\n", "proc/self/status": "CapBnd:\tzz\n"})
    for name in ("proc/sys/net/ipv4/conf/all/arp_ignore", "proc/net/tcp", "proc/2/comm"):
        (hostile / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(hostile / name)
    (hostile / "proc/net/route").mkdir()
    (hostile / "proc/net/udp").symlink_to("udp")
    (hostile / "proc/net/fib_trie").symlink_to("/dev/zero")
    with open(hostile / "proc/net/ipv6_route", "wb") as f:
        f.write(os.urandom(1 << 20))
        f.truncate(1 << 40)
    r = subprocess.run([binary(), "doctor", "--root", hostile, "--kubeconfig", "/nonexistent", "-c", "/dev/null"],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 1 and r.stderr == "" and "\x1b" not in r.stdout


def test_usage(tmp_path):
    """What is no folder, and no output."""
    for argv in (["--root", "/dev/null"], ["--root", tmp_path / "none"], ["-o", "yaml"], ["more"], ["--contro"]):
        r = subprocess.run([binary(), "doctor", *argv], capture_output=True, text=True, timeout=10)
        assert r.returncode == 2 and r.stdout == "" and r.stderr != ""
