"""The standard error of a regional asymmetry is the scatter over draws of noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ellipsoid_head import make_head, pet_grid
from falx.images.nifti import Image
from falx.images.smooth import FWHM_PER_SIGMA
from falx.pet.precision import asymmetry_standard_errors
from falx.pet.pvc import regional_activities, spread_fractions
from falx.pet.regions import grey_regions, regional_asymmetry

NOISE, FILTER_MM = 0.15, 4.0


@pytest.fixture(scope="module")
def scan():
    head, grid = make_head(), pet_grid()
    tissues = (Image(t.astype(np.float32), head.grid.affine) for t in (head.gm, head.wm, head.csf))
    spread = spread_fractions(
        *tissues, grey_regions(head.labels, head.grid.voxel_sizes_mm), grid, np.eye(4), fwhm_mm=6.0
    )
    return head.pet(grid, matrix=np.eye(4)).data, grid, spread


def noisy(clean, grid, rng):
    grain = ndimage.gaussian_filter(
        rng.standard_normal(clean.shape), FILTER_MM / FWHM_PER_SIGMA / grid.voxel_sizes_mm
    )
    return clean + NOISE * grain / grain.std()


def test_it_is_the_scatter_over_draws(scan):
    clean, grid, spread = scan
    rng = np.random.default_rng(7)
    found, stated = [], []
    for _ in range(60):
        image = noisy(clean, grid, rng)
        activities = regional_activities(image, spread)
        found.append(regional_asymmetry(activities, spread)["mesial_temporal"]["left"])
        if len(stated) < 5:
            errors = asymmetry_standard_errors(image, grid, spread, activities)
            stated.append(errors["mesial_temporal"])
    # The scatter of 60 draws is itself known to about 9 % (one standard error).
    assert np.mean(stated) == pytest.approx(np.std(found, ddof=1), rel=0.3)


def test_it_grows_with_the_noise(scan):
    clean, grid, spread = scan
    rng = np.random.default_rng(1)
    once = noisy(clean, grid, rng)
    twice = clean + 2.0 * (once - clean)
    errors = [
        asymmetry_standard_errors(im, grid, spread, regional_activities(im, spread))
        for im in (once, twice)
    ]
    for structure in ("hippocampus", "amygdala", "mesial_temporal"):
        assert errors[1][structure] == pytest.approx(2.0 * errors[0][structure], rel=0.15)


def test_regions_are_mirrored_with_the_labels():
    """Two structures so close that both neighbourhoods reach across the midline."""
    labels = np.zeros((41, 21, 21), dtype=np.int16)
    labels[14:17, 9:12, 9:12], labels[24:27, 9:12, 9:12] = 17, 53
    swapped = np.select([labels == 17, labels == 53], [53, 17], 0)[::-1]
    own, other = (grey_regions(volume, (1.0, 1.0, 1.0)) for volume in (labels, swapped))
    for side, opposite in (("left", "right"), ("right", "left")):
        here = own[f"surroundings_of_mesial_{side}"]
        there = other[f"surroundings_of_mesial_{opposite}"]
        assert here.any()
        np.testing.assert_array_equal(here, there[::-1])
