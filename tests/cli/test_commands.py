"""Commands beside the studies: what they print, and the sentence where they refuse."""

from __future__ import annotations

import argparse
import errno
import json
import signal
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from falx.cli import app, demo, dicom_out
from falx.cli import fetch as fetching
from falx.cli.main import COMMANDS, Command, _interrupt, main
from falx.core.errors import FalxError, FalxNotice, InputError, OptionError
from falx.images.nifti import save
from falx.phantom.patient import PatientSpec
from falx.studies.dicom_in import files as import_names

Run = Callable[..., tuple[int, str, str]]


def test_fetch_lists_what_there_is_with_its_licence(falx: Run) -> None:
    code, printed, errors = falx("fetch")
    assert (code, errors) == (0, "")
    (line,) = [line for line in printed.splitlines() if line.startswith("ahba ")]
    assert " files, " in line and "Allen Institute terms of use" in line


def test_a_dry_fetch_shows_every_file_and_takes_none(falx: Run, monkeypatch) -> None:
    monkeypatch.setattr(fetching, "fetch", None)  # calling it would fail
    code, printed, _ = falx("fetch", "ahba", "--dry-run")
    assert code == 0
    assert all(
        "; licence: " in line and "; from https://" in line for line in printed.splitlines()
    )


def test_fetched_files_are_named_with_their_digest(falx: Run, monkeypatch, tmp_path) -> None:
    asked = []

    def fetched(file, folder, *, progress):
        asked.append((file.group, folder))
        return types.SimpleNamespace(path=folder / file.path, fresh=len(asked) == 1, sha256="ab12")

    monkeypatch.setattr(fetching, "fetch", fetched)
    code, printed, _ = falx("fetch", "ahba", "--to", tmp_path)
    assert code == 0 and set(asked) == {("ahba", tmp_path)}
    assert (
        printed.count("(fetched, sha256 ab12; the source publishes no hash: keep this one)") == 1
    )
    assert printed.count("(already there, sha256 ab12)") == len(asked) - 1
    assert printed.splitlines()[-1] == str(tmp_path)


