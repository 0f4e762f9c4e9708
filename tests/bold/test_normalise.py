"""One interpolation brings a moving run to rest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bold.simulation import moving_head
from falx.bold.normalise import average_run, covered_voxels, sample_run, tissue_signal
from falx.errors import FalxNotice, InputError
from falx.grid import apply_affine
from falx.images.spline import axis_operators, sample_spline, spline_coefficients


def test_spline_is_that_of_scipy(rng):
    volume = rng.normal(size=(9, 8, 7)).astype(np.float32)
    voxels = rng.uniform(0, 1, (500, 3)) * (np.array(volume.shape) - 1)
    expected = ndimage.map_coordinates(volume.astype(float), voxels.T, order=3, mode="mirror")
    coefficients = spline_coefficients(volume, axis_operators(volume.shape))
    found = sample_spline(coefficients, voxels.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.isnan(sample_spline(coefficients, np.array([[-0.1, 2, 2]], np.float32))).all()


def test_spline_smooths_like_a_gaussian_filter(rng):
    volume = rng.normal(size=(12, 11, 10))
    fwhm = (2.0, 1.5, 2.5)
    sigma = np.array(fwhm) / np.sqrt(8 * np.log(2))
    expected = ndimage.gaussian_filter(volume, sigma, mode="mirror")
    coefficients = spline_coefficients(volume, axis_operators(volume.shape, fwhm))
    voxels = np.indices(volume.shape).reshape(3, -1).T
    found = sample_spline(coefficients, voxels.astype(np.float32))
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-5)


@pytest.fixture(scope="module")
def head():
    return moving_head(8, seed=2, restless=5.0)


def test_motion_is_undone(head):
    data = np.stack(head.volumes, axis=-1)
    points = head.brain_mm[::40]
    still = sample_run(data, head.affine, head.matrices, points)
    inside = np.isfinite(still).all(axis=1)
    assert inside.mean() > 0.8
    stays = np.repeat(np.eye(4)[None], 8, axis=0)
    moving = sample_run(data, head.affine, stays, points)
    spread = [np.nanstd(s[inside], axis=1).mean() for s in (still, moving)]
    assert spread[0] < 0.6 * spread[1]
    assert np.array_equal(
        still, sample_run(data, head.affine, head.matrices, points, threads=2), equal_nan=True
    )


def test_average_and_signal_to_noise(head):
    data = np.stack(head.volumes, axis=-1)
    still = average_run(data, head.affine, head.matrices)
    assert still.mean.shape == data.shape[:3]
    brain = np.rint((head.brain_mm - head.affine[:3, 3]) / np.diag(head.affine)[:3]).astype(int)
    assert np.median(still.tsnr[tuple(brain.T)]) > 40


def test_voxels_outside_are_left_out(rng):
    mask = np.ones((4, 5, 6), bool)
    data = rng.normal(size=(4, 5, 6, 10)).astype(np.float32)
    away = np.repeat(np.eye(4)[None], 10, axis=0)
    away[3, 2, 3] = 1.5
    points = apply_affine(np.eye(4), np.argwhere(mask))
    series = sample_run(data, np.eye(4), away, points)
    assert covered_voxels(series, mask).sum() == 4 * 5 * 4
    away[3, 2, 3] = 4.0
    series = sample_run(data, np.eye(4), away, points)
    with pytest.raises(InputError, match="sub-01: the run does not cover .*33 %"):
        covered_voxels(series, mask, where="sub-01")


def test_tissue_signal_is_taken_inside(rng):
    mask = np.ones((12, 12, 12), bool)
    fraction = np.zeros(mask.shape)
    fraction[3:9, 3:9, 3:9] = 1.0
    series = np.ones((mask.size, 5)) * np.arange(5)
    edge = ndimage.binary_erosion(fraction > 0.9) ^ (fraction > 0.9)
    series[edge[mask]] += 100
    found = tissue_signal(series, fraction, mask, threshold=0.9, name="white matter")
    np.testing.assert_allclose(found, np.arange(5))
    fraction[:] = 0
    fraction[4:9, 4:9, 4] = 1.0
    with pytest.warns(FalxNotice, match="CSF mask is too thin to erode"):
        tissue_signal(series, fraction, mask, threshold=0.7, name="CSF")
    with pytest.raises(InputError, match="too little CSF .*0 voxels above 0.7"):
        tissue_signal(series, 0 * fraction, mask, threshold=0.7, name="CSF")
