"""What a segmented head is.

Unified segmentation: Ashburner & Friston 2005, NeuroImage 26:839; the Jacobian is that of the
modulation of Good et al. 2001, NeuroImage 14:21.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.segmentation.fitting import Fit
from falx.core.grid import Grid
from falx.images.warp import CoordinateMap

__all__ = ["Segmentation"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Tissues of a head and its map to the template.

    Parameters
    ----------
    gm, wm, csf
        Shape (X, Y, Z), float32, probabilities on the native grid.
    classes
        Shape (X, Y, Z), uint8, most probable of the six classes before clean-up.
    corrected
        Shape (X, Y, Z), float32, bias-corrected intensities.
    seen
        Shape (X, Y, Z), float32: what tissues, maps and structures are found in. It is
        `corrected` itself, or where the image was noisy a denoised copy.
    grid
        Native grid.
    affine
        4×4, native mm to template mm, the affine part.
    to_template
        On a coarse native grid: template mm.
    to_native
        On a template grid: native mm.
    jacobian
        Determinants of `to_template` on its grid.
    information
        Gain of log-likelihood by the affine alignment, nats per sample.
    fit
        Fitted parameters.
    noise
        Standard deviation of the noise over the intensity of bright tissue, in the image as given.
    """

    gm: Floats
    wm: Floats
    csf: Floats
    classes: npt.NDArray[np.uint8]
    corrected: Floats
    seen: Floats
    grid: Grid
    affine: npt.NDArray[np.float64]
    to_template: CoordinateMap
    to_native: CoordinateMap
    jacobian: Floats
    information: float
    fit: Fit
    noise: float

    @property
    def brain_mask(self) -> npt.NDArray[np.bool_]:
        """Voxels that are more likely brain or CSF than not, shape (X, Y, Z)."""
        return np.asarray(self.gm + self.wm + self.csf > 0.5)
