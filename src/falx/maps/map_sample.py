"""The maps of a sample in one table, inside the mask that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.maps.harmonise import combat, covbat
from falx.maps.head_size import adjust_for_tiv, sample_homogeneity
from falx.maps.motion_correlation import MotionCorrelation, motion_correlation
from falx.maps.sample import NOT_MEASURED, Measured, Sample

__all__ = ["MapSample", "SampleSummary", "adjusted_sample", "harmonised", "sample_described"]

TIV = "tiv_ml"


@dataclass(frozen=True, eq=False)
class MapSample:
    """Maps inside their common mask, and what the model must hold.

    Parameters
    ----------
    sample
        The people, in the order of the rows.
    data
        Shape (n, V), head size accounted for where the maps themselves are adjusted.
    mask
        Shape (X, Y, Z), on `grid`.
    covariates
        Values by name, shape (n,) each; with intracranial volume where it is a covariate.
    mean_fd_mm
        Shape (n,): how much each moved; None for maps that no motion was measured for.
    """

    sample: Sample
    data: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    grid: Grid
    covariates: Mapping[str, npt.NDArray[np.float64]]
    mean_fd_mm: npt.NDArray[np.float64] | None

    def volume(self, values: npt.ArrayLike, *, outside: float = 0.0) -> npt.NDArray[np.float32]:
        """Return values of shape (V,), or one for all, as a volume of shape (X, Y, Z)."""
        volume = np.full(self.mask.shape, outside, np.float32)
        volume[self.mask] = values
        return volume


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleSummary:
    """Who is in a sample and how alike their maps are.

    Parameters
    ----------
    group_sizes
        Every group that was asked for and its people.
    subjects, left_out
        Subject to group, and to the reason why not.
    homogeneity_z
        Mean correlation with all other maps, as z, by subject.
    odd_ones_out
        Those whose z is below -3.
    motion
        Correlation of mean displacement with the map; None where nobody's was measured.
    """

    group_sizes: Mapping[str, int]
    subjects: Mapping[str, str]
    left_out: Mapping[str, str]
    homogeneity_z: Mapping[str, float]
    odd_ones_out: tuple[str, ...]
    motion: MotionCorrelation | None


def adjusted_sample(
    sample: Sample,
    stack: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_],
    grid: Grid,
    metrics: Mapping[str, Measured],
    head_size: str,
) -> MapSample:
    """Account for head size in maps of shape (n, X, Y, Z), at the voxels of the mask.

    Raises
    ------
    InputError
        If intracranial volume is asked for and missing.
    """
    data, covariates = stack[:, mask], dict(sample.covariates)
    measured = [metrics.get(subject, NOT_MEASURED).numbers for subject in sample.subjects]
    if head_size != "none":
        tiv = [numbers.get(TIV) for numbers in measured]
        if None in tiv:
            raise InputError(f"{TIV} was not measured", do="choose none for head size")
        adjusted = adjust_for_tiv(data, np.array(tiv, dtype=float), head_size)
        data = adjusted.maps
        if adjusted.covariate is not None:
            covariates[TIV] = adjusted.covariate
    moved = [numbers.get("mean_fd_mm") for numbers in measured]
    mean_fd_mm = None if None in moved else np.array(moved, dtype=np.float64)
    return MapSample(sample, data, mask, grid, covariates, mean_fd_mm)


def harmonised(stacked: MapSample, site: str, how: str) -> MapSample:
    """Make the maps of sites alike by :mod:`falx.maps.harmonise`; covariates keep their effect.

    Parameters
    ----------
    site
        Column that names the sites, whose own columns of the design are no covariates here.
    how
        ``none``, ``combat`` or ``covbat``.
    """
    if how == "none" or stacked.sample.sites is None:
        return stacked
    kept = [
        values
        for name, values in stacked.covariates.items()
        if name != site and not name.startswith(f"{site}: ")
    ]
    more = np.column_stack(kept) if kept else None
    even = (combat if how == "combat" else covbat)(stacked.data, stacked.sample.sites, more)
    return replace(stacked, data=even.astype(np.float32))


def sample_described(stacked: MapSample) -> SampleSummary:
    """Say who is in a sample and how alike their maps are."""
    sample, moved = stacked.sample, stacked.mean_fd_mm
    alike = sample_homogeneity(stacked.data)
    # People who all moved alike, as in a simulation, leave no correlation to speak of.
    still = moved is None or np.ptp(moved) == 0
    return SampleSummary(
        group_sizes={name: sample.groups.count(name) for name in sample.names},
        subjects=dict(zip(sample.subjects, sample.groups, strict=True)),
        left_out=sample.left_out,
        homogeneity_z=dict(zip(sample.subjects, alike.z.tolist(), strict=True)),
        odd_ones_out=tuple(sample.subjects[k] for k in alike.outliers),
        motion=None if still or moved is None else motion_correlation(stacked.data, moved),
    )
