"""Reading and writing image files; the only place that touches image formats.

NIfTI-1: Cox et al. 2004, 10th Annual Meeting of the Organization for Human Brain Mapping.
"""

from __future__ import annotations

import gzip
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.core.errors import FalxError, FalxNotice, GridError, InputError, notify
from falx.core.files import atomic_path, write_json
from falx.core.grid import Grid, check_affine, reorient_to_ras
from falx.core.possible import Possible

__all__ = [
    "Image",
    "as_stored",
    "from_nibabel",
    "load",
    "load_header",
    "load_labels",
    "load_mask",
    "save",
    "told",
]

FORM_CONFLICT_MM = 0.1

PACKED = (".gz", ".mgz")
"""Endings of files whose content is packed, with a checksum at the end."""

BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
"""An image above this size that packs better than this is no head; noise alone halves at best."""

LEFT_OVER_BYTES = 1 << 24
"""What may stand behind the last voxel."""


@dataclass(frozen=True, eq=False)
class Image:
    """An image in memory: values and the grid they live on.

    Array axes run closest to right, anterior, superior (see
    :func:`falx.core.grid.reorient_to_ras`).
    """

    data: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]

    @property
    def grid(self) -> Grid:
        """Grid of the first three axes."""
        x, y, z = self.data.shape[:3]
        return Grid((x, y, z), self.affine)


def load(path: Path | str, *, ndim: int = 3, copied: bool = True) -> Image:
    """Read a NIfTI or MGZ image as float32, reoriented to RAS+.

    A fourth axis of length one is dropped when `ndim` is 3. The affine is the sform if its
    code is set, otherwise the qform.

    Parameters
    ----------
    ndim
        Axes that it must have.
    copied
        See :func:`falx.core.grid.reorient_to_ras`.

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged, not an image, larger than the memory, or has
        the wrong number of axes. A packed file is read to its end, so that its checksum counts.
    GridError
        If the affine is singular or sform and qform disagree in handedness.

    Notes
    -----
    A disagreement of sform and qform above 0.1 mm is a notice.
    """
    path = Path(path)
    image = _open(path)
    _check_declared(image, path)
    with told("the header of the image cannot be understood", path.name):
        affine = _affine(image, path)
    return _oriented(_read(image, path), affine, ndim, path.name, copied=copied)


def from_nibabel(image: Any, *, ndim: int = 3, where: object = None) -> Image:
    """Return an image of nibabel as :func:`load` returns the file of it."""
    affine = _affine(image, where)
    return _oriented(_values(image, where), affine, ndim, where)


def as_stored(
    data: npt.NDArray[Any],
    affine: npt.NDArray[np.floating],
    *,
    ndim: int = 3,
    where: object = None,
) -> Image:
    """Return values, shape (X, Y, Z) or with time last, as a file of :func:`save` gives them.

    Floats and the affine are rounded to single precision and axes are turned to RAS+, so that
    what is computed in memory equals what is computed by way of files, bit for bit. Integers
    and masks keep their type.
    """
    whole = np.issubdtype(data.dtype, np.integer) or data.dtype == np.bool_
    values = data if whole else data.astype(np.float32)
    rounded = np.asarray(affine, dtype=np.float32).astype(np.float64)
    check_affine(rounded, where=where)
    return _oriented(values, rounded, ndim, where)


def _oriented(
    data: npt.NDArray[Any],
    affine: npt.NDArray[np.float64],
    ndim: int,
    where: object,
    *,
    copied: bool = True,
) -> Image:
    if ndim == 3 and data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != ndim:
        raise InputError(
            f"a {ndim}D image is needed",
            where=where,
            found=f"shape {'×'.join(map(str, data.shape))}",
            do="choose one volume" if data.ndim > ndim else "check the file",
        )
    with told("the header of the image cannot be understood", where):
        turned, affine = reorient_to_ras(data, affine, copied=copied)
    return Image(turned, affine)


def load_header(path: Path | str) -> tuple[tuple[int, ...], npt.NDArray[np.float64]]:
    """Return the shape of an image as stored and its 4×4 affine, without reading its values."""
    path = Path(path)
    image = _open(path)
    _check_declared(image, path)
    with told("the header of the image cannot be understood", path), warnings.catch_warnings():
        warnings.simplefilter("ignore", FalxNotice)  # reading the values says it
        return tuple(image.shape), _affine(image, path)


def load_labels(path: Path | str) -> Image:
    """Read a label volume as int32; values must be integers."""
    image = load(path)
    rounded = np.rint(image.data)
    if not np.array_equal(rounded, image.data):
        raise InputError(
            "a label volume must hold integers",
            where=Path(path).name,
            found="fractional values",
            do="resample labels with nearest neighbour",
        )
    return Image(rounded.astype(np.int32), image.affine)


def load_mask(path: Path | str) -> Image:
    """Read a binary mask: values above one half are inside."""
    image = load(path)
    return Image(image.data > 0.5, image.affine)


