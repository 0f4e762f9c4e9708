"""The linear model at every voxel: designs, contrasts, t, z, F and effect sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from falx.errors import InputError

__all__ = [
    "ContrastFit",
    "Design",
    "FFit",
    "Orthogonality",
    "Partition",
    "fit_contrast",
    "fit_f",
    "group_design",
    "orthogonality",
    "partition",
    "regression_design",
    "t_to_z",
    "two_sample_design",
]

_BLOCK = 65_536
_COLLINEAR = 1e-8


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


@dataclass(frozen=True, eq=False)
class ContrastFit:
    """Least-squares fit of one contrast at every voxel; arrays of shape (V,).

    Parameters
    ----------
    estimate
        The contrast of the coefficients, in units of the data.
    t, z
        Student t and the normal quantile of equal probability.
    hedges_g
        Estimate over residual standard deviation, with the small-sample factor
        ``1 - 3 / (4 df - 1)``; Hedges' g where the contrast is a difference of means.
    dof
        Residual degrees of freedom.
    """

    estimate: npt.NDArray[np.float64]
    t: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]
    hedges_g: npt.NDArray[np.float64]
    dof: int


@dataclass(frozen=True, eq=False)
class FFit:
    """F statistic at every voxel, shape (V,), with its degrees of freedom."""

    f: npt.NDArray[np.float64]
    dof_effect: int
    dof_error: int


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
    >>> design = two_sample_design(["DRE", "DRE", "HC", "HC"], "DRE", "HC")
    >>> design.names, design.dof
    (('DRE - HC', 'mean'), 2)
    """
    _check_groups(groups, (first, second))
    indicator = np.array([1.0 if group == first else 0.0 for group in groups])
    columns = {f"{first} - {second}": indicator, "mean": np.ones(len(groups))}
    return _checked(columns, covariates or {})


def group_design(
    groups: Sequence[str], covariates: Mapping[str, npt.ArrayLike] | None = None
) -> Design:
    """Cell means of any number of groups, for an analysis of (co)variance."""
    names = tuple(dict.fromkeys(groups))
    _check_groups(groups, names)
    columns = {name: np.array([float(g == name) for g in groups]) for name in names}
    return _checked(columns, covariates or {})


def regression_design(
    predictor: str, values: npt.ArrayLike, covariates: Mapping[str, npt.ArrayLike] | None = None
) -> Design:
    """Design of a regression on one predictor, with intercept and covariates."""
    centred = _centred(predictor, values)
    return _checked({predictor: centred, "mean": np.ones(len(centred))}, covariates or {})


