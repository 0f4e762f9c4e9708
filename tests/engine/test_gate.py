"""The gate of the engine: a person whose image is no head is refused, the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import toy_images
from falx.engine.dataset import Dataset
from falx.engine.resources import Resources
from falx.engine.run import Outcome, Request, run_study


def head() -> np.ndarray:
    places = np.indices((36, 40, 36)).T - (np.array([36, 40, 36]) - 1) / 2
    return 100.0 * (np.linalg.norm(places / [14, 17, 14], axis=-1).T < 1) + 1.0


def half() -> np.ndarray:
    data = head()
    data[:18] = np.nan
    return data


def run(folder: Path, parallel: bool = False, **heads: np.ndarray) -> Outcome:
    request = Request(
        study=toy_images.JUDGED_STUDY,
        dataset=Dataset.open(toy_images.write_images(folder / "bids", **heads)),
        out=folder / "out",
        level="participant",
        configuration=toy_images.Configuration(),
        resources=Resources(2, 4000) if parallel else None,
    )
    return run_study(request, lambda line: None)


@pytest.mark.parametrize("parallel", [False, True])
def test_half_a_head_is_refused_and_the_others_go_on(tmp_path: Path, parallel: bool) -> None:
    outcome = run(tmp_path, parallel, a=half(), b=head())
    (failed,) = outcome.failed
    sentence = "sub-a: the T1w image shows only a part of the head (found: a cut on the left"
    assert failed.job == "sub-a/image"
    assert str(failed.failure).startswith(sentence)
    assert "Traceback" not in (tmp_path / "out" / failed.log).read_text()
    assert not (tmp_path / "out" / "sub-a" / "anat").exists() or not list(
        (tmp_path / "out" / "sub-a" / "anat").iterdir()
    )
    assert (tmp_path / "out/provenance/sub-b/image.json").exists()
    assert f"sub-a\t{sentence}" in (tmp_path / "out/exclusions.tsv").read_text()


def test_what_is_odd_stands_in_the_record(tmp_path: Path) -> None:
    data = head()
    data[18, 20, 18] = np.nan
    assert run(tmp_path, a=data).code == 0
    notices = json.loads((tmp_path / "out/provenance/sub-a/image.json").read_text())["notices"]
    assert len(notices) == 1
    assert notices[0].startswith("sub-a: the T1w image holds values that are not finite (found: 0")


def test_a_study_may_judge_for_itself(tmp_path: Path) -> None:
    request = Request(
        study=toy_images.STUDY,
        dataset=Dataset.open(toy_images.write_images(tmp_path / "bids")),
        out=tmp_path / "out",
        level="participant",
        configuration=toy_images.Configuration(),
    )
    assert run_study(request, lambda line: None).code == 0
