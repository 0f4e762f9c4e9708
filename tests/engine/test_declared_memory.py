"""What stages really take, beside what the table of stages says, and what the whole run takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from falx.engine.memory import resident_mb, tree
from falx.engine.provenance import read_records
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec
from falx.studies.signature.study import STUDY

LIMIT_GB = 3.0
"""Less than two of the greediest steps need side by side, as declared, with the run itself."""


@pytest.mark.slow  # three minutes of CPU
def test_stages_and_runs_keep_to_their_memory(tmp_path: Path) -> None:
    bids, out = tmp_path / "bids", tmp_path / "out"
    specs = [PatientSpec("01", "right"), PatientSpec("02", "left", head="10")]
    write_cohort(bids, specs, np.random.default_rng(1))
    words = ["signature", str(bids), str(out), "participant", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "falx", *words, "--mem-gb", str(LIMIT_GB)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")},
    )
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(resident_mb, tree(process.pid))))
        time.sleep(0.05)
    assert process.returncode == 0
    assert most <= 1000 * LIMIT_GB
    records = read_records(out)
    assert len(records) == 2 * len(STUDY.at("participant"))
    over = {
        record.id: (record.peak_mem_mb, STUDY.stage(record.stage).mem_mb)
        for record in records
        if record.peak_mem_mb > STUDY.stage(record.stage).mem_mb
    }
    assert not over
