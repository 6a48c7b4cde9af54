# SPDX-License-Identifier: Apache-2.0
"""The package and its unit under a systemd that runs: a clean Debian's, as PID 1 of namespaces of its own, on a node of the
laboratory. What can be said of the unit without one is in test_unit.py."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from lab import API_ADDR, POOL, binary, sh, wait_for
from test_hand import joined, serve
from test_install import bootstrapped, packages, the_deb  # noqa: F401 (a fixture)

# $1 is the clean Debian, $2 a folder for the mounts, $3 the host's name. Only the namespace's own part of /proc/sys is writable: the
# rest of it, and the clock, are this machine's. Without a shared / systemd refuses LoadCredential.
BOOT = """set -e
mount -t tmpfs -o mode=755 lbd "$2"
cd "$2"
mkdir upper work root
mount -t overlay -o "lowerdir=$1,upperdir=upper,workdir=work" lbd root
cd root
echo "$3" >etc/hostname
mount -t proc lbd proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw proc/sys/net
mount -t sysfs -o ro lbd sys
mount -t cgroup2 lbd sys/fs/cgroup
mount -t tmpfs -o mode=755 lbd run
mount -t tmpfs -o mode=755 lbd dev
for d in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${d%:*}" c 1 "${d#*:}"; done
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 lbd dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs lbd dev/shm
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
echo booting
exec setpriv --bounding-set=-sys_boot,-sys_module,-sys_time env -i container=lbd PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --unit=multi-user.target --show-status=no
"""
SMALLER = "10.89.0.100-10.89.0.104"


def cgroup2():
    """Where this machine has it."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4])
    pytest.skip("no cgroup2 here")


def remove(cgroup):
    """With those below it; whoever is still in them is ended first."""
    with contextlib.suppress(OSError):
        (cgroup / "cgroup.kill").write_text("1")

    def gone():
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not cgroup.exists()
    wait_for(f"{cgroup} to be empty", gone)


def new_cgroup(tag):
    """That of a killed run, whose process is gone, is removed on the way, as lab.sweep() does."""
    top = cgroup2()
    for old in top.glob("lbd*-*"):
        m = re.fullmatch(r"lbd(\d+)-\d+", old.name)
        if m and not Path(f"/proc/{m.group(1)}").exists():
            remove(old)
    try:
        (top / tag).mkdir()
    except OSError as e:
        pytest.skip(f"no cgroup can be made: {e}")
    return top / tag


class Machine:
    """A node of the laboratory on which systemd is PID 1, with nothing installed; gone without a trace at the end of the context."""

    def __init__(self, node, root):
        self.node, self.clean, self.stack, self.pid = node, root, contextlib.ExitStack(), None

    def __enter__(self):
        with self.stack:
            self._boot()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *exc):
        self.stack.close()

    def _boot(self):
        node, folder = self.node, self.node.lab.dir / "machine"
        folder.mkdir()
        cgroup = new_cgroup(node.lab.tag)
        self.stack.callback(remove, cgroup)
        argv = node.argv("unshare", "--mount", "--uts", "--ipc", "--cgroup", "--pid", "--fork", "--kill-child",
                         "sh", "-c", BOOT, "boot", self.clean, folder, node.name)
        with open(node.log, "wb") as log:
            node.process = subprocess.Popen(["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', cgroup, *argv],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.stack.callback(self._end)
        wait_for("the mounts", lambda: "booting\n" in node.log.read_text() or not node.alive())
        if not node.alive() and "booting\n" not in node.log.read_text():
            pytest.skip("systemd cannot have namespaces here: " + node.log.read_text().strip().splitlines()[-1])
        self.pid = int(sh("pgrep", "-P", node.process.pid).stdout)
        self.root = Path(f"/proc/{self.pid}/root")
        node.control = self.root / "run/lbd/lbd.sock"
        wait_for("systemd to be up", lambda: self.run("systemctl", "is-system-running", check=False).stdout in (
            "running\n", "degraded\n"), 30)
        self.stack.callback(self._keep_journal)

    def _end(self):
        """PID 1 takes all others with it, and unshare waits for it."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.node.process.wait(timeout=15)
        self.node.kill()

    def _keep_journal(self):
        """Where show_logs() finds it."""
        (self.node.lab.dir / f"{self.node.name}.journal.log").write_text(self.run("journalctl", "--no-pager", check=False).stdout)

    def run(self, *argv, **kw):
        return sh("nsenter", "-a", "-t", self.pid, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv, **kw)

    def put(self, path, text, mode):
        """A file of root's."""
        at = self.root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
        at.chmod(mode)

    def show(self, *names):
        """Properties of the unit; one alone, or a list."""
        text = self.run("systemctl", "show", "lbd", "-p", ",".join(names)).stdout
        found = dict(line.split("=", 1) for line in text.splitlines())
        return [found[n] for n in names] if len(names) > 1 else found[names[0]]

    def states(self):
        return self.show("LoadState", "UnitFileState", "ActiveState", "SubState")

    def process(self):
        """/proc/PID/status of lbd."""
        text = (self.root / "proc" / self.show("MainPID") / "status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def journal(self, *argv):
        """What lbd says, and systemd of it."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", "lbd", *argv).stdout


@pytest.fixture
def machine(bare, packages):  # noqa: F811
    root = bootstrapped("systemd")
    if sh("unshare", "--mount", "--pid", "--cgroup", "--fork", "true", check=False).returncode != 0:
        pytest.skip("no namespaces here")
    lab = bare(nodes=2)
    with Machine(lab.nodes[1], root) as made:
        lab.nodes[0].start()
        yield made


def kubeconfig(lab):
    """With all in it, as lbd kubeconfig makes one."""
    return sh(binary(), "kubeconfig", "--server", f"https://{API_ADDR}:6443", "--token-file", lab.kubesim.dir / "lbd.token",
              "--ca-file", lab.kubesim.dir / "ca.crt").stdout


def installed(machine):
    """dpkg -i and the two files; enabled and started as the README has it."""
    shutil.copy(the_deb(), machine.root / "lbd.deb")
    machine.run("dpkg", "-i", "/lbd.deb")
    assert machine.states() == ["loaded", "disabled", "inactive", "dead"]
    machine.put("etc/lbd/lbd.yaml", machine.node.lab.config, 0o644)
    machine.put("etc/lbd/kubeconfig", kubeconfig(machine.node.lab), 0o600)
    machine.run("systemctl", "enable", "--now", "lbd")
    assert machine.states() == ["loaded", "enabled", "active", "running"]  # Type=notify: it has said READY


def confined(machine):
    """The user, what it may, and that only systemd can have read the kubeconfig. Whether real-time scheduling is had is not asked: a
    container's systemd may be unable to raise a limit (CAP_SYS_RESOURCE)."""
    status, pid = machine.process(), machine.show("MainPID")
    uid = machine.run("id", "-u", "lbd").stdout.strip()
    assert uid != "0" and status["Uid"].split() == [uid] * 4
    assert {status[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {f"{1 << 12 | 1 << 13:016x}"}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert machine.show("LimitRTPRIO", "RestrictRealtime") == ["1", "no"]  # realtime.conf is read
    as_lbd = ("setpriv", "--reuid=lbd", "--regid=lbd", "--clear-groups")
    assert "Permission denied" in machine.run(*as_lbd, "cat", "/etc/lbd/kubeconfig", check=False).stderr
    environ = (machine.root / "proc" / pid / "environ").read_text().split("\0")
    assert "CREDENTIALS_DIRECTORY=/run/credentials/lbd.service" in environ
    for path, mode in (("run/lbd", 0o755), ("var/lib/lbd", 0o700)):
        at = (machine.root / path).stat()
        assert (at.st_uid, at.st_mode & 0o777) == (int(uid), mode), path


def reloads(machine, other):
    """Taken by systemctl reload alone: the file is written by its name in a folder that lbd does not watch, and is looked at of lbd's
    own accord every ten seconds only."""
    def addresses():
        return [p["addresses"] for p in (machine.node.dump() or {"pools": []})["pools"]]

    same, config = machine.root / "root/same", machine.node.lab.config.replace(POOL, SMALLER)
    os.link(machine.root / "etc/lbd/lbd.yaml", same)
    same.write_text(config)
    other.config_path.write_text(config)
    assert addresses() == [[POOL]]
    machine.run("systemctl", "reload", "lbd")
    wait_for("the new pool", lambda: addresses() == [[SMALLER]], 2)
    wait_for("READY once more", lambda: machine.states() == ["loaded", "enabled", "active", "running"])


def quiet(machine):
    """Nothing was refused to lbd, nor to systemd for it, and neither warns, but of BFD's key and of the end of a leader."""
    text = machine.journal()
    assert " msg=connecting\n" in text  # it is the right journal
    assert re.findall(r".*(?:refused|denied|not permitted).*", text, re.I) == []
    known = re.compile('warn bfd msg="no key|warn leader .* no longer allocates|-- No entries')
    assert [line for line in machine.journal("-p", "warning").splitlines() if not known.match(line)] == []


def answers(lab, ip, node):
    wait_for(f"{node.name} to answer", lambda: lab.client.arping(ip) == [node.mac])
    assert "pod" in lab.wait_http(ip)


def takes(node):
    """For 3 s after it is in step with the API a node takes nothing that another has (elect.c)."""
    def age():
        now, started = (datetime.fromisoformat(node.dump()["version"][k]) for k in ("now", "started"))
        return (now - started).total_seconds()
    wait_for("its first seconds to be over", lambda: age() > 3.5)


def test_service(machine):
    """Installed, configured and enabled, lbd runs as the unit wants it and serves; stopped, it hands over; nothing was refused."""
    lab, (first, second) = machine.node.lab, machine.node.lab.nodes
    installed(machine)
    second.wait_synced()
    confined(machine)
    says = "announces 0 of 0 addresses by ARP and NDP"
    wait_for("a sentence", lambda: machine.show("StatusText").startswith(says))

    ip, _ = serve(lab)
    wait_for("lbd status to find nothing amiss", lambda: machine.run("lbd", "status", check=False).returncode == 0)
    assert {"n1", "n2", ip} <= set(machine.run("lbd", "status").stdout.split())
    assert first.stop() == 0
    answers(lab, ip, second)
    wait_for("a sentence", lambda: machine.show("StatusText") == says.replace("0", "1") + ", leads")
    first.start()
    reloads(machine, first)
    answers(lab, ip, second)
    joined(lab)
    takes(first)
    machine.run("systemctl", "stop", "lbd")
    assert lab.client.arping(ip) == [first.mac]  # at once
    assert machine.states() == ["loaded", "enabled", "inactive", "dead"]
    assert machine.show("Result", "ExecMainCode", "ExecMainStatus", "NRestarts") == ["success", "1", "0", "0"]  # 1: it exited
    answers(lab, ip, first)
    quiet(machine)


def test_restarts(machine):
    """systemctl restart; the watchdog, whose 20 s are 2 here; the package installed once more, and removed: each does with the running
    service what it should."""
    seen = {"0"}

    def begun(restarts="0"):
        """Another process runs, and systemd has started so many of its own accord."""
        pid, state, n = machine.show("MainPID", "ActiveState", "NRestarts")
        if pid in seen or (state, n) != ("active", restarts):
            return False
        seen.add(pid)
        return True

    installed(machine)
    assert begun()
    machine.node.wait_synced()
    machine.run("systemctl", "restart", "lbd")
    assert begun()
    machine.run("dpkg", "-i", "/lbd.deb")
    assert begun()
    quiet(machine)

    assert machine.show("WatchdogUSec") == "20s"
    machine.put("etc/systemd/system/lbd.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n", 0o644)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "lbd")
    assert begun()
    machine.node.wait_synced()
    machine.run("systemctl", "kill", "--kill-whom=main", "-s", "STOP", "lbd")
    wait_for("the watchdog", lambda: begun("1"), 20)
    assert "Watchdog timeout" in machine.journal()
    machine.node.wait_synced()

    machine.run("dpkg", "-r", "lbd")
    assert machine.states()[2:] == ["inactive", "dead"] and not (machine.root / "usr/bin/lbd").exists()
    assert not (machine.root / "etc/systemd/system/multi-user.target.wants/lbd.service").is_symlink()
