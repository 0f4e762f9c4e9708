"""Several contrasts of a cohort and their genes: scores, common terms, modules, blood, ENIGMA.

What the page of one map cannot say: which terms go with every contrast, beside what the contrasts
share because they share people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError, collect_notices
from falx.core.multiplicity import benjamini_hochberg, monte_carlo_p
from falx.core.possible import Probability
from falx.data.enigma import SYNDROMES, load_enigma
from falx.genes.association import unit_columns
from falx.genes.association_study import (
    AssociationStudy,
    GeneLists,
    SetStudy,
    Settings,
    gene_lists,
    lists_of_null_maps,
    study_map,
    study_sets,
)
from falx.genes.files import Known
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module
from falx.genes.sets.joint import JointEnrichment, joint_enrichment
from falx.genes.sets.library import TestedSets, restrict
from falx.genes.sets.ora import OraResult, over_representation
from falx.genes.symbols import match_symbols
from falx.genes.tables import Expression, RegionTable, join
from falx.report.page import Section
from falx.studies.genes.blood_overlap import BloodGenes, overlap_section
from falx.studies.genes.network import study_network

__all__ = [
    "ContrastGenes",
    "Likeness",
    "Together",
    "against_enigma",
    "relate_together",
]

NEAREST_MM = 25.0
MODULE_MAPS = 199


@dataclass(frozen=True, eq=False)
class ContrastGenes:
    """One contrast, its genes and its gene sets, the libraries in the order of `Known`."""

    study: AssociationStudy
    lists: GeneLists
    sets: tuple[SetStudy, ...]


@dataclass(frozen=True)
class Likeness:
    """Correlation of a contrast with the effect sizes of one syndrome, against null maps."""

    contrast: str
    syndrome: str
    regions: int
    r: float
    p: Probability
    q: Probability


@dataclass(frozen=True, eq=False)
class Together:
    """What was found over contrasts.

    Attributes
    ----------
    contrasts
        Title of each contrast to its genes.
    joined
        Titles of the contrasts whose terms are tested together.
    joint
        One result a library; empty with fewer than two contrasts.
    blood
        Library to list (``up``, ``down``, ``changed``) to terms of the genes changed in blood.
    overlaps
        Section on the shared genes of the first contrast and blood, if blood was given.
    network, network_section
        Of the genes of all lists; ``None`` without interactions.
    enigma
        Likeness to ENIGMA-Epilepsy of every contrast and syndrome.
    """

    contrasts: Mapping[str, ContrastGenes]
    joined: tuple[str, ...]
    joint: tuple[JointEnrichment, ...]
    blood: Mapping[str, Mapping[str, OraResult]]
    overlaps: Section | None
    network: tuple[Network, tuple[Module, ...]] | None
    network_section: Section | None
    enigma: tuple[Likeness, ...]
    notices: tuple[str, ...]


def relate_together(
    tables: Mapping[str, RegionTable],
    expression: Expression,
    settings: Settings,
    known: Known,
    blood: BloodGenes | None = None,
    *,
    joined: Sequence[str] = (),
) -> Together:
    """Relate several contrasts to genes on the same regions and the same random draws.

    Parameters
    ----------
    tables
        Title of each contrast to its regional values.
    joined
        Contrasts whose terms are tested together; all of them if empty.

    Raises
    ------
    InputError
        If there is no contrast.
    """
    if not tables:
        raise InputError("no contrast is there", do="run the group maps first")
    with collect_notices() as notices:
        found = {
            title: _contrast(table, expression, settings, known)
            for title, table in _on_shared_regions(tables).items()
        }
        chosen = tuple(title for title in (joined or tuple(tables)) if title in found)
        n_joint = len(known.libraries) if len(chosen) > 1 else 0
        joint = tuple(_joint(found, chosen, k) for k in range(n_joint))
        network, section = _network(found, known, settings.seed)
        overlaps = None
        first = next(iter(found.values()))
        if blood is not None:
            overlaps = overlap_section(first.study, first.lists, first.sets, blood)
        changed = _blood_terms(known, blood)
        enigma = against_enigma({title: one.study for title, one in found.items()})
    told = dict.fromkeys(note for table in tables.values() for note in table.notes)
    return Together(
        found, chosen, joint, changed, overlaps, network, section,
        enigma, (*told, *notices),
    )  # fmt: skip


def _on_shared_regions(tables: Mapping[str, RegionTable]) -> dict[str, RegionTable]:
    """Keep what every contrast has a value for: one draw must move all maps alike."""
    shared = set.intersection(
        *(
            {n for n, v in zip(t.regions, t.values, strict=True) if np.isfinite(v)}
            for t in tables.values()
        )
    )
    return {title: _only(table, shared) for title, table in tables.items()}


def _only(table: RegionTable, names: set[str]) -> RegionTable:
    rows = sorted((n, i) for i, n in enumerate(table.regions) if n in names)
    return table.take([i for _, i in rows])


def _contrast(
    table: RegionTable, expression: Expression, settings: Settings, known: Known
) -> ContrastGenes:
    side = None if settings.side == "both" else settings.side
    data = join(table, expression, side=side, blocks=settings.blocks or None)
    # Every contrast starts its generator at the same seed: draw b moves all maps in one way.
    study = study_map(data, settings)
    sets = tuple(study_sets(study, one, aliases=known.aliases) for one in known.libraries)
    return ContrastGenes(study, gene_lists(study), sets)


def _joint(
    found: Mapping[str, ContrastGenes], titles: Sequence[str], library: int
) -> JointEnrichment:
    chosen = [found[title] for title in titles]
    first = chosen[0]
    return joint_enrichment(
        first.study.data.expression,
        [one.study.data.values for one in chosen],
        [one.study.nulls.maps for one in chosen],
        first.sets[library].sets,
        correlation=first.study.settings.correlation,
    )


def _network(
    found: Mapping[str, ContrastGenes], known: Known, seed: int
) -> tuple[tuple[Network, tuple[Module, ...]] | None, Section | None]:
    """Network of the genes of all lists; its modules against the lists of the same draws."""
    if known.network is None:
        return None, None
    first = next(iter(found.values()))
    genes = tuple(dict.fromkeys(g for one in found.values() for g in one.lists.both))
    drawn = [lists_of_null_maps(one.study, one.lists, MODULE_MAPS) for one in found.values()]
    unions = [
        list(dict.fromkeys(g for part in parts for g in part))
        for parts in zip(*drawn, strict=True)
    ]
    sets = first.sets[0].sets if first.sets else None
    return study_network(genes, first.study.data.genes, known.network, sets, seed, unions)


def _blood_terms(known: Known, blood: BloodGenes | None) -> dict[str, dict[str, OraResult]]:
    """Terms of the genes changed in blood, among all genes that were tested there."""
    if blood is None:
        return {}
    signs = blood.changed["corrected"] or blood.changed["as_published"]
    lists = {
        "changed": tuple(signs),
        "up": tuple(g for g, sign in signs.items() if sign > 0),
        "down": tuple(g for g, sign in signs.items() if sign < 0),
    }
    tested = tuple(dict.fromkeys(blood.tested))
    out: dict[str, dict[str, OraResult]] = {}
    for library in known.libraries:
        sets: TestedSets = restrict(library, tested, aliases=known.aliases)
        out[library.name] = {
            name: over_representation(match_symbols(genes, tested).found, sets)
            for name, genes in lists.items()
            if 0 < len(genes) < len(tested)
        }
    return out


def against_enigma(studies: Mapping[str, AssociationStudy]) -> tuple[Likeness, ...]:
    """Correlate contrasts with ENIGMA-Epilepsy's effect sizes, region by region.

    A region takes the effect size of its own name, or of the nearest region of the same side and
    block within :data:`NEAREST_MM`. P is two-sided, against the contrast's own null maps; q is
    Benjamini and Hochberg's over all pairs.
    """
    rows = []
    for title, study in studies.items():
        where = _nearest_enigma(study)
        inside = where >= 0
        if inside.sum() < 20:
            continue
        for syndrome, name in SYNDROMES.items():
            d = load_enigma(syndrome).cohens_d[where[inside]]
            unit = unit_columns(d[:, None], "pearson")[:, 0]
            maps = np.vstack([study.data.values, study.nulls.maps])[:, inside]
            r = unit_columns(maps.T, "pearson").T @ unit
            p = float(monte_carlo_p(r[0], r[1:], two_sided=True))
            rows.append((title, name, int(inside.sum()), float(r[0]), p))
    q = benjamini_hochberg(np.array([row[-1] for row in rows])) if rows else ()
    return tuple(Likeness(*row, float(one)) for row, one in zip(rows, q, strict=True))


def _nearest_enigma(study: AssociationStudy) -> npt.NDArray[np.intp]:
    """Index of the ENIGMA region of each region of a study, -1 where there is none."""
    enigma = load_enigma("allepi").regions
    centres = np.array([region.centroid_mm for region in enigma])
    names = {region.name: i for i, region in enumerate(enigma)}
    positions = study.data.positions
    sides = positions.sides or (None,) * len(study.data.regions)
    out = np.full(len(study.data.regions), -1, dtype=np.intp)
    apart = scipy.spatial.distance.cdist(positions.centroids_mm, centres)
    for i, (name, block, side) in enumerate(
        zip(study.data.regions, positions.blocks, sides, strict=True)
    ):
        fits = np.array([side in (None, e.side) and block in ("all", e.block) for e in enigma])
        distance = np.where(fits, apart[i], np.inf)
        if name in names:
            out[i] = names[name]
        elif distance.min() <= NEAREST_MM:
            out[i] = int(distance.argmin())
    return out
