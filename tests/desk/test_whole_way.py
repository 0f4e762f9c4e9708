"""From a hospital's DICOM folder to a patient's page with the study itself, minutes long."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import psutil
import pytest

from desk_process import Desk
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec
from killing import contents
from surgery.dicom_phantom import write_series

pytestmark = pytest.mark.slow

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SERIES = {"_T1w": ("MR", "T1 MPRAGE sag"), "_FLAIR": ("MR", "T2 FLAIR"), "_pet": ("PT", "FDG AC")}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A phantom patient with a focus on the right, as a scanner would export him."""
    folder = tmp_path_factory.mktemp("hospital")
    spec = PatientSpec("01", "right", voxel_mm=1.5, head="12")
    write_cohort(folder / "bids", [spec], np.random.default_rng(3))
    for number, (suffix, (kind, text)) in enumerate(SERIES.items(), start=2):
        (path,) = (folder / "bids").glob(f"sub-01/ses-preop/*/*{suffix}.nii.gz")
        image = nib.load(path)
        values = np.asarray(image.dataobj, dtype=np.float64)
        values = values if values.ndim == 3 else values.mean(axis=3)
        counts = np.clip(np.rint(values * (4000 / values.max())), 0, 4095).astype(np.int16)
        write_series(
            folder / "export" / suffix, counts, TO_LPS @ image.affine, modality=kind,
            description=text, number=number,
        )  # fmt: skip
    return folder / "export"


@pytest.fixture
def desks(tmp_path):
    """Start a desk of the same folder, as often as it is killed."""
    alive = []

    def start(page):
        alive.append(Desk(tmp_path / "work", real=True))
        page.goto(alive[-1].address)
        page.wait_for_selector("body[data-ready='patients']")
        return alive[-1]

    yield start
    alive[-1].end()


def kill_all_of(work, desk):
    """End the desk and every process of its run, as when the machine is switched off."""
    record = max((work / "private" / "runs").glob("*.json"))
    head = psutil.Process(json.loads(record.read_text())["pid"])
    everything = [head, *head.children(recursive=True)]
    desk.kill()
    for process in everything:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def to_runs(page):
    page.click("#bar a:has-text('Run')")
    page.wait_for_selector("body[data-ready='run']")


def test_a_dicom_folder_becomes_a_page_through_two_kills_to_the_bytes_of_an_undisturbed_run(
    page, hospital, tmp_path, desks
):
    desk = desks(page)
    page.click("text=Import the first patient's images")
    page.wait_for_selector("body[data-ready='import']")
    page.set_input_files("#folder", hospital)
    page.wait_for_selector("#confirm:not([hidden])", timeout=120_000)
    chosen = [one.input_value() for one in page.locator("#series select").all()]
    assert chosen == ["t1w", "flair", "pet"]
    page.select_option("#side", "right")
    page.click("#store")
    page.wait_for_selector("#now:has-text('sub-P001 anatomy')", timeout=120_000)
    desk.kill()  # the run goes on, and the next desk finds it
    desk = desks(page)
    to_runs(page)
    page.wait_for_selector("#now:has-text('sub-P001 signature')", timeout=1_500_000)
    kill_all_of(tmp_path / "work", desk)
    desks(page)
    to_runs(page)
    page.wait_for_selector("[data-state='interrupted']")
    page.click("#resume")
    page.wait_for_selector("[data-state='running']")
    page.wait_for_selector("[data-state]:not([data-state='running'])", timeout=1_500_000)
    assert page.locator("[data-state='finished']").count() == 1, page.inner_text("#live")
    page.click("text=See the patients")
    page.wait_for_selector("body[data-ready='patients']")
    page.click("text=Page")
    frame = page.frame_locator("#page")
    frame.locator("h1:has-text('sub-P001')").wait_for()
    text = frame.locator("body").inner_text()
    assert re.search(r"PET asymmetry of the right hippocampus: -0\.[1-4]", text)
    assert "Quixotzky" not in text
    words = [sys.executable, "-m", "falx", "signature", str(tmp_path / "work" / "bids")]
    words += [str(tmp_path / "gold"), "participant"]
    subprocess.run(words, check=True, capture_output=True)
    assert contents(tmp_path / "work" / "signature") == contents(tmp_path / "gold")
