"""A plan: the jobs that a study makes of a dataset, with every path and value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from falx.bids.dataset import Dataset
from falx.core.errors import InputError
from falx.core.stage import Source, Stage
from falx.core.study import Images, Study
from falx.engine.digest import Values, digest_value
from falx.engine.job import Input, InputFile, Job, unit_of

__all__ = ["Exclusion", "LackingError", "Plan", "Unit", "config_file"]


class LackingError(InputError):
    """A stage lacks what it takes, or a stage that lacks it; the study can do without."""


@dataclass(frozen=True)
class Exclusion:
    """A subject, or a stage of a subject, that is left out, and why."""

    subject: str
    reason: str
    stage: str = ""


@dataclass(frozen=True)
class Plan:
    """The jobs of one level of a study, each after the jobs it takes from.

    Parameters
    ----------
    excluded
        Subjects that cannot be studied.
    omitted
        Stages that a subject does not get since it lacks an optional image.
    images
        Files found, by subject and role.
    """

    study: Study
    level: str
    jobs: tuple[Job, ...]
    excluded: tuple[Exclusion, ...] = ()
    omitted: tuple[Exclusion, ...] = ()
    images: Images = field(default_factory=dict)


class Unit:
    """The plan of a person, or of the group, grown stage by stage.

    Parameters
    ----------
    values
        The configuration, by key.
    subject
        Label of the person, ``None`` for the group.
    """

    def __init__(
        self, study: Study, dataset: Dataset, values: Values, subject: str | None = None
    ) -> None:
        self.study, self.dataset, self.values, self.subject = study, dataset, values, subject
        self.jobs: dict[str, Job] = {}
        self.recipes: dict[str, str] = {}

    def add(self, stage: Stage) -> None:
        """Join a stage with its paths and values, and compute its recipe.

        Raises
        ------
        LackingError
            If there is not what it takes.
        """
        inputs = {name: self.input(stage, source) for name, source in stage.sources.items()}
        params = {name: self.value(where) for name, where in stage.params.items()}
        outputs = {name: path.format(subject=self.subject) for name, path in stage.outputs.items()}
        job = Job(
            study=self.study.reference,
            stage=stage.name,
            version=stage.version,
            unit=unit_of(self.subject),
            inputs=inputs,
            outputs=outputs,
            params=params,
            recipe="",
            threads=stage.threads,
            mem_mb=stage.mem_mb,
            disk_mb=stage.disk_mb,
        )
        taken = {name: [self.recipes.get(file.job, ""), file.role] for name, file in job.files()}
        parts = [stage.name, stage.version, outputs, params, taken, sorted(inputs)]
        self.jobs[stage.name] = replace(job, recipe=digest_value(parts))
        self.recipes[job.id] = self.jobs[stage.name].recipe

    def value(self, where: str) -> Any:
        """Return a parameter by where it is: here, a key of the configuration."""
        return self.values[where]

    def input(self, stage: Stage, source: Source) -> Input:
        """Return what a stage takes from the configuration, or from an earlier one of the unit."""
        if source.origin == "config":
            return config_file(self.values, source)
        if source.origin == "provenance":
            own = self.jobs.values()
            return {job.stage: InputFile(job.record, job.record, job.id) for job in own}
        if source.origin in self.jobs:
            job = self.jobs[source.origin]
            path = job.outputs[source.role]
            return InputFile(path, path, job.id, source.role)
        if source.optional:
            return None
        raise LackingError(f"the stage {stage.name} lacks an earlier", found=f"no {source.origin}")


def config_file(values: Values, source: Source) -> Input:
    """Return a file that the configuration names, or several of them by number."""
    named = values[source.role]
    if not named:
        if source.optional:
            return None
        raise InputError(f"the configuration must name a file for {source.role}")
    if isinstance(named, tuple):
        return {str(i): _named(source.role, path) for i, path in enumerate(named, 1)}
    return _named(source.role, named)


def _named(role: str, path: Path | str) -> InputFile:
    return InputFile(str(path), f"config:{role}:{Path(path).name}")
