# SPDX-License-Identifier: Apache-2.0
"""make check: every test there is but those of the real Kubernetes, which are make check-k8s (--k8s); .ci/run runs both (--ci).
make shake (--shake) hunts races of tests: tests/lab/shake.py.
Each step's "N passed, N failed[, N skipped]" is added up on the last line."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What names a test that failed, in the words of pytest, of the unit tests and the simulator, of the fuzzers, of make.
CAUSES = re.compile(r"FAILED|^ERROR |^E {3}|SUMMARY: |^\S+:\d+: |^seed \d+: |replay: |^make.*\*\*\*|Base64: ")
CAUSES_MAX, CAUSE_WIDTH = 12, 240
COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error|errors)\b")
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]
LAB = [*PYTEST, "-n", "4", "tests/lab", "--ignore=tests/lab/test_tls.py", "--ignore=tests/lab/test_l2.py",
       "--ignore=tests/lab/test_versions.py"]
# Judged by fractions of a second: not beside four others on two cores.
L2 = [*PYTEST, "-n", "2", "tests/lab/test_l2.py", "tests/lab/test_versions.py"]
ALL_OF_LAB = [*LAB, "tests/k8s/test_contract.py", "-m", "not k8s"]
NOT_OF_LBD = [f"--ignore=tests/lab/test_{name}.py" for name in ("kubesim", "install", "systemd", "docs", "k3s", "routers")]
MAKE = ["make", "--no-print-directory", "-j2"]
BUILD = "build, gcc", [*MAKE, "lbd", "kubesim", "build/bench/bfdpeer", "next"], {}


def k8s_steps():
    yield "build of Kubernetes: packages", ["packaging/deps.sh", "k8s"], {}
    yield "build of Kubernetes", ["tests/k8s/build.sh"], {}
    yield "the contract, and lbd on the real Kubernetes", [*PYTEST, "-n", "2", "--dist", "loadfile", "tests/k8s"], {}


def steps(asan_lab):
    make = MAKE
    san = [*make, "SAN=1", "O=build/asan"]
    yield BUILD
    yield "build, clang", [*make, "CC=clang", "O=build/clang", "objects"], {}
    yield "purity", [*make, "purity"], {}
    yield "unit tests that let allocations fail", [*make, "unit-plain"], {}
    yield "unit tests, asan + ubsan", [*san, "unit"], {}
    yield "simulator", [*make, "sim"], {}
    yield "simulator, asan + ubsan", [*san, "sim"], {}
    yield "allocator, a million random operations", [*make, "alloc-random"], {}
    yield "allocator, random operations, asan + ubsan", [*san, "alloc-random"], {}
    yield "fuzz smoke", [*make, "fuzz"], {}
    yield "static build", [*make, "static"], {}
    yield "TLS against other servers, mbedTLS 2.28 and 3.6", [*make, "tls-test"], {}
    if asan_lab:
        yield "build, asan", [*san, "build/asan/lbd"], {}
        yield "laboratory, asan + ubsan", [*LAB, *NOT_OF_LBD], {"LBD": str(ROOT / "build/asan/lbd")}
        return
    yield "laboratory", ALL_OF_LAB, {}
    yield "laboratory, who answers when something fails", L2, {}
    yield ("laboratory, static binary", [*LAB, *NOT_OF_LBD],
           {"LBD": str(ROOT / "build/static/x86_64-linux-gnu/lbd")})


def run(title, argv, env):
    """Runs one step, shows its output as it comes; returns the counts of its lines that close a test program, and the lines that say
    what failed."""
    print(f"== {title}", flush=True)
    begin, counts, causes = time.monotonic(), dict.fromkeys(("passed", "failed", "skipped"), 0), []
    p = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="replace")
    try:
        for line in p.stdout:
            print("   " + line, end="", flush=True)
            if CAUSES.search(line):
                causes.append(line.strip()[:CAUSE_WIDTH])
            found = COUNTS.findall(line)
            if found and ("passed" in line or "failed" in line) and re.match(r"(=+ )?(\S+: )?\d+ \w+", line.strip()):
                for n, what in found:
                    counts["failed" if what.startswith("error") else what] += int(n)
    except BaseException:
        p.terminate()
        raise
    if p.wait() != 0 and counts["failed"] == 0:
        counts["failed"] = 1
    elif p.returncode == 0 and sum(counts.values()) == 0:
        counts["passed"] = 1  # a build step: it built, without a warning
    print(f"   -- {time.monotonic() - begin:.1f} s: {counts['passed']} passed, {counts['failed']} failed,"
          f" {counts['skipped']} skipped", flush=True)
    return counts, causes


def chosen(argv):
    if "--k8s" in argv:
        return [BUILD, *k8s_steps()]
    if "--shake" in argv:
        return [BUILD, ("laboratory, shaken", [*LAB, *NOT_OF_LBD], {"LBD_SHAKE": "0.12"})]
    return [*steps("--asan-lab" in argv), *(k8s_steps() if "--ci" in argv else ())]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begin, total, failed = time.monotonic(), dict.fromkeys(("passed", "failed", "skipped"), 0), {}
    for title, argv, env in chosen(sys.argv):
        counts, causes = run(title, argv, env)
        for what in total:
            total[what] += counts[what]
        if counts["failed"]:
            failed[title] = causes
            if title.startswith("build"):
                break
    for title, causes in failed.items():  # once more, at the end: a log is read from there, and often cut
        print(f"failed: {title}", *causes[-CAUSES_MAX:], sep="\n   ")
    print(f"in {time.monotonic() - begin:.0f} s")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


sys.exit(main())
