"""Pictures over contrasts: regional t and scores on slices, their scatter, terms, blood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from falx.genes.sets.joint import JointEnrichment
from falx.genes.sets.ora import OraResult
from falx.images.nifti import Image
from falx.report.figures import BLUE, GREY, INK, ORANGE, new_figure
from falx.report.strips import sentence_figure, strip
from falx.studies.genes.together import ContrastGenes, Together

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = [
    "blood_figure",
    "joint_figure",
    "painted",
    "score_figure",
    "terms_of",
]

N_TERMS = 8


def painted(labels: Image, values: Mapping[int, float]) -> Image:
    """Give every voxel of a label volume the value of its region; NaN without one."""
    table = np.full(int(labels.data.max()) + 1, np.nan)
    for label, value in values.items():
        table[label] = value
    return Image(table[np.clip(labels.data.astype(np.int64), 0, None)], labels.affine)


def score_figure(found: Together, labels: Image, numbers: Mapping[str, int]) -> MatplotlibFigure:
    """Regional t, scores of the first component, and one against the other, a row a contrast.

    Parameters
    ----------
    numbers
        Name of a region to its label in the volume.
    """
    rows = list(found.contrasts.items())
    figure = new_figure(7.5, 1.6 * len(rows) + 0.4)
    grid = figure.subplots(len(rows), 3, squeeze=False, width_ratios=(3, 3, 1.7))
    for (title, one), (left, middle, right) in zip(rows, grid, strict=True):
        data, score = one.study.data, one.study.model.scores[:, 0]
        for axis, values, name in ((left, data.values, "mean t"), (middle, score, "score, PLS 1")):
            of = {numbers[r]: float(v) for r, v in zip(data.regions, values, strict=True)}
            limit = float(np.abs(values).max())
            drawn = strip(axis, painted(labels, of), limit)
            _colours(figure, drawn, axis, name)
        left.set_title(title, fontsize=9, loc="left")
        _scatter(right, one)
    return figure


def _scatter(axis: Any, one: ContrastGenes) -> None:
    score, values = one.study.model.scores[:, 0], one.study.data.values
    r = float(np.corrcoef(score, values)[0, 1])
    axis.scatter(values, score, s=9, c=BLUE, linewidths=0)
    slope, start = np.polyfit(values, score, 1)
    ends = np.array([values.min(), values.max()])
    axis.plot(ends, start + slope * ends, color=INK, linewidth=0.8)
    p = one.study.component_p[0]
    axis.set_title(f"r = {r:.2f}, spatial P = {p:.2g}", fontsize=8)
    axis.set_xlabel("mean t of the region", fontsize=8)
    axis.set_ylabel("score (sum of z)", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def joint_figure(joint: Sequence[JointEnrichment], titles: Sequence[str]) -> MatplotlibFigure:
    """Heat map of the best terms of every library over contrasts; a star: q < .05 together."""
    best = [(one, int(i)) for one in joint for i in np.argsort(one.p, kind="stable")[:N_TERMS]]
    if not best:
        return sentence_figure("Terms are joined where two contrasts and gene sets are given.")
    names = [
        _short(one.names[i]) + _stars(float(one.q[i]), float(one.q_both[i])) for one, i in best
    ]
    z = np.array([one.z[i] for one, i in best])
    limit = max(3.0, float(np.abs(z).max()))
    figure = new_figure(7.5, 1.4 + 0.24 * len(best))
    axis = figure.subplots()
    drawn = axis.imshow(z, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    axis.set_xticks(range(len(titles)), titles, rotation=20, ha="right", fontsize=8)
    axis.set_yticks(range(len(best)), names, fontsize=7.5)
    _colours(figure, drawn, axis, "mean correlation\n(SD of null maps)")
    return figure


def _colours(figure: MatplotlibFigure, drawn: Any, axis: Any, name: str) -> None:
    """Add the scale of colours, in the size of the other words."""
    bar = figure.colorbar(drawn, ax=axis, shrink=0.8)
    bar.set_label(name, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def blood_figure(found: Together) -> MatplotlibFigure:
    """Best terms of the first contrast beside those of blood, a row a library."""
    title, first = next(iter(found.contrasts.items()))
    libraries = [one for one in first.sets if found.blood.get(one.library.name)]
    if not libraries:
        return sentence_figure("No blood genes were given, or none of them changed.")
    figure = new_figure(7.5, 0.8 + 2.0 * len(libraries))
    grid = figure.subplots(len(libraries), 2, squeeze=False)
    for row, one in zip(grid, libraries, strict=True):
        e = one.ensemble
        order = np.lexsort((e.p_gaussian, e.p))[:N_TERMS]
        _bars(row[0], [e.names[i] for i in order], e.p[order], e.q[order])
        row[0].set_title(f"{title}: {one.library.name}, ensemble null", fontsize=8.5, loc="left")
        of_blood = found.blood[one.library.name]["changed"]
        best = of_blood.order()[:N_TERMS]
        _bars(row[1], [of_blood.names[i] for i in best], of_blood.p[best], of_blood.q[best])
        row[1].set_title(f"blood: {one.library.name}, changed genes", fontsize=8.5, loc="left")
    return figure


def _bars(axis: Any, names: Sequence[str], p: Any, q: Any) -> None:
    colours = [ORANGE if one < 0.05 else GREY for one in q[::-1]]
    height = -np.log10(np.maximum(p[::-1], 1e-300))
    axis.barh(range(len(names)), height, color=colours)
    axis.set_yticks(range(len(names)), [_short(name, 30) for name in names[::-1]], fontsize=7)
    axis.set_xlabel("-log10 P (orange: q < 0.05)", fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _stars(q: float, q_every: float) -> str:
    return f"{' *' if q < 0.05 else ''}{' **' if q_every < 0.05 else ''}"


def _short(text: str, n: int = 48) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"


def terms_of(result: OraResult) -> list[tuple[object, ...]]:
    """Rows of the best terms of one list: term, overlap, genes, factor, P and q."""
    return [
        (result.names[i], int(result.overlap[i]), int(result.set_size[i]),
         float(result.factor[i]), float(result.p[i]), float(result.q[i]))
        for i in result.order()[:15]
    ]  # fmt: skip
