"""The series of a run at the covered brain voxels of a template grid.

Every volume is interpolated once, its motion and both registrations taken together, as in the
minimal pipelines of Glasser et al. 2013, NeuroImage 80:105.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.bold.normalise import covered_voxels, sample_run
from falx.bold.run import BoldRun
from falx.bold.tissue import tissue_voxels
from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.images.resample import pull

__all__ = ["TemplateSeries"]


@dataclass(frozen=True, eq=False)
class TemplateSeries:
    """Series of the covered brain voxels of a template grid.

    Parameters
    ----------
    series
        Shape (V, T): the voxels of `mask` in C order.
    mask
        Shape (X, Y, Z).
    native_mm
        Shape (X, Y, Z, 3): where every voxel of the grid lies in the T1w image, mm.
    coverage_percent
        Share of the brain's voxels that the run covers.
    """

    series: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    native_mm: npt.NDArray[np.float32]
    coverage_percent: float
    threads: int

    @classmethod
    def of_run(
        cls,
        run: BoldRun,
        matrices: npt.NDArray[np.float64],
        to_run: npt.NDArray[np.float64],
        native_mm: npt.NDArray[np.float32],
        brain: Image,
        *,
        threads: int = 1,
    ) -> TemplateSeries:
        """Compose warp, coregistration and motion, and interpolate once.

        Parameters
        ----------
        matrices
            Shape (T, 4, 4): head motion, reference mm → volume mm.
        to_run
            Shape (4, 4): T1w mm → reference mm.
        native_mm
            Shape (X, Y, Z, 3): the warp on the wanted grid.
        brain
            Mask on the T1w grid.
        """
        inside = pull(Image(brain.data.astype(np.float32), brain.affine), native_mm) > 0.5
        points = apply_affine(to_run, native_mm[inside])
        series = sample_run(run.data, run.affine, matrices, points, threads=threads)
        covered = covered_voxels(series, inside)
        mask = np.zeros_like(inside)
        mask[inside] = covered
        return cls(series[covered], mask, native_mm, float(100 * covered.mean()), threads)

    def tissue(self, fraction: Image, threshold: float, name: str) -> npt.NDArray[np.float32]:
        """Series of the inner voxels of a tissue, shape (V, T)."""
        values = pull(fraction, self.native_mm, threads=self.threads)
        return self.series[tissue_voxels(values, self.mask, threshold=threshold, name=name)]
