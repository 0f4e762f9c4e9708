"""The index: what is in a dataset, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bids.layout import BIDSLayout
from hypothesis import given, settings
from hypothesis import strategies as st

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
    with pytest.raises(InputError, match=r"pet\.json: the file is not JSON"):
        index.sidecar(index.files("01")[0])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}", "[1]", "\x00"])
def test_sidecars_that_are_too_deep_or_no_object_are_sentences(
    make_dataset: Make, text: str
) -> None:
    root = make_dataset("sub-01/pet/sub-01_pet.nii.gz", "pet.json")
    (root / "pet.json").write_text(text)
    index = Index(root)
    with pytest.raises(InputError, match=r"pet\.json|the table"):
        index.sidecar(index.files("01")[0])


def test_links_that_lead_in_circles_concern_their_subject_alone(make_dataset: Make) -> None:
    root = make_dataset("sub-01/anat/sub-01_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz")
    (root / "sub-01" / "anat" / "anat").symlink_to(root / "sub-01" / "anat")
    (root / "sub-02" / "pet").symlink_to("pet")
    (root / "sub-03").symlink_to("sub-03")
    index = Index(root)
    assert index.subjects == ("01", "02")
    with pytest.raises(InputError, match="too deep inside each other .* link that leads back"):
        index.files("01")
    assert [file.path for file in index.files("02")] == ["sub-02/anat/sub-02_T1w.nii.gz"]


def test_a_folder_that_cannot_be_listed_is_a_sentence(make_dataset: Make) -> None:
    index = Index(make_dataset("sub-01/anat/sub-01_T1w.nii.gz"))
    with pytest.raises(InputError, match=r"sub-02: the folder cannot be listed \(found: No such"):
        index.files("02")


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


PLACES = st.lists(
    st.tuples(
        st.sampled_from(["01", "02", "x9"]),
        st.sampled_from(["", "preop", "postop"]),
        st.sampled_from(["anat", "pet", "func"]),
        st.sampled_from(["", "_run-1", "_run-02"]),
        st.sampled_from(["T1w", "pet", "bold"]),
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


def path_of(subject: str, session: str, datatype: str, run: str, suffix: str) -> str:
    folder = f"sub-{subject}/{f'ses-{session}/' if session else ''}{datatype}"
    return f"{folder}/sub-{subject}{f'_ses-{session}' if session else ''}{run}_{suffix}.nii.gz"


@settings(max_examples=25, deadline=None)
@given(places=PLACES)
def test_every_file_is_found_once_and_finding_is_filtering(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[str, str, str, str, str]]
) -> None:
    root = tmp_path_factory.mktemp("bids")
    for place in places:
        path = root / path_of(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    index = Index(root)
    assert index.subjects == tuple(sorted({place[0] for place in places}))
    for subject in index.subjects:
        own = [place for place in places if place[0] == subject]
        assert [f.path for f in index.files(subject)] == sorted(path_of(*p) for p in own)
        for session in ("preop", "postop"):
            found = index.find(subject, suffix="T1w", datatype="anat", sessions=(session,))
            assert {f.path for f in found} == {
                path_of(*p) for p in own if (p[1], p[2], p[4]) == (session, "anat", "T1w")
            }
        second = index.find(subject, suffix="pet", entities={"run": "2", "ses": None})
        assert {f.path for f in second} == {
            path_of(*p) for p in own if (p[1], p[3], p[4]) == ("", "_run-02", "pet")
        }


SIDECARS = st.dictionaries(
    st.sampled_from(
        ["pet.json", "trc-FDG_pet.json", "sub-01/sub-01_pet.json",
         "sub-01/pet/sub-01_trc-FDG_pet.json", "sub-01/pet/sub-01_trc-MK_pet.json"]
    ),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(sidecars=SIDECARS)
def test_what_a_nearer_sidecar_says_is_never_lost(
    tmp_path_factory: pytest.TempPathFactory, sidecars: dict[str, dict[str, int]]
) -> None:
    root = tmp_path_factory.mktemp("bids")
    (root / "sub-01/pet").mkdir(parents=True)
    (root / "sub-01/pet/sub-01_trc-FDG_pet.nii.gz").touch()
    for name, content in sidecars.items():
        (root / name).write_text(json.dumps(content))
    index = Index(root)
    (file,) = [f for f in index.files("01") if f.name.extension == ".nii.gz"]
    merged: dict[str, int] = {}
    for name in ("pet.json", "trc-FDG_pet.json", "sub-01/sub-01_pet.json"):
        merged |= sidecars.get(name, {})
    assert index.sidecar(file) == merged | sidecars.get("sub-01/pet/sub-01_trc-FDG_pet.json", {})


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
