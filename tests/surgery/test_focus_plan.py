"""A plan for a focus anywhere: its scene, its plan, what is said of it, and its files."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import read_record
from falx.images.nifti import Image, load_mask, save
from falx.images.warp import CoordinateMap, save_map
from falx.report.index_page import index_page
from falx.studies.plan.files import find_again
from falx.studies.plan.focus import FOCUS_RATE, focus_mask, focus_notices, too_large
from falx.studies.plan.records import PlanDocument
from falx.studies.plan.sheet import sheet_figure
from falx.studies.plan.words import plan_words
from falx.surgery.infeasible import LADDERS
from falx.surgery.search import search
from falx.surgery.tracks import entries
from falx.surgery.tracks.feasible import find_tracks
from falx.surgery.tracks.geometry import SHORTEST_TRACK_MM
from falx.surgery.tracks.head_scene import scene_of_focus, share_across
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search
from falx.surgery.tracks.scene import Target, fields_of
from surgery.phantom import centres, ellipsoid, head_labels, heated, same_place

FRONTAL_MM, RADIUS_MM = (-36.0, 40.0, 24.0), 7.0
GOAL, FEW = Goal(threshold=FOCUS_RATE), Placement(draws=500)


def ball(labels, centre, radius):
    """A focus: what of a ball is brain."""
    inside = ellipsoid(labels.grid.centres_mm(), centre, (radius,) * 3)
    return Image(inside & (labels.data > 0) & (labels.data != 24), labels.affine)


def scene_at(labels, centre, radius, number=2, **options):
    return scene_of_focus(
        labels, ball(labels, centre, radius), Target.of_focus(number), same_place, **options
    )


@pytest.fixture(scope="module")
def frontal(labels):
    return scene_at(labels, FRONTAL_MM, RADIUS_MM)


@pytest.fixture(scope="module")
def found(frontal):
    return search(frontal, Limits(), GOAL, rng=np.random.default_rng(0), placement=FEW)


def test_a_frontal_focus_gets_a_plan_whose_figures_are_those_counted_again(frontal, found):
    best = found.suggested.assessment
    focus, grid = frontal.focus, frontal.grid
    burned = heated(grid.centres_mm().reshape(-1, 3), best.plan).reshape(grid.shape)
    assert best.rate == pytest.approx(burned[focus].mean(), abs=1e-12)
    assert best.rate >= FOCUS_RATE
    outside = np.count_nonzero(burned & ~focus) * grid.voxel_volume_mm3
    assert best.tissue.outside_mm3 == pytest.approx(outside)
    assert best.tissue.hippocampus.rate is None
    assert best.tissue.amygdala.rate is None
    assert best.tissue.focus.denominator_mm3 == pytest.approx(
        np.count_nonzero(focus) * grid.voxel_volume_mm3
    )
    assert not best.violations
    assert not burned[frontal.protected].any()


def test_entries_lie_on_the_convexity_of_the_side_and_near_enough(frontal):
    x, y, z = frontal.entries_mm.T
    assert frontal.side == "left"
    assert (x < -15).all()
    assert (z > -20).all()
    assert (z[y >= 20] > 10).all()
    assert y.max() > 30  # in front, where the posterior box never is
    way = np.array(FRONTAL_MM) - frontal.entries_mm
    cosine = np.einsum("ij,ij->i", way, -frontal.outward) / np.linalg.norm(way, axis=1)
    assert np.degrees(np.arccos(cosine)).max() < entries.LOOSEST_ANGLE_DEG + 60


def test_the_loosest_limits_are_those_of_the_ladders():
    assert LADDERS["max_length_mm"][-1] == entries.LOOSEST_LENGTH_MM
    assert LADDERS["max_angle_deg"][-1] == entries.LOOSEST_ANGLE_DEG


def test_no_entry_that_keeps_the_limits_is_left_out(labels, frontal):
    """Against every point of the convexity, without the ball around the focus."""
    wide = scene_at(labels, FRONTAL_MM, RADIUS_MM, limits=Limits(max_angle_deg=90.0))
    assert len(wide.entries_mm) > len(frontal.entries_mm)
    limits = Limits()
    rows = {}
    for name, scene in (("near", frontal), ("wide", wide)):
        tracks = find_tracks(scene, fields_of(scene), limits)
        assert np.all(tracks.length_mm > SHORTEST_TRACK_MM)
        rows[name] = {tuple(entry) for entry in tracks.entries_mm}
    assert rows["near"] == rows["wide"]


def test_a_mirrored_head_gets_the_mirrored_plan(labels, frontal, found):
    """The grid is symmetric about x = 0; the labels of either side change places."""
    swap = {2: 41, 17: 53, 18: 54, 5: 44, 10: 49}
    pairs = {**swap, **{b: a for a, b in swap.items()}}
    turned = labels.data[::-1].copy()
    for one, other in pairs.items():
        turned[labels.data[::-1] == one] = other
    right = scene_at(Image(turned, labels.affine), np.array(FRONTAL_MM) * (-1, 1, 1), RADIUS_MM)
    assert right.side == "right"
    assert np.allclose(right.entries_mm * (-1, 1, 1), frontal.entries_mm, atol=1e-9)
    there = centres(right.focus, right.grid) * (-1, 1, 1)
    assert {tuple(p) for p in there} == {tuple(p) for p in centres(frontal.focus, frontal.grid)}
    again = search(right, Limits(), GOAL, rng=np.random.default_rng(0), placement=FEW)
    one, other = found.suggested.assessment, again.suggested.assessment
    for end in ("entry_mm", "target_mm"):
        here = np.array(getattr(one.plan.trajectory, end))
        assert np.allclose(np.array(getattr(other.plan.trajectory, end)) * (-1, 1, 1), here)
    assert other.rate == pytest.approx(one.rate)
    assert other.tissue.outside_mm3 == pytest.approx(one.tissue.outside_mm3)


def test_the_side_of_a_focus_is_that_of_the_template(labels):
    focus = ball(labels, FRONTAL_MM, RADIUS_MM)
    assert share_across(focus, same_place) == ("left", 0.0)
    assert share_across(focus, lambda points: points * (-1, 1, 1)) == ("right", 0.0)
    middle, across = share_across(ball(labels, (-3.0, 30.0, 40.0), 9.0), same_place)
    assert middle == "left"
    assert 0.05 < across < 0.5


def test_a_focus_across_the_midline_is_refused(labels):
    with pytest.raises(InputError, match=r"focus 2 crosses the midline.*of it on the right"):
        scene_at(labels, (-3.0, 30.0, 40.0), 9.0)


def test_memory_and_skull_are_protected_unless_the_focus_holds_them(labels, frontal):
    window = np.isin(labels.data, (17, 18))
    points = centres(window, labels.grid)
    voxels = np.rint(
        (points - frontal.grid.affine[:3, 3]) @ np.linalg.inv(frontal.grid.affine[:3, :3]).T
    ).astype(int)
    assert frontal.protected[tuple(voxels.T)].all()
    assert frontal.passage is None
    entries = np.rint(
        (frontal.entries_mm - frontal.grid.affine[:3, 3])
        @ np.linalg.inv(frontal.grid.affine[:3, :3]).T
    ).astype(int)
    assert not frontal.protected[tuple(entries.T)].any()  # the inner skull itself is the border
    assert frontal.protected[0, 0, 0]
    mesial = scene_at(labels, (-27.0, -20.0, -12.0), 8.0)
    assert not (mesial.protected & mesial.hippocampus).any()
    assert (mesial.protected & mesial.amygdala).sum() == mesial.amygdala.sum()
    assert (mesial.passage & mesial.hippocampus).sum() == mesial.hippocampus.sum()


def test_what_is_said_of_a_focus(labels, frontal):
    said = " ".join(focus_notices(frontal, GOAL, 0.0, asked=False))
    assert "No outcome study stands behind a plan for focus 2: that 50.0% of it" in said
    assert "is a convention of this planner" in said
    assert "was asked for" in " ".join(focus_notices(frontal, GOAL, 0.0, asked=True))
    assert "falx are not known" in said
    assert "protected tissue, which" not in said
    assert "2% of focus 2 lies across" in " ".join(focus_notices(frontal, GOAL, 0.02, asked=True))
    deep = scene_at(labels, (-10.0, -18.0, 6.0), 6.0)
    assert "lies in protected tissue, which no plan may heat" in " ".join(
        focus_notices(deep, GOAL, 0.0, asked=False)
    )
    small = scene_at(labels, FRONTAL_MM, 2.5)
    assert "mm³ only: its rate hangs on a few voxels" in " ".join(
        focus_notices(small, GOAL, 0.0, asked=False)
    )


def test_a_focus_in_protected_tissue_has_no_plan(labels):
    deep = scene_at(labels, (-10.0, -18.0, 6.0), 6.0)
    nothing = search(deep, Limits(), GOAL, rng=np.random.default_rng(0), placement=FEW)
    assert nothing.suggested is None
    assert "hippocampus" not in str(nothing.explanation)


def test_a_focus_that_is_too_large_for_a_track_is_said_to_be(labels, frontal):
    assert too_large(frontal, GOAL, Limits(), Search()) is None
    large = scene_at(labels, (-36.0, -15.0, 35.0), 30.0)
    said = too_large(large, GOAL, Limits(), Search())
    whole = np.count_nonzero(large.focus) * large.grid.voxel_volume_mm3 / 1000
    most = (np.pi * 81 * 50 + 4 / 3 * np.pi * 729) / 1000
    assert f"Focus 2 has {whole:.1f} ml, and 50% of it" in said
    assert f"more than the {most:.1f} ml" in said
    assert too_large(large, replace(GOAL, threshold=0.05), Limits(), Search()) is None


@pytest.mark.parametrize(
    ("values", "number", "message"),
    [
        ((0,), 1, "no focus is certain in this patient, so there is none to plan for"),
        ((0, 1, 3), 2, r"there is no focus 2 in this patient \(found: foci 1, 3\)"),
        ((0, 1), 0, r"there is no focus 0 in this patient \(found: focus 1\)"),
    ],
)
def test_a_focus_that_is_not_there_is_refused(values, number, message):
    data = np.zeros((4, 4, 4), np.int16)
    data.flat[: len(values)] = values
    with pytest.raises(InputError, match=message):
        focus_mask(Image(data, np.eye(4)), number, where="sub-07")


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A patient with a focus of the hippocampus and one in front, and the words of a command."""
    folder = tmp_path_factory.mktemp("focus")
    labels = head_labels()
    foci = np.zeros(labels.data.shape, np.int16)
    foci[ball(labels, (-27.0, -20.0, -12.0), 6.0).data] = 1
    foci[ball(labels, FRONTAL_MM, RADIUS_MM).data] = 2
    made = ball(labels, (-27.0, -20.0, -12.0), 5.0).data
    for name, data in (
        ("labels", labels.data), ("signature", foci > 0), ("foci", foci), ("ablation", made),
        ("t1w", np.sqrt(labels.data.astype(np.float32))),
    ):  # fmt: skip
        save(folder / f"{name}.nii.gz", data, labels.affine)
    points = labels.grid.centres_mm().astype(np.float32)
    save_map(folder / "map.nii.gz", CoordinateMap(points, labels.affine))
    words = ["plan", str(folder / "out"), "--participant-label", "07", "--draws", "500"]
    for name, file in (
        ("structures", "labels"), ("signature", "signature"), ("t1w", "t1w"),
        ("to-template", "map"), ("foci", "foci"), ("ablation", "ablation"),
    ):  # fmt: skip
        words += [f"--{name}", str(folder / f"{file}.nii.gz")]
    assert main([*words, "--focus", "2"]) == 0
    return folder, words


