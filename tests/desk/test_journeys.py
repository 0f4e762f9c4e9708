"""Whole ways through the desk in a real browser, waited for by what is to be seen."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import toy_study
from desk.conftest import use_toy_program
from desk_process import Desk
from desk_server import TOKEN
from falx.core.files import read_table
from falx.desk import running
from falx.desk.serve import entry_page
from killing import contents
from surgery.dicom_phantom import TELLING, oblique_affine_lps, write_series

AXE = Path(__file__).parents[2] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = ((1366, 768), (1920, 1080))


def enter(page, desk, path="/"):
    """Come in by the address that was printed, and go to a page."""
    if not page.context.cookies():
        desk.cookie = ""
        page.goto(f"{desk.origin}/?token={TOKEN}")
        page.wait_for_selector("body[data-ready='patients']")
    if path != "/":
        page.goto(desk.origin + path)
    page.wait_for_selector("body[data-ready]")


@pytest.fixture
def open_desk(tmp_path, toy_program):
    """A desk of two people that nobody has entered."""
    from desk_server import serving

    bids = toy_study.write_dataset(tmp_path / "bids", 2)
    with serving(bids) as desk:
        yield desk


@pytest.fixture
def empty_desk(tmp_path, toy_program):
    """A desk of a new folder that nobody has entered."""
    from desk_server import serving

    with serving(tmp_path / "work") as desk:
        yield desk


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A folder as a hospital exports it: five series, a name, and things that are no images."""
    folder = tmp_path_factory.mktemp("hospital") / "export"
    rng = np.random.default_rng(7)
    volume = (rng.random((24, 28, 22)) * 1000).astype(np.int16)
    wide = oblique_affine_lps((1.8, 2.2, 3.0))
    write_series(folder / "a", volume, oblique_affine_lps(), rng=rng)
    for k, (text, kind) in enumerate(
        [("T2 FLAIR dark-fluid", "MR"), ("FDG brain AC", "PT"), ("FDG brain NAC", "PT")], start=5
    ):
        write_series(folder / f"s{k}", volume, wide, modality=kind, description=text, number=k)
    write_series(folder / "l", volume[:, :, :3], wide, description="localizer", number=1)
    (folder / "README.txt").write_text("viewer for Windows")
    return folder


def test_patients_are_listed_run_and_a_failure_is_a_sentence_with_its_log(page, open_desk):
    bids, out = open_desk.workspace.bids, open_desk.workspace.out
    crash = bids / "sub-02" / "anat" / "crash"
    crash.write_text("")
    enter(page, open_desk)
    assert page.locator("tbody th").all_inner_texts() == ["sub-01", "sub-02"]
    assert page.locator("tr:has-text('sub-01') .tag.good").all_inner_texts() == ["T1w", "FLAIR"]
    assert "There is no FDG-PET image" in page.inner_text("tr:has-text('sub-01')")
    page.click("#run")
    page.wait_for_selector("[data-state='failed']")
    failure = page.inner_text(".failure")
    assert failure.startswith("sub-02 warm: an error that Falx does not know (ZeroDivisionError")
    page.click(".failure button")
    page.wait_for_selector("#log[open]")  # it is fetched first
    assert "ZeroDivisionError: toy" in page.inner_text("#log-text")
    assert "Traceback" in page.inner_text("#log-text")
    page.click("#log-close")
    assert f"falx toy {bids} {out} participant" in page.inner_text("code")
    crash.unlink()
    page.click("#resume")
    page.wait_for_selector("[data-state='finished']")
    assert page.locator(".failure").count() == 0
    assert (out / "sub-02.html").is_file()
    page.click("text=See the patients")
    page.wait_for_selector("body[data-ready='patients']")
    assert page.locator("tbody .tag:text-is('finished')").count() == 2
    assert [url for url in page.asked if not url.startswith(open_desk.origin)] == []
    assert page.said == []


