"""Pictures of the genes report, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from falx.genes.association_study import AssociationStudy
from falx.genes.blood.differential import DifferentialExpression, Selection
from falx.genes.network.analysis import layout
from falx.genes.network.interactions import Network, make_network
from falx.genes.network.mcode import Module
from falx.genes.sets.library import Origin
from falx.genes.sets.ora import OraResult
from falx.genes.sets.themes import Themes, theme_network
from falx.genes.tables import Joined
from falx.report.figures import BLUE, GREY, INK, ORANGE, new_figure, png, svg

__all__ = [
    "heat_map",
    "map_figure",
    "network_figure",
    "null_figure",
    "term_bars",
    "theme_figure",
    "volcano",
    "weight_figure",
]

N_NAMED = 12
"""Genes of a volcano that are named."""

VIEWS = (("left–right", 0, "front–back", 1), ("front–back", 1, "up–down", 2))
PALETTE = ("#2f6db5", "#f28e2b", "#17b3c9", "#8f5fbf", "#3f9c55", "#d1495b", "#8a94a3", "#b58900")


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def map_figure(data: Joined) -> bytes:
    """Regional values at their centroids, from above and from the side."""
    figure = new_figure(8.0, 3.2)
    largest = float(np.abs(data.values).max())
    xyz = data.positions.centroids_mm
    axes = figure.subplots(1, 2)
    for axis, (name_a, a, name_b, b) in zip(axes, VIEWS, strict=True):
        drawn = axis.scatter(
            xyz[:, a], xyz[:, b], c=data.values, cmap="PuOr_r", vmin=-largest, vmax=largest,
            s=32, edgecolors=INK, linewidths=0.3,
        )  # fmt: skip
        axis.set(xlabel=f"{name_a}, mm", ylabel=f"{name_b}, mm", aspect="equal")
        _plain(axis)
    figure.colorbar(drawn, ax=axes, label="map")
    return svg(figure)


def null_figure(study: AssociationStudy) -> bytes:
    """Histograms of explained variance under every null, and the map's own."""
    figure = new_figure(8.0, 3.0)
    axis = figure.subplots()
    bins = np.linspace(0, 1, 51).tolist()
    for comparison, colour in zip(study.comparisons, PALETTE, strict=False):
        axis.hist(comparison.null_r2, bins, histtype="step", color=colour,
                  label=f"{comparison.method}, P = {comparison.p:.3g}")  # fmt: skip
    axis.axvline(float(study.model.explained_variance[0]), color=INK)
    axis.set(xlabel="explained variance of component 1", ylabel="null maps")
    axis.legend(frameon=False)
    _plain(axis)
    return svg(figure)


def weight_figure(study: AssociationStudy) -> bytes:
    """Bootstrap Z against correlation; genes at spatial q < 0.05 in colour."""
    figure = new_figure(6.0, 3.6)
    axis = figure.subplots()
    found = study.genes.q < 0.05
    colour = np.where(found, ORANGE, GREY)
    axis.scatter(study.genes.r, study.weights.z, c=colour, s=4, linewidths=0)
    axis.set(xlabel="correlation with the map", ylabel="bootstrap Z of the weight")
    _plain(axis)
    # Thousands of dots: as a picture they are a tenth of the size of drawn shapes.
    return png(figure)


def _short(text: str, n: int = 60) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"


def term_bars(result: OraResult, *, n_terms: int = 15) -> bytes:
    """Bars of -log10 P of the best terms; those at q < 0.05 in colour."""
    rows = result.order()[:n_terms][::-1]
    figure = new_figure(8.0, 0.6 + 0.26 * len(rows))
    axis = figure.subplots()
    height = -np.log10(np.maximum(result.p[rows], 1e-300))
    colour = [BLUE if result.q[i] < 0.05 else GREY for i in rows]
    axis.barh([_short(result.names[i]) for i in rows], height, color=colour)
    axis.set_xlabel("-log10 P (blue: q < 0.05)")
    _plain(axis)
    return svg(figure)


def _draw_network(network: Network, colour: dict[str, str], size: float, labels: bool) -> bytes:
    places = layout(network)
    figure = new_figure(7.0, 5.5)
    axis = figure.subplots()
    for a, b in network.edges():
        x, y = zip(places[a], places[b], strict=True)
        axis.plot(x, y, color=GREY, linewidth=0.5, zorder=1)
    names = list(places)
    xy = np.array([places[n] for n in names])
    fill = [colour.get(n, GREY) for n in names]
    axis.scatter(xy[:, 0], xy[:, 1], c=fill, s=size, zorder=2, linewidths=0)
    if labels:
        for name, place in places.items():
            axis.annotate(
                _short(name, 28), place, xytext=(0, 5), textcoords="offset points", fontsize=7.5,
                ha="center", va="bottom", zorder=3,
            )  # fmt: skip
    axis.set_axis_off()
    return svg(figure)


