"""Runs one job: all its outputs or none, with a log, a provenance record, and one voice."""

from __future__ import annotations

import contextlib
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from falx.core.disk import explain
from falx.core.errors import FalxError, InputError, collect_notices
from falx.core.files import flush, flush_folders
from falx.core.records import name_alone
from falx.core.study import load_study
from falx.core.threads import blas_threads
from falx.engine.digest import digest_file, stamp
from falx.engine.failures import RAN_OUT, failure_path, note_failure
from falx.engine.gate import judge_inputs
from falx.engine.job import GROUP, InputFile, Job
from falx.engine.lock import check_lease, holds_lease
from falx.engine.provenance import (
    FileRecord,
    Record,
    discard,
    file_record,
    now,
    read_record,
    record_path,
    spoilt,
    write_record,
)  # fmt: skip
from falx.engine.sidecars import complete_sidecars

__all__ = ["Finished", "limit_memory", "run_job", "run_sequentially"]

PYTHON_MB = 500
"""Memory that an interpreter with its libraries reserves without using it."""


@dataclass(frozen=True)
class Finished:
    """How a job ended.

    Parameters
    ----------
    failure
        ``None`` if it succeeded, otherwise the reason in one sentence.
    log
        Path of its log, relative to the output folder.
    """

    job: str
    seconds: float
    failure: str | None
    log: str


def run_job(job: Job, out: Path, *, lease: str = "") -> Finished:
    """Run one job in this process.

    The outputs appear in the output folder when the stage has written all of them; a job that
    fails leaves none. A :class:`~falx.core.errors.FalxError` gives one sentence as the last line
    of the log; any other error leaves its traceback there as well.

    Parameters
    ----------
    out
        Output folder.
    lease
        Token of the run that ordered the job. Without it any run may be under way; with it the
        job neither publishes nor deletes once another run has the folder.
    """
    start = time.monotonic()
    try:
        check_lease(out, lease)
    except InputError as error:
        return Finished(job.id, 0.0, str(error), job.log)
    failure_path(out, job.id).unlink(missing_ok=True)
    (out / job.log).parent.mkdir(parents=True, exist_ok=True)
    (out / job.log).write_text("", encoding="utf-8")
    log = partial(_note, out / job.log)
    log(f"{job.title}, version {job.version}, {now()}")
    failure = _attempt(job, out, lease, log)
    seconds = time.monotonic() - start
    if failure is not None and not holds_lease(out, lease):
        return Finished(job.id, seconds, failure, job.log)
    if failure is not None:
        with contextlib.suppress(OSError):  # the next run deletes what a bad disk keeps
            discard(out, job.id, job.outputs.values())
        note_failure(out, job.id, failure)
    sys.stdout.flush()
    sys.stderr.flush()
    log(failure or f"finished after {seconds:.1f} s")
    return Finished(job.id, seconds, failure, job.log)


def _attempt(job: Job, out: Path, lease: str, log: Callable[[str], None]) -> str | None:
    """Run the stage; return why it failed, or ``None``."""
    try:
        discard(out, job.id, job.outputs.values())
        record = _execute(job, out, lease)
        check_lease(out, lease)
        write_record(out, record)
        for notice in record.notices:
            log(f"notice: {notice}")
    except Exception as error:  # noqa: BLE001 - one subject's failure must not stop the others
        if (known := _known(error, job)) is not None:
            return str(known)
        log(traceback.format_exc())
        return (
            f"{job.title}: an error that Falx does not know ({type(error).__name__}: {error}); "
            f"the lines above say where, please report them."
        )
    return None


def _known(error: Exception, job: Job) -> FalxError | None:
    """Return what a user can understand of an error."""
    if isinstance(error, OSError):
        return explain(error, where=job.title)
    if isinstance(error, MemoryError):
        found = f"more than the {job.mem_mb} MB that the stage is known to need"
        do = "use fewer --jobs, or a machine with more memory"
        return InputError(RAN_OUT, where=job.title, found=found, do=do)
    return error if isinstance(error, FalxError) else None


