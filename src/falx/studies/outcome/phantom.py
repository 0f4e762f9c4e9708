"""A cohort of made-up numbers, for teaching: no image, no person, a known relation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.core.participants import Participants
from falx.core.records import plain
from falx.pet.metrics import Definition
from falx.studies.outcome.power import Effect, simulate_numbers

__all__ = ["PhantomCohort", "phantom_cohort"]


@dataclass(frozen=True)
class PhantomCohort:
    """Records as the participant level writes them, by subject, and the table beside them."""

    records: dict[str, dict[str, object]]
    participants: Participants


def phantom_cohort(n: int, effect: Effect, rng: np.random.Generator) -> PhantomCohort:
    """Make the numbers of n patients; the ablative rate is the score, the volume the anatomy."""
    score, measure, free = simulate_numbers(n, effect, rng)
    definition = plain(Definition("calibrated", "mg3", "proportional", 0.05))
    records: dict[str, dict[str, object]] = {}
    rows: dict[str, dict[str, str]] = {}
    for i in range(n):
        label = f"{i + 1:0{max(2, len(str(n)))}d}"
        hippocampus = rng.normal(3000, 450)
        side = ("left", "right")[i % 2]
        records[label] = {
            "side": side,
            "failed_checks": [],
            "signature_definition": definition,
            "ai_pet_scale": "proportional",
            "signature_mm3": float(max(300.0, rng.normal(4000, 900))),
            "rate_hippocampus": float(np.clip(0.6 + 0.14 * score[i], 0.02, 0.98)),
            "ablation_mm3": float(max(1500.0, 5400 + 1200 * measure[i])),
            "ai_pet": float(rng.normal(-0.09, 0.03)),
            "ai_flair": float(rng.normal(0.01, 0.02)),
            "ai_gm": float(rng.normal(-0.03, 0.03)),
            "hippocampus_ipsi_mm3": float(hippocampus),
            "hippocampus_difference_mm3": float(rng.normal(-500, 300)),
            "amygdala_ipsi_mm3": float(rng.normal(1700, 250)),
            "amygdala_difference_mm3": float(rng.normal(-100, 200)),
            "tiv_mm3": float(rng.normal(1.45e6, 1.2e5)),
        }
        age = int(rng.integers(18, 55))
        onset = int(rng.integers(3, age - 1))
        rows[label] = {
            "side": side,
            "sex": "FM"[int(rng.integers(2))],
            "age": str(age),
            "onset_age": str(onset),
            "duration": str(age - onset),
            "seeg": ("no", "yes")[int(rng.random() < 0.3)],
            "ilae": "1" if free[i] else str(int(rng.integers(3, 6))),
            "follow_up_months": str(int(rng.integers(12, 60))),
            "pathology": str(rng.choice(["sclerosis", "gliosis", "none"], p=[0.6, 0.25, 0.15])),
        }
    return PhantomCohort(
        records, Participants(rows, ("participant_id", *next(iter(rows.values()))))
    )
