"""The genes report: map, component, genes, terms, themes, modules and blood on one page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.genes.association_study import AssociationStudy, GeneLists, SetStudy, Settings
from falx.genes.network.analysis import AnnotatedModule, EdgeEnrichment, ModuleChance
from falx.genes.network.interactions import Network
from falx.genes.sets.ora import OraResult
from falx.genes.sets.regulators import SignedRegulators
from falx.report.page import Figure, Notice, Section, Table, Text
from falx.studies.genes.figures import (
    map_figure,
    network_figure,
    null_figure,
    term_bars,
    theme_figure,
    weight_figure,
)

__all__ = [
    "WHOLE_IN_PRINT",
    "association_sections",
    "limits_section",
    "list_section",
    "network_section",
    "regulator_section",
    "set_sections",
]

TYPE_ONE: dict[str, tuple[float, float]] = {
    "random": (12.5, 46.5),
    "moran": (5.5, 5.0),
    "variogram": (3.5, 4.0),
    "gaussian": (4.5, 2.5),
}
"""False positives in % of the component test at a nominal 5 %, for maps of range 10 and 25 mm on
123 left regions, 200 data sets each (docs/methods/genes.md)."""

WHOLE_IN_PRINT = (
    "@media print { figure img { max-height: none; } table { font-size: 7.5pt; } "
    "th, td { padding: 2px 5px 2px 3px; overflow-wrap: anywhere; } }"
)
"""On paper figures keep their size, since their words would fall below 6 pt otherwise, and wide
tables fit."""

LIMITS = tuple(
    """\
