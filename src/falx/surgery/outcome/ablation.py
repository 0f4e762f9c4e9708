"""How much of a signature an ablation took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_same_grid, notify
from falx.core.grid import Grid, Side, side_of
from falx.core.possible import HemisphereMm3, Share
from falx.images.nifti import Image
from falx.images.resample import pull, resample

__all__ = [
    "SIGNATURE",
    "UNSTABLE_BELOW_MM3",
    "AblativeRate",
    "ablative_rate",
    "bring_mask",
    "check_arrival",
    "check_side",
    "dice",
    "rate_of_volumes",
]

UNSTABLE_BELOW_MM3 = 100.0
"""A rate of a smaller signature hangs on a few voxels."""

SIGNATURE = "signature inside the structure"


@dataclass(frozen=True)
class AblativeRate:
    """Share of the signature inside a structure that the ablation covers.

    Parameters
    ----------
    numerator_mm3, denominator_mm3
        Volume of signature in structure that was ablated, and in all.
    rate
        Their ratio, 0…1; ``None`` if there is no signature in the structure.
    reason
        Why there is no rate.
    notice
        What limits the rate.
    """

    numerator_mm3: HemisphereMm3
    denominator_mm3: HemisphereMm3
    rate: Share | None
    reason: str | None = None
    notice: str | None = None


def ablative_rate(
    signature: npt.NDArray[np.bool_ | np.floating],
    ablation: npt.NDArray[np.bool_],
    structure: npt.NDArray[np.bool_],
    affine: npt.NDArray[np.floating],
) -> AblativeRate:
    """Ablative rate |N and B and S| / |N and S| (Mo 2025; denominator as in its scripts).

    Parameters
    ----------
    signature, ablation, structure
        Masks N, B and S of one shape, on the pre-operative T1w grid. N may hold the probability
        of being signature instead: then volumes are expected ones.
    affine
        4×4, of that grid.

    Examples
    --------
    >>> s = np.array([[[True, True, False]]]); b = np.array([[[True, False, True]]])
    >>> ablative_rate(s, b, np.ones_like(s), np.diag([10.0, 10.0, 10.0, 1.0])).rate
    0.5
    """
    for name, mask in (("ablation", ablation), ("structure", structure)):
        check_same_grid("signature", signature.shape, affine, name, mask.shape, affine)
    voxel_mm3 = float(abs(np.linalg.det(np.asarray(affine)[:3, :3])))
    return rate_of_volumes(
        float(np.sum(signature[structure & ablation], dtype=np.float64) * voxel_mm3),
        float(np.sum(signature[structure], dtype=np.float64) * voxel_mm3),
    )


def rate_of_volumes(
    numerator_mm3: float, denominator_mm3: float, *, of: str = SIGNATURE
) -> AblativeRate:
    """Ablative rate of volumes already measured, with its reason or notice; `of` says of what."""
    if denominator_mm3 == 0:
        return AblativeRate(0.0, 0.0, None, reason=f"no {of}")
    notice = None
    if denominator_mm3 < UNSTABLE_BELOW_MM3:
        notice = f"unstable: only {denominator_mm3:.0f} mm³ of {of}"
    return AblativeRate(
        numerator_mm3, denominator_mm3, numerator_mm3 / denominator_mm3, notice=notice
    )


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Dice overlap 2 |A and B| / (|A| + |B|) of two masks of one shape.

    Examples
    --------
    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    if a.shape != b.shape:
        raise InputError("masks of different shape", found=f"{a.shape} and {b.shape}")
    total = np.count_nonzero(a) + np.count_nonzero(b)
    if total == 0:
        raise InputError("the Dice overlap of two empty masks is not defined")
    return float(2.0 * np.count_nonzero(a & b) / total)


def bring_mask(
    mask: Image,
    target: Grid | npt.NDArray[np.floating],
    *,
    matrix: npt.NDArray[np.floating] | None = None,
    threads: int = 1,
) -> npt.NDArray[np.bool_]:
    """Bring a mask to a grid, or through a coordinate map, linearly with threshold one half.

    Parameters
    ----------
    mask
        Binary mask on its own grid.
    target
        A grid, or a map of shape (X, Y, Z, 3) in mm.
    matrix
        4×4, from the world of the target (or of the map's values) to that of the mask.

    Notes
    -----
    ``>=``: on an aligned grid of half the resolution, ties at one half would be lost.
    """
    values = Image(np.asarray(mask.data, dtype=np.float32), mask.affine)
    if isinstance(target, Grid):
        return np.asarray(resample(values, target, matrix=matrix, threads=threads) >= 0.5)
    return np.asarray(pull(values, target, matrix=matrix, threads=threads) >= 0.5)


def check_side(
    mask: npt.NDArray[np.bool_],
    grid: Grid,
    side: Side,
    side_from: str = "the declared focus",
    *,
    where: object = None,
) -> None:
    """Raise unless the centroid of an ablation lies on the side of the focus.

    Parameters
    ----------
    mask
        Shape (X, Y, Z), ablation, best in template space, where x = 0 is the midline.
    side_from
        Where the side comes from; a side that nobody declared is not held against the mask's.
    """
    found = side_of(mask, grid)
    if found != side and side_from != "the declared focus":
        raise InputError(
            "the ablation lies on the other side than the focus, which nobody declared",
            where=where,
            found=f"ablation on the {found}; {side_from} suggests the {side}",
            do=f"declare the side, {found} or {side}, in participants.tsv",
        )
    if found != side:
        raise InputError(
            "the ablation lies on the other side than the declared focus",
            where=where,
            found=f"ablation on the {found}, focus on the {side}",
            do="check the declared side and the orientation of the mask",
        )


def check_arrival(source: Image, arrived: Image, *, where: object = None) -> None:
    """Raise if a mask does not land on the grid it was brought to; say if part of it is lost."""
    before = np.count_nonzero(source.data) * source.grid.voxel_volume_mm3
    after = np.count_nonzero(arrived.data) * arrived.grid.voxel_volume_mm3
    found = f"{after:.0f} of {before:.0f} mm³ arrive there"
    if after < 0.5 * before:
        raise InputError(
            "the ablation mask does not lie on the pre-operative T1w",
            where=where,
            found=found,
            do="check in which space the mask was drawn",
        )
    if not 0.8 < after / before < 1.25:
        notify("the ablation mask changed its volume on the T1w grid", where=where, found=found)
