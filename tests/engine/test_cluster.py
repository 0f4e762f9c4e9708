"""What concerns clusters and needs none: reasons in the log, jobs left behind, what to install."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from falx.core.errors import InputError
from falx.engine.orders import Resources
from falx.engine.snakemake import _write_sacct, cancel_left, check_installed, ends_of
from falx.engine.watch import ENGINE_LOG
from toy_run import Toy

ERROR = """[Sat Nov 28 18:35:54 2026]
Error in rule person_level:
    message: {message}
    jobid: 1
    output: .falx/done/{mark}
    log: /out/.snakemake/slurm_logs/11.log (check log file(s) for error details)
"""
REFUSED = (
    "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: x\n"
    "sbatch: error: Batch job submission failed: Invalid partition name specified'.\n"
    '    sbatch call:\n        sbatch --parsable --wrap="…"\nFor further error details see …'
)


def ended(status: str, mark: str = "sub-01/person-level") -> str:
    message = f"SLURM-job '11' failed, SLURM status is: '{status}'. Reason: Unknown."
    return ERROR.format(message=message, mark=mark)


@pytest.mark.parametrize(
    ("status", "clause"),
    [
        ("TIMEOUT", "the time limit of the cluster was reached"),
        ("NODE_FAIL", "the node that ran it was lost"),
        ("CANCELLED by 0", "it was cancelled on the cluster"),
        ("OUT_OF_MEMORY", "it was given too little memory"),
    ],
)
def test_the_ends_of_slurm_are_understood(status: str, clause: str) -> None:
    assert ends_of(ended(status))["sub-01"].startswith(clause)
    assert ends_of(ended(status, "group/mean"))["group/mean"].startswith(clause)


def test_the_last_word_on_a_job_counts_and_others_are_none_of_its() -> None:
    log = ended("NODE_FAIL") + ended("FAILED", "sub-02/person-level") + ended("TIMEOUT")
    log += ERROR.format(message="None", mark="sub-01/person-level")
    assert list(ends_of(log)) == ["sub-01"]
    assert "time limit" in ends_of(log)["sub-01"]
    assert ends_of("") == {}


def test_a_refusal_gives_the_words_of_the_scheduler() -> None:
    (clause,) = ends_of(ERROR.format(message=REFUSED, mark="sub-03/person-level")).values()
    assert clause == "the cluster refused the job (invalid partition specified: x)"


def test_a_run_that_takes_over_cancels_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    fake = tmp_path / "bin" / "scancel"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> "{said}"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    cancel_left(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / ENGINE_LOG).write_text("most memory at a time: 3 MB\n")
    cancel_left(tmp_path)
    assert not said.exists()
    (tmp_path / ENGINE_LOG).write_text("host: x\nSLURM run ID: e59dd147-af34\nUsing shell\n")
    cancel_left(tmp_path)
    assert said.read_text() == "--name e59dd147-af34\n"


@pytest.mark.parametrize(
    ("profile", "executor", "where"), [("slurm", "", "--profile slurm"), ("", "lsf", "--executor")]
)
def test_without_snakemake_it_is_said_what_to_install(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, profile: str, executor: str, where: str
) -> None:
    real: Callable[..., object] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "snakemake" else real(n, *a)
    )
    with pytest.raises(InputError, match=rf"{where}.*pip install 'falx\[cluster\]'"):
        toy.run(parallel=True, profile=profile, executor=executor)
    assert not toy.out.exists()
    check_installed(Resources(2))


def test_the_word_of_sacct_for_a_cancelled_job_is_one_that_the_executor_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "sacct"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "7|CANCELLED by 1000\\n8|COMPLETED\\n"; exit ${CODE:-0}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    _write_sacct(tmp_path)
    command = [str(tmp_path / ".falx" / "bin" / "sacct"), "-X"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said == "7|CANCELLED\n8|COMPLETED\n"
    monkeypatch.setenv("CODE", "3")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3
