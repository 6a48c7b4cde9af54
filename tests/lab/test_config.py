# SPDX-License-Identifier: Apache-2.0
"""Configuration at run time: reload by signal, by write, by a ConfigMap volume's symlink swap; a bad one changes nothing."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from lab import FAST, ROOT, binary, wait_for

HEAD = "apiVersion: lbd.io/v1\nkind: Config\n"
CONFIGS = ROOT.parent / "shared" / "configs"


def pools(node):
    return {p["name"]: p["addresses"] for p in node.dump()["pools"]}


def two_pools():
    return (f"{HEAD}pools:\n- name: lan\n  addresses: [10.89.0.100-10.89.0.119]\n"
            f"- name: more\n  addresses: [10.89.0.130-10.89.0.131]\n{FAST}")


def test_write_and_signal(bare):
    """The file is read again when it is written and on SIGHUP; a bad file is refused once and the old one stays."""
    lab = bare(nodes=1, pods=False, proxy=False).start()
    node = lab.nodes[0]
    lab.service("web")
    ip = lab.wait_ip("web")
    node.config_path.write_text(two_pools())
    wait_for("the second pool", lambda: "more" in pools(node), timeout=5)
    node.config_path.write_text(two_pools().replace("10.89.0.130-", "10.89.0.139-"))
    wait_for("the refusal", lambda: node.dump()["config"]["rejected"] == 1, timeout=5)
    os.kill(node.pid, signal.SIGHUP)
    assert "more" in pools(node) and node.dump()["config"]["rejected"] == 1
    assert f"{node.config_path.name}:7:" in node.log.read_text()
    assert lab.wait_owner(ip) is node
    node.config_path.write_text(lab.config)
    wait_for("one pool again", lambda: "more" not in pools(node), timeout=5)
    assert lab.client.arping(ip) == [node.mac]


def test_symlink_swap(bare):
    """kubelet's way to update a ConfigMap volume: ..data is a symlink that is swapped by rename."""
    lab = bare(nodes=1, pods=False, proxy=False)
    node, volume = lab.nodes[0], lab.dir / "volume"
    for name, text in (("..1", lab.config), ("..2", two_pools())):
        (volume / name).mkdir(parents=True)
        (volume / name / "lbd.yaml").write_text(text)
    (volume / "..data").symlink_to("..1")
    (volume / "lbd.yaml").symlink_to("..data/lbd.yaml")
    node.start(extra=["-c", volume / "lbd.yaml"])
    assert "more" not in pools(node)
    (volume / "..data_tmp").symlink_to("..2")
    os.rename(volume / "..data_tmp", volume / "..data")
    wait_for("the second pool", lambda: "more" in pools(node), timeout=5)


def remove(path):
    path.unlink()


def empty(path):
    path.write_text("")


def only_a_comment(path):
    path.write_text("# the rest comes later\n---\n")


def half(path):
    text = two_pools()
    path.write_text(text[:text.index("10.89.0.131")])


def garbage(path):
    path.write_bytes(b"\x7fELF\x00\xff" * 100)


def too_large(path):
    path.write_text("#" * (5 << 20))


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


BAD_WAYS = (remove, empty, only_a_comment, half, garbage, too_large, folder, pipe, dangling)


def put_back(path, text):
    """As a careful editor does: whole, by rename."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_bad_ways(bare):
    """Whatever happens to the file, the old configuration stays in force, the fault is said once, and a good file is taken."""
    lab = bare(nodes=1, pods=False, proxy=False).start()
    node = lab.nodes[0]
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    for n, way in enumerate(BAD_WAYS, 1):
        way(node.config_path)
        wait_for(f"the refusal of {way.__name__}", lambda: node.dump()["config"]["rejected"] >= n, timeout=5)
        os.kill(node.pid, signal.SIGHUP)
        (node.config_path.parent / "other").write_text(way.__name__)
        assert pools(node) == {"lan": ["10.89.0.100-10.89.0.119"]}
        put_back(node.config_path, two_pools())
        wait_for("the second pool", lambda: "more" in pools(node), timeout=5)
        put_back(node.config_path, lab.config)
        wait_for("one pool again", lambda: "more" not in pools(node), timeout=5)
        assert node.dump()["config"]["rejected"] == n
    assert node.log.read_text().count("the old one stays in force") == len(BAD_WAYS)
    assert lab.wait_owner(ip) is node and lab.ips("web") == [ip]
    assert lab.client.arping(ip) == [node.mac]


def test_large_file(bare):
    """A file of over a megabyte is taken, and the node goes on answering."""
    lab = bare(nodes=1, pods=False, proxy=False).start()
    node = lab.nodes[0]
    more = "".join(f"- name: p{i}\n  autoAssign: false\n  addresses:\n" + "".join(f"  - 10.{100 + i}.{k}.0/30  # {'x' * 20}\n" for k in range(250))
                   for i in range(120))
    text = lab.config.replace("pools:\n", "pools:\n" + more, 1)
    assert len(text) > 1 << 20
    node.config_path.write_text(text)
    wait_for("121 pools", lambda: len(pools(node)) == 121, timeout=10)
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    assert lab.client.arping(ip) == [node.mac]


def test_address_dropped_by_an_edit(bare):
    """A pool edit that drops an address in use keeps the Service where it is (dialect 1)."""
    lab = bare(nodes=1, pods=False, proxy=False).start()
    lab.service("web")
    ip = lab.wait_ip("web")
    lab.wait_owner(ip)
    lab.nodes[0].config_path.write_text(lab.config.replace("10.89.0.100-", "10.89.0.105-"))
    wait_for("the edit", lambda: pools(lab.nodes[0]) == {"lan": ["10.89.0.105-10.89.0.119"]}, timeout=5)
    lab.service("other")
    assert lab.wait_ip("other") == "10.89.0.105"
    assert lab.ips("web") == [ip]


def test_start_with_a_bad_file(bare):
    """A bad configuration at start is fatal, with its line and exit code 1."""
    lab = bare(nodes=1, pods=False, proxy=False)
    lab.nodes[0].start(f"{HEAD}pools:\n- name: lan\n  addresses: [10.0.0.0/33]\n", ready=False)
    assert lab.nodes[0].process.wait(timeout=5) == 1
    assert ":5:" in lab.nodes[0].log.read_text()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shared_configs_load(path):
    """Each configuration of the documents loads unchanged, and what it means is a fixed point of -p."""
    def check(*argv, text=None):
        r = subprocess.run([binary(), "check-config", *argv], input=text, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return r.stdout
    check("-q", path)
    once = check("-p", path)
    assert check("-p", "-", text=once) == once
    golden = ROOT / "tests" / "golden" / f"{path.stem}.canonical.yaml"
    assert once == golden.read_text()


def test_shared_configs_are_there():
    """The folder of configurations is beside the repository: without it the test above would test nothing."""
    assert len(list(Path(CONFIGS).glob("*.yaml"))) >= 9
