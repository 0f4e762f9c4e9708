"""Digests and recipes: equal for equal things in any order, different for different things."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.bids.dataset import Dataset
from falx.core.settings import resolve
from falx.engine.digest import DigestCache, digest_file, digest_value, stamp
from falx.engine.plan import Plan, plan_participants
from toy_run import Toy
from toy_study import STUDY

VALUES = st.dictionaries(
    st.text(max_size=6), st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    max_size=6,
)  # fmt: skip
LABELS = st.lists(st.sampled_from(["01", "02", "03", "04", "05"]), unique=True, min_size=1)


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(values: dict[str, Any], mixed: random.Random) -> None:
    keys = list(values)
    mixed.shuffle(keys)
    assert digest_value({key: values[key] for key in keys}) == digest_value(values)


@given(VALUES, VALUES)
def test_different_values_have_different_digests(a: dict[str, Any], b: dict[str, Any]) -> None:
    same = {k: repr(v) for k, v in a.items()} == {k: repr(v) for k, v in b.items()}
    assert (digest_value(a) == digest_value(b)) == same


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=3000), st.integers(0, 2999), st.integers(1, 255))
def test_any_byte_changes_the_digest_of_a_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, change: int
) -> None:
    folder = tmp_path_factory.mktemp("files")
    content = content or b"0"
    (folder / "a").write_bytes(content)
    (folder / "b").write_bytes(content)
    assert digest_file(folder / "a") == digest_file(folder / "b")
    other = bytearray(content)
    other[place % len(other)] ^= change
    (folder / "b").write_bytes(other)
    assert digest_file(folder / "a") != digest_file(folder / "b")


def test_a_digest_is_remembered_while_size_and_time_stay(tmp_path: Path) -> None:
    path, kept = tmp_path / "x", tmp_path / "digests.json"
    path.write_text("one")
    cache = DigestCache(kept)
    first = cache.get(path)
    cache.save()
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert DigestCache(kept).get(path) == first
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert DigestCache(kept).get(path) == digest_file(path) != first
    path.unlink()
    assert DigestCache(kept).get(path) is None
    assert stamp(path) is None
    kept.write_text("{")
    assert DigestCache(kept).get(kept) == digest_file(kept)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("people"), 5)


def plan(toy: Toy, labels: list[str], **values: Any) -> Plan:
    configuration = resolve(STUDY.configuration, values)
    return plan_participants(STUDY, Dataset.open(toy.bids), configuration, labels)


@settings(deadline=None, max_examples=25)
@given(labels=LABELS)
def test_the_recipe_of_a_person_knows_nothing_of_the_others(
    people: Toy, labels: list[str]
) -> None:
    alone = {job.id: job.recipe for label in labels for job in plan(people, [label]).jobs}
    together = {job.id: job.recipe for job in plan(people, labels).jobs}
    assert alone == together
    assert len(together) == 4 * len(labels)


@settings(deadline=None, max_examples=25)
@given(labels=LABELS)
def test_every_job_stands_behind_the_jobs_it_takes_from(people: Toy, labels: list[str]) -> None:
    seen: set[str] = set()
    for job in plan(people, labels).jobs:
        assert job.needs <= seen
        seen.add(job.id)


@settings(deadline=None, max_examples=25)
@given(gain=st.floats(0, 10), weight=st.floats(-3, 3), other=st.floats(0, 10))
def test_a_value_changes_its_stage_and_those_below_alone(
    people: Toy, gain: float, weight: float, other: float
) -> None:
    def recipes(gain: float, weight: float) -> dict[str, str]:
        values = {"warm.gain": gain, "join.weights": (weight, 1.0)}
        return {job.stage: job.recipe for job in plan(people, ["01"], **values).jobs}

    first, warmer, heavier = recipes(gain, weight), recipes(other, weight), recipes(gain, 4.0)
    changed = {name for name in first if first[name] != warmer[name]}
    assert changed == (set() if repr(gain) == repr(other) else {"warm", "join", "tell"})
    assert {name for name in first if first[name] != heavier[name]} == {"join", "tell"}
    assert recipes(gain, weight) == first
