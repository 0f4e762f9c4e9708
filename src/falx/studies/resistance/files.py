"""Files in, files out for the group page of the resistance study and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

from falx.core.files import (
    read_record,
    read_table,
    write_bytes,
    write_table,
    write_text,
)
from falx.core.tables import rows_as
from falx.images.nifti import load
from falx.maps.deviations.sample import DeviationRow, DeviationSummary
from falx.maps.group_summary import TSummary
from falx.maps.together.files import TogetherSummary
from falx.report.figures import png, svg
from falx.report.page import render
from falx.studies.compare.figures import contrast_figure
from falx.studies.compare.files import map_content
from falx.studies.compare.live import group_live_page
from falx.studies.compare.questions import Question
from falx.studies.compare.sections import MapContent
from falx.studies.resistance.configuration import Roles
from falx.studies.resistance.demographics import (
    Demographics,
)
from falx.studies.resistance.group_page import GroupContent, group_sections
from falx.studies.resistance.group_results import RESULT_COLUMNS, group_results, result_rows
from falx.studies.resistance.group_sections import DeviationContent
from falx.studies.resistance.role_files import PAIRS, FurtherFiles, FurtherPair
from falx.studies.resistance.steps import DEVIATIONS, GROUP_MAPS, STEPS, Step

__all__ = [
    "SHOWN",
    "GroupReportFiles",
    "MapFigureFiles",
    "StepFiles",
    "group_report_stage",
    "map_figure_stage",
]


@dataclass(frozen=True)
class StepFiles:
    """Outputs of one comparison that the page of the group takes; ``None`` where there is none."""

    summary: Path | None
    table: Path | None
    values: Path | None
    t_map: Path | None
    f_map: Path | None
    index: Path | None
    person_maps: Path | None


SHOWN = tuple(item.name for item in fields(StepFiles))
"""Outputs of group maps that the page of the group takes."""


@dataclass(frozen=True)
class Failure:
    """A comparison that failed, and why."""

    step: str
    reason: str


@dataclass(frozen=True)
class GroupReportFiles:
    """Files of :func:`group_report_stage`.

    Parameters
    ----------
    demographics
        Input: JSON of the comparison of age, sex and the like.
    people
        Input: everybody, with what happened.
    failures
        Input: comparisons that failed, and why.
    page
        Output: one HTML file.
    results
        Output: what each comparison found, and its P for their number (TSV).
    summary, table, values, t_map, f_map, index, person_maps
        Inputs: step to its output; `f_map` of an analysis of variance, `index` of deviation
        maps. A step is absent where a group is or the comparison failed.
    expression
        Input: expression table of the gene stages.
    further
        Inputs: modality to the index of pairs with a further group.
    together
        Inputs: summaries of what grey matter and ReHo share.
    """

    demographics: Path | None
    people: Path
    failures: Path
    page: Path
    results: Path
    summary: Mapping[str, Path] = field(default_factory=dict)
    table: Mapping[str, Path] = field(default_factory=dict)
    values: Mapping[str, Path] = field(default_factory=dict)
    t_map: Mapping[str, Path] = field(default_factory=dict)
    f_map: Mapping[str, Path] = field(default_factory=dict)
    index: Mapping[str, Path] = field(default_factory=dict)
    person_maps: Mapping[str, Path] = field(default_factory=dict)
    expression: Path | None = None
    further: Mapping[str, Path] = field(default_factory=dict)
    together: Mapping[str, Path] = field(default_factory=dict)

    def of(self, step: Step) -> StepFiles:
        """Return the outputs of a step, as far as there."""
        return StepFiles(**{role: getattr(self, role).get(step.name) for role in SHOWN})


def group_report_stage(files: GroupReportFiles, *, bonferroni: str, ahba: str = "") -> None:
    """Write the page of the group and its first table.

    Parameters
    ----------
    bonferroni
        See :func:`falx.studies.resistance.group_results.comparisons_of`.
    ahba
        Allen download of the gene stages; neither it nor an expression table: they are not
        planned.
    """
    of_step = {step: files.of(step) for step in (*GROUP_MAPS, *DEVIATIONS)}
    maps = {step: _map_content(step, own) for step, own in of_step.items() if own.table}
    apart = [_deviation_content(step, own) for step, own in of_step.items() if own.index]
    broken = dict(map(astuple, rows_as(Failure, read_table(files.failures))))
    broken.pop(PAIRS, None)  # each of its pairs is named below
    planned = [step for step in GROUP_MAPS if of_step[step].table or step.name in broken]
    for modality, index in files.further.items():
        for pair in rows_as(FurtherPair, read_table(index)):
            step = Step(modality, pair=(pair.first, pair.second))
            planned.append(step)
            if pair.failed is None:
                maps[step] = _further_content(step, index)
            else:
                broken[step.name] = pair.failed
    listed = group_results(maps, planned, bonferroni)
    people = files.demographics
    content = GroupContent(
        results=listed,
        broken=broken,
        bonferroni=bonferroni,
        people=None if people is None else read_record(Demographics, people),
        everybody=read_table(files.people).records(),
        maps=maps,
        deviations=apart,
        together=[read_record(TogetherSummary, path) for path in files.together.values()],
        genes_asked=bool(files.expression or ahba),
    )
    write_table(files.results, RESULT_COLUMNS, result_rows(listed))
    title, sections = "Grey matter and ReHo by group", group_sections(content)
    named = {step.name: found for step, found in maps.items()}
    page = group_live_page(title, sections, named) if maps else render(title, sections)
    write_text(files.page, page)


def _present(path: Path | None) -> Path:
    if path is None:
        raise AssertionError("a finished step has all its outputs")
    return path


def _map_content(step: Step, files: StepFiles) -> MapContent:
    """Read a map of t or F with its summary and table."""
    of_f = step.what == "anova"
    return map_content(
        step.title,
        _present(files.f_map if of_f else files.t_map),
        table=_present(files.table),
        summary=_present(files.summary),
        values=files.values,
        person_maps=_present(files.person_maps),
        slope=step.what == "regression",
        name=step.name,
    )


def _further_content(step: Step, index: Path) -> MapContent:
    """Read what was found of a pair with a further group."""
    question = Question(step.pair)
    own = FurtherFiles({}, None, {}, index, None, None, index).of(question)
    return map_content(
        step.title,
        own.t_map,
        table=own.table,
        summary=own.summary,
        values=own.values,
        person_maps=own.person_maps,
        name=f"{step.modality}_{question.name}",
    )


def _deviation_content(step: Step, files: StepFiles) -> DeviationContent:
    """Read the summary of deviations, its index and the mean maps beside that."""
    index = _present(files.index)
    summary = read_record(DeviationSummary, _present(files.summary))
    means = {mean.map: load(index.with_name(mean.map)) for mean in summary.means}
    return DeviationContent(step, summary, rows_as(DeviationRow, read_table(index)), means)


@dataclass(frozen=True, eq=False)
class MapFigureFiles:
    """Files of the picture of the contrasts of one modality.

    Parameters
    ----------
    t_map, summary
        Inputs by group map: its t and what is said of it.
    svg, png
        Outputs: the picture, twice.
    """

    t_map: Mapping[str, Path]
    summary: Mapping[str, Path]
    svg: Path
    png: Path


def map_figure_stage(files: MapFigureFiles, roles: Roles) -> None:
    """Draw t beyond the voxel threshold on slices, a row a contrast, as Figures 1 and 2 do."""
    entry = {
        "resistant": roles.resistant,
        "sensitive": roles.sensitive,
        "controls": roles.controls,
    }
    rows = []
    for name, path in files.t_map.items():
        summary = read_record(TSummary, files.summary[name])
        title = " v ".join(entry[role] for role in STEPS[name].pair)
        rows.append((f"{STEPS[name].title}: {title}", load(path), summary.critical_t))
    figure = contrast_figure(rows)
    write_text(files.svg, svg(figure).decode())
    write_bytes(files.png, png(figure, dpi=300))
