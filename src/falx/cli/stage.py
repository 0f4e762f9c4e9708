"""``falx stage``: run one job of a plan, or all of one person, as the engine does."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.bundle import PERSON, Bundle, run_bundle, send_output_to
from falx.engine.job import Job
from falx.engine.lease import holds_lease
from falx.engine.local import EVERYTHING, work_off
from falx.engine.runner import limit_memory, run_job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("stage", metavar="STAGE", help=f"name of the stage, or {PERSON}")
    parser.add_argument(
        "job",
        type=Path,
        metavar="JOB",
        help=f"OUT/.falx/jobs/SUBJECT/{PERSON}.json or OUT/.falx/jobs/group/STAGE.json",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use")
    parser.add_argument("--lease", default="", metavar="TOKEN", help="run that orders the job")
    parser.add_argument(
        "--enforce-memory", action="store_true", help="fail beyond the memory of the stage"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the job; everything it prints, libraries included, goes to its log."""
    path = arguments.job.absolute()
    out = path.parents[3]
    if arguments.stage == EVERYTHING:
        return 0 if work_off(path, out, arguments.lease) else 1
    try:
        bundle = _read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("this is not a job of a plan", where=path.name, found=error) from None
    if not holds_lease(out, arguments.lease):
        return 1
    if arguments.stage == PERSON:
        enforce = arguments.enforce_memory
        return 0 if run_bundle(bundle, out, lease=arguments.lease, enforce_memory=enforce) else 1
    job = next((job for job in bundle.jobs if job.stage == arguments.stage), None)
    if job is None:
        raise InputError(f"the job is not of stage {arguments.stage}", found=bundle.jobs[0].stage)
    send_output_to(out / job.log)
    if arguments.enforce_memory:
        limit_memory(job.mem_mb)
    finished = run_job(job, out, threads=arguments.threads, lease=arguments.lease)
    return 0 if finished.failure is None else 1


def _read(path: Path) -> Bundle:
    """Read the jobs of a person, or the one of the group."""
    if path.stem == PERSON:
        return Bundle.read(path)
    return Bundle((Job.from_json(path.read_text(encoding="utf-8")),), {})
