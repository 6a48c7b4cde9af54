# SPDX-License-Identifier: Apache-2.0
"""The unit file: what systemd's own tools say of it, and lbd as it runs there: another user, two capabilities, /proc/sys read-only."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from lab import ROOT, binary, sh, wait_for

UNIT = ROOT / "packaging/systemd/lbd.service"
MOST = 1.8  # by systemd-analyze security
SETTINGS = "/proc/sys/net/ipv4/conf/all"
# What of the unit's sandbox can be had without systemd.
AS_UNIT = f"""set -e
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
mount --bind {SETTINGS} {SETTINGS}
mount -o remount,rw,bind {SETTINGS}
! echo 1 2>/dev/null >/proc/sys/net/ipv4/ip_forward
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps=-all,+net_raw,+net_admin \\
    --ambient-caps=-all,+net_raw,+net_admin --bounding-set=-all,+net_raw,+net_admin "$@"
"""


def exposure(unit):
    text = sh("systemd-analyze", "security", "--offline=true", "--no-pager", unit).stdout
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", text).group(1))


def test_security():
    """The unit's exposure is at most what the issue allows."""
    assert exposure(UNIT) <= MOST


@pytest.mark.parametrize("beside", [(), ("realtime.conf",), ("listen.conf",), ("realtime.conf", "listen.conf")])
def test_verify(tmp_path, beside):
    """systemd-analyze verify has nothing to say of it, nor of the files that may lie beside it."""
    path = tmp_path / "etc/systemd/system"
    (path / "lbd.service.d").mkdir(parents=True)
    program = tmp_path / "lbd"
    shutil.copy(binary(), program)
    (path / "lbd.service").write_text(UNIT.read_text().replace("/usr/local/bin/lbd", str(program)))
    for name in beside:
        shutil.copy(UNIT.parent / name, path / "lbd.service.d")
    r = sh("systemd-analyze", "verify", "--man=no", path / "lbd.service", check=False)
    assert (r.returncode, r.stderr) == (0, "")
    (path / "lbd.service").write_text((path / "lbd.service").read_text() + "\n[Service]\nBogus=1\n")
    assert "Bogus" in sh("systemd-analyze", "verify", "--man=no", path / "lbd.service", check=False).stderr


def unit_calls(*files):
    """The system calls that the unit's filter lets pass, as systemd reads it: sets in order, ~ takes away."""
    def members(name):
        if not name.startswith("@"):
            return {name}
        text = sh("systemd-analyze", "syscall-filter", "--no-pager", name).stdout
        names = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
        return set().union(*map(members, names))

    allowed = members("@default")
    for file in files:
        for line in re.findall(r"^SystemCallFilter=(.*)", (UNIT.parent / file).read_text(), re.M):
            names = set().union(*map(members, line.lstrip("~").split()))
            allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def own_calls():
    table = re.search(r"calls\[\] = \{(.*?)\n\};", (ROOT / "confine.c").read_text(), re.S).group(1)
    return set(re.findall(r"__NR_(\w+),", table))


def test_filters_agree():
    """Whatever lbd's own filter allows passes the unit's, which is wider; what lies beside the unit gives the rest."""
    own = own_calls()
    assert len(own) > 60
    assert own - unit_calls("lbd.service", "realtime.conf", "listen.conf") == set()
    assert own - unit_calls("lbd.service") == {"sched_setscheduler", "setpriority", "capset"}


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, path, monkeypatch, watchdog_ms):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        os.chmod(path, 0o777)
        self.lines = []
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", str(watchdog_ms * 1000))

    def heard(self, line):
        """How often; a line that ends with = is the beginning of one."""
        try:
            while True:
                self.lines += self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return sum(at == line or (line.endswith("=") and at.startswith(line)) for at in self.lines)

    def wait(self, line, more_than=0):
        wait_for(line, lambda: self.heard(line) > more_than)


@pytest.fixture
def managed(bare, tmp_path, monkeypatch):
    """A laboratory of one node, and its service manager."""
    lab = bare(nodes=1, pods=False, proxy=False)
    lab.dir.chmod(0o755)
    return lab, Manager(lab.dir / "notify", monkeypatch, watchdog_ms=400)


def test_manager(managed):
    """Ready, a sentence, signs of life; none from a process that stands still; reload; the end."""
    lab, manager = managed
    node = lab.nodes[0].start()
    manager.wait("READY=1")
    manager.wait("WATCHDOG=1", 3)
    lab.service("web")
    lab.wait_owner(lab.wait_ip("web"))
    manager.wait("STATUS=announces 1 of 1 addresses by ARP and NDP, leads")
    ready = manager.heard("READY=1")
    os.kill(node.pid, signal.SIGHUP)
    manager.wait("READY=1", ready)
    assert manager.heard("RELOADING=1") == 1 and manager.heard("MONOTONIC_USEC=") == 1
    assert node.stop() == 0
    assert manager.heard("STOPPING=1") == 1
    assert manager.lines.index("READY=1") < manager.lines.index("RELOADING=1") < manager.lines.index("STOPPING=1")


def test_ready_without_api(managed):
    """The API server is away: lbd is ready all the same, or systemd would end it, and says what it waits for."""
    lab, manager = managed
    lab.kubesim.kill()
    lab.nodes[0].start(ready=False)
    manager.wait("READY=1")
    assert manager.heard("STATUS=") == 1 and "waits for the API at https://" in " ".join(manager.lines)
    manager.wait("WATCHDOG=1", 3)


