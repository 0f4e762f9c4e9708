"""Bayesian logistic regression: against quadrature, invariances, and whether its limits hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from clinical.cohorts import overlapping
from falx.clinical.bayes import (
    LITERATURE,
    WEAK,
    Kept,
    Prior,
    chances,
    draws_of,
    kept,
    posterior,
)
from falx.clinical.logistic.fit import fit_logistic
from falx.core.errors import InputError


def prior_density(prior, value, parameter):
    """Density of intercept (0) or slope (1): normal, or mixed with the weak one in doubt."""

    def normal(one):
        mean, sd = ((one.intercept_mean, one.intercept_sd), (one.slope_mean, one.slope_sd))[
            parameter
        ]
        return math.exp(-(((value - mean) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi))

    return (1 - prior.doubt) * normal(prior) + prior.doubt * normal(WEAK)


def brute_force(x, y, prior, power=(0, 0)):
    """Moment of intercept and slope by adaptive quadrature, written out."""
    z = (x - x.mean()) / x.std(ddof=1)

    def density(b, a):
        eta = a + b * z
        log = np.sum(np.where(y, eta, 0) - np.logaddexp(0, eta))
        log += math.log(prior_density(prior, a, 0)) + math.log(prior_density(prior, b, 1))
        return math.exp(log + 10) * a ** power[0] * b ** power[1]

    return scipy.integrate.dblquad(density, -6, 6, -6, 6, epsabs=1e-6, epsrel=1e-6)[0]


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
    sure = replace(LITERATURE, doubt=0.0)
    drawn = expit(sure.draw(20000, rng)[:, 0])
    assert np.median(drawn) == pytest.approx(0.58, abs=0.01)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([0.16, 0.91], abs=0.02)
    assert np.exp(1.96 * LITERATURE.slope_sd) == pytest.approx(2.7, abs=0.05)
    assert np.exp(1.96 * WEAK.slope_sd) == pytest.approx(7.1, abs=0.1)


def test_a_doubted_prior_draws_from_either_part(rng):
    a, b = LITERATURE.draw(40000, rng).T
    for values, parameter in ((a, 0), (b, 1)):
        for edge in (-1.5, 0.0, 1.0):
            below = scipy.integrate.quad(
                lambda v, k=parameter: prior_density(LITERATURE, v, k), -12, edge
            )[0]
            assert np.mean(values < edge) == pytest.approx(below, abs=0.01)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
    both = (np.abs(a - LITERATURE.intercept_mean) > 2, np.abs(b) > 1.5)  # only the weak parts
    expected = both[0].mean() * both[1].mean()
    assert np.mean(both[0] & both[1]) == pytest.approx(expected, abs=0.005)


def test_data_that_contradict_the_literature_overrule_it(rng):
    x = rng.normal(size=60)
    steep, flat = x + 0.2 * rng.normal(size=60) > 0, rng.random(60) < 0.58
    against, agreeing = (kept(posterior(x, y, LITERATURE)) for y in (steep, flat))
    assert against.before == agreeing.before == 0.5
    assert against.contradicted == ("relation",)
    assert against.slope < 0.1 < 0.5 < agreeing.slope
    assert agreeing.contradicted == ()
    rare = kept(posterior(x, np.arange(60) < 5, LITERATURE))
    assert rare.contradicted == ("share",)
    assert rare.intercept < 0.25
    sure, weak = (posterior(x, steep, p) for p in (replace(LITERATURE, doubt=0.0), WEAK))
    doubted = posterior(x, steep, LITERATURE)
    assert abs(weak.mean[1] - doubted.mean[1]) < 0.1 * (weak.mean[1] - sure.mean[1])
    assert kept(sure).contradicted == ()


@pytest.mark.parametrize(("p", "said"), [(0.24, ("relation",)), (0.26, ())])
def test_three_to_one_is_a_contradiction(p, said):
    assert Kept(0.5, 0.5, p).contradicted == said
    assert Kept(0.5, p, 0.5).contradicted == tuple("share" for _ in said)


def test_the_part_that_is_kept_is_bayes_rule(rng):
    x = rng.normal(size=25)
    y = rng.random(25) < expit(1.5 * x)
    parts = {}
    for slope_sd in (LITERATURE.slope_sd, WEAK.slope_sd):
        one = replace(LITERATURE, slope_sd=slope_sd, doubt=0.0)
        other = replace(WEAK, slope_sd=slope_sd)
        # The intercept keeps its mixture; only the slope's part is set.
        parts[slope_sd] = brute_force(x, y, one) + brute_force(x, y, other)
    said = parts[LITERATURE.slope_sd] / sum(parts.values())
    assert kept(posterior(x, y, LITERATURE)).slope == pytest.approx(said, abs=1e-4)


def test_draws_have_the_posterior_s_quantiles(rng):
    x = rng.normal(size=30)
    found = posterior(x, rng.random(30) < expit(x))
    drawn = draws_of(found, 4000, rng)
    p = expit(drawn[:, 0] + drawn[:, 1] * (0.5 - found.centre) / found.scale)
    (chance,) = chances(found, [0.5])
    assert p.mean() == pytest.approx(chance.mean, abs=0.01)
    assert np.quantile(p, [0.025, 0.975]) == pytest.approx([chance.low, chance.high], abs=0.02)


def test_a_constant_predictor_is_refused():
    with pytest.raises(InputError, match="the same value in every patient"):
        posterior(np.ones(10), np.arange(10) < 5)
