"""How the jobs of a run in other processes end, told by the files that they leave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import falx
from falx.core.errors import InputError
from falx.core.threads import ENVIRONMENT
from falx.engine.failures import ended_silently, failure_of, failure_path, note_failure
from falx.engine.job import Job
from falx.engine.lock import end_group, register_child
from falx.engine.provenance import discard, read_record, record_path
from falx.engine.runner import Finished

__all__ = ["ENGINE_LOG", "Watch", "forget", "not_started", "started"]

ENGINE_LOG = "logs/engine.log"
BESIDE = ".falx/bin"
"""Programs that a started process finds before those of the system."""


def forget(jobs: Iterable[Job], out: Path) -> None:
    """Delete what earlier runs left of jobs that are to run."""
    for job in jobs:
        discard(out, job.id, job.outputs.values())
        failure_path(out, job.id).unlink(missing_ok=True)
        (out / job.log).unlink(missing_ok=True)


class Watch:
    """Notices jobs that have ended, by their records and failures, never by what is printed."""

    def __init__(
        self, jobs: Iterable[Job], out: Path, progress: Callable[[Finished], None]
    ) -> None:
        self.pending = {job.id: job for job in jobs}
        self.out, self.progress = out, progress
        self.finished: list[Finished] = []

    def look(self, ids: Iterable[str] | None = None) -> None:
        """Report which of the jobs given, or of all, ended since the last look."""
        for job_id in list(self.pending) if ids is None else ids:
            job, reason = self.pending.get(job_id), failure_of(self.out, job_id)
            if job is not None and self._is_done(job_id):
                record = read_record(self.out / job.record)
                self._end(job, record.seconds if record else 0.0, None)
            elif job is not None and reason:
                self._end(job, 0.0, reason)

    def end(self, explain: Callable[[Job], str | None] = lambda _: None) -> bool:
        """Report jobs that ended without a word: killed, out of memory, or never begun.

        Parameters
        ----------
        explain
            Gives the reason where another one than the job knows it.

        Returns
        -------
        bool
            Whether any job was begun at all, or why not is known.
        """
        self.look()
        # A profile may try a failed job again: what counts is whether it is done in the end.
        self.finished = [
            replace(result, failure=None) if self._is_done(result.job) else result
            for result in self.finished
        ]
        blocked = {result.job for result in self.finished if result.failure}
        lost: dict[str, str | None] = {}
        for job in self.pending.values():
            if not job.needs & blocked:
                begun = ended_silently(job.id) if (self.out / job.log).exists() else None
                lost[job.id] = explain(job) or begun
            blocked.add(job.id)
        if not self.finished and not any(lost.values()):
            return False
        for job_id, known in lost.items():
            job = self.pending[job_id]
            reason = known or f"{job.title}: the step was never begun; {ENGINE_LOG} may say why."
            note_failure(self.out, job_id, reason)
            self._end(job, 0.0, reason)
        return True

    def _is_done(self, job_id: str) -> bool:
        return record_path(self.out, job_id).exists()

    def _end(self, job: Job, seconds: float, failure: str | None) -> None:
        result = Finished(job.id, seconds, failure, job.log)
        del self.pending[job.id]
        self.finished.append(result)
        self.progress(result)


@contextmanager
def started(
    command: Sequence[str], out: Path, lock: Path, *, speaks: bool
) -> Iterator[subprocess.Popen[str]]:
    """Start a process that runs jobs, in a group of its own; after the block none of it is left.

    Parameters
    ----------
    command
        Arguments of this Python.
    lock
        Lock file that this process holds: who takes it over ends the group as well.
    speaks
        Whether its output is read here; otherwise it goes to the log of the engine with its
        errors.
    """
    log = out / ENGINE_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        target: IO[str] | int = subprocess.PIPE if speaks else stream
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [sys.executable, "-P", "-m", *command],
            cwd=out,
            env=_environment(out),
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=stream,
            start_new_session=True,
            text=True,
        )
    try:
        register_child(lock, process.pid)
        yield process
    except KeyboardInterrupt:
        # Not an interrupt: what was started in the background of a shell ignores those, and
        # goes on with the next jobs.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        raise
    finally:
        end_group(process.pid)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def not_started(what: str, where: object, out: Path, code: int) -> InputError:
    """Return the error of a process that began no job; the last line of its log says why."""
    log = out / ENGINE_LOG
    lines = log.read_text(encoding="utf-8").strip().splitlines()
    found = lines[-1].strip().rstrip(".") if lines else f"code {code}"
    return InputError(what, where=where, found=found, do=f"see {log}")


def _environment(out: Path) -> dict[str, str]:
    """Environment in which ``python -m falx`` is this very Falx."""
    here = str(Path(falx.__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    modules = os.pathsep.join([here, before] if before else [here])
    programs = os.pathsep.join([str(out / BESIDE), os.environ.get("PATH", os.defpath)])
    return {**ENVIRONMENT, **os.environ, "PYTHONPATH": modules, "PATH": programs}
