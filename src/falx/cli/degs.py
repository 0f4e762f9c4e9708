"""``falx degs``: blood RNA-seq counts and a design to changed genes."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.options import add_options, options_from
from falx.cli.ticking import ticking
from falx.genes.blood.differential import Comparison

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("counts", type=Path, metavar="COUNTS", help="raw counts, genes × samples")
    parser.add_argument("design", type=Path, metavar="DESIGN", help="one row a sample")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    add_options(parser, Comparison)
    parser.add_argument(
        "--imaging", type=Path, metavar="TSV", help="genes.tsv of falx genes, for the overlap"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads to use, default 1"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare the groups and say where to look."""
    from falx.studies.genes.lists_files import compare_blood

    with ticking(f"comparing {arguments.counts.name}"):
        page, notices = compare_blood(
            arguments.counts,
            arguments.design,
            options_from(arguments, Comparison),
            arguments.out,
            imaging=arguments.imaging,
            threads=arguments.threads,
        )
    for notice in notices:
        print(f"note: {notice}")
    print(page)
    return 0
