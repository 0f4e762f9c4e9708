"""Table one of any column: what kind it is, and its numbers or counts by outcome.

Numbers are compared by Welch's t where both groups pass the test of Shapiro and Wilk 1965, else by
Mann and Whitney's; categories by Fisher's exact test or chi-square, as Mo 2025 choose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from falx.clinical.contingency import association, cross_table
from falx.clinical.group_tests import Summary, mann_whitney, summarise, welch_t
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError, OptionError
from falx.core.possible import Probability
from falx.studies.outcome.cohort import Cohort
from falx.studies.outcome.sound import LEAST

__all__ = ["KINDS", "Described", "Level", "check_table_one", "describe"]

KINDS = ("number", "category")
MOST_LEVELS = 8
FEW_VALUES = 5
"""A column of at most so many different whole numbers is taken for codes."""


@dataclass(frozen=True)
class Level:
    """How many patients have one entry, by outcome."""

    name: str
    not_free: int
    free: int


@dataclass(frozen=True)
class Described:
    """A column of ``participants.tsv`` by outcome.

    `not_free` and `free` are there for numbers, `levels` for categories; `known` counts the
    patients with an entry (not free, free).
    """

    name: str
    kind: str
    known: tuple[int, int]
    p: Probability
    test: str
    not_free: Summary | None = None
    free: Summary | None = None
    levels: tuple[Level, ...] = ()


def check_table_one(columns: Sequence[str]) -> None:
    """Raise unless every entry is a header, alone or with ``:number`` or ``:category``."""
    for entry in columns:
        header, colon, kind = entry.rpartition(":")
        if colon and (kind not in KINDS or not header):
            raise OptionError(
                "a column of table one cannot be read",
                where="group.table_one",
                found=repr(entry),
                do="write a header, or a header with :number or :category behind it",
            )


def describe(
    cohort: Cohort, columns: Sequence[str] = ()
) -> tuple[tuple[Described, ...], tuple[str, ...]]:
    """Describe further columns of the table; all of them where none is named.

    Returns
    -------
    tuple
        What was described, and a sentence on each column that was not.

    Raises
    ------
    InputError
        If a named column is not in the table.
    """
    wanted = dict(_wanted(entry, cohort) for entry in columns) or dict.fromkeys(cohort.further, "")
    found, said = [], []
    for header, kind in wanted.items():
        try:
            found.append(_described(header, kind, cohort.further[header], cohort.seizure_free))
        except InputError as reason:
            said.append(f"Column {header} not described: {reason}")
    return tuple(found), tuple(said)


def _wanted(entry: str, cohort: Cohort) -> tuple[str, str]:
    header, kind = entry, ""
    if entry not in cohort.further and entry.rpartition(":")[2] in KINDS:
        header, _, kind = entry.rpartition(":")
    known = {name.casefold(): name for name in cohort.further}
    if header.casefold() not in known:
        raise InputError(
            f"the table has no further column {header!r}, which group.table_one names",
            where="participants.tsv",
            found=", ".join(cohort.further) or "none besides those that are always read",
            do="correct group.table_one",
        )
    return known[header.casefold()], kind


def _described(header: str, kind: str, cells: Sequence[str | None], free: Bools) -> Described:
    numbers = np.array([math.nan if cell is None else _number(cell) for cell in cells])
    there = np.array([cell is not None for cell in cells])
    kind = kind or _kind(numbers, there)
    keep = there & np.isfinite(numbers) if kind == "number" else there
    known = int(np.sum(keep & ~free)), int(np.sum(keep & free))
    if min(known) < LEAST:
        raise InputError(
            f"known for {known[1]} seizure-free and {known[0]} other patients; at least {LEAST} "
            "of each are needed"
        )
    if kind == "number":
        return _measured(header, numbers[keep], free[keep], known)
    return _counted(header, np.array([str(c) for c in cells])[keep], free[keep], known)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _kind(numbers: Floats, there: Bools) -> str:
    """Numbers are what reads as numbers throughout and is more than a handful of codes."""
    known = numbers[there]
    if not np.isfinite(known).all():
        return "category"
    values = np.unique(known)
    codes = len(values) <= FEW_VALUES and bool(np.all(values == np.round(values)))
    return "category" if codes else "number"


def _measured(name: str, x: Floats, free: Bools, known: tuple[int, int]) -> Described:
    first, second = x[~free], x[free]
    if np.ptp(x) == 0:
        raise InputError("the same value in every patient")
    normal = all(
        np.ptp(part) > 0 and scipy.stats.shapiro(part).pvalue > 0.05 for part in (first, second)
    )
    p = welch_t(first, second).p if normal else mann_whitney(first, second).p
    test = "Welch t" if normal else "Mann–Whitney"
    return Described(name, "number", known, p, test, summarise(first), summarise(second))


def _counted(name: str, cells: np.ndarray, free: Bools, known: tuple[int, int]) -> Described:
    levels = np.unique(cells)
    if len(levels) == 1:
        raise InputError("the same entry in every patient")
    if len(levels) > MOST_LEVELS:
        raise InputError(f"{len(levels)} different entries, more than a table can hold")
    table = cross_table(cells, free)
    test = association(table)
    counted = tuple(
        Level(str(level), int(row[0]), int(row[1]))
        for level, row in zip(levels, table, strict=True)
    )
    return Described(name, "category", known, test.p, test.method, levels=counted)
