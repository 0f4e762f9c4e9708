"""Runs jobs with Snakemake: in parallel here, or on a cluster by a profile.

Snakemake schedules and isolates; what must run was decided before (:mod:`falx.engine.state`). One
job is one person (:mod:`falx.engine.bundle`), or one stage of the group. It works inside the
output folder on relative paths. Its own words go to ``logs/engine.log``; progress is read from the
records and failures that the jobs leave, never from its text.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import falx
from falx.core.errors import InputError
from falx.core.files import write_text
from falx.core.threads import WAITING
from falx.engine.bundle import PERSON, bundle_path, bundles_of
from falx.engine.job import GROUP, Job
from falx.engine.lease import lease_of
from falx.engine.lock import end_group, register_child
from falx.engine.provenance import discard, read_record, record_path
from falx.engine.runner import Finished, ended_silently, failure_of, failure_path, note_failure

__all__ = ["Resources", "run_with_snakemake", "shared_threads"]

SNAKEFILE = Path(__file__).with_name("Snakefile")
ENGINE_LOG = "logs/engine.log"
_POLL_S = 0.1


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Parameters
    ----------
    jobs
        Cores on this machine; jobs at a time on a cluster.
    mem_mb
        Memory that the jobs running at a time may need together.
    profile
        Snakemake profile of a cluster; empty: this machine.
    enforce_memory
        A job that asks for more memory than its stage is known to need fails, alone, instead
        of driving the machine into its swap.
    """

    jobs: int
    mem_mb: int | None = None
    profile: str = ""
    enforce_memory: bool = False


