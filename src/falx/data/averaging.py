"""The mathematics of building priors: labels of registered heads, averaged and made symmetric.

Used by ``scripts/build_priors.py`` and by leave-one-out studies; registration itself is not
here. Every head is averaged together with its mirror image, sides swapped, so that the result
is symmetric to the last bit.

Averages of heads and their mirror images: Fonov et al. 2011, NeuroImage 54:313, for the symmetric
template to which the heads are registered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import GridError
from falx.core.grid import Grid, apply_affine, is_symmetric
from falx.data.labels import TISSUES, head_labels, recode
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.images.warp import CoordinateMap

__all__ = [
    "RegisteredHead",
    "average_structures",
    "average_tissues",
    "combine_tissues",
    "cut_below_skull",
    "structure_ids",
    "structures_of_sum",
    "summed_structures",
    "summed_tissues",
    "tissues_of_sum",
]

BELOW_CEREBELLUM_MM = 5.0
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class RegisteredHead:
    """A head's label map and the map from template to head coordinates."""

    labels: Image
    to_head: CoordinateMap


def cut_below_skull(labels: Image) -> Image:
    """Turn CSF below the foramen magnum into soft tissue, so that it does not count as brain.

    The foramen magnum is taken 5 mm below the lowest cerebellar voxel (world z).
    """
    z_mm = _heights(labels.grid)
    cerebellum = np.isin(labels.data, (8, 47))
    floor_mm = np.broadcast_to(z_mm, labels.data.shape)[cerebellum].min() - BELOW_CEREBELLUM_MM
    data = labels.data.copy()
    data[(data == 24) & (z_mm < floor_mm)] = 507
    return Image(data, labels.affine)


def structure_ids() -> list[int]:
    """Labels that have a structure prior, ascending (FreeSurfer numbers)."""
    return sorted(set(head_labels().structure.tolist()) - {0})


def average_tissues(heads: Iterable[RegisteredHead], grid: Grid) -> npt.NDArray[np.float32]:
    """Mean of the heads' six tissue maps and their mirror images.

    Parameters
    ----------
    heads
        Labels as in the original heads, cut by :func:`cut_below_skull`.
    grid
        Symmetric template grid.

    Returns
    -------
    ndarray
        Shape (X, Y, Z, 6), sums to one; ``result[::-1]`` equals ``result``.
    """
    return tissues_of_sum(summed_tissues(heads, grid))


def summed_tissues(heads: Iterable[RegisteredHead], grid: Grid) -> npt.NDArray[np.float32]:
    """Sum of the heads' tissue maps, shape (6, X, Y, Z); a head can be taken out again."""
    table = head_labels().table(head_labels().tissue_number)
    classes = np.arange(len(TISSUES))
    return _accumulate(heads, grid, table, classes, outside=TISSUES.index("air"))


