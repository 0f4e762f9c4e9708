"""Resting BOLD with known motion and a known map of local coherence.

Coherent low-frequency fluctuations: Biswal et al. 1995, Magn Reson Med 34:537. No published source
for the run itself; it is made so that motion and coherence are known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError, check_range
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.images.smooth import FWHM_PER_SIGMA

__all__ = ["BoldPhantom", "BoldPlan", "bold_run"]

INTENSITY = {"gm": 1000.0, "wm": 820.0, "csf": 1250.0}
"""EPI-like brightness of the tissues, arbitrary units."""


@dataclass(frozen=True)
class BoldPlan:
    """How a phantom run is taken.

    Parameters
    ----------
    shape, voxel_mm
        Grid of the run, centred on the head.
    n_volumes, repetition_time_s
        Length and pace.
    slices_interleaved
        Odd slices first, then even ones; otherwise all at once.
    fluctuation_percent
        Standard deviation of the coherent signal in grey matter.
    coherence_fwhm_mm
        Width of its patches.
    noise_percent
        Standard deviation of the noise of each voxel.
    step_mm, step_deg
        Standard deviation of the head's steps from volume to volume; they are drawn back
        to rest by a tenth each time.
    jerks
        Number of sudden moves, each of twenty steps' size.
    band_hz
        Band of the coherent signal.
    """

    shape: tuple[int, int, int] = (64, 64, 33)
    voxel_mm: tuple[float, float, float] = (3.4375, 3.4375, 4.4)
    n_volumes: int = 255
    repetition_time_s: float = 2.0
    slices_interleaved: bool = True
    fluctuation_percent: float = 1.0
    coherence_fwhm_mm: float = 10.0
    noise_percent: float = 0.8
    step_mm: float = 0.02
    step_deg: float = 0.015
    jerks: int = 2
    band_hz: tuple[float, float] = (0.01, 0.08)

    def __post_init__(self) -> None:
        check_range("n_volumes", self.n_volumes, 2, 100_000)
        check_range("repetition_time_s", self.repetition_time_s, 0.05, 30.0, unit="s")

    @property
    def slice_times_s(self) -> npt.NDArray[np.float64]:
        """Time of every slice within a volume, s, in array order.

        Examples
        --------
        >>> BoldPlan(shape=(2, 2, 4), repetition_time_s=2.0).slice_times_s
        array([0. , 1. , 0.5, 1.5])
        """
        n = self.shape[2]
        if not self.slices_interleaved:
            return np.zeros(n)
        order = np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)])
        times = np.empty(n)
        times[order] = np.arange(n) * self.repetition_time_s / n
        return times


@dataclass(frozen=True, eq=False)
class BoldPhantom:
    """A run and the truth behind it.

    Parameters
    ----------
    image
        Shape (X, Y, Z, T).
    matrices
        Shape (T, 4, 4): from the mm of the head at rest, which are those of its T1w, to the
        mm of every volume. The first is the identity.
    slice_times_s
        Shape (Z,).
    """

    image: Image
    matrices: npt.NDArray[np.float64]
    slice_times_s: npt.NDArray[np.float64]


def bold_run(
    gm: Image,
    wm: Image,
    csf: Image,
    plan: BoldPlan,
    rng: np.random.Generator,
    *,
    coherence: Image | None = None,
) -> BoldPhantom:
    """Simulate a resting run of a head.

    Parameters
    ----------
    gm, wm, csf
        Tissue fractions on one grid.
    coherence
        Factor of the coherent signal on the same grid, 1 where nothing is changed; less
        lowers regional homogeneity, more raises it.

    Notes
    -----
    The signal is ``M (1 + f g c S(x, t)) + noise`` with brightness M, grey matter g,
    coherence c and a field S that is smooth in space and limited to a band in time. White
    matter and CSF have a signal of their own each. Slices see S at their time; the head
    moves between volumes.
    """
    head = _still_head(gm, wm, csf, coherence)
    matrices = _motion(plan, rng)
    grid = _centred_grid(plan, gm)
    times = plan.slice_times_s
    fields = _coherent_field(plan, grid, rng)
    shared = _band_limited(rng.standard_normal((plan.n_volumes + 1, 2)), plan)
    points = grid.centres_mm()
    late = (times / plan.repetition_time_s).astype(np.float32)
    data = np.empty((*grid.shape, plan.n_volumes), np.float32)
    for k in range(plan.n_volumes):
        at = apply_affine(np.linalg.inv(matrices[k]), points)
        bright, active, white, fluid = (sample(part, at) for part in head)
        field = (1 - late) * fields[k] + late * fields[k + 1]
        tissue = white * shared[k, 0] + fluid * shared[k, 1]
        signal = 1.0 + 0.01 * plan.fluctuation_percent * (active * field + 0.7 * tissue)
        noise = 10.0 * plan.noise_percent * rng.standard_normal(grid.shape, dtype=np.float32)
        data[..., k] = np.abs(bright * signal + noise)
    return BoldPhantom(Image(data, grid.affine), matrices, times)


def _still_head(
    gm: Image, wm: Image, csf: Image, coherence: Image | None
) -> tuple[Image, Image, Image, Image]:
    """Brightness, coherent grey matter, white matter and CSF."""
    if gm.data.shape != wm.data.shape or gm.data.shape != csf.data.shape:
        raise InputError(
            "the tissues of a phantom must share a grid",
            found=f"{gm.data.shape}, {wm.data.shape}, {csf.data.shape}",
        )
    factor = np.float32(1) if coherence is None else coherence.data
    bright = sum(
        INTENSITY[name] * tissue.data for name, tissue in (("gm", gm), ("wm", wm), ("csf", csf))
    )
    active = gm.data * factor
    return (
        Image(np.asarray(bright, np.float32), gm.affine),
        Image(np.asarray(active, np.float32), gm.affine),
        wm,
        csf,
    )


def _centred_grid(plan: BoldPlan, head: Image) -> Grid:
    """Grid of the run, its centre on the centre of the head's brain tissue."""
    inside = np.argwhere(head.data > 0.5)
    if len(inside) == 0:
        raise InputError("the phantom has no grey matter")
    middle = apply_affine(head.affine, (inside.min(axis=0) + inside.max(axis=0)) / 2)
    affine = np.diag([*plan.voxel_mm, 1.0])
    affine[:3, 3] = middle - np.array(plan.voxel_mm) * (np.array(plan.shape) - 1) / 2
    return Grid(plan.shape, affine)


