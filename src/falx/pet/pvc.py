"""Partial-volume correction: Müller-Gärtner and the geometric transfer matrix.

The image is modelled as ``I = sum_k C_k (h * p_k)``: activities C, tissue fractions p, point
spread h. Fractions live on the T1w grid; they are blurred there and sampled at the voxel
centres of the PET, so that the measured data are corrected where they were measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option, check_range
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.images.smooth import FWHM_PER_SIGMA, smooth

__all__ = [
    "METHODS",
    "Corrected",
    "RegionalDesign",
    "Spread",
    "correct",
    "effective_fwhm_mm",
    "muller_gaertner",
    "region_based",
    "regional_activities",
    "spread_fractions",
    "tissue_spill",
]

METHODS = ("none", "mg2", "mg3", "gtm")
FLOOR = 0.3
"""Least blurred grey-matter fraction at which a voxel is corrected."""

Volume = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Spread:
    """Tissue and region fractions as the scanner sees them, on the grid of the PET.

    Parameters
    ----------
    gm, wm, csf
        Shape (X, Y, Z), blurred fractions 0…1.
    regions
        Blurred fractions of grey-matter regions; they sum to `gm`.
    """

    gm: npt.NDArray[np.float32]
    wm: npt.NDArray[np.float32]
    csf: npt.NDArray[np.float32]
    regions: Mapping[str, npt.NDArray[np.float32]]

    @property
    def brain(self) -> npt.NDArray[np.float32]:
        """Blurred fraction of the three tissues together, shape (X, Y, Z)."""
        return self.gm + self.wm + self.csf

    @cached_property
    def design(self) -> RegionalDesign:
        """The least squares of :func:`regional_activities`, set up once.

        Raises
        ------
        InputError
            If the tissue maps do not cover the PET.
        """
        return _regional_design(self)


@dataclass(frozen=True, eq=False)
class RegionalDesign:
    """The least-squares problem of the regional activities.

    Parameters
    ----------
    names
        Regions that the field of view holds, ``wm``, ``csf`` and ``surroundings``.
    domain
        Shape (X, Y, Z): voxels of the PET that are used, n of them.
    columns
        Shape (n, names), blurred fractions.
    inverse
        Of the normal matrix.
    """

    names: tuple[str, ...]
    domain: npt.NDArray[np.bool_]
    columns: npt.NDArray[np.float64]
    inverse: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Corrected:
    """A corrected image and the activities that it rests on.

    Parameters
    ----------
    image
        Shape (X, Y, Z), activity of the grey matter in the unit of the PET; zero where it is
        not defined.
    defined
        Where the correction is defined.
    activities
        Mean activity of every region, white matter, CSF and surroundings; the
        geometric-transfer-matrix estimate.
    """

    image: npt.NDArray[np.float32]
    defined: npt.NDArray[np.bool_]
    activities: Mapping[str, float]


def effective_fwhm_mm(scanner_fwhm_mm: float, smoothing_fwhm_mm: float) -> float:
    """Width of the point spread of a smoothed image; Gaussian widths add in squares.

    Examples
    --------
    >>> effective_fwhm_mm(3.0, 4.0)
    5.0
    """
    return float(np.hypot(scanner_fwhm_mm, smoothing_fwhm_mm))


def spread_fractions(
    gm: Image,
    wm: Image,
    csf: Image,
    regions: Mapping[str, npt.NDArray[np.bool_]],
    grid: Grid,
    matrix: npt.NDArray[np.floating],
    *,
    fwhm_mm: float,
    threads: int = 1,
) -> Spread:
    """Blur fractions by the point spread and sample them on the grid of the PET.

    Parameters
    ----------
    gm, wm, csf
        Fractions of shape (X, Y, Z) on the T1w grid; they are scaled down where they sum to
        more than one.
    regions
        Disjoint masks of that shape on the T1w grid; grey matter in none of them is the region
        ``cortex``.
    grid
        Grid of the PET.
    matrix
        4×4, PET mm → T1w mm.
    fwhm_mm
        Point spread of the PET, including any smoothing done to it.
    """
    check_range("psf_fwhm_mm", fwhm_mm, 0.0, 30.0, unit="mm")
    total = np.maximum(gm.data + wm.data + csf.data, 1.0)
    parts = {name: gm.data / total * mask for name, mask in regions.items()}
    parts |= {"cortex": gm.data / total - sum(parts.values())}

    def spread(part: Volume) -> npt.NDArray[np.float32]:
        return _spread(Image(part, gm.affine), grid, matrix, fwhm_mm, threads)

    seen = {name: spread(part) for name, part in parts.items()}
    whole = sum(seen.values(), np.zeros(grid.shape, np.float32))
    return Spread(whole, spread(wm.data / total), spread(csf.data / total), seen)


def tissue_spill(
    spread: Spread, activities: Mapping[str, float], *, compartments: int = 3
) -> Volume:
    """Spill-in ``C_WM (h*p_WM) + C_CSF (h*p_CSF)``, shape (X, Y, Z); with two, without CSF."""
    spill = activities["wm"] * spread.wm
    if compartments == 3:
        spill = spill + activities["csf"] * spread.csf
    return spill


def regional_activities(observed: Volume, spread: Spread) -> dict[str, float]:
    """Mean activities by least squares on the spread fractions.

    Parameters
    ----------
    observed
        Shape (X, Y, Z), the PET.
    spread
        Blurred fractions on its grid.

    Returns
    -------
    dict
        Activity of every grey-matter region, ``wm``, ``csf`` and ``surroundings``, in the unit
        of the PET.

    Raises
    ------
    InputError
        If the tissue maps do not cover the PET.

    Notes
    -----
    The geometric transfer matrix (Rousset, Ma & Evans 1998, J Nucl Med 39:904) in its
    voxel-wise least-squares form. The column of the surroundings keeps the spill-in from
    scalp and muscle out of the CSF.
    """
    design = spread.design
    solution = design.inverse @ (design.columns.T @ observed[design.domain])
    return dict(zip(design.names, map(float, solution), strict=True))


def _regional_design(spread: Spread) -> RegionalDesign:
    domain = spread.brain > 0.02
    if np.count_nonzero(domain) < 100:
        raise InputError(
            "the tissue maps and the PET do not overlap",
            found=f"{np.count_nonzero(domain)} voxels in common",
            do="check the coregistration",
        )
    parts = {**spread.regions, "wm": spread.wm, "csf": spread.csf}
    columns = np.stack([part[domain] for part in parts.values()], axis=1).astype(np.float64)
    surroundings = np.clip(1.0 - columns.sum(axis=1), 0.0, None)
    columns = np.column_stack([columns, surroundings])
    # A region that the field of view leaves out has no column to be estimated from.
    seen = (columns**2).sum(axis=0) > 1e-3
    names = tuple(
        name for name, is_seen in zip([*parts, "surroundings"], seen, strict=True) if is_seen
    )
    columns = columns[:, seen]
    inverse = np.linalg.pinv(columns.T @ columns, rcond=1e-10, hermitian=True)
    return RegionalDesign(names, domain, columns, np.asarray(inverse, dtype=np.float64))


def muller_gaertner(
    observed: Volume,
    spread: Spread,
    activities: Mapping[str, float],
    *,
    compartments: int = 3,
    floor: float = FLOOR,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Grey-matter activity after removal of the spill-in from white matter and CSF.

    ``(I - C_WM (h*p_WM) - C_CSF (h*p_CSF)) / (h*p_GM)`` where ``h*p_GM`` exceeds the floor
    (Müller-Gärtner et al. 1992, J Cereb Blood Flow Metab 12:571, eq. 5; with two compartments
    the CSF term is absent, as in Meltzer et al. 1990).

    Returns
    -------
    image, defined
        Shape (X, Y, Z) of the PET: the corrected image, zero where it is not defined, and where
        it is.
    """
    check_range("floor", floor, 0.0, 1.0)
    spill = tissue_spill(spread, activities, compartments=compartments)
    defined = spread.gm > floor
    image = np.where(defined, (observed - spill) / np.maximum(spread.gm, 1e-3), 0.0)
    return np.asarray(image, dtype=np.float32), defined


