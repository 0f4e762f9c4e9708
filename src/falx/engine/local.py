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

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from falx.engine.job import Job
from falx.engine.lock import lease_of
from falx.engine.memory import Budget
from falx.engine.orders import EVERYTHING, Orders, orders_path, run_orders
from falx.engine.resources import Resources, share_threads
from falx.engine.runner import Finished
from falx.engine.watch import Watch, forget, not_started, started

__all__ = ["run_here", "work_off"]


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
    sys.stderr.write(f"most memory at a time: {budget.peak_mb:.0f} MB\n")
    return done


def _say(voice: int, word: str) -> None:
    os.write(voice, f"{word}\n".encode())