def anat(folder):
    return folder / "out/sub-07/anat"


def test_the_pages_of_a_focus_speak_of_it_alone(patient):
    folder, _ = patient
    document = read_record(PlanDocument, anat(folder) / "sub-07_desc-plannedFocus2_plan.json")
    assert document.target == Target.of_focus(2)
    assert document.side == "left"
    assert document.expected is None
    assert document.made is None
    assert document.passes
    assert document.goal.threshold == FOCUS_RATE
    assert document.chosen.rated.rate >= FOCUS_RATE
    assert document.chosen.hippocampus.rate is None
    page = (anat(folder) / "sub-07_desc-plannedFocus2_plan.html").read_text()
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    settings = shown.index("Limits and settings")
    assert "ippocamp" not in shown[:settings]
    assert "mygdal" not in shown[:settings]
    assert '"rate, focus 2"' in page
    for sentence in ("ablated share of focus 2", "heated outside focus 2", "Vessels were not",
                     "No outcome study stands behind", "took nothing of focus 2"):  # fmt: skip
        assert sentence in shown
    assert "30 patients" not in shown
    assert "of focus 2 (" in plan_words(document)
    texts = " ".join(text.get_text() for text in sheet_figure(document, []).axes[0].texts)
    assert "ippocamp" not in texts
    assert "focus 2" in texts


