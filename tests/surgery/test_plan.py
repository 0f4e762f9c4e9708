"""From files to a plan: the command, the plan file, the page."""

from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from falx import __version__
from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import read_record
from falx.images.nifti import load_mask, save
from falx.images.warp import CoordinateMap, save_map
from falx.studies.plan.files import read_plan
from falx.studies.plan.records import PlanDocument
from falx.studies.plan.sheet import sheet_figure
from falx.studies.plan.words import plan_words
from falx.surgery.outcome.prognosis import prognosis, published_prognosis
from surgery.phantom import head_labels, head_signature


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A patient's files, the words of a command, and what a first run wrote."""
    folder = tmp_path_factory.mktemp("plan")
    labels = head_labels()
    signature = head_signature(labels, "right")
    save(folder / "labels.nii.gz", labels.data, labels.affine)
    save(folder / "signature.nii.gz", signature.data, labels.affine)
    save(folder / "t1w.nii.gz", np.sqrt(labels.data.astype(np.float32)), labels.affine)
    save_map(
        folder / "map.nii.gz",
        CoordinateMap(labels.grid.centres_mm().astype(np.float32), labels.affine),
    )
    words = [
        "plan", str(folder / "out"), "--participant-label", "07", "--side", "right",
        "--structures", str(folder / "labels.nii.gz"),
        "--signature", str(folder / "signature.nii.gz"), "--t1w", str(folder / "t1w.nii.gz"),
        "--to-template", str(folder / "map.nii.gz"), "--draws", "500",
    ]  # fmt: skip
    code = main(words)
    return folder, words, code


def out(folder, name):
    return folder / "out/sub-07/anat" / name


def test_a_patient_is_planned_and_shown(patient):
    folder, _, code = patient
    assert code == 0
    document = json.loads(out(folder, "sub-07_desc-planned_plan.json").read_text())
    option = document["options"][document["suggested"]]
    assert option["plan"]["target_ras_mm"][0] > 0
    assert option["plan"]["target_lps_mm"][0] == -option["plan"]["target_ras_mm"][0]
    assert option["hippocampus"]["rate"] >= 0.396
    assert option["robustness"]["holds"] >= 0.8
    assert option["robustness"]["reaches"] >= 0.9
    assert option["plan"]["target_mni_mm"] == pytest.approx(option["plan"]["target_ras_mm"])
    assert "Vessels were not checked." in document["notices"]
    mask = load_mask(out(folder, "sub-07_space-T1w_label-ablation_desc-planned_mask.nii.gz"))
    volume = mask.data.sum() * mask.grid.voxel_volume_mm3
    assert volume == pytest.approx(option["ablated_mm3"])
    rows = out(folder, "sub-07_desc-planned_plan.csv").read_text().splitlines()
    assert len(rows) == 1 + len(document["options"])
    page = out(folder, "sub-07_desc-planned_plan.html").read_text()
    for text in ("Vessels were not checked.", "not of seizure freedom", "sub-07", "30 patients"):
        assert text in page


def test_same_seed_same_bytes(patient):
    """All but the time stamp of the page."""
    folder, words, _ = patient
    paths = [out(folder, f"sub-07_desc-planned_plan.{kind}") for kind in ("json", "pdf", "html")]

    def content():
        *exact, page = (path.read_bytes() for path in paths)
        return *exact, re.sub(rb"computed [-0-9: ]+UTC", b"", page)

    before = content()
    assert main(words) == 0
    assert content() == before


def test_the_sheet_is_one_page_with_the_plan_in_words(patient):
    folder, _, _ = patient
    content = out(folder, "sub-07_desc-planned_plan.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") == 1
    assert len(content) < 1_500_000


def test_every_number_of_the_sheet_stands_in_the_page(patient, tmp_path):
    """Of a plan with the ablation that was made, and of a patient without a plan."""
    _, words, _ = patient
    labels = head_labels()
    x, y, z = np.moveaxis(labels.grid.centres_mm(), -1, 0)
    made = (x - 27) ** 2 + (y + 10) ** 2 + (z + 12) ** 2 <= 64
    save(tmp_path / "made.nii.gz", made, labels.affine)
    for more in (["--ablation", str(tmp_path / "made.nii.gz")], ["--max-length-mm", "40"]):
        asked = [*words, *more]
        asked[1] = str(tmp_path / "out")
        main(asked)
        anat = tmp_path / "out/sub-07/anat"
        document = read_record(PlanDocument, anat / "sub-07_desc-planned_plan.json")
        page = (anat / "sub-07_desc-planned_plan.html").read_text()
        shown = html.unescape(re.sub(r"<[^>]+>", " ", page[: page.index('id="falx-still"')]
                              + page[page.index('id="falx-setup"') :]))  # fmt: skip
        lines = [text.get_text() for text in sheet_figure(document, []).axes[0].texts]
        talks = replace(
            document, notices=(*document.notices, *["what a surgeon must know " * 20] * 3)
        )
        texts = sheet_figure(talks, []).axes[0].texts
        assert min(text.get_position()[1] for text in texts) > 0.02
        ends = " ".join(text.get_text() for text in texts)
        assert ends.endswith(f"Falx {__version__}.")
        numbers = re.findall(r"-?\d+(?:\.\d+)?", " ".join(lines))
        assert len(numbers) > 10
        for number in numbers:
            assert number in shown, number
        for sentence in " ".join(plan_words(document).split()).split(". "):
            assert sentence in " ".join(shown.split())
            assert sentence.replace(" ", "") in "".join(lines).replace(" ", "")


