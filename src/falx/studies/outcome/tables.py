"""Results of the outcome study field by field, for the TSV tables and the page alike.

The version of the stage stands here, for it rises with every field that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falx.clinical.increment import Slope
from falx.clinical.logistic.univariate import UnivariateModel
from falx.clinical.model_validation import ModelValidation
from falx.clinical.roc.cuts import CutPerformance, Proportion
from falx.studies.outcome.fields import Field, bound, percent, rows_of, span
from falx.studies.outcome.group_fields import (
    FAMILY_TABLE,
    TABLE1,
    THRESHOLDS,
    characteristics,
    comparison_fields,
)
from falx.studies.outcome.labels import label, p_text
from falx.studies.outcome.model_fields import (
    CALIBRATION,
    CHECKS,
    JOINT,
    KNOTS,
    PROGNOSIS,
    VALIDATION,
    checked,
    criteria,
    expected,
    joint_terms,
    worth,
)
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.parts import (
    AdditivePart,
    CutPart,
    IncrementPart,
    SplinePart,
)

__all__ = [
    "INCREMENTS",
    "MODELS",
    "PREDICTIONS",
    "RULES",
    "TABLES",
    "VALIDATIONS",
    "VERSION",
    "Prediction",
    "cut_fields",
    "predictions",
    "validations",
]

VERSION = 9
"""Of the stage `outcome`: raised whenever a number changes, or a field comes or goes."""

Rows = tuple[list[str], list[list[object]]]


MODELS: Sequence[Field[UnivariateModel]] = (
    Field("variable", lambda m: m.name, "", lambda m: label(m.name)),
    Field("per", lambda m: m.unit, "per"),
    Field("n", lambda m: m.n, "n"),
    Field("events", lambda m: m.events),
    Field("missing", lambda m: m.n_missing),
    Field("status", lambda m: m.status, "status"),
    Field("odds_ratio", lambda m: m.best and m.best.odds_ratio, "odds ratio"),
    Field("", lambda m: m.best and span(m.best.ci_low, m.best.ci_high, ".4g"), "95 % Wald"),
    Field("ci_low", lambda m: m.best and m.best.ci_low),
    Field("ci_high", lambda m: m.best and m.best.ci_high),
    Field("", lambda m: m.best and span(m.best.profile_low, m.best.profile_high, ".4g"),
          "95 % profile"),
    Field("p_wald", lambda m: m.best and m.best.p_wald, "P Wald"),
    Field("p_likelihood_ratio", lambda m: m.best and m.best.p_ratio, "P likelihood ratio"),
    Field("odds_ratio_firth", lambda m: m.firth and m.firth.odds_ratio, "odds ratio (penalised)"),
    Field("remark", lambda m: m.message, "remark",
          lambda m: m.message.replace(m.name, label(m.name))),
)  # fmt: skip

VALIDATIONS: Sequence[Field[tuple[str, ModelValidation]]] = (
    Field("", lambda v: label(v[0]), ""),
    Field("", lambda v: v[1].model, "model"),
    Field("auc_{}", lambda v: v[1].auc, "AUC apparent"),
    Field("auc_{}_corrected", lambda v: v[1].auc_harrell, "AUC corrected (Harrell)"),
    Field("", lambda v: v[1].auc_632, "AUC .632+"),
    Field("auc_{}_5fold", lambda v: v[1].auc_folds, "AUC 5-fold"),
    Field("auc_{}_leave_one_out", lambda v: v[1].auc_leave_one_out),
    Field("", lambda v: v[1].brier, "Brier apparent"),
    Field("brier_{}_corrected", lambda v: v[1].brier_harrell, "Brier corrected"),
    Field("", lambda v: v[1].brier_null, "Brier of the mean"),
    Field("", lambda v: v[1].slope, "calibration slope"),
    Field("", lambda v: f"{v[1].skipped} / {v[1].separated}", "skipped / separated"),
)
"""Of a predictor's model; braces in a key stand for ``linear`` or ``spline``."""


def validations(study: OutcomeStudy) -> Iterator[tuple[str, ModelValidation]]:
    """Every validated model with the name of its predictor."""
    for part in study.splines:
        for found in (part.linear_validation, part.spline_validation):
            if found is not None:
                yield part.name, found


def _validated(field: Field[tuple[str, ModelValidation]], kind: str) -> Field[SplinePart]:
    """One field of a validation as a field of the curve that it belongs to."""

    def value(part: SplinePart) -> object:
        found = part.linear_validation if kind == "linear" else part.spline_validation
        return None if found is None else field.value((part.name, found))

    return Field(field.key.format(kind), value)


