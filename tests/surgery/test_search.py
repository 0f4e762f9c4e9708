"""The search against a planner written again in NumPy, on a phantom head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.core.errors import InputError, OptionError
from falx.surgery.assess import assess, heated_tissue
from falx.surgery.burns.misplaced import draw
from falx.surgery.burns.single import candidate_burns, promising_tracks
from falx.surgery.infeasible import compromises
from falx.surgery.robustness import passes, shake, share_interval
from falx.surgery.search import _shown, judging_draws, search
from falx.surgery.tracks.feasible import find_tracks, pair_codes, target_points
from falx.surgery.tracks.geometry import (
    Burn,
    LaserPlan,
    Trajectory,
    ablation_mask,
    capsule_volume_mm3,
    mirrored_plan,
)
from falx.surgery.tracks.head_scene import scene_from_labels
from falx.surgery.tracks.kernels import FEASIBLE
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import distance_mm, fields_of, mirrored_scene
from surgery.phantom import (
    capsules_volume,
    centres,
    head_labels,
    head_signature,
    heated,
    misplaced,
    protected_gap,
    same_place,
    track_ok,
)

LIMITS, GOAL = Limits(), Goal()
PAIRS = 30_000
WANTED = GOAL.threshold + 0.1
PLACEMENT = Placement(draws=2000)


@pytest.fixture(scope="module")
def fields(scene):
    return fields_of(scene)


@pytest.fixture(scope="module")
def found(scene):
    return search(scene, LIMITS, GOAL, rng=np.random.default_rng(5), max_pairs=PAIRS,
                  placement=PLACEMENT)  # fmt: skip


def test_pair_codes_equal_the_plain_walk(scene, fields):
    entries, outward = scene.entries_mm[::60], scene.outward[::60]
    targets = target_points(scene, 20 * len(scene.entries_mm))
    codes = pair_codes(fields, entries, outward, targets, LIMITS)
    plain = [
        [track_ok(fields, e, n, t, LIMITS) for t in targets]
        for e, n in zip(entries, outward, strict=True)
    ]
    assert np.array_equal(codes == FEASIBLE, plain)
    assert 0.05 < np.mean(plain) < 0.95


def test_tracks_do_not_depend_on_threads(scene, fields):
    one = find_tracks(scene, fields, LIMITS, max_pairs=20_000, threads=1)
    two = find_tracks(scene, fields, LIMITS, max_pairs=20_000, threads=2)
    assert np.array_equal(one.risk_mm, two.risk_mm)
    assert np.array_equal(one.heat_limit_mm, two.heat_limit_mm)
    assert one.funnel.feasible == len(one.entries_mm)


def test_candidates_equal_brute_force(scene, fields):
    tracks = find_tracks(scene, fields, LIMITS, max_pairs=PAIRS, max_tracks=12)
    candidates = candidate_burns(scene, tracks, LIMITS)
    points = centres(scene.targets, scene.grid)
    wanted = (scene.signature & scene.hippocampus)[scene.targets]
    protected = centres(scene.protected, scene.grid)
    rows = 0
    for n, (entry, target) in enumerate(zip(tracks.entries_mm, tracks.targets_mm, strict=True)):
        track = Trajectory(tuple(entry), tuple(target))
        for b, pull_back in enumerate(LIMITS.pull_backs_mm):
            for r, radius in enumerate(LIMITS.radii_mm):
                plan = LaserPlan(track, (Burn(radius, pull_back),))
                inside = heated(points, plan)
                chosen = (
                    (candidates.track == n)
                    & (candidates.pull_back == b)
                    & (candidates.radius == r)
                )
                gap = protected_gap(protected, plan)
                if gap < LIMITS.protect_margin_mm - 1.0 or not (inside & wanted).any():
                    assert not chosen.any()
                elif gap > LIMITS.protect_margin_mm + 1.0:
                    assert chosen.sum() == 1
                    rows += 1
                    rate = (inside & wanted).sum() / wanted.sum()
                    assert candidates.rate[chosen][0] == pytest.approx(rate, abs=1e-12)
                    outside = capsule_volume_mm3(radius, pull_back) - 8.0 * inside.sum()
                    assert candidates.outside_mm3[chosen][0] == pytest.approx(outside)
    assert rows > 100


def test_ranking_of_tracks_keeps_the_cheapest_plan(scene, fields):
    tracks = find_tracks(scene, fields, LIMITS, max_pairs=PAIRS)
    kept = promising_tracks(scene, tracks, LIMITS, WANTED, keep=1000)
    assert len(kept.entries_mm) <= 1000 < len(tracks.entries_mm) / 5
    least = []
    for some in (tracks, kept):
        candidates = candidate_burns(scene, some, LIMITS)
        least.append(candidates.outside_mm3[candidates.rate >= WANTED].min())
    assert least[1] - least[0] <= 0.01 * capsule_volume_mm3(5.0, 10.0)
    everything = promising_tracks(scene, tracks, LIMITS, WANTED, keep=10**9)
    assert everything is tracks


def test_no_option_is_beaten_by_another(found):
    table = np.array(
        [[-o.robustness.holds, -o.robustness.reaches, o.robustness.outside_mm3]
         for o in found.options]
    )  # fmt: skip
    better = (table[:, None] <= table[None]).all(-1) & (table[:, None] < table[None]).any(-1)
    assert not better.any()
    assert list(table[:, 2]) == sorted(table[:, 2])


def test_every_option_passes_the_plain_checker(scene, fields, found):
    protected = centres(scene.protected, scene.grid)
    wanted = centres(scene.signature & scene.hippocampus, scene.grid)
    assert len(found.options) > 10
    for option in found.options:
        plan, assessment = option.assessment.plan, option.assessment
        entry, target = np.array(plan.trajectory.entry_mm), np.array(plan.trajectory.target_mm)
        nearest = np.linalg.norm(scene.entries_mm - entry, axis=1).argmin()
        assert track_ok(fields, entry, scene.outward[nearest], target, LIMITS)
        assert protected_gap(protected, plan) >= LIMITS.protect_margin_mm - 0.2
        assert not heated(protected, plan).any()
        assert assessment.rate == pytest.approx(heated(wanted, plan).mean(), abs=1e-12)


def test_suggested_plan_passes_its_goal_with_the_least_tissue_outside(found):
    chosen = found.suggested
    assert chosen is not None
    assert found.explanation is None
    assert passes(chosen.robustness, GOAL)
    assert chosen.robustness.holds >= GOAL.keep_probability
    for option in found.options:
        if option.robustness.outside_mm3 < chosen.robustness.outside_mm3:
            assert not passes(option.robustness, GOAL)


def test_largest_burn_is_not_what_is_suggested(found):
    assert found.suggested.assessment.rate < max(o.assessment.rate for o in found.options)


def test_same_plan_mirrored(scene, found):
    other = search(mirrored_scene(scene), LIMITS, GOAL, rng=np.random.default_rng(5),
                   max_pairs=PAIRS, placement=PLACEMENT)  # fmt: skip
    assert len(other.options) == len(found.options)
    for a, b in zip(found.options, other.options, strict=True):
        here, there = a.assessment, b.assessment
        flipped = tuple(np.array(there.plan.trajectory.entry_mm) * [-1, 1, 1])
        assert here.plan.trajectory.entry_mm == pytest.approx(flipped, abs=1e-6)
        assert here.plan.burns == there.plan.burns
        assert here.rate == pytest.approx(there.rate, abs=1e-6)
        assert here.tissue.outside_mm3 == pytest.approx(there.tissue.outside_mm3, abs=1e-6)
        assert here.risk_mm == pytest.approx(there.risk_mm, abs=1e-6)
    assert other.suggested.robustness == found.suggested.robustness
    assert other.suggested.assessment.plan.trajectory.entry_mm[0] > 0


def test_right_side_from_labels_is_planned_on_the_right():
    labels = head_labels()
    scene = scene_from_labels(labels, head_signature(labels, "right"), "right", same_place)
    result = search(scene, LIMITS, GOAL, rng=np.random.default_rng(5), max_pairs=20_000,
                    placement=PLACEMENT)  # fmt: skip
    assert result.suggested.assessment.plan.trajectory.target_mm[0] > 0
    assert assess(result.suggested.assessment.plan, scene, LIMITS).violations == ()


TIGHT = replace(LIMITS, min_clearance_mm=4.0, protect_margin_mm=6.0, max_angle_deg=20.0,
                max_length_mm=85.0, min_sinus_mm=10.0)  # fmt: skip


@pytest.mark.parametrize("limits", [LIMITS, TIGHT], ids=["default", "tight"])
def test_misplaced_copies_are_judged_as_by_plain_numpy(scene, found, limits):
    """The same draws through other code."""
    x, y, _ = np.moveaxis(scene.grid.centres_mm(), -1, 0)
    walled = replace(scene, sinus=(np.abs(x) < 25) & (y < -95))
    fields = fields_of(walled)
    draws = draw(PLACEMENT, 600, np.random.default_rng(8), "left")
    for option in found.options[::6]:
        plan = option.assessment.plan
        ours = shake(plan, walled, fields, limits, threshold=0.5, draws=draws)
        rates, holds, harmless = misplaced(plan, walled, fields, limits, *draws)
        allowance = 4.1 / 600  # copies whose samples straddle a limit
        assert ours.holds == pytest.approx(holds.mean(), abs=allowance)
        assert ours.harmless == pytest.approx(harmless.mean(), abs=allowance)
        assert ours.reaches == pytest.approx((rates >= 0.5).mean(), abs=1e-12)
        assert ours.succeeds == pytest.approx((holds & (rates >= 0.5)).mean(), abs=allowance)
        assert ours.low_rate == pytest.approx(np.quantile(rates, 0.05), abs=1e-9)


@pytest.mark.slow  # half a minute each
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_probabilities_lie_within_a_point_of_100_000_other_draws(
    scene, fields, found, place, record_property
):
    """An independent simulation: other code, other seed, its own way to draw."""
    placement, rng = Placement(), np.random.default_rng([77, int(10 * place)])
    draws = draw(placement, placement.draws, np.random.default_rng(1), "left")
    tight = replace(LIMITS, min_clearance_mm=3.0, protect_margin_mm=4.0)
    plan = found.options[round(place * (len(found.options) - 1))].assessment.plan
    ours = shake(plan, scene, fields, tight, threshold=0.45, draws=draws)
    parts = []
    for _ in range(100):
        errors = np.concatenate(
            [rng.normal(0, 0.9, (1000, 3)), rng.normal(0, np.radians(0.5), (1000, 3)),
             rng.normal(0, 0.8, (1000, 1)), rng.normal(0, 0.5, (1000, 3))], axis=1,
        )  # fmt: skip
        radii = rng.uniform(-1, 1, (1000, 2))
        parts.append(misplaced(plan, scene, fields, tight, errors, radii, samples=250))
    rates, holds, harmless = (np.concatenate(column) for column in zip(*parts, strict=True))
    theirs = {"holds": holds.mean(), "reaches": (rates >= 0.45).mean(),
              "harmless": harmless.mean(), "low_rate": np.quantile(rates, 0.05)}  # fmt: skip
    for name, value in theirs.items():
        own = getattr(ours, name)
        record_property(name, f"{own:.4f} and {value:.4f}")
        assert own == pytest.approx(value, abs=0.01), name


def test_mean_volume_outside_is_that_of_points(scene, fields, found):
    draws = draw(PLACEMENT, 60, np.random.default_rng(8), "left")
    plan = found.suggested.assessment.plan
    ours = shake(plan, scene, fields, LIMITS, threshold=0.5, draws=draws)
    still = assess(plan, scene, LIMITS, fields=fields).tissue
    burns = [
        capsules_volume([replace(b, radius_mm=b.radius_mm + e) for b, e in
                         zip(plan.burns, row, strict=False)]) for row in draws.radii
    ]  # fmt: skip
    # Inside the targets some of it lies: at most what would be heated without errors of place.
    assert np.mean(burns) - still.ablated_mm3 < ours.outside_mm3 < np.mean(burns)
    still_draws = draw(STILL, 3, np.random.default_rng(8), "left")
    exact = shake(plan, scene, fields, LIMITS, threshold=0.5, draws=still_draws)
    inside = still.ablated_mm3 - still.outside_mm3
    assert exact.outside_mm3 == pytest.approx(capsules_volume(plan.burns) - inside, abs=2.0)


STILL = Placement(
    entry_sd_mm=0, angle_sd_deg=0, depth_sd_mm=0, shift_sd_mm=0, radius_range_mm=0, draws=100
)


def test_no_error_of_placement_reaches_surely(scene, fields, found):
    draws = draw(STILL, 100, np.random.default_rng(1), "left")
    plan = found.suggested.assessment.plan
    result = shake(plan, scene, fields, LIMITS, threshold=GOAL.threshold, draws=draws)
    assert result.reaches == result.holds == result.harmless == result.succeeds == 1.0
    assert result.low_rate == pytest.approx(found.suggested.assessment.rate)
    assert result.broken.most_often[1] == 0.0
    assert passes(result, Goal(probability=1.0, keep_probability=1.0, harmless_probability=1.0))


def test_errors_have_the_size_that_their_options_say():
    placement = Placement(entry_sd_mm=2.0, angle_sd_deg=1.0, depth_sd_mm=3.0, shift_sd_mm=0.5)
    ends, radii = draw(placement, 40_000, np.random.default_rng(2), "left")
    sd = ends.std(axis=0)
    assert sd[:3] == pytest.approx(2.0, rel=0.02)
    assert np.degrees(np.arctan(sd[3:6])) == pytest.approx(1.0, rel=0.02)
    assert sd[6] == pytest.approx(3.0, rel=0.02)
    assert sd[7:] == pytest.approx(0.5, rel=0.02)
    assert np.abs(radii).max() <= placement.radius_range_mm
    assert radii.std() == pytest.approx(placement.radius_range_mm / 3**0.5, rel=0.02)


def test_default_errors_put_the_tip_as_far_off_as_robots_do():
    """Vakharia 2017: 1.71 mm with robots, of entry, angle and depth; the brain's shift apart."""
    placement = Placement(shift_sd_mm=0.0)
    ends, _ = draw(placement, 40_000, np.random.default_rng(2), "left")
    tips = np.stack([ends[:, 0] + 90 * ends[:, 3], ends[:, 1] + 90 * ends[:, 4], ends[:, 6]], 1)
    assert np.linalg.norm(tips, axis=1).mean() == pytest.approx(1.71, abs=0.05)
    assert np.linalg.norm(ends[:, :2], axis=1).mean() == pytest.approx(1.17, abs=0.06)


