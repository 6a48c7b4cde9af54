# SPDX-License-Identifier: Apache-2.0
"""The purity rule (DESIGN section 2) as a test.

    purity.py OBJECT-DIR ALLOW-FILE UNIT=CLOSURE,... ...

For each pure unit: its undefined symbols are those of the units it may use or on the allow-list; and it links, with
those units, against libc, cJSON, libyaml and mbedTLS's hashes alone.
"""

import fnmatch
import os
import subprocess
import sys
import tempfile


def symbols(obj, kind):
    out = subprocess.run(["nm", kind, "-g", obj], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.strip()}


def links(objs):
    with tempfile.TemporaryDirectory() as d:
        r = subprocess.run(["gcc", "-shared", "-Wl,--no-undefined", "-o", f"{d}/x.so", *objs, "-lcjson", "-lyaml",
                            "-lmbedcrypto"], capture_output=True, text=True)
    return r.returncode == 0, r.stderr


def main():
    objdir, allow_file, units = sys.argv[1], sys.argv[2], dict(a.split("=") for a in sys.argv[3:])
    with open(allow_file, encoding="utf-8") as f:
        allow = [line.strip() for line in f if line.strip() and not line.startswith("#")]
    passed = failed = 0
    for unit, closure in units.items():
        objs = [os.path.join(objdir, u + ".o") for u in closure.split(",")]
        theirs = set().union(*(symbols(o, "--defined-only") for o in objs))
        bad = sorted(s for s in symbols(os.path.join(objdir, unit + ".o"), "-u") - theirs if not any(fnmatch.fnmatchcase(s, p) for p in allow))
        ok, why = links(objs)
        if bad:
            print(f"purity: {unit}: not allowed: {' '.join(bad)}")
        if not ok:
            print(f"purity: {unit}: does not link with what it may use:\n{why}")
        passed += not bad and ok
        failed += bool(bad) or not ok
    print(f"purity: {passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
