"""Invariances of the clinical statistics, and textbook values."""

from __future__ import annotations

import numpy as np
import patsy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical.cohorts import predict
from clinical.outcome_reference import column, outcome
from falx.clinical.ancova import ancova
from falx.clinical.contingency import association, chi_square, fisher_exact
from falx.clinical.logistic.firth import firth_ratio_test
from falx.clinical.logistic.fit import fit_logistic, wald_test
from falx.clinical.logistic.spline_model import fit_spline, odds_ratio_curve, turning_points
from falx.clinical.logistic.splines import place_knots, spline_basis, spline_derivative
from falx.clinical.roc.curve import auc, roc_curve, youden_cut
from falx.clinical.roc.cuts import cut_performance
from falx.clinical.roc.decision import decision_curve, sample_size
from falx.core.multiplicity import benjamini_hochberg, holm


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-4, 1e4), seed=st.integers(0, 99))
def test_units_and_order_of_patients_do_not_matter(scale, seed):
    rng = np.random.default_rng(seed)
    x, y = column("rate"), outcome()
    order = rng.permutation(len(x))
    plain, other = fit_spline(x, y), fit_spline(scale * x[order], y[order])
    assert other.overall.p == pytest.approx(plain.overall.p, rel=1e-6)
    assert other.nonlinear_score.p == pytest.approx(plain.nonlinear_score.p, rel=1e-6)
    assert other.model.bic == pytest.approx(plain.model.bic, abs=1e-8)
    assert other.linear.coefficients[1] * scale == pytest.approx(
        plain.linear.coefficients[1], rel=1e-7
    )
    np.testing.assert_allclose(
        odds_ratio_curve(other).odds_ratio, odds_ratio_curve(plain).odds_ratio, rtol=1e-5
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=6, max_size=20), st.integers(1, 5))
def test_swapping_the_classes_mirrors_the_area(values, events):
    y = np.arange(len(values)) < events
    area = auc(values, y).auc
    assert auc(values, ~y).auc == pytest.approx(1 - area)
    assert auc(values, y, higher_is_positive=False).auc == pytest.approx(1 - area)
    curve = roc_curve(values, y)
    x, height = 1 - curve.specificity[::-1], curve.sensitivity[::-1]
    assert np.trapezoid(height, x) == pytest.approx(area)


def test_a_downward_score_gives_the_same_cut_with_its_sign():
    x, y = column("fl_100"), outcome()
    down, up = youden_cut(x, y, higher_is_positive=False), youden_cut(-x, y)
    assert down.threshold == pytest.approx(-up.threshold)
    rule = cut_performance(x, y, down.threshold, higher_is_positive=False)
    assert rule.sensitivity.value == pytest.approx(down.sensitivity)
    assert rule.rule.startswith("value < 1.1774")


def test_acceptance_figures_of_the_published_patients():
    x, y = column("rate"), outcome()
    area = auc(x, y)
    assert area.logit_low == pytest.approx(0.429, abs=5e-4)
    assert area.logit_high == pytest.approx(0.911, abs=5e-4)
    best = youden_cut(x, y)
    assert best.threshold == pytest.approx(0.3961181, abs=1e-7)
    assert (best.sensitivity, round(best.specificity, 7)) == (1.0, 0.5555556)
    rule = cut_performance(x, y, 0.39789278)
    assert rule.sensitivity.value == pytest.approx(0.952381, abs=1e-6)
    assert rule.accuracy.value == pytest.approx(0.833333, abs=1e-6)
    assert rule.balanced_accuracy == pytest.approx(0.753968, abs=1e-6)
    assert rule.accuracy_p == pytest.approx(0.077, abs=5e-4)
    for share, low, high in (
        (rule.sensitivity, 0.762, 0.999),
        (rule.specificity, 0.212, 0.863),
        (rule.accuracy, 0.653, 0.944),
    ):
        assert share.ci_low == pytest.approx(low, abs=5e-4)
        assert share.ci_high == pytest.approx(high, abs=5e-4)
    for name, nonlinear in (("T1_100", 0.96332), ("fl_100", 0.39325), ("rate", 0.04194)):
        fit = fit_spline(column(name), y)
        assert fit.nonlinear_wald.p == pytest.approx(nonlinear, abs=2e-4)
    pet = fit_spline(column("pet_100"), y)
    assert pet.model.bic == pytest.approx(36.4314, abs=1e-3)
    assert fit_spline(column("pet_100"), y, rule="rms").nonlinear_ratio.p == pytest.approx(
        0.04496, abs=2e-4
    )
    assert pet.nonlinear_score.p == pytest.approx(0.117, abs=5e-4)
    (peak,), (trough,) = turning_points(fit_spline(x, y)), turning_points(pet)
    assert (peak.kind, trough.kind) == ("maximum", "minimum")
    assert peak.x == pytest.approx(0.600, abs=0.003)
    assert trough.x / 100 == pytest.approx(-0.0809, abs=0.001)
    assert turning_points(fit_spline(column("T1_100"), y)) == ()
    assert firth_ratio_test(column("pet_100"), y).p == pytest.approx(0.01727, abs=1e-4)


