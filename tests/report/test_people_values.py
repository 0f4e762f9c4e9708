"""Everybody's values inside a page: packed once, rounded little, left out with a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.report.people_values import PeopleValues, packed_people

SHAPE, AFFINE = (6, 5, 4), np.diag([3.0, 3.0, 3.0, 1.0])


@pytest.fixture
def whole() -> PeopleValues:
    values = np.random.default_rng(1).normal(size=(*SHAPE, 6)).astype(np.float32)
    values[0] = np.nan
    people = [f"p{k}" for k in range(6)]
    return PeopleValues("any", "any", people, list("aabbcc"), AFFINE, values, np.eye(6))


def of(packed, number: int) -> np.ndarray:
    """Values of a comparison's people, shape (X, Y, Z, n), as the page reads them."""
    setup = packed.setup[number]
    arrays = {k: packed.arrays[f"people-{k}-{setup['bank']}"] for k in
              ("there", "codes", "low", "step")}  # fmt: skip
    codes = arrays["codes"].reshape(-1, setup["width"])[:, setup["columns"]].astype(float)
    out = np.full((*setup["shape"], len(setup["columns"])), np.nan)
    there = arrays["there"].reshape(setup["shape"]).astype(bool)
    out[there] = np.where(codes == 255, np.nan, arrays["low"][:, None]
                          + arrays["step"][:, None] * codes)  # fmt: skip
    out[packed.arrays[f"people-compared-{number}"].reshape(setup["shape"]) == 0] = np.nan
    return out


def pair_of(whole: PeopleValues) -> PeopleValues:
    """Four of the six, with a plane more that the two others lack."""
    values = whole.values[..., :4].copy()
    values[0] = 7.0 + np.arange(4)
    return replace(whole, name="pair", title="pair", people=whole.people[:4],
                   groups=whole.groups[:4], values=values, adjust=np.eye(4))  # fmt: skip


def test_values_come_back_to_a_step(whole) -> None:
    packed = packed_people([whole])
    step = np.ptp(whole.values[1:], axis=3).max() / 254
    np.testing.assert_allclose(of(packed, 0), whole.values, atol=step / 2 + 1e-6)
    assert packed.told.startswith("Everybody's value is kept on voxels of 3 mm")


def test_maps_that_two_comparisons_share_are_packed_once(whole) -> None:
    pair = pair_of(whole)
    packed = packed_people([pair, whole])
    assert [one["bank"] for one in packed.setup] == [0, 0]
    np.testing.assert_allclose(of(packed, 0), pair.values, atol=0.02)
    np.testing.assert_allclose(of(packed, 1), whole.values, atol=0.02)
    assert np.isnan(of(packed, 1)[0]).all() and np.isfinite(of(packed, 0)[0]).all()


def test_maps_that_differ_are_not_mixed(whole) -> None:
    pair = pair_of(whole)
    other = replace(pair, values=pair.values + 0.5)
    packed = packed_people([other, whole])
    assert {one["bank"] for one in packed.setup} == {0, 1}
    np.testing.assert_allclose(of(packed, 0), other.values, atol=0.02)
    apart = replace(pair, people=["x", "y", "z", "w"])
    assert {one["bank"] for one in packed_people([apart, whole]).setup} == {0, 1}


def test_too_many_values_are_thinned_and_then_left_out_with_a_sentence(whole) -> None:
    packed = packed_people([whole], largest=150)
    assert packed.setup[0]["shape"] == [3, 3, 2] and "voxels of 6 mm" in packed.told
    affine = np.reshape(packed.setup[0]["affine"], (4, 4))
    for place in np.ndindex(3, 3, 2):
        at = np.rint(np.linalg.inv(AFFINE) @ (affine @ [*place, 1.0])).astype(int)[:3]
        np.testing.assert_allclose(of(packed, 0)[place], whole.values[tuple(at)], atol=0.02)
    none = packed_people([whole], largest=10)
    assert none.setup == [] and none.arrays == {}
    assert none.told.startswith("Not kept, because people times voxels are too many")


def test_a_voxel_where_all_are_alike_and_no_comparison_at_all(whole) -> None:
    same = replace(whole, values=np.full_like(whole.values, 2.5))
    assert (of(packed_people([same]), 0) == 2.5).all()
    assert packed_people([]).setup == [] and packed_people([]).told == ""


def test_what_takes_most_is_thinned_first(whole) -> None:
    fine = np.random.default_rng(5).normal(size=(12, 10, 8, 6)).astype(np.float32)
    other = replace(whole, name="fine", affine=np.diag([1.5, 1.5, 1.5, 1.0]), values=fine)
    packed = packed_people([whole, other], largest=2000)
    shapes = {one["name"]: one["shape"] for one in packed.setup}
    assert shapes == {"any": [6, 5, 4], "fine": [6, 5, 4]}
    assert "voxels of 3 mm" in packed.told
