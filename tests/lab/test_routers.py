# SPDX-License-Identifier: Apache-2.0
"""The routers of the laboratory among themselves: what the scenarios of BGP say of them is not lbd's doing."""

from lab import wait_for
from routers import ROUTERS, Frr, Neighbor, Path
from speakers import Wire


def test_among_themselves():
    """Everyone has a session with FRR, by password, and each reads the other's prefix in the same form."""
    with Wire(nodes=1) as wire:
        n1 = wire.nodes[0]
        others = {kind: wire.host(kind.name, 60 + i) for i, kind in enumerate(k for k in ROUTERS if k is not Frr)}
        asn = {kind: 64501 + i for i, kind in enumerate(others)}
        frr = Frr(n1, 4200000001, [Neighbor(h.addr, asn[k], password="a-secret") for k, h in others.items()], ["10.77.0.0/24"])
        for kind, host in others.items():
            own = f"{host.addr.replace('10.89', '10.78')}/32" if "announces" in kind.can else None
            router = kind(host, asn[kind], [Neighbor(n1.addr, frr.asn, password="a-secret")], [own] if own else [])
            router.wait_established(n1.addr)
            assert router.wait_paths("10.77.0.0/24") == [Path(n1.addr, n1.addr, (frr.asn,))]
            frr.wait_established(host.addr)
            if own:
                assert frr.wait_paths(own) == [Path(host.addr, host.addr, (router.asn,))]
            router.stop()
            wait_for("its end, seen by FRR", lambda h=host: not frr.established(h.addr))