def _motion(plan: BoldPlan, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Random walk drawn back to rest, with a few jerks; shape (T, 4, 4)."""
    from scipy.spatial.transform import Rotation

    size = np.array([plan.step_mm] * 3 + [plan.step_deg] * 3)
    steps = rng.standard_normal((plan.n_volumes, 6)) * size
    for at in rng.integers(1, plan.n_volumes, plan.jerks):
        steps[at] += 20.0 * size * rng.choice([-1.0, 1.0], 6)
    matrices = np.tile(np.eye(4), (plan.n_volumes, 1, 1))
    place = np.zeros(6)
    for k in range(1, plan.n_volumes):
        place = 0.9 * place + steps[k]
        matrices[k, :3, :3] = Rotation.from_euler("xyz", place[3:], degrees=True).as_matrix()
        matrices[k, :3, 3] = place[:3]
    return matrices


def _coherent_field(
    plan: BoldPlan, grid: Grid, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draw a unit field, smooth in space and limited to the band, shape (T + 1, X, Y, Z)."""
    white = rng.standard_normal((plan.n_volumes + 1, *grid.shape), dtype=np.float32)
    banded = _band_limited(white.reshape(len(white), -1), plan).reshape(white.shape)
    sigma = plan.coherence_fwhm_mm / FWHM_PER_SIGMA / grid.voxel_sizes_mm
    field = ndimage.gaussian_filter(banded, (0.0, *sigma), output=np.float32)
    return np.asarray(field / field.std(), dtype=np.float32)


def _band_limited(values: npt.NDArray[np.floating], plan: BoldPlan) -> npt.NDArray[np.float32]:
    """Keep the band along the first axis and scale to unit variance."""
    spectrum = np.fft.rfft(values, axis=0)
    frequency = np.fft.rfftfreq(len(values), plan.repetition_time_s)
    low, high = plan.band_hz
    spectrum[(frequency < low) | (frequency > high)] = 0
    kept = np.fft.irfft(spectrum, len(values), axis=0)
    spread = float(kept.std())
    if spread == 0:
        raise InputError("the run is too short for its band", found=f"{plan.band_hz} Hz")
    return np.asarray(kept / spread, dtype=np.float32)
