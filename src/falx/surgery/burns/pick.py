"""Which of many counted burns are worth judging by many draws.

Counting gives every burn its planned rate, its planned cost and, by few draws, a share of
placements that keep the limits. A plan worth judging is the cheapest, or the safest, of those that
reach some rate and keep some share: it lies near the front of rate, share and cost. The thinning
has no published source.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["KEPT_LEVELS", "RATE_STEPS", "picked"]

RATE_STEPS = (-0.05, 0.0, 0.04, 0.08, 0.12, 0.16, 0.22, 0.30)
"""Planned rates, counted from the threshold, among which plans are picked."""

KEPT_LEVELS = (0.0, 0.3, 0.5, 0.65, 0.8, 0.9, 0.97)
"""Shares of kept limits among which the cheapest plans are picked."""

EACH = 2
"""Plans of different tracks that are picked at each rate and share."""

Floats = npt.NDArray[np.float64]


def picked(
    track: npt.NDArray[np.integer], rate: Floats, kept: Floats, cost: Floats, threshold: float
) -> npt.NDArray[np.intp]:
    """Rows to judge, ascending.

    Parameters
    ----------
    track
        Number of the track of each row, shape (N,).
    rate, kept, cost
        Planned rate, share of draws that keep the limits, planned tissue outside the targets,
        shape (N,).
    threshold
        Rate about which the rows are picked.
    """
    cost = np.round(cost, 3)
    by_cost = np.argsort(cost, kind="stable")
    by_safety = np.lexsort((cost, -kept))
    chosen: set[int] = set()
    for step in RATE_STEPS:
        reaching = rate >= threshold + step
        for order, levels, number in ((by_cost, KEPT_LEVELS, EACH), (by_safety, (0.0,), 2 * EACH)):
            for level in levels:
                good = order[reaching[order] & (kept[order] >= level)]
                chosen.update(_of_different_tracks(good, track, number))
    best = np.argsort(-rate, kind="stable")
    chosen.update(_of_different_tracks(best, track, EACH))
    return np.array(sorted(chosen), dtype=np.intp)


def _of_different_tracks(
    rows: npt.NDArray[np.intp], track: npt.NDArray[np.integer], number: int
) -> list[int]:
    found: dict[int, int] = {}
    for row in rows.tolist():
        found.setdefault(int(track[row]), row)
        if len(found) == number:
            break
    return list(found.values())
