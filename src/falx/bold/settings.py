"""Choices of the BOLD stages, each declared once; defaults are those of Liu et al. 2024.

Where the corrected default departs from the publication (joint cleaning, computed border), the
study's preset ``liu2024`` goes back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from falx.bold.cleaning import Band
from falx.bold.displacement import MotionLimits
from falx.bold.reho import Border, Edge, Ties
from falx.core.errors import OptionError, check_option, check_range
from falx.core.settings import check_settings, option

__all__ = ["MeasureSettings", "MotionSettings", "RehoSettings", "SliceShift"]


@dataclass(frozen=True)
class SliceShift:
    """Whether and how slices are shifted to one time."""

    slice_timing: bool = option(True, help="shift slices to the middle of the repetition time")
    slice_padding: Literal["odd", "spm"] = option(
        "odd", help="how series are extended for that: odd reflection, or a ramp as SPM and DPABI"
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class MotionSettings(MotionLimits, SliceShift):
    """The resting run: volumes, slice times, head motion."""

    dropped_volumes: int = option(5, help="first volumes to drop", low=0, high=100)
    least_volumes: int = option(100, help="volumes needed after the drop", low=10, high=10_000)
    motion_passes: int = option(
        1, help="align to the first volume; 2: then to the mean", low=1, high=2
    )
    centre: str = option("world", help="point of rotation", choices=("world", "volume"))


@dataclass(frozen=True)
class RehoSettings(Band):
    """Cleaning and regional homogeneity."""

    voxel_mm: float = option(3.0, help="voxels of the maps", unit="mm", low=1.5, high=6)
    order: str = option(
        "joint",
        help="regression and filter at once or as published",
        choices=("joint", "sequential"),
    )
    trend_order: int = option(1, help="order of the polynomial trend", low=0, high=5)
    wm_threshold: float = option(0.9, help="least white matter of its signal", low=0, high=1)
    csf_threshold: float = option(0.7, help="least CSF of its signal", low=0, high=1)
    compcor_components: int = option(
        0, help="components of white matter and of CSF; 0: their means", low=0, high=50
    )
    global_signal: bool = option(False, help="remove the mean over the brain too")
    spikes_before: int = option(0, help="volumes removed before each spike", low=0, high=10)
    spikes_after: int = option(0, help="volumes removed after each spike", low=0, high=10)
    least_dof: int = option(
        15, help="degrees of freedom below which a run is refused", low=1, high=1000
    )
    neighbours: int = option(27, help="voxels of a neighbourhood: 7, 19 or 27", low=7, high=27)
    least_neighbours: int = option(
        2, help="fewest series in a neighbourhood, its own included", low=1, high=27
    )
    ties: Ties = option(
        "none", help="equal values: mid-ranks, with corrected denominator, or as C-PAC"
    )
    edge: Edge = option(
        "partial", help="edge of the brain: the neighbours in it, or full neighbourhoods only"
    )
    border: Border = option(
        "compute",
        help="outermost planes of the volume: computed, or left out as DPABI does",
    )
    smoothing_fwhm_mm: float = option(
        6.0, help="width of the Gaussian that smooths the maps", unit="mm", low=0, high=20
    )
    standardise_first: bool = option(True, help="standardise before smoothing")
    smooth_within_mask: bool = option(False, help="smooth inside the brain only")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("neighbours", str(self.neighbours), ("7", "19", "27"))
        check_range("least_neighbours", self.least_neighbours, 1, self.neighbours)


@dataclass(frozen=True)
class MeasureSettings:
    """What is measured of the cleaned run beside regional homogeneity."""

    least_r: float = option(
        0.25, help="correlation from which on voxels count as connected", low=0, high=1
    )
    seed_mm: tuple[float, ...] = option(
        (0.0, -53.0, 26.0),
        help="seed in template space: x, y, z (the default is the posterior cingulate)",
        unit="mm",
        low=-150,
        high=150,
    )
    seed_radius_mm: float = option(6.0, help="radius of the seed", unit="mm", low=1, high=30)

    def __post_init__(self) -> None:
        check_settings(self)
        if len(self.seed_mm) != 3:
            raise OptionError(
                "a seed has three coordinates",
                where="seed_mm",
                found=", ".join(f"{x:g}" for x in self.seed_mm) or "none",
                do="give x, y and z in millimetres of the template, x positive on the right",
            )
