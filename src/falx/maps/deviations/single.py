"""How far one person lies from the controls, voxel by voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = ["Deviation", "control_deviation", "leave_one_out_deviation"]

_FLOOR_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class Deviation:
    """Deviation maps of some people.

    Parameters
    ----------
    t
        Shape (m, V): single-subject t against the controls.
    dof
        Degrees of freedom of that t.
    n_floored
        Voxels whose control spread was raised to the floor.
    """

    t: npt.NDArray[np.float64]
    dof: int
    n_floored: int


def control_deviation(
    people: npt.NDArray[np.floating],
    controls: npt.NDArray[np.floating],
    *,
    covariates: npt.NDArray[np.floating] | None = None,
    control_covariates: npt.NDArray[np.floating] | None = None,
    as_published: bool = False,
) -> Deviation:
    """Compare people with controls, adjusting for what explains the controls.

    Parameters
    ----------
    people, controls
        Shapes (m, V) and (n, V).
    covariates, control_covariates
        Shapes (m, k) and (n, k), for example age and sex; fitted in the controls only.
    as_published
        z = (x - mean) / sd of the controls, without the factor for the uncertainty of their
        mean, and without covariates: the deviation that Liu et al. 2024 average.

    Notes
    -----
    ``t = (x - prediction) / (s sqrt(1 + h))`` with h = x0'(X'X)⁻¹x0 and n - p degrees of
    freedom; without covariates h = 1/n (Crawford and Howell 1998, Clin Neuropsychol 12:482).
    The spread s is floored at 5 % of its median over voxels.
    """
    design, rows = _designs(len(controls), len(people), control_covariates, covariates)
    if as_published and design.shape[1] > 1:
        raise InputError("the published deviation takes no covariates")
    dof = len(controls) - design.shape[1]
    if dof < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError(
            "too few controls for a deviation map",
            found=f"{len(controls)} controls, {design.shape[1]} columns",
            do="use more controls or fewer covariates",
        )
    inverse = np.linalg.pinv(design)
    wide = np.asarray(controls, dtype=np.float64)
    coefficients = inverse @ wide
    spread = np.sqrt(((wide - design @ coefficients) ** 2).sum(axis=0) / dof)
    floor = _FLOOR_SHARE * float(np.median(spread))
    if floor <= 0:
        raise InputError("the controls do not vary", do="check the maps and the mask")
    leverage = ((rows @ inverse) ** 2).sum(axis=1)
    scale = np.ones(len(rows)) if as_published else np.sqrt(1.0 + leverage)
    deviation = np.asarray(people, dtype=np.float64) - rows @ coefficients
    t = deviation / np.maximum(spread, floor) / scale[:, None]
    return Deviation(t, dof, int(np.count_nonzero(spread < floor)))


def leave_one_out_deviation(
    controls: npt.NDArray[np.floating],
    *,
    control_covariates: npt.NDArray[np.floating] | None = None,
) -> Deviation:
    """Compare every control with all others, shape (n, V): what deviation means by chance."""
    maps, floored, dof = [], 0, 0
    for k in range(len(controls)):
        others = np.arange(len(controls)) != k
        chosen = control_covariates
        one = control_deviation(
            controls[k : k + 1],
            controls[others],
            covariates=None if chosen is None else chosen[k : k + 1],
            control_covariates=None if chosen is None else chosen[others],
        )
        maps.append(one.t[0])
        floored, dof = max(floored, one.n_floored), one.dof
    return Deviation(np.array(maps), dof, floored)


def _designs(
    n_controls: int,
    n_people: int,
    control_covariates: npt.NDArray[np.floating] | None,
    covariates: npt.NDArray[np.floating] | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if (covariates is None) != (control_covariates is None):
        raise InputError("covariates are needed for people and controls alike")
    if covariates is None or control_covariates is None:
        return np.ones((n_controls, 1)), np.ones((n_people, 1))
    centre = np.mean(control_covariates, axis=0)
    return (
        np.column_stack([np.ones(n_controls), control_covariates - centre]),
        np.column_stack([np.ones(n_people), covariates - centre]),
    )
