"""Regressors that explain what is not neural: motion expansions, spikes, drifts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_range

__all__ = ["friston24", "polynomial_trends", "spike_regressors"]


def friston24(parameters: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Motion, motion one volume before, and the squares of both.

    Parameters
    ----------
    parameters
        Shape (T, 6), mm and radians.

    Returns
    -------
    ndarray
        Shape (T, 24): [R(t), R(t-1), R(t)², R(t-1)²]; the first lagged row is zero.

    References
    ----------
    Friston et al. 1996, Magn Reson Med 35:346. DPABI uses this set; the "24 P" set of
    fMRIPrep takes derivatives in place of the lagged parameters.
    """
    now = np.asarray(parameters, dtype=np.float64)
    if now.ndim != 2 or now.shape[1] != 6:
        raise InputError("six motion parameters a volume are needed", found=now.shape)
    before = np.vstack([np.zeros((1, 6)), now[:-1]])
    return np.hstack([now, before, now**2, before**2])


def spike_regressors(
    spikes: npt.NDArray[np.bool_], *, previous: int = 0, later: int = 0
) -> npt.NDArray[np.float64]:
    """One unit column for every marked volume, shape (T, S).

    Parameters
    ----------
    spikes
        Shape (T,).
    previous, later
        Volumes before and after each spike that are marked too.

    Examples
    --------
    >>> spike_regressors(np.array([False, False, True, False]), later=1).T
    array([[0., 0., 1., 0.],
           [0., 0., 0., 1.]])
    """
    check_range("previous", previous, 0, 10, unit="volumes")
    check_range("later", later, 0, 10, unit="volumes")
    n = len(spikes)
    marked = np.zeros(n, dtype=bool)
    for at in np.flatnonzero(spikes):
        marked[max(0, at - previous) : at + later + 1] = True
    return np.eye(n)[:, marked]


def polynomial_trends(n_times: int, order: int) -> npt.NDArray[np.float64]:
    """Legendre polynomials up to `order` (0 is the constant), shape (T, order + 1)."""
    check_range("order of the trend", order, 0, 5)
    time = np.linspace(-1.0, 1.0, n_times)
    return np.asarray(np.polynomial.legendre.legvander(time, order))
