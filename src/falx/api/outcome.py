"""How well a number foretells an outcome, and what of it a new cohort would keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from falx.api.inputs import numbers_of
from falx.api.results import Result, new_drawing, percent
from falx.clinical.roc.curve import (
    Auc,
    DelongTest,
    RocCurve,
    YoudenCut,
    auc,
    delong_test,
    roc_curve,
    youden_cut,
)
from falx.clinical.roc.cut_validation import CutOptimism, HeldOut, cut_optimism, nested_cut
from falx.clinical.roc.resampling import AucBootstrap, CutStability, bootstrap_auc, cut_stability
from falx.core.checks import binary_outcome
from falx.core.errors import InputError, check_range
from falx.report.figures import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Roc", "roc"]


@dataclass(frozen=True, eq=False, repr=False)
class Roc(Result):
    """A curve with its area, its best cut, and both for patients that were not there.

    Parameters
    ----------
    curve
        Operating points.
    area, bootstrap
        Area with DeLong's interval, and with bootstrap intervals.
    cut, stability
        The cut of largest Youden index, and how far it moves when the cohort is drawn again.
    optimism, held_out
        Balanced accuracy corrected for the choice of the cut: by the bootstrap, and by nested
        cross-validation.
    score, outcome
        What was judged, shape (n,).
    """

    curve: RocCurve
    area: Auc
    bootstrap: AucBootstrap
    cut: YoudenCut
    stability: CutStability
    optimism: CutOptimism
    held_out: HeldOut
    score: npt.NDArray[np.float64]
    outcome: npt.NDArray[np.bool_]
    title = "Receiver operating characteristic"

    def _facts(self) -> Sequence[tuple[str, object]]:
        area, cut, moved = self.area, self.cut, self.stability
        interval = f"{self.bootstrap.bca_low:.3f} to {self.bootstrap.bca_high:.3f}"
        beyond = "above" if cut.higher_is_positive else "below"
        return [
            ("patients, with the event", f"{len(self.outcome)}, {int(self.outcome.sum())}"),
            ("area (95 %, BCa bootstrap)", f"{area.auc:.3f} ({interval})"),
            ("best cut", f"{beyond} {cut.threshold:.4g}"),
            ("its 95 % range over resamples", f"{moved.ci_low:.4g} to {moved.ci_high:.4g}"),
            ("sensitivity", percent(cut.sensitivity)),
            ("specificity", percent(cut.specificity)),
            ("balanced accuracy", percent(self.optimism.apparent)),
            ("corrected for optimism", percent(self.optimism.harrell)),
            ("nested cross-validation", percent(self.held_out.balanced_accuracy)),
        ]

    def compare(self, other: Roc) -> DelongTest:
        """Test whether another score of the same patients has another area (DeLong 1988)."""
        if not isinstance(other, Roc) or not np.array_equal(self.outcome, other.outcome):
            raise InputError(
                "two areas are compared on the same patients",
                do="give what falx.roc returned for another score of theirs",
            )
        directions = self.curve.higher_is_positive, other.curve.higher_is_positive
        return delong_test(self.score, other.score, self.outcome, higher_is_positive=directions)

    def plot(self) -> Figure:
        """Draw the curve and the best cut."""
        figure, axis = new_drawing(4.2, 4.2)
        x, y = 1 - self.curve.specificity, self.curve.sensitivity
        axis.plot(x, y, color=BLUE)  # ties are straight, as the area counts them
        axis.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls="--")
        label = f"cut {self.cut.threshold:.3g}"
        at = 1 - self.cut.specificity, self.cut.sensitivity
        axis.plot(*at, "o", color=ORANGE, label=label)
        axis.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"area {self.area.auc:.3f}")
        axis.legend(loc="lower right", frameon=False)
        return figure


def roc(
    score: npt.ArrayLike,
    outcome: npt.ArrayLike,
    *,
    higher_is_positive: bool = True,
    resamples: int = 2000,
    repeats: int = 200,
    seed: int = 2025,
) -> Roc:
    """Judge how well a number foretells an outcome, validation included.

    Parameters
    ----------
    score
        Shape (n,): one number a patient, such as the ablative rate.
    outcome
        1 for the event, 0 without, one a patient.
    higher_is_positive
        Whether high values speak for the event.
    resamples, repeats
        Of the bootstrap, and of the nested cross-validation.
    seed
        Of both.
    """
    values, event = numbers_of(score, "score"), numbers_of(outcome, "outcome")
    if len(values) != len(event):
        raise InputError(
            "score and outcome differ in length",
            found=f"{len(values)} and {len(event)}",
            do="give one of each a patient",
        )
    check_range("resamples", resamples, 20, 100_000)
    check_range("repeats", repeats, 1, 100_000)
    positives = binary_outcome(event)
    up = higher_is_positive
    one, two, three, four = (np.random.default_rng([seed, k]) for k in range(4))
    return Roc(
        roc_curve(values, event, higher_is_positive=up),
        auc(values, event, higher_is_positive=up),
        bootstrap_auc(values, event, n_resamples=resamples, rng=one, higher_is_positive=up),
        youden_cut(values, event, higher_is_positive=up),
        cut_stability(values, event, n_resamples=resamples, rng=two, higher_is_positive=up),
        cut_optimism(values, event, n_resamples=resamples, rng=three, higher_is_positive=up),
        nested_cut(values, event, n_repeats=repeats, rng=four, higher_is_positive=up),
        values,
        positives,
    )
