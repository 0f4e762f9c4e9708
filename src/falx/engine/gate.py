"""The gate: images of the dataset are judged before the first stage that reads them."""

from __future__ import annotations

import warnings
from pathlib import Path

from falx.core.errors import FalxNotice
from falx.core.stage import Stage
from falx.core.study import Study
from falx.engine.job import InputFile, Job

__all__ = ["judge_inputs"]


def judge_inputs(job: Job, study: Study, out: Path) -> None:
    """Raise unless every raw image of a job can be what it is said to be.

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
        from falx.images.plausible import judge_file

        with warnings.catch_warnings():
            if _first_reader(study, source.role) is not stage:
                warnings.simplefilter("ignore", FalxNotice)
            kind = wanted.judged_as or wanted.suffix
            judge_file(out / file.path, kind, what=wanted.what, where=job.unit)


def _first_reader(study: Study, role: str) -> Stage:
    return next(
        stage
        for stage in study.stages
        if any(s.origin == "raw" and s.role == role for s in stage.sources.values())
    )