CURVES: Sequence[Field[SplinePart]] = (
    Field("variable", lambda s: s.name),
    Field("per", lambda s: s.unit),
    Field("remark", lambda s: s.message),
    Field("n", lambda s: s.plain and s.plain.model.n),
    Field("knots", lambda s: s.plain and " ".join(f"{knot:.6g}" for knot in s.plain.knots)),
    Field("knot_rule", lambda s: s.plain and s.plain.knot_rule),
    Field("reference_median", lambda s: s.plain and s.plain.median),
    Field("p_overall_wald", lambda s: s.plain and s.plain.overall.p),
    Field("p_nonlinear_wald", lambda s: s.plain and s.plain.nonlinear_wald.p),
    Field("p_nonlinear_likelihood_ratio", lambda s: s.plain and s.plain.nonlinear_ratio.p),
    Field("p_nonlinear_score", lambda s: s.plain and s.plain.nonlinear_score.p),
    Field("bic_spline", lambda s: s.plain and s.plain.model.bic),
    Field("bic_linear", lambda s: s.plain and s.plain.linear.bic),
    Field("turning_points", lambda s: " ".join(f"{t.kind} {t.x:.6g}" for t in s.turns) or None),
    Field("turning_point_low", lambda s: s.peak and s.peak.ci_low),
    Field("turning_point_high", lambda s: s.peak and s.peak.ci_high),
    Field("adjusted_for", lambda s: " ".join(s.adjusted_for) or None),
    Field("p_nonlinear_adjusted", lambda s: s.adjusted and s.adjusted.nonlinear_wald.p),
    *(_validated(field, "linear") for field in VALIDATIONS if field.key),
    *(_validated(field, "spline") for field in VALIDATIONS if field.key),
)
"""Splines: tests, turning points, and what the curve is worth on new patients."""


def _ratio(slope: Slope) -> str:
    return f"{bound(slope.odds_ratio, '.3g')} ({span(slope.ci_low, slope.ci_high, '.3g')})"


def _p_pair(slope: Slope) -> str:
    """Both P values of a slope; only the penalised one where the outcomes are separated."""
    if slope.p is None:
        return f"separated; penalised {p_text(slope.p_penalised)}"
    return f"{p_text(slope.p)}; penalised {p_text(slope.p_penalised)}"


INCREMENTS: Sequence[Field[IncrementPart]] = (
    Field("score", lambda i: i.name, "score", lambda i: label(i.name)),
    Field("score_per", lambda i: i.unit, "per"),
    Field("measure", lambda i: i.measure, "beside", lambda i: label(i.measure)),
    Field("measure_per", lambda i: i.measure_unit, "per"),
    Field("n", lambda i: i.found.n, "n"),
    Field("events", lambda i: i.found.events),
    Field("r", lambda i: i.found.r, "correlation", lambda i: f"r = {i.found.r:.2f}, "
          f"{p_text(i.found.p_r)}"),
    Field("p_r", lambda i: i.found.p_r),
    Field("odds_ratio_alone", lambda i: i.found.alone.odds_ratio, "odds ratio alone",
          lambda i: _ratio(i.found.alone)),
    Field("p_alone", lambda i: i.found.alone.p, "likelihood ratio alone",
          lambda i: _p_pair(i.found.alone)),
    Field("p_alone_penalised", lambda i: i.found.alone.p_penalised),
    Field("odds_ratio_adjusted", lambda i: i.found.adjusted.odds_ratio,
          "odds ratio adjusted (95 % profile)", lambda i: _ratio(i.found.adjusted)),
    Field("ci_low_adjusted", lambda i: i.found.adjusted.ci_low),
    Field("ci_high_adjusted", lambda i: i.found.adjusted.ci_high),
    Field("p_adjusted", lambda i: i.found.adjusted.p, "likelihood ratio adjusted",
          lambda i: _p_pair(i.found.adjusted)),
    Field("p_adjusted_penalised", lambda i: i.found.adjusted.p_penalised),
    Field("separated", lambda i: int(i.found.adjusted.penalised_only)),
    Field("p_measure_alone", lambda i: i.found.measure_alone.p),
    Field("p_measure_adjusted", lambda i: i.found.measure_adjusted.p),
    Field("auc_score", lambda i: i.found.area.score, "AUC score"),
    Field("auc_measure", lambda i: i.found.area.measure, "AUC beside"),
    Field("auc_difference", lambda i: i.found.area.delong.difference),
    Field("p_delong", lambda i: i.found.area.delong.p, "P DeLong"),
    Field("", lambda i: span(i.found.area.ci_low, i.found.area.ci_high),
          "difference, 95 % bootstrap"),
    Field("difference_low", lambda i: i.found.area.ci_low),
    Field("difference_high", lambda i: i.found.area.ci_high),
)  # fmt: skip
"""A score beside a measure of anatomy; odds ratios are per one unit of `score_per`."""


