"""The search against a planner written again in NumPy, on a phantom head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.core.errors import InputError, OptionError
from falx.surgery.assess import assess, heated_tissue
from falx.surgery.burns.single import candidate_burns, pareto_set, promising_tracks
from falx.surgery.robustness import shake
from falx.surgery.search import search
from falx.surgery.tracks.feasible import find_tracks, pair_codes, target_points
from falx.surgery.tracks.geometry import (
    Burn,
    LaserPlan,
    Trajectory,
    ablation_mask,
    capsule_volume_mm3,
)
from falx.surgery.tracks.head_scene import scene_from_labels
from falx.surgery.tracks.kernels import FEASIBLE
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import distance_mm, fields_of, mirrored_scene
from surgery.phantom import (
    centres,
    head_labels,
    head_signature,
    heated,
    protected_gap,
    same_place,
    track_ok,
)

LIMITS, GOAL = Limits(), Goal()
PAIRS = 30_000


@pytest.fixture(scope="module")
def fields(scene):
    return fields_of(scene)


@pytest.fixture(scope="module")
def found(scene):
    return search(scene, LIMITS, GOAL, rng=np.random.default_rng(5), max_pairs=PAIRS)


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
    kept = promising_tracks(scene, tracks, LIMITS, GOAL.wanted, keep=1000)
    assert len(kept.entries_mm) <= 1000 < len(tracks.entries_mm) / 5
    least = []
    for some in (tracks, kept):
        candidates = candidate_burns(scene, some, LIMITS)
        least.append(candidates.outside_mm3[candidates.rate >= GOAL.wanted].min())
    assert least[1] - least[0] <= 0.01 * capsule_volume_mm3(5.0, 10.0)
    everything = promising_tracks(scene, tracks, LIMITS, GOAL.wanted, keep=10**9)
    assert everything is tracks


def test_pareto_set_equals_the_definition(scene, fields):
    tracks = find_tracks(scene, fields, LIMITS, max_pairs=PAIRS, max_tracks=40)
    candidates = candidate_burns(scene, tracks, LIMITS)
    table = np.stack(
        [
            -candidates.rate,
            np.round(candidates.outside_mm3, 3),
            np.round(tracks.risk_mm, 3)[candidates.track],
        ],
        axis=1,
    )
    table = np.unique(table, axis=0)
    better = (table[:, None] <= table[None]).all(-1) & (table[:, None] < table[None]).any(-1)
    front = table[~better.any(axis=0)]
    rows = pareto_set(candidates, tracks)
    kept = np.stack(
        [
            -candidates.rate[rows],
            np.round(candidates.outside_mm3[rows], 3),
            np.round(tracks.risk_mm, 3)[candidates.track[rows]],
        ],
        axis=1,
    )
    assert np.array_equal(np.unique(kept, axis=0), front)
    assert len(rows) == len(front)


def test_suggested_plan_is_within_one_percent_of_brute_force(scene, fields):
    """Least collateral at the wanted rate, over every track and single burn of the search."""
    rng = np.random.default_rng(1)
    found = search(scene, LIMITS, GOAL, rng=rng, max_pairs=PAIRS, max_burns=1)
    tracks = find_tracks(scene, fields, LIMITS, max_pairs=PAIRS)
    candidates = candidate_burns(scene, tracks, LIMITS)
    reaching = candidates.rate >= GOAL.wanted
    least = candidates.outside_mm3[reaching].min()
    offered = [
        option.assessment for option in found.options if option.assessment.rate >= GOAL.wanted
    ]
    best = min(
        capsule_volume_mm3(a.plan.burns[0].radius_mm, a.plan.burns[0].pull_back_mm)
        - 8.0 * heated(centres(scene.targets, scene.grid), a.plan).sum()
        for a in offered
    )
    assert best <= least + 0.01 * abs(least) + 1e-9


def test_every_option_passes_the_plain_checker(scene, fields, found):
    protected = centres(scene.protected, scene.grid)
    wanted = centres(scene.signature & scene.hippocampus, scene.grid)
    assert len(found.options) > 20
    for option in found.options:
        plan, assessment = option.assessment.plan, option.assessment
        entry, target = np.array(plan.trajectory.entry_mm), np.array(plan.trajectory.target_mm)
        nearest = np.linalg.norm(scene.entries_mm - entry, axis=1).argmin()
        assert track_ok(fields, entry, scene.outward[nearest], target, LIMITS)
        assert protected_gap(protected, plan) >= LIMITS.protect_margin_mm - 0.2
        assert not heated(protected, plan).any()
        assert assessment.rate == pytest.approx(heated(wanted, plan).mean(), abs=1e-12)


def test_suggested_plan_reaches_its_goal_with_the_least_collateral(found):
    chosen = found.suggested
    assert chosen is not None
    assert found.explanation is None
    assert chosen.assessment.rate >= GOAL.wanted
    assert chosen.robustness.reaches >= GOAL.probability
    for option in found.options:
        cheaper = (
            option.assessment.tissue.outside_mm3 < chosen.assessment.tissue.outside_mm3
            and option.assessment.rate >= GOAL.wanted
        )
        assert not cheaper or option.robustness.reaches < GOAL.probability


def test_largest_burn_is_not_what_is_suggested(found):
    assert found.suggested.assessment.rate < max(o.assessment.rate for o in found.options)


def test_same_plan_mirrored(scene, found):
    other = search(mirrored_scene(scene), LIMITS, GOAL, rng=np.random.default_rng(5),
                   max_pairs=PAIRS)  # fmt: skip
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
    result = search(scene, LIMITS, GOAL, rng=np.random.default_rng(5), max_pairs=20_000)
    assert result.suggested.assessment.plan.trajectory.target_mm[0] > 0
    assert assess(result.suggested.assessment.plan, scene, LIMITS).violations == ()


def test_robustness_equals_a_plain_simulation(scene, fields, found):
    plan = found.suggested.assessment.plan
    placement = Placement(draws=10_000)
    ours = shake(plan, scene, fields, LIMITS, threshold=0.5, placement=placement,
                 rng=np.random.default_rng(1))  # fmt: skip
    rng = np.random.default_rng(2)
    points = centres(scene.signature & scene.hippocampus, scene.grid)
    n = 100_000
    entry = np.array(plan.trajectory.entry_mm) + rng.normal(0, 1.0, (n, 3))
    target = np.array(plan.trajectory.target_mm) + rng.normal(0, 1.5, (n, 3))
    radius = plan.burns[0].radius_mm + rng.uniform(-1, 1, n)
    back = entry - target
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    rates = np.empty(n)
    for part in np.array_split(np.arange(n), 50):
        away = points[None] - target[part, None]
        along = np.einsum("dpi,di->dp", away, back[part])
        t = np.clip(along, 0, plan.burns[0].pull_back_mm)
        apart2 = (away**2).sum(-1) - along**2 + (along - t) ** 2
        rates[part] = (apart2 <= radius[part, None] ** 2).mean(axis=1)
    assert ours.reaches == pytest.approx((rates >= 0.5).mean(), abs=0.02)
    assert ours.low_rate == pytest.approx(np.quantile(rates, 0.05), abs=0.01)
    assert ours.holds <= ours.harmless <= 1.0


def test_no_error_of_placement_reaches_surely(scene, fields, found):
    still = Placement(tip_sd_mm=0, entry_sd_mm=0, radius_range_mm=0, draws=100)
    plan, rng = found.suggested.assessment.plan, np.random.default_rng(1)
    result = shake(plan, scene, fields, LIMITS, threshold=GOAL.threshold, placement=still, rng=rng)
    assert result.reaches == result.holds == result.harmless == 1.0
    assert result.low_rate == pytest.approx(found.suggested.assessment.rate)


def test_same_seed_same_plan(scene, found):
    again = search(scene, LIMITS, GOAL, rng=np.random.default_rng(5), max_pairs=PAIRS, threads=2)
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


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"max_length_mm": 40.0}, "max_length_mm"),
        ({"max_angle_deg": 1.0}, "max_angle_deg"),
    ],
)
def test_what_makes_tracks_impossible_is_named(scene, change, rule):
    result = search(scene, replace(LIMITS, **change), GOAL, rng=np.random.default_rng(1),
                    max_pairs=20_000)  # fmt: skip
    assert result.suggested is None
    assert result.options == ()
    ways = {way.rule: way for way in result.explanation.relaxations}
    assert rule in ways
    relaxed = replace(LIMITS, **{rule: ways[rule].needed})
    looser = find_tracks(scene, fields_of(scene), relaxed, max_pairs=300_000)
    assert looser.funnel.feasible > 0
    assert "no track of" in str(result.explanation)


def test_protected_tissue_in_the_way_is_named(scene):
    walled = replace(scene, protected=distance_mm(scene.targets, scene.grid) > 3.0)
    tight = replace(LIMITS, protect_margin_mm=5.0)
    result = search(walled, tight, GOAL, rng=np.random.default_rng(1), max_pairs=20_000)
    assert result.suggested is None
    assert "protect_margin_mm" in {way.rule for way in result.explanation.relaxations}


def test_a_goal_out_of_reach_is_named(scene):
    goal = Goal(threshold=0.97, margin=0.03)
    small = replace(LIMITS, radii_mm=(3.0,), pull_backs_mm=(10.0,))
    result = search(scene, small, goal, rng=np.random.default_rng(1), max_pairs=5_000)
    assert result.suggested is None
    assert len(result.options) > 0
    assert "below threshold and margin (100.0%)" in str(result.explanation)


def test_limits_out_of_range_are_refused():
    with pytest.raises(OptionError, match="max_angle_deg is out of range"):
        Limits(max_angle_deg=120.0)
    with pytest.raises(OptionError, match="radii_mm is empty"):
        Limits(radii_mm=())
    with pytest.raises(OptionError, match="margin is out of range"):
        Goal(threshold=0.9, margin=0.2)
