"""Intensity scales: proportional to a reference, z-score, and the scripts' z + 5.

Mo et al. 2025 print the z-score; their scripts add 5, so that the index has a denominator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option

__all__ = ["SCALES", "Scaled", "convert", "scale_image"]

SCALES = ("proportional", "z", "z5")
"""``proportional``: I / m; ``z``: (I - m) / s; ``z5``: (I - m) / s + 5; m and s are mean and
standard deviation in the reference mask."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """An image on an intensity scale.

    Parameters
    ----------
    image
        Shape (X, Y, Z), no unit.
    scale
        One of :data:`SCALES`.
    mean, sd
        Of the unscaled image in the reference mask, in its unit.
    """

    image: npt.NDArray[np.float32]
    scale: str
    mean: float
    sd: float


def scale_image(
    image: npt.NDArray[np.floating],
    reference: npt.NDArray[np.bool_],
    *,
    scale: str = "proportional",
) -> Scaled:
    """Put an image on a scale by its mean and standard deviation in a mask of its shape.

    Examples
    --------
    >>> scaled = scale_image(np.array([1.0, 3.0]), np.array([True, True]))
    >>> scaled.image
    array([0.5, 1.5], dtype=float32)
    """
    check_option("scale", scale, SCALES)
    if not reference.any():
        raise InputError(
            "the reference region for intensity scaling is empty",
            do="check the brain mask and the field of view",
        )
    values = np.asarray(image, dtype=np.float64)[reference]
    mean, sd = float(values.mean()), float(values.std())
    if not mean > 0 or not sd > 0:
        raise InputError(
            "the image cannot be scaled by its reference region",
            found=f"mean {mean:.3g}, standard deviation {sd:.3g}",
            do="check that the image holds positive intensities there",
        )
    return Scaled(_to_scale(image / mean, scale, sd / mean), scale, mean, sd)


def convert(scaled: Scaled, scale: str) -> Scaled:
    """Put a scaled image on another scale; exact, since every scale is linear."""
    check_option("scale", scale, SCALES)
    spread = scaled.sd / scaled.mean
    values = np.asarray(scaled.image, dtype=np.float64)
    if scaled.scale != "proportional":
        values = 1.0 + spread * (values - (5.0 if scaled.scale == "z5" else 0.0))
    return Scaled(_to_scale(values, scale, spread), scale, scaled.mean, scaled.sd)


def _to_scale(
    proportional: npt.NDArray[np.floating], scale: str, spread: float
) -> npt.NDArray[np.float32]:
    if scale == "proportional":
        return np.asarray(proportional, dtype=np.float32)
    offset = 5.0 if scale == "z5" else 0.0
    return np.asarray((proportional - 1.0) / spread + offset, dtype=np.float32)
