# SPDX-License-Identifier: Apache-2.0
"""docs/migrate.md, tried: what each other load balancer leaves is put into the API, something answers on the wire in its place, and
the document's commands are given one after the other. No Service may be written another address at any time."""

import contextlib
import json
import re
import threading

import pytest
from answers import Answers
from guide import Guide, Operator
from lab import wait_for
from peering import ASN, ROUTER_ADDR, ROUTER_ASN
from rivals import CLEANUP, OPENELB_FINALIZER, Speakers, define, install, left, make, metallb_node, namespace, webhook, workload
from routers import Bird, Neighbor

DUAL = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
UDP_53 = [{"name": "dns", "port": 53, "targetPort": 8080, "protocol": "UDP"}]
TCP_53 = [{"name": "dns", "port": 53, "targetPort": 8080, "protocol": "TCP"}]
TCP_853 = [{"name": "dot", "port": 853, "targetPort": 8080, "protocol": "TCP"}]
BOTH_WAYS = pytest.mark.parametrize("stop_first", [False, True], ids=["beside", "stopped-first"])
CONTROLLER = "controller/v0.0.0 (linux/amd64) kubernetes/$Format"  # MetalLB's


class Caller:
    """A client that asks for an address over HTTP all the time, with the neighbour table that its kernel has."""

    def __init__(self, host, ip):
        self.host, self.ip, self.answered, self.end = host, ip, [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.end.is_set():
            if self.host.curl(self.ip, timeout=0.25):
                self.answered.append(Answers.now())

    def __enter__(self):
        self.thread.start()
        wait_for(f"an answer of {self.ip}", lambda: self.answered)
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()

    def longest_silence(self, since):
        times = [since, *[t for t in list(self.answered) if t >= since], Answers.now()]
        return max(b - a for a, b in zip(times, times[1:]))


class Migration:
    """What there was, and how it is judged."""

    def __init__(self, lab, guide):
        self.lab, self.title, self.want, self.at, self.metadata = lab, guide, {}, {}, {}
        self.me, self.asker = Operator(lab, lab.nodes[0], Guide(guide)), lab.host("w", 51)
        self.speakers = None

    def left(self, name, *ips, at=None, namespace="default", **kw):
        """A Service with its addresses; at: the names of the nodes that may have it, where not all may."""
        left(self.lab, name, ips, namespace=namespace, **kw)
        self.want[f"{namespace}/{name}"] = list(ips)
        nodes = at or [n.name for n in self.lab.nodes]
        for ip in ips:
            self.at.setdefault(ip, metallb_node(nodes, ips[0]))

    def begin(self):
        """From here on nothing but the other load balancer and the document's commands."""
        self.since = self.lab.kubesim.log()[-1]["seq"]
        self.metadata = {key: self.service(key)["metadata"] for key in self.want}
        return self

    def service(self, key):
        ns, name = key.split("/")
        return self.lab.must("GET", f"/api/v1/namespaces/{ns}/services/{name}")

    def node(self, name):
        return next(n for n in self.lab.nodes if n.name == name)

    def speak(self):
        """The other's speakers, on the nodes that MetalLB's order elects."""
        self.speakers = Speakers(self.lab, {ip: self.node(name) for ip, name in self.at.items()}).start()
        for ip, name in self.at.items():
            if ":" not in ip:
                assert set(self.lab.client.arping(ip)) == {self.node(name).mac}

    def before(self, *parts):
        """The first part: the file is good, and the dry run foretells that all stay."""
        told = [t for part in parts for t in self.me.do(part)]
        checked = next(t for t in told if t.command.startswith("lbd check-config"))
        assert checked.code == 0, checked.text
        dry = next(t for t in told if t.command.startswith("lbd run --dry-run"))
        assert f"dry run: {len(self.want)} Services keep their address, 0 would get one, 0 would get another, 0 would lose theirs, 0 refused" \
            in dry.text and dry.code == 0
        return {t.command.split()[1]: t for t in told if t.command.startswith("lbd ")}

    def check_addresses(self):
        """Every Service has its address, and none was ever written another one."""
        for key, ips in self.want.items():
            ingress = self.service(key)["status"]["loadBalancer"]["ingress"]
            assert [i["ip"] for i in ingress] == ips, key
        for w in self.lab.kubesim.log(self.since):
            key = f"{w.get('namespace')}/{w['name']}"
            if w["resource"] == "services" and key in self.metadata and key in self.want and "ips" in w:
                assert w["ips"] == self.want[key], w

    def check_nodes(self, but=()):
        """Each address is at the node that MetalLB's order elects."""
        at = {ip: [name] for ip, name in self.at.items() if ip not in but}
        wait_for("an owner of each", lambda: all(self.lab.owners(ip) for ip in at), 20)
        assert {ip: [n.name for n in self.lab.owners(ip)] for ip in at} == at

    def check_owned(self):
        """Some node answers for each."""
        for ip in self.at:
            self.lab.wait_owner(ip, timeout=20)

    def check_answered(self):
        for ip in self.at:
            if ":" not in ip:
                owner = self.lab.wait_owner(ip, timeout=20)
                assert set(self.lab.client.arping(ip)) == {owner.mac}

    @contextlib.contextmanager
    def watched(self, http):
        """A host that asks for all addresses by ARP all the time, and a client that asks for one of them over HTTP."""
        with Answers(self.asker, [ip for ip in self.at if ":" not in ip]) as answers, Caller(self.lab.client, http) as caller:
            yield answers, caller

    def left_by_lbd(self):
        """Nothing, where lbd found an address: each Service's metadata is as it was."""
        for key, before in self.metadata.items():
            now = self.service(key)["metadata"]
            for field in ("labels", "annotations", "finalizers"):
                assert now.get(field) == before.get(field), key


def say(title, answers, caller, since):
    """The gap, in the test's output; returned in seconds."""
    gaps = {ip: answers.longest_silence(ip, since) for ip in answers.ips}
    ip = max(gaps, key=gaps.get)
    print(f"migrate: {title}: nobody answers an ARP request for at most {gaps[ip] * 1000:.0f} ms ({ip}); a client that knows the MAC "
          f"is without an answer for at most {caller.longest_silence(since) * 1000:.0f} ms")
    return gaps[ip], caller.longest_silence(since)


# -- MetalLB --

POOLS = {"lan": {"addresses": ["10.89.0.100-10.89.0.119", "fd00:89::100-fd00:89::11f"]},
         "two": {"addresses": ["10.89.0.120-10.89.0.129"], "autoAssign": False}}
ON_TWO = [{"matchLabels": {"kubernetes.io/hostname": name}} for name in ("n1", "n2")]
BOTH = {"all": {"ipAddressPools": ["lan"]}, "two": {"ipAddressPools": ["two"], "nodeSelectors": ON_TWO}}
OLD_CONFIGMAP = """address-pools:
- name: lan
  protocol: layer2
  addresses: [10.89.0.100-10.89.0.119, "fd00:89::100-fd00:89::11f"]
- name: two
  protocol: layer2
  auto-assign: false
  addresses: [10.89.0.120-10.89.0.129]
"""
METALLB = (workload("DaemonSet", "metallb-system", "speaker"), workload("Deployment", "metallb-system", "controller"))


def metallb_installed(lab):
    namespace(lab, "metallb-system")
    install(lab, *METALLB)
    webhook(lab, "metallb-webhook-configuration")


def metallb_services(m, selectors=True):
    """Every way in which MetalLB's Services ask, and a handful that ask for nothing, for the order of nodes."""
    def mine(pool, **more):
        return {"agent": CONTROLLER, "metadata": {"annotations": {"metallb.io/ip-allocated-from-pool": pool, **more}}}

    for i in range(6):
        m.left(f"plain-{i}", f"10.89.0.{100 + i}", **mine("lan"))
    m.left("pinned", "10.89.0.110", **mine("lan", **{"metallb.io/loadBalancerIPs": "10.89.0.110"}))
    m.left("old", "10.89.0.111", ip="10.89.0.111", **mine("lan", **{"metallb.universe.tf/address-pool": "lan"}))
    m.left("both", "10.89.0.112", "fd00:89::112", **mine("lan"), **DUAL)
    m.left("modern", "10.89.0.113", ingress=[{"ip": "10.89.0.113", "ipMode": "VIP"}], **mine("lan"))
    shared = {"metallb.universe.tf/allow-shared-ip": "dns"}
    m.left("dns-tcp", "10.89.0.114", ip="10.89.0.114", ports=TCP_53, **mine("lan", **shared))
    m.left("dns-udp", "10.89.0.114", ip="10.89.0.114", ports=UDP_53, **mine("lan", **shared))
    m.left("local", "10.89.0.115", at=["n2", "n3"], endpoints=False, externalTrafficPolicy="Local", **mine("lan"))
    m.lab.endpoints("local", pods=m.lab.pods[1:])
    at = ["n1", "n2"] if selectors else None
    for i in range(3):
        m.left(f"two-{i}", f"10.89.0.{120 + i}", at=at, **mine("two", **{"metallb.io/address-pool": "two"}))


@pytest.fixture
def from_metallb(bare):
    def create(objects=True):
        lab = bare(nodes=3)
        metallb_installed(lab)
        define(lab, "metallb.io")
        if objects:
            make(lab, "ipaddresspools.metallb.io", "metallb-system", POOLS)
            make(lab, "l2advertisements.metallb.io", "metallb-system", BOTH)
        m = Migration(lab, "MetalLB")
        metallb_services(m, selectors=objects)
        m.begin().speak()
        m.me.after("lbd status vips", m.check_owned)  # "until"
        m.me.after("daemonset/speaker", lambda: m.speakers.stop())
        return m
    return create


def switched(m, stop_first=False, nodes=True):
    """The switch: nobody answers for no more than a moment, or, where the other one was stopped first, until lbd has joined; each
    address is where it was."""
    title = f"from {m.title}, {'that one stopped first' if stop_first else 'lbd beside it, then that one stopped'}"
    with m.watched("10.89.0.100") as (answers, caller):
        since = answers.now()
        m.me.do("Switch", stop_first)
        m.check_owned()
        if nodes:
            m.check_nodes()
        answers.look_on(1, lambda: True)
        arp, http = say(title, answers, caller, since)
        assert arp < (15 if stop_first else 2) and http < 2  # a busy machine; 3 s is what joining takes
    m.check_answered()
    m.check_addresses()


@BOTH_WAYS
def test_metallb_file(from_metallb, stop_first):
    """MetalLB's objects as a file: no address moves, not to another node either. Then back again."""
    m = from_metallb()
    told = m.before("Before")
    assert told["doctor"].code == 1 and "MetalLB runs (DaemonSet metallb-system/speaker)" in " ".join(told["doctor"].text.split())
    switched(m, stop_first)
    m.left_by_lbd()
    m.me.do("Afterwards")
    m.lab.service("new")  # lbd gives it an address, which MetalLB is to find
    m.want["default/new"] = [m.lab.wait_ip("new")]
    back(m)


def back(m):
    """lbd is taken away again, and MetalLB finds everything where it was."""
    (m.me.dir / "metallb-native.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": METALLB}))
    m.me.after("apply -f metallb-native.yaml", m.speak)
    with m.watched("10.89.0.100") as (answers, caller):
        since = answers.now()
        for told in m.me.do("Back"):
            assert told.code == 0, told.text
        answers.look_on(1, lambda: True)
        say("back to MetalLB", answers, caller, since)
    m.check_addresses()
    m.left_by_lbd()
    assert m.service("default/new")["metadata"].get("annotations", {}) == {}
    leases = m.lab.must("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases")["items"]
    assert [lease["metadata"]["name"] for lease in leases if "lbd" in lease["metadata"]["name"]] == []


