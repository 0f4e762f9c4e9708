"""Which voxels of a mask touch which, so that maps can stay vectors.

6, 18 and 26 neighbours: Kong & Rosenfeld 1989, Computer Vision, Graphics, and Image Processing
48:357.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option

__all__ = ["neighbour_table"]


def neighbour_table(mask: npt.NDArray[np.bool_], connectivity: int = 26) -> npt.NDArray[np.int32]:
    """Rows of the neighbours of every mask voxel.

    Parameters
    ----------
    mask
        Shape (X, Y, Z) with V voxels; row r is the r-th voxel of ``mask`` in C order.
    connectivity
        6 (faces), 18 (and edges) or 26 (and corners).

    Returns
    -------
    ndarray
        Shape (V, connectivity); -1 where the neighbour lies outside the mask.

    Examples
    --------
    >>> neighbour_table(np.ones((1, 1, 3), bool), 6)[1].tolist()
    [-1, -1, 0, 2, -1, -1]
    """
    check_option("connectivity", str(connectivity), ("6", "18", "26"))
    if not mask.any():
        raise InputError("the mask is empty", do="check that the images overlap")
    furthest = {6: 1, 18: 2, 26: 3}[connectivity]
    row = np.full(tuple(n + 2 for n in mask.shape), -1, np.int32)
    row[1:-1, 1:-1, 1:-1][mask] = np.arange(np.count_nonzero(mask), dtype=np.int32)
    cube = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.abs(cube).sum(axis=1)
    x, y, z = np.nonzero(mask)
    columns = [
        row[x + 1 + a, y + 1 + b, z + 1 + c]
        for a, b, c in cube[(distance > 0) & (distance <= furthest)]
    ]
    return np.ascontiguousarray(np.stack(columns, axis=1))