def test_an_ablation_that_was_made_is_scored_and_sinuses_are_kept_away_from(patient):
    folder, words, _ = patient
    labels = head_labels()
    x, y, z = np.moveaxis(labels.grid.centres_mm(), -1, 0)
    made = (x - 27) ** 2 + (y + 10) ** 2 + (z + 12) ** 2 <= 64
    sinus = (np.abs(x) < 4) & (y < -90)
    save(folder / "made.nii.gz", made, labels.affine)
    save(folder / "sinus.nii.gz", sinus, labels.affine)
    more = [*words, "--ablation", str(folder / "made.nii.gz"), "--sinuses",
            str(folder / "sinus.nii.gz"), "--min-sinus-mm", "30"]  # fmt: skip
    more[1] = str(folder / "more")
    assert main(more) == 0
    anat = folder / "more/sub-07/anat"
    document = json.loads((anat / "sub-07_desc-planned_plan.json").read_text())
    signature = load_mask(folder / "signature.nii.gz").data & (labels.data == 53)
    record = document["made"]
    assert record["hippocampus"]["rate"] == pytest.approx(
        (signature & made).sum() / signature.sum()
    )
    assert record["ablated_mm3"] == pytest.approx(8.0 * made.sum())
    assert "seizure freedom" in record["expected"]["sentences"][0]
    assert document["sinuses_checked"]
    assert document["funnel"]["sinus"] > 0
    assert min(option["sinus_distance_mm"] for option in document["options"]) >= 30
    assert "The ablation that was made" in (anat / "sub-07_desc-planned_plan.html").read_text()


def test_the_expected_outcome_is_that_of_the_rate(patient):
    folder, _, _ = patient
    document = json.loads(out(folder, "sub-07_desc-planned_plan.json").read_text())
    rate = document["options"][document["suggested"]]["hippocampus"]["rate"]
    model = published_prognosis(rng=np.random.default_rng(0))
    assert document["expected"]["probability"] == pytest.approx(prognosis(rate, model).probability)
    page = out(folder, "sub-07_desc-planned_plan.html").read_text()
    assert "95 % interval" in page
    assert document["made"] is None


def test_a_given_plan_is_scored_like_the_found_one(patient, capsys):
    folder, words, _ = patient
    found = out(folder, "sub-07_desc-planned_plan.json")
    assert main([*words, "--plan", str(found)]) == 0
    document = json.loads(found.read_text())
    scored = json.loads(out(folder, "sub-07_desc-scored_plan.json").read_text())
    a, b = document["options"][document["suggested"]], scored["options"][0]
    assert a["plan"] == b["plan"]
    for name in ("ablated_mm3", "outside_mm3", "risk_mm", "clearance_mm", "angle_deg"):
        assert a[name] == pytest.approx(b[name], abs=1e-6)
    assert a["hippocampus"] == b["hippocampus"]
    assert a["robustness"] == b["robustness"]
    assert "enter at" in capsys.readouterr().out


def test_no_plan_says_what_binds_and_writes_no_ablation(patient, capsys):
    folder, words, _ = patient
    strict = [*words, "--max-length-mm", "40", "--threshold", "0.4"]
    strict[1] = str(folder / "strict")
    assert main(strict) == 0
    text = capsys.readouterr().out
    assert "No plan is suggested" in text
    assert "a track of up to 130 mm instead of 40 mm" in text
    anat = folder / "strict/sub-07/anat"
    assert not list(anat.glob("*_mask.nii.gz"))
    page = (anat / "sub-07_desc-planned_plan.html").read_text()
    assert "a track of up to 130 mm instead of 40 mm" in page
    assert (anat / "sub-07_desc-planned_plan.pdf").read_bytes().startswith(b"%PDF")


