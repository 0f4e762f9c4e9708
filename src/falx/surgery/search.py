"""Search for laser plans: all tracks, all burns, the Pareto set, and the plan to suggest.

A plan is suggested for reaching the threshold with a margin while heating the least tissue
outside hippocampus and amygdala. It does not maximise coverage: the largest burn always
would. Both sides are planned in the frame of the left hemisphere, a right one being mirrored
in millimetres before and after, so that the side cannot change a result.

Computed tracks for this operation go back to Vakharia et al. 2018, Epilepsia 59:814.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from falx.surgery.assess import Assessment, assess
from falx.surgery.burns.more import best_sequences
from falx.surgery.burns.second import best_pairs
from falx.surgery.burns.single import Candidates, candidate_burns, pareto_set, promising_tracks
from falx.surgery.infeasible import Explanation, explain
from falx.surgery.robustness import Robustness, shake
from falx.surgery.tracks.feasible import Funnel, Tracks, find_tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory, mirrored_plan
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import Fields, Scene, fields_of, mirrored_scene

MAX_PROFILED, MAX_TRACKS = 200_000, 40_000
"""Tracks that are described, evenly thinned, and those of them whose burns are all measured;
only a head with far more room than a real one has so many."""

FAR_TRACKS = 20
"""Tracks whose single burns cover most, tried with more than two burns beside those of pairs."""

__all__ = ["Option", "SearchResult", "search"]


@dataclass(frozen=True)
class Option:
    """A plan of the Pareto set; robustness where it was computed."""

    assessment: Assessment
    robustness: Robustness | None = None


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    options
        Pareto set over rate (more), collateral (less) and risk (less), by rising collateral.
    suggested
        Least collateral among the options that reach threshold and margin, and pass the
        threshold with the wanted probability; None if there is none.
    explanation
        What stands in the way; None if a plan is suggested.
    """

    funnel: Funnel
    candidates: int
    options: tuple[Option, ...]
    suggested: Option | None
    explanation: Explanation | None


def search(
    scene: Scene,
    limits: Limits,
    goal: Goal,
    *,
    rng: np.random.Generator,
    placement: Placement | None = None,
    max_pairs: int = 6_000_000,
    max_burns: int = 2,
    threads: int = 1,
) -> SearchResult:
    """Find the Pareto set of plans for one side, and the plan to suggest.

    With `max_burns` of 2, plans with a second burn behind the first join the set where no
    other plan beats them; with 3 or 4, so do plans of more burns on the tracks of these and
    on those that cover most.
    """
    if scene.side == "right":
        found = search(
            mirrored_scene(scene), limits, goal, rng=rng, placement=placement,
            max_pairs=max_pairs, max_burns=max_burns, threads=threads,
        )  # fmt: skip
        return _mirrored_result(found)
    fields = fields_of(scene)
    tracks = find_tracks(
        scene, fields, limits, max_pairs=max_pairs, max_tracks=MAX_PROFILED, threads=threads
    )
    tracks = promising_tracks(scene, tracks, limits, goal.wanted, keep=MAX_TRACKS, threads=threads)
    candidates = candidate_burns(scene, tracks, limits, threads=threads)
    rows = pareto_set(candidates, tracks)
    plans = [_plan(int(row), candidates, tracks, limits) for row in rows]
    options = _passing(plans, scene, fields, limits)
    if max_burns > 1:
        pairs = best_pairs(
            scene, fields, tracks, candidates, limits, goal.wanted, threads=threads
        )  # fmt: skip
        several = list(pairs)
        ways = _several_ways(pairs, tracks, candidates)
        for burns in range(3, max_burns + 1):
            several += best_sequences(ways, scene, fields, limits, goal.wanted, burns=burns)
        options = _joined(options, _passing(several, scene, fields, limits))
    options, suggested = _suggest(
        options, scene, fields, limits, goal, placement or Placement(), rng, threads
    )
    explanation = None
    if suggested is None:
        best = max((option.assessment.rate for option in options), default=None)
        explanation = explain(
            scene, fields, limits, goal, tracks, best_rate=best,
            probabilities=[o.robustness.reaches for o in options if o.robustness],
            threads=threads,
        )  # fmt: skip
    return SearchResult(tracks.funnel, len(candidates), options, suggested, explanation)


