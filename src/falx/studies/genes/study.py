"""A map to genes, terms, modules and one report: what ``falx genes`` and the studies run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from falx.core.errors import collect_notices
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
from falx.genes.sets.regulators import SignedRegulators, signed_regulators
from falx.genes.tables import Expression, RegionTable, join
from falx.report.page import Section, render
from falx.studies.genes.blood_overlap import BloodGenes, overlap_section
from falx.studies.genes.network import study_network
from falx.studies.genes.page import (
    WHOLE_IN_PRINT,
    association_sections,
    limits_section,
    regulator_section,
    set_sections,
)

__all__ = ["MODULE_MAPS", "GenesFindings", "relate"]

MODULE_MAPS = 199
"""Null maps whose lists' modules are counted."""


@dataclass(frozen=True, eq=False)
class GenesFindings:
    """What was found, before anything is written.

    Attributes
    ----------
    network
        Interactions among the genes of the list, and their modules; ``None`` without a
        network or where fewer than three of them interact.
    regulators
        Whether targets move as their regulator's mode says, where that was asked for and
        a list holds genes.
    page
        The report as HTML.
    """

    study: AssociationStudy
    lists: GeneLists
    sets: tuple[SetStudy, ...]
    network: tuple[Network, tuple[Module, ...]] | None
    regulators: SignedRegulators | None
    page: str
    notices: tuple[str, ...]


def relate(
    table: RegionTable,
    expression: Expression,
    settings: Settings | None = None,
    known: Known | None = None,
    blood: BloodGenes | None = None,
    more: Sequence[Section] = (),
) -> GenesFindings:
    """Relate a map to genes, gene sets, networks and genes changed in blood.

    Parameters
    ----------
    more
        Sections for the end of the page.
    """
    opt, known = settings or Settings(), known or Known()
    network = regulators = None
    with collect_notices() as notices:
        side = None if opt.side == "both" else opt.side
        data = join(table, expression, side=side, blocks=opt.blocks or None)
        study = study_map(data, opt)
        lists = gene_lists(study)
        sets = tuple(
            study_sets(study, library, aliases=known.aliases) for library in known.libraries
        )
        sections = association_sections(study, lists)
        for one in sets:
            sections += set_sections(one)
        if known.signed and lists.both:
            regulators = signed_regulators(
                known.signed, lists.positive, lists.negative, data.genes
            )
            sections.append(regulator_section(regulators))
        if known.network is not None:
            first = sets[0].sets if sets else None
            drawn = lists_of_null_maps(study, lists, MODULE_MAPS)
            network, section = study_network(
                lists.both, data.genes, known.network, first, opt.seed, drawn
            )
            sections.append(section)
        if blood is not None:
            sections.append(overlap_section(study, lists, sets, blood))
    told = (*table.notes, *notices)
    sections += [limits_section(told), *more]
    page = render("Genes behind a map", sections, subtitle=table.name, style=WHOLE_IN_PRINT)
    return GenesFindings(study, lists, sets, network, regulators, page, told)