def partition(design: Design, contrast: npt.NDArray[np.floating]) -> Partition:
    """Split a design into the effect of a contrast and everything else.

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
    nuisance = u[:, s > 1e-10 * np.linalg.norm(x)]
    dof = len(x) - nuisance.shape[1] - 1
    if dof < 1:
        raise InputError(
            "the design leaves no degrees of freedom",
            found=f"{len(x)} images and {nuisance.shape[1] + 1} independent columns",
            do="use fewer covariates or more images",
        )
    return Partition(dual / length2, nuisance, dof)


def fit_contrast(
    data: npt.NDArray[np.floating], design: Design, contrast: npt.NDArray[np.floating]
) -> ContrastFit:
    """Fit one contrast by least squares.

    Parameters
    ----------
    data
        Shape (n, V).

    Examples
    --------
    >>> design = two_sample_design(["a", "a", "a", "b", "b", "b"], "a", "b")
    >>> fit = fit_contrast(np.array([[1.0], [2], [3], [2], [3], [4]]), design, np.array([1, 0]))
    >>> round(float(fit.t[0]), 4), fit.dof
    (-1.2247, 4)
    """
    _check_data(data, design)
    parts = partition(design, contrast)
    estimate, error = np.empty(data.shape[1]), np.empty(data.shape[1])
    length2 = float(parts.effect @ parts.effect)
    for start in range(0, data.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        rest = parts.residualise(data[:, block])
        estimate[block] = parts.effect @ rest / length2
        rest -= np.outer(parts.effect, estimate[block])
        error[block] = np.einsum("nv,nv->v", rest, rest)
    sd = np.sqrt(error / parts.dof)
    _check_spread(sd, data)
    t = estimate * np.sqrt(length2) / sd
    small_sample = 1.0 - 3.0 / (4.0 * parts.dof - 1.0)
    return ContrastFit(
        estimate, t, t_to_z(t, parts.dof), small_sample * estimate / sd, parts.dof
    )


def fit_f(
    data: npt.NDArray[np.floating], design: Design, contrasts: npt.NDArray[np.floating]
) -> FFit:
    """F test that all rows of `contrasts`, shape (q, p), are zero."""
    _check_data(data, design)
    dual = np.linalg.pinv(design.matrix).T @ np.asarray(contrasts, dtype=np.float64).T
    u, s, _ = np.linalg.svd(dual, full_matrices=False)
    effect = u[:, s > 1e-10 * s[0]]
    u, s, _ = np.linalg.svd(design.matrix, full_matrices=False)
    whole = u[:, s > 1e-10 * s[0]]
    dof_error = len(data) - whole.shape[1]
    wide = np.asarray(data, dtype=np.float64)
    wide = wide - wide.mean(axis=0) if _spans_constant(whole) else wide
    explained = ((effect.T @ wide) ** 2).sum(axis=0)
    error = (wide**2).sum(axis=0) - ((whole.T @ wide) ** 2).sum(axis=0)
    _check_spread(error, data)
    f = (explained / effect.shape[1]) / (error / dof_error)
    return FFit(f, effect.shape[1], dof_error)


def standardised_residuals(
    data: npt.NDArray[np.floating], design: Design
) -> npt.NDArray[np.float32]:
    """Residuals over their standard deviation, shape (n, V), for smoothness estimation."""
    _check_data(data, design)
    u, s, _ = np.linalg.svd(design.matrix, full_matrices=False)
    basis = u[:, s > 1e-10 * s[0]]
    out = np.empty(data.shape, np.float32)
    for start in range(0, data.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        wide = np.asarray(data[:, block], dtype=np.float64)
        rest = wide - basis @ (basis.T @ wide)
        sd = np.sqrt((rest**2).sum(axis=0) / (len(data) - basis.shape[1]))
        _check_spread(sd, wide)
        out[:, block] = rest / sd
    return out


def t_to_z(t: npt.ArrayLike, dof: float) -> npt.NDArray[np.float64]:
    """Normal quantile of the same tail probability, by the survival function on both sides.

    Examples
    --------
    >>> round(float(t_to_z(2.9521, 45)), 3)
    2.807
    """
    values = np.asarray(t, dtype=np.float64)
    tail = np.maximum(special.stdtr(dof, -np.abs(values)), 1e-300)
    return np.asarray(np.sign(values) * -special.ndtri(tail))


def orthogonality(
    design: Design, contrast: npt.NDArray[np.floating]
) -> tuple[Orthogonality, ...]:
    """Correlation of every covariate with the contrast's effect, and variance inflation.

    Parameters
    ----------
    contrast
        Its non-zero columns are the tested ones; constant columns are left out.
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


def critical_t(p: float, dof: float, *, two_tailed: bool = True) -> float:
    """Threshold of t for a voxel probability.

    Examples
    --------
    >>> round(critical_t(0.005, 45), 4)
    2.9521
    """
    return float(stats.t.isf(p / 2 if two_tailed else p, dof))


def _check_groups(groups: Sequence[str], names: Sequence[str]) -> None:
    foreign = sorted(set(groups) - set(names))
    if foreign:
        raise InputError("an image belongs to neither group", found=", ".join(foreign))
    for name in names:
        count = sum(group == name for group in groups)
        if count < 2:
            raise InputError(
                "a group needs at least two images",
                where=f"group {name}",
                found=count,
                do="check the participants table and the exclusions",
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
    return column - column.mean()


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


def _check_data(data: npt.NDArray[np.floating], design: Design) -> None:
    if data.ndim != 2 or data.shape[0] != len(design.matrix) or data.shape[1] == 0:
        raise InputError(
            "the data do not fit the design",
            found=f"data of shape {data.shape}, {len(design.matrix)} rows in the design",
        )


def _check_spread(sd: npt.NDArray[np.float64], data: npt.NDArray[np.floating]) -> None:
    flat = ~(sd > 1e-12 * np.maximum(np.abs(data).max(), 1e-30))
    if flat.any():
        raise InputError(
            "some voxels do not vary or are not finite over the images",
            found=f"{np.count_nonzero(flat)} of {flat.size}",
            do="restrict the mask to voxels that every image covers",
        )


def _spans_constant(basis: npt.NDArray[np.float64]) -> bool:
    one = np.ones(len(basis)) / np.sqrt(len(basis))
    return bool(np.linalg.norm(one - basis @ (basis.T @ one)) < 1e-9)
