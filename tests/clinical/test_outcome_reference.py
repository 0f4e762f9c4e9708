"""Every row of the R reference: R 4.2.2, rms 6.5-0, pROC 1.18.0, brglm2 0.9."""

from __future__ import annotations

import numpy as np
import pytest

from clinical.outcome_reference import column, number, outcome, table
from falx.clinical.ancova import ancova
from falx.clinical.contingency import cross_table, fisher_exact
from falx.clinical.group_tests import levene, mann_whitney, student_t, welch_t
from falx.clinical.logistic.spline_model import fit_spline, odds_ratio_curve
from falx.clinical.logistic.univariate import univariate_logistic
from falx.clinical.roc.curve import auc, delong_test, roc_curve, youden_cut
from falx.clinical.roc.cuts import cut_performance
from falx.data.mo2025 import load_patients, load_table1


def test_group_tests_equal_r(reference):
    y = outcome()
    for row in table(reference, "tests.csv"):
        x = column(row["var"])
        nsf, sf = x[y == 0], x[y == 1]
        student, welch, rank = student_t(nsf, sf), welch_t(nsf, sf), mann_whitney(nsf, sf)
        found = [student.t, student.p, welch.t, welch.p, rank.u, rank.p, rank.z_from_p]
        names = ["t", "p_t", "welch", "p_welch", "W", "p_W", "z_from_p"]
        np.testing.assert_allclose(found, [float(row[n]) for n in names], rtol=1e-9, atol=1e-12)
        assert rank.exact == ("exact" in row["method"])


def test_ancova_equals_r(reference):
    for row in table(reference, "ancova.csv"):
        found = ancova(load_patients()["ai_pet_full"], outcome(), column(row["cov"]))
        assert (found.df_model, found.df_residual) == (2, 27)
        np.testing.assert_allclose(
            [found.f_model, found.p_model, found.f_group, found.p_group],
            [float(row[n]) for n in ("F_model", "p_model", "F_SF", "p_SF")],
            rtol=1e-9,
        )


def test_table_1_equals_r_and_print(reference):
    rows = table(reference, "table1_fisher.csv")
    for printed, row in zip(load_table1(), rows, strict=True):
        p = fisher_exact(printed.counts).p
        assert p == pytest.approx(float(row["p"]), abs=1e-9)
        assert round(p, 2) == printed.published_p


def test_logistic_models_equal_r(reference):
    for row in table(reference, "logistic_univariate.csv"):
        model = univariate_logistic(column(row["var"]), outcome(), row["var"])
        ml, firth = model.likelihood, model.firth
        np.testing.assert_allclose(
            [ml.slope, ml.se], [float(row["b"]), float(row["se"])], rtol=1e-4
        )
        np.testing.assert_allclose(
            [ml.p_wald, ml.p_ratio], [float(row["p"]), float(row["p_lr"])], atol=2e-5
        )
        np.testing.assert_allclose(
            [firth.slope, firth.se, firth.p_wald],
            [float(row[n]) for n in ("firth_b", "firth_se", "firth_p_wald")],
            rtol=2e-5,
        )
        limits = {"profile_low": "prof_lo", "profile_high": "prof_hi"}
        for ours, theirs in limits.items():
            # R interpolates its profile; where it gives up (Inf) there is nothing to compare.
            if np.isfinite(number(row[theirs])) and row["var"] != "adjusted_TIV":
                assert np.log(getattr(ml, ours)) == pytest.approx(
                    np.log(number(row[theirs])), abs=2e-3
                )


def _matching(rows, model):
    keys = ("var", "nk", "knots", "adjust")
    return [row for row in rows if all(row[k] == model[k] for k in keys)]


def _fit(row):
    adjust = None
    if row["adjust"] != "none":
        adjust = np.column_stack([column(c) for c in ("side", "SEEG", "Onset")])
    return fit_spline(
        column(row["var"]), outcome(), n_knots=int(row["nk"]), rule=row["knots"], covariates=adjust
    )


def test_splines_equal_r(reference):
    rows = [row for row in table(reference, "rcs_anova.csv") if row["ok"] == "TRUE"]
    knots, curves = table(reference, "rcs_knots.csv"), table(reference, "rcs_predict_or.csv")
    coefficients = table(reference, "rcs_coef.csv")
    assert len(rows) == 24
    for row in rows:
        fit, four = _fit(row), row["nk"] == "4"
        where = str([row[k] for k in ("var", "nk", "knots", "adjust")])
        at = [float(k["knot"]) for k in _matching(knots, row)]
        np.testing.assert_allclose(fit.knots, at, atol=1e-9, err_msg=where)
        p_tolerance = 1e-4 if four else 2e-5
        assert fit.overall.p == pytest.approx(float(row["p_overall"]), abs=p_tolerance), where
        assert fit.nonlinear_wald.p == pytest.approx(float(row["p_nonlin"]), abs=p_tolerance)
        assert fit.nonlinear_ratio.p == pytest.approx(float(row["lr_nonlin_p"]), abs=1e-7), where
        assert fit.model.bic == pytest.approx(float(row["BIC"]), abs=1e-6), where
        assert fit.linear.bic == pytest.approx(float(row["BIC_linear"]), abs=1e-6), where
        b = [float(c["coef"]) for c in _matching(coefficients, row)]
        np.testing.assert_allclose(fit.model.coefficients, b, rtol=1e-4, atol=1e-6, err_msg=where)
        drawn = _matching(curves, row)
        x = [float(c["x"]) for c in drawn]
        curve = odds_ratio_curve(fit, x, reference=float(drawn[0]["ref"]))
        for ours, theirs, tolerance in (
            (curve.odds_ratio, "OR", 2e-3 if four else 5e-4),
            (curve.ci_low, "lo", 1e-2),
            (curve.ci_high, "hi", 1e-2),
        ):
            expected = np.log([number(c[theirs]) for c in drawn])
            np.testing.assert_allclose(np.log(ours), expected, atol=tolerance, err_msg=where)


