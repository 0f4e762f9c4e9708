"""Shared fixtures: where reference data are, and a seeded generator."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from falx.core.threads import ENVIRONMENT

os.environ.update({**ENVIRONMENT, **os.environ})  # before the first kernel is loaded

# On a busy machine a clock would judge the machine, and a test that fails once in a hundred runs
# would judge the day.
hypothesis.settings.register_profile("falx", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("falx")

SHARED = Path(__file__).resolve().parents[2] / "shared"
REFERENCE = Path(__file__).with_name("reference")
GOLDEN = Path(__file__).with_name("golden.json")

Golden = Callable[[str, int, Mapping[str, float]], None]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference numbers and public data; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with reference data is not here")
    return SHARED


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference numbers; each of its folders says what made them."""
    return REFERENCE


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare figures of a stage, its version given, with those in ``golden.json``.

    How far each is away goes into the report of the run, for ``make test-processors``.
    """
    from stage_battery import check_golden  # loads kernels: not before ENVIRONMENT is set

    def check(stage: str, version: int, summary: Mapping[str, float]) -> None:
        for name, away in check_golden(GOLDEN, stage, version, summary).items():
            request.node.user_properties.append((f"golden {stage} {name}", f"{away:.3e}"))

    return check


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20250611)


_reference = {"ran": 0}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "shared" in report.keywords and report.when == "call":
        _reference["ran"] += 1


def pytest_itemcollected(item: pytest.Item) -> None:
    if "shared" in getattr(item, "fixturenames", ()):
        item.add_marker("shared")
    compared = "golden" in getattr(item, "fixturenames", ())
    if compared or item.get_closest_marker("shared"):
        item.add_marker("processor")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show that tests on reference data ran, or that they could not."""
    where = "present" if SHARED.is_dir() else "absent: those tests were skipped"
    terminalreporter.write_line(
        f"tests on reference data: {_reference['ran']} ran (../shared is {where})"
    )


@pytest.fixture(scope="session")
def chromium():
    """Start the browser with some flags; one driver for all tests, since it bears no second."""
    from browser import launcher

    yield from launcher()
