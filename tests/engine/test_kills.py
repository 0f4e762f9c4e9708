"""Kills at random moments: the same command gives the same bytes, and loses nobody.

Of the real studies a run begins where an earlier one may have stopped: some of the stages are
done, so that the kills strike all of them and not only the longest.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toy_study
from falx.core.files import write_json
from falx.core.study import Study
from falx.engine.folder import prepare_folder
from falx.engine.provenance import (
    Record,
    discard,
    file_record,
    read_record,
    record_path,
    write_record,
)
from falx.images.nifti import save
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec
from falx.phantom.resting import simulate_resting_cohort
from falx.phantom.resting_dataset import write_resting_cohort
from falx.studies.resistance.study import STUDY as RESISTANCE
from falx.studies.signature.study import STUDY as SIGNATURE
from killing import KINDS, Attack, Trial, contents

TESTS = Path(__file__).resolve().parents[1]
KILLED = int(os.environ.get("FALX_KILLS", "100"))
"""Runs of the toy study of each kind; of each of the others a tenth."""

COARSE = ("--anatomy-sampling-mm", "6")
SMALL = {
    "signature": (*COARSE, "--asymmetry-voxel-mm", "4", "--signature-draws", "20",
                  "--signature-maps", "100", "--ablation-rate-draws", "50"),
    "resistance": (*COARSE, "--grey-voxel-mm", "3", "--reho-voxel-mm", "6",
                   "--groups-sensitive", "", "--groups-n-permutations", "99"),
}  # fmt: skip
"""Settings with which a study is a matter of seconds."""


def attack_on(
    folder: Path, words: list[str], levels: tuple[str, ...], people: int, made: Path | None = None
) -> Attack:
    """Run a command undisturbed, and return the attack on it."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])}
    command = [sys.executable, "-m", *words[:3], "{out}", "{level}", "--jobs", "2", *words[3:]]
    attack = Attack(command, {}, people, 0.0, env, levels)
    if made is not None:
        shutil.copytree(made, folder / "gold")
    start = time.monotonic()
    for level in levels:
        process = attack.start(folder / "gold", level)
        said, _ = process.communicate(timeout=3000)
        assert process.returncode == 0, said
        attack.seconds = attack.seconds or time.monotonic() - start
    attack.gold = contents(folder / "gold")
    return attack


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Attack:
    folder = tmp_path_factory.mktemp("kills")
    bids = toy_study.write_dataset(folder / "bids", 3)
    for label in ("01", "03"):
        (bids / f"sub-{label}/anat/slow").write_text("0.3")
    return attack_on(folder, ["toy_cli", "toy", str(bids)], ("participant", "group"), 3)


def real(folder: Path, study: Study, level: str, people: int, made: Path | None = None) -> Attack:
    """Attack one level of a real study, of which a random part was done before."""
    words = ["falx", study.name, str(folder / "bids"), *SMALL[study.name]]
    attack = attack_on(folder, words, (level,), people, made)
    stages = [stage.name for stage in study.at(level)]

    def begin(out: Path, seeded: random.Random) -> float:
        shutil.copytree(folder / "gold", out)
        seconds = 2.0
        for unit in sorted((out / "provenance").iterdir()):
            done = seeded.randrange(1, len(stages))
            for stage in stages[done:]:
                job = f"{unit.name}/{stage}"
                if record := read_record(record_path(out, job)):
                    seconds += record.seconds
                    discard(out, job)
        return seconds

    attack.begin = begin
    return attack


def signature(folder: Path) -> Attack:
    spec = PatientSpec("01", "right", voxel_mm=2.5, head="12", ablative_rate=0.6)
    write_cohort(folder / "bids", [spec], np.random.default_rng(3))
    return real(folder, SIGNATURE, "participant", 1)


def resistance(folder: Path) -> Attack:
    rng = np.random.default_rng(1)
    people = simulate_resting_cohort({"DRE": 1, "HC": 1}, rng)
    write_resting_cohort(folder / "bids", [replace(one, voxel_mm=3.0) for one in people], rng)
    return real(folder, RESISTANCE, "participant", 2)


def resistance_group(folder: Path) -> Attack:
    """Twelve people whose maps are made up, in place of their images."""
    made, rng = folder / "made", np.random.default_rng(2)
    prepare_folder(made, RESISTANCE.name)
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    affine[:3, 3] = [-72.0, -105.0, -57.0]
    lines = ["participant_id\tgroup\tage\tsex"]
    for k in range(12):
        label = f"{k:02d}"
        lines.append(f"sub-{label}\t{('DRE', 'HC')[k % 2]}\t{30 + k}\t{'FM'[k // 2 % 2]}")
        t1w = folder / f"bids/sub-{label}/anat/sub-{label}_T1w.nii.gz"
        t1w.parent.mkdir(parents=True)
        t1w.touch()
        for stage in ("grey", "reho"):
            values = 5.0 + 0.5 * rng.standard_normal((24, 30, 24))
            _leave_finished(made, label, stage, values, affine)
    write_json(folder / "bids/dataset_description.json", {"Name": "x", "BIDSVersion": "1.10.0"})
    (folder / "bids/participants.tsv").write_text("\n".join(lines) + "\n")
    return real(folder, RESISTANCE, "group", 12, made)


def _leave_finished(
    out: Path, label: str, name: str, values: np.ndarray, affine: np.ndarray
) -> None:
    stage, outputs = RESISTANCE.stage(name), {}
    for role, place in stage.outputs.items():
        path = out / place.format(subject=label)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            write_json(
                path, {"tiv_ml": 1400.0 + values.flat[0], "mean_fd_mm": values.flat[1] / 50}
            )
        elif role in ("smoothed", "mask"):
            save(path, np.ones_like(values) if role == "mask" else values, affine)
        else:
            continue
        outputs[role] = file_record(path.relative_to(out).as_posix(), path)
        sidecar = path.with_name(path.name.split(".")[0] + ".json")
        if sidecar != path and sidecar.exists():
            outputs[f"{role}_sidecar"] = file_record(sidecar.relative_to(out).as_posix(), sidecar)
    record = Record(
        study=RESISTANCE.reference, stage=name, version=stage.version, unit=f"sub-{label}",
        recipe="made", params={}, inputs={}, outputs=outputs, notices=(), started="", seconds=0.0,
        threads=1, peak_mem_mb=1,
    )  # fmt: skip
    write_record(out, record)


STUDIES = {"signature": signature, "resistance": resistance, "resistance_group": resistance_group}


def report(trials: list[Trial]) -> str:
    return json.dumps([vars(trial) for trial in trials if trial.wrong], indent=1)


def strike(attack: Attack, folder: Path, kind: str, runs: int, name: str) -> None:
    trials = []
    for number in range(runs):
        out = folder / str(number)
        trials.append(attack.trial(out, kind, random.Random(f"{kind} {number}")))
        if not trials[-1].wrong:
            shutil.rmtree(out)
    print(f"{name}, {kind}: {runs} runs, {sum(trial.kills for trial in trials)} kills")
    assert not [trial for trial in trials if trial.wrong], report(trials)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kills_of_the_toy_study(toy: Attack, tmp_path: Path, kind: str) -> None:
    strike(toy, tmp_path, kind, KILLED, "toy")


@pytest.mark.slow  # with FALX_KILLS=80 half an hour of CPU
@pytest.mark.parametrize("name", ["resistance_group", "signature", "resistance"])
def test_kills_of_real_studies(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp(name)
    attack = STUDIES[name](folder)
    for kind in KINDS:
        strike(attack, folder / kind, kind, max(1, KILLED // 10), name)
