"""Restricted cubic splines (Harrell): knots, basis and derivative.

A restricted cubic spline is a smooth curve, cubic between its knots and straight beyond the
outer ones. Basis and knots are those of Harrell 2001, section 2.4.5, and of Stone and Koo 1985.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from falx.core.checks import Floats, vector
from falx.core.errors import InputError, OptionError, check_option

__all__ = ["KNOT_RULES", "place_knots", "spline_basis", "spline_derivative"]

KNOT_RULES = ("quantile", "rms")
_QUANTILES = {
    3: (0.1, 0.5, 0.9),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.5, 0.725, 0.95),
}


def place_knots(values: ArrayLike, n_knots: int = 3, rule: str = "quantile") -> Floats:
    """Place 3 to 5 knots by the values' own distribution.

    Parameters
    ----------
    values
        Observed predictor, (n,).
    n_knots
        3, 4 or 5.
    rule
        ``"quantile"``: quantiles (type 7) at 0.1/0.5/0.9, 0.05/0.35/0.65/0.95, or
        0.05/0.275/0.5/0.725/0.95. ``"rms"``: the same ends with equal steps between them,
        but the outer knots are the 5th smallest and 5th largest value when n < 100.

    Raises
    ------
    InputError
        When fewer than `n_knots` distinct knots result: fall back to a linear term.

    Examples
    --------
    >>> place_knots(np.arange(11.0), 3).tolist()
    [1.0, 5.0, 9.0]
    """
    x = vector(values, "the predictor", at_least=3)
    check_option("knots", rule, KNOT_RULES)
    if n_knots not in _QUANTILES:
        raise OptionError("splines have 3, 4 or 5 knots", found=n_knots, do="choose 3")
    if rule == "quantile":
        knots = np.quantile(x, _QUANTILES[n_knots])
    else:
        outer = 0.10 if n_knots == 3 else 0.05
        knots = np.quantile(x, np.linspace(outer, 1 - outer, n_knots))
        if len(x) < 100:
            ranked = np.sort(x)
            fifth = min(4, len(x) - 1)
            knots[0], knots[-1] = ranked[fifth], ranked[-1 - fifth]
    if np.any(np.diff(knots) <= 1e-9 * np.ptp(x)):
        raise InputError(
            f"{n_knots} knots need {n_knots} distinct places, and the predictor has fewer",
            found=f"knots at {', '.join(f'{k:g}' for k in knots)}",
            do="use a linear term",
        )
    return knots


def _hinges(x: Floats, knots: Floats, power: int) -> list[Floats]:
    """Combine truncated powers so that the curve is straight beyond the outer knots."""
    first, before, last = knots[..., 0, None], knots[..., -2, None], knots[..., -1, None]
    columns = []
    for j in range(knots.shape[-1] - 2):
        knot = knots[..., j, None]
        columns.append(
            (
                np.maximum(x - knot, 0) ** power
                - np.maximum(x - before, 0) ** power * (last - knot) / (last - before)
                + np.maximum(x - last, 0) ** power * (before - knot) / (last - before)
            )
            / (last - first) ** 2
        )
    return columns


def spline_basis(x: ArrayLike, knots: ArrayLike) -> Floats:
    """Basis columns x and K - 2 non-linear terms.

    Parameters
    ----------
    x
        (..., n) values.
    knots
        (K,) for all rows, or (..., K) for a stack of predictors with knots of their own.

    Returns
    -------
    ndarray
        (..., n, K - 1).

    Examples
    --------
    >>> spline_basis([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]).tolist()
    [[0.0, 0.0], [1.0, 0.25], [2.0, 1.5]]
    """
    values, at = np.asarray(x, dtype=np.float64), np.asarray(knots, dtype=np.float64)
    return np.stack(np.broadcast_arrays(values, *_hinges(values, at, 3)), axis=-1)


def spline_derivative(x: ArrayLike, knots: ArrayLike) -> Floats:
    """Return the derivative of every basis column at x, shaped as :func:`spline_basis`."""
    values, at = np.asarray(x, dtype=np.float64), np.asarray(knots, dtype=np.float64)
    columns = [3 * column for column in _hinges(values, at, 2)]
    return np.stack(np.broadcast_arrays(np.ones_like(values), *columns), axis=-1)
