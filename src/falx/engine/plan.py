"""A plan: the jobs that a study makes of a dataset, with every path and value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from falx.core.errors import InputError
from falx.core.stage import Source, Stage
from falx.core.study import Images, Study
from falx.engine.digest import Values, digest_value
from falx.engine.job import Input, InputFile, Job, unit_of

__all__ = ["Exclusion", "LackingError", "Plan", "config_file", "make_job", "taken"]


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


def taken(source: Source, values: Values, jobs: Mapping[str, Job]) -> Input:
    """Return what a stage takes from the configuration, or from earlier stages of its unit.

    Parameters
    ----------
    jobs
        Those of the unit that are planned, by stage.

    Raises
    ------
    LackingError
        If there is no such stage.
    """
    if source.origin == "config":
        return config_file(values, source)
    if source.origin == "provenance":
        return {job.stage: InputFile(job.record, job.record, job.id) for job in jobs.values()}
    if source.origin in jobs:
        job = jobs[source.origin]
        path = job.outputs[source.role]
        return InputFile(path, path, job.id, source.role)
    if source.optional:
        return None
    raise LackingError("an earlier stage is missing", found=f"no {source.origin}")


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


def make_job(
    study: Study,
    stage: Stage,
    subject: str | None,
    inputs: Mapping[str, Input],
    params: Values,
    recipes: Mapping[str, str],
) -> Job:
    """Join a stage with its paths and values, and compute its recipe."""
    outputs = {name: path.format(subject=subject) for name, path in stage.outputs.items()}
    job = Job(
        study=study.reference,
        stage=stage.name,
        version=stage.version,
        unit=unit_of(subject),
        inputs=inputs,
        outputs=outputs,
        params=params,
        recipe="",
        threads=stage.threads,
        mem_mb=stage.mem_mb,
        disk_mb=stage.disk_mb,
    )
    taken = {name: [recipes.get(file.job, ""), file.role] for name, file in job.files()}
    parts = [stage.name, stage.version, outputs, dict(params), taken, sorted(inputs)]
    return replace(job, recipe=digest_value(parts))
