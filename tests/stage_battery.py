"""The checks that every stage of every study passes, whatever it computes.

A study is run twice on a small dataset, in two folders, in this process; then each stage is
looked at::

    @pytest.fixture(scope="module")
    def twice(tmp_path_factory): return run_twice(STUDY, dataset, configuration, folder)

    @pytest.mark.parametrize("stage", [stage.name for stage in STUDY.stages])
    def test_stage(twice, stage): check_stage(twice, stage)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

import nibabel as nib
import numpy as np

from falx.bids.dataset import Dataset
from falx.bids.entities import parse_name
from falx.core.grid import Grid
from falx.core.study import Study
from falx.engine.job import Job
from falx.engine.plan import Plan, plan_group, plan_participants
from falx.engine.provenance import read_record
from falx.engine.runner import run_sequentially
from falx.engine.verify import verify_folder

__all__ = ["Twice", "check_golden", "check_image", "check_stage", "run_twice"]

Space = Callable[[Job, Path], Grid]
"""Gives the grid that images of a space must have, from the job and the output folder."""


@dataclass(frozen=True)
class Twice:
    """A study that ran twice on the same dataset.

    Parameters
    ----------
    spaces
        Value of the ``space`` entity to the grid its images must have.
    varying
        Patterns of files that hold the time of day and so need not be equal twice.
    """

    jobs: tuple[Job, ...]
    first: Path
    second: Path
    dataset: Path
    spaces: Mapping[str, Space] = field(default_factory=dict)
    varying: tuple[str, ...] = ()


def run_twice(
    study: Study,
    dataset: Dataset,
    configuration: Any,
    folder: Path,
    *,
    spaces: Mapping[str, Space] | None = None,
    varying: tuple[str, ...] = (),
) -> Twice:
    """Run both levels of a study twice; every job must succeed."""
    jobs: tuple[Job, ...] = ()
    outs = (folder / "first", folder / "second")
    for out in outs:
        subjects = dataset.index.subjects
        plan = plan_participants(study, dataset, configuration, subjects)
        assert not plan.excluded, plan.excluded
        _run(plan, out)
        jobs = plan.jobs
        if study.at("group"):
            (out / "exclusions.tsv").write_text("participant_id\treason\n")
            group = plan_group(study, dataset, configuration, out)
            _run(group, out)
            jobs += group.jobs
    return Twice(jobs, *outs, dataset.index.root, spaces or {}, varying)


def _run(plan: Plan, out: Path) -> None:
    failed = [(r.job, r.failure) for r in run_sequentially(plan.jobs, out) if r.failure]
    assert not failed, failed


def check_stage(twice: Twice, stage: str) -> None:
    """Check every job of a stage: outputs, grids, types, values, repetition, provenance."""
    jobs = [job for job in twice.jobs if job.stage == stage]
    assert jobs, f"no subject of the test dataset gets the stage {stage}"
    for job in jobs:
        record = read_record(twice.first / job.record)
        again = read_record(twice.second / job.record)
        assert record is not None
        assert again is not None
        assert set(job.outputs) <= set(record.outputs)
        assert record.outputs.keys() == again.outputs.keys()
        for name, file in record.outputs.items():
            path = twice.first / file.uri
            assert path.is_file(), path
            if not any(fnmatch(file.uri, pattern) for pattern in twice.varying):
                same = file.blake2b == again.outputs[name].blake2b
                assert same, f"{file.uri} has other bytes when {stage} runs again"
            _check_file(path, job, twice)
        here = [m for m in verify_folder(twice.first, bids=twice.dataset) if m.job == job.id]
        assert not here


def _check_file(path: Path, job: Job, twice: Twice) -> None:
    if path.name.endswith((".nii.gz", ".nii")):
        check_image(path, job, twice)
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    if path.suffix in (".json", ".tsv", ".html", ".csv"):
        text = path.read_text(encoding="utf-8")
        for private in (twice.dataset, twice.first):
            assert str(private) not in text, f"{path.name} names a folder of this machine"


def check_image(path: Path, job: Job | None, twice: Twice) -> None:
    """Check type, values, units and grid of an image."""
    image = nib.nifti1.Nifti1Image.from_filename(path)
    data = np.asanyarray(image.dataobj)
    assert data.dtype == np.float32 or np.issubdtype(data.dtype, np.integer), data.dtype
    finite = np.isfinite(data) | (np.isnan(data) & _tells_of_nan(path))
    assert np.all(finite), f"{path.name} holds values that are not finite"
    assert image.header.get_xyzt_units()[0] == "mm"
    assert abs(np.linalg.det(image.affine[:3, :3])) > 0
    name = parse_name(path.name)
    space = name.entities.get("space", "") if name is not None else ""
    if job is not None and space in twice.spaces:
        grid = twice.spaces[space](job, twice.first)
        assert image.shape[:3] == grid.shape, path.name
        np.testing.assert_allclose(image.affine, grid.affine, atol=1e-4, err_msg=path.name)


def _tells_of_nan(path: Path) -> bool:
    """Whether the sidecar of a map says where it has no value."""
    sidecar = path.with_name(path.name.split(".nii")[0] + ".json")
    return sidecar.is_file() and "NaN" in json.loads(sidecar.read_text()).get("Description", "")


def _refuse_constant(text: str) -> NoReturn:
    raise AssertionError(f"{text} is not JSON")


SPREAD_MARGIN = 1.5
"""A figure may differ from the kept one by this many times its measured spread: a dozen settings
do not reach the ends of what processors do."""


def check_golden(
    path: Path, stage: str, version: int, summary: Mapping[str, float], *, rtol: float = 1e-4
) -> dict[str, float]:
    """Compare numbers of a stage with those kept for its version.

    An iterative stage stops a round earlier or later where sums differ in their last digit, and
    they do between processors: matrix products, vector instructions and fused operations are
    chosen by what the processor can do. So each kept figure has its spread beside it, the
    greatest relative difference that a setting of ``make test-processors`` has shown. A figure
    may differ by :data:`SPREAD_MARGIN` times its spread, or by `rtol` if that is more: figures
    that do not move stay under `rtol`.

    Parameters
    ----------
    path
        JSON file of all kept numbers. With ``FALX_KEEP_GOLDEN=1`` in the environment the
        numbers of this run are kept instead of compared; with ``FALX_KEEP_GOLDEN=spread`` the
        numbers stay, and spreads are widened to reach those of this run.
    summary
        A few figures that change when the stage computes anything else: means, percentiles,
        volumes.
    rtol
        Libraries differ in the last digits between versions; a change of the stage is larger.

    Returns
    -------
    dict
        Relative difference of every figure from the kept one.
    """
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    keep = os.environ.get("FALX_KEEP_GOLDEN")
    if keep == "1":
        kept[stage] = {
            "version": version,
            "summary": dict(summary),
            "spread": kept.get(stage, {}).get("spread", {}),
        }
        _write(path, kept)
        return dict.fromkeys(summary, 0.0)
    assert stage in kept, f"no numbers are kept for stage {stage}: run with FALX_KEEP_GOLDEN=1"
    if kept[stage]["version"] != version:
        raise AssertionError(
            f"stage {stage} is now version {version}: keep its numbers with FALX_KEEP_GOLDEN=1"
        )
    before = kept[stage]["summary"]
    assert before.keys() == summary.keys()
    spread = kept[stage].get("spread", {})
    away = {name: _away(value, before[name]) for name, value in summary.items()}
    if keep == "spread":
        # Rounded upwards to the sixth decimal: the figures at hand lie inside.
        wider = {n: np.ceil(1e6 * abs(a)) / 1e6 for n, a in away.items()}
        kept[stage]["spread"] = {n: max(w, spread.get(n, 0.0)) for n, w in wider.items()}
        _write(path, kept)
        return away
    changed = [
        f"{name}: {before[name]} is now {summary[name]}"
        for name, difference in away.items()
        if not abs(difference) <= max(rtol, SPREAD_MARGIN * spread.get(name, 0.0))
    ]
    assert not changed, f"raise the version of stage {stage}: {'; '.join(changed)}"
    return away


def _away(value: float, kept: float) -> float:
    """Relative difference; 0 where both are nothing but rounding."""
    difference = value - kept
    return 0.0 if abs(difference) <= 1e-12 else difference / max(abs(kept), 1e-300)


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
