"""Two burns on one track: counted at once, held against counting one by one."""

from __future__ import annotations

import numpy as np
import pytest

from falx.surgery.assess import assess
from falx.surgery.burns.second import (
    PairSettings,
    best_pairs,
    pair_counts,
    pair_room,
    union_volume_mm3,
)
from falx.surgery.burns.single import candidate_burns, target_voxels
from falx.surgery.search import search
from falx.surgery.tracks.feasible import find_tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory, ablated, capsule_volume_mm3
from falx.surgery.tracks.limits import Goal, Limits
from falx.surgery.tracks.scene import fields_of

LIMITS, GOAL = Limits(), Goal()
FIRST, SECOND, RADII = np.array([0.0, 10.0]), np.array([5.0, 20.0]), np.array([4.0, 6.0, 9.0])


@pytest.fixture(scope="module")
def place(scene):
    fields = fields_of(scene)
    return fields, find_tracks(scene, fields, LIMITS, max_pairs=200_000, max_tracks=60)


def test_pairs_are_counted_like_single_points(scene, place):
    _, tracks = place
    points, kinds = target_voxels(scene)
    counts = pair_counts(
        tracks.entries_mm[:4], tracks.targets_mm[:4], points, kinds, FIRST, SECOND, RADII
    )
    for n, a, b, r, s in np.ndindex(counts.shape[:-1]):
        burns = (Burn(RADII[r], FIRST[a]), Burn(RADII[s], SECOND[b], FIRST[a]))
        track = Trajectory(tuple(tracks.entries_mm[n]), tuple(tracks.targets_mm[n]))
        inside = ablated(points, LaserPlan(track, burns))
        assert counts[n, a, b, r, s].tolist() == [
            int((kinds[inside] >> k & 1).sum()) for k in range(3)
        ]


def test_room_is_the_least_distance_along_each_burn(scene, place):
    fields, tracks = place
    room = pair_room(fields.space, tracks.entries_mm, tracks.targets_mm, FIRST, SECOND)
    track = Trajectory(tuple(tracks.entries_mm[0]), tuple(tracks.targets_mm[0]))
    for a, b in np.ndindex(2, 2):
        for part, burn in enumerate((Burn(1.0, FIRST[a]), Burn(1.0, SECOND[b], FIRST[a]))):
            own = assess(LaserPlan(track, (burn,)), scene, LIMITS, fields=fields)
            assert room[0, a, b, part] == pytest.approx(own.protected_mm + 1.0, abs=1e-5)


def test_volume_of_equal_radii_is_one_capsule_and_of_others_lies_between():
    volume = union_volume_mm3(FIRST, SECOND, RADII)
    for a, b, r in np.ndindex(2, 2, 3):
        whole = capsule_volume_mm3(RADII[r], FIRST[a] + SECOND[b])
        assert volume[a, b, r, r] == pytest.approx(whole, rel=1e-3)
    assert np.all(volume[..., 0, 2] > volume[..., 0, 0])
    assert np.all(volume[..., 0, 2] <= volume[..., 2, 2] + 1e-9)


def test_the_cheapest_pair_is_that_of_brute_force(scene, place):
    fields, tracks = place
    tracks = tracks.take(np.arange(0, 60, 6))
    limits = Limits(radii_mm=tuple(RADII))
    candidates = candidate_burns(scene, tracks, limits)
    wanted = float(np.quantile(candidates.rate, 0.7))
    settings = PairSettings(tuple(FIRST), tuple(SECOND), plans=1)
    found = best_pairs(scene, fields, tracks, candidates, limits, wanted, settings=settings)
    points, _ = target_voxels(scene)
    volume = union_volume_mm3(FIRST, SECOND, RADII)
    costs = []
    for n, a, b, r, s in np.ndindex(len(tracks.entries_mm), 2, 2, 3, 3):
        burns = (Burn(RADII[r], FIRST[a]), Burn(RADII[s], SECOND[b], FIRST[a]))
        track = Trajectory(tuple(tracks.entries_mm[n]), tuple(tracks.targets_mm[n]))
        plan = LaserPlan(track, burns)
        own = assess(plan, scene, limits, fields=fields)
        if r != s and own.rate >= wanted and own.protected_mm >= limits.protect_margin_mm:
            inside = ablated(points, plan).sum() * scene.grid.voxel_volume_mm3
            costs.append((round(volume[a, b, r, s] - inside, 3), plan))
    assert found == [min(costs, key=lambda pair: pair[0])[1]]


def test_a_second_burn_joins_the_set_where_no_other_plan_beats_it(scene):
    def plans(max_burns):
        rng = np.random.default_rng(1)
        return search(scene, LIMITS, GOAL, rng=rng, max_pairs=150_000, max_burns=max_burns)

    one, two = plans(1), plans(2)
    assert all(len(option.assessment.plan.burns) == 1 for option in one.options)
    numbers = [len(option.assessment.plan.burns) for option in two.options]
    assert set(numbers) == {1, 2}
    least = [found.suggested.assessment.tissue.outside_mm3 for found in (one, two)]
    assert least[1] <= least[0]
    tissue = [option.assessment.tissue.outside_mm3 for option in two.options]
    assert tissue == sorted(tissue)


def test_a_rate_out_of_reach_gives_no_pairs(scene, place):
    fields, tracks = place
    candidates = candidate_burns(scene, tracks, LIMITS)
    assert best_pairs(scene, fields, tracks, candidates, LIMITS, 1.01) == []
