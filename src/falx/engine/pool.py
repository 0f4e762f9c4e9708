"""Jobs in forks of one process, side by side as cores and memory allow.

The libraries of a study are loaded once, for everybody. Every job runs in a fork: it has
memory, log, record and failure of its own, gives its memory back when it ends, and takes no other
with it when it is killed. Nothing is computed before a fork, so no thread of a kernel is lost.

What such a process is told stands in its orders (:mod:`falx.engine.orders`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.failures import (
    RAN_OUT,
    ended_silently,
    failure_of,
    failure_path,
    note_failure,
)  # fmt: skip
from falx.engine.job import Job
from falx.engine.lock import check_lease
from falx.engine.memory import Budget, tree
from falx.engine.provenance import record_path

__all__ = ["Pool"]

_PATIENCE_S = 3.0
_SHORT_S, _LONG_S = 0.002, 0.05
"""Between two looks at the jobs; the longer one bounds what memory may grow unseen."""


@dataclass
class Pool:
    """Runs jobs, each after those it needs; what needs a failed one is passed over.

    Parameters
    ----------
    work
        Runs one job, in a process of its own.
    out
        Output folder, where jobs leave records and failures.
    lease
        Token of the run, see :func:`falx.engine.runner.run_job`.
    cores
        Threads of all jobs that run at a time; one with more of them runs alone.
    budget
        Memory of all jobs that run at a time; one that needs more runs alone.
    ended
        Called with the id of every job that ended.
    check
        Called at every look; raises if all must end.
    """

    work: Callable[[str], None]
    out: Path
    lease: str = ""
    cores: int = 1
    budget: Budget = field(default_factory=lambda: Budget(None))
    ended: Callable[[str], None] = lambda _: None
    check: Callable[[], None] = lambda: None
    _above: dict[str, frozenset[str]] = field(default_factory=dict)
    _begins: int = -1
    _bound: int = -1

    def run(self, jobs: Iterable[Job]) -> bool:
        """Run all and return whether every one is done."""
        waiting = {job.id: job for job in jobs}
        self._above = {job.id: job.needs for job in waiting.values()}
        running: dict[int, Job] = {}
        broken: set[str] = set()
        self._begins, self._bound = os.pipe()
        try:
            while True:
                before = set(running)
                self._start(waiting, running, broken)
                self.budget.bind(_needs(running))
                os.write(self._bound, b"." * len(running.keys() - before))
                if not running:
                    return not broken
                job = running.pop(self._wait(running))
                if not self._is_done(job.id):
                    if alone := self._alone(job):
                        waiting[job.id] = alone
                        continue
                    broken.add(job.id)
                self.ended(job.id)
        finally:
            _end(list(running))
            os.close(self._begins)
            os.close(self._bound)

    def _begin(self, job: str) -> None:
        """Work, in the fork, once its memory is bound; not at all if its parent is gone."""
        os.close(self._bound)
        if os.read(self._begins, 1):
            self.work(job)

    def _start(self, waiting: dict[str, Job], running: dict[int, Job], broken: set[str]) -> None:
        """Start what can; the first in order that fits comes first, people thus one by one."""
        under_way = {job.id for job in running.values()}
        for job in list(waiting.values()):
            if sum(other.threads for other in running.values()) >= self.cores:
                return
            above = self._above[job.id]
            if not broken.isdisjoint(above):
                broken.add(job.id)
                del waiting[job.id]
            elif (
                under_way.isdisjoint(above)
                and waiting.keys().isdisjoint(above)
                and self._fits(job, running)
            ):
                del waiting[job.id]
                under_way.add(job.id)
                running[_fork(partial(self._begin, job.id))] = job

    def _fits(self, job: Job, running: dict[int, Job]) -> bool:
        together = [job, *running.values()]
        return not running or (
            sum(other.threads for other in together) <= self.cores
            and self.budget.fits(job.mem_mb, _needs(running))
        )

    def _wait(self, running: dict[int, Job]) -> int:
        """Wait for the end of one job and return its process."""
        pause = _SHORT_S
        while True:
            for pid in running:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    return pid
            self.check()
            self._watch(running)
            time.sleep(pause)
            pause = min(2 * pause, _LONG_S)

    def _watch(self, running: dict[int, Job]) -> None:
        if found := self.budget.beyond(_needs(running)):
            pid, mem_mb = found
            job = running[pid]
            reason = InputError(
                f"{RAN_OUT} that the run may fill, so the step was ended",
                where=job.id.replace("/", " "),
                found=f"{mem_mb:.0f} MB and growing; {job.mem_mb} MB are known to be needed, "
                f"and all may fill {self.budget.limit_mb:.0f} MB",
                do="give more --mem-gb, or a machine with more memory",
            )
            note_failure(self.out, job.id, str(reason))
            _kill(pid)

    def _alone(self, job: Job) -> Job | None:
        """Return a job that ran out of its share of memory, so that it runs once more, alone."""
        limit, reason = self.budget.limit_mb, failure_of(self.out, job.id) or ""
        if limit is None or job.mem_mb >= limit or RAN_OUT not in reason:
            return None
        return replace(job, mem_mb=int(limit))

    def _is_done(self, job: str) -> bool:
        """Whether a job that ended has left its record; if it had begun, else a reason."""
        if record_path(self.out, job).exists():
            failure_path(self.out, job).unlink(missing_ok=True)
            return True
        begun = (self.out / "logs" / f"{job}.log").exists()
        if begun and failure_of(self.out, job) is None:
            check_lease(self.out, self.lease)
            note_failure(self.out, job, ended_silently(job))
        return False


def _needs(running: dict[int, Job]) -> dict[int, float]:
    return {pid: float(job.mem_mb) for pid, job in running.items()}


def _fork(work: Callable[[], None]) -> int:
    """Run work in a fork of this process and return its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that idle in libraries: see above
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except Exception:  # noqa: BLE001 - the fork must not go on as its parent
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _end(jobs: list[int]) -> None:
    """End jobs, kindly first, so that they can clean up behind them."""
    for pid in jobs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while jobs := [pid for pid in jobs if not os.waitpid(pid, os.WNOHANG)[0]]:
        if time.monotonic() > deadline:
            for pid in jobs:
                _kill(pid)
        time.sleep(_SHORT_S)


def _kill(pid: int) -> None:
    """End a job and what it has started."""
    for process in reversed(tree(pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
