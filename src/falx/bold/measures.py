"""Measures of a resting run beside regional homogeneity, all of the same series.

Amplitudes (Zang et al. 2007, Brain Dev 29:83) are those of series that are free of nuisance
signals but not filtered, connectivities (Zuo et al. 2010, J Neurosci 30:15034; 2012, Cereb Cortex
22:1862) those of the cleaned series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.bold.amplitude import amplitude
from falx.bold.cleaning import Band, clean, cleaning_basis
from falx.bold.connectivity import degree, mirrored, seeded, unit_series
from falx.bold.reho_run import cleaned_series
from falx.bold.settings import MeasureSettings, RehoSettings
from falx.bold.standardised import Scale, as_it_is, comparable, standardise
from falx.core.grid import Grid

__all__ = ["MEASURES", "Measures", "measure"]

MEASURES: dict[str, Scale] = {
    "alff": standardise,
    "falff": standardise,
    "degree": standardise,
    "vmhc": as_it_is,
    "seed": as_it_is,
}
"""Measure to the scale on which people are compared; correlations are Fisher's z already."""


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures of one run at the voxels of its mask.

    Parameters
    ----------
    values
        By measure, shape (V,) each; NaN where a measure is not defined.
    connections
        Shape (V,): voxels that go together with each.
    seed_voxels
        How many voxels the seed holds.
    """

    values: dict[str, npt.NDArray[np.float64]]
    connections: npt.NDArray[np.int64]
    seed_voxels: int

    def maps(
        self, mask: npt.NDArray[np.bool_], grid: Grid, settings: RehoSettings
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Scaled and smoothed maps, shape (X, Y, Z); NaN where a measure is not defined."""
        found = {}
        for name, values in self.values.items():
            volume = np.zeros(mask.shape)
            volume[mask] = values
            defined = mask & np.isfinite(volume)
            scaled = comparable(
                np.where(defined, volume, 0.0),
                defined,
                grid.voxel_sizes_mm,
                MEASURES[name],
                fwhm_mm=settings.smoothing_fwhm_mm,
                scale_first=settings.standardise_first,
                within_mask=settings.smooth_within_mask or bool((mask & ~defined).any()),
            )
            found[name] = np.where(mask & ~defined, np.nan, scaled)
        return found


def measure(
    series: npt.NDArray[np.float32],
    nuisance: npt.NDArray[np.float64],
    mask: npt.NDArray[np.bool_],
    grid: Grid,
    repetition_time_s: float,
    cleaning: RehoSettings,
    settings: MeasureSettings,
    *,
    threads: int = 1,
) -> Measures:
    """Measure a run in template space.

    Parameters
    ----------
    series, nuisance
        Shapes (V, T), at the voxels of `mask` (X, Y, Z), and (T, P).
    """
    whole = cleaning_basis(
        nuisance,
        repetition_time_s,
        trend_order=cleaning.trend_order,
        least_dof=cleaning.least_dof,
    )
    sizes = amplitude(
        clean(series, whole, threads=threads),
        repetition_time_s,
        Band(cleaning.low_hz, cleaning.high_hz),
        padded=cleaning.order == "sequential",
        threads=threads,
    )
    cleaned, basis = cleaned_series(series, nuisance, repetition_time_s, cleaning, threads=threads)
    kept = basis.kept if cleaning.order == "joint" else None
    unit = unit_series(cleaned, kept)
    weighted, connections = degree(unit, least_r=settings.least_r, threads=threads)
    inside = _ball(mask, grid, settings)
    values = {
        "alff": sizes.alff,
        "falff": sizes.falff,
        "degree": weighted,
        "vmhc": mirrored(unit, mask, grid),
        "seed": seeded(cleaned, unit, inside, kept),
    }
    return Measures(values, connections, int(inside.sum()))


def _ball(
    mask: npt.NDArray[np.bool_], grid: Grid, settings: MeasureSettings
) -> npt.NDArray[np.bool_]:
    """Return which voxels of the mask, shape (V,), lie in the seed."""
    apart_mm = np.linalg.norm(grid.centres_mm()[mask] - np.array(settings.seed_mm), axis=1)
    return np.asarray(apart_mm <= settings.seed_radius_mm)
