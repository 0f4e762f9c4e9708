"""People of the resistance study: what is planted lies where it is said to lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.core.grid import apply_affine
from falx.phantom.heads import load_head, symmetric_head
from falx.phantom.resting import (
    PLACES,
    RestingSpec,
    place_mask,
    simulate_person,
    simulate_resting_cohort,
)


@pytest.fixture(scope="module")
def head():
    return symmetric_head(load_head("05"), voxel_mm=3.0)


def test_places_lie_on_their_side(head):
    sides = {
        name: apply_affine(head.affine, np.argwhere(place_mask(head, name)))[:, 0]
        for name in PLACES
    }
    assert (sides["left posterior cerebellum"] < 0).all()
    assert (sides["right precuneus"] > 0).all()
    assert min(len(x) for x in sides.values()) > 50


def test_only_the_first_group_is_changed():
    specs = simulate_resting_cohort({"DRE": 3, "HC": 2}, np.random.default_rng(1))
    assert [spec.group for spec in specs] == ["DRE"] * 3 + ["HC"] * 2
    assert [spec.gm_loss > 0 for spec in specs] == [True] * 3 + [False] * 2
    assert "epilepsy_type" not in specs[-1].clinical


def test_loss_is_the_share_that_was_asked_for():
    spec = RestingSpec(voxel_mm=3.0, gm_loss=0.5)
    short = replace(spec, run=replace(spec.run, shape=(20, 24, 18), voxel_mm=(9.0, 9.0, 9.0),
                                      n_volumes=60))  # fmt: skip
    person = simulate_person(short, np.random.default_rng(2))
    place = person.places["left posterior cerebellum"]
    whole = place.data.sum() * place.grid.voxel_volume_mm3
    assert person.lost_mm3 == pytest.approx(0.5 * whole, rel=0.01)
    assert person.bold.image.data.shape == (20, 24, 18, 60)


def test_impossible_loss_is_refused():
    with pytest.raises(OptionError, match="gm_loss is out of range"):
        RestingSpec(gm_loss=1.5)
