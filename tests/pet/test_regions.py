"""Regions of the correction and their asymmetry, on boxes whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.grid import SIDES
from falx.pet.pvc import Spread
from falx.pet.regions import (
    NEIGHBOURHOOD_MM,
    PARTS,
    grey_regions,
    regional_asymmetry,
    sided_structures,
    structure_mask,
    volume_weights,
)

SIZES = (2.0, 3.0, 2.5)
ACTIVITIES = st.floats(0.1, 10.0)


def labelled(*places):
    """Labels of a head of 60 × 40 × 40 voxels, one voxel each."""
    labels = np.zeros((60, 40, 40), dtype=np.int32)
    for label, place in places:
        labels[place] = label
    return labels


def spread_with(**volumes):
    """Spread whose regions hold so many voxels."""
    zero = np.zeros((4, 4, 4), np.float32)
    regions = {}
    for name, volume in volumes.items():
        part = zero.copy()
        part.ravel()[:volume] = 1
        regions[name] = part
    return Spread(zero, zero, zero, regions)


def test_surroundings_are_a_ball_of_fifteen_millimetres_in_any_voxel_size():
    centre = np.array((15, 20, 20))
    found = grey_regions(labelled((17, tuple(centre))), SIZES)
    away_mm = np.linalg.norm(
        (np.moveaxis(np.indices((60, 40, 40)), 0, -1) - centre) * SIZES, axis=-1
    )
    expected = (away_mm <= NEIGHBOURHOOD_MM) & (away_mm > 0)
    assert np.array_equal(found["surroundings_of_mesial_left"], expected)
    assert set(found) == {"hippocampus_left", "surroundings_of_mesial_left"}


@settings(max_examples=15)
@given(st.integers(2, 57), st.integers(2, 57))
def test_regions_are_disjoint_and_what_is_near_to_both_sides_is_nobodys(left, right):
    places = ((17, (left, 20, 20)), (54, (right, 25, 20)))
    found = grey_regions(labelled(*places), SIZES)
    assert np.sum(list(found.values()), axis=0).max() == 1
    alone = [grey_regions(labelled(p), SIZES) for p in places]
    for side, own, place in zip(SIDES, alone, places, strict=True):
        name = f"surroundings_of_mesial_{side}"
        assert not (found[name] & ~own[name]).any()
        other = alone[1 - SIDES.index(side)]
        rest = own[name] & ~np.any(list(other.values()), axis=0)
        rest[places[0][1]] = rest[places[1][1]] = False
        assert np.array_equal(found[name], rest), place


def test_labels_that_are_absent_give_no_region():
    assert grey_regions(labelled(), SIZES) == {}
    found = grey_regions(labelled((8, (5, 5, 5)), (26, (9, 9, 9))), SIZES)
    assert set(found) == {"cerebellum", "striatum"}


def test_structures_take_their_own_numbers():
    labels = np.array([17, 53, 18, 54, 10])
    taken = {(name, side): structure_mask(labels, name, side) for name, side in sided_structures()}
    assert len(taken) == 6
    assert taken["hippocampus", "left"].tolist() == [True, False, False, False, False]
    assert taken["amygdala", "right"].tolist() == [False, False, False, True, False]
    assert taken["mesial_temporal", "right"].tolist() == [False, True, False, True, False]


@given(st.integers(1, 60), st.integers(1, 60))
def test_volume_weights_are_shares(first, second):
    spread = spread_with(hippocampus_left=first, amygdala_left=second)
    weights = volume_weights(PARTS["mesial_temporal"], "left", spread.regions, spread)
    assert weights["hippocampus_left"] == pytest.approx(first / (first + second))
    assert sum(weights.values()) == pytest.approx(1)
    assert volume_weights(PARTS["mesial_temporal"], "right", spread.regions, spread) is None


@given(ACTIVITIES, ACTIVITIES, ACTIVITIES, ACTIVITIES, st.floats(0.1, 100.0))
def test_regional_asymmetry_joins_by_volume_and_has_no_unit(hl, hr, al, ar, unit):
    names = [f"{part}_{side}" for part in PARTS["mesial_temporal"] for side in SIDES]
    activities = dict(zip(names, (hl, hr, al, ar), strict=True))
    spread = spread_with(**dict(zip(names, (30, 20, 10, 20), strict=True)))
    found = regional_asymmetry(activities, spread)
    left, right = (30 * hl + 10 * al) / 40, (20 * hr + 20 * ar) / 40
    assert found["mesial_temporal"]["left"] == pytest.approx(2 * (left - right) / (left + right))
    assert found["hippocampus"]["left"] == pytest.approx(2 * (hl - hr) / (hl + hr))
    assert found["amygdala"]["right"] == pytest.approx(2 * (ar - al) / (al + ar))
    scaled = regional_asymmetry({name: unit * a for name, a in activities.items()}, spread)
    for name, sides in found.items():
        assert sides["left"] == -sides["right"]
        assert scaled[name]["left"] == pytest.approx(sides["left"], abs=1e-9)


def test_an_activity_that_is_not_positive_has_no_asymmetry():
    spread = spread_with(hippocampus_left=5, hippocampus_right=5)
    assert regional_asymmetry({"hippocampus_left": 0.0, "hippocampus_right": 1.0}, spread) == {}
    assert regional_asymmetry({"hippocampus_left": 1.0}, spread) == {}
