"""The finalists of a search, judged by the heat model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from falx.studies.plan.records import OptionRecord, plan_of_record
from falx.surgery.burns.heat import Cooling
from falx.surgery.heat_check import heat_check, media_of
from falx.surgery.robustness import passes
from falx.surgery.tracks.limits import Goal
from falx.surgery.tracks.scene import Scene

__all__ = ["chosen_by_heat", "with_heat"]

MOST_JUDGED = 5
"""Plans that are burned for a suggestion; they rise in tissue outside, so the rest cost more."""


def with_heat(
    options: Sequence[OptionRecord], numbers: Sequence[int], scene: Scene, cooling: Cooling
) -> tuple[OptionRecord, ...]:
    """Burn some of the options, by their places, in the heat model."""
    media = media_of(scene, cooling)
    burned: Mapping[int, OptionRecord] = {
        n: replace(
            options[n],
            heat=heat_check(plan_of_record(options[n].plan), scene, cooling, media),
        )
        for n in numbers
    }
    return tuple(burned.get(n, option) for n, option in enumerate(options))


def chosen_by_heat(
    options: Sequence[OptionRecord],
    suggested: int,
    goal: Goal,
    scene: Scene,
    cooling: Cooling,
) -> tuple[tuple[OptionRecord, ...], int, str | None]:
    """Suggest the first passing plan, by tissue outside, that reaches the rate in the heat model.

    Returns
    -------
    tuple
        The options, those that were burned with their heat; the place of the suggested one; and
        a sentence where the heat model moved the choice, or no plan reaches the rate by it.
    """
    passing = [
        n
        for n, option in enumerate(options)
        if option.robustness is not None
        and not option.violations
        and passes(option.robustness, goal)
    ]
    order = [suggested, *(n for n in passing if n != suggested)][:MOST_JUDGED]
    found = tuple(options)
    for n in order:
        found = with_heat(found, [n], scene, cooling)
        heat = found[n].heat
        if heat is None or heat.rate < goal.threshold:
            continue
        first = found[suggested].heat
        if n == suggested:
            return found, n, None
        less = "cannot be burned" if first is None else f"leaves a rate of {first.rate:.1%}"
        return found, n, (
            f"Of the plans that pass, the one with the least tissue outside {less} by the heat "
            f"model; the suggested one leaves {heat.rate:.1%}."
        )  # fmt: skip
    first = found[suggested].heat
    rate = "no dose for these radii" if first is None else f"a rate of {first.rate:.1%}"
    return found, suggested, (
        f"By the heat model this plan leaves {rate}, less than the {goal.threshold:.1%} that is "
        f"wanted, and so do the others that pass: CSF beside the target takes heat along."
    )  # fmt: skip
