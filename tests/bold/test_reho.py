"""Regional homogeneity against a slow loop and against what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from falx.bold.reho import neighbour_offsets, regional_homogeneity
from falx.core.errors import InputError, OptionError


def slow_w(bold, mask, neighbours, ties):
    """Kendall's W written from the textbook, one voxel at a time."""
    n = bold.shape[3]
    w = np.zeros(mask.shape)
    for x, y, z in np.argwhere(mask):
        ranks, tie_sum = [], 0.0
        for offset in neighbour_offsets(neighbours):
            at = np.array([x, y, z]) + offset
            if np.any(at < 0) or np.any(at >= mask.shape) or not mask[tuple(at)]:
                continue
            rank = stats.rankdata(bold[tuple(at)])
            ranks.append(np.ceil(rank - 1) if ties == "cpac" else rank)
            sizes = np.unique(bold[tuple(at)], return_counts=True)[1].astype(float)
            tie_sum += (sizes**3 - sizes).sum()
        k = len(ranks)
        if k < 2:
            continue
        total = np.sum(ranks, axis=0)
        s = ((total - total.mean()) ** 2).sum()
        denominator = k**2 * (n**3 - n) - (k * tie_sum if ties == "corrected" else 0.0)
        w[x, y, z] = 12.0 * s / denominator
    return w


@pytest.mark.parametrize("neighbours", [7, 19, 27])
@pytest.mark.parametrize("ties", ["none", "corrected", "cpac"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_equals_a_slow_loop(rng, neighbours, ties, kind):
    bold = rng.normal(1000, 6, (5, 6, 4, 40)).astype(kind)
    mask = rng.random((5, 6, 4)) > 0.2
    fast = regional_homogeneity(bold[mask], mask, neighbours=neighbours, ties=ties)
    np.testing.assert_allclose(fast.w, slow_w(bold, mask, neighbours, ties), atol=1e-12)


def test_is_mean_spearman_correlation(rng):
    # W = (1 + (K - 1) mean rho) / K without ties (Kendall and Gibbons 1990).
    series = rng.normal(size=(27, 60))
    mask = np.ones((3, 3, 3), bool)
    w = regional_homogeneity(series, mask).w[1, 1, 1]
    rho = stats.spearmanr(series.T).statistic
    mean = rho[np.triu_indices(27, 1)].mean()
    assert w == pytest.approx((1 + 26 * mean) / 27, abs=1e-12)


def test_identical_series_agree_completely(rng):
    series = np.tile(rng.normal(size=50), (27, 1))
    reho = regional_homogeneity(series, np.ones((3, 3, 3), bool))
    assert np.all(reho.w == 1.0)
    assert reho.series_used[1, 1, 1] == 27
    assert reho.series_used[0, 0, 0] == 8
    assert reho.chi2[1, 1, 1] == 27 * 49


def test_constant_series_do_not_agree():
    reho = regional_homogeneity(np.ones((27, 20)), np.ones((3, 3, 3), bool), ties="corrected")
    assert np.all(reho.w == 0.0)


def test_white_noise_has_one_over_k(rng):
    # Expectation under independence; the note measured 0.03713 on a brain mask.
    series = rng.normal(size=(20**3, 250)).astype(np.float32)
    reho = regional_homogeneity(series, np.ones((20, 20, 20), bool))
    assert reho.w[reho.series_used == 27].mean() == pytest.approx(1 / 27, abs=5e-4)


def test_threads_and_scale_change_nothing(rng):
    mask = rng.random((12, 11, 13)) > 0.3
    series = rng.normal(size=(int(mask.sum()), 33)).astype(np.float32)
    one = regional_homogeneity(series, mask).w
    assert np.array_equal(one, regional_homogeneity(series, mask, threads=2).w)
    assert np.array_equal(one, regional_homogeneity(1024 * series, mask).w)
    assert np.array_equal(one, regional_homogeneity(series.astype(np.float64), mask).w)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_increasing_transform_leaves_ranks(seed):
    rng = np.random.default_rng(seed)
    series = rng.normal(size=(8, 16))
    mask = np.ones((2, 2, 2), bool)
    plain, bent = (regional_homogeneity(s, mask).w for s in (series, np.exp(series)))
    assert np.array_equal(plain, bent)


def test_negative_zero_ties_with_zero():
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.0], np.float32)
    plain = np.where(values == 0, np.float32(0), values)
    mask = np.ones((1, 1, 2), bool)
    other = np.array([3.0, 1.0, 2.0, 5.0, 4.0], np.float32)
    a, b = (regional_homogeneity(np.stack([v, other]), mask).w for v in (values, plain))
    assert np.array_equal(a, b)


def test_mirrored_run_gives_mirrored_map(rng):
    bold = rng.normal(size=(6, 5, 4, 30))
    mask = rng.random((6, 5, 4)) > 0.1
    w = regional_homogeneity(bold[mask], mask).w
    mirrored = regional_homogeneity(bold[::-1][mask[::-1]], mask[::-1]).w
    assert np.array_equal(mirrored, w[::-1])


def test_edge_and_border_options(rng):
    mask = np.ones((5, 5, 5), bool)
    series = rng.normal(size=(125, 20))
    full = regional_homogeneity(series, mask, edge="full")
    assert full.computed.sum() == 27
    assert np.array_equal(
        full.computed, regional_homogeneity(series, mask, border="dpabi-zero").computed
    )


def test_lone_voxel_has_no_value(rng):
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    reho = regional_homogeneity(rng.normal(size=(1, 20)), mask)
    assert not reho.computed.any()


def test_long_series_use_wider_sums(rng):
    # 27 series of 1300 volumes sum beyond 16 bits.
    series = np.tile(rng.normal(size=1300), (27, 1))
    assert np.all(regional_homogeneity(series, np.ones((3, 3, 3), bool)).w == 1.0)


def test_bad_input_is_named(rng):
    mask = np.ones((3, 3, 3), bool)
    with pytest.raises(InputError, match="do not match the mask"):
        regional_homogeneity(rng.normal(size=(26, 20)), mask)
    with pytest.raises(InputError, match="3 to 32767 time points"):
        regional_homogeneity(rng.normal(size=(27, 2)), mask)
    with pytest.raises(InputError, match="not finite"):
        regional_homogeneity(np.full((27, 20), np.nan), mask)
    with pytest.raises(OptionError, match="neighbours"):
        regional_homogeneity(rng.normal(size=(27, 20)), mask, neighbours=26)
    with pytest.raises(OptionError, match="least_neighbours is out of range .*1 to 27"):
        regional_homogeneity(rng.normal(size=(27, 20)), mask, least_neighbours=28)
