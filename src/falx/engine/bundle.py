"""A job is a person: one process runs all stages of a person that are outdated.

Libraries are loaded once, and every stage runs in a fork of that process: it has memory, log,
record and failure of its own, gives its memory back when it ends, and takes no other with it when
it is killed. Nothing is computed before the fork, so no thread of a kernel is lost in it.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.core.files import write_text
from falx.core.study import load_study
from falx.engine.job import Job
from falx.engine.lease import check_lease
from falx.engine.provenance import record_path
from falx.engine.runner import ended_silently, failure_of, limit_memory, note_failure, run_job

__all__ = ["PERSON", "Bundle", "bundle_path", "run_bundle", "send_output_to"]

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
        content = {"jobs": [job.to_json() for job in self.jobs], "threads": dict(self.threads)}
        write_text(path, json.dumps(content))

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Read what :meth:`write` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(Job.from_json(text) for text in content["jobs"]), content["threads"])


def bundle_path(out: Path, unit: str) -> Path:
    """Return where the bundle of a person lies."""
    return out / ".falx" / "jobs" / unit / f"{PERSON}.json"


def run_bundle(
    bundle: Bundle, out: Path, *, lease: str = "", enforce_memory: bool = False
) -> bool:
    """Run what is not done yet; return whether everything is.

    A stage that takes from a failed one is passed over, the others run.
    """
    check_lease(out, lease)
    for study in {job.study for job in bundle.jobs}:
        load_study(study)
    broken: set[str] = set()
    for job in bundle.jobs:
        if record_path(out, job.id).exists():
            continue  # by an earlier attempt of the same bundle
        if not job.needs & broken:
            _in_fork(_runner(job, out, bundle.threads[job.stage], lease, enforce_memory))
            if record_path(out, job.id).exists():
                continue
            if failure_of(out, job.id) is None:
                check_lease(out, lease)
                note_failure(out, job.id, ended_silently(job))
        broken.add(job.id)
    return not broken


def _runner(
    job: Job, out: Path, threads: int, lease: str, enforce_memory: bool
) -> Callable[[], None]:
    def work() -> None:
        send_output_to(out / job.log)
        if enforce_memory:
            limit_memory(job.mem_mb)
        run_job(job, out, threads=threads, lease=lease)

    return work


def _in_fork(work: Callable[[], None]) -> None:
    """Run work in a fork of this process and wait for its end, however it ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that idle in libraries: see above
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    os.waitpid(child, 0)


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
