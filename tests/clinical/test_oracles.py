"""Logistic models, areas and tables beside statsmodels, firthmodels, scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
import sklearn.metrics
import statsmodels.api as sm
from firthmodels import FirthLogisticRegression
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical.cohorts import overlapping, predict, scores
from clinical.outcome_reference import column, outcome
from falx.clinical.ancova import ancova
from falx.clinical.contingency import chi_square, fisher_exact
from falx.clinical.group_tests import levene, mann_whitney, student_t, welch_t
from falx.clinical.logistic.firth import firth_ratio_test, fit_firth
from falx.clinical.logistic.fit import (
    fit_logistic,
    likelihood_ratio,
    profile_interval,
    wald_test,
)
from falx.clinical.roc.curve import auc, roc_curve
from falx.clinical.roc.cuts import cut_performance, proportion

MODELS = [("rate",), ("pet_100",), ("fl_100", "Onset"), ("rate", "SEEG", "side", "Onset")]


@pytest.mark.parametrize("names", MODELS)
def test_maximum_likelihood_is_that_of_statsmodels(names):
    x, y = np.column_stack([column(name) for name in names]), outcome()
    ours, theirs = (
        fit_logistic(x, y, names),
        sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12),
    )
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-7)
    np.testing.assert_allclose(ours.se, theirs.bse, rtol=1e-6)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-5, atol=1e-12)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-9)
    assert ours.null_log_likelihood == pytest.approx(theirs.llnull, abs=1e-9)
    assert ours.bic == pytest.approx(theirs.bic, abs=1e-8)
    assert likelihood_ratio(ours).p == pytest.approx(theirs.llr_pvalue, rel=1e-6)
    joint = theirs.wald_test(np.eye(len(names) + 1)[1:], use_f=False, scalar=True)
    assert wald_test(ours, range(1, len(names) + 1)).p == pytest.approx(joint.pvalue, rel=1e-5)
    np.testing.assert_allclose(predict(ours, x), theirs.predict(), rtol=1e-7)


@settings(max_examples=15)
@given(overlapping(columns=2))
def test_maximum_likelihood_of_drawn_cohorts_is_that_of_statsmodels(cohort):
    x, y = cohort
    theirs = sm.Logit(y.astype(float), sm.add_constant(x)).fit(disp=0, maxiter=200, tol=1e-12)
    np.testing.assert_allclose(
        fit_logistic(x, y).coefficients, theirs.params, rtol=1e-5, atol=1e-8
    )


def _firth(x, y):
    return FirthLogisticRegression(max_iter=500, gtol=1e-6, xtol=1e-6, backend="numpy").fit(x, y)


@pytest.mark.parametrize("names", MODELS)
def test_firth_is_that_of_firthmodels(names):
    x, y = np.column_stack([column(name) for name in names]), outcome()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    ours, theirs = fit_firth(x, y), _firth(x, y)
    np.testing.assert_allclose(
        ours.coefficients, [theirs.intercept_, *theirs.coef_], rtol=1e-5, atol=1e-7
    )
    # Standard errors differ by intent: theirs come from the augmented data, ours as in brglm2.
    assert ours.log_likelihood == pytest.approx(theirs.loglik_, abs=1e-8)
    theirs.lrt()
    tests = [firth_ratio_test(x, y, j).p for j in range(len(names))]
    np.testing.assert_allclose(tests, theirs.lrt_pvalues_[: len(names)], rtol=1e-4)
    limits = theirs.conf_int(method="pl")[: len(names)]
    for j, (low, high) in enumerate(limits):
        np.testing.assert_allclose(
            profile_interval(x, y, j, penalised=True), (low, high), rtol=1e-3, atol=1e-4
        )


def test_firth_of_separated_outcomes_is_that_of_firthmodels():
    x, y = np.arange(10.0)[:, None], np.arange(10) >= 6
    theirs = _firth(x, y)
    np.testing.assert_allclose(
        fit_firth(x, y).coefficients, [theirs.intercept_, *theirs.coef_], rtol=1e-4
    )


@given(scores())
def test_the_curve_and_its_area_are_those_of_scikit_learn(cohort):
    x, y = cohort
    assert auc(x, y).auc == pytest.approx(sklearn.metrics.roc_auc_score(y, x), abs=1e-12)
    false_positive, tpr, _ = sklearn.metrics.roc_curve(y, x, drop_intermediate=False)
    ours = roc_curve(x, y)
    np.testing.assert_allclose(ours.sensitivity[::-1], tpr, atol=1e-12)
    np.testing.assert_allclose(1 - ours.specificity[::-1], false_positive, atol=1e-12)


@given(scores(), st.floats(-2, 2))
def test_a_cut_counts_as_scikit_learn_counts(cohort, cut):
    x, y = cohort
    rule = cut_performance(x, y, cut)
    tn, fp, fn, tp = sklearn.metrics.confusion_matrix(y, x > cut).ravel()
    assert (rule.true_negative, rule.false_positive) == (tn, fp)
    assert (rule.false_negative, rule.true_positive) == (fn, tp)
    assert rule.balanced_accuracy == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(y, x > cut)
    )
    assert rule.youden == pytest.approx(rule.sensitivity.value + rule.specificity.value - 1)
    assert (rule.pearson is None) == (rule.fisher is None) == (len(set(x > cut)) == 1)


@given(st.integers(0, 40), st.integers(1, 40))
def test_exact_intervals_invert_the_binomial_tail(hits, more):
    n = hits + more
    share = proportion(hits, n)
    low, high = share.ci_low, share.ci_high
    assert low <= share.value == hits / n <= high
    if hits:
        assert scipy.stats.binom.sf(hits - 1, n, low) == pytest.approx(0.025, abs=1e-8)
    assert scipy.stats.binom.cdf(hits, n, high) == pytest.approx(0.025, abs=1e-8)
    assert (low == 0) == (hits == 0)


@given(scores(least=5, digits=6))
def test_group_tests_are_those_of_scipy_and_statsmodels(cohort):
    x, y = cohort
    a, b = x[y], x[~y]
    student, welch = student_t(a, b), welch_t(a, b)
    assert (student.equal_variances, welch.equal_variances) == (True, False)
    for found, variances in ((student, "pooled"), (welch, "unequal")):
        t, p, df = sm.stats.ttest_ind(a, b, usevar=variances)
        assert (found.t, found.p, found.df) == pytest.approx((t, p, df), rel=1e-9)
        means = sm.stats.CompareMeans.from_data(a, b)
        limits = means.tconfint_diff(usevar=variances)
        assert (found.ci_low, found.ci_high) == pytest.approx(limits, rel=1e-9, abs=1e-12)
        assert found.difference == pytest.approx((found.ci_low + found.ci_high) / 2, abs=1e-9)
    pairs = np.sign(a[:, None] - b[None, :])
    rank = mann_whitney(a, b)
    assert rank.u == pytest.approx(np.sum(pairs > 0) + np.sum(pairs == 0) / 2)
    assert rank.effect == pytest.approx(auc(x, y).auc)
    assert rank.z_from_p == pytest.approx(-abs(scipy.stats.norm.isf(rank.p / 2)), abs=1e-9)
    spread = levene(a, b)
    means = sm.stats.anova_oneway(
        [np.abs(part - np.median(part)) for part in (a, b)], use_var="equal"
    )
    assert (spread.f, spread.p) == pytest.approx((means.statistic, means.pvalue), rel=1e-9)


@settings(max_examples=20)
@given(overlapping(columns=3))
def test_ancova_is_that_of_statsmodels(cohort):
    x, group = cohort
    y, covariates = x[:, 0], x[:, 1:]
    found = ancova(y, group, covariates)
    design = sm.add_constant(np.column_stack([group.astype(float), covariates]))
    full = sm.OLS(y, design).fit()
    assert (found.f_model, found.p_model) == pytest.approx((full.fvalue, full.f_pvalue), rel=1e-7)
    assert (found.df_model, found.df_residual) == (full.df_model, full.df_resid)
    assert found.p_group == pytest.approx(full.pvalues[1], rel=1e-6)
    assert found.f_group == pytest.approx(full.tvalues[1] ** 2, rel=1e-6)
    low, high = full.conf_int()[1]
    assert (found.ci_low, found.ci_high) == pytest.approx((-high, -low), rel=1e-7, abs=1e-10)
    assert found.difference == pytest.approx(-full.params[1], rel=1e-7, abs=1e-10)


TABLES = st.lists(st.lists(st.integers(0, 12), min_size=2, max_size=2), min_size=2, max_size=2)


@given(TABLES.filter(lambda t: min(np.sum(t, axis=0).min(), np.sum(t, axis=1).min()) > 0))
def test_tables_of_two_by_two_are_those_of_scipy(table):
    assert fisher_exact(table).p == pytest.approx(scipy.stats.fisher_exact(table).pvalue, rel=1e-9)
    for yates in (False, True):
        theirs = scipy.stats.chi2_contingency(table, correction=yates)
        ours = chi_square(table, yates=yates)
        assert (ours.statistic, ours.p, ours.df) == pytest.approx(tuple(theirs[:3]))
        assert ours.smallest_expected == pytest.approx(theirs.expected_freq.min())
        assert ("Yates" in ours.method) == yates
