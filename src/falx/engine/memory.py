"""Memory of running jobs: what each holds, and which must end so that the budget is kept.

A job is admitted by the memory that its stage is known to need. Then two things bind it:

- Linux lets nobody get more than its limit (``RLIMIT_DATA``, changed from outside by ``prlimit``).
  The limits of all running jobs add up to the budget, and are shared anew when one begins or ends.
  That limit counts what is reserved, not what is filled, and an interpreter with OpenBLAS and LLVM
  reserves some hundred MB that it never touches: what the process that is forked had reserved is
  added.
- What each job holds, with all processes below it, is read twenty times a second. When the sum
  would pass the budget at the next look, if it goes on to grow as it did, the job that is furthest
  beyond its due is ended. It is the resident size, in which what processes share counts for each
  of them; the true sum is smaller.

Control groups would bind a tree exactly, but are not a user's to make on most machines; clusters
set them.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Budget", "resident_mb", "tree"]


@dataclass
class Budget:
    """Memory of a run on one machine, with everything that belongs to it.

    Parameters
    ----------
    limit_mb
        ``None``: unlimited.
    own
        Processes of the run that are no jobs.
    """

    limit_mb: float | None
    own: tuple[int, ...] = ()
    peak_mb: float = 0.0
    _held: dict[int, float] = field(default_factory=dict)

    def fits(self, need: float, running: Mapping[int, float]) -> bool:
        """Whether one more job that needs so much may run beside those that do.

        Parameters
        ----------
        running
            Process of each running job to the memory that it is known to need.
        """
        due = need + sum(self._due(running).values())
        return self.limit_mb is None or due + self._own_mb() <= self.limit_mb

    def bind(self, running: Mapping[int, float]) -> None:
        """Share the budget among the running jobs, as limits that the system keeps."""
        if self.limit_mb is None or not running or not hasattr(resource, "prlimit"):
            return
        due = self._due(running)
        more = (self.limit_mb - self._own_mb() - sum(due.values())) / len(due)
        for pid, need in due.items():
            with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
                resource.prlimit(pid, resource.RLIMIT_DATA, (_limit(need + more), hard))

    def beyond(self, running: Mapping[int, float]) -> tuple[int, float] | None:
        """Return the job that must end so that the budget is kept, and what it holds.

        A job may hold what it is known to need, and never more than there is for jobs.
        """
        if self.limit_mb is None:
            return None
        own = self._own_mb()
        now = {pid: sum(map(resident_mb, tree(pid))) for pid in running}
        total = own + sum(now.values())
        growth = sum(max(0.0, now[pid] - self._held.get(pid, now[pid])) for pid in now)
        self._held = now
        self.peak_mb = max(self.peak_mb, total)
        if total + growth <= self.limit_mb:
            return None
        over = {pid: now[pid] - min(running[pid], self.limit_mb - own) for pid in now}
        worst = max(over, key=over.__getitem__)
        return (worst, now[worst]) if over[worst] + growth > 0 else None

    def _due(self, running: Mapping[int, float]) -> dict[int, float]:
        """Return what each job needs, or holds if that is more."""
        return {pid: max(need, self._held.get(pid, 0.0)) for pid, need in running.items()}

    def _own_mb(self) -> float:
        return sum(map(resident_mb, self.own))


def tree(pid: int) -> list[int]:
    """Return a process and those below it."""
    found = [pid]
    for above in found:
        found += _children(above)
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task")
        names = [task / "children" for task in tasks.iterdir()]
        return [int(word) for name in names for word in name.read_text().split()]
    except OSError:
        return _children_by_search(pid) if not Path("/proc/self/task").exists() else []


def _children_by_search(pid: int) -> list[int]:
    """Where the system keeps no list of children, every process is asked for its parent."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return [child.pid for child in psutil.Process(pid).children()]
    return []


def _limit(mem_mb: float) -> int:
    """Return the limit of a fork of this process that is to hold so much and no more."""
    untouched = _reserved_mb() - resident_mb(os.getpid())
    return max(0, int((mem_mb + untouched) * 1e6))


def _reserved_mb() -> float:
    """Return what this process could write to without asking for more; Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmData:"):
            return float(line.split()[1]) * 1024 / 1e6
    return 0.0


def resident_mb(pid: int) -> float:
    """Return the memory that a process holds, 0 if it has ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss) / 1e6
    return 0.0
