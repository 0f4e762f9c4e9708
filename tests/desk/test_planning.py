"""Plans on the desk: the numbers are those of the command line, and what is kept stays kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from desk.desk_browser import data, let_in, needed, open_page
from desk.drawn_patient import PREOP
from desk.planned_patient import planning_patient, t1w_series
from desk_server import serving
from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import read_record, write_json
from falx.core.records import plain
from falx.desk.drawing import Draft, MaskTarget
from falx.desk.mask_files import save_mask
from falx.desk.plan_files import (
    bench_of,
    forget_plan,
    hand_over,
    keep_plan,
    kept_plans,
    layer,
    planned_options,
    score,
)
from falx.desk.planned import check_name, figures_of
from falx.desk.planning import _opened as opened_plans
from falx.desk.workspace import Workspace
from falx.images.nifti import load_labels
from falx.studies.plan.records import (
    PlanDocument,
    TradeOffRecord,
    plan_of_record,
    plan_record,
)
from falx.surgery.infeasible import Relaxation
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.scene import fields_of

SEARCH = ["--participant-label", "07", "--draws", "500", "--max-length-mm", "110"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A patient whose plans were searched with choices of one's own."""
    folder = tmp_path_factory.mktemp("planning") / "desk"
    workspace = planning_patient(folder)
    assert main(["plan", str(workspace.out), *SEARCH]) == 0
    return folder


@pytest.fixture
def workspace(searched, tmp_path):
    shutil.copytree(searched, tmp_path / "desk")
    return Workspace.open(tmp_path / "desk")


def a_plan(workspace, *, deeper_mm=0.0):
    option = planned_options(workspace, "07").options[0]
    plan = plan_of_record(option.plan)
    track = plan.trajectory
    x, y, z = np.round(np.array(track.target_mm) + deeper_mm * np.array(track.direction), 3)
    return LaserPlan(Trajectory(track.entry_mm, (x, y, z)), (*plan.burns, Burn(4.0, 2.0, 20.0)))


def test_what_a_way_out_buys_can_be_opened_on_the_desk_under_its_words(workspace):
    bought = TradeOffRecord("a rate of 20 %", Relaxation(rate=0.2), True, True, None, None)
    document = planned_options(workspace, "07")
    with_plan = replace(bought, option=document.options[0])
    path = workspace.out / "sub-07/anat/sub-07_desc-planned_plan.json"
    assert path.is_file()
    write_json(path, plain(replace(document, trade_offs=(bought, with_plan))))
    said = opened_plans(workspace, "07")
    usual = len(document.options)
    assert len(said["options"]) == usual + 1
    assert said["found_with"] == [""] * usual + ["a rate of 20 %"]


def test_the_desk_scores_as_the_command_line_does(workspace, tmp_path):
    """Limits, draws and seed of the search hold for what is kept, to the last digit."""
    plan = a_plan(workspace, deeper_mm=4.0)
    kept = keep_plan(workspace, "07", "deeper", plan)
    write_json(tmp_path / "plan.json", plain(plan_record(plan)))
    assert main(["plan", str(workspace.out), *SEARCH, "--plan", str(tmp_path / "plan.json")]) == 0
    document = read_record(
        PlanDocument, workspace.out / "sub-07/anat/sub-07_desc-scored_plan.json"
    )
    (option,) = document.options
    assert plain(replace(kept.option, heat=None)) == plain(replace(option, heat=None))
    assert kept.passes == document.passes
    shown = figures_of(score(bench_of(workspace, "07"), plan))
    assert shown["hippocampus"] == option.hippocampus.rate
    assert shown["clearance_mm"] == option.clearance_mm
    assert shown["violations"] == list(option.violations)


