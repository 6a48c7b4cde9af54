# SPDX-License-Identifier: Apache-2.0
"""What the documents say of the tree is so."""

import ast
import errno
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from fnmatch import fnmatch
from pathlib import Path

import guide
import pytest
import yaml
from lab import ROOT, binary

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED = re.compile(r"`((?:lab/|k8s/)?[a-z0-9_]+):(\w+)`")


def source(where, what):
    """The file that should hold the test, and the text that it would hold."""
    if where == "fuzz":
        return ROOT / f"tests/fuzz/fuzz_{what}.c", "LLVMFuzzerTestOneInput"
    if where.startswith(("lab/", "k8s/")):
        return ROOT / f"tests/{where[:3]}/test_{where[4:]}.py", f"def {what}("
    return ROOT / f"tests/unit/test_{where}.c", f"CHECK_TEST({what})"


def test_standards():
    """Each test that docs/standards.md names exists."""
    named = NAMED.findall((ROOT / "docs/standards.md").read_text())
    assert len(named) > 100
    missing = []
    for where, what in named:
        path, text = source(where, what)
        if not path.is_file() or text not in path.read_text():
            missing.append(f"{where}:{what}")
    assert not missing


def scenarios():
    """The names of the simulator's that run."""
    text = (ROOT / "tests/sim/scenario.c").read_text()
    return {name for name, run in re.findall(r'^\t\{"(\w+)",\s*"[^"]*",\s*(\w+), ', text, re.M) if run != "NULL"}


def docstring(path, function):
    """What the test says of itself; empty where there is none."""
    found = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef) and n.name == function]
    return found and ast.get_docstring(found[0]) or ""


def test_failures():
    """docs/ownership.md has for each numbered failure a scenario, and each says the number itself."""
    rows = dict(re.findall(r"^\| ([FT]\d+) \| (.*) \|$", (ROOT / "docs/ownership.md").read_text(), re.M))
    assert {f"F{i}" for i in range(1, 37)} <= rows.keys()
    here, wrong = scenarios(), []
    for number, tests in rows.items():
        named = re.findall(r"`([^`:]+):(\w+)`", tests)
        assert named, number
        for where, what in named:
            if where == "sim":
                ok = what in here and re.match(rf"{number}(?!\d)", what)
            else:
                ok = re.search(rf"\b{number}\b", docstring(source(where, what)[0], what))
            if not ok:
                wrong.append((number, where, what))
    assert not wrong


def test_man_page():
    """lbd(8) has each command and option of lbd's own usage, and no command that lbd does not know."""
    usage = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    page = (ROOT / "docs/lbd.8").read_text()
    words = {m.group(1).replace("\\-", "-").replace("Fl -", "--") for m in re.finditer(r"(Fl -[a-z-]+)", page)}
    assert set(re.findall(r"--[a-z-]+", usage)) - words == set()
    assert set(re.findall(r"^  lbd ([a-z-]+)", usage, re.M)) == set(re.findall(r"^\.It Cm ([a-z-]+)$", page, re.M))


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc")
def test_man_lint():
    """mandoc has nothing to say about the manual pages."""
    r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", ROOT / "docs/lbd.8", ROOT / "docs/lbd.yaml.5"], capture_output=True, text=True)
    assert r.stdout + r.stderr == "" and r.returncode == 0


def outside_fences(text):
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)


