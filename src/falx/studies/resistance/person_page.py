"""The page of one person of the resistance study: grey matter, motion, cleaning, ReHo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from falx.anatomy.files import load_matrix
from falx.core.files import write_text
from falx.data.priors import template
from falx.images.nifti import Image, load
from falx.images.warp import load_map
from falx.report.in_template import in_template
from falx.report.page import Block, Figure, Notice, Section, Table, Text, render
from falx.report.provenance import provenance_blocks, read_record
from falx.report.slices import Layer, slices
from falx.studies.resistance.person_figures import carpet_figure, homogeneity_figure, motion_figure

__all__ = ["run_report_stage"]


def run_report_stage(
    *,
    records: Mapping[str, Path],
    anatomy_metrics: Path,
    grey_metrics: Path,
    motion_metrics: Path | None,
    reho_metrics: Path | None,
    coregistration: Path | None,
    t1w: Path,
    gm: Path,
    wm: Path,
    to_native: Path,
    volume: Path,
    reference: Path | None,
    tsnr: Path | None,
    reho: Path | None,
    carpet: Path | None,
    page: Path,
    subject: str,
) -> None:
    """Write the page of one person.

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
    metrics = {"anatomy": read_record(anatomy_metrics), "grey": read_record(grey_metrics)}
    sections = [
        Section("Grey matter", list(_grey(metrics, t1w, gm, wm, volume))),
        Section("The template", list(_template(t1w, to_native))),
    ]
    if motion_metrics is not None and reference is not None and tsnr is not None:
        metrics["motion"] = read_record(motion_metrics)
        sections.insert(0, Section("Head motion", list(_motion(metrics["motion"]))))
        sections.append(Section("The run", list(_run(reference, tsnr, coregistration, wm))))
    if reho_metrics is not None and reho is not None and carpet is not None:
        metrics["reho"] = read_record(reho_metrics)
        sections.append(
            Section(
                "Cleaning and regional homogeneity", list(_reho(metrics["reho"], reho, carpet))
            )
        )
    notices = [text for part in metrics.values() for text in part.get("notices", ())]
    sections.insert(0, Section("Result", list(_result(metrics, list(dict.fromkeys(notices))))))
    made = {name: read_record(path) for name, path in records.items()}
    sections.append(Section("How it was made", provenance_blocks(made)))
    write_text(page, render(f"sub-{subject} · grey matter and resting BOLD", sections))


def _result(metrics: Mapping[str, Mapping[str, Any]], notices: list[str]) -> Iterator[Block]:
    grey = metrics["grey"]
    yield Text(f"Intracranial volume {grey['tiv_ml']:.0f} mL, grey matter {grey['gm_ml']:.0f} mL.")
    motion, reho = metrics.get("motion"), metrics.get("reho")
    if motion is None:
        yield Notice(["There is no resting run, so neither motion nor ReHo."], "note")
    elif motion["excluded"]:
        reasons = "; ".join(motion["reasons"])
        yield Notice([f"The run is excluded from group maps: {reasons}."], "fail")
    else:
        yield Text(f"The head moved little enough: mean FD {motion['mean_fd_mm']:.3f} mm.")
    if reho is not None:
        yield Text(
            f"Mean ReHo {reho['mean_reho']:.3f} over {reho['mask_voxels']} voxels; "
            f"{reho['dof_left']} of {reho['volumes']} degrees of freedom are left."
        )
    if notices:
        yield Notice(notices)


def _grey(
    metrics: Mapping[str, Mapping[str, Any]], t1w: Path, gm: Path, wm: Path, volume: Path
) -> Iterator[Block]:
    grey = metrics["grey"]
    yield Table(
        ("grey matter, mL", "white matter, mL", "CSF, mL", "intracranial, mL"),
        [[grey["gm_ml"], grey["wm_ml"], grey["csf_ml"], grey["tiv_ml"]]],
    )
    layers = [
        Layer(load(gm), "contour", "orange", label="grey matter"),
        Layer(load(wm), "contour", "cyan", label="white matter"),
    ]
    yield Figure(slices(load(t1w), layers, offsets_mm=(-20.0, 0.0, 20.0)), "Tissues over the T1w.")
    shown = Layer(load(volume), "map", "viridis", 0.1, 1.0, 0.1, "grey-matter volume")
    yield Figure(
        slices(template("t1"), [shown]),
        "Smoothed grey-matter volume in template space: it should follow the cortex.",
    )


def _template(t1w: Path, to_native: Path) -> Iterator[Block]:
    warped = in_template(load(t1w), load_map(to_native), voxel_mm=1.5)
    layers = [
        Layer(template("brain"), "contour", "yellow", label="brain of the template"),
        Layer(template("wm"), "contour", "cyan", label="its white matter"),
    ]
    yield Figure(
        slices(warped, layers, offsets_mm=(-20.0, 0.0, 20.0)),
        "Contours of the template over the T1w that was brought to it: they should follow the "
        "edge of the brain and of the white matter.",
    )


