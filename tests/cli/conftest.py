"""The toy study behind the command line of Falx."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import toy_study
from falx.cli.main import main
from toy_cli import TOY_COMMANDS


@pytest.fixture
def falx(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line; returns exit code, printed text and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words], commands=TOY_COMMANDS)
        except SystemExit as end:
            code = int(end.code or 0)
        printed, errors = capfd.readouterr()
        return code, printed, errors

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return toy_study.write_dataset(tmp_path / "bids", 2)


@pytest.fixture(autouse=True)
def _flush_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk would cost more than the tests; the order is tested in test_power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def _jobs_find_the_toy_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
