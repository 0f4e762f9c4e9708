"""The noise between frames against redraws of the whole scan."""

from __future__ import annotations

import numpy as np
import pytest

from ellipsoid_head import make_head
from falx.core.errors import FalxNotice, collect_notices
from falx.core.files import write_json
from falx.core.grid import Grid
from falx.images.nifti import save
from falx.images.smooth import smooth
from falx.pet.files import read_pet
from falx.pet.frame_noise import noise_of_frames
from falx.phantom.intensities import smooth_noise

MINUTES = (5.0, 5.0, 5.0, 5.0, 10.0, 10.0)
STRENGTH = 0.12
"""Of the noise of a frame of five minutes."""


@pytest.fixture(scope="module")
def scan():
    """Activity of grey matter that rises and of white matter that falls, and its grid."""
    head = make_head(voxel_mm=3.0)
    grey, white = (smooth(part, head.grid.voxel_sizes_mm, 6.0) for part in (head.gm, head.wm))
    middle = np.cumsum(MINUTES) - np.array(MINUTES) / 2
    frames = [
        grey * (4.0 + 0.02 * t) + white * (1.2 - 0.006 * t) + 0.3 * (1 - grey - white)
        for t in middle
    ]
    return np.stack(frames, axis=-1).astype(np.float32), head, grey


def draw(clean, grid: Grid, rng, fwhm_mm=5.0):
    frames = clean.copy()
    for k, minutes in enumerate(MINUTES):
        level = STRENGTH * np.sqrt(5.0 / minutes) * (0.3 * 4.0 + 0.7 * clean[..., k])
        frames[..., k] += level * smooth_noise(grid, rng, fwhm_mm=fwhm_mm)
    return frames


def mean_of(frames):
    return np.average(frames, axis=3, weights=MINUTES)


def test_the_stated_error_is_the_scatter_over_redraws(scan):
    clean, head, grey = scan
    rng = np.random.default_rng(1)
    redraws = np.stack([mean_of(draw(clean, head.grid, rng)) for _ in range(20)])
    truth = redraws.std(axis=0, ddof=1)
    found = noise_of_frames(draw(clean, head.grid, rng), head.grid.affine, MINUTES)
    for inside in (grey > 0.5, head.wm > 0.9, np.isin(head.labels, (17, 18, 53, 54))):
        ratio = np.sqrt(np.mean(found.sd.data[inside] ** 2) / np.mean(truth[inside] ** 2))
        assert ratio == pytest.approx(1.0, abs=0.1)
    assert found.fwhm_mm == pytest.approx([5.0] * 3, rel=0.1)


def test_the_noise_of_a_mirrored_scan_is_the_mirror_image(scan):
    clean, head, _ = scan
    frames = draw(clean, head.grid, np.random.default_rng(2))
    own = noise_of_frames(frames, head.grid.affine, MINUTES)
    other = noise_of_frames(frames[::-1], head.grid.affine, MINUTES)
    np.testing.assert_allclose(other.sd.data[::-1], own.sd.data, rtol=1e-4, atol=1e-6)


def test_a_head_that_moved_is_no_noise(scan):
    clean, head, _ = scan
    frames = draw(clean, head.grid, np.random.default_rng(3))
    frames[..., 2] = np.roll(np.roll(frames[..., 2], 4, axis=0), 3, axis=1)
    frames = smooth_frames(frames, head.grid)
    with pytest.warns(FalxNotice, match="differ by more than noise.*kept still"):
        assert noise_of_frames(frames, head.grid.affine, MINUTES, where="PET") is None


def smooth_frames(frames, grid):
    return np.stack(
        [smooth(frames[..., k], grid.voxel_sizes_mm, 9.0) for k in range(frames.shape[3])], axis=-1
    )


def test_three_frames_are_too_few(scan):
    clean, head, _ = scan
    assert noise_of_frames(clean[..., :3], head.grid.affine, MINUTES[:3]) is None


def test_a_dynamic_file_brings_its_noise(scan, tmp_path):
    clean, head, _ = scan
    path = tmp_path / "sub-01_trc-FDG_pet.nii.gz"
    frames = draw(clean, head.grid, np.random.default_rng(4))
    save(path, frames, head.grid.affine)
    seconds = [60 * m for m in MINUTES]
    write_json(tmp_path / "sub-01_trc-FDG_pet.json", {"Units": "Bq/mL", "FrameDuration": seconds})
    with collect_notices():
        pet, few = read_pet(path, frames="all"), read_pet(path, frames="5-6")
    assert few.noise is None
    expected = noise_of_frames(frames, head.grid.affine, MINUTES)
    np.testing.assert_allclose(pet.noise.sd.data, expected.sd.data, rtol=1e-3)


def test_still_frames_without_noise_have_none():
    frames = np.ones((6, 6, 6, 5), np.float32)
    with pytest.warns(FalxNotice, match="differ by more than noise"):
        assert noise_of_frames(frames, np.eye(4), [1.0] * 5) is None
