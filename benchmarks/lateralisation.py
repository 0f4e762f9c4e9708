"""Lateralisation of mesial temporal epilepsy on people as asymmetric as people are.

``python benchmarks/lateralisation.py images N``: N patients and N healthy heads as PET images, by
their true labels, among the shipped norms.

``python benchmarks/lateralisation.py [SEED]``: 100 patients and 100 healthy people, 200 times. At
the level of regions, where no imaging physics decides: the index of a healthy person's
hippocampus and amygdala is drawn as the 537 of the shipped table scatter (their percentiles, not
a normal distribution), that of a patient from the published -.164 ± .083 of the mesial temporal
lobe (Korean J Nucl Med 1999;33:28), whose SD holds the healthy one. Norms: the shipped table, or
20 controls, drawn from the same law. Then, in closed form, what the lateral temporal lobe
(-.127 ± .055) would add, by the correlation of both regions: .55 between hippocampus and lateral
temporal cortex of the 537, not published of patients.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.special import ndtr

from falx.core.errors import collect_notices
from falx.core.grid import SIDES
from falx.data.asymmetry_norms import LEVELS, MESIAL_TEMPORAL, asymmetry_norms
from falx.images.nifti import Image
from falx.pet.controls import Norm, fit_norm
from falx.pet.norms import percentile_of
from falx.pet.uncorrected import uncorrected_asymmetry
from falx.phantom.asymmetry import with_healthy_asymmetry
from falx.phantom.cohort import as_in_people
from falx.phantom.heads import SHIPPED, deformation, load_head, symmetric_head, warp_head
from falx.phantom.patient import PatientSpec
from falx.phantom.pet import activity, mesial_region, observe_pet
from falx.phantom.scan import rigid

LATERAL = (-0.127, 0.055)
NORM = asymmetry_norms()[MESIAL_TEMPORAL]
MEAN, SD, PEOPLE, TIMES, CONTROLS = -0.164, 0.083, 100, 200, 20


def healthy(rng: np.random.Generator, n: int) -> np.ndarray:
    """Left index of healthy people by the table's percentiles, with normal tails."""
    share, tail = rng.uniform(size=n), NORM.sd
    inside = np.interp(share, LEVELS, NORM.quantiles)
    low, high = NORM.quantiles[0], NORM.quantiles[-1]
    beyond = np.abs(rng.standard_normal(n))
    inside = np.where(share < LEVELS[0], low - 0.35 * tail * beyond, inside)
    return np.where(share > LEVELS[-1], high + 0.35 * tail * beyond, inside)


def of_image(spec: PatientSpec, rng: np.random.Generator) -> float:
    """Left mesial temporal index in the measured PET of a phantom, by its true labels."""
    head = symmetric_head(load_head(spec.head), voxel_mm=spec.voxel_mm)
    head = warp_head(head, deformation(head.grid, rng, amplitude_mm=spec.deformation_mm))
    exact = with_healthy_asymmetry(activity(head, rng, uptake=spec.uptake), head, rng)
    planted = mesial_region(head, spec.side)
    exact = np.where(planted, (1.0 - spec.depth) * exact, exact)
    pose = rigid(rng)
    pet = observe_pet(exact, head.grid, rng, spec.pet, matrix=pose)
    return uncorrected_asymmetry(pet, pose, Image(head.labels, head.affine))[MESIAL_TEMPORAL]


def on_images(people: int, seed: int) -> None:
    """Print sensitivity and specificity on so many patients and healthy heads."""
    rng = np.random.default_rng(seed)
    right = quiet = wrong = 0
    index: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * people):
        side, sick = SIDES[number % 2], number % 4 < 2
        plain = PatientSpec(
            side=side, head=SHIPPED[number % 3], voxel_mm=2.5, depth=0.2 if sick else 0.0
        )
        found = of_image(as_in_people(plain, rng), rng)
        told = side_of(by_table(found))
        right += sick and told == side
        wrong += sick and told not in (side, None)
        quiet += not sick and told is None
        index[sick].append(found if side == "left" else -found)
    print(f"images: sensitivity {right} of {people}, wrong side {wrong}, healthy quiet {quiet}")
    for sick, values in index.items():
        print(
            f"  {'patients' if sick else 'healthy'}: {np.mean(values):+.3f} ± {np.std(values):.3f}"
        )


def side_of(percentile: float) -> str | None:
    """Side that is lower than in 97.5 % of healthy people, two-sided 5 %."""
    return "left" if percentile < 2.5 else "right" if percentile > 97.5 else None


def by_table(index: float) -> float:
    """Percentile among the 537."""
    found = percentile_of(MESIAL_TEMPORAL, index)
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
            norm = fit_norm(MESIAL_TEMPORAL, "uncorrected", site.tolist(), np.ones((CONTROLS, 1)))
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
    if sys.argv[1:2] == ["images"]:
        on_images(int(sys.argv[2]), 1)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
