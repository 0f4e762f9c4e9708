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
BOTTOM = 0.025
FOOT_SIZE, SAID_SIZE = 7.5, 9.0
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
    expected = document.expected.sentences if document.expected else ()
    said = " ".join([*expected, made_words(document)]).strip()
    foot = " ".join([RESEARCH_NOTICE, *document.notices, f"Falx {__version__}."])
    line_y = BOTTOM + LINE / 2 + _height(foot, FOOT_SIZE)
    floor = line_y + _height(said, SAID_SIZE)
    if document.chosen is not None:
        rows = probability_rows(document.chosen, document)
        y, _ = _table(axis, y, [*rows, *score_rows(document.chosen, document)], floor)
    else:
        y, whole = _table(axis, y, trade_off_rows(document), floor, last=0.86)
        if whole:
            y, _ = _table(axis, y, compromise_rows(document), floor)
    _paragraph(axis, y, said, size=SAID_SIZE)
    axis.plot((0.07, 0.93), (line_y, line_y), color=GREY, linewidth=0.6)
    _paragraph(axis, line_y - LINE / 2, foot, size=FOOT_SIZE, colour=GREY)
    return figure


def _lines(text: str, size: float) -> list[str]:
    return textwrap.wrap(text, width=int(960 / size))


def _height(text: str, size: float) -> float:
    """How much of the page a paragraph takes, with the space behind it."""
    return (len(_lines(text, size)) + 0.6) * LINE * size / 9 if text else 0.0


def _paragraph(axis: Any, y: float, text: str, *, size: float, colour: str = INK) -> float:
    """Write wrapped text below `y` and return where the next block starts."""
    height = LINE * size / 9
    for line in _lines(text, size):
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
    axis: Any,
    y: float,
    rows: Sequence[tuple[str, str | None, str | None]],
    floor: float,
    *,
    last: float = 0.76,
) -> tuple[float, bool]:
    """Write rows of three cells between `y` and `floor`, the third at `last`.

    Only a first cell may be long. Rows that do not fit are said to stand on the page, and what
    is returned beside the end of the table is whether all did.
    """
    for n, (what, value, limit) in enumerate(rows):
        y -= LINE * 1.15
        if y < floor + (LINE if n == len(rows) - 1 else 3 * LINE):
            axis.text(0.07, y, "… more of this stands on the page", fontsize=9.5, color=INK)
            return y - LINE, False
        lines = textwrap.wrap(what, width=WIDEST) if value else [what]
        for x, text, weight in ((0.07, lines[0], "normal"), (0.62, value, "bold"),
                                (last, limit, "normal")):  # fmt: skip
            axis.text(x, y, "–" if text is None else text, fontsize=9.5, weight=weight, color=INK)
        for line in lines[1:]:
            y -= LINE
            axis.text(0.09, y, line, fontsize=9.5, color=INK)
        axis.plot((0.07, 0.93), (y - LINE * 0.35,) * 2, color="#d8dde6", linewidth=0.5)
    return y - LINE, True
