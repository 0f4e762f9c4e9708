"""Items of any reproduced paper as text, as table fields and as sections of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from falx.report.page import Notice, Section
from falx.studies.outcome.fields import Field, page_table
from falx.studies.reproduce.comparison import (
    CONTRADICTED,
    CONVENTION,
    EXTENSION,
    REPRODUCED,
    ROUNDING,
    UNAVAILABLE,
    Item,
)

__all__ = ["FIELDS", "item_sections", "items_as_text", "summary"]

FLAGS = {REPRODUCED: "ok", ROUNDING: "ok", CONVENTION: "warn", CONTRADICTED: "fail",
         UNAVAILABLE: "", EXTENSION: "warn"}  # fmt: skip

FIELDS: Sequence[Field[Item]] = (
    Field("number", lambda i: i.number, "#", lambda i: str(i.number)),
    Field("section", lambda i: i.section),
    Field("name", lambda i: i.name, "statistic"),
    Field("published", lambda i: i.published, "published"),
    Field("as_published", lambda i: i.as_published, "as published, recomputed"),
    Field("corrected", lambda i: i.corrected, "corrected"),
    Field("verdict", lambda i: i.verdict, "verdict"),
    Field("reason", lambda i: i.reason, "reason"),
)


def summary(items: Sequence[Item]) -> str:
    """Return how many items got which verdict, in one line."""
    counts = Counter(item.verdict for item in items)
    return "; ".join(f"{counts[v]} {v}" for v in FLAGS if counts[v])


def items_as_text(title: str, items: Sequence[Item], *, published_only: bool = False) -> str:
    """Return the items as readable text; `published_only` leaves out the corrected values."""
    lines = [title, summary(items), ""]
    for item in items:
        lines += [
            f"{item.number:2d}  {item.name}",
            f"      published     {item.published}",
            f"      as published  {item.as_published}",
            *([] if published_only else [f"      corrected     {item.corrected}"]),
            f"      verdict       {item.verdict}: {item.reason}",
        ]
    return "\n".join(lines)


def item_sections(items: Sequence[Item]) -> list[Section]:
    """Return the count of verdicts, then one table for each section of the items."""
    sections = [Section("Verdicts", [Notice([summary(items)], "note")])]
    for name in dict.fromkeys(item.section for item in items):
        chosen = [item for item in items if item.section == name]
        flags = [FLAGS[item.verdict] for item in chosen]
        table = replace(page_table(FIELDS, chosen), flags=flags)
        sections.append(Section(f"Numbers: {name}", [table]))
    return sections
