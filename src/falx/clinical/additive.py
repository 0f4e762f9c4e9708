"""An additive model of boosted stumps, explained exactly.

Each round visits the predictors in turn and takes the best single split of the residuals.
The model is a sum of step functions, so Shapley values need no sampling: the value of
predictor j is its step function minus the function's mean over the background patients
(Lundberg and Lee 2017, additive case).

Own code: cyclic boosting of stumps is neither scikit-learn's greedy boosting (r .285 against
.462 on the published patients) nor, by a factor of 100 or more in time, interpret's EBM.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from falx.clinical.stumps import boost
from falx.core.checks import Floats, design_matrix, vector
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = [
    "AdditiveStudy",
    "PartialDependence",
    "PermutedFit",
    "cross_validate_additive",
    "cross_validate_linear",
    "partial_dependence",
    "permute_additive",
]


@dataclass(frozen=True)
class AdditiveStudy:
    """Repeated cross-validation of an additive model.

    Parameters
    ----------
    names
        Predictors, in the order of the columns.
    prediction
        Mean held-out prediction per patient, (n,).
    interval_low, interval_high
        95 % prediction limits per patient, (n,), from the outcomes of the *other* patients only
        (jackknife+ of averaged models); infinite with fewer than 20 patients or three folds.
    r, p
        Pearson correlation of the mean prediction with the truth.
    r_iterations
        (iterations,) correlation of each repeat's own held-out predictions.
    r2
        1 - SSE / SST of the held-out predictions, mean over repeats; below 0 is worse than
        the mean.
    mean_absolute_shapley
        (p,) mean over fits and patients of the absolute Shapley value.
    shapley
        (n, p) mean over fits.
    shapley_last_fold
        (n, p) mean over repeats of the last fold's fit only.
    """

    names: tuple[str, ...]
    prediction: Floats
    interval_low: Floats
    interval_high: Floats
    r: float
    p: Probability
    r_iterations: Floats
    r2: float
    mean_absolute_shapley: Floats
    shapley: Floats
    shapley_last_fold: Floats
    rounds: int
    learning_rate: float
    n_folds: int


@dataclass(frozen=True)
class PartialDependence:
    """Mean prediction when one predictor is set to x, with the 95 % range over repeats."""

    name: str
    x: Floats
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class PermutedFit:
    """Permutation P of the cross-validated correlation."""

    observed: float
    null_mean: float
    null_sd: float
    p: Probability
    permutations: int


def _folds(n: int, n_folds: int, n_iterations: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if not 2 <= n_folds <= n // 2:
        raise InputError(
            "too few patients for this many folds",
            found=f"{n} patients, {n_folds} folds",
            do="use fewer folds",
        )
    labels = np.arange(n) * n_folds // n
    return rng.permuted(np.broadcast_to(labels, (n_iterations, n)), axis=1)


def _checked(
    predictors: ArrayLike, response: ArrayLike, names: tuple[str, ...] | None
) -> tuple[Floats, Floats, tuple[str, ...]]:
    y = vector(response, "the response", at_least=4)
    x = np.asarray(predictors, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    # Sums of other columns are allowed here: trees do not mind collinearity.
    for column in x.T:
        design_matrix(column, len(y))
    labels = names or tuple(f"x{j + 1}" for j in range(x.shape[1]))
    if len(labels) != x.shape[1]:
        raise InputError(
            "names and predictors differ in number",
            found=len(labels),
            do="give one name for every predictor",
        )
    return x, y, labels


def cross_validate_additive(
    predictors: ArrayLike,
    response: ArrayLike,
    *,
    names: tuple[str, ...] | None = None,
    rounds: int = 3,
    learning_rate: float = 1.0,
    n_folds: int = 5,
    n_iterations: int = 1000,
    rng: np.random.Generator,
) -> AdditiveStudy:
    """Cross-validate and explain, every patient and every repeat.

    Parameters
    ----------
    predictors, response
        (n, p) and (n,).
    names
        One per column.
    rounds, learning_rate
        Of the boosting; rounds of 3 to 300 predict alike on the published patients.
    n_folds, n_iterations
        Random folds of equal size, redrawn for each repeat.
    rng
        Source of randomness.
    """
    x, y, labels = _checked(predictors, response, names)
    n = len(y)
    folds = _folds(n, n_folds, n_iterations, rng)
    held_out = folds[:, None, :] == np.arange(n_folds)[None, :, None]
    trains = np.ascontiguousarray(~held_out.reshape(-1, n))
    parts, means = boost(x, y[None], trains, x, rounds=rounds, learning_rate=learning_rate)
    fitted = (means[:, None] + parts.sum(axis=2)).reshape(n_iterations, n_folds, n)
    held = np.sum(np.where(held_out, fitted, 0.0), axis=1)
    prediction = held.mean(axis=0)
    shapley = (parts - parts.mean(axis=1, keepdims=True)).reshape(n_iterations, n_folds, n, -1)
    low, high = _limits(x, y, folds, rounds=rounds, learning_rate=learning_rate)
    r, p = scipy.stats.pearsonr(prediction, y)
    sse = np.sum((held - y) ** 2, axis=1)
    return AdditiveStudy(
        names=labels,
        prediction=prediction,
        interval_low=low,
        interval_high=high,
        r=float(r),
        p=float(p),
        r_iterations=_row_correlations(held, y),
        r2=float(np.mean(1 - sse / np.sum((y - y.mean()) ** 2))),
        mean_absolute_shapley=np.abs(shapley).mean(axis=(0, 1, 2)),
        shapley=shapley.mean(axis=(0, 1)),
        shapley_last_fold=shapley[:, -1].mean(axis=0),
        rounds=rounds,
        learning_rate=learning_rate,
        n_folds=n_folds,
    )


def _row_correlations(rows: Floats, y: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    target = y - y.mean()
    scale = np.sqrt(np.sum(centred**2, axis=1) * np.sum(target**2))
    return np.asarray(np.divide(centred @ target, scale, out=np.zeros(len(rows)), where=scale > 0))


def _limits(
    x: Floats, y: Floats, folds: NDArray[np.int64], *, rounds: int, learning_rate: float
) -> tuple[Floats, Floats]:
    """Prediction limits of predictors (n, p): jackknife+ of averaged models (Kim et al. 2020).

    Each patient in turn is new to everybody else. Patient i offers the mean prediction for the new
    one by the models that were fitted without the folds of both, minus and plus its own residual
    under the mean of those same models. Of m others, the limits are the ⌊.05 (m + 1)⌋-th
    smallest difference and the ⌊.05 (m + 1)⌋-th largest sum, infinite where there is none
    (m < 19). The new patient's own outcome enters neither a model nor a residual.
    """
    n, n_folds = len(y), int(folds.max()) + 1
    repeats = folds[:200]
    limits = np.full((2, n), np.inf) * np.array([[-1], [1]])
    rank = int(0.05 * n + 1e-9)
    if n_folds < 3 or rank < 1:
        return limits[0], limits[1]
    pairs = [(j, k) for j in range(n_folds) for k in range(j + 1, n_folds)]
    away = np.stack([(repeats == j) | (repeats == k) for j, k in pairs], axis=1)
    away = away.reshape(-1, n)
    parts, means = boost(
        x, y[None], np.ascontiguousarray(~away), x, rounds=rounds, learning_rate=learning_rate
    )
    without = means[:, None] + parts.sum(axis=2)
    apart = np.repeat(repeats, len(pairs), axis=0)
    for patient in range(n):
        others = np.arange(n) != patient
        both = away & away[:, [patient]] & (apart != apart[:, [patient]])
        # A patient who never had another fold than the new one offers nothing.
        times = np.maximum(both.sum(axis=0), 1)
        known = others & both.any(axis=0)
        centre = (both * without[:, [patient]]).sum(axis=0) / times
        residual = np.abs(y - (both * without).sum(axis=0) / times)
        if known.sum() >= n - 1:
            limits[0, patient] = np.sort((centre - residual)[known])[rank - 1]
            limits[1, patient] = np.sort((centre + residual)[known])[-rank]
    return limits[0], limits[1]


def cross_validate_linear(
    predictors: ArrayLike,
    response: ArrayLike,
    *,
    n_folds: int = 5,
    n_iterations: int = 1000,
    rng: np.random.Generator,
) -> tuple[Floats, float, float]:
    """Least-squares baseline: r of each repeat (iterations,), mean R2, r of the mean prediction.

    Predictors are (n, p), the response (n,).
    """
    x, y, _ = _checked(predictors, response, None)
    design = np.column_stack([np.ones(len(y)), (x - x.mean(axis=0)) / x.std(axis=0)])
    folds = _folds(len(y), n_folds, n_iterations, rng)
    held = np.empty(folds.shape)
    for k in range(n_folds):
        train = (folds != k).astype(np.float64)
        gram = np.einsum("bn,ni,nj->bij", train, design, design, optimize=True)
        target = np.einsum("bn,ni->bi", train * y, design)
        b = (np.linalg.pinv(gram) @ target[..., None])[..., 0]
        held = np.where(folds == k, b @ design.T, held)
    r2 = 1 - np.sum((held - y) ** 2, axis=1) / np.sum((y - y.mean()) ** 2)
    mean_r = float(scipy.stats.pearsonr(held.mean(axis=0), y)[0])
    return _row_correlations(held, y), float(r2.mean()), mean_r


def partial_dependence(
    predictors: ArrayLike,
    response: ArrayLike,
    column: int,
    *,
    names: tuple[str, ...] | None = None,
    rounds: int = 3,
    learning_rate: float = 1.0,
    n_resamples: int = 500,
    n_points: int = 100,
    rng: np.random.Generator,
) -> PartialDependence:
    """Mean prediction over patients when one predictor is set to each of `n_points` values.

    The band is over models fitted to random 80 % of the patients. Predictors are (n, p), the
    response (n,); `column` is the predictor that is set (Friedman 2001).
    """
    x, y, labels = _checked(predictors, response, names)
    grid = np.linspace(x[:, column].min(), x[:, column].max(), n_points)
    rows = np.tile(x.mean(axis=0), (n_points, 1))
    rows[:, column] = grid
    n, keep = len(y), int(np.ceil(0.8 * len(y)))
    trains = rng.permuted(np.broadcast_to(np.arange(n) < keep, (n_resamples, n)), axis=1)
    evaluate = np.vstack([rows, x])
    parts, means = boost(
        x,
        y[None],
        np.ascontiguousarray(trains),
        evaluate,
        rounds=rounds,
        learning_rate=learning_rate,
    )
    others = parts[:, n_points:].mean(axis=1).sum(axis=1) - parts[:, n_points:, column].mean(
        axis=1
    )
    curves = means[:, None] + parts[:, :n_points, column] + others[:, None]
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    return PartialDependence(labels[column], grid, curves.mean(axis=0), low, high)


def permute_additive(
    predictors: ArrayLike,
    response: ArrayLike,
    *,
    rounds: int = 3,
    learning_rate: float = 1.0,
    n_folds: int = 5,
    n_iterations: int = 10,
    n_permutations: int = 1000,
    rng: np.random.Generator,
) -> PermutedFit:
    """P of the cross-validated r of (n, p) on (n,): shuffle the response, repeat everything."""
    x, y, _ = _checked(predictors, response, None)
    n = len(y)

    def mean_r(target: Floats) -> float:
        """Mean correlation over repeats of one response (n,)."""
        folds = _folds(n, n_folds, n_iterations, rng)
        held_out = folds[:, None, :] == np.arange(n_folds)[None, :, None]
        trains = np.ascontiguousarray(~held_out.reshape(-1, n))
        parts, means = boost(
            x, target[None], trains, x, rounds=rounds, learning_rate=learning_rate
        )
        fitted = (means[:, None] + parts.sum(axis=2)).reshape(n_iterations, n_folds, n)
        held = np.sum(np.where(held_out, fitted, 0.0), axis=1)
        return float(_row_correlations(held, target).mean())

    observed = mean_r(y)
    null = np.array([mean_r(rng.permutation(y)) for _ in range(n_permutations)])
    p = (1 + int(np.sum(null >= observed))) / (1 + n_permutations)
    return PermutedFit(observed, float(null.mean()), float(null.std(ddof=1)), p, n_permutations)
