"""The tables of the outcome study, as records that go into TSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from falx.clinical.group_tests import Summary
from falx.clinical.roc.cuts import CutPerformance
from falx.core.files import write_text
from falx.studies.outcome.labels import label
from falx.studies.outcome.outcome import OutcomeStudy

__all__ = ["TABLES", "write_table"]

Row = dict[str, object]


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write records as TSV; what is missing becomes ``n/a``."""
    rows = rows or [{"remark": "not computed; the warnings in the results say why"}]
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(["n/a" if row.get(n) is None else row[n] for n in names])
    write_text(path, stream.getvalue())


def _group_rows(study: OutcomeStudy) -> list[Row]:
    return [
        {
            "variable": c.name,
            "n_not_free": c.not_free.n,
            "n_free": c.free.n,
            "mean_not_free": c.not_free.mean,
            "sd_not_free": c.not_free.sd,
            "mean_free": c.free.mean,
            "sd_free": c.free.sd,
            "student_t": c.student.t,
            "student_p": c.student.p,
            "welch_t": c.welch.t,
            "welch_p": c.welch.p,
            "mann_whitney_u": c.rank.u,
            "mann_whitney_p": c.rank.p,
            "p_equal_spread": c.spread.p if c.spread else None,
            **{f"p_adjusted_{name.replace(' ', '_')}": a.p_group for name, a in c.adjusted},
        }
        for c in (*study.clinical, *study.modalities, *study.rates)
    ]


def _model_rows(study: OutcomeStudy) -> list[Row]:
    rows: list[Row] = []
    for m in study.models:
        best = m.best
        rows.append(
            {
                "variable": m.name,
                "per": m.unit,
                "status": m.status,
                "n": m.n,
                "events": m.events,
                "missing": m.n_missing,
                "odds_ratio": best.odds_ratio if best else None,
                "ci_low": best.ci_low if best else None,
                "ci_high": best.ci_high if best else None,
                "p_wald": best.p_wald if best else None,
                "p_likelihood_ratio": best.p_ratio if best else None,
                "odds_ratio_firth": m.firth.odds_ratio if m.firth else None,
                "remark": m.message,
            }
        )
    return rows


def _cut_rows(study: OutcomeStudy) -> list[Row]:
    return [
        {
            "score": part.name,
            "auc": part.area.auc,
            "auc_low": part.area.ci_low,
            "auc_high": part.area.ci_high,
            "cut_low": part.stability.ci_low,
            "cut_high": part.stability.ci_high,
            "sensitivity": part.best.sensitivity,
            "specificity": part.best.specificity,
            "balanced_accuracy_apparent": part.at_best.balanced_accuracy,
            "balanced_accuracy_nested": study.held_out(part).balanced_accuracy,
            **_chi_square("best", part.at_best),
            **_chi_square("published", part.at_published),
            "balanced_accuracy_632_plus": part.optimism.plus_632,
            "p_best_cut": part.permutation.p,
        }
        for part in study.cuts
    ]


def _chi_square(name: str, cut: CutPerformance | None) -> Row:
    """Pearson's test at a cut; its P ignores that the cut was chosen on the same patients."""
    test = cut.pearson if cut else None
    return {
        f"cut_{name}": cut.cut if cut else None,
        f"chi_square_{name}": test.statistic if test else None,
        f"p_chi_square_{name}": test.p if test else None,
    }


def _patient_rows(study: OutcomeStudy) -> list[Row]:
    """Every patient's numbers, and the asymmetry that the volumes predict."""
    cohort, additive = study.cohort, study.additive
    predicted = {}
    if additive is not None:
        predicted = dict(zip(additive.subjects, additive.study.prediction, strict=True))
    rows: list[Row] = []
    for i, subject in enumerate(cohort.subjects):
        numbers = {name: float(column[i]) for name, column in cohort.values.items()}
        rows.append(
            {
                "participant_id": f"sub-{subject}",
                "seizure_free": int(cohort.seizure_free[i]),
                **{k: v if np.isfinite(v) else None for k, v in numbers.items()},
                "ai_pet_predicted": predicted.get(subject),
            }
        )
    return rows


