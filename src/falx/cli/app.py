"""The BIDS-App grammar that every study shares: ``falx STUDY BIDS OUT LEVEL``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from falx.bids.dataset import Dataset
from falx.bids.filters import filters_of, session_filters
from falx.bids.query import Filter, parse_filter
from falx.cli.options import add_configuration, configuration_from
from falx.cli.telling import Teller, say
from falx.core.errors import OptionError, check_option, check_range
from falx.core.files import read_json
from falx.core.study import Study
from falx.engine.orders import Resources
from falx.engine.run import Outcome, Request, run_study

__all__ = ["add_study_arguments", "print_outcome", "run_command", "say"]

CODES = (
    "Exit codes: 0 all done; 1 some subjects failed or were left out; 2 the command or the input "
    "as a whole cannot be used; 130 interrupted. The same command continues where it stopped."
)


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
    _add_data(parser, study)
    _add_machine(parser)
    _add_words(parser)
    add_configuration(parser, study, also)
    parser.epilog = CODES


def _add_data(parser: argparse.ArgumentParser, study: Study) -> None:
    """Add which of the dataset's files are meant."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--participant-label",
        "--participant_label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="subjects; all if absent",
    )
    data.add_argument(
        "--session-label", "--session_label", nargs="+", default=[], metavar="LABEL",
        help="sessions of all images but the post-operative ones, by preference",
    )  # fmt: skip
    data.add_argument(
        "--filter", action="append", default=[], metavar="[IMAGE.]KEY=VALUE",
        help=f"choose among several files, as run=1; images: {', '.join(study.raw)}",
    )  # fmt: skip
    data.add_argument(
        "--bids-filter-file", type=Path, metavar="FILE",
        help='the same choices as JSON, {"t1w": {"session": "01"}}',
    )  # fmt: skip
    data.add_argument(
        "--skip-bids-validation", "--skip_bids_validation", action="store_true",
        help="changes nothing: no validator is run, and each image that is read is checked",
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


def _add_words(parser: argparse.ArgumentParser) -> None:
    """Add how much a run says."""
    words = parser.add_argument_group("what is printed")
    much = words.add_mutually_exclusive_group()
    much.add_argument("-v", "--verbose", action="store_true", help="also say why each step runs")
    much.add_argument("-q", "--quiet", action="store_true", help="only what went wrong")
    words.add_argument(
        "--progress", choices=("text", "json"), default="text",
        help="json: one object for each event, on standard error",
    )  # fmt: skip


def _add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what a run may use."""
    machine = parser.add_argument_group("machine")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine.add_argument(
        "--jobs", "--n-procs", "--nprocs", "--cores", type=int, default=cores, metavar="N",
        help="cores to use, all if absent; jobs at a time on a cluster",
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
    machine.add_argument(
        "-w", "--work-dir", type=Path, metavar="DIR",
        help="folder for temporary files; outputs are written beside their place in OUT, where "
        "they then appear at once",
    )  # fmt: skip
    machine.add_argument("--dry-run", action="store_true", help="only say what would run, and why")


def run_command(arguments: argparse.Namespace, study: Study) -> int:
    """Run a study as the arguments say; print a line for each step."""
    check_range("--jobs", arguments.jobs, 1, 100_000)
    mem_mb = _memory_mb(arguments)
    dataset = Dataset.open(
        arguments.bids, derivatives=arguments.derivatives, filters=_filters(arguments, study)
    )
    if arguments.work_dir is not None:
        _work_in(arguments.work_dir)
    teller = Teller(quiet=arguments.quiet, objects=arguments.progress == "json")
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
        watch=teller.watch,
        explain=arguments.verbose,
    )
    with teller.alive():
        outcome = run_study(request, teller.say)
    if not arguments.dry_run:
        print_outcome(outcome, arguments.out, quiet=arguments.quiet)
    teller.end(outcome.code)
    return outcome.code


def _filters(arguments: argparse.Namespace, study: Study) -> list[Filter]:
    """Return the choices among files, from each of the three ways to say them."""
    found = [parse_filter(text, list(study.raw)) for text in arguments.filter]
    file = arguments.bids_filter_file
    if file is not None:
        found += filters_of(read_json(file), study.raw, where=file.name)
    return found + session_filters(arguments.session_label, study.raw, found)


def _work_in(folder: Path) -> None:
    """Let this process and those that it starts keep their temporary files in a folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OptionError(
            "the work folder cannot be written",
            where=folder,
            found=error.strerror,
            do="give a folder that you may write to",
        ) from None
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder.absolute())


def print_outcome(outcome: Outcome, out: Path, *, quiet: bool = False) -> None:
    """Print what failed and, unless `quiet`, what to look at."""
    troubles = len(outcome.failed) + len(outcome.excluded)
    if troubles:
        steps = _counted(len(outcome.failed), "step")
        say(f"{steps} failed, {_counted(len(outcome.excluded), 'subject')} left out:")
        for exclusion in outcome.excluded:
            say(f"  {exclusion.reason}")
        for failed in outcome.failed:
            say(f"  {failed.job}: {failed.failure}\n    log: {out.absolute() / failed.log}")
    if quiet:
        return
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
