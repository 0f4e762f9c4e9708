"""Heads made of labels: the shipped ones, made symmetric, and new ones by smooth deformations.

Label maps: Billot et al. 2023, Medical Image Analysis 86:102789. The midsagittal plane and the
mirroring have no published source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError, check_option, check_range
from falx.core.grid import Grid, apply_affine, box_grid, is_symmetric
from falx.data.labels import TISSUES, head_labels, recode, swap_sides
from falx.images.mirror import mirror_image
from falx.images.nifti import Image, load_labels
from falx.images.resample import sample
from falx.images.smooth import FWHM_PER_SIGMA
from falx.images.warp import CoordinateMap

__all__ = [
    "SHIPPED",
    "Head",
    "deformation",
    "load_head",
    "midsagittal",
    "mirror_head",
    "symmetric_head",
    "warp_head",
]

HEADS = Path(__file__).parents[1] / "data" / "heads"
SHIPPED = ("05", "10", "12")
"""Numbers of the shipped heads; :func:`load_head` reads them."""

HEAD_BOX = ((-96.0, -124.0, -118.0), (96.0, 116.0, 106.0))
"""Field of view of a phantom, mm about the centre of the cerebral white matter."""


@dataclass(frozen=True, eq=False)
class Head:
    """A label map of a whole head.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), int16, the original labels (0 … 530) of
        :func:`falx.data.labels.head_labels`.
    affine
        4×4, voxel to RAS+ mm; array axes run right, anterior, superior.
    """

    labels: npt.NDArray[np.int16]
    affine: npt.NDArray[np.float64]

    @property
    def grid(self) -> Grid:
        """Grid of the labels."""
        x, y, z = self.labels.shape
        return Grid((x, y, z), self.affine)

    def mask(self, *ids: int) -> npt.NDArray[np.bool_]:
        """Voxels that carry one of the labels, shape (X, Y, Z)."""
        return np.asarray(np.isin(self.labels, ids))

    def tissues(self) -> npt.NDArray[np.uint8]:
        """Position (X, Y, Z) of every voxel's tissue in :data:`falx.data.labels.TISSUES`."""
        table = head_labels().table(head_labels().tissue_number)
        return recode(self.labels, table).astype(np.uint8)

    def fraction(self, tissue: str) -> npt.NDArray[np.bool_]:
        """Voxels (X, Y, Z) of one tissue: the exact fractions of a phantom are zero and one."""
        check_option("tissue", tissue, TISSUES)
        return np.asarray(self.tissues() == TISSUES.index(tissue))

    def volume_mm3(self, *ids: int) -> float:
        """Volume of the voxels that carry one of the labels, mm³."""
        return float(self.mask(*ids).sum() * self.grid.voxel_volume_mm3)


def load_head(number: str = "05", folder: Path | None = None) -> Head:
    """Read a shipped head; labels are returned as in the original (5xx, not 2xx).

    Parameters
    ----------
    number
        One of :data:`SHIPPED`, unless a folder with original ``training_seg_*.nii.gz`` is
        given.
    """
    if folder is not None:
        image = load_labels(folder / f"training_seg_{number}.nii.gz")
        return Head(image.data.astype(np.int16), image.affine)
    check_option("head", number, SHIPPED)
    image = load_labels(HEADS / f"head-{number}_dseg.nii.gz")
    table = head_labels().table(head_labels().index, stored=True)
    return Head(recode(image.data, table).astype(np.int16), image.affine)


def mirror_head(head: Head) -> Head:
    """Mirror a head about x = 0 and swap the sides of its labels."""
    mirrored = mirror_image(Image(swap_sides(head.labels).astype(np.int16), head.affine))
    return Head(mirrored.data, mirrored.affine)


def midsagittal(head: Head) -> npt.NDArray[np.float64]:
    """Rigid matrix, shape (4, 4), that brings the head's midsagittal plane to x = 0.

    The plane x = a + b y + c z is fitted to the midpoints between the two hemispheres' white
    matter, row by row; rows without both hemispheres close to each other do not count.

    Returns
    -------
    ndarray
        4×4, from the head's mm to mm in which the plane is x = 0 and the centre of the
        cerebral white matter is the origin.
    """
    left, right = head.mask(2), head.mask(41)
    if not (left.any() and right.any()):
        raise InputError("the head has no cerebral white matter", do="use a whole-head label map")
    n = head.labels.shape[0]
    last_left = n - 1 - np.argmax(left[::-1], axis=0)
    first_right = np.argmax(right, axis=0)
    rows = left.any(axis=0) & right.any(axis=0) & (abs(first_right - last_left) < 12)
    j, k = np.nonzero(rows)
    middle = 0.5 * (last_left[rows] + first_right[rows])
    points = apply_affine(head.affine, np.stack([middle, j, k], axis=-1))
    design = np.column_stack([np.ones(len(points)), points[:, 1:]])
    use = np.ones(len(points), dtype=bool)
    for _ in range(5):
        a, b, c = np.linalg.lstsq(design[use], points[use, 0], rcond=None)[0]
        rest = points[:, 0] - design @ [a, b, c]
        use = np.abs(rest) < 2.0
    normal = np.array([1.0, -b, -c]) / np.sqrt(1 + b * b + c * c)
    centre = apply_affine(head.affine, np.argwhere(left | right).mean(axis=0))
    centre[0] = a + b * centre[1] + c * centre[2]
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation_to_x(normal)
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return matrix


