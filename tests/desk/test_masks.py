"""Masks by hand: where they lie in the world, what is kept of them, and what is never lost."""

from __future__ import annotations

import errno
import json
import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from desk.drawn_patient import (
    FLAIR,
    MOVED,
    POSTOP,
    PREOP,
    ablation,
    make_patient,
    odd_affine,
)
from desk_server import serving
from falx.bids.dataset import Dataset
from falx.bids.query import find_one
from falx.core.errors import InputError
from falx.core.files import read_json, write_json
from falx.core.grid import apply_affine
from falx.desk import mask_files
from falx.desk.draft_files import discard, drafts, keep_draft, read_draft
from falx.desk.drawing import Draft, MaskTarget, canvas_of, pack, parts_of, unpack
from falx.desk.mask_files import (
    OutdatedError,
    agreement,
    canvas,
    drawables,
    grid_of,
    mask_file,
    proposal_on,
    read_mask,
    save_mask,
)
from falx.images.nifti import Image, load_header, load_mask, save
from falx.studies.signature.study import STUDY
from falx.surgery.outcome.ablation import dice

TARGET = MaskTarget("07", POSTOP, "ablation")
WINDOW = "0123456789abcdef"


@pytest.fixture
def workspace(tmp_path):
    return make_patient(tmp_path / "desk")


def in_world(workspace, target, inside):
    """The mask that a hand draws where `inside` says so of millimetres."""
    x, y, z = np.moveaxis(grid_of(workspace, target).centres_mm(), -1, 0)
    return inside(x, y, z)


def drawn(target=TARGET, base="", proposal=None, window=WINDOW):
    return Draft(target, window, base, proposal, "")


def moved_ablation(x, y, z):
    return ablation(*(v - m for v, m in zip((x, y, z), MOVED, strict=True)))


ORIENTATIONS = [
    ((0, 1, 2), (1, 1, 1), (0, 0, 0)),
    ((0, 1, 2), (-1, -1, 1), (0, 0, 0)),
    ((2, 0, 1), (-1, 1, -1), (8, -5, 11)),
    ((1, 2, 0), (1, -1, -1), (-14, 9, 20)),
    ((2, 1, 0), (-1, -1, -1), (25, 12, -17)),
]


@pytest.mark.parametrize(("order", "signs", "tilt"), ORIENTATIONS)
def test_a_mask_lies_where_it_was_drawn_on_the_very_grid_of_its_image(
    tmp_path, order, signs, tilt
):
    workspace = make_patient(tmp_path / "desk", postop_affine=odd_affine(order, signs, tilt))
    bits = in_world(workspace, TARGET, moved_ablation)
    found = save_mask(workspace, drawn(), bits)
    path = workspace.bids / found.path
    shape, affine = load_header(workspace.bids / POSTOP)
    assert load_header(path)[0] == shape
    np.testing.assert_array_equal(load_header(path)[1], affine)
    mask = load_mask(path)
    centre = apply_affine(mask.affine, np.argwhere(mask.data)).mean(axis=0)
    np.testing.assert_allclose(centre, np.array((-11, -4, -3)) + MOVED, atol=0.3)
    dark = canvas(workspace, TARGET)
    assert dark.grey[bits].max() < dark.grey[~bits & (dark.grey > 0)].min()
    assert found.volume_mm3 == pytest.approx(4 / 3 * np.pi * 7**3, rel=0.03)
    back, digest = read_mask(workspace, TARGET)
    assert np.array_equal(back, bits) and digest == found.digest


def test_the_mirrored_head_with_the_mirrored_drawing_gives_the_mirrored_mask(tmp_path):
    affine = odd_affine()
    mirrored = np.diag([-1.0, 1, 1, 1]) @ affine
    places = []
    for name, one in (("plain", affine), ("mirror", mirrored)):
        workspace = make_patient(tmp_path / name, postop_affine=one)
        sign = 1 if name == "plain" else -1
        bits = in_world(workspace, TARGET, lambda x, y, z, s=sign: moved_ablation(s * x, y, z))
        mask = load_mask(workspace.bids / save_mask(workspace, drawn(), bits).path)
        places.append(apply_affine(mask.affine, np.argwhere(mask.data)).mean(axis=0))
    assert places[0][0] < -5
    np.testing.assert_allclose(places[1], places[0] * (-1, 1, 1), atol=1e-6)


