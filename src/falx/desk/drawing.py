"""Drawn masks without their files: what may be drawn where, how it is called, how it travels."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.bids.entities import BidsName, folder_of, format_name
from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.images.nifti import Image

__all__ = [
    "DERIVATIVE", "KINDS", "RATERS", "Bits", "Canvas", "Draft", "MaskTarget", "Place", "Proposal",
    "canvas_of", "mask_path", "pack", "parts_of", "unpack",
]  # fmt: skip

Bits = npt.NDArray[np.bool_]
"""A mask on the RAS+ grid of its image, shape (X, Y, Z)."""

DERIVATIVE = "drawn"
"""Folder below ``derivatives`` for masks that nobody has drawn elsewhere before."""

KINDS: Mapping[str, tuple[str, str]] = {
    "ablation": ("ablation or cavity", "Lesion"),
    "lesion": ("lesion", "Lesion"),
    "vessels": ("vessels", "ROI"),
    "sinuses": ("dural sinuses", "ROI"),
}
"""Label to what people call it and its BIDS type; any other label of letters is an ROI."""

RATERS = ("rater1", "rater2")
"""Roles, no names; the second is ``desc-rater2`` in the name of a file."""

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9]{0,29}")
SUBJECT = re.compile(r"[A-Za-z0-9+]{1,60}")
IMAGE = re.compile(r"[A-Za-z0-9+_/-]{1,240}\.nii(\.gz)?")
WINDOW = re.compile(r"[0-9a-f]{8,32}")
LEVELS = 4095
"""Steps of grey that the page gets: what 12 bits of a scanner hold."""

THIN = 2
"""Every such voxel along an axis is enough to see how bright the head is."""

STRAY_MM3 = 10.0
"""A separate part smaller than this is more likely a slip of the hand."""

Place = Literal["t1w", "postop", ""]
"""Role that an image plays in the study of the signature."""


@dataclass(frozen=True)
class MaskTarget:
    """Which mask is drawn.

    Parameters
    ----------
    subject
        Label without ``sub-``.
    image
        Path in the dataset of the image that it is drawn on, with forward slashes.
    label
        What it is of, see :data:`KINDS`.
    rater
        One of :data:`RATERS`.
    repeat
        The same rater draws again, to see how well a hand repeats itself.
    """

    subject: str
    image: str
    label: str
    rater: str = "rater1"
    repeat: bool = False

    def __post_init__(self) -> None:
        if SUBJECT.fullmatch(self.subject) is None or IMAGE.fullmatch(self.image) is None:
            raise InputError(
                "the image is not one of a patient", found=ascii(self.image[:80]),
                do="choose one of the list",
            )  # fmt: skip
        if LABEL.fullmatch(self.label) is None:
            raise InputError(
                "a mask is called by letters and digits", found=repr(self.label[:40]),
                do="write for example lesion",
            )  # fmt: skip
        if self.rater not in RATERS:
            raise InputError("the rater is not known", found=self.rater, do="rater1 or rater2")
        if self.repeat and self.rater != "rater1":
            raise InputError(
                "only the first rater's second drawing is compared", found=f"{self.rater}, again",
                do="choose the first rater, or do not repeat",
            )  # fmt: skip

    @property
    def key(self) -> str:
        """Name of the target that a folder can have."""
        stem = self.image.rpartition("/")[2].partition(".")[0]
        again = "_repeat" if self.repeat else ""
        return f"{stem}_{self.label}_{self.rater}{again}"


def mask_path(target: MaskTarget, image: BidsName, place: Place) -> str:
    """Return the path of a mask below its derivative dataset.

    An ablation is named by its session alone, as ``falx signature`` looks for it: it must lie on
    the T1w of that session that the study uses. Other masks carry the image's own entities.

    Raises
    ------
    InputError
        For an ablation on an image that the study does not use.

    Examples
    --------
    >>> from falx.bids.entities import parse_name
    >>> image = parse_name("sub-07_ses-postop_acq-mprage_T1w.nii.gz")
    >>> mask_path(MaskTarget("07", str(image), "ablation", "rater2"), image, "postop")
    'sub-07/ses-postop/anat/sub-07_ses-postop_label-ablation_desc-rater2_mask.nii.gz'
    >>> image = parse_name("sub-07_ses-2_acq-mprage_T1w.nii.gz")
    >>> mask_path(MaskTarget("07", str(image), "ablation"), image, "postop")
    'sub-07/ses-postop/anat/sub-07_ses-postop_label-ablation_mask.nii.gz'
    >>> mask_path(MaskTarget("07", str(image), "vessels"), image, "postop")
    'sub-07/ses-2/anat/sub-07_ses-2_acq-mprage_space-T1w_label-vessels_mask.nii.gz'
    """
    own = {k: v for k, v in image.entities.items() if k in ("sub", "ses")}
    if target.label == "ablation" and "ses" in own:
        # Whatever the dataset calls it: by these names the study knows on which T1w it was drawn.
        own["ses"] = {"postop": "postop", "t1w": "preop"}.get(place, own["ses"])
    if target.label == "ablation":
        if not place:
            raise InputError(
                "an ablation is drawn on the T1w before or after the operation",
                where=f"sub-{target.subject}", found=str(image), do="choose that of the study",
            )  # fmt: skip
    else:
        own = {k: v for k, v in image.entities.items() if k not in ("desc", "label")}
        own["space"] = image.suffix
    own |= {"label": target.label}
    if target.rater == "rater2":
        own["desc"] = "rater2"
    if target.repeat:
        own["acq"] = own.get("acq", "") + "repeat"
    return f"{folder_of(own, 'anat')}/{format_name(own, 'mask', '.nii.gz')}"


@dataclass(frozen=True)
class Proposal:
    """A proposal brought to an image: voxels inside, and which file it is of."""

    file: str
    blake2b: str


@dataclass(frozen=True)
class Draft:
    """A drawing that was not saved yet.

    Parameters
    ----------
    target
        Which mask it is to become.
    window
        Which window draws it.
    base
        Digest of the saved mask that it went out from; empty where there was none.
    proposal
        What it went out from, if that was a proposal.
    updated
        ISO 8601.
    """

    target: MaskTarget
    window: str
    base: str
    proposal: Proposal | None
    updated: str

    def __post_init__(self) -> None:
        if WINDOW.fullmatch(self.window) is None:
            raise InputError("the window does not say which it is", do="reload the page")


@dataclass(frozen=True, eq=False)
class Canvas:
    """An image as the page draws it.

    Parameters
    ----------
    grey
        Shape (X, Y, Z), RAS+, 0 to :data:`LEVELS`.
    grid
        Where it lies in the world.
    low, step
        A grey is the value ``low + step * grey`` of the image.
    window
        Greys between which most of the head lies.
    """

    grey: npt.NDArray[np.uint16]
    grid: Grid
    low: float
    step: float
    window: tuple[int, int]


def canvas_of(image: Image) -> Canvas:
    """Return the greys of an image; values that are not finite become the lowest."""
    data = np.asarray(image.data, dtype=np.float32)
    low, high = float(data.min()), float(data.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = np.isfinite(data)
        if not finite.any():
            raise InputError("the image holds no finite value", do="choose another image")
        low, high = float(data[finite].min()), float(data[finite].max())
        data = np.where(finite, data, np.float32(low))
    step = (high - low) / LEVELS or 1.0
    grey = ((data - np.float32(low)) * np.float32(1 / step) + np.float32(0.5)).astype(np.uint16)
    some = grey[::THIN, ::THIN, ::THIN]
    lit = some[some > some.max() // 50]
    window = (0, int(np.percentile(lit, 99.5))) if lit.size else (0, LEVELS)
    return Canvas(grey, image.grid, low, step, window)


def pack(mask: Bits) -> bytes:
    """Return a mask as it travels: bytes 0 and 1, the first axis fastest, gzip."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    data = np.asarray(mask, dtype=np.uint8).tobytes(order="F")
    return packer.compress(data) + packer.flush()


