# SPDX-License-Identifier: Apache-2.0
"""The status page in headless Chromium (make check-page): live, without JavaScript, on a phone, dark and light.  What the pages look
like is in build/page/*.png then."""

import sys
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "lab")]

from browser import Browser  # noqa: E402
from lab import FAST, ROOT, Lab, wait_for  # noqa: E402
from test_hand import by_hand  # noqa: E402
from test_status import settle  # noqa: E402
from test_wire import claim  # noqa: E402

URL = "http://127.0.0.1:7472/"
PICTURES = ROOT / "build/page"
LONG = "a-service-whose-name-is-as-long-as-a-name-may-be-in-kubernetes1"
CONFIG = (f"pools:\n- name: lan\n  addresses: [10.89.0.100-10.89.0.119, 'fd00:89::1000/120']\n- name: small\n  addresses: [10.99.0.1/32]\n"
          f"peers:\n- {{name: tor, myASN: 64500, peerASN: 64501, peerAddress: 10.89.0.60, connectTime: 1s}}\n{FAST}")


@pytest.fixture
def lab():
    with Lab(nodes=2, pods=False, proxy=False) as the_lab:
        the_lab.start()
        yield the_lab


@pytest.fixture
def browser(lab):
    with Browser(lab.nodes[1].ns, lab.dir) as b:
        yield b


def cell(tab, first, head):
    """The text of that column in the row that begins so; None: there is none."""
    return tab.value(f"""[...document.querySelectorAll('tr')].filter(r => r.cells[0].textContent == '{first}')
        .map(r => r.querySelector('td[data-h="{head}"]')?.textContent)[0] ?? null""")


def banner(tab):
    return tab.value("(b => b.hidden ? '' : b.textContent)(document.getElementById('b'))")


def fetches(tab):
    return len([u for u in tab.requests() if u == URL])


def test_live(lab, browser):
    """A Service, a foreign host that claims its address, the death of its node: each is seen without a reload, the first two within 5 s.
    Nothing is asked of anybody else, and the console stays empty; where one has scrolled to stays."""
    watched, other = lab.nodes[1], lab.nodes[0]
    settle(lab)
    tab = browser.tab().go(URL)
    assert tab.value("document.title") == "lbd: fine" and not tab.value("document.getElementById('b').offsetHeight")
    tab.value("window.mark = 1; document.body.style.paddingBottom = '3000px'; document.body.style.width = '500px'; scrollTo(0, 300);"
              "document.querySelector('main div').scrollLeft = 40")
    assert tab.value("document.querySelector('main div').scrollLeft") == 40
    for i in range(20):
        lab.service(f"s{i}")
        mine = lab.wait_ip(f"s{i}")
        if lab.wait_owner(mine) is other:
            break
    wait_for("the address", lambda: cell(tab, mine, "NODE") == other.name, timeout=5)
    began = time.monotonic()
    claim(lab.api, mine)
    wait_for("the hijack", lambda: cell(tab, mine, "STATUS") == "claimed by a foreign host, too", timeout=5)
    print(f"hijack seen after {time.monotonic() - began:.1f} s")
    assert tab.value("document.title") == "lbd: 1 problem" == tab.value("document.querySelector('h1').textContent")
    assert lab.api.mac in tab.value("document.querySelector('.bad li').textContent")
    other.kill()
    wait_for("the other node", lambda: cell(tab, mine, "NODE") == watched.name)
    assert tab.value("[window.mark, scrollY, document.querySelector('main div').scrollLeft]") == [1, 300, 40]
    assert fetches(tab) > 3 and {u for u in tab.requests() if not u.startswith("data:")} == {URL}
    assert tab.value("performance.getEntriesByType('resource').every(e => e.name == location.href)")
    assert tab.complaints() == []
    assert banner(tab) == ""


def test_no_answer(lab, browser):
    """The daemon goes: the last picture stays, and since when is said; it comes back: so does the page."""
    node = lab.nodes[1]
    settle(lab)
    tab = browser.tab().go(URL)
    node.kill()
    wait_for("the banner", lambda: banner(tab).startswith("No answer since "))
    assert tab.value("document.title") == "lbd: no answer"
    assert cell(tab, "n1", "STATUS") and tab.value("getComputedStyle(document.getElementById('b')).position") == "sticky"
    tab.picture(PICTURES / "no-answer.png", whole=False)
    node.start()
    wait_for("the page", lambda: banner(tab) == "" and tab.value("document.title") != "lbd: no answer", timeout=15)