def test_the_spline_is_straight_beyond_its_knots_and_its_derivative_is_right():
    knots = np.array([1.0, 2.0, 4.0, 5.0])
    x = np.linspace(-2, 8, 401)
    basis = spline_basis(x, knots)
    bend = np.abs(np.diff(basis, n=2, axis=0)).max(axis=1)
    outside = (x[1:-1] < 0.95) | (x[1:-1] > 5.05)
    assert bend[outside].max() < 1e-10
    numeric = np.gradient(basis, x, axis=0)
    np.testing.assert_allclose(spline_derivative(x, knots)[2:-2], numeric[2:-2], atol=2e-3)


def test_the_spline_spans_the_same_space_as_an_independent_basis():
    """patsy's natural cubic spline with the same knots is an oracle for the fit."""
    x, y = column("rate"), outcome()
    knots = place_knots(x)
    oracle = np.asarray(
        patsy.dmatrix(
            f"cr(x, knots=[{knots[1]!r}], lower_bound={knots[0]!r}, upper_bound={knots[2]!r},"
            " constraints='center') - 1".replace("np.float64", ""),
            {"x": np.clip(x, knots[0], knots[2])},
        )
    )
    clipped = fit_spline(np.clip(x, knots[0], knots[2]), y, knots=knots)
    assert fit_logistic(oracle, y).log_likelihood == pytest.approx(
        clipped.model.log_likelihood, abs=1e-8
    )


def test_wald_of_one_slope_is_its_squared_z():
    fit = fit_logistic(column("rate"), outcome())
    z = fit.coefficients[1] / fit.se[1]
    assert wald_test(fit, [1]).statistic == pytest.approx(z**2)
    assert predict(fit, column("rate")).mean() == pytest.approx(0.7)


def test_ancova_without_an_effect_of_the_covariate_is_the_t_test():
    from falx.clinical.group_tests import student_t

    rng = np.random.default_rng(3)
    group = np.repeat([0.0, 1.0], 20)
    covariate = np.tile(rng.normal(size=20), 2)
    y = rng.normal(size=40) + group
    found = ancova(y, group, covariate)
    assert found.difference == pytest.approx(student_t(y[:20], y[20:]).difference)
    assert found.ci_low < found.difference < found.ci_high


def test_fisher_of_two_by_two_equals_scipy():
    from scipy.stats import fisher_exact as scipy_fisher

    for table in ([[3, 9], [6, 12]], [[5, 1], [4, 20]], [[0, 1], [9, 20]]):
        assert fisher_exact(table).p == pytest.approx(scipy_fisher(table).pvalue, abs=1e-12)
    assert fisher_exact([[3, 5, 2], [6, 1, 7]]).p == pytest.approx(0.0983920508, abs=1e-9)


def test_chi_square_choices():
    table = [[5, 1], [4, 20]]
    assert chi_square(table).p == pytest.approx(0.0014362, abs=1e-7)
    assert "Fisher" in association(table).method
    assert "Pearson" in association([[30, 20], [20, 30]]).method


def test_adjusted_p_values():
    p = [0.0151, 0.164, 0.589]
    assert holm(p)[0] == pytest.approx(0.0453)
    assert np.all(benjamini_hochberg(p) <= holm(p) + 1e-12)


def test_decision_curve_and_sample_size_of_the_note():
    curve = decision_curve([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0], [0.5, 0.7])
    np.testing.assert_allclose(curve.model, [0.0, 0.25])
    needed = [sample_size(30, 21, 6.06, k) for k in (1, 2, 5)]
    assert [round(s.shrinkage_n) for s in needed] == [44, 88, 220]
    assert [round(s.prevalence_n) for s in needed] == [323] * 3
    np.testing.assert_allclose(
        [s.expected_shrinkage for s in needed], [0.84, 0.67, 0.18], atol=0.006
    )