def _table1_rows(study: OutcomeStudy) -> list[Row]:
    """Patients by outcome: mean and SD, median and quartiles, or counts."""
    rows: list[Row] = [
        {
            "variable": label(c.name),
            "not_seizure_free": f"{c.not_free.mean:.4g} ± {c.not_free.sd:.3g}",
            "seizure_free": f"{c.free.mean:.4g} ± {c.free.sd:.3g}",
            "median_not_seizure_free": _quartiles(c.not_free),
            "median_seizure_free": _quartiles(c.free),
            "test": "Welch t",
            "p": c.welch.p,
            "p_mann_whitney": c.rank.p,
        }
        for c in study.clinical
    ]
    for count in study.counts:
        by_outcome = np.array(count.counts)
        shares = [f"{by_outcome[-1, k]} of {by_outcome[:, k].sum()}" for k in (0, 1)]
        rows.append(
            {
                "variable": label(count.name),
                "not_seizure_free": shares[0],
                "seizure_free": shares[1],
                "test": count.test.method,
                "p": count.test.p,
            }
        )
    return rows


def _quartiles(summary: Summary) -> str:
    return f"{summary.median:.4g} ({summary.q1:.4g} to {summary.q3:.4g})"


def _curve_rows(study: OutcomeStudy) -> list[Row]:
    """Splines: tests, turning points, and what the curve is worth on new patients."""
    rows: list[Row] = []
    for part in study.splines:
        row: Row = {"variable": part.name, "per": part.unit, "remark": part.message}
        if part.plain is not None:
            fit = part.plain
            row |= {
                "n": fit.model.n,
                "knots": " ".join(f"{knot:.6g}" for knot in fit.knots),
                "knot_rule": fit.knot_rule,
                "reference_median": fit.median,
                "p_overall_wald": fit.overall.p,
                "p_nonlinear_wald": fit.nonlinear_wald.p,
                "p_nonlinear_likelihood_ratio": fit.nonlinear_ratio.p,
                "p_nonlinear_score": fit.nonlinear_score.p,
                "bic_spline": fit.model.bic,
                "bic_linear": fit.linear.bic,
                "turning_points": " ".join(f"{t.kind} {t.x:.6g}" for t in part.turns) or None,
                "turning_point_low": part.peak.ci_low if part.peak else None,
                "turning_point_high": part.peak.ci_high if part.peak else None,
                "adjusted_for": " ".join(part.adjusted_for) or None,
                "p_nonlinear_adjusted": part.adjusted.nonlinear_wald.p if part.adjusted else None,
            }
        for name, v in (("linear", part.linear_validation), ("spline", part.spline_validation)):
            if v is not None:
                row |= {
                    f"auc_{name}": v.auc,
                    f"auc_{name}_corrected": v.auc_harrell,
                    f"auc_{name}_5fold": v.auc_folds,
                    f"brier_{name}_corrected": v.brier_harrell,
                }
        rows.append(row)
    return rows


def _threshold_rows(study: OutcomeStudy) -> list[Row]:
    return [
        {
            "rule": t.rule,
            "scale": t.scale,
            "threshold": t.threshold,
            "threshold_low": t.ci_low,
            "threshold_high": t.ci_high,
            "n": t.n,
            "without_signature": t.without_signature,
            "balanced_accuracy_nested": t.nested.balanced_accuracy if t.nested else None,
            "balanced_accuracy_nested_sd": t.nested.balanced_accuracy_sd if t.nested else None,
            "sensitivity_nested": t.nested.sensitivity if t.nested else None,
            "specificity_nested": t.nested.specificity if t.nested else None,
            "remark": t.refused or None,
        }
        for t in study.thresholds
    ]


def _volume_rows(study: OutcomeStudy) -> list[Row]:
    """Rank the volumes by their part in the additive model of the asymmetry."""
    if study.additive is None:
        return []
    found = study.additive.study
    return [
        {"predictor": name, "mean_absolute_shapley": value, "r": found.r, "p": found.p,
         "r2": found.r2, "p_permutation": study.additive.permuted.p,
         "baseline": study.additive.baseline_name, "baseline_r": study.additive.baseline_r}
        for name, value in zip(found.names, found.mean_absolute_shapley.tolist(), strict=True)
    ]  # fmt: skip


TABLES: Mapping[str, Callable[[OutcomeStudy], list[Row]]] = {
    "patients": _patient_rows,
    "table1": _table1_rows,
    "groups": _group_rows,
    "models": _model_rows,
    "curves": _curve_rows,
    "thresholds": _threshold_rows,
    "cuts": _cut_rows,
    "volumes": _volume_rows,
}
"""Name of each table to the function that gives its rows."""
