"""``falx signature BIDS OUT participant|group``."""

from __future__ import annotations

import argparse

from falx.cli.app import add_study_arguments, run_command
from falx.studies.signature.study import STUDY

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_study_arguments(parser, STUDY, {"group.validate": ("--validate",)})


def run(arguments: argparse.Namespace) -> int:
    """Run the study on a dataset."""
    return run_command(arguments, STUDY)
