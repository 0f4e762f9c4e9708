"""Two burns on one track: counted at once, held against counting one by one."""

from __future__ import annotations

import numpy as np
import pytest

from falx.surgery.assess import assess
from falx.surgery.burns.misplaced import WALK_MM, draw, rooms
from falx.surgery.burns.second import (
    FIRST_MM,
    SECOND_MM,
    STOPS_MM,
    pair_counts,
    pair_plans,
    pair_room,
    pairs_kept,
    union_volume_mm3,
)
from falx.surgery.burns.single import target_voxels
from falx.surgery.robustness import inward_normals, shake
from falx.surgery.search import search
from falx.surgery.tracks.feasible import find_tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory, ablated, capsule_volume_mm3
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import fields_of
from surgery.phantom import capsules_volume

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


def test_kept_shares_of_pairs_are_those_of_each_pair_judged_alone(scene, place):
    fields, tracks = place
    tracks = tracks.take(np.arange(0, 60, 20))
    draws = draw(Placement(), 150, np.random.default_rng(3), "left")
    limits = Limits(protect_margin_mm=5.0)
    radii = np.array(limits.radii_mm)
    normals = inward_normals(tracks.entries_mm, scene)
    room = rooms(fields.space, limits.rules(WALK_MM), normals, tracks.entries_mm,
                 tracks.targets_mm, draws, np.array(STOPS_MM))  # fmt: skip
    kept = pairs_kept(room, radii, draws.radii, limits.protect_margin_mm)
    shares = []
    for n, a, b, r, s in np.ndindex(3, 2, 2, 5, 5):
        stop = FIRST_MM[a]
        burns = (Burn(radii[r], stop), Burn(radii[s], SECOND_MM[b], stop))
        plan = LaserPlan(
            Trajectory(tuple(tracks.entries_mm[n]), tuple(tracks.targets_mm[n])), burns
        )
        own = shake(plan, scene, fields, limits, threshold=0.4, draws=draws)
        shares.append(own.holds)
        assert kept[n, a, b, r, s] == pytest.approx(own.holds, abs=2.1 / 150)
    assert len(set(shares)) > 20


def test_cheap_pairs_are_among_those_to_judge(scene, place):
    """The cheapest of all pairs that reach a rate is picked, whatever it keeps."""
    fields, tracks = place
    tracks = tracks.take(np.arange(0, 60, 6))
    draws = draw(Placement(), 40, np.random.default_rng(3), "left")
    threshold = 0.45
    plans = pair_plans(scene, fields, tracks, LIMITS, draws, threshold)
    points, _ = target_voxels(scene)
    costs = []
    for n, a, b, r, s in np.ndindex(10, 6, 5, 5, 5):
        if r == s:
            continue
        burns = (
            Burn(LIMITS.radii_mm[r], FIRST_MM[a]),
            Burn(LIMITS.radii_mm[s], SECOND_MM[b], FIRST_MM[a]),
        )
        track = Trajectory(tuple(tracks.entries_mm[n]), tuple(tracks.targets_mm[n]))
        plan = LaserPlan(track, burns)
        inside = ablated(points, plan)
        reached = inside[wanted_points(scene)].sum() / wanted_points(scene).sum()
        if reached >= threshold:
            cost = capsules_volume(burns, 0.2) - inside.sum() * scene.grid.voxel_volume_mm3
            costs.append((cost, plan))
    costs.sort(key=lambda pair: pair[0])
    allowed = next(
        plan for _, plan in costs if not assess(plan, scene, LIMITS, fields=fields).violations
    )
    near = [plan for plan in plans if plan.trajectory == allowed.trajectory]
    assert allowed in near
    assert all(len(plan.burns) == 2 for plan in plans)


def wanted_points(scene):
    return (scene.signature & scene.hippocampus)[scene.targets]


def test_a_second_burn_never_costs_more(scene):
    def plans(max_burns):
        rng = np.random.default_rng(1)
        return search(scene, LIMITS, GOAL, rng=rng, max_pairs=30_000, max_burns=max_burns,
                      placement=Placement(draws=2000))  # fmt: skip

    one, two = plans(1), plans(2)
    assert all(len(option.assessment.plan.burns) == 1 for option in one.options)
    assert {len(option.assessment.plan.burns) for option in two.options} == {1, 2}
    least = [found.suggested.robustness.outside_mm3 for found in (one, two)]
    assert least[1] <= least[0]


def test_one_radius_gives_no_pairs(scene, place):
    fields, tracks = place
    draws = draw(Placement(), 20, np.random.default_rng(3), "left")
    limits = Limits(radii_mm=(6.0,))
    assert pair_plans(scene, fields, tracks, limits, draws, 0.4) == []
