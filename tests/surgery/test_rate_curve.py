"""Ablative rate at every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import GridError, InputError, OptionError
from falx.surgery.outcome.ablation import ablative_rate
from falx.surgery.outcome.rate_curve import THRESHOLDS, rate_curve


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_curve_is_the_rate_of_every_threshold(seed):
    rng = np.random.default_rng(seed)
    index = rng.normal(-0.1, 0.1, (6, 5, 4)).astype(np.float32)
    index[0] = np.float32(-0.06)  # exactly on a threshold
    ablation, inside = rng.random((2, 6, 5, 4)) < 0.5
    affine = np.diag([1.0, 2.0, 0.5, 1.0])
    for comparison in ("<=", "<"):
        curve = rate_curve(index, ablation, inside, affine, comparison=comparison)
        for cut, whole, took in zip(
            THRESHOLDS, curve.signature_mm3, curve.ablated_mm3, strict=True
        ):
            signature = index <= cut if comparison == "<=" else index < cut
            rate = ablative_rate(signature, ablation, inside, affine)
            assert (whole, took) == (rate.denominator_mm3, rate.numerator_mm3)


def test_mirrored_masks_give_the_same_curve(rng):
    index = rng.normal(-0.1, 0.1, (6, 5, 4))
    ablation, inside = rng.random((2, 6, 5, 4)) < 0.5
    here = rate_curve(index, ablation, inside, np.eye(4))
    there = rate_curve(index[::-1], ablation[::-1], inside[::-1], np.diag([-1.0, 1, 1, 1]))
    np.testing.assert_array_equal(here.ablated_mm3, there.ablated_mm3)


def test_what_is_no_threshold_is_refused():
    index, mask = np.zeros((2, 2, 2)), np.ones((2, 2, 2), dtype=bool)
    for wrong in ([], [-0.1, -0.2], [-0.1, 0.0]):
        with pytest.raises(InputError, match="must be negative and ascend"):
            rate_curve(index, mask, mask, np.eye(4), thresholds=wrong)
    with pytest.raises(OptionError, match="threshold comparison"):
        rate_curve(index, mask, mask, np.eye(4), comparison=">")
    with pytest.raises(GridError, match="asymmetry and structure"):
        rate_curve(index, mask, mask[:1], np.eye(4))


@settings(max_examples=30)
@given(
    hnp.arrays(np.float32, (4, 3, 3), elements=st.floats(-1, 1, width=32)),
    hnp.arrays(bool, (4, 3, 3)),
    hnp.arrays(bool, (4, 3, 3)),
    st.floats(0.5, 3.0),
)
def test_a_shallower_threshold_never_takes_less(index, ablation, inside, size):
    curve = rate_curve(index, ablation, inside, np.diag([size, size, size, 1]))
    assert (np.diff(curve.signature_mm3) >= 0).all() and (np.diff(curve.ablated_mm3) >= 0).all()
    assert (curve.ablated_mm3 <= curve.signature_mm3 + 1e-9).all()
    assert curve.signature_mm3[-1] <= np.count_nonzero(inside) * size**3 * (1 + 1e-9)
    left = rate_curve(index, ~ablation, inside, np.diag([size, size, size, 1]))
    assert np.allclose(curve.ablated_mm3 + left.ablated_mm3, curve.signature_mm3)


def test_the_thresholds_that_are_kept():
    assert (THRESHOLDS[0], THRESHOLDS[-1], len(THRESHOLDS)) == (-0.5, -0.005, 100)
    assert np.allclose(np.diff(THRESHOLDS), 0.005)
