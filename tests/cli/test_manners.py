"""What users of other BIDS-Apps expect of a command line."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from falx.cli.main import COMMANDS, whole_parser
from falx.cli.parsing import folders_first, options_of_parser
from falx.cli.telling import Teller
from falx.engine.progress import Step

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sessions(dataset: Path) -> Path:
    """The toy dataset with its images in a session that the study does not know."""
    for path in list(dataset.glob("sub-*/anat/*")):
        subject = path.parts[-3]
        name = path.name.replace(f"{subject}_", f"{subject}_ses-mr1_")
        target = dataset / subject / "ses-mr1" / "anat" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        if not list(path.parent.iterdir()):
            path.parent.rmdir()
    return dataset


@pytest.fixture(autouse=True)
def _own_temporary_folder() -> Iterator[None]:
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    yield
    if before[0] is None:
        os.environ.pop("TMPDIR", None)
    else:
        os.environ["TMPDIR"] = before[0]
    tempfile.tempdir = before[1]


def test_labels_may_stand_before_the_folders(falx: Run, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--participant-label", "01", "02", dataset, out, "participant", "--dry-run")
    code, printed, errors = falx("toy", *words)
    assert (code, errors) == (0, "")
    assert "8 of 8 steps would run" in printed
    assert "outputs:" not in printed  # nothing was written


@pytest.mark.parametrize(
    "words",
    [
        ["B", "O", "group", "--participant-label", "01", "02", "group"],
        ["--jobs", "3", "B", "O", "group"],
        ["--participant-label", "01", "02"],
        [],
    ],
)
def test_other_command_lines_are_left_as_they_are(words: list[str]) -> None:
    assert folders_first(words, ["--participant-label"]) == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["toy", "--participant-lable", "01", "B", "O", "group"],
            "did you mean '--participant-la",
        ),
        (["toy", "B", "O", "grup"], "did you mean 'group'?"),
        (["toi", "B", "O", "group"], "did you mean 'toy'?"),
        (["toy", "B", "O", "group", "--warm-gian=3"], "did you mean '--warm-gain'?"),
        (["toy", "B", "O", "group", "more"], "unrecognized arguments: more"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(falx: Run, words: list[str], said: str) -> None:
    code, _, errors = falx(*words)
    assert code == 2
    assert said in errors


def test_a_session_of_any_name(falx: Run, sessions: Path, tmp_path: Path) -> None:
    for label in ("mr1", "ses-mr1"):
        words = ("participant", "--session-label", label, "--dry-run")
        code, printed, _ = falx("toy", sessions, tmp_path / "out", *words)
        assert code == 0
        assert "8 of 8 steps would run" in printed
    code, printed, _ = falx(
        "toy", sessions, tmp_path / "out", "participant", "--session-label", "x", "--dry-run"
    )
    assert code == 1
    assert "sub-01: there is no T1w image" in printed


def test_a_filter_file(falx: Run, sessions: Path, tmp_path: Path) -> None:
    file = tmp_path / "filters.json"
    file.write_text(json.dumps({"t1w": {"session": "mr1", "suffix": "T1w", "run": None}}))
    words = ("participant", "--bids-filter-file", file, "--dry-run")
    code, printed, errors = falx("toy", sessions, tmp_path / "out", *words)
    assert (code, errors) == (0, "")
    assert "sub-01 warm: not done yet" in printed
    file.write_text(json.dumps({"t1": {"session": "mr1"}}))
    code, _, errors = falx("toy", sessions, tmp_path / "out", *words)
    assert code == 2
    assert "filters.json: the study reads no image called 't1'; did you mean 't1w'?" in errors


def test_the_work_folder_is_used_and_must_be_one(falx: Run, dataset: Path, tmp_path: Path) -> None:
    code, _, _ = falx(
        "toy", dataset, tmp_path / "out", "participant", "-w", tmp_path / "w", "--dry-run"
    )
    assert code == 0
    assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(tmp_path / "w")
    (tmp_path / "file").touch()
    words = ("-w", tmp_path / "file" / "w", "--dry-run")
    code, _, errors = falx("toy", dataset, tmp_path / "out", "participant", *words)
    assert code == 2
    assert "the work folder cannot be written" in errors


def test_quiet_verbose_and_objects(falx: Run, dataset: Path, tmp_path: Path) -> None:
    first = ("toy", dataset, tmp_path / "a", "participant", "--serial")
    code, printed, errors = falx(*first, "--quiet", "--progress", "json")
    assert (code, printed) == (0, "")
    events = [json.loads(line) for line in errors.splitlines()]
    assert [event["event"] for event in events] == ["step"] * 8 + ["end"]
    assert [event["done"] for event in events[:-1]] == list(range(1, 9))
    assert events[7]["left_s"] == 0 == events[-1]["code"]
    code, printed, _ = falx("toy", dataset, tmp_path / "b", "participant", "--serial", "-v")
    assert code == 0
    assert "  sub-01 warm: not done yet" in printed
    (dataset / "sub-01/anat/sub-01_T1w.nii.gz").write_text("0 0")
    code, printed, _ = falx("toy", dataset, tmp_path / "c", "participant", "--serial", "-q")
    assert code == 1
    assert "sub-01 warm FAILED: sub-01: the image is empty" in printed
    assert "look at:" not in printed
    assert falx(*first, "-q", "-v")[0] == 2


def test_a_silent_run_gives_a_sign_of_life(capfd: pytest.CaptureFixture[str]) -> None:
    teller = Teller(alive_after_s=0.05)
    teller.watch(Step(3, 26, "sub-01 anatomy", 1.0, None, 60.0))
    with teller.alive():
        time.sleep(0.3)
    said = capfd.readouterr().err
    assert said.startswith("still working, 3 of 26 steps done; nothing has ended for ")
    objects = Teller(objects=True, quiet=True, alive_after_s=0.05)
    with objects.alive():
        time.sleep(0.3)
    assert json.loads(capfd.readouterr().err.splitlines()[0]) == {"event": "alive"}
    silent = Teller(quiet=True, alive_after_s=0.05)
    with silent.alive():
        time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_the_help_names_choices_and_exit_codes(falx: Run) -> None:
    code, printed, _ = falx("toy", "--help")
    assert code == 0
    assert "{plain" in printed  # the choices of warm.how, where STR stood
    assert "STR" not in printed
    assert "Exit codes: 0 all done; 1" in " ".join(printed.split())


def test_completion_knows_every_command(falx: Run) -> None:
    pytest.importorskip("shtab")
    code, printed, _ = falx("completion", "bash")
    assert code == 0
    for command in COMMANDS:
        assert command.name in printed
    assert "--session-label" in printed
    assert falx("completion", "fsh")[0] == 2


def test_every_option_is_known_once() -> None:
    options = list(options_of_parser(whole_parser()))
    assert {"--bids-filter-file", "--work-dir", "--progress", "--validate"} <= set(options)
