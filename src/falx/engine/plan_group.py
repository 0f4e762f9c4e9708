"""The group level: it reads what the participant level has finished, never raw images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from falx.core.errors import InputError
from falx.core.settings import flatten
from falx.core.stage import Source, Stage
from falx.core.study import Study
from falx.engine.dataset import Dataset
from falx.engine.digest import Values
from falx.engine.failures import FAILURES
from falx.engine.job import Input, InputFile, Job, unit_of
from falx.engine.people import EXCLUSIONS, STATUS, excluded_people
from falx.engine.plan import Exclusion, LackingError, Plan, make_job, taken
from falx.engine.provenance import Record, read_record

__all__ = ["plan_group"]


TABLES = {"exclusions": EXCLUSIONS, "failures": FAILURES, "people": STATUS}
"""Tables that the engine keeps, by the name that stages give them."""


def plan_group(study: Study, dataset: Dataset, configuration: Any, out: Path) -> Plan:
    """Plan the group level: it takes what the participant level has finished.

    A stage that finds nothing to gather is left out, and so are those that need it.

    Raises
    ------
    InputError
        If no stage finds anything.
    """
    values = flatten(configuration)
    group = _Group(study, dataset, values, out)
    lacks: dict[str, LackingError] = {}
    for stage in study.at("group"):
        if stage.wanted(values):
            try:
                group.add(stage)
            except LackingError as lack:
                lacks[stage.name] = lack
    if lacks and not any(_gathers(job) for job in group.jobs.values()):
        raise next(iter(lacks.values()))
    omitted = tuple(Exclusion("", str(lack.found), name) for name, lack in lacks.items())
    return Plan(study, "group", tuple(group.jobs.values()), omitted=omitted)


def _gathers(job: Job) -> bool:
    return any(
        isinstance(value, Mapping) and any(file.job for file in value.values())
        for value in job.inputs.values()
    )


class _Group:
    """The plan of the group level, grown stage by stage."""

    def __init__(self, study: Study, dataset: Dataset, values: Values, out: Path) -> None:
        self.study, self.dataset, self.values, self.out = study, dataset, values, out
        self.excluded = excluded_people(out)
        self.jobs: dict[str, Job] = {}
        self.recipes: dict[str, str] = {}
        self.record = cache(self._record)

    def _record(self, subject: str, stage: str) -> Record | None:
        return read_record(self.out / "provenance" / unit_of(subject) / f"{stage}.json")

    def add(self, stage: Stage) -> None:
        inputs = {name: self._input(stage, source) for name, source in stage.sources.items()}
        params = {name: self.values[where] for name, where in stage.params.items()}
        self.jobs[stage.name] = job = make_job(
            self.study, stage, None, inputs, params, self.recipes
        )
        self.recipes[job.id] = job.recipe

    def _input(self, stage: Stage, source: Source) -> Input:
        if source.origin == "raw":
            wanted = self.study.raw[source.role]
            path = self.dataset.index.root / wanted.dataset_file
            if wanted.dataset_file and path.is_file():
                return InputFile(str(path), f"bids:raw:{wanted.dataset_file}")
            if source.optional:
                return None
            raise InputError(
                f"there is no {wanted.what}",
                where=self.dataset.index.root.name,
                do=f"add {wanted.dataset_file or 'it'} to the dataset",
            )
        if source.origin == "study":
            name = TABLES[source.role]
            return InputFile(str(self.out / name), name)
        if source.gather:
            return self._gather(stage, source)
        return taken(source, self.values, self.jobs)

    def _gather(self, stage: Stage, source: Source) -> Input:
        files = {}
        for subject in self.dataset.index.subjects:
            record = self.record(subject, source.origin)
            if record is None or subject in self.excluded:
                continue
            self.recipes[record.id] = record.recipe
            path = record.outputs[source.role].uri
            files[subject] = InputFile(path, path, record.id, source.role)
        if not files and source.optional:
            return None
        if not files:
            raise LackingError(
                f"no subject has what the stage {stage.name} gathers",
                found=f"no finished stage {source.origin}",
                do="run the participant level first",
            )
        return files
