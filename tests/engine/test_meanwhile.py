"""What changes under a run: its images, its disk, its clock, its place, and who looks on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import toy_study
from falx.core.errors import InputError
from falx.core.files import read_table
from falx.engine import manifest, run, runner
from falx.engine.lock import hold
from falx.engine.provenance import record_path
from falx.engine.verify import repair, verify_folder
from toy_run import Toy


def standings(toy: Toy) -> dict[str, str]:
    rows = read_table(toy.out / "participants_status.tsv").records()
    return {row["participant_id"]: row["status"] for row in rows}


def test_an_image_that_is_copied_while_a_step_reads_it_is_refused(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record would name the content of before, and the numbers be of neither."""

    def copied(folder: Path, output: Path) -> None:
        if "sub-01" in str(folder):
            toy.image("01").write_text("7 8")

    monkeypatch.setattr(toy_study, "misbehave", copied)
    outcome = toy.run()
    assert [end.job for end in outcome.failed] == ["sub-01/warm"]
    assert "sub-01_T1w.nii.gz was changed while the step read it" in str(outcome.failed[0].failure)
    assert not toy.output("01", "warm").exists()
    assert standings(toy) == {"sub-01": "failed", "sub-02": "finished"}
    assert toy.run().code == 0
    assert toy.output("01", "warm").read_text() == "-14.0 -16.0"


def test_an_image_that_is_only_touched_meanwhile_is_read(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(folder: Path, output: Path) -> None:
        os.utime(next(folder.glob("*T1w.nii.gz")), (5, 5))

    monkeypatch.setattr(toy_study, "misbehave", touched)
    assert toy.run().code == 0
    assert toy.run().ran == 0


def test_an_image_that_is_gone_meanwhile_is_named(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted(folder: Path, output: Path) -> None:
        for path in folder.glob("sub-01_T1w.nii.gz"):
            path.unlink()

    monkeypatch.setattr(toy_study, "misbehave", deleted)
    (failed,) = toy.run().failed
    assert "sub-01_T1w.nii.gz was changed while the step read it" in str(failed.failure)


def test_a_person_who_is_renamed_after_the_plan(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    real = run.note_people

    def renaming(*words: Any) -> None:
        real(*words)
        monkeypatch.setattr(run, "note_people", real)
        (toy.bids / "sub-02").rename(toy.bids / "sub-09")
        for path in (toy.bids / "sub-09").rglob("*sub-02*"):
            path.rename(path.with_name(path.name.replace("sub-02", "sub-09")))

    monkeypatch.setattr(run, "note_people", renaming)
    outcome = toy.run()
    assert {end.job for end in outcome.failed} == {"sub-02/warm", "sub-02/cool"}
    assert all("is not there" in str(end.failure) for end in outcome.failed)
    assert standings(toy) == {"sub-01": "finished", "sub-02": "failed"}
    table = toy.bids / "participants.tsv"
    table.write_text(table.read_text().replace("sub-02", "sub-09"))
    assert toy.run().code == 0
    assert standings(toy) == {"sub-01": "finished", "sub-02": "excluded", "sub-09": "finished"}
    toy.run("group")
    rows = read_table(toy.out / "participants_status.tsv").records()
    assert [row["group"] for row in rows] == ["included", "left out", "included"]


@pytest.mark.parametrize("deletes", [True, False])
def test_a_disk_that_does_not_answer_while_outputs_are_moved(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, deletes: bool
) -> None:
    """The second of two files cannot be moved, and perhaps nothing more be deleted."""
    real, dropped, stale = Path.replace, runner.discard, []

    def moving(self: Path, target: Path) -> Path:
        if self.name == "sub-01_space-orig_desc-warm_T1w.nii.gz":
            stale.append(self)
            raise OSError(errno.ESTALE, "Stale file handle", str(self))
        return real(self, target)

    def dropping(out: Path, job_id: str, *words: Any) -> None:
        if job_id == "sub-01/warm" and stale:
            raise OSError(errno.EIO, "Input/output error")
        dropped(out, job_id, *words)

    monkeypatch.setattr(Path, "replace", moving)
    if not deletes:
        monkeypatch.setattr(runner, "discard", dropping)
    (failed,) = toy.run().failed
    assert failed.failure == (
        "sub-01 warm: the disk did not answer (found: Stale file handle); see that it is there, "
        "and run the same command again."
    )
    assert not record_path(toy.out, "sub-01/warm").exists()
    assert not list(toy.out.glob("sub-01/anat/*warm*"))
    assert standings(toy)["sub-02"] == "finished"
    monkeypatch.undo()
    assert toy.run().code == 0
    assert verify_folder(toy.out) == []


def test_a_disk_that_is_full_when_the_manifest_is_written(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = manifest.write_text

    def full(path: Path, text: str, **how: Any) -> None:
        if '"complete": true' in text:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, text, **how)

    monkeypatch.setattr(manifest, "write_text", full)
    with pytest.raises(OSError, match="No space left"):  # which the command turns into a sentence
        toy.run()
    assert [m.what for m in verify_folder(toy.out)] == [
        "is not complete: a run is under way, or was ended"
    ]
    assert not (toy.out / ".falx" / "lock.json").exists()
    monkeypatch.undo()
    assert toy.run().ran == 0
    assert verify_folder(toy.out) == []


def test_nothing_is_repaired_under_a_run(toy: Toy) -> None:
    toy.run()
    toy.output("01", "warm").write_text("rotten")
    found = verify_folder(toy.out)
    with hold(toy.out), pytest.raises(InputError, match="another run is working"):
        repair(toy.out, found)
    assert record_path(toy.out, "sub-01/warm").exists()
    assert repair(toy.out, found) == ["sub-01/warm"]


@pytest.mark.parametrize("name", ["a b", "ä→ö", "it's; $(touch x) #1", "-o"])
def test_any_name_and_mask_of_a_folder_that_is_moved_later(
    make_toy: Callable[..., Toy], tmp_path: Path, name: str
) -> None:
    toy, before = make_toy(folder=name), os.umask(0o077)
    try:
        assert toy.run(parallel=True).code == 0
        assert verify_folder(toy.out) == []
        moved = tmp_path / "elsewhere" / name
        shutil.copytree(toy.out, moved)
        shutil.rmtree(toy.out)
        toy.out = moved
        assert toy.run(parallel=True).ran == 0
        assert toy.run("group", parallel=True).ran == 1
        assert verify_folder(toy.out) == []
    finally:
        os.umask(before)


def test_a_terminal_without_the_letters_still_reads_the_help() -> None:
    words = [sys.executable, "-m", "falx", "signature", "--help"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"mm?" in done.stdout


@pytest.mark.parametrize("executor", ["", "local"], ids=["this machine", "cluster"])
def test_a_folder_and_a_stranger_whose_names_are_no_text(
    make_toy: Callable[..., Toy], executor: str
) -> None:
    toy = make_toy(folder=os.fsdecode(b"\xff\xfe"))
    assert toy.run(parallel=True, executor=executor).code == 0
    (toy.out / os.fsdecode(b"\xff.txt")).write_text("x")
    words = [sys.executable, "-m", "falx", "verify", str(toy.out)]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"?.txt is not of Falx")
