"""Whole runs in this process: what is made, what is redone, who is left out."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from falx.core.errors import FalxError
from falx.engine.provenance import record_of
from toy_run import Toy


def test_first_run_makes_every_output_and_record(toy: Toy) -> None:
    outcome = toy.run()
    assert outcome.code == 0
    assert outcome.ran == 8
    assert toy.output("01", "joined").read_text() == "-1.0 -2.0"
    assert toy.output("02", "joined").read_text() == "6.0 9.0"
    assert outcome.show == (toy.out / "sub-01.html", toy.out / "sub-02.html")
    assert "the focus is on the left" in (toy.out / "sub-01.html").read_text()
    record = json.loads((toy.out / "provenance/sub-01/join.json").read_text())
    assert record["params"] == {"weights": [1.0, 1.0], "strict": False}
    assert record["inputs"]["warmed"]["uri"].endswith("desc-warm_T1w.nii.gz")


def test_second_run_does_nothing(toy: Toy) -> None:
    toy.run()
    assert toy.run().ran == 0
    assert toy.lines == ["everything is up to date (8 steps)"]


def test_a_parameter_redoes_what_depends_on_it(toy: Toy) -> None:
    toy.run()
    toy.run(join__weights=(1.0, 2.0))
    assert toy.ran == ["sub-01 join", "sub-01 tell", "sub-02 join", "sub-02 tell"]
    assert toy.output("02", "joined").read_text() == "8.0 12.0"


def test_a_failing_subject_stays_alone(toy: Toy) -> None:
    toy.image("01").write_text("0 0")
    outcome = toy.run()
    assert outcome.code == 1
    (failed,) = outcome.failed
    assert failed.failure == "sub-01: the image is empty (found: all zeros)."
    log = (toy.out / failed.log).read_text().splitlines()
    assert log[-1] == failed.failure
    assert "Traceback" not in "".join(log)
    assert toy.ran == ["sub-01 cool", "sub-02 cool", "sub-02 join", "sub-02 tell", "sub-02 warm"]


@pytest.mark.parametrize("executor", ["", "local"], ids=["this machine", "cluster"])
def test_every_runner_gives_what_the_sequential_one_gives(
    make_toy: Callable[..., Toy], executor: str
) -> None:
    here, there = make_toy(folder="here"), make_toy(folder="the re")
    here.run()
    there.run(parallel=True, executor=executor)
    for path in sorted((here.out / "sub-01").rglob("*.*")):
        assert (there.out / path.relative_to(here.out)).read_bytes() == path.read_bytes()
    assert there.ran == here.ran


def test_group_takes_what_is_there_and_says_who_is_not(toy: Toy) -> None:
    toy.image("01").write_text("0 0")
    toy.run()
    outcome = toy.run("group")
    assert outcome.show == (toy.out / "group" / "means.tsv",)
    text = Path(outcome.show[0]).read_text().splitlines()
    assert text[:2] == ["02\t7.5", "mean\t7.5"]
    assert text[2] == "sub-01\tsub-01: the image is empty (found: all zeros)."
    assert "notice: the mean is one of a single person; add people." in toy.lines
    toy.run("group")
    assert not any("single person" in line for line in toy.lines)


def test_nothing_is_asked_of_the_network(toy: Toy) -> None:
    alone = ["unshare", "-rn"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("a process without network cannot be started here")
    source = Path(__file__).resolve().parents[2] / "src"
    command = [sys.executable, "-m", "toy_cli", "toy", str(toy.bids), str(toy.out), "participant"]
    done = subprocess.run(
        [*alone, *command, "--participant-label", "01"],
        env={**os.environ, "PYTHONPATH": f"{source}:{os.environ['PYTHONPATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "[4 of 4]" in done.stdout


def test_a_profile_may_try_again_and_what_counts_is_the_end(toy: Toy, tmp_path: Path) -> None:
    profile = tmp_path / "my profile"
    profile.mkdir()
    (profile / "config.yaml").write_text("retries: 1\n")
    toy.image("01").with_name("flaky").touch()
    outcome = toy.run(parallel=True, profile=str(profile), subjects=("01",))
    assert outcome.code == 0
    assert toy.output("01", "joined").exists()


def test_a_profile_that_does_not_exist_is_named(toy: Toy) -> None:
    with pytest.raises(FalxError, match=r"--profile nowhere: Snakemake could not run .*no config"):
        toy.run(parallel=True, profile="nowhere")


def test_the_record_of_any_output_is_found(toy: Toy) -> None:
    toy.run()
    record = record_of(toy.out, toy.output("02", "warm"))
    assert record is not None
    assert (record.id, record.params["gain"]) == ("sub-02/warm", 2.0)
    assert record_of(toy.out, toy.out / "configuration.toml") is None


def test_a_pipe_that_closes_early_leaves_no_trace(toy: Toy) -> None:
    source = Path(__file__).resolve().parents[2] / "src"
    words = ("-m", "toy_cli", "toy", str(toy.bids), str(toy.out), "participant", "--dry-run")
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join([sys.executable, *words])} | true"],
        env={**os.environ, "PYTHONPATH": f"{source}:{os.environ['PYTHONPATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


def test_a_library_that_the_study_needs_in_the_end_is_missed_before_the_work(toy: Toy) -> None:
    toy.study = dataclasses.replace(
        toy.study, libraries={"no_such": ("pages", "pictures are drawn")}
    )
    with pytest.raises(
        FalxError, match=r"drawn by no_such, which is not installed .*falx\[pages\]"
    ):
        toy.run()
    assert not toy.out.exists()
