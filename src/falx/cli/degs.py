"""``falx degs``: blood RNA-seq counts and a design to changed genes."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.core.errors import collect_notices

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("counts", type=Path, metavar="COUNTS", help="raw counts, genes × samples")
    parser.add_argument("design", type=Path, metavar="DESIGN", help="one row a sample")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    parser.add_argument("--factor", required=True, metavar="COLUMN", help="column of the groups")
    parser.add_argument(
        "--contrast",
        nargs=2,
        required=True,
        metavar=("GROUP", "REFERENCE"),
        help="group of interest and reference",
    )
    parser.add_argument("--formula", metavar="TEXT", help="design formula; default ~COLUMN")
    parser.add_argument(
        "--least-count", type=int, default=0, metavar="N",
        help="keep genes with N counts in as many samples as the smaller group; default all",
    )  # fmt: skip
    parser.add_argument(
        "--imaging", type=Path, metavar="TSV", help="genes.tsv of falx genes, for the overlap"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="default 1")


def run(arguments: argparse.Namespace) -> int:
    """Compare the groups and say where to look."""
    from falx.genes.blood.counts import read_counts, read_design
    from falx.genes.blood.differential import differential
    from falx.studies.genes.lists import blood_report, read_imaging_genes

    group, reference = arguments.contrast
    with collect_notices() as notices:
        imaging = read_imaging_genes(arguments.imaging) if arguments.imaging else None
        result = differential(
            read_counts(arguments.counts),
            read_design(arguments.design),
            factor=arguments.factor,
            contrast=(group, reference),
            formula=arguments.formula,
            least_count=arguments.least_count,
            threads=arguments.threads,
        )
    for notice in notices:
        print(f"note: {notice}")
    print(blood_report(result, arguments.out, imaging=imaging, notices=notices))
    return 0
