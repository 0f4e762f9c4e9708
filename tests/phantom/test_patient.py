"""A patient's images agree with the truth that is written beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.core.grid import apply_affine, side_of
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.images.smooth import smooth
from falx.phantom.cohort import OutcomeRelation, simulate_cohort
from falx.phantom.patient import PatientSpec, mirror_patient, simulate_patient


def test_the_lesion_is_on_its_side(patient):
    truth = patient.truth
    assert side_of(truth.signature.data, truth.signature.grid) == "right"
    assert side_of(patient.ablation.data, patient.ablation.grid) == "right"
    assert truth.volumes_mm3["right hippocampus"] < truth.volumes_mm3["left hippocampus"]
    loss = 1 - truth.volumes_mm3["right hippocampus"] / truth.volumes_mm3["left hippocampus"]
    assert loss == pytest.approx(patient.spec.atrophy, abs=0.01)


def test_the_asymmetry_is_in_the_exact_activity(patient):
    """On the oblique grid of the T1w the array is symmetric although its world is not."""
    exact = patient.truth.activity.data
    index = (exact - exact[::-1]) / (0.5 * (exact + exact[::-1]) + 1e-12)
    signature = patient.truth.signature.data
    np.testing.assert_allclose(index[signature], patient.truth.asymmetry, atol=1e-5)


def test_the_matrices_join_the_images(patient):
    truth = patient.truth
    brain = np.isin(truth.labels.data, (2, 3, 41, 42, 8, 47))
    pet = resample(patient.pet, truth.labels.grid, matrix=truth.t1w_to_pet)
    expected = smooth(truth.activity.data, truth.labels.grid.voxel_sizes_mm, 6.0)
    assert np.corrcoef(pet[brain], expected[brain])[0, 1] > 0.95
    postop = resample(patient.t1w_postop, truth.labels.grid, matrix=truth.t1w_to_postop)
    assert np.corrcoef(postop[brain], patient.t1w.data[brain])[0, 1] > 0.85
    mask = Image(patient.ablation.data.astype(np.float32), patient.ablation.affine)
    back = resample(mask, truth.labels.grid, matrix=truth.t1w_to_postop) > 0.5
    both = 2 * (back & truth.ablation.mask).sum() / (back.sum() + truth.ablation.mask.sum())
    assert both > 0.75  # a small zone in 2.5 mm voxels, resampled twice


def test_the_same_seed_gives_the_same_patient(spec, patient):
    again = simulate_patient(spec, np.random.default_rng(5))
    for name in ("t1w", "flair", "pet", "t1w_postop", "ablation"):
        np.testing.assert_array_equal(getattr(again, name).data, getattr(patient, name).data)
    other = simulate_patient(spec, np.random.default_rng(6))
    assert not np.array_equal(other.t1w.data, patient.t1w.data)


def test_the_mirrored_patient_has_every_value_at_minus_x(patient):
    mirrored = mirror_patient(patient)
    assert mirrored.spec.side == "left"
    rng = np.random.default_rng(0)
    for name in ("t1w", "flair", "pet", "t1w_postop"):
        image, other = getattr(patient, name), getattr(mirrored, name)
        assert np.linalg.det(other.affine[:3, :3]) > 0
        voxels = rng.integers(0, image.data.shape, (50, 3))
        points = apply_affine(image.affine, voxels) * [-1, 1, 1]
        found = np.rint(apply_affine(np.linalg.inv(other.affine), points)).astype(int)
        np.testing.assert_array_equal(other.data[tuple(found.T)], image.data[tuple(voxels.T)])


def test_mirroring_swaps_the_labels_and_turns_the_matrices(patient):
    mirrored = mirror_patient(patient)
    for left, right in ((17, 53), (3, 42)):
        assert (mirrored.truth.labels.data == left).sum() == (
            patient.truth.labels.data == right
        ).sum()
    assert (
        mirrored.truth.volumes_mm3["left hippocampus"]
        == (patient.truth.volumes_mm3["right hippocampus"])
    )
    point = np.array([10.0, 20.0, 30.0])
    there = apply_affine(patient.truth.t1w_to_pet, point)
    mirrored_there = apply_affine(mirrored.truth.t1w_to_pet, point * [-1, 1, 1])
    np.testing.assert_allclose(mirrored_there, there * [-1, 1, 1])
    assert side_of(mirrored.truth.ablation.mask, mirrored.truth.labels.grid) == "left"


def test_mirroring_twice_is_nothing(patient):
    twice = mirror_patient(mirror_patient(patient))
    np.testing.assert_array_equal(twice.t1w.data, patient.t1w.data)
    np.testing.assert_allclose(twice.t1w.affine, patient.t1w.affine)
    np.testing.assert_array_equal(twice.truth.labels.data, patient.truth.labels.data)


def test_an_impossible_patient_is_refused():
    with pytest.raises(OptionError, match="unknown value for side"):
        PatientSpec(side="middle")
    with pytest.raises(OptionError, match="ablative_rate is out of range"):
        replace(PatientSpec(), ablative_rate=1.2)


def test_a_cohort_carries_the_planted_relation():
    specs = simulate_cohort(4000, np.random.default_rng(2), OutcomeRelation(threshold=0.6))
    rates = np.array([s.ablative_rate for s in specs])
    free = np.array([s.clinical["seizure_free"] == "yes" for s in specs])
    assert free[rates > 0.65].mean() == pytest.approx(0.95, abs=0.02)
    assert free[rates < 0.55].mean() == pytest.approx(0.10, abs=0.02)
    depth = np.array([s.depth for s in specs])
    assert abs(np.corrcoef(depth, free)[0, 1]) < 0.05
    assert (rates.min(), rates.max()) == pytest.approx((0.25, 0.80))


def test_a_cohort_has_both_sides_and_unique_labels():
    specs = simulate_cohort(24, np.random.default_rng(2))
    assert len({s.label for s in specs}) == 24
    assert sum(s.side == "left" for s in specs) == 12
    assert all((s.clinical["ilae"] == 1) == (s.clinical["seizure_free"] == "yes") for s in specs)
