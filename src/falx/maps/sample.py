"""Who enters a comparison, with which covariates: from the participants table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = [
    "Sample",
    "encode",
    "is_missing",
    "people_of_kind",
    "read_rows",
    "select_sample",
]


@dataclass(frozen=True, eq=False)
class Sample:
    """People of the groups that are compared.

    Parameters
    ----------
    subjects, groups
        In the order of the design's rows.
    covariates
        Values by name, shape (n,) each.
    left_out
        Subject to reason.
    names
        Names of the groups, in the order of the comparison.
    """

    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    covariates: Mapping[str, npt.NDArray[np.float64]]
    left_out: Mapping[str, str]
    names: tuple[str, ...]


def read_rows(participants: Path) -> dict[str, dict[str, str]]:
    """Rows of ``participants.tsv`` by subject label, without the prefix ``sub-``."""
    with participants.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    if not rows or "participant_id" not in rows[0]:
        raise InputError("the table has no column participant_id", where=participants.name)
    return {row["participant_id"].removeprefix("sub-"): row for row in rows}


def select_sample(
    subjects: Sequence[str],
    rows: Mapping[str, Mapping[str, str]],
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    group_column: str,
    groups: tuple[str, ...],
    columns: Sequence[str] = (),
    measures: Sequence[str] = (),
) -> Sample:
    """Choose the people of some groups who are not excluded, and their covariates.

    Parameters
    ----------
    subjects
        Those who have a map.
    rows
        Participants table by subject.
    metrics
        By subject: what the participant level measured; ``excluded`` and ``reasons`` decide
        about the run.
    columns, measures
        Covariates from the table (numbers, or a column of two words such as M and F) and
        from the metrics (``mean_fd_mm``, ``tiv_ml``).
    """
    chosen, left_out = [], {}
    for subject in sorted(subjects):
        group = rows.get(subject, {}).get(group_column)
        if group is None:
            left_out[subject] = f"no {group_column} in the participants table"
        elif group in groups:
            if metrics.get(subject, {}).get("excluded"):
                left_out[subject] = "; ".join(metrics[subject].get("reasons", ["excluded"]))
            else:
                chosen.append(subject)
    covariates = {
        name: encode(name, {s: rows[s].get(name, "") for s in chosen}) for name in columns
    }
    for name in measures:
        missing = [s for s in chosen if name not in metrics.get(s, {})]
        if missing:
            raise InputError(f"{name} was not measured", found=", ".join(missing[:5]))
        covariates[name] = np.array([float(metrics[s][name]) for s in chosen])
    return Sample(
        tuple(chosen),
        tuple(rows[s][group_column] for s in chosen),
        covariates,
        left_out,
        groups,
    )


def people_of_kind(
    rows: Mapping[str, Mapping[str, str]],
    *,
    group_column: str,
    controls: str,
    subgroup_column: str,
    subgroup: str,
) -> set[str]:
    """Return the controls, and those patients whose subgroup is the one named.

    Raises
    ------
    InputError
        If the table has no such column or nobody is of that kind.
    """
    if not any(subgroup_column in row for row in rows.values()):
        raise InputError(
            "the participants table lacks the column of subgroups", found=subgroup_column
        )
    kind = {s for s, row in rows.items() if row[subgroup_column] == subgroup}
    if not kind:
        raise InputError("nobody is of this subgroup", where=subgroup_column, found=subgroup)
    return kind | {s for s, row in rows.items() if row.get(group_column) == controls}


def is_missing(text: str | None) -> bool:
    """Whether a cell of the participants table holds nothing.

    Examples
    --------
    >>> is_missing("n/a"), is_missing("0")
    (True, False)
    """
    return text is None or text.strip().casefold() in ("", "n/a", "nan")


def encode(name: str, cells: Mapping[str, str]) -> npt.NDArray[np.float64]:
    """Turn a column into numbers; two words become 0 and 1 in alphabetical order.

    Examples
    --------
    >>> encode("sex", {"01": "M", "02": "F"})
    array([1., 0.])
    """
    missing = [s for s, text in cells.items() if is_missing(text)]
    if missing:
        raise InputError(
            "a covariate is missing",
            where=name,
            found=", ".join(f"sub-{s}" for s in missing[:5]),
            do="complete the participants table or leave the covariate out",
        )
    try:
        return np.array([float(text) for text in cells.values()])
    except ValueError:
        words = sorted(set(cells.values()))
    if len(words) > 2:
        raise InputError(
            "a covariate of words may have two of them",
            where=name,
            found=", ".join(words[:5]),
            do="write numbers",
        )
    return np.array([float(words.index(text)) for text in cells.values()])
