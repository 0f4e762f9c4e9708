"""Norms of asymmetry from a site's own controls: by structure and by voxel, age and sex regressed.

A single person is compared with a small sample by Student's t (Crawford & Howell 1998, Clin
Neuropsychol 12:482), with an interval for the percentile from the noncentral t (Crawford &
Garthwaite 2002, Neuropsychologia 40:1196). Outliers by the modified z-score beyond 3.5 (Iglewicz &
Hoaglin 1993). The smoothness of what is not noise has no published source: the correlation at
distances at which that of the noise has died away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.special import nctdtrinc, ndtr, stdtr

from falx.core.errors import InputError, notify
from falx.core.possible import Amount, AsymmetryIndex
from falx.images.smooth import FWHM_PER_SIGMA

__all__ = [
    "FEW_CONTROLS",
    "LEAST_CONTROLS",
    "Conditions",
    "Control",
    "Covariates",
    "Norm",
    "VoxelNorms",
    "check_number",
    "covariates_of",
    "fit_norm",
    "fit_voxels",
    "healthy_fwhm_mm",
    "modified_z",
    "same_conditions",
]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]

LEAST_CONTROLS = 10
"""Fewer are refused: the interval of a percentile is then wider than what it could say."""

FEW_CONTROLS = 20
"""Fewer are warned of, and neither age nor sex is regressed."""

OUTLYING = 3.5
LAGS_MM = (12.0, 16.0)
"""At these the correlation of noise of 8 mm is .03 and less."""


@dataclass(frozen=True)
class Conditions:
    """What an asymmetry must share with its norms.

    Parameters
    ----------
    tracer
        ``"FDG"``.
    space, voxel_mm
        Template and its voxels.
    scale
        Intensity scale of the index.
    smoothing_fwhm_mm
        In template space.
    correction, psf_fwhm_mm, floor
        Partial-volume correction, the point spread it assumes, and its floor.
    """

    tracer: str
    space: str
    voxel_mm: float
    scale: str
    smoothing_fwhm_mm: float
    correction: str
    psf_fwhm_mm: float
    floor: float

    def differences(self, other: Conditions) -> list[str]:
        """Name what differs, as ``"tracer FDG, not FMZ"``.

        Examples
        --------
        >>> one = Conditions("FDG", "MNI", 2.0, "z", 6.0, "mg3", 6.0, 0.3)
        >>> one.differences(Conditions("FDG", "MNI", 2.0, "proportional", 6.0, "mg3", 6.0, 0.3))
        ['scale z, not proportional']
        """
        return [
            f"{item.name.removesuffix('_fwhm_mm').replace('_', ' ')} {_said(own)}, "
            f"not {_said(theirs)}"
            for item in fields(self)
            if (own := getattr(self, item.name)) != (theirs := getattr(other, item.name))
        ]


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Control:
    """What one control brings to the norms.

    Parameters
    ----------
    conditions
        Of the asymmetry.
    scanner
        Manufacturer's name of its model; ``None`` where the sidecar says nothing.
    age, sex
        Years; 0 for women and 1 for men; ``None`` where not given.
    uncorrected, regional
        Structure to asymmetry of its left side: of means in the PET as measured, and of
        regional activities.
    noise_known
        Whether the noise of its PET could be measured.
    failed
        Quality checks that forbid a result.
    """

    conditions: Conditions
    scanner: str | None
    age: float | None
    sex: float | None
    uncorrected: Mapping[str, AsymmetryIndex]
    regional: Mapping[str, AsymmetryIndex]
    noise_known: bool
    failed: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Covariates:
    """What was regressed, about which mean, and in which range of the controls."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def row(self, given: Mapping[str, float | None]) -> Vector:
        """Row of the design for one person; the controls' mean stands in for what is not given."""
        row = [1.0]
        for name, mean, low, high in zip(self.names, self.means, self.low, self.high, strict=True):
            value = given.get(name)
            if value is None:
                notify(f"the {name} is not given, so that the norms of the controls' mean count")
            elif not low <= value <= high:
                notify(
                    f"the {name} is outside that of the controls, so that the norms are continued "
                    "beyond what was seen",
                    found=f"{value:g}; controls {low:g} to {high:g}",
                )
            row.append(0.0 if value is None else value - mean)
        return np.array(row)


