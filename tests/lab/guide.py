# SPDX-License-Identifier: Apache-2.0
"""docs/migrate.md, and a person who does what it says on a node of the laboratory.

    guide = Guide("MetalLB")
    me = Operator(lab, lab.nodes[0], guide)
    told = me.do("Before")             # every command of the shell blocks under **Before**, as it stands
    me.after("delete daemonset/speaker", speakers.stop)
    me.do("Switch")

Three things stand for what a laboratory has not: `systemctl ... lbd` is lbd on every node; the addresses 192.168.1.x are 10.89.0.x
here; and `lbd status` and its like find the daemon's socket where the laboratory has it.
"""

import os
import re
import signal
import subprocess

from lab import ROOT, binary, wait_for

DOC = ROOT / "docs" / "migrate.md"
DRY = "lbd run --dry-run"


def sections():
    """{title: text} of the document's second level."""
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", DOC.read_text(), re.M | re.S))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands(block):
    """The commands of a block: lines that belong together are one."""
    out, held = [], ""
    for line in block.splitlines():
        held += line + "\n"
        whole = subprocess.run(["bash", "-n", "-c", held], capture_output=True, text=True)
        if whole.returncode == 0 and not line.endswith("\\"):
            out.append(held.strip())
            held = ""
    assert held == "", f"not a command: {held}"
    return [c for c in out if c and not c.startswith("#")]


class Guide:
    def __init__(self, title):
        text = sections()[title]
        parts = re.split(r"^\*\*([A-Z][\w ,]+)\*\*", text, flags=re.M)
        self.parts = dict(zip(parts[1::2], parts[2::2]))

    def yaml(self, part):
        return [self.here(b) for b in blocks(self.parts[part], "yaml")]

    def commands(self, part):
        return [c for block in blocks(self.parts[part], "sh") for c in commands(block)]

    @staticmethod
    def here(text):
        return text.replace("192.168.1.", "10.89.0.")


class Told:
    """What came of a command."""

    def __init__(self, command, code, text):
        self.command, self.code, self.text = command, code, text


class Operator:
    def __init__(self, lab, node, guide):
        self.lab, self.node, self.guide, self.hooks = lab, node, guide, []
        self.dir = lab.dir / f"operator-{node.name}"
        (self.dir / "bin").mkdir(parents=True)
        wrapper = self.dir / "bin" / "lbd"
        wrapper.write_text("#!/bin/sh\ncase $1 in\nstatus|explain|drain|dump|doctor) "
                           f"exec {binary()} \"$@\" --control {node.control} ;;\n*) exec {binary()} \"$@\" ;;\nesac\n")
        wrapper.chmod(0o755)
        self.env = {**os.environ, "PATH": f"{self.dir / 'bin'}:{os.environ['PATH']}", "NODE_NAME": node.name,
                    "KUBECONFIG": str(lab.server.kubeconfig("admin")), "HOME": str(self.dir), "COLUMNS": "120"}

    def after(self, words, hook):
        """What happens in the cluster once a command with these words was given."""
        self.hooks.append((words, hook))

    def write_config(self, text):
        (self.dir / "lbd.yaml").write_text(text)

    def config(self):
        return (self.dir / "lbd.yaml").read_text()

    def do(self, part, stop_first=False):
        """stop_first: the other one is stopped before lbd starts, and not as the last."""
        given = self.guide.commands(part)
        if stop_first:
            assert "delete daemonset/" in given[-1]
            given.insert(next(i for i, c in enumerate(given) if c.startswith("systemctl")), given.pop())
        return [self.give(c) for c in given]

    def give(self, command):
        command = self.guide.here(command)
        if command.startswith(DRY):
            told = self._dry(command)
        elif command.startswith("systemctl"):
            told = self._systemctl(command)
        else:
            r = subprocess.run(self.node.argv("bash", "-ec", command), cwd=self.dir, env=self.env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=60)
            told = Told(command, r.returncode, r.stdout)
        print(f"$ {told.command}\n{told.text}[{told.code}]")
        for words, hook in self.hooks:
            if words in command:
                hook()
        return told

    def _dry(self, command):
        """Until it has said its sum; then an interrupt. Meanwhile nothing was written but what running daemons write."""
        since = self.lab.kubesim.log()[-1]["seq"]
        log = self.dir / "dry.log"
        command = command.replace("/tmp/lbd.sock", str(self.dir / "dry.sock"))
        log.unlink(missing_ok=True)
        p = self.node.popen("bash", "-c", f"exec {command}", log=log, cwd=self.dir, env=self.env)
        try:
            wait_for("the dry run's sum", lambda: 'msg="dry run:' in log.read_text() or p.poll() is not None, 20)
        finally:
            p.send_signal(signal.SIGINT)
            code = p.wait(10)
        others = {"lbd"} if any(n.alive() for n in self.lab.nodes) else set()
        written = [w for w in self.lab.kubesim.log(since) if w["user"] not in others]
        assert not written, written
        return Told(command, code, log.read_text())

    def _systemctl(self, command):
        if "enable --now lbd" in command:
            self.lab.start(config=self.config())
        elif "disable --now lbd" in command:
            for node in self.lab.nodes:
                node.stop()
        else:
            raise AssertionError(command)
        return Told(command, 0, "")
