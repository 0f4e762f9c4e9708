"""Scanners that differ, what they do not correct, and uptake as in people."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.pet.uncorrected import uncorrected_asymmetry
from falx.phantom.cohort import SHARE_SEEN, as_in_people
from falx.phantom.heads import load_head, symmetric_head
from falx.phantom.patient import PatientSpec
from falx.phantom.pet import PetQuality, activity, observe_pet, true_asymmetry
from falx.phantom.scanner import scanner_of


@pytest.fixture(scope="module")
def head():
    return symmetric_head(load_head("12"), voxel_mm=3.0)


def test_uptake_of_people_has_their_regional_means_once_blurred(head):
    exact = activity(head, np.random.default_rng(1), variation=0.0, uptake="people")
    seen = smooth(exact, head.grid.voxel_sizes_mm, 6.0)
    means = {n: float(seen[head.mask(*ids)].mean()) for n, ids in (
        ("putamen", (12, 51)), ("hippocampus", (17, 53)), ("amygdala", (18, 54)),
        ("thalamus", (10, 49)), ("cerebellar", (8, 47)), ("pons", (16,)),
    )}  # fmt: skip
    # Of the 537, over the putamen; pons 1 of 1.5.
    real = {"hippocampus": 0.642, "amygdala": 0.626, "thalamus": 0.778, "cerebellar": 0.767,
            "pons": 0.65}  # fmt: skip
    for name, ratio in real.items():
        assert means[name] / means["putamen"] == pytest.approx(ratio, abs=0.07), name
    with pytest.raises(OptionError, match="uptake"):
        PatientSpec(uptake="of nobody")


def observed(head, quality):
    exact = activity(head, np.random.default_rng(1))
    image = observe_pet(exact, head.grid, np.random.default_rng(2), quality)
    return uncorrected_asymmetry(image, np.eye(4), Image(head.labels, head.affine)), image


def test_attenuation_error_is_an_asymmetry_with_a_side_and_scatter_dilutes_contrast(head):
    clean = PetQuality(noise=0.0)
    flat, plain = observed(head, clean)
    tilted, _ = observed(head, PetQuality(noise=0.0, attenuation=0.02))
    other, _ = observed(head, PetQuality(noise=0.0, attenuation=-0.02))
    # The hippocampi are some 55 mm apart: 2 % by 100 mm make them 1.1 % unlike.
    for name in ("hippocampus", "putamen"):
        assert tilted[name] - flat[name] == pytest.approx(-0.011, abs=0.005)
        assert other[name] - flat[name] == pytest.approx(0.011, abs=0.005)
    _, scattered = observed(head, PetQuality(noise=0.0, scatter=0.05))
    assert scattered.data.mean() > plain.data.mean()
    contrast = [i.data.std() / i.data.mean() for i in (plain, scattered)]
    assert contrast[1] < contrast[0]


def test_scanners_differ_and_a_seed_gives_one_again():
    rng = np.random.default_rng(3)
    drawn = [scanner_of(rng) for _ in range(30)]
    assert len({q.voxel_mm for q in drawn}) == 3 and len({q.psf_fwhm_mm for q in drawn}) == 3
    assert all(0.03 <= q.noise <= 0.08 for q in drawn)
    assert abs(np.mean([q.attenuation for q in drawn])) < 0.015
    assert scanner_of(np.random.default_rng(3)) == drawn[0]


def test_deficits_are_as_deep_as_published_and_who_has_none_keeps_none():
    rng = np.random.default_rng(4)
    drawn = [as_in_people(PatientSpec(), rng) for _ in range(400)]
    seen = [SHARE_SEEN[s.pet.psf_fwhm_mm] * true_asymmetry(s.depth) for s in drawn]
    # The healthy spread of .035 is not in the depth but in the drawn asymmetry.
    assert np.mean(seen) == pytest.approx(-0.164, abs=0.012)
    assert np.hypot(np.std(seen), 0.0345) == pytest.approx(0.083, abs=0.008)
    assert all(s.healthy_asymmetry and s.uptake == "people" for s in drawn)
    assert as_in_people(PatientSpec(depth=0.0), rng).depth == 0.0


def test_the_scanner_that_a_deficit_is_blurred_by_is_the_one_that_scans():
    drawn = as_in_people(PatientSpec(), np.random.default_rng(5))
    assert drawn.pet == scanner_of(np.random.default_rng(5))
