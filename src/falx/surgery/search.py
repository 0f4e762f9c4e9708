"""Search for laser plans that survive their own misplacement, and the plan to suggest.

A plan is judged by what placement error makes of it: the probability that every limit is kept
with its margin, the probability that the rate reaches the threshold, and the tissue that it heats
outside its targets on average. Suggested is the plan that heats least outside, among
those whose probabilities pass the goal's: a chance-constrained programme (Charnes & Cooper 1959,
Manage Sci 6:73). It does not maximise coverage: the largest burn always would.

Both sides are planned in the frame of the left hemisphere, a right one being mirrored in
millimetres before and after, so that the side cannot change a result.

Computed tracks for this operation go back to Vakharia et al. 2018, Epilepsia 59:814.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from falx.core.errors import InputError
from falx.surgery.assess import Assessment, assess
from falx.surgery.burns.kernels import pareto_keep
from falx.surgery.burns.misplaced import Draws, draw
from falx.surgery.burns.more import sequence_plans
from falx.surgery.burns.pick import picked
from falx.surgery.burns.second import pair_plans
from falx.surgery.burns.single import Candidates, candidate_burns, promising_tracks, shares_kept
from falx.surgery.infeasible import PART, Attempt, Explanation, Ground, Relaxation, explain
from falx.surgery.robustness import Robustness, passes, shake
from falx.surgery.tracks.feasible import Funnel, Tracks, find_tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory, mirrored_plan
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import Fields, Scene, fields_of, mirrored_scene

MAX_PROFILED, MAX_TRACKS = 60_000, 12_000
"""Tracks that are described, evenly thinned, and those of them whose burns are all measured;
only a head with far more room than a real one has so many."""

SCREEN_DRAWS, FIRST_DRAWS, POOL_DRAWS = 32, 100, 400
"""Misplaced copies of every burn; of every burn that is picked from them, at first and in all."""

PAIR_TRACKS, SEQUENCE_TRACKS = 400, 40
"""Tracks on which two burns are tried, and more."""

RANKED_ABOVE = 0.1
"""Where too many tracks are ranked by planned rates, the rate that counts lies so far above the
threshold: about what the placement errors take."""

MORE_DRAWS = 2000
"""Draws after which a plan that passed by fewer is given up."""

SAFEST_TRACKS = 60
"""Tracks that are still looked at where none is safe enough: the best plan there says what a
relaxation buys."""

MOST_OPTIONS, FOR_GOAL = 30, 8
"""Plans of the Pareto set that are judged by all draws, and those that are judged before: the
cheapest that may pass the goal by the draws of the pool, and the cheapest that do."""

NEARLY, FARTHER, GIVEN_UP = 2.5, 3.0, 0.35
"""Standard errors that a plan may lack for the goal by the draws of the pool, and by the first of
them; and the share that the smallest burn of a track may lack by very few draws."""

__all__ = ["Option", "SearchResult", "judging_draws", "search"]


@dataclass(frozen=True)
class Option:
    """A plan that no other beats, and what placement error does to it."""

    assessment: Assessment
    robustness: Robustness


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Parameters
    ----------
    options
        Pareto set over the probability of keeping every limit (more), that of reaching the
        threshold (more) and the mean volume outside (less), by rising volume.
    suggested
        Least mean volume outside among the options whose probabilities pass the goal's with
        their whole Monte-Carlo interval; None if there is none.
    explanation
        What stands in the way; None if a plan is suggested.
    """

    funnel: Funnel
    candidates: int
    options: tuple[Option, ...]
    suggested: Option | None
    explanation: Explanation | None


@dataclass(frozen=True)
class _Asked:
    """What does not change while a search is repeated under other limits."""

    scene: Scene
    fields: Fields
    few: Draws
    many: Draws
    max_pairs: int
    max_burns: int
    threads: int
    known: dict[tuple[float, ...], tuple[Tracks, float]] = field(default_factory=dict)

    def tracks(self, limits: Limits) -> Tracks:
        """Tracks that keep the limits; a margin to protected tissue only shifts the radii."""
        key = (
            limits.max_length_mm, limits.max_angle_deg, limits.min_clearance_mm,
            limits.min_sinus_mm, *limits.pull_backs_mm, self.max_pairs,
        )  # fmt: skip
        if key not in self.known:
            found = find_tracks(
                self.scene, self.fields, limits, max_pairs=self.max_pairs,
                max_tracks=MAX_PROFILED, threads=self.threads,
            )  # fmt: skip
            self.known[key] = found, limits.protect_margin_mm
        found, margin = self.known[key]
        shift = np.float32(margin - limits.protect_margin_mm)
        return replace(found, heat_limit_mm=found.heat_limit_mm + shift) if shift else found


