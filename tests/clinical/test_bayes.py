"""Bayesian logistic regression: against quadrature, invariances, and whether its limits hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from clinical.cohorts import overlapping
from falx.clinical.bayes import (
    LITERATURE,
    WEAK,
    Prior,
    chances,
    draws_of,
    posterior,
    predictive_checks,
    simulated_ranks,
)
from falx.clinical.logistic.fit import fit_logistic
from falx.core.errors import InputError


def brute_force(x, y, prior, power=(0, 0)):
    """Moment of intercept and slope by adaptive quadrature, written out."""
    z = (x - x.mean()) / x.std(ddof=1)

    def density(b, a):
        eta = a + b * z
        log = np.sum(np.where(y, eta, 0) - np.logaddexp(0, eta))
        log -= ((a - prior.intercept_mean) / prior.intercept_sd) ** 2 / 2
        log -= ((b - prior.slope_mean) / prior.slope_sd) ** 2 / 2
        return math.exp(log + 10) * a ** power[0] * b ** power[1]

    return scipy.integrate.dblquad(density, -6, 6, -6, 6, epsabs=1e-7, epsrel=1e-7)[0]


@pytest.mark.parametrize("prior", [WEAK, LITERATURE])
def test_the_grid_equals_adaptive_quadrature(rng, prior):
    x = rng.normal(size=14)
    y = rng.random(14) < expit(x)
    found, whole = posterior(x, y, prior), brute_force(x, y, prior)
    assert found.mean[0] == pytest.approx(brute_force(x, y, prior, (1, 0)) / whole, abs=1e-5)
    assert found.mean[1] == pytest.approx(brute_force(x, y, prior, (0, 1)) / whole, abs=1e-5)


@given(overlapping(), st.floats(0.01, 100), st.floats(-10, 10))
@settings(max_examples=8, deadline=None)
def test_units_do_not_matter_and_outcomes_turn(data, scale, shift):
    x, y = data
    at = np.quantile(x[:, 0], [0.1, 0.6])
    own = chances(posterior(x[:, 0], y), at)
    moved = chances(posterior(scale * x[:, 0] + shift, y), scale * at + shift)
    turned = chances(posterior(x[:, 0], ~y), at)  # the weak prior knows no direction
    for one, two, other in zip(own, moved, turned, strict=True):
        assert one.low < one.mean < one.high
        assert (two.mean, two.low) == pytest.approx((one.mean, one.low), abs=1e-6)
        assert (1 - other.mean, 1 - other.low) == pytest.approx((one.mean, one.high), abs=1e-6)


def test_a_wide_prior_gives_maximum_likelihood_and_a_narrow_one_itself(rng):
    x = rng.normal(size=400)
    y = rng.random(400) < expit(0.4 + x)
    wide = Prior("wide", 0, 100, 0, 100, "")
    fit = fit_logistic((x - x.mean()) / x.std(ddof=1), y)
    assert posterior(x, y, wide).mean == pytest.approx(fit.coefficients, abs=0.02)
    narrow = Prior("narrow", 1, 0.001, -1, 0.001, "")
    assert posterior(x, y, narrow).mean == pytest.approx((1, -1), abs=1e-3)


def test_separated_outcomes_stay_finite_and_shrink_with_the_literature():
    x = np.arange(12.0)
    weak, known = (posterior(x, x > 5, prior) for prior in (WEAK, LITERATURE))
    assert 0 < known.mean[1] < weak.mean[1] < 4
    (chance,) = chances(weak, [11])
    assert chance.high < 1


def test_the_literature_prior_is_what_it_says(rng):
    drawn = expit(rng.normal(LITERATURE.intercept_mean, LITERATURE.intercept_sd, 20000))
    assert np.median(drawn) == pytest.approx(0.58, abs=0.01)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([0.34, 0.79], abs=0.02)
    assert np.exp(1.96 * LITERATURE.slope_sd) == pytest.approx(2.7, abs=0.05)
    assert np.exp(1.96 * WEAK.slope_sd) == pytest.approx(7.1, abs=0.1)


def test_draws_have_the_posterior_s_quantiles(rng):
    x = rng.normal(size=30)
    found = posterior(x, rng.random(30) < expit(x))
    drawn = draws_of(found, 4000, rng)
    p = expit(drawn[:, 0] + drawn[:, 1] * (0.5 - found.centre) / found.scale)
    (chance,) = chances(found, [0.5])
    assert p.mean() == pytest.approx(chance.mean, abs=0.01)
    assert np.quantile(p, [0.025, 0.975]) == pytest.approx([chance.low, chance.high], abs=0.02)


def test_predictive_checks_see_what_the_model_cannot_make(rng):
    x = np.linspace(-2, 2, 60)
    straight = rng.random(60) < expit(1.2 * x)
    found = predictive_checks(posterior(x, straight), x, straight, rng)
    assert {c.draws for c in found} == {"prior", "posterior"}
    assert all(0.02 < c.p < 0.98 for c in found if c.draws == "posterior")
    free = np.arange(60) < 57  # a prior of 58 % with little spread does not expect 95 %
    sure = Prior("sure", float(logit(0.4)), 0.1, 0, 0.1, "")
    checks = predictive_checks(posterior(rng.normal(size=60), free, sure), x, free, rng)
    (seen,) = [c for c in checks if c.draws == "prior" and c.statistic == "seizure-free patients"]
    assert seen.observed == 57
    assert seen.p < 0.001
    assert seen.high < 57


def test_a_constant_predictor_is_refused():
    with pytest.raises(InputError, match="the same value in every patient"):
        posterior(np.ones(10), np.arange(10) < 5)


def test_calibration_by_simulation_is_quick_and_about_right(rng):
    shares, held = simulated_ranks(rng.normal(size=20), WEAK, rng, n_cohorts=80, n_grid=41)
    assert shares.shape == (80, 2)
    assert 0.35 < shares.mean() < 0.65
    true, low, high = held.T
    assert np.mean((low <= true) & (true <= high)) > 0.85


@pytest.mark.slow  # 25 s
@pytest.mark.parametrize("prior", [WEAK, LITERATURE])
def test_shares_are_uniform_and_limits_hold_in_cohorts_of_thirty(prior):
    rng = np.random.default_rng(5)
    shares, held = simulated_ranks(rng.normal(size=30), prior, rng, n_cohorts=1000)
    for column in shares.T:
        assert scipy.stats.kstest(column, "uniform").pvalue > 0.01
    true, low, high = held.T
    assert 0.93 < np.mean((low <= true) & (true <= high)) < 0.97


@pytest.mark.slow  # 60 s
@pytest.mark.parametrize("slope", [0.0, 0.5, 0.8, 1.2])
def test_limits_hold_for_a_relation_that_is_fixed(slope):
    rng = np.random.default_rng(2)
    held = []
    while len(held) < 400:
        x = rng.normal(size=30)
        y = rng.random(30) < expit(0.85 + slope * x)
        if 5 <= y.sum() <= 25:
            at = rng.choice(x, 5)
            found = chances(posterior(x, y, WEAK, n_grid=61), at)
            true = expit(0.85 + slope * at)
            held.append(np.mean([c.low <= t <= c.high for c, t in zip(found, true, strict=True)]))
    assert 0.93 < np.mean(held) < 0.985


@pytest.mark.slow  # 40 s
@pytest.mark.parametrize("prior", [WEAK, LITERATURE])
def test_new_patients_find_the_chances_calibrated(prior):
    rng = np.random.default_rng(1)
    said, free = [], []
    for _ in range(600):
        a = rng.normal(prior.intercept_mean, prior.intercept_sd)
        b = rng.normal(prior.slope_mean, prior.slope_sd)
        x = rng.normal(size=30)
        y = rng.random(30) < expit(a + b * (x - x.mean()) / x.std(ddof=1))
        if not 0 < y.sum() < 30:
            continue
        at = rng.choice(x, 10)
        said += [c.mean for c in chances(posterior(x, y, prior, n_grid=61), at)]
        free += list(rng.random(10) < expit(a + b * (at - x.mean()) / x.std(ddof=1)))
    fit = fit_logistic(logit(np.array(said)), np.array(free))
    assert 0.9 < fit.coefficients[1] < 1.1