@pytest.mark.skipif(subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0, reason="no mount namespaces here")
def test_as_the_unit_runs_it(managed):
    """As another user with CAP_NET_RAW and CAP_NET_ADMIN alone: frames, addresses on interfaces, snapshots, the control socket, and,
    beside kube-ipvs0, arp_ignore through a /proc/sys that is otherwise read-only."""
    lab, manager = managed
    node, program = lab.nodes[0], lab.dir / "program"
    shutil.copy(binary(), program)
    node.run("ip", "link", "add", "kube-ipvs0", "type", "bridge")
    for folder in (node.runtime_dir, node.state_dir):
        folder.mkdir(exist_ok=True)
        os.chown(folder, 65534, 65534)
        folder.chmod(0o700)
    node.control = node.runtime_dir / "lbd.sock"
    kubeconfig = lab.dir / "credential"
    kubeconfig.write_text(lab.server.kubeconfig("lbd").read_text())
    os.chown(kubeconfig, 65534, 65534)
    kubeconfig.chmod(0o400)
    for file in lab.kubesim.dir.iterdir():  # what the kubeconfig names
        file.chmod(0o644)
    lab.kubesim.dir.chmod(0o755)
    node.start(kubeconfig=kubeconfig, binary_path=program, prefix=("unshare", "-m", "sh", "-c", AS_UNIT, "sh"),
               config=lab.config + "l2Advertisements:\n- name: all\n  bindAddress: true\n")
    status = dict(line.split(":\t") for line in (open(f"/proc/{node.pid}/status").read().splitlines()) if ":\t" in line)
    assert status["Uid"].split() == ["65534"] * 4
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 1 << 12 | 1 << 13
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2" or os.environ.get("LBD", "").find("asan") >= 0
    manager.wait("READY=1")
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    wait_for("the address on the interface", lambda: f" {ip}/" in node.run("ip", "addr").stdout)
    assert node.run("cat", f"{SETTINGS}/arp_ignore").stdout.strip() == "1"
    wait_for("the snapshot", (node.runtime_dir / "snapshot").exists)
    text = node.log.read_text()
    assert node.stop() == 0
    assert not re.search(r"^\S+ (warn|error)", text, re.M), text


def test_capabilities(bare):
    """Started as root, lbd keeps what its configuration needs: the right to listen at BGP's port only with a passive peer."""
    def kept(config):
        node.start(config=config, ready=False)
        wait_for("the control socket", node.dump)
        status = re.search(r"CapPrm:\s*(\w+)", open(f"/proc/{node.pid}/status").read())
        node.stop()
        return int(status.group(1), 16)

    lab = bare(nodes=1, pods=False, proxy=False)
    node, net = lab.nodes[0], 1 << 12 | 1 << 13
    peer = "peers:\n- name: r\n  myASN: 64500\n  peerASN: 64501\n  peerAddress: 10.89.0.60\n"
    assert kept(lab.config) == net
    assert kept(lab.config + peer) == net
    assert kept(lab.config + peer + "  passive: true\n") == net | 1 << 10


def test_passive_too_late(bare):
    """A peer that becomes passive after the right to listen went: the log says what lacks, and what to do."""
    lab = bare(nodes=1, pods=False, proxy=False)
    peer = "peers:\n- name: r\n  myASN: 64500\n  peerASN: 64501\n  peerAddress: 10.89.0.60\n"
    node = lab.nodes[0].start(config=lab.config + peer)
    node.config_path.write_text(lab.config + peer + "  passive: true\n")
    wait_for("word of it", lambda: "no CAP_NET_BIND_SERVICE" in node.log.read_text())
    assert "listen.conf" in node.log.read_text() and node.stop() == 0
    node.start(config=lab.config + peer + "  passive: true\n")
    wait_for("port 179", lambda: ":179 " in node.run("ss", "-ltnH").stdout)


@pytest.mark.skipif("asan" in str(binary()), reason="no filter under the sanitizers")
def test_nothing_is_refused(bare):
    """No call that lbd makes is answered with EPERM but libuv's wish for an io_uring: while it starts, gives and announces addresses,
    puts them on interfaces, has BGP peers of both kinds, reloads, hands a large picture out by a copy of itself, and ends."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node, trace = lab.nodes[0], lab.dir / "trace"
    peers = "".join(f"- {{name: r{i}, myASN: 64500, peerASN: 64501, peerAddress: 10.89.0.{60 + i}, passive: {p}, password: x}}\n"
                    for i, p in enumerate(("true", "false")))
    config = lab.config + "l2Advertisements:\n- name: all\n  bindAddress: true\n" + "peers:\n" + peers
    node.start(config=config, prefix=("strace", "-D", "-f", "-qq", "-e", "status=failed", "-o", trace))
    lab.service("web")
    ip = lab.wait_ip("web")
    wait_for("the address on the interface", lambda: f" {ip}/" in node.run("ip", "addr").stdout)
    for i in range(201):
        lab.service(f"many{i}", endpoints=False)
    wait_for("all of them", lambda: len(node.dump()["services"]) == 202, timeout=20)
    node.config_path.write_text(config + "log: {level: debug}\n")
    os.kill(node.pid, signal.SIGHUP)
    wait_for("the reload", lambda: " msg=loaded" in node.log.read_text())
    assert node.stop() == 0
    refused = {line.split("(")[0].split()[-1] for line in trace.read_text().splitlines() if " EPERM " in line}
    assert trace.read_text() and refused <= {"io_uring_setup"}
