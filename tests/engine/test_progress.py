"""How far a run is, and the estimate of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from falx.engine.job import Job
from falx.engine.progress import Progress, Step, duration, usual_seconds
from falx.engine.provenance import read_records
from falx.engine.runner import Finished
from toy_run import Toy


def jobs(*names: str) -> list[Job]:
    made = []
    for name in names:
        unit, stage = name.split("/")
        made.append(Job("toy", stage, 1, unit, {}, {}, {}, ""))
    return made


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_steps_of_a_known_stage_take_as_long_as_those_before() -> None:
    clock, lines, steps = Clock(), [], []
    todo = jobs("sub-1/long", "sub-1/short", "sub-2/long", "sub-2/short", "sub-3/long")
    progress = Progress(todo, Path("out"), lines.append, steps.append, clock)
    clock.now = 100.0
    progress(Finished("sub-1/long", 100.0, None, "log"))
    assert steps[-1] == Step(1, 5, "sub-1 long", 100.0, None, None)  # one alone says little
    clock.now = 110.0
    progress(Finished("sub-1/short", 10.0, None, "log"))
    assert steps[-1].left_s == pytest.approx(100 + 10 + 100)
    assert lines[-1] == "[2 of 5] sub-1 short (10.0 s; about 4 min left)"


def test_side_by_side_the_rest_goes_as_fast_as_before() -> None:
    clock, steps = Clock(), []
    names = [f"sub-{k}/same" for k in range(6)]
    progress = Progress(jobs(*names), Path("out"), lambda _: None, steps.append, clock)
    clock.now = 50.0
    for name in names[:2]:  # two at a time, 50 s each
        progress(Finished(name, 50.0, None, "log"))
    assert steps[-1].left_s == pytest.approx(100.0)  # four more: 200 s of work, two at a time
    for name in names[2:]:
        progress(Finished(name, 50.0, None, "log"))
    assert steps[-1].left_s == 0.0


def test_a_failure_says_why_and_a_short_rest_is_not_estimated() -> None:
    clock, lines, steps = Clock(), [], []
    todo = jobs("sub-1/a", "sub-1/b", "sub-1/c")
    progress = Progress(todo, Path("out"), lines.append, steps.append, clock)
    progress(Finished("sub-1/a", 0.2, "too dark.", "logs/a.log"))
    assert lines == ["[1 of 3] sub-1 a FAILED: too dark. Log: out/logs/a.log"]
    clock.now = 0.4
    progress(Finished("sub-1/b", 0.2, None, "log"))
    assert lines[-1] == "[2 of 3] sub-1 b (0.2 s)"
    assert steps[0].failure == "too dark."


def test_what_others_took_before_is_known_from_the_first_step_on(tmp_path) -> None:
    toy = Toy(tmp_path, 3)
    toy.run()
    times = sorted(record.seconds for record in read_records(toy.out) if record.stage == "warm")
    usual = usual_seconds(toy.out)
    assert len(times) == 3
    assert usual["warm"] == times[1]  # the median, whoever stumbled
    assert set(usual) == {"warm", "cool", "join", "tell"}
    assert usual_seconds(tmp_path / "nothing") == {}
    clock, steps = Clock(), []
    progress = Progress(
        jobs("sub-9/warm", "sub-9/cool"), toy.out, lambda _: None, steps.append, clock
    )
    clock.now = 5.0
    progress(Finished("sub-9/warm", 5.0, None, "log"))
    assert steps[-1].left_s == pytest.approx(usual["cool"])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89.4, "89 s"), (91, "2 min"), (5400, "1 h 30 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
