"""The cohort's overlays: who is drawn where, on which side, and what stands below."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from falx.core.files import write_table
from falx.images.nifti import Image, save
from falx.studies.outcome import overlays
from falx.studies.outcome.files import OverlayFiles, overlays_stage
from falx.studies.outcome.overlays import Overlay, overlays_page

AFFINE = np.array([[-3.0, 0, 0, 60], [0, 3, 0, -75], [0, 0, 3, -60], [0, 0, 0, 1]])
SHAPE = (41, 50, 45)


def ball(centre_mm, radius_mm=9.0) -> Image:
    """A ball on a grid whose first axis runs from right to left."""
    index = np.indices(SHAPE).reshape(3, -1)
    points = (AFFINE[:3, :3] @ index + AFFINE[:3, 3:]).T
    inside = np.linalg.norm(points - centre_mm, axis=1) < radius_mm
    return Image(inside.reshape(SHAPE), AFFINE)


NOTHING = Image(np.zeros(SHAPE, dtype=bool), AFFINE)
LEFT, RIGHT = (-30.0, -20.0, -15.0), (30.0, -20.0, -15.0)


@pytest.fixture
def drawn(monkeypatch):
    """What the page asks to be drawn, in its order."""
    asked = []

    def draw(background, layers, *, centre_mm, spacing_mm):
        asked.append((layers, centre_mm))
        return b"<svg/>"

    monkeypatch.setattr(overlays, "slices", draw)
    return asked


def test_patients_stand_below_their_outcome_with_their_numbers(drawn):
    page = overlays_page(
        [
            Overlay("01", True, ball(LEFT), ball((-28.0, -17.0, -15.0)), 0.625),
            Overlay("02", False, ball(RIGHT), None, None),
            Overlay("03", True, NOTHING, ball(LEFT), None),
        ]
    )
    places = [
        page.index(said)
        for said in (
            ">Not seizure free<", "sub-02: no ablative rate of the hippocampus; no ablation mask.",
            ">Seizure free<", "sub-01: ablative rate 62.5 % of the hippocampus.",
            "sub-03: no ablative rate of the hippocampus; the signature holds nothing.",
        )
    ]  # fmt: skip
    # The contents name both sections before them.
    assert places[1] < places[3] < places[4]
    assert "3 patients, 2 seizure free; each on the common template" in page
    (without, _), (both, at), (_, third) = drawn
    assert [layer.label for layer in without] == ["signature"]
    assert [(layer.label, layer.kind) for layer in both] == [
        ("signature", "mask"), ("ablation", "contour"),
    ]  # fmt: skip
    # Through the middle of the cavity, not of the signature.
    assert np.allclose(at, (-28, -17, -15), atol=1.0)
    assert np.allclose(third, LEFT, atol=1.0)


def test_the_planes_run_through_the_signature_where_there_is_no_cavity(drawn):
    overlays_page([Overlay("01", True, ball(RIGHT), None, None)])
    ((_, at),) = drawn
    assert np.allclose(at, RIGHT, atol=1.0)
    overlays_page([Overlay("01", True, ball(RIGHT), NOTHING, None)])
    assert np.allclose(drawn[-1][1], RIGHT, atol=1.0)


def test_a_patient_of_nothing_is_said_and_an_outcome_of_nobody_has_no_section(drawn):
    page = overlays_page([Overlay("07", False, NOTHING, NOTHING, 0.0)])
    assert "sub-07: neither signature nor ablation holds anything." in page
    assert drawn == []
    assert ">Seizure free<" not in page
    assert "No patient of the group has a signature." in overlays_page([])


def orange(page: str) -> np.ndarray:
    """Which pixels of the page's only picture are of the signature's colour."""
    from base64 import b64decode

    from matplotlib.image import imread

    (picture,) = re.findall(r"data:image/png;base64,([^\"]+)", page)
    red, green, blue = imread(io.BytesIO(b64decode(picture)))[..., :3].transpose(2, 0, 1)
    return (red > 0.6) & (green > 0.25) & (green < 0.75) & (blue < 0.35)


def test_a_signature_on_the_left_is_drawn_on_the_left():
    """On the coronal plane through a cavity in the middle, sides part by world x."""
    left, right = (
        orange(overlays_page([Overlay("01", True, ball(at), ball((0.0, -20.0, -15.0)), 0.5)]))
        for at in (LEFT, RIGHT)
    )
    assert left.sum() > 50
    assert left.sum() == pytest.approx(right.sum(), rel=0.2)
    middle = [np.mean(np.nonzero(one)[1]) for one in (left, right)]
    assert middle[0] < middle[1] - 20


def test_the_stage_draws_who_is_in_the_group(tmp_path, drawn):
    signatures, ablations = {}, {}
    for subject, at in (("01", LEFT), ("02", RIGHT), ("99", RIGHT)):
        signatures[subject] = tmp_path / f"{subject}.nii.gz"
        save(signatures[subject], ball(at).data, AFFINE)
    ablations["02"] = tmp_path / "cut.nii.gz"
    save(ablations["02"], ball((27.0, -20.0, -15.0)).data, AFFINE)
    table = tmp_path / "patients.tsv"
    rows = [["sub-02", 1, 0.5], ["sub-01", 0, None], ["sub-03", 1, 0.7]]
    write_table(table, ["participant_id", "seizure_free", "rate_hippocampus"], rows)
    page = tmp_path / "overlays.html"
    overlays_stage(OverlayFiles(signatures, table, page, ablations))
    text = page.read_text(encoding="utf-8")
    assert "2 patients, 1 seizure free" in text  # 03 has no signature, 99 is not in the group
    assert "sub-02: ablative rate 50.0 % of the hippocampus." in text
    assert "sub-01: no ablative rate of the hippocampus; no ablation mask." in text
    assert "sub-99" not in text
    assert np.allclose(drawn[0][1], LEFT, atol=1.0)  # not free comes first
    assert np.allclose(drawn[1][1], (27, -20, -15), atol=1.0)
    overlays_stage(OverlayFiles(signatures, table, page))
    again = page.read_text(encoding="utf-8")
    assert again.count("no ablation mask") == 2 * text.count("no ablation mask") > 0
