"""FDG-PET of a head: activity by structure, a planted deficit, point spread, noise, own grid.

No published source: usual ratios of uptake, to be known and not to be true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.atlas.freesurfer_numbers import (
    CEREBELLAR_CORTEX,
    CEREBRAL_CORTEX,
    MESIAL,
    MESIAL_NUMBERS,
    PAIRS,
    STRIATUM,
    THALAMUS,
)
from falx.core.errors import check_option, check_range
from falx.core.grid import Grid, Side, apply_affine
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.phantom.heads import Head
from falx.phantom.intensities import smooth_noise
from falx.phantom.scan import rescan

__all__ = [
    "UPTAKES",
    "PetQuality",
    "activity",
    "mesial_region",
    "miscorrected",
    "observe_pet",
    "true_asymmetry",
]

Floats = npt.NDArray[np.float32]

VENTRAL_DIENCEPHALON, BRAIN_STEM = (28, 60), (16,)

ACTIVITY: tuple[tuple[tuple[int, ...], float], ...] = (
    (CEREBRAL_CORTEX, 4.0),
    (CEREBELLAR_CORTEX, 3.4),
    (STRIATUM, 4.6),
    (THALAMUS, 4.2),
    (MESIAL_NUMBERS, 3.2),
)
"""FDG uptake of grey matter by structure, relative to white matter; other tissues below."""

OF_PEOPLE: tuple[tuple[tuple[int, ...], float], ...] = (
    (CEREBRAL_CORTEX, 4.0),
    (CEREBELLAR_CORTEX, 2.49),
    (THALAMUS, 2.39),
    (PAIRS["caudate"], 2.66),
    (PAIRS["putamen"], 3.19),
    (PAIRS["pallidum"], 1.79),
    (PAIRS["hippocampus"], 1.92),
    (PAIRS["amygdala"], 1.57),
    (VENTRAL_DIENCEPHALON, 1.86),
    (BRAIN_STEM, 1.92),
)
"""Uptake that, seen through 6 mm, has the regional means of the 537 people of
:mod:`falx.data.asymmetry_norms` relative to the putamen: pons .65, hippocampus .64, cortex .87."""

UPTAKES: Mapping[str, tuple[tuple[tuple[int, ...], float], ...]] = {
    "usual": ACTIVITY,
    "people": OF_PEOPLE,
}

ACTIVITY_OF_TISSUE = (4.0, 1.0, 0.1, 0.5, 0.5, 0.0)
PET_VOXEL_MM = (2.0, 2.0, 3.27)
SCATTER_FWHM_MM = 80.0
KILOBECQUEREL_PER_UNIT = 5000.0
"""Scale of the written image: white matter at 5 kBq/ml, a usual value at 60 minutes."""


@dataclass(frozen=True)
class PetQuality:
    """How good a PET image is.

    Parameters
    ----------
    psf_fwhm_mm
        Point spread of the scanner, mm.
    noise
        Standard deviation of the correlated noise, relative to the cortex.
    noise_fwhm_mm
        Width of the filter that made it smooth, mm. The scanner's own resolution blurs the
        activity, not the noise: 4.5 mm and a filter of 4 mm make a point spread of 6 mm.
    voxel_mm
        Voxel edges, mm.
    scatter
        Scatter left over, relative to the activity within :data:`SCATTER_FWHM_MM`.
    attenuation
        Relative error by 100 mm to the right, zero on the midline.
    """

    psf_fwhm_mm: float = 6.0
    noise: float = 0.05
    noise_fwhm_mm: float = 4.0
    voxel_mm: tuple[float, float, float] = PET_VOXEL_MM
    scatter: float = 0.0
    attenuation: float = 0.0

    def __post_init__(self) -> None:
        check_range("psf_fwhm_mm", self.psf_fwhm_mm, 0.0, 20.0, unit="mm")
        check_range("noise", self.noise, 0.0, 1.0)


def activity(
    head: Head, rng: np.random.Generator, *, variation: float = 0.08, uptake: str = "usual"
) -> Floats:
    """Exact activity of a healthy head, before any blur.

    Parameters
    ----------
    uptake
        One of :data:`UPTAKES`; ``"people"`` for the regional means of real people.
    variation
        Standard deviation of a smooth regional variation of grey matter. It is mirror
        symmetric (by array reversal, so the head must be on a symmetric grid).

    Returns
    -------
    ndarray
        Shape of the labels; cortex 4, white matter 1, CSF 0.1 (arbitrary units).
    """
    values = np.asarray(ACTIVITY_OF_TISSUE)[head.tissues()]
    for ids, level in UPTAKES[check_option("uptake", uptake, UPTAKES)]:
        values[head.mask(*ids)] = level
    field = smooth_noise(head.grid, rng, fwhm_mm=40.0)
    field = (field + field[::-1]) / np.sqrt(2.0)
    factor = 1.0 + variation * np.clip(field, -2.5, 2.5)
    return np.asarray(np.where(head.fraction("GM"), values * factor, values), dtype=np.float32)


def mesial_region(head: Head, side: Side, extent: float = 1.0) -> npt.NDArray[np.bool_]:
    """Anterior share of hippocampus and amygdala of one side, shape (X, Y, Z).

    Parameters
    ----------
    extent
        Share of their joint volume, from the front, 0 … 1.
    """
    check_range("extent", extent, 0.0, 1.0)
    whole = head.mask(*MESIAL[side])
    voxels = np.argwhere(whole)
    y_mm = apply_affine(head.affine, voxels)[:, 1]
    chosen = voxels[np.argsort(-y_mm, kind="stable")[: round(extent * len(voxels))]]
    region = np.zeros(whole.shape, dtype=bool)
    region[tuple(chosen.T)] = True
    return region


def true_asymmetry(depth: float) -> float:
    """Asymmetry index of a region whose activity is `depth` lower than its mirror image's.

    AI = (i1 - i2) / ((i1 + i2) / 2) with i1 = (1 - d) i2.

    Examples
    --------
    >>> round(true_asymmetry(0.15), 4)
    -0.1622
    """
    check_range("depth", depth, 0.0, 1.0)
    return -depth / (1.0 - depth / 2.0)


def observe_pet(
    exact: npt.NDArray[np.floating],
    grid: Grid,
    rng: np.random.Generator,
    quality: PetQuality | None = None,
    *,
    matrix: npt.NDArray[np.floating] | None = None,
) -> Image:
    """PET image of an activity map, in Bq/ml on the scanner's own grid.

    Parameters
    ----------
    exact
        Shape (X, Y, Z), from :func:`activity`.
    grid
        Its grid (head mm).
    matrix
        4×4, head mm to PET mm; identity if absent.
    """
    quality = quality or PetQuality()
    blurred = miscorrected(smooth(exact, grid.voxel_sizes_mm, quality.psf_fwhm_mm), grid, quality)
    to_pet = np.eye(4) if matrix is None else np.asarray(matrix)
    scan = rescan(blurred, grid, to_pet, quality.voxel_mm)
    values, grain = scan.data, smooth_noise(scan.grid, rng, fwhm_mm=quality.noise_fwhm_mm)
    # Reconstructed noise grows with activity and does not vanish in the background.
    level = 0.3 * ACTIVITY[0][1] + 0.7 * np.maximum(values, 0.0)
    noisy = np.maximum(values + quality.noise * level * grain, 0.0) * KILOBECQUEREL_PER_UNIT
    return Image(noisy.astype(np.float32), scan.affine)


def miscorrected(seen: Floats, grid: Grid, quality: PetQuality) -> Floats:
    """Add scatter left over and the error of the attenuation to an activity, shape (X, Y, Z)."""
    found = seen
    if quality.scatter:
        around = smooth(found, grid.voxel_sizes_mm, SCATTER_FWHM_MM)
        found = found + np.float32(quality.scatter) * around
    if quality.attenuation:
        x_mm = grid.centres_mm()[..., 0]
        found = found * (1.0 + quality.attenuation * x_mm / 100.0).astype(np.float32)
    return found
