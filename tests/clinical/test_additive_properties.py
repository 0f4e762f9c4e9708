"""The additive model is a sum of steps: what that forbids and demands."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.clinical.additive import (
    cross_validate_additive,
    cross_validate_linear,
    partial_dependence,
    permute_additive,
)
from falx.clinical.stumps import boost
from falx.core.errors import InputError


@st.composite
def cohorts(draw, *, columns=3):
    """Predictors (n, columns) with ties, and responses (n,)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(10, 24))
    x = np.round(rng.normal(size=(n, columns)), 1)
    return x, x[:, 0] + rng.normal(size=n)


def _fit(x, y, *, rounds=4, rate=0.7, at=None):
    everybody = np.ones((1, len(y)), dtype=bool)
    where = x if at is None else at
    parts, means = boost(x, y[None], everybody, where, rounds=rounds, learning_rate=rate)
    return parts[0], means[0]


def brute_force(contributions, row):
    """Shapley values of one patient by the sum over all coalitions (Shapley 1953)."""
    p = contributions.shape[1]
    background = contributions.mean(axis=0)
    values = np.zeros(p)
    for j in range(p):
        others = [k for k in range(p) if k != j]
        for size in range(p):
            weight = factorial(size) * factorial(p - size - 1) / factorial(p)
            for coalition in combinations(others, size):
                known = background.copy()
                known[list(coalition)] = contributions[row, list(coalition)]
                without = known.sum()
                known[j] = contributions[row, j]
                values[j] += weight * (known.sum() - without)
    return values


@settings(max_examples=20)
@given(cohorts())
def test_closed_form_shapley_equals_all_coalitions_and_sums_to_the_prediction(cohort):
    parts, mean = _fit(*cohort)
    closed = parts - parts.mean(axis=0)
    for row in (0, len(parts) - 1):
        np.testing.assert_allclose(brute_force(parts, row), closed[row], atol=1e-12)
    fitted = mean + parts.sum(axis=1)
    np.testing.assert_allclose(closed.sum(axis=1), fitted - fitted.mean(), atol=1e-12)


@settings(max_examples=20)
@given(cohorts(), st.integers(1, 6))
def test_every_round_fits_at_least_as_well_and_keeps_the_mean(cohort, rounds):
    x, y = cohort
    before, mean = _fit(x, y, rounds=rounds, rate=1.0)
    after, _ = _fit(x, y, rounds=rounds + 1, rate=1.0)
    errors = [np.sum((y - mean - parts.sum(axis=1)) ** 2) for parts in (before, after)]
    assert errors[1] <= errors[0] + 1e-9
    assert mean == pytest.approx(y.mean())
    np.testing.assert_allclose(after.mean(axis=0), 0, atol=1e-9)


@settings(max_examples=20)
@given(cohorts(), st.floats(-5, 5), st.floats(0.1, 10))
def test_the_response_may_be_shifted_and_scaled(cohort, shift, scale):
    x, y = cohort
    plain, mean = _fit(x, y)
    other, moved = _fit(x, scale * y + shift)
    np.testing.assert_allclose(other, scale * plain, rtol=1e-6, atol=1e-8)
    assert moved == pytest.approx(scale * mean + shift)


@settings(max_examples=20)
@given(cohorts())
def test_only_the_order_of_a_predictor_matters(cohort):
    x, y = cohort
    bent = x.copy()
    bent[:, 1] = np.exp(bent[:, 1])
    np.testing.assert_allclose(_fit(bent, y)[0], _fit(x, y)[0], atol=1e-12)


@settings(max_examples=20)
@given(cohorts())
def test_shapes_are_steps_midway_between_training_values(cohort):
    x, y = cohort
    distinct = np.unique(x[:, 0])
    middle = (distinct[1:] + distinct[:-1]) / 2
    gap = np.diff(distinct).min() / 8
    at = np.zeros((len(middle), 3))
    low, high, left, right = (at.copy() for _ in range(4))
    low[:, 0], high[:, 0] = middle - gap, middle + gap
    left[:, 0], right[:, 0] = distinct[:-1], distinct[1:]
    np.testing.assert_allclose(_fit(x, y, at=low)[0], _fit(x, y, at=left)[0], atol=1e-12)
    np.testing.assert_allclose(_fit(x, y, at=high)[0], _fit(x, y, at=right)[0], atol=1e-12)


def test_one_round_on_one_predictor_is_the_best_split():
    x, y = np.array([[1.0], [2], [3], [4]]), np.array([0.0, 1, 10, 11])
    parts, mean = _fit(x, y, rounds=1, rate=0.5)
    np.testing.assert_allclose(parts[:, 0], [-2.5, -2.5, 2.5, 2.5])
    assert mean == 5.5


