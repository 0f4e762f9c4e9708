"""What an image must be before it is segmented, and what is put right with a notice.

No published source: the limits are those of adult heads and of T1w images at 1 to 3 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.core.grid import Grid
from falx.images.nifti import Image

__all__ = ["Prepared", "check_volume", "prepare"]

Mask = npt.NDArray[np.bool_]

THICK_SLICES_MM = 3.5
LEAST_FIELD_MM = 110.0
LEAST_LEVELS = 16
EXTRACTED_LITRES = (0.7, 2.3)
EXTRACTED_SHARE = 0.6
FEW_NEGATIVE = 0.01


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image that can be segmented.

    Parameters
    ----------
    image
        Finite, not negative; zero where nothing was measured.
    measured
        Shape (X, Y, Z): voxels with an intensity.
    extracted
        Whether everything but the brain has been removed already.
    """

    image: Image
    measured: Mask
    extracted: bool


def prepare(image: Image, *, where: object = None) -> Prepared:
    """Check a T1-weighted image and mark what was measured.

    Parameters
    ----------
    image
        Shape (X, Y, Z).
    where
        Name for messages.

    Raises
    ------
    InputError
        If the image is constant, has fewer than 16 grey levels, or covers less
        than 11 cm along an axis.

    Notes
    -----
    Notices: values that are not finite, negative values, slices above 3.5 mm, a field of view
    that cuts the head, brain extraction.
    """
    data = _finite(np.asarray(image.data, dtype=np.float32), where)
    data = _not_negative(data, where)
    _check_content(data, where)
    _check_grid(image.grid, where)
    measured = data > 0
    extracted = _is_extracted(measured, image.grid)
    if extracted:
        notify(
            "the image is brain-extracted; skull and scalp are left out of the model",
            where=where,
            do="give the whole head if there is one: its tissues are found more reliably",
        )
    return Prepared(Image(data, image.affine), measured, extracted)


def check_volume(image: Image, *, where: object = None) -> None:
    """Raise unless the image is one volume."""
    if image.data.ndim != 3:
        raise InputError(
            "a T1w image has three axes",
            where=where,
            found=f"shape {'×'.join(map(str, image.data.shape))}",
            do="choose one volume",
        )


def _finite(data: npt.NDArray[np.float32], where: object) -> npt.NDArray[np.float32]:
    finite = np.isfinite(data)
    if finite.all():
        return data
    share = 1.0 - float(finite.mean())
    if share > 0.9:
        raise InputError(
            "the image is empty", where=where, found=f"{share:.0%} of it is not finite"
        )
    notify(
        "values that are not finite are taken as not measured",
        where=where,
        found=f"{int((~finite).sum())} voxels",
    )
    return np.where(finite, data, np.float32(0))


def _not_negative(data: npt.NDArray[np.float32], where: object) -> npt.NDArray[np.float32]:
    negative = data < 0
    share = float(negative.mean())
    if share == 0.0:
        return data
    if share < FEW_NEGATIVE:
        notify(
            "negative values are taken as not measured",
            where=where,
            found=f"{int(negative.sum())} voxels",
        )
        return np.where(negative, np.float32(0), data)
    low = float(np.percentile(data, 0.1))
    notify(
        "intensities start below zero and are shifted",
        where=where,
        found=f"{share:.0%} negative",
        do="give the image as reconstructed if this was not meant",
    )
    # Exact zeros were not measured; they stay zero.
    shifted = np.where(data == 0, np.float32(0), np.maximum(data - np.float32(low), 1e-3))
    return np.asarray(shifted, dtype=np.float32)


def _check_content(data: npt.NDArray[np.float32], where: object) -> None:
    low, high = float(data.min()), float(data.max())
    if low == high:
        raise InputError(
            "the image is empty",
            where=where,
            found=f"{low:g} in every voxel",
            do="check the conversion from DICOM",
        )
    levels = len(np.unique(data[::4, ::4, ::4]))
    if levels < LEAST_LEVELS:
        raise InputError(
            "the image is not an anatomical image",
            where=where,
            found=f"{levels} grey levels",
            do="give the T1w image, not a mask or a label volume",
        )


def _check_grid(grid: Grid, where: object) -> None:
    sizes = grid.voxel_sizes_mm
    extent_mm = np.array(grid.shape) * sizes
    if extent_mm.min() < LEAST_FIELD_MM:
        if extent_mm.min() < 0.5 * LEAST_FIELD_MM or min(grid.shape) < 12:
            raise InputError(
                "the image does not cover a brain",
                where=where,
                found=" × ".join(f"{mm:.0f}" for mm in extent_mm) + " mm",
                do="give an image of the whole head",
            )
        notify(
            "the field of view cuts the head; volumes are of the part that was imaged",
            where=where,
            found=" × ".join(f"{mm:.0f}" for mm in extent_mm) + " mm",
        )
    if sizes.max() > THICK_SLICES_MM:
        notify(
            "thick slices: small structures and volumes are uncertain",
            where=where,
            found=f"voxels of {' × '.join(f'{mm:.1f}' for mm in sizes)} mm",
            do="use an image with voxels of about 1 mm if there is one",
        )


def _is_extracted(measured: Mask, grid: Grid) -> bool:
    litres = float(measured.sum()) * grid.voxel_volume_mm3 / 1e6
    share = 1.0 - float(measured.mean())
    return EXTRACTED_LITRES[0] < litres < EXTRACTED_LITRES[1] and share > EXTRACTED_SHARE