def _motion(motion: Mapping[str, Any]) -> Iterator[Block]:
    yield Figure(
        motion_figure(motion),
        f"Head motion; {len(motion['spikes'])} of {motion['volumes']} volumes are spikes.",
    )
    yield Table(
        ("largest shift, mm", "largest turn, °", "mean FD, mm", "spikes, %", "FD > 0.5 mm",
         "excluded"),
        [[motion["largest_translation_mm"], motion["largest_rotation_deg"],
          motion["mean_fd_mm"], motion["spike_percent"], motion["volumes_above_0_5_mm"],
          motion["excluded"]]],
        flags=["fail" if motion["excluded"] else "ok"],
    )  # fmt: skip
    yield Table(
        ("limit, mm and °", "volumes shifted further", "volumes turned further", "either",
         "a study with this limit"),
        [[f"{row['limit']:.1f}", row["shifted_volumes"], row["turned_volumes"], row["volumes"],
          "leaves the run out" if row["volumes"] else "keeps it"]
         for row in motion["beyond_limits"]],
        caption="How strict a limit on motion the run would pass.",
    )  # fmt: skip
    yield Table(
        ("Power 2012", "Jenkinson 1999", "Van Dijk 2012"),
        [[motion["mean_fd_mm"], motion["mean_fd_jenkinson_mm"], motion["mean_fd_van_dijk_mm"]]],
        caption="Mean framewise displacement, mm, by three definitions; spikes and exclusion "
        "go by the first.",
    )


def _run(reference: Path, tsnr: Path, coregistration: Path | None, wm: Path) -> Iterator[Block]:
    mean = load(reference)
    if coregistration is not None:
        white = load(wm)
        moved = Image(white.data, load_matrix(coregistration) @ white.affine)
        yield Figure(
            slices(
                mean,
                [Layer(moved, "contour", "cyan", label="white matter of the T1w")],
                offsets_mm=(-20.0, 0.0, 20.0),
            ),
            "Coregistration: white matter of the T1w over the mean of the realigned run.",
        )
        found = read_record(coregistration)
        yield Table(
            ("NMI by the header", "NMI after", "moved, mm", "overlap"),
            [[found[k] for k in ("nmi_before", "nmi_after", "mean_shift_mm", "overlap")]],
        )
    ratio = load(tsnr)
    inside = ratio.data[mean.data > 0.5 * np.percentile(mean.data, 95)]
    high = float(np.percentile(inside, 98))
    yield Figure(
        slices(mean, [Layer(ratio, "map", "magma", 0.0, high, 5.0, "tSNR")]),
        f"Temporal signal-to-noise ratio; median in the head {np.median(inside):.0f}.",
    )


def _reho(reho: Mapping[str, Any], image: Path, carpet: Path) -> Iterator[Block]:
    yield Table(
        ("volumes", "trend", "band", "nuisance", "left"),
        [[reho["volumes"], reho["dof_trend"], reho["dof_band"], reho["dof_nuisance"],
          reho["dof_left"]]],
        caption="How the degrees of freedom were spent.",
    )  # fmt: skip
    yield Table(
        tuple(reho["nuisance_columns"]),
        [list(reho["nuisance_columns"].values())],
        caption=f"Nuisance signals.{_tissues(reho)}",
    )
    with np.load(carpet) as series:
        yield Figure(
            carpet_figure(series["before"], series["after"]),
            "Every row is a voxel. What is left of vertical stripes is motion or breathing.",
        )
    low, high = reho["reho_quantiles"][0], reho["reho_quantiles"][-1]
    yield Figure(
        slices(
            template("t1"),
            [Layer(load(image), "map", "viridis", low, high, 1e-6, "Kendall's W")],
            offsets_mm=(-20.0, 0.0, 20.0),
        ),
        f"Regional homogeneity; {reho['coverage_percent']:.1f} % of the brain is covered. "
        f"Residuals are smooth to {', '.join(f'{x:.1f}' for x in reho['residual_fwhm_mm'])} mm.",
    )
    yield Figure(
        homogeneity_figure(reho),
        f"Chance is 1/K, the mean of independent series. {_full(reho)} % of the voxels have all "
        f"{reho['neighbours']} series; those with fewer lie at the edge of the brain.",
    )


def _tissues(reho: Mapping[str, Any]) -> str:
    """Say from how many voxels tissue signals come, and how much of them components hold."""
    voxels = reho["tissue_voxels"].items()
    text = f" Inside the tissues: {' and '.join(f'{n} voxels of {name}' for name, n in voxels)}."
    explained = reho["explained_percent"].items()
    shares = [f"{sum(parts):.0f} % of {name}" for name, parts in explained if parts]
    return text + (f" Components hold {' and '.join(shares)} variance." if shares else "")


def _full(reho: Mapping[str, Any]) -> str:
    full = reho["voxels_by_neighbours"].get(str(reho["neighbours"]), 0)
    return f"{100 * full / reho['mask_voxels']:.0f}"
