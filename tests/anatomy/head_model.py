"""A small head of ellipsoids with all six tissues, its priors, and T1w images of it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from falx.anatomy.priors import TissuePriors, as_priors
from falx.core.grid import apply_affine, box_grid
from falx.images.nifti import Image

INTENSITY = np.array([96.0, 150.0, 40.0, 20.0, 105.0, 2.0])
"""Mean T1w intensity of grey, white, fluid, bone, soft tissue, air."""


def tissues(mm: np.ndarray) -> np.ndarray:
    """Hard fractions of the six tissues at world points, shape (..., 6)."""

    def inside(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        return np.linalg.norm((mm - centre) / radii, axis=-1) <= 1

    head = inside((0, -14, 2), (78, 98, 88)) | inside((0, 20, -70), (40, 55, 60))
    skull = inside((0, -16, 8), (72, 92, 78))
    brain = inside((0, -16, 8), (68, 86, 72))
    grey = inside((0, -17, 9), (64, 82, 66))
    white = inside((0, -17, 9), (54, 71, 55)) & ~inside((0, 60, 9), (16, 40, 60))
    deep = inside((16, -10, 6), (9, 16, 9)) | inside((-16, -10, 6), (9, 16, 9))
    fluid = inside((9, -22, 18), (5, 28, 8)) | inside((-9, -22, 18), (5, 28, 8))
    labels = np.full(mm.shape[:-1], 5)
    for mask, value in (
        (head, 4),
        (skull, 3),
        (brain, 2),
        (grey, 0),
        (white, 1),
        (deep, 0),
        (fluid, 2),
    ):
        labels[mask] = value
    return np.eye(6)[labels]


def priors(voxel_mm: float = 3.0) -> TissuePriors:
    """Smooth priors of the head in template space."""
    grid = box_grid((-96, -132, -90), (96, 108, 114), voxel_mm)
    hard = tissues(grid.centres_mm())
    soft = np.stack(
        [ndimage.gaussian_filter(hard[..., k], 1.2, mode="nearest") for k in range(6)], axis=-1
    )
    return as_priors(soft, grid.affine)


def pose(turn_deg: tuple[float, ...] = (0, 0, 0), shift_mm: tuple[float, ...] = (0, 0, 0)):
    """Rigid 4×4 from template-like to native mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def t1w(
    rng: np.random.Generator,
    *,
    voxel_mm: float = 2.5,
    matrix: np.ndarray | None = None,
    noise: float = 3.0,
    bias: float = 0.2,
    zoom: float = 0.93,
    intensity: np.ndarray = INTENSITY,
) -> tuple[Image, np.ndarray, np.ndarray]:
    """A T1w image, its true fractions (X, Y, Z, 6) and the true native → template affine.

    The header is moved by `matrix`; the voxels stay where they are.
    """
    grid = box_grid((-92.5, -120, -100), (92.5, 100, 105), voxel_mm)
    to_template = np.diag([1 / zoom, 1 / zoom, 1 / zoom, 1.0])
    mm = grid.centres_mm()
    truth = tissues(apply_affine(to_template, mm))
    clean = ndimage.gaussian_filter(truth @ intensity, 0.4)
    field = np.exp(bias * np.sin(mm[..., 0] / 60) * np.cos(mm[..., 1] / 70))
    noisy = np.hypot(
        clean * field + noise * rng.standard_normal(clean.shape),
        noise * rng.standard_normal(clean.shape),
    )
    moved = np.eye(4) if matrix is None else matrix
    image = Image(noisy.astype(np.float32), moved @ grid.affine)
    return image, truth, to_template @ np.linalg.inv(moved)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """2|A and B| / (|A| + |B|)."""
    return float(2 * np.sum(a & b) / (np.sum(a) + np.sum(b)))
