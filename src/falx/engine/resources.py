"""What a run may use, and how its jobs share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from falx.engine.job import Job

__all__ = ["Resources", "share_threads"]


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Parameters
    ----------
    jobs
        Cores on this machine; jobs at a time on a cluster.
    mem_mb
        Memory that a run on this machine, with all its jobs, may fill.
    profile
        Snakemake profile of a cluster.
    enforce_memory
        A job that asks for more memory than its stage is known to need fails, alone, instead
        of driving the machine into its swap.
    executor
        Executor of Snakemake. Neither this nor a profile: this machine.
    """

    jobs: int
    mem_mb: int | None = None
    profile: str = ""
    enforce_memory: bool = False
    executor: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether Snakemake hands the jobs to a cluster."""
        return bool(self.profile or self.executor)


def share_threads(jobs: Sequence[Job], resources: Resources) -> tuple[Job, ...]:
    """Give jobs their threads: people side by side before threads in one of them.

    No stage is twice as fast on two threads, and two people on one thread each are. On a
    cluster every job has cores of its own.
    """
    if resources.elsewhere:
        return tuple(jobs)
    people = Counter(job.stage for job in jobs)
    return tuple(
        replace(job, threads=max(1, min(job.threads, resources.jobs // people[job.stage])))
        for job in jobs
    )
