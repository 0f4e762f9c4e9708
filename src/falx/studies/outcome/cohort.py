"""A cohort as a table of numbers: one row per patient, gathered from the participant level."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from falx.core.checks import Bools, Floats
from falx.core.errors import InputError, notify
from falx.core.participants import Participants, excluded_as
from falx.core.study import Column, columns_of
from falx.data.mo2025 import MO2025_SOURCE, PUBLISHED_AI_THRESHOLD, load_patients
from falx.pet.metrics import Definition
from falx.studies.outcome.coding import coding_of, coding_sentence, read_outcomes
from falx.studies.outcome.columns import NUMBERS, Columns
from falx.studies.outcome.labels import counted
from falx.studies.outcome.patient import PatientNumbers
from falx.studies.outcome.plausible import check_copies, impossible
from falx.studies.outcome.rates import RateCurves, gather_curves

__all__ = ["PUBLISHED", "Cohort", "join_cohort", "published_cohort"]

TABLE = "participants.tsv"

OTHER_NAMES: Mapping[str, str] = {
    "hippocampus_mm3": "hippocampus_ipsi_mm3",
    "amygdala_mm3": "amygdala_ipsi_mm3",
}
"""Number of the study to its name in a participant's record, where the two differ."""

COLUMNS = columns_of(Columns)

PUBLISHED = Definition("threshold", "none", "z5", PUBLISHED_AI_THRESHOLD)
"""Of the rates that the scripts of Mo 2025 make, which every patient has beside the run's own."""


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
    definition
        By which rule the signatures and their rates were made; ``None`` where it is not stated.
    further
        Cells of every other column of ``participants.tsv`` by header, (n,), missing as ``None``.
    read_as
        Sentences on how outcome and follow-up were read from the table.
    """

    subjects: tuple[str, ...]
    seizure_free: Bools
    values: Mapping[str, Floats]
    source: str
    excluded: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, RateCurves] = field(default_factory=dict)
    definition: Definition | None = None
    further: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    read_as: tuple[str, ...] = ()

    def has(self, *names: str) -> bool:
        """Whether every named column exists with at least one number."""
        return all(n in self.values and bool(np.isfinite(self.values[n]).any()) for n in names)

    def definition_of(self, name: str) -> Definition | None:
        """By which rule a rate was made; ``None`` for what is no rate, or where it is not said."""
        if name.startswith("rate_"):
            return PUBLISHED if name.endswith("_published") else self.definition
        return None

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
    return Cohort(
        patients.labels,
        patients.seizure_free == 1,
        values,
        MO2025_SOURCE,
        definition=PUBLISHED,
    )


def join_cohort(
    patients: Mapping[str, PatientNumbers],
    participants: Participants,
    *,
    excluded: Mapping[str, str] | None = None,
    columns: Columns | None = None,
    outcome_coding: str = "auto",
    ilae_seizure_free: int = 1,
    least_follow_up_months: float = 12,
) -> Cohort:
    """Join the patients' numbers with ``participants.tsv``.

    Parameters
    ----------
    patients
        Subject label to the numbers of the participant level.
    participants
        The table.
    excluded
        Subjects that did not get through the participant level, with the reason.
    columns
        Headers that this table uses where they are not the usual ones.
    outcome_coding, ilae_seizure_free
        See :func:`falx.studies.outcome.coding.read_outcomes`.
    least_follow_up_months
        Who is known to have been followed for less is left out.

    Raises
    ------
    InputError
        Without a column of outcomes, or with one that is empty or cannot be read; and if the
        signatures follow different definitions.
    """
    headers = _headers(participants, columns or Columns())
    against = {
        s: _reason_against(patients[s], s, participants.rows, headers, least_follow_up_months)
        for s in sorted(patients)
    }
    left_out = {**(excluded or {}), **{s: reason for s, reason in against.items() if reason}}
    kept = {s: patients[s] for s, reason in against.items() if not reason}
    _check_kept(kept, against)
    cells = {s: participants.rows[s][headers["outcome"]] for s in kept}
    free, read_as = _outcomes(cells, headers["outcome"], outcome_coding, ilae_seizure_free)
    check_copies({s: patient.values for s, patient in kept.items()})
    for subject, reason in left_out.items():
        notify(f"left out of the group: {reason}", where=f"sub-{subject}")
    found = [_measured(p) | _clinical(participants.rows[s], headers, s) for s, p in kept.items()]
    return Cohort(
        tuple(kept),
        free,
        _by_name(found),
        f"{counted(len(kept), 'patient')} of this dataset",
        left_out,
        gather_curves(list(kept.values())),
        _one_definition(kept),
        _further(participants, kept, headers.values()),
        (read_as, _followed(found, least_follow_up_months)),
    )


def _outcomes(
    cells: Mapping[str, str], header: str, coding: str, highest_free: int
) -> tuple[Bools, str]:
    """Return who is free of seizures, (n,), and how that was read; say if all are alike."""
    coding = coding_of(cells, header, coding)
    free = np.array(
        list(read_outcomes(cells, header, coding=coding, highest_free=highest_free).values())
    )
    if free.all() or not free.any():
        notify(
            "every patient has the same outcome, so there is nothing to compare",
            where=TABLE,
            found=f"{int(free.sum())} of {len(free)} free of seizures",
            do="add patients with the other outcome, or check group.outcome_coding",
        )
    return free, coding_sentence(coding, header, highest_free)


def _by_name(rows: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    """Columns of the patients' numbers, missing as NaN."""
    names = sorted({name for row in rows for name in row})
    return {n: np.array([row.get(n, math.nan) for row in rows]) for n in names}


