"""Sections of the page of a group study alone: deviations, grey matter and ReHo together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from falx.images.nifti import Image
from falx.maps.deviations.sample import DeviationDifference, DeviationRow, DeviationSummary
from falx.maps.together.conjunction import SharedRegion
from falx.maps.together.files import TogetherSummary
from falx.report.page import Block, Details, Figure, Notice, Section, Table, Text
from falx.studies.compare.figures import glass_brain
from falx.studies.compare.sections import left_out_table, notice_blocks
from falx.studies.resistance.steps import Step

__all__ = ["DeviationContent", "deviation_section", "together_sections"]

SHOWN_Z = 1.0

UNTESTED = "Means of deviations are descriptive: nothing is tested here."
DESCRIPTIVE = (
    "Means of deviations are descriptive. Only the difference of the two groups of patients is "
    "tested, by flipping signs (a variance each) or permuting their labels (one variance)."
)


@dataclass(frozen=True, eq=False)
class DeviationContent:
    """Deviations of patients: summary, rows of the index, mean maps by file name."""

    step: Step
    summary: DeviationSummary
    rows: Sequence[DeviationRow]
    means: Mapping[str, Image]


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
        *notice_blocks(summary.notices),
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
    blocks += left_out_table(summary.left_out)
    return Section(f"{content.step.title}: patients against controls", blocks)


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


def together_sections(content: Sequence[TogetherSummary]) -> Iterator[Section]:
    """Show where grey matter and ReHo differ together, and which of their clusters correlate."""
    for found in content:
        blocks: list[Block] = [
            Text(
                f"A voxel differs in both maps if the larger of its two familywise P of TFCE is "
                f"at most {found.alpha:g}; that holds the error without further correction, and "
                f"is the case at {found.voxels_both} of {found.voxels} voxels."
            )
        ]
        if found.regions:
            rows = [
                [r.region, _direction(r), r.voxels, r.ml, r.p, _place(r)] for r in found.regions
            ]
            head = ("region", "grey matter, ReHo", "voxels", "mL", "P of both", "where, mm")
            blocks.append(Table(head, rows))
        if found.correlations:
            rows = [
                [f"{c.first}, {c.first_region}", f"{c.second}, {c.second_region}", c.people, c.r,
                 f"{c.low:.2f} to {c.high:.2f}", c.p, c.p_holm]
                for c in found.correlations
            ]  # fmt: skip
            blocks.append(
                Table(
                    ("cluster of grey matter", "cluster of ReHo", "people", "r",
                     "95 %", "P", "P (Holm)"),
                    rows,
                    caption="People's means in clusters of either map, less group means and "
                    "covariates: whether who has less of the one has less of the other, beyond "
                    "what the groups differ by.",
                )
            )  # fmt: skip
        elif not found.regions:
            blocks.append(Text("Neither region nor pair of clusters is shared."))
        yield Section(f"Grey matter and ReHo together: {found.contrast}", blocks)


def _direction(row: SharedRegion) -> str:
    words = ["higher" if s > 0 else "lower" for s in (row.first_sign, row.second_sign)]
    return ", ".join(words)


def _place(row: SharedRegion) -> str:
    return ", ".join(f"{x:.0f}" for x in (row.x_mm, row.y_mm, row.z_mm))
