"""Thousands of small logistic fits at once, for resampling.

The same Newton steps as :mod:`falx.clinical.logistic.likelihood`, on stacks of designs with
weights (how often each patient was drawn). Separated resamples have no finite fit: their linear
predictor is held within ±30 and they are marked (Albert and Anderson 1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from falx.core.checks import Bools, Floats

__all__ = ["BatchFit", "fit_batch"]

LIMIT = 30.0
STEPS = 30


@dataclass(frozen=True)
class BatchFit:
    """Coefficients (B, k) with the intercept first; `finite` marks fits with a finite maximum."""

    coefficients: Floats
    finite: Bools

    def linear_predictor(self, design: Floats) -> Floats:
        """Linear predictor (B, n) of rows (B, n, k - 1) or (n, k - 1)."""
        stack = np.broadcast_to(design, (len(self.coefficients), *design.shape[-2:]))
        eta = np.einsum("bnk,bk->bn", stack, self.coefficients[:, 1:])
        return np.asarray(np.clip(self.coefficients[:, :1] + eta, -LIMIT, LIMIT))


def fit_batch(design: Floats, event: Bools, weights: NDArray[np.integer]) -> BatchFit:
    """Fit one weighted model per row of weights.

    Parameters
    ----------
    design
        (B, n, p), without an intercept.
    event
        (n,) or (B, n) outcomes.
    weights
        (B, n) counts; every row must draw both outcomes.
    """
    w = weights.astype(np.float64)
    y = np.broadcast_to(event, w.shape).astype(np.float64)
    total = w.sum(axis=1)[:, None]
    centre = np.einsum("bn,bnp->bp", w, design) / total
    spread = np.sqrt(np.einsum("bn,bnp->bp", w, (design - centre[:, None]) ** 2) / total)
    spread = np.where(spread > 1e-12, spread, 1.0)
    x = np.concatenate(
        [np.ones((*w.shape, 1)), (design - centre[:, None]) / spread[:, None]], axis=2
    )
    b = np.zeros((len(w), x.shape[2]))
    b[:, 0] = np.log(np.sum(w * y, axis=1) / np.sum(w * (1 - y), axis=1))
    ridge = 1e-9 * np.eye(x.shape[2])
    value = _value(x, y, w, b)
    for _ in range(STEPS):
        p = expit(_eta(x, b))
        gradient = np.einsum("bn,bnk->bk", w * (y - p), x)
        info = np.einsum("bn,bnk,bnl->bkl", w * p * (1 - p), x, x, optimize=True) + ridge
        step = np.linalg.solve(info, gradient[..., None])[..., 0]
        b, value = _halve(x, y, w, b, step, value)
        if np.abs(gradient).max() < 1e-8:
            break
    finite = np.abs(np.where(w > 0, np.einsum("bnk,bk->bn", x, b), 0)).max(axis=1) < LIMIT / 2
    back = b.copy()
    back[:, 1:] /= spread
    back[:, 0] -= np.sum(back[:, 1:] * centre, axis=1)
    return BatchFit(back, finite)


def _eta(x: Floats, b: Floats) -> Floats:
    return np.asarray(np.clip(np.einsum("bnk,bk->bn", x, b), -LIMIT, LIMIT))


def _value(x: Floats, y: Floats, w: Floats, b: Floats) -> Floats:
    eta = _eta(x, b)
    return np.asarray(np.sum(w * (y * eta - np.logaddexp(0, eta)), axis=1))


def _halve(
    x: Floats, y: Floats, w: Floats, b: Floats, step: Floats, value: Floats
) -> tuple[Floats, Floats]:
    """Take the step, halved where it would lower the likelihood, or none."""
    trial = _value(x, y, w, b + step)
    for _ in range(12):
        worse = ~(trial >= value - 1e-12)
        if not worse.any():
            break
        step = np.where(worse[:, None], step / 2, step)
        trial = _value(x, y, w, b + step)
    better = trial >= value - 1e-12
    return np.where(better[:, None], b + step, b), np.where(better, trial, value)
