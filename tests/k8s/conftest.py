# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the real Kubernetes: one laboratory for all files of a run (of a worker), for it takes long to start."""

import contextlib
import io
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]


def pytest_configure(config):
    config.addinivalue_line("markers", "k8s: needs the real Kubernetes (make check-k8s)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failure goes what the daemons said: the laboratory lives on, its end shows no log."""
    from lab import Lab
    report = (yield).get_result()
    if report.failed:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            for the_lab in {id(v): v for v in item.funcargs.values() if isinstance(v, Lab)}.values():
                the_lab.show_logs()
        report.sections.append(("logs", said.getvalue()))


@pytest.fixture(scope="session")
def k8s():
    """Three nodes with kube-proxy and pods; no lbd runs yet."""
    from kubernetes import K8sLab
    with K8sLab() as the_lab:
        yield the_lab


@pytest.fixture(scope="module")
def before(k8s):
    """How many requests lbd had made when a file's tests began: another file's may have taken rights away."""
    return len(k8s.server.requests())
