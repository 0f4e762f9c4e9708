"""A model that cannot be trusted says so: the note's edge cases, inputs and values from R."""

from __future__ import annotations

import numpy as np
import pytest

from clinical.outcome_reference import column, outcome, table
from falx.clinical.contingency import chi_square, fisher_exact
from falx.clinical.group_tests import mann_whitney, student_t
from falx.clinical.logistic.firth import fit_firth
from falx.clinical.logistic.fit import fit_logistic
from falx.clinical.logistic.separation import SeparatedError, is_separated
from falx.clinical.logistic.spline_model import fit_spline
from falx.clinical.logistic.splines import place_knots
from falx.clinical.logistic.univariate import univariate_logistic
from falx.clinical.roc.curve import auc, youden_cut
from falx.core.errors import InputError, OptionError


def _case(reference, name):
    rows = table(reference, f"edge_{name}_data.csv")
    x = np.array([float(r["x"]) if r["x"] != "NA" else np.nan for r in rows])
    return x, np.array([float(r["y"]) for r in rows])


@pytest.mark.parametrize(
    ("name", "slope", "se", "p", "cut"),
    [
        ("perfect_sep", 0.16483505, 0.0614184, 0.0072789, 40.5),
        ("quasi_sep", 47.25298, 25.96516, 0.06878, 0.373946),
    ],
)
def test_separated_outcomes_get_firth_and_no_odds_ratio(reference, name, slope, se, p, cut):
    x, y = _case(reference, name)
    model = univariate_logistic(x, y, "x")
    assert model.status == "separated"
    assert model.likelihood is None
    assert "separates the outcomes" in model.message
    np.testing.assert_allclose(
        [model.firth.slope, model.firth.se, model.firth.p_wald], [slope, se, p], rtol=2e-5
    )
    with pytest.raises(SeparatedError, match="no maximum-likelihood odds ratio"):
        fit_spline(x, y)
    area = auc(x, y)
    assert area.auc == 1
    assert "degenerate" in area.note
    assert youden_cut(x, y).threshold == pytest.approx(cut, abs=1e-6)


def test_ties(reference):
    x, y = _case(reference, "ties")
    model = univariate_logistic(x, y, "x")
    assert model.likelihood.slope == pytest.approx(6.67821, abs=1e-5)
    assert model.likelihood.se == pytest.approx(3.13686, abs=1e-4)
    assert model.firth.slope == pytest.approx(5.9120949, rel=2e-5)
    assert model.firth.se == pytest.approx(2.9890567, rel=2e-5)
    fit = fit_spline(x, y, rule="rms")
    np.testing.assert_allclose(fit.knots, [0.4, 0.6, 0.7])
    assert fit.overall.p == pytest.approx(0.06058, abs=1e-5)
    assert fit.nonlinear_wald.p == pytest.approx(0.05873, abs=1e-5)
    area = auc(x, y)
    np.testing.assert_allclose(
        [area.auc, area.ci_low, area.ci_high], [0.727513, 0.482061, 0.972966], atol=1e-6
    )
    assert youden_cut(x, y).threshold == pytest.approx(0.45)


def test_one_event_warns(reference):
    x, y = _case(reference, "one_event")
    model = univariate_logistic(x, y, "rate")
    assert model.status == "fitted"
    assert "only 1 patient(s) in the smaller outcome group" in model.message
    assert model.likelihood.slope == pytest.approx(3.0592, abs=1e-4)
    assert model.likelihood.se == pytest.approx(8.0872, abs=1e-3)
    assert model.firth.slope == pytest.approx(0.802038, rel=2e-5)
    assert model.firth.se == pytest.approx(5.392037, rel=2e-5)
    with pytest.raises(InputError, match="two patients of each outcome"):
        fit_spline(x, y)
    area = auc(x, y)
    assert area.auc == pytest.approx(0.551724, abs=1e-6)
    assert area.ci_low is None
    assert "no interval" in area.note


