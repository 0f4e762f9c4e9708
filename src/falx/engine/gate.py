"""The gate: images of the dataset are judged before the first stage that reads them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from falx.core.errors import FalxNotice
from falx.core.stage import Stage
from falx.core.study import Study
from falx.engine.job import InputFile, Job
from falx.engine.provenance import FileRecord, read_record, record_path

__all__ = ["judge_inputs"]


def judge_inputs(
    job: Job, study: Study, out: Path, read: Mapping[str, FileRecord] | None = None
) -> None:
    """Raise unless every raw image of a job can be what it is said to be.

    Parameters
    ----------
    read
        What is read, by name: an image that the first stage took with this content was judged
        then.

    Notes
    -----
    Notices are issued for the first stage only that reads the image, so that they stand once on
    the page.
    """
    stage = study.stage(job.stage)
    for name, source in stage.sources.items():
        file = job.inputs.get(name)
        if source.origin != "raw" or not isinstance(file, InputFile):
            continue
        wanted = study.raw[source.role]
        if not wanted.judged or not wanted.suffix or not file.path.endswith((".nii", ".gz")):
            continue
        first = _first_reader(study, source.role)
        if first is not stage and _taken(out, f"{job.unit}/{first.name}", (read or {}).get(name)):
            continue
        from falx.images.plausible import judge_file

        with warnings.catch_warnings():
            if first is not stage:
                warnings.simplefilter("ignore", FalxNotice)
            kind = wanted.judged_as or wanted.suffix
            judge_file(out / file.path, kind, what=wanted.what, where=job.unit)


def _taken(out: Path, job_id: str, file: FileRecord | None) -> bool:
    """Whether a stage has finished that read a file with the same content."""
    record = read_record(record_path(out, job_id)) if file is not None else None
    if record is None or file is None:
        return False
    return any((f.uri, f.blake2b) == (file.uri, file.blake2b) for f in record.inputs.values())


def _first_reader(study: Study, role: str) -> Stage:
    return next(
        stage
        for stage in study.stages
        if any(s.origin == "raw" and s.role == role for s in stage.sources.values())
    )
