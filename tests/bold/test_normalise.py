"""One interpolation brings a moving run to rest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bold.simulation import moving_head
from falx.bold.normalise import average_run, covered_voxels, sample_run
from falx.core.errors import InputError
from falx.core.grid import apply_affine
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
