"""Samples of an image: where they lie, what they hold, how much head they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.anatomy.mirror_invariance import faces_left, rounded
from falx.anatomy.samples import block_means, take_samples
from falx.core.grid import apply_affine
from falx.images.nifti import Image
from strategies import affines

RAMP = np.arange(9.0)[:, None, None] + 10 * np.arange(10.0)[:, None] + 100 * np.arange(11.0)


def image(affine):
    return Image(RAMP.astype(np.float32), affine)


@settings(deadline=None, max_examples=25)
@given(affine=affines(), sampling_mm=st.floats(0.5, 9.0))
def test_samples_are_single_voxels_in_their_place(affine, sampling_mm):
    found = take_samples(image(affine), sampling_mm)
    stride = np.maximum(1, np.rint(sampling_mm / np.linalg.norm(affine[:3, :3], axis=0)))
    np.testing.assert_array_equal(found.stride, stride)
    voxels = found.nodes * np.array(found.stride)
    np.testing.assert_array_equal(found.values, RAMP[tuple(voxels.T)])
    np.testing.assert_allclose(
        apply_affine(found.grid.affine, found.nodes), apply_affine(affine, voxels), atol=1e-6
    )
    assert found.mm3_each == pytest.approx(
        abs(np.linalg.det(affine[:3, :3])) * np.prod(found.stride), rel=1e-6
    )


def test_only_samples_of_the_mask_are_taken():
    mask = RAMP % 2 == 0
    found = take_samples(image(np.eye(4)), 3.0, mask=mask)
    assert np.all(found.values % 2 == 0)
    assert len(found.values) == mask[::3, ::3, ::3].sum()


@settings(deadline=None, max_examples=25)
@given(affine=affines(), sampling_mm=st.floats(0.5, 9.0))
def test_block_means_of_a_ramp_are_the_ramp_at_the_middle_of_the_block(affine, sampling_mm):
    found = block_means(image(affine), sampling_mm)
    stride = np.array(found.stride)
    middle = found.nodes * stride + (stride - 1) / 2
    np.testing.assert_allclose(found.values, middle @ [1, 10, 100], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(
        apply_affine(found.grid.affine, found.nodes), apply_affine(affine, middle), atol=1e-5
    )


@given(seed=st.integers(0, 999), n=st.integers(2, 7))
def test_of_an_image_and_its_mirror_image_one_faces_left(seed, n):
    data = np.random.default_rng(seed).random((n, 3, 2))
    assert faces_left(data) != faces_left(data[::-1])
    assert faces_left(3.0 * data) == faces_left(data)


def test_facing_counts_the_weight_by_its_distance_from_the_middle():
    data = np.zeros((5, 1, 1))
    data[0], data[3] = 1.0, 1.9
    assert faces_left(data)
    data[3] = 2.1
    assert not faces_left(data)
    data[0] = np.nan
    assert not faces_left(data)
    assert not faces_left(np.ones((4, 2, 2)))


def test_places_are_rounded_and_directions_are_not():
    affine = np.eye(4)
    affine[0, 1], affine[1, 3] = 0.123456, 7.0004999
    expected = affine.copy()
    expected[1, 3] = 7.0
    np.testing.assert_array_equal(rounded(affine), expected)
    assert affine[1, 3] == 7.0004999


def test_a_volume_is_read_at_the_samples(rng):
    taken = take_samples(image(np.eye(4)), 2.0, mask=rng.random(image(np.eye(4)).data.shape) < 0.5)
    volume = rng.normal(size=taken.grid.shape)
    np.testing.assert_array_equal(taken.of(volume), volume[tuple(taken.nodes.T)])
