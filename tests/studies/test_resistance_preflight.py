"""``falx resistance … --dry-run`` names what would end the study hours later."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from falx.cli.main import main

HEADER = ("participant_id", "group", "age", "sex", "site", "family", "duration", "kind")
SUBJECTS = tuple(f"{k:02d}" for k in range(1, 25))
SLICES, TR_S = 4, 2.0
Break = Callable[[Path, dict[str, dict[str, str]]], None]


def person(number: int) -> dict[str, str]:
    group = ("DRE", "DSE", "HC")[number % 3]
    return {
        "group": group, "age": str(20 + 7 * number % 41), "sex": "MF"[number // 3 % 2],
        "site": ("north", "south")[number // 2 % 2], "family": f"f{number}",
        "duration": "n/a" if group == "HC" else str(number),
        "kind": "n/a" if group == "HC" else ("TLE", "IGE")[number % 2],
    }  # fmt: skip


def write_image(path: Path, shape: tuple[int, ...], zooms: tuple[float, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ones(shape, np.uint8), np.diag([3.0, 3, 3, 1]))
    image.header.set_zooms(zooms)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)


def bold(bids: Path, subject: str) -> Path:
    return bids / f"sub-{subject}" / "func" / f"sub-{subject}_task-rest_bold.nii.gz"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A dataset that is as it should be, of images that no dry run opens."""
    bids = tmp_path_factory.mktemp("whole") / "bids"
    for subject in SUBJECTS:
        t1w = bids / f"sub-{subject}" / "anat" / f"sub-{subject}_T1w.nii.gz"
        write_image(t1w, (4, 4, 4), (1, 1, 1))
        write_image(bold(bids, subject), (4, 4, SLICES, 110), (3, 3, 3, TR_S))
    sidecar = {"RepetitionTime": TR_S, "SliceTiming": [0, 0.5, 1, 1.5]}
    (bids / "task-rest_bold.json").write_text(json.dumps(sidecar))
    description = {"Name": "x", "BIDSVersion": "1.9.0"}
    (bids / "dataset_description.json").write_text(json.dumps(description))
    return bids


def rewrite(bids: Path, people: dict[str, dict[str, str]]) -> None:
    header = list(dict.fromkeys(["participant_id", *(k for p in people.values() for k in p)]))
    rows = [[f"sub-{s}", *(p.get(k, "n/a") for k in header[1:])] for s, p in people.items()]
    text = "\n".join("\t".join(row) for row in [header, *rows])
    (bids / "participants.tsv").write_text(text + "\n")


def set_all(column: str, value: Callable[[str, dict[str, str]], str]) -> Break:
    def change(bids: Path, people: dict[str, dict[str, str]]) -> None:
        for subject, cells in people.items():
            cells[column] = value(subject, cells)

    return change


def without(column: str) -> Break:
    def change(bids: Path, people: dict[str, dict[str, str]]) -> None:
        for cells in people.values():
            del cells[column]

    return change


def sidecar(**values: object) -> Break:
    """Sub-03 gets a sidecar of its own; None takes a value away from everybody."""

    def change(bids: Path, people: dict[str, dict[str, str]]) -> None:
        shared = bids / "task-rest_bold.json"
        text = shared.read_text()
        shared.unlink()  # the copy is linked to the whole dataset
        left = {k: v for k, v in json.loads(text).items() if values.get(k, "") is not None}
        shared.write_text(json.dumps(left))
        own = {k: v for k, v in values.items() if v is not None}
        bold(bids, "03").with_name("sub-03_task-rest_bold.json").write_text(json.dumps(own))

    return change


def run_of(shape: tuple[int, ...], zooms: tuple[float, ...]) -> Break:
    def change(bids: Path, people: dict[str, dict[str, str]]) -> None:
        bold(bids, "03").unlink()
        write_image(bold(bids, "03"), shape, zooms)

    return change


def rename(bids: Path, people: dict[str, dict[str, str]]) -> None:
    path = bold(bids, "03")
    name = "sub-03_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    path.rename(path.with_name(name))


def damage(bids: Path, people: dict[str, dict[str, str]]) -> None:
    bold(bids, "03").unlink()
    bold(bids, "03").write_bytes(b"no image")