@dataclass(frozen=True)
class Norm:
    """Healthy asymmetry of one structure's left side.

    Parameters
    ----------
    structure, kind
        Name, and ``"uncorrected"`` or ``"regional"``.
    people, freedom
        Number of controls and residual degrees of freedom.
    coefficients
        Mean, then slopes by the covariates about their means.
    sd
        Of the residuals.
    inverse
        Of XᵀX, the rows of the design X.
    scores
        Residuals over the SD, sorted: how many controls lie lower is no matter of a distribution.
    """

    structure: str
    kind: str
    people: int
    freedom: int
    coefficients: tuple[float, ...]
    sd: Amount
    inverse: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...] = ()

    def mean(self, row: Vector) -> float:
        """Return the expected index of a person with this row of the design."""
        return float(np.dot(self.coefficients, row))

    def place(self, index: float, row: Vector) -> tuple[float, float, float, float]:
        """Z, percentile, and the interval of 95 % that the number of controls leaves it.

        Examples
        --------
        >>> norm = Norm("hippocampus", "regional", 20, 19, (0.0,), 0.03, ((0.05,),))
        >>> [round(v, 1) for v in norm.place(-0.06, np.array([1.0]))]
        [-2.0, 3.3, 0.3, 11.1]
        """
        z = (index - self.mean(row)) / self.sd
        leverage = float(row @ np.array(self.inverse) @ row)
        share = float(stdtr(self.freedom, z / np.sqrt(1.0 + leverage)))
        low, high = _limits(z, leverage, self.freedom)
        return z, 100.0 * share, 100.0 * low, 100.0 * high


def _limits(z: float, leverage: float, freedom: int) -> tuple[float, float]:
    """Limits of the share that is lower: z over the root of the leverage is noncentral t."""
    root = np.sqrt(leverage)
    observed = abs(z) / root
    near, far = (float(nctdtrinc(freedom, p, observed)) * root for p in (0.975, 0.025))
    ends = (near, far) if z >= 0 else (-far, -near)
    return float(ndtr(ends[0])), float(ndtr(ends[1]))


def check_number(count: int) -> None:
    """Refuse norms of too few controls; warn of few."""
    if count < LEAST_CONTROLS:
        raise InputError(
            "there are too few controls for norms",
            found=f"{count}",
            do=f"add controls of the same scanner: at least {LEAST_CONTROLS}, better "
            f"{FEW_CONTROLS} and more",
        )
    if count < FEW_CONTROLS:
        notify(
            f"norms of {count} controls are uncertain: a percentile of 3 may be one of .3 to "
            "11 and more, and neither age nor sex is regressed",
            do=f"add controls up to at least {FEW_CONTROLS}",
        )


def same_conditions(controls: Mapping[str, Control]) -> Conditions:
    """Return the conditions of all controls, which must be the same."""
    (first, reference), *others = controls.items()
    for label, control in others:
        differing = control.conditions.differences(reference.conditions)
        if differing:
            raise InputError(
                "two controls were not studied in the same way",
                where=f"sub-{label} and sub-{first}",
                found="; ".join(differing),
                do="run the participant level again for all of them",
            )
    return reference.conditions


def covariates_of(
    ages: Sequence[float | None], sexes: Sequence[float | None]
) -> tuple[Covariates, Vector]:
    """Choose the covariates and build the design.

    Parameters
    ----------
    ages, sexes
        Of all controls. A covariate is regressed if everybody has it, if it varies, and if there
        are at least :data:`FEW_CONTROLS`.

    Returns
    -------
    covariates, design
        The latter of shape (N, 1 + covariates), its columns about their means.
    """
    n = len(ages)
    columns: dict[str, Vector] = {}
    for name, given in (("age", ages), ("sex", sexes)):
        known = [v for v in given if v is not None]
        if n < FEW_CONTROLS or len(set(known)) < 2:
            continue
        if len(known) < n:
            notify(f"the {name} is not regressed", found=f"{n - len(known)} controls without it")
            continue
        columns[name] = np.array(known, dtype=np.float64)
    found = Covariates(
        tuple(columns),
        tuple(float(c.mean()) for c in columns.values()),
        tuple(float(c.min()) for c in columns.values()),
        tuple(float(c.max()) for c in columns.values()),
    )
    centred = [c - c.mean() for c in columns.values()]
    return found, np.column_stack([np.ones(n), *centred])


def fit_norm(structure: str, kind: str, index: Sequence[float], design: Vector) -> Norm:
    """Fit the healthy asymmetry of a structure by least squares.

    Parameters
    ----------
    index
        Of the left side, N controls.
    design
        Shape (N, P).
    """
    values = np.asarray(index, dtype=np.float64)
    inverse = np.linalg.inv(_gram(design))
    coefficients = np.array([np.sum(row * _cross(design, values)) for row in inverse])
    residual = values - np.sum(design * coefficients, axis=1)
    freedom = len(values) - design.shape[1]
    sd = float(np.sqrt(np.sum(residual**2) / freedom))
    if not sd > 1e-9:
        raise InputError(f"the {structure} of all controls is equally asymmetric", found=f"{sd}")
    rows = tuple(tuple(float(v) for v in row) for row in inverse)
    scores = tuple(np.sort(residual / sd).tolist())
    return Norm(
        structure, kind, len(values), freedom, tuple(coefficients.tolist()), sd, rows, scores
    )