Expression comes from six donors without epilepsy, four of them with left-hemisphere samples \
only. It says where a gene is expressed in a healthy brain, not what changes in a patient.
The bootstrap treats regions as independent; its Z and P are a convention of the field. The \
spatial P is the one to read.
A spin is undefined for regions off the cortex, and the usual matrices hold no cerebellum.
Gene lists from maps that share controls or are alike share genes: terms in common are expected.\
""".splitlines()
)


def association_sections(study: AssociationStudy, lists: GeneLists) -> list[Section]:
    """Sections on the map, its component and its genes."""
    return [_map_section(study), _component_section(study), _gene_section(study, lists)]


def _map_section(study: AssociationStudy) -> Section:
    data = study.data
    blocks: list[Text | Figure | Table] = [
        Text(
            f"{len(data.regions)} regions and {len(data.genes)} genes take part. The map's fitted "
            f"range of correlation is {study.fitted.range_mm:.0f} mm."
        ),
        Figure(map_figure(data), "Values of the map at the regions' centroids (RAS+ mm)."),
    ]
    if data.left_out:
        rows = list(data.left_out.items())
        blocks.append(Table(("region", "why"), rows[:40], f"{len(rows)} regions take no part."))
    return Section("Map", blocks)


def _component_section(study: AssociationStudy) -> Section:
    model = study.model
    rows = []
    for comparison in study.comparisons:
        error = TYPE_ONE.get(comparison.method)
        shown = " / ".join(f"{e:g} %" for e in error) if error else None
        rows.append((comparison.method, comparison.p, len(comparison.null_r2), shown))
    components = [
        (i + 1, float(r2), p)
        for i, (r2, p) in enumerate(zip(model.explained_variance, study.component_p, strict=True))
    ]
    quality = [
        (q.block, q.n_regions, q.method, q.moran_ratio, q.variogram_error)
        for q in study.nulls.quality
    ]
    return Section(
        "Component",
        [
            Text(
                f"The first PLS component explains {model.explained_variance[0]:.1%} of the map. "
                "Scores rise with the map: a gene of positive weight is expressed more where the "
                "map is higher. For a t map of loss, where values are negative, that reads: less "
                "expressed where the loss is greater."
            ),
            Table(
                ("component", "explained variance", "P"), components, "Components, chosen null."
            ),
            Figure(null_figure(study), "Explained variance on null maps; the line is the map's."),
            Table(
                ("null", "P, component 1", "maps", "false positives at 10 / 25 mm"),
                rows,
                "How much the null decides. A nominal 5 % test should err in 5 %.",
            ),
            Table(
                ("block", "regions", "null", "Moran's I ratio", "variogram error"),
                quality,
                "How well the null maps keep the map's smoothness; 1 and 0 are perfect.",
            ),
        ],
    )


def _gene_section(study: AssociationStudy, lists: GeneLists) -> Section:
    z, q, g = study.weights.z, study.weights.q, study.genes
    order = np.argsort(-z, kind="stable")
    shown = [*order[:15], *order[-15:]]
    rows = [
        (study.data.genes[i], float(z[i]), float(q[i]), float(g.r[i]), float(g.p[i]),
         float(g.q[i]), float(g.p_max[i]))
        for i in shown
    ]  # fmt: skip
    floor = 1.0 / (1.0 + g.n_maps)
    needed = int(np.ceil(floor * len(z) / 0.05))
    return Section(
        "Genes",
        [
            Text(
                f"Weights are in the convention {study.weights.convention}. "
                f"{int((g.q < 0.05).sum())} genes pass the spatial false-discovery rate at 0.05 "
                f"and {int((g.p_max < 0.05).sum())} the maximum over genes. With {g.n_maps} null "
                f"maps the smallest P is {floor:.2g}: the spatial rate can pass only if at least "
                f"{needed} genes reach it. {int((q < 0.05).sum())} genes have a stable weight "
                "(bootstrap q below 0.05); that is no test against a null, and genes without any "
                "relation to the map are among them."
            ),
            Text(list_sentence(study.settings, lists)),
            Figure(weight_figure(study), "Bootstrap Z and correlation of every gene."),
            Table(
                ("gene", "Z", "q, bootstrap", "r", "P, spatial", "q, spatial", "P, max"),
                rows,
                "Largest positive and negative weights.",
            ),
        ],
    )


def list_sentence(settings: Settings, lists: GeneLists) -> str:
    """Say by which rule the lists were cut, and what they hold."""
    held = f"{len(lists.positive)} positive and {len(lists.negative)} negative genes"
    if settings.list_rule == "length":
        filtered = (
            " and pass the bootstrap's and the spatial rate at 0.05" if settings.require_fdr else
            "; this is a ranking without an error rate"
        )  # fmt: skip
        return (
            f"Lists by length hold {held}: those among the {settings.n_list} of largest bootstrap "
            f"Z of either sign{filtered}."
        )
    rule = f"the spatial false-discovery rate of {settings.list_q:g}"
    if lists.both:
        return f"The lists hold the genes that pass {rule}: {held}."
    return (
        f"No gene passes {rule}, so both lists are empty, and nothing is said of their terms or "
        "modules: gene by gene, the map cannot be told from other maps as smooth. Gene sets may "
        "still be, by the ensemble null."
    )


def set_sections(study: SetStudy) -> list[Section]:
    """Sections on one library's terms and themes."""
    e, r = study.ensemble, study.ranked
    lists = [name for name in ("positive", "negative") if name in study.over]
    rows = []
    for i in np.lexsort((e.p_gaussian, e.p))[:25]:
        row: list[object] = [e.names[i], int(study.sets.sizes[i])]
        row += [float(study.over[name].q[i]) for name in lists]
        row += [float(e.score[i]), float(e.p[i]), float(e.q[i]), float(r.p[i])]
        rows.append(row)
    columns = ["term", "genes", *(f"q, {name} list" for name in lists)]
    columns += ["mean r", "P, ensemble", "q, ensemble", "P, ranked"]
    counts = "".join(f", {int((study.over[n].q < 0.05).sum())} by the {n} list" for n in lists)
    name = study.library.name
    text = (
        f"{len(e.names)} sets of 5 to 500 tested genes; {study.sets.too_small} were smaller and "
        f"{study.sets.too_large} larger. At q < 0.05: {int((e.q < 0.05).sum())} by the ensemble "
        f"null{counts}. A term that only a list shows may owe it to co-expression of its genes."
    )
    bars = [
        Figure(term_bars(study.over[n]), f"Over-representation in the {n} list.") for n in lists
    ]
    caption = "Terms by the ensemble null."
    terms = Section(f"Terms: {name}", [Text(text), *bars, Table(columns, rows, caption)])
    return [terms, _theme_section(study)] if study.themes.themes else [terms]


