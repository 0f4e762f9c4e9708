"""Fields of what describes and compares the patients: table one, groups, thresholds, family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from falx.clinical.ancova import Ancova
from falx.clinical.group_tests import Summary
from falx.studies.outcome.family import Member
from falx.studies.outcome.fields import Field, percent, span
from falx.studies.outcome.labels import label, p_text, shown_in
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.parts import GroupComparison
from falx.studies.outcome.rates import CohortThreshold
from falx.studies.outcome.table_one import Described

__all__ = [
    "ADJUSTED",
    "FAMILY_TABLE",
    "TABLE1",
    "THRESHOLDS",
    "Characteristic",
    "characteristics",
    "comparison_fields",
]


def _mean_sd(summary: Summary, factor: float = 1, unit: str = "") -> str:
    told = f"{factor * summary.mean:.4g} ± {factor * summary.sd:.3g}"
    return f"{told} {unit}" if unit else told


def _points(name: str) -> str:
    """Return the unit of a difference of numbers."""
    return "percentage points" if shown_in(name)[1] else ""


def _difference(name: str, value: float) -> str:
    return f"{shown_in(name)[0] * value:.3g} {_points(name)}".rstrip()


def _quartiles(summary: Summary) -> str:
    return f"{summary.median:.4g} ({summary.q1:.4g} to {summary.q3:.4g})"


@dataclass(frozen=True)
class Characteristic:
    """One row of the table of patients, by outcome."""

    name: str
    not_free: str
    free: str
    p: float | None
    test: str
    median_not_free: str | None = None
    median_free: str | None = None
    p_rank: float | None = None


TABLE1: Sequence[Field[Characteristic]] = (
    Field("variable", lambda c: label(c.name), ""),
    Field("not_seizure_free", lambda c: c.not_free, "not seizure free"),
    Field("seizure_free", lambda c: c.free, "seizure free"),
    Field("median_not_seizure_free", lambda c: c.median_not_free),
    Field("median_seizure_free", lambda c: c.median_free),
    Field("p", lambda c: c.p, "P", lambda c: None if c.p is None else p_text(c.p)),
    Field("test", lambda c: c.test, "test"),
    Field("p_mann_whitney", lambda c: c.p_rank),
)


def characteristics(study: OutcomeStudy) -> Iterator[Characteristic]:
    """Patients by outcome: mean and SD, median and quartiles, or counts."""
    for c in study.clinical:
        yield Characteristic(
            c.name,
            _mean_sd(c.not_free),
            _mean_sd(c.free),
            c.welch.p,
            "Welch t",
            _quartiles(c.not_free),
            _quartiles(c.free),
            c.rank.p,
        )
    for found in study.described:
        yield from _further(found)
    for count in study.counts:
        by_outcome = np.array(count.counts)
        not_free, free = (f"{by_outcome[-1, k]} of {by_outcome[:, k].sum()}" for k in (0, 1))
        yield Characteristic(count.name, not_free, free, count.test.p, count.test.method)


def _further(found: Described) -> Iterator[Characteristic]:
    """Rows of a further column: one of a number, one for each level of a category."""
    if found.not_free is not None and found.free is not None:
        yield Characteristic(
            found.name,
            _mean_sd(found.not_free),
            _mean_sd(found.free),
            found.p,
            found.test,
            _quartiles(found.not_free),
            _quartiles(found.free),
        )
    for i, level in enumerate(found.levels):
        yield Characteristic(
            f"{found.name}: {level.name}",
            _of(level.not_free, found.known[0]),
            _of(level.free, found.known[1]),
            None if i else found.p,
            "" if i else found.test,
        )


def _of(count: int, of: int) -> str:
    return f"{count} of {of} ({count / of:.0%})"


def comparison_fields(
    study: OutcomeStudy, compared: Sequence[GroupComparison]
) -> Sequence[Field[GroupComparison]]:
    """Fields of numbers compared between the outcomes; difference is not free minus free."""
    holm = {m.name: m.holm for m in study.family if m.kind == "group"}
    covariates = dict.fromkeys(name for c in compared for name, _ in c.adjusted)
    return (
        Field("variable", lambda c: c.name, "", lambda c: label(c.name)),
        Field("n_not_free", lambda c: c.not_free.n),
        Field("n_free", lambda c: c.free.n),
        Field("mean_not_free", lambda c: c.not_free.mean, "not seizure free",
              lambda c: _mean_sd(c.not_free, *shown_in(c.name))),
        Field("sd_not_free", lambda c: c.not_free.sd),
        Field("mean_free", lambda c: c.free.mean, "seizure free",
              lambda c: _mean_sd(c.free, *shown_in(c.name))),
        Field("sd_free", lambda c: c.free.sd),
        Field("", lambda c: _difference(c.name, c.welch.difference), "difference"),
        Field("", lambda c: span(c.welch.ci_low, c.welch.ci_high, ".3g",
              factor=shown_in(c.name)[0]),
              "95 % interval (Welch)"),
        Field("welch_t", lambda c: c.welch.t),
        Field("welch_p", lambda c: c.welch.p, "P Welch"),
        Field("student_t", lambda c: c.student.t),
        Field("student_p", lambda c: c.student.p, "P Student"),
        Field("mann_whitney_u", lambda c: c.rank.u),
        Field("mann_whitney_p", lambda c: c.rank.p, "P Mann–Whitney"),
        Field("", lambda c: c.rank.effect, "chance that not free is above free"),
        Field("p_equal_spread", lambda c: c.spread and c.spread.p, "P equal spread"),
        Field("", lambda c: holm.get(c.name), "P Welch, Holm over the family"),
        *(_adjusted(name) for name in covariates),
    )  # fmt: skip


def _adjusted(covariates: str) -> Field[GroupComparison]:
    def p(c: GroupComparison) -> float | None:
        return next((a.p_group for name, a in c.adjusted if name == covariates), None)

    return Field(f"p_adjusted_{covariates.replace(' ', '_')}", p)


THRESHOLDS: Sequence[Field[CohortThreshold]] = (
    Field("rule", lambda t: t.rule, "rule"),
    Field("scale", lambda t: t.scale, "scale"),
    Field("threshold", lambda t: t.threshold, "threshold (median)",
          lambda t: percent(t.threshold)),
    Field("threshold_low", lambda t: t.ci_low),
    Field("threshold_high", lambda t: t.ci_high),
    Field("", lambda t: span(t.ci_low, t.ci_high, ".2f", factor=100, unit="%"), "95 % bootstrap"),
    Field("n", lambda t: t.n, "patients"),
    Field("without_signature", lambda t: t.without_signature, "without signature"),
    Field("balanced_accuracy_nested", lambda t: t.nested and t.nested.balanced_accuracy,
          "balanced accuracy",
          lambda t: t.nested and percent(t.nested.balanced_accuracy)),
    Field("balanced_accuracy_nested_sd", lambda t: t.nested and t.nested.balanced_accuracy_sd),
    Field("sensitivity_nested", lambda t: t.nested and t.nested.sensitivity, "sensitivity",
          lambda t: t.nested and percent(t.nested.sensitivity)),
    Field("specificity_nested", lambda t: t.nested and t.nested.specificity, "specificity",
          lambda t: t.nested and percent(t.nested.specificity)),
    Field("remark", lambda t: t.refused or None, "remark"),
)  # fmt: skip


FAMILY_TABLE: Sequence[Field[Member]] = (
    Field("test", lambda m: m.kind, "test", lambda m: m.test),
    Field("variable", lambda m: m.name, "of", lambda m: label(m.name)),
    Field("p", lambda m: m.p, "P", lambda m: m.p and p_text(m.p)),
    Field("p_holm", lambda m: m.holm, "P, Holm over the family", lambda m: m.holm and
          p_text(m.holm)),
)  # fmt: skip


ADJUSTED: Sequence[Field[tuple[str, str, Ancova]]] = (
    Field("", lambda a: label(a[0]), ""),
    Field("", lambda a: a[1], "adjusted for"),
    Field("", lambda a: _difference(a[0], a[2].difference), "difference"),
    Field(
        "",
        lambda a: span(a[2].ci_low, a[2].ci_high, ".3g", factor=shown_in(a[0])[0]),
        "95 % interval",
    ),
    Field("", lambda a: a[2].f_group, "F group"),
    Field("", lambda a: a[2].p_group, "P group"),
    Field("", lambda a: a[2].f_model, "F whole model"),
    Field("", lambda a: a[2].p_model, "P whole model"),
)
"""Number, names of its covariates, and the comparison at equal covariates."""
