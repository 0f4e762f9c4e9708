"""What is up to date: content and recipe decide, never the age of a file.

A job is up to date when its record carries the recipe of the plan, its inputs have the
content they had, and its outputs are as it left them. Files whose size and time of change
are those of the record are not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from falx.core.records import name_alone
from falx.engine.digest import DigestCache, stamp
from falx.engine.job import Job
from falx.engine.provenance import FileRecord, Record, read_record, record_path

__all__ = ["outdated"]


def outdated(jobs: Iterable[Job], out: Path, digests: DigestCache) -> dict[str, str]:
    """Return the jobs that must run, by id, each with the reason in words.

    Parameters
    ----------
    jobs
        Each after the jobs it takes from.
    out
        Output folder with the records of earlier runs.
    digests
        Remembers the digests of files whose time of change is not that of the record.

    Notes
    -----
    A job whose recipe or input changed makes every job below it run. A job whose output is
    only missing or damaged does not: it will give the same content again, and
    where it does not, the jobs below show as outdated when it has finished.
    """

    @cache
    def record_of(job_id: str) -> Record | None:
        return read_record(record_path(out, job_id))

    reasons: dict[str, str] = {}
    changed: set[str] = set()
    for job in jobs:
        record = record_of(job.id)
        if record is None:
            reasons[job.id] = "not done yet"
            continue
        above = sorted(need for need in job.needs if need in changed)
        if reason := (_changed(job, record, above) or _inputs(job, record, record_of, digests)):
            changed.add(job.id)
            reasons[job.id] = reason
        elif reason := _outputs(record, out, digests):
            reasons[job.id] = reason
    return reasons


def _changed(job: Job, record: Record, above: list[str]) -> str:
    """Why the job no longer is what its record says; empty if it is."""
    if above:
        return f"{above[0].partition('/')[2]} is done again"
    if job.version != record.version:
        return f"version of the stage: {record.version} is now {job.version}"
    if job.recipe == record.recipe:
        return ""
    for name, value in job.params.items():
        if name not in record.params:
            return f"{name} is new"
        before, now = name_alone(record.params[name]), name_alone(value)
        if before != now:
            return f"{name}: {before} is now {now}"
    return "what it takes or writes changed"


def _inputs(
    job: Job, record: Record, record_of: Callable[[str], Record | None], digests: DigestCache
) -> str:
    """Why an input is no longer what was read: a file from outside, or another job's output."""
    for name, file in job.files():
        known = record.inputs.get(name)
        if file.job:
            above = record_of(file.job)
            left = above.outputs.get(file.role) if above is not None else None
            same = left is None or (known is not None and known.blake2b == left.blake2b)
        else:
            same = known is not None and _same_content(Path(file.path), known, digests)
        if not same:
            return f"the input {name} changed"
    return ""


def _outputs(record: Record, out: Path, digests: DigestCache) -> str:
    """Why an output is no longer as the job left it."""
    for file in record.outputs.values():
        path = out / file.uri
        if stamp(path) is None:
            return f"{path.name} is missing"
        if not _same_content(path, file, digests):
            return f"{path.name} was changed after it was written"
    return ""


def _same_content(path: Path, known: FileRecord, digests: DigestCache) -> bool:
    now = stamp(path)
    if now is None or now[0] != known.bytes:
        return False
    return now[1] == known.mtime_ns or digests.get(path) == known.blake2b
