"""The page of a group study: who was compared, what differs, what could not be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from falx.maps.together.files import TogetherSummary
from falx.report.page import Block, Notice, Section, Table, Text
from falx.report.people import people_section
from falx.studies.compare.sections import MapContent, map_section
from falx.studies.methods.study_text import link_section
from falx.studies.resistance.demographics import Demographics
from falx.studies.resistance.genes_links import genes_links
from falx.studies.resistance.group_results import GroupResult, result_table
from falx.studies.resistance.group_sections import (
    DeviationContent,
    deviation_section,
    together_sections,
)
from falx.studies.resistance.steps import STEPS, Step

__all__ = ["GroupContent", "group_sections"]


@dataclass(frozen=True, eq=False)
class GroupContent:
    """What the page shows.

    Parameters
    ----------
    broken
        Name of a step that failed, and why.
    everybody
        Rows of ``participants_status.tsv``.
    genes_asked
        Whether expression is configured.
    """

    results: Sequence[GroupResult]
    broken: Mapping[str, str]
    bonferroni: str
    people: Demographics | None
    everybody: Sequence[Mapping[str, str]]
    maps: Mapping[Step, MapContent]
    deviations: Sequence[DeviationContent]
    together: Sequence[TogetherSummary]
    genes_asked: bool


def group_sections(content: GroupContent) -> list[Section]:
    """Lay out the page."""
    shown = {step: map_section(found) for step, found in content.maps.items()}
    titles = [
        (step.name, section.title)
        for step, section in shown.items()
        if step.what != "anova" and step.name in STEPS
    ]
    return [
        people_section(content.everybody),
        Section("Result", list(_result(content))),
        Section("Who was compared", list(_people(content))),
        *shown.values(),
        *together_sections(content.together),
        *(deviation_section(found) for found in content.deviations),
        genes_links(titles, asked=content.genes_asked),
        link_section(),
    ]


def _result(content: GroupContent) -> Iterator[Block]:
    if content.broken:
        yield Notice(
            [
                f"{STEPS[step].title if step in STEPS else step}, step {step}, "
                f"could not be computed: {reason}"
                for step, reason in content.broken.items()
            ],
            "fail",
        )
    if content.results:
        yield result_table(content.results, content.bonferroni)
    else:
        yield Text("No comparison could be computed.")


def _people(content: GroupContent) -> Iterator[Block]:
    if content.people is not None:
        yield Table(
            ("variable", *content.people.groups, "test", "P"),
            [[row.variable, *row.cells, row.test, row.p] for row in content.people.rows],
            caption="Mean ± sd where variance is analysed, counts, or median (quartiles). FD and "
            "smoothness are those of the runs that count.",
        )
