"""The battery catches what it is for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import toy_images
import toy_study
from falx.bids.dataset import Dataset
from falx.engine.run import Request, run_study
from falx.images.nifti import save
from stage_battery import Twice, check_golden, check_image, check_stage, run_twice


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ("", ""),
        ("finite", "not finite"),
        ("bytes", "has other bytes when image runs again"),
        ("grid", "Not equal to tolerance"),
    ],
)
def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, match: str) -> None:
    twice = run_twice(
        toy_images.STUDY,
        Dataset.open(toy_images.write_images(tmp_path / "bids")),
        toy_images.Configuration(toy_images.Section(wrong)),
        tmp_path,
        spaces={"T1w": lambda job, out: toy_images.GRID},
    )
    if not match:
        check_stage(twice, "image")
        return
    with pytest.raises(AssertionError, match=match):
        check_stage(twice, "image")


def test_every_other_file_of_the_toy_study(tmp_path: Path) -> None:
    dataset = Dataset.open(toy_study.write_dataset(tmp_path / "bids"))
    study = toy_study.STUDY
    twice = run_twice(study, dataset, study.configuration(), tmp_path)
    for stage in ("tell", "mean"):
        check_stage(twice, stage)


def test_changed_numbers_ask_for_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "golden.json"
    monkeypatch.setenv("FALX_KEEP_GOLDEN", "1")
    check_golden(path, "anatomy", 1, {"gm_mm3": 650_000.0})
    monkeypatch.delenv("FALX_KEEP_GOLDEN")
    check_golden(path, "anatomy", 1, {"gm_mm3": 650_001.0})
    with pytest.raises(AssertionError, match="raise the version of stage anatomy: gm_mm3: 650000"):
        check_golden(path, "anatomy", 1, {"gm_mm3": 660_000.0})
    with pytest.raises(AssertionError, match="stage anatomy is now version 2"):
        check_golden(path, "anatomy", 2, {"gm_mm3": 660_000.0})
    with pytest.raises(AssertionError, match="no numbers are kept for stage pet"):
        check_golden(path, "pet", 1, {})


def test_a_figure_may_move_by_its_spread_between_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "golden.json"
    monkeypatch.setenv("FALX_KEEP_GOLDEN", "1")
    check_golden(path, "anatomy", 1, {"gm_mm3": 1000.0, "amygdala_mm3": 100.0})
    monkeypatch.setenv("FALX_KEEP_GOLDEN", "spread")
    check_golden(path, "anatomy", 1, {"gm_mm3": 1000.01, "amygdala_mm3": 99.5})
    check_golden(path, "anatomy", 1, {"gm_mm3": 1000.0, "amygdala_mm3": 100.1})
    monkeypatch.delenv("FALX_KEEP_GOLDEN")
    kept = json.loads(path.read_text())["anatomy"]
    assert kept["summary"] == {"gm_mm3": 1000.0, "amygdala_mm3": 100.0}
    assert kept["spread"] == pytest.approx({"gm_mm3": 1e-5, "amygdala_mm3": 5e-3}, abs=1.1e-6)
    away = check_golden(path, "anatomy", 1, {"gm_mm3": 1000.0, "amygdala_mm3": 100.7})
    assert away == pytest.approx({"gm_mm3": 0.0, "amygdala_mm3": 7e-3})
    with pytest.raises(AssertionError, match="amygdala_mm3: 100.0 is now 100.8"):
        check_golden(path, "anatomy", 1, {"gm_mm3": 1000.0, "amygdala_mm3": 100.8})
    with pytest.raises(AssertionError, match="gm_mm3: 1000.0 is now 1000.2"):
        check_golden(path, "anatomy", 1, {"gm_mm3": 1000.2, "amygdala_mm3": 100.0})


def test_the_output_folder_passes_the_validator_of_bids(tmp_path: Path) -> None:
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    bids = toy_images.write_images(tmp_path / "bids")
    about = {"Name": "toy", "BIDSVersion": "1.10.0", "Authors": ["A. Autrix", "B. Auctor"]}
    (bids / "dataset_description.json").write_text(json.dumps(about))
    (bids / "derivatives" / "drawn").mkdir(parents=True)
    request = Request(
        study=toy_images.STUDY,
        dataset=Dataset.open(bids),
        out=tmp_path / "out",
        level="participant",
        configuration=toy_images.Configuration(),
    )
    assert run_study(request, lambda line: None).code == 0
    (tmp_path / "out" / "logs" / "engine.log").touch()
    done = subprocess.run(
        [validator, str(tmp_path / "out"), "--json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    told = {(i["severity"], i["code"], i.get("subCode")) for i in issues}
    assert told == set()
    said = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert said["Authors"] == about["Authors"]
    assert said["DatasetLinks"] == {"raw": "../bids", "drawn": "../bids/derivatives/drawn"}
    (bids / "dataset_description.json").write_text("{")
    assert Dataset.open(bids).authors == ()


@pytest.mark.parametrize(("said", "allowed"), [("P; NaN outside the mask", True), ("P", False)])
def test_a_map_may_lack_values_where_its_sidecar_says_so(
    tmp_path: Path, said: str, allowed: bool
) -> None:
    path = tmp_path / "sub-01_pmap.nii.gz"
    save(path, np.full((2, 2, 2), np.nan), np.eye(4), sidecar={"Description": said})
    twice = Twice((), tmp_path, tmp_path, tmp_path)
    if allowed:
        check_image(path, None, twice)
        return
    with pytest.raises(AssertionError, match="not finite"):
        check_image(path, None, twice)
