"""From labels to MR images: class intensities, texture, bias field, blur, Rician noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import check_range
from falx.core.grid import Grid
from falx.data.labels import head_labels, recode, t1_intensities
from falx.images.smooth import FWHM_PER_SIGMA, smooth
from falx.phantom.heads import Head

__all__ = ["MrQuality", "bias_field", "flair", "rician", "smooth_noise", "t1w"]

Floats = npt.NDArray[np.float32]

FLAIR_INTENSITY = {"GM": 110.0, "WM": 90.0, "CSF": 20.0, "bone": 25.0, "soft": 80.0, "air": 0.0}
CAVITY_CORE, CAVITY_RIM, RIM_MM = 45.0, 200.0, 1.5
"""T1-weighted intensity of the ablated core and of its contrast-enhancing rim."""

SCLEROSIS_SIGNAL = 1.2
"""Signal of a sclerotic hippocampus on FLAIR, relative to a healthy one."""


@dataclass(frozen=True)
class MrQuality:
    """How good an MR image is.

    Parameters
    ----------
    noise
        Standard deviation of the noise in each channel, relative to white matter.
    bias
        Largest deviation of the receive field from one.
    blur_fwhm_mm
        Point spread, mm.
    texture
        Share of the table's spread within a class that appears as correlated texture in the
        head outside the brain; the brain gets a fifth of it.
    contrast_spread
        Share of the table's spread between subjects by which class means vary.
    """

    noise: float = 0.03
    bias: float = 0.2
    blur_fwhm_mm: float = 0.8
    texture: float = 0.5
    contrast_spread: float = 0.25

    def __post_init__(self) -> None:
        check_range("noise", self.noise, 0.0, 0.5)
        check_range("bias", self.bias, 0.0, 0.9)
        check_range("blur_fwhm_mm", self.blur_fwhm_mm, 0.0, 10.0, unit="mm")


def t1w(
    head: Head,
    rng: np.random.Generator,
    quality: MrQuality | None = None,
    *,
    cavity: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """T1-weighted image of a head.

    Class means come from the shipped table of 25 classes; left and right share theirs. The
    `cavity` of an ablation has a dark core in a bright rim.

    Returns
    -------
    ndarray
        Shape of the labels, float32, white matter near 160.
    """
    quality = quality or MrQuality()
    table, labels = t1_intensities(), head_labels()
    means = table.mean + quality.contrast_spread * table.mean_sd * rng.standard_normal(25)
    # Noise alone makes air bright; the table's value for air is that of measured images.
    means[0] = 0.0
    column = recode(head.labels, labels.table(labels.t1_column))
    brain = np.isin(head.tissues(), (0, 1, 2))
    share = np.where(brain, 0.2, 1.0) * quality.texture
    spread = table.within_sd[column] * share * (column > 0)
    grain = smooth_noise(head.grid, rng, fwhm_mm=6.0)
    clean = means[column] + spread * grain
    if cavity is not None:
        depth_mm = ndimage.distance_transform_edt(cavity, sampling=head.grid.voxel_sizes_mm)
        clean = np.where(cavity, np.where(depth_mm > RIM_MM, CAVITY_CORE, CAVITY_RIM), clean)
    return _observe(np.maximum(clean, 0.0), head.grid, rng, quality, white=160.0)


def flair(
    head: Head,
    rng: np.random.Generator,
    quality: MrQuality | None = None,
    *,
    sclerotic: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """FLAIR image (X, Y, Z) of a head; the `sclerotic` voxels are a fifth brighter."""
    quality = quality or MrQuality()
    tissues = np.array(list(FLAIR_INTENSITY.values()))
    clean = tissues[head.tissues()]
    if sclerotic is not None:
        clean = np.where(sclerotic, clean * SCLEROSIS_SIGNAL, clean)
    return _observe(clean, head.grid, rng, quality, white=FLAIR_INTENSITY["WM"])


def bias_field(grid: Grid, rng: np.random.Generator, strength: float) -> Floats:
    """Smooth receive field: one plus a random polynomial of second order.

    Parameters
    ----------
    strength
        Largest deviation from one.

    Returns
    -------
    ndarray
        Shape of the grid, float32, between ``1 - strength`` and ``1 + strength``.
    """
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in grid.shape], indexing="ij", sparse=True)
    terms = (x, y, z, x * x, y * y, z * z, x * y, y * z, x * z)
    field = sum(c * term for c, term in zip(rng.standard_normal(9), terms, strict=True))
    field = field - 0.5 * (field.max() + field.min())
    field = field / np.abs(field).max()
    return np.asarray(1.0 + strength * field, dtype=np.float32)


def rician(clean: npt.NDArray[np.floating], sigma: float, rng: np.random.Generator) -> Floats:
    """Magnitude, of any shape, of a complex signal with Gaussian noise in both channels.

    Gudbjartsson & Patz, Magn Reson Med 1995, equation 1.
    """
    real = clean + sigma * rng.standard_normal(clean.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(clean.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


def smooth_noise(grid: Grid, rng: np.random.Generator, *, fwhm_mm: float) -> Floats:
    """Gaussian random field (X, Y, Z) of mean 0, standard deviation 1 and given smoothness."""
    check_range("fwhm_mm", fwhm_mm, 0.0, 200.0, unit="mm")
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    sigma = fwhm_mm / FWHM_PER_SIGMA / grid.voxel_sizes_mm
    field = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _observe(
    clean: npt.NDArray[np.floating],
    grid: Grid,
    rng: np.random.Generator,
    quality: MrQuality,
    *,
    white: float,
) -> Floats:
    blurred = smooth(clean, grid.voxel_sizes_mm, quality.blur_fwhm_mm)
    received = blurred * bias_field(grid, rng, quality.bias)
    return rician(received, quality.noise * white, rng)
