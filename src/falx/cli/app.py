"""The BIDS-App grammar that every study shares: ``falx STUDY BIDS OUT LEVEL``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from falx.bids.dataset import Dataset
from falx.bids.query import parse_filter
from falx.cli.options import add_configuration, configuration_from
from falx.core.errors import OptionError, check_option, check_range
from falx.core.study import Study
from falx.engine.orders import Resources
from falx.engine.run import Outcome, Request, run_study

__all__ = ["add_study_arguments", "print_outcome", "run_command"]


def add_study_arguments(
    parser: argparse.ArgumentParser,
    study: Study,
    also: Mapping[str, tuple[str, ...]] | None = None,
    *,
    both_levels: bool = False,
) -> None:
    """Add the BIDS-App arguments and the study's configuration.

    Parameters
    ----------
    also
        Further flags by configuration key.
    both_levels
        The level may be left away: then both run.
    """
    parser.add_argument("bids", type=Path, metavar="BIDS", help="folder of the dataset")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the outputs")
    parser.add_argument(
        "level",
        choices=("participant", "group"),
        nargs="?" if both_levels else None,
        help="what to run" + ("; both if absent" if both_levels else ""),
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--participant-label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="subjects; all if absent",
    )
    data.add_argument(
        "--filter", action="append", default=[], metavar="[IMAGE.]KEY=VALUE",
        help=f"choose among several files, as run=1; images: {', '.join(study.raw)}",
    )  # fmt: skip
    data.add_argument(
        "--derivatives", nargs="+", default=[], type=Path, metavar="DIR",
        help="further derivative datasets (masks, FreeSurfer subjects)",
    )  # fmt: skip
    if study.columns:
        data.add_argument(
            "--column", action="append", default=[], metavar="NAME=HEADER",
            help=f"header in participants.tsv; names: {', '.join(study.columns)}",
        )  # fmt: skip
    _add_machine(parser)
    add_configuration(parser, study, also)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what a run may use."""
    machine = parser.add_argument_group("machine")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine.add_argument(
        "--jobs", "--n-procs", "--nprocs", "--cores", type=int, default=cores, metavar="N",
        help="cores to use; jobs at a time on a cluster",
    )  # fmt: skip
    machine.add_argument("--mem-gb", type=float, metavar="GB", help="memory to use; all if absent")
    machine.add_argument(
        "--enforce-memory", action="store_true",
        help="a step that needs more memory than expected fails instead of slowing the machine",
    )  # fmt: skip
    machine.add_argument(
        "--serial", action="store_true", help="one step after the other, all in this process"
    )
    machine.add_argument(
        "--profile", default="", help="Snakemake profile of a cluster (falx[cluster])"
    )
    machine.add_argument(
        "--executor", default="", metavar="NAME", help="Snakemake executor, as slurm"
    )
    machine.add_argument("--dry-run", action="store_true", help="only say what would run, and why")


def run_command(arguments: argparse.Namespace, study: Study) -> int:
    """Run a study as the arguments say; print a line for each step."""
    check_range("--jobs", arguments.jobs, 1, 100_000)
    mem_mb = _memory_mb(arguments)
    dataset = Dataset.open(
        arguments.bids,
        derivatives=arguments.derivatives,
        filters=[parse_filter(text, list(study.raw)) for text in arguments.filter],
    )
    request = Request(
        study=study,
        dataset=dataset,
        out=arguments.out,
        level=arguments.level,
        configuration=configuration_from(arguments, study, _columns(arguments, study)),
        subjects=tuple(arguments.participant_label),
        preset=getattr(arguments, "preset", ""),
        resources=None
        if arguments.serial
        else Resources(
            arguments.jobs, mem_mb, arguments.profile, arguments.enforce_memory, arguments.executor
        ),
        dry_run=arguments.dry_run,
    )
    outcome = run_study(request, say)
    print_outcome(outcome, arguments.out)
    return outcome.code


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def print_outcome(outcome: Outcome, out: Path) -> None:
    """Print what failed and what to look at."""
    troubles = len(outcome.failed) + len(outcome.excluded)
    if troubles:
        steps = _counted(len(outcome.failed), "step")
        say(f"{steps} failed, {_counted(len(outcome.excluded), 'subject')} left out:")
        for exclusion in outcome.excluded:
            say(f"  {exclusion.reason}")
        for failed in outcome.failed:
            say(f"  {failed.job}: {failed.failure}\n    log: {out.absolute() / failed.log}")
    if outcome.show:
        say("look at:")
        for path in outcome.show:
            say(f"  {path}")
    else:
        say(f"outputs: {out.absolute()}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _columns(arguments: argparse.Namespace, study: Study) -> dict[str, str]:
    """Return the configuration keys that ``--column`` sets."""
    columns = {}
    for text in getattr(arguments, "column", []):
        name, equals, header = text.partition("=")
        if not equals or not header:
            raise OptionError("write --column NAME=HEADER", found=repr(text))
        columns["columns." + check_option("--column", name, study.columns)] = header
    return columns


def _memory_mb(arguments: argparse.Namespace) -> int | None:
    """Memory that jobs may share; on a cluster its scheduler decides unless the user does."""
    if arguments.mem_gb is not None:
        return int(check_range("--mem-gb", arguments.mem_gb, 0.1, 1e6, unit="GB") * 1000)
    if arguments.profile or arguments.executor:
        return None
    import psutil

    return int(psutil.virtual_memory().available / 1e6)
