"""Why no plan can be suggested, what the best compromise is, and what would make room.

Every relaxation that is named was searched anew: under it a plan passes the goal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from falx.surgery.robustness import Robustness
from falx.surgery.tracks.feasible import Funnel, Tracks
from falx.surgery.tracks.limits import Goal, Limits

__all__ = ["BROKEN_WORDS", "Explanation", "Ground", "Relaxation", "compromises", "explain"]

Possible = Callable[[Limits, float, float], bool]

LADDERS: Mapping[str, tuple[float, ...]] = {
    "protect_margin_mm": (1.5, 1.0),
    "min_clearance_mm": (1.5, 1.0),
    "max_angle_deg": (35.0, 40.0),
    "min_sinus_mm": (8.0, 6.0, 4.0),
    "max_length_mm": (130.0, 140.0),
}
"""Looser values that are tried, step by step. The catheter's own radius is 0.8 mm: a track may
not be said to keep a limit that lets it touch."""

PART = 0.25
"""Part of the tracks that is searched while looser values are tried; what is named is searched
on all of them."""

HALF = 0.5
"""Placement errors so many times as large are tried, too: what guidance in the scanner, or a
better frame, would bring."""

RULE_WORDS: Mapping[str, str] = {
    "protect_margin_mm": "heat {needed:g} mm from protected structures instead of {now:g} mm",
    "min_clearance_mm": "a track {needed:g} mm from ventricle, sulcus or vessel instead of "
    "{now:g} mm",
    "max_angle_deg": "an angle to the skull of up to {needed:g}° instead of {now:g}°",
    "min_sinus_mm": "an entry {needed:g} mm from a dural sinus instead of {now:g} mm",
    "max_length_mm": "a track of up to {needed:g} mm instead of {now:g} mm",
}

BROKEN_WORDS: Mapping[str, str] = {
    "length": "the length of the track",
    "angle": "the angle to the skull",
    "clearance": "the distance of the track to ventricle, sulcus or vessel",
    "protected": "the distance of the heat to protected structures",
    "sinus": "the distance of the entry to a dural sinus",
}
"""Limits that a misplaced plan breaks, in words."""


@dataclass(frozen=True)
class Relaxation:
    """A looser value of some rules, or smaller errors, under which a search finds a plan.

    Parameters
    ----------
    rules
        Field of :class:`~falx.surgery.tracks.limits.Limits`, its value, and the looser value.
    accuracy
        Factor of the errors of entry, angle, depth and shift.
    """

    rules: tuple[tuple[str, float, float], ...] = ()
    accuracy: float = 1.0

    def __str__(self) -> str:
        words = [RULE_WORDS[rule].format(now=now, needed=to) for rule, now, to in self.rules]
        if self.accuracy != 1.0:
            words.append("errors of entry, angle, depth and shift half as large")
        return " together with ".join(words)

    def of(self, limits: Limits) -> Limits:
        """Return the limits with the looser values."""
        return replace(limits, **{rule: needed for rule, _, needed in self.rules})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Explanation:
    """What binds, the best compromises, and what would make room, in words.

    Parameters
    ----------
    binding
        One sentence.
    compromise
        Sentences on the best attainable probabilities; empty without any plan.
    relaxations
        Each found by searching again.
    """

    binding: str
    compromise: tuple[str, ...]
    relaxations: tuple[Relaxation, ...]

    def __str__(self) -> str:
        if self.relaxations:
            ways = "; or ".join(str(way) for way in self.relaxations)
            room = f"Searched again, these give a plan: {ways}."
        else:
            room = (
                "Searched again on a quarter of the tracks, with each limit relaxed, with both "
                "distances at 1 mm, and with errors of placement half as large, there was still "
                "no plan."
            )
        return " ".join((self.binding, *self.compromise, room))


@dataclass(frozen=True)
class Ground:
    """What a search without a suggested plan found.

    Parameters
    ----------
    candidates
        Burns that keep the limits as planned and reach signature.
    plans
        Plans that no other beats.
    """

    tracks: Tracks
    candidates: int
    plans: Sequence[Robustness]


def explain(limits: Limits, goal: Goal, ground: Ground, possible: Possible) -> Explanation:
    """Say what stands in the way of a plan.

    Parameters
    ----------
    possible
        Whether a search under other limits, with errors so many times as large, on so large a
        part of the tracks, suggests a plan.
    """
    return Explanation(
        _binding(limits, goal, ground),
        _compromise_words(ground.plans, goal),
        tuple(_relaxations(limits, ground, possible)),
    )


def compromises(shares: Sequence[Robustness], goal: Goal) -> dict[str, int]:
    """Return the places of the best compromises among plans, by what misplacement makes of them.

    ``reaching`` keeps the limits most often among plans that reach the threshold as often as is
    wanted, ``keeping`` reaches it most often among those that keep the limits as often as is
    wanted, ``both`` does both most often.
    """
    reaching = [n for n, s in enumerate(shares) if s.surely("reaches", goal.probability)]
    keeping = [n for n, s in enumerate(shares) if s.surely("holds", goal.keep_probability)]
    found = {}
    if shares:
        found["both"] = max(range(len(shares)), key=lambda n: shares[n].succeeds)
    if reaching:
        found["reaching"] = max(reaching, key=lambda n: shares[n].holds)
    if keeping:
        found["keeping"] = max(keeping, key=lambda n: shares[n].reaches)
    return found


def _binding(limits: Limits, goal: Goal, ground: Ground) -> str:
    tracks = ground.tracks
    if not len(tracks.entries_mm):
        return _no_track(tracks.funnel)
    smallest = limits.radii_mm[0]
    if not ground.candidates:
        room = float(tracks.heat_limit_mm.max())
        if room < smallest:
            return (
                f"On each of {len(tracks.entries_mm):,} allowed tracks even the smallest burn "
                f"({smallest:g} mm radius over {limits.pull_backs_mm[0]:g} mm) heats closer than "
                f"{limits.protect_margin_mm:g} mm to protected structures."
            )
        return (
            f"No burn on any of {len(tracks.entries_mm):,} allowed tracks reaches the signature "
            "in the hippocampus."
        )
    return (
        f"No plan keeps every limit in {goal.keep_probability:.0%} of placements and reaches a "
        f"rate of {goal.threshold:.1%} in {goal.probability:.0%}."
    )


def _no_track(funnel: Funnel) -> str:
    counts = {
        "closer to a dural sinus": funnel.sinus, "too long": funnel.length,
        "too oblique to the skull": funnel.angle,
        "too close to ventricle, sulcus or vessel": funnel.clearance,
    }  # fmt: skip
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return (
        f"None of {funnel.pairs:,} straight ways from the entry region to hippocampus and "
        f"amygdala keeps the limits of the track (in this order: {listed})."
    )


def _compromise_words(plans: Sequence[Robustness], goal: Goal) -> tuple[str, ...]:
    found = compromises(plans, goal)
    words = []
    if "reaching" in found:
        shaken = plans[found["reaching"]]
        limit, share = shaken.broken.most_often
        words.append(
            f"Of the plans that reach the rate so often, the safest keeps every limit in "
            f"{shaken.holds:.0%}; what breaks most often is {BROKEN_WORDS[limit]} ({share:.0%}), "
            f"and something is touched or a protected voxel heated in {1 - shaken.harmless:.0%}."
        )
    elif plans:
        best = max(plans, key=lambda shaken: shaken.reaches)
        words.append(f"No plan reaches the rate in more than {best.reaches:.0%} of placements.")
    if "keeping" in found:
        shaken = plans[found["keeping"]]
        words.append(
            f"Of the plans that keep every limit so often, the best reaches the rate in "
            f"{shaken.reaches:.0%} (median rate {shaken.median_rate:.0%})."
        )
    elif plans:
        best = max(plans, key=lambda shaken: shaken.holds)
        words.append(f"No plan keeps every limit in more than {best.holds:.0%} of placements.")
    if "reaching" not in found and "both" in found:
        shaken = plans[found["both"]]
        limit, share = shaken.broken.most_often
        words.append(
            f"The plan that does both most often ({shaken.succeeds:.0%}) is held back by "
            f"{BROKEN_WORDS[limit]} (broken in {share:.0%}) and by its rate (median "
            f"{shaken.median_rate:.0%})."
        )
    return tuple(words)


def _relaxations(limits: Limits, ground: Ground, possible: Possible) -> Iterator[Relaxation]:
    """Yield each rule's least loose step with a plan; what works together only, if none does."""
    ladders = {rule: _ladder(limits, rule) for rule in LADDERS if _matters(rule, ground)}
    alone = [way for steps in ladders.values() if (way := _least(steps, limits, possible))]
    yield from alone
    if alone:
        return
    distances = [
        Relaxation(heat.rules + track.rules)
        for heat, track in zip(
            _ladder(limits, "protect_margin_mm"), _ladder(limits, "min_clearance_mm"),
            strict=False,
        )
    ]  # fmt: skip
    ways = [_least(distances, limits, possible)]
    ways.append(_least([Relaxation(accuracy=HALF)], limits, possible))
    if not any(ways):
        both = [replace(way, accuracy=HALF) for way in distances]
        ways.append(_least(both, limits, possible))
    yield from (way for way in ways if way is not None)


