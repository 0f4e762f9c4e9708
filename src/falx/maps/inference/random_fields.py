"""Gaussian random fields: probabilities of peaks and clusters, in two flavours.

SPM's formulas use the geometry of the search volume and the field's own distribution; those
of FSL, which DPABI takes over, use the volume only and treat t as z. All rest on Friston et
al. 1994 (Hum Brain Mapp 1:210) and Worsley et al. 1996 (Hum Brain Mapp 4:58).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from falx.core.errors import InputError, check_option, check_range, notify

__all__ = [
    "SAFE_CLUSTER_P",
    "FslClusterTest",
    "SpmField",
    "ec_densities",
    "warn_if_liberal",
]

SAFE_CLUSTER_P = 0.001
"""Cluster-forming probabilities above this inflate the familywise error of random fields."""

_DIMENSIONS = 3
_EPS = float(np.finfo(np.float64).eps)


def ec_densities(
    u: float, statistic: Literal["Z", "T"], dof: float | None = None
) -> npt.NDArray[np.float64]:
    """Euler characteristic densities rho0 to rho3 at threshold `u`, per resel, shape (4,).

    References
    ----------
    Worsley et al. 1996, table 2.

    Examples
    --------
    >>> ec_densities(0.0, "Z")[0]
    np.float64(0.5)
    """
    check_option("statistic", statistic, ("Z", "T"))
    a = 4.0 * np.log(2.0)
    scale = np.sqrt(a) ** np.arange(4) / (2.0 * np.pi) ** np.array([0.0, 1.0, 1.5, 2.0])
    if statistic == "Z":
        decay = np.exp(-0.5 * u * u)
        shape = np.array([0.0, decay, u * decay, (u * u - 1.0) * decay])
        tail = float(special.ndtr(-u))
    else:
        v = check_range("degrees of freedom", 0.0 if dof is None else dof, 1.0, 1e9)
        decay = np.exp((1.0 - v) / 2.0 * np.log1p(u * u / v))
        ratio = np.exp(special.gammaln((v + 1.0) / 2.0) - special.gammaln(v / 2.0))
        slope = u * ratio / np.sqrt(v / 2.0)
        shape = np.array([0.0, decay, slope * decay, ((v - 1.0) * u * u / v - 1.0) * decay])
        tail = float(special.stdtr(v, -u))
    densities = scale * shape
    densities[0] = tail
    return np.asarray(np.maximum(densities, _EPS))


@dataclass(frozen=True, eq=False)
class SpmField:
    """A search volume and a field, for the probabilities of SPM.

    Parameters
    ----------
    resels
        Shape (4,): R0 to R3 from :func:`falx.maps.inference.smoothness.resel_counts`.
    statistic
        ``"Z"`` or ``"T"``.
    dof
        Degrees of freedom of T.

    References
    ----------
    Friston et al. 1996, NeuroImage 4:223, for the joint probability of height and extent.
    """

    resels: npt.NDArray[np.float64]
    statistic: Literal["Z", "T"] = "T"
    dof: float | None = None

    def expected_clusters(self, u: float) -> float:
        """Return the expected number of clusters above `u`."""
        return float(self.resels @ ec_densities(u, self.statistic, self.dof))

    def mean_extent(self, u: float) -> float:
        """Mean extent of a cluster above `u`, resels."""
        density = ec_densities(u, self.statistic, self.dof)
        return float(density[0] / density[_DIMENSIONS])

    def p_cluster_uncorrected(self, u: float, extent_resels: float) -> float:
        """Probability that one cluster above `u` reaches an extent."""
        check_range("extent", extent_resels, 0.0, unit="resels")
        if extent_resels == 0.0:
            return 1.0
        gamma = float(special.gamma(_DIMENSIONS / 2 + 1))
        beta = (gamma / self.mean_extent(u)) ** (2.0 / _DIMENSIONS)
        return float(np.exp(-beta * extent_resels ** (2.0 / _DIMENSIONS)))

    def p_cluster(self, u: float, extent_resels: float) -> float:
        """Familywise probability of a cluster above `u` of at least this extent, 0: of a peak."""
        p = self.p_cluster_uncorrected(u, extent_resels)
        return float(-np.expm1(-(self.expected_clusters(u) + _EPS) * p))


@dataclass(frozen=True)
class FslClusterTest:
    """Cluster-extent test of FSL and DPABI, the one that Liu et al. 2024 report.

    Parameters
    ----------
    n_voxels
        Voxels of the mask; its surface does not enter.
    dlh
        Roughness, see :class:`falx.maps.inference.smoothness.FslSmoothness`.
    voxel_p
        Cluster-forming probability.
    cluster_p
        Familywise error; with `two_tailed`, half of it for either sign.

    Examples
    --------
    The setting of Liu et al. 2024 in a 3 mm mask of FWHM 3.5, 4 and 3 voxels:

    >>> FslClusterTest(69_809, 0.109921).least_extent
    93
    """

    n_voxels: int
    dlh: float
    voxel_p: float = 0.005
    cluster_p: float = 0.05
    two_tailed: bool = True

    def __post_init__(self) -> None:
        check_range("voxel_p", self.voxel_p, 1e-12, 0.1)
        check_range("cluster_p", self.cluster_p, 1e-12, 0.5)
        if self.n_voxels < 1 or self.dlh <= 0:
            raise InputError(
                "a cluster test needs voxels and a positive roughness",
                found=f"{self.n_voxels} voxels, dLh {self.dlh:g}",
                do="check the mask and the smoothness of the maps",
            )

    @property
    def z_threshold(self) -> float:
        """Cluster-forming threshold of z."""
        return float(scipy.stats.norm.isf(self.voxel_p / 2 if self.two_tailed else self.voxel_p))

    @property
    def alpha(self) -> float:
        """Familywise error for one sign."""
        return self.cluster_p / 2 if self.two_tailed else self.cluster_p

    @property
    def expected_clusters(self) -> float:
        """Em: expected number of clusters of one sign."""
        z = self.z_threshold
        density = self.dlh * (z * z - 1.0) * np.exp(-0.5 * z * z) / (2.0 * np.pi) ** 2
        return float(self.n_voxels * density)

    @property
    def expected_voxels(self) -> float:
        """EN: expected number of voxels beyond the threshold."""
        return float(self.n_voxels * special.ndtr(-self.z_threshold))

    @property
    def beta(self) -> float:
        """Decay of the extent's distribution."""
        ratio = self.expected_clusters / self.expected_voxels
        return float((special.gamma(_DIMENSIONS / 2 + 1) * ratio) ** (2.0 / _DIMENSIONS))

    def p_value(self, extent_voxels: float) -> float:
        """Familywise probability for one sign of a cluster of at least this extent."""
        tail = np.exp(-self.beta * extent_voxels ** (2.0 / _DIMENSIONS))
        return float(-np.expm1(-self.expected_clusters * tail))

    @property
    def least_extent(self) -> int:
        """Fewest voxels that make a cluster significant."""
        # P(k) < alpha solved for k; the integer is then settled by the formula itself.
        rate = -np.log1p(-self.alpha) / self.expected_clusters
        root = (-np.log(rate) / self.beta) ** 1.5 if rate < 1.0 else 0.0
        k = max(int(root) - 1, 1)
        while self.p_value(k) >= self.alpha:
            k += 1
        return k


def warn_if_liberal(voxel_p: float) -> None:
    """Issue a notice where random-field cluster tests are known to err (Eklund et al. 2016)."""
    if voxel_p > SAFE_CLUSTER_P:
        notify(
            "random-field cluster probabilities are not safe at this voxel threshold",
            found=f"P < {voxel_p:g}",
            do="prefer the probabilities by rearrangement beside them, which need no "
            "smoothness, though residuals that are symmetric (groups.variance groups) or groups "
            "of one variance (equal); on null fields with long tails or uneven smoothness the "
            "familywise error of random fields was 25 to 37 % in place of 5 %",
        )
