"""Options that several gene commands share: gene sets, regulators, networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.genes.network.interactions import Network
from falx.genes.sets.library import GeneSetLibrary

__all__ = ["add_knowledge", "aliases_of", "libraries_of", "network_of"]


def add_knowledge(parser: argparse.ArgumentParser) -> None:
    """Add options for gene sets, regulators, tissues and a network."""
    group = parser.add_argument_group("knowledge (user-supplied or fetched)")
    group.add_argument(
        "--gene-sets", type=Path, nargs="+", default=[], metavar="GMT", help="gene-set files"
    )
    group.add_argument(
        "--go", type=Path, nargs=2, metavar=("OBO", "GAF"), help="Gene Ontology and annotations"
    )
    group.add_argument("--trrust", type=Path, metavar="TSV", help="regulators and their targets")
    group.add_argument(
        "--specificity", type=Path, metavar="TABLE", help="columns gene and tissue or cell type"
    )
    group.add_argument(
        "--network",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="STRING links (and info), BioGRID TAB3, HINT edges and index, or an edge list",
    )
    group.add_argument(
        "--aliases", type=Path, metavar="TABLE",
        help="earlier or alternative symbols and the present ones, two columns",
    )  # fmt: skip


def libraries_of(arguments: argparse.Namespace) -> tuple[GeneSetLibrary, ...]:
    """Read every library that was named."""
    from falx.genes.sets.library import read_gmt
    from falx.genes.sets.ontology import go_sets
    from falx.genes.sets.regulators import read_trrust, regulator_sets
    from falx.genes.sets.specificity import read_specificity

    found = [read_gmt(path) for path in arguments.gene_sets]
    if arguments.go is not None:
        found.append(go_sets(*arguments.go))
    if arguments.trrust is not None:
        found.append(regulator_sets(*read_trrust(arguments.trrust)))
    if arguments.specificity is not None:
        found.append(read_specificity(arguments.specificity))
    return tuple(found)


def aliases_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Read the aliases, if a table was named."""
    from falx.genes.sets.library import read_aliases

    return read_aliases(arguments.aliases) if arguments.aliases else {}


def network_of(arguments: argparse.Namespace) -> Network | None:
    """Read the network, if one was named."""
    from falx.genes.network.interactions import read_network

    return read_network(arguments.network) if arguments.network else None
