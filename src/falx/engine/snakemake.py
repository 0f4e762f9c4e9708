"""Runs jobs on a cluster, by a profile or an executor of Snakemake.

Snakemake submits and isolates; what must run was decided before (:mod:`falx.engine.state`). One
job is one person (:mod:`falx.engine.bundle`), or one stage of the group. It works inside the
output folder on relative paths. Its own words go to ``logs/engine.log``; progress is read from the
records and failures that the jobs leave, never from its text. It is an extra of the installation:
on one machine :mod:`falx.engine.local` does without it.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.records import plain
from falx.engine.bundle import PERSON, write_jobs
from falx.engine.job import GROUP, Job
from falx.engine.lease import lease_of
from falx.engine.resources import Resources, shared_threads
from falx.engine.runner import Finished
from falx.engine.watch import Watch, forget, not_started, started

__all__ = ["check_installed", "run_with_snakemake"]

SNAKEFILE = Path(__file__).with_name("Snakefile")
_POLL_S = 0.1


@dataclass
class _Rule:
    """One person of many, or one stage of the group: what it asks for, and after what it comes.

    Parameters
    ----------
    needs
        Unit to the marks of what comes before.
    """

    threads: int = 1
    mem_mb: int = 1
    needs: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plan:
    """What the Snakefile reads."""

    done: tuple[str, ...]
    rules: dict[str, _Rule]
    options: str


def check_installed(resources: Resources) -> None:
    """Raise with what to install if jobs are for a cluster and Snakemake is not there."""
    if resources.elsewhere and importlib.util.find_spec("snakemake") is None:
        raise InputError(
            "jobs are handed to a cluster by Snakemake, which is not installed",
            where=_asked(resources),
            do="pip install 'falx[cluster]', or leave the option out to use this machine",
        )


def run_with_snakemake(
    jobs: Sequence[Job],
    out: Path,
    *,
    lock: Path,
    resources: Resources,
    progress: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Run jobs and return how each ended; see :func:`falx.engine.local.run_here`.

    Raises
    ------
    InputError
        If Snakemake is not installed or could not start.
    """
    check_installed(resources)
    forget(jobs, out)
    _write_plan(jobs, out, resources)
    watch = Watch(jobs, out, progress)
    with started(_command(out, resources), out, lock, speaks=False) as process:
        code = _wait(process, watch)
    if not watch.end() and code != 0:
        raise not_started("Snakemake could not run the plan", _asked(resources), out, code)
    return watch.finished


def _asked(resources: Resources) -> str:
    name = "profile" if resources.profile else "executor"
    return f"--{name} {resources.profile or resources.executor}"


def _wait(process: subprocess.Popen[str], watch: Watch) -> int:
    """Wait for Snakemake, and report what ends meanwhile."""
    while (code := process.poll()) is None:
        start = time.monotonic()
        watch.look()
        time.sleep(max(_POLL_S, 5 * (time.monotonic() - start)))
    return code


def _write_plan(jobs: Sequence[Job], out: Path, resources: Resources) -> None:
    """Write what Snakemake is to run: one bundle a person, and every job of the group."""
    threads = shared_threads(jobs, resources)
    rules: dict[str, _Rule] = {}
    for unit, bundle in write_jobs(jobs, out, threads).items():
        rule = rules.setdefault(PERSON, _Rule())
        rule.needs[unit] = []
        rule.threads = max(rule.threads, *(threads[job.stage] for job in bundle.jobs))
        rule.mem_mb = max(rule.mem_mb, *(job.mem_mb for job in bundle.jobs))
    group = {job.id: job for job in jobs if job.unit == GROUP}
    for job in group.values():
        needs = sorted(_done(GROUP, group[need].stage) for need in job.needs & group.keys())
        rules[job.stage] = _Rule(threads[job.stage], job.mem_mb, {GROUP: needs})
    for rule in rules.values():
        rule.mem_mb = min(rule.mem_mb, resources.mem_mb or rule.mem_mb)
    done = tuple(_done(unit, name) for name, rule in rules.items() for unit in rule.needs)
    enforce = " --enforce-memory" if resources.enforce_memory else ""
    shutil.rmtree(out / ".falx" / "done", ignore_errors=True)
    plan = _Plan(done, rules, f"--lease {lease_of(out)}{enforce}")
    write_json(out / ".falx" / "plan.json", plain(plan))
    config = {"plan": str(out / ".falx" / "plan.json"), "python": sys.executable}
    write_json(out / ".falx" / "snakemake.json", config)


def _done(unit: str, name: str) -> str:
    """Return the mark that Snakemake sees; records are not its own to delete."""
    return f".falx/done/{unit}/{name}"


def _command(out: Path, resources: Resources) -> list[str]:
    command = ["snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--directory", str(out), "--configfile", str(out / ".falx" / "snakemake.json")]
    command += ["--jobs", str(resources.jobs), "--keep-going", "--rerun-incomplete"]
    # The lock and the records are Falx's own; without metadata nothing is decided twice.
    command += ["--nolock", "--drop-metadata", "--scheduler", "greedy", "--nocolor"]
    if resources.mem_mb is not None:
        command += ["--resources", f"mem_mb={resources.mem_mb}"]
    if resources.profile:
        folder = Path(resources.profile).expanduser()
        command += ["--profile", str(folder.absolute()) if folder.is_dir() else resources.profile]
    if resources.executor:
        command += ["--executor", resources.executor]
    return command
