"""The page of several contrasts and their genes."""

from __future__ import annotations

import numpy as np

from falx.core.tables import table_text
from falx.genes.sets.joint import JointEnrichment
from falx.report.page import Block, Figure, Section, Table, Text, render
from falx.studies.genes.page import WHOLE_IN_PRINT, limits_section
from falx.studies.genes.together import Together
from falx.studies.genes.together_figures import terms_of
from falx.studies.methods.study_text import link_section

__all__ = ["joint_tsv", "together_page"]


def together_page(found: Together, title: str, figures: dict[str, bytes]) -> str:
    """Lay the page out; `figures` holds ``scores``, ``terms`` and ``blood`` where drawn."""
    sections = [_contrasts(found, figures["scores"])]
    if found.joint:
        sections.append(_joint(found, figures["terms"]))
    if found.network_section is not None:
        sections.append(found.network_section)
    if found.blood:
        sections.append(_blood(found, figures["blood"]))
    if found.overlaps is not None:
        sections.append(found.overlaps)
    sections += [_enigma(found), limits_section(found.notices), link_section()]
    return render(
        f"Genes over contrasts: {title}",
        sections,
        subtitle=", ".join(found.contrasts),
        style=WHOLE_IN_PRINT,
    )


def _contrasts(found: Together, picture: bytes) -> Section:
    rows = [
        (title, len(one.study.data.regions), float(one.study.model.explained_variance[0]),
         one.study.component_p[0], len(one.lists.positive), len(one.lists.negative))
        for title, one in found.contrasts.items()
    ]  # fmt: skip
    columns = ("contrast", "regions", "explained variance", "P, spatial", "positive", "negative")
    return Section(
        "Maps and scores",
        [
            Table(columns, rows, "The first component of each contrast, and genes in its lists."),
            Text(
                "The scatter is drawn to look at, not as a test: a component is made to follow "
                "the map, so that its correlation is high for any map. The spatial P compares "
                "with what the component reaches on maps as smooth as this one."
            ),
            Figure(picture, "Regional mean t, scores of the first component, and both."),
        ],
    )


def _joint(found: Together, picture: bytes) -> Section:
    blocks: list[Block] = [
        Text(
            f"Terms of {' and '.join(found.joined)} together. Contrasts that share people have "
            "maps that are alike, so terms in common are expected; each null draw moves the maps "
            "of all contrasts in one way and keeps what they share. P, together: the sum over "
            "contrasts is larger than on such draws. P, every: the larger of the single P, where "
            "all go the same way; it alone says that a term goes with each contrast."
        ),
        Figure(picture, "Best terms; * q < 0.05 together, ** in every contrast."),
    ]
    for one in found.joint:
        order = np.argsort(one.p, kind="stable")[:15]
        rows = [
            (one.names[i], *(float(z) for z in one.z[i]), float(one.p[i]), float(one.q[i]),
             float(one.p_both[i]), float(one.q_both[i]))
            for i in order
        ]  # fmt: skip
        columns = ("term", *(f"z, {t}" for t in found.joined), "P, together", "q", "P, every",
                   "q, every")  # fmt: skip
        told = f"{one.library}: {int((one.q < 0.05).sum())} of {len(one.names)} terms at q < 0.05 "
        blocks.append(
            Table(
                columns, rows, told + f"together, {int((one.q_both < 0.05).sum())} in every one."
            )
        )
    return Section("Terms over contrasts", blocks)


def _blood(found: Together, picture: bytes) -> Section:
    blocks: list[Block] = [
        Text(
            "Terms of the genes changed in blood (adjusted P below 0.05; by the published rule "
            "where none is), among the genes tested there, beside those of the first contrast."
        ),
        Figure(picture, "Imaging left, blood right."),
    ]
    columns = ("term", "overlap", "genes", "factor", "P", "q")
    blocks += [
        Table(columns, terms_of(result), f"{library}: genes {name} in blood.")
        for library, lists in found.blood.items()
        for name, result in lists.items()
    ]
    return Section("Terms of blood genes", blocks)


def _enigma(found: Together) -> Section:
    rows = [(e.contrast, e.syndrome, e.regions, e.r, e.p, e.q) for e in found.enigma]
    if not rows:
        return Section(
            "ENIGMA-Epilepsy",
            [Text("Fewer than 20 regions have a counterpart in ENIGMA's tables.")],
        )
    return Section(
        "ENIGMA-Epilepsy",
        [
            Text(
                "Correlation with Cohen's d of five syndromes against controls (Whelan et al. "
                "2018), which is negative where patients have less. A region takes the effect of "
                "its own name, or of the nearest region of its side and block. P is against the "
                "contrast's null maps, q over all pairs. Cortex holds thickness there and "
                "subcortical regions volume."
            ),
            Table(("contrast", "syndrome", "regions", "r", "P, spatial", "q"), rows),
        ],
    )


def joint_tsv(joint: tuple[JointEnrichment, ...], titles: tuple[str, ...]) -> str:
    """One row a library and term, by P together."""
    columns = ("library", "term", *(f"z {t}" for t in titles), *(f"p {t}" for t in titles),
               "p_together", "q_together", "p_max_together", "p_every", "q_every")  # fmt: skip
    rows = [
        (one.library, one.names[i], *one.z[i], *one.p_single[i], one.p[i], one.q[i],
         one.p_max[i], one.p_both[i], one.q_both[i])
        for one in joint
        for i in np.argsort(one.p, kind="stable")
    ]  # fmt: skip
    return table_text(columns, rows)
