"""Denoising: planted sheets and dark tissue come through; air stays, threads do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from anatomy import head_model
from anatomy.conftest import QUICK
from falx.anatomy.segmentation.denoising import (
    _by_cosines,
    _from_cosines,
    _signal,
    _to_cosines,
    denoised,
    mean_magnitude,
)
from falx.anatomy.segmentation.unified import segment
from falx.core.errors import FalxNotice
from falx.core.threads import kernel_threads

SD = 12.0


def magnitude(clean, rng, sd=SD):
    """Rician magnitude of a clean image."""
    real = clean + sd * rng.standard_normal(clean.shape)
    return np.hypot(real, sd * rng.standard_normal(clean.shape)).astype(np.float32)


def everywhere(image):
    return np.ones(image.shape, bool)


def two_halves():
    clean = np.full((24, 20, 18), 100.0, np.float32)
    clean[12:] = 160.0
    return clean


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


def test_noise_goes_and_the_border_stays(rng):
    clean = two_halves()
    noisy = magnitude(clean, rng)
    found = denoised(noisy, everywhere(noisy), SD)
    assert rms((found - clean)[4:-4]) < 0.3 * rms((noisy - clean)[4:-4])
    step = found[12:14].mean() - found[10:12].mean()
    assert step == pytest.approx(60.0, abs=4.0)


def test_a_sheet_of_two_voxels_keeps_its_contrast_and_loses_its_noise(rng):
    """Cortex between fluid and white matter, as thin as it is at 1.5 mm."""
    clean = np.full((40, 40, 24), 45.0, np.float32)
    clean[18:20], clean[20:] = 95.0, 160.0
    noisy = magnitude(clean, rng)
    found = denoised(noisy, everywhere(noisy), SD)
    sheet = found[18:20, 4:-4, 4:-4]
    assert sheet.mean() == pytest.approx(95.0, abs=4.0)
    assert sheet.std() < 0.6 * SD


def test_what_is_as_dark_as_twice_the_noise_is_neither_raised_nor_left_noisy(rng):
    """Fluid where the receive field is weak: until version 12 it kept all of its noise."""
    clean = np.full((30, 28, 26), 2.0 * SD, np.float32)
    clean[15:] = 5.0 * SD
    noisy = magnitude(clean, rng)
    assert noisy[3:12].mean() > 2.2 * SD
    dark = denoised(noisy, everywhere(noisy), SD)[3:12]
    assert dark.mean() == pytest.approx(2.0 * SD, abs=0.15 * SD)
    assert dark.std() < 0.4 * SD


def test_air_stays(rng):
    noisy = magnitude(np.zeros((20, 20, 20), np.float32), rng)
    found = denoised(noisy, everywhere(noisy), SD)
    assert np.mean(found == noisy) > 0.95


def test_no_noise_and_nothing_measured_stay():
    image = two_halves()
    assert denoised(image, everywhere(image), 0.0) is image
    empty = np.zeros((8, 8, 8), np.float32)
    np.testing.assert_array_equal(denoised(empty, empty > 0, SD), empty)
    np.testing.assert_allclose(denoised(image, everywhere(image), 1e-2), image, atol=0.1)


def test_what_was_not_measured_neither_changes_nor_counts(rng):
    clean = two_halves()
    noisy = magnitude(clean, rng)
    mask = everywhere(noisy)
    mask[:, :4] = False
    found = denoised(np.where(mask, noisy, np.float32(5000)), mask, SD)
    np.testing.assert_array_equal(found[:, :4], 5000)
    other = denoised(np.where(mask, noisy, np.float32(0)), mask, SD)
    np.testing.assert_array_equal(found[:, 4:], other[:, 4:])
    assert rms(found[4:-4, 4:] - clean[4:-4, 4:]) < 0.4 * SD


def test_an_image_smaller_than_a_block_is_denoised(rng):
    noisy = magnitude(np.full((3, 2, 5), 100.0, np.float32), rng)
    found = denoised(noisy, everywhere(noisy), SD)
    assert found.shape == noisy.shape
    assert np.isfinite(found).all()


def test_the_mirror_image_is_the_image_of_the_mirror(rng):
    noisy = magnitude(two_halves(), rng)
    mirrored = np.ascontiguousarray(noisy[::-1])
    found = denoised(noisy, everywhere(noisy), SD)
    np.testing.assert_allclose(
        denoised(mirrored, everywhere(noisy), SD)[::-1], found, rtol=0, atol=0.02
    )


def test_the_number_of_threads_does_not_matter(rng):
    noisy = magnitude(two_halves(), rng)
    with kernel_threads(1):
        one = denoised(noisy, everywhere(noisy), SD)
    with kernel_threads(2):
        np.testing.assert_array_equal(denoised(noisy, everywhere(noisy), SD), one)


def test_cosines_of_a_block_are_orthonormal_and_come_back(rng):
    block = rng.standard_normal(64).astype(np.float32)
    there = block.copy()
    _to_cosines(there)
    assert np.sum(there**2) == pytest.approx(np.sum(block**2), rel=1e-5)
    assert there[0] == pytest.approx(block.sum() / 8.0, abs=1e-5)
    _from_cosines(there)
    np.testing.assert_allclose(there, block, atol=1e-5)


def test_blocks_that_lose_nothing_give_the_image(rng):
    image = rng.uniform(50, 150, (9, 11, 7)).astype(np.float32)
    np.testing.assert_allclose(_by_cosines(image, everywhere(image), 0.0), image, rtol=1e-5)


def test_the_mean_magnitude_is_that_of_drawn_noise_and_comes_back(rng):
    signal = np.array([0.0, 10.0, 25.0, 60.0])
    drawn = [magnitude(np.full(200_000, s), rng).mean() for s in signal]
    np.testing.assert_allclose(mean_magnitude(signal, SD), drawn, rtol=0.005)
    wide = np.array([5.0, 25.0, 60.0, 119.0, 121.0, 400.0])
    means = mean_magnitude(wide, SD).astype(np.float32)
    np.testing.assert_allclose(_signal(means, SD), wide, rtol=0.01, atol=0.1)


def test_fluid_of_a_noisy_head_in_a_strong_field_is_found(head_priors):
    """Until version 12 its Dice was .74 and that of grey matter .977: the copy was too noisy."""
    image, truth, _ = head_model.t1w(np.random.default_rng(3), voxel_mm=2.5, noise=13.5, bias=0.4)
    with pytest.warns(FalxNotice, match="the image is noisy"):
        result = segment(image, head_priors, QUICK)
    for k, (tissue, least) in enumerate(
        ((result.gm, 0.985), (result.wm, 0.99), (result.csf, 0.85))
    ):
        assert head_model.dice(tissue > 0.5, truth[..., k] > 0.5) > least
    assert result.seen is not result.corrected
    brain = ndimage.binary_erosion(truth[..., 1] > 0.5, iterations=2)
    assert result.seen[brain].std() < 0.4 * result.corrected[brain].std()
