"""The sections of the group page on prognosis: this cohort's models, and another centre's."""

from __future__ import annotations

from collections.abc import Sequence

from falx.clinical.bayes import LITERATURE
from falx.report.page import Block, Details, Table, Text
from falx.studies.outcome import figures as pictures
from falx.studies.outcome.fields import page_table
from falx.studies.outcome.labels import label
from falx.studies.outcome.model_fields import (
    CALIBRATION,
    CHECKS,
    PROGNOSIS,
    VALIDATION,
    checked,
    expected,
    worth,
)
from falx.studies.outcome.outcome import OutcomeStudy
from falx.studies.outcome.score_model import Prognoses, Validated

__all__ = ["prognosis_blocks", "validated_blocks"]


def prognosis_blocks(study: OutcomeStudy) -> list[Block]:
    """Say what the first model expects of new patients, and what that is worth."""
    if not study.prognoses:
        return []
    found = study.prognoses[0]
    keep = study.cohort.complete(found.model.score)
    values, free = study.cohort.values[found.model.score][keep], study.cohort.seizure_free[keep]
    name = found.model.score
    rule = found.model.definition
    said = (
        f"Seizure freedom of a new patient like these by the {label(name)}, a Bayesian logistic "
        "model under two stated priors. "
        + (
            f"It holds for rates of this definition only: {rule}."
            if rule
            else "By which rule the signatures were made is not stated, so no other patient can "
            "be predicted with it."
        )
    )
    priors = [f"Prior, {name_}: {line.prior.source}." for name_, line in found.model.lines.items()]
    priors += [
        f"Of {one.cohorts} cohorts drawn from the {one.prior} prior at these patients' rates, the "
        f"95 % interval at the median rate held the truth in {one.held}."
        for one in found.calibration
    ]
    caption = "Mean and 95 % credible interval of the chance of seizure freedom."
    checks = page_table(
        CHECKS, checked(study, name),
        "Cohorts drawn from prior and posterior beside the data; a share near 0 or 100 % would "
        "mean that the model does not make data like these.",
    )  # fmt: skip
    errors = page_table(
        CALIBRATION, worth(study, name),
        "Made-up cohorts with these patients' rates and their share of seizure-free ones, where "
        "the true relation is known. A calibration slope below 1: chances are said too far apart; "
        "without a relation (odds ratio 1) it is 0 for any model.",
    )  # fmt: skip
    return [
        Text(f"{said} {_agreement(found)} {_worth(found)}"),
        pictures.prognosis_figure(found, values, free),
        page_table(PROGNOSIS, expected(study, name), caption),
        Details("Priors and checks of the model", [errors, Text(" ".join(priors)), checks]),
    ]


def _agreement(found: Prognoses) -> str:
    """Say whether the data contradict the literature, and which prior is then to be read."""
    kept, said = found.kept, {"share": "the share of seizure-free patients", "relation": "the "
                              "relation to the rate"}  # fmt: skip
    if not kept.contradicted:
        return (
            f"The data do not contradict the literature (chance that it holds here: "
            f"{kept.before:.0%} before them, {kept.intercept:.0%} after them of the share of "
            f"seizure-free patients and {kept.slope:.0%} of the relation to the rate)."
        )
    what = " and ".join(said[one] for one in kept.contradicted)
    after = [{"share": kept.intercept, "relation": kept.slope}[one] for one in kept.contradicted]
    told = " and ".join(f"{p:.0%}" for p in after)
    return (
        f"The data contradict the literature about {what}: the chance that it holds here falls "
        f"from {kept.before:.0%} to {told}, so that the prior of the literature gives way to the "
        "weak one and its interval widens."
    )


def _worth(found: Prognoses) -> str:
    """Say what the intervals and slopes are worth in cohorts like this one."""
    errors = [e.found for e in found.errors if e.prior == LITERATURE.name and e.found.cohorts]
    related = [e for e in errors if e.odds_ratio > 1]
    if not related:
        return ""
    covered = [e.covered for e in errors]
    slopes = ", ".join(f"{e.slope:.2f} where it is {e.odds_ratio:g}" for e in related)
    return (
        f"In made-up cohorts like this one the 95 % interval holds a new patient's chance in "
        f"{min(covered):.0%} to {max(covered):.0%}; the calibration slope is {slopes} (true odds "
        "ratio per standard deviation). Below 1 the chances are said too far apart: a weak "
        "relation looks steeper than it is in so few patients."
    )


def validated_blocks(study: OutcomeStudy) -> list[Block]:
    """Show how the models of another centre did on these patients."""
    if not study.validated:
        return []
    caption = (
        "The other centre's model as it came (prior of the literature). Recalibrated, it is this "
        "cohort's own and no longer validated."
    )
    figures = [pictures.validation_figure(found) for found in study.validated]
    return [_by_line(study.validated, caption), *figures]


def _by_line(validated: Sequence[Validated], caption: str) -> Table:
    """Return a table with a line for each figure and a column for each model."""
    wide = page_table(VALIDATION, validated)
    rows = [[name, *cells] for name, *cells in zip(wide.columns, *wide.rows, strict=True)]
    return Table(["", *(f"model {i + 1}" for i in range(len(validated)))], rows, caption)
