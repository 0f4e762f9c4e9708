"""Hypothesis strategies that tests of every room share."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.grid import Grid

ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""The 48 ways in which a scanner can store the axes of one volume."""


@st.composite
def affines(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """Invertible affines with voxels of 0.5 to 5 mm, any rotation, any handedness."""
    from scipy.spatial.transform import Rotation

    sizes = draw(st.lists(st.floats(0.5, 5.0), min_size=3, max_size=3))
    angles = draw(st.lists(st.floats(-180.0, 180.0), min_size=3, max_size=3))
    shift = draw(st.lists(st.floats(-100.0, 100.0), min_size=3, max_size=3))
    sign = draw(st.sampled_from([-1.0, 1.0]))
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = rotation @ np.diag([sizes[0] * sign, sizes[1], sizes[2]])
    affine[:3, 3] = shift
    return affine


@st.composite
def symmetric_grids(draw: st.DrawFn) -> Grid:
    """Small grids that are symmetric about x = 0 mm."""
    shape = draw(st.tuples(*[st.integers(2, 9)] * 3))
    size = draw(st.floats(0.5, 4.0))
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = [-(shape[0] - 1) * size / 2, *draw(st.tuples(*[st.floats(-50, 50)] * 2))]
    return Grid(shape, affine)


def volumes(shape: tuple[int, ...]) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    """Finite, non-negative images."""
    return hnp.arrays(np.float32, shape, elements=st.floats(0.0, 1000.0, width=32))


def store(
    data: npt.NDArray[np.generic],
    affine: npt.NDArray[np.float64],
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.float64]]:
    """Store the same world-space image with permuted and flipped axes."""
    order, signs = orientation
    turned = np.transpose(data, order)
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1.0
    for new, (old, sign) in enumerate(zip(order, signs, strict=True)):
        to_old[old, new] = sign
        if sign < 0:
            turned = np.flip(turned, new)
            to_old[old, 3] = data.shape[old] - 1
    return turned, affine @ to_old
