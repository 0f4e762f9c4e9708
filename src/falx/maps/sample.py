"""Who enters a comparison, with which covariates: from the participants table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.core.participants import Participants
from falx.maps.settings import Selection

__all__ = [
    "Measured",
    "Sample",
    "encode",
    "factor",
    "left_out_by_hand",
    "of_other_kind",
    "select_sample",
    "without_value",
]


@dataclass(frozen=True)
class Measured:
    """What the participant level measured of one person, and whether that counts.

    Parameters
    ----------
    numbers
        By name, such as ``tiv_ml`` and ``mean_fd_mm``; what has no value is left out.
    excluded, reasons
        The decision about the run.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    excluded: bool = False
    reasons: tuple[str, ...] = ("excluded",)

    @classmethod
    def of(cls, content: Mapping[str, object]) -> Measured:
        """Take a stage's JSON, whichever stage it is, by its single numbers.

        Examples
        --------
        >>> Measured.of({"tiv_ml": 1400, "fd_mm": [0.1, 0.2], "excluded": False}).numbers
        {'tiv_ml': 1400.0}
        """
        numbers = {
            name: float(value)
            for name, value in content.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        reasons = content.get("reasons", cls.reasons)
        told = tuple(map(str, reasons)) if isinstance(reasons, Sequence) else cls.reasons
        return cls(numbers, bool(content.get("excluded")), told)


NOT_MEASURED = Measured()


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
    blocks
        Block of everybody, None where people are independent.
    sites
        Site of everybody, None where no column names it.
    """

    subjects: tuple[str, ...]
    groups: tuple[str, ...]
    covariates: Mapping[str, npt.NDArray[np.float64]]
    left_out: Mapping[str, str]
    names: tuple[str, ...]
    blocks: tuple[str, ...] | None = None
    sites: tuple[str, ...] | None = None


def select_sample(
    subjects: Collection[str],
    people: Participants,
    metrics: Mapping[str, Measured],
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
        By subject.
    selection, measures
        Covariates from the table (numbers, or words: M and F, or any number of sites) and
        from the metrics (``mean_fd_mm``, ``tiv_ml``).
    already_out
        Subject to a reason that stands before all others.
    """
    chosen: dict[str, str] = {}
    left_out: dict[str, str] = {}
    needed = (*selection.columns, *filter(None, [selection.site, selection.blocks]))
    for subject in sorted(subjects):
        reason = (already_out or {}).get(subject) or _reason_against(
            subject, people, metrics.get(subject, NOT_MEASURED), selection.group_column, groups
        )
        if reason:
            left_out[subject] = reason
        else:
            chosen[subject] = str(people.cell(subject, selection.group_column))
    for column in needed:
        lacking = without_value(chosen, people, column)
        if lacking and len(lacking) < len(chosen):
            notify(
                "people without a covariate are left out of this comparison",
                where=column,
                found=f"{len(lacking)}: {', '.join(f'sub-{s}' for s in lacking)}",
                do="complete the participants table or leave the column out",
            )
            left_out |= lacking
            chosen = {s: group for s, group in chosen.items() if s not in lacking}
    covariates: dict[str, npt.NDArray[np.float64]] = {}
    columns = dict.fromkeys((*selection.columns, *filter(None, [selection.site])))
    for name in columns:
        covariates |= factor(name, {s: people.cell(s, name) for s in chosen})
    covariates |= {name: _measured(name, list(chosen), metrics) for name in measures}
    blocks = _entries("blocks", chosen, people, selection.blocks)
    sites = _sites(chosen, people, selection.site)
    held = tuple(chosen.values())
    return Sample(tuple(chosen), held, covariates, left_out, groups, blocks, sites)


def _sites(chosen: Mapping[str, str], people: Participants, column: str) -> tuple[str, ...] | None:
    """Site of everybody; raise if every site holds one group: nothing can tell the two apart."""
    held: dict[str, set[str]] = {}
    for subject, group in chosen.items() if column else ():
        held.setdefault(str(people.cell(subject, column)), set()).add(group)
    alone = bool(held) and all(len(groups) == 1 for groups in held.values())
    if alone and len(set(chosen.values())) > 1:
        found = [f"{site}: {next(iter(groups))}" for site, groups in held.items()]
        raise InputError(
            "every site holds people of one group, so that no model can tell site from group",
            where=column,
            found="; ".join(found[:4]),
            do="compare groups of which at least one site holds two; leaving the column out would "
            "take a difference of scanners for one of groups",
        )
    return _entries("sites", chosen, people, column)


def _reason_against(
    subject: str, people: Participants, measured: Measured, column: str, groups: tuple[str, ...]
) -> str:
    """Why somebody who has a map is not compared; empty if he is."""
    group = people.cell(subject, column)
    if group is None:
        return f"no {column} in the participants table"
    if group not in groups:
        return f"{column} {group!r} is not compared"
    return people.excluded(subject) or ("; ".join(measured.reasons) if measured.excluded else "")


def _entries(
    what: str, subjects: Collection[str], people: Participants, column: str
) -> tuple[str, ...] | None:
    if not column:
        return None
    if people.header(column) is None:
        raise InputError(
            f"the participants table lacks the column of {what}",
            found=column,
            do="add the column, or name another",
        )
    return tuple(str(people.cell(s, column)) for s in subjects)


def _measured(
    name: str, subjects: Sequence[str], metrics: Mapping[str, Measured]
) -> npt.NDArray[np.float64]:
    """Return a measure of everybody, shape (n,)."""
    values = {s: metrics.get(s, NOT_MEASURED).numbers.get(name) for s in subjects}
    missing = [s for s, value in values.items() if value is None]
    if missing:
        raise InputError(
            f"{name} was not measured",
            found=", ".join(missing[:5]),
            do="fill in the cell, or leave the person out with exclude",
        )
    return np.array(list(values.values()), dtype=np.float64)


def left_out_by_hand(decisions: Participants) -> dict[str, str]:
    """Return the people whom somebody has left out, with the reason that was written.

    Raises
    ------
    InputError
        If the table has no column ``include``, or an entry is neither yes nor no.

    Examples
    --------
    >>> rows = {"01": {"include": "no", "reason": "wrap"}, "02": {"include": "yes"}}
    >>> left_out_by_hand(Participants(rows, ("participant_id", "include", "reason")))
    {'01': 'left out by hand: wrap'}
    """
    if decisions.header("include") is None:
        raise InputError(
            "the table of decisions has no column include",
            found=", ".join(decisions.columns),
            do="take the one that the quality page saves",
        )
    out = {}
    for subject in decisions.rows:
        entry = (decisions.cell(subject, "include") or "yes").casefold()
        if entry not in {"yes", "no"}:
            raise InputError(
                "a decision is neither yes nor no", where=f"sub-{subject}", found=repr(entry),
                do="write yes or no in the column include",
            )  # fmt: skip
        if entry == "no":
            reason = decisions.cell(subject, "reason") or "no reason was written"
            out[subject] = f"left out by hand: {reason}"
    return out


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
            "the participants table lacks the column of subgroups",
            found=subgroup_column,
            do="add the column, or name another",
        )
    if not any(people.cell(s, subgroup_column) == subgroup for s in people.rows):
        raise InputError(
            "nobody is of this subgroup",
            where=subgroup_column,
            found=subgroup,
            do="choose a subgroup that stands in the table",
        )
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


