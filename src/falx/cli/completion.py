"""``falx completion``: a script that lets a shell complete commands and options."""

from __future__ import annotations

import argparse

from falx.core.errors import extra_library

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script to print")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from falx.cli.main import whole_parser

    shtab = extra_library("shtab", extra="completion", does="completions are made")
    print(shtab.complete(whole_parser(), shell=arguments.shell))
    return 0
