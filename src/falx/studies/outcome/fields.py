"""One layout of a result for the table of programs and the table of a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from falx.report.page import Table
from falx.studies.outcome.labels import p_text

__all__ = ["Field", "bound", "page_lines", "page_table", "percent", "rows_of", "span"]

T = TypeVar("T")


@dataclass(frozen=True)
class Field(Generic[T]):
    """One number of a result.

    Parameters
    ----------
    key
        Header in the table of programs; empty: not there.
    value
        Takes it from the result.
    heading
        Header on the page; ``None``: not there.
    shown
        Takes what the page shows, where that is another form of the number.
    interval, how
        Where the page has a line for each number: its interval, and what gave both.
    """

    key: str
    value: Callable[[T], object]
    heading: str | None = None
    shown: Callable[[T], object] | None = None
    interval: Callable[[T], str | None] | None = None
    how: Callable[[T], str] | None = None


def rows_of(
    fields: Sequence[Field[T]], results: Iterable[T]
) -> tuple[list[str], list[list[object]]]:
    """Return header and rows for programs; of no results, a remark."""
    kept = [field for field in fields if field.key]
    rows = [[field.value(result) for field in kept] for result in results]
    if not rows:
        return ["remark"], [["not computed; the warnings in the results say why"]]
    return [field.key for field in kept], rows


def page_table(fields: Sequence[Field[T]], results: Iterable[T], caption: str = "") -> Table:
    """Return the same results as a table of the page."""
    kept = [field for field in fields if field.heading is not None]
    rows = [[_cell(field, result) for field in kept] for result in results]
    return Table([str(field.heading) for field in kept], rows, caption)


def _cell(field: Field[T], result: T) -> object:
    """Return what the page shows; a probability under a heading of P has the digits of one."""
    if field.shown is not None:
        return field.shown(result)
    found = field.value(result)
    heading = str(field.heading)
    if isinstance(found, float) and (heading == "P" or heading.startswith("P ")):
        return p_text(found)
    return found


def page_lines(fields: Sequence[Field[T]], result: T) -> Table:
    """Return one result as a table of the page, a line a number."""
    rows: list[list[object]] = [
        [
            field.heading,
            _cell(field, result),
            field.interval and field.interval(result),
            field.how and field.how(result),
        ]
        for field in fields
        if field.heading is not None
    ]
    return Table(["", "value", "95 % interval", "how"], rows)


def span(
    low: float | None,
    high: float | None,
    digits: str = ".3f",
    *,
    factor: float = 1,
    unit: str = "",
) -> str | None:
    """Return an interval as text, times a factor, ``None`` where it is not known.

    Examples
    --------
    >>> span(0.25, 0.5), span(None, 0.5)
    ('0.250 to 0.500', None)
    """
    if low is None or high is None:
        return None
    told = f"{bound(factor * low, digits)} to {bound(factor * high, digits)}"
    return f"{told} {unit}" if unit else told


def bound(value: float, digits: str) -> str:
    """Return a limit as text; one that the data do not set is said in words."""
    return f"{value:{digits}}" if math.isfinite(value) else "no limit"


def percent(value: float | None) -> str | None:
    """Return a share as text with its unit.

    Examples
    --------
    >>> percent(0.7536), percent(None)
    ('75.4 %', None)
    """
    return None if value is None else f"{100 * value:.1f} %"
