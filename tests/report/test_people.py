"""The table of everybody on a group's page: all are counted once, whatever happened."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from falx.report.page import Details, Table, Text, render
from falx.report.people import SHOWN, people_section

STATES = [
    ("finished", "included"),
    ("not finished", "included"),
    ("finished", "in part: no reho"),
    ("failed", "left out"),
    ("excluded", "left out"),
    ("not run", "left out"),
]


def person(number: int, status: str, group: str) -> dict[str, str]:
    said = "n/a" if status == "finished" else f"sub-{number}: why"
    return {"participant_id": f"sub-{number}", "status": status, "group": group,
            "stage": "pet" if status == "failed" else "n/a", "reason": said}  # fmt: skip


@given(st.lists(st.sampled_from(STATES), max_size=3 * SHOWN), st.sets(st.integers(0, 5)))
def test_everybody_is_counted_once_and_shown(states: list[tuple[str, str]], own: set[int]) -> None:
    people = [person(number, *state) for number, state in enumerate(states)]
    section = people_section(people, {str(number): "no outcome" for number in own})
    said = section.blocks[0]
    assert isinstance(said, Text)
    whole, *parts = map(int, re.findall(r"\d+", said.text))
    assert whole == sum(parts) == len(people)
    last = section.blocks[-1]
    table = last.blocks[0] if isinstance(last, Details) else last
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == [one["participant_id"] for one in people]
    for one, row in zip(people, table.rows, strict=True):
        left_out_here = int(one["participant_id"][4:]) in own and one["group"] == "included"
        assert row[1] == ("left out by the study" if left_out_here else one["group"])
        assert row[-1] == ("no outcome" if left_out_here else None if one["reason"] == "n/a"
                           else one["reason"])  # fmt: skip


def test_the_page_begins_with_those_who_are_not_in_it() -> None:
    people = [person(n, *STATES[0]) for n in range(SHOWN)] + [person(99, *STATES[3])]
    section = people_section(people)
    page = render("Group", [section])
    assert f"{SHOWN + 1} people: {SHOWN} included, 1 left out (failed)." in page
    assert page.index("sub-99") < page.index("sub-1<")
    assert "sub-99: why" in page


def test_a_script_in_a_reason_stays_text() -> None:
    one = person(1, *STATES[3]) | {"reason": "<script>alert(1)</script>"}
    assert "<script>alert" not in render("Group", [people_section([one])])
