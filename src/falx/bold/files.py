"""Files in, files out for resting BOLD."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.bold.measures import measure
from falx.bold.motion import realign, realign_to_mean
from falx.bold.normalise import average_run
from falx.bold.records import MeasureRecord, MotionRecord, RehoRecord
from falx.bold.reho_run import Nuisance, cleaned_series, homogeneity_maps
from falx.bold.run import BoldRun, check_repetition_time, slice_order
from falx.bold.series import TemplateSeries
from falx.bold.settings import MeasureSettings, MotionSettings, RehoSettings, SliceShift
from falx.bold.tissue import TissueSignals, tissue_signals
from falx.core.errors import collect_notices
from falx.core.files import atomic_path, read_record, write_json
from falx.core.grid import normalisation_grid
from falx.core.possible import Possible
from falx.core.records import plain
from falx.images.nifti import load, load_mask, save
from falx.images.warp import load_map
from falx.maps.inference.smoothness import fsl_smoothness

__all__ = [
    "MeasureFiles",
    "MotionFiles",
    "RehoFiles",
    "RunFiles",
    "Sidecar",
    "measure_stage",
    "motion_stage",
    "reho_stage",
]

CARPET_VOXELS = 1500
SHARE, POSITIVE = Possible(0, 1), Possible(0, math.inf)


@dataclass(frozen=True)
class Sidecar:
    """What the JSON beside a run says, None where it does not.

    The repetition time of a run whose motion is known already is that of its record.
    """

    slice_times_s: Sequence[float] | None
    slice_direction: str | None
    repetition_time_s: float | None = None


@dataclass(frozen=True)
class MotionFiles:
    """Files of the motion stage.

    Parameters
    ----------
    bold
        Input: the raw run.
    reference
        Output: mean of the realigned run, on its own grid.
    tsnr
        Output: temporal signal-to-noise of the realigned run, on its own grid.
    motion
        Output: JSON of :class:`falx.bold.records.MotionRecord`.
    """

    bold: Path
    reference: Path
    tsnr: Path
    motion: Path


@dataclass(frozen=True)
class RunFiles:
    """What a run is brought to template space with.

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
    """

    bold: Path
    motion: Path
    matrix: Path
    to_native: Path
    brain_mask: Path
    wm: Path
    csf: Path


@dataclass(frozen=True)
class RehoFiles(RunFiles):
    """Files of the ReHo stage.

    Parameters
    ----------
    reho, smoothed, share
        Outputs in template space: Kendall's W, and smoothed its z map and its share of the
        mean (zReHo and mReHo).
    neighbours_used, mask
        Outputs in template space: number of series behind each W, voxels that have one.
    carpet
        Output: series of voxels before and after cleaning, percent of the mean (npz).
    metrics
        Output: JSON of :class:`falx.bold.records.RehoRecord`.
    """

    reho: Path
    smoothed: Path
    share: Path
    neighbours_used: Path
    mask: Path
    carpet: Path
    metrics: Path


@dataclass(frozen=True)
class MeasureFiles(RunFiles):
    """Files of the stage of further measures.

    Parameters
    ----------
    alff, falff, degree, vmhc, seed
        Outputs in template space: smoothed maps on the scale of
        :data:`falx.bold.measures.MEASURES`; zero outside the brain.
    mask, vmhc_mask
        Outputs in template space: voxels that have values, and those whose mirrored voxel has
        one too.
    metrics
        Output: JSON of :class:`falx.bold.records.MeasureRecord`.
    """

    alff: Path
    falff: Path
    degree: Path
    vmhc: Path
    seed: Path
    mask: Path
    vmhc_mask: Path
    metrics: Path


def motion_stage(files: MotionFiles, sidecar: Sidecar, settings: MotionSettings) -> None:
    """Estimate head motion of a run and judge it."""
    with collect_notices() as notices:
        run = _read_run(
            files.bold,
            sidecar,
            settings,
            dropped_volumes=settings.dropped_volumes,
            least_volumes=settings.least_volumes,
        )
        found = realign(np.moveaxis(run.data, 3, 0), run.affine)
        average = average_run(run.data, run.affine, found.matrices)
        if settings.motion_passes > 1:
            found = realign_to_mean(np.moveaxis(run.data, 3, 0), run.affine, average.mean, found)
            average = average_run(run.data, run.affine, found.matrices)
    save(files.reference, average.mean, run.affine)
    save(files.tsnr, average.tsnr, run.affine, possible=POSITIVE)
    write_json(files.motion, plain(MotionRecord.of(found, run, settings, notices)))


def reho_stage(
    files: RehoFiles,
    sidecar: Sidecar,
    shift: SliceShift,
    settings: RehoSettings,
    *,
    threads: int = 1,
) -> None:
    """Clean a run in template space and measure its regional homogeneity."""
    moved = read_record(MotionRecord, files.motion)
    grid = normalisation_grid(settings.voxel_mm)
    with collect_notices() as notices:
        space, nuisance = _in_template(files, moved, sidecar, shift, settings, threads)
        cleaned, basis = cleaned_series(
            space.series, nuisance.columns, moved.repetition_time_s, settings, threads=threads
        )
        maps = homogeneity_maps(cleaned, space.mask, grid, settings, threads=threads)
        smoothness = fsl_smoothness(cleaned.T[:: max(1, len(cleaned.T) // 40)], space.mask)
    save(files.reho, maps.found.w, grid.affine, possible=SHARE)
    for path, values in (
        (files.smoothed, maps.z),
        (files.share, maps.share),
        (files.neighbours_used, maps.found.series_used),
        (files.mask, maps.found.computed),
    ):
        save(path, values, grid.affine)
    _save_carpet(files.carpet, space.series, cleaned)
    record = RehoRecord.of(
        maps.found,
        basis,
        nuisance,
        settings,
        moved,
        coverage_percent=space.coverage_percent,
        residual_fwhm_mm=smoothness.fwhm_voxels * settings.voxel_mm,
        notices=notices,
    )
    write_json(files.metrics, plain(record))


def measure_stage(
    files: MeasureFiles,
    sidecar: Sidecar,
    shift: SliceShift,
    cleaning: RehoSettings,
    settings: MeasureSettings,
    *,
    threads: int = 1,
) -> None:
    """Measure amplitudes and connectivities of the run that regional homogeneity is taken of."""
    moved = read_record(MotionRecord, files.motion)
    grid = normalisation_grid(cleaning.voxel_mm)
    with collect_notices() as notices:
        space, nuisance = _in_template(files, moved, sidecar, shift, cleaning, threads)
        found = measure(
            space.series,
            nuisance.columns,
            space.mask,
            grid,
            moved.repetition_time_s,
            cleaning,
            settings,
            threads=threads,
        )
    maps = found.maps(space.mask, grid, cleaning)
    for name, volume in maps.items():
        save(getattr(files, name), np.nan_to_num(volume), grid.affine)
    save(files.mask, space.mask, grid.affine)
    save(files.vmhc_mask, space.mask & np.isfinite(maps["vmhc"]), grid.affine)
    write_json(files.metrics, plain(MeasureRecord.of(found, settings, moved, notices)))


def _in_template(
    files: RunFiles,
    moved: MotionRecord,
    sidecar: Sidecar,
    shift: SliceShift,
    settings: RehoSettings,
    threads: int,
) -> tuple[TemplateSeries, Nuisance]:
    """Bring a run to the template, with the signals to take out."""
    space = _series(files, moved, sidecar, shift, settings, threads)
    spikes = np.zeros(moved.volumes, bool)
    spikes[list(moved.spikes)] = True
    tissues = _tissues(space, files, settings)
    return space, Nuisance.of_run(moved.parameters, spikes, tissues, space.series, settings)


def _series(
    files: RunFiles,
    moved: MotionRecord,
    sidecar: Sidecar,
    shift: SliceShift,
    settings: RehoSettings,
    threads: int,
) -> TemplateSeries:
    """Read a run as it was when its motion was estimated, and bring it to the template."""
    told = Sidecar(sidecar.slice_times_s, sidecar.slice_direction, moved.repetition_time_s)
    run = _read_run(
        files.bold, told, shift, dropped_volumes=moved.dropped_volumes, least_volumes=2
    )
    grid = normalisation_grid(settings.voxel_mm)
    return TemplateSeries.of_run(
        run,
        moved.matrices,
        load_matrix(files.matrix),
        load_map(files.to_native).on(grid, threads=threads),
        load_mask(files.brain_mask),
        threads=threads,
    )


def _tissues(
    space: TemplateSeries, files: RunFiles, settings: RehoSettings
) -> dict[str, TissueSignals]:
    """Signals of white matter and CSF."""
    asked = (
        ("white matter", files.wm, settings.wm_threshold),
        ("CSF", files.csf, settings.csf_threshold),
    )
    return {
        name: tissue_signals(
            space.tissue(load(fraction), threshold, name),
            n_components=settings.compcor_components,
            trend_order=settings.trend_order,
            name=name,
        )
        for name, fraction, threshold in asked
    }


def _read_run(
    path: Path, sidecar: Sidecar, shift: SliceShift, *, dropped_volumes: int, least_volumes: int
) -> BoldRun:
    """Read a run, check it, drop its first volumes and shift its slices."""
    image = load(path, ndim=4)
    stored: Any = nib.load(path)
    header_s = float(stored.header.get_zooms()[3])
    if stored.header.get_xyzt_units()[1] == "msec":
        header_s /= 1000.0
    time_s = check_repetition_time(header_s, sidecar.repetition_time_s, where=path.name)
    slices = None
    if shift.slice_timing and sidecar.slice_times_s is not None:
        slices = slice_order(
            sidecar.slice_times_s, sidecar.slice_direction, stored.affine, stored.shape, time_s
        )
    run = BoldRun(image.data, image.affine, time_s, slices)
    kept = run.without_first(dropped_volumes, least_volumes=least_volumes, where=path.name)
    if not shift.slice_timing:
        return kept
    return kept.slice_timed(pad=shift.slice_padding, where=path.name)


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
