"""Files in, files out for coregistration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.anatomy.registration.coregistration import Coregistration, coregister
from falx.core.errors import InputError, collect_notices, notify
from falx.core.grid import require_same
from falx.images.nifti import Image, load, load_mask
from falx.core.files import write_json

__all__ = ["coregister_stage", "load_matrix"]

MARGIN_MM = 20.0
"""The metric is taken in the brain and this margin: with the scalp, without the neck."""

CONVENTION = (
    "4×4 matrix that maps RAS+ world millimetres of the fixed image (pre-operative T1w) to RAS+ "
    "world millimetres of the moving image"
)


def coregister_stage(
    *, fixed: Path, fixed_mask: Path | None, moving: Path, matrix: Path, threads: int = 1
) -> None:
    """Coregister an image of the same head to the pre-operative T1w, rigidly.

    Parameters
    ----------
    fixed
        Input: T1w image.
    fixed_mask
        Input, optional: brain mask on the T1w grid.
    moving
        Input: PET, FLAIR or post-operative T1w, on its own grid; frames are averaged.
    matrix
        Output: JSON with ``matrix`` (see ``convention``), NMI before and after, and notices.
    """
    with collect_notices() as notices:
        target = load(fixed)
        mask = None if fixed_mask is None else _surroundings(load_mask(fixed_mask), target)
        source = load_still(moving)
        found = coregister(target, source, mask=mask, threads=threads, where=moving.name)
        if found.nmi_after < found.nmi_before:
            notify("coregistration did not improve on the headers", where=moving.name)
    write_json(matrix, {**_described(found), "notices": notices})


def load_matrix(path: Path | None) -> npt.NDArray[np.float64]:
    """Matrix written by :func:`coregister_stage`; the identity if there is none."""
    if path is None:
        return np.eye(4)
    matrix = np.array(json.loads(Path(path).read_text())["matrix"], dtype=np.float64)
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
        raise InputError("the file holds no 4×4 matrix", where=Path(path).name)
    return matrix


def load_still(path: Path) -> Image:
    """Read an image; the frames of a dynamic one are averaged, which is enough to align it."""
    try:
        return load(path)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
    image = load(path, ndim=4)
    notify(
        "frames were averaged for coregistration",
        where=path.name,
        found=f"{image.data.shape[3]} frames",
    )
    return Image(image.data.mean(axis=3), image.affine)


def _surroundings(mask: Image, target: Image) -> npt.NDArray[np.bool_]:
    """Voxels of the target within the margin of the mask along each axis."""
    require_same("brain mask", mask.grid, "T1w", target.grid)
    near = mask.data.astype(np.uint8)
    for axis, size_mm in enumerate(mask.grid.voxel_sizes_mm):
        near = ndimage.maximum_filter1d(near, 2 * round(MARGIN_MM / size_mm) + 1, axis=axis)
    return np.asarray(near > 0)


def _described(found: Coregistration) -> dict[str, object]:
    return {
        "matrix": found.matrix,
        "convention": CONVENTION,
        "degrees_of_freedom": 6,
        "nmi_before": found.nmi_before,
        "nmi_after": found.nmi_after,
        "overlap": found.overlap,
        "mean_shift_mm": found.mean_shift_mm,
    }
