"""Who is in the groups: the tests of a paper's first table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy

from falx.clinical.contingency import chi_square, fisher_exact
from falx.clinical.group_tests import mann_whitney, summarise
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.maps.sample import read_rows

__all__ = ["DemographicRow", "compare_numbers", "compare_words", "demographics_stage"]

MISSING = ("", "n/a", "nan")
NORMAL = ("age",)
"""Numbers given as mean ± sd and compared by analysis of variance, as in Liu et al. 2024."""


SMOOTHNESS = "smoothness of the cleaned runs (FWHM), mm"
"""Geometric mean of the three axes, so that equal widths mean equal resels."""


@dataclass(frozen=True)
class DemographicRow:
    """One variable: a text for every group, the test and its P."""

    variable: str
    cells: tuple[str, ...]
    test: str
    p: float | None


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


def demographics_stage(
    *,
    participants: Path,
    metrics: Mapping[str, Path],
    moved: Mapping[str, Path] | None,
    reho: Mapping[str, Path] | None,
    demographics: Path,
    group_column: str,
    resistant: str,
    sensitive: str,
    controls: str,
) -> None:
    """Compare the groups of those who have maps.

    Parameters
    ----------
    participants
        Input: ``participants.tsv``.
    metrics
        Inputs by subject, with the intracranial volume: only these people count.
    moved
        Inputs by subject, with the mean framewise displacement, of those who have a run.
    reho
        Inputs by subject, with the width of the noise that cleaning leaves: where groups
        differ in it, their ReHo differs without a difference of the brain.
    demographics
        Output: JSON with the groups and a row for each variable.
    """
    rows = read_rows(participants)
    names = [name for name in (resistant, sensitive, controls) if name]
    people = {s: rows[s] for s in metrics if rows.get(s, {}).get(group_column) in names}
    if not people:
        raise InputError(
            "nobody belongs to a group",
            where=participants.name,
            found=f"column {group_column}, groups {', '.join(names)}",
            do="name column and groups as the table does",
        )
    known = [n for n in names if any(row[group_column] == n for row in people.values())]
    columns = [c for c in next(iter(rows.values())) if c not in ("participant_id", group_column)]
    found = [_compare(c, known, people, group_column) for c in columns]
    sizes = tuple(str(sum(r[group_column] == n for r in people.values())) for n in known)
    group_of = {s: row[group_column] for s, row in people.items()}
    measured = [
        _measured("intracranial volume, mL", metrics, "tiv_ml", group_of, known),
        _measured("mean FD, mm", moved or {}, "mean_fd_mm", group_of, known),
        _measured(SMOOTHNESS, reho or {}, "residual_fwhm_mm", group_of, known),
    ]
    listed = [
        DemographicRow("people", sizes, "", None),
        *[row for row in (*found, *measured) if row],
    ]
    write_json(demographics, {"groups": known, "rows": [asdict(row) for row in listed]})


def _measured(
    variable: str,
    files: Mapping[str, Path],
    key: str,
    group_of: Mapping[str, str],
    names: Sequence[str],
) -> DemographicRow | None:
    """Compare what was measured in those whose run counts.

    Displacement and smoothness are skewed, volume is not.
    """
    values: dict[str, list[float]] = {name: [] for name in names}
    for subject, path in files.items():
        found = json.loads(path.read_text(encoding="utf-8"))
        value = found.get(key)
        if value is not None and subject in group_of and not found.get("excluded"):
            number = scipy.stats.gmean(value) if isinstance(value, list) else value
            values[group_of[subject]].append(float(number))
    if not any(values.values()):
        return None
    return compare_numbers(variable, list(values.values()), normal=key == "tiv_ml")


def _compare(
    column: str, names: Sequence[str], people: Mapping[str, Mapping[str, str]], group_column: str
) -> DemographicRow | None:
    cells = [
        (row[group_column], row[column])
        for name in names
        for row in people.values()
        if row[group_column] == name and row[column].strip().casefold() not in MISSING
    ]
    try:
        numbers = [[float(text) for group, text in cells if group == name] for name in names]
    except ValueError:
        words = {text for _, text in cells}
        if not 1 < len(words) <= 5:
            return None
        return compare_words(column, [g for g, _ in cells], [t for _, t in cells], names=names)
    return compare_numbers(column, numbers, normal=column.casefold() in NORMAL)
