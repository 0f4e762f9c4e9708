"""Files in, files out for the resistance study: roles in group maps, people, pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from falx.anatomy.metrics import CoregistrationMetrics, GreyMetrics
from falx.bold.records import MotionRecord, RehoRecord
from falx.core.errors import FalxError, InputError
from falx.core.files import (
    read_json,
    read_participants,
    read_record,
    read_table,
    write_bytes,
    write_json,
    write_table,
    write_text,
)
from falx.core.records import plain
from falx.core.tables import rows_as
from falx.images.nifti import load
from falx.images.warp import load_map
from falx.maps.deviations.files import Cases, DeviationFiles, DeviationTest, deviation_stage
from falx.maps.deviations.sample import DeviationRow, DeviationSummary
from falx.maps.files import (
    FFiles,
    Pair,
    TFiles,
    anova_stage,
    group_map_stage,
    regression_map_stage,
)
from falx.maps.group_summary import TSummary
from falx.maps.people.files import SampleFiles
from falx.maps.sample import left_out_by_hand
from falx.maps.settings import InferenceOptions, Listing, SampleSettings
from falx.maps.together.files import TogetherSummary
from falx.report.figures import png, svg
from falx.report.page import render
from falx.report.provenance import StageRecord
from falx.studies.compare.figures import contrast_figure
from falx.studies.compare.files import map_content
from falx.studies.compare.live import group_live_page
from falx.studies.compare.questions import Question, distinct
from falx.studies.compare.sections import MapContent
from falx.studies.resistance.configuration import Kinds, Roles
from falx.studies.resistance.demographics import (
    Demographics,
    PersonMeasures,
    demographics_of,
)
from falx.studies.resistance.group_page import GroupContent, group_sections
from falx.studies.resistance.group_results import RESULT_COLUMNS, group_results, result_rows
from falx.studies.resistance.group_sections import DeviationContent
from falx.studies.resistance.person_page import PersonContent, RunContent, person_sections
from falx.studies.resistance.quality import (
    PersonQuality,
    homogeneity_of,
    quality_script,
    quality_sections,
    tsnr_of,
)
from falx.studies.resistance.steps import DEVIATIONS, GROUP_MAPS, MODALITIES, STEPS, Step

__all__ = [
    "PAIRS",
    "SHOWN",
    "DemographicFiles",
    "GroupReportFiles",
    "MapFigureFiles",
    "PersonFiles",
    "StepFiles",
    "demographics_stage",
    "group_report_stage",
    "map_figure_stage",
    "pairs_stage",
    "quality_stage",
    "role_anova_stage",
    "role_deviation_stage",
    "role_further_stage",
    "role_regression_stage",
    "run_report_stage",
]


def role_regression_stage(
    files: TFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    roles: Roles,
    *,
    predictor: str,
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Regress maps on a column within the groups that are named."""
    regression_map_stage(
        files,
        sample,
        options,
        listing,
        predictor=predictor,
        groups=roles.named,
        title=title,
        seed=seed,
        threads=threads,
    )


@dataclass(frozen=True)
class FurtherFiles(SampleFiles):
    """Files of the comparisons in which a further group takes part.

    Parameters
    ----------
    atlas, atlas_labels
        Inputs, as of :class:`falx.maps.files.MapFiles`.
    index
        Output: pairs, and why one could not be compared; the maps and tables of each lie
        beside it.
    """

    atlas: Path | None
    atlas_labels: Path | None
    index: Path

    def of(self, question: Question) -> TFiles:
        """Files of one pair: the maps and tables that a contrast of roles has."""
        common = {item.name: getattr(self, item.name) for item in fields(self)}
        stem = self.index.name.removesuffix(INDEX_END)
        label = question.name.replace("_", "")
        beside = {
            role: common["index"].with_name(f"{stem}{label}_{end}") for role, end in OWN.items()
        }
        return TFiles(**{k: v for k, v in common.items() if k != "index"}, **beside)


OWN = {
    "t_map": "tmap.nii.gz", "z_map": "zmap.nii.gz", "p_tfce_map": "pmap.nii.gz",
    "profile": "profile.tsv", "values": "values.tsv", "table": "clusters.tsv",
    "table_latex": "clusters.tex", "table_html": "clusters.html", "summary": "summary.json",
    "person_maps": "people.npz",
}  # fmt: skip
"""Output of a pair to the end of its name."""

INDEX_END = "_maps.tsv"
PAIRS = "further_pairs"
"""Step that fails where a pair did."""

BY_HAND = "left out by hand: "


@dataclass(frozen=True)
class FurtherPair:
    """A pair with a further group; `failed` says why it could not be compared."""

    first: str
    second: str
    failed: str | None = None


