"""Figures of the outcome study, each with a sentence that keeps within its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from falx.clinical.additive import AdditiveStudy, PartialDependence
from falx.clinical.group_tests import TTest
from falx.clinical.increment import Increment
from falx.clinical.logistic.spline_model import SplineFit, TurningPoint, odds_ratio_curve
from falx.clinical.logistic.univariate import UnivariateModel
from falx.clinical.model_validation import CurvePeak
from falx.clinical.roc.curve import Auc, RocCurve, YoudenCut
from falx.clinical.roc.cuts import CutPerformance
from falx.clinical.roc.decision import DecisionCurve
from falx.core.checks import Bools, Floats
from falx.report.figures import BLUE, CYAN, GREY, INK, ORANGE, new_figure, png
from falx.report.page import Figure
from falx.studies.outcome.labels import label, p_text, shown_in
from falx.studies.outcome.model_fields import chance_range
from falx.studies.outcome.score_model import Prognoses, Validated

__all__ = [
    "bar_figure",
    "box_figure",
    "decision_figure",
    "dependence_figure",
    "forest_figure",
    "increment_figure",
    "prediction_figure",
    "prognosis_figure",
    "roc_figure",
    "shapley_figure",
    "spline_figure",
    "validation_figure",
]

FREE, NOT_FREE = CYAN, ORANGE


def _clean(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)


def box_figure(groups: Sequence[tuple[str, Floats, Bools, TTest]], *, unit: str = "") -> Figure:
    """Every patient (n,) as a dot beside the box of both outcome groups (Tukey 1977).

    Parameters
    ----------
    groups
        Name, values, seizure-free mask, and Welch test of each number.
    unit
        Of the vertical axis.
    """
    figure = new_figure(2.8 * len(groups), 3.6)
    axes = np.atleast_1d(figure.subplots(1, len(groups)))
    for axis, (name, values, free, test) in zip(axes, groups, strict=True):
        factor, mark = shown_in(name)
        parts = [factor * values[~free], factor * values[free]]
        boxes = axis.boxplot(parts, widths=0.5, showfliers=False, patch_artist=True)
        for place, (box, part) in enumerate(zip(boxes["boxes"], parts, strict=True), start=1):
            colour = (NOT_FREE, FREE)[place - 1]
            box.set(facecolor=colour, alpha=0.35)
            boxes["medians"][place - 1].set_color(INK)
            spread = np.linspace(-0.16, 0.16, len(part))[
                np.argsort(np.argsort(part, kind="stable")) * 7 % len(part)
            ]
            axis.plot(place + spread, part, "o", color=colour, ms=4, mec="white", mew=0.4)
        axis.set_xticks([1, 2], ["not seizure\nfree", "seizure\nfree"])
        axis.set_title(label(name), fontsize=9.5)
        axis.set_xlabel(p_text(test.p), fontsize=9)
        axis.set_ylabel(f"{unit} ({mark})" if mark else unit, fontsize=9)
        _clean(axis)
    told = [_group_sentence(name, test) for name, _, _, test in groups]
    lead = "Dots are patients, boxes quartiles; P by Welch's test."
    return Figure(png(figure), " ".join([lead, *told]))


def _group_sentence(name: str, test: TTest) -> str:
    clear = test.ci_low > 0 or test.ci_high < 0
    side = "higher" if test.difference > 0 else "lower"
    factor, mark = shown_in(name)
    numbers = (
        f"difference {factor * test.difference:.3g}"
        f"{' percentage points' if mark else ''}, 95 % {factor * test.ci_low:.3g} to "
        f"{factor * test.ci_high:.3g}"
    )
    if clear:
        return f"The {label(name)} is {side} in patients who were not seizure free ({numbers})."
    return f"The {label(name)} does not differ demonstrably between the outcomes ({numbers})."


def forest_figure(models: Sequence[UnivariateModel]) -> Figure:
    """Odds ratios per standard deviation, so that predictors can be compared."""
    shown = [(m, m.odds_ratio_per(m.sd)) for m in models if m.best is not None]
    figure = new_figure(7.5, 0.36 * len(shown) + 1.2)
    axis = figure.subplots()
    clear = []
    for row, (model, ratio) in enumerate(reversed(shown)):
        assert ratio is not None
        value, low, high = ratio
        sure = low > 1 or high < 1
        colour = BLUE if sure else GREY
        axis.plot([max(low, 1e-2), min(high, 1e2)], [row, row], color=colour, lw=1.8)
        axis.plot(value, row, "s", color=colour, ms=6)
        axis.text(
            1.02,
            row,
            f"{value:.2f} ({low:.2f}–{high:.2f})",
            va="center",
            fontsize=8.5,
            transform=axis.get_yaxis_transform(),
        )
        if sure:
            clear.append(label(model.name))
    names = [label(m.name) + (" *" if m.status == "separated" else "") for m, _ in reversed(shown)]
    axis.set_yticks(range(len(shown)), names)
    axis.axvline(1, color=INK, lw=0.8, ls="--")
    axis.set_xscale("log")
    axis.set_xlabel("odds ratio of seizure freedom per standard deviation (95 % interval)")
    _clean(axis)
    told = (
        f"The interval excludes 1 for {', '.join(reversed(clear))}; for the others the data fit "
        "an effect in either direction."
        if clear
        else "Every interval includes 1: no predictor is shown to matter."
    )
    return Figure(
        png(figure),
        "Right of the dashed line speaks for seizure freedom. "
        + told
        + " Not corrected for the number of models; * marks a penalised (Firth) estimate.",
    )


def _visible(odds_ratio: Floats) -> Floats:
    """Hold odds ratios to just outside the axis: those of near-separation overflow it."""
    return np.clip(odds_ratio, 1e-4, 1e4)


def spline_figure(
    name: str,
    unit: str,
    plain: SplineFit,
    adjusted: SplineFit | None,
    turns: Sequence[TurningPoint],
    peak: CurvePeak | None,
) -> Figure:
    """Odds-ratio curve against the median, with its band, and the adjusted curve beside it."""
    curve = odds_ratio_curve(plain)
    figure = new_figure(5.4, 3.6)
    axis = figure.subplots()
    band = _visible(curve.ci_low), _visible(curve.ci_high)
    axis.fill_between(curve.x, *band, color=FREE, alpha=0.2, lw=0)
    axis.plot(curve.x, _visible(curve.odds_ratio), color=FREE, lw=2, label="unadjusted, 95 % band")
    if adjusted is not None:
        other = odds_ratio_curve(adjusted, curve.x)
        axis.plot(other.x, _visible(other.odds_ratio), color=GREY, ls="--", label="adjusted")
    axis.axhline(1, color=INK, lw=0.7)
    axis.axvline(
        curve.reference,
        color=INK,
        lw=0.7,
        ls=":",
        label=f"reference value (median) {_at(curve.reference, unit)}",
    )
    for turn in turns:
        axis.axvline(turn.x, color=NOT_FREE, lw=1.2, label=f"{turn.kind} at {_at(turn.x, unit)}")
    axis.set_yscale("log")
    axis.set_ylim(1e-3, 1e3)
    axis.set_xlabel(f"{label(name)} ({'%' if unit == 'percentage point' else unit + 's'})")
    axis.set_ylabel("odds ratio of seizure freedom")
    axis.legend(fontsize=8, frameon=False)
    _clean(axis)
    return Figure(png(figure), _spline_sentence(name, plain, turns, peak, unit))


def _at(value: float, unit: str) -> str:
    """Return a place on the axis of a predictor that is counted in `unit`."""
    return f"{value:.4g} %" if unit == "percentage point" else f"{value:.4g}"


def _spline_sentence(
    name: str, fit: SplineFit, turns: Sequence[TurningPoint], peak: CurvePeak | None, unit: str
) -> str:
    knots = ", ".join(_at(k, unit) for k in fit.knots)
    wald, ratio, rao = (
        p_text(t.p) for t in (fit.nonlinear_wald, fit.nonlinear_ratio, fit.nonlinear_score)
    )
    bend = (
        f"Curvature: Wald {wald}, likelihood ratio {ratio}, score {rao}; knots at {knots} "
        f"({fit.knot_rule} rule); BIC {fit.model.bic:.1f}, straight line {fit.linear.bic:.1f}. "
    )
    if not turns:
        shape = "The curve has no turning point."
    elif peak is None:
        shape = f"The curve turns at {_at(turns[0].x, unit)}."
    else:
        word = "most" if peak.kind == "maximum" else "least"
        shape = (
            f"Seizure freedom is {word} likely at {_at(turns[0].x, unit)}, but resampling "
            f"places this anywhere from {_at(peak.ci_low, unit)} to {_at(peak.ci_high, unit)}, "
            f"and in {1 - peak.share_inside:.0%} of resamples there is no turn at all."
        )
    tests = [fit.nonlinear_wald.p, fit.nonlinear_ratio.p, fit.nonlinear_score.p]
    if all(p < 0.05 for p in tests):
        said = f"The relation of the {label(name)} to outcome appears curved. "
    elif any(p < 0.05 for p in tests):
        said = f"Whether the {label(name)} relates to outcome in a curve depends on the test. "
    else:
        said = f"A straight line describes the {label(name)} as well as a curve. "
    return said + bend + shape


def _beyond(name: str, rule: CutPerformance) -> str:
    """Return the rule in words, with the unit of its cut."""
    return f"value {rule.rule.split()[1]} {_cut(name, rule.cut)}"


def _cut(name: str, value: float) -> str:
    factor, mark = shown_in(name)
    return f"{factor * value:.3g} {mark}".rstrip()


def roc_figure(name: str, curve: RocCurve, area: Auc, best: YoudenCut, nested: float) -> Figure:
    """Sensitivity against 1 - specificity, with the best cut."""
    figure = new_figure(4.2, 4.0)
    axis = figure.subplots()
    axis.plot(1 - curve.specificity, curve.sensitivity, color=FREE, lw=2)
    axis.plot([0, 1], [0, 1], color=GREY, ls=":")
    axis.plot(1 - best.specificity, best.sensitivity, "o", color=NOT_FREE, ms=8)
    axis.annotate(
        f" cut {_cut(name, best.threshold)}",
        (1 - best.specificity, best.sensitivity),
        xytext=(6, -14),
        textcoords="offset points",
        fontsize=9,
    )
    axis.set_xlabel("1 − specificity")
    axis.set_ylabel("sensitivity")
    axis.set_aspect("equal")
    _clean(axis)
    if area.ci_low is None:
        told = f"Area {area.auc:.2f}; {area.note}."
    else:
        chance = (
            "the interval includes chance (0.5)"
            if area.ci_low <= 0.5
            else "the interval excludes chance (0.5)"
        )
        told = f"Area {area.auc:.2f} (95 % {area.ci_low:.2f} to {area.ci_high:.2f}): {chance}."
    return Figure(
        png(figure),
        f"How well the {label(name)} tells the outcomes apart. {told} At the cut chosen on these "
        f"patients sensitivity is {best.sensitivity:.2f} and specificity {best.specificity:.2f}; "
        f"when the cut is chosen without the patients it is tested on, balanced accuracy is "
        f"{nested:.2f}.",
    )


def bar_figure(name: str, rules: Sequence[tuple[str, CutPerformance]]) -> Figure:
    """Share of seizure-free patients below and above each cut."""
    figure = new_figure(3.2 * len(rules) + 0.6, 3.4)
    axes = np.atleast_1d(figure.subplots(1, len(rules)))
    told = []
    for axis, (title, rule) in zip(axes, rules, strict=True):
        below = (rule.false_negative, rule.false_negative + rule.true_negative)
        above = (rule.true_positive, rule.true_positive + rule.false_positive)
        for place, (free, total) in enumerate((below, above)):
            share = free / total if total else 0.0
            axis.bar(place, share, color=FREE, width=0.6)
            axis.bar(place, 1 - share, bottom=share, color=NOT_FREE, width=0.6)
            axis.text(place, 1.02, f"{free} of {total}", ha="center", fontsize=9)
        axis.set_xticks([0, 1], ["below", "above"])
        axis.set_title(f"{title}: {_cut(name, rule.cut)}", fontsize=9.5, pad=16)
        axis.set_ylim(0, 1)
        axis.set_ylabel("share seizure free")
        _clean(axis)
        if rule.fisher is not None and rule.pearson is not None:
            told.append(
                f"{title} ({_beyond(name, rule)}): {free} of {total} above and {below[0]} of "
                f"{below[1]} below were seizure free (Pearson {p_text(rule.pearson.p)}, Fisher "
                f"{p_text(rule.fisher.p)})."
            )
    return Figure(
        png(figure),
        f"Outcome on both sides of a cut of the {label(name)}; cyan is seizure free. "
        + " ".join(told)
        + " A cut chosen on the same patients makes these P values too small.",
    )


def shapley_figure(study: AdditiveStudy) -> Figure:
    """Mean absolute Shapley value of each predictor, over all patients and fits."""
    order = np.argsort(study.mean_absolute_shapley, kind="stable")
    figure = new_figure(6.0, 0.4 * len(order) + 1.2)
    axis = figure.subplots()
    axis.barh(range(len(order)), 100 * study.mean_absolute_shapley[order], color=FREE)
    axis.set_yticks(range(len(order)), [label(study.names[i]) for i in order])
    axis.set_xlabel("mean change of the predicted asymmetry (percentage points)")
    _clean(axis)
    first = label(study.names[int(order[-1])])
    return Figure(
        png(figure),
        f"How much each volume moves the predicted PET asymmetry, on average over all patients. "
        f"The {first} moves it most. This describes the model, not a cause.",
    )


def dependence_figure(curve: PartialDependence, x: Floats, y: Floats) -> Figure:
    """Predicted asymmetry when one volume is varied, over the patients' own values (n,)."""
    figure = new_figure(5.4, 3.6)
    axis = figure.subplots()
    axis.fill_between(curve.x, 100 * curve.low, 100 * curve.high, color=FREE, alpha=0.2, lw=0)
    axis.plot(curve.x, 100 * curve.mean, color=FREE, lw=2)
    axis.plot(x, 100 * y, "o", color=GREY, ms=4)
    axis.set_xlabel(label(curve.name))
    axis.set_ylabel("asymmetry of PET (%)")
    _clean(axis)
    side = "more negative" if curve.mean[0] < curve.mean[-1] else "less negative"
    return Figure(
        png(figure),
        f"Line: mean prediction at each {label(curve.name)}; band: 95 % of models fitted to 80 % "
        f"of the patients; dots: patients. At the smallest volumes the predicted asymmetry is "
        f"{side} than at the largest.",
    )


