"""Resampling for the curve: bootstrap of area and cut, permutation of the best cut.

BCa intervals after Efron 1987; scipy.stats.bootstrap gives the same from the same draws but has
no stratified resampling and is slower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.clinical.counts import areas, bootstrap_counts, bootstrap_rows, many_cuts
from falx.clinical.roc.curve import scored
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError
from falx.core.possible import Probability, Share

__all__ = [
    "AucBootstrap",
    "CutStability",
    "MaximalTest",
    "bootstrap_auc",
    "cut_stability",
    "permute_auc",
    "permute_youden",
]


@dataclass(frozen=True)
class AucBootstrap:
    """Bootstrap intervals of an area; `skipped` resamples had one outcome only."""

    auc: Probability
    percentile_low: Probability
    percentile_high: Probability
    bca_low: float
    bca_high: float
    resamples: int
    skipped: int
    stratified: bool


@dataclass(frozen=True)
class CutStability:
    """How far the best cut moves when the cohort is drawn again.

    `share_near` is the share of resamples whose cut lies within `near` of the apparent one;
    `leave_one_out` is the range over cohorts that lack one patient.
    """

    cut: float
    median: float
    ci_low: float
    ci_high: float
    q1: float
    q3: float
    near: float
    share_near: Share
    leave_one_out: tuple[float, float]
    resamples: int
    skipped: int


@dataclass(frozen=True)
class MaximalTest:
    """Permutation P of a statistic that was maximised over all cuts or directions."""

    observed: float
    p: Probability
    permutations: int


def bootstrap_auc(
    score: ArrayLike,
    outcome: ArrayLike,
    *,
    n_resamples: int = 2000,
    rng: np.random.Generator,
    stratified: bool = False,
    higher_is_positive: bool = True,
) -> AucBootstrap:
    """Percentile and bias-corrected accelerated (BCa) 95 % intervals of the area."""
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    n = len(values)
    rows = bootstrap_rows(event, n_resamples, rng, stratified=stratified)
    drawn = areas(values, event, bootstrap_counts(rows, n))
    kept = drawn[np.isfinite(drawn)]
    apparent = float(areas(values, event, np.ones((1, n), dtype=np.int64))[0])
    jackknife = areas(values, event, 1 - np.eye(n, dtype=np.int64))
    low, high = _bca(kept, apparent, jackknife[np.isfinite(jackknife)])
    percentile = np.quantile(kept, [0.025, 0.975])
    return AucBootstrap(
        auc=apparent,
        percentile_low=float(percentile[0]),
        percentile_high=float(percentile[1]),
        bca_low=low,
        bca_high=high,
        resamples=len(kept),
        skipped=n_resamples - len(kept),
        stratified=stratified,
    )


def _bca(drawn: Floats, apparent: float, jackknife: Floats) -> tuple[float, float]:
    """BCa limits; falls back on the percentile limits when every resample is equal."""
    below = (np.sum(drawn < apparent) + np.sum(drawn == apparent) / 2) / len(drawn)
    deviation = jackknife.mean() - jackknife
    spread = float(np.sum(deviation**2)) ** 1.5
    if not 0 < below < 1 or spread == 0:
        low, high = np.quantile(drawn, [0.025, 0.975])
        return float(low), float(high)
    bias = scipy.stats.norm.ppf(below)
    acceleration = float(np.sum(deviation**3)) / (6 * spread)
    z = bias + scipy.stats.norm.ppf([0.025, 0.975])
    level = scipy.stats.norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.quantile(drawn, level)
    return float(low), float(high)


def cut_stability(
    score: ArrayLike,
    outcome: ArrayLike,
    *,
    n_resamples: int = 2000,
    rng: np.random.Generator,
    near: float = 0.02,
    higher_is_positive: bool = True,
) -> CutStability:
    """Bootstrap and leave-one-out distribution of the Youden cut of a score (n,)."""
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    n, sign = len(values), 1.0 if higher_is_positive else -1.0
    rows = bootstrap_rows(event, n_resamples, rng)
    cuts = many_cuts(values, event, bootstrap_counts(rows, n))
    drawn = sign * cuts.cut[cuts.usable & np.isfinite(cuts.cut)]
    own = many_cuts(values, event, np.ones((1, n), dtype=np.int64))
    if not np.isfinite(own.cut[0]) or not len(drawn):
        raise InputError(
            "no cut of the score tells the outcomes apart, so it has no stability",
            found=f"best Youden index {own.youden[0]:g}",
            do="check the score's direction",
        )
    left_out = sign * many_cuts(values, event, 1 - np.eye(n, dtype=np.int64)).cut
    left_out = left_out[np.isfinite(left_out)]
    apparent = sign * float(own.cut[0])
    low, q1, median, q3, high = (
        float(q) for q in np.quantile(drawn, [0.025, 0.25, 0.5, 0.75, 0.975])
    )
    return CutStability(
        cut=apparent,
        median=median,
        ci_low=low,
        ci_high=high,
        q1=q1,
        q3=q3,
        near=near,
        share_near=float(np.mean(np.abs(drawn - apparent) <= near)),
        leave_one_out=(float(left_out.min()), float(left_out.max())),
        resamples=len(drawn),
        skipped=n_resamples - len(drawn),
    )


def _permuted(event: Bools, n: int, rng: np.random.Generator) -> Bools:
    return rng.permuted(np.broadcast_to(event, (n, len(event))), axis=1)


def permute_youden(
    score: ArrayLike,
    outcome: ArrayLike,
    *,
    n_permutations: int = 5000,
    rng: np.random.Generator,
    higher_is_positive: bool = True,
) -> MaximalTest:
    """P of the largest Youden index when outcomes are shuffled and the best cut is sought anew.

    P = (1 + number of permutations at least as extreme) / (1 + permutations), for a score (n,).
    """
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    once = np.ones((n_permutations, len(values)), dtype=np.int64)
    observed = float(many_cuts(values, event, once[:1]).youden[0])
    null = many_cuts(values, _permuted(event, n_permutations, rng), once).youden
    hits = int(np.sum(null >= observed - 1e-12))
    return MaximalTest(observed, (1 + hits) / (1 + n_permutations), n_permutations)


def permute_auc(
    score: ArrayLike,
    outcome: ArrayLike,
    *,
    n_permutations: int = 5000,
    rng: np.random.Generator,
) -> MaximalTest:
    """P of the distance of the area of a score (n,) from one half, either direction."""
    values, event = scored(score, outcome, higher_is_positive=True)
    once = np.ones((n_permutations, len(values)), dtype=np.int64)
    observed = abs(float(areas(values, event, once[:1])[0]) - 0.5)
    null = np.abs(areas(values, _permuted(event, n_permutations, rng), once) - 0.5)
    hits = int(np.sum(null >= observed - 1e-12))
    return MaximalTest(observed, (1 + hits) / (1 + n_permutations), n_permutations)
