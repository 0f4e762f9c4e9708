"""Files in, files out for resting BOLD."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.bold.cleaning import Band, CleaningBasis, clean, clean_sequentially, cleaning_basis
from falx.bold.confounds import friston24, spike_regressors
from falx.bold.displacement import (
    LIMIT_STEPS,
    MotionLimits,
    fd_jenkinson,
    motion_summary,
    parameters_from_matrices,
    rotation_centre,
)
from falx.bold.motion import MotionEstimate, realign
from falx.bold.normalise import average_run
from falx.bold.reading import TemplateSeries, read_run
from falx.bold.reho import RehoMap, regional_homogeneity, zreho
from falx.bold.run import BoldRun
from falx.errors import check_option, collect_notices
from falx.grid import Grid, normalisation_grid
from falx.images.nifti import atomic_path, save, write_json
from falx.stats.smoothness import fsl_smoothness

__all__ = ["motion_stage", "reho_stage"]

CARPET_VOXELS = 1500
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
        )
        found = realign(np.moveaxis(run.data, 3, 0), run.affine)
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
    middle = rotation_centre("volume", shape, run.affine)
    return {
        "volumes": run.data.shape[3],
        "reference": REFERENCE_SPACE,
        "convention": "matrices map reference mm to volume mm; parameters are T Rx Ry Rz "
        f"in mm and radians about the {centre}",
        "matrices": found.matrices,
        "parameters": parameters,
        "residual": found.residual,
        "fd_power_mm": summary.fd_mm,
        "fd_jenkinson_mm": fd_jenkinson(found.matrices, middle),
        "spikes": np.flatnonzero(summary.spikes),
        "fd_threshold_mm": limits.fd_mm,
        "mean_fd_mm": summary.mean_fd_mm,
        "spike_percent": summary.spike_percent,
        "volumes_above_0_5_mm": int(np.count_nonzero(summary.fd_mm > 0.5)),
        "largest_translation_mm": summary.translation_mm,
        "largest_rotation_deg": summary.rotation_deg,
        "exceeds": {str(limit): summary.exceeds(limit) for limit in LIMIT_STEPS},
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
    mask: Path,
    carpet: Path,
    metrics: Path,
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    slice_timing: bool,
    voxel_mm: float,
    low_hz: float,
    high_hz: float,
    order: str,
    trend_order: int,
    wm_threshold: float,
    csf_threshold: float,
    least_dof: int,
    neighbours: int,
    smoothing_fwhm_mm: float,
    standardise_first: bool,
    threads: int = 1,
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
    reho, smoothed, mask
        Outputs in template space: Kendall's W, its smoothed z map, voxels that have both.
    carpet
        Output: series of voxels before and after cleaning, percent of the mean (npz).
    metrics
        Output: JSON with degrees of freedom, smoothness, coverage and notices.
    order
        ``"joint"`` or ``"sequential"``, the published order of regression and filter.
    """
    moved = json.loads(motion.read_text())
    grid = normalisation_grid(voxel_mm)
    cleaning = _Cleaning(order, Band(low_hz, high_hz), trend_order, least_dof)
    measure = _Measure(neighbours, smoothing_fwhm_mm, standardise_first)
    with collect_notices() as notices:
        run = _read_again(bold, moved, slice_times_s, slice_direction, slice_timing)
        space = TemplateSeries.read(run, moved, matrix, to_native, brain_mask, grid, threads)
        del run  # the whole run is not needed beside its series
        tissues = (
            space.tissue(wm, wm_threshold, "white matter"),
            space.tissue(csf, csf_threshold, "CSF"),
        )
        time_s = moved["repetition_time_s"]
        cleaned, basis = cleaning.apply(space.series, _nuisance(moved, *tissues), time_s, threads)
        found, z = measure.apply(cleaned, space.mask, grid, threads)
        smoothness = fsl_smoothness(cleaned.T[:: max(1, len(cleaned.T) // 40)], space.mask)
    save(reho, found.w, grid.affine)
    save(smoothed, z, grid.affine)
    save(mask, found.computed, grid.affine)
    _save_carpet(carpet, space.series, cleaned)
    described = {
        "coverage_percent": space.coverage_percent,
        "residual_fwhm_mm": smoothness.fwhm_voxels * voxel_mm,
        "notices": notices,
        **{name: moved[name] for name in ("mean_fd_mm", "excluded", "reasons")},
    }
    how = {"order": order, "band_hz": [low_hz, high_hz], **_dof_spent(basis)}
    write_json(metrics, {**how, **_reho_summary(found, neighbours), **described})


def _read_again(
    bold: Path,
    moved: dict[str, Any],
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    slice_timing: bool,
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
    )


def _nuisance(moved: dict[str, Any], *tissues: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Motion, spikes and tissue signals, shape (T, P)."""
    marked = np.zeros(moved["volumes"], bool)
    marked[moved["spikes"]] = True
    motion = friston24(np.array(moved["parameters"]))
    return np.column_stack([motion, spike_regressors(marked), *tissues])


@dataclass(frozen=True)
class _Measure:
    """How regional homogeneity is measured and standardised."""

    neighbours: int
    smoothing_fwhm_mm: float
    standardise_first: bool

    def apply(
        self,
        cleaned: npt.NDArray[np.float32],
        mask: npt.NDArray[np.bool_],
        grid: Grid,
        threads: int,
    ) -> tuple[RehoMap, npt.NDArray[np.floating[Any]]]:
        """Return Kendall's W and its smoothed z map."""
        found = regional_homogeneity(cleaned, mask, neighbours=self.neighbours, threads=threads)
        z = zreho(
            found,
            grid.voxel_sizes_mm,
            fwhm_mm=self.smoothing_fwhm_mm,
            order="z-then-smooth" if self.standardise_first else "smooth-then-z",
        )
        return found, z


def _reho_summary(found: RehoMap, neighbours: int) -> dict[str, Any]:
    values = found.w[found.computed]
    return {
        "mask_voxels": len(values),
        "mean_reho": float(values.mean()),
        "reho_quantiles": np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]),
        "neighbours": neighbours,
        "voxels_with_all_neighbours": int((found.series_used == neighbours).sum()),
    }


@dataclass(frozen=True)
class _Cleaning:
    """How nuisance and unwanted frequencies are taken out."""

    order: str
    band: Band
    trend_order: int
    least_dof: int

    def apply(
        self,
        series: npt.NDArray[np.float32],
        nuisance: npt.NDArray[np.float64],
        repetition_time_s: float,
        threads: int,
    ) -> tuple[npt.NDArray[np.float32], CleaningBasis]:
        """Return the cleaned series and what the cleaning cost."""
        check_option("order", self.order, ("joint", "sequential"))
        basis = cleaning_basis(
            nuisance,
            repetition_time_s,
            band=self.band,
            trend_order=self.trend_order,
            least_dof=self.least_dof,
        )
        if self.order == "joint":
            return clean(series, basis, threads=threads), basis
        cleaned = clean_sequentially(
            series,
            nuisance,
            repetition_time_s,
            band=self.band,
            trend_order=self.trend_order,
            threads=threads,
        )
        return cleaned, basis


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
