"""The group stage of `signature`: participants' numbers in, tables and a page out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from falx.core.errors import InputError, collect_notices
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
from falx.core.tables import is_missing
from falx.data.mo2025 import PUBLISHED_RATE_CUT
from falx.images.nifti import load
from falx.report.page import Section, Text, render
from falx.report.people import people_section
from falx.studies.outcome.cohort import PUBLISHED, Cohort, join_cohort
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.fields import Field, page_table, rows_of
from falx.studies.outcome.labels import counted, label
from falx.studies.outcome.model_fields import chance_range
from falx.studies.outcome.outcome import OutcomeSettings, OutcomeStudy, study_outcome
from falx.studies.outcome.overlays import Overlay, overlays_page
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.patient import patient_of
from falx.studies.outcome.phantom import PhantomCohort
from falx.studies.outcome.pooling import (
    CentreResult,
    results_of_models,
    results_of_validation,
)
from falx.studies.outcome.score_model import CohortModels, check_format, predict
from falx.studies.outcome.tables import TABLES

__all__ = [
    "OutcomeFiles",
    "OverlayFiles",
    "as_text",
    "outcome_stage",
    "overlays_stage",
    "prognosis_lines",
    "read_cohort",
    "read_models",
    "read_results",
    "write_fields",
    "write_phantom",
]

T = TypeVar("T")


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
    joint, knots, prognosis, checks, calibration, validation
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
    calibration: Path
    validation: Path
    models_file: Path


def outcome_stage(files: OutcomeFiles, columns: Columns, settings: OutcomeSettings) -> None:
    """Study the outcome of a group."""
    _study_files(files, columns, settings)


def _study_files(
    files: OutcomeFiles, columns: Columns, settings: OutcomeSettings, *, simulated: bool = False
) -> None:
    """Study the outcome of patients, or of simulated ones, who are called that everywhere."""
    with collect_notices() as notices:
        cohort = read_cohort(
            files.numbers, files.participants, files.exclusions, columns, settings
        )
        if simulated:
            source = counted(len(cohort.subjects), "simulated patient")
            cohort = replace(cohort, source=source)
        model = None if settings.validate is None else read_models(settings.validate)
        study = study_outcome(cohort, settings, model)
    check_possible(study)
    people = people_section(read_table(files.people).records(), cohort.excluded)
    page = outcome_page(study, notices=notices, people=people, simulated=simulated)
    write_text(files.report, page)
    for name, table in TABLES.items():
        write_table(getattr(files, name), *table(study))
    write_json(files.models_file, plain(study.models_file))
    write_json(files.results, _results(study, notices))


@dataclass(frozen=True)
class OverlayFiles:
    """Files of the page of overlays.

    Parameters
    ----------
    signatures, ablations
        Inputs: subject label to masks on the template's grid; not everybody has an ablation.
    patients
        Input: table of the patients of the group, with their outcome.
    page
        Output: the page.
    """

    signatures: Mapping[str, Path]
    patients: Path
    page: Path
    ablations: Mapping[str, Path] | None = None


def overlays_stage(files: OverlayFiles) -> None:
    """Draw signature and cavity of every patient of the group, by outcome."""
    found, ablations = [], files.ablations or {}
    for row in read_table(files.patients).records():
        subject = row["participant_id"].removeprefix("sub-")
        if subject not in files.signatures:
            continue
        rate = row.get("rate_hippocampus", "n/a")
        path = ablations.get(subject)
        found.append(
            Overlay(
                subject,
                row["seizure_free"] == "1",
                load(files.signatures[subject]),
                None if path is None else load(path),
                None if is_missing(rate) else float(rate),
            )
        )
    write_text(files.page, overlays_page(found))


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
        "read_as": cohort.read_as,
        "warnings": study.warnings,
        "notices": notices,
    }


def prognosis_lines(found: CohortModels, path: Path) -> list[tuple[str, bool]]:
    """Return what each model says of the patient of a record, and whether it gives a number."""
    patient = patient_of(read_json(path), where=path.name)
    lines = []
    for model in found.models:
        rate = patient.values.get(model.score)
        named = f"{path.name}, {label(model.score)}"
        if rate is None:
            lines.append((f"{named}: no prognosis, the record has no such rate.", False))
            continue
        published = model.score.endswith("_published")
        rule = PUBLISHED if published else patient.definition
        for prior in model.lines:
            try:
                chance = predict(model, rate, rule, prior=prior)
            except InputError as reason:
                lines.append((f"{named}: no prognosis. {reason}", False))
                break
            said = (
                f"{named} {rate:.1%}: seizure freedom expected in {chance_range(chance)}, 95 % "
                f"interval, {prior} prior; {model.n} patients, {model.events} seizure free."
            )
            lines.append((said, True))
    return lines


def read_results(paths: Sequence[Path]) -> list[CentreResult]:
    """Read the result files of several centres.

    Raises
    ------
    InputError
        If two of them come from the same patients.
    """
    results: list[CentreResult] = []
    made: dict[str, str] = {}
    for path in paths:
        name = str(path)
        if path.suffix == ".tsv":
            results += results_of_validation(name, list(read_table(path).records()))
            continue
        found = read_models(path)
        for model in found.models:
            mark = f"{model.score} {model.fingerprint}"
            if made.setdefault(mark, name) != name:
                raise InputError(
                    "two files come from the same patients",
                    where=path,
                    found=made[mark],
                    do="give each centre once",
                )
        results += results_of_models(name, found)
    if len({str(path.absolute()) for path in paths}) < len(paths):
        raise InputError("a file is named twice", do="give each centre once")
    return results


def as_text(fields: Sequence[Field[T]], results: Sequence[T]) -> str:
    """Return results as they stand on a page, as aligned text."""
    table = page_table(fields, results)
    rows = [list(table.columns), *([text for text, _ in cells] for _, cells in table.lines)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def write_fields(
    folder: Path, name: str, title: str, fields: Sequence[Field[T]], results: Sequence[T],
    said: str = "",
) -> Path:  # fmt: skip
    """Write results as TSV and page; return the path of the page."""
    write_table(folder / f"{name}.tsv", *rows_of(fields, results))
    blocks = [Text(said)] if said else []
    page = folder / f"{name}.html"
    write_text(page, render(title, [Section("Results", [*blocks, page_table(fields, results)])]))
    return page


def write_phantom(
    folder: Path, made: PhantomCohort, settings: OutcomeSettings | None = None
) -> Path:
    """Write a phantom's records and table, and what the group level makes of them."""
    numbers = {}
    for subject, record in made.records.items():
        numbers[subject] = folder / f"numbers/sub-{subject}_desc-numbers_metrics.json"
        write_json(numbers[subject], record)
    header = made.participants.columns
    rows = [[f"sub-{s}", *cells.values()] for s, cells in made.participants.rows.items()]
    tables = {
        "participants": (header, rows),
        "exclusions": (["participant_id", "reason"], []),
        "people": (
            ["participant_id", "status", "group", "stage", "reason"],
            [[f"sub-{s}", "finished", "included", "n/a", "n/a"] for s in numbers],
        ),
    }
    for name, (columns, lines) in tables.items():
        write_table(folder / f"{name}.tsv", columns, lines)
    outputs = {name: folder / f"group/desc-{name}_outcome.tsv" for name in TABLES}
    files = OutcomeFiles(
        numbers=numbers,
        **{name: folder / f"{name}.tsv" for name in tables},
        report=folder / "group.html",
        results=folder / "group/desc-results_outcome.json",
        models_file=folder / "group/desc-models_outcome.json",
        **outputs,
    )
    _study_files(files, Columns(), settings or OutcomeSettings(), simulated=True)
    return files.report
