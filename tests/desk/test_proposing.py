"""The button of ``falx ablation``: its command, and the whole of it in a browser."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from desk.desk_browser import let_in, needed, open_page
from desk.drawn_patient import (
    FLAIR,
    MOVED,
    POSTOP,
    PREOP,
    SIZE_MM,
    ablation,
    head,
    make_patient,
    odd_affine,
    written,
)
from desk_server import serving
from falx.core.errors import InputError
from falx.core.grid import apply_affine
from falx.desk.drawing import MaskTarget
from falx.desk.mask_files import proposal_on, read_mask
from falx.desk.proposing import Wanted, order_of
from falx.images.nifti import save
from falx.studies.ablation.files import AblationOutputs
from falx.surgery.outcome.ablation import dice

TARGET = MaskTarget("07", POSTOP, "ablation")
PLAIN = odd_affine((0, 1, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1))


def intact_patient(folder):
    """The patient of the drawing, whose head was whole before the operation; no proposal yet."""
    workspace = make_patient(folder)
    x, y, z = np.moveaxis(
        apply_affine(PLAIN, np.moveaxis(np.indices((SIZE_MM,) * 3), 0, -1)), -1, 0
    )
    before = head(PLAIN)
    before[ablation(x, y, z)] = (500 + 4 * x + 3 * y - 2 * z)[ablation(x, y, z)]
    structures = np.zeros(before.shape, np.int16)
    for number, (right, front) in {17: (-11, -4), 53: (11, -4), 18: (-11, 6), 54: (11, 6)}.items():
        structures[(x - right) ** 2 + (y - front) ** 2 + (z + 3) ** 2 < 5**2] = number
    save(written(workspace, "anatomy", "corrected"), before, PLAIN)
    save(written(workspace, "anatomy", "brain_mask"), before > 0, PLAIN)
    save(written(workspace, "anatomy", "structures"), structures, PLAIN)
    save(workspace.bids / PREOP, before, PLAIN)
    AblationOutputs.below(workspace.out, "07").mask.unlink()
    return workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return intact_patient(tmp_path_factory.mktemp("proposing") / "desk")


def test_the_command_names_the_image_the_side_and_the_place(workspace):
    (workspace.bids / "participants.tsv").write_text("participant_id\tside\nsub-07\tL\n")
    order = order_of(workspace, Wanted(TARGET, (-8.0, -6.0, -2.0)))
    at = order.words.index("ablation")
    assert order.words[at + 1 : at + 4] == (str(workspace.out), "--participant-label", "07")
    assert order.words[at + 5] == str(workspace.bids / POSTOP)
    assert order.words[at + 6 : at + 8] == ("--side", "left")
    # The head lies MOVED further on in the image after the operation than in that before it.
    wanted = [f"{a - b:.1f}" for a, b in zip((-8.0, -6.0, -2.0), MOVED, strict=True)]
    assert list(order.words[at + 8 :]) == ["--seed-mm", *wanted]
    before = order_of(workspace, Wanted(MaskTarget("07", PREOP, "ablation"), (-11.0, -4.0, -3.0)))
    assert before.words[-4:] == ("--seed-mm", "-11.0", "-4.0", "-3.0")
    assert order.page.endswith("desc-proposedAblation_metrics.html")
    assert (order.level, order.labels) == ("ablation", ("07",))


def test_an_unknown_side_is_left_open(workspace):
    (workspace.bids / "participants.tsv").write_text("participant_id\tside\nsub-07\tn/a\n")
    words = order_of(workspace, Wanted(TARGET)).words
    assert "--side" not in words and "--seed-mm" not in words


@pytest.mark.parametrize(
    ("target", "at", "said"),
    [
        (TARGET, (1.0, 2.0), "three coordinates"),
        (TARGET, (1.0, float("nan"), 0.0), "three coordinates"),
        (TARGET, (1e9, 0.0, 0.0), "three coordinates"),
        (MaskTarget("07", FLAIR, "ablation"), (0.0, 0.0, 0.0), "before or after the operation"),
    ],
)
def test_a_place_that_is_none_is_refused(workspace, target, at, said):
    with pytest.raises(InputError, match=said):
        order_of(workspace, Wanted(target, at))


def test_what_the_command_would_lack_is_said_before_it_is_started(tmp_path):
    workspace = intact_patient(tmp_path / "desk")
    written(workspace, "anatomy", "structures").unlink()
    with pytest.raises(InputError, match="run falx signature into this folder first"):
        order_of(workspace, Wanted(TARGET))
    (workspace.bids / POSTOP).unlink()
    with pytest.raises(InputError, match="no T1w after the operation"):
        order_of(workspace, Wanted(TARGET))


class TestInTheBrowser:
    pytestmark: ClassVar = [*needed("draw"), pytest.mark.slow]  # runs falx ablation itself

    def test_an_ablation_is_proposed_begun_from_and_saved(self, tmp_path, started, monkeypatch):
        from falx.desk import running

        monkeypatch.setattr(running, "PROGRAM", [sys.executable, "-m", "falx", "signature"])
        workspace = intact_patient(tmp_path / "desk")
        with serving(tmp_path / "desk") as desk:
            address = f"{desk.origin}/draw?patient=07&image={POSTOP}&label=ablation"
            page = open_page(let_in(started, desk), address)
            page.wait_for_selector("#desk[data-ready='yes']")
            assert page.locator("#propose").is_hidden()
            page.click("#make")
            page.locator("#making-said").filter(has_text="being proposed").wait_for()
            page.locator("#status").filter(has_text="The proposal is there").wait_for(
                timeout=240_000
            )
            assert page.locator("#make").is_hidden()
            page.click("#propose")
            page.wait_for_selector("#desk[data-begun='proposal'][data-ready='yes']")
            proposed, _ = proposal_on(workspace, TARGET)
            page.wait_for_selector("#save:not([disabled])")
            page.click("#save")
            page.locator("#status").filter(has_text="Saved").wait_for()
            bits, _ = read_mask(workspace, TARGET)
            assert dice(proposed, bits) == 1.0
            assert page.said == []

    def test_a_proposal_of_another_patient_is_not_said_to_be_this_ones(
        self, tmp_path, started, monkeypatch
    ):
        from falx.desk import running

        waits = [sys.executable, "-c", "import time; time.sleep(60)", "signature"]
        monkeypatch.setattr(running, "PROGRAM", waits)
        workspace = intact_patient(tmp_path / "desk")
        for path in sorted(workspace.bids.rglob("*sub-07*.*")):
            other = Path(str(path).replace("sub-07", "sub-08"))
            other.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, other)
        with serving(tmp_path / "desk") as desk:
            address = f"{desk.origin}/draw?patient=07&image={POSTOP}&label=ablation"
            page = open_page(let_in(started, desk), address)
            page.wait_for_selector("#desk[data-ready='yes']")
            page.click("#make")
            said = page.locator("#making-said")
            said.filter(has_text="being proposed").wait_for()
            page.select_option("#patient", "08")
            said.wait_for(state="hidden")
            before = said.text_content()
            page.wait_for_timeout(1500)  # some events of the run that is followed come by
            assert said.is_hidden() and said.text_content() == before
            page.select_option("#patient", "07")
            said.wait_for()
            page.click("#making-end")
            page.locator("#status").filter(has_text="The proposal was cancelled").wait_for()