def prediction_figure(study: AdditiveStudy, response: Floats) -> Figure:
    """Held-out prediction with interval, and the truth (n,), patients ranked by prediction."""
    order = np.argsort(study.prediction, kind="stable")
    place = np.arange(len(order))
    figure = new_figure(6.4, 3.6)
    axis = figure.subplots()
    finite = np.isfinite(study.interval_low[order])
    axis.vlines(
        place[finite], 100 * study.interval_low[order][finite],
        100 * study.interval_high[order][finite],
        color=FREE, alpha=0.3, lw=3,
    )  # fmt: skip
    axis.plot(
        place, 100 * study.prediction[order], "_", color=FREE, ms=9, mew=2, label="predicted"
    )
    axis.plot(place, 100 * response[order], "o", color=INK, ms=4, label="actual")
    axis.set_xlabel("patients, ranked by prediction")
    axis.set_ylabel("asymmetry of PET (%)")
    axis.legend(fontsize=8, frameon=False)
    _clean(axis)
    worse = (
        " Squared error is larger than that of simply taking the mean."
        if study.r2 < 0
        else f" It explains {study.r2:.0%} of the variance out of sample."
    )
    return Figure(
        png(figure),
        f"Prediction for patients who did not take part in the fit: r = {study.r:.2f} for the "
        f"mean over repeats, {study.r_iterations.mean():.2f} ± {study.r_iterations.std():.2f} in "
        f"single repeats.{worse} {_held(study, response)}",
    )