def test_distances_of_the_bench_are_those_of_the_plan_alone(workspace):
    """Inside the window of entries and targets nothing else would come out; beyond it is made."""
    bench = bench_of(workspace, "07")
    plan = a_plan(workspace)
    ends = [plan.trajectory.entry_mm, plan.trajectory.target_mm]
    assert bench.fields_for(plan) is bench.fields
    alone = fields_of(bench.scene, ends)
    np.testing.assert_array_equal(alone.clearance_mm, bench.fields.clearance_mm)
    np.testing.assert_array_equal(alone.grid.affine, bench.fields.grid.affine)
    far = LaserPlan(Trajectory((-20.0, 70.0, 10.0), plan.trajectory.target_mm), plan.burns)
    assert bench.fields_for(far) is not bench.fields


def test_a_bench_is_kept_until_a_file_or_a_drawn_vessel_is_another_one(workspace):
    bench = bench_of(workspace, "07")
    assert bench_of(workspace, "07") is bench
    assert bench.notices[0] == "Vessels were not checked."
    target = MaskTarget("07", PREOP, "vessels")
    labels = load_labels(workspace.out / "sub-07/anat/sub-07_space-T1w_seg-falx_dseg.nii.gz")
    bits = np.zeros(labels.data.shape, bool)
    plan = a_plan(workspace)
    middle = (np.array(plan.trajectory.entry_mm) + plan.trajectory.target_mm) / 2
    apart = np.linalg.norm(labels.grid.centres_mm() - middle, axis=-1)
    bits[apart < 3] = True
    save_mask(workspace, Draft(target, "0" * 16, "", None, ""), bits)
    checked = bench_of(workspace, "07")
    assert checked is not bench
    assert "Vessels were not checked." not in checked.notices
    assert score(checked, plan).clearance_mm < score(bench, plan).clearance_mm
    assert any("clearance" in str(one) for one in score(checked, plan).violations)


@pytest.mark.slow  # a search of its own
def test_masks_from_elsewhere_that_the_desk_lacks_are_told(searched, tmp_path):
    shutil.copytree(searched, tmp_path / "desk")
    workspace = Workspace.open(tmp_path / "desk")
    elsewhere = tmp_path / "vessels.nii.gz"
    shutil.copy(
        workspace.out / "sub-07/anat/sub-07_space-T1w_desc-signature_mask.nii.gz", elsewhere
    )
    assert main(["plan", str(workspace.out), *SEARCH, "--sinuses", str(elsewhere)]) == 0
    notices = bench_of(workspace, "07").notices
    assert any(
        "made with sinuses from elsewhere, which the desk does not have" in n for n in notices
    )


def test_kept_plans_come_back_and_no_name_leads_elsewhere(workspace):
    plan = a_plan(workspace)
    first = keep_plan(workspace, "07", "lower entry", plan)
    with pytest.raises(InputError, match="a plan of this name already"):
        keep_plan(workspace, "07", "lower entry", plan)
    again = Workspace.open(workspace.private.parent)
    assert [one.name for one in kept_plans(again, "07")] == ["lower entry"]
    assert plain(kept_plans(again, "07")[0]) == plain(first)
    assert first.notices[0] == "Vessels were not checked."
    (file,) = workspace.private.rglob("lower entry.json")
    file.with_name("broken.json").write_text("{")
    assert len(kept_plans(workspace, "07")) == 1
    forget_plan(workspace, "07", "lower entry")
    assert kept_plans(workspace, "07") == []
    for name in ("", "../x", "a/b", "x" * 50, ".hidden"):
        with pytest.raises(InputError, match="letters, digits"):
            check_name(name)
    with pytest.raises(InputError, match="no such patient"):
        kept_plans(workspace, "../07")
    with pytest.raises(InputError, match="no such mask to show"):
        layer(workspace, "07", "../../secret")