def second_task(bids: Path, people: dict[str, dict[str, str]]) -> None:
    write_image(
        bold(bids, "03").with_name("sub-03_task-rest_run-2_bold.nii.gz"), (4, 4, 4, 110),
        (3, 3, 3, 2),
    )  # fmt: skip


def nobody(bids: Path, people: dict[str, dict[str, str]]) -> None:
    people.clear()


def drop_one(bids: Path, people: dict[str, dict[str, str]]) -> None:
    del people["05"]


def ghost(bids: Path, people: dict[str, dict[str, str]]) -> None:
    people["99"] = person(99)


BROKEN: dict[str, tuple[Break, str, tuple[str, ...]]] = {
    "no table": (nobody, r"there is no participants.tsv", ()),
    "no group": (without("group"), r"no column 'group' \(found: participant_id, age", ()),
    "other words": (
        set_all("group", lambda s, p: {"DRE": "res", "DSE": "sen", "HC": "HC"}[p["group"]]),
        r"resistant people, 'DRE', has 0 \(found in group: HC, res, sen\).*--groups-resistant ''",
        (),
    ),
    "excluded": (
        set_all("exclude", lambda s, p: "moved" if p["group"] == "HC" and s > "04" else "no"),
        r"group of controls people, 'HC', has 1 ", (),
    ),
    "case": (
        set_all("group", lambda s, p: p["group"].lower() if s == "01" else p["group"]),
        r"of no group that is compared: dse", (),
    ),
    "one person": (
        set_all("group", lambda s, p: "DSE" if p["group"] == "HC" and s != "03" else p["group"]),
        r"controls people, 'HC', has [01] ", (),
    ),
    "absent person": (drop_one, r"not in participants.tsv, so in no group: sub-05", ()),
    "ghost": (ghost, r"without images of their own: sub-99", ()),
    "no covariate": (without("age"), r"no column 'age' .*change --groups-columns", ()),
    "missing age": (
        set_all("age", lambda s, p: "n/a" if s == "04" else p["age"]),
        r"no age, so left out of every contrast that needs it: sub-04", (),
    ),
    "words and numbers": (
        set_all("age", lambda s, p: "old" if s == "04" else p["age"]),
        r"check: age: a covariate holds numbers and words \(found: old\)", (),
    ),
    "constant": (
        set_all("sex", lambda s, p: "M"),
        r"DRE - DSE: sex: a covariate is constant or a combination", (),
    ),
    "confounded site": (
        set_all("site", lambda s, p: p["group"]),
        r"DRE - DSE: site: a covariate is constant or a combination of the other columns",
        ("--groups-columns", "age", "site"),
    ),
    "too many columns": (
        set_all("site", lambda s, p: f"s{s}"), r"DRE - DSE: ",
        ("--groups-columns", "age", "sex", "site"),
    ),
    "no blocks": (
        without("family"), r"no column 'family'.*change --groups-blocks",
        ("--groups-blocks", "family"),
    ),
    "no predictor": (
        without("duration"), r"no column 'duration'.*--groups-predictor",
        ("--groups-predictor", "duration"),
    ),
    "wordy predictor": (
        set_all("duration", lambda s, p: ("long", "short", "none")[int(s) % 3]),
        r"check: duration: a column of words may have two of them to be a slope",
        ("--groups-predictor", "duration"),
    ),
    "kinds": (
        set_all("kind", lambda s, p: "FLE"), r"nobody's kind is 'TLE' \(found: FLE\)",
        ("--groups-subgroup-column", "kind"),
    ),
    "no slice times": (sidecar(SliceTiming=None), r"slice times are not known", ()),
    "slice times in ms": (
        sidecar(SliceTiming=[0, 500, 1000, 1500]),
        r"sub-03, .*SliceTiming exceeds the repetition time.*milliseconds", (),
    ),
    "slice times of another run": (
        sidecar(SliceTiming=[0, 1]), r"2 times for 4 slices", (),
    ),
    "repetition time in ms": (
        sidecar(RepetitionTime=2000), r"RepetitionTime must be given in seconds", (),
    ),
    "another repetition time": (
        run_of((4, 4, 4, 110), (3, 3, 3, 3.0)),
        r"header and sidecar contradict each other", (),
    ),
    "short": (run_of((4, 4, 4, 60), (3, 3, 3, 2.0)), r"too short \(found: 60 volumes, 55 ", ()),
    "three dimensions": (run_of((4, 4, 4), (3, 3, 3)), r"no series of volumes", ()),
    "preprocessed": (rename, r"sub-03, .*preprocessed by another program \(space, desc", ()),
    "damaged": (damage, r"sub-03.*(cannot be read|no image)", ()),
    "two runs": (second_task, r"left out: sub-03: 2 files could be the resting BOLD run", ()),
}  # fmt: skip


