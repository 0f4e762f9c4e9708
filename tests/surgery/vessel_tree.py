"""Vessel trees planted in label maps, as images with contrast and of flow show them.

Tubes are drawn on voxels a third as large and averaged (partial volume); noise is Rician-like,
the receive field smooth. Grey levels are judgements, for no published table has all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from falx.core.grid import Grid

FINE = 3

LEVELS = {
    # cerebrospinal fluid, grey, white, vessel; in a T1w without agent blood is as dark as grey
    "t1w": (0.30, 0.70, 1.00, 0.60),
    "t1ce": (0.30, 0.70, 1.00, 1.70),
    "tof": (0.45, 0.75, 0.80, 2.20),
    "swi": (1.15, 1.00, 0.90, 0.35),
}


@dataclass(frozen=True)
class Tree:
    """Centre line points (N, 3) with radii (N,), both mm."""

    points_mm: np.ndarray
    radii_mm: np.ndarray

    def far_from(self, points):
        """Distance from some points to the nearest part of the centre line, mm."""
        from scipy.spatial import cKDTree

        return cKDTree(self.points_mm).query(points)[0]


def grown_tree(box_mm, rng, *, trunks=4, generations=4, radius_mm=1.5):
    """A tree that branches from trunks at the bottom of a box, thinner with every branch."""
    box = np.array(box_mm, dtype=float)
    points, radii = [], []
    heads = []
    for _ in range(trunks):
        start = box * rng.uniform((0.2, 0.2, 0.02), (0.8, 0.8, 0.15))
        heads.append((start, np.array([0, 0, 1.0]), radius_mm * rng.uniform(0.8, 1.2), 0))
    while heads:
        place, way, radius, generation = heads.pop()
        for _ in range(int(rng.uniform(18, 36) / 0.5)):
            way = way + rng.normal(0, 0.09, 3)
            way /= np.linalg.norm(way)
            place = place + 0.5 * way
            if np.any(place < 2) or np.any(place > box - 2):
                break
            points.append(place)
            radii.append(radius)
        else:
            if generation < generations and radius > 0.5:
                for _ in range(2):
                    aside = way + rng.normal(0, 0.6, 3)
                    aside /= np.linalg.norm(aside)
                    thinner = max(radius * rng.uniform(0.7, 0.85), 0.45)
                    heads.append((place, aside, thinner, generation + 1))
    return Tree(np.array(points), np.array(radii))


def tube_share(tree, shape, voxel_mm=1.0):
    """Share of each voxel that the tubes fill, shape (X, Y, Z); the box begins at 0 mm."""
    fine = np.zeros([n * FINE for n in shape], bool)
    step = voxel_mm / FINE
    for place, radius in zip(tree.points_mm, tree.radii_mm, strict=True):
        middle = place / step
        reach = int(np.ceil(radius / step)) + 1
        low = np.maximum(np.floor(middle).astype(int) - reach, 0)
        high = np.minimum(np.floor(middle).astype(int) + reach + 1, fine.shape)
        axes = [(np.arange(a, b) + 0.5) * step for a, b in zip(low, high, strict=True)]
        away = sum(
            ((axis - p).reshape([-1 if n == k else 1 for n in range(3)])) ** 2
            for k, (axis, p) in enumerate(zip(axes, place, strict=True))
        )
        fine[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] |= away <= radius**2
    x, y, z = shape
    return fine.reshape(x, FINE, y, FINE, z, FINE).mean(axis=(1, 3, 5))


def scanned(classes, share, contrast, rng, *, noise=0.04, bias=0.25):
    """Image of tissue classes (0 fluid, 1 grey, 2 white), blurred a little, with a tree in it."""
    fluid, grey, white, vessel = LEVELS[contrast]
    tissue = ndimage.gaussian_filter(np.choose(classes, [fluid, grey, white]), 0.5)
    image = tissue * (1 - share) + vessel * share
    field = ndimage.gaussian_filter(rng.standard_normal(classes.shape), 18)
    image = image * np.exp(bias * field / np.abs(field).max())
    return np.abs(image + rng.normal(0, noise, image.shape)).astype(np.float32)


def box_grid(shape, voxel_mm=1.0):
    """Grid whose box begins at 0 mm, so that a voxel's centre lies half a voxel inside."""
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = voxel_mm / 2
    return Grid(tuple(shape), affine)


def length_of(points, spacing_mm=2.0):
    """How many balls of a spacing cover points in their order: a length in such steps."""
    from scipy.spatial import cKDTree

    if not len(points):
        return 0
    tree, left, count = cKDTree(points), np.ones(len(points), bool), 0
    for n in range(len(points)):
        if left[n]:
            left[tree.query_ball_point(points[n], spacing_mm)] = False
            count += 1
    return count


def recall_and_false(mask, grid, tree, within_mm=2.0):
    """Share of the tree's length found within 2 mm, and share of the mask's length off it."""
    voxels = np.argwhere(mask)
    points = voxels * grid.voxel_sizes_mm + grid.affine[:3, 3]
    if not len(points):
        return 0.0, 0.0
    from scipy.spatial import cKDTree

    recall = float(np.mean(cKDTree(points).query(tree.points_mm)[0] <= within_mm))
    off = tree.far_from(points) > within_mm
    return recall, length_of(points[off]) / max(length_of(points), 1)
