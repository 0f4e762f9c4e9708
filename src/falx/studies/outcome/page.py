"""The outcome study as a page: warnings first, then one section per question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.report.page import Block, Notice, Section, Table, Text, render
from falx.studies.outcome import figures as pictures
from falx.studies.outcome.fields import page_lines, page_table
from falx.studies.outcome.labels import LABELS, label, p_text
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.parts import AdditivePart, CutPart, GroupComparison, SplinePart
from falx.studies.outcome.summary import summary_lines
from falx.studies.outcome.tables import (
    ADJUSTED,
    FAMILY_TABLE,
    INCREMENTS,
    MODELS,
    PREDICTIONS,
    RULES,
    TABLE1,
    THRESHOLDS,
    VALIDATIONS,
    characteristics,
    comparison_fields,
    cut_fields,
    predictions,
    validations,
)

__all__ = ["outcome_page", "outcome_sections"]


def outcome_page(
    study: OutcomeStudy,
    *,
    title: str = "Seizure outcome of the group",
    notices: Sequence[str] = (),
    people: Section | None = None,
) -> str:
    """Return the page as one HTML document.

    Parameters
    ----------
    notices
        Those of reading the cohort.
    people
        Who is in the cohort, who is not, and why; printed first.
    """
    free = int(study.cohort.seizure_free.sum())
    subtitle = f"{study.cohort.source}: {len(study.cohort.subjects)} patients, {free} seizure free"
    sections = outcome_sections(study, notices)
    return render(title, sections if people is None else [people, *sections], subtitle=subtitle)


def outcome_sections(study: OutcomeStudy, notices: Sequence[str] = ()) -> list[Section]:
    """Sections in reading order; a part that was not computed has none."""
    said = tuple(dict.fromkeys((*study.warnings, *notices)))
    if not study.compared:
        return [
            Section("What can and cannot be said", [Notice(said), *_excluded(study)]),
            Section("Patients", [_each(study)]),
        ]
    sections = [
        Section("Summary", [Notice(summary_lines(study), "note")]),
        Section("Before reading", [Notice(said), *_excluded(study)]),
        Section("Patients", _patients(study)),
    ]
    if study.increments:
        sections.append(Section("Beyond anatomy", _increments(study)))
    if any(member.p is not None for member in study.family):
        caption = (
            "The declared family of tests (group.family); a dash: not done. A score set against "
            "several measures of anatomy enters with its largest P."
        )
        table = page_table(FAMILY_TABLE, study.family, caption)
        sections.append(Section("Many tests at once", [table]))
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
        sections.append(Section("Ablative rate", _compared(study, study.rates, "ablative rate")))
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


def _each(study: OutcomeStudy) -> Table:
    """Every patient's own numbers, one number a row; differences of shares stay fractions."""
    cohort = study.cohort
    names = [name for name in cohort.values if name in LABELS and cohort.has(name)]
    rows = [
        [label(name), *(float(v) if np.isfinite(v) else None for v in cohort.values[name])]
        for name in names
    ]
    outcome = ["seizure free", *("yes" if free else "no" for free in cohort.seizure_free)]
    caption = (
        "Each patient's numbers: volumes in mm³, asymmetries and rates as fractions of 1; of a "
        "yes/no number, 1 is yes."
    )
    return Table(["", *(f"sub-{s}" for s in cohort.subjects)], [outcome, *rows], caption)


def _increments(study: OutcomeStudy) -> list[Block]:
    said = (
        "Does the score say more than anatomy does? Its slope is tested beside the measure of "
        "anatomy; the penalised test keeps its level in small cohorts (about 5 % of null cohorts "
        "of 30 fall below P = .05, of the plain likelihood ratio 7 %)."
    )
    caption = "Odds ratios of seizure freedom, 95 % profile intervals; areas on the same patients."
    drawn = {part.name: part for part in reversed(study.increments)}
    figures = [
        pictures.increment_figure(part.name, part.measure, part.found)
        for name, part in drawn.items()
        if name in ("rate_hippocampus", "ai_pet")
    ]
    return [Text(said), page_table(INCREMENTS, study.increments, caption), *figures]


def _patients(study: OutcomeStudy) -> list[Block]:
    table = page_table(TABLE1, characteristics(study), "Mean ± SD, or count.")
    if not study.cohort.has("dice_raters"):
        return [table]
    dice = study.cohort.values["dice_raters"]
    dice = dice[np.isfinite(dice)]
    said = f"Two raters' ablation masks overlap with Dice {dice.mean():.2f} (n = {len(dice)})."
    return [table, Text(said)]


def _compared(study: OutcomeStudy, compared: Sequence[GroupComparison], unit: str) -> list[Block]:
    drawn = [(c.name, c.values, c.seizure_free, c.welch) for c in compared]
    caption = "Mean ± SD, as fractions of 1; difference is not seizure free minus seizure free."
    return [
        pictures.box_figure(drawn, unit=unit),
        page_table(comparison_fields(study, compared), compared, caption),
    ]


def _groups(study: OutcomeStudy) -> list[Block]:
    blocks = _compared(study, study.modalities, "asymmetry index")
    adjusted = [(c.name, name, a) for c in study.modalities for name, a in c.adjusted]
    if adjusted:
        caption = "Group difference at equal covariates (type II)."
        blocks.append(page_table(ADJUSTED, adjusted, caption))
    return blocks


def _models(study: OutcomeStudy) -> list[Block]:
    caption = (
        "Univariate logistic models of seizure freedom; the odds ratio is per the unit named. A "
        "percentage point is .01 of a fraction."
    )
    return [pictures.forest_figure(study.models), page_table(MODELS, study.models, caption)]


def _spline(part: SplinePart) -> list[Block]:
    if part.plain is None:
        return [Notice([f"{label(part.name)}: no curve. {part.message}"])]
    figure = pictures.spline_figure(
        part.name, part.unit, part.plain, part.adjusted, part.turns, part.peak
    )
    remarks: list[Block] = [Text(part.message)] if part.message else []
    return [figure, *remarks]


def _validation(study: OutcomeStudy) -> Table:
    return page_table(
        VALIDATIONS, validations(study),
        "What the models are worth on patients they have not seen; knots are placed anew each "
        "time. A Brier score below that of the mean is better than not knowing.",
    )  # fmt: skip


def _thresholds(study: OutcomeStudy) -> list[Block]:
    said = (
        "The threshold of Mo 2025 is the median asymmetry inside the ablation. Taken from the "
        "patients whose outcome it then helps to predict, it flatters: here threshold, rates and "
        "cut were taken anew without the patients that are called."
    )
    caption = "Own threshold of these patients; accuracies are cross-validated."
    return [Text(said), page_table(THRESHOLDS, study.thresholds, caption)]


def _cut(part: CutPart, study: OutcomeStudy) -> list[Block]:
    named = {rule: (title, of(part)) for rule, (title, of) in RULES.items()}
    there = {rule: (title, cut) for rule, (title, cut) in named.items() if cut is not None}
    nested = study.held_out(part)
    return [
        pictures.roc_figure(part.name, part.curve, part.area, part.best, nested.balanced_accuracy),
        pictures.bar_figure(part.name, list(there.values())),
        page_lines(cut_fields(study, list(there)), part),
        pictures.decision_figure(part.name, part.decision),
    ]


def _additive(part: AdditivePart) -> list[Block]:
    study = part.study
    leading = study.names.index(part.dependence.name)
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
        page_table(PREDICTIONS, predictions(part), "Five-fold cross-validation."),
        Text(said),
    ]
