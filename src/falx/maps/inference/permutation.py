"""Permutation inference for the linear model, after Freedman and Lane, in closed form.

The residuals of the nuisance model are permuted and the whole model is fitted again. For one
contrast that fit needs no regression: with the residualised effect x, an orthonormal nuisance
basis Q and permuted residuals y_p, ``r² = (x'y_p)² / |x|² / (|y|² - |Q'y_p|²)`` and
``t = sign(x'y_p) sqrt(r² df / (1 - r²))``. Permuting x and Q instead of y makes it one
matrix product.

Where groups have variances of their own the statistic is Welch's, and the signs of the
restricted residuals are flipped instead (independent and symmetric errors: every residual keeps
its own variance, which permuting would pass on to others). With the unit effect x, the
residual-forming matrix R = I - B B', ``c_g = |x_g|² / Σ_{i in g} R_ii`` and C = diag(c_g(i)),

``t = x'y / sqrt(Σ_g c_g |e_g|²)``, ``Σ_g c_g |e_g|² = y'Cy - y'Ky``, ``K = CBB' + BB'C - BB'CBB'``

and K has few eigenvectors U with eigenvalues l other than zero, so that again one matrix product
U'y serves. Without covariates this is Welch's t; with them it is the variance of the
least-squares estimate, where the G of Winkler et al. takes that of the weighted one.

References
----------
Freedman and Lane 1983, J Bus Econ Stat 1:292; Winkler et al. 2014, NeuroImage 92:381;
Welch 1938, Biometrika 29:350.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numba
import numpy as np
import numpy.typing as npt

from falx.core.threads import blas_threads, over_blocks
from falx.maps.design import Design, Partition, partition
from falx.maps.inference.clusters import Cluster, cluster_maxima
from falx.maps.inference.pareto import fit_tail
from falx.maps.inference.rearrangements import PermutationPlan, permuted_rows
from falx.maps.inference.tfce import tfce
from falx.maps.inference.true_discoveries import TrueDiscoveries, calibrated, least_ratio
from falx.maps.linear import check_data
from falx.maps.unequal import StudentisedForm, studentised_form

__all__ = [
    "MaximaNull",
    "SpatialStatistics",
    "moving_nuisance",
    "permutation_null",
    "permuted_t",
    "spatial_null",
    "studentised_t",
    "unit_residuals",
]

TIE = 1e-5
"""A null maximum this close below the observed value counts as reaching it (rounding)."""

FLOOR = np.float32(1e-7)
"""Part of the weighted sum of squares that is added to that of the residuals (rounding)."""

_VOXELS = 1024
_PERMUTATIONS = 128
_MAPS = 16


@dataclass(frozen=True, eq=False)
class SpatialStatistics:
    """What is recorded of every permuted map beside its largest |t|.

    Parameters
    ----------
    neighbours
        Shape (V, K) from :func:`falx.maps.inference.neighbours.neighbour_table`.
    thresholds
        Cluster-forming thresholds of |t|.
    enhance
        Whether the maximum of TFCE is recorded.
    tails
        Shape (bins,): :func:`falx.maps.inference.true_discoveries.tail_table` of the statistic,
        where true discoveries are to be bounded.
    tail
        How P of the far tail are taken, as :class:`MaximaNull` says.
    """

    neighbours: npt.NDArray[np.int32]
    thresholds: tuple[float, ...] = ()
    enhance: bool = False
    tails: npt.NDArray[np.float64] | None = None
    tail: str = "counted"


@dataclass(frozen=True, eq=False)
class MaximaNull:
    """Maxima over the map of every permutation, the observed map first; both signs together.

    Parameters
    ----------
    t
        Shape (N,): largest |t|.
    extent, mass
        Shape (N, thresholds): largest cluster in voxels, heaviest in t above threshold.
    tfce
        Shape (N,): largest TFCE, or None.
    ratios
        Shape (N,): what bounds true discoveries in maps of so many `voxels`, or None.
    tail
        ``counted``, or ``pareto``: P beyond the upper quarter of maxima from a distribution
        that is fitted to it.
    """

    t: npt.NDArray[np.float64]
    extent: npt.NDArray[np.float64]
    mass: npt.NDArray[np.float64]
    tfce: npt.NDArray[np.float64] | None
    plan: PermutationPlan
    ratios: npt.NDArray[np.float64] | None = None
    voxels: int = 0
    tail: str = "counted"

    def familywise(
        self, observed: npt.ArrayLike, null: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """P of observed values by one of the nulls of this map, shape (N,), as `tail` says."""
        p = self.p_value(observed, null)
        if self.tail != "pareto" or self.plan.exhaustive:
            return p
        fitted = fit_tail(null[1:])
        if fitted is None:
            return p
        found = fitted.p_value(observed)
        return np.asarray(np.where(np.isnan(found), p, found))

    def of_cluster(self, cluster: Cluster) -> tuple[float, float]:
        """Return familywise P of a cluster's extent and of its mass, by the first threshold."""
        return (
            float(self.familywise(cluster.extent, self.extent[:, 0])),
            float(self.familywise(cluster.mass, self.mass[:, 0])),
        )

    def discoveries(self, alpha: float) -> TrueDiscoveries | None:
        """Return what bounds true discoveries with a confidence of 1 - alpha."""
        return None if self.ratios is None else calibrated(self.ratios, self.voxels, alpha)

    @staticmethod
    def p_value(observed: npt.ArrayLike, null: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Share of maxima, shape (N,), that reach each observed value, the identity included.

        Examples
        --------
        >>> MaximaNull.p_value([5.0, 1.0], np.array([5.0, 2.0, 3.0, 1.0]))
        array([0.25, 1.  ])
        """
        ordered = np.sort(null)
        reached = np.searchsorted(ordered, np.asarray(observed, dtype=np.float64) * (1.0 - TIE))
        # The observed map is one of them, however its last digits were rounded at t beyond 50.
        return np.asarray(np.maximum(len(null) - reached, 1) / len(null))


def permutation_null(
    data: npt.NDArray[np.floating],
    design: Design,
    contrast: npt.NDArray[np.floating],
    plan: PermutationPlan,
    spatial: SpatialStatistics | None = None,
    groups: Sequence[str] | None = None,
    threads: int = 1,
) -> MaximaNull:
    """Null distribution of the largest statistic in the map.

    Parameters
    ----------
    data
        Shape (n, V).
    groups
        Group of every image, each with a variance of its own; one variance if None.
    threads
        The result does not depend on it.
    """
    check_data(data, design)
    parts = partition(design, contrast)
    unit = unit_residuals(data, parts.nuisance)
    if groups is not None or plan.signs is not None:
        one = groups or [""] * len(data)
        form = studentised_form(design, contrast, one, permuted=plan.signs is None)
        if spatial is None:
            t = _max_studentised(unit, form, plan, threads)
            return MaximaNull(t, np.empty((len(plan), 0)), np.empty((len(plan), 0)), None, plan)
        return spatial_null(partial(studentised_t, unit, form, plan), plan, spatial, threads)
    moving = moving_nuisance(parts.nuisance)
    if spatial is None:
        r2 = _max_r2(unit, parts.effect, moving, plan.orders, threads)
        empty = np.empty((len(plan), 0))
        return MaximaNull(np.sqrt(_t2(r2, parts.dof)), empty, empty, None, plan)

    def maps(chosen: slice) -> npt.NDArray[np.float64]:
        return permuted_t(unit, parts, moving, plan.orders[chosen])

    return spatial_null(maps, plan, spatial, threads)


def moving_nuisance(q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Nuisance basis of shape (n, k) without the constant, which no permutation changes."""
    n = len(q)
    one = np.full(n, 1.0 / np.sqrt(n))
    along = q.T @ one
    if abs(float(along @ along) - 1.0) > 1e-9:
        return q
    u, s, _ = np.linalg.svd(q - np.outer(one, along), full_matrices=False)
    return np.asarray(u[:, s > 1e-9])


def unit_residuals(
    data: npt.NDArray[np.floating], nuisance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Residuals of the nuisance model with unit norm at every voxel, shape (n, V)."""
    unit = np.empty(data.shape, np.float32)
    for start in range(0, data.shape[1], 64 * _VOXELS):
        block = slice(start, start + 64 * _VOXELS)
        rest = np.asarray(data[:, block], dtype=np.float64)
        rest = rest - nuisance @ (nuisance.T @ rest)
        unit[:, block] = rest / np.maximum(np.linalg.norm(rest, axis=0), 1e-300)
    return unit


def _columns(
    effect: npt.NDArray[np.float64], moving: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.column_stack([effect / np.linalg.norm(effect), moving])


def _t2(r2: npt.NDArray[np.floating], dof: int) -> npt.NDArray[np.float64]:
    wide = np.minimum(np.asarray(r2, dtype=np.float64), 1.0 - 1e-15)
    return np.asarray(dof * wide / (1.0 - wide))


def permuted_t(
    unit: npt.NDArray[np.floating],
    parts: Partition,
    moving: npt.NDArray[np.float64],
    orders: npt.NDArray[np.integer],
) -> npt.NDArray[np.float64]:
    """Return maps of t for some permutations, shape (N, V).

    Parameters
    ----------
    unit
        Shape (n, V): residuals of the nuisance model with unit norm.
    moving
        Shape (n, k): what is projected out again after permuting, :func:`moving_nuisance`.
    orders
        Shape (N, n).
    """
    rows = permuted_rows(_columns(parts.effect, moving), orders).astype(unit.dtype)
    along = rows[0] @ unit
    rest = 1.0 - sum((np.square(row @ unit) for row in rows[1:]), np.zeros_like(along))
    return np.asarray(np.copysign(np.sqrt(_t2(along**2 / rest, parts.dof)), along))


def _max_r2(
    unit: npt.NDArray[np.float32],
    effect: npt.NDArray[np.float64],
    moving: npt.NDArray[np.float64],
    orders: npt.NDArray[np.integer],
    threads: int,
) -> npt.NDArray[np.float32]:
    """Largest squared partial correlation of every permutation, shape (N,)."""
    rows = permuted_rows(_columns(effect, moving), orders).astype(np.float32)
    best = np.zeros(len(orders), np.float32)

    def scan(chosen: slice) -> None:
        some = np.ascontiguousarray(rows[:, chosen])
        for start in range(0, unit.shape[1], _VOXELS):
            block = unit[:, start : start + _VOXELS]
            product = (some.reshape(-1, len(unit)) @ block).reshape(*some.shape[:2], -1)
            _square_correlations(product)
            np.maximum(best[chosen], product[0].max(axis=1), out=best[chosen])

    with blas_threads(1):
        over_blocks(scan, len(orders), block=_PERMUTATIONS, threads=threads)
    return best


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _square_correlations(product):  # type: ignore[no-untyped-def]
    """Replace x'y in row 0 by r² = (x'y)² / (1 - |Q'y|²); the other rows hold Q'y."""
    voxels = product.shape[2]
    rest = np.empty(voxels, product.dtype)
    for p in range(product.shape[1]):
        rest[:] = 1
        for q in range(1, product.shape[0]):
            for v in range(voxels):
                rest[v] -= product[q, p, v] * product[q, p, v]
        for v in range(voxels):
            product[0, p, v] *= product[0, p, v] / rest[v]


def studentised_t(
    unit: npt.NDArray[np.floating], form: StudentisedForm, plan: PermutationPlan, chosen: slice
) -> npt.NDArray[np.float64]:
    """Return maps of Welch's t for some rearrangements, shape (N, V).

    Parameters
    ----------
    unit
        Shape (n, V): residuals of the nuisance model with unit norm.
    """
    rows = plan.rows(form.columns, chosen).astype(unit.dtype)
    squares = _squares(unit, form, plan, chosen)
    product = (rows.reshape(-1, len(unit)) @ unit).reshape(*rows.shape[:2], -1)
    _studentise(product, form.effect.astype(unit.dtype), form.taken.astype(unit.dtype), squares)
    return np.asarray(np.copysign(np.sqrt(np.abs(product[0])), product[0]), np.float64)


def _squares(
    unit: npt.NDArray[np.floating], form: StudentisedForm, plan: PermutationPlan, chosen: slice
) -> npt.NDArray[np.floating]:
    """Weighted sums of squares, shape (N, V); (1, V) where flips leave them alike."""
    if plan.signs is not None:
        return np.asarray(form.weight.astype(unit.dtype)[None] @ (unit * unit))
    return np.asarray(
        plan.rows(form.weight[:, None], chosen)[0].astype(unit.dtype) @ (unit * unit)
    )


def _max_studentised(
    unit: npt.NDArray[np.float32], form: StudentisedForm, plan: PermutationPlan, threads: int
) -> npt.NDArray[np.float64]:
    """Largest |t| of every rearrangement, shape (N,)."""
    best = np.zeros(len(plan), np.float32)
    effect, taken = form.effect.astype(np.float32), form.taken.astype(np.float32)

    def scan(chosen: slice) -> None:
        rows = np.ascontiguousarray(plan.rows(form.columns, chosen), np.float32)
        for start in range(0, unit.shape[1], _VOXELS):
            block = unit[:, start : start + _VOXELS]
            product = (rows.reshape(-1, len(unit)) @ block).reshape(*rows.shape[:2], -1)
            squares = _squares(block, form, plan, chosen)
            _square_studentised(product, effect, taken, squares)
            np.maximum(best[chosen], product[0].max(axis=1), out=best[chosen])

    with blas_threads(1):
        over_blocks(scan, len(plan), block=_PERMUTATIONS, threads=threads)
    return np.sqrt(np.asarray(best, np.float64))


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _studentise(product, effect, taken, squares):  # type: ignore[no-untyped-def]
    """Replace U'y in row 0 by t|t|, t = a'U'y / sqrt(w'y² - Σ l (U'y)²); see the module."""
    voxels = product.shape[2]
    along, rest = np.empty(voxels, product.dtype), np.empty(voxels, product.dtype)
    for p in range(product.shape[1]):
        kept = squares[min(p, squares.shape[0] - 1)]
        along[:] = 0
        rest[:] = kept
        for q in range(product.shape[0]):
            a, b = effect[q], taken[q]
            for v in range(voxels):
                y = product[q, p, v]
                along[v] += a * y
                rest[v] -= b * y * y
        for v in range(voxels):
            product[0, p, v] = along[v] * abs(along[v]) / (rest[v] + FLOOR * kept[v])


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _square_studentised(product, effect, taken, squares):  # type: ignore[no-untyped-def]
    """Replace U'y in row 0 by t² = (a'U'y)² / (w'y² - Σ l (U'y)²)."""
    rows, _, voxels = product.shape
    along, rest = np.empty(voxels, product.dtype), np.empty(voxels, product.dtype)
    for p in range(product.shape[1]):
        kept = squares[min(p, squares.shape[0] - 1)]
        first, last = product[0, p], product[rows - 1, p]
        a, b = effect[0], taken[0]
        for v in range(voxels):
            along[v] = a * first[v]
            rest[v] = kept[v] - b * first[v] * first[v]
        for q in range(1, rows - 1):
            a, b = effect[q], taken[q]
            for v in range(voxels):
                y = product[q, p, v]
                along[v] += a * y
                rest[v] -= b * y * y
        a, b = (effect[rows - 1], taken[rows - 1]) if rows > 1 else (0 * a, 0 * b)
        for v in range(voxels):
            x = along[v] + a * last[v]
            first[v] = x * x / (rest[v] - b * last[v] * last[v] + FLOOR * kept[v])


def spatial_null(
    maps: Callable[[slice], npt.NDArray[np.float64]],
    plan: PermutationPlan,
    spatial: SpatialStatistics,
    threads: int,
) -> MaximaNull:
    """Record what is asked of whole maps, shape (N, V) from `maps`, a few at a time."""
    t_max, enhanced, ratios = np.empty(len(plan)), np.zeros(len(plan)), np.zeros(len(plan))
    extent = np.zeros((len(plan), len(spatial.thresholds)))
    mass = np.zeros_like(extent)

    def scan(chosen: slice) -> None:
        for k, t in enumerate(maps(chosen), start=chosen.start):
            t_max[k] = np.abs(t).max()
            for j, threshold in enumerate(spatial.thresholds):
                extent[k, j], mass[k, j] = cluster_maxima(t, spatial.neighbours, threshold)
            if spatial.enhance:
                enhanced[k] = np.abs(tfce(t, spatial.neighbours)).max()
            if spatial.tails is not None:
                ratios[k] = least_ratio(t, spatial.tails)

    with blas_threads(1):
        over_blocks(scan, len(plan), block=_MAPS, threads=threads)
    return MaximaNull(
        t_max,
        extent,
        mass,
        enhanced if spatial.enhance else None,
        plan,
        None if spatial.tails is None else ratios,
        len(spatial.neighbours),
        spatial.tail,
    )
