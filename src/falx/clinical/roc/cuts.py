"""What a given cut does: counts, sensitivity, specificity, accuracies, with exact intervals.

The intervals are those of Clopper and Pearson 1934.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.clinical.contingency import ChiSquare, FisherTest, chi_square, fisher_exact
from falx.core.checks import Floats, binary_outcome, vector
from falx.core.errors import InputError, check_option
from falx.core.possible import Probability

__all__ = [
    "OPERATORS",
    "CutPerformance",
    "Proportion",
    "above_cut",
    "cut_performance",
    "proportion",
]

OPERATORS = ("gt", "ge")


@dataclass(frozen=True)
class Proportion:
    """A share with its exact (Clopper-Pearson) 95 % interval."""

    hits: int
    n: int
    ci_low: Probability
    ci_high: Probability

    @property
    def value(self) -> float:
        """The share itself."""
        return self.hits / self.n


@dataclass(frozen=True)
class CutPerformance:
    """A cut scored against the outcome.

    `accuracy_p` is the one-sided exact binomial P of the accuracy against always predicting
    the commoner outcome. The chi-square and Fisher tests are None when the cut puts all
    patients on one side. When the cut was chosen on the same patients these P values are too
    small: see :func:`falx.clinical.roc.resampling.permute_youden`.
    """

    cut: float
    operator: str
    higher_is_positive: bool
    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int
    sensitivity: Proportion
    specificity: Proportion
    accuracy: Proportion
    balanced_accuracy: Probability
    accuracy_p: Probability
    pearson: ChiSquare | None
    yates: ChiSquare | None
    fisher: FisherTest | None

    @property
    def youden(self) -> float:
        """Sensitivity + specificity - 1."""
        return 2 * self.balanced_accuracy - 1

    @property
    def rule(self) -> str:
        """The rule in words, with full precision of the cut."""
        sign = {"gt": ">", "ge": "≥"} if self.higher_is_positive else {"gt": "<", "ge": "≤"}
        return f"value {sign[self.operator]} {self.cut:.10g}"


def proportion(hits: int, n: int) -> Proportion:
    """Clopper-Pearson interval of hits out of n.

    Examples
    --------
    >>> round(proportion(20, 21).ci_low, 3)
    0.762
    """
    if n < 1:
        raise InputError("a share needs at least one patient", found=n, do="check the groups")
    interval = scipy.stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    return Proportion(hits, n, float(interval.low), float(interval.high))


def above_cut(
    score: Floats, cut: float, *, operator: str = "gt", higher_is_positive: bool = True
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the values (n,) the rule calls positive; "ge" includes the cut, "gt" does not."""
    check_option("operator", operator, OPERATORS)
    values, at = (score, cut) if higher_is_positive else (-score, -cut)
    return np.asarray(values > at if operator == "gt" else values >= at)


def cut_performance(
    score: ArrayLike,
    outcome: ArrayLike,
    cut: float,
    *,
    operator: str = "gt",
    higher_is_positive: bool = True,
) -> CutPerformance:
    """Score the rule "positive beyond `cut`".

    Parameters
    ----------
    score, outcome
        (n,) values and (n,) of 0 and 1.
    cut
        In full precision: a rounded cut can move a patient across it.
    operator
        ``"gt"`` (strictly beyond) or ``"ge"``.
    higher_is_positive
        Whether high values predict the event.

    Examples
    --------
    >>> cut_performance([1, 2, 3, 4], [0, 1, 1, 1], 1.5).balanced_accuracy
    1.0
    """
    event = binary_outcome(outcome)
    values = vector(score, "the score", at_least=len(event))
    called = above_cut(values, cut, operator=operator, higher_is_positive=higher_is_positive)
    tp, fn = int(np.sum(called & event)), int(np.sum(~called & event))
    fp, tn = int(np.sum(called & ~event)), int(np.sum(~called & ~event))
    n, split = len(event), 0 < tp + fp < len(event)
    table = np.array([[tn, fn], [fp, tp]])
    commoner = max(tp + fn, fp + tn) / n
    return CutPerformance(
        cut=float(cut),
        operator=operator,
        higher_is_positive=higher_is_positive,
        true_positive=tp,
        false_negative=fn,
        false_positive=fp,
        true_negative=tn,
        sensitivity=proportion(tp, tp + fn),
        specificity=proportion(tn, tn + fp),
        accuracy=proportion(tp + tn, n),
        balanced_accuracy=(tp / (tp + fn) + tn / (tn + fp)) / 2,
        accuracy_p=float(scipy.stats.binom.sf(tp + tn - 1, n, commoner)),
        pearson=chi_square(table) if split else None,
        yates=chi_square(table, yates=True) if split else None,
        fisher=fisher_exact(table) if split else None,
    )
