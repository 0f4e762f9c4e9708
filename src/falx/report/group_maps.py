"""The page of a group study: who was compared, how alike the maps are, and what differs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.priors import template
from falx.images.nifti import Image, load, write_text
from falx.report.figures import COLOURS, Layer, new_figure, png, slices
from falx.report.genes_links import genes_links
from falx.report.page import Block, Figure, Notice, Section, Table, Text, render

__all__ = ["glass_brain", "group_report_stage"]

SHOWN = (
    "sign", "cluster", "cluster_voxels", "p_fsl", "p_spm", "p_extent", "p_mass", "region", "x_mm",
    "y_mm", "z_mm", "voxels", "t", "hedges_g", "p_tfce",
)  # fmt: skip
"""Columns of the cluster table on the page; the file holds all."""


def group_report_stage(
    *,
    demographics: Path,
    exclusions: Path,
    page: Path,
    expression: Path | None = None,
    ahba: str = "",
    **results: Path | None,
) -> None:
    """Write the page of the group.

    Parameters
    ----------
    demographics
        Input: JSON of the comparison of age, sex and the like.
    exclusions
        Input: who is left out, and why.
    page
        Output: one HTML file.
    expression, ahba
        Expression table or Allen download of the gene stages; neither: they are not planned.
    results
        Inputs: ``NAME_summary``, ``NAME_table`` and ``NAME_t_map`` of every group map, absent
        where a group is.
    """
    sections = [Section("Who was compared", list(_people(demographics, exclusions)))]
    names = [name.removesuffix("_summary") for name in results if name.endswith("_summary")]
    shown = []
    for name in names:
        summary, table, t_map = (results[f"{name}_{r}"] for r in ("summary", "table", "t_map"))
        if summary is not None and table is not None and t_map is not None:
            blocks = list(_comparison(_read(summary), table, load(t_map)))
            sections.append(Section(_title(name, _read(summary)), blocks))
            shown.append((name, sections[-1].title))
    sections.append(genes_links(shown, asked=bool(expression or ahba)))
    write_text(page, render("Grey matter and ReHo by group", sections))


def glass_brain(t: Image, threshold: float) -> bytes:
    """Draw the largest |t| along each axis, with its sign, over the template's outline; PNG."""
    brain = template("brain")
    figure = new_figure(9.0, 3.2)
    views = ((0, "sagittal"), (1, "coronal, L left"), (2, "axial, L left"))
    for axis, (along, title) in zip(figure.subplots(1, 3), views, strict=True):
        outline = brain.data.max(axis=along).T
        axis.contour(outline, levels=[0.5], colors=[COLOURS["grey"]], extent=_extent(brain, along))
        flat = np.take_along_axis(
            t.data, np.abs(t.data).argmax(axis=along, keepdims=True), axis=along
        ).squeeze(along).T  # fmt: skip
        drawn = axis.imshow(
            np.ma.masked_where(np.abs(flat) < threshold, flat), origin="lower", cmap="RdBu_r",
            vmin=-6, vmax=6, extent=_extent(t, along),
        )  # fmt: skip
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.colorbar(drawn, ax=figure.axes, label="t", fraction=0.02)
    return png(figure)


def _extent(image: Image, along: int) -> tuple[float, float, float, float]:
    """Millimetres of the borders of an image seen along one axis."""
    low = image.affine[:3, 3]
    high = low + np.diag(image.affine)[:3] * (np.array(image.data.shape[:3]) - 1)
    a, b = (k for k in range(3) if k != along)
    return float(low[a]), float(high[a]), float(low[b]), float(high[b])


def _people(demographics: Path, exclusions: Path) -> Iterator[Block]:
    found = _read(demographics)
    yield Table(
        ("variable", *found["groups"], "test", "P"),
        [[row["variable"], *row["cells"], row["test"], row["p"]] for row in found["rows"]],
        caption="Age: mean ± sd; sex: counts; others: median (first, third quartile).",
    )
    left = _rows(exclusions)
    if left:
        yield Table(("subject", "left out because"), [list(row.values()) for row in left])


