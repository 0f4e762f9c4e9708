"""What the BOLD stages hand on as JSON: the motion of a run, and what cleaning and ReHo made.

Displacements: Power et al. 2012, NeuroImage 59:2142; Jenkinson et al. 2002, NeuroImage 17:825; Van
Dijk et al. 2012, NeuroImage 59:431.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from falx.bold.cleaning import CleaningBasis
from falx.bold.displacement import (
    BeyondLimit,
    beyond_limits,
    fd_jenkinson,
    fd_van_dijk,
    motion_summary,
    parameters_from_matrices,
    rotation_centre,
)
from falx.bold.measures import Measures
from falx.bold.motion import MotionEstimate
from falx.bold.reho import RehoMap
from falx.bold.reho_run import Nuisance
from falx.bold.run import BoldRun
from falx.bold.settings import MeasureSettings, MotionSettings, RehoSettings
from falx.core.possible import Amount, Percent, Possible, Share

__all__ = ["Histogram", "MeasureRecord", "MotionRecord", "RehoRecord"]

HISTOGRAM_BINS = 100
REFERENCE_SPACE = "first kept volume of the run"


@dataclass(frozen=True, eq=False)
class MotionRecord:
    """Head motion of a run and the decision about it; T volumes are left after the drop.

    Parameters
    ----------
    matrices
        Shape (T, 4, 4): reference mm → volume mm.
    parameters
        Shape (T, 6): mm and radians, in the words of `convention`.
    residual, fd_power_mm, fd_jenkinson_mm, fd_van_dijk_mm
        Shape (T,); `residual` is empty where another program estimated the motion.
    spikes
        Volumes whose displacement exceeds the threshold.
    """

    repetition_time_s: Amount
    dropped_volumes: int
    volumes: int
    reference: str
    convention: str
    matrices: npt.NDArray[np.float64]
    parameters: npt.NDArray[np.float64]
    residual: npt.NDArray[np.float64]
    fd_power_mm: Annotated[npt.NDArray[np.float64], Possible(0, math.inf)]
    fd_jenkinson_mm: Annotated[npt.NDArray[np.float64], Possible(0, math.inf)]
    fd_van_dijk_mm: Annotated[npt.NDArray[np.float64], Possible(0, math.inf)]
    spikes: tuple[int, ...]
    fd_threshold_mm: float
    mean_fd_mm: Amount
    spike_percent: Percent
    volumes_above_0_5_mm: int
    largest_translation_mm: Amount
    largest_rotation_deg: Amount
    mean_fd_jenkinson_mm: Amount
    mean_fd_van_dijk_mm: Amount
    beyond_limits: tuple[BeyondLimit, ...]
    excluded: bool
    reasons: tuple[str, ...]
    notices: tuple[str, ...]

    @classmethod
    def of(
        cls, found: MotionEstimate, run: BoldRun, settings: MotionSettings, notices: list[str]
    ) -> MotionRecord:
        """Derive parameters, displacements and the decision from matrices."""
        shape = run.data.shape[:3]
        about = rotation_centre(settings.centre, shape, run.affine)
        parameters = parameters_from_matrices(found.matrices, centre_mm=about)
        summary = motion_summary(parameters, settings)
        jenkinson = fd_jenkinson(found.matrices, rotation_centre("volume", shape, run.affine))
        van_dijk = fd_van_dijk(parameters)
        return cls(
            repetition_time_s=run.repetition_time_s,
            dropped_volumes=settings.dropped_volumes,
            volumes=run.data.shape[3],
            reference=REFERENCE_SPACE,
            convention="matrices map reference mm to volume mm; parameters are T Rx Ry Rz "
            f"in mm and radians about the {settings.centre}",
            matrices=found.matrices,
            parameters=parameters,
            residual=found.residual,
            fd_power_mm=summary.fd_mm,
            fd_jenkinson_mm=jenkinson,
            fd_van_dijk_mm=van_dijk,
            spikes=tuple(np.flatnonzero(summary.spikes).tolist()),
            fd_threshold_mm=settings.fd_threshold_mm,
            mean_fd_mm=summary.mean_fd_mm,
            spike_percent=summary.spike_percent,
            volumes_above_0_5_mm=int(np.count_nonzero(summary.fd_mm > 0.5)),
            largest_translation_mm=summary.translation_mm,
            largest_rotation_deg=summary.rotation_deg,
            mean_fd_jenkinson_mm=float(jenkinson.mean()),
            mean_fd_van_dijk_mm=float(van_dijk.mean()),
            beyond_limits=beyond_limits(parameters),
            excluded=summary.excluded,
            reasons=summary.reasons,
            notices=tuple(notices),
        )


@dataclass(frozen=True, eq=False)
class Histogram:
    """Edges of bins, shape (n + 1,), and how many voxels lie in each."""

    edges: npt.NDArray[np.float64]
    voxels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RehoRecord:
    """How a run was cleaned, what it cost, and how W and K are distributed.

    Parameters
    ----------
    nuisance_columns, tissue_voxels, explained_percent
        By signal: columns, voxels behind them, and their share of the variance.
    reho_quantiles
        5, 25, 50, 75 and 95 % of W over voxels.
    voxels_by_neighbours
        K, the number of series in a neighbourhood, to voxels.
    residual_fwhm_mm
        Smoothness of the cleaned series by axis.
    """

    order: str
    band_hz: tuple[float, float]
    neighbours: int
    least_neighbours: int
    ties: str
    edge: str
    border: str
    volumes: int
    dof_trend: int
    dof_band: int
    dof_nuisance: int
    dof_left: int
    nuisance_columns: Mapping[str, int]
    tissue_voxels: Mapping[str, int]
    explained_percent: Mapping[str, tuple[Percent, ...]]
    mask_voxels: int
    mean_reho: Share
    reho_quantiles: Annotated[npt.NDArray[np.float64], Possible(0, 1)]
    reho_histogram: Histogram
    voxels_by_neighbours: Mapping[str, int]
    coverage_percent: Percent
    residual_fwhm_mm: Annotated[npt.NDArray[np.float64], Possible(0, math.inf)]
    notices: tuple[str, ...]
    mean_fd_mm: Amount
    excluded: bool
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls,
        found: RehoMap,
        basis: CleaningBasis,
        nuisance: Nuisance,
        settings: RehoSettings,
        moved: MotionRecord,
        *,
        coverage_percent: float,
        residual_fwhm_mm: npt.NDArray[np.float64],
        notices: list[str],
    ) -> RehoRecord:
        """Describe the maps of one run; the three widths, shape (3,), are those of its noise."""
        values, used = found.w[found.computed], found.series_used[found.computed]
        counts, edges = np.histogram(values, bins=HISTOGRAM_BINS, range=(0.0, 1.0))
        tissues = nuisance.tissues.items()
        return cls(
            order=settings.order,
            band_hz=(settings.low_hz, settings.high_hz),
            neighbours=settings.neighbours,
            least_neighbours=settings.least_neighbours,
            ties=settings.ties,
            edge=settings.edge,
            border=settings.border,
            volumes=basis.n_times,
            dof_trend=basis.trend_dof,
            dof_band=basis.band_dof,
            dof_nuisance=basis.nuisance_dof,
            dof_left=basis.dof,
            nuisance_columns={name: part.shape[1] for name, part in nuisance.parts.items()},
            tissue_voxels={name: tissue.voxels for name, tissue in tissues},
            explained_percent={name: tissue.explained_percent for name, tissue in tissues},
            mask_voxels=len(values),
            mean_reho=float(values.mean()),
            reho_quantiles=np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]),
            reho_histogram=Histogram(edges, tuple(counts.tolist())),
            voxels_by_neighbours={
                str(k): int((used == k).sum()) for k in range(1, int(used.max()) + 1)
            },
            coverage_percent=coverage_percent,
            residual_fwhm_mm=residual_fwhm_mm,
            notices=tuple(notices),
            mean_fd_mm=moved.mean_fd_mm,
            excluded=moved.excluded,
            reasons=moved.reasons,
        )


@dataclass(frozen=True, eq=False)
class MeasureRecord:
    """What was measured of a run beside regional homogeneity.

    Parameters
    ----------
    mean
        Mean over voxels, by measure, before scaling and smoothing.
    median_connections
        Median over voxels of how many others go together with them.
    undefined_percent
        Voxels without a mirrored one.
    """

    seed_mm: tuple[float, ...]
    seed_radius_mm: float
    seed_voxels: int
    least_r: float
    mean: Mapping[str, float]
    median_connections: float
    undefined_percent: Percent
    mean_fd_mm: Amount
    excluded: bool
    reasons: tuple[str, ...]
    notices: tuple[str, ...]

    @classmethod
    def of(
        cls, found: Measures, settings: MeasureSettings, moved: MotionRecord, notices: list[str]
    ) -> MeasureRecord:
        """Describe the measures of one run."""
        return cls(
            seed_mm=settings.seed_mm,
            seed_radius_mm=settings.seed_radius_mm,
            seed_voxels=found.seed_voxels,
            least_r=settings.least_r,
            mean={name: float(np.nanmean(values)) for name, values in found.values.items()},
            median_connections=float(np.median(found.connections)),
            undefined_percent=float(100 * np.isnan(found.values["vmhc"]).mean()),
            mean_fd_mm=moved.mean_fd_mm,
            excluded=moved.excluded,
            reasons=moved.reasons,
            notices=tuple(notices),
        )
