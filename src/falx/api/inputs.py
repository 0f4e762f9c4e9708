"""What a notebook hands over: paths, nibabel images, arrays with an affine, plain numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, OptionError, nearest
from falx.core.grid import check_affine, require_same
from falx.images.nifti import Image, as_stored, from_nibabel, load

__all__ = [
    "image_of",
    "labels_of",
    "mask_of",
    "name_of",
    "numbers_of",
    "same_grid",
    "settings_of",
    "words_of",
]

T = TypeVar("T")
HOW = "give a path, a nibabel image, falx.Image(array, affine) or (array, affine)"


def image_of(given: Any, name: str, *, ndim: int = 3, keep_type: bool = False) -> Image:
    """Return what was given as an image in single precision and RAS+, or refuse in a sentence.

    Parameters
    ----------
    given
        A path, an image of nibabel, an array with its affine, or a :class:`falx.Image`.
    name
        What the image is, for the sentence.
    ndim
        3, or 4 for a series.
    keep_type
        Leave whole numbers and masks in memory as they are; a file always becomes float32.

    Raises
    ------
    InputError
        For an array without an affine, a wrong number of axes, or something else altogether.
    GridError
        For an affine that is singular.
    """
    if isinstance(given, str | PathLike):
        return load(Path(given), ndim=ndim)
    if hasattr(given, "dataobj") and hasattr(given, "affine"):
        return from_nibabel(given, ndim=ndim, where=name)
    if isinstance(given, Image):
        given = (given.data, given.affine)
    elif isinstance(getattr(given, "image", None), Image):  # a result of falx
        given = (given.image.data, given.image.affine)
    if not (isinstance(given, tuple) and len(given) == 2):
        bare = isinstance(given, np.ndarray | list)
        raise InputError(
            "an array does not say where it lies" if bare else "this is no image",
            where=name,
            found="an array without an affine" if bare else type(given).__name__,
            do=HOW,
        )
    data, affine = _values(given[0], name), _affine(given[1], name)
    values = data if keep_type else data.astype(np.float32)
    return as_stored(values, affine, ndim=ndim, where=name)


def mask_of(given: Any, name: str) -> Image:
    """Return a binary mask: values above one half are inside."""
    image = image_of(given, name)
    inside = image.data if image.data.dtype == np.bool_ else image.data > 0.5
    if not inside.any():
        raise InputError("the mask is empty", where=name, do="draw or choose another mask")
    return Image(inside, image.affine)


def labels_of(given: Any, name: str) -> Image:
    """Return a volume of whole numbers as int32."""
    image = image_of(given, name)
    rounded = np.rint(image.data)
    if not np.array_equal(rounded, image.data):
        raise InputError(
            "a label volume must hold integers",
            where=name,
            found="fractional values",
            do="resample labels with nearest neighbour",
        )
    return Image(rounded.astype(np.int32), image.affine)


def same_grid(name_a: str, a: Image, name_b: str, b: Image) -> None:
    """Raise :class:`GridError` unless two images share their voxels."""
    require_same(name_a, a.grid, name_b, b.grid)


def numbers_of(given: Any, name: str, *, ndim: int = 1) -> npt.NDArray[np.float64]:
    """Return plain numbers of a given number of axes as float64, or refuse in a sentence.

    Parameters
    ----------
    given
        A list, an array, a column of a table; for `ndim` 2 a table, one row a region or person.
    """
    if isinstance(given, Image) or hasattr(given, "dataobj"):
        raise InputError(
            "numbers are needed, not an image", where=name, do="give one number a row"
        )
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "not every value is a number", where=name, do="give numbers, NaN where missing"
        ) from None
    if values.ndim != ndim or not values.size:
        raise InputError(
            "a column of numbers is needed" if ndim == 1 else f"a {ndim}D table is needed",
            where=name,
            found=f"shape {'×'.join(map(str, values.shape)) or 'of one value'}",
            do="give numbers of that shape, without text between them",
        )
    return values


def words_of(given: Any, name: str) -> tuple[str, ...]:
    """Return a sequence of words, such as genes or groups; a single word is no sequence."""
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        raise InputError(
            "a list of words is needed",
            where=name,
            found=repr(given)[:60],
            do="give a list or column of text",
        )
    return tuple(str(word) for word in given)


def name_of(given: Any, name: str) -> str:
    """Return the file's name where a path was given, else what the image is."""
    return Path(given).name if isinstance(given, str | PathLike) else name


def settings_of(kind: type[T], choices: Mapping[str, object]) -> T:
    """Return a settings record with some choices changed.

    Raises
    ------
    OptionError
        For a choice that the record does not have, naming the nearest.
    """
    known = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in choices:
        if name not in known:
            near = nearest(name, known, cutoff=0.4)
            raise OptionError(
                f"there is no choice {name!r}",
                do=f"did you mean {near!r}?" if near else f"the choices are {', '.join(known)}",
            )
    return kind(**choices)


def _values(given: Any, name: str) -> npt.NDArray[Any]:
    try:
        data = np.asarray(given.data if isinstance(given, Image) else given)
    except ValueError:
        raise InputError("the array is ragged", where=name, do=HOW) from None
    if not (np.issubdtype(data.dtype, np.number) or data.dtype == np.bool_):
        raise InputError("an image holds numbers", where=name, found=f"{data.dtype}", do=HOW)
    if np.issubdtype(data.dtype, np.complexfloating):
        raise InputError(
            "an image holds real numbers",
            where=name,
            found="complex ones",
            do="give its magnitude, or one channel",
        )
    return data


def _affine(given: Any, name: str) -> npt.NDArray[np.float64]:
    affine = numbers_of(given, f"affine of {name}", ndim=2)
    if affine.shape != (4, 4):
        raise InputError(
            "the affine must be a 4×4 matrix from voxels to RAS+ mm",
            where=name,
            found=f"shape {affine.shape[0]}×{affine.shape[1]}",
            do="give the image's affine as nibabel does",
        )
    check_affine(affine, where=name)
    return affine
