"""Permutation inference against full regressions, nilearn and nominal error rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import OptionError
from falx.maps.design import partition, two_sample_design
from falx.maps.inference.neighbours import neighbour_table
from falx.maps.inference.permutation import (
    MaximaNull,
    SpatialStatistics,
    moving_nuisance,
    permutation_null,
    permuted_t,
)
from falx.maps.inference.rearrangements import permutation_plan
from falx.maps.linear import fit_contrast

GROUPS = ["a"] * 9 + ["b"] * 11
N = 20


def contrast_of(design):
    return design.contrast({"a - b": 1})


def permutation_t(data, design, orders):
    """Maps of t in double precision."""
    parts = partition(design, contrast_of(design))
    rest = parts.residualise(data)
    rest /= np.linalg.norm(rest, axis=0)
    return permuted_t(rest, parts, moving_nuisance(parts.nuisance), orders)


@pytest.fixture
def design(rng):
    return two_sample_design(GROUPS, "a", "b", {"age": rng.normal(size=N), "fd": rng.random(N)})


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_closed_form_is_the_full_regression(seed):
    # Freedman and Lane 1983: permute the residuals, add the nuisance fit, regress again.
    rng = np.random.default_rng(seed)
    design = two_sample_design(GROUPS, "a", "b", {"age": rng.normal(size=N)})
    data = rng.normal(size=(N, 15))
    orders = permutation_plan(N, 6, rng).orders
    found = permutation_t(data, design, orders)
    z = design.matrix[:, 1:]
    fitted = z @ np.linalg.pinv(z) @ data
    for order, t in zip(orders, found, strict=True):
        again = (data - fitted)[order] + fitted
        full = fit_contrast(again, design, contrast_of(design)).t
        np.testing.assert_allclose(t, full, atol=1e-10)


def test_maxima_are_those_of_the_maps(rng, design):
    data = rng.normal(size=(N, 3000)).astype(np.float32)
    plan = permutation_plan(N, 40, rng)
    null = permutation_null(data, design, contrast_of(design), plan)
    maps = permutation_t(data, design, plan.orders)
    np.testing.assert_allclose(null.t, np.abs(maps).max(axis=1), rtol=1e-4)
    observed = fit_contrast(data, design, contrast_of(design)).t
    assert null.t[0] == pytest.approx(np.abs(observed).max(), rel=1e-5)


def test_threads_change_nothing(rng, design):
    mask = np.ones((6, 7, 8), bool)
    data = rng.normal(size=(N, mask.size)).astype(np.float32)
    plan = permutation_plan(N, 300, rng)
    spatial = SpatialStatistics(neighbour_table(mask), (2.0,), enhance=True)
    for where in (None, spatial):
        one, two = (
            permutation_null(data, design, contrast_of(design), plan, spatial=where, threads=k)
            for k in (1, 2)
        )
        for name in ("t", "extent", "mass"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
    assert np.array_equal(one.tfce, two.tfce)


def test_same_seed_same_plan():
    a, b = (permutation_plan(30, 50, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(a.orders, b.orders)
    assert np.array_equal(a.orders[0], np.arange(30))


def test_small_groups_are_enumerated(rng):
    design = two_sample_design(["a"] * 4 + ["b"] * 4, "a", "b")
    plan = permutation_plan(8, 5000, rng, labels=design.matrix[:, 0])
    assert plan.exhaustive
    assert len(plan) == 70
    assert len({tuple(np.sort(order[:4])) for order in plan.orders}) == 70
    data = np.r_[np.full(4, 5.0), np.zeros(4)][:, None] + 0.01 * rng.normal(size=(8, 1))
    null = permutation_null(data, design, np.array([1.0, 0.0]), plan)
    # The observed split and its mirror are the two most extreme of 70.
    assert null.p_value(null.t[:1], null.t) == pytest.approx(2 / 70)
    assert len(permutation_plan(4, 100, rng)) == 24


def test_t_and_quantile_agree_with_nilearn(rng, design):
    from nilearn.mass_univariate import permuted_ols

    data = rng.normal(size=(N, 200))
    theirs = permuted_ols(
        design.matrix[:, :1], data, confounding_vars=design.matrix[:, 2:], model_intercept=True,
        n_perm=1500, two_sided_test=True, random_state=1, n_jobs=1, output_type="dict", verbose=0,
    )  # fmt: skip
    fit = fit_contrast(data, design, contrast_of(design))
    np.testing.assert_allclose(fit.t, theirs["t"][0], rtol=1e-5)
    null = permutation_null(data, design, contrast_of(design), permutation_plan(N, 1500, rng))
    quantiles = [np.quantile(x, 0.95) for x in (null.t, theirs["h0_max_t"][0])]
    # Two Monte-Carlo quantiles of 1500 draws each.
    assert quantiles[0] == pytest.approx(quantiles[1], rel=0.06)


def test_p_values_count_the_identity():
    null = np.array([4.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(MaximaNull.p_value([4.0, 3.5, 0.5], null), [0.25, 0.25, 1.0])
    drawn = permutation_plan(40, 5000, np.random.default_rng(1))
    assert drawn.error(0.05) == pytest.approx(0.00308, abs=1e-5)
    assert permutation_plan(4, 100, np.random.default_rng(1)).error(0.05) == 0.0


def test_voxel_error_rate_is_nominal(rng):
    design = two_sample_design(GROUPS, "a", "b", {"age": rng.normal(size=N)})
    hits = 0
    for _ in range(200):
        data = rng.normal(size=(N, 60)).astype(np.float32)
        null = permutation_null(data, design, contrast_of(design), permutation_plan(N, 100, rng))
        hits += null.p_value(null.t[0], null.t) <= 0.05
    # 5 % with a binomial standard error of 1.5 %.
    assert 0.5 / 100 <= hits / 200 <= 10 / 100


def test_no_permutation_is_refused(rng):
    with pytest.raises(OptionError, match="number of permutations"):
        permutation_plan(N, 0, rng)
