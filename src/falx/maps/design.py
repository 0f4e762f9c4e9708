"""Design matrices of group studies: what is compared, and what is held constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = [
    "Design",
    "Orthogonality",
    "Partition",
    "check_groups",
    "effect_space",
    "group_design",
    "orthogonality",
    "partition",
    "regression_design",
    "two_sample_design",
]

_COLLINEAR = 1e-8
_RANK = 1e-10


@dataclass(frozen=True, eq=False)
class Design:
    """A design matrix with named columns.

    Parameters
    ----------
    matrix
        Shape (n, p), one row an image.
    names
        Column names.
    """

    matrix: npt.NDArray[np.float64]
    names: tuple[str, ...]

    @property
    def dof(self) -> int:
        """Residual degrees of freedom, n - rank."""
        return int(len(self.matrix) - np.linalg.matrix_rank(self.matrix))

    def contrast(self, weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
        """Contrast vector from column names, shape (p,)."""
        unknown = sorted(set(weights) - set(self.names))
        if unknown:
            raise InputError(
                "the contrast names a column that the design lacks",
                found=", ".join(unknown),
                do=f"choose from {', '.join(self.names)}",
            )
        return np.array([weights.get(name, 0.0) for name in self.names])


@dataclass(frozen=True, eq=False)
class Partition:
    """A design seen from one contrast.

    Parameters
    ----------
    effect
        Shape (n,): the part of the design that carries the contrast, orthogonal to
        `nuisance`; the contrast's estimate is ``effect @ y / effect @ effect``.
    nuisance
        Shape (n, p - 1): orthonormal basis of the rest of the design.
    dof
        Residual degrees of freedom.
    """

    effect: npt.NDArray[np.float64]
    nuisance: npt.NDArray[np.float64]
    dof: int

    def residualise(self, data: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Remove the nuisance from data of shape (n, V)."""
        wide = np.asarray(data, dtype=np.float64)
        return np.asarray(wide - self.nuisance @ (self.nuisance.T @ wide))


@dataclass(frozen=True)
class Orthogonality:
    """How a covariate relates to the contrast it accompanies."""

    covariate: str
    correlation: float
    variance_inflation: float


def two_sample_design(
    groups: Sequence[str],
    first: str,
    second: str,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
) -> Design:
    """Design of a comparison of two groups: first minus second, intercept, covariates.

    Parameters
    ----------
    groups
        Group of every image, each either `first` or `second`.
    covariates
        Values by name, shape (n,) each; they are centred here.

    Raises
    ------
    InputError
        If a group has fewer than two images or the columns are collinear.

    Examples
    --------
    >>> design = two_sample_design(["a", "a", "b", "b"], "a", "b")
    >>> design.names, design.dof
    (('a - b', 'mean'), 2)
    """
    _check_known(groups, (first, second))
    check_groups(groups, (first, second))
    indicator = np.array([1.0 if group == first else 0.0 for group in groups])
    columns = {f"{first} - {second}": indicator, "mean": np.ones(len(groups))}
    return _checked(columns, covariates or {})


def group_design(
    groups: Sequence[str], covariates: Mapping[str, npt.ArrayLike] | None = None
) -> Design:
    """Cell means of any number of groups, for an analysis of (co)variance."""
    names = tuple(dict.fromkeys(groups))
    check_groups(groups, names)
    columns = {name: np.array([float(g == name) for g in groups]) for name in names}
    return _checked(columns, covariates or {})


def regression_design(
    predictor: str, values: npt.ArrayLike, covariates: Mapping[str, npt.ArrayLike] | None = None
) -> Design:
    """Design of a regression on one predictor, shape (n,), with intercept and covariates."""
    centred = _centred(predictor, values)
    return _checked({predictor: centred, "mean": np.ones(len(centred))}, covariates or {})