def theme_figure(themes: Themes) -> bytes:
    """Terms joined where they share genes, coloured by theme."""
    network = theme_network(themes)
    loops = [(term, term) for term, _ in network.nodes]
    pairs = [(a, b) for a, b, _ in network.edges]
    colour = {term: PALETTE[number % len(PALETTE)] for term, number in network.nodes}
    if not pairs:
        # Themes of one term each: draw the terms alone.
        alone = {term: frozenset[str]() for term, _ in loops}
        return _draw_network(Network(alone, Origin("themes")), colour, 40.0, labels=True)
    joined = make_network(pairs, Origin("themes"))
    whole = dict(joined.neighbours) | {
        term: frozenset[str]() for term, _ in loops if term not in joined.neighbours
    }
    return _draw_network(Network(whole, joined.origin), colour, 40.0, labels=len(whole) <= 60)


def network_figure(network: Network, modules: Sequence[Module], *, n_modules: int = 8) -> bytes:
    """Genes of the best modules, coloured by module."""
    shown = modules[:n_modules]
    genes = {gene for module in shown for gene in module.nodes}
    colour = {
        gene: PALETTE[i % len(PALETTE)]
        for i, module in reversed(list(enumerate(shown)))
        for gene in module.nodes
    }
    part = network.induced(genes)
    return _draw_network(part, colour, 30.0, labels=len(genes) <= 80)


def volcano(result: DifferentialExpression, corrected: Selection) -> bytes:
    """Fold change against P; genes of the corrected rule in colour, the published cut as lines."""
    figure = new_figure(6.0, 4.0)
    axis = figure.subplots()
    fit = result.fit
    known = np.isfinite(fit.p)
    taken = np.isin(np.array(result.genes), corrected.genes)[known]
    height = -np.log10(np.maximum(fit.p[known], 1e-300))
    axis.scatter(fit.log2_fold_change[known], height, s=4, linewidths=0,
                 c=np.where(taken, ORANGE, GREY))  # fmt: skip
    names = [gene for gene, here in zip(result.genes, known, strict=True) if here]
    first = [i for i in np.argsort(-height, kind="stable")[:N_NAMED] if taken[i]]
    for i in first:
        axis.annotate(
            names[i], (fit.log2_fold_change[known][i], height[i]), xytext=(3, 2),
            textcoords="offset points", fontsize=7,
        )  # fmt: skip
    for x in (-1.0, 1.0):
        axis.axvline(x, color=INK, linewidth=0.5, linestyle=":")
    axis.axhline(-np.log10(0.05), color=INK, linewidth=0.5, linestyle=":")
    axis.set(
        xlabel=f"log2 fold change, {result.contrast[0]} over {result.contrast[1]}",
        ylabel="-log10 P",
    )
    _plain(axis)
    return png(figure)


def heat_map(result: DifferentialExpression, *, n_genes: int = 40) -> bytes:
    """Row-standardised log counts of the genes of smallest P, alike genes side by side.

    Samples stand by group, alike ones of a group side by side; the group is written below.
    """
    order = np.argsort(np.nan_to_num(result.fit.p, nan=2.0), kind="stable")[:n_genes]
    logs = np.log2(result.normalised[order] + 1.0)
    spread = logs.std(axis=1, keepdims=True)
    z = (logs - logs.mean(axis=1, keepdims=True)) / np.where(spread == 0, 1.0, spread)
    groups = result.groups or ("",) * len(result.samples)
    rows, columns = _alike(z), []
    for group in (*result.contrast[::-1], *sorted(set(groups) - set(result.contrast))):
        members = np.array([i for i, g in enumerate(groups) if g == group], dtype=np.intp)
        columns += [int(members[i]) for i in _alike(z[:, members].T)]
    figure = new_figure(2.0 + 0.3 * len(columns), 1.4 + 0.17 * len(rows))
    axis = figure.subplots()
    drawn = axis.imshow(
        z[np.ix_(rows, columns)], cmap="PuOr_r", vmin=-2.5, vmax=2.5, aspect="auto"
    )
    labels = [f"{result.samples[i]}  {groups[i]}".strip() for i in columns]
    axis.set_xticks(range(len(columns)), labels, rotation=90, fontsize=7)
    axis.set_yticks(range(len(rows)), [result.genes[order[i]] for i in rows], fontsize=7)
    for edge in range(1, len(columns)):
        if groups[columns[edge]] != groups[columns[edge - 1]]:
            axis.axvline(edge - 0.5, color=INK, linewidth=1.2)
    figure.colorbar(drawn, label="SD from the gene's mean")
    return svg(figure)


def _alike(table: npt.NDArray[np.float64]) -> list[int]:
    """Rows in the order of a tree of average linkage, so that alike rows are neighbours."""
    if len(table) < 3:
        return list(range(len(table)))
    tree = scipy.cluster.hierarchy.linkage(table, "average", optimal_ordering=True)
    return [int(i) for i in scipy.cluster.hierarchy.leaves_list(tree)]