def save(
    path: Path | str,
    data: npt.NDArray[Any],
    affine: npt.NDArray[np.floating],
    *,
    sidecar: Mapping[str, object] | None = None,
    repetition_time_s: float | None = None,
    possible: Possible | None = None,
) -> None:
    """Write a NIfTI image atomically, with a JSON sidecar if one is given.

    Floats are stored as float32, integers and masks in the smallest exact integer type.
    Units are millimetres (and seconds for a fourth axis), sform and qform carry the same
    affine where a qform can, and equal input gives equal bytes.

    Parameters
    ----------
    repetition_time_s
        Step of the fourth axis, s; headers that do not know it hold 1.
    possible
        What a value can be; NaN passes.

    Raises
    ------
    QualityError
        If a value cannot be; nothing is written.
    """
    path = Path(path)
    if possible is not None:
        possible.check("a value of the image", np.asarray(data), where=path.name)
    image = nib.nifti1.Nifti1Image(_storable(np.asarray(data)), np.asarray(affine))
    image.header.set_xyzt_units("mm", "sec")
    if repetition_time_s is not None:
        image.header["pixdim"][4] = repetition_time_s
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=2, strip_shears=True)
    with atomic_path(path) as temporary:
        if path.name.endswith(".gz"):
            with (
                temporary.open("wb") as raw,
                gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as stream,
            ):
                stream.write(image.to_bytes())
        else:
            temporary.write_bytes(image.to_bytes())
    if sidecar is not None:
        write_json(path.with_name(path.name.split(".nii")[0] + ".json"), sidecar)


def _open(path: Path) -> Any:
    if not path.exists():
        raise InputError("the file does not exist", where=path, do="check the path")
    with told("the file is not an image that can be read", path.name):
        return nib.load(path)


@contextmanager
def told(what: str, where: object) -> Iterator[None]:
    """Turn whatever a library raises at bytes that nobody has checked into a sentence."""
    try:
        yield
    except FalxError:
        raise
    except Exception as error:
        raise InputError(
            what,
            where=where,
            found=str(error) or type(error).__name__,
            do="copy or convert it again",
        ) from error


def _check_declared(image: Any, path: Path) -> None:
    """Raise unless the header declares plain numbers that the memory can take."""
    import psutil

    shape, kind = tuple(image.shape), image.get_data_dtype()
    if kind.kind not in "iufb" or not shape or min(shape) < 1:
        raise InputError(
            "the image does not hold plain numbers on a grid",
            where=path.name,
            found=f"{kind} of shape {'×'.join(map(str, shape)) or 'none'}",
            do="convert it again",
        )
    stored, packed = math.prod(shape) * kind.itemsize, path.stat().st_size
    needed = stored + 4 * math.prod(shape)
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            "the image is larger than the memory",
            where=path.name,
            found=f"{needed / 1e9:.1f} GB for shape {'×'.join(map(str, shape))}, "
            f"{free / 1e9:.1f} GB free",
            do="check its header, or use a machine with more memory",
        )
    if path.suffix in PACKED and stored > BOMB_BYTES and stored > BOMB_RATIO * packed:
        raise InputError(
            "the image unpacks to more than any head holds",
            where=path.name,
            found=f"{stored / 1e9:.1f} GB from {packed / 1e6:.1f} MB",
            do="convert it again",
        )


def _read(image: Any, path: Path) -> npt.NDArray[np.float32]:
    """Return the values; those of a packed file only if its checksum is right."""
    with told("the image is truncated or damaged", path.name):
        if path.suffix not in PACKED or not hasattr(image, "from_stream"):
            return np.asanyarray(image.dataobj, dtype=np.float32)
        with gzip.open(path) as stream:
            again = type(image).from_stream(stream)
            data = np.asanyarray(again.dataobj, dtype=np.float32)
            left = 0
            while chunk := stream.read(1 << 20):
                left += len(chunk)
                if left > LEFT_OVER_BYTES:
                    raise InputError(
                        "the file goes on far behind the last voxel of the image",
                        where=path.name,
                        do="copy or convert it again",
                    )
        return data


def _values(image: Any, where: object) -> npt.NDArray[np.float32]:
    with told("the image is truncated or damaged", where):
        return np.asanyarray(image.dataobj, dtype=np.float32)


def _affine(image: Any, where: object) -> npt.NDArray[np.float64]:
    affine = np.asarray(image.affine, dtype=np.float64)
    check_affine(affine, where=where)
    if not isinstance(image, nib.nifti1.Nifti1Pair):
        return affine
    sform, s_code = image.get_sform(coded=True)
    qform, q_code = image.get_qform(coded=True)
    if not (s_code and q_code):
        return affine
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise GridError(
            "sform and qform name different sides left",
            where=where,
            found="one of them mirrors the other",
            do="find out which is right and write both alike",
        )
    corners = np.array(np.meshgrid(*[[0, n - 1] for n in image.shape[:3]])).reshape(3, -1)
    apart = (sform - qform)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    apart_mm = float(np.linalg.norm(apart, axis=0).max())
    if apart_mm > FORM_CONFLICT_MM:
        notify(
            "sform and qform disagree; the sform is used",
            where=where,
            found=f"up to {apart_mm:.1f} mm apart",
            do="check the header if the report's overlays look shifted",
        )
    return np.asarray(sform, dtype=np.float64)


def _storable(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if data.dtype == np.bool_:
        return data.astype(np.uint8)
    if not np.issubdtype(data.dtype, np.integer):
        return data.astype(np.float32)
    low, high = (int(data.min()), int(data.max())) if data.size else (0, 0)
    for kind in (np.uint8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return data.astype(kind)
    raise InputError(
        "label values do not fit 32 bits",
        found=f"{low} to {high}",
        do="number the labels anew, below 2,147,483,648",
    )
