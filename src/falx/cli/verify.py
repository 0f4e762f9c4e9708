"""``falx verify``: what no longer matches its provenance."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.engine.verify import repair, verify_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the outputs")
    parser.add_argument(
        "--bids", type=Path, metavar="BIDS", help="compare the raw images of the dataset as well"
    )
    parser.add_argument(
        "--repair", action="store_true", help="delete what does not match, to be done again"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print every difference; return 1 if there is one that is not repaired."""
    mismatches = verify_folder(arguments.out, bids=arguments.bids)
    for mismatch in mismatches:
        print(mismatch)
    if not mismatches:
        print("every output matches its provenance")
        return 0
    if not arguments.repair:
        print(f"{len(mismatches)} differences; --repair deletes what does not match")
        return 1
    jobs = repair(arguments.out, mismatches)
    print(f"{len(jobs)} steps are to be done again: run the same command as before")
    return 0
