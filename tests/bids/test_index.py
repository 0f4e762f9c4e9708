"""The index: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bids.layout import BIDSLayout

from falx.bids.index import Index
from falx.core.errors import InputError

Make = Callable[..., Path]


def test_files_of_a_subject_with_and_without_sessions(make_dataset: Make) -> None:
    root = make_dataset(
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/ses-preop/pet/sub-01_ses-preop_trc-FDG_pet.nii.gz",
        "sub-01/anat/.DS_Store",
        "sub-01/notes/sub-01_T1w.nii.gz",
        "sub-01/anat/README",
        "sub-01/sub-01_scans.tsv",
    )
    files = {file.path: file.datatype for file in Index(root).files("01")}
    assert files == {
        "sub-01/anat/sub-01_T1w.json": "anat",
        "sub-01/anat/sub-01_T1w.nii.gz": "anat",
        "sub-01/ses-preop/pet/sub-01_ses-preop_trc-FDG_pet.nii.gz": "pet",
        "sub-01/sub-01_scans.tsv": "",
    }


def test_sessions_are_taken_by_preference(make_dataset: Make) -> None:
    index = Index(
        make_dataset(
            "sub-01/ses-preop/anat/sub-01_ses-preop_T1w.nii",
            "sub-01/ses-postop/anat/sub-01_ses-postop_ce-gadolinium_T1w.nii.gz",
            "sub-02/anat/sub-02_T1w.nii.gz",
        )
    )

    def paths(subject: str, *sessions: str | None) -> list[str]:
        return [file.path for file in index.find(subject, suffix="T1w", sessions=sessions)]

    assert paths("01", "preop", None) == ["sub-01/ses-preop/anat/sub-01_ses-preop_T1w.nii"]
    assert paths("02", "preop", None) == ["sub-02/anat/sub-02_T1w.nii.gz"]
    assert paths("02", "postop") == []
    assert len(paths("01")) == 2
    assert index.find("01", suffix="T1w", entities={"ce": None}) == index.find(
        "01", suffix="T1w", sessions=("preop",)
    )


def test_entities_choose_and_indices_compare_as_numbers(make_dataset: Make) -> None:
    index = Index(
        make_dataset(
            "sub-01/anat/sub-01_run-01_T1w.nii.gz", "sub-01/anat/sub-01_run-02_T1w.nii.gz"
        )
    )
    (file,) = index.find("01", suffix="T1w", datatype="anat", entities={"run": "2"})
    assert file.name.entities["run"] == "02"


def test_nearer_and_more_specific_sidecars_win(make_dataset: Make) -> None:
    root = make_dataset("sub-01/ses-a/pet/sub-01_ses-a_trc-FDG_pet.nii.gz")
    sidecars = {
        "pet.json": {"Units": "counts", "Place": "root", "Only": "root"},
        "trc-FDG_pet.json": {"Place": "tracer"},
        "trc-MK_pet.json": {"Place": "other tracer", "Wrong": 1},
        "task-rest_pet.json": {"Wrong": 1},
        "sub-01/sub-01_pet.json": {"Units": "Bq/mL"},
        "sub-01/ses-a/pet/sub-01_ses-a_trc-FDG_pet.json": {"FrameDuration": [600]},
    }
    for name, content in sidecars.items():
        (root / name).write_text(json.dumps(content))
    index = Index(root)
    (file,) = index.find("01", suffix="pet")
    assert index.sidecar(file) == {
        "Units": "Bq/mL",
        "Place": "tracer",
        "Only": "root",
        "FrameDuration": [600],
    }


def test_damaged_sidecars_are_named(make_dataset: Make) -> None:
    root = make_dataset("sub-01/pet/sub-01_pet.nii.gz", "pet.json")
    (root / "pet.json").write_text("{'Units': 1}")
    index = Index(root)
    with pytest.raises(InputError, match=r"pet\.json: the sidecar is not JSON"):
        index.sidecar(index.files("01")[0])


def test_unknown_subjects_get_the_list_of_the_known(make_dataset: Make) -> None:
    index = Index(make_dataset(*(f"sub-{n:02d}/anat/sub-{n:02d}_T1w.nii" for n in range(15))))
    assert index.choose(["sub-03", "01", "01"]) == ("01", "03")
    assert len(index.choose([])) == 15
    with pytest.raises(InputError, match=r"no subject 99; the subjects are 00, 01, .* and 3 more"):
        index.choose(["99"])


def test_a_folder_without_subjects_is_no_dataset(make_dataset: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no subjects in the dataset"):
        _ = Index(make_dataset("anat/T1w.nii.gz")).subjects
    with pytest.raises(InputError, match="no such BIDS folder"):
        Index(tmp_path / "nowhere")


def test_subjects_that_differ_by_case_only_are_refused(make_dataset: Make) -> None:
    root = make_dataset("sub-ab/anat/sub-ab_T1w.nii", "sub-AB/anat/sub-AB_T1w.nii")
    if len(list(root.iterdir())) == 1:
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(InputError, match=r"upper and lower case only \(found: sub-AB and sub-ab"):
        _ = Index(root).subjects


def test_a_file_in_the_folder_of_another_subject_is_refused(make_dataset: Make) -> None:
    index = Index(make_dataset("sub-02/anat/sub-01_T1w.nii.gz"))
    with pytest.raises(InputError, match="lies in the folder of another subject"):
        index.files("02")


def test_agrees_with_pybids(make_dataset: Make) -> None:
    names = [
        f"sub-{s}/{f'ses-{e}/' if e else ''}{d}/sub-{s}{f'_ses-{e}' if e else ''}{rest}"
        for s in ("01", "02")
        for e in ("", "preop", "postop")
        for d, rest in [
            ("anat", "_T1w.nii.gz"),
            ("anat", "_acq-hires_run-2_T1w.nii.gz"),
            ("anat", "_FLAIR.json"),
            ("pet", "_trc-FDG_rec-osem_pet.nii.gz"),
            ("func", "_task-rest_bold.nii.gz"),
        ]
    ]
    root = make_dataset("dataset_description.json", *names)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    layout = BIDSLayout(root, validate=False)
    theirs = {
        file.relpath: {
            key: file.entities.get(long)
            for key, long in (("sub", "subject"), ("ses", "session"), ("trc", "tracer"))
        }
        for file in layout.get(scope="raw")
        if "sub-" in file.relpath
    }
    index = Index(root)
    ours = {
        file.path: {key: file.name.entities.get(key) for key in ("sub", "ses", "trc")}
        for subject in index.subjects
        for file in index.files(subject)
    }
    assert ours == theirs
    for session in ("preop", "postop"):
        mine = index.find("01", suffix="T1w", sessions=(session,))
        other = layout.get(subject="01", suffix="T1w", session=session)
        assert sorted(f.path for f in mine) == sorted(f.relpath for f in other)