def test_metallb_cluster(from_metallb):
    """MetalLB's objects stay in the API, and lbd reads them there; MetalLB's class is one of lbd's."""
    m = from_metallb()
    m.left("classed", "10.89.0.106", agent=CONTROLLER, loadBalancerClass="example.com/metallb")
    m.speakers.stop()
    m.begin().speak()
    m.me.write_config(m.me.guide.yaml("Before, with the objects left where they are")[0] + "loadBalancerClasses: [example.com/metallb]\n")
    m.before("Before, with the objects left where they are")
    switched(m)
    m.lab.service("new")
    assert m.lab.wait_ip("new") == "10.89.0.107"


def test_metallb_configmap(from_metallb):
    """The ConfigMap of MetalLB before 0.13."""
    m = from_metallb(objects=False)
    m.lab.must("POST", "/api/v1/namespaces/metallb-system/configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": "metallb-system"},
        "data": {"config": OLD_CONFIGMAP}})
    m.before("Before, with the old ConfigMap")
    switched(m)


def test_metallb_lbd_on_one_node(from_metallb):
    """The trap: one node's lbd runs beside MetalLB's speakers on all. It takes none of the others' addresses, says why, and writes
    no other address; with lbd on every node all come to the nodes where they are."""
    m = from_metallb()
    m.before("Before")
    m.lab.nodes[0].start(config=m.me.config())
    others = [ip for ip, name in m.at.items() if name != "n1" and ":" not in ip]

    def foreign():
        return m.me.give("lbd status services").text.count("in use by a foreign host")
    wait_for("it says why it takes none", lambda: foreign() >= len(others) - 1, interval=0.5)  # n1 may not have local's
    with m.watched("10.89.0.100") as (answers, caller):
        since = answers.now()
        m.me.give("lbd explain plain-0")
        m.check_addresses()
        for node in m.lab.nodes[1:]:
            node.start(config=m.me.config())
        m.check_nodes(but=["fd00:89::112"])  # MetalLB does not answer what lbd asks by NDP, its stand-in nothing
        for ip in others:
            assert answers.macs(ip, since) == {m.node(m.at[ip]).mac}
        m.speakers.stop()
        answers.look_on(1, lambda: True)
        assert say("MetalLB, lbd on one node, then on all", answers, caller, since)[0] < 2
    m.check_addresses()


def bgp_speakers(rack, vip):
    """MetalLB's sessions: a BGP speaker on each node that announces the address."""
    return [Bird(n, ASN, [Neighbor(ROUTER_ADDR, ROUTER_ASN)], announced=[f"{vip}/32"]) for n in rack.nodes]


def test_metallb_bgp(rack):
    """BGP: the sessions of MetalLB end, lbd's begin with the same numbers, and the router has the same routes again."""
    lab = rack(nodes=3, pods=True, proxy=True)
    vip = "10.99.0.10"
    metallb_installed(lab)
    define(lab, "metallb.io")
    make(lab, "ipaddresspools.metallb.io", "metallb-system", {"rack": {"addresses": ["10.99.0.0/24"]}})
    make(lab, "bgppeers.metallb.io", "metallb-system", {"tor": {"myASN": ASN, "peerASN": ROUTER_ASN, "peerAddress": ROUTER_ADDR}})
    make(lab, "bgpadvertisements.metallb.io", "metallb-system", {"all": {"communities": ["65000:1"]}})
    m = Migration(lab, "MetalLB")
    m.left("web", vip, agent=CONTROLLER, metadata={"annotations": {"metallb.io/ip-allocated-from-pool": "rack"}})
    m.begin()
    far = lab.beyond(lab.gateway, "far")
    router = lab.start_router(Bird)
    speakers = bgp_speakers(lab, vip)
    router.wait_paths(vip, 3, timeout=20)
    m.me.after("daemonset/speaker", lambda: [s.stop() for s in speakers])
    m.before("Before")
    with Caller(far, vip) as caller:
        since = Answers.now()
        for told in m.me.do("Switch of BGP"):
            assert told.code == 0, told.text
        paths = router.wait_paths(vip, 3, timeout=30)
        wait_for("an answer after that", lambda at=Answers.now(): caller.answered[-1] > at)
        print(f"migrate: MetalLB, BGP: a client beyond the router is without an answer for {caller.longest_silence(since):.1f} s")
        assert caller.longest_silence(since) < 15
    assert {p.next_hop for p in paths} == {n.addr for n in lab.nodes} and all("65000:1" in p.communities for p in paths)
    m.check_addresses()


