"""``falx enrich``: pathways, regulators and networks of any gene list."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.gene_sources import add_knowledge
from falx.cli.options import add_options, options_from
from falx.cli.ticking import ticking
from falx.genes.files import Knowledge
from falx.studies.genes.configuration import ListsConfiguration

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "genes",
        type=Path,
        nargs="+",
        metavar="GENES",
        help="gene lists, one symbol a line, or genes.tsv and degs.tsv that Falx wrote",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    parser.add_argument(
        "--universe",
        type=Path,
        metavar="FILE",
        help="every gene that was tested; needed for plain lists alone, since the tables of Falx "
        "hold it",
    )
    add_options(parser, ListsConfiguration, without=(Knowledge,))
    add_knowledge(parser)


def run(arguments: argparse.Namespace) -> int:
    """Test the lists and say where to look."""
    from falx.studies.genes.lists_files import compare_lists_of

    configuration = options_from(arguments, ListsConfiguration)
    with ticking("testing the lists"):
        page = compare_lists_of(arguments.genes, arguments.universe, configuration, arguments.out)
    print(page)
    return 0
