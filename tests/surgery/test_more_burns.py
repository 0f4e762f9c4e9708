"""Three burns on one track, held against every way to place them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from falx.surgery.assess import assess
from falx.surgery.burns.more import best_sequences
from falx.surgery.burns.second import best_pairs
from falx.surgery.burns.single import candidate_burns, target_voxels
from falx.surgery.search import search
from falx.surgery.tracks.feasible import find_tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, ablated
from falx.surgery.tracks.limits import Goal, Limits
from falx.surgery.tracks.scene import fields_of
from surgery.phantom import capsules_volume

RADII = (5.0, 6.0, 7.0, 8.0)
LIMITS = Limits(radii_mm=RADII)
WANTED = 0.85


@pytest.fixture(scope="module")
def fields(scene):
    return fields_of(scene)


@pytest.fixture(scope="module")
def pairs(scene, fields):
    tracks = find_tracks(scene, fields, LIMITS, max_pairs=400_000, max_tracks=4000)
    candidates = candidate_burns(scene, tracks, LIMITS)
    found = best_pairs(scene, fields, tracks, candidates, LIMITS, WANTED)
    assert len(found) >= 3
    return found


def collateral(plan, scene):
    """Volume outside the targets, of the capsules themselves rather than of voxels."""
    points, _ = target_voxels(scene)
    inside = ablated(points, plan).sum() * scene.grid.voxel_volume_mm3
    return capsules_volume(plan.burns) - inside


def every_triple(track):
    """Burns behind each other in steps of 5 mm, with every radius."""
    ends = np.arange(5.0, 41.0, 5.0)
    for a, b, c in [
        *itertools.combinations(ends, 3),
        *((0, *two) for two in itertools.combinations(ends, 2)),
    ]:
        for r, s, t in itertools.product(RADII, repeat=3):
            if r != s != t:
                yield LaserPlan(track, (Burn(r, a, 0), Burn(s, b - a, a), Burn(t, c - b, b)))


def test_three_burns_are_the_best_of_all(scene, fields, pairs):
    track = pairs[0].trajectory
    best = np.inf
    for plan in every_triple(track):
        cost = collateral(plan, scene)
        if cost < best:
            found = assess(plan, scene, LIMITS, fields=fields)
            if found.rate >= WANTED and found.protected_mm >= LIMITS.protect_margin_mm - 1e-3:
                best = cost
    (own,) = best_sequences([track], scene, fields, LIMITS, WANTED, burns=3)
    assert collateral(own, scene) == pytest.approx(best, abs=1.0)
    assert best < collateral(pairs[0], scene)


@pytest.mark.parametrize("burns", [2, 3, 4])
def test_what_is_found_keeps_the_rules_and_reaches_the_rate(scene, fields, pairs, burns):
    tracks = [plan.trajectory for plan in pairs[:4]]
    found = best_sequences(tracks, scene, fields, LIMITS, WANTED, burns=burns)
    assert found
    for plan in found:
        own = assess(plan, scene, LIMITS, fields=fields)
        assert own.rate >= WANTED
        assert own.protected_mm >= LIMITS.protect_margin_mm - 1e-3
        assert len(plan.burns) == burns


def test_a_third_burn_joins_the_set_where_no_other_plan_beats_it(scene):
    goal = Goal(threshold=0.7, margin=0.15)

    def least(max_burns):
        found = search(
            scene, LIMITS, goal, rng=np.random.default_rng(1), max_pairs=150_000,
            max_burns=max_burns,
        )  # fmt: skip
        reaching = [o.assessment for o in found.options if o.assessment.rate >= goal.wanted]
        return min(a.tissue.outside_mm3 for a in reaching), {len(a.plan.burns) for a in reaching}

    two, three = least(2), least(3)
    assert three[0] <= two[0]
    assert max(three[1]) == 3


def test_a_rate_out_of_reach_gives_no_plan(scene, fields, pairs):
    assert best_sequences([pairs[0].trajectory], scene, fields, LIMITS, 1.01, burns=3) == []
