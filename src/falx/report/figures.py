"""Pictures of images and numbers, as bytes; every slice carries its millimetres and L and R."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.images.resample import resample

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = ["COLOURS", "Layer", "new_figure", "png", "slices", "svg"]

# Orange and cyan can be told apart with any colour vision, unlike red and green.
COLOURS: Mapping[str, str] = {
    "orange": "#f28e2b",
    "cyan": "#17b3c9",
    "ink": "#1b2330",
    "grey": "#8a94a3",
    "blue": "#2f6db5",
    "yellow": "#f2d02b",
}

MARGIN_MM = 8.0
"""Room around the image for the letters and millimetres."""

_PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class Layer:
    """Something drawn over the background image.

    Parameters
    ----------
    image
        Any grid; it is resampled to the picture.
    kind
        ``"map"`` (coloured where ``|value| >= hide_below``), ``"mask"`` (filled) or
        ``"contour"`` (outline at one half).
    colour
        Key of :data:`COLOURS` for masks and contours, a matplotlib colour map for maps.
    low, high
        Range of the colour map.
    hide_below
        Values of a map nearer to zero than this are not drawn.
    label
        For the legend or the colour bar.
    """

    image: Image
    kind: str = "map"
    colour: str = "orange"
    low: float = 0.0
    high: float = 1.0
    hide_below: float = 0.0
    label: str = ""


def new_figure(width: float = 8.0, height: float = 4.0, **options: Any) -> MatplotlibFigure:
    """Return a matplotlib figure that belongs to nobody: no global state, no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", **options)


def png(figure: MatplotlibFigure, *, dpi: int = 110) -> bytes:
    """Return a figure as PNG bytes, equal for equal figures."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def paletted(content: bytes) -> bytes:
    """Return a PNG with 256 colours of its own, which takes a third less."""
    from PIL import Image as Picture

    stream = io.BytesIO()
    with Picture.open(io.BytesIO(content)) as picture:
        few = picture.convert("RGB").quantize(256, dither=Picture.Dither.NONE)
        few.save(stream, "png", optimize=True)
    return stream.getvalue()


def svg(figure: MatplotlibFigure) -> bytes:
    """Return a figure as SVG bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def slices(
    background: Image,
    layers: Sequence[Layer] = (),
    *,
    centre_mm: Sequence[float] | None = None,
    offsets_mm: Sequence[float] = (0.0,),
    planes: Sequence[str] = ("sagittal", "coronal", "axial"),
    spacing_mm: float = 1.0,
    window: tuple[float, float] | None = None,
) -> bytes:
    """Draw slices of an image with layers over it, left of the patient on the left.

    Parameters
    ----------
    background
        Grey-scale image, any grid.
    layers
        Drawn in order.
    centre_mm
        World point through which the planes run; the centre of the image if absent.
    offsets_mm
        One column of planes for every offset along the plane's normal.
    planes
        Rows, from ``sagittal``, ``coronal``, ``axial``.
    spacing_mm
        Pixel size.
    window
        Black and white level; the 2nd and 99.5th percentile of the image if absent.

    Returns
    -------
    bytes
        PNG.
    """
    background = _ready(background)
    layers = [replace(layer, image=_ready(layer.image)) for layer in layers]
    box = _bounding_box(background)
    centre = np.asarray(centre_mm if centre_mm is not None else box.mean(axis=0), dtype=float)
    low, high = window if window is not None else _window(background)
    rows, columns = len(planes), len(offsets_mm)
    if rows == 3 and columns == 1:
        rows, columns = 1, 3
    figure = new_figure(3.1 * columns, 3.1 * rows, facecolor="black")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    cuts = [(plane, offset) for plane in planes for offset in offsets_mm]
    for axis, (plane, offset) in zip(axes, cuts, strict=True):
        point = centre.copy()
        point[_PLANES[plane]] += offset
        grid = _plane_grid(box, plane, point, spacing_mm)
        _draw_plane(axis, grid, plane, point, background, (low, high), layers)
    _legend(figure, layers)
    return paletted(png(figure))


def _ready(image: Image) -> Image:
    """Lay an image out as the sampler wants it, once for all planes."""
    return Image(np.ascontiguousarray(image.data, dtype=np.float32), image.affine)


