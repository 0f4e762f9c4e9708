"""What the import of a study costs, since every job of every person pays it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import falx

SOURCE = str(Path(falx.__file__).parents[1])
HEAVY = {"pandas", "scipy.stats", "scipy.optimize", "scipy.interpolate", "matplotlib", "jinja2"}


@pytest.mark.parametrize("study", ["signature", "resistance"])
def test_a_study_imports_nothing_that_few_of_its_jobs_need(study: str) -> None:
    code = f"import sys, falx.studies.{study}.study; print({HEAVY} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "set()\n", done.stderr
