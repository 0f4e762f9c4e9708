"""The page of a comparison of maps: what was asked, what each map found, map by map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from falx.maps.group_summary import TSummary
from falx.report.page import Block, Notice, Section, Table, Text
from falx.studies.compare.questions import Question
from falx.studies.compare.sections import MapContent, left_out_table, map_section, notice_blocks

__all__ = ["ComparisonContent", "comparison_sections"]

COLUMNS = ("contrast", "people", "clusters", "passed", "least_p", "comparisons", "p_times")


@dataclass(frozen=True, eq=False)
class ComparisonContent:
    """What the page shows.

    Parameters
    ----------
    broken
        What could not be computed, and why.
    without
        People of the table who have no map, and why.
    notices
        What is to be known of all of them.
    """

    measure: str
    maps: Mapping[Question, MapContent]
    broken: Mapping[Question, str]
    without: Mapping[str, str]
    notices: tuple[str, ...] = ()

    @property
    def comparisons(self) -> int:
        """How many were asked for, whether or not they could be computed."""
        return len(self.maps) + len(self.broken)

    def results(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Return the table of results: columns and a row a comparison.

        ``passed`` counts the clusters listed, ``least_p`` is the least P of that correction
        over all clusters and ``p_times`` that P times the comparisons, at most 1.
        """
        rows: list[tuple[object, ...]] = []
        for content in self.maps.values():
            summary = content.summary
            by = summary.listed_by if isinstance(summary, TSummary) else "extent"
            passed = summary.significant
            count = passed if isinstance(passed, int) else passed[by]
            p = summary.least_p[by]
            times = None if p is None else min(1.0, p * self.comparisons)
            people = sum(summary.group_sizes.values())
            rows.append(
                (
                    summary.contrast,
                    people,
                    summary.clusters,
                    count,
                    p,
                    self.comparisons,
                    times,
                )
            )
        return COLUMNS, rows


def comparison_sections(content: ComparisonContent) -> list[Section]:
    """Lay out the page."""
    return [
        Section("Result", list(_result(content))),
        *(map_section(found) for found in content.maps.values()),
    ]


def _result(content: ComparisonContent) -> Iterator[Block]:
    if content.broken:
        told = [f"{' - '.join(q.groups)} could not be computed: {why}"
                for q, why in content.broken.items()]  # fmt: skip
        yield Notice(told, "fail")
    yield from notice_blocks(content.notices)
    rows = content.results()[1]
    found = [row for row in rows if row[3]]
    yield Text(
        f"{content.measure}: {len(found)} of {content.comparisons} comparisons found a cluster "
        "that passes."
    )
    yield Table(
        ("contrast", "people", "clusters beyond the threshold", "of them pass", "least P",
         "P × comparisons"),
        [[*row[:5], row[6]] for row in rows],
        caption=f"The last column allows for the {content.comparisons} comparisons that were "
        "asked for (Bonferroni); the others do not.",
    )  # fmt: skip
    yield from left_out_table(content.without)
