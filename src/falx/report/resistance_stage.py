"""The page of one person of the resistance study: grey matter, motion, cleaning, ReHo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.anatomy.registration_stage import load_matrix
from falx.data.priors import template
from falx.images.nifti import Image, load, write_text
from falx.report.figures import COLOURS, new_figure, png
from falx.report.page import Block, Figure, Notice, Section, Table, Text, render
from falx.report.provenance import provenance_blocks, read_record
from falx.report.slices import Layer, slices

__all__ = ["carpet_figure", "motion_figure", "run_report_stage"]


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
    sections = [Section("Grey matter", list(_grey(metrics, t1w, gm, wm, volume)))]
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


def motion_figure(motion: Mapping[str, Any]) -> bytes:
    """Draw six motion parameters and framewise displacement with its threshold; PNG."""
    parameters = np.array(motion["parameters"])
    figure = new_figure(9.0, 6.0)
    shift, turn, displaced = figure.subplots(3, 1, sharex=True)
    for column, name in enumerate("xyz"):
        shift.plot(parameters[:, column], lw=1, label=name)
        turn.plot(np.rad2deg(parameters[:, 3 + column]), lw=1, label=name)
    displaced.plot(motion["fd_power_mm"], lw=1, color=COLOURS["ink"])
    displaced.axhline(motion["fd_threshold_mm"], color=COLOURS["orange"], lw=1)
    spikes = motion["spikes"]
    displaced.plot(spikes, np.array(motion["fd_power_mm"])[spikes], "o", color=COLOURS["orange"])
    for axis, label in ((shift, "shift, mm"), (turn, "turn, degrees"), (displaced, "FD, mm")):
        axis.set_ylabel(label)
    shift.legend(ncols=3, frameon=False, loc="upper right")
    displaced.set_xlabel("volume")
    return png(figure)


def carpet_figure(before: npt.NDArray[np.floating], after: npt.NDArray[np.floating]) -> bytes:
    """Draw series of voxels as grey values, before and after cleaning; PNG."""
    figure = new_figure(9.0, 5.5)
    for axis, values, title in zip(
        figure.subplots(2, 1, sharex=True), (before, after), ("before", "after"), strict=True
    ):
        drawn = axis.imshow(
            values.astype(np.float32), aspect="auto", cmap="gray", vmin=-3, vmax=3,
            interpolation="nearest",
        )  # fmt: skip
        axis.set_ylabel(f"voxels, {title}")
        axis.set_yticks([])
    axis.set_xlabel("volume")
    figure.colorbar(drawn, ax=figure.axes, label="% of the mean", fraction=0.02)
    return png(figure)


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
