"""What finding, planning and checking cost, without any image."""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import toy_study
from benchmarks.table import Row, cpu_seconds
from falx.bids.dataset import Dataset
from falx.bids.index import Index
from falx.core.study import Study
from falx.engine.digest import DigestCache
from falx.engine.plan import Plan, plan_participants
from falx.engine.state import outdated

SUBJECTS = 1000
IMAGES = ("anat/T1w", "anat/FLAIR", "pet/trc-FDG_pet", "func/task-rest_bold", "dwi/dwi")


def rows() -> list[Row]:
    """Measure on a dataset of 10,000 empty files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bids"
        _write_dataset(root)
        planned = _plan(root, Path(folder) / "out")
        idle = [_no_op(Path(folder), 10, 0.5), _no_op(Path(folder), 1000, 3.0)]
        return [*_index(root), *planned, _gate(Path(folder)), _help(), *idle]


def _write_dataset(root: Path) -> None:
    for number in range(1, SUBJECTS + 1):
        for image in IMAGES:
            datatype, _, name = image.partition("/")
            stem = root / f"sub-{number:04d}" / datatype / f"sub-{number:04d}_{name}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            for extension in (".nii.gz", ".json"):
                stem.with_name(stem.name + extension).write_text("{}")
    lines = [f"sub-{n:04d}\tL" for n in range(1, SUBJECTS + 1)]
    (root / "participants.tsv").write_text("participant_id\tside\n" + "\n".join(lines))


def _index(root: Path) -> list[Row]:
    def read() -> int:
        index = Index(root)
        return sum(len(index.files(subject)) for subject in index.subjects)

    seconds = cpu_seconds(read, repeats=3)
    found = [Row("index 10,000 files", seconds, "CPU s", "≤ 1", seconds <= 1)]
    try:
        from bids import BIDSLayout
    except ImportError:
        return found
    theirs = cpu_seconds(lambda: BIDSLayout(root, validate=False))
    ratio = theirs / seconds
    found.append(Row("the same by pybids, ratio", ratio, "×", "≥ 20", ratio >= 20))
    return found


def _plan(root: Path, out: Path) -> list[Row]:
    study = _long_study()

    def plan() -> Plan:
        dataset = Dataset.open(root)
        subjects = dataset.index.subjects
        made = plan_participants(study, dataset, study.configuration(), subjects)
        assert len(outdated(made.jobs, out, DigestCache(out / "digests"))) == SUBJECTS * 12
        return made

    seconds = cpu_seconds(plan)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Row("plan 1,000 subjects × 12 stages", seconds, "CPU s", "< 15", seconds < 15),
        Row("peak memory so far", memory_mb, "MB", "< 500", memory_mb < 500),
    ]


def _long_study() -> Study:
    """Lengthen the toy study to 12 stages for each subject."""
    toy = toy_study.STUDY
    stages = list(toy.stages[:4])
    for number in range(8):
        above = "join" if number == 0 else f"join{number}"
        inputs = {**toy.stage("join").inputs, "warmed": f"{above}.joined"}
        outputs = {
            "joined": f"sub-{{subject}}/anat/joined{number}.nii.gz",
            "numbers": f"sub-{{subject}}/anat/joined{number}.json",
        }
        stages.append(
            dataclasses.replace(
                toy.stage("join"), name=f"join{number + 1}", inputs=inputs, outputs=outputs
            )
        )
    return dataclasses.replace(toy, stages=tuple(stages))


def _gate(folder: Path) -> Row:
    """Judge a T1w image of 1 mm and a PET image of 2 mm, as of one person."""
    import numpy as np

    from falx.core.grid import box_grid
    from falx.images.nifti import save
    from falx.images.plausible import judge_file

    for name, voxel_mm in (("T1w", 1.0), ("pet", 2.0)):
        grid = box_grid((-100.0, -120.0, -100.0), (100.0, 120.0, 100.0), voxel_mm)
        depth = np.linalg.norm(grid.centres_mm() / [75.0, 90.0, 80.0], axis=-1)
        noise = np.random.default_rng(1).normal(0, 5, grid.shape)
        save(folder / f"{name}.nii.gz", 100.0 * (depth < 1) + noise, grid.affine)

    def judge() -> None:
        for name in ("T1w", "pet"):
            judge_file(folder / f"{name}.nii.gz", name, what=name, where="sub-01")

    seconds = cpu_seconds(judge)
    return Row("gate of one person", seconds, "CPU s", "≤ 1", seconds <= 1)


def _help() -> Row:
    seconds = _child_cpu_seconds([sys.executable, "-m", "falx", "--help"])
    return Row("falx --help", seconds, "CPU s", "< 0.3", seconds < 0.3)


def _no_op(folder: Path, people: int, target: float) -> Row:
    bids, out = toy_study.write_dataset(folder / f"{people}", people), folder / f"{people}-out"
    command = [sys.executable, "-m", "toy_cli", "toy", str(bids), str(out), "participant"]
    _child_cpu_seconds([*command, "--serial"])
    seconds = _child_cpu_seconds(command)
    assert len(json.loads((out / "provenance/sub-10/tell.json").read_text())) > 5
    what = f"nothing to do, {people:,} subjects"
    return Row(what, seconds, "CPU s", f"≤ {target:g}", seconds <= target)


def _child_cpu_seconds(command: list[str]) -> float:
    tests = Path(__file__).resolve().parents[1] / "tests"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PYTHONPATH": f"{tests}:{tests.parent / 'src'}", "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
