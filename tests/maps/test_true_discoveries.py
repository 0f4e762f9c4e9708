"""True discoveries: the bound against its definition, and how often it is broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from falx.maps.anova import compare_groups, group_contrasts
from falx.maps.design import group_design, two_sample_design
from falx.maps.group_maps import compare
from falx.maps.inference.true_discoveries import (
    STEP,
    TrueDiscoveries,
    calibrated,
    least_ratio,
    tail_table,
)
from falx.maps.linear import two_tailed
from falx.maps.settings import InferenceOptions

DOF = 30
TAILS = tail_table(lambda t: two_tailed(t, DOF))
OPTIONS = InferenceOptions(n_permutations=200, enhance=False)


def by_definition(tails, slope, voxels):
    """The bound of the module's first formula, over every u."""
    critical = slope * np.arange(1, voxels + 1) / voxels
    false = [u + np.count_nonzero(tails >= critical[u]) for u in range(voxels)]
    return len(tails) - min(*false, len(tails))


@given(
    st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=30),
    st.floats(1e-4, 2.0),
    st.integers(30, 200),
)
def test_the_bound_is_that_of_the_definition(tails, slope, voxels):
    found = TrueDiscoveries(slope, voxels, 0.95).at_least(np.array(tails))
    assert found == by_definition(np.array(tails), slope, voxels)


@given(st.lists(st.floats(1e-9, 1.0), min_size=2, max_size=30), st.data())
def test_more_voxels_never_hold_fewer_true_ones(tails, data):
    known = TrueDiscoveries(0.05, 100, 0.95)
    some = data.draw(st.integers(1, len(tails)))
    assert known.at_least(np.array(tails[:some])) <= known.at_least(np.array(tails))
    assert known.at_least(np.array(tails[::-1])) == known.at_least(np.array(tails))


def test_the_ratio_of_a_map_is_at_most_the_exact_one_and_near_it():
    t = np.random.default_rng(4).standard_t(DOF, 5000)
    ordered = np.sort(two_tailed(t, DOF))
    exact = (ordered * len(t) / np.arange(1, len(t) + 1)).min()
    assert 0.97 * exact < least_ratio(t, TAILS) <= exact
    assert least_ratio(-t, TAILS) == least_ratio(t, TAILS)
    assert least_ratio(np.append(t, 1e6), TAILS) == 0
    assert TAILS[0] == pytest.approx(two_tailed(np.array(STEP), DOF))


def test_nothing_is_certain_where_the_quantile_is_zero():
    assert calibrated(np.zeros(100), 50, 0.05).at_least(np.full(5, 1e-9)) == 0


def field(rng, shape=(16, 16, 16)):
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5)
    return smooth / smooth.std()


def cohort(seed, groups, planted):
    rng = np.random.default_rng(seed)
    data = np.stack([field(rng) for _ in groups])
    differs = np.zeros(data.shape[1:], bool)
    differs[4:9, 5:10, 6:11] = True
    data[[group == "a" for group in groups]] += planted * differs
    return data.reshape(len(groups), -1), differs.ravel()


@pytest.mark.parametrize("variance", ["groups", "equal"])
def test_a_planted_cube_is_mostly_certain_and_nothing_else_is(variance):
    groups = ["a"] * 20 + ["b"] * 20
    data, differs = cohort(1, groups, 2.0)
    design = two_sample_design(groups, "a", "b")
    options = InferenceOptions(n_permutations=200, enhance=False, variance=variance)
    result = compare(
        data,
        np.ones((16, 16, 16), bool),
        design,
        np.array([1, 0]),
        np.random.default_rng(0),
        options=options,
        groups=groups,
    )
    inside = result.at_least(np.flatnonzero(differs))
    assert 0.5 * differs.sum() < inside <= differs.sum()
    assert result.at_least(np.flatnonzero(~differs)) == 0
    off = InferenceOptions(n_permutations=1, enhance=False)
    alone = compare(
        data,
        np.ones((16, 16, 16), bool),
        design,
        np.array([1, 0]),
        np.random.default_rng(0),
        options=off,
        groups=groups,
    )
    assert alone.at_least(np.arange(5)) is None


def test_an_analysis_of_variance_bounds_them_too():
    groups = ["a"] * 12 + ["b"] * 12 + ["c"] * 12
    data, differs = cohort(2, groups, 2.5)
    design = group_design(groups, {})
    result = compare_groups(
        data,
        np.ones((16, 16, 16), bool),
        design,
        group_contrasts(design, 3),
        np.random.default_rng(0),
        options=OPTIONS,
        groups=groups,
    )
    assert 0.3 * differs.sum() < result.at_least(np.flatnonzero(differs)) <= differs.sum()
    assert result.at_least(np.flatnonzero(~differs)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("planted", [0.0, 1.0])
def test_the_bound_is_broken_as_seldom_as_it_says(planted):
    """Broken if any set has fewer true voxels than stated; of 200 data sets at 5 %."""
    groups = ["a"] * 16 + ["b"] * 16
    design = two_sample_design(groups, "a", "b")
    broken = 0
    for seed in range(200):
        data, differs = cohort(100 + seed, groups, planted)
        result = compare(
            data,
            np.ones((16, 16, 16), bool),
            design,
            np.array([1, 0]),
            np.random.default_rng(seed),
            options=OPTIONS,
            groups=groups,
        )
        true = differs & (planted > 0)
        # Of all sets those with the most false voxels for their bound begin at the smallest P.
        order = np.argsort(-np.abs(result.fit.t))
        false = np.cumsum(~true[order])
        ranks = np.flatnonzero(~true[order])[:200]
        stated = [result.at_least(order[: k + 1]) for k in ranks]
        broken += (
            any(at > k + 1 - false[k] for at, k in zip(stated, ranks, strict=True))
            or result.at_least(np.flatnonzero(~true)) > 0
        )
    print(f"planted {planted}: broken in {broken} of 200")
    assert broken <= stats.binom.ppf(0.99, 200, 0.05)
