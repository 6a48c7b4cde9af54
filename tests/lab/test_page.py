# SPDX-License-Identifier: Apache-2.0
"""The status page as curl has it; what a browser makes of it is tests/page's."""

import re
import time

import pytest

from lab import FAST, wait_for
from test_hand import by_hand
from test_metrics import conf, get, value
from test_status import dual, settle  # noqa: F401 (a fixture)
from test_wire import claim


def page(node, **kw):
    status, body = get(node, "/", **kw)
    assert status == 200, (status, body)
    return body


def row(text, first):
    """{head: cell} of the one row that begins with that cell; tags taken out."""
    found = re.findall(rf"<tr><th scope=row>{re.escape(first)}(<td.*)\n", text)
    assert len(found) == 1, (first, found)
    return {head: re.sub("<.*?>", "", cell) for head, cell in re.findall(r'<td data-h="([^"]*)"[^>]*>(.*?)(?=<td|$)', found[0])}


def with_host(name):
    return {"more": ("-H", f"Host: {name}" if name else "Host;")}


def test_what_it_shows(lab):
    """Each node's page has the nodes, the address with who holds it, the pool's use, that there is no BGP peer, the Events; nothing of it
    is to be fetched elsewhere, and the answer's fields keep it so."""
    lab.service("web")
    ip = lab.wait_ip("web")
    owner = lab.wait_owner(ip)
    settle(lab)
    for node in lab.nodes:
        text = page(node)
        assert "<title>lbd: fine</title>" in text and "<p>nothing is degraded" in text
        assert {n: row(text, n)["STATUS"] for n in ("n1", "n2", "n3")}.keys() == {"n1", "n2", "n3"}
        cells = row(text, ip)
        assert (cells["NODE"], cells["SERVICE"], cells["INTERFACE"], cells["MAC ANNOUNCED"]) == (
            owner.name, "default/web", "eth0", owner.mac)
        assert row(text, "lan")["IPV4 IN USE"].strip() == "1 of 20"
        assert '<rect width="5%" height="100%"/>' in text
        assert "no BGP peer is configured" in text
        assert re.findall(r"(?:src|href|srcset|action|url|import)\W+[^ ]*", text) == ['href="data:,"><title>lbd:']
        assert "http:" not in text and "https:" not in text
    assert "nodeAssigned" in page(owner)
    head = owner.run("curl", "-sI", "http://127.0.0.1:7472/").stdout.replace("\r", "")
    for field in ("Content-Type: text/html; charset=utf-8", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer",
                  "Cache-Control: no-store", "Cross-Origin-Resource-Policy: same-origin",
                  "Content-Security-Policy: default-src 'none'; "):
        assert f"\n{field}" in head


def test_hosts(bare):
    """Under a name that is not this host's nobody sees the page, and is told how to: a page from elsewhere could be read by DNS
    rebinding.  The other paths answer by any name."""
    node = bare(nodes=1, pods=False, proxy=False).nodes[0].start()
    for name in ("127.0.0.1", "127.0.0.1:7472", "[::1]:7472", "localhost", "LOCALHOST:7472", "n1", "n1:7472", "n1.lan", "10.1.2.3"):
        page(node, **with_host(name))
    for name in ("evil.example.com", "n1x", "example.com:7472", "x@n1", "localhost.example.com", "n1.example.com"):
        status, text = get(node, "/", **with_host(name))
        assert status == 421 and "by its IP address, as localhost, or as n1" in text and "<" not in text and name not in text
        assert get(node, **with_host(name))[0] == get(node, "/healthz", **with_host(name))[0] == 200
    assert get(node, "/", **with_host(""))[0] == get(node, "/", more=("-H", "Host:"))[0] == 400
    assert get(node, more=("-H", "Host:"))[0] == 200
    assert get(node, "/index.html")[0] == 404 and get(node, "/", more=("-d", "x"))[0] in (400, 405)
    assert node.stop() == 0


def test_switched_off(bare):
    """metrics.page: false, and true again, without a restart; metrics stay."""
    node = bare(nodes=1, pods=False, proxy=False).nodes[0].start(conf("{page: false}"))
    status, text = get(node, "/")
    assert status == 404 and "metrics.page" in text
    assert get(node)[0] == get(node, "/readyz")[0] == 200
    node.config_path.write_text(conf("{page: true}"))
    wait_for("the page", lambda: get(node, "/")[0] == 200)
    node.config_path.write_text(conf("{page: false}"))
    wait_for("it gone", lambda: get(node, "/")[0] == 404)


