"""Items 21 to 31: the ablative rate and seizure freedom."""

from __future__ import annotations

import numpy as np

from falx.clinical.group_tests import levene, mann_whitney, student_t, welch_t
from falx.clinical.logistic.spline_model import fit_spline, odds_ratio_curve, turning_points
from falx.clinical.model_validation import bootstrap_peak
from falx.clinical.roc.curve import auc, delong_test, youden_cut
from falx.clinical.roc.cut_validation import nested_cut
from falx.clinical.roc.cuts import cut_performance
from falx.clinical.roc.resampling import cut_stability, permute_youden
from falx.data.mo2025 import PUBLISHED_RATE_CUT, Patients
from falx.studies.reproduce.comparison import CONTRADICTED, REPRODUCED, Item, Value, compare

__all__ = ["rate_items"]

SECTION = "Ablative rate"


def rate_items(patients: Patients, rng: np.random.Generator, n_resamples: int) -> list[Item]:
    """Return tests, curve, area and cuts of the rate; `rng` serves the corrected column."""
    return [
        *_tests(patients),
        *_curve(patients, rng, n_resamples),
        *_area(patients, rng, n_resamples),
        *_cuts(patients, rng, n_resamples),
    ]


def _tests(patients: Patients) -> list[Item]:
    free = patients.seizure_free == 1
    items = []
    for number, name, x, t_printed, p_printed in (
        (21, "hippocampus", patients.rate_hippocampus, -2.61, 0.01),
        (22, "amygdala", patients.rate_amygdala, -0.38, 0.71),
    ):
        groups = x[~free], x[free]
        t, welch, rank = student_t(*groups), welch_t(*groups), mann_whitney(*groups)
        spread = levene(*groups)
        items.append(Item(
            number, SECTION, f"Rate of the {name}, test", f"t = {t_printed}, P = {p_printed}",
            f"t = {t.t:.4f}, P = {t.p:.4f}",
            f"Welch t = {welch.t:.3f}, P = {welch.p:.4f}; exact Mann–Whitney P = {rank.p:.3f}; "
            f"SD {spread.sd_a:.3f} and {spread.sd_b:.3f}, equal spread P = {spread.p:.3f}",
            compare([Value(t_printed, t.t), Value(p_printed, t.p)]),
            "Student's test assumes equal variances",
        ))  # fmt: skip
    return items


def _curve(patients: Patients, rng: np.random.Generator, n_resamples: int) -> list[Item]:
    x, y = patients.rate_hippocampus, patients.seizure_free
    plain = fit_spline(x, y)
    hazen = fit_spline(x, y, knots=np.quantile(x, [0.1, 0.5, 0.9], method="hazen"))
    covariates = np.column_stack([patients.left_side, patients.seeg, patients.onset_years])
    adjusted = fit_spline(x, y, covariates=covariates)
    turn = turning_points(plain)[0]
    peak = bootstrap_peak(x, y, kind=turn.kind, n_resamples=n_resamples, rng=rng)
    end = odds_ratio_curve(plain, [float(x.max())])
    ratio, low, high = (float(v[0]) for v in (end.odds_ratio, end.ci_low, end.ci_high))
    return [
        Item(
            23, SECTION, "Curve of the rate, overall", "P = .047",
            f"Wald P = {hazen.overall.p:.4f} (Hazen's quantiles), {plain.overall.p:.4f} (type 7)",
            f"likelihood ratio P = {plain.overall_ratio.p:.4f}; adjusted Wald P = "
            f"{adjusted.overall.p:.4f}",
            compare([Value(0.047, hazen.overall.p, 3)], convention=True),
            "knots at the 10th, 50th and 90th percentiles by Hazen's rule (type 5); the usual "
            "rule (type 7) gives .046",
        ),
        Item(
            24, SECTION, "Curve of the rate, curvature", "P = .04",
            f"Wald P = {plain.nonlinear_wald.p:.4f}",
            f"likelihood ratio P = {plain.nonlinear_ratio.p:.4f}, score P = "
            f"{plain.nonlinear_score.p:.4f}; adjusted Wald P = {adjusted.nonlinear_wald.p:.4f}",
            compare([Value(0.04, plain.nonlinear_wald.p)]), "unadjusted Wald test",
        ),
        Item(
            25, SECTION, "Coverage beyond 58.65 %", "a higher rate is better",
            f"the curve has a {turn.kind} at {turn.x:.1%}",
            f"resampling places it from {peak.ci_low:.1%} to {peak.ci_high:.1%}; odds ratio at "
            f"{x.max():.1%} against the median {ratio:.3f} ({low:.4f}–{high:.2f})",
            CONTRADICTED if turn.kind == "maximum" else REPRODUCED,
            "the paper's own curve falls beyond its top, with an interval that allows either",
        ),
    ]  # fmt: skip


