"""One file for each role, and a clear question where several fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from falx.bids.dataset import Dataset
from falx.bids.index import Index
from falx.bids.query import Found, find_one, nearly, parse_filter
from falx.core.errors import InputError, OptionError
from falx.core.study import RawInput

Make = Callable[..., Path]
T1W = RawInput("pre-operative T1w image", suffix="T1w", datatype="anat", sessions=("preop", None))
MASK = RawInput("ablation mask", suffix="mask", entities={"label": "ablation"}, derivatives=True)


def one(root: Path, *filters: str, wanted: RawInput = T1W, **further: Any) -> Found | None:
    chosen = [parse_filter(text, ["t1w", "pet"]) for text in filters]
    return find_one("t1w", wanted, "07", dataset=Index(root), filters=chosen, **further)


def test_several_files_are_a_question_that_names_the_answer(make_dataset: Make) -> None:
    root = make_dataset(
        "sub-07/anat/sub-07_run-1_T1w.nii.gz", "sub-07/anat/sub-07_run-2_T1w.nii.gz"
    )
    text = (
        "sub-07: 2 files could be the pre-operative T1w image "
        r"\(found: sub-07_run-1_T1w.nii.gz, sub-07_run-2_T1w.nii.gz\); "
        "choose one with --filter t1w.run=1 or --filter t1w.run=2."
    )
    with pytest.raises(InputError, match=text):
        one(root)
    for choice in ("t1w.run=2", "run=2", "t1w.run=02"):
        found = one(root, choice)
        assert found is not None
        assert found.uri == "bids:raw:sub-07/anat/sub-07_run-2_T1w.nii.gz"
    assert one(root, "t1w.run=3") is None


def test_a_filter_for_all_images_leaves_a_single_file_alone(make_dataset: Make) -> None:
    assert one(make_dataset("sub-07/anat/sub-07_T1w.nii.gz"), "run=1") is not None


def test_compressed_and_plain_twins_are_a_question(make_dataset: Make) -> None:
    with pytest.raises(InputError, match="keep one of them"):
        one(make_dataset("sub-07/anat/sub-07_T1w.nii.gz", "sub-07/anat/sub-07_T1w.nii"))


def test_a_session_can_be_chosen_for_one_image(make_dataset: Make) -> None:
    root = make_dataset("sub-07/ses-base/anat/sub-07_ses-base_T1w.nii.gz")
    assert one(root) is None
    found = one(root, "t1w.ses=base")
    assert found is not None
    assert found.path.name == "sub-07_ses-base_T1w.nii.gz"


@pytest.mark.parametrize("text", ["run", "run=", "ct.run=1", "runs=1", "=1", "ses=preop"])
def test_filters_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"t1w\."):
        parse_filter(text, ["t1w", "pet"])


def test_masks_come_from_derivatives_and_named_folders_go_first(
    make_dataset: Make, tmp_path: Path
) -> None:
    name = "sub-07/anat/sub-07_space-T1w_label-ablation_mask.nii.gz"
    root = make_dataset("sub-07/anat/sub-07_T1w.nii.gz")
    a, b = (Index(make_dataset(name, folder=folder)) for folder in ("rater1", "rater2"))
    found = one(root, wanted=MASK, own_derivatives=[a])
    assert found is not None
    assert found.uri == f"bids:rater1:{name}"
    with pytest.raises(InputError, match=r"2 derivative datasets hold the ablation mask .*rater1"):
        one(root, wanted=MASK, own_derivatives=[a, b])
    found = one(root, wanted=MASK, derivatives=[b], own_derivatives=[a])
    assert found is not None
    assert found.path == b.root / name


def test_patterns_find_what_does_not_follow_bids(make_dataset: Make) -> None:
    wanted = RawInput(
        "FreeSurfer labels",
        patterns=("sub-{subject}_ses-preop/mri/aseg.mgz", "sub-{subject}/mri/aseg.mgz"),
        derivatives=True,
    )
    freesurfer = Index(make_dataset("sub-07/mri/aseg.mgz", folder="freesurfer"))
    root = make_dataset("sub-07/anat/sub-07_T1w.nii.gz")
    found = one(root, wanted=wanted, own_derivatives=[freesurfer])
    assert found is not None
    assert found.uri == "bids:freesurfer:sub-07/mri/aseg.mgz"


def test_a_file_of_the_dataset(make_dataset: Make) -> None:
    table = RawInput("table", dataset_file="participants.tsv")
    found = one(make_dataset("participants.tsv"), wanted=table)
    assert found is not None
    assert found.uri == "bids:raw:participants.tsv"


def test_a_file_of_another_role_does_not_stand_in_the_way(make_dataset: Make) -> None:
    folder = "derivatives/masks/sub-07/anat/sub-07"
    root = make_dataset(
        f"{folder}_label-ablation_mask.nii.gz", f"{folder}_label-ablation_desc-rater2_mask.nii.gz"
    )
    masks = {"own_derivatives": [Index(root / "derivatives/masks")]}
    with pytest.raises(InputError, match="2 files could be the ablation mask"):
        one(root, wanted=MASK, **masks)
    first = replace(MASK, without={"desc": "rater2"})
    found = one(root, wanted=first, **masks)
    assert found is not None
    assert "rater2" not in found.path.name
    found = one(root, "t1w.desc=rater2", wanted=first, **masks)
    assert found is not None
    assert "rater2" in found.path.name


def test_a_dataset_asks_its_own_derivatives_and_those_that_are_given(tmp_path: Path) -> None:
    bids, given = tmp_path / "bids", tmp_path / "given"
    wanted = RawInput("mask", suffix="mask", datatype="anat", derivatives=True)
    (bids / "sub-07" / "anat").mkdir(parents=True)
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    for root in (bids / "derivatives" / "own", given):
        path = root / "sub-07" / "anat" / "sub-07_mask.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
        (root / "dataset_description.json").write_text(
            '{"Name": "y", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}'
        )
    alone = Dataset.open(bids).find("mask", wanted, "07")
    assert alone is not None
    assert alone.path.is_relative_to(bids / "derivatives" / "own")
    named = Dataset.open(bids, derivatives=[given]).find("mask", wanted, "07")
    assert named is not None
    assert named.path.is_relative_to(given)
    assert Dataset.open(bids).find("t1w", RawInput("T1w", suffix="T1w"), "07") is None


def test_a_file_that_is_nearly_the_wanted_one_is_named_with_what_it_lacks(
    make_dataset: Make,
) -> None:
    root = make_dataset(
        "sub-07/ses-preop/pet/sub-07_ses-preop_pet.nii.gz",
        "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.NII",
        "sub-07/ses-late/pet/sub-07_ses-late_pet.nii.gz",
    )
    pet = RawInput(
        "FDG-PET image", suffix="pet", datatype="pet", sessions=("preop",),
        entities={"trc": "FDG"},
    )  # fmt: skip
    said = nearly(pet, "07", Index(root))
    assert "write trc-FDG into the name of sub-07_ses-preop_pet.nii.gz, or " in said
    assert "let sub-07_ses-preop_trc-FDG_pet.NII end in .nii.gz or .nii, or " in said
    assert "late" not in said
    assert nearly(T1W, "07", Index(root)) == ""


def test_a_mask_under_another_name_is_named_and_that_of_something_else_is_not(
    make_dataset: Make,
) -> None:
    root = make_dataset(
        "sub-07/ses-postop/anat/sub-07_ses-postop_mask.nii.gz",
        "sub-07/ses-postop/anat/sub-07_ses-postop_desc-brain_mask.nii.gz",
    )
    mask = RawInput(
        "ablation mask", suffix="mask", datatype="anat", sessions=("postop",),
        entities={"label": "ablation"}, derivatives=True,
    )  # fmt: skip
    said = nearly(mask, "07", Index(root))
    assert said == "write label-ablation into the name of sub-07_ses-postop_mask.nii.gz, or "
