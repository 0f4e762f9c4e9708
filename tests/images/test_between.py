"""Shape-based interpolation between drawn slices: solids whose slices are known."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import InputError
from falx.images.between import fill_between
from falx.surgery.outcome.ablation import dice

SIZES = (0.9, 0.9, 1.2)


def grid_mm():
    x, y, z = np.meshgrid(*[np.arange(n) - n / 2 for n in (60, 56, 40)], indexing="ij")
    return x * SIZES[0], y * SIZES[1], z * SIZES[2]


def capsule(tilt=0.2):
    """An ablation as a laser makes one: a capsule, 8 mm across its half, leaning in x."""
    x, y, z = grid_mm()
    along = np.clip(z, -12, 12)
    return (x - tilt * along) ** 2 + y**2 + (z - along) ** 2 <= 8.0**2


@pytest.mark.parametrize("every", [2, 3, 4, 6])
def test_a_capsule_drawn_in_every_few_slices_comes_back(every):
    truth = capsule()
    drawn = np.zeros_like(truth)
    seen = np.flatnonzero(truth.any(axis=(0, 1)))
    kept = sorted({*seen[::every].tolist(), int(seen[-1])})
    drawn[..., kept] = truth[..., kept]
    filled = fill_between(drawn, 2, SIZES)
    assert dice(filled.mask, truth) > {2: 0.99, 3: 0.98, 4: 0.97, 6: 0.95}[every]
    assert np.array_equal(filled.mask[..., kept], truth[..., kept])
    assert set(filled.slices) == set(range(kept[0], kept[-1] + 1)) - set(kept)
    assert filled.too_far == () and filled.apart == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_axis_is_filled_alike_and_mirrors_with_its_mask(axis):
    truth = capsule()
    drawn = np.zeros_like(truth)
    seen = np.flatnonzero(truth.any(axis=tuple({0, 1, 2} - {axis})))
    index = [slice(None)] * 3
    index[axis] = seen[::3].tolist()
    drawn[tuple(index)] = truth[tuple(index)]
    filled = fill_between(drawn, axis, SIZES).mask
    assert dice(filled, truth) > 0.93
    assert np.array_equal(fill_between(drawn[::-1], axis, SIZES).mask, filled[::-1])
    turned = fill_between(np.swapaxes(drawn, 0, axis), 0, np.array(SIZES)[_swapped(axis)]).mask
    assert np.array_equal(np.swapaxes(turned, 0, axis), filled)


def _swapped(axis):
    order = [0, 1, 2]
    order[0], order[axis] = order[axis], order[0]
    return order


def test_between_two_discs_lies_the_disc_between():
    x, y, _ = grid_mm()
    radius = np.hypot(x, y)[..., 0]
    drawn = np.zeros(x.shape, bool)
    drawn[..., 10], drawn[..., 20] = radius <= 6, radius <= 12
    filled = fill_between(drawn, 2, SIZES)
    areas = filled.mask.sum(axis=(0, 1)) * SIZES[0] * SIZES[1]
    for n in range(11, 20):
        wanted = np.pi * (6 + 0.6 * (n - 10)) ** 2
        assert areas[n] == pytest.approx(wanted, rel=0.06)


def test_a_shape_at_the_border_of_the_image_keeps_its_size():
    drawn = np.zeros((20, 20, 9), bool)
    drawn[:6, :6, [0, 8]] = True
    assert np.all(fill_between(drawn, 2, (1, 1, 1)).mask[:6, :6])


def test_slices_too_far_apart_and_shapes_that_do_not_meet_are_told():
    drawn = np.zeros((60, 20, 30), bool)
    drawn[5:9, 5:9, 2] = drawn[50:54, 5:9, 8] = True
    drawn[50:54, 5:9, 29] = True
    filled = fill_between(drawn, 2, (1, 1, 1))
    assert filled.apart == ((2, 8),)
    assert filled.too_far == ((8, 29),)
    assert not filled.mask[..., 9:29].any()
    assert np.array_equal(filled.mask[..., [2, 8, 29]], drawn[..., [2, 8, 29]])


def test_nothing_drawn_or_one_slice_gives_nothing_new():
    empty = np.zeros((5, 6, 7), bool)
    assert not fill_between(empty, 0, (1, 1, 1)).mask.any()
    empty[2, 2, 2] = True
    assert fill_between(empty, 0, (1, 1, 1)).slices == ()
    with pytest.raises(InputError, match="axis 0, 1 or 2"):
        fill_between(empty, 3, (1, 1, 1))
