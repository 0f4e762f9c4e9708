"""Intensity scales: what each fixes, what each is blind to, and the way between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import OptionError
from falx.pet.asymmetry import ratio_of_means
from falx.pet.scaling import SCALES, convert, scale_image
from pet.z5 import proportional_from_z5, z5_from_proportional

IMAGES = hnp.arrays(np.float64, (4, 3, 2), elements=st.floats(1.0, 100.0))
ALL = np.ones((4, 3, 2), dtype=bool)


@settings(max_examples=30)
@given(IMAGES)
def test_each_scale_fixes_mean_and_spread_of_its_reference(image):
    assume(image.std() > 0.1)
    spread = image.std() / image.mean()
    for scale, mean, sd in (("proportional", 1, spread), ("z", 0, 1), ("z5", 5, 1)):
        scaled = scale_image(image, ALL, scale=scale)
        assert scaled.image.mean(dtype=float) == pytest.approx(mean, abs=2e-3)
        assert scaled.image.std(dtype=float) == pytest.approx(sd, rel=2e-3)
        assert (scaled.mean, scaled.sd) == (image.mean(), image.std())


@settings(max_examples=30)
@given(IMAGES, st.floats(0.1, 10.0), st.floats(0.0, 50.0))
def test_z_is_blind_to_gain_and_offset_and_proportional_to_gain_alone(image, gain, offset):
    assume(image.std() > 1)
    z = scale_image(image, ALL, scale="z").image
    assert np.allclose(scale_image(gain * image + offset, ALL, scale="z").image, z, atol=1e-3)
    share = scale_image(image, ALL).image
    assert np.allclose(scale_image(gain * image, ALL).image, share, rtol=1e-5)


@settings(max_examples=30)
@given(IMAGES, st.sampled_from(SCALES), st.sampled_from(SCALES), st.sampled_from(SCALES))
def test_a_detour_over_another_scale_changes_nothing(image, first, over, last):
    assume(image.std() > 1)
    start = scale_image(image, ALL, scale=first)
    direct, detour = convert(start, last), convert(convert(start, over), last)
    assert np.allclose(direct.image, detour.image, atol=1e-3)
    assert detour.scale == last
    assert (detour.mean, detour.sd) == (start.mean, start.sd)


def test_only_the_reference_counts():
    image = np.array([[[1.0, 3.0, 100.0]]])
    scaled = scale_image(image, np.array([[[True, True, False]]]), scale="z5")
    assert scaled.image.ravel().tolist() == [4.0, 6.0, 103.0]
    with pytest.raises(OptionError, match="did you mean 'z5'"):
        convert(scaled, "z55")


@given(st.floats(-1.9, -0.01), st.floats(0.5, 20.0), st.floats(0.5, 10.0))
def test_scripts_and_proportional_scale_agree_where_the_mean_is_five_spreads(index, total, sd):
    assert z5_from_proportional(index, total, 5 * sd, sd) == pytest.approx(index, rel=1e-9)


@given(st.floats(-0.5, 0.5), st.floats(1.0, 3.0), st.floats(0.1, 0.4))
def test_the_index_of_a_pair_on_the_z5_scale_is_that_of_its_scaled_values(index, total, sd):
    """Worked from the values: a = S/2 (1 + AI/2), its mirror S/2 (1 - AI/2), mean 1."""
    here, there = total / 2 * (1 + index / 2), total / 2 * (1 - index / 2)
    a, b = ((value - 1) / sd + 5 for value in (here, there))
    assume(a + b > 0.5)
    found = z5_from_proportional(index, total, 1.0, sd)
    assert found == pytest.approx(2 * (a - b) / (a + b), rel=1e-6, abs=1e-9)
    assert proportional_from_z5(found, total, 1.0, sd) == pytest.approx(index, abs=1e-9)


@given(st.floats(0.01, 100.0), st.floats(0.01, 100.0), st.floats(0.1, 10.0))
def test_ratio_of_means_is_bounded_antisymmetric_and_without_unit(here, there, unit):
    ratio = ratio_of_means(here, there)
    assert -2 < ratio < 2
    assert ratio == pytest.approx(-ratio_of_means(there, here))
    assert ratio == pytest.approx(ratio_of_means(unit * here, unit * there))
    assert (ratio > 0) == (here > there)