@dataclass(frozen=True)
class _Found:
    tracks: Tracks
    candidates: Candidates
    options: tuple[Option, ...]
    suggested: Option | None


def judging_draws(
    placement: Placement, scene: Scene, rng: np.random.Generator
) -> tuple[Draws, Draws]:
    """Draws that pick plans and draws that judge them, from streams of their own.

    What is picked by some draws would look too good by the same ones. A plan that is scored later
    with the same seed meets the draws that judged it.
    """
    picks, judges = rng.spawn(2)
    few = draw(placement, SCREEN_DRAWS + POOL_DRAWS, picks, scene.side)
    return few, draw(placement, placement.draws, judges, scene.side)


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

    With `max_burns` of 2, plans of two burns behind each other on one track join the set; with 3
    or 4, so do plans of more on the most promising tracks.
    """
    if not scene.has_target:
        raise InputError(
            f"no plan: there is no signature in the {scene.side} hippocampus, so nothing to "
            "ablate is certain",
            found=f"{int(scene.signature.sum())} signature voxels in all",
            do="look at the page of falx signature; --signature takes another mask",
        )
    if scene.side == "right":
        found = search(
            mirrored_scene(scene), limits, goal, rng=rng, placement=placement,
            max_pairs=max_pairs, max_burns=max_burns, threads=threads,
        )  # fmt: skip
        return _mirrored_result(found)
    few, many = judging_draws(placement or Placement(), scene, rng)
    asked = _Asked(scene, fields_of(scene), few, many, max_pairs, max_burns, threads)
    result = _with_part(asked, limits, goal, _find(asked, limits, goal, whole_set=True))
    explanation = None
    if result.suggested is None:
        ground = Ground(
            tracks=result.tracks,
            candidates=len(result.candidates),
            plans=[option.robustness for option in result.options],
            target=scene.target,
        )

        explanation = explain(
            limits, goal, ground, lambda way, part: _attempt(asked, limits, goal, way, part)
        )
        explanation = _as_things_are(explanation, asked, limits, goal)
    return SearchResult(
        result.tracks.funnel, len(result.candidates), result.options, result.suggested,
        explanation,
    )  # fmt: skip


def _with_part(asked: _Asked, limits: Limits, goal: Goal, whole: _Found) -> _Found:
    """Look at a part of the tracks as closely as under a relaxation, too.

    Of many tracks few are looked at closely, so a part of them may hold a plan that the whole
    passed over. What a relaxation gives on a part, or better, a search with it gives for that.
    """
    part = _find(
        replace(asked, max_pairs=int(asked.max_pairs * PART)), limits, goal, whole_set=False
    )
    if part.suggested is None:
        return whole
    options = _shown([*whole.options, part.suggested], goal)
    return replace(whole, options=options, suggested=_suggested(options, goal))


def _attempt(
    asked: _Asked, limits: Limits, goal: Goal, way: Relaxation, part: float
) -> Attempt | None:
    """Search under a relaxation, and judge the best plan with it."""
    closer = replace(
        asked, few=asked.few.scaled(way.accuracy), many=asked.many.scaled(way.accuracy),
        max_pairs=int(asked.max_pairs * part),
    )  # fmt: skip
    found = _find(closer, way.of(limits), way.goal(goal), whole_set=False)
    best = found.suggested or max(
        found.options, key=lambda option: option.robustness.succeeds, default=None
    )
    if best is None:
        return None
    return Attempt(
        relaxed=best.robustness,
        passes=found.suggested is not None,
        assessment=assess(best.assessment.plan, asked.scene, limits, fields=asked.fields),
    )


def _as_things_are(
    explanation: Explanation, asked: _Asked, limits: Limits, goal: Goal
) -> Explanation:
    """Judge the plans of the trade-offs without their relaxations, too."""

    def judged(best: Attempt) -> Attempt:
        shaken = shake(
            best.plan, asked.scene, asked.fields, limits, threshold=goal.threshold,
            draws=asked.many, threads=asked.threads,
        )  # fmt: skip
        return replace(best, robustness=shaken)

    return _with_best(explanation, judged)


def _find(asked: _Asked, limits: Limits, goal: Goal, *, whole_set: bool) -> _Found:
    """Search under some limits; without the whole set, only for a plan that passes."""
    scene, fields, threads = asked.scene, asked.fields, asked.threads
    screen = asked.few.first(SCREEN_DRAWS)
    tracks = asked.tracks(limits)
    wanted = min(goal.threshold + RANKED_ABOVE, 1.0)
    tracks = promising_tracks(scene, tracks, limits, wanted, keep=MAX_TRACKS, threads=threads)
    least = 0.0 if whole_set else goal.keep_probability - GIVEN_UP
    kept = shares_kept(scene, fields, tracks, limits, screen, least=least, threads=threads)
    if not whole_set:
        most = kept.max(axis=(1, 2), initial=0.0)
        safe = np.flatnonzero(most >= least)
        if not len(safe):
            safe = np.sort(np.argsort(-most, kind="stable")[:SAFEST_TRACKS])
        tracks, kept = tracks.take(safe), kept[safe]
    candidates = candidate_burns(scene, tracks, limits, kept=kept, threads=threads)
    plans = _single_plans(candidates, tracks, limits, goal)
    if asked.max_burns > 1 and len(candidates):
        rows = _best_tracks(candidates, goal, PAIR_TRACKS)
        plans += pair_plans(
            scene, fields, tracks.take(rows), limits, screen, goal.threshold, threads=threads
        )
    if asked.max_burns > 2 and len(candidates):
        rows = _best_tracks(candidates, goal, SEQUENCE_TRACKS)
        ends = zip(tracks.entries_mm[rows], tracks.targets_mm[rows], strict=True)
        ways = [Trajectory(tuple(entry), tuple(target)) for entry, target in ends]
        for burns in range(3, asked.max_burns + 1):
            plans += sequence_plans(
                ways, scene, fields, limits, screen, goal.threshold, burns=burns
            )
    options = _judged(plans, asked, limits, goal, whole_set=whole_set)
    return _Found(tracks, candidates, options, _suggested(options, goal))


def _single_plans(
    candidates: Candidates, tracks: Tracks, limits: Limits, goal: Goal
) -> list[LaserPlan]:
    rows = picked(
        candidates.track, candidates.rate, candidates.kept, candidates.outside_mm3, goal.threshold
    )
    return [_plan(int(row), candidates, tracks, limits) for row in rows]


def _plan(row: int, candidates: Candidates, tracks: Tracks, limits: Limits) -> LaserPlan:
    track = candidates.track[row]
    burn = Burn(
        limits.radii_mm[candidates.radius[row]], limits.pull_backs_mm[candidates.pull_back[row]]
    )
    entry, target = tracks.entries_mm[track], tracks.targets_mm[track]
    return LaserPlan(Trajectory(tuple(entry), tuple(target)), (burn,))


def _best_tracks(candidates: Candidates, goal: Goal, number: int) -> np.ndarray:
    """Tracks whose best single burn comes nearest to the goal in safety and rate together."""
    enough = np.minimum(candidates.rate / min(goal.threshold + RANKED_ABOVE, 1.0), 1.0)
    score = np.zeros(int(candidates.track.max()) + 1)
    np.maximum.at(score, candidates.track, enough * (candidates.kept + 1 / SCREEN_DRAWS))
    best = np.argsort(-score, kind="stable")[:number]
    return np.sort(best[score[best] > 0])


def _judged(
    plans: Sequence[LaserPlan], asked: _Asked, limits: Limits, goal: Goal, *, whole_set: bool
) -> tuple[Option, ...]:
    """Plans that keep the limits as planned, judged by all draws, by rising volume outside."""
    pool = Draws(asked.few.ends[SCREEN_DRAWS:], asked.few.radii[SCREEN_DRAWS:])
    chosen = list(dict.fromkeys(plans))
    best: Option | None = None
    if not whole_set:
        first = _shaken(chosen, asked, limits, goal, pool.first(FIRST_DRAWS))
        best = max(first, key=lambda option: option.robustness.succeeds, default=None)
        chosen = [o.assessment.plan for o in first if _nearly(o, goal, FARTHER)]
    rough = sorted(
        _shaken(chosen, asked, limits, goal, pool), key=lambda o: o.robustness.outside_mm3
    )
    hopeful = [option for option in rough if _nearly(option, goal, NEARLY)][:FOR_GOAL]
    hopeful += [o for o in rough if _nearly(o, goal, 0.0) and o not in hopeful][:FOR_GOAL]
    judged: list[Option] = []
    for option in hopeful:
        plan = [option.assessment.plan]
        more = _shaken(plan, asked, limits, goal, asked.many.first(MORE_DRAWS))
        if not _nearly(more[0], goal, NEARLY):
            continue
        judged += _shaken(plan, asked, limits, goal, asked.many)
        if _suggested(judged, goal) is not None:
            break
    if whole_set:
        done = {option.assessment.plan for option in judged}
        front = [o.assessment.plan for o in _front(rough)]
        rest = [plan for plan in _thinned(front, MOST_OPTIONS) if plan not in done]
        judged += _shaken(rest, asked, limits, goal, asked.many)
    elif best is not None and _suggested(judged, goal) is None:
        judged += _shaken([best.assessment.plan], asked, limits, goal, asked.many)
    return _shown(judged, goal)


def _shown(judged: Sequence[Option], goal: Goal) -> tuple[Option, ...]:
    """Options that no other beats, by rising mean volume outside, and the one to suggest.

    That one may be beaten in all three by a plan that touches something more often than is wanted.
    """
    front, best = _front(judged), _suggested(judged, goal)
    if best is not None and best not in front:
        front.append(best)
    return tuple(sorted(front, key=lambda o: (o.robustness.outside_mm3, -o.robustness.holds)))


def _nearly(option: Option, goal: Goal, errors: float) -> bool:
    """Whether a plan's shares lack no more than so many standard errors for the goal."""
    shaken = option.robustness

    def enough(share: float, least: float) -> bool:
        return bool(share >= least - errors * (least * (1 - least) / shaken.draws) ** 0.5)

    return (
        enough(shaken.holds, goal.keep_probability)
        and enough(shaken.reaches, goal.probability)
        and enough(shaken.harmless, goal.harmless_probability)
    )


