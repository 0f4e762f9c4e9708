"""The group stage of `signature`: participants' numbers in, tables and a page out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import collect_notices
from falx.core.files import (
    read_json,
    read_participants,
    read_record,
    read_table,
    write_json,
    write_table,
    write_text,
)
from falx.core.possible import check_possible
from falx.core.records import plain
from falx.data.mo2025 import PUBLISHED_RATE_CUT
from falx.report.people import people_section
from falx.studies.outcome.cohort import Cohort, join_cohort
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.outcome import OutcomeSettings, OutcomeStudy, study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.patient import patient_of
from falx.studies.outcome.score_model import CohortModels, check_format
from falx.studies.outcome.tables import TABLES

__all__ = ["OutcomeFiles", "outcome_stage", "read_cohort", "read_models"]


@dataclass(frozen=True)
class OutcomeFiles:
    """Files of the group level.

    Parameters
    ----------
    numbers
        Input: subject label to the JSON record of the participant level.
    participants
        Input: ``participants.tsv``.
    exclusions
        Input: table of the subjects that did not get through the participant level.
    people
        Input: table of everybody with what happened at the participant level.
    report
        Output: the page.
    results
        Output: JSON with settings, warnings, exclusions and notices.
    patients, table1, groups, models, curves, thresholds, cuts, volumes, increments, family
        Outputs: TSV tables; see :mod:`falx.studies.outcome.tables`.
    joint, knots, prognosis, checks, validation
        Outputs: more of them.
    models_file
        Output: the models for another centre, without patients.
    """

    numbers: Mapping[str, Path]
    participants: Path
    exclusions: Path
    people: Path
    report: Path
    results: Path
    patients: Path
    table1: Path
    groups: Path
    models: Path
    curves: Path
    thresholds: Path
    cuts: Path
    volumes: Path
    increments: Path
    family: Path
    joint: Path
    knots: Path
    prognosis: Path
    checks: Path
    validation: Path
    models_file: Path


def outcome_stage(files: OutcomeFiles, columns: Columns, settings: OutcomeSettings) -> None:
    """Study the outcome of a group."""
    with collect_notices() as notices:
        cohort = read_cohort(
            files.numbers, files.participants, files.exclusions, columns, settings
        )
        model = None if settings.validate is None else read_models(settings.validate)
        study = study_outcome(cohort, settings, model)
    check_possible(study)
    people = people_section(read_table(files.people).records(), cohort.excluded)
    write_text(files.report, outcome_page(study, notices=notices, people=people))
    for name, table in TABLES.items():
        write_table(getattr(files, name), *table(study))
    write_json(files.models_file, plain(study.models_file))
    write_json(files.results, _results(study, notices))


def read_models(path: Path) -> CohortModels:
    """Read the models that a centre wrote.

    Raises
    ------
    InputError
        If the file is no such file, or holds no model.
    """
    return check_format(read_record(CohortModels, path), path.name)


def read_cohort(
    numbers: Mapping[str, Path],
    participants: Path,
    exclusions: Path | None = None,
    columns: Columns | None = None,
    settings: OutcomeSettings | None = None,
) -> Cohort:
    """Read records and tables of :class:`OutcomeFiles` into a cohort."""
    chosen = settings or OutcomeSettings()
    excluded = {}
    if exclusions is not None:
        table = read_table(exclusions, delimiter="\t")
        labels = [label.removeprefix("sub-") for label in table.texts("participant_id")]
        excluded = dict(zip(labels, table.texts("reason"), strict=True))
    return join_cohort(
        {s: patient_of(read_json(path), where=path.name) for s, path in numbers.items()},
        read_participants(participants),
        excluded=excluded,
        columns=columns,
        outcome_coding=chosen.outcome_coding,
        ilae_seizure_free=chosen.ilae_seizure_free,
        least_follow_up_months=chosen.least_follow_up_months,
    )


def _results(study: OutcomeStudy, notices: list[str]) -> dict[str, object]:
    cohort, chosen = study.cohort, study.settings
    return {
        "settings": {
            "n_resamples": chosen.resamples,
            "n_permutations": chosen.permutations,
            "n_iterations": chosen.iterations,
            "boosting_rounds": chosen.boosting_rounds,
            "adjust_for": chosen.adjust_for,
            "family": chosen.family,
            "published_rate_cut": PUBLISHED_RATE_CUT,
            "seed": chosen.seed,
        },
        "subjects": cohort.subjects,
        "seizure_free": int(cohort.seizure_free.sum()),
        "excluded": cohort.excluded,
        "warnings": study.warnings,
        "notices": notices,
    }
