"""AC–PC millimetres: rigid, right-handed, and the commissures where the template has them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from falx.data.priors import template
from falx.surgery.frames import (
    ABOVE,
    ANTERIOR,
    POSTERIOR,
    acpc_by_template,
    acpc_of,
    carried_back,
)


def points(rng, number=400):
    return rng.uniform(-60, 60, (number, 3))


def turned(rng):
    """A native frame that is turned, moved and a tenth larger than the template's."""
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    q *= np.sign(np.linalg.det(q))
    near = np.linalg.qr(np.eye(3) + 0.15 * (q - q.T))[0]
    near *= np.sign(np.diag(near))
    shift = rng.uniform(-30, 30, 3)
    return lambda p: (np.asarray(p) - shift) @ near.T / 1.1


def bent(p):
    p = np.asarray(p, dtype=float)
    return p + 2.0 * np.sin(p / 25.0) + (1.0, -2.0, 3.0)


def at(matrix, p):
    return np.asarray(p) @ matrix[:3, :3].T + matrix[:3, 3]


def test_places_are_carried_back_through_a_bent_map(rng):
    wanted = rng.uniform(-40, 40, (20, 3))
    found = carried_back(wanted, bent, points(rng))
    assert np.abs(bent(found) - wanted).max() < 0.02


def test_what_the_map_does_not_reach_is_not_a_number(rng):
    def cut(p):
        out = bent(p)
        out[np.abs(np.asarray(p)).max(axis=1) > 30] = np.nan
        return out

    found = carried_back([[0.0, 0, 0], [80.0, 0, 0]], cut, points(rng))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    assert acpc_of(cut, points(rng)) is None


def test_the_frame_is_that_of_the_commissures(rng):
    for seed in range(4):
        to_template = turned(np.random.default_rng(seed))
        matrix = acpc_of(to_template, points(rng))
        assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)
        front, rear, above = carried_back([ANTERIOR, POSTERIOR, ABOVE], to_template, points(rng))
        half = np.linalg.norm(front - rear) / 2
        assert half == pytest.approx(13.905 * 1.1, abs=0.05)
        assert at(matrix, front) == pytest.approx((0, half, 0), abs=1e-6)
        assert at(matrix, rear) == pytest.approx((0, -half, 0), abs=1e-6)
        assert at(matrix, above)[0] == pytest.approx(0, abs=1e-6)
        assert at(matrix, above)[2] > 50


def test_right_stays_right_and_a_mirrored_head_is_mirrored(rng):
    matrix = acpc_of(bent, points(rng))
    mirrored = acpc_of(lambda p: bent(np.asarray(p) * (-1, 1, 1)) * (-1, 1, 1), points(rng))
    assert at(matrix, [30.0, 0, 0])[0] > 20
    # The fiducials lie in the middle plane, so that only the steps of the search differ.
    assert at(mirrored, [-30.0, 5, 5]) * (-1, 1, 1) == pytest.approx(
        at(matrix, [30.0, 5, 5]), abs=0.05
    )


@pytest.mark.parametrize("place", [ANTERIOR, POSTERIOR])
def test_the_commissures_are_where_the_template_is_bright_in_its_middle_plane(place):
    """A place 1.3 mm behind, the front commissure's hind border, would fail."""
    head = template("t1")
    around = np.indices((1, 65, 65)).reshape(3, -1).T * (1, 0.125, 0.125) - (0, 4, 4)
    voxels = (np.array(place) + around - head.affine[:3, 3]) @ np.linalg.inv(head.affine[:3, :3]).T
    bright = ndimage.map_coordinates(head.data.astype(float), voxels.T, order=1)
    near = np.linalg.norm(around, axis=1) <= 1.5
    top = near & (bright >= np.quantile(bright[near], 0.95))
    assert np.linalg.norm(around[top].mean(axis=0)) < 0.8


def test_the_frame_is_the_same_by_either_way_to_the_template():
    turn = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    shift = np.array([3.0, -7.0, 12.0])
    near = np.random.default_rng(1).uniform(-60, 60, (200, 3))
    by_search = acpc_of(lambda mm: (mm - shift) @ turn, near)
    by_template = acpc_by_template(lambda mm: mm @ turn.T + shift)
    np.testing.assert_allclose(by_search, by_template, atol=0.02)