def test_a_constant_predictor_is_refused(reference):
    x, y = _case(reference, "constant_x")
    model = univariate_logistic(x, y, "x")
    assert (model.status, model.likelihood, model.firth) == ("refused", None, None)
    assert "constant" in model.message
    assert auc(x, y).auc == 0.5
    with pytest.raises(InputError, match="no cut of the score"):
        youden_cut(x, y)


def test_one_class_is_refused_everywhere(reference):
    x, y = _case(reference, "one_class")
    model = univariate_logistic(x, y, "x")
    assert model.status == "refused"
    assert "only one class" in model.message
    for refused in (auc, youden_cut, fit_spline, fit_logistic, fit_firth):
        with pytest.raises(InputError, match="only one class"):
            refused(x, y)


def test_missing_values_leave_complete_cases_and_are_counted(reference):
    x, y = _case(reference, "missing_x")
    model = univariate_logistic(x, y, "x")
    assert (model.n, model.n_missing) == (28, 2)
    assert model.likelihood.slope == pytest.approx(8.20531, abs=1e-4)
    assert model.firth.slope == pytest.approx(7.196342, rel=2e-5)
    assert model.firth.se == pytest.approx(3.368486, rel=2e-5)
    with pytest.raises(InputError, match="2 of 30"):
        auc(x, y)
    keep = np.isfinite(x)
    fit = fit_spline(x[keep], y[keep], rule="rms")
    assert fit.overall.p == pytest.approx(0.062674, abs=1e-5)
    assert fit.nonlinear_wald.p == pytest.approx(0.043672, abs=1e-5)
    area = auc(x[keep], y[keep])
    np.testing.assert_allclose(
        [area.auc, area.ci_low, area.ci_high], [0.748538, 0.498238, 0.998838], atol=1e-6
    )
    assert youden_cut(x[keep], y[keep]).threshold == pytest.approx(0.505799, abs=1e-6)


def test_a_binary_predictor_has_no_spline():
    x = (column("rate") > 0.5).astype(float)
    model = univariate_logistic(x, outcome(), "x")
    assert model.likelihood.slope == pytest.approx(2.48491, abs=1e-5)
    assert model.firth.slope == pytest.approx(2.284047, rel=2e-5)
    with pytest.raises(InputError, match="use a linear term"):
        fit_spline(x, outcome())


def test_ten_patients_are_separated():
    model = univariate_logistic(column("rate")[:10], outcome()[:10], "rate")
    assert model.status == "separated"
    assert model.firth.slope == pytest.approx(17.144684, rel=2e-5)
    assert model.firth.se == pytest.approx(10.142183, rel=2e-5)


def test_quasi_separation_with_a_tie_is_found():
    assert is_separated([1.0, 2, 2, 3], [0, 0, 1, 1])
    assert not is_separated([1.0, 2, 2, 3, 0], [0, 0, 1, 1, 1])


def test_refusals_name_the_reason():
    with pytest.raises(InputError, match="coded 0 and 1"):
        auc([1, 2, 3], [1, 2, 1])
    with pytest.raises(InputError, match="collinear"):
        fit_logistic(np.column_stack([column("rate")] * 2), outcome())
    with pytest.raises(InputError, match="distinct values"):
        mann_whitney([1, 1], [1, 2], method="exact")
    with pytest.raises(OptionError, match="3, 4 or 5 knots"):
        place_knots(column("rate"), 7)
    with pytest.raises(OptionError, match="did you mean 'quantile'"):
        place_knots(column("rate"), 3, "quantil")
    with pytest.raises(InputError, match="both groups are constant"):
        student_t([1, 1], [1, 1])
    with pytest.raises(InputError, match="counts in rows and columns"):
        chi_square([[1.5, 2], [3, 4]])
    with pytest.raises(InputError, match="pass rng"):
        fisher_exact(np.full((6, 6), 40), max_tables=100)


def test_large_tables_are_sampled_with_their_standard_error():
    sampled = fisher_exact(
        [[3, 5, 2], [6, 1, 7]], max_tables=1, samples=20000, rng=np.random.default_rng(1)
    )
    assert sampled.method == "Fisher, Monte Carlo"
    assert abs(sampled.p - 0.09839205) < 4 * sampled.standard_error
