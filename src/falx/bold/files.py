"""Files in, files out for resting BOLD."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from falx.bold.cleaning import CleaningBasis
from falx.bold.displacement import (
    MotionLimits,
    beyond_limits,
    fd_jenkinson,
    fd_van_dijk,
    motion_summary,
    parameters_from_matrices,
    rotation_centre,
)
from falx.bold.motion import MotionEstimate, realign, realign_to_mean
from falx.bold.normalise import average_run
from falx.bold.reho import RehoMap
from falx.bold.reho_choices import Cleaning, Homogeneity, Nuisance, RehoChoices
from falx.bold.run import BoldRun
from falx.bold.series import TemplateSeries, read_run
from falx.bold.slice_timing import Pad
from falx.bold.tissue import TissueSignals, tissue_signals
from falx.core.errors import collect_notices
from falx.core.files import atomic_path, write_json
from falx.core.grid import normalisation_grid
from falx.images.nifti import save
from falx.maps.inference.smoothness import fsl_smoothness

__all__ = ["motion_stage", "reho_stage"]

CARPET_VOXELS = 1500
HISTOGRAM_BINS = 100
REFERENCE_SPACE = "first kept volume of the run"


def motion_stage(
    *,
    bold: Path,
    reference: Path,
    tsnr: Path,
    motion: Path,
    repetition_time_s: float | None,
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    dropped_volumes: int,
    least_volumes: int,
    slice_timing: bool,
    slice_padding: Pad,
    motion_passes: int,
    translation_limit_mm: float,
    rotation_limit_deg: float,
    fd_threshold_mm: float,
    spike_limit_percent: float,
    centre: str,
) -> None:
    """Estimate head motion of a run and judge it.

    Parameters
    ----------
    bold
        Input: the raw run.
    reference
        Output: mean of the realigned run, on its own grid.
    tsnr
        Output: temporal signal-to-noise of the realigned run, on its own grid.
    motion
        Output: JSON with matrices, parameters, displacements, spikes, decision and notices.
    repetition_time_s, slice_times_s, slice_direction
        Of the sidecar, None where it does not say.
    slice_padding
        ``"odd"`` or ``"spm"``, see :func:`falx.bold.slice_timing.shift_series`.
    motion_passes
        1: to the first volume; 2: then to the mean of the realigned run.
    centre
        ``"world"`` or ``"volume"``: point about which rotations are expressed.
    """
    limits = MotionLimits(
        translation_limit_mm, rotation_limit_deg, fd_threshold_mm, spike_limit_percent
    )
    with collect_notices() as notices:
        run = read_run(
            bold,
            repetition_time_s,
            slice_times_s if slice_timing else None,
            slice_direction,
            dropped_volumes=dropped_volumes,
            least_volumes=least_volumes,
            slice_timing=slice_timing,
            slice_padding=slice_padding,
        )
        found = realign(np.moveaxis(run.data, 3, 0), run.affine)
        average = average_run(run.data, run.affine, found.matrices)
        if motion_passes > 1:
            found = realign_to_mean(np.moveaxis(run.data, 3, 0), run.affine, average.mean, found)
            average = average_run(run.data, run.affine, found.matrices)
    save(reference, average.mean, run.affine)
    save(tsnr, average.tsnr, run.affine)
    taken = {"repetition_time_s": run.repetition_time_s, "dropped_volumes": dropped_volumes}
    judged = _judged(found, run, limits, centre)
    write_json(motion, {**taken, **judged, "notices": notices})


def _judged(
    found: MotionEstimate, run: BoldRun, limits: MotionLimits, centre: str
) -> dict[str, Any]:
    """Return matrices, parameters, displacements and the decision."""
    shape = run.data.shape[:3]
    about = rotation_centre(centre, shape, run.affine)
    parameters = parameters_from_matrices(found.matrices, centre_mm=about)
    summary = motion_summary(parameters, limits)
    jenkinson = fd_jenkinson(found.matrices, rotation_centre("volume", shape, run.affine))
    van_dijk = fd_van_dijk(parameters)
    return {
        "volumes": run.data.shape[3],
        "reference": REFERENCE_SPACE,
        "convention": "matrices map reference mm to volume mm; parameters are T Rx Ry Rz "
        f"in mm and radians about the {centre}",
        "matrices": found.matrices,
        "parameters": parameters,
        "residual": found.residual,
        "fd_power_mm": summary.fd_mm,
        "fd_jenkinson_mm": jenkinson,
        "fd_van_dijk_mm": van_dijk,
        "spikes": np.flatnonzero(summary.spikes),
        "fd_threshold_mm": limits.fd_mm,
        "mean_fd_mm": summary.mean_fd_mm,
        "spike_percent": summary.spike_percent,
        "volumes_above_0_5_mm": int(np.count_nonzero(summary.fd_mm > 0.5)),
        "largest_translation_mm": summary.translation_mm,
        "largest_rotation_deg": summary.rotation_deg,
        "mean_fd_jenkinson_mm": float(jenkinson.mean()),
        "mean_fd_van_dijk_mm": float(van_dijk.mean()),
        "beyond_limits": [asdict(found) for found in beyond_limits(parameters)],
        "excluded": summary.excluded,
        "reasons": summary.reasons,
    }


def reho_stage(
    *,
    bold: Path,
    motion: Path,
    matrix: Path,
    to_native: Path,
    brain_mask: Path,
    wm: Path,
    csf: Path,
    reho: Path,
    smoothed: Path,
    share: Path,
    neighbours_used: Path,
    mask: Path,
    carpet: Path,
    metrics: Path,
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    slice_timing: bool,
    slice_padding: Pad,
    threads: int = 1,
    **given: Unpack[RehoChoices],
) -> None:
    """Clean a run in template space and measure its regional homogeneity.

    Parameters
    ----------
    bold, motion
        Inputs: the raw run, and the JSON of :func:`motion_stage`.
    matrix
        Input: JSON of the coregistration, T1w mm → mm of the run's reference.
    to_native
        Input: coordinate map, template grid → T1w mm.
    brain_mask, wm, csf
        Inputs on the T1w grid.
    reho, smoothed, share
        Outputs in template space: Kendall's W, and smoothed its z map and its share of the
        mean (zReHo and mReHo).
    neighbours_used, mask
        Outputs in template space: number of series behind each W, voxels that have one.
    carpet
        Output: series of voxels before and after cleaning, percent of the mean (npz).
    metrics
        Output: JSON with degrees of freedom, smoothness, coverage and notices.
    given
        See :class:`falx.bold.reho_choices.RehoChoices`.
    """
    cleaning, homogeneity = Cleaning.chosen(given), Homogeneity.chosen(given)
    moved = json.loads(motion.read_text())
    grid = normalisation_grid(given["voxel_mm"])
    with collect_notices() as notices:
        run = _read_again(bold, moved, slice_times_s, slice_direction, slice_timing, slice_padding)
        space = TemplateSeries.read(run, moved, matrix, to_native, brain_mask, grid, threads)
        del run  # the whole run is not needed beside its series
        nuisance = Nuisance.of_run(moved, _tissues(space, wm, csf, given), space, given)
        cleaned, basis = cleaning.apply(
            space.series, nuisance.columns, moved["repetition_time_s"], threads
        )
        maps = homogeneity.apply(cleaned, space.mask, grid, threads)
        smoothness = fsl_smoothness(cleaned.T[:: max(1, len(cleaned.T) // 40)], space.mask)
    for path, values in (
        (reho, maps.found.w), (smoothed, maps.z), (share, maps.share),
        (neighbours_used, maps.found.series_used), (mask, maps.found.computed),
    ):  # fmt: skip
        save(path, values, grid.affine)
    _save_carpet(carpet, space.series, cleaned)
    measured = {
        "coverage_percent": space.coverage_percent,
        "residual_fwhm_mm": smoothness.fwhm_voxels * given["voxel_mm"],
        "notices": notices,
        **{name: moved[name] for name in ("mean_fd_mm", "excluded", "reasons")},
    }
    spent = {**_dof_spent(basis), **nuisance.described}
    write_json(metrics, {**_chosen(given), **spent, **_reho_summary(maps.found), **measured})


def _tissues(
    space: TemplateSeries, wm: Path, csf: Path, given: RehoChoices
) -> dict[str, TissueSignals]:
    """Signals of white matter and CSF."""
    asked = (("white matter", wm, given["wm_threshold"]), ("CSF", csf, given["csf_threshold"]))
    return {
        name: tissue_signals(
            space.tissue(fraction, threshold, name),
            n_components=given["compcor_components"],
            trend_order=given["trend_order"],
            name=name,
        )
        for name, fraction, threshold in asked
    }


def _read_again(
    bold: Path,
    moved: dict[str, Any],
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    slice_timing: bool,
    slice_padding: Pad,
) -> BoldRun:
    """Read a run as it was when its motion was estimated."""
    return read_run(
        bold,
        moved["repetition_time_s"],
        slice_times_s if slice_timing else None,
        slice_direction,
        dropped_volumes=moved["dropped_volumes"],
        least_volumes=2,
        slice_timing=slice_timing,
        slice_padding=slice_padding,
    )


def _chosen(given: RehoChoices) -> dict[str, Any]:
    return {
        "order": given["order"],
        "band_hz": [given["low_hz"], given["high_hz"]],
        "neighbours": given["neighbours"],
        "least_neighbours": given["least_neighbours"],
        "ties": given["ties"],
        "edge": given["edge"],
        "border": given["border"],
    }


def _reho_summary(found: RehoMap) -> dict[str, Any]:
    """Return the distributions of W and of K over the voxels that have them."""
    values, used = found.w[found.computed], found.series_used[found.computed]
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
    most = int(used.max())
    return {
        "mask_voxels": len(values),
        "mean_reho": float(values.mean()),
        "reho_quantiles": np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]),
        "reho_histogram": {"edges": edges, "voxels": counts},
        "voxels_by_neighbours": {str(k): int((used == k).sum()) for k in range(1, most + 1)},
    }


def _dof_spent(basis: CleaningBasis) -> dict[str, int]:
    return {
        "volumes": basis.n_times,
        "dof_trend": basis.trend_dof,
        "dof_band": basis.band_dof,
        "dof_nuisance": basis.nuisance_dof,
        "dof_left": basis.dof,
    }


def _save_carpet(
    path: Path, before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]
) -> None:
    """Every n-th voxel, so that the picture stays small; percent of the voxel's mean."""
    every = max(1, len(before) // CARPET_VOXELS)
    mean = np.maximum(np.abs(before[::every].mean(axis=1, keepdims=True)), 1e-6)
    change = {}
    for name, series in (("before", before[::every]), ("after", after[::every])):
        change[name] = (100 * (series - series.mean(axis=1, keepdims=True)) / mean).astype("f2")
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **change)
