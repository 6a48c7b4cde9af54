# SPDX-License-Identifier: Apache-2.0
"""The command line: what is printed where, and the exit codes 0 fine, 1 finding, 2 usage, 3 not reachable."""

import json
import subprocess

import pytest
from lab import binary

LONG = "/tmp/" + "x" * 200
BUILT = ("run", "check-config", "dump", "explain", "kubeconfig", "version")


def lbd(*argv, text=""):
    return subprocess.run([binary(), *argv], input=text, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("argv, code, says", [
    ((), 2, "lbd check-config"),
    (("bogus",), 2, "unknown command bogus\n"),
    (("verison",), 2, "unknown command verison, did you mean version?"),
    (("help", "bogus"), 2, "unknown command bogus"),
    (("run", "--bogus"), 2, "lbd run: unknown option --bogus\n"),
    (("run", "--nodename", "x"), 2, "unknown option --nodename, did you mean --node-name?"),
    (("run", "-k"), 2, "lbd run: unknown option -k\n"),
    (("run", "extra"), 2, "lbd run: unexpected argument extra"),
    (("run", "-c"), 2, "lbd run: -c: needs a value"),
    (("run", "--control"), 2, "lbd run: --control: needs a value"),
    (("run", "--dry-run=1"), 2, "--dry-run=1: takes no value"),
    (("run", "-c", "-"), 2, "-c: expected a file"),
    (("run", "-c", ""), 2, "(got nothing)"),
    (("run", "--log-level", "loud"), 2, "expected error, warn, info or debug (got loud)"),
    (("run", "--log-level=loud"), 2, "expected error, warn, info or debug (got loud)"),
    (("run", "--node-name", "A b"), 2, "--node-name: expected a Node's name"),
    (("run", "--node-name=n1."), 2, "--node-name: expected a Node's name"),
    (("run", "--control", LONG), 2, "--control: expected a path of at most 107 characters"),
    (("run", "-c", "/nonexistent/lbd.yaml"), 1, "/nonexistent/lbd.yaml"),
    (("run", "--config=/nonexistent/lbd.yaml", "--dry-run"), 1, "/nonexistent/lbd.yaml"),
    (("kubeconfig", "--server"), 2, "lbd kubeconfig: --server: needs a value"),
    (("kubeconfig", "x"), 2, "lbd kubeconfig: unexpected argument x"),
    (("kubeconfig", "--ca-file", "/nonexistent/ca"), 1, "/nonexistent/ca: cannot be read"),
    (("run", "-c", "/dev/null", "--control", "/dev/null"), 1, "control socket not opened (is another lbd running?)"),
    (("run", "-c", "/dev/null", "--control", "/dev/null", "--dry-run"), 1, "a dry run wants a --control of its own"),
    (("check-config",), 2, "no file given"),
    (("check-config", "-pqx", "-"), 2, "unknown option -x"),
    (("check-config", "--quiet=1", "-"), 2, "takes no value"),
    (("check-config", *["f"] * 257), 2, "more than 256 files"),
    (("check-config", "/nonexistent", "/"), 1, "/nonexistent: cannot be read: No such file or directory\n/: cannot be read: Is a d"),
    (("check-config", "--", "-p"), 1, "-p: cannot be read"),
    (("dump", "--control", "/nonexistent/s"), 3, "no daemon answers on /nonexistent/s: No such file"),
    (("dump", "--control=/nonexistent/s"), 3, "no daemon answers on /nonexistent/s: No such file"),
    (("dump", "--control", LONG), 2, "expected a path of at most 107 characters"),
    (("dump", "all"), 2, "unexpected argument all"),
    (("explain",), 2, "which Service or address?"),
    (("explain", ""), 2, "(got nothing)"),
    (("explain", "web", "extra"), 2, "unexpected argument extra"),
    (("explain", "web", "--without"), 2, "--without: needs a value"),
    (("explain", "web", "--without", "A b"), 2, "--without: expected a Node's name"),
    (("explain", "web", "-o", "yaml"), 2, "-o: expected json (got yaml)"),
    (("explain", "web", "--wihtout", "n1"), 2, "unknown option --wihtout, did you mean --without?"),
    (("explain", "web", "--control", LONG), 2, "expected a path of at most 107 characters"),
    (("doctor", "-o", "yaml"), 2, "-o: expected json (got yaml)"),
    (("doctor", "--root", "/dev/null"), 2, "--root: expected a folder with proc and sys in it (got /dev/null)"),
    (("doctor", "--rot", "/"), 2, "unknown option --rot, did you mean --root?"),
    (("doctor", "extra"), 2, "unexpected argument extra"),
    (("doctor", "--control", LONG), 2, "expected a path of at most 107 characters"),
    (("explain", "web", "--control", "/nonexistent/s"), 3, "no daemon answers on /nonexistent/s: No such file"),
    (("version", "-o"), 2, "-o: needs a value"),
    (("version", "-o", "yaml"), 2, "-o: expected json (got yaml)"),
    (("version", "1"), 2, "unexpected argument 1"),
    (("drain", "--timeout", "soon"), 2, "--timeout: expected a duration like 10s (got soon)"),
    (("drain", "now"), 2, "unexpected argument now"),
    (("move", "10.0.0.1"), 2, "which address, to which node?"),
    (("log-level", "loud"), 2, "lbd log-level: LEVEL: expected error, warn, info, debug or config (got loud)\n"),
    (("log-level", ""), 2, "LEVEL: expected error, warn, info, debug or config (got nothing)"),
    (("log-level", "debug", "warn"), 2, "unexpected argument warn"),
    (("log-level", "--for", "1m"), 2, "LEVEL: expected error, warn, info or debug beside --for (got nothing)"),
    (("log-level", "config", "--for", "1m"), 2, "LEVEL: expected error, warn, info or debug beside --for (got config)"),
    *[(("log-level", "debug", "--for", d), 2, f"--for: expected a duration like 10m, at most 8784h (got {d})")
      for d in ("soon", "10", "0", "0s", "-1m", "8785h", "300000000h", "1ns")],
    *[((c, "--control", "/nonexistent/s"), 3, "no daemon answers on /nonexistent/s: No such file")
      for c in ("drain", "undrain", "freeze", "thaw", "log-level")],
], ids=lambda v: " ".join(v)[:40] if isinstance(v, tuple) else "")
def test_refused(argv, code, says):
    """What is wrong is said on standard error, nothing on standard output."""
    r = lbd(*argv)
    assert (r.returncode, r.stdout) == (code, "")
    assert says in r.stderr


@pytest.mark.parametrize("argv", [("--help",), ("-h",), ("help",)])
def test_help(argv):
    """Help that was asked for goes to standard output and is fine; it lists every command."""
    r = lbd(*argv)
    assert (r.returncode, r.stderr) == (0, "")
    assert all(f"\n  lbd {c}" in r.stdout for c in BUILT)


@pytest.mark.parametrize("command", BUILT)
def test_help_of_a_command(command):
    """Each command's help, asked for in three ways, is its part of the whole."""
    whole = lbd("help").stdout
    for argv in ((command, "--help"), (command, "-h"), ("help", command)):
        r = lbd(*argv)
        assert (r.returncode, r.stderr) == (0, "")
        assert r.stdout.startswith(f"  lbd {command}") and r.stdout in whole


@pytest.mark.parametrize("argv", [("-o", "json"), ("-ojson",), ("--output", "json"), ("--output=json",)])
def test_version(argv):
    """The version, plain and as JSON."""
    r = lbd("version", *argv)
    version = json.loads(r.stdout)["version"]
    assert (r.returncode, r.stderr) == (0, "")
    for plain in (("version",), ("--version",), ("-V",)):
        assert lbd(*plain).stdout == f"lbd {version}\n"


def test_check_config_of_several():
    """Several files are one configuration; -p prints to standard output only when it is good; -q leaves errors."""
    text = "apiVersion: lbd.io/v1\nkind: Config\npools: [{name: a, addresses: [10.0.0.7/24]}]\n"
    r = lbd("check-config", "-", text=text)
    assert (r.returncode, r.stdout.splitlines()[0]) == (0, "configuration is good: 1 pool, 1 layer 2 advertisement, 0 BGP peers")
    assert r.stderr.startswith("-:3:31: pools[0].addresses[0]: has bits set")
    r = lbd("check-config", "-q", "-p", "-", text=text)
    assert r.stdout.startswith("apiVersion: lbd.io/v1\n") and r.stderr == ""
    r = lbd("check-config", "-pq", "-", text=text.replace("/24", "/33"))
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr.startswith("-:3:31: pools[0].addresses[0]: must have a prefix length")


def test_standard_output_full():
    """What cannot be printed is a finding."""
    with open("/dev/full", "w") as full:
        for argv in (("version",), ("help",), ("check-config", "-p", "/dev/null"), ("check-config", "/dev/null")):
            r = subprocess.run([binary(), *argv], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
            assert r.returncode == 1 and "cannot print" in r.stderr
