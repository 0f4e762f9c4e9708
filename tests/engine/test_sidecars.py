"""What every derived image says of its sources and its space."""

from __future__ import annotations

import json
from pathlib import Path

from falx.engine.job import InputFile, Job
from falx.engine.sidecars import complete_sidecars, sources_of

INPUTS = {
    "t1w": InputFile(
        "/data/bids/sub-1/anat/sub-1_T1w.nii.gz", "bids:raw:sub-1/anat/sub-1_T1w.nii.gz"
    ),
    "gm": InputFile("sub-1/anat/gm.nii.gz", "sub-1/anat/gm.nii.gz", "sub-1/anatomy", "gm"),
    "metrics": InputFile("sub-1/m.json", "sub-1/m.json", "sub-1/anatomy", "metrics"),
    "flair": None,
    "all": {"2": InputFile("sub-2/x.nii.gz", "sub-2/x.nii.gz", "sub-2/pet", "x")},
}
NAMES = {
    "native": "sub-1/anat/sub-1_space-T1w_label-GM_probseg.nii.gz",
    "template": "sub-1/pet/sub-1_space-MNI152NLin2009aSym_pet.nii.gz",
    "own": "sub-1/anat/sub-1_desc-biascorrected_T1w.nii.gz",
    "warp": "sub-1/anat/sub-1_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.nii.gz",
    "table": "sub-1/anat/sub-1_desc-x_foci.tsv",
}


def written(tmp_path: Path, **said: object) -> dict[str, dict[str, object]]:
    job = Job("toy", "s", 1, "sub-1", INPUTS, NAMES, {}, "")
    for path in NAMES.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    if said:
        (tmp_path / NAMES["native"].replace(".nii.gz", ".json")).write_text(json.dumps(said))
    complete_sidecars(job, tmp_path)
    return {p.name: json.loads(p.read_text()) for p in tmp_path.rglob("*.json")}


def test_sources_are_images_and_name_no_path_of_the_machine() -> None:
    job = Job("toy", "s", 1, "sub-1", INPUTS, {}, {}, "")
    assert sources_of(job) == [
        "bids::sub-1/anat/gm.nii.gz",
        "bids::sub-2/x.nii.gz",
        "bids:raw:sub-1/anat/sub-1_T1w.nii.gz",
    ]


def test_images_get_what_they_lack_and_nothing_else_does(tmp_path: Path) -> None:
    found = written(tmp_path)
    assert sorted(found) == [
        "sub-1_desc-biascorrected_T1w.json",
        "sub-1_space-MNI152NLin2009aSym_pet.json",
        "sub-1_space-T1w_label-GM_probseg.json",
    ]
    assert found["sub-1_desc-biascorrected_T1w.json"]["SpatialReference"] == "orig"
    assert found["sub-1_space-MNI152NLin2009aSym_pet.json"]["SpatialReference"] == (
        "MNI152NLin2009aSym"
    )
    native = found["sub-1_space-T1w_label-GM_probseg.json"]
    assert native["SpatialReference"] == ("bids::sub-1/anat/sub-1_desc-biascorrected_T1w.nii.gz")
    assert len(native["Sources"]) == 3


def test_what_a_stage_said_itself_is_kept(tmp_path: Path) -> None:
    found = written(tmp_path, Sources=["x"], Type="Probability")
    native = found["sub-1_space-T1w_label-GM_probseg.json"]
    assert native["Sources"] == ["x"]
    assert native["Type"] == "Probability"
    assert "SpatialReference" in native