def unpack(packed: bytes, shape: tuple[int, int, int]) -> Bits:
    """Return the mask that :func:`pack` or the page packed.

    Raises
    ------
    InputError
        If it is no mask of this shape; a bomb is never unpacked.
    """
    size = int(np.prod(shape))
    unpacker = zlib.decompressobj(31)
    try:
        data = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise InputError(
            "the drawing arrived damaged", found=str(error), do="save again"
        ) from None
    values = np.frombuffer(data, np.uint8)
    if len(data) != size or not unpacker.eof or (size and values.max() > 1):
        raise InputError(
            "the drawing is not of this image", found=f"{len(data)} voxels of {size}",
            do="open the image again",
        )  # fmt: skip
    return np.asarray(values.reshape(shape, order="F") != 0)


def parts_of(mask: Bits, voxel_mm3: float) -> tuple[str, ...]:
    """Sentences about parts of a mask that look like a slip; none for one that is whole.

    Examples
    --------
    >>> mask = np.zeros((9, 9, 9), bool); mask[:3, :3, :3] = True
    >>> parts_of(mask, 1.0)
    ()
    >>> mask[8, 8, 8] = True
    >>> parts_of(mask, 1.0)
    ('1 of its 2 parts is smaller than 10 mm³: a slip of the hand?',)
    """
    spans = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not len(spans[0]):
        return ()
    box = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    parts, number = ndimage.label(mask[box], np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:] * voxel_mm3
    small = int(np.count_nonzero(sizes < STRAY_MM3))
    if number < 2 or not small:
        return ()
    verb = "is" if small == 1 else "are"
    size = f"smaller than {STRAY_MM3:g} mm³"
    return (f"{small} of its {number} parts {verb} {size}: a slip of the hand?",)
