"""``falx demo OUT``: phantoms from raw data to a report, planted beside found."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from falx.bids.dataset import Dataset
from falx.cli import plan
from falx.cli.app import print_outcome, say
from falx.core.errors import FalxError, OptionError, check_range
from falx.core.settings import resolve
from falx.engine.orders import Resources
from falx.engine.run import Request, run_study
from falx.phantom.cohort import as_in_people, simulate_cohort
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec
from falx.studies.signature.files import compare_patient
from falx.studies.signature.recovery import render_recovered
from falx.studies.signature.study import STUDY

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of dataset and outputs")
    parser.add_argument(
        "--study",
        choices=("signature", "genes", "resistance", "figures"),
        default="signature",
        help="two simulated patients, a gene programme in an atlas, two groups, or Figures 1 to 5 "
        "of Liu 2024 on made-up maps, all simulated",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation, default 1")
    parser.add_argument(
        "--patients",
        type=int,
        metavar="N",
        help="a cohort of N patients whose outcome depends on the ablative rate, and its group "
        "level, instead of two patients",
    )
    parser.add_argument(
        "--as-people",
        action="store_true",
        help="with --patients: uptake, asymmetry, deficits and scanners as of real people",
    )
    parser.add_argument(
        "--voxel-mm",
        type=float,
        default=1.5,
        metavar="MM",
        help="voxel size of the simulated T1w, default 1.5",
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use, default 2")


def run(arguments: argparse.Namespace) -> int:
    """Make the phantoms of a study and analyse them."""
    if arguments.study == "resistance":
        from falx.cli import demo_resistance

        return demo_resistance.run(arguments)
    of_maps = {"genes": _genes, "figures": _figures}
    return of_maps.get(arguments.study, _signature)(arguments)


def _figures(arguments: argparse.Namespace) -> int:
    """Draw Figures 1 to 5 of Liu 2024 on made-up maps of three groups."""
    from falx.studies.resistance.made_maps import draw_figures

    say(f"making up maps, genes and blood counts of three groups, in {arguments.out}")
    start = time.monotonic()
    drawn = draw_figures(arguments.out, seed=arguments.seed, threads=arguments.jobs)
    say(f"{time.monotonic() - start:.0f} s in all; look at:")
    for path in drawn:
        say(f"  {path.absolute()}")
    return 0


def _genes(arguments: argparse.Namespace) -> int:
    """Plant a programme of genes and look for it."""
    from falx.studies.genes.demo import run as run_genes

    say(f"planting a programme of genes in a made-up atlas, in {arguments.out}")
    found = run_genes(arguments.out, seed=arguments.seed)
    rows = (
        ("", "planted", "found"),
        ("median rank of the planted genes", f"{(found.n_planted + 1) / 2:g}",
         f"{found.median_rank:g}"),
        (f"share of them among the top {found.n_planted}", "1", f"{found.in_top:.2f}"),
        ("share of other genes at spatial P < 0.05", "0.05", f"{found.false_positives:.3f}"),
        ("q of the planted set, ensemble null", "< 0.05", f"{found.ensemble_q:.3f}"),
        ("first theme", "planted programme", found.theme),
    )  # fmt: skip
    say("")
    for what, planted, got in rows:
        say(f"{what:<42}  {planted:<18}  {got}")
    say("")
    say(f"look at:\n  {found.report.absolute()}")
    return 0


def _signature(arguments: argparse.Namespace) -> int:
    """Write phantom patients and study them; two have a focus on either side."""
    check_range("--voxel-mm", arguments.voxel_mm, 0.8, 2.0, unit="mm")
    start = time.monotonic()
    specs, cohort = _patients(arguments), "" if arguments.patients is None else "cohort"
    bids = arguments.out / "-".join(
        filter(None, ["bids", cohort and f"{cohort}{len(specs)}", f"seed{arguments.seed}",
                      f"{arguments.voxel_mm:g}mm"])
    )  # fmt: skip
    if not bids.exists():
        say(f"simulating the raw images of {len(specs)} phantom patients in {bids}")
        _write(bids, specs, arguments.seed)
    outputs = arguments.out / f"signature{cohort and f'-{cohort}{len(specs)}'}"
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
    else:
        say("Steps failed, so planted and found are not compared, and nothing is planned.")
    print_outcome(outcome, outputs)
    if cohort:
        group = run_study(replace(request, level="group"), say)
        print_outcome(group, outputs)
        say(f"{time.monotonic() - start:.0f} s in all")
        return max(outcome.code, group.code)
    if outcome.code == 0:
        for spec in specs:
            _plan(outputs, spec.label, arguments.jobs)
    say(f"{time.monotonic() - start:.0f} s in all")
    return outcome.code


def _patients(arguments: argparse.Namespace) -> list[PatientSpec]:
    """Two patients, one with a focus on either side, or a cohort of any size."""
    voxel_mm = arguments.voxel_mm
    if arguments.patients is not None:
        check_range("--patients", arguments.patients, 2, 1000)
        template = PatientSpec(voxel_mm=voxel_mm)
        rng = np.random.default_rng(arguments.seed)
        cohort = simulate_cohort(arguments.patients, rng, template=template)
        return [as_in_people(spec, rng) for spec in cohort] if arguments.as_people else [*cohort]
    if arguments.as_people:
        raise OptionError("--as-people is of a cohort", do="give --patients N as well")
    # In the second head a plan keeps every rule, in the first none does: both are worth seeing.
    return [
        PatientSpec("01", "right", voxel_mm=voxel_mm, ablative_rate=0.45, head="12"),
        PatientSpec("02", "left", voxel_mm=voxel_mm, ablative_rate=0.65, head="10"),
    ]


def _plan(outputs: Path, label: str, jobs: int) -> None:
    """Plan a laser for one patient; that no plan keeps the rules is a result as well."""
    parser = argparse.ArgumentParser()
    plan.add_arguments(parser)
    words = [str(outputs), "--participant-label", label, "--jobs", str(jobs)]
    say(f"\nlaser plan for sub-{label}")
    try:
        plan.run(parser.parse_args(words))
    except FalxError as error:  # the report was made; a plan is an extra
        say(str(error))


def _write(bids: Path, specs: list[PatientSpec], seed: int) -> None:
    """Write the dataset under another name first, so that half a dataset is never used."""
    part = bids.with_name(f".{bids.name}.part")
    if part.exists():
        import shutil

        shutil.rmtree(part)
    write_cohort(part, specs, np.random.default_rng(seed))
    part.rename(bids)
