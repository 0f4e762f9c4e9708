"""Whether an image can be what it is said to be: the gate before the first stage of a person.

An image that cannot be used is refused in a sentence before hours are spent on it, and what is
odd but usable is a notice on the page. Limits are those of the human head and of scanners, wide
enough for infants and for coarse research data (circumference 32 cm at birth to 59 cm in adults,
so 10 to 19 cm across: Nellhaus, Pediatrics 1968); none is tuned to a data set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.images.nifti import Image, load, load_header

__all__ = ["LIMITS", "Limits", "judge_file", "judge_image", "judge_mask"]

SIGNAL = 0.2
"""Share of the 98th percentile of positive values above which a voxel is of the head."""

HOLES = 1e-3
"""Share of the head that may lack a value; ten cubic centimetres of a head of ten litres."""

CUT = 0.5
"""A plane at the end of the head with this share of the largest plane is a cut, not a scalp.

An ellipsoid 4 mm below its end is a tenth as wide, half a head as wide as it ever gets."""

SPIKES = 5e-4
"""Share of the head that may be 2.5 times as bright as the voxels on both sides of it."""

END_MM = 4.0
COARSE = 40_000
"""Voxels that are enough to find the head."""


@dataclass(frozen=True)
class Limits:
    """What images of one kind can be.

    Parameters
    ----------
    voxel_mm
        Smallest and largest edge of a voxel.
    view_mm
        Smallest edge of the field of view.
    head_mm
        Smallest and largest breadth of what gives signal, right to left.
    pet
        An end of the head at top, front or back is worth a notice, and no voxel is far brighter
        than those beside it: the point spread of every scanner is wider than a voxel.
    """

    voxel_mm: tuple[float, float] = (0.2, 10.0)
    view_mm: float = 60.0
    head_mm: tuple[float, float] = (70.0, 350.0)
    pet: bool = False


LIMITS: Mapping[str, Limits] = {
    "T1w": Limits(),
    "pet": Limits(pet=True),
    "bold": Limits(voxel_mm=(0.5, 16.0), view_mm=30.0),
    "mask": Limits(),
}
"""By BIDS suffix; images of other kinds are not judged, unless as one of these."""

MOST_MASK_MM3 = 600_000.0
"""Half of a brain: no ablation and no resection is larger."""


def judge_file(path: Path, suffix: str, *, what: str, where: str) -> None:
    """Raise unless a file can be an image of its kind; what is odd is a notice.

    Parameters
    ----------
    suffix
        Of BIDS: ``"T1w"``, ``"pet"``, ``"bold"``, ``"mask"`` …; others pass unread.
    what, where
        Name of the image and of the person, for sentences.

    Notes
    -----
    Of a series only the header is read: its stage looks at every volume, and reading it twice
    would cost more than everything else here.
    """
    limits = LIMITS.get(suffix)
    if limits is None:
        return
    shape, affine = load_header(path)
    _judge_grid(shape, affine, limits, what=what, where=where)
    if len([n for n in shape if n > 1]) > 3:
        return
    image = load(path)
    if suffix == "mask":
        judge_mask(image, what=what, where=where)
    else:
        judge_image(image, limits, what=what, where=where)


def _judge_grid(
    shape: tuple[int, ...],
    affine: npt.NDArray[np.float64],
    limits: Limits,
    *,
    what: str,
    where: str,
) -> None:
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    view = sizes * np.array([*shape, 1, 1, 1][:3])
    low, high = limits.voxel_mm
    if sizes.min() < low or sizes.max() > high:
        raise InputError(
            f"the voxels of the {what} have a size that no head is imaged with",
            where=where,
            found=f"{_by(sizes)} mm",
            do=f"check its header: {low:g} to {high:g} mm are possible",
        )
    if view.min() < limits.view_mm:
        raise InputError(
            f"the {what} shows less than a head",
            where=where,
            found=f"a field of view of {_by(view)} mm",
            do=f"check its header, or choose another image: {limits.view_mm:g} mm are the least",
        )


def judge_mask(image: Image, *, what: str, where: str) -> None:
    """Raise unless a mask holds something and is no larger than half a brain.

    Parameters
    ----------
    image
        Shape (X, Y, Z); values above one half are inside.
    """
    bad = int(np.count_nonzero(~np.isfinite(image.data)))
    if bad:
        raise InputError(
            f"the {what} holds values that are not finite",
            where=where,
            found=f"{bad} of {image.data.size} voxels",
            do="draw or convert it again",
        )
    inside = int(np.count_nonzero(image.data > 0.5))
    if inside == 0:
        raise InputError(f"the {what} is empty", where=where, do="draw or convert it again")
    volume_mm3 = inside * image.grid.voxel_volume_mm3
    if inside > image.data.size / 2 or volume_mm3 > MOST_MASK_MM3:
        raise InputError(
            f"the {what} is larger than anything that is ablated",
            where=where,
            found=f"{inside / image.data.size:.0%} of the image, {volume_mm3 / 1000:.0f} cm³",
            do="check that it is not inverted",
        )


def judge_image(image: Image, limits: Limits, *, what: str, where: str) -> None:
    """Raise unless an image shows a whole head; what is odd is a notice.

    Parameters
    ----------
    image
        Shape (X, Y, Z), axes closest to right, anterior, superior.
    """
    finite = np.isfinite(image.data)
    _judge_values(image.data, finite, what, where)
    steps = _steps(image.data.shape)
    coarse = image.data[:, :: steps[1], :: steps[2]]
    whole = finite[:, :: steps[1], :: steps[2]]
    positive = coarse[whole & (coarse > 0)]
    threshold = float(SIGNAL * np.percentile(positive, 98)) if positive.size else math.inf
    signal = whole & (np.where(whole, coarse, 0) > threshold)
    if not signal.any():
        raise InputError(f"the {what} shows nothing", where=where, do="check the image")
    if not finite.all():
        _judge_holes(image.data, finite, threshold, what, where)
    if limits.pet:
        _judge_spikes(coarse, signal, 3 * threshold, what, where)
    sizes = image.grid.voxel_sizes_mm * np.array([1, *steps[1:]])
    _judge_head(signal, sizes, limits, what, where)


def _judge_values(
    data: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], what: str, where: str
) -> None:
    if not finite.any():
        raise InputError(f"the {what} has no finite value", where=where, do="convert it again")
    low = float(data.min(initial=np.inf, where=finite))
    high = float(data.max(initial=-np.inf, where=finite))
    if low == high:
        raise InputError(
            f"the {what} is the same everywhere, so there is nothing to see",
            where=where,
            found=f"the value {low:g} everywhere",
            do="convert it again",
        )
    below = -float(data.sum(dtype=float, where=finite & (data < 0)))
    above = float(data.sum(dtype=float, where=finite & (data > 0)))
    if below > above:
        raise InputError(
            f"the {what} is negative",
            where=where,
            found=f"values from {low:g} to {high:g}, most of them below 0",
            do="convert it again; an intercept in the header may be wrong",
        )


def _judge_spikes(
    data: npt.NDArray[np.float32],
    signal: npt.NDArray[np.bool_],
    bright: float,
    what: str,
    where: str,
) -> None:
    """Judge single voxels; shape (X, Y, Z), neighbours along the first axis."""
    middle = data[1:-1]
    single = (middle > bright) & (middle > 2.5 * data[:-2]) & (middle > 2.5 * data[2:])
    share = int(np.count_nonzero(single)) / int(np.count_nonzero(signal))
    if share > SPIKES:
        raise InputError(
            f"the {what} holds single voxels far brighter than all beside them",
            where=where,
            found=f"{share:.2%} of the head",
            do="reconstruct or convert it again",
        )


def _judge_holes(
    data: npt.NDArray[np.float32],
    finite: npt.NDArray[np.bool_],
    threshold: float,
    what: str,
    where: str,
) -> None:
    """Tell holes in the head from what was left without a value around it."""
    from scipy.ndimage import binary_fill_holes

    signal = finite & (np.where(finite, data, 0) > threshold)
    padded = np.pad(signal, 1).astype(np.int8)
    beside = sum(
        np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for step in (-1, 1)
    )
    scattered = int(np.count_nonzero(~finite & (beside >= 4)))
    every = tuple(slice(None, None, max(1, n // 64)) for n in data.shape)
    thinned = math.prod(step.step for step in every)
    filled = thinned * int(np.count_nonzero(binary_fill_holes(signal[every]) & ~finite[every]))
    share = max(scattered, filled) / int(np.count_nonzero(signal))
    found = f"{np.mean(~finite):.2%} of all voxels, {share:.2%} within the head"
    if share > HOLES:
        raise InputError(
            f"the {what} lacks values inside the head",
            where=where,
            found=found,
            do="reconstruct or convert it again",
        )
    notify(f"the {what} holds values that are not finite", where=where, found=found)


def _judge_head(
    signal: npt.NDArray[np.bool_],
    sizes_mm: npt.NDArray[np.float64],
    limits: Limits,
    what: str,
    where: str,
) -> None:
    """Judge ends and breadth of the head; shape (X, Y, Z), right, anterior, superior."""
    low, high = limits.head_mm
    for axis, ends in enumerate((("left", "right"), ("back", "front"), ("", "top"))):
        areas = signal.sum(axis=tuple(k for k in range(3) if k != axis)).astype(float)
        inside = np.flatnonzero(areas > 0.05 * areas.max())
        breadth = float((inside[-1] - inside[0] + 1) * sizes_mm[axis])
        step = max(1, round(END_MM / sizes_mm[axis]))
        for end, planes in zip(ends, (inside[: step + 1], inside[-step - 1 :]), strict=True):
            share = float(areas[planes].max() / areas.max())
            if end and share >= CUT:
                _name_cut(f"{share:.0%} of the largest section", end, axis, limits, what, where)
        if axis == 0 and not low <= breadth <= high:
            raise InputError(
                f"what the {what} shows is no head",
                where=where,
                found=f"{breadth:.0f} mm from right to left",
                do=f"check the image and its header: {low:g} to {high:g} mm are possible",
            )


def _name_cut(found: str, end: str, axis: int, limits: Limits, what: str, where: str) -> None:
    """Refuse a head without a part of one side, for sides are compared; else give notice."""
    if axis == 0:
        raise InputError(
            f"the {what} shows only a part of the head",
            where=where,
            found=f"a cut on the {end}, through {found}",
            do="reconstruct or convert it again",
        )
    if limits.pet:
        notify(
            f"the {what} ends inside the head at the {end}",
            where=where,
            found=found,
            do="what lies beyond is not measured",
        )


def _steps(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Strides of a coarse copy; the first axis stays, for it tells left from right."""
    step = max(1, round(math.sqrt(shape[1] * shape[2] / (COARSE / 40))))
    return 1, min(step, max(1, shape[1] // 24)), min(step, max(1, shape[2] // 24))


def _by(lengths: npt.NDArray[np.float64]) -> str:
    return " × ".join(f"{length:.3g}" for length in lengths)
