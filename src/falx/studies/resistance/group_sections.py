"""Sections of the page of a group study: a comparison, an F map, deviations."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from falx.images.nifti import Image, load
from falx.maps.cluster_table import HEADINGS
from falx.maps.group_summary import facts
from falx.report.page import Block, Details, Figure, Notice, Section, Table, Text
from falx.studies.resistance.group_figures import (
    design_figure,
    glass_brain,
    homogeneity_figure,
    montage,
    peak_planes,
)

__all__ = ["KINDS", "comparison", "deviation", "effect", "read_json", "read_rows", "title_of"]

MODALITIES = {"grey": "Grey-matter volume", "reho": "Regional homogeneity"}
KINDS = {"temporal": "temporal lobe epilepsy", "generalised": "generalised epilepsy"}

PEAK = "peak, mm"
"""The three coordinates, in one column to leave room for names."""

CLUSTER = ("cluster", "sign", "cluster_voxels", "p_fsl", "p_extent", "p_mass")
"""Columns that belong to a whole cluster."""

REGION = ("region", PEAK, "voxels", "t", "f", "hedges_g", "p_voxel", "p_tfce")
"""Columns that belong to a region of it."""

ERRORS = {"p_extent": "error_extent", "p_mass": "error_mass"}
"""Permutation P and its Monte-Carlo error, printed behind it."""

SHOWN_CLUSTERS = 3
LEAST_P = 0.001
SHOWN_Z = 1.0

UNTESTED = "Means of deviations are descriptive: nothing is tested here."
DESCRIPTIVE = (
    "Means of deviations are descriptive. Only the difference of the two groups of patients is "
    "tested, by permuting their labels."
)


def title_of(name: str) -> str:
    """Title of a step, from its name.

    Examples
    --------
    >>> title_of("reho_resistant_controls"), title_of("grey_temporal_resistant_controls")
    ('Regional homogeneity', 'Grey-matter volume in temporal lobe epilepsy')
    """
    modality, _, rest = name.partition("_")
    if modality not in MODALITIES:
        return name
    kind = KINDS.get(rest.partition("_")[0], "")
    return MODALITIES[modality] + (f" in {kind}" if kind else "")


def comparison(name: str, summary_path: Path, table: Path, t_map: Path) -> Section:
    """Show a map of t: what is tested, where it differs, the clusters by region."""
    summary, rows, t = read_json(summary_path), read_rows(table), load(t_map)
    threshold = summary["critical_t"]
    blocks: list[Block] = [Text(_how(summary)), *_notices(summary)]
    blocks.append(Figure(glass_brain(t, threshold), "t beyond the voxel threshold."))
    blocks.append(Figure(montage(t, threshold), "The same on axial planes of the template."))
    blocks += _peaks(rows, t, threshold, "t")
    blocks += _clusters(rows, summary, table.stem)
    blocks.append(_design(summary))
    slope = " as a slope" if name.endswith("_regression") else ""
    return Section(f"{title_of(name)}: {summary['contrast']}{slope}", blocks)


def effect(name: str, summary_path: Path, table: Path, f_map: Path) -> Section:
    """Show a map of F."""
    summary, rows, f = read_json(summary_path), read_rows(table), load(f_map)
    threshold = summary["critical_f"]
    blocks: list[Block] = [
        Text(
            f"{_sizes(summary)}. {summary['clusters']} clusters beyond F > {threshold:.3f}; "
            f"{summary['significant']} of them pass in permuted extent. F has no random-field "
            "correction here."
        ),
        *_notices(summary),
        Figure(glass_brain(f, threshold, label="F"), "F beyond the voxel threshold."),
        Figure(montage(f, threshold, label="F"), "The same on axial planes."),
        *_clusters(rows, summary, table.stem),
        _design(summary),
    ]
    return Section(f"{title_of(name)}: {summary['contrast']}", blocks)


def deviation(name: str, summary_path: Path, index: Path) -> Section:
    """Show mean maps of patients against the controls, and every patient in a row."""
    summary = read_json(summary_path)
    how = (
        "plain z: (x - mean) / sd of the controls, without covariates"
        if summary["deviation"] == "plain"
        else "z of equal probability with the single-subject t against the controls"
    )
    with_columns = ", ".join(summary["covariates"]) or "none"
    blocks: list[Block] = [
        Text(
            f"Every patient against {summary['n_controls']} {summary['controls']}: {how}; "
            f"covariates, fitted in the controls: {with_columns}. Each control against the "
            f"others lies beyond ±{summary['beyond_z']:g} at "
            f"{summary['controls_beyond_percent']:.1f} % of voxels."
        ),
        Notice([DESCRIPTIVE if summary["differences"] else UNTESTED], "note"),
        *_notices(summary),
        *(Text(_difference(found)) for found in summary["differences"]),
    ]
    for mean in summary["means"]:
        image = load(index.with_name(mean["map"]))
        caption = f"Mean z of {mean['title']}, n = {mean['n']}, beyond ±{SHOWN_Z:g}."
        blocks.append(Figure(glass_brain(image, SHOWN_Z, label="mean z"), caption))
    rows = [
        [row["participant_id"], row["group"], _cell(row["kind"]), _cell(row["below"]),
         _cell(row["above"]), row["map"]]
        for row in read_rows(index)
    ]  # fmt: skip
    beyond = f"{summary['beyond_z']:g}"
    head = ("person", "group", "kind", f"% below -{beyond}", f"% above {beyond}", "map")
    blocks.append(Details("Every patient", [Table(head, rows)]))
    return Section(f"{title_of(name)}: patients against controls", blocks)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a tab-separated table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _how(summary: Mapping[str, Any]) -> str:
    passed = summary["significant"]
    return (
        f"{_sizes(summary)}. {summary['clusters']} clusters beyond |t| > "
        f"{summary['critical_t']:.3f}; of them pass {passed['fsl']} by random fields as in FSL "
        f"and DPABI, {passed['spm']} as in SPM, {passed['extent']} in permuted extent and "
        f"{passed['mass']} in permuted mass."
    )


def _difference(found: Mapping[str, Any]) -> str:
    where = found["region"]
    if found["region_distance_mm"]:
        where = f"{found['region_distance_mm']:.1f} mm from {where}"
    if found["exhaustive"]:
        how = f"all {found['permutations']} relabelings"
    else:
        how = f"{found['permutations']} permutations, Monte-Carlo error ±{found['p_error']:.2g}"
    first, second = found["n"]
    return (
        f"Difference of mean z, {found['title']} ({first} and {second} people): largest |t| "
        f"with t = {found['t']:.2f}, {found['dof']} degrees of freedom, at "
        f"{', '.join(f'{x:.0f}' for x in found['peak_mm'])} mm ({where}); familywise "
        f"P = {found['p']:.3g} ({how}). Map of t: group/{found['map']}."
    )


def _sizes(summary: Mapping[str, Any]) -> str:
    return ", ".join(f"{group} {n}" for group, n in summary["group_sizes"].items() if n)


def _notices(summary: Mapping[str, Any]) -> Iterator[Block]:
    if summary["notices"]:
        yield Notice(summary["notices"])


def _peaks(
    rows: Sequence[Mapping[str, str]], image: Image, threshold: float, label: str
) -> Iterator[Block]:
    """Planes through the peaks of the first clusters, or through the largest value."""
    first = {row["cluster"]: row for row in reversed(rows)}
    chosen = sorted(first.values(), key=lambda row: int(row["cluster"]))[:SHOWN_CLUSTERS]
    for row in chosen:
        point = [float(row[f"{axis}_mm"]) for axis in "xyz"]
        caption = f"Cluster {row['cluster']}: planes through its peak in {row['region']}."
        yield Figure(peak_planes(image, threshold, point, label=label), caption)
    if not chosen:
        peak = np.unravel_index(np.abs(image.data).argmax(), image.data.shape)
        point = (image.affine[:3, :3] @ np.array(peak) + image.affine[:3, 3]).tolist()
        yield Figure(
            peak_planes(image, threshold, point, label=label),
            f"Planes through the largest |{label}|.",
        )


def _clusters(
    rows: Sequence[Mapping[str, str]], summary: Mapping[str, Any], stem: str
) -> Iterator[Block]:
    """One row a region; what belongs to the whole cluster stands in its first row only."""
    above = "; ".join(f"{name}: {value}" for name, value in facts(summary))
    yield Text(f"{above[0].upper()}{above[1:]}.")
    if not rows:
        yield Text("No cluster passes the correction by which clusters are listed.")
        return
    whole = [key for key in CLUSTER if key in rows[0]]
    part = [key for key in REGION if key == PEAK or key in rows[0]]
    lines, before = [], ""
    for row in rows:
        own = [_shown(key, row) if row["cluster"] != before else "" for key in whole]
        lines.append([*own, *(_shown(key, row) for key in part)])
        before = row["cluster"]
    yield Table(
        [HEADINGS.get(key, key) for key in (*whole, *part)],
        lines,
        caption="Every atlas region inside every cluster, with its own peak; ± is the "
        f"Monte-Carlo error of a permuted P. All columns: group/{stem}.tsv, for print .tex "
        "(LaTeX) and .html.",
    )


def _design(summary: Mapping[str, Any]) -> Block:
    """Design, orthogonality and sample, folded away."""
    odd = ", ".join(summary["odd_ones_out"]) or "none"
    blocks: list[Block] = [
        Figure(design_figure(summary), "Design matrix, columns scaled to their range.")
    ]
    if summary.get("orthogonality"):
        blocks.append(
            Table(
                ("covariate", "correlation with the contrast", "variance inflation"),
                [[r["covariate"], r["correlation"], r["variance_inflation"]]
                 for r in summary["orthogonality"]],
                caption="Near 0 and 1 the covariate does not confound the contrast.",
            )
        )  # fmt: skip
    if summary["motion"]:
        blocks.append(Text(_motion(summary["motion"])))
    blocks.append(
        Figure(
            homogeneity_figure(summary["homogeneity_z"], summary["subjects"]),
            f"How alike each map is to all others, as z; below -3: {odd}.",
        )
    )
    if summary["left_out"]:
        rows = [[f"sub-{subject}", reason] for subject, reason in summary["left_out"].items()]
        blocks.append(Table(("left out", "because"), rows))
    return Details("Design, orthogonality, homogeneity of the sample", blocks)


def _motion(motion: Mapping[str, Any]) -> str:
    return (
        f"Correlation of mean FD with the map over {motion['n']} people: median over voxels "
        f"{motion['median']:.2f}, 5 % to 95 % from {motion['low']:.2f} to {motion['high']:.2f}; "
        f"{motion['beyond_percent']:.1f} % of voxels lie beyond ±{motion['limit']:.2f}, where 5 % "
        "would without any trace of motion. Covariates are not taken out here."
    )


def _shown(key: str, row: Mapping[str, str]) -> object:
    """Cell of a cluster table: a small P as its bound, a permuted P with its error."""
    if key == PEAK:
        return ",\N{NO-BREAK SPACE}".join(f"{float(row[f'{axis}_mm']):.0f}" for axis in "xyz")
    value = _cell(row[key])
    if key == "sign":
        return "higher" if value == 1 else "lower"
    if not key.startswith("p_") or not isinstance(value, int | float):
        return value
    if value < LEAST_P:
        return f"< {LEAST_P:g}"
    error = _cell(row[ERRORS[key]]) if key in ERRORS else None
    return f"{value:.3g} ± {error:.2g}" if error else value


def _cell(text: str) -> object:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None if text == "n/a" else text
