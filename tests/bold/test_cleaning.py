"""Joint cleaning leaves nothing of what it removes; the sequential order does."""

from __future__ import annotations

import numpy as np
import pytest

from falx.bold.cleaning import (
    Band,
    clean,
    clean_sequentially,
    cleaning_basis,
    fourier_columns,
    ideal_filter,
)
from falx.bold.confounds import friston24, polynomial_trends, spike_regressors
from falx.core.errors import InputError, OptionError, QualityError

N, TR = 250, 2.0


def nuisance(rng, columns, spikes):
    marked = np.zeros(N, bool)
    marked[rng.choice(N, spikes, replace=False)] = True
    walk = rng.normal(size=(N, columns)).cumsum(axis=0)
    return np.hstack([walk, spike_regressors(marked)])


def largest_correlation(series, columns):
    a = series.astype(float) / np.linalg.norm(series.astype(float), axis=1, keepdims=True)
    b = columns - columns.mean(axis=0)
    return np.abs(a @ (b / np.linalg.norm(b, axis=0))).max()


@pytest.mark.parametrize(
    ("columns", "spikes", "left"), [(28, 5, 38), (26, 0, 45), (26, 5, 40), (26, 25, 20)]
)
def test_degrees_of_freedom_of_the_paper(rng, columns, spikes, left):
    # 250 volumes of 2 s, 0.01-0.08 Hz: bins 5 to 40, 72 degrees of freedom, minus the trend.
    basis = cleaning_basis(nuisance(rng, columns, spikes), TR, band=Band())
    assert basis.dof == left
    assert basis.trend_dof + basis.band_dof + basis.nuisance_dof + basis.dof == N
    np.testing.assert_allclose(basis.kept.T @ basis.kept, np.eye(left), atol=1e-12)


def test_nothing_is_left(rng):
    columns = nuisance(rng, 28, 5)
    series = rng.normal(1000, 10, (500, N)) + rng.normal(size=(500, 33)) @ columns.T * 5
    out = clean(series.astype(np.float32), cleaning_basis(columns, TR, band=Band()))
    assert largest_correlation(out, columns) < 1e-6
    power = np.abs(np.fft.rfft(out.astype(float), axis=1)) ** 2
    outside = ~Band().keeps(np.fft.rfftfreq(N, TR))
    assert (power[:, outside].sum(axis=1) / power.sum(axis=1)).max() < 1e-10


def test_sequential_order_brings_noise_back(rng):
    columns = nuisance(rng, 28, 5)
    series = rng.normal(1000, 10, (500, N)) + rng.normal(size=(500, 33)) @ columns.T * 5
    out = clean_sequentially(series, columns, TR, band=Band())
    assert largest_correlation(out, columns) > 0.01


def test_signal_in_the_band_survives(rng):
    time = np.arange(N) * TR
    signal = np.cos(2 * np.pi * 0.04 * time)[None]
    out = clean(signal + 1000, cleaning_basis(np.empty((N, 0)), TR, band=Band()))
    assert np.corrcoef(out[0], signal[0])[0, 1] > 0.999


def test_threads_change_nothing(rng):
    series = rng.normal(size=(9000, 60)).astype(np.float32)
    basis = cleaning_basis(rng.normal(size=(60, 4)), TR, band=Band(), least_dof=5)
    assert np.array_equal(clean(series, basis), clean(series, basis, threads=2))


def test_tiny_rotations_keep_their_rank(rng):
    # Squared rotations of 2e-5 rad count as zero unless columns have unit norm.
    motion = rng.normal(size=(N, 6)).cumsum(axis=0) * np.array([1e-2] * 3 + [2e-5] * 3)
    assert cleaning_basis(friston24(motion), TR, band=Band()).nuisance_dof == 24


def test_redundant_columns_cost_nothing(rng):
    once = rng.normal(size=(N, 3))
    a = cleaning_basis(once, TR)
    b = cleaning_basis(np.hstack([once, once @ rng.normal(size=(3, 2)), np.ones((N, 1))]), TR)
    assert a.dof == b.dof == N - 2 - 3


def test_ideal_filter_keeps_the_bins_of_dpabi(rng):
    # 250 padded to 256: bins 6 to 40, 0.0117 to 0.0781 Hz.
    padded = np.zeros((1, N))
    padded[0, 100] = 1.0
    out = ideal_filter(padded, TR, Band())
    spectrum = np.zeros(129)
    spectrum[6:41] = 1.0
    impulse = np.fft.fft(np.r_[padded[0] - padded[0].mean(), np.zeros(6)])[:129]
    expected = np.fft.irfft(impulse * spectrum, 256)[:N]
    np.testing.assert_allclose(out[0], expected, atol=1e-7)


def test_fourier_columns_complete_the_space():
    columns = fourier_columns(N, TR, Band())
    assert columns.shape == (N, N - 1 - 72)
    assert fourier_columns(N, TR, None).shape == (N, 0)


def test_confounds():
    motion = np.arange(12.0).reshape(2, 6)
    both = friston24(motion)
    assert both.shape == (2, 24)
    assert np.all(both[0, 6:12] == 0)
    np.testing.assert_array_equal(both[1, 6:12], motion[0])
    np.testing.assert_array_equal(both[:, 12:18], motion**2)
    marked = np.zeros(9, bool)
    marked[[0, 5]] = True
    assert spike_regressors(marked, previous=1, later=2).sum() == 7
    assert polynomial_trends(10, 1).shape == (10, 2)


def test_bad_input_is_named(rng):
    with pytest.raises(QualityError, match="too few degrees of freedom .* of 250"):
        cleaning_basis(rng.normal(size=(N, 60)), TR, band=Band())
    with pytest.raises(InputError, match="no frequency of this run"):
        cleaning_basis(np.empty((10, 0)), 2.0, band=Band(0.06, 0.08))
    with pytest.raises(InputError, match="not a finite table"):
        cleaning_basis(np.full((N, 2), np.nan), TR)
    with pytest.raises(InputError, match="differ in length"):
        clean(np.zeros((3, 20)), cleaning_basis(np.empty((30, 0)), TR))
    with pytest.raises(OptionError, match="high edge"):
        Band(0.1, 0.01)
    with pytest.raises(InputError, match="six motion parameters"):
        friston24(np.zeros((5, 7)))
