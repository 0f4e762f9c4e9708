"""A moving head on an EPI grid, made from the MNI template: the truth of motion estimation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class MovingHead:
    volumes: list[np.ndarray]
    affine: np.ndarray
    matrices: np.ndarray
    brain_mm: np.ndarray

    def error_um(self, estimated: np.ndarray) -> np.ndarray:
        """Mean distance over brain voxels between estimated and true positions, µm."""
        apart = estimated - self.matrices
        moved = np.einsum("tij,nj->tni", apart[:, :3, :3], self.brain_mm)
        return 1e3 * np.linalg.norm(moved + apart[:, None, :3, 3], axis=2).mean(axis=1)


def moving_head(n_volumes: int, seed: int = 0, restless: float = 1.0) -> MovingHead:
    """Simulate motion of a random walk, EPI-like contrast, Rician noise of 8 and a drift.

    The design of the simulation is that of the project's motion benchmark: 64×64×33 voxels of
    3.4375×3.4375×4 mm, brain 1000 (1.15 - 0.6 d), elsewhere 150 d, blurred by 2 mm.
    """
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    rng = np.random.default_rng(seed)
    template = load_mni152_template(resolution=2)
    brain = load_mni152_brain_mask(resolution=2).get_fdata() > 0
    d = template.get_fdata()
    d = d / d[brain].max()
    head = ndimage.gaussian_filter(np.where(brain, 1000 * (1.15 - 0.6 * d), 150 * d), 1.0)
    spline = ndimage.spline_filter(head)
    shape, size = (64, 64, 33), np.array([3.4375, 3.4375, 4.0])
    affine = np.diag([*size, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * size + [0, -18, 15]
    steps = restless * rng.normal(size=(n_volumes, 6)) * np.array([0.06] * 3 + [0.0012] * 3)
    steps[0] = 0
    matrices = matrix_from_parameters(np.cumsum(steps, axis=0))
    voxels = np.indices(shape).reshape(3, -1).T
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    to_template = np.linalg.inv(template.affine)
    volumes = []
    for k, matrix in enumerate(matrices):
        back = to_template @ np.linalg.inv(matrix)
        at = points @ back[:3, :3].T + back[:3, 3]
        clean = ndimage.map_coordinates(spline, at.T, order=3, prefilter=False, mode="constant")
        noisy = np.hypot(clean + 8 * rng.normal(size=len(at)), 8 * rng.normal(size=len(at)))
        volumes.append((noisy * (1 + 0.004 * np.sin(k / 5))).reshape(shape).astype(np.float32))
    inside = np.argwhere(brain) @ template.affine[:3, :3].T + template.affine[:3, 3]
    seen = (inside - affine[:3, 3]) / size
    inside = inside[np.all((seen >= 0) & (seen <= np.array(shape) - 1), axis=1)]
    return MovingHead(volumes, affine, matrices, inside)


def matrix_from_parameters(
    parameters: npt.ArrayLike, *, centre_mm: npt.ArrayLike = (0.0, 0.0, 0.0)
) -> npt.NDArray[np.float64]:
    """Rigid matrices ``T Rx Ry Rz`` from (..., 6) translations (mm) and rotations (rad).

    Parameters
    ----------
    centre_mm
        Point that the rotation leaves in place, world mm.

    Notes
    -----
    SPM's convention: Rx = [1 0 0; 0 c s; 0 -s c], Ry = [c 0 s; 0 1 0; -s 0 c],
    Rz = [c s 0; -s c 0; 0 0 1].
    """
    p = np.asarray(parameters, dtype=np.float64)
    cx, cy, cz = np.moveaxis(np.cos(p[..., 3:]), -1, 0)
    sx, sy, sz = np.moveaxis(np.sin(p[..., 3:]), -1, 0)
    rows = [
        [cy * cz, cy * sz, sy],
        [-sx * sy * cz - cx * sz, -sx * sy * sz + cx * cz, sx * cy],
        [-cx * sy * cz + sx * sz, -cx * sy * sz - sx * cz, cx * cy],
    ]
    matrix = np.zeros((*p.shape[:-1], 4, 4))
    matrix[..., :3, :3] = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    centre = np.asarray(centre_mm, dtype=np.float64)
    matrix[..., :3, 3] = p[..., :3] + centre - matrix[..., :3, :3] @ centre
    matrix[..., 3, 3] = 1.0
    return matrix
