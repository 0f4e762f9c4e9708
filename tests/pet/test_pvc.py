"""Partial-volume correction: known activities come back (checks P1 to P3)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ellipsoid_head import ACTIVITY, make_head, pet_grid, rigid
from falx.core.errors import InputError, OptionError
from falx.core.grid import Grid
from falx.data.priors import tissue_priors
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.pet.pvc import (
    Spread,
    correct,
    effective_fwhm_mm,
    muller_gaertner,
    region_based,
    regional_activities,
    spread_fractions,
)
from falx.pet.regions import grey_regions

MOVE = rigid((6, -4, 5), (0.05, -0.03, 0.04))


def spread_of(head, grid, matrix, fwhm_mm):
    gm, wm, csf = (
        Image(x.astype(np.float32), head.grid.affine) for x in (head.gm, head.wm, head.csf)
    )
    regions = grey_regions(head.labels, head.grid.voxel_sizes_mm)
    return spread_fractions(gm, wm, csf, regions, grid, np.linalg.inv(matrix), fwhm_mm=fwhm_mm)


@pytest.fixture(scope="module")
def case():
    head, grid = make_head(), pet_grid()
    pet = head.pet(grid, matrix=MOVE)
    return SimpleNamespace(head=head, pet=pet, spread=spread_of(head, grid, MOVE, 6.0))


@pytest.mark.parametrize("method", ["mg3", "gtm"])
def test_cortex_is_recovered(case, method):
    result = correct(case.pet.data, case.spread, method=method)
    cortex = case.spread.regions["cortex"] > 0.5
    error = result.image[cortex & result.defined].mean() / ACTIVITY["gm"] - 1
    assert abs(error) < 0.03
    uncorrected = case.pet.data[cortex].mean() / ACTIVITY["gm"] - 1
    assert uncorrected < -0.15


def test_activities_are_estimated(case):
    found = correct(case.pet.data, case.spread).activities
    assert found["wm"] == pytest.approx(ACTIVITY["wm"], rel=0.03)
    assert found["csf"] == pytest.approx(ACTIVITY["csf"], abs=0.08)
    assert found["hippocampus_right"] == pytest.approx(ACTIVITY["gm"], rel=0.03)
    assert found["hippocampus_left"] == pytest.approx(0.85 * ACTIVITY["gm"], rel=0.03)


def test_constant_activity_is_exact_where_the_model_is(rng):
    """On the grid of the fractions, unmoved, the three compartments are the whole truth."""
    head = make_head(depth=0.0)
    spread = spread_of(head, head.grid, np.eye(4), 6.0)
    clean = 4.0 * spread.gm + 1.0 * spread.wm + 0.1 * spread.csf
    image, defined = muller_gaertner(clean, spread, {"wm": 1.0, "csf": 0.1})
    assert np.abs(image[defined] - 4.0).max() < 1e-4
    assert not image[~defined].any()


def test_two_compartments_ignore_csf(case):
    two = correct(case.pet.data, case.spread, method="mg2")
    three = correct(case.pet.data, case.spread, method="mg3")
    gap = (two.image - three.image) * case.spread.gm
    expected = three.activities["csf"] * case.spread.csf
    assert np.allclose(gap[two.defined], expected[two.defined], atol=1e-4)


def test_no_correction_keeps_the_image(case):
    assert np.array_equal(correct(case.pet.data, case.spread, method="none").image, case.pet.data)


def test_smoothed_image_needs_the_effective_width(case):
    size = pet_grid().voxel_sizes_mm
    smoothed = smooth(case.pet.data, size, 6.0)
    right = spread_of(case.head, pet_grid(), MOVE, effective_fwhm_mm(6.0, 6.0))
    cortex = case.spread.regions["cortex"] > 0.5
    errors = [
        abs(correct(smoothed, spread).image[cortex & (spread.gm > 0.3)].mean() / 4.0 - 1)
        for spread in (right, case.spread)
    ]
    assert errors[0] < 0.03 < errors[1]


def test_fractions_that_sum_to_more_than_one_are_scaled_down():
    grid = Grid((8, 8, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    full = Image(np.full(grid.shape, 0.8, np.float32), grid.affine)
    spread = spread_fractions(full, full, full, {}, grid, np.eye(4), fwhm_mm=0.0)
    assert np.allclose(spread.brain, 1.0, atol=1e-5)


def test_tissue_maps_of_many_heads_with_constant_activity():
    """The shipped probabilities: grey matter 4, white matter 1, CSF 0.1, 6 mm."""
    priors = tissue_priors()
    gm, wm, csf = (
        Image(np.ascontiguousarray(priors.probabilities[..., 50:80, k]), priors.affine)
        for k in range(3)
    )
    grid = gm.grid
    truth = 4.0 * gm.data + 1.0 * wm.data + 0.1 * csf.data
    pet = smooth(truth, grid.voxel_sizes_mm, 6.0)
    spread = spread_fractions(gm, wm, csf, {}, grid, np.eye(4), fwhm_mm=6.0)
    result = correct(pet, spread)
    grey = (gm.data > 0.5) & result.defined
    grey[..., :8] = grey[..., -8:] = False
    assert result.image[grey].mean() == pytest.approx(4.0, abs=0.05)
    assert pet[grey].mean() < 3.5


SHAPE = (5, 4, 3)
SHARES = hnp.arrays(np.float32, (3, *SHAPE), elements=st.floats(0, 1, width=32))
ACTIVITY_OF = st.floats(0.1, 10.0)


def spread_of_shares(shares):
    gm, wm, csf = shares / np.maximum(shares.sum(axis=0), 1)
    half = np.zeros(SHAPE, np.float32)
    half[:2] = gm[:2]
    return Spread(gm, wm, csf, {"first": half, "cortex": gm - half})


@settings(max_examples=40)
@given(SHARES, ACTIVITY_OF, ACTIVITY_OF, ACTIVITY_OF, st.floats(0.05, 0.9))
def test_what_the_model_says_is_taken_back_exactly(shares, gm, wm, csf, floor):
    spread = spread_of_shares(shares)
    observed = gm * spread.gm + wm * spread.wm + csf * spread.csf
    image, defined = muller_gaertner(observed, spread, {"wm": wm, "csf": csf}, floor=floor)
    assert np.array_equal(defined, spread.gm > floor)
    assert np.allclose(image, np.where(defined, gm, 0), rtol=1e-3, atol=1e-4)


@settings(max_examples=40)
@given(SHARES, hnp.arrays(np.float32, SHAPE, elements=st.floats(0, 9, width=32)), ACTIVITY_OF)
def test_the_correction_is_linear_in_image_and_activities_together(shares, observed, unit):
    spread, activities = (
        spread_of_shares(shares),
        {"wm": 1.0, "csf": 0.25, "first": 3, "cortex": 4},
    )
    scaled = {name: unit * value for name, value in activities.items()}
    for correction in (muller_gaertner, region_based):
        once, _ = correction(observed, spread, activities)
        more, _ = correction(unit * observed, spread, scaled)
        assert np.allclose(more, unit * once, rtol=1e-4, atol=1e-3)


@settings(max_examples=40)
@given(SHARES, ACTIVITY_OF, ACTIVITY_OF, ACTIVITY_OF, ACTIVITY_OF)
def test_regions_keep_the_activity_that_each_was_given(shares, first, cortex, wm, csf):
    """The region-based image is the stronger region's activity where the model is the truth."""
    spread = spread_of_shares(shares)
    known = {"first": first, "cortex": cortex, "wm": wm, "csf": csf}
    observed = wm * spread.wm + csf * spread.csf
    observed = observed + sum(known[name] * part for name, part in spread.regions.items())
    image, defined = region_based(observed, spread, known)
    expected = np.where(np.arange(5)[:, None, None] < 2, first, cortex) * np.ones(SHAPE)
    assert np.allclose(image[defined], expected[defined], rtol=1e-3, atol=1e-2)