def fences(text, *words):
    """The text of each fence of one of these words."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.M | re.S)
    return [textwrap.dedent(body) for word, body in found if word in words]


def anchors(path):
    """What GitHub makes of the headings."""
    heads = re.findall(r"^#+ (.*)$", outside_fences(path.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.mark.parametrize("doc", [ROOT / "ARCHITECTURE.md", *DOCS], ids=lambda p: p.name)
def test_links(doc):
    """Links lead somewhere, with the heading that they name, and the paths of the tree that are named are there."""
    text = outside_fences(doc.read_text())
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        target = doc.parent / path if path else doc
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    assert [p for p in re.findall(r"`(packaging/[\w./-]+)`", text) if not (ROOT / p).exists()] == []


def test_all_are_named():
    """The README names each document."""
    text = (ROOT / "README.md").read_text()
    assert [p.name for p in (ROOT / "docs").iterdir() if f"docs/{p.name}" not in text and p.suffix in (".md", ".8", ".5")] == []


def whole(text):
    """Configurations that a reader may take as they are."""
    return [f for f in fences(text, "yaml") if "apiVersion: lbd.io/v1\n" in f]


def check_config(text):
    return subprocess.run([binary(), "check-config", "-"], input=text, capture_output=True, text=True, timeout=10)


@pytest.mark.parametrize("doc", DOCS, ids=lambda p: p.name)
def test_configurations(doc):
    """lbd takes every whole configuration, without a warning."""
    for text in whole(doc.read_text()):
        r = check_config(text)
        assert (r.returncode, r.stderr) == (0, ""), text


def test_configuration():
    """The reference has examples, and its example of every key is good."""
    assert len(whole((ROOT / "docs/configuration.md").read_text())) >= 5
    r = check_config((ROOT / "docs/every-key.yaml").read_text())
    assert r.returncode == 0, r.stderr


def commands(text):
    """lbd's that a reader is to type: behind a prompt, or between backticks."""
    typed = re.findall(r"^[#$] (?:sudo )?(lbd [^|>#\n]+)", "\n".join(fences(text, "console", "text", "sh")), re.M)
    return typed + re.findall(r"`(?:sudo )?(lbd [a-z][^`|>]*)[^`]*`", outside_fences(text))


@pytest.mark.skipif(Path("/run/lbd/lbd.sock").exists(), reason="it would drain the lbd of this machine")
@pytest.mark.parametrize("doc", DOCS, ids=lambda p: p.name)
def test_commands(doc, tmp_path):
    """lbd knows each command that is written, and its options; no daemon runs here, so none does anything."""
    for command in commands(doc.read_text()):
        argv = shlex.split(command)[1:]
        if len(argv) == 1 or argv[0] == "run":  # a command that is only named, or would go on
            argv.append("--help")
        r = subprocess.run([binary(), *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=tmp_path, timeout=30)
        assert r.returncode != 2, f"{command}: {r.stderr}"


def literals():
    """Text of this version's, between the places where something is put in."""
    found = set()
    for path in [*ROOT.glob("*.c"), *ROOT.glob("*.h")]:
        source = re.sub(r'"\s*\n\s*"', "", path.read_text())
        for s in re.findall(r'"((?:[^"\\\n]|\\.)*)"', source):
            s = s.replace('\\"', '"').replace("\\n", "\n")
            found |= {part.strip(' :') for part in re.split(r"%[-.*0-9]*(?:ll|l|z)?[a-z]|\n", s)}
    return found


LAB = set("web till shop default lan eth0 tor new disk lbd python3 n1 n2 n3 n9 MAC Unauthorized".split())  # what the laboratory put in, and its API server
TITLES = set("SERVICES VIPS POOLS NODES PEERS EVENTS".split())  # show.c makes them of the parts' names
KERNEL = {word for e in (errno.EADDRINUSE, errno.ECONNREFUSED, errno.ECONNRESET) for word in os.strerror(e).split()}


def foreign_words(line, texts):
    """The words of a line of lbd's output that no text of the source accounts for."""
    glue = {w for t in texts if len(t) < 10 for w in re.findall(r"[A-Za-z-]+", t)}
    for text in texts:  # the longest first
        if len(text) >= 10 and text in line:
            line = line.replace(text, " ")
    words = re.findall(r"[A-Za-z][A-Za-z-]{2,}", re.sub(r"\S*[\d/:@=]\S*", " ", line))
    return [w for w in words if w not in LAB | KERNEL | TITLES | glue]


def test_quoted():
    """What docs/troubleshooting.md shows of lbd's output is this version's: every word is in the source, most in whole sentences."""
    texts = sorted(literals(), key=len, reverse=True)
    page = (ROOT / "docs/troubleshooting.md").read_text()
    for said in re.findall(r"\*([^*]+)\*", re.sub(r"\*\*[^*]+\*\*|`[^`]*`", "", outside_fences(page))):
        assert foreign_words(" ".join(said.split()), texts) == [], said
    shown = 0
    for fence in fences(page, "text"):
        text = re.sub(r"\n {2,}(?=\S)", " ", fence)  # what was wrapped is one line
        ours = False
        for line in text.splitlines():
            if re.match(r"[#$] ", line):
                ours = bool(re.match(r"[#$] (lbd|journalctl -u lbd|kubectl describe)", line))
            elif ours and line.strip() not in ("", "..."):
                shown += 1
                assert foreign_words(line.replace("...", " "), texts) == [], line
    assert shown > 30


def test_names():
    """Metrics, alerts, reasons and keys that documents name between backticks are there."""
    source = "".join(p.read_text() for p in [*ROOT.glob("*.[ch]"), ROOT / "packaging/prometheus/alerts.yaml", ROOT / "docs/every-key.yaml"])
    for doc in (ROOT / "README.md", ROOT / "docs/concepts.md", ROOT / "docs/troubleshooting.md"):
        for name in re.findall(r"`((?:lbd|metallb)_[a-z0-9_]+|[A-Za-z]+[a-z][A-Z]\w+)`", outside_fences(doc.read_text())):
            assert re.search(rf"\b{name.removeprefix('lbd_')}\b", source) or re.search(rf"\b{name}\b", source), f"{doc.name}: {name}"


def numbers(text):
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", re.sub(r"`[^`]*`", "", text)))


def test_figures_compared():
    """Each figure in docs/comparison.md stands in docs/figures.md, in the row of that key."""
    rows = [r for r in (ROOT / "docs/figures.md").read_text().splitlines() if r.startswith("| `")]
    checked = 0
    for row in re.findall(r"^\| `[a-z0-9]+\..*$", (ROOT / "docs/comparison.md").read_text(), re.M):
        cells = row.strip("| ").split(" | ")
        key = re.match(r"`([^`]+)`", cells[0]).group(1)
        figures, = [r for r in rows if f"`{key}`" in r]
        assert numbers(" ".join(cells[2 if len(cells) == 4 else 1:])) <= numbers(figures), key
        checked += 1
    assert checked >= 30
    missed = {key for r in rows if "missed" in r for key in re.findall(r"`([a-z0-9_.]+)`", r.split(" | ")[0])}
    said = set(re.findall(r"^\| `([a-z0-9_.]+)` \| [^|]* \| [^|]* \|$", (ROOT / "docs/comparison.md").read_text(), re.M))
    assert missed == said


