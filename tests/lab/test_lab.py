# SPDX-License-Identifier: Apache-2.0
"""The laboratory itself."""

import signal
import subprocess
import sys

import pytest

from lab import HERE, sh, wait_for

BUILDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from lab import Lab
with Lab(nodes=1, pods=False, proxy=False) as lab:
    lab.start()
    print(lab.tag, lab.dir, lab.server.pid, lab.nodes[0].process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_nothing_is_left(sig):
    """Of a laboratory whose process is killed no namespace, no folder and no process stays, though nobody builds another one."""
    builder = subprocess.Popen([sys.executable, "-c", BUILDER, HERE], stdout=subprocess.PIPE, text=True)
    try:
        tag, folder, *pids = builder.stdout.readline().split()

        def left():
            return (f"{tag}-n1" in sh("ip", "netns", "list").stdout, sh("test", "-e", folder, check=False).returncode == 0,
                    *(sh("kill", "-0", pid, check=False).returncode == 0 for pid in pids))
        assert left() == (True,) * 4
    finally:
        builder.send_signal(sig)
    wait_for("nothing to be left", lambda: not any(left()))
    builder.wait()
