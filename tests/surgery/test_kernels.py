"""Walks through distance fields whose answers can be written down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.surgery.burns.kernels import burn_counts, pareto_keep
from falx.surgery.burns.second import union_volume_mm3
from falx.surgery.tracks.geometry import capsule_volume_mm3
from falx.surgery.tracks.kernels import (
    ROUNDING_MM,
    Rules,
    Space,
    clear_walk,
    heat_limits,
    to_voxel,
    track_profiles,
    trilinear,
)

SHAPE = (30, 24, 20)
SIZE_MM = 2.0
TO_VOXEL = np.diag([1 / SIZE_MM, 1 / SIZE_MM, 1 / SIZE_MM, 1.0])
INSIDE = st.tuples(*[st.floats(0, n - 1.001) for n in SHAPE])
PLACES_MM = st.tuples(*[st.floats(2, SIZE_MM * (n - 2)) for n in SHAPE])
SLOPES = st.tuples(*[st.floats(-2, 2)] * 4)


def linear(a, b, c, d):
    x, y, z = np.indices(SHAPE)
    return (a * x + b * y + c * z + d).astype(np.float32)


def space_of(clearance, protected=None, exempt=None):
    nothing = np.zeros(SHAPE, bool)
    far = np.full(SHAPE, 100.0, np.float32)
    return Space(
        clearance,
        far if protected is None else protected,
        nothing if exempt is None else exempt,
        TO_VOXEL,
        far,
    )


def rules(*, near=2.0, far=10.0, margin=2.0):
    return Rules(120.0, 0.8, near, margin, far, 0.25, 10.0)


@given(SLOPES, INSIDE)
def test_a_linear_field_is_read_exactly_between_voxels(slopes, point):
    expected = np.dot(slopes[:3], point) + slopes[3]
    assert trilinear(linear(*slopes), *point) == pytest.approx(expected, abs=1e-4)


@given(hnp.arrays(np.float32, (3, 3, 3), elements=st.floats(0, 9, width=32)), SLOPES)
def test_beyond_the_border_the_borders_value_holds(field, where):
    x, y, z = (float(v) * 5 for v in where[:3])
    inside = np.clip((x, y, z), 0, 2)
    assert trilinear(field, x, y, z) == pytest.approx(trilinear(field, *inside), abs=1e-4)
    assert field.min() - 1e-4 <= trilinear(field, x, y, z) <= field.max() + 1e-4


@given(PLACES_MM)
def test_voxel_coordinates_follow_the_affine(point):
    turned = np.array([[0, 2, 0, 1], [-1, 0, 0, 5], [0, 0, 3, -2], [0, 0, 0, 1.0]])
    x, y, z = point
    assert np.allclose(to_voxel(turned, np.array(point)), [2 * y + 1, 5 - x, 3 * z - 2])


@settings(max_examples=60)
@given(PLACES_MM, PLACES_MM, st.floats(0, 25), st.floats(0.5, 8.0))
def test_a_track_is_clear_if_its_nearest_end_is_clear_of_a_plane(start, stop, height, least):
    """The field is the distance to the plane x = height, on one side of it."""
    assume(np.linalg.norm(np.subtract(start, stop)) > 10)
    x_mm = SIZE_MM * np.indices(SHAPE)[0]
    field = np.abs(x_mm - SIZE_MM * round(height)).astype(np.float32)
    beyond = [start[0] - SIZE_MM * round(height), stop[0] - SIZE_MM * round(height)]
    assume(beyond[0] * beyond[1] > 0)
    nearest = min(map(abs, beyond))
    assume(abs(nearest - least) > 2 * ROUNDING_MM)
    ends = [to_voxel(TO_VOXEL, np.array(p)) for p in (start, stop)]
    length = float(np.linalg.norm(np.subtract(start, stop)))
    assert clear_walk(space_of(field), *ends, length, least, 0.25) == (nearest > least)
    everywhere = np.ones(SHAPE, bool)
    assert clear_walk(space_of(field, exempt=everywhere), *ends, length, least, 0.25)


def test_a_track_exactly_on_the_limit_is_kept_and_one_below_is_not():
    field = np.full(SHAPE, 3.0, np.float32)
    ends = np.array([2.0, 2.0, 2.0]), np.array([20.0, 12.0, 8.0])
    for least, clear in ((3.0, True), (3.0 + 0.9 * ROUNDING_MM, True), (3.01, False)):
        assert clear_walk(space_of(field), *ends, 40.0, least, 0.25) == clear


@given(PLACES_MM, PLACES_MM, st.floats(0.0, 15.0), st.floats(0.5, 4.0), st.floats(5.0, 14.0))
def test_risk_of_a_constant_distance_is_its_share_of_the_length(entry, target, room, near, far):
    length = float(np.linalg.norm(np.subtract(entry, target)))
    assume(length > 10)
    field = np.full(SHAPE, room, np.float32)
    ends = np.array([entry]), np.array([target])
    clearance, risk = track_profiles(space_of(field), *ends, rules(near=near, far=far))[0]
    assert clearance == pytest.approx(room, abs=1e-4)
    share = np.clip((far - np.float32(room)) / (far - near), 0, 1)
    assert risk == pytest.approx(share * length, rel=1e-5, abs=1e-5)


def test_exempt_tissue_has_no_risk_and_no_clearance():
    field = np.zeros(SHAPE, np.float32)
    exempt = np.ones(SHAPE, bool)
    ends = np.array([[4.0, 4, 4]]), np.array([[40.0, 30, 20]])
    clearance, risk = track_profiles(space_of(field, exempt=exempt), *ends, rules())[0]
    assert clearance == np.inf
    assert risk == 0
    exempt[10:] = False
    half = track_profiles(space_of(field, exempt=exempt), *ends, rules())[0]
    assert half[0] == 0
    length = np.linalg.norm(ends[0] - ends[1])
    share = (40 - 19) / (40 - 4)  # voxel 10 begins at 9.5, that is 19 mm
    assert half[1] == pytest.approx(share * length, rel=0.02)


@settings(max_examples=60)
@given(PLACES_MM, PLACES_MM, st.floats(0, 5))
def test_heat_is_limited_by_the_nearest_place_of_the_burn_to_a_plane(entry, target, margin):
    """Protected is the plane x = 0; the burn begins at the target and goes back to the entry."""
    length = float(np.linalg.norm(np.subtract(entry, target)))
    assume(length > 20)
    field = (SIZE_MM * np.indices(SHAPE)[0]).astype(np.float32)
    lengths = np.array([0.0, 5.0, 12.5, 20.0])
    ends = np.array([entry]), np.array([target])
    found = heat_limits(space_of(field, field), *ends, lengths, rules(margin=margin))[0]
    slope = (entry[0] - target[0]) / length
    expected = target[0] + np.minimum(slope * lengths, 0) - margin
    assert np.allclose(found, expected, atol=1e-3)
    assert (np.diff(found) <= 1e-6).all()


SCORES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30
)


@given(SCORES)
def test_the_front_holds_what_nothing_beats(scores):
    rows = np.array(sorted(scores, key=lambda r: (-r[0], r[1], r[2])), dtype=float)
    keep = pareto_keep(*(np.ascontiguousarray(column) for column in rows.T))
    kept = rows[keep]
    for n, (gain, cost, risk) in enumerate(rows):
        as_good = (kept[:, 0] >= gain) & (kept[:, 1] <= cost) & (kept[:, 2] <= risk)
        assert as_good.any()
        better = as_good & (kept != rows[n]).any(axis=1)
        if keep[n]:
            assert not better.any()
    assert len(np.unique(kept, axis=0)) == len(kept)


@settings(max_examples=40)
@given(
    hnp.arrays(np.float64, (40, 3), elements=st.floats(-12, 12)),
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.3),
)
def test_counts_of_burns_are_points_within_a_radius_of_the_axis(points, way):
    """The target is the origin; every burn reaches back along one direction."""
    points = np.round(points, 2)
    back = np.array(way) / np.linalg.norm(way)
    entry, target = 60 * back[None], np.zeros((1, 3))
    pull_backs, radii = np.array([0.0, 6.0, 11.0]), np.array([3.0, 5.0, 8.0])
    kinds = (np.arange(40) % 8).astype(np.uint8)
    free = np.full((1, 3), 20.0, np.float32)
    found = burn_counts(entry, target, free, points, kinds, pull_backs, radii)[0]
    along = points @ back
    for b, pull_back in enumerate(pull_backs):
        nearest = np.clip(along, 0, pull_back)[:, None] * back
        away = np.linalg.norm(points - nearest, axis=1)
        assume(np.abs(away[:, None] - radii).min() > 1e-4)
        for r, radius in enumerate(radii):
            for k in range(3):
                expected = np.count_nonzero((away <= radius) & (kinds >> k & 1 == 1))
                assert found[b, r, k] == expected


def test_burns_that_heat_protected_tissue_count_nothing():
    points, kinds = np.zeros((1, 3)), np.array([1], np.uint8)
    ends = np.array([[0.0, 0, 50]]), np.zeros((1, 3))
    room = np.array([[6.0, 4.0, 2.0]], np.float32)
    lengths, radii = np.array([0.0, 5.0, 10.0]), np.array([3.0, 5.0])
    found = burn_counts(*ends, room, points, kinds, lengths, radii)[0, ..., 0]
    assert found.tolist() == [[1, 1], [1, 1], [0, 0]]


@settings(max_examples=30)
@given(st.floats(0, 25), st.floats(1, 25), st.floats(4, 9))
def test_two_equal_burns_are_one_longer_burn(first, second, radius):
    found = union_volume_mm3(np.array([first]), np.array([second]), np.array([radius]))
    assert found.item() == pytest.approx(capsule_volume_mm3(radius, first + second), rel=2e-3)


@settings(max_examples=30)
@given(st.floats(0, 25), st.floats(1, 25), st.floats(4, 6), st.floats(0.5, 3))
def test_a_wider_burn_adds_to_a_narrower_one_and_never_more_than_itself(first, second, thin, more):
    radii = np.array([thin, thin + more])
    table = union_volume_mm3(np.array([first]), np.array([second]), radii)[0, 0]
    thin_all, wide_all = (capsule_volume_mm3(r, first + second) for r in radii)
    for mixed in (table[0, 1], table[1, 0]):
        assert thin_all * 0.998 < mixed < wide_all * 1.002
    parts = capsule_volume_mm3(radii[0], first) + capsule_volume_mm3(radii[1], second)
    assert table[0, 1] < parts * 1.002
