"""Head size in the group model, and how alike the maps of a sample are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option, notify

__all__ = ["Adjusted", "Homogeneity", "adjust_for_tiv", "sample_homogeneity"]

LOW_HOMOGENEITY_Z = -3.0


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Maps after global adjustment, and what the group model must still hold.

    Parameters
    ----------
    maps
        Shape (n, V).
    covariate
        Intracranial volume for the design, shape (n,), or None.
    """

    maps: npt.NDArray[np.float32]
    covariate: npt.NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Homogeneity:
    """How like the others each map is.

    Parameters
    ----------
    mean_correlation
        Shape (n,): mean correlation with all other maps.
    z
        Shape (n,): the same, standardised over the sample.
    outliers
        Rows whose z is below -3.
    """

    mean_correlation: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]
    outliers: tuple[int, ...]


def adjust_for_tiv(
    maps: npt.NDArray[np.floating], tiv_ml: npt.ArrayLike, how: str = "ancova"
) -> Adjusted:
    """Account for head size.

    Parameters
    ----------
    maps
        Shape (n, V).
    tiv_ml
        Shape (n,).
    how
        ``ancova``: leave the maps and give TIV to the model (default); ``proportional``:
        maps times mean TIV over TIV; ``residual``: regress TIV at every voxel first and test
        without it, as Liu et al. 2024 did, which overstates the degrees of freedom by one
        and is biased if TIV differs between groups; ``none``.
    """
    check_option("how", how, ("ancova", "proportional", "residual", "none"))
    tiv = np.asarray(tiv_ml, dtype=np.float64)
    if tiv.shape != (len(maps),) or not np.isfinite(tiv).all() or (tiv <= 0).any():
        raise InputError(
            "every map needs a positive intracranial volume",
            found=f"{tiv.shape} for {len(maps)}",
            do="leave out who has none, or choose another correction for head size",
        )
    wide = np.asarray(maps, dtype=np.float32)
    if how == "ancova":
        return Adjusted(wide, tiv)
    if how == "proportional":
        return Adjusted(np.asarray(wide * (tiv.mean() / tiv)[:, None].astype(np.float32)), None)
    if how == "none":
        return Adjusted(wide, None)
    notify(
        "TIV was regressed before the group model, as published",
        do="prefer it as a covariate: this way one degree of freedom is counted that is not "
        "there, and a TIV that differs between groups biases the comparison",
    )
    centred = tiv - tiv.mean()
    slope = (centred @ wide.astype(np.float64)) / (centred @ centred)
    return Adjusted(np.asarray(wide - np.outer(centred, slope), dtype=np.float32), None)


def sample_homogeneity(maps: npt.NDArray[np.floating]) -> Homogeneity:
    """Mean correlation of every map, shape (n, V), with all others; finds the odd ones out."""
    if len(maps) < 3:
        raise InputError(
            "homogeneity needs at least three maps", found=len(maps), do="give more maps"
        )
    wide = maps - maps.mean(axis=1, keepdims=True, dtype=np.float64)
    wide = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    correlation = wide @ wide.T
    mean = (correlation.sum(axis=1) - 1.0) / (len(maps) - 1)
    spread = float(mean.std(ddof=1))
    z = (mean - mean.mean()) / spread if spread > 0 else np.zeros(len(maps))
    outliers = tuple(int(row) for row in np.flatnonzero(z < LOW_HOMOGENEITY_Z))
    return Homogeneity(np.asarray(mean), np.asarray(z), outliers)
