"""Items 9 to 20: the asymmetry in the ablation and seizure freedom."""

from __future__ import annotations

import numpy as np

from falx.clinical.ancova import ancova
from falx.clinical.group_tests import mann_whitney, student_t, welch_t
from falx.clinical.logistic.spline_model import SplineFit, fit_spline, turning_points
from falx.clinical.logistic.univariate import univariate_logistic
from falx.core.checks import Floats
from falx.core.multiplicity import holm
from falx.data.mo2025 import Patients
from falx.studies.reproduce.comparison import REPRODUCED, Item, Value, compare

__all__ = ["asymmetry_items"]

GROUPS, MODELS, CURVES = "Groups", "Logistic models", "Curves"


def asymmetry_items(patients: Patients) -> list[Item]:
    """Return group tests, adjusted tests, odds ratios and curves of the asymmetries."""
    return [
        *_group_tests(patients),
        *_adjusted(patients),
        _odds_ratio(patients),
        _others(patients),
        *_curves(patients),
    ]


def _group_tests(patients: Patients) -> list[Item]:
    free = patients.seizure_free == 1
    items, students = [], []
    for number, name, x, printed in (
        (9, "grey matter", patients.ai_gm, (-0.00, 1.00)),
        (10, "FLAIR", patients.ai_flair, (-1.96, 0.05)),
    ):
        rank = mann_whitney(x[~free], x[free])
        t, welch = student_t(x[~free], x[free]), welch_t(x[~free], x[free])
        students.append(t.p)
        items.append(Item(
            number, GROUPS, f"Asymmetry of {name}, “U”", f"{printed[0]:.2f}, P = {printed[1]:.2f}",
            f"{rank.z_from_p:.2f}, P = {rank.p:.4f} (W = {rank.u:g})",
            f"U = {rank.u:g}, exact P = {rank.p:.4f}; Student t = {t.t:.3f}, P = {t.p:.3f}; "
            f"Welch P = {welch.p:.3f}",
            compare([Value(printed[0], rank.z_from_p), Value(printed[1], rank.p)],
                    convention=True),
            "the printed “U” is the normal quantile of the exact P / 2, so its sign says nothing",
        ))  # fmt: skip
    x = patients.ai_pet
    t, welch = student_t(x[~free], x[free]), welch_t(x[~free], x[free])
    rank = mann_whitney(x[~free], x[free])
    corrected = holm([*students, t.p])[2]
    items.append(Item(
        11, GROUPS, "Asymmetry of PET, test", "t = -2.59, P = .02",
        f"t = {t.t:.3f}, P = {t.p:.4f}",
        f"Welch t = {welch.t:.3f}, P = {welch.p:.4f}; exact Mann–Whitney P = {rank.p:.4f}; "
        f"Holm over the three modalities P = {corrected:.3f}",
        compare([Value(-2.59, t.t), Value(0.02, t.p)]), "Student's test, equal variances",
    ))  # fmt: skip
    return items


def _adjusted(patients: Patients) -> list[Item]:
    items = []
    for number, name, covariate, f, p, decimals in (
        (12, "intracranial volume", patients.tiv_mm3, 4.38, 0.02, 2),
        (13, "volume of hippocampus and amygdala", patients.both_mm3, 8.85, 0.001, 3),
        (14, "volume difference", patients.both_difference_mm3, 4.25, 0.03, 2),
    ):
        found = ancova(patients.ai_pet_full, patients.seizure_free, covariate)
        values = [Value(f, found.f_model)]
        reason = "the F of the whole model with 2 and 27 degrees of freedom, not of the groups"
        if number == 14:
            reason += f"; its P {found.p_model:.4f} rounds to .02, that of the groups to .03"
        else:
            values.append(Value(p, found.p_model, decimals))
        items.append(Item(
            number, GROUPS, f"PET at equal {name}", f"F = {f}, P = {p:.{decimals}f}",
            f"F(2, 27) = {found.f_model:.3f}, P = {found.p_model:.4f}",
            f"group effect F(1, 27) = {found.f_group:.3f}, P = {found.p_group:.4f}; difference "
            f"{found.difference:.4f} (95 % {found.ci_low:.4f} to {found.ci_high:.4f})",
            compare(values, convention=True), reason,
        ))  # fmt: skip
    return items


def _odds_ratio(patients: Patients) -> Item:
    model = univariate_logistic(
        100 * patients.ai_pet, patients.seizure_free, "PET", unit="percentage point"
    )
    ml, firth = model.likelihood, model.firth
    assert ml is not None
    assert firth is not None
    return Item(
        15, MODELS, "Odds ratio of PET per percentage point", "1.43 (1.04–1.97), P = .03",
        f"{ml.odds_ratio:.4f} ({ml.ci_low:.4f}–{ml.ci_high:.4f}), P = {ml.p_wald:.4f}",
        f"likelihood-ratio P = {ml.p_ratio:.3f}, profile interval {ml.profile_low:.3f}–"
        f"{ml.profile_high:.3f}; Firth {firth.odds_ratio:.3f} ({firth.profile_low:.3f}–"
        f"{firth.profile_high:.3f}), P = {firth.p_ratio:.4f}; Bonferroni over ten models "
        f"P = {min(1, 10 * ml.p_wald):.2f}",
        compare([Value(1.43, ml.odds_ratio), Value(1.04, ml.ci_low), Value(1.97, ml.ci_high),
                 Value(0.03, ml.p_wald)]),
        "Wald interval; the abstract prints P = .02",
    )  # fmt: skip