def test_the_files_of_a_focus_stand_beside_those_of_the_hippocampus(patient):
    folder, _ = patient
    assert not list(anat(folder).glob("*desc-planned_plan*"))
    table = (anat(folder) / "sub-07_desc-plannedFocus2_plan.csv").read_text().splitlines()
    assert "rate_focus" in table[0].split(",")
    assert "hippocampus" not in table[0]
    mask = load_mask(
        anat(folder) / "sub-07_space-T1w_label-ablationFocus2_desc-planned_mask.nii.gz"
    )
    option = json.loads((anat(folder) / "sub-07_desc-plannedFocus2_plan.json").read_text())
    option = option["options"][option["suggested"]]
    assert mask.data.sum() * mask.grid.voxel_volume_mm3 == pytest.approx(option["ablated_mm3"])
    record = json.loads((folder / "out/provenance/sub-07/plannedFocus2.json").read_text())
    assert record["params"]["focus"] == 2
    assert "foci" in record["inputs"]
    row = {"participant_id": "sub-07", "status": "finished", "reason": ""}
    page = index_page([row], ["sub-07/anat/sub-07_desc-plannedFocus2_plan.html"])
    assert ">laser plan, focus 2</a>" in page


def test_a_plan_for_a_focus_is_scored_again_with_the_same_figures(patient):
    folder, words = patient
    plan = anat(folder) / "sub-07_desc-plannedFocus2_plan.json"
    assert main([*words, "--focus", "2", "--plan", str(plan)]) == 0
    first = read_record(PlanDocument, plan).chosen
    again = read_record(PlanDocument, anat(folder) / "sub-07_desc-scoredFocus2_plan.json").chosen
    assert again.focus == first.focus
    assert again.outside_mm3 == first.outside_mm3
    assert again.robustness.holds == first.robustness.holds


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--focus", "3"], "there is no focus 3 in this patient (found: foci 1, 2)"),
        (["--focus", "2", "--side", "right"], "focus 2 lies on the left (found: --side right)"),
        ([], "foci are planned for by their number; give --focus, too"),
    ],
)
def test_what_cannot_be_planned_is_refused(patient, capsys, more, message):
    folder, words = patient
    before = sorted(anat(folder).iterdir())
    assert main([*words, *more]) != 0
    assert message in capsys.readouterr().err
    assert sorted(anat(folder).iterdir()) == before