def test_the_study_takes_the_three_drawings_by_their_names(workspace):
    bits = in_world(workspace, TARGET, moved_ablation)
    wanted = {
        "ablation": TARGET,
        "second_ablation": replace(TARGET, rater="rater2"),
        "repeat_ablation": replace(TARGET, repeat=True),
    }
    for target in wanted.values():
        assert save_mask(workspace, drawn(target), bits).notices == ()
    dataset = Dataset.open(workspace.bids)
    for role, target in wanted.items():
        found = find_one(
            role, STUDY.raw[role], "07",
            dataset=dataset.index, own_derivatives=dataset.own_derivatives,
        )  # fmt: skip
        assert found.path == mask_file(workspace, target)
        assert found.file.name.entities["ses"] == "postop"


def test_an_ablation_of_another_dataset_is_drawn_on_there(workspace):
    bits = in_world(workspace, TARGET, moved_ablation)
    name = "sub-07/ses-postop/anat/sub-07_ses-postop_label-ablation_mask.nii.gz"
    elsewhere = workspace.bids / "derivatives/masks" / name
    elsewhere.parent.mkdir(parents=True)
    (workspace.bids / save_mask(workspace, drawn(), bits).path).rename(elsewhere)
    assert mask_file(workspace, TARGET) == elsewhere
    _, base = read_mask(workspace, TARGET)
    assert save_mask(workspace, drawn(base=base), ~bits).path == f"derivatives/masks/{name}"


def test_a_mask_that_the_study_would_not_take_is_said(workspace):
    bits = in_world(workspace, TARGET, moved_ablation)
    save_mask(workspace, drawn(), bits)
    before = MaskTarget("07", PREOP, "ablation")
    (notice,) = save_mask(workspace, drawn(before), in_world(workspace, before, ablation)).notices
    assert "takes sub-07_ses-postop_label-ablation_mask.nii.gz instead of this" in notice


