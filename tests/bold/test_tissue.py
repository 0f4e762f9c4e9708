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


@pytest.mark.parametrize(("side", "eroded"), [((4, 7, 6), True), ((3, 21, 3), False)])
def test_twenty_voxels_are_enough(side, eroded):
    """An eroded box of 2 × 5 × 4 has forty voxels, one of 1 × 19 × 1 nineteen."""
    mask = np.ones((12, 24, 12), bool)
    fraction = np.zeros(mask.shape)
    fraction[1 : 1 + side[0], 1 : 1 + side[1], 1 : 1 + side[2]] = 1.0
    if eroded:
        rows = tissue_voxels(fraction, mask, threshold=0.5, name="CSF")
        assert np.count_nonzero(rows) == 40
        return
    with pytest.warns(FalxNotice, match=r"used whole .found: 189 voxels"):
        assert np.count_nonzero(tissue_voxels(fraction, mask, threshold=0.5, name="CSF")) == 189


def test_exactly_twenty_voxels_pass_and_nineteen_do_not():
    mask = np.ones((3, 25, 3), bool)
    fraction = np.zeros(mask.shape)
    fraction[:, 1:23] = 1.0  # eroded by one: 1 × 20 × 1
    assert np.count_nonzero(tissue_voxels(fraction, mask, threshold=0.5, name="CSF")) == 20
    thin = np.zeros(mask.shape)
    thin[0, :20, 0] = 1.0
    with pytest.warns(FalxNotice, match="20 voxels"):
        assert np.count_nonzero(tissue_voxels(thin, mask, threshold=0.5, name="CSF")) == 20
    thin[0, 0, 0] = 0.0
    with pytest.raises(InputError, match=r"19 voxels above 0.5.; lower the threshold or check"):
        tissue_voxels(thin, mask, threshold=0.5, name="CSF")


def test_a_fraction_at_the_threshold_is_outside_and_so_is_what_the_mask_leaves_out():
    mask = np.ones((9, 9, 9), bool)
    fraction = np.full(mask.shape, 0.5)
    fraction[2:7, 2:7, 2:7] = 0.75
    mask[:, :, 4] = False
    with pytest.warns(FalxNotice, match="used whole .found: 100 voxels"):
        rows = tissue_voxels(fraction, mask, threshold=0.5, name="CSF")
    assert len(rows) == np.count_nonzero(mask)
    inside = np.zeros(mask.shape, bool)
    inside[mask] = rows
    # Two slabs, two planes thick: an erosion would leave nothing.
    assert not inside[:, :, 4].any()
    with pytest.raises(InputError, match="0 voxels above 0.75"):
        tissue_voxels(fraction, mask, threshold=0.75, name="CSF")


def test_the_mean_is_taken_in_double_precision():
    series = np.full((3_000, 2), 16_777_217.0, np.float64).astype(np.float32)
    series[:, 1] = 1.0
    found = tissue_signals(series)
    assert found.voxels == 3_000
    assert found.columns.shape == (2, 1) and found.columns.dtype == np.float64
    assert found.columns[:, 0].tolist() == [16_777_216.0, 1.0]


def test_trends_of_the_order_asked_for_are_no_component(rng):
    time = np.linspace(-1, 1, N)
    curve = rng.normal(size=(80, 1)) * (3 * time**2 - 1) + rng.normal(size=(80, 1)) * time
    series = 50 + 10 * curve + rng.normal(size=(80, 2)) @ waves(2).T
    bent = tissue_signals(series, n_components=1, trend_order=1).columns
    straight = tissue_signals(series, n_components=2, trend_order=2).columns
    assert within(bent, waves(2))[0] < 0.9
    design = np.vander(time, 3)
    planted = waves(2) - design @ np.linalg.lstsq(design, waves(2), rcond=None)[0]
    np.testing.assert_allclose(within(straight, planted), 1.0, atol=1e-9)
    # Without an order only the mean goes.
    level = tissue_signals(50 + 0 * curve + np.outer(np.arange(1, 81), time), n_components=1,
                           trend_order=0)  # fmt: skip
    assert within(level.columns, time[:, None])[0] == pytest.approx(1.0)


def test_blocks_of_voxels_add_up(rng, monkeypatch):
    series = rng.normal(100, 5, (130, N))
    whole = tissue_signals(series, n_components=3)
    monkeypatch.setattr("falx.bold.tissue._BLOCK", 50)
    parts = tissue_signals(series, n_components=3)
    np.testing.assert_allclose(parts.columns, whole.columns, atol=1e-9)
    assert parts.voxels == whole.voxels == 130


def test_shares_are_of_all_voxels_that_vary(rng):
    planted = waves(2)
    # 30 voxels with one wave, 10 with the other and 5 with none.
    series = np.vstack([np.tile(planted[:, 0], (30, 1)), np.tile(planted[:, 1], (10, 1))])
    found = tissue_signals(np.vstack([series, np.full((5, N), 3.0)]), n_components=2)
    assert found.voxels == 40
    assert found.explained_percent == pytest.approx((75.0, 25.0))
    np.testing.assert_allclose(np.abs((found.columns * planted).sum(axis=0)), 1.0)


@pytest.mark.parametrize(("n", "told"), [(51, "0 to 50"), (-1, "0 to 50")])
def test_as_many_components_as_the_option_allows(n, told, rng):
    series = rng.normal(size=(200, N))
    assert tissue_signals(series, n_components=50).columns.shape == (N, 50)
    with pytest.raises(OptionError, match=f"compcor_components is out of range.*{told}"):
        tissue_signals(series, n_components=n)


def test_the_name_of_the_tissue_stands_in_the_sentence():
    with pytest.raises(InputError) as caught:
        tissue_signals(np.outer(np.arange(1.0, 9), waves(1)[:, 0]), n_components=3, name="CSF")
    assert str(caught.value) == (
        "the CSF has fewer independent signals than components are asked for (found: 1 of 3 in "
        "8 voxels); lower compcor_components."
    )
    with pytest.raises(InputError, match="the tissue has fewer"):
        tissue_signals(np.outer(np.arange(1.0, 9), waves(1)[:, 0]), n_components=3)
