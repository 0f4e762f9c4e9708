"""What the group level still does when one of its steps fails, and how the page names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from falx.core.files import write_table
from falx.core.study import Study
from falx.engine.digest import digest_value
from falx.engine.job import InputFile, Job, files_of

__all__ = ["FAILURES", "rescued", "write_failures"]

FAILURES = "failures.tsv"


def write_failures(out: Path, failures: Mapping[str, str]) -> None:
    """Write ``failures.tsv``: steps of the group level that failed, each with its sentence.

    Parameters
    ----------
    failures
        Id of a job to the reason.
    """
    rows = [(job.partition("/")[2], reason) for job, reason in failures.items()]
    write_table(out / FAILURES, ("step", "reason"), rows)


def rescued(study: Study, blocked: Iterable[Job], failed: Iterable[str]) -> list[Job]:
    """Return the blocked jobs that can do without what failed, with ``None`` in its place.

    Parameters
    ----------
    blocked
        Jobs that did not run, each after the jobs it takes from.
    failed
        Ids of the jobs that failed.
    """
    lost, able = set(failed), []
    for job in blocked:
        sources = study.stage(job.stage).sources
        missing = {
            name: isinstance(value, InputFile) and sources[name].optional
            for name, value in job.inputs.items()
            if any(file.job in lost for file in files_of(value).values())
        }
        if not all(missing.values()):
            lost.add(job.id)
            continue
        inputs = {name: None if name in missing else value for name, value in job.inputs.items()}
        recipe = digest_value([job.recipe, sorted(missing)]) if missing else job.recipe
        able.append(replace(job, inputs=inputs, recipe=recipe))
    return able