def _shaken(
    plans: Sequence[LaserPlan],
    asked: _Asked,
    limits: Limits,
    goal: Goal,
    draws: Draws,
) -> list[Option]:
    options = []
    for plan in plans:
        assessment = assess(plan, asked.scene, limits, fields=asked.fields)
        if assessment.violations:
            continue
        robustness = shake(
            plan, asked.scene, asked.fields, limits, threshold=goal.threshold, draws=draws,
            threads=asked.threads,
        )  # fmt: skip
        options.append(Option(assessment, robustness))
    return options


def _front(options: Sequence[Option]) -> list[Option]:
    """Options that no other beats, by rising mean volume outside; of equal ones the shortest."""
    values = np.array(
        [
            [o.robustness.holds, round(o.robustness.outside_mm3, 3), -o.robustness.reaches,
             o.assessment.length_mm]
            for o in options
        ]
    ).reshape(-1, 4)  # fmt: skip
    order = np.lexsort((values[:, 3], values[:, 2], values[:, 1], -values[:, 0]))
    keep = pareto_keep(values[order, 0], values[order, 1], values[order, 2])
    kept = [options[n] for n in order[keep]]
    return sorted(kept, key=lambda o: (o.robustness.outside_mm3, -o.robustness.holds))


def _thinned(plans: list[LaserPlan], number: int) -> list[LaserPlan]:
    if len(plans) <= number:
        return plans
    return [plans[n] for n in np.linspace(0, len(plans) - 1, number).round().astype(int)]


def _suggested(options: Sequence[Option], goal: Goal) -> Option | None:
    """Least mean volume outside among the plans that pass."""
    good = [option for option in options if passes(option.robustness, goal)]
    return min(good, key=lambda o: o.robustness.outside_mm3, default=None)


def _mirrored_result(found: SearchResult) -> SearchResult:
    def turned(option: Option) -> Option:
        assessment = option.assessment
        return replace(option, assessment=replace(assessment, plan=mirrored_plan(assessment.plan)))

    return replace(
        found,
        options=tuple(turned(option) for option in found.options),
        suggested=turned(found.suggested) if found.suggested else None,
        explanation=None if found.explanation is None else _mirrored(found.explanation),
    )


def _mirrored(explanation: Explanation) -> Explanation:
    """Return an explanation whose plans lie on the other side."""

    def turned(best: Attempt) -> Attempt:
        return replace(best, assessment=replace(best.assessment, plan=mirrored_plan(best.plan)))

    return _with_best(explanation, turned)


def _with_best(explanation: Explanation, change: Callable[[Attempt], Attempt]) -> Explanation:
    found = tuple(
        replace(one, best=None if one.best is None else change(one.best))
        for one in explanation.trade_offs
    )
    return replace(explanation, trade_offs=found)
