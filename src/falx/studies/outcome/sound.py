"""What a cohort is large enough for: numbers that can be tested, and sentences for the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from falx.studies.outcome.cohort import Cohort
from falx.studies.outcome.labels import label

__all__ = ["DISTINCT", "LEAST", "coarse", "kept_numbers", "too_few"]

LEAST = 5
"""Patients of each outcome below which nothing is tested, fitted or cut.

With four against four the smallest P of an exact test is .029 and the limits of an odds ratio
reach from nothing to anything.
"""


DISTINCT = 5
"""Different values of a score below which nothing between them is known."""


def coarse(cohort: Cohort) -> tuple[str, ...]:
    """Name the rates and asymmetries that take a handful of values, with what that forbids."""
    said = []
    for name, column in cohort.values.items():
        n = len(np.unique(column[np.isfinite(column)]))
        if name.startswith(("rate_", "ai_")) and 1 < n < DISTINCT:
            said.append(
                f"{label(name)}: only {n} different values in these patients, so that any cut "
                "between two neighbours is as good, its interval means nothing, and no prognosis "
                "is given."
            )
    return tuple(said)


def too_few(cohort: Cohort) -> tuple[str, ...]:
    """Sentences that say what cannot be said of so few patients; none where there are enough."""
    n, free = len(cohort.subjects), int(cohort.seizure_free.sum())
    if min(free, n - free) >= LEAST:
        return ()
    patients = "patient is" if n == 1 else "patients are"
    if n == 1:
        known = "One patient can be described, not compared."
    elif free == n:
        known = "Every patient became seizure free, so there is nobody to compare them with."
    elif free == 0:
        known = "No patient became seizure free, so there is nobody to compare them with."
    else:
        known = (
            f"{free} became seizure free and {n - free} did not; a comparison needs at least "
            f"{LEAST} of each."
        )
    return (
        f"{n} {patients} too few, or too much alike, to relate anything to the outcome. {known}",
        (
            "What can be said: each patient's own numbers, below. What cannot: which number goes "
            "with seizure freedom, where a cut lies, how likely the next patient is to be free."
        ),
        (
            "No P value, odds ratio, area under the curve or cut is given, because none could be "
            "trusted."
        ),
    )


def kept_numbers(cohort: Cohort) -> tuple[Cohort, tuple[str, ...]]:
    """Return the cohort with the numbers that can be tested, and a sentence on each other one."""
    kept, said = {}, []
    for name, column in cohort.values.items():
        known = np.isfinite(column)
        free = int(cohort.seizure_free[known].sum())
        others = int(known.sum()) - free
        if known.any() and np.ptp(column[known]) == 0:
            said.append(
                f"{label(name)}: the same value in all {known.sum()} patients, so it is left out."
            )
        elif known.any() and min(free, others) < LEAST:
            said.append(
                f"{label(name)}: known for {free} seizure-free and {others} other patients; at "
                f"least {LEAST} of each are needed, so it is left out."
            )
        else:
            kept[name] = column
    return replace(cohort, values=kept), tuple(said)
