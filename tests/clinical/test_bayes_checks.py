"""What a Bayesian prognosis is worth: checks of it, and its error where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy
from scipy.special import expit, logit

from falx.clinical.bayes import LITERATURE, WEAK, Prior, chances, posterior
from falx.clinical.bayes_checks import fixed_truths, predictive_checks, simulated_ranks
from falx.clinical.logistic.fit import fit_logistic


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
        a, b = prior.draw(1, rng)[0]
        x = rng.normal(size=30)
        y = rng.random(30) < expit(a + b * (x - x.mean()) / x.std(ddof=1))
        if not 0 < y.sum() < 30:
            continue
        at = rng.choice(x, 10)
        said += [c.mean for c in chances(posterior(x, y, prior, n_grid=61), at)]
        free += list(rng.random(10) < expit(a + b * (at - x.mean()) / x.std(ddof=1)))
    fit = fit_logistic(logit(np.array(said)), np.array(free))
    assert 0.9 < fit.coefficients[1] < 1.1


def by_hand(x, share, prior, odds_ratio, rng, n_cohorts):
    """Coverage and calibration slope by the posterior of each cohort, one after the other."""
    z = (x - x.mean()) / x.std(ddof=1)
    true = expit(logit(share) + math.log(odds_ratio) * z)
    held, said, free = [], [], []
    for y in rng.random((n_cohorts, len(x))) < true:
        if not 5 <= y.sum() <= len(x) - 5:
            continue
        found = chances(posterior(x, y, prior, n_grid=61), x)
        held.append(np.mean([c.low <= t <= c.high for c, t in zip(found, true, strict=True)]))
        for _ in range(20):  # new patients, drawn
            said += [c.mean for c in found]
            free += list(rng.random(len(x)) < true)
    fit = fit_logistic(logit(np.array(said)), np.array(free))
    return float(np.mean(held)), float(fit.coefficients[1]), len(held)


@pytest.mark.parametrize("prior", [WEAK, LITERATURE])
def test_the_error_of_a_fixed_truth_is_that_of_cohorts_one_by_one(prior):
    x = np.random.default_rng(3).normal(2, 5, size=24)
    covered, slope, cohorts = by_hand(x, 0.6, prior, 2.2, np.random.default_rng(5), 80)
    (found,) = fixed_truths(x, 0.6, prior, [2.2], np.random.default_rng(5), n_cohorts=80)
    assert found.cohorts == cohorts
    assert found.odds_ratio == 2.2
    assert found.covered == pytest.approx(covered, abs=0.006)
    assert found.slope == pytest.approx(slope, abs=0.06)  # of drawn against expected outcomes


def test_units_and_order_of_the_predictor_do_not_matter(rng):
    x = rng.normal(size=20)
    one, two = (
        fixed_truths(v, 0.5, WEAK, [1.6], np.random.default_rng(1), n_cohorts=50)[0]
        for v in (x, 7 - 3 * x[::-1])
    )
    assert one.cohorts == pytest.approx(two.cohorts, abs=10)
    same, moved = (
        fixed_truths(v, 0.5, WEAK, [1.6], np.random.default_rng(1), n_cohorts=50)[0]
        for v in (x, 100 * x + 7)
    )
    assert (same.covered, same.cohorts) == (moved.covered, moved.cohorts)
    assert same.slope == pytest.approx(moved.slope)


def test_cohorts_without_five_of_either_outcome_have_no_error(rng):
    (found,) = fixed_truths(rng.normal(size=9), 0.5, WEAK, [2.0], rng, n_cohorts=30)
    assert found.cohorts == 0
    assert math.isnan(found.covered)
    assert math.isnan(found.slope)


def test_a_weak_relation_is_said_too_steep_and_the_literature_less_so(rng):
    x = rng.normal(size=30)
    weak, known = (
        fixed_truths(x, 0.7, prior, [1, 1.6, 2.2], np.random.default_rng(2), n_cohorts=600)
        for prior in (WEAK, LITERATURE)
    )
    for none, slight, clear in (weak, known):
        assert abs(none.slope) < 0.1  # for any model: there is nothing to be steep about
        assert none.slope < slight.slope < clear.slope
        assert all(0.93 < one.covered < 0.98 for one in (none, slight, clear))
    assert known[1].slope > weak[1].slope
    assert weak[2].slope + 0.03 < known[2].slope < 1


@pytest.mark.slow  # 20 s
@pytest.mark.parametrize(
    ("prior", "slopes"),
    [(WEAK, (0.0, 0.44, 0.74, 0.97)), (LITERATURE, (0.0, 0.49, 0.82, 1.07))],
)
def test_the_table_of_fixed_truths_in_the_docs(prior, slopes):
    rng = np.random.default_rng(17)
    drawn = [
        fixed_truths(rng.normal(size=30), 0.7, prior, [1, 1.6, 2.2, 3.3], rng, n_cohorts=200)
        for _ in range(40)
    ]
    for i, slope in enumerate(slopes):
        covered = np.mean([one[i].covered for one in drawn])
        assert 0.945 < covered < 0.978
        assert np.mean([one[i].slope for one in drawn]) == pytest.approx(slope, abs=0.04)