def _area(patients: Patients, rng: np.random.Generator, n_resamples: int) -> list[Item]:
    x, y = patients.rate_hippocampus, patients.seizure_free
    area, best = auc(x, y), youden_cut(x, y)
    paired = delong_test(x, patients.ai_pet, y)
    rule = cut_performance(x, y, PUBLISHED_RATE_CUT)
    moves = cut_stability(x, y, n_resamples=n_resamples, rng=rng)
    held = nested_cut(x, y, rng=rng)
    sens, spec = rule.sensitivity, rule.specificity
    return [
        Item(
            26, SECTION, "Area under the curve", "0.74", f"{area.auc:.5f}",
            f"DeLong interval {area.ci_low:.3f}–{area.ci_high:.3f}; against the asymmetry of PET "
            f"P = {paired.p:.2f}",
            compare([Value(0.74, area.auc)]), "the interval, which is not printed, includes 0.5",
        ),
        Item(
            27, SECTION, "Youden cut", "39.79 %",
            f"{PUBLISHED_RATE_CUT:.8f}, a patient's own rate",
            f"midpoint {best.threshold:.7f}: sensitivity {best.sensitivity:.2f}, specificity "
            f"{best.specificity:.3f}; 95 % of resampled cuts lie in {moves.ci_low:.3f}–"
            f"{moves.ci_high:.3f}",
            compare([Value(39.79, 100 * float(np.min(x[(y == 1)])))], convention=True),
            "the cut is the rate of one patient; with a strict “>” it misses that patient and is "
            "not the optimum",
        ),
        Item(
            28, SECTION, "Sensitivity, specificity", "0.95, 0.56",
            f"{sens.hits} / {sens.n} = {sens.value:.3f}, {spec.hits} / {spec.n} = "
            f"{spec.value:.3f}",
            f"exact intervals {sens.ci_low:.3f}–{sens.ci_high:.3f} and {spec.ci_low:.3f}–"
            f"{spec.ci_high:.3f}; cut chosen in other patients: {held.sensitivity:.2f}, "
            f"{held.specificity:.2f}",
            compare([Value(0.95, sens.value), Value(0.56, spec.value)], convention=True),
            "strict “>” at the full precision of the patient's rate",
        ),
        Item(
            29, SECTION, "Balanced accuracy", "0.83, above chance",
            f"plain accuracy {rule.accuracy.hits} / 30 = {rule.accuracy.value:.3f}",
            f"balanced accuracy {rule.balanced_accuracy:.3f}, in patients not used for the cut "
            f"{held.balanced_accuracy:.3f} ± {held.balanced_accuracy_sd:.3f}; accuracy against "
            f"always predicting freedom P = {rule.accuracy_p:.3f}",
            compare([Value(0.83, rule.balanced_accuracy)]),
            "0.83 is the plain accuracy; always predicting freedom reaches 0.70",
        ),
    ]  # fmt: skip


def _cuts(patients: Patients, rng: np.random.Generator, n_resamples: int) -> list[Item]:
    x, y = patients.rate_hippocampus, patients.seizure_free
    at_cut = cut_performance(x, y, PUBLISHED_RATE_CUT)
    at_best = cut_performance(x, y, youden_cut(x, y).threshold)
    at_median = cut_performance(x, y, 0.5865)
    maximal = permute_youden(x, y, n_permutations=5 * n_resamples // 2, rng=rng)
    tables = [rule.pearson for rule in (at_cut, at_best, at_median)]
    assert at_cut.fisher is not None
    cut, best, median = tables
    assert cut is not None
    assert best is not None
    assert median is not None
    yates = at_cut.yates
    assert yates is not None
    return [
        Item(
            30, SECTION, "Outcome by the cut at 39.79 %", "χ² = 10.16, P = .001",
            f"χ² = {cut.statistic:.4f}, P = {cut.p:.5f}",
            f"Fisher P = {at_cut.fisher.p:.4f}, Yates P = {yates.p:.3f}; best cut sought anew in "
            f"every permutation P = {maximal.p:.3f}",
            compare([Value(10.16, cut.statistic), Value(0.001, cut.p, 3)], convention=True),
            f"strict “>”; at the true optimum χ² = {best.statistic:.1f}. The cut was chosen on "
            "the same patients, so its plain P is too small",
        ),
        Item(
            31, SECTION, "Outcome by the cut at 58.65 %", "χ² = 0.92, P = .34",
            f"χ² = {median.statistic:.4f}, P = {median.p:.3f}", "same",
            compare([Value(0.92, median.statistic), Value(0.34, median.p)]),
            "one patient (0.58780072) is on the other side: the printed value needs a cut of at "
            "least that rate",
        ),
    ]  # fmt: skip
