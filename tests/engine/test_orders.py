"""A job is a person: one process, and still every stage on its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401 - a study that computes has loaded it
import psutil
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from falx.bids.dataset import Dataset
from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.stage import Stage
from falx.engine.failures import failure_of
from falx.engine.job import Job
from falx.engine.orders import PERSON, Orders, run_orders
from falx.engine.plan import plan_participants
from falx.engine.provenance import read_record, record_path
from falx.engine.verify import verify_folder
from toy_run import Toy

STAGES = ("warm", "cool", "join", "tell")


def person(toy: Toy, *, enforce_memory: bool = False, label: str = "01") -> Orders:
    configuration = toy.study.configuration()
    made = plan_participants(toy.study, Dataset.open(toy.bids), configuration, [label])
    return Orders(made.jobs, enforce_memory=enforce_memory)


def done(toy: Toy, label: str = "01") -> set[str]:
    return {name for name in STAGES if record_path(toy.out, f"sub-{label}/{name}").exists()}


def in_a_process_of_its_own(orders: Orders, toy: Toy) -> bool:
    """Run as a study does: a fork of the tests' process begins with that one's peak of memory."""
    path = toy.out / ".falx" / "jobs" / "sub-01" / f"{PERSON}.json"
    orders.write(path)
    command = [sys.executable, "-m", "falx", "stage", str(path)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=found, check=False, capture_output=True).returncode == 0


def test_orders_come_back_from_their_file(toy: Toy, tmp_path: Path) -> None:
    written = person(toy)
    written.write(tmp_path / "x.json")
    read = Orders.read(tmp_path / "x.json")
    assert read == written
    assert [job.id for job in read.jobs] == [f"sub-01/{name}" for name in STAGES]
    assert all(isinstance(job, Job) for job in read.jobs)


def test_a_cluster_sees_one_job_a_person_and_each_of_the_group(toy: Toy) -> None:
    assert toy.run(parallel=True, executor="local").ran == 8
    plan = json.loads((toy.out / ".falx" / "plan.json").read_text())
    assert sorted(plan["done"]) == [f".falx/done/sub-0{n}/{PERSON}" for n in (1, 2)]
    assert list(plan["rules"]) == [PERSON]
    assert plan["rules"][PERSON]["needs"] == {"sub-01": [], "sub-02": []}
    assert toy.run("group", parallel=True, executor="local").ran == 1
    plan = json.loads((toy.out / ".falx" / "plan.json").read_text())
    assert plan["done"] == [".falx/done/group/mean"]
    assert verify_folder(toy.out) == []


def test_every_stage_has_its_own_log_and_record(toy: Toy) -> None:
    assert run_orders(person(toy), toy.out)
    assert done(toy) == set(STAGES)
    for name in STAGES:
        lines = (toy.out / "logs" / "sub-01" / f"{name}.log").read_text().splitlines()
        assert lines[0].startswith(f"sub-01 {name}, version 1")
        assert lines[-1].startswith("finished after")


def test_a_second_attempt_goes_on_where_the_first_one_stopped(toy: Toy) -> None:
    run_orders(person(toy), toy.out)
    before = {name: record_path(toy.out, f"sub-01/{name}").stat().st_mtime_ns for name in STAGES}
    record_path(toy.out, "sub-01/join").unlink()
    assert run_orders(person(toy), toy.out)
    after = {name: record_path(toy.out, f"sub-01/{name}").stat().st_mtime_ns for name in STAGES}
    assert {name for name in STAGES if after[name] != before[name]} == {"join"}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("die", "sub-01 warm: the process ended without a word; was it killed?"),
        ("crash", "sub-01 warm: an error that Falx does not know (ZeroDivisionError: toy)"),
        ("flaky", "toy: the first attempt always fails."),
    ],
)
def test_a_stage_that_fails_or_dies_takes_no_other_with_it(
    toy: Toy, damage: str, sentence: str
) -> None:
    toy.image("01").with_name(damage).touch()
    assert not run_orders(person(toy), toy.out)
    assert done(toy) == {"cool"}
    assert str(failure_of(toy.out, "sub-01/warm")).startswith(sentence)
    assert failure_of(toy.out, "sub-01/join") is None
    toy.image("01").with_name(damage).unlink(missing_ok=True)
    assert run_orders(person(toy), toy.out)
    assert failure_of(toy.out, "sub-01/warm") is None


def test_memory_is_given_back_and_limited_stage_by_stage(toy: Toy) -> None:
    greedy = toy.image("01").with_name("greedy")
    greedy.write_text(str(300_000_000))
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    assert in_a_process_of_its_own(person(toy), toy)
    peaks = {}
    for name in STAGES:
        record = read_record(record_path(toy.out, f"sub-01/{name}"))
        assert record is not None
        peaks[name] = record.peak_mem_mb
    assert peaks["warm"] > peaks["join"] + 200
    record_path(toy.out, "sub-01/warm").unlink()
    greedy.write_text(str(16_000_000_000))
    assert not run_orders(person(toy, enforce_memory=True), toy.out)
    assert "the memory ran out" in str(failure_of(toy.out, "sub-01/warm"))
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits


def test_without_the_lease_nothing_is_begun(toy: Toy) -> None:
    with pytest.raises(InputError, match="no longer holds the output folder"):
        run_orders(person(toy), toy.out, lease="of a dead run")
    assert not (toy.out / "logs").exists()
    assert done(toy) == set()


def test_orders_can_be_run_by_hand(toy: Toy) -> None:
    path = toy.out / ".falx" / "jobs" / "sub-01" / f"{PERSON}.json"
    person(toy).write(path)
    assert main(["stage", str(path)]) == 0
    assert done(toy) == set(STAGES)
    assert main(["stage", str(path), "--lease", "of a dead run"]) == 1
    for wrong in ("{}", "[]", '{"jobs": 3}'):
        path.write_text(wrong)
        assert main(["stage", str(path)]) == 2


def test_sums_do_not_depend_on_the_cores_of_the_machine(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matrix products of a person run on one thread, in this process as in a fork."""
    seen: list[int] = []
    call = Stage.call

    def looking(self: Stage, *given: Any, **more: Any) -> None:
        seen.extend(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")
        call(self, *given, **more)

    monkeypatch.setattr(Stage, "call", looking)
    with threadpool_limits(limits=2, user_api="blas"):
        toy.run()
        assert seen and set(seen) == {1}
        assert {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"} == {2}


def test_no_process_stays_behind(toy: Toy) -> None:
    before = set(psutil.Process().children())  # a browser of other tests may be among them
    run_orders(person(toy), toy.out)
    assert set(psutil.Process().children()) <= before
