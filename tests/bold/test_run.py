"""Runs that cannot be used are refused with a sentence; slices keep their times."""

from __future__ import annotations

import numpy as np
import pytest

from falx.bold.run import BoldRun, check_repetition_time, slice_order
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.grid import reorient_to_ras

AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])


def run(rng, volumes=120, slices=None):
    data = rng.normal(1000, 10, (4, 5, 6, volumes)).astype(np.float32)
    return BoldRun(data, AFFINE, 2.0, slices)


def test_first_volumes_are_dropped(rng):
    whole = run(rng)
    kept = whole.without_first(5)
    assert np.array_equal(kept.data, whole.data[..., 5:])


def test_short_frozen_and_empty_runs_are_refused(rng):
    with pytest.raises(InputError, match="sub-01: the run is too short .*20 volumes, 15 after"):
        run(rng, 20).without_first(5, where="sub-01")
    frozen = run(rng)
    frozen.data[..., 50] = frozen.data[..., 49]
    with pytest.raises(InputError, match="frozen .*volumes 50 and 51"):
        frozen.without_first(5)
    empty = run(rng)
    empty.data[..., 30] = 0
    with pytest.raises(InputError, match="empty or not finite .*volume 31"):
        empty.without_first(5)


def test_unknown_slice_times_are_a_notice(rng):
    whole = run(rng)
    with pytest.warns(FalxNotice, match="slice times are not known"):
        assert whole.slice_timed() is whole


def test_slice_timing_uses_the_given_axis(rng):
    times = np.linspace(0, 1.5, 6)
    order = slice_order(times, "k", AFFINE, (4, 5, 6), 2.0)
    timed = run(rng, slices=order).slice_timed()
    assert order.axis == 2
    assert not np.array_equal(timed.data, run(rng).data)
    ramp = run(rng, slices=order)
    apart = np.abs(ramp.slice_timed(pad="spm").data - ramp.slice_timed(pad="odd").data)
    assert apart[..., -1].mean() > 5 * apart[..., 60].mean() > 0


@pytest.mark.parametrize("direction", ["k", "k-"])
@pytest.mark.parametrize("flipped", [False, True])
def test_times_follow_their_slices_when_axes_turn(rng, direction, flipped):
    # A volume whose values are the slice times must keep them after turning to RAS+.
    times = np.array([0.0, 1.0, 0.5, 1.5])
    stored = np.zeros((3, 4, 5))
    stored[:] = (times if direction == "k" else times[::-1])[None, :, None]
    # The second axis of the file runs up or down; the third to the front.
    affine = np.zeros((4, 4))
    affine[0, 0], affine[2, 1], affine[1, 2], affine[3, 3] = 3, -4 if flipped else 4, 3, 1
    turned, _ = reorient_to_ras(stored, affine)
    order = slice_order(times, direction.replace("k", "j"), affine, stored.shape, 2.0)
    assert order.axis == 2
    np.testing.assert_array_equal(turned[0, 0, :], order.times_s)


def test_repetition_time():
    assert check_repetition_time(1.0, 2.5) == 2.5
    assert check_repetition_time(2.0, None) == 2.0
    with pytest.raises(InputError, match="contradict each other .*2.5 and 2 s"):
        check_repetition_time(2.5, 2.0)
    with pytest.raises(InputError, match="not known"):
        check_repetition_time(0.0, None)
    with pytest.raises(InputError, match="in seconds"):
        check_repetition_time(2.0, 2000.0)
    with pytest.raises(OptionError, match="SliceEncodingDirection"):
        slice_order([0.0], "z", AFFINE, (4, 5, 1), 2.0)
