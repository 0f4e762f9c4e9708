"""Who is in the groups: the tests of a paper's first table, as in Liu et al. 2024."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy

from falx.clinical.contingency import chi_square, fisher_exact
from falx.clinical.group_tests import mann_whitney, summarise
from falx.core.errors import InputError
from falx.core.participants import EXCLUDE, Participants
from falx.core.possible import Probability

__all__ = [
    "DemographicRow",
    "Demographics",
    "PersonMeasures",
    "compare_numbers",
    "compare_words",
    "demographics_of",
]

FACTORS = ("sex", "gender")
"""Columns of kinds, also where kinds are coded as numbers; others hold what they look like."""

MOST_WORDS = 5
"""A column of more words, as of names or remarks, is no factor."""

NORMAL = ("age",)
"""Numbers given as mean ± sd and compared by analysis of variance, as in Liu et al. 2024."""


SMOOTHNESS = "smoothness of the cleaned runs (FWHM), mm"
"""Geometric mean of the three axes, so that equal widths mean equal resels."""


@dataclass(frozen=True)
class PersonMeasures:
    """What the records of a person's stages say that is compared; each says a part of it.

    Parameters
    ----------
    residual_fwhm_mm
        Width of the noise that cleaning leaves, by axis.
    """

    tiv_ml: float | None = None
    mean_fd_mm: float | None = None
    residual_fwhm_mm: tuple[float, ...] | None = None
    excluded: bool = False


@dataclass(frozen=True)
class DemographicRow:
    """One variable: a text for every group, the test and its P."""

    variable: str
    cells: tuple[str, ...]
    test: str
    p: Probability | None


@dataclass(frozen=True)
class Demographics:
    """Names of the groups and a row for each variable."""

    groups: tuple[str, ...]
    rows: tuple[DemographicRow, ...]


def compare_numbers(
    variable: str, values: Sequence[Sequence[float]], *, normal: bool
) -> DemographicRow:
    """Compare a number between groups.

    Parameters
    ----------
    values
        Of every group; a group without any takes no part.
    normal
        Mean ± sd and one-way analysis of variance; otherwise median (quartiles) and
        Mann-Whitney for two groups, Kruskal-Wallis for more.
    """
    cells, known = [], [v for v in values if len(v) >= 2]
    for group in values:
        if len(group) < 2:
            cells.append("–")
            continue
        s = summarise(group)
        cells.append(
            f"{s.mean:.2f} ± {s.sd:.2f}" if normal else f"{s.median:.4g} ({s.q1:.4g}, {s.q3:.4g})"
        )
    if len(known) < 2 or np.ptp(np.concatenate(known)) == 0:
        return DemographicRow(variable, tuple(cells), "none: one group", None)
    if normal:
        return DemographicRow(
            variable,
            tuple(cells),
            "analysis of variance",
            float(scipy.stats.f_oneway(*known).pvalue),
        )
    if len(known) == 2:
        found = mann_whitney(*known)
        return DemographicRow(variable, tuple(cells), "Mann-Whitney", float(found.p))
    return DemographicRow(
        variable, tuple(cells), "Kruskal-Wallis", float(scipy.stats.kruskal(*known).pvalue)
    )


def compare_words(
    variable: str,
    groups: Sequence[str],
    words: Sequence[str],
    *,
    names: Sequence[str] | None = None,
) -> DemographicRow:
    """Compare counts: Pearson chi2, or Fisher's exact test where an expected count is below 5.

    Parameters
    ----------
    groups, words
        Of every person.
    names
        Groups in the order of the cells; those that occur if absent. A group in which
        nobody has a word takes no part.
    """
    shown = list(names) if names is not None else list(dict.fromkeys(groups))
    kinds = sorted(set(words))
    pairs = list(zip(groups, words, strict=True))
    table = {g: [pairs.count((g, w)) for w in kinds] for g in shown}
    cells = tuple("/".join(map(str, row)) if any(row) else "–" for row in table.values())
    counts = np.array([row for row in table.values() if any(row)])
    label = f"{variable} ({'/'.join(kinds)})"
    if len(kinds) < 2 or len(counts) < 2:
        reason = "none: one kind" if len(kinds) < 2 else "none: one group"
        return DemographicRow(label, cells, reason, None)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    if expected.min() < 5:
        return DemographicRow(label, cells, "Fisher", float(fisher_exact(counts).p))
    return DemographicRow(label, cells, "chi2", float(chi_square(counts).p))


def demographics_of(
    people: Participants,
    group_column: str,
    names: Sequence[str],
    metrics: Mapping[str, PersonMeasures],
    moved: Mapping[str, PersonMeasures],
    reho: Mapping[str, PersonMeasures],
) -> Demographics:
    """Compare the groups of those who have maps and are not excluded in the table.

    Parameters
    ----------
    names
        Groups in the order of the cells.
    metrics, moved, reho
        What was measured, by subject: intracranial volume (only these people count), mean
        framewise displacement, and the width of the noise that cleaning leaves: where groups
        differ in it, their ReHo differs without a difference of the brain.
    """
    kept = [s for s in metrics if not people.excluded(s)]
    group_of = {s: people.cell(s, group_column) or "" for s in kept}
    group_of = {s: group for s, group in group_of.items() if group in names}
    if not group_of:
        raise InputError(
            "nobody belongs to a group",
            where="participants.tsv",
            found=f"column {group_column}, groups {', '.join(names)}",
            do="name column and groups as the table does",
        )
    known = [name for name in names if name in group_of.values()]
    own = {"participant_id", group_column.casefold(), *EXCLUDE}
    columns = [column for column in people.columns if column.casefold() not in own]
    sizes = tuple(str(list(group_of.values()).count(name)) for name in known)
    measured = partial(_measured, group_of=group_of, names=known)
    found = [
        DemographicRow("people", sizes, "", None),
        *(_compare(column, known, people, group_of) for column in columns),
        measured("intracranial volume, mL", metrics, lambda of: of.tiv_ml, normal=True),
        measured("mean FD, mm", moved, lambda of: of.mean_fd_mm, normal=False),
        measured(SMOOTHNESS, reho, _width, normal=False),
    ]
    return Demographics(tuple(known), tuple(row for row in found if row is not None))


def _measured(
    variable: str,
    measured: Mapping[str, PersonMeasures],
    value_of: Callable[[PersonMeasures], float | None],
    *,
    normal: bool,
    group_of: Mapping[str, str],
    names: Sequence[str],
) -> DemographicRow | None:
    """Compare what was measured in those whose run counts.

    Displacement and smoothness are skewed, volume is not.
    """
    values: dict[str, list[float]] = {name: [] for name in names}
    for subject, found in measured.items():
        value = value_of(found)
        if value is not None and subject in group_of and not found.excluded:
            values[group_of[subject]].append(value)
    if not any(values.values()):
        return None
    return compare_numbers(variable, list(values.values()), normal=normal)


def _width(measured: PersonMeasures) -> float | None:
    """Geometric mean of the three axes; None where one of them is not known."""
    widths = measured.residual_fwhm_mm
    if widths is None or not np.isfinite(widths).all():
        return None
    return float(scipy.stats.gmean(widths))


def _compare(
    column: str, names: Sequence[str], people: Participants, group_of: Mapping[str, str]
) -> DemographicRow | None:
    """Compare a column of the table: numbers as numbers, words and sex as counts."""
    entries = ((group, people.cell(subject, column)) for subject, group in group_of.items())
    cells = [(group, text) for group, text in entries if text is not None]
    if column.casefold() not in FACTORS:
        try:
            numbers = [[float(text) for group, text in cells if group == n] for n in names]
        except ValueError:
            pass
        else:
            return compare_numbers(column, numbers, normal=column.casefold() in NORMAL)
    words = [text for _, text in cells]
    if not 1 < len(set(words)) <= MOST_WORDS:
        return None
    return compare_words(column, [group for group, _ in cells], words, names=names)
