"""The page of the signature study on a head of blocks: what it says, and what it withholds."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.anatomy.metrics import CoregistrationMetrics
from falx.anatomy.quality import Check
from falx.core.errors import InputError
from falx.core.grid import Grid, apply_affine
from falx.core.records import plain
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap
from falx.pet.metrics import Definition, NoiseMetrics
from falx.report.provenance import MadeFile, StageRecord
from falx.studies.outcome.patient import PatientNumbers
from falx.studies.signature import page as module
from falx.studies.signature.belief import outlines
from falx.studies.signature.files import _one
from falx.studies.signature.live import live_images
from falx.studies.signature.page import SignaturePictures, SignatureResults, signature_page
from falx.studies.signature.recovery import Found, Planted, Recovered, compare, render_recovered
from falx.studies.signature.registration import Laid
from studies.signature_metrics import CHECKS, ablation, calibrated, patient, signature

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = (-46.0, -60.0, -40.0)
SHAPE = (24, 30, 24)
MOVED = CoregistrationMetrics(((1.0,) * 4,) * 4, "", 6, 1.05, 1.21, 0.98, 3.25, ("moved far",))


def blocks() -> np.ndarray:
    """Labels: hippocampus and amygdala on either side, left at low x."""
    labels = np.zeros(SHAPE, np.int32)
    labels[4:20, 4:26, 4:20] = 2
    labels[6:9, 10:14, 8:11], labels[6:9, 15:17, 8:11] = 17, 18
    labels[15:18, 10:14, 8:11], labels[15:18, 15:17, 8:11] = 53, 54
    return labels


@pytest.fixture(scope="module")
def pictures() -> SignaturePictures:
    labels = blocks()
    brain = labels > 0
    grey = np.where(brain, np.float32(0.7), np.float32(0))
    grid = Grid(SHAPE, AFFINE)

    def image(values):
        return Image(np.ascontiguousarray(values), AFFINE)

    return SignaturePictures(
        t1w=image(grey * 100),
        brain=image(brain),
        gm=image(grey),
        wm=image(np.where(labels == 2, np.float32(0.8), np.float32(0))),
        to_native=CoordinateMap(grid.centres_mm().astype(np.float32), AFFINE),
        structures=image(labels),
        pet=image(grey * 5),
        asymmetry=image(np.where(labels == 17, np.float32(-0.2), np.float32(0.01)) * brain),
        signature=image(labels == 17),
        ablation=None,
        template=image(grey),
    )


def results(metrics=None, **records) -> SignatureResults:
    found = metrics or patient()
    return SignatureResults("07", found, {"pet": MOVED}, records)


def laid(pictures, sharp=0.3) -> dict[str, Laid]:
    return {"pet": Laid(MOVED, sharp, pictures.t1w, pictures.t1w)}


def words(page: str) -> str:
    """Text of a page without markup, pictures and data."""
    body = page.partition("<body")[2]
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", body, flags=re.DOTALL))


@pytest.fixture(scope="module")
def page(pictures) -> str:
    file = MadeFile("sub-07/anat/gm.nii.gz", "0123456789abcdef9999")
    record = StageRecord(5, 12.34, "0.1.0", "3.12", {"refine": False}, {}, {"gm": file})
    return signature_page(results(anatomy=record), pictures, laid(pictures))


def test_the_page_says_what_was_found(page) -> None:
    text = words(page)
    assert "sub-07 · metabolic signature" in text
    assert "Focus on the left, from the declared focus" in text
    first = (
        "Found on the left: 0.8 ml of grey matter is lower than its mirror image by more than "
        "noise and healthy asymmetry account for, at an expected false-discovery rate of 12% "
        "(95% interval 4% to 25%), in 1 focus; the most certain, 0.8 ml, 70% of it in the left "
        "hippocampus"
    )
    headline = (
        "PET asymmetry of the left hippocampus: -0.300 ± 0.020, percentile 0.2 (0.0 to 1.0) of "
        "healthy"
    )
    assert "the ablative rate was too high by .03 on average" in text
    assert "that index is -0.10 on the scale of this run, in another head between -0.15" in text
    assert "amygdala: not defined (regional activities" in text
    assert "which blur makes smaller: -0.200, -0.200" in text
    published = "(PET not corrected, z + 5 scale, index ≤ -0.0578, both sides) mark 0.9 ml"
    assert text.index(first) < text.index(headline) < text.index(published)
    assert "suggests the left: foci were found on the left only" in text
    assert (
        "left hippocampus 0.7 0.81 -0.2 -4.1 0.005 0.12 -30, -20, -16 -30, 17, -4 -30, 5, -9"
        in text
    )
    assert "noise and healthy asymmetry together give" in text.lower()
    assert "537 cognitively normal, old people" in text
    assert "There is no ablation mask, so no ablative rate." in text
    assert "Ablative rate: signature in the structure" not in text
    assert "PET 1.05 1.21 0.3 0.15 yes 3.25 0.98" in text
    assert "2000 3000 -1000 -0.4 -0.2 -0.3 0.02" in text
    assert "700000 500000 300000 1500000" in text


def test_the_page_says_what_an_ablation_took(pictures, page) -> None:
    taken = replace(pictures, ablation=pictures.signature)
    ablated = signature_page(results(patient(ablated=ablation())), taken, laid(pictures))
    text = words(ablated)
    assert "The ablation of 4000 mm³ took 60.0% of the signature in the hippocampus" in text
    assert "(300 of 500 mm³)" in text
    assert "no share of the amygdala, which holds no signature" in text
    assert "has not been confirmed elsewhere" in text
    assert "hippocampus this run 0.6 500" in text
    assert "mesial temporal published chain 0.25 800" in text
    assert "signature or not, 55.0% of the hippocampus and 20.0% of the amygdala" in text
    assert "This run has another definition of it, calibrated (foci at a familywise" in text
    assert "pet -0.2 -0.1" in text and "flair – –" in text
    assert ablated.count("data:image/png") == page.count("data:image/png") + 1


def test_an_empty_signature_is_a_result_of_its_own(pictures) -> None:
    nothing = Image(np.zeros(SHAPE, bool), AFFINE)
    healthy = patient(foci=calibrated(empty=True), ablated=ablation())
    text = words(
        signature_page(results(healthy), replace(pictures, signature=nothing), laid(pictures))
    )
    assert "Nothing on the left is certain: no cluster of low asymmetry is rarer than 5%" in text
    assert "(smallest P 0.4). That excludes no focus" in text
    assert "suggests no side: no focus was found" in text
    assert "Foci of the whole brain" not in text and "Found on" not in text


def test_a_share_found_without_a_declared_side_is_said_to_be_stated_too_small(pictures) -> None:
    for searched, said in ((("left",), False), (("left", "right"), True)):
        found = patient(foci=replace(calibrated(), searched=searched))
        text = words(signature_page(results(found), pictures, laid(pictures)))
        assert ("No side was declared, so that the foci were sought without" in text) is said


def test_a_pet_without_known_noise_has_nothing_certain(pictures) -> None:
    known = patient()
    pet = replace(known.pet, noise=NoiseMetrics((), None, "the noise cannot be measured"))
    blind = replace(known, pet=pet, signature=signature("left", None))
    text = words(signature_page(results(blind), pictures, laid(pictures)))
    assert "Nothing can be called certain: the noise cannot be measured." in text
    assert "suggests no side: its noise is not known" in text


def test_a_threshold_is_said_to_hold_mostly_noise_and_another_side_is_warned_of(pictures) -> None:
    known = patient()
    other = replace(
        known.signature,
        definition=Definition("threshold", "mg3", "proportional", -0.06),
        volume_mm3=31_725.0,
        calibrated=calibrated("right"),
    )
    page = signature_page(results(replace(known, signature=other)), pictures, laid(pictures))
    text = words(page)
    said = "By the definition of this run, threshold (index -0.06 on the proportional scale; PET "
    assert text.index("Found on the right: 0.8 ml") < text.index(said)
    assert "the signature is 31.7 ml; below a single threshold most can be noise" in text
    assert "suggests the right" in text and "PET corrected by mg3" in text


def test_a_failed_gate_withholds_every_result(pictures) -> None:
    wrong = (Check("sides", 0.1, 0.5, None, False, "left is left"), *CHECKS[1:])
    text = words(signature_page(results(patient(checks=wrong)), pictures, laid(pictures)))
    assert "No result is shown, because a quality check failed: sides." in text
    assert "PET asymmetry of the" not in text and "810 mm³" not in text
    assert "left is left" in text


def test_a_check_that_only_warns_withholds_nothing(page) -> None:
    assert re.search(r'class="warn"[^>]*>\s*<td[^>]*>noise', page)
    assert re.search(r'class="ok"[^>]*>\s*<td[^>]*>sides', page)
    assert 'class="fail"' not in page.partition("<body")[2]


def test_notices_of_all_stages_stand_once_and_in_order() -> None:
    record = StageRecord(notices=("from the record", "from the PET"))
    found = results(patient(ablated=ablation()), anatomy=record)
    assert found.notices == [
        "from the anatomy", "from the PET", "from the ablation", "moved far", "from the record",
    ]  # fmt: skip


def test_how_it_was_made_stands_at_the_end(page) -> None:
    text = words(page)
    assert "anatomy (version 5, 12.3 s)" in text
    assert "refine False" in text
    assert "sub-07/anat/gm.nii.gz 0123456789abcdef " in text


def test_the_live_view_shows_the_side_of_the_focus(pictures) -> None:
    for side, numbers in (("left", (17, 18)), ("right", (53, 54))):
        shown = module._live_images(results(patient(side)), pictures)
        masks = {mask.name: mask.image.data for mask in shown.masks}
        np.testing.assert_array_equal(masks["hippocampus"], blocks() == numbers[0])
        np.testing.assert_array_equal(masks["amygdala"], blocks() == numbers[1])
        x_mm = module._centre_mm(pictures.structures, side)[0]
        assert (x_mm < 0) == (side == "left")


def test_what_is_absent_is_not_drawn_live(pictures) -> None:
    masks = {"hippocampus": pictures.signature, "amygdala": pictures.signature}
    few = live_images(pictures.t1w, pictures.brain, pictures.signature, **masks)
    assert [mask.name for mask in few.masks] == ["signature", "hippocampus", "amygdala"]
    assert list(few.maps) == []
    rest = {"pet": pictures.pet, "asymmetry": pictures.asymmetry, "ablation": pictures.signature}
    more = live_images(pictures.t1w, pictures.brain, pictures.signature, **masks, **rest)
    assert [mask.name for mask in more.masks][-1] == "ablation"
    pet, index = more.maps
    assert pet.high == pytest.approx(3.5) and pet.low == pytest.approx(0.3 * pet.high)
    assert index.sign == -1  # lows are looked for


IDENTITY = tuple(tuple(float(v) for v in row) for row in np.eye(4))
PLANTED = Planted(
    "left", -0.28, 0.62, 0.6, {"left hippocampus": 2900.0, "right hippocampus": 3500.0},
    IDENTITY, IDENTITY, IDENTITY,
)  # fmt: skip
NUMBERS = PatientNumbers(
    {
        "mesial_temporal_ai_pet_regional": -0.27,
        "mesial_temporal_ai_pet_regional_se": 0.012,
        "rate_hippocampus": 0.58,
        "hippocampus_left_mm3": 2800.0,
        "hippocampus_right_mm3": 3600.0,
    },
    side="left",
)
POINTS = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0], [0, 0, 30.0]])


def shifted(*mm: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return matrix


def test_planted_stands_beside_found() -> None:
    matrices = {"FDG": shifted(3, 4, 0), "FLAIR": np.eye(4), "postop": shifted(0, 0, -2)}
    rows = {
        row.what: row for row in compare("01", PLANTED, Found(NUMBERS, -0.2, matrices, POINTS))
    }
    corrected = rows["PET asymmetry of the planted region, corrected"]
    assert (corrected.planted, corrected.found, corrected.standard_error) == (-0.28, -0.27, 0.012)
    assert rows["PET asymmetry there, mean of the smoothed map"].found == -0.2
    assert (rows["ablative rate, hippocampus"].planted, rows["ablative rate, hippocampus"].found) \
        == (0.6, 0.58)  # fmt: skip
    assert rows["ablative rate, hippocampus and amygdala"].found is None
    assert rows["right hippocampus, mm³"].found == 3600.0
    assert rows["FDG off its place, mm"].found == pytest.approx(5.0)
    assert rows["FLAIR off its place, mm"].found == 0.0
    assert rows["postop off its place, mm"].found == pytest.approx(2.0)


@given(st.tuples(*[st.floats(-50, 50)] * 3))
def test_a_shift_is_off_by_its_length_wherever_the_head_lies(mm) -> None:
    truth = replace(PLANTED, t1w_to_pet=tuple(map(tuple, shifted(*mm).tolist())))
    matrices = dict.fromkeys(("FDG", "FLAIR", "postop"), np.eye(4))
    points = apply_affine(shifted(7, -3, 11), POINTS)
    rows = {row.what: row for row in compare("01", truth, Found(NUMBERS, None, matrices, points))}
    found = rows["FDG off its place, mm"].found
    assert found == pytest.approx(float(np.linalg.norm(mm)), abs=1e-9)


def test_the_table_of_the_demonstration_is_aligned() -> None:
    rows = [
        Recovered("01", "rate", 0.6, 0.5812, 0.01),
        Recovered("01", "a longer name", "x", None),
    ]
    lines = render_recovered(rows).splitlines()
    assert lines[0].split() == ["patient", "what", "planted", "found"]
    assert lines[1].endswith("0.6      0.5812 ± 0.010") and lines[2].endswith("x        –")
    assert lines[0].index("planted") == lines[1].index("0.6") == lines[2].index("x ")


def test_two_files_where_one_is_expected_are_refused(tmp_path) -> None:
    for name in ("a_mask.nii.gz", "b_mask.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"2 files like \*_mask.*run the study again"):
        _one(tmp_path, "*_mask.nii.gz")
    assert _one(tmp_path, "a_*").name == "a_mask.nii.gz"


def test_records_of_coregistration_survive_their_file() -> None:
    from falx.core.records import record_of

    assert record_of(CoregistrationMetrics, plain(MOVED), where="x") == MOVED


def test_an_image_that_may_lie_wrongly_is_doubted_before_its_pictures(pictures, page) -> None:
    text = words(signature_page(results(), pictures, laid(pictures, sharp=0.05)))
    assert "It is doubtful whether the T1w and PET lie on each other" in text
    assert "It is doubtful" not in words(page)
    assert "PET with the outlines of the T1w" in text and "T1w and PET by turns" in text


def test_the_page_leads_to_all_patients(page) -> None:
    assert '<a href="index.html">all patients, and their other pages</a>' in page


def test_whose_outlines_they_are_is_said():
    own = patient("left").anatomy
    assert outlines(own) == "Their outlines are Falx's own."
    given = {key: replace(one, origin="given") for key, one in own.structures.items()}
    assert "given with the dataset" in outlines(replace(own, structures=given))
    first = next(key for key, one in own.structures.items() if one.name.endswith("hippocampus"))
    some = {**own.structures, first: given[first]}
    assert outlines(replace(own, structures=some)).startswith("Some of their outlines")
