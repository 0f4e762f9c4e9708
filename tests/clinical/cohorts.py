"""Hypothesis strategies of small cohorts: one score with ties, two outcomes, no separation."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.special import expit

from falx.clinical.logistic.separation import is_separated


def predict(fit, x):
    """Probabilities of a fitted logistic model for rows (m, p)."""
    rows = np.reshape(x, (-1, len(fit.coefficients) - 1))
    return expit(fit.coefficients[0] + rows @ fit.coefficients[1:])


@st.composite
def scores(draw, *, least=4, most=20, digits=1):
    """Scores (n,) with ties and outcomes (n,) of both kinds, at least two of each."""
    n = draw(st.integers(least, most))
    events = draw(st.integers(2, n - 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = np.round(rng.normal(size=n), digits)
    return x, rng.permutation(np.arange(n) < events)


@st.composite
def overlapping(draw, *, columns=1):
    """Predictors (n, columns) and outcomes (n,) for which maximum likelihood exists."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(12 + 6 * columns, 40))
    while True:
        x = rng.normal(size=(n, columns))
        y = rng.random(n) < 1 / (1 + np.exp(-x[:, 0] - 0.2))
        if 4 <= y.sum() <= n - 4 and not is_separated(x, y):
            return x, y
