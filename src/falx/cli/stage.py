"""``falx stage``: run one job of a plan, as the engine does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.job import Job
from falx.engine.lease import holds_lease
from falx.engine.runner import limit_memory, run_job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("stage", metavar="STAGE", help="name of the stage")
    parser.add_argument("job", type=Path, metavar="JOB", help="OUT/.falx/jobs/SUBJECT/STAGE.json")
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use")
    parser.add_argument("--lease", default="", metavar="TOKEN", help="run that orders the job")
    parser.add_argument(
        "--enforce-memory", action="store_true", help="fail beyond the memory of the stage"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the job; everything it prints, libraries included, goes to its log."""
    path = arguments.job.absolute()
    try:
        job = Job.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("this is not a job of a plan", where=path.name, found=error) from None
    if job.stage != arguments.stage:
        raise InputError(f"the job is not of stage {arguments.stage}", found=job.stage)
    out = path.parents[3]
    if not holds_lease(out, arguments.lease):
        return 1
    _send_output_to(out / job.log)
    if arguments.enforce_memory:
        limit_memory(job.mem_mb)
    finished = run_job(job, out, threads=arguments.threads, lease=arguments.lease)
    return 0 if finished.failure is None else 1


def _send_output_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
