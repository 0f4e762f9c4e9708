"""One printed page for the conference: the plan in words, in pictures and in numbers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from falx import __version__
from falx.report.figures import GREY, INK, bare_figure
from falx.report.page import RESEARCH_NOTICE
from falx.studies.plan.records import PlanDocument
from falx.studies.plan.words import (
    compromise_rows,
    made_words,
    plan_words,
    probability_rows,
    score_rows,
    trade_off_rows,
)

__all__ = ["plan_sheet", "sheet_figure"]

A4_INCHES = (8.27, 11.69)
PICTURE_WIDTH = 0.7
FOOT = 0.112
WIDEST = 64
"""Letters of a first cell beside others."""

LINE = 0.0135
"""Height of a line of text, in heights of the page."""


def plan_sheet(document: PlanDocument, pictures: Sequence[bytes]) -> bytes:
    """Return a PDF of one A4 page; the same document gives the same bytes.

    Parameters
    ----------
    document
        A plan file's content.
    pictures
        PNGs of the planes.
    """
    stream = io.BytesIO()
    figure = sheet_figure(document, pictures)
    figure.savefig(stream, format="pdf", metadata={"CreationDate": None, "Producer": None})
    return stream.getvalue()


def sheet_figure(document: PlanDocument, pictures: Sequence[bytes]) -> Any:
    """Return the page as a matplotlib figure; every sentence and number is that of the HTML."""
    figure = bare_figure(figsize=A4_INCHES)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.text(
        0.07, 0.955, f"Laser plan{document.target.title}", fontsize=20, weight="bold", color=INK
    )
    axis.text(0.93, 0.957, document.label, fontsize=13, ha="right", color=INK)
    y = _paragraph(axis, 0.93, plan_words(document), size=10.5)
    for picture in pictures:
        y = _picture(figure, picture, y)
    if document.chosen is not None:
        rows = probability_rows(document.chosen, document)
        y = _table(axis, y, [*rows, *score_rows(document.chosen, document)])
    else:
        y = _table(axis, y, trade_off_rows(document), last=0.86)
        y = _table(axis, y, compromise_rows(document))
    expected = document.expected.sentences if document.expected else ()
    said = " ".join([*expected, made_words(document)]).strip()
    y = min(_paragraph(axis, y, said, size=9), FOOT)
    foot = " ".join([RESEARCH_NOTICE, *document.notices, f"Falx {__version__}."])
    axis.plot((0.07, 0.93), (y, y), color=GREY, linewidth=0.6)
    _paragraph(axis, y - LINE / 2, foot, size=7.5, colour=GREY)
    return figure


def _paragraph(axis: Any, y: float, text: str, *, size: float, colour: str = INK) -> float:
    """Write wrapped text below `y` and return where the next block starts."""
    lines = textwrap.wrap(text, width=int(960 / size))
    height = LINE * size / 9
    for line in lines:
        y -= height
        axis.text(0.07, y, line, fontsize=size, color=colour)
    return y - height * 0.6


def _picture(figure: Any, picture: bytes, y: float) -> float:
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(picture))
    rows, columns = pixels.shape[:2]
    height = PICTURE_WIDTH * A4_INCHES[0] / A4_INCHES[1] * rows / columns
    axis = figure.add_axes((0.07, y - height, PICTURE_WIDTH, height))
    axis.imshow(pixels, interpolation="antialiased")
    axis.set_axis_off()
    return float(y - height - LINE / 2)


def _table(
    axis: Any, y: float, rows: Sequence[tuple[str, str | None, str | None]], *, last: float = 0.76
) -> float:
    """Write rows of three cells below `y`, the third at `last`; only a first cell may be long."""
    for what, value, limit in rows:
        y -= LINE * 1.15
        if y < FOOT + 2 * LINE:
            axis.text(0.07, y, "… more of this stands on the page", fontsize=9.5, color=INK)
            return y - LINE
        lines = textwrap.wrap(what, width=WIDEST) if value else [what]
        for x, text, weight in ((0.07, lines[0], "normal"), (0.62, value, "bold"),
                                (last, limit, "normal")):  # fmt: skip
            axis.text(x, y, "–" if text is None else text, fontsize=9.5, weight=weight, color=INK)
        for line in lines[1:]:
            y -= LINE
            axis.text(0.09, y, line, fontsize=9.5, color=INK)
        axis.plot((0.07, 0.93), (y - LINE * 0.35,) * 2, color="#d8dde6", linewidth=0.5)
    return y - LINE
