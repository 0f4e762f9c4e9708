"""The group stage of `signature`: participants' numbers in, tables and a page out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from falx.core.errors import collect_notices
from falx.core.files import write_json, write_text
from falx.studies.outcome.cohort import read_cohort, read_exclusions
from falx.studies.outcome.outcome import OutcomeSettings, study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.tables import TABLES, write_table

__all__ = ["outcome_stage"]


def outcome_stage(
    *,
    numbers: Mapping[str, Path],
    participants: Path,
    exclusions: Path,
    report: Path,
    results: Path,
    patients: Path,
    table1: Path,
    groups: Path,
    models: Path,
    curves: Path,
    thresholds: Path,
    cuts: Path,
    volumes: Path,
    outcome_column: str | None,
    side_column: str | None,
    sex_column: str | None,
    age_column: str | None,
    onset_column: str | None,
    duration_column: str | None,
    seeg_column: str | None,
    outcome_coding: str,
    ilae_seizure_free: int,
    adjust_for: Sequence[str],
    resamples: int,
    permutations: int,
    iterations: int,
    boosting_rounds: int,
    seed: int,
) -> None:
    """Study the outcome of a group.

    Parameters
    ----------
    numbers
        Input: subject label to the JSON record of the participant level.
    participants
        Input: ``participants.tsv``.
    exclusions
        Input: table of the subjects that did not get through the participant level.
    report
        Output: the page.
    results
        Output: JSON with settings, warnings, exclusions and notices.
    patients, table1, groups, models, curves, thresholds, cuts, volumes
        Outputs: TSV tables; see :mod:`falx.studies.outcome.tables`.
    outcome_column, side_column, sex_column, age_column, onset_column, duration_column, seeg_column
        Headers of ``participants.tsv``; ``None``: the usual ones are looked for, see
        :data:`falx.studies.outcome.cohort.DEFAULT_COLUMNS`.
    outcome_coding, ilae_seizure_free
        See :func:`falx.studies.outcome.coding.read_outcomes`.
    adjust_for
        Covariates of the adjusted curves.
    resamples, permutations, iterations, boosting_rounds, seed
        Sizes and seed of the resampling; see `falx.studies.outcome.outcome.OutcomeSettings`.
    """
    columns = {
        "outcome": outcome_column,
        "left_side": side_column,
        "sex": sex_column,
        "age_years": age_column,
        "onset_years": onset_column,
        "duration_years": duration_column,
        "seeg": seeg_column,
    }
    paths = {
        "patients": patients,
        "table1": table1,
        "groups": groups,
        "models": models,
        "curves": curves,
        "thresholds": thresholds,
        "cuts": cuts,
        "volumes": volumes,
    }
    settings = OutcomeSettings(
        n_resamples=resamples,
        n_permutations=permutations,
        n_iterations=iterations,
        boosting_rounds=boosting_rounds,
        adjust_for=tuple(adjust_for),
        seed=seed,
    )
    with collect_notices() as notices:
        cohort = read_cohort(
            numbers,
            participants,
            exclusions=read_exclusions(exclusions),
            columns={name: header for name, header in columns.items() if header},
            outcome_coding=outcome_coding,
            ilae_seizure_free=ilae_seizure_free,
        )
        study = study_outcome(cohort, settings)
    write_text(report, outcome_page(study, notices=notices))
    for name, path in paths.items():
        write_table(path, TABLES[name](study))
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
