"""Honest performance of a logistic model of one number: optimism, .632+, cross-validation.

Knots are placed anew and coefficients fitted anew in every resample and fold (Harrell 1996;
Efron and Tibshirani 1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from falx.clinical.counts import bootstrap_rows, fold_labels
from falx.clinical.logistic.batch import BatchFit, fit_batch
from falx.clinical.logistic.splines import place_knots, spline_basis, spline_derivative
from falx.clinical.roc.cut_validation import correct_632_plus
from falx.core.checks import Bools, Floats, binary_outcome, vector
from falx.core.errors import InputError, check_option
from falx.core.possible import Probability, Share

__all__ = [
    "CurvePeak",
    "ModelValidation",
    "bootstrap_peak",
    "leave_one_out_probabilities",
    "validate_model",
]

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ModelValidation:
    """A model's figures: apparent, and for new patients of the same kind.

    `auc_harrell` and `brier_harrell` are optimism-corrected, `auc_632` is .632+, `auc_folds`
    the mean over repeats of five-fold cross-validation with pooled held-out predictions, and
    `auc_leave_one_out` is pooled too. `slope` is the *median* calibration slope over
    resamples (separated ones make the mean useless). `brier_null` = prevalence x (1 -
    prevalence).
    """

    model: str
    auc: Probability
    auc_harrell: float
    auc_632: float
    auc_folds: float
    auc_leave_one_out: Probability
    brier: float
    brier_harrell: float
    brier_null: float
    slope: float
    resamples: int
    skipped: int
    separated: int


@dataclass(frozen=True)
class CurvePeak:
    """Where a spline curve is highest or lowest, over resamples with knots placed anew.

    `share_inside` is the share of resamples whose extreme is a true turning point, not an end
    of the observed range.
    """

    kind: str
    ci_low: float
    ci_high: float
    median: float
    share_inside: Share
    resamples: int
    skipped: int


def _spline_design(x: Floats, drawn: Floats, n_knots: int | None, rule: str) -> Floats | None:
    """Design (n, p) of all patients with knots from the drawn ones; None if knots collapse."""
    if n_knots is None:
        return x[:, None] if np.ptp(drawn) > 0 else None
    try:
        return spline_basis(x, place_knots(drawn, n_knots, rule))
    except InputError:
        return None


def _fit_rows(
    x: Floats, event: Bools, rows: list[Integers], n_knots: int | None, rule: str
) -> tuple[BatchFit, Floats, Integers, int]:
    """Fit a model per list of drawn rows; returns fits, designs, counts and the number skipped."""
    designs, kept = [], []
    for drawn in rows:
        both = 0 < event[drawn].sum() < len(drawn)
        design = _spline_design(x, x[drawn], n_knots, rule) if both else None
        if design is not None:
            designs.append(design)
            kept.append(np.bincount(drawn, minlength=len(x)))
    if not designs:
        raise InputError(
            "no resample allows a fit",
            found=f"{len(rows)} resamples",
            do="report the data without a model",
        )
    stack, counts = np.stack(designs), np.stack(kept)
    return fit_batch(stack, event, counts), stack, counts, len(rows) - len(designs)


def _auc_rows(eta: Floats, event: Bools, weights: Floats) -> Floats:
    """Weighted area per row of linear predictors (B, n); NaN with one outcome only."""
    sign = np.sign(eta[:, event][:, :, None] - eta[:, ~event][:, None, :]) / 2 + 0.5
    ones, zeros = weights[:, event], weights[:, ~event]
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    wins = np.einsum("bi,bij,bj->b", ones, sign, zeros, optimize=True)
    return np.asarray(np.divide(wins, pairs, out=np.full(len(eta), np.nan), where=pairs > 0))


def _brier_rows(eta: Floats, event: Bools, weights: Floats) -> Floats:
    return np.asarray(np.sum(weights * (expit(eta) - event) ** 2, axis=1) / weights.sum(axis=1))


def validate_model(
    predictor: ArrayLike,
    outcome: ArrayLike,
    *,
    n_knots: int | None = None,
    rule: str = "quantile",
    n_resamples: int = 400,
    n_repeats: int = 50,
    rng: np.random.Generator,
) -> ModelValidation:
    """Validate a linear (`n_knots=None`) or spline model of one predictor.

    Parameters
    ----------
    predictor, outcome
        (n,) and (n,) of 0 and 1.
    n_knots, rule
        See :func:`falx.clinical.logistic.splines.place_knots`.
    n_resamples
        Bootstrap resamples.
    n_repeats
        Repeats of five-fold cross-validation.
    rng
        Source of randomness.
    """
    event = binary_outcome(outcome)
    x = vector(predictor, "the predictor", at_least=len(event))
    n = len(x)
    every, ones = [np.arange(n)], np.ones((1, n))
    own, design, _, _ = _fit_rows(x, event, every, n_knots, rule)
    eta = own.linear_predictor(design)
    auc, brier = (float(f(eta, event, ones)[0]) for f in (_auc_rows, _brier_rows))
    rows = list(bootstrap_rows(event, n_resamples, rng))
    fits, designs, counts, skipped = _fit_rows(x, event, rows, n_knots, rule)
    etas, weights = fits.linear_predictor(designs), counts.astype(float)
    whole, left = np.ones(weights.shape), (counts == 0).astype(float)
    optimism = [
        float(np.mean(f(etas, event, weights) - f(etas, event, whole)))
        for f in (_auc_rows, _brier_rows)
    ]
    slopes = fit_batch(etas[:, :, None], event, np.ones(counts.shape, dtype=np.int64))
    out_of_bag = float(np.nanmean(_auc_rows(etas, event, left)))
    return ModelValidation(
        model="linear" if n_knots is None else f"spline, {n_knots} knots ({rule})",
        auc=auc,
        auc_harrell=auc - optimism[0],
        auc_632=correct_632_plus(auc, out_of_bag),
        auc_folds=_folds_auc(x, event, n_knots, rule, n_repeats, rng),
        auc_leave_one_out=_pooled_auc(_leave_one_out(x, event, n_knots, rule), event),
        brier=brier,
        brier_harrell=brier - optimism[1],
        brier_null=float(event.mean() * (1 - event.mean())),
        slope=float(np.median(slopes.coefficients[:, 1])),
        resamples=len(counts),
        skipped=skipped,
        separated=int(np.sum(~fits.finite)),
    )


def _held_out(x: Floats, event: Bools, labels: Integers, n_knots: int | None, rule: str) -> Floats:
    """Linear predictor of every patient from the fit that lacks its fold; NaN if none."""
    eta = np.full(len(x), np.nan)
    folds = [
        fold for fold in np.unique(labels) if _usable(x, event, labels != fold, n_knots, rule)
    ]
    if not folds:
        return eta
    rows = [np.flatnonzero(labels != fold) for fold in folds]
    fits, designs, _, _ = _fit_rows(x, event, rows, n_knots, rule)
    for fold, row in zip(folds, fits.linear_predictor(designs), strict=True):
        eta[labels == fold] = row[labels == fold]
    return eta


def _usable(x: Floats, event: Bools, train: Bools, n_knots: int | None, rule: str) -> bool:
    both = 0 < event[train].sum() < train.sum()
    return bool(both) and _spline_design(x, x[train], n_knots, rule) is not None


def _leave_one_out(x: Floats, event: Bools, n_knots: int | None, rule: str) -> Floats:
    return _held_out(x, event, np.arange(len(x)), n_knots, rule)


def _pooled_auc(eta: Floats, event: Bools) -> float:
    kept = np.isfinite(eta)
    return float(_auc_rows(np.where(kept, eta, 0)[None], event, kept[None].astype(float))[0])


def _folds_auc(
    x: Floats, event: Bools, n_knots: int | None, rule: str, repeats: int, rng: np.random.Generator
) -> float:
    smaller = int(min(event.sum(), np.sum(~event)))
    labels = fold_labels(event, min(5, smaller), repeats, rng)
    areas = [_pooled_auc(_held_out(x, event, row, n_knots, rule), event) for row in labels]
    if not np.isfinite(areas).any():
        raise InputError(
            "no fold leaves enough patients of both outcomes to fit the model",
            found=f"{smaller} patients with the rarer outcome",
            do="report the model without validation",
        )
    return float(np.nanmean(areas))


def leave_one_out_probabilities(
    predictor: ArrayLike,
    outcome: ArrayLike,
    *,
    n_knots: int | None = None,
    rule: str = "quantile",
) -> Floats:
    """Probability of each patient from the model fitted without that patient, (n,)."""
    event = binary_outcome(outcome)
    x = vector(predictor, "the predictor", at_least=len(event))
    return np.asarray(expit(_leave_one_out(x, event, n_knots, rule)))


def bootstrap_peak(
    predictor: ArrayLike,
    outcome: ArrayLike,
    *,
    kind: str,
    n_knots: int = 3,
    rule: str = "quantile",
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> CurvePeak:
    """Interval of the place where the event is likeliest (``"maximum"``) or unlikeliest.

    Of a predictor (n,) every resample's curve is followed on 401 points over its range. Resamples
    without a turning point contribute the end of the range that is highest or lowest.
    """
    check_option("kind", kind, ("maximum", "minimum"))
    event = binary_outcome(outcome)
    x = vector(predictor, "the predictor", at_least=len(event))
    grid = np.linspace(x.min(), x.max(), 401)
    places = []
    rows = bootstrap_rows(event, n_resamples, rng)
    fits, _, counts, skipped = _fit_rows(x, event, list(rows), n_knots, rule)
    for b, count in zip(fits.coefficients[:, 1:], counts, strict=True):
        knots = place_knots(np.repeat(x, count), n_knots, rule)
        height = spline_basis(grid, knots) @ b
        best = int(np.argmax(height) if kind == "maximum" else np.argmin(height))
        slope = spline_derivative(grid[[0, -1]], knots) @ b
        places.append((grid[best], 0 < best < 400 and bool(slope[0] * slope[1] < 0)))
    at = np.array([place for place, _ in places])
    low, median, high = (float(q) for q in np.quantile(at, [0.025, 0.5, 0.975]))
    inside = float(np.mean([turned for _, turned in places]))
    return CurvePeak(kind, low, high, median, inside, len(at), skipped)
