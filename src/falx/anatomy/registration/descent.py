"""Quasi-Newton descent for a handful of parameters that share one unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = ["descend"]

Vector = npt.NDArray[np.float64]

LONGEST_STEP = 10.0
"""A step is cut to this length, in the parameters' unit."""

MOST_CUTS = 100
"""A step that was cut in half so often moves nothing any more."""


def descend(
    cost: Callable[[Vector], tuple[float, Vector]],
    inverse_hessian: npt.NDArray[np.float64],
    *,
    tolerance: float,
    iterations: int = 50,
) -> tuple[Vector, npt.NDArray[np.float64]]:
    """Minimise from zero by BFGS with a backtracking line search.

    Parameters
    ----------
    cost
        Returns the value and the gradient at a parameter vector of shape (P,).
    inverse_hessian
        First guess, shape (P, P); that of a coarser level saves most of the evaluations.
    tolerance
        Stop when two steps in a row are shorter than this, in the parameters' unit.
    iterations
        Greatest number of steps.

    Returns
    -------
    theta, inverse_hessian
        The minimum and the last inverse Hessian.

    Raises
    ------
    InputError
        If the cost or its gradient is no number at the start; later a step there is cut.

    Notes
    -----
    Nocedal & Wright 2006, Numerical Optimization, algorithm 6.1 and equation 6.17. Parameters
    that change sign together with the cost take the mirrored path to the mirrored solution.

    Examples
    --------
    >>> bowl = lambda t: (float((t - 1) @ (t - 1)), 2 * (t - 1))
    >>> descend(bowl, np.eye(2), tolerance=1e-6)[0].round(6)
    array([1., 1.])
    """
    theta = np.zeros(len(inverse_hessian))
    value, gradient = _first(cost, theta)
    short = 0
    for _ in range(iterations):
        step = _capped(-inverse_hessian @ gradient)
        if step @ gradient >= 0:
            inverse_hessian = np.eye(len(theta)) * np.trace(inverse_hessian) / len(theta)
            step = _capped(-inverse_hessian @ gradient)
        found = _backtrack(cost, theta, step, value, gradient, tolerance)
        if found is None:
            break
        step, value, new_gradient = found
        theta = theta + step
        inverse_hessian = _updated(inverse_hessian, step, new_gradient - gradient)
        gradient = new_gradient
        short = short + 1 if np.linalg.norm(step) < tolerance else 0
        if short == 2:
            break
    return theta, inverse_hessian


def _first(cost: Callable[[Vector], tuple[float, Vector]], theta: Vector) -> tuple[float, Vector]:
    value, gradient = cost(theta)
    if not _is_number(value, gradient):
        raise InputError(
            "the images cannot be compared where the search for their position begins",
            found="a likeness that is no number",
            do="check that both hold values, and that their headers place them near each other",
        )
    return value, gradient


def _backtrack(
    cost: Callable[[Vector], tuple[float, Vector]],
    theta: Vector,
    step: Vector,
    value: float,
    gradient: Vector,
    tolerance: float,
) -> tuple[Vector, float, Vector] | None:
    """Shorten the step until it lowers the cost enough; ``None`` if no useful step does."""
    slope = float(step @ gradient)
    for _ in range(MOST_CUTS):
        new_value, new_gradient = cost(theta + step)
        known = _is_number(new_value, new_gradient)
        if known and new_value <= value + 1e-4 * slope:
            return step, new_value, new_gradient
        if np.linalg.norm(step) < tolerance:
            return None
        # Minimum of the parabola through both values and the first slope, kept in 0.1 … 0.5.
        rise = 2 * (new_value - value - slope)
        factor = float(np.clip(-slope / rise, 0.1, 0.5)) if known else 0.1
        step, slope = step * factor, slope * factor
    return None


def _is_number(value: float, gradient: Vector) -> bool:
    return bool(np.isfinite(value) and np.isfinite(gradient).all())


def _capped(step: Vector) -> Vector:
    length = float(np.linalg.norm(step))
    return step * (LONGEST_STEP / length) if length > LONGEST_STEP else step


def _updated(
    inverse_hessian: npt.NDArray[np.float64], step: Vector, change: Vector
) -> npt.NDArray[np.float64]:
    curvature = float(step @ change)
    if curvature <= 1e-12 * float(np.linalg.norm(step) * np.linalg.norm(change)):
        return inverse_hessian
    left = np.eye(len(step)) - np.outer(step, change) / curvature
    return np.asarray(left @ inverse_hessian @ left.T + np.outer(step, step) / curvature)
