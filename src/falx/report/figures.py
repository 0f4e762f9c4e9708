"""Figures that belong to nobody, as bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from falx.core.errors import extra_library

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

__all__ = [
    "BLUE",
    "COLOURS",
    "CYAN",
    "GREY",
    "INK",
    "ORANGE",
    "bare_figure",
    "new_figure",
    "paletted",
    "png",
    "svg",
]

# Orange and cyan can be told apart with any colour vision, unlike red and green.
ORANGE, CYAN, BLUE, YELLOW = "#f28e2b", "#17b3c9", "#2f6db5", "#f2d02b"
INK, GREY = "#1b2330", "#8a94a3"

COLOURS: Mapping[str, str] = {
    "orange": ORANGE, "cyan": CYAN, "ink": INK, "grey": GREY, "blue": BLUE, "yellow": YELLOW,
}  # fmt: skip
"""Colours by the names that a layer of a picture gives."""


def new_figure(width: float = 8.0, height: float = 4.0, **options: Any) -> MatplotlibFigure:
    """Return a matplotlib figure that belongs to nobody: no global state, no display."""
    return bare_figure(figsize=(width, height), layout="constrained", **options)


def bare_figure(**options: Any) -> MatplotlibFigure:
    """Return a figure of matplotlib as that makes it.

    Raises
    ------
    InputError
        If matplotlib is not installed. With its fonts and Pillow it takes 99 of 580 MB, and
        nothing but pictures needs it, so that it is an extra of the installation.
    """
    matplotlib = extra_library("matplotlib.figure", extra="pages", does="pictures are drawn")
    figure: MatplotlibFigure = matplotlib.Figure(**options)
    return figure


def png(figure: MatplotlibFigure, *, dpi: int = 110) -> bytes:
    """Return a figure as PNG bytes, equal for equal figures."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def paletted(figure: MatplotlibFigure, *, dpi: int = 110) -> bytes:
    """Return a figure as a PNG with 256 colours of its own, which takes a third of the room.

    Colours are chosen to cover what is there, however rare: with those of the most pixels, a
    colour bar loses its ends.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image as Picture

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    stream = io.BytesIO()
    picture = Picture.fromarray(pixels).convert("RGB")
    few = picture.quantize(256, Picture.Quantize.MAXCOVERAGE, dither=Picture.Dither.NONE)
    few.save(stream, "png", optimize=True)
    return stream.getvalue()


def svg(figure: MatplotlibFigure) -> bytes:
    """Return a figure as SVG bytes, equal for equal figures.

    Without a salt of our own, names of what is clipped are drawn anew in every process.
    """
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "falx"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
