"""How a map goes with head motion."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from falx.core.errors import InputError
from falx.maps.motion_correlation import motion_correlation


def test_r_of_every_voxel_is_pearsons(rng):
    data, fd = rng.normal(size=(12, 70_000)).astype(np.float32), rng.random(12)
    data[:, 7] = 3.0
    found = motion_correlation(data, fd)
    some = [scipy.stats.pearsonr(data[:, k], fd)[0] for k in range(300) if k != 7]
    less = motion_correlation(data[:, :300], fd)
    assert less.median == pytest.approx(np.median(some), abs=1e-6)
    assert less.low == pytest.approx(np.quantile(some, 0.05), abs=1e-6)
    assert less.high == pytest.approx(np.quantile(some, 0.95), abs=1e-6)
    # Noise lies beyond the limit at one voxel in twenty; standard error 0.08 %.
    assert found.beyond_percent == pytest.approx(5.0, abs=0.35)


def test_limit_is_the_critical_correlation():
    # Critical r of Fisher and Yates, table VII: 0.6319 for 8 degrees of freedom.
    found = motion_correlation(np.random.default_rng(1).normal(size=(10, 5)), np.arange(10))
    assert found.limit == pytest.approx(0.6319, abs=5e-5)


def test_scale_and_order_of_people_change_nothing(rng):
    data, fd = rng.normal(size=(9, 50)), rng.random(9)
    found, order = motion_correlation(data, fd), rng.permutation(9)
    again = motion_correlation(7.0 * data[order] + 2.0, 3.0 * fd[order])
    assert again.median == pytest.approx(found.median)
    assert again.beyond_percent == found.beyond_percent
    exact = motion_correlation(np.outer(fd, [1.0, -2.0]), fd)
    assert (exact.low, exact.high) == (pytest.approx(-0.9), pytest.approx(0.9))
    assert exact.beyond_percent == 100.0


def test_too_little_is_refused():
    with pytest.raises(InputError, match="needs four people .*3 values"):
        motion_correlation(np.ones((3, 2)), [1, 2, 3])
    with pytest.raises(InputError, match="same for everybody"):
        motion_correlation(np.eye(4), [1, 1, 1, 1])
    with pytest.raises(InputError, match="no voxel varies"):
        motion_correlation(np.ones((4, 2)), [1, 2, 3, 4])
