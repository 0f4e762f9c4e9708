"""Noise: its level is found, and only a noisy image is fitted in a copy."""

from __future__ import annotations

import numpy as np
import pytest

from anatomy import head_model
from falx.anatomy.segmentation.noise import FLAT_NOISY, NOISY, flat_noise, noise_level
from falx.anatomy.segmentation.unified import _less_noisy
from falx.core.errors import FalxNotice
from falx.images.nifti import Image


def two_halves(rng, sd):
    clean = np.full((24, 20, 18), 100.0, np.float32)
    clean[12:] = 160.0
    return clean, (clean + sd * rng.standard_normal(clean.shape)).astype(np.float32)


@pytest.mark.parametrize("sd", [4.0, 12.0])
def test_the_level_of_noise_is_found(rng, sd):
    _, noisy = two_halves(rng, sd)
    found, bright = noise_level(noisy, np.ones(noisy.shape, bool))
    assert found == pytest.approx(sd, rel=0.15)
    assert bright == pytest.approx(160.0, rel=0.15)


def test_nothing_measured_has_no_noise():
    empty = np.zeros((6, 6, 6), np.float32)
    assert noise_level(empty, np.zeros(empty.shape, bool)) == (0.0, 0.0)


def test_only_a_noisy_image_is_copied(rng):
    usual, _, _ = head_model.t1w(rng, voxel_mm=4.0, noise=1.0, bias=0.0)
    flat = Image(np.full((20, 20, 20), 100, np.float32), usual.affine)
    assert _less_noisy(flat, flat.data > 0, *noise_level(flat.data, flat.data > 0), None) is flat
    noisy = Image(
        (flat.data + 2.0 * NOISY * 100 * rng.standard_normal(flat.data.shape)).astype(np.float32),
        usual.affine,
    )
    with pytest.warns(FalxNotice, match=r"T1w\.nii: the image is noisy"):
        level = noise_level(noisy.data, noisy.data > 0)
        copy = _less_noisy(noisy, noisy.data > 0, *level, "T1w.nii")
    assert copy is not noisy
    assert copy.data.std() < noisy.data.std()


@pytest.mark.parametrize("sd", [3.0, 9.0])
def test_a_pattern_as_fine_as_the_voxels_is_no_noise(rng, sd):
    """Blocks of two voxels in most of the image, as gyri are on coarse voxels."""
    i, j, _ = np.indices((40, 36, 32))
    blocks = ((i // 2 + j // 2) % 2 == 1) & (j >= 12)
    clean = np.where(blocks, 100.0, 160.0).astype(np.float32)
    noisy = (clean + sd * rng.standard_normal(clean.shape)).astype(np.float32)
    mask = np.ones(noisy.shape, bool)
    assert noise_level(noisy, mask)[0] > 15.0
    assert flat_noise(noisy, mask) == pytest.approx(sd, rel=0.2)
    mirrored = np.ascontiguousarray(noisy[::-1])
    assert flat_noise(mirrored, mask) == pytest.approx(flat_noise(noisy, mask), rel=1e-4)
    image = Image(noisy, np.eye(4))
    assert NOISY * 160.0 < 15.0 and sd < FLAT_NOISY * 160.0
    assert _less_noisy(image, mask, *noise_level(noisy, mask), None) is image


def test_air_as_bright_as_tissue_is_no_noise(rng):
    """The uniform image of MP2RAGE: most of what is bright is air without any signal."""
    image = rng.uniform(0.0, 256.0, (60, 60, 60)).astype(np.float32)
    image[20:40, 20:40, 20:40] = 160.0 + 5.0 * rng.standard_normal((20, 20, 20))
    mask = image > 0
    assert noise_level(image, mask)[0] > 30.0
    assert flat_noise(image, mask) == pytest.approx(5.0, rel=0.3)


def test_slices_are_no_noise(rng):
    """Anatomy changes from one thick slice to the next; noise is read within the slices."""
    slices = np.where(np.arange(16) % 2, 160.0, 90.0)
    clean = np.broadcast_to(slices, (40, 36, 16))
    noisy = (clean + 3.0 * rng.standard_normal(clean.shape)).astype(np.float32)
    mask, sizes = np.ones(noisy.shape, bool), (0.9, 0.9, 5.0)
    assert noise_level(noisy, mask)[0] > 15.0
    assert noise_level(noisy, mask, sizes)[0] == pytest.approx(3.0, rel=0.1)
    assert flat_noise(noisy, mask, sizes) == pytest.approx(3.0, rel=0.1)
    level = noise_level(noisy, mask, sizes)
    image = Image(noisy, np.diag([*sizes, 1.0]))
    assert _less_noisy(image, mask, *level, None) is image


def test_nothing_measured_is_flat():
    empty = np.zeros((6, 6, 6), np.float32)
    assert flat_noise(empty, np.zeros(empty.shape, bool)) == 0.0
    assert flat_noise(empty, np.ones(empty.shape, bool)) == 0.0
