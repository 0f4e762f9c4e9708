"""MR images of phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.core.grid import Grid
from falx.phantom.intensities import MrQuality, bias_field, flair, rician, smooth_noise, t1w

PERFECT = MrQuality(noise=0.0, bias=0.0, blur_fwhm_mm=0.0, texture=0.0, contrast_spread=0.0)


def test_a_perfect_t1w_is_the_table(head, rng):
    image = t1w(head, rng, PERFECT)
    for label, value in ((2, 160.29), (42, 96.30), (17, 96.30), (10, 129.52), (0, 0.0)):
        np.testing.assert_allclose(image[head.mask(label)], value, atol=0.01)


def test_a_perfect_flair_has_dark_fluid_and_a_bright_sclerotic_hippocampus(head, rng):
    image = flair(head, rng, PERFECT, sclerotic=head.mask(17))
    assert image[head.mask(4)].max() == 20
    assert image[head.mask(53)].max() == 110
    np.testing.assert_allclose(image[head.mask(17)], 132)


def test_a_cavity_is_dark_inside_and_bright_at_its_rim(head, rng):
    cavity = np.zeros(head.labels.shape, bool)
    cavity[30:37, 40:47, 40:47] = True
    image = t1w(head, rng, PERFECT, cavity=cavity)
    assert image[33, 43, 43] == 45
    # 2.5 mm voxels: the outermost layer is deeper than the rim of 1.5 mm, so all is core.
    assert image[29, 43, 43] != 45


def test_noise_and_bias_have_the_size_asked_for(head):
    flat = MrQuality(noise=0.03, bias=0.0, blur_fwhm_mm=0.0, texture=0.0, contrast_spread=0.0)
    image = t1w(head, np.random.default_rng(1), flat)
    assert image[head.mask(2)].std() == pytest.approx(0.03 * 160, rel=0.02)
    field = bias_field(head.grid, np.random.default_rng(1), 0.2)
    assert (field.min(), field.max()) == pytest.approx((0.8, 1.2), abs=1e-6)


def test_rician_noise_without_signal_is_rayleigh(rng):
    """Mean sigma sqrt(pi/2) (Gudbjartsson & Patz 1995, equation 5)."""
    noise = rician(np.zeros((60, 60, 60), np.float32), 2.0, rng)
    assert noise.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)


def test_smooth_noise_has_unit_variance_and_the_smoothness_asked_for(rng):
    grid = Grid((48, 48, 48), np.diag([2.0, 2.0, 2.0, 1.0]))
    field = smooth_noise(grid, rng, fwhm_mm=8.0)
    assert field.std() == pytest.approx(1.0, abs=1e-5)
    # A field smoothed by a Gaussian of sigma s correlates as exp(-d² / 4 s²).
    neighbour = np.corrcoef(field[1:].ravel(), field[:-1].ravel())[0, 1]
    assert neighbour == pytest.approx(np.exp(-4.0 / (4 * (8.0 / 2.3548) ** 2)), abs=0.02)


def test_an_impossible_quality_is_refused():
    with pytest.raises(OptionError, match="noise is out of range"):
        MrQuality(noise=-1)