def test_from_the_lan(bare):
    """metrics.address: node: by the node's address, from another host."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start(conf("{address: node}"))
    assert "<main>" in page(node, at=node.addr, host=lab.client)


def test_hijack(lab):
    """A foreign host claims an address in service: within 5 s every node's page says so, with the host's MAC; the Service's row too."""
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    settle(lab)
    claim(lab.api, ip)
    began = time.monotonic()
    for node in lab.nodes:
        text = wait_for(f"{node.name}'s page", lambda n=node: (lambda t: t if f"MAC {lab.api.mac}" in t else None)(page(n)),
                        timeout=5 - (time.monotonic() - began))
        assert "<title>lbd: 1 problem</title>" in text
        assert '<td data-h="STATUS" class=bad>claimed by a foreign host, too<' in text
        assert row(text, ip)["MAC SEEN"] == lab.api.mac


@pytest.mark.parametrize("family", [4, 6])
def test_silent_hijack(dual, family):  # noqa: F811
    """A foreign host has an address in service and only answers: who looks at the page looks at the wire."""
    dual.service("web", ipFamilies=[f"IPv{family}"], ipFamilyPolicy="SingleStack")
    ip = dual.wait_ip("web")
    dual.wait_owner(ip)
    settle(dual)
    dual.api.run("sysctl", "-qw", "net.ipv4.conf.all.arp_notify=0", "net.ipv6.conf.all.ndisc_notify=0")
    dual.api.run("ip", "addr", "add", f"{ip}/{32 if family == 4 else 128}", "dev", "eth0", *(["nodad"] if family == 6 else []))
    for node in dual.nodes:
        wait_for(f"{node.name}'s page", lambda n=node: f"MAC {dual.api.mac}" in page(n), timeout=5, interval=0.2)


def test_many_viewers_probe_as_one(bare):
    """However often the page is asked for, the wire is asked once a second."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start()
    log = lab.dir / "probes"
    dump = lab.client.popen("timeout", "30", "tcpdump", "-lnni", "eth0", "arp[6:2] == 1 and arp[14:4] == 0", log=log)
    lab.stack.callback(dump.wait)
    lab.stack.callback(dump.kill)
    wait_for("tcpdump", lambda: "listening on" in log.read_text())
    lab.service("web")
    lab.wait_owner(lab.wait_ip("web"))
    wait_for("the address taken", lambda: log.read_text().count("who-has") == 3)
    began, asked = time.monotonic(), 0
    while time.monotonic() < began + 3.5:
        page(node)
        asked += 1
    probes = wait_for("probes", lambda: log.read_text().count("who-has") - 3)
    assert asked > 20 and 2 <= probes <= 5, (asked, probes)


def test_many(bare):
    """Of a large cluster the page is made by a copy of the process, and says how much it leaves out."""
    lab = bare(nodes=1, pods=False, proxy=False, config=f"pools:\n- name: lan\n  addresses: [10.90.0.0/22]\n{FAST}")
    node = lab.nodes[0].start()
    for i in range(520):
        lab.service(f"s{i}", endpoints=False)
    wait_for("the addresses", lambda: value(node, "lbd_pool_addresses_used", "ipv4") == 520, 60, 0.2)
    text = page(node)
    assert len(re.findall(r"<tr><th scope=row>10\.90\.", text)) == 500
    assert "<p>and 20 more: lbd status vips" in text and "<p>and 20 more: lbd status services" in text
    assert row(text, "lan")["IPV4 IN USE"].strip() == "520 of 1024"
    assert node.stop() == 0


def test_text_is_text(lab):
    """What another node's operator typed is no markup."""
    settle(lab)
    assert by_hand(lab.nodes[0], "drain", "--reason", "</li><script>alert(1)</script>")[0] == 0
    text = wait_for("the reason", lambda: (lambda t: t if "is drained" in t else None)(page(lab.nodes[1])))
    assert "(&#60;/li&#62;&#60;script&#62;alert(1)&#60;/script&#62;)" in text and text.count("<script>") == 1
