# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the laboratory: a fresh one for each scenario that asks."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


def pytest_configure(config):
    config.addinivalue_line("markers", "static: also run against the static binary")


@pytest.fixture
def lab():
    """Three nodes, pods, the stand-in for kube-proxy; lbd runs on every node."""
    from lab import Lab
    with Lab() as the_lab:
        the_lab.start()
        yield the_lab


@pytest.fixture
def bare():
    """A factory of laboratories in which nothing runs yet."""
    import contextlib

    from lab import Lab
    with contextlib.ExitStack() as stack:
        yield lambda **kw: stack.enter_context(Lab(**kw))
