"""Maps on axial slices side by side, in any format of matplotlib, for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.data.priors import template
from falx.images.nifti import Image
from falx.report.figures import GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = ["sentence_figure", "strip"]

HEIGHTS_MM = (-40.0, -28.0, -10.0, 8.0, 28.0, 48.0)


def strip(axis: Any, image: Image, limit: float, *, threshold: float = 0.0) -> Any:
    """Draw axial slices of a map side by side in one axis, left on the left; return what is drawn.

    Parameters
    ----------
    image
        Values; NaN and those nearer to zero than `threshold` are not drawn.
    limit
        Of the colours, which are symmetric about zero.
    """
    brain, drawn = template("brain"), None
    width = 0.0
    for z_mm in HEIGHTS_MM:
        flat, (x0, x1, y0, y1) = _axial(image, z_mm)
        inside, box = _axial(brain, z_mm)
        step = width - min(x0, box[0])
        hidden = ~np.isfinite(flat) | (np.abs(flat) < threshold)
        drawn = axis.imshow(
            np.ma.masked_where(hidden, flat).T, origin="lower", cmap="RdBu_r", vmin=-limit,
            vmax=limit, extent=(x0 + step, x1 + step, y0, y1), interpolation="nearest",
        )  # fmt: skip
        axis.contour(
            inside.T, levels=[0.5], colors=[GREY], linewidths=0.6,
            extent=(box[0] + step, box[1] + step, box[2], box[3]),
        )  # fmt: skip
        middle = (box[0] + box[1]) / 2 + step
        axis.text(middle, min(y0, box[2]), f"{z_mm:g} mm", ha="center", va="top", fontsize=7)
        width += max(x1, box[1]) - min(x0, box[0]) + 6.0
    axis.set_xlim(0, width)
    axis.text(0, 0, "L", fontsize=8)
    axis.set_axis_off()
    return drawn


def _axial(
    image: Image, z_mm: float
) -> tuple[npt.NDArray[np.float64], tuple[float, float, float, float]]:
    """Plane nearest to a height, shape (x, y), and its borders in mm."""
    steps, origin = np.diag(image.affine)[:3], image.affine[:3, 3]
    k = int(np.clip(round((z_mm - origin[2]) / steps[2]), 0, image.data.shape[2] - 1))
    low = origin - steps / 2
    high = low + steps * np.array(image.data.shape[:3])
    flat = np.asarray(image.data[:, :, k], dtype=np.float64)
    return flat, (float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def sentence_figure(text: str) -> MatplotlibFigure:
    """Say in a picture why there is none."""
    figure = new_figure(7.0, 1.0)
    axis = figure.subplots()
    axis.text(0, 0.5, text)
    axis.set_axis_off()
    return figure