# -- OpenELB --

EIPS = {"eip-pool": ({"finalizers": ["finalizer.ipam.kubesphere.io/v1alpha1"],
                      "annotations": {"eip.openelb.kubesphere.io/is-default-eip": "true"}},
                     {"address": "10.89.0.100-10.89.0.119", "protocol": "layer2", "interface": "eth0"})}


@pytest.fixture
def from_openelb(bare):
    lab = bare(nodes=3)
    namespace(lab, "openelb-system")
    install(lab, workload("DaemonSet", "openelb-system", "openelb-speaker"), workload("Deployment", "openelb-system", "openelb-controller"))
    webhook(lab, "openelb-admission")
    define(lab, "network.kubesphere.io")
    make(lab, "eips.network.kubesphere.io", "", EIPS)
    m = Migration(lab, "OpenELB")

    def mine(**more):
        eip = {"eip.openelb.kubesphere.io/v1alpha2": "eip-pool"}
        return {"agent": "openelb-controller/v0.0.0 (linux/amd64)", "metadata": {
            "labels": eip, "finalizers": [OPENELB_FINALIZER],
            "annotations": {"lb.kubesphere.io/v1alpha1": "openelb", "protocol.openelb.kubesphere.io/v1alpha1": "layer2", **eip, **more}}}

    for i in range(6):
        m.left(f"web-{i}", f"10.89.0.{100 + i}", **mine())
    m.left("asks", "10.89.0.110", **mine(**{"eip.openelb.kubesphere.io/v1alpha1": "10.89.0.110"}))
    m.left("field", "10.89.0.111", ip="10.89.0.111", **mine())
    m.left("dns-tcp", "10.89.0.112", ip="10.89.0.112", ports=TCP_53, **mine())
    m.left("dns-udp", "10.89.0.112", ip="10.89.0.112", ports=UDP_53, **mine())
    m.begin().speak()
    m.me.after("lbd status vips", m.check_owned)
    m.me.after("daemonset/openelb-speaker", m.speakers.stop)
    return m


