"""Sections that show a map of t or F: what is tested, where it differs, who carries it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from falx.images.nifti import Image
from falx.maps.cluster_table import HEADINGS, ClusterRow, EffectRow, RegionRow
from falx.maps.cluster_values import ClusterValue
from falx.maps.design import Orthogonality
from falx.maps.group_summary import FSummary, MapSummary, TSummary, facts
from falx.maps.motion_correlation import MotionCorrelation
from falx.maps.people.person_maps import PersonMaps
from falx.maps.sites import WithoutSite
from falx.report.page import Block, Details, Figure, Notice, Place, Section, Table, Text
from falx.studies.compare.figures import (
    design_figure,
    glass_brain,
    homogeneity_figure,
    montage,
    peak_planes,
    values_figure,
)

__all__ = [
    "HIGHER",
    "LOWER",
    "MapContent",
    "layer_of",
    "left_out_table",
    "map_section",
    "notice_blocks",
]

PEAK = "peak, mm"
"""The three coordinates, in one column to leave room for names."""

CLUSTER = (
    "cluster", "sign", "cluster_voxels", "centre_region", "cluster_true_percent", "p_fsl",
    "p_extent", "p_mass",
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

HIGHER, LOWER = "higher", "lower"
"""Ends of the names of the layers of a map of t."""


@dataclass(frozen=True, eq=False)
class MapContent:
    """A map of t or F, its summary, the rows of its cluster table and the name of that.

    Parameters
    ----------
    title
        What the maps show.
    name
        Of the comparison, for its layers in the live view.
    folder
        Where the table lies, as the page calls it.
    values
        Everybody's mean in every listed cluster.
    slope
        Whether a column is regressed on.
    people
        Everybody's values at every kept voxel.
    """

    title: str
    summary: TSummary | FSummary
    rows: Sequence[ClusterRow] | Sequence[EffectRow]
    image: Image
    table: str
    name: str = ""
    folder: str = "group/"
    values: Sequence[ClusterValue] = ()
    slope: bool = False
    people: PersonMaps | None = None


def layer_of(name: str, value: float) -> str:
    """Name of the layer that shows a value of a map.

    Examples
    --------
    >>> layer_of("TLE left_HC", -3.1)
    'TLEleftHC-lower'
    """
    return f"{''.join(c for c in name if c.isalnum())}-{LOWER if value < 0 else HIGHER}"


def map_section(content: MapContent) -> Section:
    """Show a map: what is tested, where it differs, the clusters by region."""
    if isinstance(content.summary, FSummary):
        return _effect(content, content.summary)
    return _comparison(content, content.summary)


def _comparison(content: MapContent, summary: TSummary) -> Section:
    t, threshold = content.image, summary.critical_t
    blocks: list[Block] = [
        Text(_how(summary)),
        *notice_blocks(summary.notices),
        Figure(glass_brain(t, threshold), "t beyond the voxel threshold."),
        Figure(montage(t, threshold), "The same on axial planes of the template."),
        *_peaks(content.rows, t, threshold, "t"),
        *_clusters(content),
        *_values(content.values),
        *_sites(summary.sites),
        _design(summary, summary.orthogonality),
    ]
    slope = " as a slope" if content.slope else ""
    return Section(f"{content.title}: {summary.contrast}{slope}", blocks)


def _effect(content: MapContent, summary: FSummary) -> Section:
    f, threshold = content.image, summary.critical_f
    blocks: list[Block] = [
        Text(
            f"{_sizes(summary)}. {summary.clusters} clusters beyond F > {threshold:.3f}; "
            f"{summary.significant} of them pass in permuted extent. F has no random-field "
            "correction here."
        ),
        *notice_blocks(summary.notices),
        Figure(glass_brain(f, threshold, label="F"), "F beyond the voxel threshold."),
        Figure(montage(f, threshold, label="F"), "The same on axial planes."),
        *_clusters(content),
        _design(summary, ()),
    ]
    return Section(f"{content.title}: {summary.contrast}", blocks)


def _how(summary: TSummary) -> str:
    passed = summary.significant
    return (
        f"{_sizes(summary)}. {summary.clusters} clusters beyond |t| > "
        f"{summary.critical_t:.3f}; of them pass {passed['fsl']} by random fields as in FSL "
        f"and DPABI, {passed['spm']} as in SPM, {passed['extent']} in permuted extent and "
        f"{passed['mass']} in permuted mass."
    )


def _sizes(summary: MapSummary) -> str:
    return ", ".join(f"{group} {n}" for group, n in summary.group_sizes.items() if n)


def notice_blocks(told: Sequence[str]) -> Iterator[Block]:
    """Show the notices of a map, where there are any."""
    if told:
        yield Notice(list(told))


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
    places = [
        Place(
            (row.x_mm, row.y_mm, row.z_mm),
            layer_of(content.name, row.t if isinstance(row, ClusterRow) else 1.0),
        )
        for row in rows
    ]
    yield Table(
        [HEADINGS.get(key, key) for key in (*whole, *part)],
        lines,
        places=places,
        caption="Every atlas region inside every cluster, with its own peak; centre is the "
        "region of the cluster's centre of mass, ± the "
        f"Monte-Carlo error of a permuted P. {SURELY} All columns: "
        f"{content.folder}{content.table}.tsv, for print .tex (LaTeX) and .html.",
    )


def _values(values: Sequence[ClusterValue]) -> Iterator[Block]:
    """Everybody's mean in the first clusters, one picture each."""
    for number in list(dict.fromkeys(value.cluster for value in values))[:SHOWN_CLUSTERS]:
        own = [value for value in values if value.cluster == number]
        yield Figure(
            values_figure(
                {v.participant_id: v.adjusted for v in own},
                {v.participant_id: v.group for v in own},
            ),
            f"Cluster {number}, {own[0].region}: every person's mean at the mean of all "
            "covariates. The cluster was chosen because these differ, so they show who carries "
            "the difference, not how large it is.",
        )


def _sites(sites: Sequence[WithoutSite]) -> Iterator[Block]:
    """Show what is left of every listed cluster without each site."""
    if not sites:
        return
    clusters = len(sites[0].mean_t)
    rows = [
        [
            one.site or "nobody", one.people,
            *(one.mean_t or ["cannot be compared", *[None] * (clusters - 1)]),
        ]
        for one in sites
    ]  # fmt: skip
    yield Table(
        ("left out", "people", *(f"cluster {k + 1}, mean t" for k in range(clusters))),
        rows,
        caption="Each cluster with every site left out in turn. One that is gone without one "
        "site is a finding of that site. Student's t, at the voxels that all people chose, of "
        "maps that were harmonised, if at all, with everybody.",
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
    blocks += left_out_table(summary.left_out)
    return Details("Design, orthogonality, homogeneity of the sample", blocks)


def left_out_table(left_out: Mapping[str, str]) -> Iterator[Block]:
    """List who was left out and why, where anybody was."""
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
