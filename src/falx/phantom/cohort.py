"""A cohort in which the outcome depends on the ablative rate in a known way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from falx.core.errors import check_range
from falx.core.grid import SIDES
from falx.data.asymmetry_norms import asymmetry_norms
from falx.phantom.heads import SHIPPED
from falx.phantom.patient import PatientSpec
from falx.phantom.scanner import scanner_of

__all__ = ["OutcomeRelation", "as_in_people", "simulate_cohort"]

MEASURED, MEASURED_SD = 0.164, 0.083
SHARE_SEEN = {4.5: 0.74, 6.0: 0.63, 7.0: 0.565}
"""Hippocampal index of the measured PET over the planted one by the point spread, mm, with the
uptake of people: .735 to .741, .625 to .632 and .560 to .567 in three heads."""


@dataclass(frozen=True)
class OutcomeRelation:
    """Chance of freedom from seizures as a function of the ablative rate.

    P(rate) = low + (high - low) / (1 + exp(-(rate - threshold) / width)).

    Examples
    --------
    >>> OutcomeRelation(threshold=0.5, low=0.2, high=0.8).chance(0.5)
    0.5
    """

    threshold: float = 0.5
    low: float = 0.1
    high: float = 0.95
    width: float = 0.02

    def __post_init__(self) -> None:
        check_range("threshold", self.threshold, 0.0, 1.0)
        check_range("low", self.low, 0.0, self.high)
        check_range("high", self.high, self.low, 1.0)
        check_range("width", self.width, 1e-6, 1.0)

    def chance(self, rate: float) -> float:
        """Chance of freedom from seizures at an ablative rate, 0 … 1."""
        steep = np.clip((rate - self.threshold) / self.width, -500, 500)
        return float(self.low + (self.high - self.low) / (1.0 + np.exp(-steep)))


def simulate_cohort(
    n: int,
    rng: np.random.Generator,
    relation: OutcomeRelation | None = None,
    *,
    template: PatientSpec | None = None,
    rates: tuple[float, float] = (0.25, 0.80),
) -> tuple[PatientSpec, ...]:
    """Specify a cohort; :func:`falx.phantom.patient.simulate_patient` makes each patient.

    Rates are spread evenly over their range and shuffled; sides alternate; depth, extent,
    atrophy and the clinical columns vary without any bearing on the outcome.

    Parameters
    ----------
    n
        Number of patients.
    template
        Holds what is common to all (voxel size, image quality).
    rates
        Range of the ablative rates; Mo 2025 reports 0.247 to 0.798.
    """
    check_range("n", n, 2, 10_000)
    relation = relation or OutcomeRelation()
    template = template or PatientSpec()
    spread = rng.permutation(np.linspace(*rates, n))
    return tuple(
        replace(
            template,
            label=f"{i + 1:0{max(2, len(str(n)))}d}",
            side=SIDES[i % 2],
            head=SHIPPED[i % len(SHIPPED)],
            depth=float(rng.uniform(0.15, 0.35)),
            extent=float(rng.uniform(0.6, 1.0)),
            atrophy=float(rng.uniform(0.0, 0.3)),
            ablative_rate=float(rate),
            clinical=_clinical(rng, seizure_free=rng.uniform() < relation.chance(rate)),
        )
        for i, rate in enumerate(spread)
    )


def _clinical(rng: np.random.Generator, *, seizure_free: bool) -> Mapping[str, str | float | int]:
    age = int(rng.integers(18, 55))
    onset = int(rng.integers(3, age - 1))
    return {
        "age": age,
        "sex": str(rng.choice(["F", "M"])),
        "onset_age": onset,
        "duration": age - onset,
        "seeg": str(rng.choice(["yes", "no"])),
        "ilae": 1 if seizure_free else int(rng.integers(3, 6)),
        "seizure_free": "yes" if seizure_free else "no",
    }


def as_in_people(spec: PatientSpec, rng: np.random.Generator) -> PatientSpec:
    """Make a patient as asymmetric as people are, with a deficit and a scanner drawn for them.

    The measured mesial temporal index is -.164 ± .083 as published (Korean J Nucl Med 1999;33:28).
    That SD holds the healthy one, which comes from the drawn asymmetry; blur leaves
    :data:`SHARE_SEEN` of what is planted. A patient without a deficit (`depth` 0) stays so.
    """
    quality = scanner_of(rng)
    own_sd = float(np.sqrt(max(MEASURED_SD**2 - asymmetry_norms()["hippocampus"].sd ** 2, 0.0)))
    index = max(float(rng.normal(MEASURED, own_sd)), 0.0) / SHARE_SEEN[quality.psf_fwhm_mm]
    depth = min(index / (1.0 + index / 2.0), 0.6) if spec.depth > 0 else 0.0
    return replace(spec, depth=depth, healthy_asymmetry=True, uptake="people", pet=quality)