def tissues_of_sum(total: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """:func:`average_tissues`, shape (X, Y, Z, 6), of heads whose sum (6, X, Y, Z) is given."""
    both = total + total[:, ::-1]
    return np.asarray(np.moveaxis(both / both.sum(axis=0), 0, -1), dtype=np.float32)


def average_structures(heads: Iterable[RegisteredHead], grid: Grid) -> npt.NDArray[np.float32]:
    """Mean probability of every structure of :func:`structure_ids`.

    Returns
    -------
    ndarray
        Shape (n, X, Y, Z); the mirror image of a left structure is the right one, bit by bit.
    """
    return structures_of_sum(summed_structures(heads, grid))


def summed_structures(heads: Iterable[RegisteredHead], grid: Grid) -> npt.NDArray[np.float32]:
    """Sum of the heads' structures, shape (n + 1, X, Y, Z), of which the first is none."""
    labels, ids = head_labels(), [0, *structure_ids()]
    number = {structure: n for n, structure in enumerate(ids)}
    table = labels.table([number[s] for s in labels.structure.tolist()])
    return _accumulate(heads, grid, table, np.arange(len(ids)), outside=0)


def structures_of_sum(total: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """:func:`average_structures`, shape (n, X, Y, Z), of heads whose sum (n + 1, …) is given."""
    ids = [0, *structure_ids()]
    number = {structure: n for n, structure in enumerate(ids)}
    mirror = head_labels().table(head_labels().mirror)
    swapped = np.array([number[int(mirror[s])] for s in ids])
    both = total + total[swapped][:, ::-1]
    return np.asarray(both[1:] / both.sum(axis=0), dtype=np.float32)


def combine_tissues(
    heads: npt.NDArray[np.floating],
    template_gm: npt.NDArray[np.floating],
    template_wm: npt.NDArray[np.floating],
    grid: Grid,
    *,
    template_weight: float = 0.5,
    fwhm_mm: float = 2.0,
) -> npt.NDArray[np.float32]:
    """Anchor the heads' tissue maps to the template and smooth them.

    Parameters
    ----------
    heads
        Shape (X, Y, Z, 6), from :func:`average_tissues`.
    template_gm, template_wm
        Shape (X, Y, Z), 0 … 1.
    template_weight
        Share of the template in GM and WM inside the brain. The rest is the heads': in the
        brainstem and the deep nuclei the template's maps follow T1-weighted brightness, the
        heads' follow anatomy.
    fwhm_mm
        Smoothing, mm.

    Returns
    -------
    ndarray
        Shape (X, Y, Z, 6), sums to one, exactly symmetric.
    """
    others = heads[..., 2:] / np.maximum(heads[..., 2:].sum(axis=-1, keepdims=True), 1e-6)
    empty = others.sum(axis=-1) < 0.5
    others[empty, 0] = 1.0 - others[empty].sum(axis=-1)
    rest = np.clip(1.0 - template_gm - template_wm, 0.0, 1.0)
    template = np.concatenate(
        [template_gm[..., None], template_wm[..., None], rest[..., None] * others], axis=-1
    )
    mixed = template_weight * template + (1.0 - template_weight) * heads
    smoothed = np.stack(
        [_smooth_held(mixed[..., k], grid, fwhm_mm) for k in range(len(TISSUES))], axis=-1
    )
    symmetric = smoothed + smoothed[::-1]
    return np.asarray(symmetric / symmetric.sum(axis=-1, keepdims=True), dtype=np.float32)


def _smooth_held(
    data: npt.NDArray[np.floating], grid: Grid, fwhm_mm: float
) -> npt.NDArray[np.float32]:
    """Smooth with the border's value held beyond the border."""
    margin = 6
    padded = smooth(np.pad(data, margin, mode="edge"), grid.voxel_sizes_mm, fwhm_mm)
    inner = (slice(margin, -margin),) * 3
    return np.asarray(padded[inner])


def _heights(grid: Grid) -> npt.NDArray[np.float64]:
    i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    row = grid.affine[2]
    return np.asarray(i * row[0] + j * row[1] + k * row[2] + row[3])


def _lowest_slice(labels: Image) -> int:
    """First slice of the head itself: what the field of view cut off below is not air."""
    return int(np.flatnonzero(labels.data.any(axis=(0, 1)))[0])


def _accumulate(
    heads: Iterable[RegisteredHead],
    grid: Grid,
    table: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int64],
    *,
    outside: int,
) -> npt.NDArray[np.float32]:
    """Sum the heads' one-hot labels, pulled to the grid with linear weights."""
    if not is_symmetric(grid):
        raise GridError("priors need a grid that is symmetric about x = 0 mm")
    total = np.zeros((len(classes), grid.size), dtype=np.float32)
    for head in heads:
        numbers = recode(head.labels.data, table).astype(np.int16)
        numbers[:, :, : _lowest_slice(head.labels)] = UNKNOWN
        points = head.to_head.on(grid)
        voxels = apply_affine(np.linalg.inv(head.labels.affine), points).reshape(-1, 3)
        _add_one_hot(np.ascontiguousarray(numbers), voxels, total, outside)
    return np.asarray(total.reshape(len(classes), *grid.shape))


@numba.njit(cache=True, nogil=True)
def _add_one_hot(numbers, voxels, total, outside):  # type: ignore[no-untyped-def]
    """Add the linear weights of the eight neighbours to the class that each belongs to."""
    nx, ny, nz = numbers.shape
    for n in range(voxels.shape[0]):
        x, y, z = voxels[n, 0], voxels[n, 1], voxels[n, 2]
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        u, v, w = x - i, y - j, z - k
        for corner in range(8):
            a, b, c = corner & 1, (corner >> 1) & 1, corner >> 2
            weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
            p, q, r = i + a, j + b, k + c
            if 0 <= p < nx and 0 <= q < ny and 0 <= r < nz:
                if numbers[p, q, r] >= 0:
                    total[numbers[p, q, r], n] += weight
            elif r >= 0:
                total[outside, n] += weight
