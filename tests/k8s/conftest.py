# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the real Kubernetes: one laboratory for all files of a run (of a worker), for it takes long to start."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]


def pytest_configure(config):
    config.addinivalue_line("markers", "k8s: needs the real Kubernetes (make check-k8s)")


@pytest.fixture(scope="session")
def k8s():
    """Three nodes with kube-proxy and pods; no lbd runs yet."""
    from kubernetes import K8sLab
    with K8sLab() as the_lab:
        yield the_lab