def test_the_sidecar_says_who_when_from_what_and_with_what(workspace):
    bits, proposal = proposal_on(workspace, TARGET)
    bits[:, :, : bits.shape[2] // 2] = False
    found = save_mask(workspace, drawn(proposal=proposal), bits)
    about = read_json((workspace.bids / found.path).with_suffix("").with_suffix(".json"))
    assert about["Rater"] == "rater1" and about["Repeat"] is False and about["Confirmed"] is True
    assert about["SpatialReference"] == f"bids:raw:{POSTOP}"
    assert about["Proposal"]["blake2b"] == proposal.blake2b
    assert about["Proposal"]["dice"] == pytest.approx(
        dice(proposal_on(workspace, TARGET)[0], bits), abs=1e-4
    )
    assert about["Drawn"].endswith("+00:00")
    assert about["GeneratedBy"][0]["Description"] == "falx desk"
    assert about["Type"] == "Lesion"
    text = (workspace.bids / found.path).with_suffix("").with_suffix(".json").read_text()
    assert str(workspace.bids) not in text


def test_a_proposal_that_is_saved_as_it_is_says_so(workspace):
    bits, proposal = proposal_on(workspace, TARGET)
    found = save_mask(workspace, drawn(proposal=proposal), bits)
    about = read_json((workspace.bids / found.path).with_suffix("").with_suffix(".json"))
    assert about["Proposal"]["dice"] == 1.0


def test_the_proposal_comes_to_the_image_after_by_the_registration(workspace):
    bits, _ = proposal_on(workspace, TARGET)
    assert dice(bits, in_world(workspace, TARGET, moved_ablation)) > 0.93
    here, _ = proposal_on(workspace, MaskTarget("07", PREOP, "ablation"))
    assert dice(here, in_world(workspace, MaskTarget("07", PREOP, "ablation"), ablation)) == 1.0


def test_without_proposal_or_registration_a_sentence_says_which_is_missing(workspace):
    with pytest.raises(InputError, match="T1w before and after the operation"):
        proposal_on(workspace, MaskTarget("07", FLAIR, "lesion"))
    next(workspace.out.rglob("*_xfm.json")).unlink()
    with pytest.raises(InputError, match="not registered yet"):
        proposal_on(workspace, TARGET)
    next(workspace.out.rglob("*proposed_mask.nii.gz")).unlink()
    with pytest.raises(InputError, match="there is no proposal"):
        proposal_on(workspace, TARGET)


def test_other_masks_carry_the_entities_of_their_image(workspace):
    lesion = MaskTarget("07", FLAIR, "lesion")
    bits = in_world(workspace, lesion, ablation)
    found = save_mask(workspace, drawn(lesion), bits)
    assert found.path.endswith("sub-07_ses-preop_space-FLAIR_label-lesion_mask.nii.gz")
    with pytest.raises(InputError, match="drawn on the T1w before or after"):
        save_mask(workspace, drawn(replace(lesion, label="ablation")), bits)


def test_images_are_listed_with_their_roles_the_one_after_first(workspace):
    found = drawables(workspace, "07")
    assert [(one.path, one.place) for one in found] == [(POSTOP, "postop"), (PREOP, "t1w"),
                                                        (FLAIR, "")]  # fmt: skip
    assert found[0].title == "T1w · after the operation"


def test_raters_are_compared_at_once_and_a_shared_start_is_told(workspace):
    bits, proposal = proposal_on(workspace, TARGET)
    second = replace(TARGET, rater="rater2")
    save_mask(workspace, drawn(proposal=proposal), bits)
    assert agreement(workspace, second) == (None, "")
    shifted = np.roll(bits, 2, axis=0)
    save_mask(workspace, drawn(second), shifted)
    found, words = agreement(workspace, second)
    assert found == dice(bits, shifted)
    assert words == f"Dice with the first rater's: {found:.3f}."
    again = replace(TARGET, repeat=True)
    save_mask(workspace, drawn(again, proposal=proposal), shifted)
    found, words = agreement(workspace, again)
    assert words.startswith(f"Dice with your first drawing: {found:.3f}.")
    assert "a part of this agreement is the program's" in words


def test_the_second_of_two_windows_is_told_and_nothing_is_lost(workspace):
    bits = in_world(workspace, TARGET, moved_ablation)
    first = save_mask(workspace, drawn(), bits)
    with pytest.raises(OutdatedError, match=r"another window saved this mask at \d\d:\d\d:\d\d"):
        save_mask(workspace, drawn(window="f" * 16), np.roll(bits, 1, axis=1))
    assert read_mask(workspace, TARGET)[1] == first.digest
    (workspace.bids / first.path).unlink()
    with pytest.raises(OutdatedError, match="deleted in between"):
        save_mask(workspace, drawn(base=first.digest), bits)


def test_of_many_saves_at_once_one_wins_and_all_others_are_told(workspace):
    bits = in_world(workspace, TARGET, moved_ablation)
    told, won = [], []

    def one(number):
        try:
            mask = np.roll(bits, number, axis=2)
            won.append(save_mask(workspace, drawn(window=f"{number:016x}"), mask).digest)
        except OutdatedError as error:
            told.append(str(error))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(told) == 5
    assert read_mask(workspace, TARGET)[1] == won[0]


@pytest.mark.parametrize("fails", [".nii.gz", ".json"])
def test_a_full_disk_leaves_the_older_mask_whole(workspace, monkeypatch, fails):
    bits = in_world(workspace, TARGET, moved_ablation)
    first = save_mask(workspace, drawn(), bits)
    folder = (workspace.bids / first.path).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(path, data, affine, *, sidecar):
        save(path, data, affine)
        if fails == ".json":
            write_json(path.with_suffix("").with_suffix(".json"), {"Rater": "half"})
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(mask_files, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_mask(workspace, drawn(base=first.digest), np.roll(bits, 3, axis=0))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_empty_drawing_and_a_stray_dot_are_told(workspace):
    bits = in_world(workspace, TARGET, moved_ablation)
    with pytest.raises(InputError, match="nothing is drawn"):
        save_mask(workspace, drawn(), np.zeros_like(bits))
    bits[2, 2, 2] = True
    (notice,) = save_mask(workspace, drawn(), bits).notices
    assert notice.startswith("1 of its 2 parts is smaller than 10 mm³")
    bits[2, 2, 4] = True
    assert parts_of(bits, 1.0)[0].startswith("2 of its 3 parts are")


def test_a_mask_of_another_grid_is_not_taken_for_one_of_this(workspace):
    path = mask_file(workspace, TARGET)
    save(path, np.ones((5, 5, 5), bool), np.eye(4))
    with pytest.raises(InputError, match="another grid than the image"):
        read_mask(workspace, TARGET)


def test_drafts_come_back_newest_first_and_a_damaged_one_is_passed_over(workspace):
    shape = grid_of(workspace, TARGET).shape
    bits = in_world(workspace, TARGET, moved_ablation)
    keep_draft(workspace, drawn(), pack(bits), shape)
    keep_draft(workspace, drawn(window="f" * 16), pack(~bits), shape)
    newest, older = drafts(workspace, TARGET)
    assert (newest.window, older.window) == ("f" * 16, WINDOW)
    _, packed = read_draft(workspace, TARGET, WINDOW)
    assert np.array_equal(unpack(packed, shape), bits)
    assert drafts(workspace, replace(TARGET, rater="rater2")) == []
    (broken,) = workspace.private.rglob(f"{'f' * 16}.draft")
    broken.write_bytes(b"{")
    assert [one.window for one in drafts(workspace, TARGET)] == [WINDOW]
    with pytest.raises(InputError, match="draft is damaged"):
        read_draft(workspace, TARGET, "f" * 16)
    discard(workspace, TARGET, WINDOW)
    with pytest.raises(InputError, match="no such draft"):
        read_draft(workspace, TARGET, WINDOW)


def test_what_is_no_drawing_replaces_no_draft(workspace):
    shape = grid_of(workspace, TARGET).shape
    bits = in_world(workspace, TARGET, moved_ablation)
    keep_draft(workspace, drawn(), pack(bits), shape)
    for packed, words in (
        (b"nothing", "arrived damaged"),
        (pack(bits)[:-9], "not of this image"),
        (pack(bits[1:]), "not of this image"),
        (pack(np.zeros((400, 400, 400), bool)), "not of this image"),
    ):
        with pytest.raises(InputError, match=words):
            keep_draft(workspace, drawn(), packed, shape)
    assert np.array_equal(unpack(read_draft(workspace, TARGET, WINDOW)[1], shape), bits)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "../x"}, {"label": ""}, {"rater": "Dr Who"}, {"subject": "../07"},
        {"image": "../../secret.nii"}, {"image": "sub-07/anat/x.txt"},
        {"rater": "rater2", "repeat": True},
    ],
)  # fmt: skip
def test_a_target_that_is_none_is_refused(change):
    with pytest.raises(InputError):
        replace(TARGET, **change)


