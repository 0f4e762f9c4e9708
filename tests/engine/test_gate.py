"""The gate of the engine: a person whose image is no head is refused, the others go on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

import toy_images
from falx.bids.dataset import Dataset
from falx.engine.gate import judge_inputs
from falx.engine.orders import Resources
from falx.engine.plan import plan_participants
from falx.engine.provenance import file_record
from falx.engine.run import Outcome, Request, run_study
from falx.images import plausible
from falx.images.nifti import save


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


def test_an_image_is_judged_once_for_each_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage that reads it would pay for it; one that reads another content must."""
    seen: list[str] = []
    real = plausible.judge_file
    monkeypatch.setattr(
        plausible,
        "judge_file",
        lambda path, *a, **k: (seen.append(path.name), real(path, *a, **k)),
    )
    assert run(tmp_path, a=head()).code == 0
    assert seen == ["sub-a_T1w.nii.gz"]
    job = plan_participants(
        toy_images.JUDGED_STUDY, Dataset.open(tmp_path / "bids"), toy_images.Configuration(), ["a"]
    ).jobs[1]
    out = tmp_path / "out"
    path = tmp_path / "bids" / "sub-a" / "anat" / "sub-a_T1w.nii.gz"
    uri = next(file.uri for name, file in job.files() if name == "t1w")
    for content, times in ((path.read_bytes(), 1), (b"other", 2)):
        path.with_name("read").write_bytes(content)
        read = {"t1w": file_record(uri, path.with_name("read"))}
        judge_inputs(job, toy_images.JUDGED_STUDY, out, read)
        assert len(seen) == times


def test_the_gate_costs_less_than_a_second(tmp_path: Path) -> None:
    """Of one image of a millimetre; a person with six of them is measured in the docs."""
    data = np.kron(head(), np.ones((5, 5, 5))).astype(np.int16)
    path = tmp_path / "x.nii.gz"
    save(path, data, np.eye(4))
    start = time.process_time()
    plausible.judge_file(path, "T1w", what="T1w", where="a")
    assert time.process_time() - start < 1.0