def symmetric_head(head: Head, *, voxel_mm: float = 1.0) -> Head:
    """Mirror the left half of a head to the right; sides are swapped, strays relabelled.

    Returns
    -------
    Head
        On a grid that is symmetric about x = 0 without a voxel on it, in which the mirror
        image of every label is its partner on the other side.
    """
    check_range("voxel_mm", voxel_mm, 0.5, 4.0, unit="mm")
    labels = head_labels()
    half = 0.5 * voxel_mm + np.ceil(HEAD_BOX[1][0] / voxel_mm) * voxel_mm
    (_, *low), (_, *high) = HEAD_BOX
    grid = box_grid((-half, *low), (half, *high), voxel_mm)
    points = apply_affine(np.linalg.inv(midsagittal(head)), grid.centres_mm())
    pulled = sample(Image(head.labels, head.affine), points, how="nearest")
    pulled = _hold_neck(pulled)
    left_half = pulled[: grid.shape[0] // 2]
    mirror = labels.table(labels.mirror)
    right_ids = labels.index[np.array(labels.side) == "right"]
    strays = np.isin(left_half, right_ids)
    left_half = np.where(strays, mirror[left_half], left_half)
    both = np.concatenate([left_half, mirror[left_half][::-1]], axis=0)
    return Head(both.astype(np.int16), grid.affine)


def deformation(
    grid: Grid,
    rng: np.random.Generator,
    *,
    amplitude_mm: float = 4.0,
    fwhm_mm: float = 50.0,
    symmetric: bool = True,
) -> CoordinateMap:
    """Random smooth deformation, sampled at 4 mm.

    Parameters
    ----------
    amplitude_mm
        Root mean square displacement, mm.
    fwhm_mm
        Smoothness. Displacements steeper than 0.5 mm a mm are refused, so that the map is
        one to one.
    symmetric
        Mirror symmetric about x = 0: a symmetric head stays so.

    Returns
    -------
    CoordinateMap
        For every point of the new head, the point of the old one.
    """
    check_range("amplitude_mm", amplitude_mm, 0.0, 0.1 * fwhm_mm, unit="mm")
    coarse = _coarse_grid(grid, 4.0)
    sigma = fwhm_mm / FWHM_PER_SIGMA / 4.0
    field = np.stack(
        [
            ndimage.gaussian_filter(rng.standard_normal(coarse.shape), sigma, mode="reflect")
            for _ in range(3)
        ],
        axis=-1,
    )
    if symmetric:
        field = 0.5 * (field + field[::-1] * np.array([-1.0, 1.0, 1.0]))
    field *= amplitude_mm / np.sqrt((field**2).sum(axis=-1).mean())
    steepest = max(np.abs(np.gradient(field[..., a], 4.0)).max() for a in range(3))
    field *= min(1.0, 0.3 / max(steepest, 1e-9))
    return CoordinateMap((coarse.centres_mm() + field).astype(np.float32), coarse.affine)


def warp_head(head: Head, mapping: CoordinateMap) -> Head:
    """Bring a head through a deformation, on the same grid."""
    points = mapping.on(head.grid)
    if is_symmetric(head.grid):
        # Mirrored points must be mirrored bits, or ties between labels fall both ways.
        lower = points[: (head.grid.shape[0] + 1) // 2]
        if np.allclose(points, points[::-1] * [-1, 1, 1], atol=1e-3):
            return _warp_half(head, lower)
    labels = sample(Image(head.labels, head.affine), points, how="nearest")
    return Head(labels.astype(np.int16), head.affine)


def _warp_half(head: Head, lower: npt.NDArray[np.float32]) -> Head:
    labels = head_labels()
    half = sample(Image(head.labels, head.affine), lower, how="nearest")
    whole = np.empty(head.labels.shape, dtype=np.int16)
    whole[-len(half) :] = labels.table(labels.mirror)[half][::-1]
    whole[: len(half)] = half
    return Head(whole, head.affine)


def _hold_neck(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Continue the lowest slice of the head downwards to the border of the grid."""
    filled = np.flatnonzero((labels > 0).sum(axis=(0, 1)) > 200)
    held = labels.copy()
    held[:, :, : filled[0] + 1] = held[:, :, filled[0] + 1, None]
    return held


def _coarse_grid(grid: Grid, voxel_mm: float) -> Grid:
    """Grid of `voxel_mm` with the same centre that covers another one."""
    factor = voxel_mm / grid.voxel_sizes_mm
    shape = np.ceil((np.array(grid.shape) - 1) / factor).astype(int) + 1
    affine = grid.affine @ np.diag([*factor, 1.0])
    middle = apply_affine(grid.affine, 0.5 * (np.array(grid.shape) - 1))
    affine[:3, 3] = middle - affine[:3, :3] @ (0.5 * (shape - 1))
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _rotation_to_x(normal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Smallest rotation that turns a unit vector to the x axis (Rodrigues)."""
    axis = np.cross(normal, [1.0, 0.0, 0.0])
    cross = np.array(
        [[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]]
    )
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + normal[0]))
