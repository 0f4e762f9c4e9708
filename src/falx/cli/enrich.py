"""``falx enrich``: pathways, regulators and networks of any gene list."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.knowledge import add_knowledge, aliases_of, libraries_of, network_of
from falx.core.errors import InputError, collect_notices

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "genes", type=Path, nargs="+", metavar="GENES", help="gene lists, one symbol a line"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="output folder")
    parser.add_argument(
        "--universe",
        type=Path,
        required=True,
        metavar="FILE",
        help="every gene that was tested; the whole genome would make brain genes look enriched",
    )
    parser.add_argument("--seed", type=int, default=1, help="of random lists (default 1)")
    add_knowledge(parser)


def run(arguments: argparse.Namespace) -> int:
    """Test the lists and say where to look."""
    from falx.studies.genes.lists import enrich_lists, read_gene_list

    with collect_notices() as notices:
        libraries, network = libraries_of(arguments), network_of(arguments)
        aliases = aliases_of(arguments)
    if not libraries and network is None:
        raise InputError(
            "there is nothing to compare the genes with",
            do="give --gene-sets, --trrust or --network",
        )
    universe = tuple(dict.fromkeys(read_gene_list(arguments.universe)))
    lists = {path.stem: read_gene_list(path) for path in arguments.genes}
    print(
        enrich_lists(
            lists,
            universe,
            libraries,
            arguments.out,
            network=network,
            aliases=aliases,
            notices=notices,
            seed=arguments.seed,
        )
    )
    return 0