def run_with_snakemake(
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
        If Snakemake could not start.
    """
    for job in jobs:
        discard(out, job.id, job.outputs.values())
        failure_path(out, job.id).unlink(missing_ok=True)
        (out / job.log).unlink(missing_ok=True)
    _write_plan(jobs, out, resources)
    watch = _Watch(jobs, out, progress)
    log = out / ENGINE_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            _command(out, resources),
            cwd=out,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        register_child(lock, process.pid)
        code = _wait(process, watch)
    if not watch.end() and code != 0:
        lines = log.read_text(encoding="utf-8").strip().splitlines()
        raise InputError(
            "Snakemake could not run the plan",
            where=f"--profile {resources.profile}" if resources.profile else None,
            found=lines[-1].strip().rstrip(".") if lines else f"code {code}",
            do=f"see {log}",
        )
    return watch.finished


class _Watch:
    """Notices jobs that have ended, by the files they leave."""

    def __init__(
        self, jobs: Iterable[Job], out: Path, progress: Callable[[Finished], None]
    ) -> None:
        self.all = tuple(jobs)
        self.pending = {job.id: job for job in self.all}
        self.out, self.progress = out, progress
        self.finished: list[Finished] = []
        self.failed: dict[str, str] = {}

    def look(self) -> None:
        """Report what ended since the last look."""
        for job in list(self.pending.values()):
            if self._is_done(job.id):
                record = read_record(self.out / job.record)
                self._end(job, record.seconds if record else 0.0, None)
            elif job.id not in self.failed and (reason := failure_of(self.out, job.id)):
                self.failed[job.id] = reason
                self._end(job, 0.0, reason)

    def end(self) -> bool:
        """Report jobs that ended without a word: killed, out of memory, or never begun.

        Returns
        -------
        bool
            Whether any job was begun at all.
        """
        self.look()
        begun = bool(self.finished) or any((self.out / j.log).exists() for j in self.all)
        if not begun:
            return False
        # A profile may try a failed job again: what counts is whether it is done in the end.
        self.finished = [
            replace(result, failure=None) if self._is_done(result.job) else result
            for result in self.finished
        ]
        failed = {result.job for result in self.finished if result.failure}
        blocked = set(failed)
        for job in list(self.pending.values()):
            if job.needs & blocked:
                blocked.add(job.id)
            elif job.id not in failed:
                blocked.add(job.id)
                if (self.out / job.log).exists():
                    reason = ended_silently(job)
                else:
                    reason = f"{job.title}: the step was never begun; {ENGINE_LOG} may say why."
                note_failure(self.out, job.id, reason)
                self._end(job, 0.0, reason)
        return True

    def _is_done(self, job_id: str) -> bool:
        return record_path(self.out, job_id).exists()

    def _end(self, job: Job, seconds: float, failure: str | None) -> None:
        result = Finished(job.id, seconds, failure, job.log)
        del self.pending[job.id]
        self.finished.append(result)
        self.progress(result)


def _wait(process: subprocess.Popen[bytes], watch: _Watch) -> int:
    """Wait for Snakemake; pass an interrupt on to it and all its jobs."""
    try:
        while (code := process.poll()) is None:
            start = time.monotonic()
            watch.look()
            time.sleep(max(_POLL_S, 5 * (time.monotonic() - start)))
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
    return code


def _write_plan(jobs: Sequence[Job], out: Path, resources: Resources) -> None:
    """Write what Snakemake is to run: one bundle a person, and every job of the group."""
    threads = shared_threads(jobs, resources)
    rules: dict[str, dict[str, Any]] = {}
    people = [job for job in jobs if job.unit != GROUP]
    for unit, bundle in bundles_of(people, threads).items():
        bundle.write(bundle_path(out, unit))
        rule = rules.setdefault(PERSON, {"threads": 1, "mem_mb": 1, "needs": {}})
        rule["needs"][unit] = []
        rule["threads"] = max(rule["threads"], *(threads[job.stage] for job in bundle.jobs))
        rule["mem_mb"] = max(rule["mem_mb"], *(job.mem_mb for job in bundle.jobs))
    group = {job.id: job for job in jobs if job.unit == GROUP}
    for job in group.values():
        needs = [_done(group[need].unit, group[need].stage) for need in job.needs & group.keys()]
        rules[job.stage] = {
            "threads": threads[job.stage], "mem_mb": job.mem_mb, "needs": {GROUP: sorted(needs)},
        }  # fmt: skip
        write_text(out / ".falx" / "jobs" / f"{job.id}.json", job.to_json())
    for rule in rules.values():
        rule["mem_mb"] = min(rule["mem_mb"], resources.mem_mb or rule["mem_mb"])
    plan = {
        "done": [_done(unit, name) for name, rule in rules.items() for unit in rule["needs"]],
        "rules": rules,
        "options": f"--lease {lease_of(out)}"
        + (" --enforce-memory" if resources.enforce_memory else ""),
    }
    shutil.rmtree(out / ".falx" / "done", ignore_errors=True)
    write_text(out / ".falx" / "plan.json", json.dumps(plan))
    config = {"plan": str(out / ".falx" / "plan.json"), "python": sys.executable}
    write_text(out / ".falx" / "snakemake.json", json.dumps(config))


def _done(unit: str, name: str) -> str:
    """Return the mark that Snakemake sees; records are not its own to delete."""
    return f".falx/done/{unit}/{name}"


def shared_threads(jobs: Sequence[Job], resources: Resources) -> dict[str, int]:
    """Threads of the jobs of every stage: people side by side before threads in one of them.

    No stage is twice as fast on two threads, and two people on one thread each are. On a
    cluster every job has cores of its own.
    """
    people = Counter(job.stage for job in jobs)
    if resources.profile:
        return {job.stage: job.threads for job in jobs}
    return {
        job.stage: max(1, min(job.threads, resources.jobs // people[job.stage])) for job in jobs
    }


def _command(out: Path, resources: Resources) -> list[str]:
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--directory", str(out), "--configfile", str(out / ".falx" / "snakemake.json")]
    command += ["--jobs", str(resources.jobs), "--keep-going", "--rerun-incomplete"]
    # The lock and the records are Falx's own; without metadata nothing is decided twice.
    command += ["--nolock", "--drop-metadata", "--scheduler", "greedy", "--nocolor"]
    if resources.mem_mb is not None:
        command += ["--resources", f"mem_mb={resources.mem_mb}"]
    if resources.profile:
        folder = Path(resources.profile).expanduser()
        command += ["--profile", str(folder.absolute()) if folder.is_dir() else resources.profile]
    return command


def _environment() -> dict[str, str]:
    """Environment in which ``python -m falx`` is this very Falx."""
    here = str(Path(falx.__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([here, before] if before else [here])
    return {**WAITING, **os.environ, "PYTHONPATH": path}
