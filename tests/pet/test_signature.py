"""Thresholds, rules and presets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from falx.core.errors import FalxNotice, OptionError, collect_notices
from falx.core.grid import box_grid
from falx.pet.asymmetry import asymmetry_index
from falx.pet.presets import PRESETS, PetSettings, preset
from falx.pet.scaling import scale_image
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.pet.signature import (
    DEFAULT_THRESHOLD,
    PUBLISHED_THRESHOLD,
    Confinement,
    Rule,
    Threshold,
    index_on_scale,
    remove_small_clusters,
    resolve_side,
    signature_mask,
)

GRID = box_grid((-10, -4, -4), (10, 4, 4), 2.0)
X_MM = GRID.centres_mm()[..., 0]


def confinement(gm=1.0):
    return Confinement(np.broadcast_to(gm, GRID.shape), X_MM, GRID.voxel_volume_mm3)


def test_rule_keeps_to_side_and_grey_matter():
    index = np.full(GRID.shape, -0.2)
    left = signature_mask(
        index, "proportional", DEFAULT_THRESHOLD, Rule(0.2, "left"), confinement()
    )
    assert np.array_equal(left, X_MM < 0)
    none = signature_mask(index, "proportional", DEFAULT_THRESHOLD, Rule(0.2), confinement(0.1))
    assert not none.any()


def test_equality_counts_only_where_the_comparison_says():
    index = np.array([DEFAULT_THRESHOLD.value])
    strict = dataclasses.replace(DEFAULT_THRESHOLD, comparison="<")
    here = Confinement(np.ones(1), np.zeros(1), 1.0)
    masks = [
        signature_mask(index.reshape(1, 1, 1), "proportional", t, Rule(), here)
        for t in (DEFAULT_THRESHOLD, strict)
    ]
    assert masks[0].all() and not masks[1].any()


def test_small_clusters_go():
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[0, 0, 0] = mask[3:, 3:, 3:] = True
    kept = remove_small_clusters(mask, 2.0, 10.0)
    assert kept.sum() == 8 and not kept[0, 0, 0]


def test_published_threshold_is_applied_on_its_own_scale(rng):
    """The z + 5 index of any stored scale is the same, so the mask is."""
    image = rng.uniform(2.0, 6.0, GRID.shape)
    every = np.ones(GRID.shape, dtype=bool)
    masks = []
    for scale in ("proportional", "z", "z5"):
        scaled = scale_image(image, every, scale=scale)
        index = index_on_scale(scaled, GRID, every, "z5").index
        masks.append(signature_mask(index, "z5", PUBLISHED_THRESHOLD, Rule(), confinement()))
    assert masks[0].any()
    assert np.array_equal(masks[0], masks[2]) and np.array_equal(masks[0], masks[1])
    unconverted = asymmetry_index(image, GRID, every).index <= PUBLISHED_THRESHOLD.value
    assert unconverted.sum() != masks[0].sum()


@pytest.mark.parametrize(("left", "right", "side"), [(-0.1, 0.1, "left"), (0.1, -0.1, "right")])
def test_side_is_found_and_said(left, right, side):
    with pytest.warns(FalxNotice, match=f"no side was declared; the {side}"):
        assert resolve_side("auto", left, right) == side


def test_declared_side_against_the_image_is_said():
    with pytest.warns(FalxNotice, match="declared on the right, but the other"):
        assert resolve_side("right", -0.1, 0.1) == "right"


def test_doubtful_side_is_said():
    with collect_notices() as notices:
        resolve_side("auto", -0.005, 0.005)
    assert "the side is doubtful" in notices[1]


def test_unknown_words_are_refused():
    with pytest.raises(OptionError, match="side"):
        resolve_side("links", -0.1, 0.1)
    with pytest.raises(OptionError, match="threshold scale"):
        Threshold(-0.1, "percent", "<=", "test")
    with pytest.raises(OptionError, match="threshold is out of range"):
        Threshold(0.1, "z5", "<=", "test")
    with pytest.raises(OptionError, match="did you mean 'pet.psf_fwhm_mm'"):
        preset("corrected", {"pet.fwhm": 3})
    with pytest.raises(OptionError, match="did you mean 'mo2025_text'"):
        preset("mo2025_txt")


def test_presets_tie_the_published_number_to_its_scale():
    for name in PRESETS:
        rule = preset(name).signature
        published = rule.threshold == PUBLISHED_THRESHOLD.value
        assert published == name.startswith("mo2025")
        assert rule.threshold_scale == ("z5" if published else "proportional")


def test_presets_hold_what_the_scripts_and_the_text_say():
    script, text = preset("mo2025_script"), preset("mo2025_text")
    assert (script.pet.method, script.asymmetry.scale) == ("none", "z5")
    assert (text.pet.method, text.pet.smoothing_fwhm_mm, text.asymmetry.scale) == ("mg3", 6, "z")
    for found in (script, text):
        assert found.asymmetry.smoothing_fwhm_mm == 0
        assert (found.signature.gm_floor, found.signature.ipsilateral_only) == (0, False)
    assert preset("corrected") == PetSettings()


def test_a_change_goes_before_the_preset():
    changed = preset("mo2025_script", {"signature.gm_floor": 0.5})
    assert changed.signature.gm_floor == 0.5
    assert changed.pet == preset("mo2025_script").pet


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Correction, "floor", 0.01),
        (Correction, "method", "mg4"),
        (AsymmetrySettings, "reference", "whole"),
        (AsymmetrySettings, "voxel_mm", 0.5),
        (SignatureRule, "threshold", 0.1),
        (SignatureRule, "gm_floor", 1.5),
        (SignatureRule, "threshold_comparison", ">"),
    ],
)
def test_settings_are_checked_as_they_are_made(kind, name, value):
    with pytest.raises(OptionError, match=name):
        kind(**{name: value})


INDICES = hnp.arrays(np.float32, GRID.shape, elements=st.floats(-1, 1, width=32))
CUTS = st.floats(-1.0, -0.01)


def mask_of(index, value, *, rule=None, comparison="<=", gm=1.0):
    threshold = Threshold(value, "z5", comparison, "test")
    return signature_mask(index, "z5", threshold, rule or Rule(), confinement(gm))


@settings(max_examples=30)
@given(INDICES, CUTS, CUTS)
def test_a_deeper_threshold_takes_a_part_of_what_a_shallower_one_takes(index, one, other):
    deep, shallow = sorted((one, other))
    assert not (mask_of(index, deep) & ~mask_of(index, shallow)).any()
    assert np.array_equal(mask_of(index, deep), index <= np.float32(deep))


@settings(max_examples=30)
@given(INDICES, CUTS)
def test_both_sides_together_are_the_whole_but_for_the_midline(index, value):
    left, right = (mask_of(index, value, rule=Rule(side=side)) for side in ("left", "right"))
    assert not (left & right).any()
    assert np.array_equal(left | right, mask_of(index, value) & (X_MM != 0))
    assert not left[X_MM >= 0].any()


@settings(max_examples=30)
@given(INDICES, st.floats(0.05, 0.95))
def test_the_floor_asks_for_more_grey_matter_than_itself(index, floor):
    gm = np.linspace(0, 1, index.size).reshape(index.shape)
    found = mask_of(index, -0.1, rule=Rule(gm_floor=floor), gm=gm)
    assert np.array_equal(found, mask_of(index, -0.1) & (gm > floor))
    exact = mask_of(index, -0.1, rule=Rule(gm_floor=0.5), gm=0.5)
    assert not exact.any()


@settings(max_examples=30)
@given(hnp.arrays(bool, (6, 5, 4)), st.floats(0.5, 12.0), st.floats(0.5, 12.0))
def test_clusters_go_whole_or_stay_whole(mask, one, other):
    small, large = sorted((one, other))
    loose, strict = (remove_small_clusters(mask, 0.5, least) for least in (small, large))
    assert not (loose & ~mask).any() and not (strict & ~loose).any()
    assert np.array_equal(remove_small_clusters(loose, 0.5, small), loose)
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))
    for n in range(1, count + 1):
        cluster = labels == n
        stays = cluster.sum() * 0.5 >= large - 1e-9
        assert strict[cluster].all() if stays else not strict[cluster].any()


def test_a_cluster_of_exactly_the_least_volume_stays_and_corners_do_not_join():
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 0] = True
    assert np.array_equal(remove_small_clusters(mask, 1.0, 2.0), mask)
    mask[1, 1, 0] = False
    mask[1, 1, 1] = True
    assert not remove_small_clusters(mask, 1.0, 2.0).any()
    assert remove_small_clusters(mask, 1.0, 0.0) is mask


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_the_side_turns_with_the_image(left, right):
    with collect_notices() as notices:
        here, there = resolve_side("auto", left, right), resolve_side("auto", right, left)
    if left != right:
        assert here == ("left" if left < right else "right")
        assert here != there
    doubtful = any("doubtful" in text for text in notices)
    assert doubtful == (abs(left - right) < 0.03)


@given(st.sampled_from(["left", "right"]), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_what_is_declared_is_the_side_whatever_the_image_says(declared, left, right):
    with collect_notices() as notices:
        assert resolve_side(declared, left, right) == declared
    lower = "left" if left < right else "right"
    against = lower != declared and abs(left - right) >= 0.03
    assert bool(notices) == against


@settings(max_examples=30)
@given(st.data())
def test_the_index_on_a_scale_is_that_of_the_image_scaled_at_once(data):
    image = data.draw(hnp.arrays(np.float64, GRID.shape, elements=st.floats(1, 9)))
    assume(image.std() > 0.5)
    everywhere = np.ones(GRID.shape, bool)
    for scale in ("proportional", "z5"):
        direct = asymmetry_index(
            scale_image(image, everywhere, scale=scale).image, GRID, everywhere
        )
        start = scale_image(image, everywhere, scale="z")
        found = index_on_scale(start, GRID, everywhere, scale)
        safe = np.abs(direct.index) < 1.5
        assert np.allclose(found.index[safe], direct.index[safe], atol=5e-3)
