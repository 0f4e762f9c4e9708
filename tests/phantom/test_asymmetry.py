"""Phantoms as asymmetric as people."""

from __future__ import annotations

import numpy as np
import pytest

from falx.data.asymmetry_norms import asymmetry_norms
from falx.phantom.asymmetry import healthy_asymmetry, with_healthy_asymmetry
from falx.phantom.heads import load_head, symmetric_head
from falx.phantom.pet import activity


@pytest.fixture(scope="module")
def coarse():
    return symmetric_head(load_head("12"), voxel_mm=4.0)


def test_the_index_of_the_activity_is_the_drawn_field(coarse):
    exact = activity(coarse, np.random.default_rng(1))
    healthy = with_healthy_asymmetry(exact, coarse, np.random.default_rng(2))
    field = healthy_asymmetry(coarse, np.random.default_rng(2))
    grey = coarse.fraction("GM")
    own, other = healthy[grey], healthy[::-1][grey]
    np.testing.assert_allclose(2 * (own - other) / (own + other), field[grey], atol=1e-5)
    np.testing.assert_array_equal(healthy[~grey], exact[~grey])
    assert np.abs(field[grey]).max() > 0.05


def test_structures_scatter_like_those_of_people(coarse):
    rng = np.random.default_rng(5)
    fields = [healthy_asymmetry(coarse, rng) for _ in range(60)]
    norms = asymmetry_norms()
    for name, label in (("hippocampus", 17), ("amygdala", 18), ("thalamus", 10), ("caudate", 11)):
        inside = coarse.mask(label)
        found = np.std([field[inside].mean() for field in fields])
        # 60 draws know it to 9 %; structures average a field of one smoothness differently.
        assert found == pytest.approx(norms[name].about_zero, rel=0.35), name
