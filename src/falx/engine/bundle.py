"""A job of a cluster is a person: one process runs all stages of a person that are outdated."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.core.files import write_text
from falx.core.study import load_study
from falx.engine.job import GROUP, Job
from falx.engine.lease import check_lease
from falx.engine.pool import Pool, Step
from falx.engine.provenance import record_path
from falx.engine.runner import limit_memory, run_job

__all__ = [
    "PERSON",
    "Bundle",
    "bundle_path",
    "bundles_of",
    "read_job",
    "run_bundle",
    "run_in_fork",
    "send_output_to",
    "write_jobs",
]

PERSON = "person-level"
"""Name of the bundles of people; no stage is called so, for it is no identifier."""


@dataclass(frozen=True)
class Bundle:
    """Jobs of one unit, each after the jobs it takes from.

    Parameters
    ----------
    threads
        Cores of each, by stage.
    """

    jobs: tuple[Job, ...]
    threads: Mapping[str, int]

    def write(self, path: Path) -> None:
        """Write it for the process that runs it."""
        write_text(path, json.dumps([dict(self.threads), *(job.to_json() for job in self.jobs)]))

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Read what :meth:`write` wrote."""
        threads, *jobs = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(map(Job.from_json, jobs)), threads)


def bundle_path(out: Path, unit: str) -> Path:
    """Return where the bundle of a person lies."""
    return out / ".falx" / "jobs" / unit / f"{PERSON}.json"


def run_bundle(
    bundle: Bundle, out: Path, *, lease: str = "", enforce_memory: bool = False
) -> bool:
    """Run what is not done yet, one stage after the other; return whether everything is.

    A stage that takes from a failed one is passed over, the others run.
    """
    check_lease(out, lease)
    for study in {job.study for job in bundle.jobs}:
        load_study(study)
    jobs = {job.id: job for job in bundle.jobs if not record_path(out, job.id).exists()}

    def work(job_id: str) -> None:
        job = jobs[job_id]
        run_in_fork(job, out, bundle.threads[job.stage], lease, enforce_memory)

    return Pool(work, out, lease).run(Step(job.id, tuple(job.needs)) for job in jobs.values())


def run_in_fork(job: Job, out: Path, threads: int, lease: str, enforce_memory: bool) -> None:
    """Run a job in a process that is its own: all that is printed goes to its log."""
    send_output_to(out / job.log)
    if enforce_memory:
        limit_memory(job.mem_mb)
    run_job(job, out, threads=threads, lease=lease)


def send_output_to(log: Path) -> None:
    """Send everything that is printed, by libraries as well, to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def bundles_of(jobs: Sequence[Job], threads: Mapping[str, int]) -> dict[str, Bundle]:
    """Return the bundles of the people among some jobs, by unit."""
    units: dict[str, list[Job]] = {}
    for job in jobs:
        units.setdefault(job.unit, []).append(job)
    return {unit: Bundle(tuple(own), threads) for unit, own in units.items()}


def write_jobs(jobs: Sequence[Job], out: Path, threads: Mapping[str, int]) -> dict[str, Bundle]:
    """Write jobs for the processes that run them, and return the bundles of the people."""
    bundles = bundles_of([job for job in jobs if job.unit != GROUP], threads)
    for unit, bundle in bundles.items():
        bundle.write(bundle_path(out, unit))
    for job in jobs:
        if job.unit == GROUP:
            write_text(_group_path(out, job.id), job.to_json())
    return bundles


def read_job(out: Path, job_id: str) -> Job:
    """Read one of the jobs that :func:`write_jobs` wrote."""
    unit = job_id.partition("/")[0]
    if unit == GROUP:
        return Job.from_json(_group_path(out, job_id).read_text(encoding="utf-8"))
    return next(job for job in Bundle.read(bundle_path(out, unit)).jobs if job.id == job_id)


def _group_path(out: Path, job_id: str) -> Path:
    return out / ".falx" / "jobs" / f"{job_id}.json"
