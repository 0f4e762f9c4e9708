"""What the stages of BOLD read: a checked run, and its series in template space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.bold.normalise import covered_voxels, sample_run
from falx.bold.run import BoldRun, check_repetition_time, slice_order
from falx.bold.slice_timing import Pad
from falx.bold.tissue import tissue_voxels
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image, load, load_mask
from falx.images.resample import pull
from falx.images.warp import load_map

__all__ = ["TemplateSeries", "read_run"]


def read_run(
    path: Path,
    repetition_time_s: float | None,
    slice_times_s: Sequence[float] | None,
    slice_direction: str | None,
    *,
    dropped_volumes: int,
    least_volumes: int,
    slice_timing: bool,
    slice_padding: Pad = "odd",
) -> BoldRun:
    """Read a run, check it, drop its first volumes and shift its slices."""
    image = load(path, ndim=4)
    stored: Any = nib.load(path)
    header_s = float(stored.header.get_zooms()[3])
    if stored.header.get_xyzt_units()[1] == "msec":
        header_s /= 1000.0
    time_s = check_repetition_time(header_s, repetition_time_s, where=path.name)
    slices = None
    if slice_times_s is not None:
        slices = slice_order(slice_times_s, slice_direction, stored.affine, stored.shape, time_s)
    run = BoldRun(image.data, image.affine, time_s, slices)
    kept = run.without_first(dropped_volumes, least_volumes=least_volumes, where=path.name)
    if not slice_timing:
        return kept
    return kept.slice_timed(pad=slice_padding, where=path.name)


@dataclass(frozen=True, eq=False)
class TemplateSeries:
    """Series of the covered brain voxels of a template grid."""

    series: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    native_mm: npt.NDArray[np.float32]
    coverage_percent: float
    threads: int

    @classmethod
    def read(
        cls,
        run: BoldRun,
        moved: dict[str, Any],
        matrix: Path,
        to_native: Path,
        brain_mask: Path,
        grid: Grid,
        threads: int,
    ) -> TemplateSeries:
        """Compose warp, coregistration and motion, and interpolate once."""
        native_mm = load_map(to_native).on(grid, threads=threads)
        brain = load_mask(brain_mask)
        inside = pull(Image(brain.data.astype(np.float32), brain.affine), native_mm) > 0.5
        points = apply_affine(load_matrix(matrix), native_mm[inside])
        matrices = np.array(moved["matrices"])
        series = sample_run(run.data, run.affine, matrices, points, threads=threads)
        covered = covered_voxels(series, inside)
        mask = np.zeros_like(inside)
        mask[inside] = covered
        return cls(series[covered], mask, native_mm, float(100 * covered.mean()), threads)

    def tissue(self, fraction: Path, threshold: float, name: str) -> npt.NDArray[np.float32]:
        """Series of the inner voxels of a tissue, shape (V, T)."""
        values = pull(load(fraction), self.native_mm, threads=self.threads)
        return self.series[tissue_voxels(values, self.mask, threshold=threshold, name=name)]