@settings(max_examples=20)
@given(ACTIVITY_OF, ACTIVITY_OF, ACTIVITY_OF, ACTIVITY_OF, ACTIVITY_OF)
def test_least_squares_returns_the_activities_of_its_own_model(a, b, wm, csf, around):
    rng = np.random.default_rng(5)
    parts = rng.dirichlet(np.ones(5), size=(8, 8, 8)).astype(np.float32)
    first, cortex, white, fluid, _ = np.moveaxis(parts, -1, 0)
    spread = Spread(first + cortex, white, fluid, {"first": first, "cortex": cortex})
    truth = (a, b, wm, csf, around)
    found = regional_activities(parts.astype(np.float64) @ np.array(truth), spread)
    assert list(found) == ["first", "cortex", "wm", "csf", "surroundings"]
    assert np.allclose(list(found.values()), truth, rtol=1e-3, atol=1e-3)


@given(st.floats(0, 20), st.floats(0, 20))
def test_widths_add_in_squares(scanner, smoothing):
    width = effective_fwhm_mm(scanner, smoothing)
    assert width == effective_fwhm_mm(smoothing, scanner)
    assert width**2 == pytest.approx(scanner**2 + smoothing**2)


@settings(max_examples=10)
@given(st.floats(3.0, 8.0), st.floats(0.3, 1.0))
def test_blurring_moves_tissue_and_loses_none(fwhm_mm, share):
    grid = Grid((24, 24, 24), np.diag([2.0, 2.0, 2.0, 1.0]))
    box = np.zeros(grid.shape, np.float32)
    box[10:14, 9:15, 11:13] = share
    none = Image(np.zeros(grid.shape, np.float32), grid.affine)
    spread = spread_fractions(
        Image(box, grid.affine), none, none, {}, grid, np.eye(4), fwhm_mm=fwhm_mm
    )
    assert spread.gm.sum() == pytest.approx(box.sum(), rel=5e-3)
    assert spread.gm.max() <= share
    middle = np.average(np.indices(grid.shape).reshape(3, -1), axis=1, weights=spread.gm.ravel())
    assert np.allclose(middle, (11.5, 11.5, 11.5), atol=0.02)


def test_no_point_spread_keeps_the_fractions():
    grid = Grid((9, 9, 9), np.diag([2.0, 2.0, 2.0, 1.0]))
    full = np.zeros(grid.shape, np.float32)
    full[3:6, 3:6, 3:6] = 1
    none = Image(np.zeros(grid.shape, np.float32), grid.affine)
    mask = full.astype(bool)
    mask[5] = False
    spread = spread_fractions(
        none, none, Image(full, grid.affine), {"part": mask}, grid, np.eye(4), fwhm_mm=0.0
    )
    assert np.allclose(spread.csf, full, atol=1e-6)
    assert not spread.gm.any()


def test_tissues_elsewhere_are_refused(case):
    far = rigid((900, 0, 0), (0, 0, 0))
    with pytest.raises(InputError, match="do not overlap"):
        correct(case.pet.data, spread_of(case.head, pet_grid(), far, 6.0))


def test_unknown_method_names_the_nearest(case):
    with pytest.raises(OptionError, match="did you mean 'mg3'"):
        correct(case.pet.data, case.spread, method="mgg3")
