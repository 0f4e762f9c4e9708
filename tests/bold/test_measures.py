"""Amplitude, degree, mirror and seed connectivity against their formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.bold.amplitude import amplitude
from falx.bold.cleaning import Band, clean, cleaning_basis
from falx.bold.connectivity import LARGEST_R, degree, mirrored, seeded, unit_series
from falx.bold.measures import MEASURES, measure
from falx.bold.settings import MeasureSettings, RehoSettings
from falx.core.errors import InputError, OptionError
from falx.core.grid import Grid, normalisation_grid
from falx.images.mirror import turned_over

BAND = Band(0.01, 0.08)
GRID = normalisation_grid(6.0)


def smooth_noise(seed, shape):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal(shape), axis=1) * 0.2 + rng.standard_normal(shape)


@pytest.mark.parametrize("volumes", [240, 255])
def test_alff_with_padding_is_dpabi_s_formula(volumes):
    """y_alff_falff of DPABI: zero padding to 2^k, 2 |fft| / N, bins from 1 to N / 2."""
    series = smooth_noise(1, (5, volumes))
    padded = 2 ** int(np.ceil(np.log2(volumes)))
    full = np.zeros((5, padded))
    full[:, :volumes] = series - series.mean(axis=1, keepdims=True)
    sizes = 2 * np.abs(np.fft.fft(full)) / volumes
    low, high = int(np.ceil(0.01 * padded * 2)), int(np.fix(0.08 * padded * 2))
    found = amplitude(series, 2.0, BAND, padded=True)
    np.testing.assert_allclose(found.alff, sizes[:, low : high + 1].mean(axis=1), rtol=1e-12)
    share = sizes[:, low : high + 1].sum(axis=1) / sizes[:, 1 : padded // 2 + 1].sum(axis=1)
    np.testing.assert_allclose(found.falff, share, rtol=1e-12)


@given(st.floats(0.1, 10), st.floats(-1e3, 1e3))
@settings(max_examples=15)
def test_amplitude_scales_and_its_share_does_not(factor, offset):
    series = smooth_noise(2, (3, 120))
    one, other = amplitude(series, 2.0, BAND), amplitude(factor * series + offset, 2.0, BAND)
    np.testing.assert_allclose(other.alff, factor * one.alff, rtol=1e-6)
    np.testing.assert_allclose(other.falff, one.falff, rtol=1e-6)


def test_a_band_without_frequencies_is_refused_and_a_flat_series_has_no_share():
    with pytest.raises(InputError, match="no frequency of this run lies in the band"):
        amplitude(np.zeros((1, 50)), 2.0, Band(0.0801, 0.0802))
    flat = amplitude(np.ones((1, 50)), 2.0, BAND)
    assert flat.alff[0] == 0 and flat.falff[0] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_degree_is_the_sum_over_the_correlation_matrix(threads):
    series = smooth_noise(3, (700, 60))
    r = np.corrcoef(series)
    np.fill_diagonal(r, 0)
    weighted, binary = degree(unit_series(series), threads=threads)
    np.testing.assert_allclose(weighted, np.where(r > 0.25, r, 0).sum(axis=1), rtol=2e-3)
    assert np.abs(binary - (r > 0.25).sum(axis=1)).max() <= 1  # rounding at the threshold


def test_few_coefficients_hold_what_the_cleaned_series_hold():
    series = smooth_noise(4, (200, 150)).astype(np.float32)
    basis = cleaning_basis(np.zeros((150, 0)), 2.0, band=BAND)
    cleaned = clean(series, basis)
    few, all_times = unit_series(cleaned, basis.kept), unit_series(cleaned)
    assert few.shape[1] == basis.dof < 150
    np.testing.assert_allclose(few @ few.T, all_times @ all_times.T, atol=2e-5)


def brain(grid=GRID):
    return np.linalg.norm((grid.centres_mm() - [0, -15, 5]) / [60, 75, 55], axis=-1) < 1


def test_mirror_connectivity_is_that_of_opposite_voxels():
    mask = brain()
    mask[5, 12, 10] = False
    assert brain()[5, 12, 10]
    series = smooth_noise(5, (int(mask.sum()), 80))
    volume = np.zeros((*mask.shape, 80))
    volume[mask] = series
    found = np.full(mask.shape, np.nan)
    found[mask] = mirrored(unit_series(series), mask, GRID)
    assert np.isnan(found[-6, 12, 10])  # its mirrored voxel was not measured
    x_mm = GRID.affine[0, 0] * np.arange(mask.shape[0]) + GRID.affine[0, 3]
    for at in ((8, 10, 9), (18, 14, 12)):
        r = np.corrcoef(volume[at], volume[len(x_mm) - 1 - at[0], at[1], at[2]])[0, 1]
        assert found[at] == pytest.approx(np.arctanh(r), abs=1e-5)
    assert np.isnan(found[np.abs(x_mm) < 1e-3]).all()


def test_mirror_connectivity_of_the_mirrored_head_is_its_mirror_image():
    mask = brain()
    volume = np.zeros((*mask.shape, 60))
    volume[mask] = smooth_noise(6, (int(mask.sum()), 60))
    turned, turned_mask = turned_over(volume), turned_over(mask)
    one, other = np.zeros(mask.shape), np.zeros(mask.shape)
    one[mask] = mirrored(unit_series(volume[mask]), mask, GRID)
    other[turned_mask] = mirrored(unit_series(turned[turned_mask]), turned_mask, GRID)
    np.testing.assert_allclose(other, one[::-1], atol=1e-6)


def test_a_grid_without_a_middle_is_refused():
    affine = GRID.affine.copy()
    affine[0, 3] += 2
    mask = np.ones(GRID.shape, bool)
    with pytest.raises(InputError, match="not symmetric about x = 0 mm"):
        mirrored(np.zeros((mask.size, 2), np.float32), mask, Grid(GRID.shape, affine))


def test_a_seed_correlates_with_itself_and_by_the_formula():
    series = smooth_noise(7, (50, 90))
    inside = np.arange(50) < 4
    found = seeded(series, unit_series(series), inside)
    r = np.corrcoef(series[:4].mean(axis=0), series[20])[0, 1]
    assert found[20] == pytest.approx(np.arctanh(r), abs=1e-5)
    one = np.arange(50) == 9
    assert seeded(series, unit_series(series), one)[9] <= np.arctanh(LARGEST_R)
    with pytest.raises(InputError, match="no voxel of the run lies in the seed"):
        seeded(series, unit_series(series), np.zeros(50, bool))


def test_a_seed_has_three_coordinates():
    with pytest.raises(OptionError, match="a seed has three coordinates"):
        MeasureSettings(seed_mm=(1.0, 2.0))


@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_planted_mates_are_found_by_every_measure(order):
    """One place fluctuates slowly, together with its mirrored place and with the seed."""
    mask, rng = brain(), np.random.default_rng(8)
    mm = GRID.centres_mm()[mask]
    time_s = np.arange(160) * 2.0
    slow = 3 * np.sin(2 * np.pi * 0.04 * time_s + 1)
    series = rng.standard_normal((len(mm), 160)).astype(np.float32)
    seed = MeasureSettings(seed_mm=(-30.0, -20.0, 6.0), seed_radius_mm=10.0)
    left = np.linalg.norm(mm - seed.seed_mm, axis=1) <= 12
    right = np.linalg.norm(mm - np.array([30.0, -20.0, 6.0]), axis=1) <= 12
    series[left | right] += slow.astype(np.float32)
    cleaning = RehoSettings(voxel_mm=6.0, order=order, smoothing_fwhm_mm=6.0)
    nuisance = rng.standard_normal((160, 3))
    found = measure(series, nuisance, mask, GRID, 2.0, cleaning, seed)
    mates = left | right
    for name in MEASURES:
        values = found.values[name]
        assert np.nanmedian(values[mates]) > np.nanquantile(values[~mates], 0.99), name
    maps = found.maps(mask, GRID, cleaning)
    assert np.isnan(maps["vmhc"][mask]).any() and not np.isnan(maps["alff"]).any()
    assert maps["falff"][mask][mates].mean() > 2
    assert found.seed_voxels > 4
