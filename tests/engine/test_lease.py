"""A job whose run has lost the folder neither publishes nor deletes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.bids.dataset import Dataset
from falx.core.errors import InputError
from falx.engine.job import Job
from falx.engine.lock import LOCK, check_lease, hold, holds_lease, lease_of
from falx.engine.plan import plan_participants
from falx.engine.runner import run_job
from falx.engine.snakemake import SNAKEFILE
from falx.engine.verify import verify_folder
from toy_run import Toy


def planned(toy: Toy, name: str) -> Job:
    """Return a job as a process of its own reads it."""
    configuration = toy.study.configuration()
    made = plan_participants(toy.study, Dataset.open(toy.bids), configuration, ["01", "02"])
    (job,) = [job for job in made.jobs if job.id == name]
    return Job.from_json(job.to_json())


def test_every_run_has_a_lease_of_its_own(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        with hold(tmp_path):
            seen.add(lease_of(tmp_path))
    assert len(seen) == 3
    assert "" not in seen
    assert lease_of(tmp_path) == ""


def test_a_run_that_lost_the_folder_leaves_the_lock_of_the_next(tmp_path: Path) -> None:
    with hold(tmp_path) as path:
        path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "lease": "new"}))
    assert lease_of(tmp_path) == "new"


@given(st.text("0123456789abcdef", min_size=1), st.text("0123456789abcdef"))
def test_only_the_same_token_holds(
    tmp_path_factory: pytest.TempPathFactory, own: str, other: str
) -> None:
    out = tmp_path_factory.mktemp("out")
    (out / ".falx").mkdir()
    (out / LOCK).write_text(json.dumps({"lease": other}))
    assert holds_lease(out, own) == (own == other)
    assert holds_lease(out, "")
    if own != other:
        with pytest.raises(InputError, match="no longer holds the output folder"):
            check_lease(out, own)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lease": null}'])
def test_a_damaged_lock_is_no_lease(tmp_path: Path, text: str) -> None:
    (tmp_path / ".falx").mkdir()
    (tmp_path / LOCK).write_text(text)
    assert not holds_lease(tmp_path, "abc")


def test_a_late_job_of_a_dead_run_changes_nothing(toy: Toy) -> None:
    """The audit's case: the head dies, the next run finishes, old jobs fail afterwards."""
    toy.run()
    before = {p: p.read_bytes() for p in toy.out.rglob("*") if p.is_file()}
    job = planned(toy, "sub-01/warm")
    for spoil in ("", "0 0"):
        if spoil:
            toy.image("01").write_text(spoil)
        finished = run_job(job, toy.out, lease="of a dead run")
        assert "no longer holds the output folder" in str(finished.failure)
    assert {p: p.read_bytes() for p in toy.out.rglob("*") if p.is_file()} == before
    assert verify_folder(toy.out) == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_that_loses_its_lease_while_it_works(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """It began with the folder in hand; another run has it when it comes to publish."""
    toy.run()
    job = planned(toy, "sub-01/warm")
    gold = toy.output("01", "warm").read_text()
    if fails:
        toy.image("01").with_name("crash").touch()
    lock = toy.out / LOCK
    lock.write_text(json.dumps({"lease": "mine"}))

    def taken_over(*_: object) -> None:
        lock.write_text(json.dumps({"lease": "theirs"}))
        toy.output("01", "warm").write_text(gold)  # the next run has made it again

    monkeypatch.setattr("falx.engine.runner.judge_inputs", taken_over)
    finished = run_job(job, toy.out, lease="mine")
    assert finished.failure is not None
    assert toy.output("01", "warm").read_text() == gold
    assert not (toy.out / ".falx/failed/sub-01/warm.json").exists()


def test_jobs_of_two_runs_do_not_share_a_work_folder(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.run()
    other = toy.out / ".falx" / "work" / "other" / "sub-01" / "warm"
    other.mkdir(parents=True)
    (other / "half").touch()
    assert run_job(planned(toy, "sub-01/warm"), toy.out).failure is None
    assert (other / "half").exists()
    shutil.rmtree(toy.out / ".falx" / "work")


def test_the_command_of_a_job_carries_the_lease(toy: Toy) -> None:
    toy.run(parallel=True, executor="local", subjects=("01",))
    plan = json.loads((toy.out / ".falx" / "plan.json").read_text())
    assert len(plan["lease"]) == 32
    assert "--lease {params.lease}" in SNAKEFILE.read_text()
