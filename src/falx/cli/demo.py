"""``falx demo OUT``: phantom patients from raw images to a report, planted beside found."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from falx.cli.app import print_outcome, say
from falx.configuration import resolve
from falx.engine.dataset import Dataset
from falx.engine.run import Request, run_study
from falx.engine.snakemake import Resources
from falx.errors import check_range
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec
from falx.studies.recovery import compare_patient, render_recovered
from falx.studies.signature import STUDY

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of dataset and outputs")
    parser.add_argument("--seed", type=int, default=1, help="seed of the phantoms")
    parser.add_argument(
        "--voxel-mm", type=float, default=1.25, metavar="MM", help="voxels of the T1w"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use")


def run(arguments: argparse.Namespace) -> int:
    """Write two phantom patients, one with a focus on either side, and study them."""
    check_range("--voxel-mm", arguments.voxel_mm, 0.8, 2.0, unit="mm")
    start = time.monotonic()
    bids = arguments.out / f"bids-seed{arguments.seed}-{arguments.voxel_mm:g}mm"
    specs = [
        PatientSpec("01", "left", voxel_mm=arguments.voxel_mm, ablative_rate=0.65),
        PatientSpec("02", "right", voxel_mm=arguments.voxel_mm, ablative_rate=0.45, head="12"),
    ]
    if not bids.exists():
        say(f"simulating the raw images of {len(specs)} phantom patients in {bids}")
        _write(bids, specs, arguments.seed)
    outputs = arguments.out / "signature"
    request = Request(
        study=STUDY,
        dataset=Dataset.open(bids),
        out=outputs,
        level="participant",
        configuration=resolve(STUDY.configuration),
        resources=Resources(arguments.jobs, None, "", False),
    )
    outcome = run_study(request, say)
    if outcome.code == 0:
        rows = [
            row
            for spec in specs
            for row in compare_patient(bids / "derivatives" / "truth", outputs, spec.label)
        ]
        say(f"\n{render_recovered(rows)}\n")
    print_outcome(outcome, outputs)
    say(f"{time.monotonic() - start:.0f} s in all")
    return outcome.code


def _write(bids: Path, specs: list[PatientSpec], seed: int) -> None:
    """Write the dataset under another name first, so that half a dataset is never used."""
    part = bids.with_name(f".{bids.name}.part")
    if part.exists():
        import shutil

        shutil.rmtree(part)
    write_cohort(part, specs, np.random.default_rng(seed))
    part.rename(bids)
