"""``falx norms BIDS OUT``: healthy asymmetry from a site's own controls."""

from __future__ import annotations

import argparse

from falx.cli.app import add_study_arguments, run_command
from falx.studies.norms.study import READY, READY_SPACE, STUDY

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_study_arguments(parser, STUDY, both_levels=True)
    parser.add_argument(
        "--ready",
        action="store_true",
        help=f"the dataset holds maps in {READY_SPACE}, as falx fetch pet-controls brings them, "
        "and no T1w",
    )


def run(arguments: argparse.Namespace) -> int:
    """Study every control, then join them; one level alone if it is named."""
    study, code = READY if arguments.ready else STUDY, 0
    levels = [arguments.level] if arguments.level else ["participant", "group"]
    for level in levels:
        arguments.level = level
        code = max(code, run_command(arguments, study))
    return code
