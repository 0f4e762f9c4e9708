"""The outcome study as a page: warnings first, then one section per question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.report.page import Block, Notice, Section, Table, Text, render
from falx.studies.outcome import figures as pictures
from falx.studies.outcome.labels import label, p_text
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.parts import AdditivePart, CutPart, GroupComparison, SplinePart

__all__ = ["outcome_page", "outcome_sections"]


def outcome_page(
    study: OutcomeStudy,
    *,
    title: str = "Seizure outcome of the group",
    notices: Sequence[str] = (),
) -> str:
    """Return the page as one HTML document; `notices` are those of reading the cohort."""
    free = int(study.cohort.seizure_free.sum())
    subtitle = f"{study.cohort.source}: {len(study.cohort.subjects)} patients, {free} seizure free"
    return render(title, outcome_sections(study, notices), subtitle=subtitle)


def outcome_sections(study: OutcomeStudy, notices: Sequence[str] = ()) -> list[Section]:
    """Sections in reading order; a part that was not computed has none."""
    said = tuple(dict.fromkeys((*study.warnings, *notices)))
    sections = [Section("Before reading", [Notice(said), *_excluded(study)])]
    sections.append(Section("Patients", _patients(study)))
    if study.modalities:
        sections.append(Section("Asymmetry in the ablation", _groups(study)))
    if study.models:
        sections.append(Section("One predictor at a time", _models(study)))
    if study.splines:
        blocks = [block for part in study.splines for block in _spline(part)]
        sections.append(Section("Curves", [*blocks, _validation(study)]))
    if study.thresholds:
        sections.append(Section("Threshold of the signature", _thresholds(study)))
    if study.rates:
        sections.append(Section("Ablative rate", _rates(study)))
    sections.extend(
        Section(f"Cut of the {label(part.name)}", _cut(part, study)) for part in study.cuts
    )
    if study.additive is not None:
        sections.append(Section("Volumes behind the asymmetry", _additive(study.additive)))
    return sections


def _excluded(study: OutcomeStudy) -> list[Block]:
    if not study.cohort.excluded:
        return []
    rows = [[f"sub-{s}", reason] for s, reason in study.cohort.excluded.items()]
    return [Table(["left out", "reason"], rows, "Patients left out of the group.")]


def _patients(study: OutcomeStudy) -> list[Block]:
    rows: list[list[object]] = [
        [label(c.name), *_mean_sd(c), p_text(c.welch.p), "Welch t"] for c in study.clinical
    ]
    for count in study.counts:
        by_outcome = np.array(count.counts)
        shares = [f"{by_outcome[-1, k]} of {by_outcome[:, k].sum()}" for k in (0, 1)]
        rows.append([label(count.name), *shares, p_text(count.test.p), count.test.method])
    columns = ["", "not seizure free", "seizure free", "P", "test"]
    if study.cohort.has("dice_raters"):
        dice = study.cohort.values["dice_raters"]
        dice = dice[np.isfinite(dice)]
        said = f"Two raters' ablation masks overlap with Dice {dice.mean():.2f} (n = {len(dice)})."
        return [Table(columns, rows, "Mean ± SD, or count."), Text(said)]
    return [Table(columns, rows, "Mean ± SD, or count.")]


def _mean_sd(comparison: GroupComparison) -> list[str]:
    return [f"{s.mean:.4g} ± {s.sd:.3g}" for s in (comparison.not_free, comparison.free)]


def _group_table(comparisons: tuple[GroupComparison, ...], extra: tuple[float, ...]) -> Table:
    rows = []
    for i, c in enumerate(comparisons):
        rows.append(
            [
                label(c.name), *_mean_sd(c), c.welch.difference,
                f"{c.welch.ci_low:.3g} to {c.welch.ci_high:.3g}", c.welch.p, c.student.p,
                c.rank.p, c.rank.effect, c.spread and c.spread.p, extra[i] if extra else None,
            ]
        )  # fmt: skip
    columns = [
        "", "not seizure free", "seizure free", "difference", "95 % interval (Welch)",
        "P Welch", "P Student", "P Mann–Whitney", "P(not free > free)", "P equal spread",
        "P Student, Holm",
    ]  # fmt: skip
    return Table(columns, rows, "Mean ± SD; difference is not seizure free minus seizure free.")


def _groups(study: OutcomeStudy) -> list[Block]:
    drawn = [(c.name, c.values, c.seizure_free, c.welch) for c in study.modalities]
    adjusted = [
        [label(c.name), name, a.difference, f"{a.ci_low:.3g} to {a.ci_high:.3g}", a.f_group,
         a.p_group, a.f_model, a.p_model]
        for c in study.modalities
        for name, a in c.adjusted
    ]  # fmt: skip
    blocks: list[Block] = [
        pictures.box_figure(drawn, unit="asymmetry index"),
        _group_table(study.modalities, study.modality_holm),
    ]
    if adjusted:
        columns = ["", "adjusted for", "difference", "95 % interval", "F group", "P group",
                   "F whole model", "P whole model"]  # fmt: skip
        blocks.append(Table(columns, adjusted, "Group difference at equal covariates (type II)."))
    return blocks


def _models(study: OutcomeStudy) -> list[Block]:
    rows = []
    for m in study.models:
        best = m.best
        interval = f"{best.ci_low:.4g} to {best.ci_high:.4g}" if best else None
        profile = f"{best.profile_low:.4g} to {best.profile_high:.4g}" if best else None
        rows.append(
            [
                label(m.name), m.unit, m.n, m.status, best.odds_ratio if best else None, interval,
                profile, best.p_wald if best else None, best.p_ratio if best else None,
                m.firth.odds_ratio if m.firth else None, m.message,
            ]
        )  # fmt: skip
    columns = ["", "per", "n", "status", "odds ratio", "95 % Wald", "95 % profile", "P Wald",
               "P likelihood ratio", "odds ratio (Firth)", "remark"]  # fmt: skip
    return [
        pictures.forest_figure(study.models),
        Table(columns, rows, "Univariate logistic models of seizure freedom."),
    ]


def _spline(part: SplinePart) -> list[Block]:
    if part.plain is None:
        return [Notice([f"{label(part.name)}: no curve. {part.message}"])]
    figure = pictures.spline_figure(
        part.name, part.unit, part.plain, part.adjusted, part.turns, part.peak
    )
    remarks: list[Block] = [Text(part.message)] if part.message else []
    return [figure, *remarks]


def _validation(study: OutcomeStudy) -> Table:
    rows = [
        [label(part.name), v.model, v.auc, v.auc_harrell, v.auc_632, v.auc_folds,
         v.auc_leave_one_out, v.brier, v.brier_harrell, v.brier_null, v.slope,
         f"{v.skipped} / {v.separated}"]
        for part in study.splines
        for v in (part.linear_validation, part.spline_validation)
        if v is not None
    ]  # fmt: skip
    columns = ["", "model", "AUC apparent", "AUC corrected (Harrell)", "AUC .632+",
               "AUC 5-fold", "AUC leave-one-out", "Brier apparent", "Brier corrected",
               "Brier of the mean", "calibration slope", "skipped / separated"]  # fmt: skip
    return Table(
        columns, rows,
        "What the models are worth on patients they have not seen; knots are placed anew each "
        "time. A Brier score below that of the mean is better than not knowing.",
    )  # fmt: skip


def _rates(study: OutcomeStudy) -> list[Block]:
    drawn = [(c.name, c.values, c.seizure_free, c.welch) for c in study.rates]
    return [pictures.box_figure(drawn, unit="ablative rate"), _group_table(study.rates, ())]


def _thresholds(study: OutcomeStudy) -> list[Block]:
    rows = [
        [t.rule, t.scale, t.threshold, f"{t.ci_low:.4f} to {t.ci_high:.4f}", t.n,
         t.without_signature, t.nested and t.nested.balanced_accuracy,
         t.nested and t.nested.sensitivity, t.nested and t.nested.specificity, t.refused]
        for t in study.thresholds
    ]  # fmt: skip
    columns = ["rule", "scale", "threshold (median)", "95 % bootstrap", "patients",
               "without signature", "balanced accuracy", "sensitivity", "specificity",
               "remark"]  # fmt: skip
    said = (
        "The threshold of Mo 2025 is the median asymmetry inside the ablation. Taken from the "
        "patients whose outcome it then helps to predict, it flatters: here threshold, rates and "
        "cut were taken anew without the patients that are called."
    )
    return [
        Text(said),
        Table(columns, rows, "Own threshold of these patients; accuracies are cross-validated."),
    ]


def _cut(part: CutPart, study: OutcomeStudy) -> list[Block]:
    nested = study.held_out(part)
    how = "cut chosen inside each of 5 folds"
    if nested is not part.nested:
        how = "threshold of the signature and cut chosen inside each of 5 folds"
    rules = [("best cut here", part.at_best)]
    if part.at_published is not None:
        rules.append(("published cut", part.at_published))
    rows: list[list[object]] = [
        ["area under the curve", part.area.auc, _span(part.area.ci_low, part.area.ci_high),
         "DeLong"],
        ["", part.area.auc, _span(part.resampled_area.bca_low, part.resampled_area.bca_high),
         "bootstrap, BCa"],
        ["cut", part.stability.cut, _span(part.stability.ci_low, part.stability.ci_high),
         f"bootstrap; leave-one-out {_span(*part.stability.leave_one_out)}"],
    ]  # fmt: skip
    for title, rule in rules:
        for name, share in (("sensitivity", rule.sensitivity), ("specificity", rule.specificity),
                            ("accuracy", rule.accuracy)):  # fmt: skip
            span = _span(share.ci_low, share.ci_high)
            rows.append([f"{title}: {name}", share.value, span, "exact; same patients"])
        rows.append([f"{title}: balanced accuracy", rule.balanced_accuracy, None,
                     "same patients"])  # fmt: skip
    rows += [
        ["balanced accuracy, corrected", part.optimism.harrell, None, "Harrell"],
        ["", part.optimism.plus_632, None, ".632+"],
        ["", nested.balanced_accuracy, f"± {nested.balanced_accuracy_sd:.3f}", how],
        ["", part.leave_one_out.balanced_accuracy, None, "leave-one-out"],
        ["P of the best cut", part.permutation.p, None, "permutation, best cut sought anew"],
        ["P of the area", part.area_permutation.p, None, "permutation"],
    ]  # fmt: skip
    return [
        pictures.roc_figure(part.name, part.curve, part.area, part.best, nested.balanced_accuracy),
        pictures.bar_figure(part.name, rules),
        Table(["", "value", "95 % interval", "how"], rows),
        pictures.decision_figure(part.name, part.decision),
    ]


def _span(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _additive(part: AdditivePart) -> list[Block]:
    study = part.study
    leading = study.names.index(part.dependence.name)
    rows = [
        ["additive model", float(study.r_iterations.mean()), study.r2],
        [f"straight line on {label(part.baseline_name)}", part.baseline_r, part.baseline_r2],
    ]
    better = part.baseline_r2 >= study.r2
    said = (
        f"A straight line on the {label(part.baseline_name)} alone predicts "
        + ("at least as well as" if better else "less well than")
        + f" the additive model. Shuffled outcomes reach this correlation with "
        f"{p_text(part.permuted.p)}."
    )
    return [
        pictures.shapley_figure(study),
        pictures.dependence_figure(part.dependence, part.predictors[:, leading], part.response),
        pictures.prediction_figure(study, part.response),
        Table(["model", "r, mean over repeats", "R²"], rows, "Five-fold cross-validation."),
        Text(said),
    ]