def test_architecture():
    """ARCHITECTURE.md says of each unit what it owns."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"[a-z0-9_*]+\.c\b", text)
    units = {p.name for p in ROOT.glob("*.c")}
    assert {u for u in units if not any(fnmatch(u, n) for n in named)} == set()
    units |= {p.name for p in (ROOT / "tests" / "sim").glob("*.c")}
    assert {n for n in named if not any(fnmatch(u, n) for u in units)} == set()


MIGRATE = guide.DOC.read_text()


def spoken():
    """The commands of lbd that docs/migrate.md names, in blocks or within a line."""
    given = [c for block in guide.blocks(MIGRATE, "sh") for c in guide.commands(block)]
    text = re.sub(r"^```.*?^```$", "", MIGRATE, flags=re.M | re.S)
    given += [" ".join(c.split()) for c in re.findall(r"`(lbd [^`]+)`", text)]
    return sorted({c for c in given if c.startswith("lbd ")})


@pytest.mark.parametrize("command", spoken())
def test_migrate_commands(command):
    """Each is a command, with options, that lbd knows by its own usage."""
    words = command.split()
    r = subprocess.run([binary(), words[1], "--help"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    for option in (w for w in words[2:] if w.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", r.stdout), (option, r.stdout)


@pytest.mark.parametrize("text", guide.blocks(MIGRATE, "yaml"))
def test_migrate_configurations(text):
    """Each configuration of lbd's in it is one."""
    assert yaml.safe_load(text)["apiVersion"] == "lbd.io/v1"
    r = subprocess.run([binary(), "check-config", "-"], input=text, capture_output=True, text=True)
    assert r.returncode == 0 and "warning" not in r.stderr, r.stderr


def test_migrate_tests():
    """The tests that it names are there, and those that are there it names."""
    named = set(re.findall(r"`(test_\w+)`", MIGRATE))
    assert named == set(re.findall(r"^def (test_\w+)", (ROOT / "tests/lab/test_migrate.py").read_text(), re.M))


def test_migrate_parts():
    """Each section says what to do before, how to switch, and the way back."""
    for title in guide.sections():
        assert {"Before", "Switch", "Afterwards", "Back"} <= guide.Guide(title).parts.keys(), title