def _theme_section(study: SetStudy) -> Section:
    rows = [
        (t.representative, len(t.terms), t.p, t.q, "; ".join(t.terms[1:4]))
        for t in study.themes.themes[:20]
    ]
    return Section(
        f"Themes: {study.library.name}",
        [
            Text(
                "Terms with P < 0.01, at least 3 list genes and a factor above 1.5, grouped where "
                "they share genes (kappa above 0.3). This filter is no error rate; q is."
            ),
            Figure(theme_figure(study.themes), "Terms that share genes; colours are themes."),
            Table(("theme", "terms", "P", "q", "with"), rows, "The twenty best themes."),
        ],
    )


def list_section(name: str, result: OraResult) -> Section:
    """Section on one gene list and one library."""
    rows = [
        (result.names[i], int(result.overlap[i]), int(result.set_size[i]),
         float(result.factor[i]), float(result.p[i]), float(result.q[i]))
        for i in result.order()[:25]
    ]  # fmt: skip
    text = (
        f"{result.list_size} genes of {result.universe_size} tested ones; "
        f"{int((result.q < 0.05).sum())} of {len(result.names)} sets at q < 0.05."
    )
    columns = ("term", "overlap", "genes", "factor", "P", "q")
    return Section(
        f"{result.library}: {name}",
        [Text(text), Figure(term_bars(result), "Best terms."), Table(columns, rows)],
    )


def network_section(
    network: Network,
    modules: Sequence[AnnotatedModule],
    enrichment: EdgeEnrichment | None,
    chance: ModuleChance | None = None,
    kind: str = "genes drawn at random",
) -> Section:
    """Section on the network of a list, and its modules."""
    found = [a.module for a in modules]
    text = f"{len(network.neighbours)} genes with {network.n_edges} interactions among them. "
    if enrichment is not None:
        text += (
            f"Lists of genes with like numbers of partners have {enrichment.expected:.1f} on "
            f"average (P = {enrichment.p:.3g}, {enrichment.n_lists} lists)."
        )
    if chance is not None:
        low, middle, high = chance.counts
        text += (
            f" {len(found)} modules; as many {kind} have {low:g} to {high:g} modules "
            f"(median {middle:g}; P = {chance.p_count:.3g}, {chance.n_lists} lists). A module's "
            "P is against the best module of each of these lists."
        )
    p = chance.p if chance is not None else (None,) * len(found)
    rows = [
        (i, a.module.score, p[i - 1], len(a.module.nodes), a.module.n_edges,
         ", ".join(a.module.nodes[:12]), "; ".join(t[0] for t in a.terms))
        for i, a in enumerate(modules, 1)
    ]  # fmt: skip
    blocks: list[Text | Figure | Table] = [Text(text)]
    if found:
        blocks.append(Figure(network_figure(network, found), "Modules and their interactions."))
    columns = ("module", "score", "P, best of list", "genes", "edges", "members", "best terms")
    blocks.append(Table(columns, rows, "MCODE modules."))
    return Section("Network", blocks)


def regulator_section(found: SignedRegulators) -> Section:
    """Section on regulators whose targets move as their mode says."""
    order = np.argsort(found.p, kind="stable")[:25]
    rows = [
        (found.factors[i], int(found.consistent[i]), int(found.opposed[i]), float(found.p[i]),
         float(found.q[i]))
        for i in order
    ]  # fmt: skip
    return Section(
        "Regulators by direction",
        [
            Text(
                "A target counts as consistent if it is activated and in the positive list, or "
                "repressed and in the negative one; as opposed the other way. Targets of unknown "
                f"mode do not count. {int((found.q < 0.05).sum())} of {len(found.factors)} "
                "regulators pass q < 0.05."
            ),
            Table(("regulator", "consistent", "opposed", "P", "q"), rows, "Smallest P first."),
        ],
    )


def limits_section(notices: Sequence[str] = ()) -> Section:
    """Say what the reader must know, and what was noticed on the way."""
    blocks = [Notice(LIMITS, "note")]
    if notices:
        blocks.append(Notice(tuple(notices)))
    return Section("Limits", blocks)