def test_a_patient_without_a_study_or_a_signature_gets_a_sentence(workspace):
    path = workspace.out / "sub-07/anat/sub-07_space-T1w_desc-signature_mask.nii.gz"
    path.unlink()
    with pytest.raises(InputError, match="the signature mask"):
        bench_of(workspace, "07")
    shutil.copytree(workspace.bids / "sub-07", workspace.bids / "sub-08")
    for file in list((workspace.bids / "sub-08").rglob("*07*")):
        file.rename(file.with_name(file.name.replace("07", "08")))
    with pytest.raises(InputError, match="no outputs of sub-08"):
        bench_of(workspace, "08")


def check_hand_over(workspace, kept):
    """Check that PDF, plan file and DICOM are of the plan that was kept."""
    import pydicom

    folder = workspace.private.parent / f"handed-over/sub-07/{kept.name}"
    assert (folder / "sub-07_desc-scored_plan.pdf").read_bytes().startswith(b"%PDF")
    document = read_record(PlanDocument, folder / "sub-07_desc-scored_plan.json")
    assert document.limits.max_length_mm == 110
    assert document.options[0].hippocampus == kept.option.hippocampus
    segmentation = pydicom.dcmread(folder / "dicom/segmentation.dcm")
    assert segmentation.Modality == "SEG"
    assert segmentation.PatientID == "sub-07"


def test_what_cannot_be_handed_over_gets_a_sentence(workspace, tmp_path):
    keep_plan(workspace, "07", "final", a_plan(workspace))
    with pytest.raises(InputError, match="no such folder of DICOM"):
        hand_over(workspace, "07", "final", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="cannot be read"):
        hand_over(workspace, "07", "other", "")
    assert not (workspace.private.parent / "handed-over").exists()


pages = needed("plan")


@pages[0]
@pages[1]
def test_a_plan_is_moved_scored_kept_compared_and_handed_over(workspace, tmp_path, started):
    pytest.importorskip("highdicom")
    series = t1w_series(tmp_path / "series")

    with serving(workspace.private.parent) as desk:
        page = open_page(let_in(started, desk), f"{desk.origin}/plan?patient=07")
        page.wait_for_selector("#desk[data-ready='yes']", timeout=60_000)
        page.wait_for_selector("#figures[data-state='told']")
        before = data(page, "#figures", "found")
        page.check("input[name='drags'][value='target_ras_mm']")
        for _ in range(8):
            page.locator("#axial").press("ArrowUp")
        page.wait_for_selector("#figures[data-state='told']")
        found = data(page, "#figures", "found")
        assert found != before
        ends = {
            end: tuple(float(i.input_value()) for i in page.locator(f"#{end} input").all())
            for end in ("entry_ras_mm", "target_ras_mm")
        }
        document = planned_options(workspace, "07")
        burns = document.options[document.suggested or 0].plan.burns
        wanted = score(bench_of(workspace, "07"), LaserPlan(Trajectory(*ends.values()), burns))
        assert found["hippocampus"] == pytest.approx(wanted.rate, abs=0.005)
        page.click("#keep")
        page.locator("#alert").filter(has_text="Give the plan a name").wait_for()
        for name in ("one", "two"):
            page.fill("#name", name)
            page.click("#keep")
            page.locator("#status").filter(has_text=f"Kept as {name}").wait_for()
            page.locator("input[data-size='radius_mm']").first.press("ArrowRight")
            page.wait_for_selector("#figures[data-state='told']")
        heads = page.locator("#compared thead th").all_inner_texts()
        assert [text.split()[0] for text in heads] == ["figure", "limit", "one", "two"]
        page.select_option("#chosen", "two")
        page.fill("#series", str(series))
        page.click("#hand-over button")
        page.locator("#status").filter(has_text="Written").wait_for(timeout=120_000)
        assert any(".pdf" in text for text in page.locator("#written li").all_inner_texts())
        assert page.said == []
        latency = data(page, "#figures", "latency")
        print(json.dumps(latency))
        assert latency["n"] >= 5
        check_hand_over(workspace, kept_plans(workspace, "07")[1])
