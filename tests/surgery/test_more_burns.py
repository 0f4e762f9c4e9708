"""Three burns on one track, held against every way to place them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from falx.surgery.assess import assess
from falx.surgery.burns import more
from falx.surgery.burns.misplaced import draw
from falx.surgery.burns.more import sequence_plans
from falx.surgery.burns.single import candidate_burns, target_voxels
from falx.surgery.robustness import shake
from falx.surgery.search import search
from falx.surgery.tracks.feasible import find_tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory, ablated
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import fields_of
from surgery.phantom import capsules_volume

RADII = (5.0, 6.0, 7.0, 8.0)
LIMITS = Limits(radii_mm=RADII)
WANTED = 0.85


@pytest.fixture(scope="module")
def fields(scene):
    return fields_of(scene)


STILL = draw(
    Placement(entry_sd_mm=0, angle_sd_deg=0, depth_sd_mm=0, shift_sd_mm=0, radius_range_mm=0),
    4, np.random.default_rng(1), "left",
)  # fmt: skip


@pytest.fixture(scope="module")
def tracks(scene, fields):
    """Tracks on which a rate of 85 % is possible."""
    found = find_tracks(scene, fields, LIMITS, max_pairs=400_000, max_tracks=4000)
    candidates = candidate_burns(scene, found, LIMITS)
    rows = list(dict.fromkeys(candidates.track[np.argsort(-candidates.rate)].tolist()))[:4]
    ends = zip(found.entries_mm[rows], found.targets_mm[rows], strict=True)
    return [Trajectory(tuple(entry), tuple(target)) for entry, target in ends]


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


def test_three_burns_are_the_best_of_all(scene, fields, tracks):
    track = tracks[0]
    best = np.inf
    for plan in every_triple(track):
        cost = collateral(plan, scene)
        if cost < best:
            found = assess(plan, scene, LIMITS, fields=fields)
            if found.rate >= WANTED and found.protected_mm >= LIMITS.protect_margin_mm - 1e-3:
                best = cost
    own = sequence_plans([track], scene, fields, LIMITS, STILL, WANTED, burns=3)
    reaching = [p for p in own if assess(p, scene, LIMITS, fields=fields).rate >= WANTED]
    assert min(collateral(plan, scene) for plan in reaching) == pytest.approx(best, abs=1.0)


@pytest.mark.parametrize("burns", [2, 3, 4])
def test_what_is_found_keeps_the_rules(scene, fields, tracks, burns):
    found = sequence_plans(tracks, scene, fields, LIMITS, STILL, WANTED, burns=burns)
    assert found
    for plan in found:
        own = assess(plan, scene, LIMITS, fields=fields)
        assert own.protected_mm >= LIMITS.protect_margin_mm - 1e-3
        assert len(plan.burns) == burns


def test_kept_shares_are_those_of_each_plan_judged_alone(scene, fields, tracks):
    """The share counted for all radii at once is that of each plan, judged by the same draws."""
    draws = draw(Placement(), 60, np.random.default_rng(4), "left")
    tight = Limits(radii_mm=RADII, protect_margin_mm=7.0)
    room = more._rooms(tracks[:1], scene, fields, tight, draws)[0]
    stops = (0.0, 10.0, 20.0, 30.0)
    kept = more._kept(stops, room, np.array(RADII), draws, tight.protect_margin_mm)
    seen = set()
    for r, s, t in [(0, 1, 0), (3, 0, 2), (2, 3, 2), (0, 3, 1)]:
        radii = (RADII[r], RADII[s], RADII[t])
        burns = tuple(Burn(radius, 10.0, 10.0 * n) for n, radius in enumerate(radii))
        plan = LaserPlan(tracks[0], burns)
        own = shake(plan, scene, fields, tight, threshold=0.4, draws=draws)
        seen.add(own.holds)
        assert kept[r, s, t] == pytest.approx(own.holds, abs=1.1 / 60)
    assert len(seen) > 1


def test_a_third_burn_may_join_the_set(scene):
    found = search(
        scene, LIMITS, Goal(threshold=0.85), rng=np.random.default_rng(1), max_pairs=20_000,
        max_burns=3, placement=Placement(draws=1000),
    )  # fmt: skip
    assert max(len(option.assessment.plan.burns) for option in found.options) == 3