def _held(study: AdditiveStudy, response: Floats) -> str:
    if not np.isfinite(study.interval_low).all():
        return "So few patients allow no 95 % prediction interval."
    inside = np.mean((response >= study.interval_low) & (response <= study.interval_high))
    return (
        f"{inside:.0%} of patients lie in their 95 % prediction interval, which comes from the "
        "outcomes of the other patients only (jackknife+)."
    )


def increment_figure(name: str, measure: str, found: Increment) -> Figure:
    """Net benefit of a score, of a measure of anatomy, and of both, from the other patients."""
    figure = new_figure(5.4, 3.4)
    axis = figure.subplots()
    for curve, shown, style in (
        (found.decision_score, label(name), "-"),
        (found.decision_measure, label(measure), "--"),
        (found.decision_both, "both", ":"),
    ):
        axis.plot(curve.threshold, curve.model, style, color=FREE, lw=2, label=shown)
    everybody = found.decision_score.treat_all
    axis.plot(found.decision_score.threshold, everybody, color=NOT_FREE, label="all")
    axis.axhline(0, color=GREY, label="nobody")
    axis.set_ylim(-0.3, max(0.05, float(everybody.max())) + 0.05)
    axis.set_xlabel("threshold probability of seizure freedom")
    axis.set_ylabel("net benefit per patient")
    axis.legend(fontsize=7, frameon=False)
    _clean(axis)
    higher = np.mean(found.decision_both.model > found.decision_measure.model + 1e-9)
    return Figure(
        png(figure),
        f"Worth of acting on the {label(name)}, on the {label(measure)} and on both; each "
        "probability comes from the other patients (ridge fit). Both together are worth more "
        f"than the {label(measure)} alone at {higher:.0%} of the threshold probabilities.",
    )


