"""Files in, files out for resting BOLD."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.bold.displacement import matrices_from_parameters
from falx.bold.measures import measure
from falx.bold.motion import MotionEstimate, realign, realign_to_mean
from falx.bold.normalise import RunAverage, average_run, covered_voxels
from falx.bold.prepared import motion_columns, prepared_nuisance
from falx.bold.records import MeasureRecord, MotionRecord, RehoRecord
from falx.bold.reho_run import Nuisance, cleaned_series, homogeneity_maps
from falx.bold.run import BoldRun, check_repetition_time, slice_order
from falx.bold.series import TemplateSeries
from falx.bold.settings import MeasureSettings, MotionSettings, RehoSettings, SliceShift
from falx.bold.tissue import TissueSignals, tissue_signals
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import atomic_path, read_record, read_table, write_json
from falx.core.grid import Grid, normalisation_grid, require_same
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
TOLD = "T Rx Ry Rz in mm and radians, as another program gave them"
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
    prepared, confounds
        Inputs: a run that another program has preprocessed and its table of confounds, taken
        instead of the raw run where they are given.
    reference
        Output: mean of the realigned run, on its own grid.
    tsnr
        Output: temporal signal-to-noise of the realigned run, on its own grid.
    motion
        Output: JSON of :class:`falx.bold.records.MotionRecord`.
    """

    bold: Path | None
    reference: Path
    tsnr: Path
    motion: Path
    prepared: Path | None = None
    confounds: Path | None = None


@dataclass(frozen=True, kw_only=True)
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
    prepared, prepared_mask, confounds
        Inputs: a run that another program has brought to template space, the mask of its brain
        and its table of confounds; measured on its own grid, instead of the raw run.
    """

    bold: Path | None
    motion: Path
    matrix: Path | None
    to_native: Path
    brain_mask: Path
    wm: Path
    csf: Path
    prepared: Path | None = None
    prepared_mask: Path | None = None
    confounds: Path | None = None


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, eq=False)
class _Ready:
    """A run in template space: series (V, T) of a mask on a grid, and what to take out."""

    series: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    grid: Grid
    coverage_percent: float
    nuisance: Nuisance


def motion_stage(files: MotionFiles, sidecar: Sidecar, settings: MotionSettings) -> None:
    """Estimate head motion of a run, or take it from another program, and judge it."""
    with collect_notices() as notices:
        if files.prepared is not None:
            run, found, average = _told_motion(files, settings)
        else:
            run, found, average = _estimated_motion(files, sidecar, settings)
    save(files.reference, average.mean, run.affine)
    save(files.tsnr, average.tsnr, run.affine, possible=POSITIVE)
    record = MotionRecord.of(found, run, settings, notices)
    if files.prepared is not None:
        record = replace(record, reference=files.prepared.name, convention=TOLD)
    write_json(files.motion, plain(record))


def _estimated_motion(
    files: MotionFiles, sidecar: Sidecar, settings: MotionSettings
) -> tuple[BoldRun, MotionEstimate, RunAverage]:
    """Estimate the motion of a raw run."""
    run = _read_run(
        _given(files.bold, "resting BOLD run"),
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
    return run, found, average


def _told_motion(
    files: MotionFiles, settings: MotionSettings
) -> tuple[BoldRun, MotionEstimate, RunAverage]:
    """Take the motion of a preprocessed run from its table of confounds."""
    path = _given(files.prepared, "preprocessed run")
    table = read_table(_given(files.confounds, "table of confounds of the preprocessed run"))
    whole = _read_prepared(path)
    run = whole.without_first(
        settings.dropped_volumes, least_volumes=settings.least_volumes, where=path.name
    )
    notify(
        "the run was preprocessed by another program: motion and nuisance signals are those of "
        "its table of confounds, and the maps lie on its grid",
        found=path.name,
    )
    parameters = motion_columns(table, whole.data.shape[3], settings.dropped_volumes)
    matrices, unknown = matrices_from_parameters(parameters), np.empty(0)
    found = MotionEstimate(matrices, unknown.astype(np.int64), unknown)
    return run, found, RunAverage.of(run.data)


def _read_prepared(path: Path) -> BoldRun:
    image = load(path, ndim=4)
    return BoldRun(image.data, image.affine, _header_s(path))


def _given(path: Path | None, what: str) -> Path:
    if path is None:
        raise InputError(f"there is no {what}", do="give it, or say --no-bold-prepared")
    return path


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
    with collect_notices() as notices:
        space = _in_template(files, moved, sidecar, shift, settings, threads)
        grid, nuisance = space.grid, space.nuisance
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
        residual_fwhm_mm=smoothness.fwhm_voxels * grid.voxel_sizes_mm,
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
    with collect_notices() as notices:
        space = _in_template(files, moved, sidecar, shift, cleaning, threads)
        grid = space.grid
        found = measure(
            space.series,
            space.nuisance.columns,
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
) -> _Ready:
    """Bring a run to the template, or take it from there, with the signals to take out."""
    spikes = np.zeros(moved.volumes, bool)
    spikes[list(moved.spikes)] = True
    if files.prepared is not None:
        return _prepared(files, moved, spikes, settings)
    space = _series(files, moved, sidecar, shift, settings, threads)
    tissues = _tissues(space, files, settings)
    nuisance = Nuisance.of_run(moved.parameters, spikes, tissues, space.series, settings)
    grid = normalisation_grid(settings.voxel_mm)
    return _Ready(space.series, space.mask, grid, space.coverage_percent, nuisance)


def _prepared(
    files: RunFiles,
    moved: MotionRecord,
    spikes: npt.NDArray[np.bool_],
    settings: RehoSettings,
) -> _Ready:
    """Read a preprocessed run inside its brain."""
    run = _read_prepared(_given(files.prepared, "preprocessed run"))
    brain = load_mask(_given(files.prepared_mask, "brain mask of the preprocessed run"))
    grid = Grid(run.data.shape[:3], run.affine)
    require_same("the brain mask", brain.grid, "the preprocessed run", grid)
    dropped = moved.dropped_volumes
    series = np.ascontiguousarray(run.data[brain.data > 0][:, dropped:])
    covered = covered_voxels(series, brain.data > 0)
    mask = np.zeros(grid.shape, bool)
    mask[brain.data > 0] = covered
    table = read_table(_given(files.confounds, "table of confounds of the preprocessed run"))
    nuisance = prepared_nuisance(
        table, moved.parameters, spikes, series[covered], dropped, settings
    )
    return _Ready(series[covered], mask, grid, float(100 * covered.mean()), nuisance)


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
        _given(files.bold, "resting BOLD run"),
        told,
        shift,
        dropped_volumes=moved.dropped_volumes,
        least_volumes=2,
    )
    grid = normalisation_grid(settings.voxel_mm)
    return TemplateSeries.of_run(
        run,
        moved.matrices,
        load_matrix(_given(files.matrix, "coregistration")),
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
    time_s = check_repetition_time(_header_s(path), sidecar.repetition_time_s, where=path.name)
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


def _header_s(path: Path) -> float:
    """Return the repetition time of the header, s."""
    header: Any = nib.load(path).header
    thousand = 1000.0 if header.get_xyzt_units()[1] == "msec" else 1.0
    return float(header.get_zooms()[3]) / thousand


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
