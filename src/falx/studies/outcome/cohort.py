"""A cohort as a table of numbers: one row per patient, gathered from the participant level."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from falx.bids.participants import read_participants
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError, check_option, notify
from falx.data.mo2025 import MO2025_SOURCE, load_patients
from falx.studies.outcome.coding import read_outcomes
from falx.studies.outcome.rates import RateCurves, gather_curves

__all__ = [
    "DEFAULT_COLUMNS",
    "DEFAULT_NUMBERS",
    "Cohort",
    "published_cohort",
    "read_cohort",
    "read_exclusions",
]

DEFAULT_NUMBERS: Mapping[str, str] = {
    "hippocampus_mm3": "hippocampus_ipsi_mm3",
    "amygdala_mm3": "amygdala_ipsi_mm3",
}
"""Number of the study to its name in a participant's record, where the two differ."""

DEFAULT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "outcome": ("outcome", "ilae", "ilae_outcome", "seizure_free", "sf"),
    "left_side": ("side", "focus_side", "hemisphere", "lateralisation", "laterality"),
    "sex": ("sex", "gender"),
    "age_years": ("age", "age_at_surgery", "age_surgery"),
    "onset_years": ("age_onset", "onset_age", "age_at_onset", "onset"),
    "duration_years": ("duration", "epilepsy_duration", "duration_years"),
    "seeg": ("seeg", "ieeg"),
}
"""Number of the study to the headers of ``participants.tsv`` that are looked for, case ignored."""

_WORDS: Mapping[str, float] = {
    "l": 1, "left": 1, "lh": 1, "r": 0, "right": 0, "rh": 0, "yes": 1, "no": 0, "y": 1, "n": 0,
    "true": 1, "false": 0, "f": 0, "female": 0, "m": 1, "male": 1,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cohort:
    """Patients with a known outcome.

    Parameters
    ----------
    subjects
        Labels, (n,).
    seizure_free
        Outcome, (n,).
    values
        Columns of numbers by name, (n,), missing as NaN.
    source
        Where the patients come from.
    excluded
        Subject to the reason why it is not here.
    curves
        Ablative rates by threshold, by rule; absent where only the rates are known.
    """

    subjects: tuple[str, ...]
    seizure_free: Bools
    values: Mapping[str, Floats]
    source: str
    excluded: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, RateCurves] = field(default_factory=dict)

    def has(self, *names: str) -> bool:
        """Whether every named column exists with at least one number."""
        return all(n in self.values and bool(np.isfinite(self.values[n]).any()) for n in names)

    def complete(self, *names: str) -> Bools:
        """Mask of patients with a number in every named column."""
        keep = np.ones(len(self.subjects), dtype=bool)
        for name in names:
            keep &= np.isfinite(self.values[name])
        return keep


def published_cohort() -> Cohort:
    """Return the 30 published patients."""
    patients = load_patients()
    values = {k: v for k, v in patients.values.items() if k != "seizure_free"}
    return Cohort(patients.labels, patients["seizure_free"] == 1, values, MO2025_SOURCE)


def read_cohort(
    numbers: Mapping[str, Path],
    participants: Path,
    *,
    exclusions: Mapping[str, str] | None = None,
    number_map: Mapping[str, str] = DEFAULT_NUMBERS,
    columns: Mapping[str, str] | None = None,
    outcome_coding: str = "auto",
    ilae_seizure_free: int = 1,
) -> Cohort:
    """Join the participants' JSON files with ``participants.tsv``.

    Parameters
    ----------
    numbers
        Subject label to its flat JSON record of numbers.
    participants
        The table; ``participant_id`` with or without ``sub-``.
    exclusions
        Subjects that did not get through the participant level, with the reason.
    number_map
        See :data:`DEFAULT_NUMBERS`.
    columns
        Number of the study to the header that this table uses; others are looked for under
        :data:`DEFAULT_COLUMNS`.
    outcome_coding, ilae_seizure_free
        See :func:`falx.studies.outcome.coding.read_outcomes`.

    Raises
    ------
    InputError
        If there is no outcome column, an outcome cannot be read, or only one kind of outcome
        is left.
    """
    table = read_participants(participants.parent)
    headers = _headers(table.columns, columns or {}, participants.name)
    excluded = dict(exclusions or {})
    records: dict[str, dict[str, Any]] = {}
    for subject in sorted(numbers):
        record = json.loads(numbers[subject].read_text(encoding="utf-8"))
        if reason := _reason_against(record, subject, table.rows, headers["outcome"]):
            excluded[subject] = reason
        else:
            records[subject] = record
    outcomes = read_outcomes(
        {s: table.rows[s][headers["outcome"]] for s in records},
        headers["outcome"],
        coding=outcome_coding,
        highest_free=ilae_seizure_free,
    )
    _check_outcomes(outcomes, len(numbers), participants.name)
    for subject, reason in excluded.items():
        notify(f"left out of the group: {reason}", where=f"sub-{subject}")
    rows = [
        _measured(records[s], number_map) | _clinical(table.rows[s], headers, s) for s in records
    ]
    names = sorted({name for row in rows for name in row})
    return Cohort(
        tuple(records),
        np.array([outcomes[s] for s in records]),
        {n: np.array([row.get(n, math.nan) for row in rows]) for n in names},
        f"{len(rows)} patients of this dataset",
        excluded,
        gather_curves(list(records.values())),
    )