def _matters(rule: str, ground: Ground) -> bool:
    """Whether a rule removed any track or burn: relaxing another one cannot make room."""
    funnel = ground.tracks.funnel
    removed = {"max_length_mm": funnel.length, "max_angle_deg": funnel.angle,
               "min_clearance_mm": funnel.clearance, "min_sinus_mm": funnel.sinus}  # fmt: skip
    return removed.get(rule, 1) > 0


def _ladder(limits: Limits, rule: str) -> list[Relaxation]:
    """Values of a rule that are looser than its own."""
    now = float(getattr(limits, rule))
    looser = [
        value for value in LADDERS[rule]
        if (value > now if rule.startswith("max_") else value < now)
    ]  # fmt: skip
    return [Relaxation(((rule, now, value),)) for value in looser]


def _least(ladder: Sequence[Relaxation], limits: Limits, possible: Possible) -> Relaxation | None:
    """First step with a plan; the loosest is tried first, and the ones before by halving."""

    def opens(way: Relaxation, part: float = PART) -> bool:
        return possible(way.of(limits), way.accuracy, part)

    if not ladder or not opens(ladder[-1]):
        return None
    closed, opened = -1, len(ladder) - 1
    while opened - closed > 1:
        middle = (closed + opened) // 2
        if opens(ladder[middle]):
            opened = middle
        else:
            closed = middle
    return next((way for way in ladder[opened:] if opens(way, 1.0)), None)