def _gram(design: Vector) -> Vector:
    # Sums, not matrix products, which depend on the number of threads.
    return np.array([[np.sum(a * b) for b in design.T] for a in design.T])


def _cross(design: Vector, values: Vector) -> Vector:
    return np.array([np.sum(column * values) for column in design.T])


@dataclass(frozen=True, eq=False)
class VoxelNorms:
    """Healthy asymmetry of n voxels.

    Parameters
    ----------
    coefficients
        Shape (P, n), mean and slopes.
    sd
        Shape (n,), of the residuals; zero where too few controls have the voxel.
    residuals
        Shape (N, n), over the SD; zero where a control has no value.
    """

    coefficients: Floats
    sd: Floats
    residuals: Floats


def fit_voxels(maps: Floats, present: Mask, design: Vector) -> VoxelNorms:
    """Fit every voxel by least squares among the controls that have it.

    Parameters
    ----------
    maps, present
        Shape (N, n): asymmetry index, and whether the control has it.
    design
        Shape (N, P).
    """
    p, count = design.shape[1], present.sum(axis=0)
    enough = count >= max(LEAST_CONTROLS, p + LEAST_CONTROLS - 1)
    gram = np.zeros((maps.shape[1], p, p))
    cross = np.zeros((maps.shape[1], p, 1))
    for own, has, row in zip(maps, present, design, strict=True):
        for i in range(p):
            cross[:, i, 0] += np.where(has, own * row[i], 0.0)
            for j in range(p):
                gram[:, i, j] += np.where(has, row[i] * row[j], 0.0)
    regular = enough & (np.linalg.det(gram) > 1e-9)
    gram[~regular] = np.eye(p)
    found = np.where(regular[:, None], np.linalg.solve(gram, cross)[..., 0], 0.0)
    rest = np.zeros(maps.shape, dtype=np.float32)
    for number, row in enumerate(design):
        expected = sum(found[:, i] * row[i] for i in range(p))
        rest[number] = np.where(present[number] & regular, maps[number] - expected, 0.0)
    freedom = np.maximum(count - p, 1)
    sd = np.sqrt(np.sum(np.square(rest, dtype=np.float64), axis=0) / freedom) * regular
    rest /= np.maximum(sd, 1e-12)
    return VoxelNorms(
        found.T.astype(np.float32), sd.astype(np.float32), np.where(sd > 0, rest, 0).astype("f4")
    )


def healthy_fwhm_mm(
    residuals: Sequence[Floats], share: float, voxel_mm: npt.ArrayLike
) -> float | None:
    """Smoothness of what is not noise: the filter behind it, if it is Gaussian.

    Parameters
    ----------
    residuals
        Maps of shape (X, Y, Z) over their SD, zero where not defined.
    share
        Of the variance that is not noise.

    Returns
    -------
    float or None
        FWHM, mm; ``None`` where neighbours are not correlated, or not less with distance.
    """
    sigmas = []
    for lag_mm in LAGS_MM:
        for axis in (1, 2):  # along x a voxel and its mirror image would meet
            step = round(lag_mm / float(np.asarray(voxel_mm)[axis]))
            distance = step * float(np.asarray(voxel_mm)[axis])
            found = _correlation(residuals, axis, step) / max(share, 1e-6)
            if not 0.0 < found < 1.0:
                return None
            sigmas.append(distance / np.sqrt(-4.0 * np.log(found)))
    return float(np.mean(sigmas)) * FWHM_PER_SIGMA


def _correlation(maps: Sequence[Floats], axis: int, step: int) -> float:
    product = power = 0.0
    first = tuple(slice(None, -step) if a == axis else slice(None) for a in range(3))
    second = tuple(slice(step, None) if a == axis else slice(None) for a in range(3))
    for values in maps:
        a, b = values[first].astype(np.float64), values[second].astype(np.float64)
        both = (a != 0) & (b != 0)
        product += float(np.sum((a * b)[both]))
        power += float(np.sqrt(np.sum(a[both] ** 2) * np.sum(b[both] ** 2)))
    return product / max(power, 1e-12)


def modified_z(values: Sequence[float]) -> Vector:
    """Distance from the median in robust standard deviations (Iglewicz & Hoaglin 1993).

    Examples
    --------
    >>> modified_z([1.0, 2.0, 3.0, 4.0, 100.0]).round(1).tolist()
    [-1.3, -0.7, 0.0, 0.7, 65.4]
    """
    given = np.asarray(values, dtype=np.float64)
    middle = np.median(given)
    spread = float(np.median(np.abs(given - middle)))
    return np.asarray(0.6745 * (given - middle) / max(spread, 1e-12))