def test_a_run_is_followed_cancelled_and_resumed_to_the_same_bytes(page, open_desk, undisturbed):
    bids, out = open_desk.workspace.bids, open_desk.workspace.out
    slow = bids / "sub-01" / "anat" / "slow"
    slow.write_text("30")
    enter(page, open_desk, "/run")
    page.select_option("#who", "01")
    page.click("#go")
    page.wait_for_selector("#now:has-text('sub-01 warm')")
    other = page.context.new_page()  # a second window sees the same run, and may not start one
    other.goto(open_desk.origin + "/run")
    other.wait_for_selector("[data-state='running']")
    assert other.locator("#go").is_disabled()
    open_desk.cookie = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies())
    status, said = open_desk.ask("POST", "/api/runs", {"level": "participant"})
    assert (status, "another run is under way" in said["error"]) == (400, True)
    page.click("#cancel")
    other.wait_for_selector("[data-state='cancelled']")
    page.wait_for_selector("[data-state='cancelled']")
    assert page.locator(".failure").count() == 0
    assert not (out / "sub-01.html").exists()
    slow.unlink()
    page.click("#resume")
    page.wait_for_selector("[data-state='finished']")
    page.wait_for_selector("#past tbody tr:nth-child(2)")
    assert _of("sub-01", contents(out)) == _of("sub-01", undisturbed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Bytes of a run of the command line on the same dataset that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    bids = toy_study.write_dataset(folder / "bids", 2)
    with pytest.MonkeyPatch.context() as patch:
        use_toy_program(patch)
        words = [*running.PROGRAM, str(bids), str(folder / "out"), "participant"]
        subprocess.run(words, check=True, capture_output=True)
    return contents(folder / "out")


def _of(name, files):
    found = {path: data for path, data in files.items() if name in str(path)}
    assert len(found) > 3
    return found


def test_a_desk_that_was_killed_finds_its_run_again(page, tmp_path, toy_program, undisturbed):
    bids = toy_study.write_dataset(tmp_path / "bids", 2)
    slow = bids / "sub-01" / "anat" / "slow"
    slow.write_text("60")
    desk = Desk(bids)
    page.goto(desk.address)
    page.wait_for_selector("body[data-ready]")
    page.click("#run")
    page.wait_for_selector("#now:has-text('sub-01 warm')")
    desk.kill()
    page.click("#cancel")
    page.wait_for_selector("#alert:has-text('The desk does not answer')")
    slow.unlink()
    again = Desk(bids)
    try:
        page.goto(again.address)
        page.wait_for_selector("body[data-ready]")
        page.click("#bar a:has-text('Run')")
        page.wait_for_selector("[data-state='finished']")  # it went on without a desk
        assert page.locator("#runs tbody tr").count() == 1
    finally:
        said, code = again.end()
    assert code == 0, said
    out = tmp_path / "bids-desk" / "signature"
    assert contents(out) == undisturbed


def test_a_run_that_was_killed_with_its_desk_is_resumed_to_the_same_bytes(
    page, tmp_path, toy_program, undisturbed
):
    import psutil

    bids = toy_study.write_dataset(tmp_path / "bids", 2)
    slow = bids / "sub-02" / "anat" / "slow"
    slow.write_text("60")
    desk = Desk(bids)
    page.goto(desk.address)
    page.wait_for_selector("body[data-ready]")
    page.click("#run")
    page.wait_for_selector("#now:has-text('sub-02 warm')")
    record = next((tmp_path / "bids-desk" / "private" / "runs").glob("*.json"))
    head = psutil.Process(json.loads(record.read_text())["pid"])
    everything = [head, *head.children(recursive=True)]
    desk.kill()
    for process in everything:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    slow.unlink()
    again = Desk(bids)
    try:
        page.goto(again.address)
        page.wait_for_selector("body[data-ready]")
        page.click("#bar a:has-text('Run')")
        page.wait_for_selector("[data-state='interrupted']")
        page.click("#resume")
        page.wait_for_selector("[data-state='finished']")
    finally:
        again.end()
    out = tmp_path / "bids-desk" / "signature"
    assert contents(out) == undisturbed


def test_from_a_dicom_folder_to_the_running_study_in_five_clicks(page, empty_desk, hospital):
    enter(page, empty_desk)
    clicks = 0

    def click(selector):
        nonlocal clicks
        clicks += 1
        page.click(selector)

    click("text=Import the first patient's images")
    page.wait_for_selector("body[data-ready='import']")
    with page.expect_file_chooser() as chooser:
        click("#pick-folder")
    clicks += 2  # the folder, and the browser's own question whether to read it
    chooser.value.set_files(hospital)
    page.wait_for_selector("#confirm:not([hidden])")
    rows = page.locator("#series tbody tr").all_inner_texts()
    assert len(rows) == 5
    assert "too few slices for a head" in rows[0]
    assert "FDG-PET, static, not attenuation-corrected" in rows[4]
    chosen = [page.locator("#series select").nth(k).input_value() for k in range(5)]
    assert chosen == ["", "t1w", "flair", "pet", ""]
    assert page.input_value("#label") == "P001"
    page.select_option("#side", "left")
    click("#store")
    page.wait_for_url("**/run#*")
    page.wait_for_selector("[data-state]")
    assert clicks <= 5
    bids = empty_desk.workspace.bids
    assert (bids / "sub-P001/ses-preop/pet/sub-P001_ses-preop_trc-FDG_pet.nii.gz").is_file()
    assert read_table(bids / "participants.tsv").records() == [
        {"participant_id": "sub-P001", "side": "left"}
    ]
    page.wait_for_selector("[data-state]:not([data-state='running'])")
    _check_nothing_telling(empty_desk.workspace.bids.parent)
    assert [url for url in page.asked if not url.startswith(empty_desk.origin)] == []


def test_a_folder_is_dropped_with_all_that_lies_below_it(page, empty_desk, hospital):
    """As the file manager drops it: the browser walks through the folder and those in it."""
    enter(page, empty_desk, "/import")
    box = page.locator("#drop").bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    told = {"items": [], "files": [str(hospital)], "dragOperationsMask": 1}
    mouse = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, **at, "data": told})
        if kind == "dragOver":
            page.wait_for_selector("#drop.over")
    page.wait_for_selector("#confirm:not([hidden])")
    assert page.locator("#drop.over").count() == 0
    chosen = [page.locator("#series select").nth(k).input_value() for k in range(5)]
    assert chosen == ["", "t1w", "flair", "pet", ""]
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.click("#discard")
    assert list((empty_desk.workspace.private / "uploads").iterdir()) == []


