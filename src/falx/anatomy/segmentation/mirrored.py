"""A segmented head turned over; see :mod:`falx.anatomy.mirror_invariance`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from falx.anatomy.segmentation.result import Segmentation
from falx.core.grid import Grid
from falx.images.mirror import FLIP, mirror_affine, turned_over
from falx.images.warp import CoordinateMap

__all__ = ["mirror_segmentation"]


def mirror_segmentation(segmentation: Segmentation) -> Segmentation:
    """Mirror every image and map of a segmentation about x = 0 mm.

    The fitted parameters, among them the displacements, stay those of the head as it was
    studied.
    """
    grid = segmentation.grid
    corrected = turned_over(segmentation.corrected)
    same = segmentation.seen is segmentation.corrected
    return replace(
        segmentation,
        gm=turned_over(segmentation.gm),
        wm=turned_over(segmentation.wm),
        csf=turned_over(segmentation.csf),
        classes=turned_over(segmentation.classes),
        corrected=corrected,
        seen=corrected if same else turned_over(segmentation.seen),
        jacobian=turned_over(segmentation.jacobian),
        grid=Grid(grid.shape, mirror_affine(grid.affine, grid.shape[0])),
        affine=FLIP @ segmentation.affine @ FLIP,
        to_template=_mirror_map(segmentation.to_template),
        to_native=_mirror_map(segmentation.to_native),
    )


def _mirror_map(mapping: CoordinateMap) -> CoordinateMap:
    coordinates = turned_over(mapping.coordinates_mm)
    coordinates[..., 0] *= np.float32(-1.0)
    affine = mirror_affine(mapping.affine, coordinates.shape[0])
    return CoordinateMap(coordinates, affine)
