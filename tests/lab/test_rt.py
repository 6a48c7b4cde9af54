# SPDX-License-Identifier: Apache-2.0
"""Real-time scheduling, as lbd takes it where the unit file lets it (here: where it was started in it)."""

import os
import signal
import subprocess

import pytest

from lab import wait_for

RR = ("chrt", "--rr", "1")
needs_rr = pytest.mark.skipif(subprocess.run([*RR, "true"], capture_output=True).returncode != 0, reason="no SCHED_RR here")


def policies(pid):
    """{is it the main thread: policies}"""
    found = {True: set(), False: set()}
    for tid in map(int, os.listdir(f"/proc/{pid}/task")):
        found[tid == pid].add(os.sched_getscheduler(tid) & ~os.SCHED_RESET_ON_FORK)
    return found


@needs_rr
def test_real_time(bare):
    """The loop is run before others, what it hands to threads is not; told by the kernel that it computed for too long it is an
    ordinary process for ten seconds, and serves on."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start(prefix=RR)
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    wait_for("a thread of libuv's pool", lambda: policies(node.pid)[False])
    assert policies(node.pid) == {True: {os.SCHED_RR}, False: {os.SCHED_OTHER}}
    os.kill(node.pid, signal.SIGXCPU)
    wait_for("word of it", lambda: "long busy" in node.log.read_text())
    assert policies(node.pid)[True] == {os.SCHED_OTHER} and lab.client.arping(ip) == [node.mac]
    wait_for("its return", lambda: policies(node.pid)[True] == {os.SCHED_RR}, 15)
    assert node.stop() == 0


def test_ordinary(bare):
    """Nobody asked for it: lbd is an ordinary process and says nothing of it."""
    node = bare(nodes=1, pods=False, proxy=False).nodes[0].start()
    assert policies(node.pid)[True] == {os.SCHED_OTHER}
    assert "real-time" not in node.log.read_text()


@needs_rr
def test_jobs(bare):
    """With one processor for all its threads, the picture of the cluster is written again and again: the loop never waits for a
    thread that cannot run because of it."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node = lab.nodes[0].start(prefix=("taskset", "-c", str(min(os.sched_getaffinity(0))), *RR))

    def written():
        return sum(p.stat().st_mtime_ns for p in [*node.state_dir.iterdir(), *node.runtime_dir.iterdir()] if p.is_file())

    for i in range(4):
        before = written()
        lab.service(f"web{i}")
        wait_for("the picture", lambda: written() != before)
    lab.wait_owner(lab.wait_ip("web0"))
    assert "long busy" not in node.log.read_text()
    assert policies(node.pid)[True] == {os.SCHED_RR}
