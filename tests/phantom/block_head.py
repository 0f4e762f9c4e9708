"""A tiny head of boxes: all tissues, both hippocampi and amygdalae, in a few thousand voxels."""

from __future__ import annotations

import numpy as np

from falx.phantom.heads import Head

AIR, SKIN, BONE, FLUID, STEM = 0, 511, 515, 24, 16
PAIRS = {
    "cortex": ((3, 42), (2, 12), (4, 28), (6, 24)),
    "white": ((2, 41), (2, 9), (6, 26), (8, 22)),
    "thalamus": ((10, 49), (2, 5), (12, 18), (12, 18)),
    "hippocampus": ((17, 53), (5, 8), (8, 20), (10, 13)),
    "amygdala": ((18, 54), (5, 8), (20, 25), (10, 13)),
}
"""Labels left and right, and voxels away from the midline, in y and in z."""


def block_head(voxel_mm: float = 2.0) -> Head:
    """Mirror-symmetric head of 30 × 32 × 30 voxels; no voxel lies on the plane x = 0."""
    labels = np.full((30, 32, 30), AIR, dtype=np.int16)
    labels[1:-1, 1:-1, 1:-1] = SKIN
    labels[2:-2, 2:-2, 3:-3] = BONE
    labels[3:-3, 3:-3, 4:-4] = FLUID
    for (left, right), (near, far), (front, back), (low, high) in PAIRS.values():
        labels[15 - far : 15 - near, front:back, low:high] = left
        labels[15 + near : 15 + far, front:back, low:high] = right
    labels[13:17, 14:18, 6:10] = STEM
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = [-14.5 * voxel_mm, -16 * voxel_mm, -15 * voxel_mm]
    return Head(labels, affine)