def read_exclusions(path: Path) -> dict[str, str]:
    """Read the engine's table of subjects that were left out, label to reason."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return {row["participant_id"].removeprefix("sub-"): row["reason"] for row in rows}


def _headers(present: Iterable[str], chosen: Mapping[str, str], where: str) -> dict[str, str]:
    """Header of every number that the table holds."""
    known = {header.casefold(): header for header in present}
    found: dict[str, str] = {}
    for name, header in chosen.items():
        check_option("column", name, DEFAULT_COLUMNS)
        if header.casefold() not in known:
            raise InputError(
                f"the table has no column {header!r}, which the configuration names for {name}",
                where=where,
                found=", ".join(known.values()),
                do=f"correct columns.{name}",
            )
        found[name] = known[header.casefold()]
    for name, usual in DEFAULT_COLUMNS.items():
        for header in usual:
            if header in known:
                found.setdefault(name, known[header])
    if "outcome" not in found:
        raise InputError(
            "the table says no outcome",
            where=where,
            found=f"columns {', '.join(known.values())}" if known else "no table",
            do=f"add a column {' or '.join(DEFAULT_COLUMNS['outcome'][:4])}, or name yours with "
            "columns.outcome",
        )
    return found


def _reason_against(
    record: Mapping[str, Any], subject: str, rows: Mapping[str, Mapping[str, str]], header: str
) -> str:
    if record.get("failed_checks"):
        return f"quality check failed: {', '.join(record['failed_checks'])}"
    if subject not in rows:
        return "not in participants.tsv"
    return "" if header in rows[subject] else f"no entry under {header} yet"


def _check_outcomes(outcomes: Mapping[str, bool], n_measured: int, where: str) -> None:
    free = sum(outcomes.values())
    if len(outcomes) < 2:
        raise InputError(
            "the group level needs patients with an outcome",
            where=where,
            found=f"{len(outcomes)} of the {n_measured} that went through the participant level",
            do="fill the outcome column, or name it with columns.outcome",
        )
    if free in (0, len(outcomes)):
        raise InputError(
            "every patient has the same outcome, so there is nothing to compare",
            where=where,
            found=f"{free} of {len(outcomes)} free of seizures",
            do="add patients with the other outcome, or check group.outcome_coding",
        )


def _clinical(
    cells: Mapping[str, str], headers: Mapping[str, str], subject: str
) -> dict[str, float]:
    found = {}
    for name, header in headers.items():
        text = cells.get(header)
        if name == "outcome" or text is None:
            continue
        value = _WORDS.get(text.casefold(), _float(text))
        if math.isfinite(value):
            found[name] = value
        else:
            notify(
                f"{header} is neither a number nor a known word and counts as missing",
                where=f"sub-{subject}",
                found=repr(text),
                do="correct participants.tsv",
            )
    return found


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _measured(record: Mapping[str, Any], number_map: Mapping[str, str]) -> dict[str, float]:
    found = {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    found |= {name: found[other] for name, other in number_map.items() if other in found}
    side = record.get("side")
    return found | ({"left_side": float(side == "left")} if isinstance(side, str) else {})
