"""The group stage of `signature`: participants' numbers in, tables and a page out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from falx.errors import collect_notices
from falx.images.nifti import write_json
from falx.studies.cohort import DEFAULT_COLUMNS, read_cohort
from falx.studies.outcome import OutcomeSettings, OutcomeStudy, study_outcome
from falx.studies.outcome_page import outcome_page

__all__ = ["outcome_stage", "write_table"]


def outcome_stage(
    *,
    numbers: Mapping[str, Path],
    participants: Path,
    report: Path,
    results: Path,
    groups: Path,
    models: Path,
    cuts: Path,
    columns: Mapping[str, str],
    outcome_is_ilae: bool,
    adjust_for: Sequence[str],
    resamples: int,
    permutations: int,
    iterations: int,
    seed: int,
) -> None:
    """Study the outcome of a group.

    Parameters
    ----------
    numbers
        Input: subject label to the JSON record of the participant level.
    participants
        Input: ``participants.tsv``.
    report
        Output: the page.
    results
        Output: JSON with settings, warnings, exclusions and notices.
    groups, models, cuts
        Outputs: TSV tables of the group comparisons, univariate models and cuts.
    columns
        Number of the study to column of the table; see
        :data:`falx.studies.cohort.DEFAULT_COLUMNS`. Entries add to the defaults.
    outcome_is_ilae
        Whether the outcome column holds ILAE classes.
    adjust_for
        Covariates of the adjusted curves.
    resamples, permutations, iterations, seed
        Sizes and seed of the resampling.
    """
    with collect_notices() as notices:
        cohort = read_cohort(
            numbers,
            participants,
            column_map={**DEFAULT_COLUMNS, **columns},
            outcome_is_ilae=outcome_is_ilae,
        )
        settings = OutcomeSettings(
            n_resamples=resamples,
            n_permutations=permutations,
            n_iterations=iterations,
            adjust_for=tuple(adjust_for),
            seed=seed,
        )
        study = study_outcome(cohort, settings)
    report.write_text(outcome_page(study), encoding="utf-8")
    write_table(groups, _group_rows(study))
    write_table(models, _model_rows(study))
    write_table(cuts, _cut_rows(study))
    write_json(
        results,
        {
            "settings": asdict(settings),
            "subjects": list(cohort.subjects),
            "seizure_free": int(cohort.seizure_free.sum()),
            "excluded": dict(cohort.excluded),
            "warnings": list(study.warnings),
            "notices": notices,
        },
    )


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write records as TSV; what is missing becomes ``n/a``."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(["n/a" if row.get(n) is None else row[n] for n in names])
    path.write_text(stream.getvalue(), encoding="utf-8")


def _group_rows(study: OutcomeStudy) -> list[dict[str, object]]:
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
            **{f"p_adjusted_{name.replace(' ', '_')}": a.p_group for name, a in c.adjusted},
        }
        for c in (*study.clinical, *study.modalities, *study.rates)
    ]


def _model_rows(study: OutcomeStudy) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
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


def _cut_rows(study: OutcomeStudy) -> list[dict[str, object]]:
    return [
        {
            "score": part.name,
            "auc": part.area.auc,
            "auc_low": part.area.ci_low,
            "auc_high": part.area.ci_high,
            "cut": part.best.threshold,
            "cut_low": part.stability.ci_low,
            "cut_high": part.stability.ci_high,
            "sensitivity": part.best.sensitivity,
            "specificity": part.best.specificity,
            "balanced_accuracy_apparent": part.at_best.balanced_accuracy,
            "balanced_accuracy_nested": part.nested.balanced_accuracy,
            "balanced_accuracy_632_plus": part.optimism.plus_632,
            "p_best_cut": part.permutation.p,
        }
        for part in study.cuts
    ]