def _share(
    key: str, heading: str, share_of: Callable[[CutPerformance], Proportion]
) -> Field[CutPerformance]:
    """Build a field of a share with its exact interval."""
    return Field(
        key,
        lambda c: share_of(c).value,
        heading,
        lambda c: percent(share_of(c).value),
        interval=lambda c: span(
            share_of(c).ci_low, share_of(c).ci_high, ".1f", factor=100, unit="%"
        ),
        how=lambda _: "exact; same patients",
    )


AT_CUT: Sequence[Field[CutPerformance]] = (
    _share("", "sensitivity", lambda c: c.sensitivity),
    _share("", "specificity", lambda c: c.specificity),
    _share("", "accuracy", lambda c: c.accuracy),
    Field(
        "",
        lambda c: c.balanced_accuracy,
        "balanced accuracy",
        lambda c: percent(c.balanced_accuracy),
        how=lambda _: "same patients",
    ),
    Field("cut_{}", lambda c: c.cut),
    Field("chi_square_{}", lambda c: c.pearson and c.pearson.statistic),
    Field("p_chi_square_{}", lambda c: c.pearson and c.pearson.p),
)
"""Of a rule; braces in a key stand for ``best`` or ``published``.

Pearson's P ignores that the best cut was chosen on the same patients."""

RULES: Mapping[str, tuple[str, Callable[[CutPart], CutPerformance | None]]] = {
    "best": ("best cut here", lambda part: part.at_best),
    "published": ("published cut", lambda part: part.at_published),
}
"""Name of a rule to its heading and where it stands."""


def _of_rule(field: Field[CutPerformance], rule: str) -> Field[CutPart]:
    """One field of a rule as a field of the score that it cuts."""
    heading, found = RULES[rule]

    def taken(take: Callable[[CutPerformance], object] | None) -> Callable[[CutPart], Any]:
        def value(part: CutPart) -> object:
            cut = found(part)
            return None if cut is None or take is None else take(cut)

        return value

    return Field(
        field.key.format(rule),
        taken(field.value),
        None if field.heading is None else f"{heading}: {field.heading}",
        taken(field.shown or field.value),
        taken(field.interval),
        taken(field.how),
    )


def cut_fields(
    study: OutcomeStudy, rules: Sequence[str] = tuple(RULES)
) -> Sequence[Field[CutPart]]:
    """Fields of a score cut in two, at the rules that are named."""
    holm = {m.name: m.holm for m in study.family if m.kind == "cut"}

    def _points(part: CutPart) -> str | None:
        return span(*part.stability.leave_one_out, ".1f", factor=100, unit="%")

    def nested_how(part: CutPart) -> str:
        own = study.held_out(part) is not part.nested
        return f"{'threshold of the signature and ' * own}cut chosen inside each of 5 folds"

    return (
        Field("score", lambda p: p.name),
        Field("auc", lambda p: p.area.auc, "area under the curve",
              interval=lambda p: span(p.area.ci_low, p.area.ci_high), how=lambda _: "DeLong"),
        Field("auc_low", lambda p: p.area.ci_low),
        Field("auc_high", lambda p: p.area.ci_high),
        Field("", lambda p: p.area.auc, "",
              interval=lambda p: span(p.resampled_area.bca_low, p.resampled_area.bca_high),
              how=lambda _: "bootstrap, BCa"),
        Field("", lambda p: p.stability.cut, "cut", lambda p: percent(p.stability.cut),
              interval=lambda p: span(p.stability.ci_low, p.stability.ci_high, ".1f",
                                     factor=100, unit="%"),
              how=lambda p: f"bootstrap; leave-one-out {_points(p)}; nobody lies from "
              f"{span(*p.gap, '.1f', factor=100, unit='%')}"),
        Field("cut_low", lambda p: p.stability.ci_low),
        Field("cut_high", lambda p: p.stability.ci_high),
        Field("sensitivity", lambda p: p.best.sensitivity),
        Field("specificity", lambda p: p.best.specificity),
        Field("balanced_accuracy_apparent", lambda p: p.at_best.balanced_accuracy),
        Field("balanced_accuracy_nested", lambda p: study.held_out(p).balanced_accuracy),
        *(_of_rule(field, rule) for rule in rules for field in AT_CUT),
        Field("", lambda p: p.optimism.harrell, "balanced accuracy, corrected",
              lambda p: percent(p.optimism.harrell),
              how=lambda _: "Harrell"),
        Field("balanced_accuracy_632_plus", lambda p: p.optimism.plus_632, "",
              lambda p: percent(p.optimism.plus_632),
              how=lambda _: ".632+"),
        Field("", lambda p: study.held_out(p).balanced_accuracy, "",
              lambda p: percent(study.held_out(p).balanced_accuracy),
              interval=lambda p: f"± {100 * study.held_out(p).balanced_accuracy_sd:.1f} %",
              how=nested_how),
        Field("", lambda p: p.leave_one_out.balanced_accuracy, "",
              lambda p: percent(p.leave_one_out.balanced_accuracy), how=lambda _: "leave-one-out"),
        Field("p_best_cut", lambda p: p.permutation.p, "P of the best cut",
              how=lambda _: "permutation, best cut sought anew"),
        Field("p_best_cut_holm", lambda p: holm.get(p.name)),
        Field("", lambda p: p.area_permutation.p, "P of the area", how=lambda _: "permutation"),
    )  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """How well a model predicts the asymmetry in patients it has not seen."""

    model: str
    r: float
    r2: float