def dry_run(bids: Path, options: tuple[str, ...], capsys) -> str:
    main(["resistance", str(bids), str(bids.parent / "out"), "participant", "--dry-run", *options])
    told = capsys.readouterr()
    return told.out + told.err


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    """The whole dataset again, its images linked."""
    bids = tmp_path / "bids"
    for path in whole.rglob("*"):
        to = bids / path.relative_to(whole)
        if path.is_dir():
            to.mkdir(parents=True, exist_ok=True)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.hardlink_to(path)
    return bids


def fmriprep(bids: Path, subject: str) -> None:
    """Add what fMRIPrep writes of one run."""
    folder = bids / "derivatives" / "fmriprep" / f"sub-{subject}" / "func"
    space = f"sub-{subject}_task-rest_space-MNI152NLin2009cAsym_desc-"
    write_image(folder / f"{space}preproc_bold.nii.gz", (4, 4, 4, 110), (3, 3, 3, TR_S))
    write_image(folder / f"{space}brain_mask.nii.gz", (4, 4, 4), (3, 3, 3))
    (folder / f"sub-{subject}_task-rest_desc-confounds_timeseries.tsv").write_text("csf\n")


def test_a_preprocessed_run_is_taken_instead_of_the_raw_one(copy, capsys):
    """No coregistration is planned for it; with the switch off, all is as without it."""
    rewrite(copy, {s: person(int(s)) for s in SUBJECTS})
    for subject in SUBJECTS:
        fmriprep(copy, subject)
    told = dry_run(copy, (), capsys)
    assert "coregister_bold" not in told and told.count(" reho: ") == len(SUBJECTS)
    assert "check:" not in told
    assert "taken from fmriprep: preprocessed resting run (24), brain mask of the" in told
    told = dry_run(copy, ("--no-bold-prepared",), capsys)
    assert told.count("coregister_bold: ") == len(SUBJECTS)


def test_a_cohort_of_raw_and_preprocessed_runs_is_named(copy, capsys):
    rewrite(copy, {s: person(int(s)) for s in SUBJECTS})
    fmriprep(copy, "02")
    told = dry_run(copy, (), capsys)
    assert re.search("check: .*1 preprocessed and 23 raw runs.*--no-bold-prepared", told), told


def test_a_cohort_partly_segmented_by_cat12_is_named(copy, capsys):
    rewrite(copy, {s: person(int(s)) for s in SUBJECTS})
    folder = copy / "derivatives" / "CAT12.9" / "sub-02" / "anat"
    write_image(folder / "mwp1sub-02_T1w.nii", (4, 4, 4), (1.5, 1.5, 1.5))
    told = dry_run(copy, (), capsys)
    assert "taken from CAT12.9: grey matter that CAT12 has modulated (1)" in told
    assert re.search("check: 1 people have grey matter of CAT12 and 23 have not", told), told
    assert "CAT12" not in dry_run(copy, ("--no-grey-prepared",), capsys)


def test_a_whole_dataset_has_nothing_to_check(copy, capsys):
    rewrite(copy, {s: person(int(s)) for s in SUBJECTS})
    told = dry_run(copy, ("--groups-subgroup-column", "kind"), capsys)
    assert "check:" not in told and "steps would run" in told


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_named(copy, capsys, broken):
    change, said, options = BROKEN[broken]
    people = {s: person(int(s)) for s in SUBJECTS}
    change(copy, people)
    if people:
        rewrite(copy, people)
    began = time.process_time()
    told = dry_run(copy, options, capsys)
    assert time.process_time() - began < 5
    lines = [line for line in told.splitlines() if line.startswith(("check:", "left out:"))]
    assert any(re.search(said, line) for line in lines), lines
    assert "Traceback" not in told
