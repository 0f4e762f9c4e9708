"""Grey-matter volume in template space: modulation and intracranial volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.registration.inverse import jacobian_determinants
from falx.core.errors import QualityError
from falx.core.grid import Grid
from falx.core.settings import check_settings, option
from falx.images.nifti import Image
from falx.images.resample import pull
from falx.images.warp import CoordinateMap

__all__ = ["GreySettings", "intracranial_volume_ml", "modulated"]


@dataclass(frozen=True)
class GreySettings:
    """How grey matter is brought to template space."""

    voxel_mm: float = option(1.5, help="voxels of the maps", unit="mm", low=1, high=6)
    smoothing_fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0, high=20)
    modulate: bool = option(True, help="keep the amount of tissue: volume, not concentration")

    def __post_init__(self) -> None:
        check_settings(self)


def modulated(
    tissue: Image, to_native: CoordinateMap, grid: Grid, *, modulate: bool = True, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Tissue in template space, scaled so that its amount is that of the native image.

    Shape of `grid`, float32; its sum times the voxel volume is the native volume of the tissue.

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
    determinant = jacobian_determinants(CoordinateMap(coordinates, grid.affine))
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