def _execute(job: Job, out: Path, lease: str) -> Record:
    study = load_study(job.study)
    started, clock = now(), time.monotonic()
    above = _records_above(job, out)
    inputs = _input_records(job, out, above)
    work = out / ".falx" / "work" / (lease or "here") / job.id
    shutil.rmtree(work, ignore_errors=True)
    try:
        arguments = _arguments(job, out, work)
        with collect_notices() as notices:
            judge_inputs(job, study, out, inputs)
            with _one_blas_thread(job):
                study.stage(job.stage).call(arguments, threads=job.threads)
        complete_sidecars(job, work)
        _check_unchanged(job, out, inputs)
        check_lease(out, lease)
        outputs = _publish(job, out, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Record(
        study=job.study, stage=job.stage, version=job.version, unit=job.unit, recipe=job.recipe,
        params={key: name_alone(value) for key, value in job.params.items()},
        inputs=inputs, outputs=outputs, notices=tuple(notices),
        started=started, seconds=round(time.monotonic() - clock, 3), threads=job.threads,
        peak_mem_mb=_peak_mem_mb(), above={job_id: r.digest for job_id, r in above.items()},
    )  # fmt: skip


def _one_blas_thread(job: Job) -> contextlib.AbstractContextManager[None]:
    """Keep matrix products of people on one thread, so that no sum depends on the machine.

    A fork does so anyway; people run side by side. Studies without numpy need no limit.
    """
    if job.unit == GROUP or "numpy" not in sys.modules:
        return contextlib.nullcontext()
    return blas_threads(1)


def _records_above(job: Job, out: Path) -> dict[str, Record]:
    """Return the records of the jobs whose outputs this one reads."""
    records = {}
    for job_id in sorted(job.needs):
        record = read_record(record_path(out, job_id))
        if record is None:
            raise InputError(
                f"the record of {job_id.replace('/', ' ')} is missing or damaged",
                where=job.title,
                do="run the same command again",
            )
        records[job_id] = record
    return records


def _input_records(job: Job, out: Path, above: Mapping[str, Record]) -> dict[str, FileRecord]:
    """Digest the inputs; those of earlier stages must be as these left them."""
    records = {}
    for name, file in job.files():
        path = out / file.path
        if not path.is_file():
            raise InputError(
                f"the input {name} is not there",
                where=job.title,
                found=f"no {path.name}",
                do="copy it there; a link of datalad or git-annex must be fetched first",
            )
        is_record = bool(file.job) and not file.role
        records[name] = file_record(file.uri, path, digest=not is_record)
        if file.job and spoilt(records[name], [above[file.job]]):
            _refuse_rotten(job, file, out)
    return records


def _check_unchanged(job: Job, out: Path, read: Mapping[str, FileRecord]) -> None:
    """Raise if an input became another while the stage read it, as when it is still copied."""
    for name, file in job.files():
        path, before = out / file.path, read[name]
        if stamp(path) == (before.bytes, before.mtime_ns):
            continue
        if not path.is_file() or (before.blake2b and digest_file(path) != before.blake2b):
            raise InputError(
                f"{path.name} was changed while the step read it",
                where=job.title,
                do="wait until it is copied, and run the same command again",
            )


def _refuse_rotten(job: Job, file: InputFile, out: Path) -> None:
    """Raise; a stage of the same person forgets the file, so that it is made again."""
    own = file.job.partition("/")[0] == job.unit
    if own:
        discard(out, file.job)
    raise InputError(
        f"{Path(file.path).name} is not as {file.job.replace('/', ' ')} left it",
        where=job.title,
        do="it is made again" if own else "run falx verify OUT --repair and the participant level",
    )


def _arguments(job: Job, out: Path, work: Path) -> dict[str, Any]:
    """Keyword arguments of the stage; outputs point into the work folder."""
    arguments: dict[str, Any] = dict(job.params)
    for name, value in job.inputs.items():
        if isinstance(value, Mapping):
            arguments[name] = {label: out / file.path for label, file in value.items()}
        else:
            arguments[name] = out / value.path if isinstance(value, InputFile) else None
    for name, path in job.outputs.items():
        arguments[name] = work / path
        (work / path).parent.mkdir(parents=True, exist_ok=True)
    return arguments


def _publish(job: Job, out: Path, work: Path) -> dict[str, FileRecord]:
    """Move everything the stage wrote into place; sidecars are recorded under their path."""
    for path in job.outputs.values():
        if not (work / path).is_file() or not (work / path).stat().st_size:
            raise InputError(
                f"the stage did not write {Path(path).name}", where=job.title,
                do="report it, with the log of the step",
            )  # fmt: skip
    names = {path: name for name, path in job.outputs.items()}
    records, targets = {}, []
    try:
        for found in sorted(path for path in work.rglob("*") if path.is_file()):
            uri = found.relative_to(work).as_posix()
            targets.append(out / uri)
            targets[-1].parent.mkdir(parents=True, exist_ok=True)
            flush(found)  # content before name, names before the record
            found.replace(targets[-1])
            records[names.get(uri, uri)] = file_record(uri, targets[-1])
        flush_folders(targets, out)
    except OSError:
        for target in targets:  # sidecars too, which nothing else names
            target.unlink(missing_ok=True)
        raise
    return records


def _note(path: Path, text: str) -> None:
    """Add a line to a log; a full disk is named by the failure of the job."""
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as stream:
        stream.write(text.rstrip("\n") + "\n")


def run_sequentially(
    jobs: Iterable[Job],
    out: Path,
    *,
    lease: str = "",
    progress: Callable[[Finished], None] = lambda _: None,
) -> list[Finished]:
    """Run jobs one after the other in this process, as tests and notebooks do.

    Those that take from a failed one are passed over.

    Parameters
    ----------
    jobs
        Each after the jobs it takes from.
    lease
        Token of the run, see :func:`run_job`.
    progress
        Called after every job.
    """
    finished: list[Finished] = []
    broken: set[str] = set()
    for job in jobs:
        if job.needs & broken:
            broken.add(job.id)
            continue
        result = run_job(job, out, lease=lease)
        if result.failure is not None:
            broken.add(job.id)
        progress(result)
        finished.append(result)
    return finished


def limit_memory(mem_mb: int) -> None:
    """Let this process get at most `mem_mb`, and what a Python start takes, from the system."""
    if hasattr(resource, "RLIMIT_DATA"):
        limit = (mem_mb + PYTHON_MB) << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _peak_mem_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))
