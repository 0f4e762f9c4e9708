"""The toy study on a dataset, and jobs that find it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from toy_run import Toy

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _flush_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk would cost more than the tests; the order is tested in test_power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def _jobs_find_the_toy_study(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), before]))


@pytest.fixture
def make_toy(tmp_path: Path) -> Callable[..., Toy]:
    def make(subjects: int = 2, folder: str = "a b") -> Toy:
        return Toy(tmp_path / folder, subjects)

    return make


@pytest.fixture
def toy(make_toy: Callable[..., Toy]) -> Toy:
    return make_toy()