@pytest.mark.parametrize(("share", "draws"), [(0.8, 20_000), (0.05, 400), (1.0, 300), (0.0, 300)])
def test_intervals_of_shares_hold_the_share_and_cover_as_they_say(share, draws):
    low, high = share_interval(share, draws)
    assert 0 <= low <= share <= high <= 1
    rng = np.random.default_rng(4)
    found = rng.binomial(draws, share, 2000) / draws
    inside = [a <= share <= b for a, b in (share_interval(f, draws) for f in found)]
    assert np.mean(inside) >= 0.93


def test_same_seed_same_plan(scene, found):
    again = search(scene, LIMITS, GOAL, rng=np.random.default_rng(5), max_pairs=PAIRS, threads=2,
                   placement=PLACEMENT)  # fmt: skip
    assert again == found


def test_a_drawn_ablation_is_scored_like_a_planned_one(scene, found):
    assessment = found.suggested.assessment
    assert heated_tissue(ablation_mask(assessment.plan, scene.grid), scene) == assessment.tissue
    with pytest.raises(InputError, match="ablation is on another grid"):
        heated_tissue(np.zeros((3, 3, 3), bool), scene)


def test_a_users_plan_is_told_what_it_breaks(scene):
    plan = LaserPlan(Trajectory((-40.0, -20.0, 40.0), (-20.0, -15.0, -5.0)), (Burn(9.0, 20.0),))
    broken = {violation.name for violation in assess(plan, scene, LIMITS).violations}
    assert "distance from the entry region" in broken
    assert "distance to protected tissue" in broken


