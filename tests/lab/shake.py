# SPDX-License-Identifier: Apache-2.0
"""To hunt races of tests (make shake): with LBD_SHAKE=SECONDS in the environment, daemons, kubesim and what else runs in a
laboratory (routers, pods, other load balancers) are stopped again and again for up to so long, and each daemon for just so long when
it has come into step with the API and when a test has written there.

Who takes a step for done that was not waited for finds out.  What judges fractions of a second fails, and rightly; after a
pause of more than 0.15 s ownership is looked for anew."""

import contextlib
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

SECONDS = float(os.environ.get("LBD_SHAKE", "0"))
BETWEEN_S = 0.01, 0.3
API_TIMES = 3  # as slow as that: nobody is fenced for it
held = set()  # pids that a test has stopped


def stop(pid, seconds):
    with contextlib.suppress(OSError):  # it has ended
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return  # by a test, or already by us
        os.kill(pid, signal.SIGSTOP)
        again = threading.Timer(seconds, go_on, (pid,))
        again.daemon = True
        again.start()


def go_on(pid):
    with contextlib.suppress(OSError):
        if pid not in held:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stopped(*pids):
    """A test's own SIGSTOP: they stay so until the end of it, whatever shakes."""
    held.update(pids)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        held.difference_update(pids)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def stop_all(nodes):
    for node in nodes:
        if SECONDS and node.alive():
            stop(node.pid, SECONDS)


def api_server(lab):
    return [p.pid] if (p := getattr(lab.server, "process", None)) is not None else []  # a real one is not ours


def somebody(lab):
    namespaces = [f for f in Path("/run/netns").iterdir() if f.name.startswith(f"{lab.tag}-")]
    if not namespaces:
        return []
    found = subprocess.run(["ip", "netns", "pids", random.choice(namespaces).name], capture_output=True, text=True)
    return [pid for pid in map(int, found.stdout.split()) if pid != os.getpid()]  # threads of ours are in there


def daemons(lab):
    return [n.pid for n in lab.nodes if n.alive()]


def at_random(lab, over):
    while not over.wait(random.uniform(*BETWEEN_S)):
        find, times = random.choice([(api_server, API_TIMES), (somebody, 1), (daemons, 1)])
        pids = find(lab)
        if pids:
            stop(random.choice(pids), random.uniform(0, times * SECONDS))


@contextlib.contextmanager
def shaken(lab):
    if not SECONDS:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=at_random, args=(lab, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