@pytest.mark.parametrize("window", ["", "../../x", "G" * 16, "0" * 64])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(InputError, match="which it is"):
        drawn(window=window)


def test_greys_keep_values_to_a_step_and_take_no_harm_from_nan():
    data = np.linspace(-3, 7, 60, dtype=np.float32).reshape(3, 4, 5)
    found = canvas_of(Image(data, np.eye(4)))
    np.testing.assert_allclose(found.low + found.step * found.grey, data, atol=found.step)
    data[0, 0, 0] = np.nan
    assert canvas_of(Image(data, np.eye(4))).grey[0, 0, 0] == 0
    with pytest.raises(InputError, match="no finite value"):
        canvas_of(Image(np.full((2, 2, 2), np.nan, np.float32), np.eye(4)))
    assert canvas_of(Image(np.full((2, 2, 2), 5, np.float32), np.eye(4))).grey.max() == 0


def test_over_the_wire_the_second_save_is_refused_with_409_and_kept(tmp_path):
    workspace = make_patient(tmp_path / "desk")
    bits = in_world(workspace, TARGET, moved_ablation)
    about = {"target": vars(TARGET), "window": WINDOW, "base": "", "proposal": None, "updated": ""}

    def path(name, content):
        from urllib.parse import quote

        return f"/api/draw/{name}?about={quote(json.dumps(content))}"

    with serving(tmp_path / "desk") as desk:
        desk.let_in()
        status, found = desk.ask("POST", path("save", about), body=pack(bits))
        assert status == 200 and found["dice"] is None
        status, said = desk.ask("POST", path("save", about), body=pack(~bits))
        assert status == 409 and "nothing was overwritten" in said["error"]
        status, opened = desk.ask("POST", "/api/draw/open", vars(TARGET))
        assert status == 200 and opened["digest"] == found["digest"]
        assert [one["window"] for one in opened["drafts"]] == [WINDOW]
        strange = {**about, "target": {**vars(TARGET), "image": "../../etc/passwd.nii"}}
        assert desk.ask("POST", path("save", strange), body=pack(bits))[0] == 400
        assert desk.ask("POST", "/api/draw/save?about=%5B", body=b"")[0] == 400
    assert np.array_equal(unpack(read_draft(workspace, TARGET, WINDOW)[1], bits.shape), ~bits)
