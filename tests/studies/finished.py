"""Leave what finished stages leave, around images made in a test, so that later stages can run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from falx.bids.dataset import Dataset
from falx.core.files import write_json
from falx.core.study import Study
from falx.engine.folder import prepare_folder
from falx.engine.job import Job
from falx.engine.plan import plan_participants
from falx.engine.provenance import Record, file_record, write_record
from falx.images.nifti import save

Writer = Callable[[str, Path], None]
"""Writes one output: subject, path."""


def finish(
    study: Study, bids: Path, out: Path, configuration: object, made: Mapping[str, Writer]
) -> None:
    """Write the outputs of some stages of every subject, and records that hold.

    Parameters
    ----------
    made
        ``"stage.role"`` to its writer; outputs that are not named get an empty JSON object.
    """
    prepare_folder(out, study.name)
    dataset = Dataset.open(bids)
    plan = plan_participants(study, dataset, configuration, dataset.index.subjects)
    stages = {key.partition(".")[0] for key in made}
    for job in plan.jobs:
        if job.stage in stages:
            _finish(job, out, made)


def _finish(job: Job, out: Path, made: Mapping[str, Writer]) -> None:
    outputs = {}
    for role, uri in job.outputs.items():
        path = out / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = made.get(f"{job.stage}.{role}")
        if writer is None:
            write_json(path, {})
        else:
            writer(job.unit.removeprefix("sub-"), path)
        outputs[role] = file_record(uri, path)
    there = {name: file for name, file in job.files() if (out / file.path).exists()}
    inputs = {name: file_record(file.uri, out / file.path) for name, file in there.items()}
    record = Record(
        study=job.study, stage=job.stage, version=job.version, unit=job.unit, recipe=job.recipe,
        params=dict(job.params), inputs=inputs, outputs=outputs, notices=(), started="",
        seconds=0.0, threads=1, peak_mem_mb=1,
    )  # fmt: skip
    write_record(out, record)


def image(values: np.ndarray, affine: np.ndarray) -> Writer:
    """Write the same image for everybody."""
    return lambda _subject, path: save(path, values, affine)


def dataset(bids: Path, rows: Mapping[str, Mapping[str, object]]) -> None:
    """Write a dataset of people with a T1w that nobody opens."""
    bids.mkdir(parents=True)
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    columns = list(next(iter(rows.values())))
    lines = ["\t".join(("participant_id", *columns))]
    for subject, row in rows.items():
        anat = bids / f"sub-{subject}" / "anat"
        anat.mkdir(parents=True)
        (anat / f"sub-{subject}_T1w.nii.gz").touch()
        lines.append("\t".join(map(str, (f"sub-{subject}", *row.values()))))
    (bids / "participants.tsv").write_text("\n".join(lines) + "\n")
