"""The outcome study as a page: warnings first, then one section per question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.core.checks import Floats
from falx.report.page import Block, Details, Notice, Section, Table, Text, render
from falx.studies.methods.study_text import link_section
from falx.studies.outcome import figures as pictures
from falx.studies.outcome.fields import page_lines, page_table
from falx.studies.outcome.group_fields import (
    ADJUSTED,
    FAMILY_TABLE,
    TABLE1,
    THRESHOLDS,
    characteristics,
    comparison_fields,
)
from falx.studies.outcome.labels import LABELS, counted, label, p_text, shown_in
from falx.studies.outcome.model_fields import JOINT, KNOTS, criteria
from falx.studies.outcome.outcome import COUNTED, OutcomeStudy
from falx.studies.outcome.parts import AdditivePart, CutPart, GroupComparison, SplinePart
from falx.studies.outcome.prognosis_page import prognosis_blocks, validated_blocks
from falx.studies.outcome.summary import summary_lines
from falx.studies.outcome.tables import (
    INCREMENTS,
    MODELS,
    PREDICTIONS,
    RULES,
    VALIDATIONS,
    cut_fields,
    predictions,
    validations,
)

__all__ = ["outcome_page", "outcome_sections"]

FIRST = ("rate_hippocampus", "ai_pet")
"""Scores whose curves and cuts stand open on the page; those of others are folded away."""


RATERS = {
    "dice_raters": "Two raters' ablation masks",
    "dice_repeat": "Two ablation masks of one rater",
}


def outcome_page(
    study: OutcomeStudy,
    *,
    title: str = "Seizure outcome of the group",
    notices: Sequence[str] = (),
    people: Section | None = None,
    simulated: bool = False,
) -> str:
    """Return the page as one HTML document.

    Parameters
    ----------
    notices
        Those of reading the cohort.
    people
        Who is in the cohort, who is not, and why; printed behind the summary.
    simulated
        Whether no person stands behind the numbers; such a cohort has no methods text.
    """
    free = int(study.cohort.seizure_free.sum())
    source, number = study.cohort.source, len(study.cohort.subjects)
    own = source.startswith(f"{number} ")
    said = source if own else f"{source}: {counted(number, 'patient')}"
    subtitle = f"{said}, {free} seizure free"
    if people is not None:  # it says who is left out, and why
        notices = [said for said in notices if ": left out of the group: " not in said]
    sections = [
        *outcome_sections(study, notices, listed=people is not None),
        *([] if people is None or simulated else [link_section()]),
    ]
    first = sections[:1]  # the summary, or what can be said
    rest = sections[1:] if people is None else [people, *sections[1:]]
    return render(title, [*first, *rest], subtitle=subtitle)


def outcome_sections(
    study: OutcomeStudy, notices: Sequence[str] = (), *, listed: bool = False
) -> list[Section]:
    """Sections in reading order; a part that was not computed has none.

    `listed`: who is left out stands elsewhere on the page.
    """
    said = tuple(dict.fromkeys((*study.warnings, *study.cohort.read_as, *notices)))
    left_out = [] if listed else _excluded(study)
    if not study.compared:
        return [
            Section("What can and cannot be said", [Notice(said), *left_out]),
            Section("Patients", [_each(study)]),
        ]
    sections = [
        Section("Summary", [Notice(summary_lines(study), "note")]),
        Section("Before reading", [Notice(said), *left_out]),
        Section("Patients", _patients(study)),
        *_first(study),
        *_detail(study),
    ]
    return [section for section in sections if section.blocks]


def _first(study: OutcomeStudy) -> list[Section]:
    """Sections of what the study asks first."""
    family: list[Block] = []
    if any(member.p is not None for member in study.family):
        caption = (
            "The declared family of tests (group.family); a dash: not done. A score set against "
            "several measures of anatomy enters with its largest P."
        )
        family = [page_table(FAMILY_TABLE, study.family, caption)]
    return [
        Section("Beyond anatomy", _increments(study)),
        Section("Prognosis", prognosis_blocks(study)),
        Section("A model of elsewhere on these patients", validated_blocks(study)),
        Section("Many tests at once", family),
    ]


def _detail(study: OutcomeStudy) -> list[Section]:
    """Sections behind those figures; what is not of the first scores is folded away."""
    curves = [_spline(part) for part in study.splines if part.name in FIRST]
    others = [_spline(part) for part in study.splines if part.name not in FIRST]
    rates = _compared(study, study.rates, "ablative rate") if study.rates else []
    cuts = [
        Section(
            f"Cut of the {label(part.name)}",
            _cut(part, study) if part.name in FIRST else [_folded(_cut(part, study))],
        )
        for part in study.cuts
    ]
    drawn: list[Block] = [block for blocks in curves for block in blocks]
    drawn += [_folded([block for blocks in others for block in blocks])] if others else []
    drawn += [_validation(study), _knots(study)] if study.splines else []
    return [
        Section("Asymmetry in the ablation", _groups(study) if study.modalities else []),
        Section("Ablative rate", rates),
        Section("One predictor at a time", _models(study) if study.models else []),
        Section("Curves", drawn),
        *cuts,
        Section("Threshold of the signature", _thresholds(study) if study.thresholds else []),
        Section(
            "Volumes behind the asymmetry",
            [] if study.additive is None else [_folded(_additive(study.additive))],
        ),
    ]


def _folded(blocks: Sequence[Block]) -> Details:
    return Details("Figures and tables", blocks)


def _excluded(study: OutcomeStudy) -> list[Block]:
    if not study.cohort.excluded:
        return []
    rows = [[f"sub-{s}", reason] for s, reason in study.cohort.excluded.items()]
    return [Table(["left out", "reason"], rows, "Patients left out of the group.")]


def _each(study: OutcomeStudy) -> Table:
    """Every patient's own numbers, one number a row."""
    cohort = study.cohort
    names = [name for name in cohort.values if name in LABELS and cohort.has(name)]
    rows = []
    for name in names:
        factor, unit = shown_in(name)
        shown = [_shown(name, factor * float(v), unit) for v in cohort.values[name]]
        rows.append([f"{label(name)} ({unit})" if unit else label(name), *shown])
    outcome = ["seizure free", *("yes" if free else "no" for free in cohort.seizure_free)]
    header = ["", *(f"sub-{s}" for s in cohort.subjects)]
    return Table(header, [outcome, *rows], "Each patient's numbers.")


