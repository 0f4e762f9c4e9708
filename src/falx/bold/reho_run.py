"""From series in template space to homogeneity maps: nuisance, cleaning, measure, as chosen.

Friston et al. 1996 (motion), Behzadi et al. 2007 (components), Lindquist et al. 2019 (one
projection), Zang et al. 2004 (ReHo).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.bold.cleaning import CleaningBasis, clean, clean_sequentially, cleaning_basis
from falx.bold.confounds import friston24, spike_regressors
from falx.bold.reho import RehoMap, regional_homogeneity
from falx.bold.settings import RehoSettings
from falx.bold.standardised import comparable, relative, standardise
from falx.bold.tissue import TissueSignals
from falx.core.errors import InputError
from falx.core.grid import Grid

__all__ = ["HomogeneityMaps", "Nuisance", "cleaned_series", "homogeneity_maps"]


@dataclass(frozen=True, eq=False)
class Nuisance:
    """Signals to take out, by where they come from; every part has the shape (T, P)."""

    parts: dict[str, npt.NDArray[np.float64]]
    tissues: dict[str, TissueSignals]

    @classmethod
    def of_run(
        cls,
        parameters: npt.NDArray[np.floating],
        spikes: npt.NDArray[np.bool_],
        tissues: dict[str, TissueSignals],
        series: npt.NDArray[np.float32],
        settings: RehoSettings,
    ) -> Nuisance:
        """Motion, spikes, tissues and, where it is wanted, the global signal.

        Parameters
        ----------
        parameters, spikes
            Shapes (T, 6) and (T,).
        series
            Shape (V, T): the brain, for the global signal.
        """
        beside = spike_regressors(
            spikes, previous=settings.spikes_before, later=settings.spikes_after
        )
        parts = {"motion": friston24(parameters), "spikes": beside}
        parts |= {name: found.columns for name, found in tissues.items()}
        if settings.global_signal:
            parts |= {"global signal": series.mean(axis=0, dtype=np.float64)[:, None]}
        return cls(parts, tissues)

    @property
    def columns(self) -> npt.NDArray[np.float64]:
        """Every signal, shape (T, P)."""
        return np.hstack(list(self.parts.values()))


def cleaned_series(
    series: npt.NDArray[np.float32],
    nuisance: npt.NDArray[np.float64],
    repetition_time_s: float,
    settings: RehoSettings,
    *,
    threads: int = 1,
) -> tuple[npt.NDArray[np.float32], CleaningBasis]:
    """Return cleaned series, shape (V, T), and what the cleaning cost.

    Parameters
    ----------
    series, nuisance
        Shapes (V, T) and (T, P).
    """
    basis = cleaning_basis(
        nuisance,
        repetition_time_s,
        band=settings,
        trend_order=settings.trend_order,
        least_dof=settings.least_dof,
    )
    if settings.order == "joint":
        return clean(series, basis, threads=threads), basis
    cleaned = clean_sequentially(
        series,
        nuisance,
        repetition_time_s,
        band=settings,
        trend_order=settings.trend_order,
        threads=threads,
    )
    return cleaned, basis


@dataclass(frozen=True, eq=False)
class HomogeneityMaps:
    """Kendall's W, and its smoothed maps, shape (X, Y, Z): z, and as a share of the mean."""

    found: RehoMap
    z: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]


def homogeneity_maps(
    cleaned: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_],
    grid: Grid,
    settings: RehoSettings,
    *,
    threads: int = 1,
) -> HomogeneityMaps:
    """Measure and standardise the homogeneity of cleaned series, shape (V, T), of a mask."""
    found = regional_homogeneity(
        cleaned,
        mask,
        neighbours=settings.neighbours,
        ties=settings.ties,
        edge=settings.edge,
        border=settings.border,
        least_neighbours=settings.least_neighbours,
        threads=threads,
    )
    if not found.computed.any():
        raise InputError(
            "no voxel has enough neighbours for regional homogeneity",
            found=f"edge {settings.edge}, {settings.least_neighbours} of "
            f"{settings.neighbours} needed",
            do="lower least_neighbours or let edge be partial",
        )
    z, share = (
        comparable(
            found.w,
            found.computed,
            grid.voxel_sizes_mm,
            scale,
            fwhm_mm=settings.smoothing_fwhm_mm,
            scale_first=settings.standardise_first,
            within_mask=settings.smooth_within_mask,
        )
        for scale in (standardise, relative)
    )
    return HomogeneityMaps(found, z, share)
