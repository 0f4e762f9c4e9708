"""Phantoms: what was asked for is what comes out, on heads of boxes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import InputError, OptionError
from falx.core.grid import SIDES, Grid, apply_affine, is_symmetric, opposite
from falx.data.labels import head_labels
from falx.images.nifti import Image
from falx.phantom.bold import BoldPlan, bold_run
from falx.phantom.cohort import OutcomeRelation, simulate_cohort
from falx.phantom.heads import Head, deformation, midsagittal, mirror_head, warp_head
from falx.phantom.intensities import MrQuality, bias_field, flair, rician, smooth_noise, t1w
from falx.phantom.lesion import ablate_hippocampus, atrophy
from falx.phantom.patient import PatientSpec
from falx.phantom.pet import (
    KILOBECQUEREL_PER_UNIT,
    PetQuality,
    activity,
    mesial_region,
    observe_pet,
    true_asymmetry,
)
from falx.phantom.scan import rescan, rigid, scanner_grid
from phantom.block_head import block_head

SEEDS = st.integers(0, 9999)
SIDE = st.sampled_from(SIDES)
HIPPOCAMPUS = {"left": 17, "right": 53}


@pytest.fixture(scope="module")
def box():
    return block_head()


def test_the_head_of_boxes_is_a_head(box):
    assert is_symmetric(box.grid)
    np.testing.assert_array_equal(mirror_head(box).labels, box.labels)
    assert box.volume_mm3(17) == box.volume_mm3(53) == pytest.approx(3 * 12 * 3 * 8.0)
    assert box.volume_mm3(17, 18) == pytest.approx(box.volume_mm3(17) + box.volume_mm3(18))


@pytest.mark.parametrize("tissue", ["GM", "WM", "CSF", "bone", "soft", "air"])
def test_every_tissue_is_what_the_table_of_labels_says(box, tissue):
    labels = head_labels()
    own = np.isin(box.labels, labels.ids(tissue=tissue))
    assert own.any()
    np.testing.assert_array_equal(box.fraction(tissue), own)


def test_an_unknown_tissue_is_refused(box):
    with pytest.raises(OptionError, match="unknown value for tissue"):
        box.fraction("fat")


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, shift_mm=st.floats(0.0, 30.0), turn=st.floats(0.0, 40.0))
def test_a_rigid_matrix_keeps_distances_and_its_bounds(seed, shift_mm, turn):
    matrix = rigid(np.random.default_rng(seed), shift_mm=shift_mm, turn_degrees=turn)
    rotation = matrix[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    assert np.linalg.norm(matrix[:3, 3]) <= shift_mm + 1e-9
    angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    assert angle <= turn + 1e-4


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, voxel=st.tuples(*[st.floats(1.0, 6.0)] * 3))
def test_a_scanner_sees_the_middle_of_the_head_in_its_own_middle(box, seed, voxel):
    matrix = rigid(np.random.default_rng(seed))
    own = scanner_grid(box.grid, matrix, voxel)
    np.testing.assert_allclose(own.voxel_sizes_mm, voxel)
    middle = apply_affine(own.affine, (np.array(own.shape) - 1) / 2)
    head_middle = apply_affine(box.affine, (np.array(box.labels.shape) - 1) / 2)
    np.testing.assert_allclose(middle, apply_affine(matrix, head_middle), atol=1e-9)
    assert np.all(np.array(own.shape) * voxel >= np.array(box.labels.shape) * 2.0 - 1e-9)


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS)
def test_a_plane_is_scanned_where_the_matrix_puts_it(box, seed):
    rng = np.random.default_rng(seed)
    matrix = rigid(rng, turn_degrees=5.0, shift_mm=10.0)
    slope = rng.normal(size=3)
    plane = (box.grid.centres_mm() @ slope).astype(np.float64)
    scan = rescan(plane, box.grid, matrix, (3.0, 2.5, 4.0))
    inner = tuple(slice(5, -5) for _ in range(3))
    points = apply_affine(np.linalg.inv(matrix), scan.grid.centres_mm())
    np.testing.assert_allclose(scan.data[inner], (points @ slope)[inner], atol=1e-3)
    mask = rescan(box.mask(17), box.grid, matrix, (3.0, 2.5, 4.0))
    assert mask.data.dtype == np.bool_


@settings(deadline=None, max_examples=20)
@given(fraction=st.floats(0.0, 0.95), side=SIDE)
def test_atrophy_takes_the_share_from_one_structure_alone(box, fraction, side):
    label = HIPPOCAMPUS[side]
    shrunk = atrophy(box, label, fraction)
    before, after = box.mask(label).sum(), shrunk.mask(label).sum()
    assert before - after == round(fraction * before)
    changed = shrunk.labels != box.labels
    assert changed.sum() == before - after
    assert np.all(shrunk.labels[changed] == 24)
    assert shrunk.mask(HIPPOCAMPUS[opposite(side)]).sum() == before


@pytest.mark.parametrize("fraction", [-0.1, 0.96])
def test_an_impossible_atrophy_is_refused(box, fraction):
    with pytest.raises(OptionError, match="fraction is out of range"):
        atrophy(box, 17, fraction)


@settings(deadline=None, max_examples=15)
@given(extent=st.floats(0.0, 1.0), side=SIDE)
def test_the_mesial_region_is_the_front_share(box, extent, side):
    region = mesial_region(box, side, extent)
    labels = {"left": (17, 18), "right": (53, 54)}[side]
    whole = box.mask(*labels)
    assert region.sum() == round(extent * whole.sum())
    assert not (region & ~whole).any()
    y = np.arange(whole.shape[1])[None, :, None]
    if region.any() and (whole & ~region).any():
        assert np.where(region, y, 99).min() >= np.where(whole & ~region, y, -1).max()


@settings(deadline=None, max_examples=12)
@given(rate=st.floats(0.05, 1.0), side=SIDE)
def test_an_ablation_takes_at_least_the_rate_and_little_more(box, rate, side):
    signature = mesial_region(box, side)
    found = ablate_hippocampus(box, side, signature, rate)
    assert rate - 0.01 <= found.rate <= rate + 0.25
    assert found.rate == pytest.approx((found.mask & signature).sum() / signature.sum())
    hippocampus = box.mask(HIPPOCAMPUS[side])
    assert found.rate_hippocampus == pytest.approx(
        (found.mask & hippocampus).sum() / hippocampus.sum()
    )
    tissues = np.unique(box.tissues()[found.mask])
    assert tissues.max() <= 2
    assert not (found.mask & box.mask(16)).any()


def test_a_wider_ablation_contains_a_narrow_one(box):
    signature = mesial_region(box, "left")
    rates = (0.0, 0.2, 0.5, 0.9)
    masks = [ablate_hippocampus(box, "left", signature, rate) for rate in rates]
    for narrow, wide in pairwise(masks):
        assert not (narrow.mask & ~wide.mask).any()
        assert narrow.radius_mm <= wide.radius_mm
        assert narrow.length_mm == wide.length_mm
    only_front = mesial_region(box, "left", 0.2) & ~box.mask(17)
    assert ablate_hippocampus(box, "left", only_front, 0.5).rate_hippocampus is None


@given(depth=st.floats(0.0, 0.99))
def test_the_true_asymmetry_is_the_definition(depth):
    ipsi, contra = 1 - depth, 1.0
    exact = (ipsi - contra) / ((ipsi + contra) / 2)
    assert true_asymmetry(depth) == pytest.approx(exact, abs=1e-12)


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS, variation=st.floats(0.0, 0.2))
def test_activity_varies_in_grey_matter_alone_and_on_both_sides_alike(box, seed, variation):
    found = activity(box, np.random.default_rng(seed), variation=variation)
    np.testing.assert_allclose(found, found[::-1], rtol=1e-5)
    for tissue, level in (("WM", 1.0), ("CSF", 0.1), ("bone", 0.5), ("soft", 0.5), ("air", 0.0)):
        assert np.allclose(found[box.fraction(tissue)], level)
    hippocampus = found[box.mask(17)]
    assert np.abs(hippocampus / 3.2 - 1).max() <= 2.5 * variation + 1e-5
    if variation == 0.0:
        assert np.allclose(found[box.mask(3)], 4.0)


def test_a_perfect_scanner_measures_the_activity_in_becquerel(box):
    exact = activity(box, np.random.default_rng(0), variation=0.0)
    perfect = PetQuality(psf_fwhm_mm=0.0, noise=0.0, voxel_mm=(2.0, 2.0, 2.0))
    scan = observe_pet(exact, box.grid, np.random.default_rng(1), perfect)
    np.testing.assert_allclose(scan.data, exact * KILOBECQUEREL_PER_UNIT, atol=1.0)
    np.testing.assert_allclose(scan.affine, box.affine)
    blurred = observe_pet(
        exact, box.grid, np.random.default_rng(1), replace(perfect, psf_fwhm_mm=8.0)
    )
    assert blurred.data.max() < scan.data.max()


@pytest.mark.parametrize(("changes", "name"), [({"psf_fwhm_mm": -1.0}, "psf_fwhm_mm"),
                                               ({"noise": 1.5}, "noise")])  # fmt: skip
def test_an_impossible_scanner_is_refused(changes, name):
    with pytest.raises(OptionError, match=f"{name} is out of range"):
        PetQuality(**changes)


@settings(deadline=None, max_examples=12)
@given(seed=SEEDS, strength=st.floats(0.01, 0.8), shape=st.tuples(*[st.integers(3, 12)] * 3))
def test_a_receive_field_reaches_its_strength_both_ways(seed, strength, shape):
    field = bias_field(Grid(shape, np.eye(4)), np.random.default_rng(seed), strength)
    assert field.max() == pytest.approx(1 + strength, abs=1e-4)
    assert field.min() == pytest.approx(1 - strength, abs=1e-4)


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS, signal=st.floats(0.0, 6.0), sigma=st.floats(0.5, 3.0))
def test_the_second_moment_of_rician_noise_is_that_of_its_formula(seed, signal, sigma):
    clean = np.full(60_000, signal)
    found = rician(clean, sigma, np.random.default_rng(seed))
    # E[m²] = A² + 2 σ² (Gudbjartsson & Patz 1995).
    assert np.mean(found.astype(float) ** 2) == pytest.approx(signal**2 + 2 * sigma**2, rel=0.03)


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS, fwhm=st.floats(0.0, 12.0))
def test_smooth_noise_is_standardised(seed, fwhm):
    field = smooth_noise(Grid((12, 14, 10), np.diag([2.0, 2, 3, 1])), np.random.default_rng(seed),
                         fwhm_mm=fwhm)  # fmt: skip
    assert field.mean() == pytest.approx(0.0, abs=1e-4)
    assert field.std() == pytest.approx(1.0, abs=1e-4)


def test_contrasts_are_those_of_t1w_and_flair(box):
    perfect = MrQuality(blur_fwhm_mm=0.0, bias=0.0, noise=0.0)
    t1 = t1w(box, np.random.default_rng(0), perfect)
    assert t1[box.mask(2)].mean() > t1[box.mask(3)].mean() > t1[box.fraction("CSF")].mean()
    sclerotic = box.mask(17)
    dark_fluid = flair(box, np.random.default_rng(0), perfect, sclerotic=sclerotic)
    assert dark_fluid[box.fraction("CSF")].mean() < dark_fluid[box.mask(3)].mean()
    assert dark_fluid[box.mask(17)].mean() == pytest.approx(1.2 * dark_fluid[box.mask(53)].mean(),
                                                            rel=0.01)  # fmt: skip


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS)
def test_a_mirrored_head_is_warped_by_the_mirrored_map(box, seed):
    mapping = deformation(box.grid, np.random.default_rng(seed), amplitude_mm=2.0, fwhm_mm=30.0)
    warped = warp_head(box, mapping)
    np.testing.assert_array_equal(mirror_head(warped).labels, warped.labels)
    assert set(np.unique(warped.labels)) <= set(np.unique(box.labels))


@settings(deadline=None, max_examples=8)
@given(turn=st.floats(-0.1, 0.1), shift=st.floats(-5.0, 5.0))
def test_the_midsagittal_matrix_is_rigid_and_undoes_a_shift(box, turn, shift):
    moved = box.affine.copy()
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    rotation[0, 3] = shift
    matrix = midsagittal(Head(box.labels, rotation @ moved))
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
    middle = apply_affine(rotation @ moved, [14.5, 16.0, 15.0])
    assert apply_affine(matrix, middle)[0] == pytest.approx(0.0, abs=0.3)


@given(rate=st.floats(0.0, 1.0), threshold=st.floats(0.0, 1.0), low=st.floats(0.0, 0.5),
       high=st.floats(0.5, 1.0))  # fmt: skip
def test_the_chance_rises_from_low_to_high(rate, threshold, low, high):
    relation = OutcomeRelation(threshold, low, high, 0.05)
    assert low - 1e-12 <= relation.chance(rate) <= high + 1e-12
    assert relation.chance(threshold) == pytest.approx((low + high) / 2)
    assert relation.chance(rate) <= relation.chance(min(rate + 0.1, 1.1)) + 1e-12


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, n=st.integers(2, 40))
def test_a_cohort_spreads_rates_evenly_and_sides_in_turn(seed, n):
    cohort = simulate_cohort(n, np.random.default_rng(seed), template=PatientSpec(voxel_mm=2.5))
    np.testing.assert_allclose(
        sorted(p.ablative_rate for p in cohort), np.linspace(0.25, 0.8, n), atol=1e-12
    )
    assert [p.side for p in cohort] == [SIDES[i % 2] for i in range(n)]
    assert len({p.label for p in cohort}) == n
    for person in cohort:
        facts = person.clinical
        assert person.voxel_mm == 2.5
        assert facts["onset_age"] + facts["duration"] == facts["age"]
        assert (facts["ilae"] == 1) == (facts["seizure_free"] == "yes")
        assert facts["ilae"] in (1, 3, 4, 5)


@given(n=st.integers(1, 40), tr=st.floats(0.5, 4.0))
def test_slices_take_every_time_once(n, tr):
    times = BoldPlan(shape=(2, 2, n), repetition_time_s=tr).slice_times_s
    np.testing.assert_allclose(np.sort(times), np.arange(n) * tr / n)
    assert times[0] == 0.0
    if n > 2:
        assert times[2] < times[1]
    assert not BoldPlan(shape=(2, 2, n), slices_interleaved=False).slice_times_s.any()


@pytest.fixture(scope="module")
def tissues(box):
    return [Image(box.fraction(t).astype(np.float32), box.affine) for t in ("GM", "WM", "CSF")]


QUIET = BoldPlan(shape=(12, 14, 10), voxel_mm=(6.0, 6.0, 6.0), n_volumes=40, noise_percent=0.0,
                 step_mm=0.0, step_deg=0.0, jerks=0)  # fmt: skip


def test_a_head_at_rest_does_not_move_and_fluctuates_as_asked(tissues):
    found = bold_run(*tissues, QUIET, np.random.default_rng(3))
    np.testing.assert_allclose(found.matrices, np.broadcast_to(np.eye(4), (40, 4, 4)), atol=1e-12)
    mean = found.image.data.mean(axis=3)
    assert found.image.data.shape == (12, 14, 10, 40)
    bright = mean > 0.5 * mean.max()
    percent = 100 * found.image.data.std(axis=3)[bright] / mean[bright]
    assert 0.1 < np.median(percent) < 2.0
    still = bold_run(*tissues, replace(QUIET, fluctuation_percent=0.0), np.random.default_rng(3))
    np.testing.assert_allclose(np.ptp(still.image.data, axis=3), 0.0, atol=1e-3)


def test_motion_starts_at_rest_and_is_rigid(tissues):
    moving = replace(QUIET, step_mm=0.3, step_deg=0.2, jerks=2)
    matrices = bold_run(*tissues, moving, np.random.default_rng(4)).matrices
    np.testing.assert_allclose(matrices[0], np.eye(4), atol=1e-12)
    rotations = matrices[:, :3, :3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1),
                               np.broadcast_to(np.eye(3), (40, 3, 3)), atol=1e-9)  # fmt: skip
    assert np.ptp(matrices[:, :3, 3], axis=0).min() > 0.1


def test_coherence_scales_the_fluctuation_of_its_place(tissues):
    half = np.ones(tissues[0].data.shape, np.float32)
    half[:15] = 0.0
    factor = Image(half, tissues[0].affine)
    plain = bold_run(*tissues, QUIET, np.random.default_rng(5)).image.data.std(axis=3)
    damped = bold_run(*tissues, QUIET, np.random.default_rng(5), coherence=factor).image.data
    damped = damped.std(axis=3)
    assert damped[:5].mean() < 0.75 * plain[:5].mean()
    np.testing.assert_allclose(damped[7:], plain[7:], rtol=1e-4)


@pytest.mark.parametrize(("name", "value"), [("n_volumes", 1), ("repetition_time_s", 0.0)])
def test_an_impossible_run_is_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} is out of range"):
        BoldPlan(**{name: value})


def test_a_signature_on_the_other_side_is_refused(box):
    with pytest.raises(InputError, match="does not reach hippocampus or amygdala"):
        ablate_hippocampus(box, "left", box.mask(53), 0.5)