def _shown(name: str, value: float, unit: str) -> str | None:
    """Return a number with the digits that mean something; a dash stands for what is unknown."""
    if not np.isfinite(value):
        return None
    if name in COUNTED:
        return "yes" if value else "no"
    return (
        f"{value:.1f}" if unit and abs(value) >= 1 else f"{value:.2f}" if unit else f"{value:.0f}"
    )


def _increments(study: OutcomeStudy) -> list[Block]:
    if not study.increments:
        return []
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
        if name in FIRST
    ]
    table = page_table(INCREMENTS, study.increments, caption)
    return [Text(said), table, *_joint(study), _folded(figures)]


def _joint(study: OutcomeStudy) -> list[Block]:
    joint = study.joint
    if joint is None:
        return []
    names = " and ".join(label(name) for name in joint.signature)
    beside = " and ".join(label(name) for name in joint.anatomy)
    together = (
        "the outcomes are separated, so only the penalised tests hold"
        if joint.p_signature is None
        else f"likelihood ratio {p_text(joint.p_signature)}, two degrees of freedom"
    )
    caption = (
        f"All in one model ({joint.n} patients, {joint.events} seizure free): {names} together "
        f"beside the {beside}: {together}."
    )
    return [page_table(JOINT, joint.terms, caption)]


def _knots(study: OutcomeStudy) -> Details:
    caption = (
        "Bayesian information criterion; the lowest is the best. A curve whose odds ratios leave "
        "a million to one is not chosen."
    )
    return Details("How many knots?", [page_table(KNOTS, criteria(study), caption)])


def _patients(study: OutcomeStudy) -> list[Block]:
    table = page_table(TABLE1, characteristics(study), "Mean ± SD, or count.")
    said: list[Block] = [
        Text(f"{who} overlap with Dice {dice.mean():.2f}{_sd(dice)} (n = {len(dice)}).")
        for name, who in RATERS.items()
        if study.cohort.has(name)
        for dice in [study.cohort.values[name][np.isfinite(study.cohort.values[name])]]
    ]
    return [table, *said]


def _sd(values: Floats) -> str:
    return f" ± {values.std(ddof=1):.2f} (SD)" if len(values) > 1 else ""


def _compared(study: OutcomeStudy, compared: Sequence[GroupComparison], unit: str) -> list[Block]:
    drawn = [(c.name, c.values, c.seizure_free, c.welch) for c in compared]
    caption = "Mean ± SD; the difference is not seizure free minus seizure free."
    return [
        pictures.box_figure(drawn, unit=unit),
        Details("All tests", [page_table(comparison_fields(study, compared), compared, caption)]),
    ]


def _groups(study: OutcomeStudy) -> list[Block]:
    blocks = _compared(study, study.modalities, "asymmetry index")
    adjusted = [(c.name, name, a) for c in study.modalities for name, a in c.adjusted]
    if adjusted:
        caption = "Group difference at equal covariates (type II)."
        blocks.append(Details("At equal volumes", [page_table(ADJUSTED, adjusted, caption)]))
    return blocks


def _models(study: OutcomeStudy) -> list[Block]:
    caption = (
        "Univariate logistic models of seizure freedom; the odds ratio is per the unit named. A "
        "percentage point is 1 % of asymmetry, rate or share."
    )
    table = page_table(MODELS, study.models, caption)
    return [pictures.forest_figure(study.models), Details("All models", [table])]


def _spline(part: SplinePart) -> list[Block]:
    if part.plain is None:
        return [Notice([f"{label(part.name)}: no curve. {part.message}"])]
    figure = pictures.spline_figure(
        part.name, part.unit, part.plain, part.adjusted, part.turns, part.peak
    )
    remarks: list[Block] = [Text(part.message)] if part.message else []
    return [figure, *remarks]


def _validation(study: OutcomeStudy) -> Details:
    table = page_table(
        VALIDATIONS, validations(study),
        "What the models are worth on patients they have not seen; knots are placed anew each "
        "time. A Brier score below that of the mean is better than not knowing.",
    )  # fmt: skip
    return Details("What the curves are worth on new patients", [table])


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
        page_lines(cut_fields(study, list(there)), part),
        Details(
            "Outcome on both sides of the cut, and its worth",
            [
                pictures.bar_figure(part.name, list(there.values())),
                pictures.decision_figure(part.name, part.decision),
            ],
        ),
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
