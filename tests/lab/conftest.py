# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the laboratory: a fresh one for each scenario that asks."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: begun first, so that the others run beside it")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


def show_if_failed(request, the_lab):
    """What the daemons said, while their logs are still there."""
    if getattr(request.node, "failed", False):
        the_lab.show_logs()


@pytest.fixture
def lab(request):
    """Three nodes, pods, the stand-in for kube-proxy; lbd runs on every node."""
    from lab import Lab
    with Lab() as the_lab:
        the_lab.start()
        yield the_lab
        show_if_failed(request, the_lab)


@contextlib.contextmanager
def factory(request, kind):
    with contextlib.ExitStack() as stack:
        def make(*args, **kw):
            made = stack.enter_context(kind(*args, **kw))
            stack.callback(show_if_failed, request, made)
            return made
        yield make


@pytest.fixture
def bare(request):
    """A factory of laboratories in which nothing runs yet."""
    from lab import Lab
    with factory(request, Lab) as make:
        yield make


@pytest.fixture
def rack(request):
    """The same, with a host for a router: Rack."""
    from peering import Rack
    with factory(request, Rack) as make:
        yield make
