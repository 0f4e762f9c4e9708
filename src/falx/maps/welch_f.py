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
_FLIPS = 8
"""Flips of one product; blocks of a plan begin at multiples of it, so that all round alike."""

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
        there = np.ascontiguousarray(data[rows])
        # Products of one size: how a value is rounded depends on the size of the product it is in
        # and on its row, and must not depend on how many flips come at a time.
        for start in range(0, count, _FLIPS):
            some = moved[:, start : start + _FLIPS]
            held = np.zeros((_FLIPS, len(moved), int(rows.sum())), data.dtype)
            held[: some.shape[1]] = some.transpose(1, 0, 2)
            found = held.reshape(-1, held.shape[2]) @ there
            found = found.reshape(_FLIPS, len(moved), -1)[: some.shape[1]]
            products[:, start : start + _FLIPS] = found.transpose(1, 0, 2)
    kind = data.dtype
    squares = form.members.astype(kind) @ np.square(data)
    out = np.empty((2, count, data.shape[1]))
    effect, inner, free = (
        np.ascontiguousarray(part, kind) for part in (form.effect, form.inner, form.free)
    )
    _wald(carried, squares, effect, inner, free, out)
    return out


# The kernels below work on a lane of voxels at a time, the last axis of every array, so that their
# innermost loops are vectorised; nothing is allocated within them.


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _wald(carried, squares, effect, inner, free, out):  # type: ignore[no-untyped-def]
    """Write F and its degrees of freedom from z_g, shape (groups, r, N, V), and |y_g|².

    All is computed in the type of the data: residuals of unit norm in single precision give F
    to 1e-5.
    """
    groups, r, count, voxels = carried.shape
    q, kind = effect.shape[1], carried.dtype
    tested = np.empty((groups, q, q), kind)  # E_g'E_g
    for g in range(groups):
        tested[g] = effect.T @ inner[g] @ effect
    z, b = np.empty((r, _LANE), kind), np.empty((q, _LANE), kind)
    spread, room = np.empty((groups, _LANE), kind), np.empty((3, q, q, _LANE), kind)
    traces, f, a = np.empty((2, _LANE), kind), np.empty(_LANE, kind), np.empty(_LANE, kind)
    own, sums = np.empty((groups, r, _LANE), kind), np.empty((groups, _LANE), kind)
    for p in range(count):
        for start in range(0, voxels, _LANE):
            lane = min(_LANE, voxels - start)
            for g in range(groups):
                for v in range(lane):
                    sums[g, v] = squares[g, start + v]
                for k in range(r):
                    for v in range(lane):
                        own[g, k, v] = carried[g, k, p, start + v]
            _estimates(own, effect, z, b, lane)
            _variances(own, z, sums, inner, free, spread, lane)
            _johansen(b, spread, tested, free, room, traces, f, a, lane)
            for v in range(lane):
                out[0, p, start + v] = f[v]
                out[1, p, start + v] = a[v]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _estimates(own, effect, z, b, lane):  # type: ignore[no-untyped-def]
    """Write z = Σ z_g and b = T'z."""
    groups, r = own.shape[:2]
    for k in range(r):
        for v in range(lane):
            z[k, v] = own[0, k, v]
        for g in range(1, groups):
            for v in range(lane):
                z[k, v] += own[g, k, v]
    for j in range(len(b)):
        b[j] = 0
        for k in range(r):
            weight = effect[k, j]
            for v in range(lane):
                b[j, v] += weight * z[k, v]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _variances(own, z, sums, inner, free, spread, lane):  # type: ignore[no-untyped-def]
    """Write s_g = |e_g|² / ν_g, |e_g|² = |y_g|² - 2 z_g'z + z'B_g'B_g z."""
    groups, r = own.shape[:2]
    least = own.dtype.type(1e-12)
    for g in range(groups):
        for v in range(lane):
            spread[g, v] = sums[g, v]
        for k in range(r):
            self = inner[g, k, k]
            for v in range(lane):
                spread[g, v] += z[k, v] * (self * z[k, v] - (own[g, k, v] + own[g, k, v]))
            for m in range(k):
                other = inner[g, k, m] + inner[g, k, m]
                for v in range(lane):
                    spread[g, v] += other * z[k, v] * z[m, v]
        share = free[g]
        for v in range(lane):
            spread[g, v] = max(spread[g, v], least * sums[g, v]) / share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _johansen(b, spread, tested, free, room, traces, f, a, lane):  # type: ignore[no-untyped-def]
    """Write F and the degrees of freedom of its denominator from estimates and variances."""
    q, groups, kind = len(b), len(spread), b.dtype.type
    covariance, inverse = room[0], room[1]
    for i in range(q):
        for j in range(q):
            covariance[i, j] = 0
            for g in range(groups):
                weight = tested[g, i, j]
                for v in range(lane):
                    covariance[i, j, v] += spread[g, v] * weight
    _invert(covariance, inverse, lane)
    f[:] = 0
    for i in range(q):
        for j in range(q):
            for v in range(lane):
                f[v] += b[i, v] * inverse[i, j, v] * b[j, v]
    a[:] = 0
    for g in range(groups):
        factor = kind(0.5) / free[g]
        _add_traces(inverse, tested[g], factor, spread[g], room[2], traces, a, lane)
    two, six, size = kind(2), kind(6), kind(q)
    above, below = size * (size + two), kind(3)
    part = two - six / (size + two)
    for v in range(lane):
        f[v] /= size + part * a[v]
        a[v] = above / (below * a[v])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_traces(inverse, tested, factor, spread, share, traces, a, lane):  # type: ignore[no-untyped-def]
    """Add a group's tr P² + (tr P)², times a factor, to `a`; P is written to `share`."""
    q, trace, squared = len(share), traces[0], traces[1]
    for i in range(q):
        for j in range(q):
            share[i, j] = 0
            for k in range(q):
                weight = tested[k, j]
                for v in range(lane):
                    share[i, j, v] += inverse[i, k, v] * weight
    trace[:] = 0
    for i in range(q):
        for v in range(lane):
            trace[v] += share[i, i, v]
    for v in range(lane):
        squared[v] = trace[v] * trace[v]
    for i in range(q):
        for j in range(q):
            for v in range(lane):
                squared[v] += share[i, j, v] * share[j, i, v]
    for v in range(lane):
        a[v] += factor * spread[v] * spread[v] * squared[v]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _invert(matrix, inverse, lane):  # type: ignore[no-untyped-def]
    """Write the inverses of small positive definite matrices, after Gauss and Jordan."""
    q, one = len(matrix), matrix.dtype.type(1)
    for i in range(q):
        for j in range(q):
            inverse[i, j] = 1 if i == j else 0
    for i in range(q):
        pivot = matrix[i, i]
        for v in range(lane):
            pivot[v] = one / pivot[v]
        for j in range(q):
            for v in range(lane):
                inverse[i, j, v] *= pivot[v]
            if j != i:
                for v in range(lane):
                    matrix[i, j, v] *= pivot[v]
        _eliminate(matrix, inverse, i, lane)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _eliminate(matrix, inverse, i, lane):  # type: ignore[no-untyped-def]
    """Take row `i`, scaled by its pivot, from all others."""
    q = len(matrix)
    for k in range(q):
        if k == i:
            continue
        for j in range(q):
            for v in range(lane):
                inverse[k, j, v] -= matrix[k, i, v] * inverse[i, j, v]
        for j in range(i + 1, q):
            for v in range(lane):
                matrix[k, j, v] -= matrix[k, i, v] * matrix[i, j, v]
