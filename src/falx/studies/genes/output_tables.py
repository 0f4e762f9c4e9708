"""Results of the study `genes` as tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from falx.core.tables import table_text
from falx.genes.association_study import AssociationStudy, GeneLists, SetStudy
from falx.genes.blood.differential import DifferentialExpression
from falx.genes.sets.ora import OraResult
from falx.genes.sets.regulators import SignedRegulators

__all__ = [
    "components_json",
    "degs_tsv",
    "genes_tsv",
    "left_out_tsv",
    "list_terms_tsv",
    "regulators_tsv",
    "terms_tsv",
]


def genes_tsv(study: AssociationStudy, lists: GeneLists) -> str:
    """One row a gene, from largest Z: PLS weight, bootstrap and spatial probabilities."""
    w, g = study.weights, study.genes
    member = dict.fromkeys(lists.positive, "positive") | dict.fromkeys(lists.negative, "negative")
    columns = (
        "gene", f"weight_{w.convention}", "bootstrap_se", "z", "p_bootstrap", "q_bootstrap",
        f"r_{g.correlation}", "p_spatial", "q_spatial", "p_spatial_max", "list",
    )  # fmt: skip
    order = np.argsort(-w.z, kind="stable")
    rows = [
        (
            study.data.genes[i], w.weight[i], w.standard_error[i], w.z[i], w.p[i], w.q[i],
            g.r[i], g.p[i], g.q[i], g.p_max[i], member.get(study.data.genes[i], ""),
        )
        for i in order
    ]  # fmt: skip
    return table_text(columns, rows)


def terms_tsv(study: SetStudy) -> str:
    """One row a set, by ensemble P: over-representation, ensemble null, ranks and theme."""
    theme = {t: i for i, th in enumerate(study.themes.themes, 1) for t in th.terms}
    lists = list(study.over)
    columns = ["library", "term", "size"]
    columns += [f"{what}_{name}" for name in lists for what in ("overlap", "factor", "p", "q")]
    columns += [
        "ensemble_score", "ensemble_z", "ensemble_p", "ensemble_q", "ensemble_p_gaussian",
        "ensemble_p_max", "ranked_score", "ranked_p", "ranked_q", "theme",
    ]  # fmt: skip
    e, r = study.ensemble, study.ranked
    rows = []
    for i in np.lexsort((e.p_gaussian, e.p)):
        row: list[object] = [study.library.name, e.names[i], int(study.sets.sizes[i])]
        for name in lists:
            o = study.over[name]
            row += [int(o.overlap[i]), o.factor[i], o.p[i], o.q[i]]
        row += [e.score[i], e.z[i], e.p[i], e.q[i], e.p_gaussian[i], e.p_max[i]]
        row += [r.score[i], r.p[i], r.q[i], theme.get(e.names[i])]
        rows.append(row)
    return table_text(columns, rows)


def list_terms_tsv(results: Mapping[str, OraResult]) -> str:
    """One row a list and set, each list from smallest P."""
    columns = ("list", "library", "term", "overlap", "size", "factor", "p", "q")
    rows = [
        (name, r.library, r.names[i], r.overlap[i], r.set_size[i], r.factor[i], r.p[i], r.q[i])
        for name, r in results.items()
        for i in r.order()
    ]
    return table_text(columns, rows)


def regulators_tsv(found: SignedRegulators) -> str:
    """One row a regulator, from smallest P, with the targets that move as its mode says."""
    order = np.argsort(found.p, kind="stable")
    rows = [
        (found.factors[i], found.consistent[i], found.opposed[i], found.p[i], found.q[i])
        for i in order
    ]
    return table_text(("regulator", "consistent", "opposed", "p", "q"), rows)


def left_out_tsv(reasons: Mapping[str, str]) -> str:
    """Regions that take no part, with the reason."""
    return table_text(("region", "reason"), reasons.items())


def components_json(study: AssociationStudy) -> dict[str, object]:
    """Components, nulls and smoothness, for a JSON file."""
    return {
        "map_regions": len(study.data.regions),
        "genes": len(study.data.genes),
        "explained_variance": study.model.explained_variance,
        "p_component": list(study.component_p),
        "weight_convention": study.model.convention,
        "nulls": [
            {"method": c.method, "p": c.p, "maps": len(c.null_r2)} for c in study.comparisons
        ],
        "null_quality": [
            {
                "block": q.block,
                "regions": q.n_regions,
                "moran_ratio": q.moran_ratio,
                "variogram_error": q.variogram_error,
            }
            for q in study.nulls.quality
        ],
        "fitted_range_mm": study.fitted.range_mm,
        "seed": study.settings.seed,
    }


def degs_tsv(
    result: DifferentialExpression, published: Sequence[str], corrected: Sequence[str]
) -> str:
    """One row a gene, from smallest P, with what each rule takes."""
    f = result.fit
    chosen = (set(published), set(corrected))
    columns = (
        "gene", "baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj",
        "as_published", "corrected",
    )  # fmt: skip
    rows = [
        (
            result.genes[i], f.base_mean[i], f.log2_fold_change[i], f.lfc_se[i], f.stat[i],
            f.p[i], f.p_adjusted[i], *(str(result.genes[i] in rule).lower() for rule in chosen),
        )
        for i in np.argsort(np.nan_to_num(f.p, nan=2.0), kind="stable")
    ]  # fmt: skip
    return table_text(columns, rows)
