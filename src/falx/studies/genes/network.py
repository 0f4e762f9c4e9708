"""The network of a gene list: its modules, and whether it is denser than chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.genes.network.analysis import annotate_modules, edge_enrichment, module_chance
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module, find_modules
from falx.genes.sets.library import TestedSets
from falx.report.page import Section, Text
from falx.studies.genes.page import network_section

__all__ = ["study_network"]

Found = tuple[Network, tuple[Module, ...]]


def study_network(
    genes: Sequence[str],
    universe: Sequence[str],
    network: Network,
    sets: TestedSets | None,
    seed: int,
) -> tuple[Found | None, Section]:
    """Find the network among some genes, its modules, and their section of the report.

    Parameters
    ----------
    universe
        The tested genes, among which lists of like degree are drawn.
    sets
        Name the modules, if given.
    """
    part = network.induced(genes)
    if len(part.neighbours) < 3:
        return None, Section("Network", [Text("Fewer than three genes of the list interact.")])
    modules = find_modules(part.neighbours)
    tested = network.induced(universe, keep_isolated=True)
    chance = edge_enrichment(tested, genes, np.random.default_rng(seed))
    by_chance = module_chance(tested, genes, modules, np.random.default_rng([seed, 1]))
    section = network_section(part, annotate_modules(modules, sets), chance, by_chance)
    return (part, modules), section
