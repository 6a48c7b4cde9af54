# SPDX-License-Identifier: Apache-2.0
"""What the documents say of the tree is so."""

import ast
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import guide
import pytest
import yaml
from lab import ROOT, binary

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


def test_files_named_in_the_readme():
    """The README's links lead somewhere, and the paths of the tree that it names are there."""
    for doc in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / doc).read_text()
        paths = re.findall(r"\]\((?!http)([^)#]+)\)", text) + re.findall(r"`(packaging/[\w./-]+)`", text)
        assert [p for p in paths if not (ROOT / Path(p)).exists()] == []


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
