"""Why no plan can be suggested, what the best compromise is, and what each way out buys.

Every relaxation was searched anew. What is said to make room has a plan that passes under it; for
the others the best plan that was found stands with its probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from falx.core.possible import Share
from falx.surgery.assess import Assessment
from falx.surgery.robustness import Robustness
from falx.surgery.tracks.feasible import Funnel, Tracks
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.limits import Goal, Limits
from falx.surgery.tracks.scene import Target

__all__ = [
    "BROKEN_WORDS",
    "Attempt",
    "Explanation",
    "Ground",
    "Relaxation",
    "TradeOff",
    "compromises",
    "explain",
]

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
"""Part of the tracks that is searched while looser values are tried: a plan that passes there
passes. All tracks are searched where a part nearly gave one."""

NEARLY = 0.05
"""What each share of the best plan may lack for that."""

HALF = 0.5
"""Placement errors so many times as large are tried, too: what guidance in the scanner, or a
better frame, would bring."""

RATES = (0.3, 0.2, 0.1)
"""Lower rates that are tried, largest first; each only where it is lower than what is wanted."""

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
    """A looser value of some rules, smaller errors or a lower rate, under which is searched.

    Parameters
    ----------
    rules
        Field of :class:`~falx.surgery.tracks.limits.Limits`, its value, and the looser value.
    accuracy
        Factor of the errors of entry, angle, depth and shift.
    rate
        Ablative rate that is wanted instead, 0…1.
    """

    rules: tuple[tuple[str, float, float], ...] = ()
    accuracy: float = 1.0
    rate: Share | None = None

    def __str__(self) -> str:
        words = [RULE_WORDS[rule].format(now=now, needed=to) for rule, now, to in self.rules]
        if self.accuracy != 1.0:
            words.append("errors of entry, angle, depth and shift half as large")
        if self.rate is not None:
            words.append(f"a rate of {self.rate:.0%} as the goal")
        return " and ".join(words)

    def of(self, limits: Limits) -> Limits:
        """Return the limits with the looser values."""
        return replace(limits, **{rule: needed for rule, _, needed in self.rules})  # type: ignore[arg-type]

    def goal(self, goal: Goal) -> Goal:
        """Return the goal with the lower rate, if there is one."""
        return goal if self.rate is None else replace(goal, threshold=self.rate)


@dataclass(frozen=True)
class Attempt:
    """The best plan that a search under a relaxation found, and what that makes of it.

    Parameters
    ----------
    relaxed
        Under the relaxed limits, errors and rate.
    passes
        Whether it passes the goal under them.
    assessment, robustness
        The same plan under the limits and errors as they are; None before that was counted.
    """

    relaxed: Robustness
    passes: bool
    assessment: Assessment
    robustness: Robustness | None = None

    @property
    def plan(self) -> LaserPlan:
        """The plan itself."""
        return self.assessment.plan


@dataclass(frozen=True)
class TradeOff:
    """What a relaxation buys.

    Parameters
    ----------
    best
        None where no plan at all was found under it.
    everywhere
        Whether all tracks were searched; else a part of them.
    """

    relaxation: Relaxation
    best: Attempt | None
    everywhere: bool

    @property
    def passes(self) -> bool:
        """Whether a plan passes under the relaxation."""
        return self.best is not None and self.best.passes


@dataclass(frozen=True)
class Explanation:
    """What binds, the best compromises, and what each way out buys, in words.

    Parameters
    ----------
    binding
        One sentence.
    compromise
        Sentences on the best attainable probabilities; empty without any plan.
    trade_offs
        Each found by searching again.
    """

    binding: str
    compromise: tuple[str, ...]
    trade_offs: tuple[TradeOff, ...]

    @property
    def relaxations(self) -> tuple[Relaxation, ...]:
        """Those under which a plan passes."""
        return tuple(found.relaxation for found in self.trade_offs if found.passes)

    def __str__(self) -> str:
        if self.relaxations:
            ways = "; or ".join(str(way) for way in self.relaxations)
            room = f"Searched again, these give a plan: {ways}."
        else:
            tried = "; ".join(str(found.relaxation) for found in self.trade_offs)
            room = (
                "Searched again on a quarter of the tracks, and on all where that nearly gave "
                f"one, there was still no plan with any of these: {tried}."
            )
        return " ".join((self.binding, *self.compromise, room))


Try = Callable[[Relaxation, float], Attempt | None]
"""Searches under a relaxation on such a part of the tracks, and returns the best plan."""


@dataclass(frozen=True)
class Ground:
    """What a search without a suggested plan found.

    Parameters
    ----------
    candidates
        Burns that keep the limits as planned and reach signature.
    plans
        Plans that no other beats.
    target
        What is planned for.
    """

    tracks: Tracks
    candidates: int
    plans: Sequence[Robustness]
    target: Target = field(default_factory=Target)


def explain(limits: Limits, goal: Goal, ground: Ground, attempt: Try) -> Explanation:
    """Say what stands in the way of a plan, and what each way out buys."""
    return Explanation(
        _binding(limits, goal, ground),
        _compromise_words(ground.plans, goal),
        tuple(_trade_offs(limits, goal, ground, attempt)),
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
        return _no_track(tracks.funnel, ground.target)
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
            f"No burn on any of {len(tracks.entries_mm):,} allowed tracks reaches "
            f"{ground.target.wanted}."
        )
    return (
        f"No plan keeps every limit in {goal.keep_probability:.0%} of placements and reaches a "
        f"rate of {goal.threshold:.1%} in {goal.probability:.0%}."
    )


def _no_track(funnel: Funnel, target: Target) -> str:
    counts = {
        "closer to a dural sinus": funnel.sinus, "too long": funnel.length,
        "too oblique to the skull": funnel.angle,
        "too close to ventricle, sulcus or vessel": funnel.clearance,
    }  # fmt: skip
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return (
        f"None of {funnel.pairs:,} straight ways from the entry region to {target.whole} "
        f"keeps the limits of the track (in this order: {listed})."
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


def _trade_offs(limits: Limits, goal: Goal, ground: Ground, attempt: Try) -> Iterator[TradeOff]:
    """Yield what each rule alone buys, then a lower rate; what works together, if no rule does."""
    ladders = [_ladder(limits, rule) for rule in LADDERS if _matters(rule, ground)]
    alone = [_least(steps, goal, attempt) for steps in ladders if steps]
    yield from alone
    if ground.candidates:
        lower = [Relaxation(rate=rate) for rate in RATES if rate < goal.threshold]
        if lower:
            yield _least(lower, goal, attempt)
    if any(found.passes for found in alone):
        return
    distances = [
        Relaxation(heat.rules + track.rules)
        for heat, track in zip(
            _ladder(limits, "protect_margin_mm"), _ladder(limits, "min_clearance_mm"),
            strict=False,
        )
    ]  # fmt: skip
    closer = [_least(distances, goal, attempt)] if distances else []
    closer.append(_least([Relaxation(accuracy=HALF)], goal, attempt))
    yield from closer
    if not any(found.passes for found in closer) and distances:
        yield _least([replace(way, accuracy=HALF) for way in distances], goal, attempt)


def _matters(rule: str, ground: Ground) -> bool:
    """Whether a rule removed any track or burn: relaxing another one cannot make room."""
    funnel = ground.tracks.funnel
    if rule == "protect_margin_mm":
        return len(ground.tracks.entries_mm) > 0
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


def _least(ladder: Sequence[Relaxation], goal: Goal, attempt: Try) -> TradeOff:
    """First step with a plan; the loosest is tried first, and the ones before by halving.

    Where not even the loosest has one, what it has.
    """
    found = attempt(ladder[-1], PART)
    if not _passes(found):
        if found is None or not _nearly(found.relaxed, goal, ladder[-1]):
            return TradeOff(ladder[-1], found, everywhere=False)
        return TradeOff(ladder[-1], attempt(ladder[-1], 1.0) or found, everywhere=True)
    closed, opened = -1, len(ladder) - 1
    while opened - closed > 1:
        middle = (closed + opened) // 2
        tried = attempt(ladder[middle], PART)
        if _passes(tried):
            opened, found = middle, tried
        else:
            closed = middle
    return TradeOff(ladder[opened], found, everywhere=False)


def _nearly(shaken: Robustness, goal: Goal, way: Relaxation) -> bool:
    """Whether no share of a plan lacks more than a little."""
    wanted = way.goal(goal)
    return (
        shaken.holds >= wanted.keep_probability - NEARLY
        and shaken.reaches >= wanted.probability - NEARLY
        and shaken.harmless >= wanted.harmless_probability - NEARLY
    )


def _passes(found: Attempt | None) -> bool:
    return found is not None and found.passes
