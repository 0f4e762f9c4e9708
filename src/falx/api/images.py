"""Images of a notebook: read and written."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from falx.api.inputs import image_of
from falx.core.errors import InputError
from falx.images.nifti import Image
from falx.images.nifti import save as write

__all__ = ["read", "save"]


def read(path: str | PathLike[str], *, ndim: int = 3) -> Image:
    """Read a NIfTI or MGZ image as float32, its axes closest to right, anterior, superior.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz`` or ``.mgz``.
    ndim
        3, or 4 for a series.
    """
    return image_of(path, Path(path).name, ndim=ndim)


def save(image: Any, path: str | PathLike[str]) -> Path:
    """Write an image, or a result that holds one, as NIfTI; masks as 0 and 1.

    Parameters
    ----------
    image
        Image of nibabel, array with affine, :class:`falx.Image`, or a result with `image`.
    path
        ``.nii`` or ``.nii.gz``.
    """
    target = Path(path)
    if not target.name.endswith((".nii", ".nii.gz")):
        raise InputError(
            "images are written as NIfTI", where=target.name, do="end the name in .nii.gz"
        )
    held = getattr(image, "image", image)
    values = held[0] if isinstance(held, tuple) and held else getattr(held, "data", held)
    ndim = 4 if len(getattr(values, "shape", ())) == 4 else 3
    found = image_of(held, "image", ndim=ndim, keep_type=True)
    write(target, found.data, found.affine)
    return target