def test_a_plan_outside_the_head_is_refused(scene):
    plan = LaserPlan(Trajectory((-40.0, -400.0, 10.0), (-27.0, -15.0, -12.0)), (Burn(5.0),))
    with pytest.raises(InputError, match="entry of the plan lies outside the head"):
        assess(plan, scene, LIMITS)


def searched(scene, limits, goal=GOAL, **more):
    return search(scene, limits, goal, rng=np.random.default_rng(1), max_pairs=10_000,
                  placement=PLACEMENT, **more)  # fmt: skip


def ways_counted_again(found, scene, limits, goal):
    """Ways out whose plan does what is said, with the way out and without: the same draws."""
    _, draws = judging_draws(PLACEMENT, scene, np.random.default_rng(1))
    known = fields_of(scene)
    planned = [one for one in found.explanation.trade_offs if one.best is not None]
    for one in planned:
        best, way = one.best, one.relaxation
        for shaken, of, wanted, factor in (
            (best.relaxed, way.of(limits), way.goal(goal), way.accuracy),
            (best.robustness, limits, goal, 1.0),
        ):
            again = shake(best.plan, scene, known, of, threshold=wanted.threshold,
                          draws=draws.scaled(factor))  # fmt: skip
            assert again == shaken, way
        assert one.passes == passes(best.relaxed, way.goal(goal))
        assert best.assessment == assess(best.plan, scene, limits, fields=known)
    return planned


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"max_length_mm": 40.0}, "max_length_mm"),
        ({"max_angle_deg": 1.0}, "max_angle_deg"),
    ],
)
def test_what_makes_tracks_impossible_is_named_and_what_makes_room_is_searched(
    scene, change, rule
):
    limits = replace(LIMITS, **change)
    result = searched(scene, limits)
    assert result.suggested is None
    assert result.options == ()
    assert "None of" in str(result.explanation)
    (way,) = result.explanation.relaxations
    assert way.rules[0][0] == rule
    again = searched(scene, way.of(limits))
    assert again.suggested is not None
    assert passes(again.suggested.robustness, GOAL)
    (one,) = ways_counted_again(result, scene, limits, GOAL)
    assert one.passes
    # The way out was searched on a part of the tracks: asked for, it gives that plan or a better.
    assert again.suggested.robustness.outside_mm3 <= one.best.relaxed.outside_mm3


