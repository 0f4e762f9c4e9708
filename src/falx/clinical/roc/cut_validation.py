"""Honest performance of a cut that was chosen on the same patients.

Everything that was chosen is chosen again inside every fold or resample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from falx.clinical.counts import bootstrap_counts, bootstrap_rows, fold_labels, many_cuts
from falx.clinical.roc.curve import scored
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = [
    "CutOptimism",
    "HeldOut",
    "correct_632_plus",
    "cut_optimism",
    "leave_one_out_cut",
    "nested_cut",
]


@dataclass(frozen=True)
class HeldOut:
    """Performance on patients that did not take part in choosing the cut.

    Means over repeats; `balanced_accuracy_sd` is the SD over repeats (0 for leave-one-out).
    """

    sensitivity: Probability
    specificity: Probability
    balanced_accuracy: Probability
    balanced_accuracy_sd: float
    repeats: int
    skipped: int


@dataclass(frozen=True)
class CutOptimism:
    """Balanced accuracy of the Youden rule: apparent, and corrected in three ways."""

    apparent: float
    harrell: float
    harrell_sensitivity: float
    harrell_specificity: float
    out_of_bag: float
    plus_632: float
    resamples: int
    skipped: int


def _rates(called: Bools, event: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Sensitivity and specificity per row of weighted patients; NaN without such patients."""
    out = []
    for side, hit in ((event, called), (~event, ~called)):
        total = (weights * side).sum(axis=1)
        hits = (weights * (side & hit)).sum(axis=1)
        out.append(np.divide(hits, total, out=np.full(len(total), np.nan), where=total > 0))
    return out[0], out[1]


def nested_cut(
    score: ArrayLike,
    outcome: ArrayLike,
    *,
    n_folds: int = 5,
    n_repeats: int = 200,
    rng: np.random.Generator,
    higher_is_positive: bool = True,
) -> HeldOut:
    """Repeated stratified cross-validation with the cut chosen in the training folds only.

    The held-out calls of one repeat are pooled before they are scored. Score and outcome are
    (n,).
    """
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    smaller = int(min(event.sum(), np.sum(~event)))
    if smaller < 2:
        raise InputError(
            "cross-validation needs at least two patients of each outcome",
            found=smaller,
            do="report the apparent figures only",
        )
    folds = min(n_folds, smaller)
    labels = fold_labels(event, folds, n_repeats, rng)
    called = np.zeros(labels.shape, dtype=bool)
    for fold in range(folds):
        cuts = many_cuts(values, event, (labels != fold).astype(np.int64))
        called |= (labels == fold) & (values[None, :] > cuts.cut[:, None])
    sensitivity, specificity = _rates(called, event, np.ones(labels.shape))
    balanced = (sensitivity + specificity) / 2
    sd = float(balanced.std(ddof=1)) if n_repeats > 1 else 0.0
    return HeldOut(
        float(sensitivity.mean()),
        float(specificity.mean()),
        float(balanced.mean()),
        sd,
        n_repeats,
        0,
    )


def leave_one_out_cut(
    score: ArrayLike, outcome: ArrayLike, *, higher_is_positive: bool = True
) -> HeldOut:
    """Leave-one-out performance of the Youden rule on a score (n,)."""
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    cuts = many_cuts(values, event, 1 - np.eye(len(values), dtype=np.int64))
    keep = cuts.usable
    called = (values > cuts.cut)[None, :]
    sensitivity, specificity = _rates(called, event, keep[None, :].astype(float))
    balanced = float(sensitivity[0] + specificity[0]) / 2
    return HeldOut(
        float(sensitivity[0]), float(specificity[0]), balanced, 0.0, 1, int(np.sum(~keep))
    )


def correct_632_plus(apparent: float, held_out: float, no_information: float = 0.5) -> float:
    """Efron and Tibshirani's .632+ of a performance between 0 and 1 (1997).

    Parameters
    ----------
    apparent
        Performance on the patients used for fitting.
    held_out
        Mean performance on patients left out of the resample.
    no_information
        Performance without any relation.

    Examples
    --------
    >>> correct_632_plus(0.8, 0.8)
    0.8
    """
    e_app, e_out = 1 - apparent, 1 - held_out
    gamma = 1 - no_information
    overfit = 0.0
    if e_out > e_app and gamma > e_app:
        overfit = min(1.0, (e_out - e_app) / (gamma - e_app))
    weight = 0.632 / (1 - 0.368 * overfit)
    return float(1 - ((1 - weight) * e_app + weight * min(e_out, gamma)))


def cut_optimism(
    score: ArrayLike,
    outcome: ArrayLike,
    *,
    n_resamples: int = 2000,
    rng: np.random.Generator,
    higher_is_positive: bool = True,
) -> CutOptimism:
    """Optimism-corrected balanced accuracy of the Youden rule on a score (n,)."""
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    n = len(values)
    counts = bootstrap_counts(bootstrap_rows(event, n_resamples, rng), n)
    cuts = many_cuts(values, event, counts)
    counts, cut = counts[cuts.usable], cuts.cut[cuts.usable]
    called = values[None, :] > cut[:, None]
    drawn = _rates(called, event, counts.astype(float))
    original = _rates(called, event, np.ones(counts.shape))
    left_out = _rates(called, event, (counts == 0).astype(float))
    own = many_cuts(values, event, np.ones((1, n), dtype=np.int64)).cut[0]
    apparent = [float(r[0]) for r in _rates((values > own)[None, :], event, np.ones((1, n)))]
    corrected = [
        a - float(np.mean(d - o)) for a, d, o in zip(apparent, drawn, original, strict=True)
    ]
    out_of_bag = float(np.nanmean((left_out[0] + left_out[1]) / 2))
    return CutOptimism(
        apparent=sum(apparent) / 2,
        harrell=sum(corrected) / 2,
        harrell_sensitivity=corrected[0],
        harrell_specificity=corrected[1],
        out_of_bag=out_of_bag,
        plus_632=correct_632_plus(sum(apparent) / 2, out_of_bag),
        resamples=len(cut),
        skipped=n_resamples - len(cut),
    )
