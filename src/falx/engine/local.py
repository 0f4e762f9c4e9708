"""Runs jobs on this machine, side by side, in forks of one process that is not this one.

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
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.core.files import read_record, write_json
from falx.core.records import plain
from falx.core.study import load_study
from falx.engine.bundle import read_job, run_in_fork, write_jobs
from falx.engine.job import Job
from falx.engine.lease import lease_of
from falx.engine.memory import Budget
from falx.engine.pool import Pool, Step
from falx.engine.resources import Resources, shared_threads
from falx.engine.runner import Finished
from falx.engine.watch import Watch, forget, not_started, started

__all__ = ["EVERYTHING", "Orders", "run_here", "work_off"]

EVERYTHING = "every-step"
"""Name of all steps of a run; no stage is called so, for it is no identifier."""


@dataclass(frozen=True)
class Orders:
    """What the process that runs the jobs must know.

    Parameters
    ----------
    parent
        Process that waits for it.
    studies
        References of the studies, whose libraries are loaded once.
    """

    steps: tuple[Step, ...]
    studies: tuple[str, ...]
    parent: int
    cores: int
    mem_mb: int | None
    enforce_memory: bool


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
    threads = shared_threads(jobs, resources)
    write_jobs(jobs, out, threads)
    orders = Orders(
        tuple(Step(j.id, tuple(sorted(j.needs)), threads[j.stage], j.mem_mb) for j in jobs),
        tuple(sorted({job.study for job in jobs})),
        os.getpid(),
        resources.jobs,
        resources.mem_mb,
        resources.enforce_memory,
    )
    path = out / ".falx" / "jobs" / "all" / f"{EVERYTHING}.json"
    write_json(path, plain(orders))
    watch = Watch(jobs, out, progress)
    command = ["falx", "stage", EVERYTHING, str(path), "--lease", lease_of(out)]
    with started(command, out, lock, speaks=True) as process:
        for line in process.stdout or ():
            watch.look([line.strip()])
        code = process.wait()
    if not watch.end() and code != 0:
        raise not_started("the steps could not be started", out.name, out, code)
    return watch.finished


def work_off(path: Path, out: Path, lease: str) -> bool:
    """Run what :func:`run_here` has ordered; name every job that ended on the standard output."""
    orders = read_record(Orders, path)
    for study in orders.studies:
        load_study(study)
    voice = os.dup(1)
    os.dup2(2, 1)  # what else is printed goes to the log of the engine
    leads = os.getpgrp() == os.getpid()

    def work(job_id: str) -> None:
        os.close(voice)  # who listens waits until no process can speak
        job = read_job(out, job_id)
        threads = next(step.threads for step in orders.steps if step.job == job_id)
        run_in_fork(job, out, threads, lease, orders.enforce_memory)

    def check() -> None:
        if leads and os.getppid() != orders.parent:
            raise KeyboardInterrupt

    budget = Budget(orders.mem_mb, (os.getpid(), orders.parent) if leads else (os.getpid(),))
    gc.collect()
    gc.freeze()  # a fork that collects would copy what all can share
    pool = Pool(
        work,
        out,
        lease,
        cores=orders.cores,
        budget=budget,
        ended=lambda job_id: _say(voice, job_id),
        check=check,
    )
    done = pool.run(orders.steps)
    sys.stderr.write(f"most memory at a time: {budget.peak_mb:.0f} MB\n")
    return done


def _say(voice: int, word: str) -> None:
    os.write(voice, f"{word}\n".encode())
