"""Files in, files out for resting BOLD."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.anatomy.registration_stage import load_matrix
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
from falx.bold.motion import realign
from falx.bold.normalise import average_run, covered_voxels, sample_run, tissue_signal
from falx.bold.reho import RehoMap, regional_homogeneity, zreho
from falx.bold.run import BoldRun, check_repetition_time, slice_order
from falx.errors import check_option, collect_notices
from falx.grid import Grid, apply_affine, normalisation_grid
from falx.images.nifti import Image, atomic_path, load, load_mask, save, write_json
from falx.images.resample import pull
from falx.images.warp import load_map
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
        middle = rotation_centre("volume", run.data.shape[:3], run.affine)
        about = rotation_centre(centre, run.data.shape[:3], run.affine)
        parameters = parameters_from_matrices(found.matrices, centre_mm=about)
        summary = motion_summary(parameters, limits)
    save(reference, average.mean, run.affine)
    save(tsnr, average.tsnr, run.affine)
    write_json(
        motion,
        {
            "repetition_time_s": run.repetition_time_s,
            "dropped_volumes": dropped_volumes,
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
            "fd_threshold_mm": fd_threshold_mm,
            "mean_fd_mm": summary.mean_fd_mm,
            "spike_percent": summary.spike_percent,
            "volumes_above_0_5_mm": int(np.count_nonzero(summary.fd_mm > 0.5)),
            "largest_translation_mm": summary.translation_mm,
            "largest_rotation_deg": summary.rotation_deg,
            "exceeds": {str(limit): summary.exceeds(limit) for limit in LIMIT_STEPS},
            "excluded": summary.excluded,
            "reasons": summary.reasons,
            "notices": notices,
        },
    )


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
    with collect_notices() as notices:
        run = read_run(
            bold,
            moved["repetition_time_s"],
            slice_times_s if slice_timing else None,
            slice_direction,
            dropped_volumes=moved["dropped_volumes"],
            least_volumes=2,
            slice_timing=slice_timing,
        )
        space = _TemplateSeries.read(run, moved, matrix, to_native, brain_mask, grid, threads)
        nuisance = np.column_stack(
            [
                friston24(np.array(moved["parameters"])),
                spike_regressors(_marked(moved)),
                space.tissue(wm, wm_threshold, "white matter"),
                space.tissue(csf, csf_threshold, "CSF"),
            ]
        )
        cleaning = _Cleaning(order, Band(low_hz, high_hz), trend_order, least_dof)
        cleaned, basis = cleaning.apply(space.series, nuisance, run.repetition_time_s, threads)
        found = regional_homogeneity(cleaned, space.mask, neighbours=neighbours, threads=threads)
        z = zreho(
            found,
            grid.voxel_sizes_mm,
            fwhm_mm=smoothing_fwhm_mm,
            order="z-then-smooth" if standardise_first else "smooth-then-z",
        )
        smoothness = fsl_smoothness(cleaned.T[:: max(1, len(cleaned.T) // 40)], space.mask)
    save(reho, found.w, grid.affine)
    save(smoothed, z, grid.affine)
    save(mask, found.computed, grid.affine)
    _save_carpet(carpet, space.series, cleaned)
    described = {
        "order": order,
        "band_hz": [low_hz, high_hz],
        **_dof_spent(basis),
        **_reho_summary(found, neighbours),
        "coverage_percent": space.coverage_percent,
        "residual_fwhm_mm": smoothness.fwhm_voxels * voxel_mm,
        "notices": notices,
    }
    carried = {name: moved[name] for name in ("mean_fd_mm", "excluded", "reasons")}
    write_json(metrics, {**described, **carried})


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


def read_run(
    path: Path,
    repetition_time_s: float | None,
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    *,
    dropped_volumes: int,
    least_volumes: int,
    slice_timing: bool,
) -> BoldRun:
    """Read a run, check it, drop its first volumes and shift its slices."""
    image = load(path, ndim=4)
    stored: Any = nib.load(path)
    header_s = float(stored.header.get_zooms()[3])
    if stored.header.get_xyzt_units()[1] == "msec":
        header_s /= 1000.0
    time_s = check_repetition_time(header_s, repetition_time_s, where=path.name)
    slices = None
    if slice_times_s is not None:
        slices = slice_order(slice_times_s, slice_direction, stored.affine, stored.shape, time_s)
    run = BoldRun(image.data, image.affine, time_s, slices)
    kept = run.without_first(dropped_volumes, least_volumes=least_volumes, where=path.name)
    return kept.slice_timed(where=path.name) if slice_timing else kept


@dataclass(frozen=True, eq=False)
class _TemplateSeries:
    """Series of the covered brain voxels of a template grid."""

    series: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    native_mm: npt.NDArray[np.float32]
    coverage_percent: float
    threads: int

    @classmethod
    def read(
        cls,
        run: BoldRun,
        moved: dict[str, Any],
        matrix: Path,
        to_native: Path,
        brain_mask: Path,
        grid: Grid,
        threads: int,
    ) -> _TemplateSeries:
        """Compose warp, coregistration and motion, and interpolate once."""
        native_mm = load_map(to_native).on(grid, threads=threads)
        brain = load_mask(brain_mask)
        inside = pull(Image(brain.data.astype(np.float32), brain.affine), native_mm) > 0.5
        points = apply_affine(load_matrix(matrix), native_mm[inside])
        matrices = np.array(moved["matrices"])
        series = sample_run(run.data, run.affine, matrices, points, threads=threads)
        covered = covered_voxels(series, inside)
        mask = np.zeros_like(inside)
        mask[inside] = covered
        return cls(series[covered], mask, native_mm, float(100 * covered.mean()), threads)

    def tissue(self, fraction: Path, threshold: float, name: str) -> npt.NDArray[np.float64]:
        """Mean signal of a tissue."""
        values = pull(load(fraction), self.native_mm, threads=self.threads)
        return tissue_signal(self.series, values, self.mask, threshold=threshold, name=name)


def _marked(moved: dict[str, Any]) -> npt.NDArray[np.bool_]:
    marked = np.zeros(moved["volumes"], bool)
    marked[moved["spikes"]] = True
    return marked


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