def finalizers(lab):
    return [f for s in lab.must("GET", "/api/v1/services")["items"] for f in s["metadata"].get("finalizers", [])]


def check_deletion_hangs(m, name, ip):
    """With the other's finalizer left, a Service that is deleted stays; lbd answers for it no more, and gives its address away."""
    m.lab.delete_service(name)
    wait_for("nobody answers", lambda: m.lab.owners(ip) == [] and m.lab.client.arping(ip) == [], 15)
    assert m.service(f"default/{name}")["metadata"]["deletionTimestamp"]
    m.lab.service("heir", ip=ip)
    assert m.lab.wait_ip("heir") == ip
    m.want.pop(f"default/{name}")


def check_deletion_ends(m, name):
    m.me.do("Afterwards")
    assert finalizers(m.lab) == []
    assert m.lab.server.api("GET", f"/api/v1/namespaces/default/services/{name}")[0] == 404


@BOTH_WAYS
def test_openelb(from_openelb, stop_first):
    """OpenELB's Eips as a file; the Services that share an address say so first; its finalizers are taken out afterwards."""
    m = from_openelb
    m.me.give("kubectl get eips.network.kubesphere.io -o yaml > lbd.yaml")
    dry = m.me.give("lbd run --dry-run -c lbd.yaml --control /tmp/lbd.sock")
    assert re.search(r"dry run: 9 Services keep.* default/dns-(tcp|udp) would lose 10.89.0.112", dry.text)
    m.before("Before")
    switched(m, stop_first)
    check_deletion_hangs(m, "web-5", "10.89.0.105")
    check_deletion_ends(m, "web-5")
    m.check_addresses()