def region_based(
    observed: Volume, spread: Spread, activities: Mapping[str, float], *, floor: float = FLOOR
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Grey-matter activity after removal of the spill between all regions.

    The excess of the image over the blurred model is ascribed to the grey matter of the voxel:
    ``M + (I - h*M) / (h*p_GM)``, M the regional activities on the grid (a region-based
    voxel-wise correction after Thomas et al. 2011, Eur J Nucl Med Mol Imaging 38:1104). Shapes
    are as in :func:`muller_gaertner`, (X, Y, Z).
    """
    model = sum((activities.get(k, 0.0) * p for k, p in spread.regions.items()), 0.0)
    spill = tissue_spill(spread, activities)
    defined = spread.gm > floor
    weight = np.maximum(spread.gm, 1e-3)
    # Within the grey matter the regions' own activities, mixed as the voxel sees them.
    sharp = _dominant(spread, activities)
    image = np.where(defined, sharp + (observed - spill - model) / weight, 0.0)
    return np.asarray(image, dtype=np.float32), defined


def correct(
    observed: Volume, spread: Spread, *, method: str = "mg3", floor: float = FLOOR
) -> Corrected:
    """Correct a PET, (X, Y, Z), by one of :data:`METHODS`; activities are always estimated."""
    check_option("pvc method", method, METHODS)
    activities = regional_activities(observed, spread)
    if method == "none":
        image = np.asarray(observed, dtype=np.float32)
        defined = np.ones(image.shape, dtype=bool)
    elif method == "gtm":
        image, defined = region_based(observed, spread, activities, floor=floor)
    else:
        image, defined = muller_gaertner(
            observed, spread, activities, compartments=int(method[-1]), floor=floor
        )
    return Corrected(image, defined, activities)


def _dominant(spread: Spread, activities: Mapping[str, float]) -> npt.NDArray[np.float32]:
    names = list(spread.regions)
    strongest = np.argmax(np.stack([spread.regions[name] for name in names]), axis=0)
    values = np.array([activities.get(name, 0.0) for name in names], dtype=np.float32)
    return np.asarray(values[strongest])


def _spread(
    part: Image, grid: Grid, matrix: npt.NDArray[np.floating], fwhm_mm: float, threads: int
) -> npt.NDArray[np.float32]:
    """Blur a fraction and sample it on a grid; only the box around it is computed."""
    size = part.grid.voxel_sizes_mm
    # Linear interpolation between voxels h apart adds the variance h²/6 by itself.
    own_mm2 = fwhm_mm**2 - (FWHM_PER_SIGMA * size) ** 2 / 6.0
    width_mm = np.sqrt(np.maximum(own_mm2, 0.0))
    margin = np.ceil(4.0 * fwhm_mm / FWHM_PER_SIGMA / size).astype(int) + 1
    low, high = _box(part.data, margin)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = part.affine.copy()
    affine[:3, 3] += part.affine[:3, :3] @ low
    blurred = Image(smooth(part.data[box], size, width_mm), affine)
    return np.asarray(resample(blurred, grid, matrix=matrix, threads=threads))


def _box(
    data: Volume, margin: npt.NDArray[np.int_]
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    shape = np.array(data.shape)
    low, high = np.zeros(3, dtype=int), np.minimum(shape, 2)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(data.max(axis=others) > 1e-3)
        if hit.size:
            low[axis] = max(hit[0] - margin[axis], 0)
            high[axis] = min(hit[-1] + 1 + margin[axis], shape[axis])
    return low, high