def _plan(row: int, candidates: Candidates, tracks: Tracks, limits: Limits) -> LaserPlan:
    track = candidates.track[row]
    burn = Burn(
        limits.radii_mm[candidates.radius[row]], limits.pull_backs_mm[candidates.pull_back[row]]
    )
    entry, target = tracks.entries_mm[track], tracks.targets_mm[track]
    return LaserPlan(Trajectory(tuple(entry), tuple(target)), (burn,))


def _several_ways(
    pairs: Sequence[LaserPlan], tracks: Tracks, candidates: Candidates
) -> list[Trajectory]:
    """Tracks worth more than two burns: those of the cheapest pairs, and those that cover most."""
    ways = dict.fromkeys(plan.trajectory for plan in pairs)
    order = candidates.track[np.argsort(-candidates.rate, kind="stable")]
    for row in list(dict.fromkeys(order.tolist()))[:FAR_TRACKS]:
        ends = tracks.entries_mm[row], tracks.targets_mm[row]
        ways[Trajectory(tuple(ends[0]), tuple(ends[1]))] = None
    return list(ways)


def _passing(
    plans: Sequence[LaserPlan], scene: Scene, fields: Fields, limits: Limits
) -> tuple[Option, ...]:
    """Assess plans anew on the scene's grid; only those that pass are shown."""
    found = [assess(plan, scene, limits, fields=fields) for plan in plans]
    return tuple(Option(assessment) for assessment in found if not assessment.violations)


def _joined(options: tuple[Option, ...], more: tuple[Option, ...]) -> tuple[Option, ...]:
    """Add the plans that no other beats, drop those that they beat, by rising collateral."""
    new = tuple(
        option for option in more
        if not any(_beats(other, option) for other in (*options, *more))
    )  # fmt: skip
    kept = tuple(option for option in options if not any(_beats(other, option) for other in new))
    return tuple(sorted((*kept, *new), key=lambda o: o.assessment.tissue.outside_mm3))


def _beats(one: Option, other: Option) -> bool:
    """Whether a plan is at least as good in rate, collateral and risk, and better in one."""
    a, b = (
        (-o.assessment.rate, o.assessment.tissue.outside_mm3, round(o.assessment.risk_mm, 3))
        for o in (one, other)
    )
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _suggest(
    options: tuple[Option, ...],
    scene: Scene,
    fields: Fields,
    limits: Limits,
    goal: Goal,
    placement: Placement,
    rng: np.random.Generator,
    threads: int,
) -> tuple[tuple[Option, ...], Option | None]:
    """Shake the options that reach the goal, cheapest first, until one is safe enough."""
    filled = list(options)
    order = sorted(range(len(options)), key=lambda n: options[n].assessment.tissue.outside_mm3)
    for n in order:
        assessment = options[n].assessment
        if assessment.rate < goal.wanted:
            continue
        robustness = shake(
            assessment.plan, scene, fields, limits, threshold=goal.threshold,
            rng=rng, placement=placement, threads=threads,
        )  # fmt: skip
        filled[n] = replace(options[n], robustness=robustness)
        if robustness.reaches >= goal.probability:
            return tuple(filled), filled[n]
    return tuple(filled), None


def _mirrored_result(found: SearchResult) -> SearchResult:
    def turned(option: Option) -> Option:
        assessment = option.assessment
        return replace(option, assessment=replace(assessment, plan=mirrored_plan(assessment.plan)))

    return replace(
        found,
        options=tuple(turned(option) for option in found.options),
        suggested=turned(found.suggested) if found.suggested else None,
    )
