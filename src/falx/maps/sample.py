"""Who enters a comparison, with which covariates: from the participants table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.participants import Participants
from falx.maps.settings import Selection

__all__ = ["Sample", "encode", "of_other_kind", "select_sample", "without_value"]


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
        Subject to reason: everybody who has a map and is not compared.
    names
        Names of the groups, in the order of the comparison.
    """

    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    covariates: Mapping[str, npt.NDArray[np.float64]]
    left_out: Mapping[str, str]
    names: tuple[str, ...]


def select_sample(
    subjects: Collection[str],
    people: Participants,
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    selection: Selection,
    groups: tuple[str, ...],
    measures: Sequence[str] = (),
    already_out: Mapping[str, str] | None = None,
) -> Sample:
    """Choose the people of some groups who are not excluded, and their covariates.

    Parameters
    ----------
    subjects
        Those who have a map; each of them is chosen or has a reason in `left_out`.
    metrics
        By subject: what the participant level measured; ``excluded`` and ``reasons`` decide
        about the run.
    selection, measures
        Covariates from the table (numbers, or a column of two words such as M and F) and
        from the metrics (``mean_fd_mm``, ``tiv_ml``).
    already_out
        Subject to a reason that stands before all others.
    """
    chosen: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for subject in sorted(subjects):
        group = people.cell(subject, selection.group_column)
        measured = metrics.get(subject, {})
        if already_out and subject in already_out:
            left_out[subject] = already_out[subject]
        elif group is None:
            left_out[subject] = f"no {selection.group_column} in the participants table"
        elif group not in groups:
            left_out[subject] = f"{selection.group_column} {group!r} is not compared"
        elif measured.get("excluded"):
            left_out[subject] = "; ".join(measured.get("reasons", ["excluded"]))
        else:
            chosen[subject] = group
    covariates = {
        name: encode(name, {s: people.cell(s, name) for s in chosen}) for name in selection.columns
    }
    covariates |= {name: _measured(name, list(chosen), metrics) for name in measures}
    return Sample(tuple(chosen), tuple(chosen.values()), covariates, left_out, groups)


def _measured(
    name: str, subjects: Sequence[str], metrics: Mapping[str, Mapping[str, Any]]
) -> npt.NDArray[np.float64]:
    """Return a measure of everybody, shape (n,)."""
    missing = [s for s in subjects if metrics.get(s, {}).get(name) is None]
    if missing:
        raise InputError(f"{name} was not measured", found=", ".join(missing[:5]))
    return np.array([float(metrics[s][name]) for s in subjects])


def without_value(subjects: Collection[str], people: Participants, column: str) -> dict[str, str]:
    """Return the people who have no entry in a column, with the reason.

    Examples
    --------
    >>> table = Participants({"01": {"duration": "3"}, "02": {}}, ("participant_id", "duration"))
    >>> without_value(["01", "02"], table, "duration")
    {'02': 'no duration in the participants table'}
    """
    reason = f"no {column} in the participants table"
    return {s: reason for s in subjects if people.cell(s, column) is None}


def of_other_kind(
    subjects: Collection[str],
    people: Participants,
    *,
    group_column: str,
    controls: str,
    subgroup_column: str,
    subgroup: str,
) -> dict[str, str]:
    """Return those who are neither controls nor of the kind named, with the reason.

    Raises
    ------
    InputError
        If the table has no such column or nobody is of that kind.
    """
    if people.header(subgroup_column) is None:
        raise InputError(
            "the participants table lacks the column of subgroups", found=subgroup_column
        )
    if not any(people.cell(s, subgroup_column) == subgroup for s in people.rows):
        raise InputError("nobody is of this subgroup", where=subgroup_column, found=subgroup)
    found = {}
    for subject in subjects:
        kind = people.cell(subject, subgroup_column)
        group = people.cell(subject, group_column)
        if kind != subgroup and group != controls and group is not None:
            found[subject] = (
                f"no {subgroup_column} in the participants table"
                if kind is None
                else f"{subgroup_column} {kind!r} is not {subgroup!r}"
            )
    return found


def encode(name: str, cells: Mapping[str, str | None]) -> npt.NDArray[np.float64]:
    """Turn a column into numbers, shape (n,); two words become 0 and 1 in alphabetical order.

    Parameters
    ----------
    cells
        Entry by subject, None where there is none.

    Examples
    --------
    >>> encode("sex", {"01": "M", "02": "F"})
    array([1., 0.])
    """
    missing = [s for s, text in cells.items() if text is None]
    if missing:
        raise InputError(
            "a covariate is missing",
            where=name,
            found=", ".join(f"sub-{s}" for s in missing[:5]),
            do="complete the participants table or leave the covariate out",
        )
    texts = [text for text in cells.values() if text is not None]
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        words = sorted(set(texts))
    if len(words) > 2:
        raise InputError(
            "a covariate of words may have two of them",
            where=name,
            found=", ".join(words[:5]),
            do="write numbers",
        )
    return np.array([float(words.index(text)) for text in texts])