def _further(
    participants: Participants, subjects: Iterable[str], read: Iterable[str]
) -> dict[str, tuple[str | None, ...]]:
    """Cells of every column that is not read for another purpose."""
    known = {*read, "participant_id"}
    kept = tuple(subjects)
    return {
        header: tuple(participants.rows[s].get(header) for s in kept)
        for header in participants.columns
        if header not in known
    }


def _one_definition(patients: Mapping[str, PatientNumbers]) -> Definition | None:
    """Definition that all signatures share; those that hold no certain tissue are named."""
    found = {patient.definition for patient in patients.values()}
    if len(found) > 1:
        several = sorted("not stated" if one is None else str(one) for one in found)
        raise InputError(
            "the signatures of these patients follow different definitions, and their rates "
            "cannot be compared",
            found="; ".join(several),
            do="run the participant level of all of them with one configuration",
        )
    empty = [name for name, one in patients.items() if one.values.get("signature_mm3") == 0]
    if empty:
        notify(
            "the signature holds nothing, so that there is no ablative rate",
            found=f"{len(empty)} of {len(patients)} patients: sub-{', sub-'.join(empty)}",
        )
    return next(iter(found), None)


def _headers(participants: Participants, chosen: Columns) -> dict[str, str]:
    """Header of every column that the table holds."""
    found: dict[str, str] = {}
    for name, column in COLUMNS.items():
        header = column.header_of(participants, getattr(chosen, name), f"columns.{name}")
        if header is not None:
            found[name] = header
    if "outcome" not in found:
        present = ", ".join(participants.columns)
        raise InputError(
            "the table says no outcome",
            where=TABLE,
            found=f"columns {present}" if present else "no table",
            do=f"add a column {' or '.join(COLUMNS['outcome'].names[:4])}, or name yours with "
            "columns.outcome",
        )
    return found


def _reason_against(
    patient: PatientNumbers,
    subject: str,
    rows: Mapping[str, Mapping[str, str]],
    headers: Mapping[str, str],
    least_months: float,
) -> str:
    if patient.failed_checks:
        return f"quality check failed: {', '.join(patient.failed_checks)}"
    if subject not in rows:
        return f"not in {TABLE}"
    cells = rows[subject]
    if excluded := excluded_as(cells.get(headers.get("exclude", ""), "")):
        return excluded
    if headers["outcome"] not in cells:
        return f"no entry under {headers['outcome']} yet"
    months = _number(COLUMNS["follow_up"], cells.get(headers.get("follow_up", ""), ""))
    if months < least_months:
        return f"followed for {months:g} months, fewer than {least_months:g}"
    return ""


def _check_kept(kept: Mapping[str, PatientNumbers], against: Mapping[str, str]) -> None:
    """Raise if nobody is left, with the reasons and how often each was given."""
    if kept:
        return
    reasons = Counter(
        re.sub(r"for \S+ months, fewer than", "for fewer months than", reason)
        for reason in against.values()
    )
    told = "; ".join(f"{reason} ({n} ×)" for reason, n in reasons.most_common())
    raise InputError(
        "the group level needs patients with an outcome",
        where=TABLE,
        found=f"0 of the {len(against)} that went through the participant level"
        + (f": {told}" if told else ""),
        do="fill the outcome column, or name it with columns.outcome; the column of follow-up "
        "holds months",
    )


def _followed(rows: Sequence[Mapping[str, float]], least_months: float) -> str:
    """Say how long people were followed: seizures may have come back since."""
    known = [row["follow_up_months"] for row in rows if "follow_up_months" in row]
    caution = "freedom from seizures after weeks is not that after years"
    if not known:
        return f"How long these patients were followed is not stated; {caution}."
    span = sorted({f"{min(known):g}", f"{max(known):g}"}, key=float)
    told = f"Followed for {' to '.join(span)} months"
    told += f" (fewer than {least_months:g} are left out)" if least_months else ""
    missing = len(rows) - len(known)
    if missing:
        told += f"; of {missing} of {len(rows)} patients it is not known, and they stay: {caution}"
    return f"{told}."


def _clinical(
    cells: Mapping[str, str], headers: Mapping[str, str], subject: str
) -> dict[str, float]:
    found = {}
    for column, name in NUMBERS.items():
        header = headers.get(column)
        text = None if header is None else cells.get(header)
        if text is None:
            continue
        value = _number(COLUMNS[column], text)
        why = impossible(name, value) if math.isfinite(value) else None
        if why is not None:
            notify(
                f"{header} {why}, and counts as missing",
                where=f"sub-{subject}",
                found=repr(text),
                do=f"correct {TABLE}",
            )
        elif math.isfinite(value):
            found[name] = value
        else:
            notify(
                f"{header} is neither a number nor a known word and counts as missing",
                where=f"sub-{subject}",
                found=repr(text),
                do=f"correct {TABLE}",
            )
    return found


def _number(column: Column, text: str) -> float:
    """Value of a cell as a number, 1 for the left; NaN if it is neither number nor known word."""
    try:
        value = column.read(text, where="")
    except InputError:
        pass
    else:
        return float(value == "left") if isinstance(value, str) else value
    try:
        return float(text)
    except ValueError:
        return math.nan


def _measured(patient: PatientNumbers) -> dict[str, float]:
    values = dict(patient.values)
    values |= {name: values[other] for name, other in OTHER_NAMES.items() if other in values}
    ablated = values.get("ablation_mm3")
    wholes = {
        "ablation_per_tiv": values.get("tiv_mm3", 0.0),
        "ablation_per_volume": sum(values.get(n, math.nan) for n in OTHER_NAMES),
    }
    if ablated is not None:
        values |= {name: ablated / whole for name, whole in wholes.items() if whole > 0}
    side = patient.side
    return values | ({} if side is None else {"left_side": float(side == "left")})
