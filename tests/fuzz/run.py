# SPDX-License-Identifier: Apache-2.0
"""Runs each fuzz target for some seconds, two at a time; a finding fails and is kept in the target's folder.

    run.py SECONDS OBJECT-DIR TARGET...
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(seconds, objdir, target):
    kept = HERE / "corpus" / target
    found = Path(objdir) / "corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    argv = [f"{objdir}/fuzz_{target}", f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
            "-print_final_stats=1", f"-artifact_prefix={found}/../{target}-", str(found)]
    words = HERE / f"{target}.dict"
    if words.is_file():
        argv.append(f"-dict={words}")
    if kept.is_dir():
        argv.append(str(kept))
    r = subprocess.run(argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    execs = re.search(r"number_of_executed_units: (\d+)", r.stderr)
    return target, r.returncode, int(execs.group(1)) if execs else 0, r.stderr


def main():
    seconds, objdir, targets = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    failed = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for target, code, execs, text in pool.map(lambda t: run(seconds, objdir, t), targets):
            ok = code == 0 and execs > 0
            print(f"fuzz_{target}: {'ok' if ok else f'FAILED (exit {code})'}, {execs} inputs in {seconds} s", flush=True)
            if not ok:
                failed += 1
                print(text[-6000:])
    print(f"fuzz: {len(targets) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
