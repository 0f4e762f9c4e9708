"""Groups with a variance each: Welch's t at every voxel, in closed form, and how they differ.

With w = X (X'X)⁻¹ c the estimate w'y has variance ``Σ_g σ_g² |w_g|²``; σ_g² is estimated from the
residuals e of group g as ``|e_g|² / ν_g``, ``ν_g = Σ_{i in g} R_ii`` (Winkler et al. 2014,
NeuroImage 92:381, section 2). Two groups without covariates give Welch's t with ν_g = n_g - 1
exactly. Degrees of freedom after Satterthwaite 1946, Biometrics Bull 2:110.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError
from falx.core.possible import Percent
from falx.maps.design import Design, partition
from falx.maps.settings import InferenceOptions

__all__ = [
    "StudentisedForm",
    "VarianceRatio",
    "group_weights",
    "members_of",
    "own_variance",
    "studentised_form",
    "too_small",
    "variance_ratios",
    "welch",
]

BEYOND = 2.0
"""A ratio of variances beyond which, or its inverse, groups differ at a voxel."""

LEAST_FREE = 1.0 - 1e-6
"""Least degrees of freedom of a group's variance."""

UNLIKE_SIZE = 1.3
"""Ratio of group sizes from which on permuting is not trusted where variances differ."""

LEAST_SHARED, LEAST_BESIDE = 1, 4
"""One person has a mean of his own in a slope; two or three beside more are too few."""

_BLOCK = 65_536
_ZERO = 1e-10


@dataclass(frozen=True, eq=False)
class StudentisedForm:
    """Welch's t of rearranged residuals y: ``t = a'U'y / sqrt(w'y² - Σ l (U'y)²)``.

    Parameters
    ----------
    columns
        U, shape (n, d).
    effect, taken
        a and l, shape (d,).
    weight
        w, shape (n,).
    """

    columns: npt.NDArray[np.float64]
    effect: npt.NDArray[np.float64]
    taken: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]


@dataclass(frozen=True)
class VarianceRatio:
    """How the residual variance of one group compares with that of another over voxels.

    Parameters
    ----------
    median
        Of the ratio, first over second.
    beyond_percent, by_chance_percent
        Voxels where it lies beyond `limit` or below its inverse, and how many would with equal
        variances (F distribution).
    """

    first: str
    second: str
    median: float
    limit: float
    beyond_percent: Percent
    by_chance_percent: Percent


