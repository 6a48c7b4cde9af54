# SPDX-License-Identifier: Apache-2.0
"""Random good configurations, made from the schema: each means the same in every form that can say it, and -p is a fixed point."""

import json
import random
import re
import subprocess

import pytest
from lab import binary

SEEDS = 80
ODD = ("yes", "0x10", "1e3", "~", "a b", "a: b", "#x", "null", "-", "é", "\U0001f600", 'q"q', "b\\b", "'", "{x", "*a", "&a", "!t", "%d", "@", "2001-01-01", "012")
KEBAB = {"localPref": "localpref", "ebgpMultiHop": "ebgp-multihop"}


def kebab(value):
    """A tree with the keys of MetalLB's ConfigMap; labels are left alone."""
    if isinstance(value, list):
        return [kebab(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {KEBAB.get(k, re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", k).lower()): v if k == "matchLabels" else kebab(v) for k, v in value.items()}


class Maker:
    """One seed's configuration as MetalLB's field names have it, only with what every form has."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.octet = 0
        self.pools = [self.pool(i) for i in range(self.r.randint(1, 5))]
        self.profiles = [{"name": f"f{i}", **self.profile()} for i in range(self.r.randint(0, 2))]
        self.peers = [self.peer(i) for i in range(self.r.randint(0, 3))]
        self.bgp = [self.bgp_advertisement(i) for i in range(self.r.randint(0, 3))]
        self.l2 = [self.l2_advertisement(i) for i in range(self.r.randint(1, 3))]
        self.communities = [{"name": "alias", "value": "65535:65282"}]

    def some(self, make, most=3):
        return [make() for _ in range(self.r.randint(0, most))]

    def some_selectors(self):
        """Never one twice, which is an error."""
        v = []
        for selector in self.some(self.selector):
            selector = {k: x for k, x in selector.items() if x}
            if selector not in v:
                v.append(selector)
        return v

    def maybe(self, **fields):
        return {k: v() for k, v in fields.items() if self.r.random() < 0.5}

    def flag(self):
        return self.r.random() < 0.5

    def name(self, prefix):
        return f"{prefix}-{self.r.choice(ODD)}"

    def label(self):
        return {self.r.choice(("a", "example.com/b", "c_1")): self.r.choice(("", "x", "1", "true", "A.b"))}

    def expression(self):
        op = self.r.choice(("In", "NotIn", "Exists", "DoesNotExist"))
        return {"key": "k", "operator": op, **({"values": self.r.sample(["1", "b", "", "no"], 2)} if "In" in op else {})}

    def selector(self):
        return self.maybe(matchLabels=self.label, matchExpressions=lambda: self.some(self.expression, 1))

    def addresses(self):
        self.octet += 1
        o = self.octet
        return self.r.choice((f"10.{o}.0.0/{self.r.randint(16, 31)}", f"10.{o}.0.{self.r.randint(0, 9)}-10.{o}.{self.r.randint(1, 255)}.7",
                              f"fd00:{o:x}::/{self.r.randint(64, 127)}", f"FD00:{o:X}::0:1 - fd00:{o:x}::ffff", f"10.{o}.3.0  -10.{o}.3.255"))

    def pool(self, i):
        return {"name": self.name(f"p{i}"), "addresses": [self.addresses() for _ in range(self.r.randint(1, 4))],
                **self.maybe(autoAssign=self.flag, avoidBuggyIPs=self.flag)}

    def profile(self):
        ms = lambda: self.r.randint(10, 60000)
        return self.maybe(receiveInterval=ms, transmitInterval=ms, echoInterval=ms, detectMultiplier=lambda: self.r.randint(2, 255),
                          echoMode=self.flag, passiveMode=self.flag, minimumTtl=lambda: self.r.randint(1, 254))

    def peer(self, i):
        return {"name": f"peer-{i + 1}", "myASN": self.r.randint(1, 2**32 - 1), "peerASN": self.r.randint(1, 2**32 - 1),
                "peerAddress": self.r.choice(("10.0.0.1", "fd00::ABCD", "::ffff:10.0.0.2")),
                **self.maybe(peerPort=lambda: self.r.randint(1, 65535), holdTime=lambda: self.r.choice(("0s", "90s", "1m30s", "3.5s", "1h")),
                             routerID=lambda: "10.9.8.7", password=lambda: self.r.choice(ODD), ebgpMultiHop=self.flag,
                             nodeSelectors=lambda: self.some_selectors()),
                **({"bfdProfile": self.r.choice(self.profiles)["name"]} if self.profiles and self.flag() else {})}

    def bgp_advertisement(self, i):
        return {"name": f"b{i}", **self.maybe(communities=lambda: self.r.sample(["alias", "1:2", "large:1:2:4294967295"], 2),
                                             ipAddressPools=lambda: [self.r.choice(self.pools)["name"]],
                                             peers=lambda: [p["name"] for p in self.peers[:1]], nodeSelectors=lambda: self.some_selectors())}

    def l2_advertisement(self, i):
        return {"name": self.name(f"l{i}"), **self.maybe(
            ipAddressPools=lambda: [self.r.choice(self.pools)["name"]], ipAddressPoolSelectors=lambda: self.some_selectors(),
            nodeSelectors=lambda: self.some_selectors(), serviceSelectors=lambda: self.some_selectors(),
            interfaces=lambda: self.some(lambda: self.r.choice(("eth0", "enp*", "w[0-9]"))),
            preferredNodeSelectors=lambda: self.some(lambda: {"weight": self.r.randint(1, 100), "preference": self.selector()}))}

    def native(self):
        return [{"apiVersion": "lbd.io/v1", "kind": "Config", "pools": self.pools, "l2Advertisements": self.l2, "peers": self.peers,
                 "bgpAdvertisements": self.bgp, "bfdProfiles": self.profiles, "communities": self.communities, "elections": {"maxShare": 0}}]

    def resources(self):
        """MetalLB's custom resources, with what kubectl get adds, and lbd's own fields in a document beside them."""
        def one(kind, item, version="v1beta1"):
            meta = {"name": item["name"], "namespace": "metallb-system", "uid": "x", "resourceVersion": "1", "generation": 1, "managedFields": [{}],
                    "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
            return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": meta, "spec": {k: v for k, v in item.items() if k != "name"}, "status": {}}
        docs = [one("IPAddressPool", p) for p in self.pools] + [one("L2Advertisement", a) for a in self.l2]
        docs += [one("BGPPeer", p, self.r.choice(("v1beta1", "v1beta2"))) for p in self.peers] + [one("BGPAdvertisement", a) for a in self.bgp]
        docs += [one("BFDProfile", p) for p in self.profiles]
        docs.append({**one("Community", {"name": "c"}), "spec": {"communities": self.communities}})
        self.r.shuffle(docs)
        order = {"IPAddressPool": self.pools, "L2Advertisement": self.l2, "BGPPeer": self.peers, "BGPAdvertisement": self.bgp, "BFDProfile": self.profiles}
        docs.sort(key=lambda d: [i["name"] for i in order.get(d["kind"], [{"name": "c"}])].index(d["metadata"]["name"]))
        return docs

    def config_map(self):
        """MetalLB's old text has no l2Advertisements: each pool says its protocol."""
        pools = [{**p, "protocol": "layer2"} for p in self.pools]
        peers = [{k: v for k, v in p.items() if k != "name"} for p in self.peers]
        return {**kebab({"addressPools": pools, "peers": peers, "bfdProfiles": self.profiles}), "bgp-communities": {"alias": "65535:65282"}}

    def as_config_map(self):
        """And what that text is in dialect 1."""
        l2 = [{"name": p["name"], "ipAddressPools": [p["name"]]} for p in self.pools]
        return [{**self.native()[0], "l2Advertisements": l2, "bgpAdvertisements": []}]


def canonical(text):
    r = subprocess.run([binary(), "check-config", "-q", "-p", "-"], input=text, capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, f"{r.stderr}\n{text}"
    return r.stdout


def dump(docs):
    return "\n---\n".join(json.dumps(d, ensure_ascii=False) for d in docs)


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_means_the_same(first):
    """Dialect 1, MetalLB's resources as documents and as a List, its ConfigMap and the bare text: equal canonical texts, fixed points."""
    for seed in range(first, first + 20):
        m = Maker(seed)
        once = canonical(dump(m.native()))
        assert canonical(once) == once
        docs = m.resources()
        assert canonical(dump([*docs, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "metallb-system"}}])) == once
        assert canonical(json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": docs}, indent=4)) == once
        old = m.config_map()
        want = canonical(dump(m.as_config_map()))
        assert canonical(json.dumps(old, indent=1)) == want
        text = json.dumps(old, indent=2).replace("\n", "\n    ")
        assert canonical(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config}}\ndata:\n  config: |\n    {text}\n") == want
        assert canonical(dump([{"apiVersion": "v1", "kind": "ConfigMap", "data": {"config": json.dumps(old)}}])) == want
