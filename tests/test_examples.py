"""Every example runs as it stands, in a folder of its own, and leaves its pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import falx

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SAYS = {
    "asymmetry_from_arrays": ("index in the left sphere: -0.162", "percentile 1.00 of 537 people"),
    "genes_behind_a_map": ("Genes behind a map", "planted programme"),
    "group_map": ("patients - controls", "peak_mm", "95 % sure"),
    "norms": ("hippocampus: mean +0.005, SD 0.035, 537 people", "percentile"),
    "outcome": ("Receiver operating characteristic", "nested cross-validation"),
    "plan": ("Laser plan", "plans to choose from"),
    "reho": ("Regional homogeneity", "degrees of freedom left"),
    "reproduce": ("Mo 2025: 43 items", "Liu 2024: 43 items", "contradicted"),
    "signature": ("Metabolic signature", "Ablative rate"),
    "validation_elsewhere": ("calibration slope", "observed 40%"),
}


HEADS = ("plan", "signature")
"""They segment a head, half a CPU minute each; `make docs` runs them on every change."""


def named(path: Path) -> object:
    marks = [pytest.mark.slow] if path.stem in HEADS else []
    return pytest.param(path, id=path.stem, marks=marks)


def test_each_is_known() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(SAYS)


@pytest.mark.parametrize("path", [named(path) for path in EXAMPLES])
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
    source = str(Path(falx.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in SAYS[path.stem]:
        assert words in done.stdout
    assert list(tmp_path.glob("*.png"))
