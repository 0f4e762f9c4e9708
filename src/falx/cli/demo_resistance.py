"""The resistance study of phantoms: a few from raw images, a cohort with small effects."""

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
from falx.studies.resistance.real_effects import (
    GROUPS,
    compare_planted,
    mean_maps,
    render_planted,
)
from falx.studies.resistance.recovery import (
    compare_cohort,
    compare_people,
    render_cohort,
    render_people,
)
from falx.studies.resistance.study import STUDY

__all__ = ["COARSE", "SIZES", "run", "study_phantoms"]

SIZES = {"DRE": 2, "HC": 2}
"""People from raw images; groups of so few are not compared."""

LEAST_COMPARED = 4
PERMUTATIONS = 500

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
    """Study some people from raw images and a cohort of maps, and print planted beside found."""
    start = time.monotonic()
    out, seed = arguments.out, arguments.seed
    code = study_phantoms(out, SIZES, seed=seed, jobs=arguments.jobs)
    if code == 0:
        subjects = [f"{k + 1:02d}" for k in range(sum(SIZES.values()))]
        people = sum(GROUPS.values())
        say(f"simulating maps of {people} people about the mean of these, and comparing them")
        found, false, pages = compare_planted(
            out / "resistance-maps",
            mean_maps(out / "resistance", subjects),
            np.random.default_rng(seed),
            permutations=PERMUTATIONS,
            threads=arguments.jobs,
        )
        say(f"\n{render_planted(found, false)}\n")
        for page in pages:
            say(str(page))
    say(f"{time.monotonic() - start:.0f} s in all")
    return code


def study_phantoms(out: Path, sizes: Mapping[str, int], *, seed: int, jobs: int) -> int:
    """Simulate groups of the sizes given, study them, and return the exit code.

    Groups of :data:`LEAST_COMPARED` and more are compared, too.
    """
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
    compared = min(sizes.values()) >= LEAST_COMPARED
    for level in ("participant", "group") if compared else ("participant",):
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
    labels = [spec.label for spec in specs]
    if any(outcome.code for outcome in outcomes):
        say("Steps failed, so planted and found are not compared.")
    elif not compared:
        errors = compare_people(bids / TRUTH, outputs, labels)
        say(f"\n{render_people(*errors)}\n")
    else:
        found = compare_cohort(bids / TRUTH, outputs, labels)
        say(f"\n{render_cohort(found)}\n")
        if not found.complete:
            say("A planted change was not found.\n")
    print_outcome(outcomes[-1], outputs)
    return max(outcome.code for outcome in outcomes)
