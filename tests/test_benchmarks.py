"""Every benchmark can be started as the Makefile does it; what they measure is not run here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(path.stem for path in (ROOT / "benchmarks").glob("bench_*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_found_with_all_it_needs(room: str) -> None:
    code = f"import inspect; from benchmarks.{room} import rows; inspect.signature(rows).bind()"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
