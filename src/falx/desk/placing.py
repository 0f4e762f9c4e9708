"""An image placed over the T1w by hand: millimetres and degrees become a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError
from falx.core.grid import Grid, apply_affine

__all__ = ["Nudge", "centre_mm", "nudged"]

FURTHEST_MM = 500.0
"""An image that must be moved further than this is of another head, or of another room."""


@dataclass(frozen=True)
class Nudge:
    """What somebody says of the registration of an image.

    Parameters
    ----------
    subject, role
        Whose image, and which: ``"pet"``, ``"flair"``, ``"postop"``.
    matrix_blake2b
        Digest of the file of the registration that was looked at.
    verdict
        ``"right"``, ``"nudge"``, or ``"forget"`` what was nudged before.
    translation_mm, rotation_deg
        What moves the image to where it belongs: turned about the axes x, y and z, in this order,
        through the middle of the T1w, then moved; RAS+.
    refine
        Whether the registration may climb from there.
    """

    subject: str
    role: str
    matrix_blake2b: str
    verdict: Literal["right", "nudge", "forget"]
    translation_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    rotation_deg: tuple[float, ...] = (0.0, 0.0, 0.0)
    refine: bool = True

    def __post_init__(self) -> None:
        moved = (*self.translation_mm, *self.rotation_deg)
        if len(self.translation_mm) != 3 or len(self.rotation_deg) != 3:
            raise InputError(
                "a nudge has three millimetres and three degrees", found=moved,
                do="reload the page",
            )  # fmt: skip
        if not np.isfinite(moved).all() or np.abs(moved).max() > FURTHEST_MM:
            raise InputError(
                f"a nudge moves by at most {FURTHEST_MM:g} mm",
                found=moved,
                do="correct the fields",
            )


def centre_mm(grid: Grid) -> npt.NDArray[np.float64]:
    """Middle of a grid, RAS+ mm, shape (3,)."""
    return apply_affine(grid.affine, (np.array(grid.shape) - 1) / 2)


def nudged(
    before: npt.NDArray[np.floating],
    translation_mm: Sequence[float],
    rotation_deg: Sequence[float],
    centre: npt.ArrayLike,
) -> npt.NDArray[np.float64]:
    """Return the matrix T1w mm → image mm after the image was moved over the T1w.

    Parameters
    ----------
    before
        4×4, T1w mm → image mm.
    centre
        About which it turns, T1w mm, shape (3,).

    Examples
    --------
    An image 3 mm too far left is moved right: a point of the T1w lies further left in it.

    >>> float(nudged(np.eye(4), (3, 0, 0), (0, 0, 0), (0, 0, 0))[0, 3])
    -3.0
    """
    middle = np.asarray(centre, dtype=np.float64)
    moved = np.eye(4)
    moved[:3, :3] = scipy.spatial.transform.Rotation.from_euler(
        "xyz", np.asarray(rotation_deg, dtype=np.float64), degrees=True
    ).as_matrix()
    moved[:3, 3] = np.asarray(translation_mm, dtype=np.float64) + middle - moved[:3, :3] @ middle
    back = np.eye(4)
    back[:3, :3] = moved[:3, :3].T
    back[:3, 3] = -back[:3, :3] @ moved[:3, 3]
    return np.asarray(before, dtype=np.float64) @ back
