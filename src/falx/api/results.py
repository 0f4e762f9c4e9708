"""What every public result can do: print itself in a few lines, and draw itself."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from falx.report.figures import new_figure, png
from falx.report.page import format_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Result", "drawn", "new_drawing", "percent"]


class Result:
    """A result that prints itself, in a terminal and in a notebook.

    Classes name their `title` and yield their facts, what and value with its unit, from
    :meth:`_facts`.
    """

    title = "result"

    def _facts(self) -> Sequence[tuple[str, object]]:
        raise NotImplementedError

    def _heading(self) -> str:
        return self.title

    def _lines(self) -> list[tuple[str, str]]:
        notices = [("notice", text) for text in getattr(self, "notices", ())]
        return [(what, format_number(value)) for what, value in self._facts()] + notices

    def __repr__(self) -> str:
        """Return a heading and one line a fact."""
        lines = self._lines()
        width = max((len(what) for what, _ in lines), default=0)
        return "\n".join(
            [self._heading(), *(f"  {what.ljust(width)}  {text}" for what, text in lines)]
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(what)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for what, text in self._lines()
        )
        return f"<table><caption>{html.escape(self._heading())}</caption>{rows}</table>"

    def plot(self) -> Figure:
        """Draw the result as a figure of matplotlib."""
        raise NotImplementedError


def drawn(figure: Figure) -> Figure:
    """Return a figure that a notebook shows, although it belongs to no window."""
    show: Callable[[], bytes] = lambda: png(figure)  # noqa: E731 - an attribute, not a name
    figure._repr_png_ = show  # type: ignore[attr-defined]
    return figure


def new_drawing(width: float = 6.0, height: float = 4.0) -> tuple[Figure, Any]:
    """Return an empty figure that a notebook shows, and its axes."""
    figure = drawn(new_figure(width, height))
    return figure, figure.subplots()


def percent(share: float | None) -> str:
    """Return a share in percent, a dash for none.

    Examples
    --------
    >>> percent(0.3979), percent(None)
    ('39.8 %', '–')
    """
    return "–" if share is None else f"{100 * share:.1f} %"
