"""Lateralisation of mesial temporal epilepsy on people as asymmetric as people are.

``python benchmarks/lateralisation.py [SEED]``: 100 patients and 100 healthy people, 200 times. At
the level of regions, where no imaging physics decides: the hippocampal index of a healthy person
is drawn as the 537 of the shipped table scatter (their percentiles, not a normal distribution),
that of a patient from the published -.164 ± .083 of the mesial temporal lobe (Korean J Nucl Med
1999;33:28), whose SD holds the healthy one. Norms: the shipped table, or 20 controls, drawn
from the same law. Then, in closed form, what the lateral temporal lobe (-.127 ± .055) would add,
by the correlation of both regions, which nobody has published.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.special import ndtr

from falx.core.errors import collect_notices
from falx.data.asymmetry_norms import LEVELS, asymmetry_norms
from falx.pet.controls import Norm, fit_norm
from falx.pet.norms import percentile_of

LATERAL = (-0.127, 0.055)
NORM = asymmetry_norms()["hippocampus"]
MEAN, SD, PEOPLE, TIMES, CONTROLS = -0.164, 0.083, 100, 200, 20


def healthy(rng: np.random.Generator, n: int) -> np.ndarray:
    """Left index of healthy people by the table's percentiles, with normal tails."""
    share, tail = rng.uniform(size=n), NORM.sd
    inside = np.interp(share, LEVELS, NORM.quantiles)
    low, high = NORM.quantiles[0], NORM.quantiles[-1]
    beyond = np.abs(rng.standard_normal(n))
    inside = np.where(share < LEVELS[0], low - 0.35 * tail * beyond, inside)
    return np.where(share > LEVELS[-1], high + 0.35 * tail * beyond, inside)


def side_of(percentile: float) -> str | None:
    """Side that is lower than in 97.5 % of healthy people, two-sided 5 %."""
    return "left" if percentile < 2.5 else "right" if percentile > 97.5 else None


def by_table(index: float) -> float:
    """Percentile among the 537."""
    found = percentile_of("hippocampus", index)
    assert found is not None
    return found.percentile


def by_controls(norm: Norm, index: float) -> float:
    """Percentile among a site's controls."""
    return norm.place(index, np.array([1.0]))[1]


def of_two_regions(correlation: float) -> float:
    """Sensitivity at a specificity of 95 % of the mean of both indices, if all is normal."""
    lateral = asymmetry_norms()["lateral_temporal_cortex"]
    spread = [_of_mean(a, b, correlation) for a, b in ((NORM.sd, lateral.sd), (SD, LATERAL[1]))]
    beyond = -0.5 * (MEAN + LATERAL[0]) - 1.96 * spread[0]
    return float(ndtr(beyond / spread[1]))


def _of_mean(a: float, b: float, correlation: float) -> float:
    return 0.5 * float(np.sqrt(a * a + b * b + 2 * correlation * a * b))


def main(seed: int) -> None:
    """Print sensitivity, specificity and wrong sides, mean and middle 95 % of 200 studies."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float]]] = {"537": [], f"{CONTROLS} controls": []}
    for _ in range(TIMES):
        is_left = rng.uniform(size=PEOPLE) < 0.5
        patients = np.where(is_left, 1.0, -1.0) * rng.normal(MEAN, SD, PEOPLE)
        people, site = healthy(rng, PEOPLE), healthy(rng, CONTROLS)
        with collect_notices():
            norm = fit_norm("hippocampus", "uncorrected", site.tolist(), np.ones((CONTROLS, 1)))
        for name, place in (
            ("537", by_table),
            (f"{CONTROLS} controls", lambda index, norm=norm: by_controls(norm, index)),
        ):
            told = [side_of(place(float(index))) for index in patients]
            true = ["left" if left else "right" for left in is_left]
            right = np.mean([a == b for a, b in zip(told, true, strict=True)])
            wrong = np.mean([a not in (b, None) for a, b in zip(told, true, strict=True)])
            quiet = np.mean([side_of(place(float(index))) is None for index in people])
            found[name].append((float(right), float(quiet), float(wrong)))
    for name, rows in found.items():
        values = np.array(rows)
        for column, what in enumerate(("sensitivity", "specificity", "wrong side")):
            low, high = np.quantile(values[:, column], [0.025, 0.975])
            print(f"{name:12s} {what}: {values[:, column].mean():.3f} ({low:.2f} to {high:.2f})")
    for correlation in (0.2, 0.5, 0.8):
        print(f"two regions correlated by {correlation}: {of_two_regions(correlation):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
