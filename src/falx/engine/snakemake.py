"""Runs jobs on a cluster, by a profile or an executor of Snakemake.

Snakemake submits and isolates; what must run was decided before (:mod:`falx.engine.state`). One
job is one person (:mod:`falx.engine.orders`), or one stage of the group. It works inside the
output folder on relative paths. Its own words go to ``logs/engine.log``; progress is read from the
records and failures that the jobs leave, never from its text. It is an extra of the installation:
on one machine :mod:`falx.engine.orders` does without it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from falx.core.errors import InputError
from falx.core.files import write_json, write_text
from falx.core.records import plain
from falx.engine.job import GROUP, Job
from falx.engine.lock import lease_of
from falx.engine.orders import PERSON, Orders, Resources, orders_path, share_threads
from falx.engine.runner import Finished
from falx.engine.watch import BESIDE, ENGINE_LOG, Watch, forget, not_started, started

__all__ = ["cancel_left", "check_installed", "ends_of", "run_with_snakemake"]

SNAKEFILE = Path(__file__).with_name("Snakefile")
_POLL_S = 0.1
RUN_ID = re.compile(r"SLURM run ID: ([\w-]+)")
FAILED = re.compile(
    r"^    message: (.*?)^    jobid: \d+\n    output: \.falx/done/([^/\n]+)/(\S+)",
    re.MULTILINE | re.DOTALL,
)
STATUS = re.compile(r"SLURM status is: '(\w+)")
REFUSED = re.compile(r"The error message was '(?:sbatch: error: )?(.+?)(?:\n|'\.)")
SACCT = """#!/bin/sh
said=$({real} "$@") || exit $?
printf '%s\\n' "$said" | sed 's/CANCELLED by [0-9]*/CANCELLED/'
"""
ENDS = {
    "TIMEOUT": "the time limit of the cluster was reached; give more runtime in the profile",
    "NODE_FAIL": "the node that ran it was lost; run the same command again",
    "CANCELLED": "it was cancelled on the cluster; run the same command again",
    "OUT_OF_MEMORY": "it was given too little memory; give more mem_mb in the profile",
    "PREEMPTED": "another job took its place on the cluster; run the same command again",
}
"""What the words of SLURM mean. Other ends leave a sentence of their own."""


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
    """Run jobs and return how each ended; see :func:`falx.engine.orders.run_here`.

    Raises
    ------
    InputError
        If Snakemake is not installed or could not start.
    """
    check_installed(resources)
    forget(jobs, out)
    _write_plan(jobs, out, resources)
    _write_sacct(out)
    watch = Watch(jobs, out, progress)
    with started(_command(out, resources), out, lock, speaks=False) as process:
        code = _wait(process, watch)
    ends = ends_of((out / ENGINE_LOG).read_text(encoding="utf-8"))

    def explain(job: Job) -> str | None:
        return next(
            (f"{job.title}: {ends[name]}." for name in (job.id, job.unit) if name in ends), None
        )

    if not watch.end(explain) and code != 0:
        raise not_started("Snakemake could not run the plan", _asked(resources), out, code)
    return watch.finished


def cancel_left(out: Path) -> None:
    """Cancel the jobs that an earlier run has left with SLURM when it was ended.

    They are those of its name, which it has left in its log. Their lease is void in any case.
    """
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        found = RUN_ID.search((out / ENGINE_LOG).read_text(encoding="utf-8", errors="replace"))
        if found and (scancel := shutil.which("scancel")):
            words = [scancel, "--name", found[1]]
            subprocess.run(words, timeout=60, check=False, capture_output=True)  # noqa: S603


def ends_of(log: str) -> dict[str, str]:
    """Return how the cluster ended jobs that failed, by the last word of Snakemake.

    Returns
    -------
    dict of str
        Id of a job of the group, or unit of a person, to a clause.
    """
    ends = {}
    for said, unit, name in FAILED.findall(log):
        if status := STATUS.search(said):
            clause = ENDS.get(status[1])
        elif refused := REFUSED.search(said):
            clause = f"the cluster refused the job ({refused[1]})"
        else:
            clause = None
        if clause:
            ends[unit if name == PERSON else f"{unit}/{name}"] = clause
    return ends


def _write_sacct(out: Path) -> None:
    """Put before SLURM's ``sacct`` one that says CANCELLED and not, say, ``CANCELLED by 1000``.

    The executor (2.8.0) takes that for a job that still runs, and waits for it for ever.
    """
    if real := shutil.which("sacct"):
        path = out / BESIDE / "sacct"
        write_text(path, SACCT.format(real=shlex.quote(real)))
        path.chmod(0o755)


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
    """Write what Snakemake is to run: the orders of each person, and of every job of the group."""
    jobs = share_threads(jobs, resources)
    orders: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        orders.setdefault((job.unit, job.stage if job.unit == GROUP else PERSON), []).append(job)
    rules: dict[str, _Rule] = {}
    ids = {job.id for job in jobs}
    for (unit, name), own in orders.items():
        made = Orders(tuple(own), enforce_memory=resources.enforce_memory)
        made.write(orders_path(out, unit, name))
        needs = {need for job in own for need in job.needs & ids if unit == GROUP}
        rule = rules.setdefault(name, _Rule())
        rule.needs[unit] = sorted(_done(*need.split("/")) for need in needs)
        rule.threads = max(rule.threads, *(job.threads for job in own))
        most = max(rule.mem_mb, *(job.mem_mb for job in own))
        rule.mem_mb = min(most, resources.mem_mb or most)
    done = tuple(_done(unit, name) for unit, name in orders)
    shutil.rmtree(out / ".falx" / "done", ignore_errors=True)
    plan = {"done": done, "rules": plain(rules), "lease": lease_of(out), "python": sys.executable}
    write_json(out / ".falx" / "plan.json", plan)


def _done(unit: str, name: str) -> str:
    """Return the mark that Snakemake sees; records are not its own to delete."""
    return f".falx/done/{unit}/{name}"


def _command(out: Path, resources: Resources) -> list[str]:
    command = ["snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--directory", str(out), "--jobs", str(resources.jobs)]
    command += ["--keep-going", "--rerun-incomplete"]
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
