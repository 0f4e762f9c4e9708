"""Runs jobs on this machine, or those of a person on a cluster: each in a fork of one process.

Orders say what that process is to run. It loads the libraries once; on this machine it runs all
that is to do, on a cluster the stages of a person, or one stage of the group
(:mod:`falx.engine.snakemake`). What has its record is not run again, so the same orders may be
given twice.

Why a runner of our own, and Snakemake only for clusters (:mod:`falx.engine.snakemake`), which
schedules as well. Measured in November 2026 with Snakemake 9.15:

- It brings 36 packages and 63 MB, a tenth of the installation.
- It does not deduct a lone ready job from ``mem_mb`` (``job_scheduler.py``), so jobs of 1000 and
  900 MB ran together under 1000 MB. Here nothing runs but what fits, and what outgrows its due is
  ended (:mod:`falx.engine.memory`).
- It starts a process for every job, each with 2 CPU seconds of imports, and takes some seconds
  itself. Here libraries are loaded once a run, and forked.

What is left to do here is little, for what must run was decided before
(:mod:`falx.engine.state`): jobs in their order, as cores and memory allow. The process that runs
them is another one than the caller's, which may be a notebook full of threads; it ends when the
caller does, however that ends.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from falx.core.files import write_text
from falx.core.study import load_for_forks
from falx.engine.job import Job
from falx.engine.lock import check_lease, lease_of
from falx.engine.memory import Budget
from falx.engine.pool import Pool
from falx.engine.provenance import record_path
from falx.engine.runner import Finished, limit_memory, run_job
from falx.engine.watch import Watch, forget, not_started, started

__all__ = [
    "PERSON", "Orders", "Resources", "orders_path", "run_here", "run_orders", "share_threads",
    "work_off",
]  # fmt: skip

PERSON, EVERYTHING = "person-level", "every-step"
"""Names of the orders for a person and for all: no stage can be called so."""


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


@dataclass(frozen=True)
class Orders:
    """Jobs, each after the jobs it takes from, and how they may run.

    Parameters
    ----------
    parent
        Process of this machine that waits for it; 0: the scheduler of a cluster.
    cores, mem_mb
        Of all jobs that run at a time.
    enforce_memory
        Whether a job may have no more memory than its stage is known to need.
    """

    jobs: tuple[Job, ...]
    parent: int = 0
    cores: int = 1
    mem_mb: int | None = None
    enforce_memory: bool = False

    def write(self, path: Path) -> None:
        """Write them for the process that runs them."""
        write_text(path, json.dumps(vars(self) | {"jobs": [job.to_json() for job in self.jobs]}))

    @classmethod
    def read(cls, path: Path) -> Orders:
        """Read what :meth:`write` wrote."""
        read = cls(**json.loads(path.read_text(encoding="utf-8")))
        return replace(read, jobs=tuple(Job.from_json(str(job)) for job in read.jobs))


def orders_path(out: Path, unit: str, name: str) -> Path:
    """Return where orders lie."""
    return out / ".falx" / "jobs" / unit / f"{name}.json"


def run_orders(
    orders: Orders,
    out: Path,
    *,
    lease: str = "",
    budget: Budget | None = None,
    ended: Callable[[str], None] = lambda _: None,
    begun: Callable[[], None] = lambda: None,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Run what is not done yet; return whether everything is.

    A stage that takes from a failed one is passed over, the others run.

    Parameters
    ----------
    ended, check
        See :class:`falx.engine.pool.Pool`.
    begun
        Called in the process of every job before it works.
    """
    check_lease(out, lease)
    for study in {job.study for job in orders.jobs}:
        load_for_forks(study)
    jobs = {job.id: job for job in orders.jobs if not record_path(out, job.id).exists()}

    def work(job_id: str) -> None:
        begun()
        job = jobs[job_id]
        _send_output_to(out / job.log)
        if orders.enforce_memory:
            limit_memory(job.mem_mb)
        run_job(job, out, lease=lease)

    budget = budget or Budget(orders.mem_mb)
    gc.collect()
    gc.freeze()  # a fork that collects would copy what all can share
    return Pool(work, out, lease, orders.cores, budget, ended, check).run(jobs.values())


def _send_output_to(log: Path) -> None:
    """Send everything that is printed, by libraries as well, to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def run_here(
    jobs: Sequence[Job],
    out: Path,
    *,
    lock: Path,
    resources: Resources,
    progress: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Run jobs and return how each ended; those below a failed job are not in the list.

    Parameters
    ----------
    lock
        Lock file that this process holds (:func:`falx.engine.lock.hold`).
    progress
        Called when a job ends.

    Raises
    ------
    KeyboardInterrupt
        After an interrupt, when every job has ended.
    InputError
        If nothing could be started.
    """
    forget(jobs, out)
    shared = share_threads(jobs, resources)
    own, limit = os.getpid(), resources.mem_mb
    orders = Orders(shared, own, resources.jobs, limit, resources.enforce_memory)
    path = orders_path(out, "all", EVERYTHING)
    orders.write(path)
    watch = Watch(jobs, out, progress)
    command = ["falx", "stage", str(path), "--lease", lease_of(out)]
    with started(command, out, lock, speaks=True) as process:
        for line in process.stdout or ():
            watch.look([line.strip()])
        code = process.wait()
    if not watch.end() and code != 0:
        raise not_started("the steps could not be started", out.name, out, code)
    return watch.finished


def work_off(orders: Orders, out: Path, lease: str) -> bool:
    """Run what :func:`run_here` has ordered; name every job that ended on the standard output."""
    voice = os.dup(1)
    os.dup2(2, 1)  # what else is printed goes to the log of the engine
    leads = os.getpgrp() == os.getpid()

    def check() -> None:
        if leads and os.getppid() != orders.parent:
            raise KeyboardInterrupt

    budget = Budget(orders.mem_mb, (os.getpid(), orders.parent) if leads else (os.getpid(),))
    done = run_orders(
        orders,
        out,
        lease=lease,
        budget=budget,
        ended=lambda job_id: _say(voice, job_id),
        begun=lambda: os.close(voice),  # who listens waits until no process can speak
        check=check,
    )
    if orders.mem_mb is not None:
        sys.stderr.write(f"most memory at a time: {budget.peak_mb:.0f} MB\n")
    return done


def _say(voice: int, word: str) -> None:
    os.write(voice, f"{word}\n".encode())