def test_patients_out_of_training_do_not_move_a_fit():
    x, y = np.arange(12.0)[:, None], np.sin(np.arange(12.0))
    train = np.arange(12) < 9
    wild = np.where(train, y, 1e6)
    fits = [boost(x, z[None], train[None], x, rounds=3, learning_rate=1.0) for z in (y, wild)]
    np.testing.assert_array_equal(fits[0][0], fits[1][0])
    assert fits[0][1][0] == pytest.approx(y[:9].mean())


@settings(max_examples=8)
@given(cohorts(), st.integers(0, 99))
def test_figures_of_cross_validation_belong_together(cohort, seed):
    x, y = cohort
    found = cross_validate_additive(
        x, y, names=("a", "b", "c"), n_iterations=6, rng=np.random.default_rng(seed)
    )
    assert (found.names, found.rounds, found.learning_rate, found.n_folds) == (
        ("a", "b", "c"), 3, 1.0, 5,
    )  # fmt: skip
    r, p = scipy.stats.pearsonr(found.prediction, y)
    assert (found.r, found.p) == pytest.approx((r, p))
    assert found.r_iterations.shape == (6,)
    assert np.all(np.abs(found.r_iterations) <= 1 + 1e-12)
    assert found.r2 <= 1
    assert found.shapley.shape == found.shapley_last_fold.shape == x.shape
    np.testing.assert_allclose(found.shapley.mean(axis=0), 0, atol=1e-9)
    assert np.all(np.abs(found.shapley).mean(axis=0) <= found.mean_absolute_shapley + 1e-12)
    assert np.all(found.interval_low <= found.interval_high)


def test_linear_baseline_is_the_plain_loop(rng):
    x, y = rng.normal(size=(15, 2)), rng.normal(size=15)
    r, r2, mean_r = cross_validate_linear(
        x, y, n_folds=3, n_iterations=2, rng=np.random.default_rng(4)
    )
    labels = np.random.default_rng(4).permuted(
        np.broadcast_to(np.arange(15) * 3 // 15, (2, 15)), axis=1
    )
    held = np.empty((2, 15))
    for it, fold in np.ndindex(2, 3):
        train = labels[it] != fold
        b = np.linalg.lstsq(np.column_stack([np.ones(10), x[train]]), y[train], rcond=None)[0]
        held[it, ~train] = b[0] + x[~train] @ b[1:]
    np.testing.assert_allclose(r, [np.corrcoef(row, y)[0, 1] for row in held])
    errors = np.sum((held - y) ** 2, axis=1) / np.sum((y - y.mean()) ** 2)
    assert r2 == pytest.approx(np.mean(1 - errors))
    assert mean_r == pytest.approx(np.corrcoef(held.mean(axis=0), y)[0, 1])


def test_prediction_limits_hold_new_patients(rng):
    x = rng.normal(size=(60, 1))
    y = 2 * (x[:, 0] > 0) + rng.normal(scale=0.3, size=60)
    found = cross_validate_additive(x, y, n_iterations=20, rng=rng)
    inside = (found.interval_low <= y) & (y <= found.interval_high)
    assert inside.mean() >= 0.9
    width = found.interval_high - found.interval_low
    assert 4 * 0.3 * 0.8 < width.mean() < 4 * 0.3 * 2


def test_partial_dependence_of_a_planted_step(rng):
    x = rng.uniform(-1, 1, size=(80, 2))
    y = np.where(x[:, 1] > 0.2, 3.0, -1.0)
    curve = partial_dependence(
        x, y, 1, names=("noise", "step"), n_resamples=30, n_points=41, rng=rng
    )
    assert curve.name == "step"
    assert (curve.x[0], curve.x[-1], len(curve.x)) == (x[:, 1].min(), x[:, 1].max(), 41)
    np.testing.assert_allclose(curve.mean[curve.x < 0.1], -1, atol=0.05)
    np.testing.assert_allclose(curve.mean[curve.x > 0.3], 3, atol=0.05)
    flat = partial_dependence(x, y, 0, n_resamples=30, n_points=5, rng=rng)
    assert np.ptp(flat.mean) < 0.2
    assert flat.name == "x1"


def test_permutation_tells_a_relation_from_none(rng):
    x = rng.normal(size=(24, 2))
    related = permute_additive(x, np.sign(x[:, 0]), n_iterations=3, n_permutations=39, rng=rng)
    assert related.p == pytest.approx(1 / 40)
    assert related.observed > 0.8
    assert (related.permutations, related.null_sd > 0) == (39, True)
    none = permute_additive(x, rng.normal(size=24), n_iterations=3, n_permutations=39, rng=rng)
    assert none.p > 0.05


def test_refusals_of_the_additive_model(rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    with pytest.raises(InputError, match="too few patients for this many folds.*12 patients, 7"):
        cross_validate_additive(x, y, n_folds=7, rng=rng)
    with pytest.raises(InputError, match="names and predictors differ in number"):
        cross_validate_additive(x, y, names=("a",), rng=rng)
    with pytest.raises(InputError, match="constant column"):
        cross_validate_additive(np.ones((12, 1)), y, rng=rng)