def _comparison(summary: Mapping[str, Any], table: Path, t: Image) -> Iterator[Block]:
    sizes = ", ".join(f"{group} {n}" for group, n in summary["group_sizes"].items())
    options, fsl = summary["options"], summary["fsl"]
    yield Text(
        f"{summary['contrast']}: {sizes}; {summary['dof']} degrees of freedom; columns "
        f"{', '.join(summary['columns'])}. Voxel P < {options['voxel_p']:g} "
        f"(|t| > {summary['critical_t']:.3f}), cluster P < {options['cluster_p']:g}, two-tailed; "
        f"least cluster by random fields {fsl['least_cluster_voxels']} voxels; residuals smooth "
        f"to {', '.join(f'{x:.2f}' for x in fsl['fwhm_voxels'])} voxels; "
        f"{summary['permutations']} permutations; clusters listed by {summary['listed_by']}."
    )
    if summary["notices"]:
        yield Notice(summary["notices"])
    yield Figure(_design_picture(summary), "Design matrix, columns scaled to their range.")
    yield Table(
        ("covariate", "correlation with the contrast", "variance inflation"),
        [[r["covariate"], r["correlation"], r["variance_inflation"]]
         for r in summary["orthogonality"]],
        caption="Orthogonality: near 0 and 1 the covariate does not confound the groups.",
    )  # fmt: skip
    odd = ", ".join(summary["odd_ones_out"]) or "none"
    yield Figure(
        _homogeneity_picture(summary["homogeneity_z"]),
        f"How alike each map is to all others, as z; below -3: {odd}.",
    )
    yield Figure(glass_brain(t, summary["critical_t"]), "t beyond the voxel threshold.")
    peak = np.unravel_index(np.abs(t.data).argmax(), t.data.shape)
    centre = t.affine[:3, :3] @ np.array(peak) + t.affine[:3, 3]
    layer = Layer(t, "map", "RdBu_r", -6.0, 6.0, summary["critical_t"], "t")
    yield Figure(
        slices(template("t1"), [layer], centre_mm=centre), "Planes through the largest |t|."
    )
    yield _clusters(_rows(table))


def _clusters(rows: Sequence[Mapping[str, str]]) -> Block:
    if not rows:
        return Text("No cluster passes the correction by which clusters are listed.")
    return Table(
        SHOWN,
        [[_cell(row[name]) for name in SHOWN] for row in rows],
        caption="Random-field and permutation P side by side; x, y, z in mm of the template.",
    )


def _design_picture(summary: Mapping[str, Any]) -> bytes:
    matrix = np.array(summary["design"])
    spread = np.ptp(matrix, axis=0)
    scaled = (matrix - matrix.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled[:, spread == 0] = 1.0
    figure = new_figure(5.0, 3.0)
    axis = figure.subplots()
    axis.imshow(scaled, aspect="auto", cmap="gray", interpolation="nearest")
    axis.set_xticks(range(len(summary["columns"])), summary["columns"], rotation=30, fontsize=8)
    axis.set_ylabel("person")
    return png(figure)


def _homogeneity_picture(z: Mapping[str, float]) -> bytes:
    figure = new_figure(8.0, 2.2)
    axis = figure.subplots()
    axis.bar(range(len(z)), list(z.values()), color=COLOURS["blue"])
    axis.axhline(-3.0, color=COLOURS["orange"], lw=1)
    axis.set_xticks(range(len(z)), list(z), rotation=90, fontsize=7)
    axis.set_ylabel("z")
    return png(figure)


def _title(name: str, summary: Mapping[str, Any]) -> str:
    what = {"grey": "Grey-matter volume", "reho": "Regional homogeneity"}[name.partition("_")[0]]
    return f"{what}: {summary['contrast']}"


def _cell(text: str) -> object:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None if text == "n/a" else text


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
