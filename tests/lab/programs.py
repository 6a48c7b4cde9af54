# SPDX-License-Identifier: Apache-2.0
"""Programs of others in a host's namespace, each with a directory of its own: what BFD speakers (speakers.py) and BGP routers
(routers.py) have in common."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lab import wait_for

FRR_DIR = Path("/usr/lib/frr")


class Program:
    """One or several processes; stopped with the laboratory."""

    name = ""

    def __init__(self, host):
        self.host = host
        self.dir = host.lab.dir / f"{self.name}-{host.name}-{id(self)}"
        self.dir.mkdir()
        self.log = self.dir / "log"
        self.processes = []
        host.lab.stack.callback(self.stop)

    def run(self, *argv, log=None, **kw):
        p = self.host.popen(*argv, log=log or self.dir / "output", **kw)
        self.processes.append(p)
        return p

    @property
    def pid(self):
        """Of the process that speaks."""
        return self.processes[-1].pid

    def send(self, sig):
        """To the processes, and those that they began."""
        for p in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, sig)

    def stop(self, sig=signal.SIGTERM):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.send_signal(sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(5)
        self.send(signal.SIGKILL)
        for p in self.processes:
            p.wait()
        self.processes = []

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def parsed(text):
    """What JSON says, or None: the program is not there yet, or has nothing to say."""
    try:
        return json.loads(text)
    except ValueError:
        return None


class BirdProgram(Program):
    name = "bird"

    def start_bird(self, lines, prefix=()):
        """Begins with this configuration."""
        self.control = self.dir / "ctl"
        self.write_config(lines)
        self.run(*prefix, "bird", "-f", "-c", self.dir / "bird.conf", "-s", self.control, "-P", self.dir / "pid")

    def write_config(self, lines):
        head = [f'log "{self.log}" all;', "timeformat log iso long us;"]
        (self.dir / "bird.conf").write_text("\n".join([*head, *lines]) + "\n")

    def command(self, *words):
        return self.host.run("birdc", "-s", self.control, *words, check=False).stdout


class FrrProgram(Program):
    """zebra, which knows the interfaces, and daemons that speak to it."""

    name = "frr"

    def start_frr(self, prefix=(), **configs):
        """configs: the lines of each daemon, in the order in which they begin."""
        shutil.chown(self.dir, "frr", "frr")
        self.dir.parent.chmod(0o755)
        head = [f"log file {self.log} debugging", "log timestamp precision 6"]
        for daemon, lines in {"zebra": [], **configs}.items():
            config = self.dir / f"{daemon}.conf"
            config.write_text("\n".join([*head, *lines]) + "\n")
            self.run(*prefix, FRR_DIR / daemon, "-z", self.dir / "zserv", "--vty_socket", self.dir, "-P", "0", "-u", "frr",
                     "-g", "frr", "-f", config, "-i", self.dir / f"{daemon}.pid",
                     *(("--bfdctl", self.dir / "bfdctl") if daemon == "bfdd" else ()))
            if daemon == "zebra":
                wait_for("zebra", (self.dir / "zserv").exists)

    def command(self, *lines):
        argv = [a for line in lines for a in ("-c", line)]
        return self.host.run("vtysh", "--vty_socket", self.dir, *argv, check=False).stdout

    def shown(self, line):
        """The answer to a command that ends in `json`, or None."""
        return parsed(self.command(line))
