"""Mutual information: bounds, symmetry, the analytic gradient, and fading at the border."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from falx.anatomy.registration.coregistration import MARGIN_MM, surroundings
from falx.anatomy.registration.mutual_information import (
    BINS,
    HISTOGRAM_SIGMA,
    nmi,
    nmi_of_histogram,
)
from falx.images.nifti import Image

SEEDS = st.integers(0, 999)


def histogram(seed):
    rng = np.random.default_rng(seed)
    return rng.random((BINS, BINS)) ** 6


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, scale=st.floats(0.1, 1e4))
def test_nmi_is_symmetric_bounded_and_free_of_the_count(seed, scale):
    counts = histogram(seed)
    value, slope = nmi_of_histogram(counts)
    assert 1.0 <= value <= 2.0
    turned, turned_slope = nmi_of_histogram(counts.T)
    assert turned == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(turned_slope.T, slope, atol=1e-12)
    assert nmi_of_histogram(scale * counts)[0] == pytest.approx(value, abs=1e-9)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, place=st.tuples(*[st.integers(1, BINS - 2)] * 2))
def test_the_slope_of_a_histogram_is_that_of_the_value(seed, place):
    counts = histogram(seed)
    value, slope = nmi_of_histogram(counts)
    more = counts.copy()
    more[place] += 1e-3
    rise = (nmi_of_histogram(more)[0] - value) / 1e-3
    assert rise == pytest.approx(slope[place], rel=0.02, abs=1e-3 * np.abs(slope).max())


def test_independent_images_share_nothing_and_equal_ones_all():
    rng = np.random.default_rng(0)
    margins = rng.random(BINS), rng.random(BINS)
    assert nmi_of_histogram(np.outer(*margins))[0] == pytest.approx(1.0, abs=1e-9)
    # Smoothing spreads the diagonal: the difference of the bins has an SD of √2 × 0.75.
    apart = np.log(np.sqrt(2) * HISTOGRAM_SIGMA * np.sqrt(2 * np.pi * np.e))
    expected = 2 * np.log(BINS) / (np.log(BINS) + apart)
    assert nmi_of_histogram(np.eye(BINS))[0] == pytest.approx(expected, abs=0.01)


def smooth_image(seed, shape=(14, 13, 12)):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    field -= field.min()
    return (field / field.max() * (BINS - 1.01)).astype(np.float32)


@settings(deadline=None, max_examples=12)
@given(seed=SEEDS)
def test_the_gradient_is_that_of_the_value(seed):
    rng = np.random.default_rng(seed)
    moving = smooth_image(seed)
    points = rng.uniform(2.0, 9.5, size=(4000, 3))
    fixed = ndimage.map_coordinates(moving, points.T, order=1).astype(np.float32)
    matrix = np.eye(4)
    matrix[:3] += 0.02 * rng.normal(size=(3, 4))
    found = nmi(points, fixed, moving, matrix)
    direction = rng.normal(size=(3, 4)) * [0.1, 0.1, 0.1, 1.0]
    step = 2e-3
    ahead, behind = matrix.copy(), matrix.copy()
    ahead[:3] += step * direction
    behind[:3] -= step * direction
    rise = (nmi(points, fixed, moving, ahead).value - nmi(points, fixed, moving, behind).value) / (
        2 * step
    )
    assert rise == pytest.approx(float((found.gradient * direction).sum()), rel=0.1, abs=5e-3)


def test_samples_fade_over_the_last_voxel_and_do_not_count_beyond():
    moving = np.full((6, 6, 6), 20.0, np.float32)
    fixed = np.full(1, 30.0, np.float32)
    for x, weight in ((2.5, 1.0), (0.25, 0.25), (4.75, 0.25), (0.0, 0.0), (-1.0, 0.0), (5.5, 0.0)):
        for axis in range(3):
            point = np.full((1, 3), 2.5)
            point[0, axis] = x
            assert nmi(point, fixed, moving, np.eye(4)).overlap == pytest.approx(weight)


def test_nothing_in_common_is_no_information():
    moving = smooth_image(1)
    far = np.full((10, 3), 100.0)
    found = nmi(far, np.zeros(10, np.float32), moving, np.eye(4))
    assert (found.value, found.overlap) == (1.0, 0.0)
    assert not found.gradient.any()


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, axis=st.integers(0, 2))
def test_mirrored_images_have_the_same_information(seed, axis):
    rng = np.random.default_rng(seed)
    moving = smooth_image(seed)
    points = rng.uniform(1.0, 10.0, size=(500, 3))
    fixed = ndimage.map_coordinates(moving, points.T, order=1).astype(np.float32)
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1.0, moving.shape[axis] - 1
    plain = nmi(points, fixed, moving, np.eye(4))
    turned = nmi(points, fixed, np.ascontiguousarray(np.flip(moving, axis)), flip)
    assert turned.value == pytest.approx(plain.value, abs=1e-6)


def test_the_metric_is_taken_within_a_margin_along_each_axis():
    mask = np.zeros((61, 31, 21), dtype=bool)
    mask[30, 15, 10] = True
    near = surroundings(Image(mask, np.diag([1.0, 2.0, 4.0, 1.0])))
    voxels = np.argwhere(near)
    assert voxels.min(axis=0).tolist() == [30 - MARGIN_MM, 15 - MARGIN_MM / 2, 10 - MARGIN_MM / 4]
    assert voxels.max(axis=0).tolist() == [30 + MARGIN_MM, 15 + MARGIN_MM / 2, 10 + MARGIN_MM / 4]