def test_areas_equal_proc(reference):
    best = table(reference, "proc_best.csv")
    for row in table(reference, "proc_auc.csv"):
        up = row["dir"] == "<"
        x = column(row["var"])
        area = auc(x, outcome(), higher_is_positive=up)
        np.testing.assert_allclose(
            [area.auc, area.variance, area.ci_low, area.ci_high],
            [float(row[n]) for n in ("auc", "var_delong", "delong_lo", "delong_hi")],
            atol=1e-12,
        )
        tied = [b for b in best if b["var"] == row["var"]]
        cut = youden_cut(x, outcome(), higher_is_positive=up)
        np.testing.assert_allclose(cut.tied, [float(b["threshold"]) for b in tied], rtol=1e-9)
        assert cut.youden + 1 == pytest.approx(float(tied[0]["youden"]), abs=1e-12)


def test_operating_points_equal_proc(reference):
    rows = table(reference, "proc_coords_rate.csv")
    curve = roc_curve(column("rate"), outcome())
    np.testing.assert_allclose(curve.thresholds, [number(r["threshold"]) for r in rows])
    np.testing.assert_allclose(curve.sensitivity, [float(r["sensitivity"]) for r in rows])
    np.testing.assert_allclose(curve.specificity, [float(r["specificity"]) for r in rows])


def test_paired_areas_equal_proc(reference):
    (row,) = table(reference, "delong_rate_vs_pet.csv")
    found = delong_test(column("rate"), column("pet_100"), outcome())
    assert found.z == pytest.approx(float(row["z"]), abs=1e-9)
    assert found.p == pytest.approx(float(row["p"]), abs=1e-9)


def test_dichotomised_rates_equal_r(reference):
    for row in table(reference, "dichotomised.csv"):
        operator = {">": "gt", ">=": "ge"}[row["op"]]
        found = cut_performance(column("rate"), outcome(), float(row["th"]), operator=operator)
        np.testing.assert_allclose(
            [
                found.pearson.statistic,
                found.pearson.p,
                found.yates.statistic,
                found.yates.p,
                found.fisher.p,
            ],
            [float(row[n]) for n in ("chi2", "p", "chi2_yates", "p_yates", "fisher")],
            atol=1e-9,
        )
        counts = (
            found.true_negative,
            found.false_negative,
            found.false_positive,
            found.true_positive,
        )
        assert counts == tuple(int(row[n]) for n in ("tn", "fn", "fp", "tp"))


def test_public_cohort_equals_r(reference):
    """ds004100 (CC0): outcome by target, therapy and lesion, computed with R 4.2.2."""
    path = reference / "ds004100" / "participants.tsv"
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    by = {name: [row[name] for row in rows] for name in lines[0]}
    assert fisher_exact(cross_table(by["target"], by["outcome"])).p == pytest.approx(
        0.2978619927, abs=1e-9
    )
    assert fisher_exact(cross_table(by["therapy"], by["outcome"])).p == pytest.approx(
        0.0570468283, abs=1e-9
    )
    mtl = [r for r in rows if r["therapy"] == "ABLATION" and r["target"] == "MTL"]
    lesion = cross_table([r["lesion_status"] for r in mtl], [r["outcome"] for r in mtl])
    assert fisher_exact(lesion).p == pytest.approx(0.3076923077, abs=1e-9)
    ages = {o: [float(r["age"]) for r in mtl if r["outcome"] == o] for o in "FS"}
    student, welch = student_t(ages["F"], ages["S"]), welch_t(ages["F"], ages["S"])
    assert student.t == pytest.approx(-0.16886906, abs=1e-7)
    assert student.p == pytest.approx(0.86831517, abs=1e-7)
    assert welch.p == pytest.approx(0.86742788, abs=1e-7)
    rank = mann_whitney(ages["F"], ages["S"])
    assert (rank.u, rank.p, rank.exact) == (31.0, 1.0, False)


def test_the_rate_spreads_more_in_patients_who_were_not_free():
    y, rate = outcome(), column("rate")
    found = levene(rate[y == 0], rate[y == 1])
    assert (round(found.sd_a, 3), round(found.sd_b, 3)) == (0.187, 0.104)
    assert found.p == pytest.approx(0.093, abs=5e-4)
