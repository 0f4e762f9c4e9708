"""The network of a gene list: its modules, and whether it is denser than chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.genes.network.analysis import (
    annotate_modules,
    edge_enrichment,
    module_chance,
    modules_of_lists,
)
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
    null_lists: Sequence[Sequence[str]] = (),
) -> tuple[Found | None, Section]:
    """Find the network among some genes, its modules, and their section of the report.

    Parameters
    ----------
    universe
        The tested genes, among which lists of like degree are drawn.
    sets
        Name the modules, if given.
    null_lists
        Lists of the same length from null maps, if the genes come from a map: the modules are
        then compared with theirs, and with those of random lists otherwise.
    """
    part = network.induced(genes)
    if len(part.neighbours) < 3:
        return None, Section("Network", [Text("Fewer than three genes of the list interact.")])
    modules = find_modules(part.neighbours)
    tested = network.induced(universe, keep_isolated=True)
    chance = edge_enrichment(tested, genes, np.random.default_rng(seed))
    if null_lists:
        by_chance = modules_of_lists(tested, genes, modules, null_lists)
    else:
        by_chance = module_chance(tested, genes, modules, np.random.default_rng([seed, 1]))
    kind = "lists of null maps" if null_lists else "genes drawn at random"
    section = network_section(part, annotate_modules(modules, sets), chance, by_chance, kind)
    return (part, modules), section