def test_a_plan_that_passes_is_shown_though_one_that_touches_more_beats_it(found):
    """Harm is no goal of the Pareto set, so a plan that does too much can beat one that passes."""
    best = found.suggested
    assert best.robustness.harmless > GOAL.harmless_probability
    touching = replace(
        best,
        robustness=replace(
            best.robustness, harmless=0.5, outside_mm3=best.robustness.outside_mm3 - 1.0
        ),
    )
    shown = _shown([best, touching], GOAL)
    assert shown == (touching, best)
    spoiled = replace(best, robustness=replace(best.robustness, harmless=0.5))
    assert _shown([spoiled, touching], GOAL) == (touching,)


def test_heat_that_must_keep_too_far_away_is_named_with_the_best_compromises(scene):
    """Everything but the targets is protected, so no burn can both reach and keep away."""
    walled = replace(scene, protected=distance_mm(scene.targets, scene.grid) > 4.0)
    result = searched(walled, replace(LIMITS, protect_margin_mm=2.5))
    assert result.suggested is None
    said = str(result.explanation)
    assert "_mm" not in said
    for way in result.explanation.relaxations:
        closer = PLACEMENT if way.accuracy == 1.0 else replace(
            PLACEMENT, **{name: getattr(PLACEMENT, name) * way.accuracy for name in ERRORS}
        )  # fmt: skip
        looser = way.of(replace(LIMITS, protect_margin_mm=2.5))
        again = search(walled, looser, way.goal(GOAL), rng=np.random.default_rng(1),
                       max_pairs=10_000, placement=closer)  # fmt: skip
        assert again.suggested is not None, way
    if result.options:
        found = compromises([o.robustness for o in result.options], GOAL)
        both = result.options[found["both"]].robustness
        assert both.succeeds == max(o.robustness.succeeds for o in result.options)


