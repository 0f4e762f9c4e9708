"""Signals of tissues: means, and components that span what was planted and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from falx.bold.cleaning import clean, cleaning_basis
from falx.bold.tissue import tissue_signals, tissue_voxels
from falx.core.errors import FalxNotice, InputError, OptionError

N = 120


def waves(n):
    """Slow waves without mean, trend or correlation, shape (N, n)."""
    time = np.arange(N)
    columns = np.stack([np.cos(np.pi * (time + 0.5) * 2 * k / N) for k in range(3, 3 + n)], axis=1)
    return columns / np.linalg.norm(columns, axis=0)


def within(columns, span):
    """Share of each column's length that lies in a span."""
    basis, _ = np.linalg.qr(span)
    return np.linalg.norm(basis.T @ columns, axis=0) / np.linalg.norm(columns, axis=0)


def test_voxels_are_taken_inside():
    mask = np.ones((12, 12, 12), bool)
    fraction = np.zeros(mask.shape)
    fraction[3:9, 3:9, 3:9] = 1.0
    rows = tissue_voxels(fraction, mask, threshold=0.9, name="white matter")
    assert np.array_equal(rows, ndimage.binary_erosion(fraction > 0.9)[mask])
    fraction[:] = 0
    fraction[4:9, 4:9, 4] = 1.0
    with pytest.warns(FalxNotice, match="CSF mask is too thin to erode"):
        rows = tissue_voxels(fraction, mask, threshold=0.7, name="CSF")
    assert np.count_nonzero(rows) == 25
    with pytest.raises(InputError, match="too little CSF .*0 voxels above 0.7"):
        tissue_voxels(0 * fraction, mask, threshold=0.7, name="CSF")


def test_no_components_mean_the_mean(rng):
    series = rng.normal(1000, 5, (40, N)).astype(np.float32)
    found = tissue_signals(series)
    np.testing.assert_array_equal(found.columns[:, 0], series.mean(axis=0, dtype=np.float64))
    assert found.explained_percent == ()


def test_components_span_what_was_planted(rng):
    planted = waves(2)
    line = np.outer(rng.normal(size=300), np.linspace(-1, 1, N))
    series = 1000 + 50 * line + rng.normal(size=(300, 2)) @ planted.T
    found = tissue_signals(series, n_components=2)
    np.testing.assert_allclose(within(found.columns, planted), 1.0, atol=1e-9)
    np.testing.assert_allclose(found.columns.T @ found.columns, np.eye(2), atol=1e-12)
    assert sum(found.explained_percent) == pytest.approx(100.0)
    assert found.explained_percent[0] >= found.explained_percent[1]


def test_equals_the_singular_vectors(rng):
    series = rng.normal(1000, 5, (90, N)).astype(np.float32)
    found = tissue_signals(series, n_components=6)
    time = np.linspace(-1, 1, N)
    design = np.column_stack([np.ones(N), time])
    rest = series.T - design @ np.linalg.lstsq(design, series.T.astype(float), rcond=None)[0]
    rest /= rest.std(axis=0)
    u, s, _ = np.linalg.svd(rest, full_matrices=False)
    np.testing.assert_allclose(np.abs((found.columns * u[:, :6]).sum(axis=0)), 1.0, atol=1e-8)
    share = 100 * s[:6] ** 2 / (s**2).sum()
    np.testing.assert_allclose(found.explained_percent, share, rtol=1e-6)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_scale_sign_mean_and_trend_of_a_voxel_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(60, N)) + 2 * rng.normal(size=(60, 3)) @ waves(3).T * np.sqrt(N)
    plain = tissue_signals(series, n_components=3).columns
    scale = rng.uniform(0.5, 20, (60, 1)) * rng.choice([-1.0, 1.0], (60, 1))
    line = rng.normal(size=(60, 1)) * np.arange(N) + 100 * rng.normal(size=(60, 1))
    other = tissue_signals(scale * series + line, n_components=3).columns
    np.testing.assert_allclose(other, plain, atol=1e-6)
    shuffled = tissue_signals(rng.permutation(series), n_components=3).columns
    np.testing.assert_allclose(shuffled, plain, atol=1e-6)


def test_sign_is_fixed_and_results_repeat(rng):
    series = rng.normal(size=(5000, N)).astype(np.float32)
    once, again = (tissue_signals(series, n_components=4).columns for _ in range(2))
    assert np.array_equal(once, again)
    largest = np.take_along_axis(once, np.abs(once).argmax(axis=0)[None], axis=0)
    assert np.all(largest > 0)


def test_voxels_without_variation_are_left_out():
    planted = waves(1)
    flat = np.vstack([np.full((5, N), 700.0), np.outer(np.ones(5), np.arange(N))])
    series = np.vstack([np.outer(np.linspace(1, 2, 20), planted[:, 0]), flat])
    found = tissue_signals(series, n_components=1)
    assert found.explained_percent == pytest.approx((100.0,))
    np.testing.assert_allclose(within(found.columns, planted), 1.0)


def test_components_clean_what_the_mean_misses(rng):
    # Two sources, one with as many positive as negative weights: its mean is next to nothing.
    pulse = waves(2)
    weights = np.column_stack([np.ones(400), np.resize([1.0, -1.0], 400)])
    tissue = 30 * weights @ pulse.T + 0.1 * rng.normal(size=(400, N))
    cortex = (rng.normal(size=(50, 2)) @ pulse.T + 0.01 * rng.normal(size=(50, N))) * 20
    left = []
    for n_components in (0, 2):
        nuisance = tissue_signals(tissue, n_components=n_components).columns
        cleaned = clean(cortex, cleaning_basis(nuisance, 2.0)).astype(float)
        left.append(np.linalg.norm(cleaned @ pulse) / np.linalg.norm(cortex @ pulse))
    assert left[0] > 0.5
    assert left[1] < 0.02


def test_bad_input_is_named(rng):
    series = np.outer(rng.normal(size=30), waves(1)[:, 0])
    with pytest.raises(InputError, match="CSF has fewer independent .*1 of 2 in 30 voxels"):
        tissue_signals(series, n_components=2, name="CSF")
    with pytest.raises(InputError, match="0 of 1 in 4 voxels"):
        tissue_signals(np.ones((4, N)), n_components=1)
    with pytest.raises(OptionError, match="compcor_components"):
        tissue_signals(series, n_components=-1)
