"""F of groups with a variance each, and its null by flipped signs, in closed form.

With E an orthonormal basis of the effect, B of the whole design and s_g = |e_g|² / ν_g the
variance of group g (``ν_g = Σ_{i in g} R_ii``), the estimates b = E'y have the covariance
``V = Σ_g s_g E_g'E_g`` and T = b'V⁻¹b is Wald's statistic. Its F after Johansen is ``T / c``,

``c = q + 2A - 6A / (q + 2)``, ``A = ½ Σ_g (tr P_g² + (tr P_g)²) / ν_g``, ``P_g = V⁻¹ s_g E_g'E_g``

with q and q (q + 2) / (3A) degrees of freedom: Welch's F where groups alone are compared, and
the square of his t with Satterthwaite's degrees of freedom where q is 1. Nothing is fitted anew
for a flip: with z_g = B_g'y and z = Σ z_g, ``|e_g|² = |y_g|² - 2 z_g'z + z'B_g'B_g z``.

References
----------
Welch 1951, Biometrika 38:330; Johansen 1980, Biometrika 67:85; Winkler et al. 2014,
NeuroImage 92:381 (the G statistic).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.maps.design import Design, effect_space
from falx.maps.inference.rearrangements import PermutationPlan
from falx.maps.unequal import LEAST_FREE, members_of, too_small

__all__ = ["WaldForm", "flipped_f", "wald_form", "welch_f"]

_VOXELS = 4096
_LANE = 128
_NOTHING = 1e-10


@dataclass(frozen=True, eq=False)
class WaldForm:
    """What F needs of a design and its groups.

    Parameters
    ----------
    members
        Shape (groups, n): 1 for the images of a group.
    basis
        B, shape (n, r).
    effect
        T, shape (r, q): the effect is E = BT.
    inner
        B_g'B_g, shape (groups, r, r).
    free
        ν_g, shape (groups,).
    """

    members: npt.NDArray[np.float64]
    basis: npt.NDArray[np.float64]
    effect: npt.NDArray[np.float64]
    inner: npt.NDArray[np.float64]
    free: npt.NDArray[np.float64]


def wald_form(
    design: Design, contrasts: npt.NDArray[np.floating], groups: Sequence[str]
) -> WaldForm:
    """Bring F into closed form; the contrasts have the shape (q, p).

    Raises
    ------
    InputError
        If a group that the effect rests on has less than one degree of freedom.
    """
    tested, basis = effect_space(design, contrasts)
    found = members_of(groups)
    members = np.array(list(found.values()), np.float64)
    free = members @ (1.0 - (basis**2).sum(axis=1))
    carries = members @ (tested**2).sum(axis=1) > _NOTHING
    if free[carries].min() < LEAST_FREE:
        few = list(found)[int(np.argmin(np.where(carries, free, np.inf)))]
        raise too_small(few, int(found[few].sum()), float(free[carries].min()))
    inner = np.einsum("gi,ij,ik->gjk", members, basis, basis)
    return WaldForm(members, basis, basis.T @ tested, inner, np.maximum(free, 1e-9))


def welch_f(
    data: npt.NDArray[np.floating],
    design: Design,
    contrasts: npt.NDArray[np.floating],
    groups: Sequence[str],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return F and the degrees of freedom of its denominator, shape (V,) each.

    Parameters
    ----------
    data
        Shape (n, V).
    contrasts
        Shape (q, p).

    Examples
    --------
    >>> from falx.maps.design import group_design
    >>> groups = ["a", "a", "a", "b", "b", "b", "b"]
    >>> y = np.array([[1.0], [2], [6], [2], [3], [4], [5]])
    >>> f, dof = welch_f(y, group_design(groups), np.array([[1, -1]]), groups)
    >>> round(float(f[0]), 6), round(float(dof[0]), 4)
    (0.090909, 2.7202)
    """
    form = wald_form(design, contrasts, groups)
    one = np.ones((1, len(data)), np.int8)
    plan = PermutationPlan(np.arange(len(data))[None], False, one)
    found = np.concatenate(
        [
            _statistics(np.asarray(data[:, start : start + _VOXELS], np.float64), form, plan)
            for start in range(0, data.shape[1], _VOXELS)
        ],
        axis=2,
    )
    return found[0, 0], found[1, 0]


def flipped_f(
    unit: npt.NDArray[np.floating],
    form: WaldForm,
    plan: PermutationPlan,
    chosen: slice = slice(None),
) -> npt.NDArray[np.float64]:
    """Return maps of F for some flips of signs, shape (N, V).

    Parameters
    ----------
    unit
        Shape (n, V): residuals of the nuisance model with unit norm.
    """
    blocks = range(0, unit.shape[1], _VOXELS)
    return np.concatenate(
        [_statistics(unit[:, at : at + _VOXELS], form, plan, chosen)[0] for at in blocks], axis=1
    )


def _statistics(
    data: npt.NDArray[np.floating],
    form: WaldForm,
    plan: PermutationPlan,
    chosen: slice = slice(None),
) -> npt.NDArray[np.float64]:
    """F and the degrees of freedom of its denominator for some flips, shape (2, N, V)."""
    count = len(range(*chosen.indices(len(plan))))
    carried = np.empty((len(form.members), form.basis.shape[1], count, data.shape[1]), data.dtype)
    for own, products in zip(form.members, carried, strict=True):
        rows = own > 0
        moved = plan.rows(form.basis, chosen)[:, :, rows].astype(data.dtype)
        flat = moved.reshape(-1, int(rows.sum())) @ data[rows]
        products[:] = flat.reshape(products.shape)
    squares = np.asarray(form.members @ np.square(data, dtype=np.float64))
    out = np.empty((2, count, data.shape[1]))
    _wald(carried, squares, form.effect, form.inner, form.free, out)
    return out


