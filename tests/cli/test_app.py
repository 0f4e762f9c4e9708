"""The BIDS-App grammar, on the toy study."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import falx as falx_package

Run = Callable[..., tuple[int, str, str]]


def environment() -> dict[str, str]:
    """Environment in which ``python -m falx`` is the Falx under test."""
    source = str(Path(falx_package.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ["PYTHONPATH"]])}


def test_a_run_prints_a_line_a_step_and_what_to_look_at(
    falx: Run, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, printed, errors = falx("toy", dataset, out, "participant", "--participant-label", "02")
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    assert lines[0] == "4 of 4 steps to do"
    assert {line.rpartition(" (")[0] for line in lines[1:5]} == {
        f"[{n} of 4] sub-02 {stage}"
        for n, stage in zip(range(1, 5), [line.split()[4] for line in lines[1:5]], strict=True)
    }
    assert lines[5:] == ["look at:", f"  {out}/sub-02.html"]
    assert not (out / "sub-01").exists()
    code, printed, _ = falx("toy", dataset, out, "group")
    assert code == 0
    assert f"{out}/group/means.tsv" in printed


def test_options_file_and_preset_in_this_order(falx: Run, dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "falx.toml"
    file.write_text("[warm]\noffset_mm = 1\ngain = 4\n[join]\nstrict = true\n")
    options = ("--preset", "hot", "--config", file, "--warm-gain", "3", "--no-join-strict")
    weights = ("--join-weights", "1", "0.5")
    out = tmp_path / "out"
    code, _, errors = falx("toy", dataset, out, "participant", "--serial", *options, *weights)
    assert (code, errors) == (0, "")
    text = (out / "configuration.toml").read_text()
    assert "participant level, preset hot" in text
    for line in ("gain = 3.0", "offset_mm = 1.0", "strict = false", "weights = [1.0, 0.5]"):
        assert f"\n{line}\n" in text
    again = falx(
        "toy", dataset, out, "participant", "--serial", "--config", out / "configuration.toml"
    )
    assert "everything is up to date (8 steps)" in again[1]


def test_a_dry_run_says_why_and_writes_nothing(falx: Run, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, _ = falx("toy", dataset, out, "participant", "--dry-run")
    assert code == 0
    assert "sub-01 warm: not done yet" in printed
    assert "8 of 8 steps would run" in printed
    assert not out.exists()
    falx("toy", dataset, out, "participant", "--serial")
    code, printed, _ = falx("toy", dataset, out, "participant", "--dry-run", "--warm-gain", "7")
    assert "sub-01 warm: gain: 2.0 is now 7.0" in printed
    assert "sub-01 join: warm is done again" in printed
    assert "6 of 8 steps would run" in printed


def test_failures_give_code_1_the_sentence_and_the_log(
    falx: Run, dataset: Path, tmp_path: Path
) -> None:
    (dataset / "sub-01/anat/sub-01_T1w.nii.gz").write_text("0 0")
    (dataset / "sub-02/anat/sub-02_T1w.nii.gz").unlink()
    code, printed, errors = falx("toy", dataset, tmp_path / "out", "participant", "--serial")
    assert (code, errors) == (1, "")
    assert "sub-01 warm FAILED: sub-01: the image is empty (found: all zeros)." in printed
    assert f"log: {tmp_path}/out/logs/sub-01/warm.log" in printed
    assert (
        "left out: sub-02: there is no T1w image (found: sub-02_FLAIR.nii.gz); add the image, "
        "or leave the subject out with --participant-label."
    ) in printed
    assert "1 step failed, 1 subject left out:" in printed
    assert "look at:" not in printed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--participant-label", "9"], "there is no subject 9; the subjects are 01, 02."),
        (["--warm-gain", "11"], "warm.gain is out of range (found: 11.0); give a value from 0"),
        (["--warm-how", "plane"], "did you mean 'plain'?"),
        (["--preset", "cold"], "choose one of 'hot'"),
        (["--config", "none.toml"], "none.toml: the configuration file cannot be read"),
        (["--filter", "run"], "the filter is not understood (found: 'run')"),
        (["--column", "side"], "write --column NAME=HEADER"),
        (["--column", "sid=x"], "did you mean 'side'?"),
        (["--jobs", "0"], "--jobs is out of range"),
        (["--derivatives", "nowhere"], "nowhere: there is no such BIDS folder"),
        (["--join-extra", "nowhere.txt"], "the file that join.extra names does not exist"),
    ],
)
def test_usage_errors_are_one_sentence_and_code_2(
    falx: Run, dataset: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    code, _, errors = falx("toy", dataset, tmp_path / "out", "participant", *options)
    assert code == 2
    assert errors.startswith("falx: ")
    assert sentence in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("words", [["--column", "side=operated"], ["--columns-side", "Operated"]])
def test_another_header_for_a_column(
    falx: Run, dataset: Path, tmp_path: Path, words: list[str]
) -> None:
    table = dataset / "participants.tsv"
    table.write_text(table.read_text().replace("side", "operated"))
    code, printed, _ = falx("toy", dataset, tmp_path / "out", "participant", "--dry-run")
    assert code == 1
    assert "participants.tsv does not say the side of the focus; add a column side" in printed
    code, _, _ = falx("toy", dataset, tmp_path / "out", "participant", "--dry-run", *words)
    assert code == 0


def test_a_header_that_the_table_lacks_is_said(falx: Run, dataset: Path, tmp_path: Path) -> None:
    code, printed, _ = falx(
        "toy", dataset, tmp_path / "out", "participant", "--dry-run", "--column", "side=focus"
    )
    assert code == 1
    assert "no column 'focus', which the configuration names for columns.side" in printed


def test_verify_and_repair(falx: Run, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, errors = falx("verify", out)
    assert code == 2
    assert errors.endswith("no provenance; give an output folder that Falx has filled.\n")
    falx("toy", dataset, out, "participant", "--serial")
    assert falx("verify", out)[:2] == (0, "every output matches its provenance\n")
    damaged = out / "sub-02.html"
    damaged.write_text("edited")
    code, printed, _ = falx("verify", out)
    assert code == 1
    assert "sub-02.html was changed after it was written (sub-02 tell)" in printed
    assert falx("verify", out, "--repair")[0] == 0
    assert not damaged.exists()
    (dataset / "sub-01/anat/sub-01_T1w.nii.gz").write_text("7 7")
    code, printed, _ = falx("verify", out, "--bids", dataset)
    assert code == 1
    assert "bids:raw:sub-01/anat/sub-01_T1w.nii.gz was changed after it was written" in printed


def test_a_job_can_be_run_by_hand(falx: Run, dataset: Path, tmp_path: Path) -> None:
    falx("toy", dataset, tmp_path / "out", "participant", "--participant-label", "01")
    job = tmp_path / "out" / ".falx" / "jobs" / "all" / "every-step.json"
    record = tmp_path / "out" / "provenance" / "sub-01" / "warm.json"
    record.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "falx", "stage", job], check=False, env=environment()
    )
    assert done.returncode == 0
    assert record.exists()
    assert "not orders of a plan" in falx("stage", dataset / "participants.tsv")[2]


def test_a_disk_error_is_a_sentence(falx: Run, dataset: Path) -> None:
    code, _, errors = falx("toy", dataset, "/proc/falx", "participant", "--serial")
    assert code == 2
    assert "the output folder cannot be written" in errors