def members_of(groups: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """Rows of every group, in the order of appearance, shape (n,) each."""
    labels = np.asarray(groups)
    return {name: labels == name for name in dict.fromkeys(groups)}


def own_variance(groups: Sequence[str], options: InferenceOptions) -> Sequence[str] | None:
    """Return the groups where each has a variance of its own, else None."""
    if options.variance != "groups" or len(set(groups)) < 2:
        return None
    if options.n_permutations > 1:
        _refuse_few(groups)
    return groups


def _refuse_few(groups: Sequence[str]) -> None:
    """Raise where a group is so small beside another that flipped signs do not hold either."""
    sizes = {name: groups.count(name) for name in dict.fromkeys(groups)}
    few = min(sizes, key=sizes.__getitem__)
    if LEAST_SHARED < sizes[few] < LEAST_BESIDE and max(sizes.values()) > UNLIKE_SIZE * sizes[few]:
        raise InputError(
            "a group is too small beside the other for a probability by flipped signs",
            where=f"group {few}",
            found=", ".join(f"{name} {n}" for name, n in sizes.items()),
            do=f"compare {LEAST_BESIDE} people or more (with 3 v 27 the familywise error was "
            ".10 in place of .05), or switch permutations off (n_permutations 1)",
        )


def group_weights(
    design: Design, contrast: npt.NDArray[np.floating], groups: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return ``c_g = |x_g|² / ν_g`` for the unit effect x, and ν_g; shape (groups,) each."""
    parts = partition(design, contrast)
    effect = parts.effect / np.linalg.norm(parts.effect)
    leverage = effect**2 + (parts.nuisance**2).sum(axis=1)
    members = members_of(groups)
    free = np.array([float((1.0 - leverage[rows]).sum()) for rows in members.values()])
    carried = np.array([float((effect[rows] ** 2).sum()) for rows in members.values()])
    carried[carried < _ZERO] = 0.0  # somebody who has a mean of his own says nothing of a slope
    if free[carried > 0].min() < LEAST_FREE:
        few = list(members)[int(np.argmin(np.where(carried > 0, free, np.inf)))]
        raise too_small(few, int(members[few].sum()), float(free[carried > 0].min()))
    return carried / np.maximum(free, 1e-9), free


def too_small(group: str, people: int, free: float) -> InputError:
    """Return the refusal of a group whose variance nothing is left to estimate."""
    return InputError(
        "a group is too small for a variance of its own",
        where=f"group {group}",
        found=f"{people} people, {free:.1f} degrees of freedom",
        do="compare more people, use fewer covariates, or assume equal variances "
        "(groups.variance equal), which errs where small groups spread more",
    )


def studentised_form(
    design: Design,
    contrast: npt.NDArray[np.floating],
    groups: Sequence[str],
    *,
    permuted: bool,
) -> StudentisedForm:
    """Bring Welch's t into closed form, for residuals that are rearranged.

    The contrast has the shape (p,).

    Parameters
    ----------
    permuted
        Whether the sum of the residuals stays zero, so that the constant needs no product.
    """
    parts = partition(design, contrast)
    effect = parts.effect / np.linalg.norm(parts.effect)
    c, _ = group_weights(design, contrast, groups)
    weight = sum((k * rows for k, rows in zip(c, members_of(groups).values(), strict=True)))
    weight = np.asarray(weight, np.float64)
    basis = np.column_stack([effect, parts.nuisance])
    hat = basis @ basis.T
    moved = weight[:, None] * hat
    taken = moved + moved.T - hat @ moved
    one = np.full((len(hat), 1), len(hat) ** -0.5)
    if permuted and np.linalg.norm(one - parts.nuisance @ (parts.nuisance.T @ one)) < 1e-9:
        taken = taken - one @ (one.T @ taken)
        taken = taken - (taken @ one) @ one.T
    values, vectors = np.linalg.eigh((taken + taken.T) / 2)
    kept = np.abs(values) > _ZERO * np.abs(values).max()
    columns, values = vectors[:, kept], values[kept]
    beside = effect - columns @ (columns.T @ effect)
    if np.linalg.norm(beside) > 1e-7:
        columns = np.column_stack([columns, beside / np.linalg.norm(beside)])
        values = np.append(values, 0.0)
    return StudentisedForm(columns, columns.T @ effect, values, weight)


def welch(
    data: npt.NDArray[np.floating],
    design: Design,
    contrast: npt.NDArray[np.floating],
    groups: Sequence[str],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return Welch's t and Satterthwaite's degrees of freedom, shape (V,) each.

    Parameters
    ----------
    data
        Shape (n, V).

    Examples
    --------
    >>> from falx.maps.design import two_sample_design
    >>> groups = ["a", "a", "a", "b", "b", "b", "b"]
    >>> design = two_sample_design(groups, "a", "b")
    >>> y = np.array([[1.0], [2], [6], [2], [3], [4], [3]])
    >>> t, dof = welch(y, design, np.array([1, 0]), groups)
    >>> round(float(t[0]), 6), round(float(dof[0]), 4)
    (0.0, 2.2881)
    """
    parts = partition(design, contrast)
    effect = parts.effect / np.linalg.norm(parts.effect)
    c, free = group_weights(design, contrast, groups)
    squares = _residual_squares(data, design, groups)
    shares = c[:, None] * squares
    variance = shares.sum(axis=0)
    dof = variance**2 / (shares**2 / np.maximum(free, 1e-9)[:, None]).sum(axis=0)
    return np.asarray(effect @ np.asarray(data, np.float64) / np.sqrt(variance)), dof


def variance_ratios(
    data: npt.NDArray[np.floating], design: Design, groups: Sequence[str]
) -> tuple[VarianceRatio, ...]:
    """Compare residual variances, of data (n, V), between the first group and every other.

    Groups without a degree of freedom are left out.
    """
    members = members_of(groups)
    basis = _basis(design)
    free = np.array([rows.sum() - (basis[rows] ** 2).sum() for rows in members.values()])
    some = free >= LEAST_FREE
    names = tuple(name for name, kept in zip(members, some, strict=True) if kept)
    variances = _residual_squares(data, design, groups)[some] / free[some][:, None]
    free = free[some]
    if len(names) < 2:
        return ()
    floor = 1e-12 * float(variances.max())
    found = []
    for k in range(1, len(names)):
        ratio = variances[0] / np.maximum(variances[k], floor)
        f = scipy.stats.f(free[0], free[k])
        found.append(
            VarianceRatio(
                names[0],
                names[k],
                float(np.median(ratio)),
                BEYOND,
                float(100 * ((ratio > BEYOND) | (ratio < 1 / BEYOND)).mean()),
                float(100 * (f.sf(BEYOND) + f.cdf(1 / BEYOND))),
            )
        )
    return tuple(found)


def _residual_squares(
    data: npt.NDArray[np.floating], design: Design, groups: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Sum of squared residuals of every group, shape (groups, V)."""
    basis = _basis(design)
    members = np.array(list(members_of(groups).values()), dtype=np.float64)
    out = np.empty((len(members), data.shape[1]))
    for start in range(0, data.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        rest = np.asarray(data[:, block], dtype=np.float64)
        rest = rest - basis @ (basis.T @ rest)
        out[:, block] = members @ rest**2
    return out


def _basis(design: Design) -> npt.NDArray[np.float64]:
    """Orthonormal basis of the design, shape (n, rank)."""
    u, s, _ = np.linalg.svd(design.matrix, full_matrices=False)
    return np.asarray(u[:, s > _ZERO * s[0]])
