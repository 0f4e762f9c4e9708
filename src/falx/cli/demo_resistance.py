"""The resistance study of a phantom cohort: two groups from raw images to group maps."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from falx.bids.dataset import Dataset
from falx.cli.app import print_outcome, say
from falx.core.settings import resolve
from falx.engine.orders import Resources
from falx.engine.run import Outcome, Request, run_study
from falx.phantom.resting import simulate_resting_cohort
from falx.phantom.resting_dataset import TRUTH, write_resting_cohort
from falx.studies.resistance.recovery import compare_cohort, render_cohort
from falx.studies.resistance.study import STUDY

__all__ = ["COARSE", "SIZES", "run", "study_phantoms"]

SIZES = {"DRE": 5, "HC": 5}

COARSE = {
    "anatomy.sampling_mm": 6.0,
    "grey.voxel_mm": 3.0,
    "reho.voxel_mm": 4.0,
    "groups.sensitive": "",
    "groups.columns": (),
    "groups.n_permutations": 499,
}
"""Settings of the demonstration that make it fit into minutes."""


def run(arguments: argparse.Namespace) -> int:
    """Write a phantom cohort, study it at both levels, and print planted beside found."""
    return study_phantoms(arguments.out, SIZES, seed=arguments.seed, jobs=arguments.jobs)


def study_phantoms(out: Path, sizes: Mapping[str, int], *, seed: int, jobs: int) -> int:
    """Simulate groups of the sizes given, study them, and return the exit code."""
    start = time.monotonic()
    bids, outputs = out / f"bids-resistance-seed{seed}", out / "resistance"
    rng = np.random.default_rng(seed)
    specs = simulate_resting_cohort(sizes, rng)
    if not bids.exists():
        say(f"simulating the raw images of {len(specs)} phantom people in {bids}")
        part = bids.with_name(f".{bids.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        write_resting_cohort(part, specs, rng, jobs=jobs)
        part.rename(bids)
        say(f"{time.monotonic() - start:.0f} s so far")
    outcomes: list[Outcome] = []
    for level in ("participant", "group"):
        request = Request(
            study=STUDY,
            dataset=Dataset.open(bids),
            out=outputs,
            level=level,
            configuration=resolve(STUDY.configuration, COARSE),
            resources=Resources(jobs, None, "", False),
        )
        outcomes.append(run_study(request, say))
        say(f"{time.monotonic() - start:.0f} s so far")
    if all(outcome.code == 0 for outcome in outcomes):
        found = compare_cohort(bids / TRUTH, outputs, [spec.label for spec in specs])
        say(f"\n{render_cohort(found)}\n")
        if not found.complete:
            say("A planted change was not found.\n")
    else:
        say("Steps failed, so planted and found are not compared.")
    print_outcome(outcomes[-1], outputs)
    say(f"{time.monotonic() - start:.0f} s in all")
    return max(outcome.code for outcome in outcomes)
