"""Slices of images with layers over them; each carries its millimetres and L and R.

All planes of a picture are laid side by side in one array and drawn at once: the drawing
library needs far longer for many small pictures than for a large one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import check_option
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.report.figures import COLOURS, bare_figure, paletted

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = ["Layer", "slices", "slices_figure", "window_in"]

MARGIN_MM = 8.0
"""Room around the image for the letters and millimetres."""

CELL_INCHES = 3.1
BAR_INCHES = 0.85
LEGEND_INCHES = 0.35

_COLUMNS = 3
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

    def __post_init__(self) -> None:
        check_option("kind", self.kind, ["map", "mask", "contour"])


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
        Where each plane is cut, along its normal; three in a row.
    planes
        From ``sagittal``, ``coronal``, ``axial``; with a single offset they share a row.
    spacing_mm
        Pixel size.
    window
        Black and white level; the 2nd and 99.5th percentile of the image if absent.

    Returns
    -------
    bytes
        PNG.
    """
    figure = slices_figure(
        background,
        layers,
        centre_mm=centre_mm,
        offsets_mm=offsets_mm,
        planes=planes,
        spacing_mm=spacing_mm,
        window=window,
    )
    return paletted(figure)


def slices_figure(
    background: Image,
    layers: Sequence[Layer] = (),
    *,
    centre_mm: Sequence[float] | None = None,
    offsets_mm: Sequence[float] = (0.0,),
    planes: Sequence[str] = ("sagittal", "coronal", "axial"),
    spacing_mm: float = 1.0,
    window: tuple[float, float] | None = None,
) -> MatplotlibFigure:
    """Draw what :func:`slices` draws, as a figure of matplotlib."""
    for plane in planes:
        check_option("plane", plane, _PLANES)
    background = _ready(background)
    layers = [replace(layer, image=_ready(layer.image)) for layer in layers]
    box = _bounding_box(background)
    centre = np.asarray(centre_mm if centre_mm is not None else box.mean(axis=0), dtype=float)
    mosaic = _Mosaic.lay(box, centre, planes, offsets_mm, spacing_mm)
    bars = [layer for layer in layers if layer.kind == "map" and layer.label]
    named = [layer for layer in layers if layer.kind != "map" and layer.label]
    figure, axis = _canvas(mosaic, len(bars), with_legend=bool(named))
    low, high = window if window is not None else _window(background)
    shown = mosaic.shown
    axis.imshow(mosaic.fill(background), cmap="gray", vmin=low, vmax=high, **shown)
    # A turned image does not fill its box: what lies beside it would float in the black.
    inside = mosaic.fill(Image(np.ones_like(background.data), background.affine)) > 0.5
    for layer in layers:
        _draw_layer(axis, layer, mosaic, inside)
    _letters(axis, mosaic)
    for place, layer in enumerate(bars):
        _colour_bar(figure, layer, place)
    _legend(figure, named)
    return figure


def _ready(image: Image) -> Image:
    """Lay an image out as the sampler wants it, once for all planes."""
    return Image(np.ascontiguousarray(image.data, dtype=np.float32), image.affine)


def _bounding_box(image: Image) -> npt.NDArray[np.float64]:
    """Lowest and highest corner, mm, of what is not exactly zero, with a margin."""
    kept = image.data != 0
    ends = []
    for axis, n in enumerate(kept.shape):
        seen = np.flatnonzero(kept.any(axis=tuple(k for k in range(3) if k != axis)))
        ends.append([seen[0], seen[-1]] if seen.size else [0, n - 1])
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1).T
    points = apply_affine(image.affine, corners)
    return np.array([points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM])


def window_in(
    values: npt.NDArray[np.floating], inside: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Black and white level by the 1st and 99.5th percentile inside a mask of the same shape.

    Scalp fat and marrow are brighter than any brain, and make it dark grey where they count.
    """
    kept = values[inside]
    if kept.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(kept, [1.0, 99.5])
    return float(low), float(max(high, low + 1e-6))


def _window(image: Image) -> tuple[float, float]:
    sample = np.asarray(image.data[::3, ::3, ::3], dtype=float)
    sample = sample[np.isfinite(sample) & (sample != 0)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(sample, [2.0, 99.5])
    return float(low), float(max(high, low + 1e-6))


@dataclass(frozen=True, eq=False)
class _Cell:
    """One plane: its name, where it cuts (mm), its pixels, and its corner in the mosaic."""

    plane: str
    at_mm: float
    grid: Grid
    row: int
    column: int

    @property
    def axis(self) -> int:
        return _PLANES[self.plane]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of pixels."""
        wide, high = (n for k, n in enumerate(self.grid.shape) if k != self.axis)
        return high, wide


@dataclass(frozen=True, eq=False)
class _Mosaic:
    """Planes side by side; the first row of pixels is at the bottom."""

    cells: tuple[_Cell, ...]
    size: tuple[int, int]
    cell_size: int

    @classmethod
    def lay(
        cls,
        box: npt.NDArray[np.float64],
        centre: npt.NDArray[np.float64],
        planes: Sequence[str],
        offsets_mm: Sequence[float],
        spacing_mm: float,
    ) -> _Mosaic:
        """Lay rows of one plane each, or one row of all planes where each is cut once."""
        cut = [
            [_plane(box, plane, centre[_PLANES[plane]] + offset, spacing_mm)
             for offset in offsets_mm]
            for plane in planes
        ]  # fmt: skip
        if len(offsets_mm) == 1:
            table = [[row[0] for row in cut]]
        else:
            table = [row[k : k + _COLUMNS] for row in cut for k in range(0, len(row), _COLUMNS)]
        heights = [max(cell.size[0] for cell in row) for row in table]
        widths = [max(cell.size[1] for cell in cells if cell) for cells in zip_longest(*table)]
        placed = [
            replace(
                cell,
                row=sum(heights[i + 1 :]) + (heights[i] - cell.size[0]) // 2,
                column=sum(widths[:j]) + (widths[j] - cell.size[1]) // 2,
            )
            for i, row in enumerate(table)
            for j, cell in enumerate(row)
        ]
        return cls(tuple(placed), (sum(heights), sum(widths)), max(*heights, *widths))

    def fill(self, image: Image) -> npt.NDArray[np.float32]:
        """Sample an image on every plane; shape of the picture."""
        pixels = np.zeros(self.size, np.float32)
        for cell in self.cells:
            high, wide = cell.size
            values = resample(image, cell.grid, how="linear")
            flat = np.squeeze(values, axis=cell.axis).T
            pixels[cell.row : cell.row + high, cell.column : cell.column + wide] = flat
        return np.nan_to_num(pixels)

    @property
    def shown(self) -> dict[str, object]:
        """How the drawing library shows the pixels."""
        extent = (0, self.size[1], 0, self.size[0])
        return {
            "origin": "lower", "interpolation": "nearest", "aspect": "auto", "extent": extent,
        }  # fmt: skip


def _plane(box: npt.NDArray[np.float64], plane: str, at_mm: float, spacing_mm: float) -> _Cell:
    shape = np.ceil((box[1] - box[0]) / spacing_mm).astype(int) + 1
    origin = box[0].copy()
    axis = _PLANES[plane]
    shape[axis], origin[axis] = 1, at_mm
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = origin
    return _Cell(plane, at_mm, Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine), 0, 0)


