"""Pictures of a group study: glass brain, montage, design, homogeneity."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from falx.data.priors import template
from falx.images.nifti import Image
from falx.report.figures import BLUE, CYAN, GREY, INK, ORANGE, new_figure, png
from falx.report.slices import Layer, slices
from falx.report.strips import sentence_figure, strip

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = [
    "contrast_figure",
    "design_figure",
    "glass_brain",
    "homogeneity_figure",
    "montage",
    "peak_planes",
    "values_figure",
]

AXIAL_MM = (-44.0, -28.0, -10.0, 8.0, 28.0, 48.0)
SYMMETRIC_MAP, RISING_MAP = "RdBu_r", "magma"


def glass_brain(image: Image, threshold: float, *, label: str = "t") -> bytes:
    """Draw the largest |value| along each axis, with its sign, over the template's outline; PNG.

    Parameters
    ----------
    threshold
        Values nearer to zero are left out.
    label
        Of the colour bar; an F map rises from zero.
    """
    brain = template("brain")
    low, high, colours = _range(image, threshold, label)
    figure = new_figure(9.0, 3.2)
    views = ((0, "from the right"), (1, "from behind, L left"), (2, "from above, L left"))
    for axis, (along, title) in zip(figure.subplots(1, 3), views, strict=True):
        outline = brain.data.max(axis=along).T
        axis.contour(outline, levels=[0.5], colors=[GREY], extent=_extent(brain, along))
        flat = np.take_along_axis(
            image.data, np.abs(image.data).argmax(axis=along, keepdims=True), axis=along
        )  # fmt: skip
        flat = flat.squeeze(along).T
        drawn = axis.imshow(
            np.ma.masked_where(np.abs(flat) < threshold, flat), origin="lower", cmap=colours,
            vmin=low, vmax=high, extent=_extent(image, along), interpolation="nearest",
        )  # fmt: skip
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.colorbar(drawn, ax=figure.axes, label=label, fraction=0.02)
    return png(figure)


def montage(image: Image, threshold: float, *, label: str = "t") -> bytes:
    """Draw axial planes of a map over the template; PNG."""
    return slices(
        template("t1"), [_layer(image, threshold, label)], centre_mm=(0.0, -18.0, 0.0),
        offsets_mm=AXIAL_MM, planes=("axial",), spacing_mm=1.5,
    )  # fmt: skip


def peak_planes(
    image: Image, threshold: float, point_mm: Sequence[float], *, label: str = "t"
) -> bytes:
    """Draw the three planes through a point; PNG."""
    layer = _layer(image, threshold, label)
    return slices(template("t1"), [layer], centre_mm=point_mm, spacing_mm=1.5)


def design_figure(matrix: npt.NDArray[np.float64], columns: Sequence[str]) -> bytes:
    """Draw a design matrix, shape (n, p), every column scaled to its range; PNG."""
    spread = np.ptp(matrix, axis=0)
    scaled = (matrix - matrix.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled[:, spread == 0] = 1.0
    figure = new_figure(1.5 + 0.8 * matrix.shape[1], 3.0)
    axis = figure.subplots()
    axis.imshow(scaled, aspect="auto", cmap="gray", interpolation="nearest")
    axis.set_xticks(range(matrix.shape[1]), columns, rotation=30, fontsize=8)
    axis.set_ylabel("person")
    return png(figure)


def homogeneity_figure(z: Mapping[str, float], groups: Mapping[str, str]) -> bytes:
    """Draw how alike each person's map is to all others, as z, coloured by group; PNG."""
    colours = _colours(groups.values())
    figure = new_figure(8.0, 2.4)
    axis = figure.subplots()
    for group, colour in colours.items():
        places = [k for k, subject in enumerate(z) if groups[subject] == group]
        heights = [list(z.values())[k] for k in places]
        axis.bar(places, heights, color=colour, label=group)
    axis.axhline(-3.0, color=INK, lw=1, ls="--")
    axis.set_xticks(range(len(z)), list(z), rotation=90, fontsize=7)
    axis.set_ylabel("z")
    axis.legend(frameon=False, fontsize=8, ncols=3)
    return png(figure)


def values_figure(values: Mapping[str, float], groups: Mapping[str, str]) -> bytes:
    """Draw a value of everybody beside the others of the group, with the group's mean; PNG."""
    figure = new_figure(6.0, 2.6)
    axis, spread = figure.subplots(), 0.25
    colours = _colours(groups.values())
    for place, (group, colour) in enumerate(colours.items()):
        own = np.array(sorted(v for subject, v in values.items() if groups[subject] == group))
        # Alternately left and right by rank, so that equal values stay apart.
        offsets = spread * ((np.arange(len(own)) * 0.618) % 1 - 0.5)
        axis.scatter(place + offsets, own, s=14, color=colour)
        axis.plot([place - 0.3, place + 0.3], [own.mean()] * 2, color=INK, lw=1.5)
    axis.set_xticks(
        range(len(colours)), [f"{g}, n = {list(groups.values()).count(g)}" for g in colours]
    )
    axis.set_xlim(-0.6, len(colours) - 0.4)
    axis.set_ylabel("mean of the cluster")
    return png(figure)


def _colours(groups: Iterable[str]) -> dict[str, str]:
    """Give every group a colour; from the fourth on they repeat."""
    return dict(zip(dict.fromkeys(groups), itertools.cycle((ORANGE, CYAN, BLUE)), strict=False))


def _range(image: Image, threshold: float, label: str) -> tuple[float, float, str]:
    """Limits of the colours and their map."""
    high = float(max(np.abs(image.data).max(), 1.2 * threshold, 1e-6))
    high = min(high, 3.0 * threshold) if threshold > 0 else high
    return (0.0, high, RISING_MAP) if label == "F" else (-high, high, SYMMETRIC_MAP)


def _layer(image: Image, threshold: float, label: str) -> Layer:
    low, high, colours = _range(image, threshold, label)
    return Layer(image, "map", colours, low, high, threshold, label)


def _extent(image: Image, along: int) -> tuple[float, float, float, float]:
    """Millimetres of the borders of an image seen along one axis."""
    half = np.diag(image.affine)[:3] / 2
    low = image.affine[:3, 3] - half
    high = low + np.diag(image.affine)[:3] * np.array(image.data.shape[:3])
    a, b = (k for k in range(3) if k != along)
    return float(low[a]), float(high[a]), float(low[b]), float(high[b])


def contrast_figure(rows: Sequence[tuple[str, Image, float]]) -> MatplotlibFigure:
    """Draw t maps on axial slices for a paper, a row each: title, map, and voxel threshold."""
    if not rows:
        return sentence_figure("No contrast of two groups was computed.")
    figure = new_figure(7.5, 1.9 * len(rows))
    for axis, (title, image, threshold) in zip(
        figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True
    ):
        limit = max(float(np.abs(image.data).max()), 1.2 * threshold)
        drawn = strip(axis, image, limit, threshold=threshold)
        axis.set_title(f"{title} (|t| > {threshold:.3f})", fontsize=9, loc="left")
        bar = figure.colorbar(drawn, ax=axis, shrink=0.8)
        bar.set_label("t", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure
