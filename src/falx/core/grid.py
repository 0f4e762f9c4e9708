"""Voxel grids in world millimetres: affines, the mirror across the midsagittal plane, sides.

World coordinates are RAS+ millimetres everywhere: x grows to the right, y to the front, z to
the top. A side is a statement about x, never about an array axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.core.errors import GridError, check_same_grid

__all__ = [
    "SIDES",
    "TEMPLATE_SPACE",
    "FloatArray",
    "Grid",
    "Side",
    "apply_affine",
    "bounds_mm",
    "box_around",
    "box_grid",
    "check_affine",
    "hemisphere",
    "in_stored_order",
    "is_symmetric",
    "mirror",
    "normalisation_grid",
    "opposite",
    "reorient_to_ras",
    "require_same",
    "side_of",
]

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
Scalar = TypeVar("Scalar", bound=np.generic)
FloatArray = npt.NDArray[np.floating]

TEMPLATE_SPACE = "MNI152NLin2009aSym"
"""BIDS name of the symmetric template space (ICBM 152 2009a nonlinear symmetric)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid: its shape and the affine from voxel indices to RAS+ millimetres."""

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape[:3]))
        affine = np.array(self.affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)

    @property
    def voxel_sizes_mm(self) -> npt.NDArray[np.float64]:
        """Edge lengths of a voxel, shape (3,), mm.

        Examples
        --------
        >>> Grid((2, 2, 2), np.diag([1.0, 2.0, 3.0, 1.0])).voxel_sizes_mm
        array([1., 2., 3.])
        """
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of a voxel, the magnitude of the determinant of the affine, mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def centres_mm(self) -> npt.NDArray[np.float64]:
        """World coordinates of every voxel centre, shape (X, Y, Z, 3), mm."""
        i, j, k = (np.arange(n, dtype=np.float64) for n in self.shape)
        centres = np.empty((*self.shape, 3))
        for c, a in enumerate(self.affine[:3]):  # loops over x, y, z alone are slow
            planes = i[:, None] * a[0] + j[None, :] * a[1]
            np.add(planes[:, :, None], k * a[2], out=centres[..., c])
            centres[..., c] += a[3]
        return centres


def apply_affine(affine: npt.ArrayLike, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Map points of shape (..., 3) by a 4×4 affine.

    Examples
    --------
    >>> apply_affine(np.diag([2.0, 2.0, 2.0, 1.0]), [1.0, 0.0, -1.0])
    array([ 2.,  0., -2.])
    """
    a = np.asarray(affine, dtype=np.float64)
    mapped = np.asarray(points, dtype=np.float64) @ a[:3, :3].T
    mapped += a[:3, 3]
    return np.asarray(mapped)


def check_affine(affine: npt.NDArray[np.floating], *, where: object = None) -> None:
    """Raise unless the affine, shape (4, 4), is finite, invertible and of plausible voxels."""
    linear = np.asarray(affine, dtype=np.float64)[:3, :3]
    if not np.all(np.isfinite(affine)):
        found = "values that are not finite"
    elif abs(np.linalg.det(linear)) < 1e-6:
        found = f"determinant {np.linalg.det(linear):.2g}"
    else:
        return
    raise GridError(
        "the affine from voxels to millimetres is singular",
        where=where,
        found=found,
        do="write the image again with a correct header",
    )


def reorient_to_ras(
    data: npt.NDArray[np.generic], affine: npt.NDArray[np.floating], *, copied: bool = True
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.float64]]:
    """Permute and flip array axes so that they run closest to right, anterior, superior.

    World coordinates of every value stay the same, so nothing is resampled and no side
    changes. Trailing axes (time) stay in place.

    Parameters
    ----------
    data, affine
        Shape (X, Y, Z) or (X, Y, Z, T), and 4×4.
    copied
        Return values in the order of their axes in memory, as kernels want them; without it they
        stay where they are, which is enough for one look.
    """
    ornt = nib.orientations.io_orientation(affine)
    inverse = nib.orientations.inv_ornt_aff(ornt, data.shape[:3])
    turned = nib.orientations.apply_orientation(data, ornt)
    turned = np.ascontiguousarray(turned) if copied else turned
    return turned, np.asarray(affine @ inverse, dtype=np.float64)


def in_stored_order(
    data: npt.NDArray[Scalar], affine: npt.NDArray[np.floating]
) -> npt.NDArray[Scalar]:
    """Undo :func:`reorient_to_ras` for values on the turned grid of an image.

    Parameters
    ----------
    data
        Shape (X, Y, Z), axes as :func:`reorient_to_ras` left them.
    affine
        4×4, of the image as it is stored.

    Examples
    --------
    >>> affine = np.array([[0, 0, -2.0, 0], [1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]])
    >>> stored = np.arange(6).reshape(1, 2, 3)
    >>> turned, _ = reorient_to_ras(stored, affine)
    >>> bool(np.all(in_stored_order(turned, affine) == stored))
    True
    """
    ras = nib.orientations.axcodes2ornt("RAS")
    back = nib.orientations.ornt_transform(ras, nib.orientations.io_orientation(affine))
    return np.ascontiguousarray(nib.orientations.apply_orientation(data, back))


def bounds_mm(
    mask: npt.NDArray[np.bool_], affine: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lowest and highest world coordinates of the voxels of a mask, shape (X, Y, Z), mm.

    They are at ends of its lines along the last axis.

    Examples
    --------
    >>> bounds_mm(np.array([[[False, True, True]]]), np.diag([1.0, 1.0, 2.0, 1.0]))
    (array([0., 0., 2.]), array([0., 0., 4.]))
    """
    held = mask.any(axis=-1)
    line = np.argwhere(held)
    first, last = mask.argmax(axis=-1)[held], mask[..., ::-1].argmax(axis=-1)[held]
    ends = [np.column_stack([line, at]) for at in (first, mask.shape[-1] - 1 - last)]
    points = apply_affine(affine, np.concatenate(ends))
    return points.min(axis=0), points.max(axis=0)


def box_around(
    mask: npt.NDArray[np.bool_], margin: int | npt.NDArray[np.integer]
) -> tuple[slice, ...]:
    """Box of what a mask of shape (X, Y, Z) holds, wider by a margin in voxels; all if nothing.

    Examples
    --------
    >>> box_around(np.array([[[False, True, False, False]]]), 1)
    (slice(0, 1, None), slice(0, 1, None), slice(0, 3, None))
    """
    margins = np.broadcast_to(margin, (mask.ndim,)).tolist()
    box = []
    for axis, more in enumerate(margins):
        others = tuple(n for n in range(mask.ndim) if n != axis)
        held = np.flatnonzero(mask.any(axis=others))
        low, high = (int(held[0]), int(held[-1]) + 1) if held.size else (0, mask.shape[axis])
        box.append(slice(max(low - more, 0), min(high + more, mask.shape[axis])))
    return tuple(box)


def box_grid(
    low_mm: npt.ArrayLike, high_mm: npt.ArrayLike, voxel_mm: float | npt.ArrayLike
) -> Grid:
    """Axis-aligned RAS+ grid whose voxel centres run from `low_mm` to at least `high_mm`.

    In x the box must be symmetric (``low = -high``); the grid is then centred so that it is
    symmetric about x = 0 for every voxel size.

    Examples
    --------
    >>> box_grid((-78, -112, -70), (78, 76, 85), 2.0).shape
    (79, 95, 79)
    """
    low, high = np.asarray(low_mm, dtype=np.float64), np.asarray(high_mm, dtype=np.float64)
    step = np.broadcast_to(np.asarray(voxel_mm, dtype=np.float64), (3,))
    if not np.isclose(low[0], -high[0]):
        raise GridError(
            "the box is not symmetric in x",
            found=f"{low[0]} to {high[0]} mm",
            do="give a box that reaches as far to the left as to the right",
        )
    # Rounding upwards at the top is what SPM12 does, hence its 79 × 95 × 79 grid.
    shape = np.ceil((high - low) / step - 1e-6).astype(int) + 1
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = low
    affine[0, 3] = -0.5 * (shape[0] - 1) * step[0]
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def normalisation_grid(voxel_mm: float = 2.0) -> Grid:
    """Template-space grid of the box that Mo 2025 uses: x ±78, y -112…76, z -70…85 mm."""
    return box_grid((-78.0, -112.0, -70.0), (78.0, 76.0, 85.0), voxel_mm)


def is_symmetric(grid: Grid, *, tolerance_mm: float = 1e-4) -> bool:
    """Whether reversing the first axis mirrors the grid about x = 0."""
    a = grid.affine
    off_axis = max(abs(a[0, 1]), abs(a[0, 2]), abs(a[1, 0]), abs(a[2, 0]))
    centre_mm = abs(2.0 * a[0, 3] + a[0, 0] * (grid.shape[0] - 1))
    return bool(off_axis * max(grid.shape) <= tolerance_mm and centre_mm <= tolerance_mm)


def mirror(data: npt.NDArray[Scalar], grid: Grid) -> npt.NDArray[Scalar]:
    """Mirror an image about x = 0 mm; the value at (x, y, z) becomes that at (-x, y, z).

    Parameters
    ----------
    data
        Shape (X, Y, Z) or (X, Y, Z, ...).
    grid
        Must be symmetric about x = 0, as every template grid is; an image on another grid is
        resampled onto one first.

    Raises
    ------
    GridError
        If array reversal would not be the mirror in millimetres.
    """
    if tuple(data.shape[:3]) != grid.shape:
        raise GridError(
            "the image does not fit its grid", found=f"{data.shape[:3]} and {grid.shape}"
        )
    if not is_symmetric(grid):
        raise GridError(
            "the grid is not symmetric about x = 0 mm",
            found=f"affine row {np.round(grid.affine[0], 4).tolist()}",
            do="resample the image to a template grid before mirroring",
        )
    return data[::-1]


def opposite(side: Side) -> Side:
    """Return the other side.

    Examples
    --------
    >>> opposite("left")
    'right'
    """
    return "right" if side == "left" else "left"


def hemisphere(grid: Grid, side: Side) -> npt.NDArray[np.bool_]:
    """Mask, shape (X, Y, Z), of the voxels whose centre lies strictly on one side, by x in mm."""
    i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    a = grid.affine[0]
    x_mm = i * a[0] + j * a[1] + k * a[2] + a[3]
    return np.asarray(x_mm < -1e-6 if side == "left" else x_mm > 1e-6)


def side_of(mask: npt.NDArray[np.generic], grid: Grid) -> Side:
    """Side on which the centroid of a mask of shape (X, Y, Z) lies, by x in mm."""
    voxels = np.argwhere(mask)
    if len(voxels) == 0:
        raise GridError(
            "an empty mask has no side",
            do="check that the mask lies in the image and holds the structure",
        )
    x_mm = apply_affine(grid.affine, voxels.mean(axis=0))[0]
    return "left" if x_mm < 0 else "right"


def require_same(name_a: str, a: Grid, name_b: str, b: Grid, *, where: object = None) -> None:
    """Raise :class:`GridError` unless both grids are the same to 1 µm."""
    check_same_grid(name_a, a.shape, a.affine, name_b, b.shape, b.affine, where=where)
