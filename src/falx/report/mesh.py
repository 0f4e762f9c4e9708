"""Surfaces of masks as triangle meshes, in the compact MZ3 format."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import apply_affine
from falx.images.nifti import Image

__all__ = ["Mesh", "mz3", "surface"]

MAGIC, FACES_AND_VERTICES = 23117, 3


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface.

    Parameters
    ----------
    vertices_mm
        float32, shape (V, 3), RAS+ mm.
    faces
        int32, shape (F, 3), indices of vertices.
    """

    vertices_mm: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]


def surface(mask: Image, *, smooth_voxels: float = 0.7) -> Mesh:
    """Surface of a mask at one half, by surface nets.

    Every cell of eight voxels that the surface crosses gets one vertex, in the middle of its
    edge crossings; cells that share a crossed edge are joined (Gibson 1998).
    """
    window = ndimage.find_objects(np.asarray(mask.data, dtype=bool).astype(np.uint8))[0]
    first = np.array([part.start for part in window])
    border = int(np.ceil(4 * smooth_voxels)) + 1
    values = np.pad(np.asarray(mask.data[window], dtype=np.float32), border)
    values = ndimage.gaussian_filter(values, smooth_voxels)
    inside = values >= 0.5
    cells = np.array([n - 1 for n in values.shape])
    total, weight = np.zeros((*cells, 3)), np.zeros(tuple(cells))
    for axis in range(3):
        for u in (0, 1):
            for v in (0, 1):
                _add_crossings(values, inside, axis, (u, v), total, weight)
    active = np.argwhere(weight > 0)
    number = np.full(tuple(cells), -1, dtype=np.int64)
    number[tuple(active.T)] = np.arange(len(active))
    middle = active + total[tuple(active.T)] / weight[tuple(active.T)][:, None]
    faces = np.concatenate([_quads(inside, number, axis) for axis in range(3)])
    vertices = apply_affine(mask.affine, middle - border + first)
    return Mesh(vertices.astype(np.float32), faces.astype(np.int32))


def mz3(mesh: Mesh) -> bytes:
    """Return a mesh as uncompressed MZ3: header, faces, vertices."""
    header = struct.pack(
        "<HHIII", MAGIC, FACES_AND_VERTICES, len(mesh.faces), len(mesh.vertices_mm), 0
    )
    return header + mesh.faces.astype("<i4").tobytes() + mesh.vertices_mm.astype("<f4").tobytes()


def _add_crossings(
    values: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    axis: int,
    corner: tuple[int, int],
    total: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
) -> None:
    """Add where the cells' edges along an axis, at one of four corners, cross one half."""
    others = [a for a in range(3) if a != axis]
    low, high = [slice(0, -1)] * 3, [slice(0, -1)] * 3
    high[axis] = slice(1, None)
    for other, offset in zip(others, corner, strict=True):
        low[other] = high[other] = slice(1, None) if offset else slice(0, -1)
    a, b = values[tuple(low)], values[tuple(high)]
    crossed = inside[tuple(low)] != inside[tuple(high)]
    weight += crossed
    step = np.where(crossed, (0.5 - a) / np.where(crossed, b - a, 1.0), 0.0)
    total[..., axis] += step
    for other, offset in zip(others, corner, strict=True):
        total[..., other] += crossed * offset


def _quads(
    inside: npt.NDArray[np.bool_], number: npt.NDArray[np.int64], axis: int
) -> npt.NDArray[np.int64]:
    """Two triangles around every crossed edge along an axis, turned outwards."""
    low, high = [slice(1, -1)] * 3, [slice(1, -1)] * 3
    low[axis], high[axis] = slice(0, -1), slice(1, None)
    starts, ends = inside[tuple(low)], inside[tuple(high)]
    edges = np.argwhere(starts != ends)
    rising = ~starts[tuple(edges.T)]
    place = edges + 1
    place[:, axis] = edges[:, axis]
    u, v = (axis + 1) % 3, (axis + 2) % 3
    around = []
    for du, dv in ((0, 0), (-1, 0), (-1, -1), (0, -1)):
        cell = place.copy()
        cell[:, u] += du
        cell[:, v] += dv
        around.append(number[tuple(cell.T)])
    a, b, c, d = around
    b, d = np.where(rising, d, b), np.where(rising, b, d)
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