def test_outputs_without_the_image_of_the_foci_are_told_what_to_do(patient, capsys):
    _, words = patient
    place = words.index("--foci")
    assert main([*words[:place], *words[place + 2 :], "--focus", "2"]) != 0
    said = capsys.readouterr().err
    assert "the image of the foci is missing" in said
    assert "run falx signature again" in said


def test_redo_takes_no_focus(patient, capsys):
    folder, _ = patient
    assert main(["plan", str(folder / "out"), "--redo", "--focus", "2"]) != 0
    assert "--redo plans with the choices that were recorded (found: focus)" in (
        capsys.readouterr().err
    )


def test_a_plan_for_another_target_is_not_scored_for_this_one(patient, capsys):
    folder, words = patient
    plan = anat(folder) / "sub-07_desc-plannedFocus2_plan.json"
    place = words.index("--foci")
    rest = [*words[:place], *words[place + 2 :], "--side", "left", "--plan", str(plan)]
    assert main(rest) != 0
    said = capsys.readouterr().err
    assert "the plan was made for focus 2" in said
    assert "it was to be scored for the hippocampus" in said
    assert main([*words, "--focus", "1", "--plan", str(plan)]) != 0
    assert "it was to be scored for focus 1" in capsys.readouterr().err


def test_what_is_planned_again_keeps_its_focus(patient):
    folder, _ = patient
    used = {"foci": "given:foci", "t1w": "given:t1w"}
    names = ("t1w", "structures", "signature", "foci")
    given = {name: folder / f"{name}.nii.gz" for name in names} | {
        "structures": folder / "labels.nii.gz", "to_template": folder / "map.nii.gz",
    }  # fmt: skip
    files = find_again(folder / "out", "07", used, given, side="right", focus=2)
    assert (files.focus, files.side) == (2, "left")
    del used["foci"]
    files = find_again(folder / "out", "07", used, given, side="right")
    assert (files.focus, files.side, files.foci) == (None, "right", None)
