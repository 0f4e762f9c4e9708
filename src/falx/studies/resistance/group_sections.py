"""Sections of the page of a group study that other comparisons do not have: deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from falx.images.nifti import Image
from falx.maps.deviations.sample import DeviationDifference, DeviationRow, DeviationSummary
from falx.report.page import Block, Details, Figure, Notice, Section, Table, Text
from falx.studies.compare.figures import glass_brain
from falx.studies.compare.sections import left_out_table, notice_blocks
from falx.studies.resistance.steps import Step

__all__ = ["DeviationContent", "deviation_section"]

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
