"""Jobs side by side: order, cores and memory, and what happens when the pool or a job ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.files import PART
from falx.engine import memory, pool, run
from falx.engine.job import InputFile, Job
from falx.engine.memory import Budget, resident_mb, tree
from falx.engine.pool import Pool
from toy_run import Toy


def step(number: int, above: set[str], threads: int, mem_mb: int) -> Job:
    inputs = {str(k): InputFile("x", "x", need, "x") for k, need in enumerate(sorted(above))}
    return Job("x", str(number), 1, "sub", inputs, {}, {}, "", threads, mem_mb)


@st.composite
def tables(draw: st.DrawFn) -> list[Job]:
    """Steps that need earlier ones, or some that are not there since they are done."""
    steps: list[Job] = []
    for number in range(draw(st.integers(0, 12))):
        above = draw(st.sets(st.sampled_from([s.id for s in steps] or ["done"]), max_size=3))
        threads, mem_mb = draw(st.integers(1, 6)), draw(st.integers(1, 900))
        steps.append(step(number, above, threads, mem_mb))
    return steps


class Pretended(Pool):
    """A pool whose processes are numbers; the test chooses which ends, and how."""

    failing: frozenset[str]
    choose: st.DataObject
    began: list[str]
    most: list[tuple[int, int, float]]

    def _wait(self, running: dict[int, Job]) -> int:
        own = running.values()
        self.began += [step.id for step in own if step.id not in self.began]
        load = sum(step.threads for step in own), sum(step.mem_mb for step in own)
        self.most.append((len(running), *load))
        return self.choose.draw(st.sampled_from(sorted(running)))

    def _is_done(self, job: str) -> bool:
        return job not in self.failing


@settings(max_examples=60)
@given(tables(), st.integers(1, 8), st.integers(100, 2000), st.data())
def test_steps_run_in_order_and_within_cores_and_memory(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Job],
    cores: int,
    limit: int,
    data: st.DataObject,
) -> None:
    names = [step.id for step in steps]
    failing = frozenset(data.draw(st.sets(st.sampled_from(names), max_size=3)) if names else ())
    ended: list[str] = []
    pids = iter(range(10**9, 2 * 10**9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_fork", lambda _: next(pids))
        patch.setattr(memory.resource, "prlimit", lambda *_: (0, 0))
        runs = Pretended(
            lambda _: None, Path(), cores=cores, budget=Budget(limit), ended=ended.append
        )
        runs.failing, runs.choose, runs.began, runs.most = failing, data, [], []
        done = runs.run(steps)
    below: set[str] = set(failing)
    for step in steps:
        if below.intersection(step.needs):
            below.add(step.id)
    assert done == (not below)
    assert set(ended) == set(names) - {s.id for s in steps if below.intersection(s.needs)}
    place = {job: n for n, job in enumerate(ended)}
    for step in steps:
        for need in step.needs:
            if step.id in place and need in place:
                assert place[need] < place[step.id]
    assert all(n == 1 or (threads <= cores and mb <= limit) for n, threads, mb in runs.most)


def names(pid: int) -> list[str]:
    return [psutil.Process(one).name() for one in tree(pid)]


def test_a_tree_is_a_process_and_all_below_it() -> None:
    inner = "import subprocess, sys; subprocess.run(['sleep', '30'])"
    process = subprocess.Popen([sys.executable, "-c", inner], start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        while "sleep" not in names(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert names(process.pid)[1:] == ["sleep"]
        assert memory._children_by_search(process.pid) == tree(process.pid)[1:]
        assert 1 < resident_mb(process.pid) < 500
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert resident_mb(process.pid) == 0


def test_who_is_furthest_beyond_its_due_must_end(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {1: 400.0, 2: 700.0, 9: 100.0}
    monkeypatch.setattr(memory, "resident_mb", held.__getitem__)
    monkeypatch.setattr(memory, "tree", lambda pid: [pid])
    budget = Budget(1300, own=(9,))
    needs = {1: 300.0, 2: 500.0}
    assert budget.beyond(needs) is None
    held[1] = 460.0  # it grew by 60: with 60 more it would be too much
    assert budget.beyond(needs) == (2, 700.0)
    assert budget.peak_mb == 1260
    assert budget.fits(40, needs)  # they count with what they hold
    assert not budget.fits(60, needs)
    assert Budget(None).beyond(needs) is None


def run_toy(toy: Toy, *options: str) -> tuple[int, str, float]:
    """Return exit code, output, and the most memory that the processes held at a time."""
    source = Path(__file__).resolve().parents[2] / "src"
    words = [sys.executable, "-m", "toy_cli", "toy", str(toy.bids), str(toy.out), "participant"]
    process = subprocess.Popen(
        [*words, *options],
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{os.environ['PYTHONPATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(resident_mb, tree(process.pid))))
        time.sleep(0.002)
    return process.returncode, process.communicate()[0], most


def test_a_run_never_holds_more_than_it_may(make_toy: object) -> None:
    """Each of three steps would take 400 MB and says 100: side by side they would be 1,400."""
    toy: Toy = make_toy(3)  # type: ignore[operator]
    for label in ("01", "02", "03"):
        toy.image(label).with_name("greedy").write_text("400000000")
    code, said, most = run_toy(toy, "--jobs", "3", "--mem-gb", "0.7")
    assert most <= 700
    assert code == 0, said  # what did not fit beside others ran alone
    toy.image("02").with_name("greedy").write_text("800000000")
    code, said, most = run_toy(toy, "--jobs", "3", "--mem-gb", "0.7", "--warm-gain", "3")
    assert most <= 700
    assert code == 1
    assert "sub-02 warm: the memory ran out" in said
    assert "sub-03 tell" in said


def test_the_pool_ends_when_nobody_waits_for_it(toy: Toy) -> None:
    toy.image("01").with_name("slow").write_text("60")
    source = Path(__file__).resolve().parents[2] / "src"
    words = [sys.executable, "-m", "toy_cli", "toy", str(toy.bids), str(toy.out), "participant"]
    head = subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{os.environ['PYTHONPATH']}"},
        stdout=subprocess.DEVNULL,
    )
    while not list((toy.out / ".falx").glob("work/*/sub-01/warm")):
        assert head.poll() is None
        time.sleep(0.02)
    others = tree(head.pid)[1:]
    assert len(others) >= 2
    head.kill()
    head.wait()
    deadline = time.monotonic() + 20
    while any(map(resident_mb, others)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(resident_mb, others))


def test_half_a_file_of_a_step_that_was_killed_does_not_stay(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the pool kills a step, or an interrupt ends one, in the middle of its record."""
    toy.image("01").with_name("die").touch()
    part = toy.out / "provenance" / "sub-01" / f"{PART[0]}x{PART[1]}"
    real = run.open_manifest

    def opening(out: Path) -> None:
        real(out)
        part.parent.mkdir()
        part.write_text("{")

    monkeypatch.setattr(run, "open_manifest", opening)
    assert toy.run(parallel=True).code == 1
    assert not part.exists()
