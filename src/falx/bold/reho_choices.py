"""The choices of the ReHo stage, and the two steps that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from falx.bold.cleaning import Band, CleaningBasis, clean, clean_sequentially, cleaning_basis
from falx.bold.confounds import friston24, spike_regressors
from falx.bold.reho import Border, Edge, RehoMap, Ties, regional_homogeneity
from falx.bold.series import TemplateSeries
from falx.bold.standardised import comparable, relative, standardise
from falx.bold.tissue import TissueSignals
from falx.core.errors import InputError, check_option, check_range
from falx.core.grid import Grid

__all__ = ["Cleaning", "Homogeneity", "HomogeneityMaps", "Nuisance", "RehoChoices"]


class RehoChoices(TypedDict):
    """What the ReHo stage lets a study choose.

    Parameters
    ----------
    voxel_mm
        Voxels of the maps, mm.
    low_hz, high_hz, trend_order, least_dof
        See :func:`falx.bold.cleaning.cleaning_basis`.
    order
        ``"joint"`` or ``"sequential"``, the published order of regression and filter.
    wm_threshold, csf_threshold
        Least fraction of a voxel that counts as white matter or CSF.
    compcor_components
        Principal components of white matter and of CSF in place of their means; 0: means.
    global_signal
        Whether the mean over the brain is a nuisance signal.
    spikes_before, spikes_after
        Volumes beside each spike that get a regressor too.
    neighbours, least_neighbours, ties, edge, border
        See :func:`falx.bold.reho.regional_homogeneity`.
    smoothing_fwhm_mm, standardise_first, smooth_within_mask
        See :func:`falx.bold.standardised.comparable`.
    """

    voxel_mm: float
    low_hz: float
    high_hz: float
    order: str
    trend_order: int
    wm_threshold: float
    csf_threshold: float
    compcor_components: int
    global_signal: bool
    spikes_before: int
    spikes_after: int
    least_dof: int
    neighbours: int
    least_neighbours: int
    ties: Ties
    edge: Edge
    border: Border
    smoothing_fwhm_mm: float
    standardise_first: bool
    smooth_within_mask: bool


@dataclass(frozen=True, eq=False)
class Nuisance:
    """Signals to take out, by where they come from; every part has the shape (T, P)."""

    parts: dict[str, npt.NDArray[np.float64]]
    tissues: dict[str, TissueSignals]

    @classmethod
    def of_run(
        cls,
        moved: dict[str, Any],
        tissues: dict[str, TissueSignals],
        space: TemplateSeries,
        given: RehoChoices,
    ) -> Nuisance:
        """Motion, spikes, tissues and, where it is wanted, the global signal."""
        marked = np.zeros(moved["volumes"], bool)
        marked[moved["spikes"]] = True
        spikes = spike_regressors(
            marked, previous=given["spikes_before"], later=given["spikes_after"]
        )
        parts = {"motion": friston24(np.array(moved["parameters"])), "spikes": spikes}
        parts |= {name: found.columns for name, found in tissues.items()}
        if given["global_signal"]:
            parts["global signal"] = space.series.mean(axis=0, dtype=np.float64)[:, None]
        return cls(parts, tissues)

    @property
    def columns(self) -> npt.NDArray[np.float64]:
        """Every signal, shape (T, P)."""
        return np.hstack(list(self.parts.values()))

    @property
    def described(self) -> dict[str, Any]:
        """How many columns each part has, from how many voxels, and what components explain."""
        return {
            "nuisance_columns": {name: part.shape[1] for name, part in self.parts.items()},
            "tissue_voxels": {name: found.voxels for name, found in self.tissues.items()},
            "explained_percent": {
                name: found.explained_percent for name, found in self.tissues.items()
            },
        }


@dataclass(frozen=True)
class Cleaning:
    """How nuisance and unwanted frequencies are taken out."""

    order: str
    band: Band
    trend_order: int
    least_dof: int

    def __post_init__(self) -> None:
        check_option("order", self.order, ("joint", "sequential"))

    @classmethod
    def chosen(cls, given: RehoChoices) -> Cleaning:
        """Take what concerns the cleaning."""
        band = Band(given["low_hz"], given["high_hz"])
        return cls(given["order"], band, given["trend_order"], given["least_dof"])

    def apply(
        self,
        series: npt.NDArray[np.float32],
        nuisance: npt.NDArray[np.float64],
        repetition_time_s: float,
        threads: int,
    ) -> tuple[npt.NDArray[np.float32], CleaningBasis]:
        """Return the cleaned series and what the cleaning cost."""
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


@dataclass(frozen=True, eq=False)
class HomogeneityMaps:
    """Kendall's W, and its smoothed maps: z, and as a share of the mean."""

    found: RehoMap
    z: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Homogeneity:
    """How regional homogeneity is measured and standardised."""

    neighbours: int
    least_neighbours: int
    ties: Ties
    edge: Edge
    border: Border
    smoothing: dict[str, Any]

    def __post_init__(self) -> None:
        # A study learns of a wrong choice before its first run is read.
        check_option("neighbours", str(self.neighbours), ("7", "19", "27"))
        check_range("least_neighbours", self.least_neighbours, 1, self.neighbours)

    @classmethod
    def chosen(cls, given: RehoChoices) -> Homogeneity:
        """Take what concerns the measure."""
        return cls(
            given["neighbours"],
            given["least_neighbours"],
            given["ties"],
            given["edge"],
            given["border"],
            {
                "fwhm_mm": given["smoothing_fwhm_mm"],
                "scale_first": given["standardise_first"],
                "within_mask": given["smooth_within_mask"],
            },
        )

    def apply(
        self,
        cleaned: npt.NDArray[np.float32],
        mask: npt.NDArray[np.bool_],
        grid: Grid,
        threads: int,
    ) -> HomogeneityMaps:
        """Measure and standardise the homogeneity of cleaned series."""
        found = regional_homogeneity(
            cleaned,
            mask,
            neighbours=self.neighbours,
            ties=self.ties,
            edge=self.edge,
            border=self.border,
            least_neighbours=self.least_neighbours,
            threads=threads,
        )
        if not found.computed.any():
            raise InputError(
                "no voxel has enough neighbours for regional homogeneity",
                found=f"edge {self.edge}, {self.least_neighbours} of {self.neighbours} needed",
                do="lower least_neighbours or let edge be partial",
            )
        size = grid.voxel_sizes_mm
        z, share = (
            comparable(found, size, scale, **self.smoothing) for scale in (standardise, relative)
        )
        return HomogeneityMaps(found, z, share)
