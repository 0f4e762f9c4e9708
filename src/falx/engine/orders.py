"""Orders: jobs for a process that loads their libraries once and runs each in a fork.

On this machine one such process runs all that is to do (:mod:`falx.engine.local`); on a cluster
one runs the stages of a person, or one stage of the group (:mod:`falx.engine.snakemake`). What has
its record is not run again, so the same orders may be given twice.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from falx.core.files import write_text
from falx.core.study import load_study
from falx.engine.job import Job
from falx.engine.lock import check_lease
from falx.engine.memory import Budget
from falx.engine.pool import Pool
from falx.engine.provenance import record_path
from falx.engine.runner import limit_memory, run_job

__all__ = ["EVERYTHING", "PERSON", "Orders", "orders_path", "run_orders"]

PERSON, EVERYTHING = "person-level", "every-step"
"""Names of the orders for a person and for all: no stage can be called so."""


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
        load_study(study)
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
