"""A column of ``participants.tsv`` is declared once and read the same everywhere."""

from dataclasses import dataclass

import pytest

from falx.core.errors import InputError
from falx.core.participants import Participants
from falx.core.settings import options_of
from falx.core.study import Column, column, columns_of

SIDE = Column("side of the focus", ("side", "hemisphere"), {"l": "left", "r": "right"})
AGE = Column("age", ("age",), kind="number")
DONE = Column("operation", ("done",), {"yes": 1.0, "no": 0.0}, kind="number")
PEOPLE = Participants(
    {"01": {"Hemisphere": "R"}, "02": {"operated": "l"}},
    ("participant_id", "Hemisphere", "operated"),
)


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        (SIDE, "L", "left"),
        (SIDE, "Right", "right"),
        (AGE, "37.5", 37.5),
        (DONE, "Yes", 1.0),
        (DONE, "no", 0.0),
        (DONE, "0", 0.0),
        (Column("remark", ("remark",)), "any Text", "any Text"),
    ],
)
def test_cells_become_values(declared, text, value):
    assert declared.read(text, where="sub-01") == value


@pytest.mark.parametrize(
    ("declared", "text", "sentence"),
    [
        (SIDE, "both", "sub-01: the side of the focus is not understood .found: 'both'."),
        (SIDE, "both", "write one of l, left, r, right in participants.tsv"),
        (AGE, "old", "sub-01: the age is not a number .found: 'old'."),
        (DONE, "perhaps", "the operation is not a number"),
    ],
)  # fmt: skip
def test_other_cells_are_refused(declared, text, sentence):
    with pytest.raises(InputError, match=sentence):
        declared.read(text, where="sub-01")


def test_a_header_is_the_usual_one_or_the_one_that_is_named():
    assert SIDE.of(PEOPLE, "01") == "right"
    assert SIDE.of(PEOPLE, "02") is None
    assert SIDE.of(PEOPLE, "02", "Operated") == "left"
    assert SIDE.header_of(PEOPLE, None, "columns.side") == "Hemisphere"
    assert SIDE.header_of(PEOPLE, "OPERATED", "columns.side") == "operated"
    assert AGE.header_of(PEOPLE, None, "columns.age") is None
    with pytest.raises(InputError, match=r"no column 'focus', which .* columns\.side.*Hemisphere"):
        SIDE.header_of(PEOPLE, "focus", "columns.side")


def test_a_section_of_columns_is_options_and_columns_at_once():
    @dataclass(frozen=True)
    class Columns:
        side: str | None = column("side", "side", "focus", values={"l": "left"})
        age: str | None = column("age", "age", kind="number")

    found = columns_of(Columns)
    assert found["side"] == Column("side", ("side", "focus"), {"l": "left"})
    assert found["age"].kind == "number"
    assert Columns().side is None


def test_the_outcome_study_and_the_participant_level_share_their_columns():
    from falx.studies.outcome.columns import NUMBERS, Columns
    from falx.studies.signature.study import STUDY

    assert STUDY.columns == columns_of(Columns)
    assert set(NUMBERS) == set(STUDY.columns) - {"outcome", "exclude"}
    keys = options_of(STUDY.configuration)
    assert {f"columns.{name}" for name in STUDY.columns} <= set(keys)
    assert keys["columns.side"].help == (
        "header of the side of the epileptic focus, if not side or focus_side or hemisphere"
    )
