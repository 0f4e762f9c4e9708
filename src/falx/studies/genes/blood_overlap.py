"""Genes of a map beside genes changed in blood: overall, by direction, and by pathway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from falx.core.errors import InputError
from falx.core.tables import Table
from falx.genes.association import correlate
from falx.genes.association_study import AssociationStudy, GeneLists, SetStudy
from falx.genes.blood.differential import RULES
from falx.genes.blood.overlap import direction_agreement, overlap, pathway_overlap, spatial_overlap
from falx.genes.sets.library import TestedSets
from falx.genes.sets.ora import OraResult, over_representation
from falx.genes.symbols import match_symbols
from falx.report.page import Block, Section, Text
from falx.report.page import Table as PageTable

__all__ = ["BloodGenes", "blood_genes", "overlap_section"]

SPATIAL_MAPS = 1000
PATHWAYS = 10


@dataclass(frozen=True)
class BloodGenes:
    """Genes tested in blood, and those that each rule takes, with the sign of their change."""

    tested: tuple[str, ...]
    changed: Mapping[str, Mapping[str, int]]


def blood_genes(table: Table) -> BloodGenes:
    """Take the changed genes of ``degs.tsv`` of ``falx degs``."""
    if not {"gene", "log2FoldChange", *RULES} <= set(table.header):
        raise InputError(
            "the table is not degs.tsv of falx degs", where=table.where, do="run falx degs"
        )
    genes = table.texts("gene")
    up = table.numbers("log2FoldChange") > 0
    changed = {
        rule: {
            gene: 1 if rises else -1
            for gene, rises, taken in zip(genes, up, table.texts(rule), strict=True)
            if taken == "true"
        }
        for rule in RULES
    }
    return BloodGenes(genes, changed)


def overlap_section(
    study: AssociationStudy, lists: GeneLists, sets: Sequence[SetStudy], blood: BloodGenes
) -> Section:
    """Test what the map's lists share with the genes changed in blood.

    The universe is the genes tested on both sides; the spatial P uses the map's own null maps.
    """
    mapping = match_symbols(blood.tested, study.data.genes).mapping
    universe = tuple(dict.fromkeys(mapping.values()))
    if not universe:
        raise InputError(
            "no gene was tested on both sides",
            where="blood genes",
            do="check that both use gene symbols",
        )
    changed = {
        rule: {mapping[g]: sign for g, sign in genes.items() if g in mapping}
        for rule, genes in blood.changed.items()
    }
    blocks: list[Block] = [
        Text(
            f"{len(universe)} genes were tested on both sides. The first P is hypergeometric and "
            "ignores co-expression; the spatial P compares with lists of the same size, by "
            "correlation, from null maps."
        ),
        PageTable(
            ("rule", "imaging", "blood", "shared", "expected", "P", "odds ratio", "P, spatial",
             "P, mean r", "same direction", "genes"),
            list(_rule_rows(study, lists, universe, changed)),
            "Genes of the map's lists among those changed in blood.",
        ),
    ]  # fmt: skip
    genes = changed["corrected"] or changed["as_published"]
    if sets and genes:
        blocks += _pathway_blocks(sets[0], lists, tuple(genes), universe)
    return Section("Overlap with blood", blocks)


def _rule_rows(
    study: AssociationStudy,
    lists: GeneLists,
    universe: tuple[str, ...],
    changed: Mapping[str, Mapping[str, int]],
) -> Iterator[tuple[object, ...]]:
    data, both = study.data, lists.both
    null_r = correlate(
        data.expression, study.nulls.maps[:SPATIAL_MAPS], correlation=study.settings.correlation
    )
    for rule, signs in changed.items():
        up = [g for g, sign in signs.items() if sign > 0]
        down = [g for g, sign in signs.items() if sign < 0]
        found = overlap(both, [*up, *down], universe)
        agree = direction_agreement(lists.positive, lists.negative, up, down)
        spatial = None
        if signs and 0 < len(both) < len(data.genes):
            spatial = spatial_overlap(study.genes.r, null_r, data.genes, list(signs), len(both))
        yield (
            rule, found.n_first, found.n_second, len(found.common), found.expected, found.p,
            found.odds_ratio, spatial.p_overlap if spatial else None,
            spatial.p_mean if spatial else None, agree.agree, ", ".join(found.common[:10]),
        )  # fmt: skip


def _pathway_blocks(
    library: SetStudy, lists: GeneLists, blood: Sequence[str], universe: tuple[str, ...]
) -> list[Block]:
    if "both" not in library.over:
        return [Text("The map's lists are empty, so no pathway of the map is compared.")]
    imaging = _best_terms(library.over["both"], library.sets, lists.both)
    changed = _best_terms(over_representation(blood, library.sets), library.sets, blood)
    if not imaging or not changed:
        return [Text("No pathway holds genes of both sides at P < 0.01.")]
    found = pathway_overlap(imaging, changed, universe)
    order = np.argsort([one.p for one in found.overlaps], kind="stable")[:25]
    rows = [
        (*found.pairs[i], len(found.overlaps[i].common), found.overlaps[i].p, float(found.q[i]),
         ", ".join(found.overlaps[i].common[:8]))
        for i in order
    ]  # fmt: skip
    return [
        PageTable(
            ("pathway of the map", "pathway in blood", "shared", "P", "q", "genes"),
            rows,
            f"List genes of {len(imaging)} pathways of the map and {len(changed)} in blood; q is "
            f"over all {len(found.pairs)} pairs.",
        )
    ]


def _best_terms(
    result: OraResult, sets: TestedSets, genes: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Members that are list genes, of the best terms at P < 0.01."""
    chosen = set(genes)
    best = [result.names[i] for i in result.order()[:PATHWAYS] if result.p[i] < 0.01]
    return {name: tuple(g for g in sets.members(name) if g in chosen) for name in best}
