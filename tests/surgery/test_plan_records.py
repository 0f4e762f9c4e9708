"""Plan files as records: both frames, the table of plans, and the way back."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.files import read_record, write_json
from falx.core.records import plain
from falx.studies.plan.page import made_words, plan_words, score_rows
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
from falx.surgery.assess import Assessment, Tissue, Violation
from falx.surgery.outcome.ablation import rate_of_volumes
from falx.surgery.robustness import Robustness
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
SHAKEN = Robustness(0.875, 0.41, 0.58, 0.5, 0.99, 0.396, 2000)
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
        write_json(tmp_path / "plan.json", {"FalxPlan": 1, **plain(whole)})
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
    assert (first["reaches"], first["low_rate"]) == ("0.875", "0.41")
    assert second["burns"] == "r6 b15 s0"
    assert (second["reaches"], second["low_rate"]) == ("", "")


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
        "35 mm left, 90 mm behind and 10 mm above of the origin (RAS -35.1, -90.0, 10.5)",
        "go 83 mm",
        "one burn of 8 mm radius over 24 mm of pull-back and one burn of 5 mm",
        "over 10 mm of pull-back from 24 mm before the target",
        "covers 60.0 % of the signature in the hippocampus (600 of 1000 mm³)",
        "heats 1250 mm³ outside",
        "reached in 87.5 % of cases",
    ):
        assert part in said
    assert "placement error" not in plan_words(document(options=(option_record(ASSESSED),)))
    none = document(suggested=None, explanation="too far")
    assert plan_words(none) == "No plan is suggested: too far"


def test_scores_stand_beside_their_limits():
    whole = document(goal=Goal(0.4, 0.2, 0.8), limits=Limits(max_length_mm=90, max_angle_deg=35))
    rows = {what: (value, limit) for what, value, limit in score_rows(whole.options[0], whole)}
    assert rows["ablative rate in the hippocampus"] == ("60.0 %", "at least 60.0 %")
    assert rows["ablative rate in the amygdala"] == (None, None)
    assert rows["track length"] == ("83.4 mm", "at most 90")
    assert rows["angle to the skull"] == ("21.5°", "at most 35°")
    assert rows["clearance of the track"] == ("2.2 mm", "at least 2")
    assert rows["threshold reached under placement error"] == ("87.5 %", "at least 80.0 %")
    assert rows["5th percentile of the rate"] == ("41.0 %", None)
    unshaken = score_rows(option_record(ASSESSED), whole)
    assert [value for what, value, _ in unshaken if "placement" in what] == [None, None, None]


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
