"""Sections of the page of a group study: a comparison, an F map, deviations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from falx.images.nifti import Image
from falx.maps.cluster_table import HEADINGS, ClusterRow, EffectRow, RegionRow
from falx.maps.design import Orthogonality
from falx.maps.deviations.sample import DeviationDifference, DeviationRow, DeviationSummary
from falx.maps.group_summary import FSummary, MapSummary, TSummary, facts
from falx.maps.motion_correlation import MotionCorrelation
from falx.report.page import Block, Details, Figure, Notice, Section, Table, Text
from falx.studies.resistance.group_figures import (
    design_figure,
    glass_brain,
    homogeneity_figure,
    montage,
    peak_planes,
)
from falx.studies.resistance.steps import Step

__all__ = ["DeviationContent", "MapContent", "deviation_section", "map_section"]

PEAK = "peak, mm"
"""The three coordinates, in one column to leave room for names."""

CLUSTER = (
    "cluster", "sign", "cluster_voxels", "cluster_true_percent", "p_fsl", "p_extent", "p_mass"
)  # fmt: skip
"""Columns that belong to a whole cluster."""

REGION = ("region", PEAK, "voxels", "true_percent", "t", "f", "hedges_g", "p_voxel", "p_tfce")
"""Columns that belong to a region of it."""

PROBABILITIES = {
    "p_fsl": "", "p_spm": "", "p_extent": "error_extent", "p_mass": "error_mass", "p_voxel": "",
    "p_tfce": "",
}  # fmt: skip
"""Columns of P, and the Monte-Carlo error that is printed behind it."""

SURELY = (
    "A cluster's P says that something in it differs, not where; of how many of its voxels that "
    "is true is bounded from below, for all clusters and regions at once (1 - the error above)."
)

SHOWN_CLUSTERS = 3
LEAST_P = 0.001
SHOWN_Z = 1.0

UNTESTED = "Means of deviations are descriptive: nothing is tested here."
DESCRIPTIVE = (
    "Means of deviations are descriptive. Only the difference of the two groups of patients is "
    "tested, by flipping signs (a variance each) or permuting their labels (one variance)."
)


@dataclass(frozen=True, eq=False)
class MapContent:
    """A map of t or F, its summary, the rows of its cluster table and the name of that."""

    step: Step
    summary: TSummary | FSummary
    rows: Sequence[ClusterRow] | Sequence[EffectRow]
    image: Image
    table: str


@dataclass(frozen=True, eq=False)
class DeviationContent:
    """Deviations of patients: summary, rows of the index, mean maps by file name."""

    step: Step
    summary: DeviationSummary
    rows: Sequence[DeviationRow]
    means: Mapping[str, Image]


def map_section(content: MapContent) -> Section:
    """Show a map: what is tested, where it differs, the clusters by region."""
    if isinstance(content.summary, FSummary):
        return _effect(content, content.summary)
    return _comparison(content, content.summary)


def _comparison(content: MapContent, summary: TSummary) -> Section:
    t, threshold = content.image, summary.critical_t
    blocks: list[Block] = [
        Text(_how(summary)),
        *_notices(summary.notices),
        Figure(glass_brain(t, threshold), "t beyond the voxel threshold."),
        Figure(montage(t, threshold), "The same on axial planes of the template."),
        *_peaks(content.rows, t, threshold, "t"),
        *_clusters(content),
        _design(summary, summary.orthogonality),
    ]
    slope = " as a slope" if content.step.what == "regression" else ""
    return Section(f"{content.step.title}: {summary.contrast}{slope}", blocks)


def _effect(content: MapContent, summary: FSummary) -> Section:
    f, threshold = content.image, summary.critical_f
    blocks: list[Block] = [
        Text(
            f"{_sizes(summary)}. {summary.clusters} clusters beyond F > {threshold:.3f}; "
            f"{summary.significant} of them pass in permuted extent. F has no random-field "
            "correction here."
        ),
        *_notices(summary.notices),
        Figure(glass_brain(f, threshold, label="F"), "F beyond the voxel threshold."),
        Figure(montage(f, threshold, label="F"), "The same on axial planes."),
        *_clusters(content),
        _design(summary, ()),
    ]
    return Section(f"{content.step.title}: {summary.contrast}", blocks)


def deviation_section(content: DeviationContent) -> Section:
    """Show mean maps of patients against the controls, and every patient in a row."""
    summary = content.summary
    how = (
        "plain z: (x - mean) / sd of the controls, without covariates"
        if summary.deviation == "plain"
        else "z of equal probability with the single-subject t against the controls"
    )
    with_columns = ", ".join(summary.covariates) or "none"
    beyond = f"{summary.beyond_z:g}"
    blocks: list[Block] = [
        Text(
            f"Every patient against {summary.n_controls} {summary.controls}: {how}; "
            f"covariates, fitted in the controls: {with_columns}. Each control against the "
            f"others lies beyond ±{beyond} at "
            f"{summary.controls_beyond_percent:.1f} % of voxels."
        ),
        Notice([DESCRIPTIVE if summary.differences else UNTESTED], "note"),
        *_notices(summary.notices),
        *(Text(_difference(found)) for found in summary.differences),
    ]
    for mean in summary.means:
        caption = f"Mean z of {mean.title}, n = {mean.n}, beyond ±{SHOWN_Z:g}."
        blocks.append(
            Figure(glass_brain(content.means[mean.map], SHOWN_Z, label="mean z"), caption)
        )
    rows = [[r.participant_id, r.group, r.kind, r.below, r.above, r.map] for r in content.rows]
    head = ("person", "group", "kind", f"% below -{beyond}", f"% above {beyond}", "map")
    blocks.append(Details("Every patient", [Table(head, rows)]))
    blocks += _left_out(summary.left_out)
    return Section(f"{content.step.title}: patients against controls", blocks)


def _how(summary: TSummary) -> str:
    passed = summary.significant
    return (
        f"{_sizes(summary)}. {summary.clusters} clusters beyond |t| > "
        f"{summary.critical_t:.3f}; of them pass {passed['fsl']} by random fields as in FSL "
        f"and DPABI, {passed['spm']} as in SPM, {passed['extent']} in permuted extent and "
        f"{passed['mass']} in permuted mass."
    )


def _difference(found: DeviationDifference) -> str:
    where = found.region
    if found.region_distance_mm:
        where = f"{found.region_distance_mm:.1f} mm from {where}"
    if found.exhaustive:
        how = f"all {found.permutations} rearrangements"
    else:
        how = f"{found.permutations} rearrangements, Monte-Carlo error ±{found.p_error:.2g}"
    first, second = found.n
    return (
        f"Difference of mean z, {found.title} ({first} and {second} people): largest |t| "
        f"with t = {found.t:.2f}, {round(found.dof, 1):g} degrees of freedom, at "
        f"{', '.join(f'{x:.0f}' for x in found.peak_mm)} mm ({where}); familywise "
        f"P = {found.p:.3g} ({how}). Map of t: group/{found.map}."
    )


def _sizes(summary: MapSummary) -> str:
    return ", ".join(f"{group} {n}" for group, n in summary.group_sizes.items() if n)


def _notices(notices: Sequence[str]) -> Iterator[Block]:
    if notices:
        yield Notice(list(notices))


def _peaks(
    rows: Sequence[RegionRow], image: Image, threshold: float, label: str
) -> Iterator[Block]:
    """Planes through the peaks of the first clusters, or through the largest value."""
    first = {row.cluster: row for row in reversed(rows)}
    chosen = [first[number] for number in sorted(first)][:SHOWN_CLUSTERS]
    for row in chosen:
        point = [row.x_mm, row.y_mm, row.z_mm]
        caption = f"Cluster {row.cluster}: planes through its peak in {row.region}."
        yield Figure(peak_planes(image, threshold, point, label=label), caption)
    if not chosen:
        peak = np.unravel_index(np.abs(image.data).argmax(), image.data.shape)
        point = (image.affine[:3, :3] @ np.array(peak) + image.affine[:3, 3]).tolist()
        yield Figure(
            peak_planes(image, threshold, point, label=label),
            f"Planes through the largest |{label}|.",
        )


def _clusters(content: MapContent) -> Iterator[Block]:
    """One row a region; what belongs to the whole cluster stands in its first row only."""
    rows = content.rows
    above = "; ".join(f"{name}: {value}" for name, value in facts(content.summary))
    yield Text(f"{above[0].upper()}{above[1:]}.")
    if not rows:
        yield Text("No cluster passes the correction by which clusters are listed.")
        return
    cells = [_shown(row) for row in rows]
    whole = [key for key in CLUSTER if key in cells[0]]
    part = [key for key in REGION if key in cells[0]]
    lines, before = [], 0
    for row, shown in zip(rows, cells, strict=True):
        own = [shown[key] if row.cluster != before else "" for key in whole]
        lines.append([*own, *(shown[key] for key in part)])
        before = row.cluster
    yield Table(
        [HEADINGS.get(key, key) for key in (*whole, *part)],
        lines,
        caption="Every atlas region inside every cluster, with its own peak; ± is the "
        f"Monte-Carlo error of a permuted P. {SURELY} All columns: "
        f"group/{content.table}.tsv, for print .tex (LaTeX) and .html.",
    )


def _design(summary: MapSummary, orthogonality: Sequence[Orthogonality]) -> Block:
    """Design, orthogonality and sample, folded away."""
    odd = ", ".join(summary.odd_ones_out) or "none"
    blocks: list[Block] = [
        Figure(
            design_figure(summary.design, summary.columns),
            "Design matrix, columns scaled to their range.",
        )
    ]
    if orthogonality:
        blocks.append(
            Table(
                ("covariate", "correlation with the contrast", "variance inflation"),
                [[r.covariate, r.correlation, r.variance_inflation] for r in orthogonality],
                caption="Near 0 and 1 the covariate does not confound the contrast.",
            )
        )
    if summary.motion:
        blocks.append(Text(_motion(summary.motion)))
    blocks.append(
        Figure(
            homogeneity_figure(summary.homogeneity_z, summary.subjects),
            f"How alike each map is to all others, as z; below -3: {odd}.",
        )
    )
    blocks += _left_out(summary.left_out)
    return Details("Design, orthogonality, homogeneity of the sample", blocks)


def _left_out(left_out: Mapping[str, str]) -> Iterator[Block]:
    if left_out:
        rows = [[f"sub-{subject}", reason] for subject, reason in left_out.items()]
        yield Table(("left out", "because"), rows)


def _motion(motion: MotionCorrelation) -> str:
    return (
        f"Correlation of mean FD with the map over {motion.n} people: median over voxels "
        f"{motion.median:.2f}, 5 % to 95 % from {motion.low:.2f} to {motion.high:.2f}; "
        f"{motion.beyond_percent:.1f} % of voxels lie beyond ±{motion.limit:.2f}, where 5 % "
        "would without any trace of motion. Covariates are not taken out here."
    )


def _shown(row: ClusterRow | EffectRow) -> dict[str, object]:
    """Cells of a cluster table by column, those of P with their Monte-Carlo errors."""
    cells = asdict(row)
    for name in cells.keys() & PROBABILITIES.keys():
        cells[name] = _probability(cells[name], cells.get(PROBABILITIES[name]))
    if isinstance(row, ClusterRow):
        cells["sign"] = "higher" if row.sign == 1 else "lower"
    for name in ("cluster_true_percent", "true_percent"):
        if cells[name] is not None:
            cells[name] = f"≥ {cells[name]:.0f}"
    peak = (f"{value:.0f}" for value in (row.x_mm, row.y_mm, row.z_mm))
    return {**cells, PEAK: ",\N{NO-BREAK SPACE}".join(peak)}


def _probability(p: float | None, error: float | None) -> str | None:
    """Write a small P as its bound, a permuted one with its error."""
    if p is None or math.isnan(p):
        return None
    if p < LEAST_P:
        return f"< {LEAST_P:g}"
    return f"{p:.3g} ± {error:.2g}" if error else f"{p:.3g}"