def _check_nothing_telling(folder):
    """Check that nothing of the patient is in any file that the desk has left."""
    import gzip

    words = [w for text in TELLING.values() for w in text.replace("^", " ").split() if len(w) > 5]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        assert [word for word in words if word.encode() in content] == [], path
    assert list((folder / "private").glob("uploads/*")) == []


def test_a_zip_and_a_nifti_of_any_name_are_assigned_in_the_same_way(
    page, empty_desk, hospital, tmp_path
):
    import nibabel as nib

    packed = tmp_path / "cd.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((hospital / "a").iterdir()):
            archive.write(path, f"CD/IMAGES/{path.name}")
    image = nib.Nifti1Image(np.ones((24, 24, 24), np.float32), np.diag([2, 2, 2, 1.0]))
    image.header["descrip"] = b"Quixotzky Zebulon"
    odd = tmp_path / "mri_2_flair final (2).nii.gz"
    nib.save(image, odd)
    enter(page, empty_desk, "/import")
    page.set_input_files("#files", [packed, odd])
    page.wait_for_selector("#confirm:not([hidden])")
    assert page.locator("#series tbody tr").count() == 2
    page.locator("#series select").nth(0).select_option("t1w-after")
    page.locator("#series select").nth(1).select_option("t1w-after")
    assert "Two series are both the T1w after" in page.inner_text("#alert")
    assert page.locator("#store").is_disabled()
    page.locator("#series select").nth(1).select_option("flair")
    page.fill("#label", "Zebulon")
    page.click("#store-only")
    page.wait_for_selector("#alert:has-text('name or number')")
    page.fill("#label", "P17")
    page.click("#store-only")
    page.wait_for_selector("#status:has-text('sub-P17 has 2 images')")
    bids = empty_desk.workspace.bids
    names = sorted(path.name for path in bids.rglob("*.nii.gz"))
    assert names == ["sub-P17_ses-postop_T1w.nii.gz", "sub-P17_ses-preop_FLAIR.nii.gz"]
    stored = nib.load(bids / "sub-P17/ses-preop/anat/sub-P17_ses-preop_FLAIR.nii.gz")
    assert np.array_equal(stored.affine, image.affine)
    assert (np.asarray(stored.dataobj) == 1).all()
    _check_nothing_telling(bids.parent)