# -- k3s's servicelb --

NODES = ["10.89.0.11", "10.89.0.12", "10.89.0.13"]


def test_servicelb(bare):
    """An empty file: each Service keeps the nodes' addresses, lbd writes nothing; the finalizer of k3s's cloud provider is taken out
    afterwards. A file with a pool would change every address, and the dry run says so."""
    lab = bare(nodes=3)
    m = Migration(lab, "k3s's servicelb")
    for i, name in enumerate(("web", "api", "gone")):
        m.left(name, *NODES, agent="k3s/v1.30.4+k3s1 (linux/amd64) kubernetes", metadata={"finalizers": [CLEANUP]},
               ingress=[{"ip": ip, "ipMode": "VIP"} for ip in NODES],
               ports=[{"name": "http", "port": 80 + i, "targetPort": 8080, "protocol": "TCP"}])
        install(lab, workload("DaemonSet", "kube-system", f"svclb-{name}-0a1b2c3d"))
    m.left("local", "10.89.0.12", agent="k3s/v1.30.4+k3s1 (linux/amd64) kubernetes", metadata={"finalizers": [CLEANUP]},
           ports=[{"name": "http", "port": 90, "targetPort": 8080, "protocol": "TCP"}], endpoints=False, externalTrafficPolicy="Local")
    lab.endpoints("local", pods=lab.pods[1:2])
    m.begin()
    told = m.before("Before")
    assert told["doctor"].code == 1 and "k3s's servicelb runs" in " ".join(told["doctor"].text.split())
    for name in ("web", "api", "gone"):  # what k3s does when it is started with --disable servicelb
        lab.must("DELETE", f"/apis/apps/v1/namespaces/kube-system/daemonsets/svclb-{name}-0a1b2c3d")
    with Caller(lab.client, NODES[0]) as caller:
        since = Answers.now()
        m.me.do("Switch")
        wait_for("the leader's word", lambda: any(
            [s["reason"] for s in n.dump()["services"]] == ["nodeAddress"] * 4 for n in lab.nodes))
        print(f"migrate: servicelb: a client is without an answer for at most {caller.longest_silence(since) * 1000:.0f} ms")
        assert caller.longest_silence(since) < 2
    m.check_addresses()
    lab.delete_service("gone")
    assert m.service("default/gone")["metadata"]["deletionTimestamp"]
    m.want.pop("default/gone")
    check_deletion_ends(m, "gone")
    m.check_addresses()
    m.me.write_config(m.me.guide.yaml("With pools")[0])
    dry = m.me.give("lbd run --dry-run -c lbd.yaml --control /tmp/lbd.sock")
    assert "0 Services keep their address, 0 would get one, 3 would get another" in dry.text


# -- kube-vip --

KUBEVIP = {"range-global": "10.89.0.100-10.89.0.109", "cidr-blue": "10.89.0.112/29", "allow-share-global": "true"}


@pytest.fixture
def from_kube_vip(bare):
    lab = bare(nodes=3)
    namespace(lab, "blue")
    install(lab, workload("DaemonSet", "kube-system", "kube-vip-ds"), workload("Deployment", "kube-system", "kube-vip-cloud-provider"))
    lab.must("POST", "/api/v1/namespaces/kube-system/configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubevip", "namespace": "kube-system"}, "data": KUBEVIP})
    m = Migration(lab, "kube-vip")

    def mine(asked, **more):
        return {"agent": "kube-vip/v0.0.0 (linux/amd64)", "metadata": {
            "labels": {"implementation": "kube-vip"}, "finalizers": [CLEANUP],
            "annotations": {"kube-vip.io/vipHost": "n2", **({"kube-vip.io/loadbalancerIPs": asked} if asked else {}), **more}}}

    def ingress(*ips, port=80):
        return [{"ip": ip, "ports": [{"port": port, "protocol": "TCP"}]} for ip in ips]

    m.left("web", "10.89.0.100", ip="10.89.0.100", ingress=ingress("10.89.0.100"), **mine("10.89.0.100"))
    m.left("both", "10.89.0.101", "fd00:89::101", ip="10.89.0.101", ingress=ingress("10.89.0.101", "fd00:89::101"),
           **mine("10.89.0.101,fd00:89::101"), **DUAL)
    m.left("field", "10.89.0.103", ip="10.89.0.103", **mine(None))
    m.left("shop", "10.89.0.113", namespace="blue", ip="10.89.0.113", **mine("10.89.0.113"))
    m.left("camera", "10.89.0.104", ip="0.0.0.0", **mine("0.0.0.0"))  # by DHCP
    m.left("dns", "10.89.0.102", ip="10.89.0.102", ports=TCP_53, ingress=ingress("10.89.0.102", port=53), **mine("10.89.0.102"))
    m.left("dns-tls", "10.89.0.102", ip="10.89.0.102", ports=TCP_853, ingress=ingress("10.89.0.102", port=853),
           **mine("10.89.0.102"))
    lab.patch("/api/v1/nodes/n2", {"metadata": {"labels": {"kube-vip.io/has-ip": "10.89.0.100"}}})
    m.begin()
    bind(m)
    m.me.write_config(m.me.guide.yaml("Before")[0])
    return m


def bind(m):
    """kube-vip's leader has the addresses on its interface, and its kernel answers."""
    for ip in m.at:
        m.node("n2").run("ip", "address", "add", f"{ip}/{128 if ':' in ip else 32}", "dev", "eth0", *(["nodad"] if ":" in ip else []))


def unbind(m):
    for ip in m.at:
        m.node("n2").run("ip", "address", "del", f"{ip}/{128 if ':' in ip else 32}", "dev", "eth0")


@BOTH_WAYS
def test_kube_vip(from_kube_vip, stop_first):
    """The cloud provider's ranges as pools; the Services that share say so first; kube-vip goes, lbd comes."""
    m = from_kube_vip
    dry = m.me.give("lbd run --dry-run -c lbd.yaml --control /tmp/lbd.sock")
    assert re.search(r"default/dns(-tls)? would lose 10.89.0.102", dry.text)
    assert "0.0.0.0" in dry.text and "means DHCP to kube-vip" in dry.text
    told = m.before("Before")
    assert told["doctor"].code == 0 or "kube-vip" in told["doctor"].text
    m.me.after("daemonset/kube-vip-ds", lambda: unbind(m))
    m.me.after("lbd status vips", m.check_owned)
    switched(m, stop_first, nodes=False)
    check_deletion_hangs(m, "field", "10.89.0.103")
    check_deletion_ends(m, "field")
    m.check_addresses()


def test_kube_vip_killed(from_kube_vip):
    """The trap: kube-vip was killed, and its addresses are still on n2's interface. The kernel answers there, no Service is written
    another address, doctor on n2 says so; the document's command takes them off, and lbd answers."""
    m = from_kube_vip
    m.before("Before")
    m.me.after("lbd status vips", m.check_owned)
    m.me.do("Switch")
    n2 = m.node("n2")
    there = Operator(m.lab, n2, m.me.guide)
    there.write_config(m.me.config())
    with m.watched("10.89.0.100") as (answers, caller):
        since = answers.now()
        m.check_owned()
        doctor = there.give("lbd doctor -c lbd.yaml")
        assert doctor.code == 1 and "10.89.0.100, a Service's address, is on an interface of this host" in " ".join(doctor.text.split())
        answers.look_on(1, lambda: True)
        assert [answers.macs(ip, since) for ip in answers.ips] == [{n2.mac}] * len(answers.ips)
        since = answers.now()
        for told in there.do("Addresses that were left"):
            assert told.code == 0, told.text
        for ip in m.at:
            if ip != "10.89.0.100":
                n2.run("ip", "address", "delete", f"{ip}/{128 if ':' in ip else 32}", "dev", "eth0")
        answers.look_on(3, lambda: True)
        assert say("kube-vip, what was left taken off", answers, caller, since)[0] < 5
    m.check_answered()
    m.check_addresses()
