"""Grey-matter volume in template space: modulation, intracranial volume, sample homogeneity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.errors import InputError, QualityError, check_option, notify
from falx.grid import Grid
from falx.images.nifti import Image
from falx.images.resample import pull
from falx.images.warp import CoordinateMap

__all__ = [
    "Adjusted",
    "Homogeneity",
    "adjust_for_tiv",
    "analysis_mask",
    "intracranial_volume_ml",
    "jacobian_determinant",
    "modulated",
    "sample_homogeneity",
]

Adjustment = Literal["ancova", "proportional", "residual", "none"]
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


def jacobian_determinant(
    coordinates_mm: npt.NDArray[np.floating], grid: Grid
) -> npt.NDArray[np.float64]:
    """Volume of native tissue that a unit of template space stands for, shape (X, Y, Z).

    Parameters
    ----------
    coordinates_mm
        Shape (X, Y, Z, 3): native mm of every voxel of `grid`.

    Notes
    -----
    Central differences inside, one-sided ones on the border.
    """
    steps = [np.gradient(np.asarray(coordinates_mm, dtype=np.float64), axis=k) for k in range(3)]
    by_voxel = np.stack(steps, axis=-1)
    return np.asarray(np.linalg.det(by_voxel) / np.linalg.det(grid.affine[:3, :3]))


def modulated(
    tissue: Image, to_native: CoordinateMap, grid: Grid, *, modulate: bool = True, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Tissue in template space, scaled so that its amount is that of the native image.

    ``m(x) = tissue(phi(x)) |det Dphi(x)|`` with phi from template to native mm
    (Ashburner and Friston 2000, NeuroImage 11:805).

    Parameters
    ----------
    tissue
        Native tissue fraction.
    to_native
        For every template point, the native mm.
    grid
        Template grid of the result.
    modulate
        Without it the result is a concentration: how much of the tissue there is at a place,
        not how much of it the person has.

    Raises
    ------
    QualityError
        If the deformation folds inside the grid.
    """
    coordinates = to_native.on(grid, threads=threads)
    values = pull(tissue, coordinates, threads=threads)
    if not modulate:
        return np.asarray(values, dtype=np.float32)
    determinant = jacobian_determinant(coordinates, grid)
    folded = (np.sign(determinant) != np.sign(np.median(determinant))) & (values > 0)
    if folded.any():
        raise QualityError(
            "the deformation folds, so volumes are not defined",
            found=f"{np.count_nonzero(folded)} voxels",
            do="look at the registration of this subject",
        )
    return np.asarray(values * np.abs(determinant), dtype=np.float32)


def intracranial_volume_ml(gm: Image, wm: Image, csf: Image) -> float:
    """Total intracranial volume: the sum of three native tissue fractions, mL.

    Examples
    --------
    >>> one = Image(np.ones((10, 10, 10)), np.eye(4))
    >>> intracranial_volume_ml(one, one, one)
    3.0
    """
    total = sum(float(tissue.data.sum(dtype=np.float64)) for tissue in (gm, wm, csf))
    return total * gm.grid.voxel_volume_mm3 / 1000.0


def analysis_mask(
    maps: npt.NDArray[np.floating], *, threshold: float = 0.1
) -> npt.NDArray[np.bool_]:
    """Voxels whose mean over maps of shape (n, X, Y, Z) exceeds an absolute threshold."""
    mask = maps.mean(axis=0) > threshold
    if not mask.any():
        raise InputError(
            "no voxel passes the grey-matter threshold",
            found=f"largest mean {maps.mean(axis=0).max():.3g}",
            do="lower the threshold or check the segmentations",
        )
    return np.asarray(mask)


def adjust_for_tiv(
    maps: npt.NDArray[np.floating], tiv_ml: npt.ArrayLike, how: Adjustment = "ancova"
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
            "every map needs a positive intracranial volume", found=f"{tiv.shape} for {len(maps)}"
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
        raise InputError("homogeneity needs at least three maps", found=len(maps))
    wide = maps - maps.mean(axis=1, keepdims=True, dtype=np.float64)
    wide = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    correlation = wide @ wide.T
    mean = (correlation.sum(axis=1) - 1.0) / (len(maps) - 1)
    spread = float(mean.std(ddof=1))
    z = (mean - mean.mean()) / spread if spread > 0 else np.zeros(len(maps))
    outliers = tuple(int(row) for row in np.flatnonzero(z < LOW_HOMOGENEITY_Z))
    return Homogeneity(np.asarray(mean), np.asarray(z), outliers)
