"""How asymmetric the FDG uptake of healthy people is: aggregates of 537, and fields like theirs.

Mean, standard deviation and percentiles of 2 (L - R)/(L + R) in 25 pairs of regions, and of the
mean of hippocampus and amygdala, made from the
cognitively normal people whose regional values the MIT package fdg-neurosegmenter 1.0.1 ships. The
people are old, the means are scaled by the pons, and nothing is corrected for partial volume; one
site's own controls are better wherever there are enough of them.

No published source for the tails, nor for the fields: both were devised for this program in 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr

from falx.atlas.freesurfer_numbers import CEREBELLAR_CORTEX, CEREBRAL_CORTEX, PAIRS
from falx.core.errors import GridError, check_range
from falx.core.grid import Grid, is_symmetric
from falx.core.tables import parse_table, rows_as
from falx.images.smooth import FWHM_PER_SIGMA, smooth

__all__ = [
    "EDGE_FWHM_MM",
    "FIELD_FWHM_MM",
    "LEVELS",
    "MESIAL_TEMPORAL",
    "RegionNorm",
    "asymmetry_norms",
    "healthy_field",
    "healthy_sd",
]

Floats = npt.NDArray[np.float32]

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
"""Of the percentiles in the table."""

FIELD_FWHM_MM = 20.0
"""Smoothness of the healthy asymmetry within regions. Assumed: the table holds no maps."""

SHARE_OF_MEAN = 0.7
"""Standard deviation of a structure's mean over that of its voxels, for fields of 20 mm: .62 to
.89 in hippocampus, amygdala, thalamus, caudate and putamen of a phantom head."""

EDGE_FWHM_MM = 10.0
"""The standard deviation passes from one region to the next over this width."""

SUBCORTICAL = ("hippocampus", "amygdala", "thalamus", "caudate", "putamen")
CEREBELLUM = "cerebellar_cortex"
MESIAL_TEMPORAL = "mesial_temporal"
"""Mean of the indices of hippocampus and amygdala, which go together (r .64 in these people)."""

NOT_CORTEX = frozenset(
    {*SUBCORTICAL, CEREBELLUM, MESIAL_TEMPORAL, "globus_pallidus", "ventral_diencephalon"}
)


@dataclass(frozen=True)
class RegionNorm:
    """Healthy asymmetry 2 (L - R)/(L + R) of one pair of regions.

    Parameters
    ----------
    people
        How many.
    mean, sd
        Over the people.
    q025, q250, median, q750, q975
        Values below which 2.5, 25, 50, 75 and 97.5 % of them lie.
    """

    region: str
    people: int
    mean: float
    sd: float
    q025: float
    q250: float
    median: float
    q750: float
    q975: float

    @property
    def quantiles(self) -> tuple[float, ...]:
        """At 2.5, 25, 50, 75 and 97.5 %."""
        return self.q025, self.q250, self.median, self.q750, self.q975

    @property
    def about_zero(self) -> float:
        """Root mean square: the mean counts as spread, for it may belong to the site's method."""
        return float(np.hypot(self.mean, self.sd))

    def percentile(self, asymmetry: float) -> float:
        """Share of healthy people whose index of the left side is lower, in percent.

        Between the percentiles of the table straight lines; beyond the outer ones the tail of a
        normal distribution of the table's standard deviation, joined to them. Nothing beyond one
        in ``people + 1`` is claimed.

        Examples
        --------
        >>> norm = asymmetry_norms()["hippocampus"]
        >>> round(norm.percentile(norm.quantiles[2]), 1), round(norm.percentile(-0.5), 2)
        (50.0, 0.19)
        """
        low, high = self.quantiles[0], self.quantiles[-1]
        if asymmetry < low:
            share = LEVELS[0] * _tail((low - asymmetry) / self.sd)
        elif asymmetry > high:
            share = 1.0 - (1.0 - LEVELS[-1]) * _tail((asymmetry - high) / self.sd)
        else:
            share = float(np.interp(asymmetry, self.quantiles, LEVELS))
        least = 1.0 / (self.people + 1)
        return 100.0 * min(max(share, least), 1.0 - least)


def _tail(sds: float) -> float:
    """Return the normal tail beyond 1.96 + `sds` deviations, relative to that beyond 1.96."""
    edge = 1.959963984540054
    return float(ndtr(-edge - sds) / ndtr(-edge))


@cache
def asymmetry_norms() -> Mapping[str, RegionNorm]:
    """Read the regions of the shipped table, by name.

    Examples
    --------
    >>> round(asymmetry_norms()["hippocampus"].sd, 4)
    0.0345
    """
    where = "fdg_asymmetry_norms.tsv"
    text = (resources.files("falx.data") / where).read_text("utf-8")
    table = parse_table(text, where=where)
    return MappingProxyType({n.region: n for n in rows_as(RegionNorm, table, people="n")})


def healthy_sd(labels: npt.NDArray[np.integer], grid: Grid) -> Floats:
    """Map the standard deviation of a voxel's healthy asymmetry, about zero.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), FreeSurfer numbers. Cortex is one label there and takes the root mean
        square of the cortical regions; what has no region takes that of its neighbours.

    Returns
    -------
    ndarray
        Shape (X, Y, Z): the regional figure over :data:`SHARE_OF_MEAN`.
    """
    spread = {name: norm.about_zero for name, norm in asymmetry_norms().items()}
    cortex = float(np.sqrt(np.mean([v**2 for k, v in spread.items() if k not in NOT_CORTEX])))
    values = np.zeros(grid.shape, dtype=np.float32)
    for name in SUBCORTICAL:
        values[np.isin(labels, PAIRS[name])] = spread[name]
    values[np.isin(labels, CEREBELLAR_CORTEX)] = spread[CEREBELLUM]
    values[np.isin(labels, CEREBRAL_CORTEX)] = cortex
    known = (values > 0).astype(np.float32)
    weight = smooth(known, grid.voxel_sizes_mm, EDGE_FWHM_MM)
    total = smooth(values, grid.voxel_sizes_mm, EDGE_FWHM_MM)
    near = weight > 0.01
    mean = np.where(near, total / np.maximum(weight, np.float32(0.01)), np.float32(cortex))
    return np.asarray(mean / SHARE_OF_MEAN, dtype=np.float32)


def healthy_field(
    sd: npt.NDArray[np.floating],
    grid: Grid,
    rng: np.random.Generator,
    *,
    fwhm_mm: float = FIELD_FWHM_MM,
) -> Floats:
    """Draw one healthy person's asymmetry: an antisymmetric, smooth Gaussian field.

    Parameters
    ----------
    sd
        Shape (X, Y, Z) of a grid that is symmetric about x = 0, from :func:`healthy_sd`.
    fwhm_mm
        Smoothness.

    Returns
    -------
    ndarray
        Shape (X, Y, Z): f with f(-x) = -f(x). It vanishes towards the midline, where a voxel
        and its mirror image are neighbours.
    """
    check_range("fwhm_mm", fwhm_mm, 1.0, 100.0, unit="mm")
    if not is_symmetric(grid):
        raise GridError("the grid is not symmetric about x = 0 mm")
    sigma = fwhm_mm / FWHM_PER_SIGMA / grid.voxel_sizes_mm
    # The filter wraps round; a margin in x keeps the sides from being neighbours of each other.
    margin, (x, y, z) = int(np.ceil(3.0 * sigma[0])), grid.shape
    white = rng.standard_normal((x + margin, y, z), dtype=np.float32)
    whole = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    field = whole[:x] / np.float32(whole.std())
    return np.asarray(sd * (field - field[::-1]) / np.sqrt(2.0), dtype=np.float32)