def test_sessions_of_other_names_are_asked_for_once(page, tmp_path, toy_program):
    from desk_server import serving

    bids = toy_study.write_dataset(tmp_path / "bids", 1)
    for session, suffix in (("1", "T1w"), ("1", "FLAIR"), ("2", "T1w")):
        path = bids / f"sub-09/ses-{session}/anat/sub-09_ses-{session}_{suffix}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(bids.glob("sub-01/anat/*_T1w.nii.gz")), path)
    shutil.rmtree(bids / "sub-01")
    with serving(bids) as desk:
        enter(page, desk)
        row = "tr:has-text('sub-09')"
        assert "There is no pre-operative T1w image" in page.inner_text(row)
        assert page.input_value("#ses-preop") == "1" and page.input_value("#ses-postop") == "2"
        page.click("#sessions button")
        page.wait_for_selector(f"{row} .tag.good:text-is('T1w after')")
        tags = page.locator(f"{row} .tag.good").all_inner_texts()
        assert tags == ["T1w", "FLAIR", "T1w after"]
        page.reload()
        page.wait_for_selector(f"{row} .tag.good:text-is('T1w after')")
        page.select_option("#ses-preop", "2")
        page.click("#sessions button")
        page.wait_for_selector("#alert:has-text('One session cannot be before and after')")
        page.click("#run")
        page.wait_for_selector("code")
        typed = page.inner_text("code")
        assert "--filter t1w.ses=1" in typed and "--filter postop.ses=2" in typed


def test_the_cohort_is_edited_in_two_windows_undone_and_run(page, open_desk):
    bids = open_desk.workspace.bids
    (bids / "participants.tsv").write_text("participant_id\tside\tage\nsub-01\tL\t31\n")
    enter(page, open_desk, "/cohort")
    assert page.locator("tbody th").all_inner_texts() == ["sub-01", "sub-02"]
    page.fill("[aria-label='side of sub-02']", "R")
    page.keyboard.press("Enter")
    page.wait_for_selector("#status:has-text('side of sub-02 is stored')")
    assert read_table(bids / "participants.tsv").rows[1] == ("sub-02", "R", "n/a")
    page.fill("[aria-label='age of sub-01']", "thirty")
    page.keyboard.press("Tab")
    page.wait_for_selector("#alert:has-text('the age at surgery is not a number')")
    assert page.get_attribute("[aria-label='age of sub-01']", "aria-invalid") == "true"
    assert read_table(bids / "participants.tsv").rows[0] == ("sub-01", "L", "31")
    other = page.context.new_page()
    other.goto(open_desk.origin + "/cohort")
    other.wait_for_selector("body[data-ready]")
    other.fill("[aria-label='age of sub-01']", "32")
    other.keyboard.press("Enter")
    other.wait_for_selector("#status:has-text('is stored')")
    page.fill("[aria-label='age of sub-01']", "33")
    page.keyboard.press("Enter")
    page.wait_for_selector("#alert:has-text('has been changed since this page read it')")
    assert page.input_value("[aria-label='age of sub-01']") == "32"
    page.click("#undo")
    page.wait_for_selector("#status:has-text('side of sub-02 is again n/a')")
    assert read_table(bids / "participants.tsv").rows[1] == ("sub-02", "n/a", "n/a")
    page.select_option("#column", "outcome")
    page.click("#add button")
    page.fill("[aria-label='outcome of sub-01']", "7")
    page.keyboard.press("Enter")
    page.wait_for_selector("#alert:has-text('neither an ILAE class')")
    page.fill("[aria-label='outcome of sub-01']", "ILAE 1")
    page.keyboard.press("Enter")
    page.wait_for_selector("#status:has-text('outcome of sub-01 is stored')")
    page.click("#group")
    page.wait_for_selector("[data-state='refused'], [data-state='failed']")
    assert "participant" in page.inner_text(".failure")  # nobody has been studied yet


def test_the_resistance_study_is_run_from_the_cohort_too(page, open_desk):
    enter(page, open_desk, "/cohort")
    page.select_option("#column", "group")
    page.click("#add button")
    page.fill("[aria-label='group of sub-01']", "severe")
    page.keyboard.press("Enter")
    page.wait_for_selector("#status:has-text('group of sub-01 is stored')")
    assert page.locator("#roles").is_hidden()
    page.select_option("#study", "resistance")
    page.wait_for_selector("#roles:not([hidden])")
    page.fill("#role-resistant", "severe")
    page.click("#group")
    page.wait_for_selector("[data-state='refused']")
    assert "--groups-resistant=severe" in page.inner_text("code")
    assert page.inner_text("#live-title").startswith("the group, resistance")
    assert "run the participant level first" in page.inner_text(".failure")


def test_the_page_of_a_patient_is_shown_live_and_cannot_reach_the_desk(page, open_desk):
    out = open_desk.workspace.out
    out.mkdir(parents=True)
    script = (
        "<p id=a>first</p><script>fetch('/api/patients').then(() => 'reached', () => 'held back')"
        ".then((t) => { document.getElementById('a').textContent += ' ' + t; })</script>"
    )
    (out / "sub-01.html").write_text(script)
    enter(page, open_desk)
    page.click("text=Page")
    frame = page.frame_locator("#page")
    frame.locator("#a:text-is('first held back')").wait_for()
    (out / "sub-01.html").write_text(script.replace("first", "second"))
    frame.locator("#a:text-is('second held back')").wait_for()
    page.wait_for_selector("#status:has-text('written this page again')")
    (out / "sub-01.html").unlink()
    page.wait_for_selector("#alert:has-text('The desk has no such page')")


def test_a_dataset_that_was_moved_away_is_a_sentence_and_comes_back(page, open_desk):
    bids = open_desk.workspace.bids
    enter(page, open_desk)
    bids.rename(bids.with_name("elsewhere"))
    page.reload()
    page.wait_for_selector("#alert:has-text('There is no such BIDS folder')")
    page.click("#bar a:has-text('Cohort')")
    page.wait_for_selector("#alert:has-text('the folder of the dataset is gone')")
    bids.with_name("elsewhere").rename(bids)
    page.click("#bar a:has-text('Patients')")
    page.wait_for_selector("tbody th:has-text('sub-02')")


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(page, tmp_path, hospital):
    desk = Desk(tmp_path / "work", largest=2000)  # no file may be larger, as on a full disk
    private = tmp_path / "work" / "private"
    try:
        page.goto(desk.address)
        page.click("#bar a:has-text('Import')")
        page.wait_for_selector("body[data-ready='import']")
        page.set_input_files("#folder", hospital)
        page.wait_for_selector("#alert:has-text('no space left on the disk')")
        deadline = time.monotonic() + 20
        while list(private.glob("uploads/*")):  # the page says so, and takes back what it sent
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        desk.end()
    assert list(private.rglob("*.part")) == []


def test_a_page_on_the_disk_leads_into_the_desk(page, open_desk, tmp_path):
    entry = entry_page(tmp_path, f"{open_desk.origin}/?token={TOKEN}")
    page.goto(entry.as_uri())
    page.wait_for_selector("body[data-ready='patients']")
    assert TOKEN not in page.url
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


def test_everything_can_be_done_by_the_keyboard(page, open_desk):
    enter(page, open_desk)

    def to(selector):
        for _ in range(60):
            if page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"{selector} is not reached")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    to("input[aria-label='Choose sub-02']")
    page.keyboard.press("Space")
    assert page.inner_text("#run") == "Run 1 of 2"
    page.keyboard.press("Shift+Tab")
    page.focus("body")
    to("#run")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-state='finished']")
    assert page.inner_text("#live-title").startswith("sub-02")
    to("#steps summary")
    page.keyboard.press("Enter")
    assert page.locator("#steps tbody tr").count() == 4
    page.goto(open_desk.origin + "/cohort")
    page.wait_for_selector("body[data-ready]")
    to("#add select")
    to("#add button")
    page.keyboard.press("Enter")
    page.wait_for_selector("tbody input")


def test_axe_finds_no_serious_fault(page, open_desk, hospital):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed beside the viewer's sources")
    (open_desk.workspace.bids / "sub-02" / "anat" / "crash").write_text("")
    enter(page, open_desk)
    page.click("#run")
    page.wait_for_selector("[data-state='failed']")
    faults, seen = [], 0
    for path in ("/", "/run", "/cohort", "/genes", "/view?page=sub-01.html", "/import"):
        page.goto(open_desk.origin + path)
        page.wait_for_selector("body[data-ready], iframe")
        if path == "/run":
            page.wait_for_selector("#past tbody tr")
        if path == "/import":
            page.set_input_files("#folder", hospital)
            page.wait_for_selector("#confirm:not([hidden])")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            faults += [
                (path, width, fault["id"], fault["nodes"][0]["html"][:120])
                for fault in found["violations"]
                if fault["impact"] in ("serious", "critical")
            ]
            seen += len(found["passes"])
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, f"{path} is wider than {width}"
    assert faults == []
    assert seen > 100


def test_the_first_paint_comes_within_a_second(page, open_desk):
    enter(page, open_desk)
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert 0 < painted < 1000
