"""Partial-volume correction: known activities come back (checks P1 to P3)."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ellipsoid_head import ACTIVITY, make_head, pet_grid, rigid
from falx.core.errors import InputError, OptionError
from falx.core.grid import Grid
from falx.images.nifti import Image, load
from falx.images.smooth import smooth
from falx.pet.pvc import correct, effective_fwhm_mm, muller_gaertner, spread_fractions
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


def test_real_tissue_maps_with_constant_activity(shared):
    """SPM12's c1-c3 of a real T1w: grey matter 4, white matter 1, CSF 0.1, 6 mm."""
    folder = shared / "reference/spm12_segmentation"
    gm, wm, csf = (
        Image(np.ascontiguousarray(im.data[::2, ::2, ::2]), im.affine @ np.diag([2, 2, 2, 1]))
        for im in (load(folder / f"c{i}chris_t1.nii.gz") for i in (1, 2, 3))
    )
    truth = 4.0 * gm.data + 1.0 * wm.data + 0.1 * csf.data
    pet = smooth(truth, gm.grid.voxel_sizes_mm, 6.0)
    spread = spread_fractions(gm, wm, csf, {}, gm.grid, np.eye(4), fwhm_mm=6.0)
    result = correct(pet, spread)
    grey = (gm.data > 0.5) & result.defined
    assert result.image[grey].mean() == pytest.approx(4.0, abs=0.05)


def test_tissues_elsewhere_are_refused(case):
    far = rigid((900, 0, 0), (0, 0, 0))
    with pytest.raises(InputError, match="do not overlap"):
        correct(case.pet.data, spread_of(case.head, pet_grid(), far, 6.0))


def test_unknown_method_names_the_nearest(case):
    with pytest.raises(OptionError, match="did you mean 'mg3'"):
        correct(case.pet.data, case.spread, method="mgg3")
