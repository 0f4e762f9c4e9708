"""Why no plan can be suggested: which rule stands in the way, and what would make room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from falx.core.settings import options_of
from falx.core.threads import kernel_threads
from falx.surgery.burns.single import candidate_burns
from falx.surgery.tracks.feasible import (
    Tracks,
    far_from_sinus,
    find_tracks,
    pair_codes,
    target_points,
)
from falx.surgery.tracks.kernels import FEASIBLE
from falx.surgery.tracks.limits import Goal, Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = ["Explanation", "Relaxation", "explain"]

BISECTIONS = 6
EXPLAINED_PAIRS = 100_000
EXPLAINED_TRACKS = 2000
"""Pairs and tracks looked at when a rule is relaxed; few, for it is done often."""

RELAXED = (
    "min_clearance_mm", "protect_margin_mm", "max_angle_deg", "max_length_mm", "min_sinus_mm"
)  # fmt: skip
"""Rules that may be relaxed, each to the loose end of its range."""


@dataclass(frozen=True)
class Relaxation:
    """A single change of one rule that would let a first plan through.

    Parameters
    ----------
    rule
        Name of the field of :class:`~falx.surgery.tracks.limits.Limits` or ``Goal``.
    now, needed
        Its value and the first value that makes room.
    """

    rule: str
    now: float
    needed: float
    unit: str

    def __str__(self) -> str:
        return f"{self.rule} from {self.now:g} to {self.needed:.3g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Explanation:
    """What binds, in one clause, and which single relaxations would make room."""

    binding: str
    relaxations: tuple[Relaxation, ...]

    def __str__(self) -> str:
        if not self.relaxations:
            return f"{self.binding}; no single rule makes room when it alone is relaxed."
        ways = ", or ".join(str(way) for way in self.relaxations)
        return f"{self.binding}; relaxing one rule would make room: {ways}."


def explain(
    scene: Scene,
    fields: Fields,
    limits: Limits,
    goal: Goal,
    tracks: Tracks,
    *,
    best_rate: float | None,
    probabilities: list[float],
    threads: int = 1,
) -> Explanation:
    """Name what stands in the way of a plan.

    Parameters
    ----------
    best_rate
        Highest ablative rate among allowed plans; None if there is no plan at all.
    probabilities
        Probabilities of reaching the threshold of those plans that were shaken.
    """
    if len(tracks.entries_mm) == 0:
        with kernel_threads(threads):
            ways = _relaxed(limits, lambda looser: _any_track(scene, fields, looser))
        funnel = tracks.funnel
        counts = {
            "dural sinus": funnel.sinus, "length": funnel.length, "angle": funnel.angle,
            "clearance": funnel.clearance,
        }  # fmt: skip
        listed = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        return Explanation(
            f"no track of {funnel.pairs:,} keeps the rules (removed in order: {listed})", ways
        )
    if best_rate is None:
        room = float(tracks.heat_limit_mm.max()) + limits.protect_margin_mm - limits.radii_mm[0]
        way = Relaxation("protect_margin_mm", limits.protect_margin_mm, room, "mm")
        return Explanation(
            f"the smallest burn ({limits.radii_mm[0]:g} mm) comes too close to protected tissue "
            f"on each of {len(tracks.entries_mm):,} tracks",
            (way,) if room > 0 else (),
        )
    if best_rate < goal.wanted:
        ways = _rate_relaxations(scene, fields, limits, goal, best_rate, threads)
        return Explanation(
            f"the best allowed plan covers {best_rate:.1%} of the signature in the hippocampus, "
            f"below threshold and margin ({goal.wanted:.1%})",
            ways,
        )
    best = max(probabilities)
    return Explanation(
        f"no plan passes the threshold with a probability of {goal.probability:.0%} under "
        f"placement error (best {best:.0%})",
        (Relaxation("probability", goal.probability, best, ""),),
    )


def _rate_relaxations(
    scene: Scene, fields: Fields, limits: Limits, goal: Goal, best_rate: float, threads: int
) -> tuple[Relaxation, ...]:
    """First value of each rule alone at which some plan reaches threshold and margin."""

    def reaches(looser: Limits) -> bool:
        tracks = find_tracks(
            scene, fields, looser, max_pairs=EXPLAINED_PAIRS, max_tracks=EXPLAINED_TRACKS,
            threads=threads,
        )  # fmt: skip
        rates = candidate_burns(scene, tracks, looser, threads=threads).rate
        return bool(rates.max(initial=0.0) >= goal.wanted)

    ways = _relaxed(limits, reaches)
    if best_rate >= goal.threshold:
        ways += (Relaxation("margin", goal.margin, best_rate - goal.threshold, ""),)
    return ways


def _relaxed(limits: Limits, possible: Callable[[Limits], bool]) -> tuple[Relaxation, ...]:
    """Relax each rule alone, by bisection, until `possible`."""
    found = []
    options = options_of(Limits)
    for rule in RELAXED:
        declared = options[rule]
        now = float(getattr(limits, rule))
        loosest = declared.high if rule.startswith("max_") else declared.low
        if not possible(replace(limits, **{rule: loosest})):  # type: ignore[arg-type]
            continue
        closed, opened = now, loosest
        for _ in range(BISECTIONS):
            middle = 0.5 * (closed + opened)
            if possible(replace(limits, **{rule: middle})):  # type: ignore[arg-type]
                opened = middle
            else:
                closed = middle
        found.append(Relaxation(rule, now, opened, declared.unit))
    return tuple(found)


def _any_track(scene: Scene, fields: Fields, limits: Limits) -> bool:
    far = far_from_sinus(scene, limits.min_sinus_mm)
    if not far.any():
        return False
    targets = target_points(scene, EXPLAINED_PAIRS)
    codes = pair_codes(fields, scene.entries_mm[far], scene.outward[far], targets, limits)
    return bool((codes == FEASIBLE).any())
