"""Registrations judged by eye: the matrix of a nudge, what is stored, what is run again."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desk.drawn_patient import MOVED, make_patient, odd_affine, register, written
from falx.anatomy.metrics import HandPlacement
from falx.bids.dataset import Dataset
from falx.bids.query import find_one
from falx.core.errors import InputError
from falx.core.files import read_record
from falx.core.grid import Grid, apply_affine
from falx.desk.drawing import canvas_of
from falx.desk.placing import Nudge, centre_mm, nudged
from falx.desk.placing_files import decide, head_canvas, pairs, placed_canvas
from falx.engine.digest import digest_file
from falx.engine.plan import plan_participants
from falx.images.nifti import Image, load
from falx.images.resample import resample
from falx.studies.signature.configuration import SignatureConfiguration
from falx.studies.signature.study import STUDY

COMPOSE = Path(__file__).resolve().parents[2] / "viewer/src/desk/compose.js"
NODE = shutil.which("node")
RUN = """
import { middle, nudged, planeThrough } from "COMPOSE";
let text = "";
for await (const part of process.stdin) text += part;
const { head, image, before, move, turn, axis, slice } = JSON.parse(text);
const matrix = nudged(before, move, turn, middle(head));
const plane = Array.from(planeThrough(head, image, matrix, axis, slice));
process.stdout.write(JSON.stringify({ matrix, plane }));
"""
MOVE, TURN = (3.0, -4.5, 2.0), (5.0, -8.0, 12.0)


@pytest.fixture
def workspace(tmp_path):
    return make_patient(tmp_path / "desk")


def verdict(workspace, word="nudge", **more):
    digest = digest_file(written(workspace, "coregister_postop", "matrix"))
    return Nudge("07", "postop", digest, word, **more)


def postop(workspace):
    (found,) = [one for one in pairs(workspace, "07") if one.role == "postop"]
    return found


def test_a_nudge_moves_what_is_seen_by_what_was_entered():
    """The point of the image over q lies, after the nudge, over R (q - c) + c + t."""
    rng = np.random.default_rng(0)
    before = odd_affine()
    before[:3, :3] = np.linalg.qr(before[:3, :3])[0]
    centre = rng.normal(0, 20, 3)
    after = nudged(before, MOVE, TURN, centre)
    alone = nudged(np.eye(4), (0, 0, 0), TURN, (0, 0, 0))[:3, :3].T
    for q in rng.normal(0, 40, (5, 3)):
        moved = alone @ (q - centre) + centre + MOVE
        np.testing.assert_allclose(apply_affine(after, moved), apply_affine(before, q), atol=1e-9)
    assert np.linalg.det(after[:3, :3]) * np.linalg.det(before[:3, :3]) == pytest.approx(1)


def test_a_turn_about_z_brings_the_nose_to_the_left():
    """RAS+: positive about the axis that points up is from the nose to the left ear."""
    after = nudged(np.eye(4), (0, 0, 0), (0, 0, 90), (0, 0, 0))
    np.testing.assert_allclose(apply_affine(after, (-1.0, 0, 0)), (0, 1, 0), atol=1e-12)


def test_the_mirrored_nudge_is_the_mirror_of_the_nudge():
    mirror = np.diag([-1.0, 1, 1, 1])
    centre = np.array((4.0, 5, 6))
    one = nudged(np.eye(4), MOVE, TURN, centre)
    other = nudged(
        np.eye(4), MOVE * np.array((-1, 1, 1)), TURN * np.array((1, -1, -1)), centre * (-1, 1, 1)
    )
    np.testing.assert_allclose(mirror @ one @ mirror, other, atol=1e-12)


@pytest.mark.skipif(NODE is None, reason="no Node runs the page's script")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_page_shows_what_the_stage_will_resample(axis):
    rng = np.random.default_rng(axis)
    head = Grid((9, 10, 11), odd_affine((0, 1, 2), (1, 1, 1), (4, 3, -6), (2, 2, 2)))
    place = np.diag([2.5, 2.2, 3.0, 1.0])
    place[:3, 3] = apply_affine(head.affine, (-1, -1, -1))
    image = Image(rng.uniform(0, 9, (9, 11, 8)).astype(np.float32), place)
    grey = canvas_of(image)
    before = np.eye(4)
    before[:3, 3] = (1, 2, -1)
    asked = {
        "head": {"shape": head.shape, "affine": head.affine.tolist()},
        "image": {"shape": image.data.shape, "affine": image.affine.tolist(),
                  "grey": grey.grey.ravel(order="F").tolist()},
        "before": before.tolist(), "move": (1, -2, 0.5), "turn": (3, -4, 6),
        "axis": axis, "slice": 4,
    }  # fmt: skip
    words = [NODE, "--input-type=module", "-e", RUN.replace("COMPOSE", COMPOSE.as_uri())]
    done = subprocess.run(
        words, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    matrix = nudged(before, asked["move"], asked["turn"], centre_mm(head))
    np.testing.assert_allclose(found["matrix"], matrix, atol=1e-12)
    whole = resample(Image(grey.grey.astype(np.float32), image.affine), head, matrix=matrix)
    plane = np.take(whole, 4, axis=axis).T[::-1]
    shown = np.reshape(found["plane"], plane.shape)
    both = (shown > 0) & (plane > 0)
    assert both.mean() > 0.3
    np.testing.assert_allclose(shown[both], plane[both], atol=2.0)


def test_right_is_stored_and_outdated_once_the_registration_is_another(workspace):
    assert postop(workspace).decided == ""
    assert decide(workspace, verdict(workspace, "right")).decided == "right"
    register(workspace, "postop", np.eye(4))
    assert postop(workspace).decided == "outdated"


def test_a_nudge_is_stored_as_the_stage_reads_it(workspace):
    found = decide(
        workspace, verdict(workspace, translation_mm=MOVE, rotation_deg=TURN, refine=False)
    )
    assert found.decided == "nudged"
    dataset = Dataset.open(workspace.bids)
    place = find_one(
        "nudge_postop", STUDY.raw["nudge_postop"], "07",
        dataset=dataset.index, own_derivatives=dataset.own_derivatives,
    )  # fmt: skip
    asked = read_record(HandPlacement, place.path)
    before = np.eye(4)
    before[:3, 3] = MOVED
    middle = centre_mm(load(written(workspace, "anatomy", "corrected")).grid)
    np.testing.assert_allclose(asked.matrix, nudged(before, MOVE, TURN, middle))
    assert asked.translation_mm == MOVE and asked.refine is False
    assert asked.image_blake2b == digest_file(
        workspace.bids / "sub-07/ses-postop/anat/sub-07_ses-postop_T1w.nii.gz"
    )
    register(workspace, "postop", np.array(asked.matrix), by_hand="result", placed=asked.decided)
    assert postop(workspace).decided == "used"
    assert decide(workspace, verdict(workspace, "forget")).decided == ""
    assert not place.path.exists()


def test_with_a_nudge_only_what_rests_on_it_is_planned_anew(workspace):
    """Recipes of the registration and of what follows change; those of all else stay."""
    pet = workspace.bids / "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.nii.gz"
    pet.parent.mkdir()
    shutil.copy(workspace.bids / "sub-07/ses-preop/anat/sub-07_ses-preop_FLAIR.nii.gz", pet)

    def recipes():
        dataset = Dataset.open(workspace.bids)
        plan = plan_participants(STUDY, dataset, SignatureConfiguration(), ["07"])
        return {job.stage: job.recipe for job in plan.jobs}

    before = recipes()
    decide(workspace, verdict(workspace, translation_mm=MOVE))
    after = recipes()
    changed = {stage for stage in before if before[stage] != after[stage]}
    assert set(before) == set(after)
    assert "coregister_postop" in changed
    assert changed <= {"coregister_postop", "ablation", "rates", "numbers", "report"}
    assert {"anatomy", "coregister_pet", "pet", "signature"} <= set(before) - changed


def test_what_was_not_looked_at_is_not_decided(workspace):
    old = verdict(workspace)
    register(workspace, "postop", np.eye(4))
    with pytest.raises(InputError, match="another one than that which you looked at"):
        decide(workspace, old)
    with pytest.raises(InputError, match="not one that is registered"):
        decide(workspace, replace(old, role="bold"))
    shutil.rmtree(workspace.bids / "sub-07/ses-preop/anat")
    with pytest.raises(InputError, match="there is no FLAIR image"):
        decide(workspace, replace(old, role="flair"))


@pytest.mark.parametrize(
    "moved", [{"translation_mm": (1.0, 2.0)}, {"rotation_deg": (np.nan, 0, 0)},
              {"translation_mm": (600.0, 0, 0)}],
)  # fmt: skip
def test_a_nudge_that_is_none_is_refused(moved):
    with pytest.raises(InputError, match="nudge"):
        Nudge("07", "pet", "", "nudge", **moved)


def test_an_image_before_its_run_says_what_to_do(workspace):
    (flair,) = [one for one in pairs(workspace, "07") if one.role == "flair"]
    assert flair.matrix is None and "run the study first" in flair.why
    with pytest.raises(InputError, match="no such patient"):
        pairs(workspace, "../07")


def test_greys_of_head_and_image_are_sent_on_their_own_grids(workspace):
    assert head_canvas(workspace, "07").grid.shape == (56, 56, 56)
    found = placed_canvas(workspace, "07", "postop")
    np.testing.assert_allclose(
        np.sort(found.grid.voxel_sizes_mm), np.sort([1.1, 1.0, 1.3]), atol=1e-5
    )
    written(workspace, "anatomy", "corrected").unlink()
    with pytest.raises(InputError, match="not segmented yet"):
        head_canvas(workspace, "07")