PREDICTIONS: Sequence[Field[Prediction]] = (
    Field("", lambda p: p.model, "model"),
    Field("", lambda p: p.r, "r, mean over repeats"),
    Field("", lambda p: p.r2, "R²"),
)


def predictions(part: AdditivePart) -> Iterator[Prediction]:
    """Return the additive model, and the straight line beside it."""
    study = part.study
    yield Prediction("additive model", float(study.r_iterations.mean()), study.r2)
    line = f"straight line on {label(part.baseline_name)}"
    yield Prediction(line, part.baseline_r, part.baseline_r2)


def _patients(study: OutcomeStudy) -> Rows:
    """Every patient's numbers, and the asymmetry that the volumes predict."""
    cohort, additive = study.cohort, study.additive
    predicted: dict[str, float] = {}
    if additive is not None:
        predicted = dict(zip(additive.subjects, additive.study.prediction.tolist(), strict=True))
    rows: list[list[object]] = [
        [
            f"sub-{subject}",
            int(cohort.seizure_free[i]),
            *(float(column[i]) for column in cohort.values.values()),
            predicted.get(subject),
        ]
        for i, subject in enumerate(cohort.subjects)
    ]
    return ["participant_id", "seizure_free", *cohort.values, "ai_pet_predicted"], rows


def _volumes(study: OutcomeStudy) -> Rows:
    """Rank the volumes by their part in the additive model of the asymmetry."""
    part = study.additive
    fields: Sequence[Field[tuple[str, float]]] = ()
    ranked: list[tuple[str, float]] = []
    if part is not None:
        found, p = part.study, part.permuted.p
        ranked = list(zip(found.names, found.mean_absolute_shapley.tolist(), strict=True))
        fields = (
            Field("predictor", lambda v: v[0]),
            Field("mean_absolute_shapley", lambda v: v[1]),
            Field("r", lambda _: found.r),
            Field("p", lambda _: found.p),
            Field("r2", lambda _: found.r2),
            Field("p_permutation", lambda _: p),
            Field("baseline", lambda _: part.baseline_name),
            Field("baseline_r", lambda _: part.baseline_r),
        )
    return rows_of(fields, ranked)


def _groups(study: OutcomeStudy) -> Rows:
    compared = (*study.clinical, *study.modalities, *study.rates)
    return rows_of(comparison_fields(study, compared), compared)


TABLES: Mapping[str, Callable[[OutcomeStudy], Rows]] = {
    "patients": _patients,
    "table1": lambda study: rows_of(TABLE1, characteristics(study)),
    "groups": _groups,
    "models": lambda study: rows_of(MODELS, study.models),
    "curves": lambda study: rows_of(CURVES, study.splines),
    "thresholds": lambda study: rows_of(THRESHOLDS, study.thresholds),
    "cuts": lambda study: rows_of(cut_fields(study), study.cuts),
    "volumes": _volumes,
    "increments": lambda study: rows_of(INCREMENTS, study.increments),
    "family": lambda study: rows_of(FAMILY_TABLE, study.family),
    "joint": lambda study: rows_of(JOINT, joint_terms(study)),
    "knots": lambda study: rows_of(KNOTS, criteria(study)),
    "prognosis": lambda study: rows_of(PROGNOSIS, expected(study)),
    "checks": lambda study: rows_of(CHECKS, checked(study)),
    "calibration": lambda study: rows_of(CALIBRATION, worth(study)),
    "validation": lambda study: rows_of(VALIDATION, study.validated),
}
"""Name of each table to the function that gives its header and rows."""
