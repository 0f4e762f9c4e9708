"""The page Look in a real browser: a wrong registration is seen, nudged, and used by the stage."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from desk.desk_browser import data, let_in, needed, open_page
from desk.drawn_patient import MOVED, POSTOP, make_patient, register, written
from desk_server import serving
from falx.anatomy.files import CoregisterFiles, coregister_stage, load_matrix
from falx.bids.dataset import Dataset
from falx.bids.query import find_one
from falx.images.nifti import save
from falx.studies.signature.study import STUDY

pytestmark = needed("look")

AXE = Path(__file__).parents[2] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def desk(tmp_path):
    make_patient(tmp_path / "desk")
    with serving(tmp_path / "desk") as served:
        yield served


def look(context, desk):
    page = open_page(context, f"{desk.origin}/look?patient=07&pair=postop")
    page.wait_for_selector("#desk[data-ready='yes']", timeout=60_000)
    return page


def picture(page, plane="axial"):
    from matplotlib.image import imread

    shot = page.locator(f"#{plane}").screenshot()
    return np.rint(imread(io.BytesIO(shot))[..., :3] * 255).astype(int)


def matrix(page):
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    return np.array(data(page, "#place", "matrix"))


def test_a_registration_that_is_right_is_told_with_one_click(desk, started):
    page = look(let_in(started, desk), desk)
    assert page.inner_text("#verdict") == "not looked at"
    page.click("#right")
    page.locator("#verdict").filter(has_text="right").wait_for()
    page.reload()
    page.wait_for_selector("#verdict[data-decided='right']")
    assert page.said == []
    assert {url.split("/")[2] for url in page.asked} == {desk.host}


def test_a_wrong_registration_is_nudged_and_the_stage_takes_it(desk, started):
    """By keys, by a field and by the mouse; four clicks in all."""
    wrong = np.eye(4)
    wrong[:3, 3] = (MOVED[0] - 6, MOVED[1], MOVED[2])
    register(desk.workspace, "postop", wrong)
    page = look(let_in(started, desk), desk)
    page.click("#wrong")
    for _ in range(12):
        page.locator("#axial").press("ArrowLeft")
    np.testing.assert_allclose(matrix(page)[:3, 3], MOVED, atol=1e-6)
    assert page.locator("input[data-move='0']").input_value() == "-6"
    page.uncheck("#refine")
    page.click("#store")
    page.locator("#verdict").filter(has_text="nudged, waits for a run").wait_for()
    assert page.is_visible("#again")
    dataset = Dataset.open(desk.workspace.bids)
    nudge = find_one(
        "nudge_postop", STUDY.raw["nudge_postop"], "07",
        dataset=dataset.index, own_derivatives=dataset.own_derivatives,
    ).path  # fmt: skip
    made = written(desk.workspace, "coregister_postop", "matrix")
    coregister_stage(
        CoregisterFiles(
            written(desk.workspace, "anatomy", "corrected"), None,
            desk.workspace.bids / POSTOP, made, nudge,
        )
    )  # fmt: skip
    np.testing.assert_allclose(load_matrix(made)[:3, 3], MOVED, atol=1e-6)
    page.reload()
    page.wait_for_selector("#verdict[data-decided='used']")
    assert "is that of a placement by hand" in page.inner_text("#said")


def test_a_drag_moves_the_image_and_back_undoes_it(desk, started):
    page = look(let_in(started, desk), desk)
    before = matrix(page)
    page.click("#wrong")
    box = page.locator("#axial").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    page.locator("#axial").press("Shift+ArrowLeft")
    assert float(page.locator("input[data-move='0']").input_value()) > 3
    assert page.locator("input[data-turn='2']").input_value() == "0.5"
    assert matrix(page)[0, 3] < before[0, 3] - 3
    page.click("#zero")
    np.testing.assert_allclose(matrix(page), before, atol=1e-12)


def test_swipe_shows_the_head_on_the_left_and_the_image_on_the_right(desk, started):
    page = look(let_in(started, desk), desk)
    page.locator("#bright-image").fill("4095")

    def both(share):
        page.locator("#amount").fill(share)
        return picture(page)

    head, image = both("1"), both("0")
    line = both("0.5")
    middle = line.shape[1] // 2
    assert np.abs(head - image).max() > 20
    np.testing.assert_array_equal(line[:, : middle - 8], head[:, : middle - 8])
    np.testing.assert_array_equal(line[:, middle + 8 :], image[:, middle + 8 :])
    page.locator("#axial").press("c")
    checks = picture(page)
    assert page.is_checked("input[value='checks']")
    assert (checks != head).any() and (checks != image).any()
    page.locator("#axial").press("o")
    page.locator("#amount").fill("0.5")
    np.testing.assert_allclose(picture(page), (head + image) / 2, atol=60)


def test_an_image_without_a_registration_is_told_and_the_page_goes_on(desk, started):
    page = look(let_in(started, desk), desk)
    page.select_option("#pair", "flair")
    page.locator("#alert").filter(has_text="run the study first").wait_for()
    page.select_option("#pair", "postop")
    page.wait_for_selector("#desk[data-ready='yes']")
    assert page.inner_text("#alert") == ""
    for part in ("#axial", "#sagittal", "#right", ".tools"):
        box = page.locator(part).bounding_box()
        assert box["x"] + box["width"] <= 1366 and box["y"] + box["height"] <= 768, part


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not beside the viewer's sources")
@pytest.mark.parametrize("name", ["look", "draw"])
def test_axe_finds_no_fault_and_nothing_is_wider_than_the_screen(desk, started, name):
    page = open_page(let_in(started, desk), f"{desk.origin}/{name}?patient=07&pair=postop")
    page.wait_for_selector("#desk[data-ready='yes']")
    if name == "look":
        page.click("#wrong")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for width, height in ((1366, 768), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [fault["id"] for fault in found["violations"]] == []
        assert len(found["passes"]) > 15
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def worked_s():
    """Processor time of the desk, which runs in this process, and of the browser below it."""
    own = time.process_time()
    return own + sum(sum(p.cpu_times()[:2]) for p in psutil.Process().children(recursive=True))


@pytest.mark.slow  # two heads of 256 voxels a side
def test_two_images_of_256_voxels_a_side_stand_there_after_less_than_5_s_of_work(
    tmp_path, started
):
    """Processor time, which bounds the wait on a machine that does nothing else."""
    make_patient(tmp_path / "desk")
    rng = np.random.default_rng(1)
    fine = np.kron(rng.normal(500, 80, (64, 64, 64)), np.ones((4, 4, 4)))
    fine = (fine + rng.normal(0, 20, fine.shape)).astype(np.float32)
    with serving(tmp_path / "desk") as desk:
        for path in (
            desk.workspace.bids / POSTOP,
            written(desk.workspace, "anatomy", "corrected"),
        ):
            save(path, fine, np.diag([1.0, 1, 1, 1]))
        context = let_in(started, desk)
        before = worked_s()
        page = look(context, desk)
        worked = worked_s() - before
        print(f"{worked:.1f} s of work, {page.evaluate('performance.now()') / 1000:.1f} s waited")
        assert worked <= 5