def test_progress_is_told_in_megabytes(capfd) -> None:
    fetching._progress(3_000_000, 9_000_000)
    fetching._progress(4_000_000, None)
    assert capfd.readouterr().err == "\r3 of 9 MB\r4 MB"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fetch", "abha"], "did you mean 'ahba'"),
        (["plan", "{out}", "--participant-label", "01"], "sub-01"),
        (["dicom-out", "{out}", "{out}", "--participant-label", "01"], "run falx plan first"),
        (["dicom-out", "{out}", "{out}", "--participant-label", "1", "--mask", "x"],
         "write --mask NAME=FILE (found: 'x')"),
        (["dicom-out", "{out}", "{out}", "--participant-label", "1", "--mask", "=x"],
         "write --mask NAME=FILE"),
        (["degs", "{out}/x", "{out}/x", "--out", "{out}"], "give --factor COLUMN and --contrast"),
        (["enrich", "{out}/a", "--universe", "{out}/b", "--out", "{out}/o"], "give --gene-sets"),
        (["genes", "{out}/none.tsv", "--out", "{out}/o"], "none.tsv"),
        (["demo", "{out}", "--voxel-mm", "5"], "--voxel-mm is out of range (found: 5.0 mm)"),
        (["stage", "{out}/none.json"], "none.json: these are not orders of a plan"),
        (["plan", "{out}", "--redo", "--side", "left"], "--redo plans with the choices that were"),
        (["signature", "{out}/none", "{out}/o", "participant"], "none"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_and_code_2(falx: Run, tmp_path, words, sentence) -> None:
    code, printed, errors = falx(*(word.format(out=tmp_path) for word in words))
    assert (code, printed) == (2, "")
    assert errors.startswith("falx: ") and errors.count("\n") == 1
    assert sentence in errors


@pytest.mark.parametrize(
    "words",
    [["plan", "out"], ["fetch", "--to"], ["demo"], ["reproduce", "mo2024"], ["signature", "a"]],
)
def test_usage_is_shown_where_words_are_missing(falx: Run, words) -> None:
    code, printed, errors = falx(*words)
    assert (code, printed) == (2, "")
    assert errors.startswith(f"usage: falx {words[0]}")


def test_masks_are_given_or_found_in_the_outputs(tmp_path) -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[1] = True
    signature = tmp_path / dicom_out.DEFAULT_MASKS["signature"].format(subject="07")
    for path in (signature, tmp_path / "mine.nii.gz"):
        save(path, mask, np.eye(4))
    assert dicom_out._known(tmp_path, "07") == {"signature": signature}
    mine = tmp_path / "mine.nii.gz"
    assert dicom_out._given([f"goal={mine}"]) == {"goal": mine}
    with pytest.raises(InputError, match="sub-08: there is neither a planned ablation"):
        dicom_out._known(tmp_path, "08")


@pytest.mark.parametrize(
    ("session", "role", "name"),
    [
        ("preop", "t1w", "sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz"),
        ("postop", "t1w", "sub-07/ses-postop/anat/sub-07_ses-postop_ce-gadolinium_T1w.nii.gz"),
        ("preop", "flair", "sub-07/ses-preop/anat/sub-07_ses-preop_FLAIR.nii.gz"),
        ("preop", "pet", "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.nii.gz"),
    ],
)
def test_images_from_the_hospital_are_named_by_bids(session, role, name) -> None:
    assert (
        import_names.image_path("07", session, role, contrast=session == "postop").as_posix()
        == name
    )


def test_facts_of_a_pet_series_replace_what_is_assumed() -> None:
    found = import_names.pet_fields({"InjectedRadioactivity": 250, "Units": "Bq/mL"})
    assert (found["Units"], found["InjectedRadioactivity"]) == ("Bq/mL", 250)
    assert found["TracerName"] == "FDG"
    with pytest.warns(FalxNotice, match="how much activity was injected"):
        assert import_names.pet_fields({})["Units"] == "arbitrary"


def test_a_dataset_is_described_once(tmp_path) -> None:
    import_names.describe(tmp_path)
    path = tmp_path / "dataset_description.json"
    assert json.loads(path.read_text())["DatasetType"] == "raw"
    path.write_text("{}")
    import_names.describe(tmp_path)
    assert path.read_text() == "{}"


def test_half_a_demonstration_is_never_used(tmp_path, monkeypatch) -> None:
    bids = tmp_path / "bids"

    def broken(folder, specs, rng):
        folder.mkdir()
        (folder / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "write_cohort", broken)
    with pytest.raises(KeyboardInterrupt):
        demo._write(bids, [PatientSpec()], 1)
    assert not bids.exists()
    seeds = []

    def whole(folder, specs, rng):
        assert not (folder / "half").exists()
        folder.mkdir()
        seeds.append(rng.integers(1_000_000))

    monkeypatch.setattr(demo, "write_cohort", whole)
    demo._write(bids, [PatientSpec()], 7)
    assert bids.is_dir() and seeds == [np.random.default_rng(7).integers(1_000_000)]


def test_no_plan_is_a_result_of_the_demonstration_too(tmp_path, monkeypatch, capfd) -> None:
    def refused(arguments):
        assert (arguments.participant_label, arguments.jobs) == ("02", 3)
        raise FalxError("no plan keeps the rules.")

    monkeypatch.setattr(demo.plan, "run", refused)
    demo._plan(tmp_path, "02", 3)
    assert capfd.readouterr().out.splitlines() == [
        "", "laser plan for sub-02", "no plan keeps the rules.",
    ]  # fmt: skip


def test_the_genes_demonstration_prints_planted_beside_found(falx: Run, monkeypatch, tmp_path):
    from falx.studies.genes import demo as genes

    found = genes.GenesDemo(tmp_path / "r.html", 2000, 60, 31.5, 0.95, 0.04, "theme", 0.0002)
    monkeypatch.setattr(genes, "run", lambda out, seed: found)
    code, printed, _ = falx("demo", tmp_path, "--study", "genes")
    assert code == 0
    rows = {line[:42].strip(): line[44:].split() for line in printed.splitlines()}
    assert rows["median rank of the planted genes"] == ["30.5", "31.5"]
    assert rows["share of them among the top 60"] == ["1", "0.95"]
    assert rows["share of other genes at spatial P < 0.05"] == ["0.05", "0.040"]
    assert str(tmp_path / "r.html") in printed


def failing(error: BaseException) -> list[Command]:
    """A command line of one command that raises."""

    def run(_arguments: argparse.Namespace) -> int:
        raise error

    module = types.ModuleType("failing_command")
    module.add_arguments, module.run = (lambda parser: None), run
    import sys

    sys.modules["failing_command"] = module
    return [Command("fail", "fails", "failing_command")]


@pytest.fixture(autouse=True)
def _signals_as_they_were():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FalxError("it is wrong."), 2, "falx: it is wrong.\n"),
        (KeyboardInterrupt(), 130, "falx: interrupted; give the command again."),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "falx: "),
    ],
)
def test_errors_become_a_sentence_and_a_code(error, code, said, capfd) -> None:
    assert main(["fail"], commands=failing(error)) == code
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.startswith(said)


