"""Images of one person in template space, for pictures."""

from __future__ import annotations

from falx.core.grid import Grid, normalisation_grid
from falx.images.nifti import Image
from falx.images.resample import pull
from falx.images.warp import CoordinateMap

__all__ = ["in_template"]


def in_template(image: Image, to_native: CoordinateMap, *, voxel_mm: float = 2.0) -> Image:
    """Bring a native image to the template, as a coordinate map (template → native) says."""
    grid: Grid = normalisation_grid(voxel_mm)
    return Image(pull(image, to_native.on(grid)), grid.affine)
