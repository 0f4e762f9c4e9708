"""What is known to go wrong with workflow engines, one test for each hole.

Which job is up to date is decided before the engine starts, so those tests run in this
process; what concerns processes, signals and the shell runs in others.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import toy_study
from falx.core.stage import Stage
from falx.engine.verify import repair, verify_folder
from toy_run import Toy


def start(
    toy: Toy, *options: str, interrupts: signal.Handlers = signal.SIG_DFL
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "toy_cli", "toy", str(toy.bids), str(toy.out), "participant"]
    source = Path(__file__).resolve().parents[2] / "src"
    path = os.pathsep.join([str(source), os.environ["PYTHONPATH"]])
    return subprocess.Popen(
        [*command, "--jobs", "2", *options],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background of a shell, this process ignores interrupts, and so would it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, interrupts),  # noqa: PLW1509 - no threads
    )


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not any(path.parents[len(path.parts) - 2].glob(str(path.relative_to("/")))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.02)


def raise_version(toy: Toy, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def raised(stage: Stage) -> Stage:
        new = stage.version + (stage.name == name)
        return dataclasses.replace(stage, version=new)

    stages = tuple(raised(stage) for stage in toy.study.stages)
    toy.study = dataclasses.replace(toy.study, stages=stages)
    monkeypatch.setattr(toy_study, "STUDY", toy.study)


def test_1_a_touched_input_of_any_size_is_not_a_new_one(toy: Toy) -> None:
    toy.image("01").write_text("1 2" + " " * 5_000_000)
    toy.run()
    os.utime(toy.image("01"))
    assert toy.run().ran == 0


def test_1_new_content_is_seen_even_at_the_old_time(toy: Toy) -> None:
    toy.run()
    before = toy.image("01").stat()
    toy.image("01").write_text("3 2 ")
    os.utime(toy.image("01"), ns=(before.st_atime_ns, before.st_mtime_ns))
    toy.run()
    assert toy.ran == ["sub-01 join", "sub-01 tell", "sub-01 warm"]


def test_2_a_raised_version_redoes_that_stage_and_below(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.run()
    raise_version(toy, "join", monkeypatch)
    toy.run()
    assert toy.ran == ["sub-01 join", "sub-01 tell", "sub-02 join", "sub-02 tell"]


def test_3_verify_names_a_flipped_byte_and_repair_redoes_one_job(toy: Toy) -> None:
    toy.run()
    path = toy.output("02", "warm")
    original = path.read_bytes()
    path.write_bytes(b"5" + original[1:])
    (mismatch,) = verify_folder(toy.out)
    assert str(mismatch) == (
        "sub-02/anat/sub-02_space-orig_desc-warm_T1w.nii.gz was changed after it was written "
        "(sub-02 warm)"
    )
    assert repair(toy.out, [mismatch]) == ["sub-02/warm"]
    toy.run()
    assert toy.ran == ["sub-02 warm"]
    assert path.read_bytes() == original
    assert verify_folder(toy.out) == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("4")])
def test_3_the_next_run_redoes_a_damaged_output_by_itself(
    toy: Toy, damage: Callable[[Path], object]
) -> None:
    toy.run()
    damage(toy.output("01", "warm"))
    toy.run()
    assert toy.ran == ["sub-01 warm"]


def test_3_an_output_that_comes_back_different_redoes_what_took_it(toy: Toy) -> None:
    toy.run()
    toy.image("01").with_name("drift").touch()
    toy.output("01", "warm").unlink()
    toy.run()
    assert toy.ran == ["sub-01 join", "sub-01 tell", "sub-01 warm"]
    assert [line for line in toy.lines if "to do" in line] == [
        "1 of 8 steps to do",
        "2 of 8 steps to do",
    ]


def test_4_a_copied_output_folder_keeps_its_records(toy: Toy) -> None:
    toy.run()
    copy = toy.out.with_name("copy")
    shutil.copytree(toy.out, copy, copy_function=shutil.copy)
    toy.out = copy
    assert toy.run().ran == 0
    toy.run(warm__gain=3.0)
    assert toy.ran == [f"sub-0{n} {stage}" for n in (1, 2) for stage in ("join", "tell", "warm")]
    assert toy.output("02", "warm").read_text() == "6.0 9.0"


def test_5_folders_with_spaces_quotes_and_braces(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(1, folder="it's a {strange} $HOME")
    assert toy.run(parallel=True).code == 0
    assert toy.ran == ["sub-01 cool", "sub-01 join", "sub-01 tell", "sub-01 warm"]


def test_6_after_kill_9_the_same_command_finishes_unaided(toy: Toy) -> None:
    slow = toy.image("01").with_name("slow")
    slow.write_text("30")
    first = start(toy)
    wait_for(toy.out / "provenance" / "sub-02" / "join.json", first)
    wait_for(toy.out / ".falx/work/*/sub-01/warm", first)
    child = json.loads((toy.out / ".falx" / "lock.json").read_text())["child"]
    first.kill()
    first.communicate()
    slow.unlink()
    second = start(toy)
    printed, errors = second.communicate(timeout=300)
    assert (second.returncode, errors) == (0, "")
    assert "sub-01 warm" in printed
    assert "sub-02 join" not in printed
    assert toy.output("01", "joined").exists()
    assert not (toy.out / ".falx" / "lock.json").exists()
    wait_until_gone(child)


def wait_until_gone(group: int, *, limit_s: float = 20.0) -> None:
    """Wait for the last process of a group; one that has ended stays until it is collected."""
    start = time.monotonic()
    while time.monotonic() - start < limit_s:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"jobs of the dead run are alive after {limit_s:g} s")


def test_6_a_run_that_is_alive_keeps_its_lock(toy: Toy) -> None:
    toy.image("01").with_name("slow").write_text("30")
    first = start(toy)
    wait_for(toy.out / ".falx/work/*/sub-01/warm", first)
    second = start(toy)
    _, errors = second.communicate(timeout=180)
    assert second.returncode == 2
    assert f"another run is working in the output folder (found: process {first.pid}" in errors
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=180)
    assert first.returncode == 130


@pytest.mark.parametrize(
    ("sent", "interrupts"),
    [(signal.SIGINT, signal.SIG_DFL), (signal.SIGTERM, signal.SIG_IGN)],
    ids=["interrupted", "ended in the background of a shell"],
)
def test_7_an_interrupt_ends_every_job_and_leaves_no_trace(
    toy: Toy, sent: signal.Signals, interrupts: signal.Handlers
) -> None:
    slow = toy.image("01").with_name("slow")
    slow.write_text("120")
    process = start(toy, interrupts=interrupts)
    wait_for(toy.out / ".falx/work/*/sub-01/warm", process)
    process.send_signal(sent)
    # Jobs that are not told to end are killed after twenty seconds.
    _, errors = process.communicate(timeout=18)
    assert process.returncode == 130
    assert errors == ("falx: interrupted; the same command continues where this one stopped.\n")
    assert not toy.output("01", "warm").exists()
    assert not (toy.out / ".falx" / "lock.json").exists()
    slow.unlink()
    assert toy.run().code == 0


def test_10_what_goes_wrong_in_one_job_stays_there_and_is_named(
    make_toy: Callable[..., Toy],
) -> None:
    toy = make_toy(5)
    toy.image("01").with_name("crash").touch()
    toy.image("02").with_name("die").touch()
    toy.image("03").with_name("greedy").write_text(str(4_000_000_000))
    toy.image("04").with_name("full").touch()
    outcome = toy.run(parallel=True, enforce_memory=True)
    reasons = {failed.job: str(failed.failure) for failed in outcome.failed}
    assert outcome.code == 1
    assert "ZeroDivisionError: toy" in reasons["sub-01/warm"]
    assert "Traceback" in (toy.out / "logs/sub-01/warm.log").read_text()
    assert reasons["sub-02/warm"] == (
        "sub-02 warm: the process ended without a word; was it killed?"
    )
    assert "the memory ran out (found: more than the 100 MB" in reasons["sub-03/warm"]
    assert "no space left on the disk" in reasons["sub-04/warm"]
    for label in ("01", "02", "03", "04"):
        assert not toy.output(label, "warm").exists()
        assert toy.output(label, "cool").exists()
    assert toy.output("05", "joined").exists()


def test_11_a_moved_dataset_is_the_same_dataset(toy: Toy) -> None:
    toy.run()
    toy.bids = toy.bids.rename(toy.bids.with_name("moved"))
    assert toy.run().ran == 0