def test_what_is_said_of_an_interrupt_is_true_of_the_command(capfd) -> None:
    (command,) = failing(KeyboardInterrupt())
    assert main(["fail"], commands=[replace(command, resumes=True)]) == 130
    assert "the same command continues where this one stopped" in capfd.readouterr().err
    assert {one.name for one in COMMANDS if one.resumes} == {"signature", "norms", "resistance"}


def test_an_error_of_falx_itself_is_not_hidden() -> None:
    for error in (ZeroDivisionError(), OSError(errno.EBADF, "Bad file descriptor")):
        with pytest.raises(type(error)):
            main(["fail"], commands=failing(error))


def test_a_batch_system_ends_a_run_like_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupt(signal.SIGTERM, None)


@pytest.mark.parametrize(
    ("given", "profile", "wanted"), [(2.5, "", 2500), (None, "slurm", None), (1.0, "slurm", 1000)]
)
def test_memory_is_as_given_or_left_to_the_cluster(given, profile, wanted) -> None:
    arguments = argparse.Namespace(mem_gb=given, profile=profile, executor="")
    assert app._memory_mb(arguments) == wanted


def test_memory_of_the_machine_is_taken_where_none_is_given() -> None:
    assert app._memory_mb(argparse.Namespace(mem_gb=None, profile="", executor="")) > 100
    with pytest.raises(FalxError, match="--mem-gb is out of range"):
        app._memory_mb(argparse.Namespace(mem_gb=0.0, profile="", executor=""))


def test_an_outcome_says_what_failed_and_where_the_log_is(capfd) -> None:
    failed = types.SimpleNamespace(job="sub-01 pet", failure="it is empty.", log="logs/pet.log")
    left = types.SimpleNamespace(reason="sub-02: there is no T1w image.")
    outcome = types.SimpleNamespace(failed=[failed], excluded=[left, left], show=[])
    app.print_outcome(outcome, Path("/somewhere"))
    assert capfd.readouterr().out.splitlines() == [
        "1 step failed, 2 subjects left out:",
        "  sub-02: there is no T1w image.",
        "  sub-02: there is no T1w image.",
        "  sub-01 pet: it is empty.",
        "    log: /somewhere/logs/pet.log",
        "outputs: /somewhere",
    ]


def test_a_cohort_of_any_size_is_asked_for_by_its_number() -> None:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    cohort = demo._patients(parser.parse_args(["out", "--patients", "5", "--voxel-mm", "2"]))
    assert [spec.label for spec in cohort] == ["01", "02", "03", "04", "05"]
    assert {spec.side for spec in cohort} == {"left", "right"}
    assert {spec.voxel_mm for spec in cohort} == {2.0}
    assert len(demo._patients(parser.parse_args(["out"]))) == 2
    with pytest.raises(OptionError, match="--patients is out of range"):
        demo._patients(parser.parse_args(["out", "--patients", "1"]))


def test_an_ablation_mask_given_as_an_option_is_told_where_it_belongs(falx: Run) -> None:
    code, _, errors = falx("signature", "B", "O", "participant", "--ablation", "mask.nii.gz")
    assert code == 2
    assert "found: mask.nii.gz" in errors
    assert "sub-01_ses-postop_label-ablation_mask.nii.gz" in errors
    assert falx("signature", "--help")[1].count("--ablation ") == 0
