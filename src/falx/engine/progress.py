"""How far a run is, and how long it may still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from falx.engine.job import Job
from falx.engine.provenance import read_records
from falx.engine.runner import Finished

__all__ = ["Progress", "Step", "Watcher", "duration", "usual_seconds"]

SHOWN_FROM_S = 10.0
"""Less than this is not worth an estimate."""


@dataclass(frozen=True)
class Step:
    """A step that has ended.

    Parameters
    ----------
    done, total
        Steps that have ended, and all of this round.
    step
        Name for people: ``"sub-07 anatomy"``.
    seconds
        How long it took.
    failure
        Why it failed, ``None`` if it did not.
    left_s
        Estimate of what the others will take, ``None`` before there is one.
    """

    done: int
    total: int
    step: str
    seconds: float
    failure: str | None
    left_s: float | None


Watcher = Callable[[Step], None]


def usual_seconds(out: Path) -> dict[str, float]:
    """Return the median time of each stage over the people who have gone through it, seconds."""
    found: dict[str, list[float]] = {}
    for record in read_records(out):
        found.setdefault(record.stage, []).append(record.seconds)
    return {stage: median(seconds) for stage, seconds in found.items()}


class Progress:
    """Turns the end of a job into a line, and estimates the rest.

    A step that is still to come is taken to last as long as the mean of those of its stage that
    have ended, or else as it usually did in this folder, or else as the mean of all that have
    ended. Steps run side by side: what they took together, over the time that has passed, is how
    fast the rest will go. No published source: a plain extrapolation, so the line says "about".
    """

    def __init__(
        self,
        todo: Sequence[Job],
        out: Path,
        say: Callable[[str], None],
        watch: Watcher = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs = {job.id: job for job in todo}
        self.waiting = dict(self.jobs)
        self.out, self.say, self.watch, self.clock = out, say, watch, clock
        self.start, self.usual = clock(), usual_seconds(out)
        self.took: dict[str, list[float]] = {}

    def __call__(self, result: Finished) -> None:
        """Note that a job has ended, and say so."""
        job = self.jobs[result.job]
        self.waiting.pop(result.job, None)
        self.took.setdefault(job.stage, []).append(result.seconds)
        total, done = len(self.jobs), len(self.jobs) - len(self.waiting)
        left_s = self.left_s()
        self.watch(Step(done, total, job.title, result.seconds, result.failure, left_s))
        head = f"[{done:{len(str(total))}} of {total}] {job.title}"
        if result.failure is not None:
            self.say(f"{head} FAILED: {result.failure} Log: {self.out / result.log}")
            return
        shown = left_s is not None and left_s >= SHOWN_FROM_S
        left = f"; about {duration(left_s)} left" if left_s is not None and shown else ""
        self.say(f"{head} ({result.seconds:.1f} s{left})")

    def left_s(self) -> float | None:
        """Estimate the seconds that the waiting jobs will take.

        ``None`` before two have ended, unless it is known how long every step usually takes.
        """
        ended = [seconds for took in self.took.values() for seconds in took]
        done_s, passed_s = sum(ended), self.clock() - self.start
        if not self.waiting:
            return 0.0
        means = {stage: sum(took) / len(took) for stage, took in self.took.items()}
        known = {**self.usual, **means}
        needed = 1 if all(job.stage in self.usual for job in self.waiting.values()) else 2
        if len(ended) < needed or done_s <= 0:
            return None
        others = done_s / len(ended)
        rest_s = sum(known.get(job.stage, others) for job in self.waiting.values())
        return rest_s * passed_s / done_s


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    Examples
    --------
    >>> duration(42.3), duration(200), duration(9000)
    ('42 s', '3 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
