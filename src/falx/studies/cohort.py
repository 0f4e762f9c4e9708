"""A cohort as a table of numbers: one row per patient, gathered from the participant level."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.data.mo2025 import MO2025_SOURCE, load_patients
from falx.errors import InputError, notify
from falx.stats.checks import Bools, Floats

__all__ = ["DEFAULT_COLUMNS", "DEFAULT_NUMBERS", "Cohort", "published_cohort", "read_cohort"]

DEFAULT_NUMBERS: Mapping[str, str] = {
    "hippocampus_mm3": "hippocampus_ipsi_mm3",
    "amygdala_mm3": "amygdala_ipsi_mm3",
}
"""Number of the study to its name in a participant's record, where the two differ."""

DEFAULT_COLUMNS: Mapping[str, str] = {
    "outcome": "outcome",
    "left_side": "side",
    "seeg": "seeg",
    "onset_years": "age_onset",
    "duration_years": "duration",
    "sex": "sex",
}
"""Number of the study to its column of ``participants.tsv``."""

_WORDS: Mapping[str, float] = {
    "l": 1, "left": 1, "r": 0, "right": 0, "yes": 1, "no": 0, "y": 1, "n": 0, "true": 1,
    "false": 0, "f": 0, "female": 0, "m": 1, "male": 1, "sf": 1, "seizure free": 1,
    "seizure-free": 1, "nsf": 0, "not seizure free": 0,
}  # fmt: skip
_MISSING = ("", "n/a", "na", "nan")


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
    """

    subjects: tuple[str, ...]
    seizure_free: Bools
    values: Mapping[str, Floats]
    source: str
    excluded: Mapping[str, str] = field(default_factory=dict)

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
    number_map: Mapping[str, str] = DEFAULT_NUMBERS,
    column_map: Mapping[str, str] = DEFAULT_COLUMNS,
    ilae_seizure_free: int = 1,
    outcome_is_ilae: bool = False,
) -> Cohort:
    """Join the participants' JSON files with ``participants.tsv``.

    Parameters
    ----------
    numbers
        Subject label to its flat JSON record of numbers.
    participants
        The table; ``participant_id`` with or without ``sub-``.
    number_map, column_map
        See :data:`DEFAULT_NUMBERS` and :data:`DEFAULT_COLUMNS`; a column that is absent is
        left out with a notice, except the outcome.
    ilae_seizure_free
        Highest ILAE class that counts as seizure free.
    outcome_is_ilae
        Whether the outcome column holds ILAE classes (1 to 6) and not 0 and 1.
    """
    table = _read_table(participants, column_map["outcome"])
    rows: dict[str, dict[str, float]] = {}
    excluded: dict[str, str] = {}
    for subject in sorted(numbers):
        cells = table.get(subject)
        if cells is None:
            excluded[subject] = f"not in {participants.name}"
            continue
        outcome = _outcome(cells, subject, column_map, outcome_is_ilae, ilae_seizure_free)
        if outcome is None:
            excluded[subject] = "no outcome yet"
            continue
        measured = _measured(numbers[subject], number_map)
        rows[subject] = measured | _clinical(cells, column_map) | {"outcome": outcome}
    if len(rows) < 2:
        raise InputError(
            "the group level needs patients with an outcome",
            where=participants.name,
            found=f"{len(rows)} of {len(numbers)}",
            do="fill the outcome column, or name it in the column map",
        )
    for subject, reason in excluded.items():
        notify(f"left out of the group: {reason}", where=f"sub-{subject}")
    names = sorted({name for row in rows.values() for name in row} - {"outcome"})
    values = {n: np.array([row.get(n, math.nan) for row in rows.values()]) for n in names}
    free = np.array([row["outcome"] == 1 for row in rows.values()])
    return Cohort(tuple(rows), free, values, f"{len(rows)} patients of this dataset", excluded)


def _read_table(path: Path, outcome: str) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        if outcome not in (reader.fieldnames or ()):
            raise InputError(
                f"the table has no outcome column {outcome!r}",
                where=path.name,
                found=", ".join(reader.fieldnames or ()),
                do="name the column in the column map",
            )
        return {row["participant_id"].removeprefix("sub-"): row for row in reader}


def _outcome(
    cells: Mapping[str, str],
    subject: str,
    column_map: Mapping[str, str],
    is_ilae: bool,
    highest: int,
) -> float | None:
    text = cells[column_map["outcome"]].strip()
    if text.casefold() in _MISSING:
        return None
    value = _WORDS.get(text.casefold())
    if value is None:
        value = _float(text)
    allowed = range(1, 7) if is_ilae else (0, 1)
    if value not in allowed:
        raise InputError(
            "the outcome cannot be read",
            where=f"sub-{subject}",
            found=repr(text),
            do="use ILAE classes 1 to 6" if is_ilae else "use 1 for seizure free and 0 for not",
        )
    return float(value <= highest) if is_ilae else value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _clinical(cells: Mapping[str, str], column_map: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name, column in column_map.items():
        text = (cells.get(column) or "").strip().casefold()
        if name != "outcome" and text not in _MISSING:
            found[name] = _WORDS.get(text, _float(text))
    return found


def _measured(path: Path, number_map: Mapping[str, str]) -> dict[str, float]:
    record = json.loads(path.read_text(encoding="utf-8"))
    found = {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    found |= {name: found[other] for name, other in number_map.items() if other in found}
    side = record.get("side")
    return found | ({"left_side": float(str(side) == "left")} if isinstance(side, str) else {})
