"""Optional diffeomorphic refinement of the map to the template with picsl-greedy.

Grey and white matter, already brought to the template by the segmentation's own map, are
registered to the template's. The two deformations are composed as coordinates, so that every
image still passes through one interpolation.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.facing import faces_left
from falx.anatomy.registration.inverse import jacobian_determinants
from falx.anatomy.segmentation.mirrored import mirror_segmentation
from falx.anatomy.segmentation.result import Segmentation
from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.images.nifti import Image, load, save
from falx.images.resample import pull, resample
from falx.images.smooth import smooth
from falx.images.warp import CoordinateMap

__all__ = ["refine"]

Floats = npt.NDArray[np.float32]

OPTIONS = "-m SSD -s 1.2vox 0.6vox -n 60x40x10"


def refine(
    segmentation: Segmentation, template_gm: Image, template_wm: Image, *, threads: int = 1
) -> Segmentation:
    """Refine both maps of a segmentation.

    Parameters
    ----------
    template_gm, template_wm
        Grey and white matter of the template, 0 to 1, mirror symmetric.

    Returns
    -------
    Segmentation
        With refined `to_template`, `to_native` and `jacobian`; tissues are unchanged.

    Raises
    ------
    InputError
        If picsl-greedy is not installed, or fails.
    """
    if find_spec("picsl_greedy") is None:
        raise InputError(
            "refinement needs picsl-greedy", do="install it with: pip install 'falx[refine]'"
        )
    if faces_left(segmentation.corrected):
        turned = mirror_segmentation(segmentation)
        return mirror_segmentation(_refined(turned, template_gm, template_wm, threads))
    return _refined(segmentation, template_gm, template_wm, threads)


def _refined(
    segmentation: Segmentation, template_gm: Image, template_wm: Image, threads: int
) -> Segmentation:
    native = segmentation.to_native
    grid = native.grid
    fixed = [_on_grid(image, grid) for image in (template_gm, template_wm)]
    moving = [
        pull(Image(t, segmentation.grid.affine), native.coordinates_mm, threads=threads)
        for t in (segmentation.gm, segmentation.wm)
    ]
    with tempfile.TemporaryDirectory() as folder:
        forward, inverse = _greedy(fixed, moving, grid, Path(folder), threads)
    to_native = CoordinateMap(native.at(forward.coordinates_mm, threads=threads), grid.affine)
    mapped = inverse.at(segmentation.to_template.coordinates_mm, threads=threads)
    to_template = CoordinateMap(mapped, segmentation.to_template.affine)
    return replace(
        segmentation,
        to_native=to_native,
        to_template=to_template,
        jacobian=jacobian_determinants(to_template).astype(np.float32),
    )


def _greedy(
    fixed: list[Floats], moving: list[Floats], grid: Grid, folder: Path, threads: int
) -> tuple[CoordinateMap, CoordinateMap]:
    """Deformation of the template onto the moving maps and its inverse, as coordinates."""
    pairs = []
    for n, (f, m) in enumerate(zip(fixed, moving, strict=True)):
        save(folder / f"f{n}.nii", f, grid.affine)
        save(folder / f"m{n}.nii", m, grid.affine)
        pairs.append(f"-i {folder}/f{n}.nii {folder}/m{n}.nii")
    warp, inverse = folder / "warp.nii.gz", folder / "inverse.nii.gz"
    _run(f"-d 3 -threads {threads} {' '.join(pairs)} {OPTIONS} -o {warp} -oinv {inverse}")
    return _coordinates(warp, grid, folder), _coordinates(inverse, grid, folder)


def _coordinates(warp: Path, grid: Grid, folder: Path) -> CoordinateMap:
    """Push the coordinates through a warp, which frees them of its sign convention."""
    moved = np.empty((*grid.shape, 3), dtype=np.float32)
    pushed = []
    for axis in range(3):
        save(folder / f"x{axis}.nii", grid.centres_mm()[..., axis], grid.affine)
        pushed.append(f"-rm {folder}/x{axis}.nii {folder}/y{axis}.nii")
    _run(f"-d 3 -rf {folder}/x0.nii -ri LINEAR {' '.join(pushed)} -r {warp}")
    for axis in range(3):
        moved[..., axis] = load(folder / f"y{axis}.nii").data
    # Greedy reads zeros beyond the border; there the border's neighbours hold.
    inner = (slice(3, -3),) * 3
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, 3.0)
    held = CoordinateMap(moved[inner], affine)
    return CoordinateMap(held.on(grid), grid.affine)


def _run(command: str) -> None:
    """Run greedy in a process of its own: its C++ layer writes past Python's output."""
    call = "import sys, picsl_greedy; picsl_greedy.Greedy3D().execute(sys.argv[1])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and options
        [sys.executable, "-c", call, command], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise InputError("the refinement failed", found=" ".join(last), do="run without it")


def _on_grid(image: Image, grid: Grid) -> Floats:
    """Bring a finer map onto a grid, smoothed by the coarser voxel."""
    widths = np.sqrt(np.maximum(grid.voxel_sizes_mm**2 - image.grid.voxel_sizes_mm**2, 0.0))
    smoothed = smooth(image.data, image.grid.voxel_sizes_mm, widths)
    return np.asarray(resample(Image(smoothed, image.affine), grid), dtype=np.float32)
