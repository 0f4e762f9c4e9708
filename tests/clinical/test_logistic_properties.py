"""What must hold of every logistic model and every spline, whatever the patients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical.cohorts import overlapping
from falx.clinical.logistic.batch import fit_batch
from falx.clinical.logistic.firth import firth_ratio_test, fit_firth
from falx.clinical.logistic.fit import (
    fit_logistic,
    likelihood_ratio,
    profile_interval,
    wald_test,
)
from falx.clinical.logistic.likelihood import information, log_likelihood, maximise, score
from falx.clinical.logistic.separation import is_separated
from falx.clinical.logistic.spline_model import fit_spline, odds_ratio_curve, turning_points
from falx.clinical.logistic.splines import place_knots, spline_basis, spline_derivative
from falx.clinical.logistic.univariate import univariate_logistic
from falx.core.errors import InputError

KNOTS = st.lists(st.integers(-20, 20), min_size=3, max_size=5, unique=True).map(
    lambda k: np.sort(np.array(k, dtype=float))
)


def _design(x):
    return np.column_stack([np.ones(len(x)), x])


@given(overlapping(columns=2), st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_the_score_and_the_information_are_derivatives_of_the_likelihood(cohort, b):
    x, y = cohort
    design, at = _design(x), np.array(b)
    slope = scipy.optimize.approx_fprime(at, lambda c: log_likelihood(design, y, c), 1e-6)
    np.testing.assert_allclose(score(design, y, at), slope, atol=1e-3)
    bend = np.array([
        (score(design, y, at + step) - score(design, y, at - step)) / 2e-5
        for step in 1e-5 * np.eye(3)
    ])  # fmt: skip
    np.testing.assert_allclose(information(design, at), -bend, atol=1e-4)


@given(overlapping(columns=2))
def test_the_climb_ends_where_no_step_is_better(cohort):
    x, y = cohort
    design = _design(x)
    top = maximise(design, y)
    np.testing.assert_allclose(score(design, y, top.coefficients), 0, atol=1e-7)
    assert top.value == pytest.approx(log_likelihood(design, y, top.coefficients))
    for step in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        assert log_likelihood(design, y, top.coefficients + step) < top.value
    held = maximise(design, y, start=np.array([0.0, 0.5, 0.0]), fixed=1)
    assert held.coefficients[1] == 0.5
    assert held.value <= top.value + 1e-12
    gradient = score(design, y, held.coefficients)
    np.testing.assert_allclose(gradient[[0, 2]], 0, atol=1e-7)


@given(overlapping(columns=2))
def test_firth_maximises_the_likelihood_with_half_the_log_determinant(cohort):
    x, y = cohort
    design = _design(x)

    def penalised(b):
        return log_likelihood(design, y, b) + np.linalg.slogdet(information(design, b))[1] / 2

    top = maximise(design, y, penalised=True)
    assert top.value == pytest.approx(penalised(top.coefficients), abs=1e-10)
    for step in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        assert penalised(top.coefficients + step) < top.value


@pytest.mark.parametrize("fit", [fit_logistic, fit_firth])
@settings(max_examples=20)
@given(
    cohort=overlapping(columns=2),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-50, 50),
)
def test_units_and_origin_of_a_predictor_do_not_matter(fit, cohort, scale, shift):
    x, y = cohort
    plain, other = fit(x, y), fit(x * [scale, 1] + [shift, 0], y)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    close = {"rel": 1e-5, "abs": 1e-8}
    assert other.coefficients[1] * scale == pytest.approx(
        plain.coefficients[1], rel=1e-5, abs=1e-8
    )
    assert other.coefficients[2] == pytest.approx(plain.coefficients[2], **close)
    assert other.se[1] * scale == pytest.approx(plain.se[1], rel=1e-5)
    assert wald_test(other, [1, 2]).p == pytest.approx(wald_test(plain, [1, 2]).p, rel=1e-5)


@pytest.mark.parametrize("fit", [fit_logistic, fit_firth])
@settings(max_examples=20)
@given(cohort=overlapping())
def test_calling_the_other_outcome_the_event_turns_every_sign(fit, cohort):
    x, y = cohort
    plain, other = fit(x, y), fit(x, ~y)
    np.testing.assert_allclose(other.coefficients, -plain.coefficients, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.covariance, plain.covariance, rtol=1e-6)
    assert other.events == len(y) - plain.events
    assert other.null_log_likelihood == pytest.approx(plain.null_log_likelihood)


@settings(max_examples=20)
@given(overlapping())
def test_turning_a_predictor_round_mirrors_its_interval(cohort):
    x, y = cohort
    for penalised in (False, True):
        low, high = profile_interval(x, y, penalised=penalised)
        mirrored = profile_interval(-x, y, penalised=penalised)
        assert mirrored == pytest.approx((-high, -low), rel=1e-5, abs=1e-7)


@settings(max_examples=20)
@given(overlapping())
def test_the_limits_of_a_profile_lose_just_as_much_as_the_test_allows(cohort):
    x, y = cohort
    design = _design(x)
    top = maximise(design, y)
    for limit in profile_interval(x, y):
        if np.isfinite(limit):
            held = maximise(design, y, start=np.array([0.0, limit]), fixed=1)
            assert 2 * (top.value - held.value) == pytest.approx(3.841458820694124, abs=1e-6)


@given(overlapping())
def test_firths_test_is_twice_the_drop_of_the_penalised_likelihood(cohort):
    x, y = cohort
    design = np.column_stack([np.ones(len(x)), (x - x.mean()) / x.std()])
    drop = maximise(design, y, penalised=True).value
    drop -= maximise(design, y, penalised=True, start=np.zeros(2), fixed=1).value
    found = firth_ratio_test(x, y)
    assert (found.statistic, found.df) == (pytest.approx(2 * drop, abs=1e-9), 1)
    assert found.p == pytest.approx(scipy.stats.chi2.sf(2 * drop, 1), rel=1e-6)


@settings(max_examples=20)
@given(overlapping(columns=2))
def test_more_predictors_never_fit_worse(cohort):
    x, y = cohort
    small, large = fit_logistic(x[:, :1], y), fit_logistic(x, y)
    assert small.null_log_likelihood <= small.log_likelihood <= large.log_likelihood + 1e-12
    test = likelihood_ratio(large, small)
    assert test.statistic == pytest.approx(2 * (large.log_likelihood - small.log_likelihood))
    assert (test.df, likelihood_ratio(large).df) == (1, 2)
    assert large.bic == pytest.approx(-2 * large.log_likelihood + 3 * np.log(len(y)))


@settings(max_examples=15)
@given(overlapping(columns=2), st.integers(0, 99))
def test_counting_a_patient_twice_is_having_him_twice(cohort, seed):
    x, y = cohort
    counts = np.random.default_rng(seed).integers(1, 3, len(y))
    batch = fit_batch(x[None], y, counts[None])
    rows = np.repeat(np.arange(len(y)), counts)
    single = fit_logistic(x[rows], y[rows])
    assert batch.finite[0]
    np.testing.assert_allclose(batch.coefficients[0], single.coefficients, rtol=1e-4, atol=1e-6)
    eta = batch.linear_predictor(x)[0]
    np.testing.assert_allclose(
        eta, single.coefficients[0] + x @ single.coefficients[1:], atol=1e-3
    )


def test_separated_resamples_are_marked_and_held_within_limits():
    x = np.array([[1.0], [2], [3], [4]])
    found = fit_batch(x[None], np.array([False, False, True, True]), np.ones((1, 4), dtype=int))
    assert not found.finite[0]
    assert np.abs(found.linear_predictor(x)).max() <= 30


@given(st.lists(st.integers(-9, 9), min_size=4, max_size=12), st.integers(-9, 9))
def test_a_cut_of_one_predictor_separates(values, cut):
    y = np.array(values) > cut
    if 0 < y.sum() < len(y) and len(set(values)) > 1:
        assert is_separated(values, y)
        assert is_separated(-np.array(values), y)


@given(KNOTS, st.lists(st.floats(-40, 40), min_size=3, max_size=20))
def test_splines_are_straight_beyond_the_outer_knots_and_smooth_at_all(knots, where):
    step = np.array([1.0, 2.0, 3.0])
    for outside in (knots[0] - step, knots[-1] + step):
        basis = spline_basis(outside, knots)
        bend = basis[0] - 2 * basis[1] + basis[2]
        np.testing.assert_allclose(bend, 0, atol=1e-9 * np.abs(basis).max())
    assert not spline_basis(knots[0] - step, knots)[:, 1:].any()
    tiny = 1e-7
    for side in (knots - tiny, knots + tiny):
        np.testing.assert_allclose(
            spline_basis(side, knots), spline_basis(knots, knots), atol=1e-5
        )
        np.testing.assert_allclose(
            spline_derivative(side, knots), spline_derivative(knots, knots), atol=1e-5
        )
    x = np.array(where)
    slope = (spline_basis(x + 1e-5, knots) - spline_basis(x - 1e-5, knots)) / 2e-5
    np.testing.assert_allclose(spline_derivative(x, knots), slope, atol=1e-4)


@given(KNOTS, st.floats(0.01, 100), st.floats(-100, 100))
def test_splines_scale_with_their_unit(knots, scale, shift):
    x = np.linspace(-30, 30, 13)
    moved = spline_basis(scale * x + shift, scale * knots + shift)
    plain = spline_basis(x, knots)
    np.testing.assert_allclose(moved[:, 1:], scale * plain[:, 1:], rtol=1e-6, atol=1e-7 * scale)
    np.testing.assert_allclose(moved[:, 0], scale * x + shift)


@given(
    st.lists(st.integers(-1000, 1000), min_size=20, max_size=40, unique=True),
    st.integers(3, 5),
    st.sampled_from(["quantile", "rms"]),
)
def test_knots_are_ordered_and_mirror_with_the_values(values, n, rule):
    x = np.array(values, dtype=float)
    knots = place_knots(x, n, rule)
    assert len(knots) == n
    assert np.all(np.diff(knots) > 0)
    assert x.min() <= knots[0] <= knots[-1] <= x.max()
    np.testing.assert_allclose(place_knots(-x, n, rule), -knots[::-1], atol=1e-9)
    if rule == "rms":
        assert (knots[0], knots[-1]) == (np.sort(x)[4], np.sort(x)[-5])
    elif n == 3:
        np.testing.assert_allclose(knots, np.quantile(x, [0.1, 0.5, 0.9]))


def test_large_samples_have_rms_knots_at_quantiles():
    x = np.random.default_rng(1).normal(size=101)
    np.testing.assert_allclose(place_knots(x, 4, "rms"), np.quantile(x, [0.05, 0.35, 0.65, 0.95]))
    np.testing.assert_allclose(place_knots(x, 3, "rms"), np.quantile(x, [0.1, 0.5, 0.9]))
    with pytest.raises(InputError, match="3 knots need 3 distinct places.*use a linear term"):
        place_knots([1.0] * 18 + [2.0, 3.0])


@settings(max_examples=15)
@given(overlapping(), st.floats(-1, 1))
def test_odds_ratios_are_relative_to_their_reference(cohort, at):
    x, y = cohort[0][:, 0], cohort[1]
    try:
        fit = fit_spline(x, y)
    except InputError:
        return
    grid = np.linspace(fit.low, fit.high, 7)
    curve, other = (odds_ratio_curve(fit, grid, reference=r) for r in (at, 0.3))
    ratio = odds_ratio_curve(fit, [0.3], reference=at).odds_ratio[0]
    np.testing.assert_allclose(curve.odds_ratio, ratio * other.odds_ratio, rtol=1e-6)
    own = odds_ratio_curve(fit, [at], reference=at)
    assert (own.odds_ratio[0], own.ci_low[0], own.ci_high[0]) == (1, 1, 1)
    assert np.all(curve.ci_low <= curve.odds_ratio)
    assert np.all(curve.odds_ratio <= curve.ci_high)
    assert odds_ratio_curve(fit).reference == fit.median == np.median(x)


@settings(max_examples=15)
@given(overlapping())
def test_a_curve_turns_where_it_is_highest_or_lowest(cohort):
    x, y = cohort[0][:, 0], cohort[1]
    try:
        fit = fit_spline(x, y)
    except InputError:
        return
    b = fit.model.coefficients[1:]
    for turn in turning_points(fit):
        assert fit.low < turn.x < fit.high
        assert (spline_derivative(np.array([turn.x]), fit.knots) @ b)[0] == pytest.approx(
            0, abs=1e-6 * np.abs(b).max()
        )
        around = spline_basis(turn.x + np.array([-1e-3, 0, 1e-3]), fit.knots) @ b
        assert int(np.argmax(around) == 1) == int(turn.kind == "maximum")
    grid = np.linspace(fit.low, fit.high, 400)
    changes = np.sum(np.diff(np.sign(spline_derivative(grid, fit.knots) @ b)) != 0)
    assert len(turning_points(fit)) >= changes


def test_covariates_are_adjusted_for():
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=80), rng.normal(size=80)
    y = rng.random(80) < 1 / (1 + np.exp(-z))
    fit = fit_spline(x, y, name="rate", covariates=z)
    assert fit.model.names == ("Intercept", "rate", "rate'", "covariate 1")
    assert fit.linear.names == ("Intercept", "rate", "covariate 1")
    alone = fit_logistic(z, y)
    assert fit.overall_ratio.statistic == pytest.approx(
        2 * (fit.model.log_likelihood - alone.log_likelihood)
    )
    assert (fit.overall.df, fit.nonlinear_wald.df, fit.nonlinear_score.df) == (2, 1, 1)
    assert fit.overall.statistic == pytest.approx(wald_test(fit.model, [1, 2]).statistic)


@settings(max_examples=20)
@given(overlapping(), st.floats(0.1, 10))
def test_odds_ratios_per_amount_are_powers(cohort, amount):
    x, y = cohort[0][:, 0], cohort[1].astype(float)
    model = univariate_logistic(x, y, "x")
    one = model.likelihood
    assert (model.status, model.n, model.events, model.n_missing) == ("fitted", len(y), y.sum(), 0)
    assert one.odds_ratio == pytest.approx(np.exp(one.slope))
    assert np.log([one.ci_low, one.ci_high]) == pytest.approx(
        [one.slope - 1.959963984540054 * one.se, one.slope + 1.959963984540054 * one.se]
    )
    middle, low, high = model.odds_ratio_per(amount)
    assert np.log([middle, low, high]) == pytest.approx(
        amount * np.log([one.odds_ratio, one.ci_low, one.ci_high]), abs=1e-9
    )
    swapped = model.odds_ratio_per(-amount)
    assert swapped == pytest.approx((1 / middle, 1 / high, 1 / low))
    assert model.sd == pytest.approx(np.std(x, ddof=1))
    assert model.iqr == pytest.approx(scipy.stats.iqr(x))
    assert ("smaller outcome group" in model.message) == (min(y.sum(), len(y) - y.sum()) < 5)


def test_a_model_counts_what_is_missing_and_refuses_in_words():
    x = [np.nan, 1, 2, 3, 4, 5, 6]
    model = univariate_logistic(x, [1, 0, 1, 0, np.nan, 1, 0], "rate", unit="%")
    assert (model.n, model.events, model.n_missing, model.unit) == (5, 2, 2, "%")
    refused = univariate_logistic(np.ones(6), [0, 1, 0, 1, 0, 1], "x")
    assert (refused.status, refused.best, refused.odds_ratio_per(1)) == ("refused", None, None)
    with pytest.raises(InputError, match="names and predictors differ in number.*2 names for 1"):
        fit_logistic(np.arange(6.0), [0, 1, 0, 1, 0, 1], ["a", "b"])
