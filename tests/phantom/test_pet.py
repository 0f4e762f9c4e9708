"""PET of phantoms: activity, planted region, observation."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.core.grid import Grid, apply_affine
from falx.images.resample import resample
from falx.phantom.pet import (
    KILOBECQUEREL_PER_UNIT,
    PetQuality,
    activity,
    mesial_region,
    observe_pet,
    true_asymmetry,
)
from falx.phantom.scan import rescan, rigid


def test_activity_without_variation_is_the_table(head, rng):
    exact = activity(head, rng, variation=0.0)
    table = ((3, 4.0), (47, 3.4), (12, 4.6), (10, 4.2), (17, 3.2), (2, 1.0), (4, 0.1), (511, 0.5))
    for label, value in table:
        np.testing.assert_allclose(exact[head.mask(label)], value, rtol=1e-6)


def test_activity_is_symmetric_and_varies_by_region(head, rng):
    exact = activity(head, rng)
    np.testing.assert_array_equal(exact[::-1], exact)
    cortex = exact[head.mask(3, 42)]
    assert cortex.std() / cortex.mean() == pytest.approx(0.08, abs=0.03)


@pytest.mark.parametrize("extent", [0.25, 0.5, 1.0])
def test_the_planted_region_is_the_front_of_one_side(head, extent):
    region = mesial_region(head, "left", extent)
    whole = head.mask(17, 18)
    assert region.sum() == round(extent * whole.sum())
    assert not (region & ~whole).any()
    y_in = apply_affine(head.affine, np.argwhere(region))[:, 1].min()
    y_out = apply_affine(head.affine, np.argwhere(whole & ~region))[:, 1].max(initial=-999)
    assert y_in >= y_out


@pytest.mark.parametrize("depth", [0.0, 0.15, 0.4])
def test_the_true_asymmetry_is_what_the_exact_activity_has(head, rng, depth):
    exact = activity(head, rng)
    region = mesial_region(head, "right", 0.7)
    low = np.where(region, (1 - depth) * exact, exact)
    index = (low - low[::-1]) / (0.5 * (low + low[::-1]) + 1e-12)
    np.testing.assert_allclose(index[region], true_asymmetry(depth), atol=1e-6)
    assert np.abs(index[~region & ~region[::-1]]).max() == 0


def test_the_scan_is_where_its_matrix_says(head, rng):
    exact = activity(head, rng)
    matrix = rigid(rng)
    noiseless = PetQuality(psf_fwhm_mm=8.0, noise=0.0)
    straight = observe_pet(exact, head.grid, rng, noiseless)
    turned = observe_pet(exact, head.grid, rng, noiseless, matrix=matrix)
    assert turned.grid.voxel_sizes_mm == pytest.approx([2, 2, 3.27])
    brain = head.fraction("GM")
    a = resample(straight, head.grid)[brain]
    b = resample(turned, head.grid, matrix=matrix)[brain]
    assert np.abs(a - b).mean() < 0.01 * a.mean()


def test_the_scan_keeps_the_total_activity(head, rng):
    exact = activity(head, rng)
    image = observe_pet(exact, head.grid, rng, PetQuality(noise=0.0))
    total = image.data.sum() * image.grid.voxel_volume_mm3 / KILOBECQUEREL_PER_UNIT
    inside = exact.sum() * head.grid.voxel_volume_mm3
    # The neck reaches the border of the field of view; a little leaks out of it.
    assert total == pytest.approx(inside, rel=0.02)


def test_a_rigid_matrix_is_rigid_and_bounded(rng):
    for _ in range(20):
        matrix = rigid(rng, shift_mm=15, turn_degrees=10)
        np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
        assert np.linalg.norm(matrix[:3, 3]) <= 15
        assert np.degrees(np.arccos((np.trace(matrix[:3, :3]) - 1) / 2)) <= 10.001


def test_masks_are_rescanned_without_new_values():
    grid = Grid((6, 6, 6), np.eye(4))
    mask = np.zeros(grid.shape, bool)
    mask[2:4, 2:4, 2:4] = True
    image = rescan(mask, grid, np.eye(4), (0.5, 0.5, 0.5))
    assert image.data.dtype == bool
    assert image.data.sum() * 0.125 == 8


def test_an_impossible_depth_is_refused(head):
    with pytest.raises(OptionError, match="extent is out of range"):
        mesial_region(head, "left", 1.5)
    with pytest.raises(OptionError, match="depth is out of range"):
        true_asymmetry(2.0)