def role_further_stage(
    files: FurtherFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    roles: Roles,
    *,
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare every pair of groups in which one without a role takes part.

    Raises
    ------
    InputError
        If two pairs would have the same file names, or none could be compared.
    """
    distinct([Question(pair) for pair in roles.further_pairs])
    pairs = []
    for first, second in roles.further_pairs:
        own, failed = files.of(Question((first, second))), None
        try:
            pair = Pair(first, second)
            group_map_stage(
                own, sample, options, listing, pair, title=title, seed=seed, threads=threads
            )
        except FalxError as error:
            failed = str(error)
        pairs.append(FurtherPair(first, second, failed))
    if all(pair.failed for pair in pairs):
        raise InputError(
            "no pair with a further group could be compared",
            found="; ".join(dict.fromkeys(str(pair.failed) for pair in pairs)),
            do="correct --groups-others, or what the sentence names",
        )
    header = [item.name for item in fields(FurtherPair)]
    write_table(files.index, header, [astuple(pair) for pair in pairs])


@dataclass(frozen=True)
class PairsFiles:
    """Files of :func:`pairs_stage`.

    Parameters
    ----------
    further
        Inputs: modality to the index of pairs with a further group.
    table
        Output: every pair that was compared, by modality (TSV).
    """

    further: Mapping[str, Path]
    table: Path


def pairs_stage(files: PairsFiles) -> None:
    """List the pairs of all modalities, so that one that failed is a step that failed.

    Raises
    ------
    InputError
        If a pair could not be compared; the page of the group shows the others.
    """
    rows = [
        (modality, pair)
        for modality, index in files.further.items()
        for pair in rows_as(FurtherPair, read_table(index))
    ]
    failed = [
        f"{MODALITIES[modality]}, {pair.first} - {pair.second}: {pair.failed}"
        for modality, pair in rows
        if pair.failed
    ]
    if failed:
        raise InputError(
            "pairs of groups could not be compared",
            found="; ".join(failed),
            do="correct what the sentence names, or leave the group out of --groups-others",
        )
    compared = [(modality, pair.first, pair.second) for modality, pair in rows]
    write_table(files.table, ("modality", "first", "second"), compared)


def role_anova_stage(
    files: FFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    roles: Roles,
    *,
    title: str,
    min_region_voxels: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Ask whether any of the groups that are named differs."""
    anova_stage(
        files,
        sample,
        options,
        groups=roles.named,
        title=title,
        min_region_voxels=min_region_voxels,
        seed=seed,
        threads=threads,
    )


def role_deviation_stage(
    files: DeviationFiles,
    sample: SampleSettings,
    roles: Roles,
    kinds: Kinds,
    asked: DeviationTest,
    *,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare every patient with the controls, and the two groups of patients in that."""
    entries = (kinds.temporal, kinds.generalised)
    cases = Cases(roles.patients, roles.controls, kinds.subgroup_column, entries)
    deviation_stage(files, sample, cases, asked, seed=seed, threads=threads)


@dataclass(frozen=True)
class DemographicFiles:
    """Files of the comparison of people.

    Parameters
    ----------
    participants
        Input: ``participants.tsv``.
    metrics
        Inputs by subject, with the intracranial volume: only these people count.
    moved
        Inputs by subject, with the mean framewise displacement, of those who have a run.
    reho
        Inputs by subject, with the width of the noise that cleaning leaves.
    demographics
        Output: JSON with the groups and a row for each variable.
    decisions
        Input: table of who was left out by hand.
    """

    participants: Path
    metrics: Mapping[str, Path]
    moved: Mapping[str, Path] | None
    reho: Mapping[str, Path] | None
    demographics: Path
    decisions: Path | None = None


def demographics_stage(files: DemographicFiles, roles: Roles, *, group_column: str) -> None:
    """Compare the groups of those who have maps."""
    out = _by_hand(files.decisions)
    measured = [
        {s: read_record(PersonMeasures, path) for s, path in (paths or {}).items() if s not in out}
        for paths in (files.metrics, files.moved, files.reho)
    ]
    people = read_participants(files.participants)
    found = demographics_of(people, group_column, roles.named, *measured)
    write_json(files.demographics, plain(found))


def _by_hand(decisions: Path | None) -> dict[str, str]:
    return {} if decisions is None else left_out_by_hand(read_participants(decisions))


@dataclass(frozen=True)
class QualityFiles:
    """Files of the page on the quality of the sample.

    Parameters
    ----------
    participants
        Input: ``participants.tsv``.
    decisions
        Input: who was left out before.
    volumes, metrics
        Inputs by subject: grey matter in template space, its measures.
    moved, tsnr, references, reho, reho_maps
        Inputs by subject, of those who have a run.
    page, table
        Outputs: one HTML file; the decisions as they stand, with what was measured (TSV).
    """

    participants: Path
    volumes: Mapping[str, Path]
    metrics: Mapping[str, Path]
    moved: Mapping[str, Path] | None
    tsnr: Mapping[str, Path] | None
    references: Mapping[str, Path] | None
    reho: Mapping[str, Path] | None
    reho_maps: Mapping[str, Path] | None
    page: Path
    table: Path
    decisions: Path | None = None


def quality_stage(files: QualityFiles, *, group_column: str) -> None:
    """Write the page on which people are left out by hand, and the table that it saves."""
    people, out = read_participants(files.participants), _by_hand(files.decisions)
    volumes = {s: load(path) for s, path in files.volumes.items()}
    grey = homogeneity_of({s: image.data for s, image in volumes.items()})
    maps = {s: load(path).data for s, path in (files.reho_maps or {}).items()}
    alike = homogeneity_of(maps)
    rows = []
    for subject, path in files.metrics.items():
        found = PersonQuality(
            participant_id=f"sub-{subject}",
            include="no" if subject in out else "yes",
            reason=out.get(subject, "").removeprefix(BY_HAND),
            group=people.cell(subject, group_column),
            tiv_ml=read_record(GreyMetrics, path).tiv_ml,
            grey_alike_z=grey.get(subject),
            reho_alike_z=alike.get(subject),
        )
        rows.append(_with_run(found, files, subject))
    header = [item.name for item in fields(PersonQuality)]
    write_table(files.table, header, [astuple(row) for row in rows])
    without = {s: reason for s, reason in out.items() if s not in files.metrics}
    sections = quality_sections(rows, volumes, without)
    page = render("Quality of the sample", sections, script=quality_script(rows))
    write_text(files.page, page)


def _with_run(found: PersonQuality, files: QualityFiles, subject: str) -> PersonQuality:
    """Add what is measured of a run, as far as there is one."""
    if (path := (files.moved or {}).get(subject)) is not None:
        moved = read_record(MotionRecord, path)
        found = replace(
            found,
            mean_fd_mm=moved.mean_fd_mm,
            spike_percent=moved.spike_percent,
            largest_mm=moved.largest_translation_mm,
            largest_deg=moved.largest_rotation_deg,
        )
    if (path := (files.tsnr or {}).get(subject)) is not None:
        reference = load((files.references or {})[subject])
        found = replace(found, tsnr=tsnr_of(load(path), reference))
    if (path := (files.reho or {}).get(subject)) is not None:
        reho = read_record(RehoRecord, path)
        width = float(np.prod(reho.residual_fwhm_mm) ** (1 / 3))
        found = replace(found, dof=float(reho.dof_left), fwhm_mm=width)
    return found


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


@dataclass(frozen=True)
class PersonFiles:
    """Files of the page of one person.

    Parameters
    ----------
    records
        Inputs: provenance of the earlier stages.
    anatomy_metrics, grey_metrics, motion_metrics, reho_metrics, coregistration
        Inputs: what the stages measured; the last three are absent without a run.
    t1w, gm, wm
        Inputs in native T1w space.
    to_native
        Input: coordinate map, template grid → T1w mm.
    volume, reho
        Inputs in template space: smoothed grey-matter volume, Kendall's W.
    reference, tsnr
        Inputs on the grid of the run.
    carpet
        Input: series before and after cleaning.
    page
        Output: one HTML file.
    """

    records: Mapping[str, Path]
    anatomy_metrics: Path
    grey_metrics: Path
    motion_metrics: Path | None
    reho_metrics: Path | None
    coregistration: Path | None
    t1w: Path
    gm: Path
    wm: Path
    to_native: Path
    volume: Path
    reference: Path | None
    tsnr: Path | None
    reho: Path | None
    carpet: Path | None
    page: Path


def run_report_stage(files: PersonFiles, *, subject: str) -> None:
    """Write the page of one person."""
    content = PersonContent(
        anatomy_notices=read_json(files.anatomy_metrics).get("notices", ()),
        grey=read_record(GreyMetrics, files.grey_metrics),
        t1w=load(files.t1w),
        gm=load(files.gm),
        wm=load(files.wm),
        volume=load(files.volume),
        to_native=load_map(files.to_native),
        run=_run_content(files),
        provenance={name: read_record(StageRecord, path) for name, path in files.records.items()},
    )
    title = f"sub-{subject} · grey matter and resting BOLD"
    write_text(files.page, render(title, person_sections(content)))


def _run_content(files: PersonFiles) -> RunContent | None:
    """Read what there is of a run; None without its motion."""
    if files.motion_metrics is None or files.reference is None or files.tsnr is None:
        return None
    found = RunContent(
        read_record(MotionRecord, files.motion_metrics), load(files.reference), load(files.tsnr)
    )
    if files.coregistration is not None:
        found = replace(
            found, coregistration=read_record(CoregistrationMetrics, files.coregistration)
        )
    if files.reho_metrics is None or files.reho is None or files.carpet is None:
        return found
    with np.load(files.carpet) as series:
        carpet = (series["before"], series["after"])
    reho = read_record(RehoRecord, files.reho_metrics)
    return replace(found, reho=reho, reho_map=load(files.reho), carpet=carpet)


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
