"""Where an asymmetry stands among healthy people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.data.asymmetry_norms import asymmetry_norms
from falx.pet.norms import LIMITS, percentile_of


@given(st.sampled_from(sorted(asymmetry_norms())), st.floats(-0.5, 0.5))
def test_sides_are_mirror_images(structure, value):
    left, right = percentile_of(structure, value), percentile_of(structure, -value, side="right")
    assert left.percentile + right.percentile == pytest.approx(100.0)
    assert left.z == pytest.approx(-right.z)


def test_the_signature_of_the_paper_is_no_rarity_in_a_hippocampus():
    """8 % of healthy people are beyond ±.06 there."""
    low, high = (percentile_of("hippocampus", value).percentile for value in (-0.06, 0.06))
    assert 4 < low < 6 and 85 < high < 92


def test_z_counts_from_the_mean():
    norm = asymmetry_norms()["amygdala"]
    assert percentile_of("amygdala", norm.mean - 2 * norm.sd).z == pytest.approx(-2.0)
    assert percentile_of("amygdala", norm.mean, side="left").people == 537


def test_limits_are_told_and_unknown_structures_have_no_norm():
    assert percentile_of("hippocampus", 0.0).source == LIMITS
    assert percentile_of("brain_stem", -0.2) is None