def decision_figure(name: str, curve: DecisionCurve) -> Figure:
    """Net benefit of acting on the model, against acting on everybody or nobody."""
    figure = new_figure(5.4, 3.4)
    axis = figure.subplots()
    axis.plot(curve.threshold, curve.model, color=FREE, lw=2, label="model, held out")
    axis.plot(curve.threshold, curve.treat_all, color=NOT_FREE, label="all")
    axis.axhline(0, color=GREY, label="nobody")
    axis.set_ylim(-0.3, max(0.05, float(curve.treat_all.max())) + 0.05)
    axis.set_xlabel("threshold probability of seizure freedom")
    axis.set_ylabel("net benefit per patient")
    axis.legend(fontsize=8, frameon=False)
    _clean(axis)
    better = curve.model > np.maximum(curve.treat_all, 0) + 1e-9
    at = curve.threshold[better]
    told = (
        f"It is above both others at threshold probabilities between {at.min():.2f} and "
        f"{at.max():.2f}, though not necessarily throughout."
        if better.any()
        else "It is nowhere above both others."
    )
    return Figure(
        png(figure),
        f"Worth of acting on the {label(name)} when each patient's probability comes from the "
        f"other patients. {told}",
    )


def prognosis_figure(found: Prognoses, values: Floats, free: Bools) -> Figure:
    """Draw the seizure freedom expected over a cohort's rates (n,), under both priors."""
    figure = new_figure(6.4, 3.6)
    axis = figure.subplots()
    at = 100 * found.rates
    for chances, colour, style, name in (
        (found.literature, FREE, "-", "prior of the literature, 95 % band"),
        (found.weak, BLUE, "--", "weak prior, 95 % band"),
    ):
        low, mean, high = (
            [100 * getattr(c, key) for c in chances] for key in ("low", "mean", "high")
        )
        axis.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
        axis.plot(at, mean, style, color=colour, lw=2, label=name)
    axis.plot(100 * values, np.where(free, 103, -3), "|", color=INK, ms=9)
    axis.set_xlabel(f"{label(found.model.score)} (%)")
    axis.set_ylabel("seizure freedom expected (%)")
    axis.set_ylim(-8, 108)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    _clean(axis)
    middle = found.literature[len(found.literature) // 2]
    return Figure(
        png(figure),
        f"Strokes are patients, above those who became seizure free. At a rate of "
        f"{at[len(at) // 2]:.0f} % freedom is expected in {chance_range(middle)}. Beyond the "
        "rates shown nothing is said.",
    )


def validation_figure(found: Validated) -> Figure:
    """Net benefit of another centre's model among these patients."""
    curve = found.found.decision
    figure = new_figure(5.4, 3.4)
    axis = figure.subplots()
    axis.plot(100 * curve.threshold, curve.model, color=FREE, lw=2, label="model of elsewhere")
    axis.plot(100 * curve.threshold, curve.treat_all, color=NOT_FREE, label="all")
    axis.axhline(0, color=GREY, label="nobody")
    axis.set_ylim(-0.3, max(0.05, float(curve.treat_all.max())) + 0.05)
    axis.set_xlabel("threshold probability of seizure freedom (%)")
    axis.set_ylabel("net benefit per patient")
    axis.legend(fontsize=8, frameon=False)
    _clean(axis)
    better = np.mean(curve.model > np.maximum(curve.treat_all, 0) + 1e-9)
    return Figure(
        png(figure),
        f"Worth of acting on the model here. It is above both others at {better:.0%} of the "
        "threshold probabilities.",
    )