def _bounding_box(image: Image) -> npt.NDArray[np.float64]:
    shape = np.array(image.data.shape[:3]) - 1
    corners = np.array(np.meshgrid(*[[0, n] for n in shape])).reshape(3, -1).T
    points = apply_affine(image.affine, corners)
    return np.array([points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM])


def _window(image: Image) -> tuple[float, float]:
    sample = np.asarray(image.data[::3, ::3, ::3], dtype=float)
    sample = sample[np.isfinite(sample) & (sample != 0)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(sample, [2.0, 99.5])
    return float(low), float(max(high, low + 1e-6))


def _plane_grid(
    box: npt.NDArray[np.float64], plane: str, point: npt.NDArray[np.float64], spacing_mm: float
) -> Grid:
    shape = np.ceil((box[1] - box[0]) / spacing_mm).astype(int) + 1
    origin = box[0].copy()
    axis = _PLANES[plane]
    shape[axis], origin[axis] = 1, point[axis]
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = origin
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _flat(image: Image, grid: Grid, plane: str, *, nearest: bool) -> npt.NDArray[Any]:
    values = resample(image, grid, how="nearest" if nearest else "linear")
    return np.asarray(np.squeeze(values, axis=_PLANES[plane]).T)


def _draw_plane(
    axis: Any,
    grid: Grid,
    plane: str,
    point: npt.NDArray[np.float64],
    background: Image,
    window: tuple[float, float],
    layers: Sequence[Layer],
) -> None:
    from matplotlib.patheffects import Normal, Stroke

    shown = {"origin": "lower", "interpolation": "nearest", "aspect": "equal"}
    axis.imshow(
        _flat(background, grid, plane, nearest=False),
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        **shown,
    )
    for layer in layers:
        _draw_layer(axis, layer, grid, plane, shown)
    axis.set_axis_off()
    name = "xyz"[_PLANES[plane]]
    text = {
        "color": "white",
        "fontsize": 9,
        "transform": axis.transAxes,
        "path_effects": [Stroke(linewidth=2.5, foreground="black"), Normal()],
    }
    axis.text(0.5, 0.01, f"{name} = {point[_PLANES[plane]]:.0f} mm", ha="center", **text)
    if plane != "sagittal":
        axis.text(0.02, 0.5, "L", va="center", **text)
        axis.text(0.95, 0.5, "R", va="center", **text)
    else:
        axis.text(0.02, 0.5, "P", va="center", **text)
        axis.text(0.95, 0.5, "A", va="center", **text)


def _draw_layer(axis: Any, layer: Layer, grid: Grid, plane: str, shown: dict[str, Any]) -> None:
    from matplotlib.colors import ListedColormap

    image = layer.image
    if layer.kind == "map":
        values = np.nan_to_num(_flat(image, grid, plane, nearest=False))
        drawn = np.ma.masked_where(np.abs(values) <= layer.hide_below, values)
        axis.imshow(drawn, cmap=layer.colour, vmin=layer.low, vmax=layer.high, alpha=0.8, **shown)
        return
    values = _flat(image, grid, plane, nearest=False)
    colour = COLOURS[layer.colour]
    if layer.kind == "mask":
        drawn = np.ma.masked_where(values < 0.5, np.ones_like(values))
        axis.imshow(drawn, cmap=ListedColormap([colour]), alpha=0.65, **shown)
    elif values.max() >= 0.5 > values.min():
        axis.contour(values, levels=[0.5], colors=[colour], linewidths=1.0)


def _legend(figure: MatplotlibFigure, layers: Sequence[Layer]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    for layer in layers:
        if layer.kind == "map" and layer.label:
            mappable = ScalarMappable(Normalize(layer.low, layer.high), cmap=layer.colour)
            bar = figure.colorbar(
                mappable, ax=figure.axes, orientation="vertical", fraction=0.02, pad=0.01
            )
            bar.set_label(layer.label, color="white", fontsize=9)
            bar.ax.tick_params(colors="white", labelsize=8)
    named = [layer for layer in layers if layer.kind != "map" and layer.label]
    if named:
        handles = [Line2D([], [], color=COLOURS[x.colour], lw=3, label=x.label) for x in named]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(handles),
            frameon=False,
            labelcolor="white",
            fontsize=9,
        )
