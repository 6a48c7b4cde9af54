# SPDX-License-Identifier: Apache-2.0
"""lbd's nodes as the BGP peers of a router on their LAN.

    with Rack(config(peer()), nodes=3) as rack:
        router = rack.up(Bird)
        rack.service("web"); router.wait_paths(rack.wait_ip("web"), 3)
"""

import json

from lab import FAST, Lab, wait_for
from routers import Neighbor

ASN, ROUTER_ASN = 64500, 64501
ROUTER_ADDR, ROUTER_ADDR6 = "10.89.0.60", "fd00:89::3c"
DUAL = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
ALL = {"name": "all", "ipAddressPools": ["rack"]}


def peer(**more):
    """The router, as lbd is configured for it."""
    return {"name": "tor", "myASN": ASN, "peerASN": ROUTER_ASN, "peerAddress": ROUTER_ADDR, "connectTime": "1s", **more}


def config(*peers, advertisements=(ALL,), **more):
    top = {"apiVersion": "lbd.io/v1", "kind": "Config", "pools": [{"name": "rack", "addresses": ["10.99.0.0/24", "fd00:99::/120"]}],
           "peers": peers, "bgpAdvertisements": advertisements, **more}
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in top.items()) + FAST


def said(node, name="tor"):
    """What a node's lbd says of a peer; {}: nothing."""
    return next((p for p in (node.dump() or {}).get("peers", []) if p["name"] == name), {})


def is_up(node, name="tor"):
    return said(node, name).get("state") == "Established"


class Rack(Lab):
    def __init__(self, conf=None, nodes=1, pods=False, proxy=False, **kw):
        super().__init__(nodes=nodes, pods=pods, proxy=proxy, config=conf or config(peer()), **kw)
        self.gateway = self.host("r", 60)  # the router's host
        self.router = None

    def start_router(self, kind, asn=ROUTER_ASN, announced=(), neighbors=None, host=None, over=4, their_asn=ASN, **more):
        """neighbors: None = every node, by its IPv4 or IPv6 address; more: of Neighbor."""
        self.router = kind(host or self.gateway, asn, neighbors or [
            Neighbor(self.address(n, over), their_asn, **more) for n in self.nodes], announced)
        return self.router

    def address(self, node, over=4):
        return node.addr6 if over == 6 else node.addr

    def up(self, kind, over=4, **kw):
        """The router, and lbd on every node, with a session."""
        router = self.start_router(kind, over=over, **kw)
        self.start()
        router.wait_established(*(self.address(n, over) for n in self.nodes))
        for node in self.nodes:
            wait_for(f"{node.name}'s word of it", lambda n=node: is_up(n))
        return router

    def configure(self, conf):
        """Every node's lbd takes another configuration while it runs."""
        for node in self.nodes:
            node.config_path.write_text(conf)

    def vips(self, name, **spec):
        """A Service, and its addresses, in the order of the families."""
        self.service(name, **spec)
        self.wait_ip(name)
        return self.ips(name)