def _others(patients: Patients) -> Item:
    columns = {
        "side": patients.left_side, "SEEG": patients.seeg, "onset": patients.onset_years,
        "duration": patients.duration_years, "ablation": patients.ablation_voxels,
        "ablation / intracranial volume": patients.ablation_per_tiv,
        "ablation / structures": patients.ablation_per_volume, "grey matter": patients.ai_gm,
        "FLAIR": patients.ai_flair,
    }  # fmt: skip
    wald, ratio = {}, {}
    for name, column in columns.items():
        model = univariate_logistic(column, patients.seizure_free, name)
        assert model.likelihood is not None
        wald[name], ratio[name] = model.likelihood.p_wald, model.likelihood.p_ratio
    agreed = all(p >= 0.05 for p in wald.values())
    below = ", ".join(f"{k} {p:.3f}" for k, p in ratio.items() if p < 0.05)
    return Item(
        16, MODELS, "Other univariate models", "not significant",
        ", ".join(f"{k} {p:.3f}" for k, p in wald.items()),
        f"likelihood-ratio P below 0.05: {below or 'none'}",
        REPRODUCED if agreed else "contradicted", "Wald tests",
    )  # fmt: skip


def _fits(patients: Patients, asymmetry: Floats) -> tuple[SplineFit, SplineFit, SplineFit]:
    """Unadjusted with quantile and with rms knots, and adjusted with quantile knots."""
    x, y = 100 * asymmetry, patients.seizure_free
    covariates = np.column_stack([patients.left_side, patients.seeg, patients.onset_years])
    return (
        fit_spline(x, y, rule="quantile"),
        fit_spline(x, y, rule="rms"),
        fit_spline(x, y, rule="quantile", covariates=covariates),
    )


def _three_tests(fit: SplineFit) -> str:
    return (
        f"Wald {fit.nonlinear_wald.p:.4f}, likelihood ratio {fit.nonlinear_ratio.p:.4f}, score "
        f"{fit.nonlinear_score.p:.4f}"
    )


def _curves(patients: Patients) -> list[Item]:
    items = []
    for number, name, asymmetry, printed in (
        (17, "grey matter", patients.ai_gm, 0.96), (18, "FLAIR", patients.ai_flair, 0.39)
    ):  # fmt: skip
        plain, rms, adjusted = _fits(patients, asymmetry)
        items.append(Item(
            number, CURVES, f"Curvature of {name}", f"P = {printed}",
            f"Wald P = {plain.nonlinear_wald.p:.4f} (quantile knots), "
            f"{rms.nonlinear_wald.p:.4f} (rms knots)",
            f"adjusted: {_three_tests(adjusted)}",
            compare([Value(printed, plain.nonlinear_wald.p)], convention=True),
            "the unadjusted model, although the methods say adjusted",
        ))  # fmt: skip
    plain, rms, adjusted = _fits(patients, patients.ai_pet)
    items.append(Item(
        19, CURVES, "Curvature of PET", "P = .04",
        f"likelihood ratio {rms.nonlinear_ratio.p:.4f} (rms knots)",
        f"quantile knots: {_three_tests(plain)}; adjusted: {_three_tests(adjusted)}",
        compare([Value(0.04, rms.nonlinear_ratio.p)], convention=True),
        "only the unadjusted likelihood-ratio test with rms knots prints .04; the Wald test used "
        "for the other curves gives .19. Either the tests were mixed, or the value is a misprint",
    ))  # fmt: skip
    medians = [
        float(np.median(column))
        for column in (patients.ai_gm_full, patients.ai_flair_full, patients.ai_pet_full)
    ]
    rate = float(np.median(patients.rate_hippocampus))
    turn = turning_points(plain)[0]
    items.append(Item(
        20, CURVES, "“Inflection points” of grey matter, FLAIR, PET, rate",
        "-0.02, 0.01, -0.06, 58.65 %",
        f"{medians[0]:.5f}, {medians[1]:.5f}, {medians[2]:.5f}, {rate:.2%}",
        f"PET: {turn.kind} of seizure freedom at {turn.x / 100:.4f}; grey matter and FLAIR have "
        "no turning point",
        compare([Value(-0.02, medians[0]), Value(0.01, medians[1]), Value(-0.06, medians[2]),
                 Value(58.65, 100 * rate)], convention=True),
        "these are the sample medians, the reference values of the curves, not estimated points",
    ))  # fmt: skip
    return items
