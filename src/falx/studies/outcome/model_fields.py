"""Fields of what models say and are worth: joint model, knots, prognosis, validation elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from falx.clinical.bayes import Chance
from falx.clinical.bayes_checks import PredictiveCheck
from falx.clinical.external import Estimate
from falx.studies.outcome.fields import Field, bound, percent, span
from falx.studies.outcome.labels import chance_text, label, p_text
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.parts import Criterion, JointTerm
from falx.studies.outcome.score_model import Error, Validated

__all__ = [
    "CALIBRATION",
    "CHECKS",
    "JOINT",
    "KNOTS",
    "PROGNOSIS",
    "VALIDATION",
    "Expected",
    "chance_range",
    "checked",
    "criteria",
    "expected",
    "joint_terms",
    "worth",
]


JOINT: Sequence[Field[JointTerm]] = (
    Field("variable", lambda t: t.name, "", lambda t: label(t.name)),
    Field("per", lambda t: t.unit, "per"),
    Field("odds_ratio", lambda t: t.slope.odds_ratio, "odds ratio",
          lambda t: bound(t.slope.odds_ratio, ".3g")),
    Field("ci_low", lambda t: t.slope.ci_low),
    Field("ci_high", lambda t: t.slope.ci_high),
    Field("", lambda t: span(t.slope.ci_low, t.slope.ci_high, ".3g"), "95 % profile"),
    Field("p", lambda t: t.slope.p, "P likelihood ratio",
          lambda t: "separated" if t.slope.p is None else p_text(t.slope.p)),
    Field("p_penalised", lambda t: t.slope.p_penalised, "P penalised",
          lambda t: p_text(t.slope.p_penalised)),
    Field("separated", lambda t: int(t.slope.penalised_only)),
)  # fmt: skip


def joint_terms(study: OutcomeStudy) -> Sequence[JointTerm]:
    """Terms of the joint model; none where there is no such model."""
    return () if study.joint is None else study.joint.terms


@dataclass(frozen=True)
class _Curve:
    """One curve of a predictor, and whether its criterion is the lowest."""

    name: str
    criterion: Criterion
    lowest: bool


KNOTS: Sequence[Field[_Curve]] = (
    Field("variable", lambda c: c.name, "", lambda c: label(c.name)),
    Field("knots", lambda c: c.criterion.knots, "curve",
          lambda c: f"{c.criterion.knots} knots" if c.criterion.knots else "straight line"),
    Field("bic", lambda c: c.criterion.bic, "BIC"),
    Field("lowest", lambda c: int(c.lowest), "", lambda c: "lowest" if c.lowest else None),
    Field("remark", lambda c: c.criterion.remark or None, "remark"),
)  # fmt: skip


def criteria(study: OutcomeStudy) -> Iterator[_Curve]:
    """Every curve of every predictor; a curve that cannot be trusted is never the lowest."""
    for part in study.splines:
        sound = [c.bic for c in part.criteria if c.bic is not None and not c.remark]
        for one in part.criteria:
            yield _Curve(part.name, one, not one.remark and one.bic == min(sound, default=None))


@dataclass(frozen=True)
class Expected:
    """Seizure freedom that a model expects at a rate, under both priors."""

    name: str
    rate: float
    weak: Chance
    literature: Chance


def chance_range(chance: Chance) -> str:
    """Return a chance with its interval.

    Examples
    --------
    >>> chance_range(Chance(0.6, 0.4, 0.9999))
    '60 % (40 % to >99 %)'
    """
    low, high = chance_text(chance.low), chance_text(chance.high)
    return f"{chance_text(chance.mean)} ({low} to {high})"


PROGNOSIS: Sequence[Field[Expected]] = (
    Field("score", lambda e: e.name),
    Field("rate", lambda e: e.rate, "rate", lambda e: percent(e.rate)),
    Field("expected_literature", lambda e: e.literature.mean,
          "prior of the literature (95 % interval)", lambda e: chance_range(e.literature)),
    Field("low_literature", lambda e: e.literature.low),
    Field("high_literature", lambda e: e.literature.high),
    Field("expected_weak", lambda e: e.weak.mean, "weak prior", lambda e: chance_range(e.weak)),
    Field("low_weak", lambda e: e.weak.low),
    Field("high_weak", lambda e: e.weak.high),
)  # fmt: skip


def expected(study: OutcomeStudy, name: str = "") -> Iterator[Expected]:
    """Yield what the models, or that of one rate, expect over the range of their cohort."""
    for one in study.prognoses:
        if name in ("", one.model.score):
            for rate, weak, other in zip(one.rates, one.weak, one.literature, strict=True):
                yield Expected(one.model.score, float(rate), weak, other)


@dataclass(frozen=True)
class _Worth:
    """The error of a model of one rate in cohorts of a fixed relation."""

    name: str
    error: Error


CALIBRATION: Sequence[Field[_Worth]] = (
    Field("score", lambda w: w.name),
    Field("prior", lambda w: w.error.prior, "prior"),
    Field("odds_ratio_per_sd", lambda w: w.error.found.odds_ratio,
          "if the true odds ratio per SD of the rate is"),
    Field("covered", lambda w: w.error.found.covered, "95 % intervals that hold the chance",
          lambda w: percent(w.error.found.covered)),
    Field("calibration_slope", lambda w: w.error.found.slope, "calibration slope (1 is perfect)",
          lambda w: f"{w.error.found.slope + 0.0:.2f}".replace("-0.00", "0.00")),
    Field("cohorts", lambda w: w.error.found.cohorts, "simulated cohorts"),
)  # fmt: skip


def worth(study: OutcomeStudy, name: str = "") -> Iterator[_Worth]:
    """Every error of the models, or those of one rate."""
    for one in study.prognoses:
        if name in ("", one.model.score):
            for error in one.errors:
                yield _Worth(one.model.score, error)


@dataclass(frozen=True)
class _Checked:
    """A predictive check of a model under a prior."""

    name: str
    prior: str
    check: PredictiveCheck


CHECKS: Sequence[Field[_Checked]] = (
    Field("score", lambda c: c.name),
    Field("prior", lambda c: c.prior, "prior"),
    Field("draws", lambda c: c.check.draws, "cohorts drawn from the"),
    Field("statistic", lambda c: c.check.statistic, "statistic"),
    Field("observed", lambda c: c.check.observed, "observed"),
    Field("low", lambda c: c.check.low),
    Field("high", lambda c: c.check.high),
    Field("", lambda c: span(c.check.low, c.check.high, ".3g"), "95 % of the drawn cohorts"),
    Field("share_above", lambda c: c.check.p, "share of them above",
          lambda c: percent(c.check.p)),
)  # fmt: skip


def checked(study: OutcomeStudy, name: str = "") -> Iterator[_Checked]:
    """Every predictive check, or those of one rate."""
    for one in study.prognoses:
        if name in ("", one.model.score):
            for prior, check in one.checks:
                yield _Checked(one.model.score, prior, check)


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


VALIDATION: Sequence[Field[Validated]] = (
    Field("score", lambda v: v.score, "rate", lambda v: label(v.score)),
    Field("definition", lambda v: str(v.model.definition)),
    Field("n", lambda v: v.found.n, "patients"),
    Field("events", lambda v: v.found.events, "seizure free"),
    Field("outside", lambda v: v.outside, "outside the model's range"),
    Field("expected", lambda v: v.found.expected, "expected / found seizure free",
          lambda v: f"{percent(v.found.expected)} / {percent(v.found.events / v.found.n)}"),
    Field("auc", lambda v: v.found.area.auc, "area under the curve", lambda v:
          f"{v.found.area.auc:.2f} ({span(v.found.area.ci_low, v.found.area.ci_high, '.2f')})"),
    Field("auc_variance", lambda v: v.found.area.variance),
    Field("calibration_intercept", lambda v: v.found.intercept.value, "calibration in the large "
          "(0 is perfect)", lambda v: _estimate(v.found.intercept)),
    Field("calibration_intercept_se", lambda v: v.found.intercept.se),
    Field("calibration_slope", lambda v: v.found.slope.value, "calibration slope (1 is perfect)",
          lambda v: _estimate(v.found.slope)),
    Field("calibration_slope_se", lambda v: v.found.slope.se),
    Field("separated", lambda v: int(v.found.penalised)),
    Field("recalibrated_intercept", lambda v: v.found.recalibrated[0], "recalibration: log odds",
          lambda v: f"{v.found.recalibrated[0]:.2f} + {v.found.recalibrated[1]:.2f} × predicted"),
    Field("recalibrated_slope", lambda v: v.found.recalibrated[1]),
    Field("brier", lambda v: v.found.brier, "Brier score"),
    Field("brier_null", lambda v: v.found.brier_null, "Brier of the mean"),
)  # fmt: skip
"""Another centre's model on these patients."""
