"""What a score adds to a measure: formulas, invariances, the level of the test, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical.cohorts import overlapping
from falx.clinical.additive import cross_validate_additive
from falx.clinical.counts import bootstrap_rows
from falx.clinical.increment import area_difference, increment, slope_test
from falx.clinical.logistic.firth import firth_ratio_test
from falx.clinical.logistic.fit import fit_logistic
from falx.clinical.logistic.spline_model import fit_spline, odds_ratio_curve, runs_away
from falx.clinical.roc.curve import auc, delong_test
from falx.core.errors import InputError


@given(overlapping(columns=2))
@settings(max_examples=6, deadline=None)
def test_the_test_is_twice_the_gain_in_log_likelihood(data):
    x, y = data
    for column in (0, 1):
        found = slope_test(x, y, column)
        both, other = fit_logistic(x, y), fit_logistic(x[:, 1 - column], y)
        gain = 2 * (both.log_likelihood - other.log_likelihood)
        assert found.p == pytest.approx(scipy.stats.chi2.sf(gain, 1), abs=1e-9)
        assert found.p_penalised == pytest.approx(firth_ratio_test(x, y, column).p)
        assert found.odds_ratio == pytest.approx(math.exp(both.coefficients[column + 1]))
        assert found.ci_low < found.odds_ratio < found.ci_high
        # The profile limits hold 1 exactly when the likelihood-ratio test keeps 5 %.
        if abs(found.p - 0.05) > 1e-6:
            assert (found.ci_low < 1 < found.ci_high) == (found.p > 0.05)


@given(overlapping(columns=2), st.floats(0.01, 100), st.floats(-10, 10))
@settings(max_examples=10, deadline=None)
def test_units_of_score_and_measure_do_not_matter(data, scale, shift):
    x, y = data
    changed = np.column_stack([x[:, 0] * scale + shift, 3 * x[:, 1] - shift])
    first, second = slope_test(x, y), slope_test(changed, y)
    assert second.p == pytest.approx(first.p, abs=1e-7)
    assert second.p_penalised == pytest.approx(first.p_penalised, abs=1e-7)
    assert math.log(second.odds_ratio) * scale == pytest.approx(
        math.log(first.odds_ratio), rel=1e-5, abs=1e-7
    )


def test_a_separated_slope_is_penalised_and_says_so():
    x = np.arange(12.0)
    found = slope_test(x, x > 5)
    assert found.penalised_only
    assert found.p is None
    assert math.isfinite(found.odds_ratio)
    assert found.odds_ratio > 1
    assert found.p_penalised == pytest.approx(firth_ratio_test(x, x > 5).p)


def test_the_difference_of_areas(rng):
    y = np.arange(40) < 24
    first, second = y + rng.normal(size=40), rng.normal(size=40)
    found = area_difference(first, second, y, n_resamples=300, rng=np.random.default_rng(2))
    assert (found.score, found.measure) == (auc(first, y).auc, auc(second, y).auc)
    assert found.delong == delong_test(first, second, y)
    rows = bootstrap_rows(y, 300, np.random.default_rng(2), stratified=True)
    drawn = [auc(first[r], y[r]).auc - auc(second[r], y[r]).auc for r in rows]
    assert (found.ci_low, found.ci_high) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975]))
    )
    same = area_difference(first, first, y, n_resamples=20, rng=rng)
    assert (same.ci_low, same.ci_high, same.delong.p) == (0, 0, 1)
    turned = area_difference(second, first, y, n_resamples=300, rng=np.random.default_rng(2))
    assert turned.ci_low == pytest.approx(-found.ci_high)


def test_score_and_measure_swap_their_roles(rng):
    y = np.arange(30) < 18
    score, measure = y + rng.normal(size=30), rng.normal(size=30)
    one = increment(score, measure, y, n_resamples=50, rng=np.random.default_rng(1))
    two = increment(measure, score, y, n_resamples=50, rng=np.random.default_rng(1))
    assert (one.n, one.events) == (30, 18)
    assert one.alone == slope_test(score, y)
    assert one.adjusted.p == pytest.approx(two.measure_adjusted.p, abs=1e-9)
    assert one.measure_alone == two.alone
    assert one.r == two.r == pytest.approx(np.corrcoef(score, measure)[0, 1])
    np.testing.assert_array_equal(one.decision_score.model, two.decision_measure.model)
    assert not np.array_equal(one.decision_score.model, one.decision_both.model)


@pytest.mark.parametrize(
    ("score", "measure", "events", "message"),
    [
        (np.arange(20.0), np.arange(20.0) % 7, 4, "five patients of each outcome .found: 4"),
        (np.ones(20), np.arange(20.0), 10, "the same value in every patient"),
        (np.arange(20.0), np.ones(20), 10, "the same value in every patient"),
        (np.arange(20.0), 3 - 2 * np.arange(20.0), 10, "adds nothing by definition"),
    ],
)
def test_what_cannot_be_asked_is_refused(score, measure, events, message, rng):
    with pytest.raises(InputError, match=message):
        increment(score, measure, np.arange(20) % 20 < events, rng=rng)


@pytest.mark.slow
def test_the_penalised_test_keeps_its_level_in_null_cohorts_of_thirty():
    rng = np.random.default_rng(11)
    below = []
    while len(below) < 3000:
        measure = rng.normal(size=30)
        score = 0.5 * measure + math.sqrt(0.75) * rng.normal(size=30)
        y = rng.random(30) < 1 / (1 + np.exp(-0.85 - 0.8 * measure))
        if 5 <= y.sum() <= 25:
            below.append(firth_ratio_test(np.column_stack([score, measure]), y).p < 0.05)
    interval = scipy.stats.binomtest(sum(below), len(below)).proportion_ci()
    assert interval.low > 0.03
    assert interval.high < 0.07


def test_the_own_outcome_moves_no_prediction_limit(rng):
    x = rng.normal(size=(24, 2))
    y = x[:, 0] + rng.normal(size=24)
    moved = y.copy()
    moved[4] += 10
    one, two = (
        cross_validate_additive(x, v, n_iterations=30, rng=np.random.default_rng(7))
        for v in (y, moved)
    )
    for limit in ("interval_low", "interval_high"):
        assert getattr(one, limit)[4] == getattr(two, limit)[4]
        assert (getattr(one, limit) != getattr(two, limit)).sum() > 12


def test_too_few_patients_have_no_finite_limits(rng):
    found = cross_validate_additive(
        rng.normal(size=(19, 1)), rng.normal(size=19), n_iterations=10, rng=rng
    )
    assert np.all(found.interval_low == -np.inf)
    assert np.all(found.interval_high == np.inf)


def test_a_curve_that_the_data_do_not_determine_is_known(rng):
    x = np.sort(rng.normal(size=40))
    y = rng.random(40) < 0.5
    fit = fit_spline(x, y)
    assert not runs_away(fit)
    steep = odds_ratio_curve(fit).odds_ratio
    far = max(steep.max(), 1 / steep.min())
    assert runs_away(fit, most=0.99 * far)
    assert not runs_away(fit, most=1.01 * far)
    many = 1000 * fit.model.coefficients
    assert runs_away(replace(fit, model=replace(fit.model, coefficients=many)))