ERRORS = ("entry_sd_mm", "angle_sd_deg", "depth_sd_mm", "shift_sd_mm")


def test_a_goal_out_of_reach_is_told_with_what_can_be_reached(scene):
    goal = Goal(threshold=0.97)
    small = replace(LIMITS, radii_mm=(3.0,), pull_backs_mm=(10.0,))
    result = searched(scene, small, goal)
    assert result.suggested is None
    assert len(result.options) > 0
    said = str(result.explanation)
    assert "reaches a rate of 97.0% in 90%" in said
    assert "No plan reaches the rate in more than 0% of placements." in said
    assert "there was still no plan with any of these: heat 1 mm" in said
    assert "a rate of 10% as the goal" in said
    ways = result.explanation.trade_offs
    assert len({one.relaxation for one in ways}) == len(ways) >= 4
    planned = ways_counted_again(result, scene, small, goal)
    assert planned
    assert not any(one.passes for one in planned)
    there = searched(mirrored_scene(scene), small, goal).explanation.trade_offs
    for mine, other in zip(ways, there, strict=True):
        assert mine.relaxation == other.relaxation
        if mine.best is not None:
            assert other.best.plan == mirrored_plan(mine.best.plan)
            assert other.best.relaxed == mine.best.relaxed


def test_no_signature_in_the_hippocampus_is_refused(scene):
    with pytest.raises(InputError, match="no signature in the left hippocampus"):
        searched(replace(scene, signature=scene.signature & ~scene.hippocampus), LIMITS)


def test_limits_out_of_range_are_refused():
    with pytest.raises(OptionError, match="max_angle_deg is out of range"):
        Limits(max_angle_deg=120.0)
    with pytest.raises(OptionError, match="radii_mm is empty"):
        Limits(radii_mm=())
    with pytest.raises(OptionError, match="keep_probability is out of range"):
        Goal(keep_probability=1.2)
