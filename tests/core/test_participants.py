"""``participants.tsv`` once it is a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.participants import Participants, participants_of
from falx.core.tables import parse_table, table_text

LABELS = st.lists(st.text("abcXYZ019", min_size=1, max_size=5), unique=True, max_size=6).map(
    lambda labels: [label for label in labels if label.casefold() not in ("na", "nan", "null")]
)


def people(text: str) -> Participants:
    return participants_of(parse_table(text, where="participants.tsv"))


@given(LABELS, st.randoms())
def test_rows_in_any_order_say_the_same(labels: list[str], random: object) -> None:
    rows = [(f"sub-{label}", str(i)) for i, label in enumerate(labels)]
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    first, second = (people(table_text(("participant_id", "age"), r)) for r in (rows, mixed))
    assert first.rows == second.rows
    assert [first.cell(label, "AGE") for label in labels] == [c for _, c in rows]


def test_the_first_header_that_has_an_entry_is_taken() -> None:
    table = people("participant_id\tside\tLaterality\n1\tn/a\tR\n2\tL\tR\n")
    assert table.cell("1", "side", "laterality") == "R"
    assert table.cell("2", "side", "laterality") == "L"
    assert table.cell("2", "sex") is None
    assert table.cell("3", "side") is None
    assert (table.header("x", "SIDE"), table.header("x")) == ("side", None)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("participant_id\tside\tSide\n1\tL\tR\n", r"differ in case alone \(found: side, Side\)"),
        ("participant_id\tside\tside\n1\tL\tR\n", "two columns have the same name"),
        ("participant_id\tside\nn/a\tL\n", "line 2 names nobody"),
        ("participant_id\tside\nsub-\tL\n", "line 2 names nobody"),
        ("participant_id\tside\nsub-1\tL\n1\tR\n", r"subject 1 stands there twice .*line 3"),
        ("id\tside\n1\tL\n", "no column participant_id"),
    ],
)
def test_tables_that_could_swap_a_side_are_refused(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        people(text)
