"""``falx signature BIDS OUT participant|group``."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.app import add_study_arguments, run_command
from falx.core.errors import InputError
from falx.studies.norms.configuration import RECORD
from falx.studies.signature.study import STUDY

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_study_arguments(parser, STUDY, {"group.validate": ("--validate",)})
    parser.add_argument(
        "--norms",
        type=Path,
        metavar="FOLDER",
        help="output of falx norms with the site's own controls; the shipped norms if absent",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the study on a dataset."""
    if arguments.norms is not None:
        record = arguments.norms / RECORD
        if not record.is_file():
            raise InputError(
                "the folder holds no norms",
                where="--norms",
                found=f"no {RECORD} in {arguments.norms}",
                do="give the output folder of falx norms, once both of its levels have run",
            )
        setattr(arguments, "norms.file", record)
    return run_command(arguments, STUDY)
