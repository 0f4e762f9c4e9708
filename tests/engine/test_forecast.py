"""How long a run will still take."""

from __future__ import annotations

from pathlib import Path

import pytest

from falx.engine.forecast import seconds_left, usual_seconds
from falx.engine.people import planned_stages
from falx.engine.provenance import read_records, record_path
from toy_run import Toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    made = Toy(tmp_path_factory.mktemp("forecast"), 3)
    made.run()
    return made


def test_the_usual_time_is_the_median_over_people(toy) -> None:
    times = sorted(record.seconds for record in read_records(toy.out) if record.stage == "warm")
    assert len(times) == 3
    usual = usual_seconds(toy.out)
    assert usual["warm"] == times[1]
    assert set(usual) == {"warm", "cool", "join", "tell"}
    assert usual_seconds(toy.out.with_name("nothing")) == {}


def test_what_is_left_is_what_nobody_has_recorded_yet(toy) -> None:
    usual = {"warm": 8.0, "cool": 4.0, "join": 2.0, "tell": 1.0}
    assert planned_stages(toy.out) == {
        k: ["warm", "cool", "join", "tell"] for k in ("01", "02", "03")
    }
    assert seconds_left(toy.out, (), usual, at_a_time=1) == 0
    lost = {
        job: record_path(toy.out, job) for job in ("sub-01/warm", "sub-01/tell", "sub-02/cool")
    }
    kept = {path: path.read_bytes() for path in lost.values()}
    for path in lost.values():
        path.unlink()
    try:
        assert seconds_left(toy.out, (), usual, at_a_time=1) == 13
        assert seconds_left(toy.out, (), usual, at_a_time=2) == 6.5
        assert seconds_left(toy.out, (), usual, at_a_time=0.1) == 13
        assert seconds_left(toy.out, ("02",), usual, at_a_time=1) == 4
        assert seconds_left(toy.out, ("03",), usual, at_a_time=1) == 0
        del usual["tell"]
        assert seconds_left(toy.out, (), usual, at_a_time=1) is None
        assert seconds_left(toy.out, ("02",), usual, at_a_time=1) == 4
    finally:
        for path, content in kept.items():
            Path(path).write_bytes(content)
