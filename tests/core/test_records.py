"""Records to JSON and back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.files import read_record, write_json
from falx.core.records import plain, record_of


@dataclass(frozen=True)
class Part:
    name: str
    volume_mm3: float


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    shares: dict[str, float] = field(default_factory=dict)
    side: str | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    values: npt.NDArray[np.float64]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
PARTS = st.builds(Part, st.text(), NUMBERS)


@given(
    st.builds(
        Whole,
        st.lists(PARTS, max_size=3).map(tuple),
        st.dictionaries(st.text(), NUMBERS, max_size=3),
        st.none() | st.text(),
    )
)
def test_a_record_comes_back_from_json(whole: Whole) -> None:
    assert record_of(Whole, json.loads(json.dumps(plain(whole))), where="x") == whole


def test_nothing_is_nan_where_a_number_is_expected(tmp_path: Path) -> None:
    write_json(tmp_path / "p.json", plain(Part("a", math.nan)))
    assert json.loads((tmp_path / "p.json").read_text()) == {"name": "a", "volume_mm3": None}
    assert math.isnan(read_record(Part, tmp_path / "p.json").volume_mm3)


def test_arrays_become_lists_and_arrays_again() -> None:
    content = plain(Curve(np.arange(3.0)))
    assert content == {"values": [0.0, 1.0, 2.0]}
    np.testing.assert_array_equal(record_of(Curve, content, where="x").values, [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"parts": [{"name": "a"}]}, r"volume_mm3"),
        ({"parts": [{"name": "a", "volume_mm3": "much"}]}, "volume_mm3"),
        ({}, "parts"),
        ([], "Whole"),
    ],
)
def test_another_record_is_refused_with_its_place(content: object, found: str) -> None:
    with pytest.raises(InputError, match=rf"n\.json: the record is not .*{found}"):
        record_of(Whole, content, where="n.json")  # type: ignore[arg-type]


def test_keys_of_a_later_version_are_left_alone() -> None:
    assert record_of(Part, {"name": "a", "volume_mm3": 1, "new": 2}, where="x") == Part("a", 1.0)


@dataclass(frozen=True)
class Anything:
    params: dict[str, object]


def test_values_of_any_kind_come_back_as_they_are() -> None:
    content = {"params": {"refine": False, "n": 3, "names": ["a"], "none": None, "deep": {"x": 1}}}
    assert record_of(Anything, content, where="x").params == content["params"]
