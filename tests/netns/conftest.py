"""Fixtures of the namespace tests. A test is bounded by a timeout; when it fails, the logs of its hosts are shown."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from gateway import Gateway  # noqa: E402
from lab import Lab  # noqa: E402

LONGER = os.environ.get("DRPF_LONGER") == "1"  # ./dev test --longer
TEST_SECONDS_MAX = 3 * 3600 if LONGER else 180
collect_ignore = [] if os.environ.get("DRPF_ENGINE") == "kernel" else ["test_kernel_engine.py"]  # most test machines' kernels have no WireGuard


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: belongs to ./dev test --quick")
    config.addinivalue_line("markers", "wall(threat, name, version, without=None): an attack, or its repetition with the wall taken out")


def pytest_collection_modifyitems(items):
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS_MAX))
        for wall in item.iter_markers("wall"):
            item.user_properties.append(("wall", json.dumps(wall.args)))  # for the table of ./dev test --walls
    # What shares one lab runs in one worker, one after the other: it must not begin last.
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for lab in getattr(item, "labs", []):
            report.sections.append(("logs of the lab", lab.namespaces.logs()))


@pytest.fixture
def make_lab(request, tmp_path):
    """make_lab(homes=2, plan=Plan(...)): as many labs as a test wants, gone after it."""
    request.node.labs = labs = []

    def make(**arguments):
        labs.append(Lab(tmp_path / f"lab{len(labs)}", **arguments))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(make_lab):
    """An Internet, a gateway host without drpf, a visitor, and two homes."""
    return make_lab()


@pytest.fixture
def gateway(lab):
    """The real gateway in lab.gw with no configuration at all."""
    return Gateway(lab)
