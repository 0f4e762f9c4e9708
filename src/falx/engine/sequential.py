"""Runs jobs one after the other in this process: for tests, notebooks and small studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from falx.engine.job import Job
from falx.engine.runner import Finished, run_job

__all__ = ["run_sequentially"]


def run_sequentially(
    jobs: Iterable[Job],
    out: Path,
    *,
    threads: int | None = None,
    lease: str = "",
    progress: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Run jobs in order; those that take from a failed one are passed over.

    Parameters
    ----------
    jobs
        Each after the jobs it takes from.
    lease
        Token of the run, see :func:`falx.engine.runner.run_job`.
    progress
        Called after every job.
    """
    finished: list[Finished] = []
    broken: set[str] = set()
    for job in jobs:
        if job.needs & broken:
            broken.add(job.id)
            continue
        result = run_job(job, out, threads=threads, lease=lease)
        if result.failure is not None:
            broken.add(job.id)
        progress(result)
        finished.append(result)
    return finished
