"""Everybody of a study, and what happened to each: the first thing on the page of a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from falx.report.page import Block, Details, Section, Table, Text

__all__ = ["SHOWN", "people_section"]

SHOWN = 12
"""Longer tables are folded away; who is not included stays in sight."""

HEADER = ("person", "in the group", "participant level", "step", "reason")
INCLUDED = "included"


def people_section(
    people: Iterable[Mapping[str, str]], left_out: Mapping[str, str] | None = None
) -> Section:
    """Table of all people of the dataset, with their number by what happened.

    Parameters
    ----------
    people
        Rows of ``participants_status.tsv``: ``participant_id``, ``status``, ``group``, ``stage``
        and ``reason``.
    left_out
        Whom the study itself leaves out, label to reason: the engine hands them over as included.

    Examples
    --------
    >>> row = {"participant_id": "sub-1", "status": "finished", "group": "included",
    ...        "stage": "n/a", "reason": "n/a"}
    >>> people_section([row]).blocks[0].text
    '1 person: 1 included.'
    """
    own = left_out or {}
    rows = [_row(person, own) for person in people]
    counts = Counter(_place(row) for row in rows)
    parts = [f"{number} {place}" for place, number in sorted(counts.items(), key=_order)]
    number = f"{len(rows)} person" if len(rows) == 1 else f"{len(rows)} people"
    blocks: list[Block] = [Text(f"{number}: {', '.join(parts)}.")]
    flags = ["" if row[1] == INCLUDED else "warn" for row in rows]
    if len(rows) <= SHOWN:
        blocks.append(Table(HEADER, rows, flags=flags))
    else:
        others = [row for row in rows if row[1] != INCLUDED]
        if others:
            blocks.append(Table(HEADER, others, "Who is not, or not wholly, included."))
        blocks.append(Details("Everybody", [Table(HEADER, rows, flags=flags)]))
    return Section("Everybody", blocks)


def _row(person: Mapping[str, str], left_out: Mapping[str, str]) -> tuple[str | None, ...]:
    name, group = person["participant_id"], person["group"]
    reason: str | None = person["reason"]
    label = name.removeprefix("sub-")
    if group == INCLUDED and label in left_out:
        group, reason = "left out by the study", left_out[label]
    rest = (person["status"], person["stage"], reason)
    return (name, group, *(None if cell in ("n/a", "") else cell for cell in rest))


def _place(row: tuple[str | None, ...]) -> str:
    """Return what is counted: the place in the group, and why the engine leaves somebody out."""
    group = str(row[1])
    if group.startswith("in part"):
        return "included in part"
    return f"left out ({row[2]})" if group == "left out" else group


def _order(item: tuple[str, int]) -> tuple[bool, str]:
    return not item[0].startswith(INCLUDED), item[0]