def test_one_at_a_time(lab, browser):
    """While the daemon is stopped there is one request, not one more every two seconds; the tab that nobody sees asks for nothing; nor
    does one in which text is being selected, and it says so."""
    node = lab.nodes[1]
    settle(lab)
    tab, hidden, selecting = (browser.tab().go(URL) for _ in range(3))
    hidden.value("Object.defineProperty(document, 'visibilityState', {value: 'hidden'})")
    selecting.value("getSelection().selectAllChildren(document.querySelector('h1'))")
    wait_for("its word", lambda: "stands still" in banner(selecting), timeout=5)
    before = [fetches(t) for t in (tab, hidden, selecting)]
    wait_for("three more", lambda: fetches(tab) >= before[0] + 3)
    assert before[1:] == [fetches(t) for t in (hidden, selecting)]
    selecting.value("getSelection().removeAllRanges()")
    wait_for("it to go on", lambda: banner(selecting) == "" and fetches(selecting) > before[2], timeout=5)
    node.kill(19, wait=False)  # SIGSTOP
    try:
        before = fetches(tab)
        wait_for("word of it", lambda: banner(tab).startswith("No answer"), timeout=20)
        assert fetches(tab) <= before + 2
    finally:
        node.kill(18, wait=False)


def test_without_javascript(lab, browser):
    """Scripts are off: all is there, and the browser loads the page anew by itself."""
    settle(lab)
    tab = browser.tab(scripts=False).go(URL)
    assert tab.value("document.title") == "lbd: fine" and cell(tab, "n1", "STATUS")
    lab.service("web")
    ip = lab.wait_ip("web")
    wait_for("the address", lambda: cell(tab, ip, "SERVICE") == "default/web", timeout=12)
    assert len(tab.events("Page.loadEventFired")) >= 2 and tab.complaints() == []


# Of each element with text of its own: what it is, and the contrast of that to the nearest ground that is painted (WCAG 1.4.3).
CONTRAST = """(() => {
    const part = c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
    const rgb = s => s.match(/[\\d.]+/g).map(Number);
    const light = c => .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2]);
    const ground = e => { const c = rgb(getComputedStyle(e).backgroundColor); return c.length < 4 || c[3] ? c : ground(e.parentElement) };
    const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
    return [...document.querySelectorAll('body *:not(script)')].filter(e => e.offsetHeight && [...e.childNodes].some(
        n => n.nodeType == 3 && n.data.trim())).flatMap(e => ['', ':before'].map(p => [e.tagName + '.' + e.className + p,
        ratio(rgb(getComputedStyle(e, p).color), ground(e))]));
})()"""


@pytest.fixture(scope="module")
def eventful():
    """A cluster in which much is wrong: a foreign host, an address too few, a drained node, a router that is not there."""
    with Lab(nodes=3, pods=False, proxy=False, config=CONFIG) as the_lab:
        the_lab.start()
        for name in ("shop", "mail", LONG):
            the_lab.service(name, ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
            the_lab.wait_owner(the_lab.wait_ip(name))
        for name in ("first", "second"):
            the_lab.service(name, annotations={"metallb.universe.tf/address-pool": "small"})
        the_lab.wait_ip("first")
        claim(the_lab.api, the_lab.wait_ip("shop"))
        assert by_hand(the_lab.nodes[2], "drain", "--reason", "new disk")[0] == 0
        with Browser(the_lab.nodes[0].ns, the_lab.dir) as b:
            tab = b.tab().go(URL)
            wait_for("what is wrong", lambda: len(tab.value("[...document.querySelectorAll('.bad li')].map(e => e.innerText)")) >= 4)
            yield b


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width,height", [(1280, 900), (360, 740), (768, 1024)])
def test_looks(eventful, width, height, dark):
    """The page never scrolls sideways, all text has a contrast of 4.5 at least, nothing is smaller than 10 pixels; pictures are taken."""
    tab = eventful.tab(width=width, height=height, dark=dark).go(URL)
    tab.picture(PICTURES / f"{'dark' if dark else 'light'}-{width}.png")
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("[...document.querySelectorAll('main *')].every(e => !e.offsetHeight || parseFloat(getComputedStyle(e).fontSize) >= 10)")
    ratios = tab.value(CONTRAST)
    assert len(ratios) > 100 and [r for r in ratios if r[1] < 4.5] == []
    assert len({r[0] for r in ratios}) > 10
    assert tab.value("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    red = tab.value("getComputedStyle(document.querySelector('td.bad')).color")
    assert red != tab.value("getComputedStyle(document.querySelector('td:not(.bad)')).color")
    assert tab.complaints() == []


def test_meaning(eventful):
    """What a screen reader goes by: a language, one h1, heads of columns and rows, times, no link that leads away."""
    tab = eventful.tab().go(URL)
    assert tab.value("document.documentElement.lang") == "en" and tab.value("document.compatMode") == "CSS1Compat"
    assert tab.value("document.querySelectorAll('h1').length") == 1
    assert tab.value("[...document.querySelectorAll('table')].every(t => t.tHead.rows[0].cells.length == t.tBodies[0].rows[0].cells.length)")
    assert tab.value("[...document.querySelectorAll('th')].every(e => e.scope)")
    assert tab.value("[...document.querySelectorAll('time')].every(e => Date.parse(e.dateTime) > 0)")
    assert tab.value("document.querySelectorAll('a, img, iframe, form, link:not([rel=icon]), script[src]').length") == 0
    assert tab.value("[...document.querySelectorAll('h2')].map(e => e.textContent)") == [
        "Degraded", "Nodes", "Addresses", "Services", "Pools", "BGP sessions of this node", "Events from this node"]