def test_an_empty_signature_is_answered_by_a_sentence(patient, tmp_path, capsys):
    """Nothing is certain: that is a result, not bad input."""
    _, words, _ = patient
    labels = head_labels()
    x, y, _ = np.moveaxis(labels.grid.centres_mm(), -1, 0)
    for mask, said in (
        (np.zeros(labels.data.shape, bool), "no voxel is certain enough"),
        ((x > 40) & (y > 20) & (labels.data > 0), "lies elsewhere"),
    ):
        save(tmp_path / "signature.nii.gz", mask, labels.affine)
        asked = [*words, "--signature", str(tmp_path / "signature.nii.gz")]
        asked[1] = str(tmp_path / "out")
        assert main(asked) == 0
        text = capsys.readouterr().out
        assert "No plan is suggested" in text
        assert said in text
        anat = tmp_path / "out/sub-07/anat"
        document = read_record(PlanDocument, anat / "sub-07_desc-planned_plan.json")
        assert document.options == ()
        assert said in (anat / "sub-07_desc-planned_plan.html").read_text()
        assert not list(anat.glob("*desc-planned_mask*"))


ENDS = '"entry_ras_mm": [1, 2, 3], "target_ras_mm": [0, 50, 0]'
NOWHERE = '"entry_ras_mm": [NaN, 2, 3], "target_ras_mm": [0, 50, 0]'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "lacks a part of a plan"),
        ('{"entry_ras_mm": [1, 2], "target_ras_mm": [0, 0, 0], "burns": []}', "not a point"),
        (f'{{{NOWHERE}, "burns": [{{"radius_mm": 5}}]}}', "not a point"),
        (f'{{{ENDS}, "burns": [{{"radius_mm": -5}}]}}', "positive radius"),
        (f'{{{ENDS}, "burns": []}}', "one burn"),
    ],
)
def test_bad_plan_files_are_refused(tmp_path, content, message):
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_plan(path)
    assert "plan.json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--side": "left"}, "in the left hippocampus, so nothing to ablate is certain"),
        ({"--vessels": "other grid"}, "the vessel mask.*grid"),
        ({"--sinuses": "other grid"}, "the sinus mask.*grid"),
        ({"--ablation": "other grid"}, "the ablation is on another grid"),
        ({"--ablation": "other side"}, "the ablation lies in the other hemisphere"),
        ({"--ablation": "empty"}, "the ablation mask is empty"),
        ({"--signature": "other grid"}, "the signature.*grid"),
        ({"--plan": '{"entry_ras_mm": [NaN, 0, 0], "target_ras_mm": [1, 2, 3], "burns": []}'},
         "not a point in millimetres"),
        ({"--plan": '{"entry_ras_mm": [900, 0, 0], "target_ras_mm": [27, -20, -12], '
                    '"burns": [{"radius_mm": 6}]}'}, "lies outside the head"),
        ({"--plan": '{"entry_ras_mm": [-40, -90, 0], "target_ras_mm": [-27, -20, -12], '
                    '"burns": [{"radius_mm": 6}]}'}, "the target of the plan lies in the other"),
        ({"--max-angle-deg": "120"}, "max_angle_deg"),
        ({"--threshold": "nan"}, "threshold"),
        ({"--draws": "1"}, "draws"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_on_the_command_line(patient, tmp_path, capsys, change, message):
    _, words, _ = patient
    labels = head_labels()
    x = labels.grid.centres_mm()[..., 0]
    masks = {
        "other grid": (np.ones((20, 20, 20), bool), np.diag([3.0, 3.0, 3.0, 1.0])),
        "other side": ((x < -20) & (x > -30) & (labels.data > 0), labels.affine),
        "empty": (np.zeros(labels.data.shape, bool), labels.affine),
    }
    bad = [*words]
    bad[1] = str(tmp_path / "out")
    for flag, value in change.items():
        if value in masks:
            save(tmp_path / "mask.nii.gz", *masks[value])
            given = str(tmp_path / "mask.nii.gz")
        elif flag == "--plan":
            (tmp_path / "plan.json").write_text(value)
            given = str(tmp_path / "plan.json")
        else:
            given = value
        bad += [flag, given]
    assert main(bad) == 2
    text = capsys.readouterr().err
    assert re.search(message, text), text
    assert text.count("\n") == 1
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_bad_input_leaves_an_earlier_plan_alone_and_no_plan_removes_its_mask(patient, tmp_path):
    folder, words, _ = patient
    shutil.copytree(folder / "out", tmp_path / "out")
    files = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    again = [*words]
    again[1] = str(tmp_path / "out")
    assert main([*again, "--side", "left"]) == 2
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == files
    assert main([*again, "--max-length-mm", "40"]) == 0
    assert not list((tmp_path / "out/sub-07/anat").glob("*desc-planned_mask*"))


def test_missing_files_are_named(patient, capsys):
    folder, words, _ = patient
    gone = [str(folder / "none.nii.gz") if "labels" in word else word for word in words]
    assert main(gone) == 2
    assert "label volume with FreeSurfer numbers" in capsys.readouterr().err
