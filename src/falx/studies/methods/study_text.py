"""Methods texts of studies and of single calls, as a section of a page and as files."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from falx.core.settings import options_of
from falx.core.study import Study, load_study
from falx.report.page import Details, Raw, Section, Text, render
from falx.studies.methods.steps import (
    FiledRecord,
    RunRecord,
    Step,
    step_of_call,
    steps_of,
    versions_here,
    versions_of,
)  # fmt: skip
from falx.studies.methods.text import MethodsText, Statement, methods_text

__all__ = [
    "call_text", "link_section", "methods_files", "methods_section", "methods_texts",
    "person_section", "study_text",
]  # fmt: skip

Records = Mapping[str, Mapping[str, RunRecord]]
"""Person, or ``"group"``, to stage to its record."""

STUDIES = {"signature": "mo2025", "norms": "mo2025", "resistance": "liu2024"}
"""Study to the paper whose method it follows."""


def study_text(
    study: Study, records: Records, chosen: Mapping[str, object] | None = None
) -> MethodsText:
    """Write the methods text of a study from its records.

    Parameters
    ----------
    chosen
        The configuration of the last run, by key.
    """
    steps = steps_of(study, records)
    found = methods_text(
        steps,
        options_of(study.configuration),
        versions_of(record for own in records.values() for record in own.values()),
        chosen=chosen,
        switches=[raw.switch for raw in study.raw.values() if raw.switch],
    )
    first = _first_statements(study, steps)
    return MethodsText((*first, *found.statements), found.versions)


def _first_statements(study: Study, steps: Sequence[Step]) -> list[Statement]:
    """Name the study's paper, and the presets whose settings are those that ran."""
    kept = []
    taken: dict[str, set[object]] = {}
    for step in steps:
        for key, value in step.values.items():
            taken.setdefault(key, set()).add(value)
    for name, preset in study.presets.items():
        own = {key: value for key, value in preset.items() if key in taken}
        if own and all(taken[key] == {value} for key, value in own.items()):
            kept.append(
                f"The settings of the preset {name} were kept wherever a step took one "
                f"({len(own)} of {len(preset)})."
            )
    said = list(kept)
    if study.name in STUDIES:
        others = "" if kept else "; not all of its settings are those of that study"
        paper = f"[@{STUDIES[study.name]}]"
        said.insert(0, f"The analysis follows a published study {paper}{others}.")
    return [Statement(text, (), ()) for text in said]


def methods_files(
    study: Study, records: Iterable[FiledRecord], chosen: Mapping[str, object]
) -> dict[str, str]:
    """Return the methods text of an output folder as files: name to text."""
    filed: dict[str, dict[str, RunRecord]] = {}
    for record in records:
        filed.setdefault(record.unit, {})[record.stage] = record
    return methods_texts(study_text(study, filed, chosen))


def methods_texts(found: MethodsText) -> dict[str, str]:
    """Return a methods text as files: Markdown, BibTeX and a page of its own."""
    return {
        "methods.md": found.markdown,
        "methods.bib": found.bibtex,
        "methods.html": render("Methods text", [methods_section(found)], dated=False),
    }


def person_section(reference: str, person: str, records: Mapping[str, RunRecord]) -> Section:
    """Return the methods text of one person's records as a section.

    Parameters
    ----------
    reference
        Where the study is imported from; its stages are not known yet when their functions are.
    """
    return methods_section(study_text(load_study(reference), {person: records}))


def link_section() -> Section:
    """Return the section by which a page of a group leads to the text, written after it."""
    return Section(
        "Methods, for a paper",
        [
            Raw(
                "<p>What ran, with its settings, versions and references: "
                '<a href="methods.html">methods.html</a>, <a href="methods.md">methods.md</a>, '
                '<a href="methods.bib">methods.bib</a>.</p>'
            )
        ],
    )


def methods_section(found: MethodsText) -> Section:
    """Lay out a methods text."""
    return Section(
        "Methods, for a paper",
        [
            Text("Written from the records of what ran; settings off their defaults stand in it."),
            Text(found.words),
            Details("References", [Text("\n\n".join(found.references))]),
            Details("BibTeX", [Raw(f"<pre>{html.escape(found.bibtex)}</pre>")]),
        ],
        appendix=True,
    )


def call_text(
    kind: str,
    settings: Sequence[Any],
    *,
    label: str = "",
    files: Mapping[str, Any] | None = None,
) -> MethodsText:
    """Write the methods text of a command that is no study of stages; see :func:`step_of_call`."""
    step = step_of_call(kind, settings, label=label, files=files)
    options: dict[str, Any] = {}
    for record in reversed(settings):
        options |= options_of(type(record))
    return methods_text([step], options, versions_here())