def partition(design: Design, contrast: npt.NDArray[np.floating]) -> Partition:
    """Split a design into the effect of a contrast, shape (p,), and everything else.

    Notes
    -----
    With w = X (X'X)⁻¹ c the estimate is w'y, so the effect is w / |w|²; what else the design
    spans is orthogonal to it (Winkler et al. 2014, NeuroImage 92:381, section 2).
    """
    x = design.matrix
    dual = np.linalg.pinv(x).T @ np.asarray(contrast, dtype=np.float64)
    length2 = float(dual @ dual)
    if length2 == 0.0:
        raise InputError("a contrast of zeros tests nothing", do="give it a weight")
    unit = dual / np.sqrt(length2)
    u, s, _ = np.linalg.svd(x - np.outer(unit, unit @ x), full_matrices=False)
    nuisance = u[:, s > _RANK * np.linalg.norm(x)]
    dof = len(x) - nuisance.shape[1] - 1
    if dof < 1:
        raise InputError(
            "the design leaves no degrees of freedom",
            found=f"{len(x)} images and {nuisance.shape[1] + 1} independent columns",
            do="use fewer covariates or more images",
        )
    return Partition(np.asarray(dual / length2, dtype=np.float64), nuisance, dof)


def effect_space(
    design: Design, contrasts: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Orthonormal bases of what an F test tests, shape (n, q), and of the whole design."""
    dual = np.linalg.pinv(design.matrix).T @ np.asarray(contrasts, dtype=np.float64).T
    return _orthonormal(dual), _orthonormal(design.matrix)


def _orthonormal(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, s > 1e-10 * s[0]])


def orthogonality(design: Design, contrast: npt.NDArray[np.floating]) -> tuple[Orthogonality, ...]:
    """Correlation of every covariate with the contrast's effect, and variance inflation.

    Parameters
    ----------
    contrast
        Shape (p,); its non-zero columns are the tested ones; constant columns are left out.
    """
    x = design.matrix - design.matrix.mean(axis=0)
    tested = design.matrix @ np.sign(contrast)
    rows = []
    varying = np.linalg.norm(x, axis=0) > _COLLINEAR
    for at in np.flatnonzero(varying & (np.asarray(contrast) == 0)):
        others = x[:, varying & (np.arange(x.shape[1]) != at)]
        fitted = others @ np.linalg.lstsq(others, x[:, at], rcond=None)[0]
        unexplained = float(((x[:, at] - fitted) ** 2).sum() / (x[:, at] ** 2).sum())
        correlation = float(np.corrcoef(x[:, at], tested)[0, 1])
        rows.append(Orthogonality(design.names[at], correlation, 1.0 / unexplained))
    return tuple(rows)


def check_groups(groups: Sequence[str], names: Sequence[str]) -> None:
    """Raise unless every named group has two images."""
    for name in names:
        count = sum(group == name for group in groups)
        if count < 2:
            raise InputError(
                "a group needs at least two images",
                where=f"group {name}",
                found=count,
                do="check the participants table and the exclusions",
            )


def _check_known(groups: Sequence[str], names: Sequence[str]) -> None:
    foreign = sorted(set(groups) - set(names))
    if foreign:
        raise InputError(
            "an image belongs to neither group",
            found=", ".join(foreign),
            do="leave the image out, or give its group",
        )


def _centred(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not np.isfinite(column).all():
        raise InputError(
            "a covariate must hold one finite number an image",
            where=name,
            found=f"shape {column.shape}, {np.count_nonzero(~np.isfinite(column))} missing",
            do="complete the participants table or leave the covariate out",
        )
    return np.asarray(column - column.mean())


def _checked(
    columns: Mapping[str, npt.NDArray[np.float64]], covariates: Mapping[str, npt.ArrayLike]
) -> Design:
    """Join columns and centred covariates; each must add something to those before it."""
    everything = dict(columns) | {name: _centred(name, v) for name, v in covariates.items()}
    basis = np.empty((len(next(iter(columns.values()))), 0))
    for name, column in everything.items():
        if len(column) != len(basis):
            raise InputError(
                "a covariate has another length than the groups",
                where=name,
                found=f"{len(column)} values for {len(basis)} images",
                do="give one value for every image, in the same order",
            )
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        norm = float(np.linalg.norm(rest))
        if norm <= _COLLINEAR * max(float(np.linalg.norm(column)), 1e-30):
            raise InputError(
                "a covariate is constant or a combination of the other columns",
                where=name,
                found=f"columns {', '.join(everything)}",
                do="leave it out",
            )
        basis = np.column_stack([basis, rest / norm])
    return Design(np.column_stack(list(everything.values())), tuple(everything))
