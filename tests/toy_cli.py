"""``falx toy``: the toy study on the command line, for tests in processes of their own."""

from __future__ import annotations

import argparse
import sys

from falx.cli.app import add_study_arguments, run_command
from falx.cli.main import COMMANDS, Command, main
from toy_study import STUDY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_study_arguments(parser, STUDY)


def run(arguments: argparse.Namespace) -> int:
    return run_command(arguments, STUDY)


TOY_COMMANDS = (*COMMANDS, Command("toy", "toy study", "toy_cli", resumes=True))

if __name__ == "__main__":
    sys.exit(main(commands=TOY_COMMANDS))
