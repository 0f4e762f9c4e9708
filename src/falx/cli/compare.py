"""``falx compare``: maps that somebody has already, of people of any groups."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.options import add_options, options_from
from falx.cli.ticking import ticking
from falx.studies.compare.configuration import CompareConfiguration

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "table",
        type=Path,
        metavar="TABLE",
        help="TSV with participant_id, map (a file), group and covariates, one row a map",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    parser.add_argument(
        "--contrast",
        nargs=2,
        action="append",
        default=[],
        metavar=("FIRST", "SECOND"),
        help="two groups to compare, several times for several pairs; every pair, and any "
        "difference of three groups or more, if absent",
    )
    parser.add_argument(
        "--threads", type=int, default=2, metavar="N", help="threads; they change no number (2)"
    )
    add_options(parser, CompareConfiguration)


def run(arguments: argparse.Namespace) -> int:
    """Compare and say where to look."""
    from falx.studies.compare.files import compare_maps

    choices = options_from(arguments, CompareConfiguration)
    with ticking("comparing maps"):
        page = compare_maps(
            arguments.table, choices, arguments.contrast, arguments.out, threads=arguments.threads
        )
    print(page)
    return 0