def factor(name: str, cells: Mapping[str, str | None]) -> dict[str, npt.NDArray[np.float64]]:
    """Turn a column into columns of a design: numbers and two words into one, k words into k - 1.

    Each has the shape (n,).

    Parameters
    ----------
    cells
        Entry by subject, None where there is none. The first of three or more words, in
        alphabetical order, is the one that the others are compared with.

    Examples
    --------
    >>> factor("site", {"01": "b", "02": "a", "03": "c"})
    {'site: b': array([1., 0., 0.]), 'site: c': array([0., 0., 1.])}
    """
    words = sorted({text for text in cells.values() if text is not None})
    numbers = sum(_is_number(word) for word in words)
    if None in cells.values() or len(words) < 3 or numbers == len(words):
        return {name: encode(name, cells)}
    if numbers:
        raise InputError(
            "a covariate holds numbers and words",
            where=name,
            found=", ".join(word for word in words if not _is_number(word)),
            do="write numbers only, n/a where there is none, or words only",
        )
    return {
        f"{name}: {word}": np.array([float(text == word) for text in cells.values()])
        for word in words[1:]
    }


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
            "a column of words may have two of them to be a slope",
            where=name,
            found=", ".join(words[:5]),
            do="write numbers, or name it among the covariates",
        )
    return np.array([float(words.index(text)) for text in texts])