# The kernels below work on a lane of voxels at a time, the last axis of every array, so that their
# innermost loops are vectorised; nothing is allocated within them.


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _wald(carried, squares, effect, inner, free, out):  # type: ignore[no-untyped-def]
    """Write F and its degrees of freedom from z_g, shape (groups, r, N, V), and |y_g|²."""
    groups, r, count, voxels = carried.shape
    q = effect.shape[1]
    tested = np.empty((groups, q, q))  # E_g'E_g
    for g in range(groups):
        tested[g] = effect.T @ inner[g] @ effect
    z, b, spread = np.empty((r, _LANE)), np.empty((q, _LANE)), np.empty((groups, _LANE))
    room = np.empty((3, q, q, _LANE))
    for p in range(count):
        for start in range(0, voxels, _LANE):
            end = min(start + _LANE, voxels)
            own = carried[:, :, p, start:end]
            _estimates(own, effect, z, b)
            _variances(own, z, squares[:, start:end], inner, free, spread)
            _johansen(b, spread, tested, free, room, out[:, p, start:end])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _estimates(own, effect, z, b):  # type: ignore[no-untyped-def]
    """Write z = Σ z_g and b = T'z."""
    groups, r, lane = own.shape
    for k in range(r):
        for v in range(lane):
            z[k, v] = own[0, k, v]
        for g in range(1, groups):
            for v in range(lane):
                z[k, v] += own[g, k, v]
    for j in range(len(b)):
        b[j] = 0.0
        for k in range(r):
            for v in range(lane):
                b[j, v] += effect[k, j] * z[k, v]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _variances(own, z, squares, inner, free, spread):  # type: ignore[no-untyped-def]
    """Write s_g = |e_g|² / ν_g, |e_g|² = |y_g|² - 2 z_g'z + z'B_g'B_g z."""
    groups, r, lane = own.shape
    for g in range(groups):
        for v in range(lane):
            spread[g, v] = squares[g, v]
        for k in range(r):
            for v in range(lane):
                spread[g, v] += z[k, v] * (inner[g, k, k] * z[k, v] - 2.0 * own[g, k, v])
            for m in range(k):
                for v in range(lane):
                    spread[g, v] += 2.0 * inner[g, k, m] * z[k, v] * z[m, v]
        for v in range(lane):
            spread[g, v] = max(spread[g, v], 1e-12 * squares[g, v]) / free[g]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _johansen(b, spread, tested, free, room, out):  # type: ignore[no-untyped-def]
    """Write F and the degrees of freedom of its denominator from estimates and variances."""
    q, groups, lane = len(b), len(spread), out.shape[1]
    covariance, inverse, wald, a = room[0], room[1], out[0], out[1]
    for i in range(q):
        for j in range(q):
            covariance[i, j] = 0.0
            for g in range(groups):
                for v in range(lane):
                    covariance[i, j, v] += spread[g, v] * tested[g, i, j]
    _invert(covariance, inverse, lane)
    wald[:] = 0.0
    for i in range(q):
        for j in range(q):
            for v in range(lane):
                wald[v] += b[i, v] * inverse[i, j, v] * b[j, v]
    a[:] = 0.0
    for g in range(groups):
        _add_traces(inverse, tested[g], 0.5 / free[g], spread[g], room[2], covariance[0], a)
    for v in range(lane):
        wald[v] /= q + 2.0 * a[v] - 6.0 * a[v] / (q + 2.0)
        a[v] = q * (q + 2.0) / (3.0 * a[v])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_traces(inverse, tested, factor, spread, share, room, a):  # type: ignore[no-untyped-def]
    """Add a group's tr P² + (tr P)², times a factor, to `a`; P is written to `share`."""
    q, lane, trace = len(share), len(a), room[0]
    for i in range(q):
        for j in range(q):
            share[i, j] = 0.0
            for k in range(q):
                for v in range(lane):
                    share[i, j, v] += inverse[i, k, v] * tested[k, j]
    trace[:] = 0.0
    for i in range(q):
        for v in range(lane):
            trace[v] += share[i, i, v]
    for v in range(lane):
        a[v] += factor * (spread[v] * trace[v]) ** 2
    for i in range(q):
        for j in range(q):
            for v in range(lane):
                a[v] += factor * spread[v] ** 2 * share[i, j, v] * share[j, i, v]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _invert(matrix, inverse, lane):  # type: ignore[no-untyped-def]
    """Write the inverses of small positive definite matrices, after Gauss and Jordan."""
    q = len(matrix)
    for i in range(q):
        for j in range(q):
            inverse[i, j] = 1.0 if i == j else 0.0
    for i in range(q):
        for v in range(lane):
            scale = 1.0 / matrix[i, i, v]
            for j in range(q):
                matrix[i, j, v] *= scale
                inverse[i, j, v] *= scale
        for k in range(q):
            if k != i:
                for v in range(lane):
                    factor = matrix[k, i, v]
                    for j in range(q):
                        matrix[k, j, v] -= factor * matrix[i, j, v]
                        inverse[k, j, v] -= factor * inverse[i, j, v]
