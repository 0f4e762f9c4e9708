"""Why jobs failed, and what the group level still does when one of its steps has."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from falx.core.files import write_table, write_text
from falx.core.study import Study
from falx.engine.digest import digest_value, read_private
from falx.engine.job import InputFile, Job, files_of

__all__ = [
    "FAILURES", "RAN_OUT", "ended_silently", "failure_of", "failure_path", "note_failure",
    "rescued", "write_failures",
]  # fmt: skip

FAILURES = "failures.tsv"
RAN_OUT = "the memory ran out"


def failure_path(out: Path, job_id: str) -> Path:
    """Return where the reason of a failed job lies."""
    return out / ".falx" / "failed" / f"{job_id}.json"


def failure_of(out: Path, job_id: str) -> str | None:
    """Return the sentence of a job that failed, ``None`` if it did not."""
    reason = read_private(failure_path(out, job_id)).get("reason")
    return None if reason is None else str(reason)


def note_failure(out: Path, job_id: str, reason: str) -> None:
    """Keep why a job failed; on a full disk the last line of its log must do."""
    with contextlib.suppress(OSError):
        write_text(failure_path(out, job_id), json.dumps({"reason": reason}))


def ended_silently(job_id: str) -> str:
    """Return the sentence of a job whose process is gone and left none itself."""
    return f"{job_id.replace('/', ' ')}: the process ended without a word; was it killed?"


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
