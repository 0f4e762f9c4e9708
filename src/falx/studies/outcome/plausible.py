"""What a patient's numbers can be: other units, codes and copies are refused before any test.

A rate in per cent among shares, a volume in millilitres among cubic millimetres, an age of -99 or
one patient under two labels would be tested like anything else and printed with a P value. The
ranges are wide ones, by judgement: whatever lies outside is another unit or a code, no patient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from falx.core.errors import InputError

__all__ = ["check_copies", "check_measured", "impossible"]

VOLUMES_MM3: Mapping[str, tuple[float, float]] = {
    "tiv_mm3": (4e5, 3e6),
    "hippocampus_ipsi_mm3": (200, 2e4),
    "amygdala_ipsi_mm3": (50, 1e4),
    "ablation_mm3": (20, 3e5),
}
"""Volumes of one patient; an ablation of 0 mm³ is none."""

CLINICAL: Mapping[str, tuple[float, float, str]] = {
    "age_years": (0, 110, "years"),
    "onset_years": (0, 110, "years"),
    "duration_years": (0, 110, "years"),
    "follow_up_months": (0, 720, "months"),
}

FEWEST = 5
"""A record of fewer numbers tells nobody from anybody."""


def check_measured(values: Mapping[str, float], *, where: str) -> None:
    """Raise if a share or a volume of a record is none.

    Raises
    ------
    InputError
        For a share beyond 0 … 1, and for a volume that no head holds.

    Examples
    --------
    >>> check_measured({"rate_hippocampus": 0.62, "tiv_mm3": 1.4e6}, where="sub-01")
    """
    for name, value in values.items():
        share = name.startswith(("rate_", "ablated_share_")) and not name.endswith("_mm3")
        if share and not -1e-6 <= value <= 1 + 1e-6:
            raise InputError(
                f"{name} is no share",
                where=where,
                found=f"{value:g}",
                do="write shares from 0 to 1, not per cent",
            )
        if name in VOLUMES_MM3:
            low, high = VOLUMES_MM3[name]
            if not low <= value <= high and value != 0:
                raise InputError(
                    f"{name} cannot be a volume in mm³",
                    where=where,
                    found=f"{value:g}; at least {low:g} and at most {high:g} can be believed",
                    do="write cubic millimetres (1 ml is 1000 mm³), or nothing if it is not known",
                )


def impossible(name: str, value: float) -> str | None:
    """Say why a number of ``participants.tsv`` counts as missing; ``None`` if it can be true.

    Examples
    --------
    >>> impossible("age_years", 34), impossible("age_years", -99)
    (None, 'lies outside 0 to 110 years')
    >>> impossible("sex", 2)
    'is neither 0 nor 1; write words'
    """
    if name in CLINICAL:
        low, high, unit = CLINICAL[name]
        return None if low <= value <= high else f"lies outside {low:g} to {high:g} {unit}"
    if name in ("sex", "seeg") and value not in (0.0, 1.0):
        return "is neither 0 nor 1; write words"
    return None


def check_copies(patients: Mapping[str, Mapping[str, float]]) -> None:
    """Raise if one patient's numbers stand under two labels.

    Parameters
    ----------
    patients
        Label to measured numbers by name.

    Raises
    ------
    InputError
        If two patients have the same numbers, all equal, and at least five.
    """
    seen: dict[tuple[tuple[str, float], ...], str] = {}
    for label, values in patients.items():
        told = {k: v for k, v in values.items() if math.isfinite(v) and v not in (0.0, 1.0)}
        if len(told) < FEWEST:
            continue
        key = tuple(sorted(told.items()))
        other = seen.setdefault(key, label)
        if other != label:
            raise InputError(
                "two patients have the same numbers throughout, so that one would count twice",
                where=f"sub-{other} and sub-{label}",
                found=f"{len(told)} equal numbers",
                do="remove one of them, or give the reason in a column exclude",
            )
