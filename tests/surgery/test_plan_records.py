"""Plan files as records: both frames, the table of plans, and the way back."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.files import read_record, write_json
from falx.core.records import plain
from falx.images.nifti import Image
from falx.studies.plan.page import plan_sections
from falx.studies.plan.records import (
    MadeRecord,
    PlanDocument,
    SeededPlacement,
    funnel_record,
    option_record,
    options_csv,
    plan_of_record,
    plan_of_words,
    plan_record,
)
from falx.studies.plan.words import (
    compromise_rows,
    made_words,
    plan_words,
    probability_rows,
    score_rows,
)
from falx.surgery.assess import Assessment, Tissue, Violation
from falx.surgery.outcome.ablation import rate_of_volumes
from falx.surgery.robustness import Broken, Robustness
from falx.surgery.tracks.feasible import Funnel
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.limits import Goal, Limits

PLAN = LaserPlan(
    Trajectory((-35.1234, -90.0, 10.5), (-25.0, -10.0, -12.0)),
    (Burn(8.0, 24.0), Burn(5.0, 10.0, 24.0)),
)
TISSUE = Tissue(
    rate_of_volumes(600.0, 1000.0), rate_of_volumes(0.0, 0.0), 3000.0, 1250.0, 0.0, None
)
BROKEN = Violation("track length", 130.04, 120.0, "mm")
ASSESSED = Assessment(PLAN, TISSUE, 12.5, 83.4, 21.5, 2.25, 3.5, None, (BROKEN,))
SHAKEN = Robustness(
    holds=0.5, reaches=0.875, succeeds=0.45, harmless=0.99, low_rate=0.41, median_rate=0.58,
    outside_mm3=1300.0, broken=Broken(0.0, 0.01, 0.46, 0.12, 0.0), threshold=0.396, draws=2000,
)  # fmt: skip
COORDINATES = st.tuples(*[st.floats(-150, 150)] * 3)


def document(**changes):
    whole = PlanDocument(
        label="sub-07",
        side="left",
        vessels_checked=False,
        sinuses_checked=False,
        notices=("Vessels were not checked.",),
        limits=Limits(),
        goal=Goal(),
        placement=SeededPlacement(seed=3),
        funnel=funnel_record(Funnel(100, 1, 20, 30, 4)),
        candidates=12,
        suggested=0,
        explanation=None,
        options=(option_record(ASSESSED, SHAKEN),),
        expected=None,
        made=None,
    )
    return replace(whole, **changes)


@given(COORDINATES, COORDINATES.map(lambda p: (p[0], p[1] + 400, p[2])))
def test_both_frames_are_one_place_and_the_record_is_the_plan(entry, target):
    plan = LaserPlan(Trajectory(entry, target), PLAN.burns)
    record = plan_record(plan)
    for ras, lps in (
        (record.entry_ras_mm, record.entry_lps_mm),
        (record.target_ras_mm, record.target_lps_mm),
    ):
        assert (lps[0], lps[1], lps[2]) == (-ras[0], -ras[1], ras[2])
    again = plan_of_record(record)
    assert again.burns == plan.burns
    for end in ("entry_mm", "target_mm"):
        was, came = getattr(plan.trajectory, end), getattr(again.trajectory, end)
        assert came == pytest.approx(was, abs=5.001e-4)
    assert plan_record(again) == record


def test_a_document_is_read_back_from_its_file(tmp_path):
    made = MadeRecord(TISSUE.hippocampus, TISSUE.amygdala, 900.0, 100.0, 0.0, 0.25, None)
    for whole in (document(made=made), document(suggested=None, funnel=None, options=())):
        write_json(tmp_path / "plan.json", {"FalxPlan": 2, **plain(whole)})
        assert read_record(PlanDocument, tmp_path / "plan.json") == whole


def test_a_document_without_a_part_says_which_one(tmp_path):
    content = plain(document())
    del content["options"][0]["hippocampus"]
    write_json(tmp_path / "plan.json", content)
    with pytest.raises(InputError, match=r"plan\.json.*hippocampus"):
        read_record(PlanDocument, tmp_path / "plan.json")


def test_a_plan_comes_from_a_whole_file_a_part_or_bare_words():
    content = json.loads(json.dumps(plain(document())))
    option = content["options"][0]
    for words in (content, option, option["plan"]):
        assert plan_record(plan_of_words(words)) == plan_record(PLAN)
    bare = {"entry_ras_mm": [0, -80, 0], "target_ras_mm": [0, 0, 0], "burns": [{"radius_mm": 6}]}
    assert plan_of_words(bare).burns == (Burn(6.0, 0.0, 0.0),)


def test_the_table_holds_a_row_for_every_plan():
    single = replace(ASSESSED, plan=LaserPlan(PLAN.trajectory, (Burn(6.0, 15.0),)))
    text = options_csv([option_record(ASSESSED, SHAKEN), option_record(single)])
    first, second = csv.DictReader(io.StringIO(text))
    assert first["burns"] == "r8 b24 s0;r5 b10 s24"
    assert (first["entry_x_ras_mm"], first["entry_x_lps_mm"]) == ("-35.123", "35.123")
    assert (first["target_z_ras_mm"], first["target_z_lps_mm"]) == ("-12.0", "-12.0")
    assert (first["rate_hippocampus"], first["rate_amygdala"]) == ("0.6", "")
    assert (first["outside_mm3"], first["ablated_mm3"]) == ("1250", "3000")
    assert (first["length_mm"], first["angle_deg"], first["risk_mm"]) == ("83.4", "21.5", "12.5")
    assert (first["clearance_mm"], first["protected_distance_mm"]) == ("2.25", "3.5")
    assert (first["holds"], first["reaches"], first["succeeds"]) == ("0.5", "0.875", "0.45")
    assert (first["harmless"], first["low_rate"]) == ("0.99", "0.41")
    assert (first["mean_outside_mm3"], first["draws"]) == ("1300", "2000")
    assert second["burns"] == "r6 b15 s0"
    assert (second["reaches"], second["draws"]) == ("", "")


def test_what_a_plan_breaks_is_told_with_its_limit():
    record = option_record(ASSESSED)
    assert record.violations == ("track length 130.0 mm (limit 120 mm)",)
    assert record.robustness is None


def test_the_funnel_counts_what_is_left():
    assert funnel_record(Funnel(100, 1, 20, 30, 4)).feasible == 45


def test_the_plan_in_words():
    said = plan_words(document())
    for part in (
        "From the left side",
        "enter at RAS -35.1, -90.0, 10.5 mm of the T1w image and go 83 mm",
        "one burn of 8 mm radius over 24 mm of pull-back and one burn of 5 mm",
        "over 10 mm of pull-back from 24 mm before the target",
        "would cover 60.0 % of the signature in the hippocampus (600 of 1000 mm³)",
        "heat 1250 mm³ outside",
        "keeps every limit in 50.0 % (47.8 to 52.2 %) of placements",
        "reaches a rate of 39.6 % in 87.5 % (86.0 to 88.9 %)",
        "Vessels are not among these limits.",
        "As it is given it breaks: track length 130.0 mm (limit 120 mm).",
    ):
        assert part in said
    assert said.index("keeps every limit") < said.index("From the left side")
    assert "MNI" not in said
    none = document(suggested=None, explanation="Too far.")
    assert plan_words(none) == "No plan is suggested. Too far."


def test_places_stand_in_the_template_too_where_there_is_a_map():
    there = option_record(ASSESSED, SHAKEN, lambda points: np.add(points, (1.0, 2.0, 3.0)))
    assert there.plan.entry_mni_mm == (-34.123, -88.0, 13.5)
    assert there.plan.target_mni_mm == (-24.0, -8.0, -9.0)
    assert "MNI -34.1, -88.0, 13.5" in plan_words(document(options=(there,)))
    nowhere = option_record(ASSESSED, SHAKEN, lambda points: points * np.nan)
    assert nowhere.plan.entry_mni_mm is None


def test_probabilities_stand_beside_what_is_wanted():
    goal = Goal(0.396, probability=0.8, keep_probability=0.7)
    whole = document(goal=goal)
    rows = {what: (value, limit) for what, value, limit in
            probability_rows(whole.options[0], whole)}  # fmt: skip
    assert rows["every limit kept with its margin"] == (
        "50.0 % (47.8 to 52.2 %)", "at least 70.0 %"
    )  # fmt: skip
    assert rows["rate of 39.6 % reached"][1] == "at least 80.0 %"
    assert rows["every limit kept and rate reached"][0].startswith("45.0 %")
    worst = "breaks most often: the distance of the track to ventricle, sulcus or vessel"
    assert rows[worst] == ("46.0 %", None)
    assert probability_rows(option_record(ASSESSED), whole) == []


SAFE = replace(SHAKEN, holds=0.85, reaches=0.95)


@pytest.mark.parametrize(
    ("violations", "shaken", "passes"),
    [
        ((), SAFE, True),
        ((), replace(SAFE, holds=0.80), False),  # its interval reaches below what is wanted
        ((), replace(SAFE, holds=0.04), False),
        ((), replace(SAFE, reaches=0.88), False),
        ((), replace(SAFE, harmless=0.6), False),
        ((BROKEN,), SAFE, False),
    ],
)
def test_colour_follows_the_probability_and_never_the_plan_as_drawn(violations, shaken, passes):
    record = option_record(replace(ASSESSED, violations=violations), shaken)
    whole = document(options=(record,))
    assert whole.passes == passes
    image = Image(np.ones((20, 20, 20), np.float32), np.eye(4))
    mask = Image(np.ones((20, 20, 20), bool), np.eye(4))
    first = plan_sections(
        whole, t1w=image, signature=mask, ablation=None, middle_mm=(9.0, 9.0, 9.0)
    )[0].blocks  # fmt: skip
    assert first[0].level == ("note" if passes else "fail")
    assert "of placements" in first[0].sentences[0]
    assert first[1].rows[0][0] == "every limit kept with its margin"
    assert first[1].flags[0] == ("ok" if shaken.holds == 0.85 else "fail")
    text = str(first)
    assert "Keeps every limit" not in text


def test_without_a_plan_the_best_compromises_stand_first():
    options = tuple(
        option_record(ASSESSED, replace(SHAKEN, holds=h, reaches=r, succeeds=s))
        for h, r, s in ((0.9, 0.1, 0.1), (0.5, 0.6, 0.4), (0.2, 0.97, 0.2), (0.1, 0.99, 0.1))
    )
    whole = document(suggested=None, explanation="Why.", options=options)
    assert whole.compromises == {"both": 1, "reaching": 2, "keeping": 0}
    rows = compromise_rows(whole)
    assert [value for _, value, _ in rows if value and value.endswith("%")] == [
        "50.0 %", "60.0 %", "99.0 %", "20.0 %", "97.0 %", "99.0 %", "90.0 %", "10.0 %", "99.0 %",
    ]  # fmt: skip
    places = [what for what, value, _ in rows if value == ""]
    assert len(places) == 6
    assert "entry: RAS" in places[0]
    assert sum("burns" in what for what, _, _ in rows) == 3
    assert document(options=(option_record(ASSESSED),), suggested=None).compromises == {}


def test_scores_stand_beside_their_limits():
    whole = document(goal=Goal(0.4), limits=Limits(max_length_mm=90, max_angle_deg=35))
    rows = {what: (value, limit) for what, value, limit in score_rows(whole.options[0], whole)}
    assert rows["ablative rate in the hippocampus"] == ("60.0 %", "at least 40.0 %")
    assert rows["ablative rate in the amygdala"] == (None, None)
    assert rows["track length"] == ("83.4 mm", "at most 90 mm")
    assert rows["angle to the skull"] == ("21.5°", "at most 35°")
    assert rows["clearance of the track"] == ("2.2 mm", "at least 2 mm")


def test_an_ablation_that_was_made_in_words():
    made = MadeRecord(TISSUE.hippocampus, TISSUE.amygdala, 900.0, 123.0, 0.0, None, None)
    said = made_words(document(made=made))
    assert "took 60.0 % of the signature in the hippocampus, and 123 mm³ outside" in said
    assert made_words(document()) == ""
    assert made_words(document(made=replace(made, hippocampus=TISSUE.amygdala))) == ""


@pytest.mark.parametrize("key", ["entry_lps_mm", "target_lps_mm"])
@pytest.mark.parametrize("change", [lambda p: [-p[0], p[1], p[2]], lambda p: [p[0], p[1], 1e9]])
def test_a_plan_that_names_two_places_is_refused(key, change):
    """A mirrored LPS would send a fibre to the other hemisphere, or one of the readers."""
    content = json.loads(json.dumps(plain(document())))["options"][0]["plan"]
    content[key] = change(content[key])
    with pytest.raises(InputError, match=f"the {key.split('_')[0]} in LPS is another place"):
        plan_of_words(content)
    content[key] = [float("nan")] * 3
    with pytest.raises(InputError, match="another place"):
        plan_of_words(content)