def _canvas(mosaic: _Mosaic, n_bars: int, *, with_legend: bool) -> tuple[MatplotlibFigure, Any]:
    """Return a black figure and an axis that fills what bars and legend leave of it."""
    high, wide = (CELL_INCHES * n / mosaic.cell_size for n in mosaic.size)
    legend = LEGEND_INCHES * with_legend
    size = (wide + BAR_INCHES * n_bars, high + legend)
    figure = bare_figure(figsize=size, facecolor="black")
    axis = figure.add_axes((0.0, legend / size[1], wide / size[0], high / size[1]))
    axis.set_axis_off()
    axis.set_xlim(0, mosaic.size[1])
    axis.set_ylim(0, mosaic.size[0])
    return figure, axis


def _draw_layer(axis: Any, layer: Layer, mosaic: _Mosaic, inside: npt.NDArray[np.bool_]) -> None:
    """Draw a layer where the background, `inside` of the shape of the picture, is."""
    from matplotlib.colors import ListedColormap

    values, shown = np.where(inside, mosaic.fill(layer.image), np.float32(0)), mosaic.shown
    if layer.kind == "map":
        drawn = np.ma.masked_where(np.abs(values) <= layer.hide_below, values)
        axis.imshow(drawn, cmap=layer.colour, vmin=layer.low, vmax=layer.high, alpha=0.8, **shown)
        return
    colour = COLOURS[layer.colour]
    if layer.kind == "mask":
        drawn = np.ma.masked_where(values < 0.5, np.ones_like(values))
        axis.imshow(drawn, cmap=ListedColormap([colour]), alpha=0.65, **shown)
    elif values.max() >= 0.5 > values.min():
        axis.contour(
            np.ma.masked_where(~inside, values), levels=[0.5], colors=[colour], linewidths=1.0,
            origin="lower", extent=shown["extent"],
        )  # fmt: skip


def _letters(axis: Any, mosaic: _Mosaic) -> None:
    """Write the place of every plane and the letters of its sides."""
    from matplotlib.patheffects import Normal, Stroke

    outline = [Stroke(linewidth=2.5, foreground="black"), Normal()]
    for cell in mosaic.cells:
        for x, y, text in _texts(cell):
            axis.text(
                cell.column + x * cell.size[1], cell.row + y * cell.size[0], text,
                color="white", fontsize=9, path_effects=outline, ha="center",
                va="bottom" if y == 0 else "center",
            )  # fmt: skip


def _texts(cell: _Cell) -> Iterator[tuple[float, float, str]]:
    """Yield what is written into a plane, with its place as shares of the plane's sides."""
    yield 0.5, 0.0, f"{'xyz'[cell.axis]} = {cell.at_mm:.0f} mm"
    low, high = "PA" if cell.plane == "sagittal" else "LR"
    yield 0.035, 0.5, low
    yield 0.965, 0.5, high


def _colour_bar(figure: MatplotlibFigure, layer: Layer, place: int) -> None:
    """Draw the colour bar of a map right of the planes and of the bars before it."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    wide = float(figure.get_size_inches()[0])
    planes = figure.axes[0].get_position()
    left = planes.x1 + (place * BAR_INCHES + 0.08) / wide
    beside = figure.add_axes(
        (left, planes.y0 + 0.15 * planes.height, 0.14 / wide, 0.7 * planes.height)
    )
    mappable = ScalarMappable(Normalize(layer.low, layer.high), cmap=layer.colour)
    bar = figure.colorbar(mappable, cax=beside)
    bar.set_label(layer.label, color="white", fontsize=9)
    bar.ax.tick_params(colors="white", labelsize=8)


def _legend(figure: MatplotlibFigure, named: Sequence[Layer]) -> None:
    from matplotlib.lines import Line2D

    if not named:
        return
    handles = [Line2D([], [], color=COLOURS[x.colour], lw=3, label=x.label) for x in named]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), frameon=False,
        labelcolor="white", fontsize=9, borderaxespad=0.2,
    )  # fmt: skip
