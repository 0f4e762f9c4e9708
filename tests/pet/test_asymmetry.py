"""The asymmetry index: its formula, its symmetry, its scales (checks A1 to A4)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import GridError, InputError, collect_notices
from falx.core.files import read_table
from falx.core.grid import box_grid, mirror, reorient_to_ras
from falx.pet.asymmetry import (
    asymmetry_index,
    ratio_of_means,
)
from falx.pet.maps import TemplateImage
from falx.pet.scaling import convert, scale_image
from falx.pet.signature import PUBLISHED_THRESHOLD, threshold_mask
from falx.pet.steps import _positive
from pet.z5 import proportional_from_z5, z5_from_proportional
from strategies import ORIENTATIONS, store

GRID = box_grid((-6, -4, -4), (6, 4, 4), 2.0)
IMAGES = hnp.arrays(np.float64, GRID.shape, elements=st.floats(0.1, 10.0))
ALL = np.ones(GRID.shape, dtype=bool)


@settings(max_examples=30, deadline=None)
@given(IMAGES)
def test_index_is_antisymmetric(image):
    index = asymmetry_index(image, GRID, ALL).index
    assert np.abs(index + mirror(index, GRID)).max() < 1e-6


@settings(max_examples=30, deadline=None)
@given(IMAGES)
def test_mirrored_input_gives_the_negative(image):
    index = asymmetry_index(image, GRID, ALL).index
    assert np.array_equal(asymmetry_index(mirror(image, GRID), GRID, ALL).index, -index)


@settings(max_examples=30, deadline=None)
@given(IMAGES, st.floats(1e-3, 1e4))
def test_proportional_index_does_not_depend_on_the_unit(image, factor):
    a = asymmetry_index(scale_image(image, ALL).image, GRID, ALL).index if np.ptp(image) else 0
    if np.ptp(image) > 1e-3:
        b = asymmetry_index(scale_image(factor * image, ALL).image, GRID, ALL).index
        assert np.allclose(a, b, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(IMAGES)
def test_z5_conversion_is_exact(image):
    if image.std() < 1e-2:
        return
    scaled = scale_image(image, ALL, scale="proportional")
    own = asymmetry_index(image, GRID, ALL).index
    z5 = convert(scaled, "z5").image
    pair_z5 = z5 + mirror(z5, GRID)
    kept = np.abs(pair_z5) > 0.5
    direct = asymmetry_index(z5, GRID, ALL).index
    total = image + mirror(image, GRID)
    formula = z5_from_proportional(own, total, scaled.mean, scaled.sd)
    assert np.allclose(formula[kept], direct[kept], rtol=1e-3, atol=1e-4)
    back = proportional_from_z5(formula, total, scaled.mean, scaled.sd)
    assert np.allclose(back, own, atol=1e-6)


@pytest.mark.parametrize("scale", ["proportional", "z", "z5"])
def test_scales_convert_back_and_forth(scale, rng):
    image = rng.uniform(1, 5, GRID.shape)
    first = scale_image(image, ALL, scale=scale)
    for other in ("proportional", "z", "z5"):
        there_and_back = convert(convert(first, other), scale)
        assert np.allclose(there_and_back.image, first.image, atol=1e-5)
        assert np.allclose(
            convert(first, other).image, scale_image(image, ALL, scale=other).image, atol=1e-5
        )


def test_planted_depth_gives_the_known_index():
    image = np.full(GRID.shape, 4.0)
    planted = np.zeros(GRID.shape, dtype=bool)
    planted[1, 2, 2] = True
    for depth in (0.05, 0.15, 0.4):
        index = asymmetry_index(np.where(planted, 4 * (1 - depth), image), GRID, ALL).index
        assert index[1, 2, 2] == pytest.approx(-depth / (1 - depth / 2), abs=1e-6)


def test_one_sided_mask_has_no_index():
    mask = ALL.copy()
    mask[:3] = False
    result = asymmetry_index(np.ones(GRID.shape), GRID, mask)
    assert not result.valid[0].any() and not result.valid[-1].any()
    assert not result.index[~result.valid].any()


def test_asymmetric_grid_is_refused():
    grid = box_grid((-6, -4, -4), (6, 4, 4), 2.0)
    affine = grid.affine.copy()
    affine[0, 3] += 1.0
    shifted = type(grid)(grid.shape, affine)
    with pytest.raises(GridError, match="not symmetric about x = 0"):
        asymmetry_index(np.ones(GRID.shape), shifted, ALL)


def test_any_storage_order_gives_the_same_index(rng):
    image = rng.uniform(1, 5, GRID.shape).astype(np.float32)
    expected = asymmetry_index(image, GRID, ALL).index
    for orientation in ORIENTATIONS:
        data, affine = reorient_to_ras(*store(image, GRID.affine, orientation))
        assert np.allclose(affine, GRID.affine)
        assert np.array_equal(asymmetry_index(data, GRID, ALL).index, expected)


def test_published_threshold_is_the_cohort_median(reference):
    asymmetry = read_table(reference / "mo2025/patients_volumes.csv").numbers("pet")
    assert np.median(asymmetry) == pytest.approx(PUBLISHED_THRESHOLD.value, abs=1e-10)


def test_published_threshold_is_refused_on_another_scale():
    with pytest.raises(InputError, match="belongs to another intensity scale"):
        threshold_mask(np.array([-0.1]), "proportional", PUBLISHED_THRESHOLD)


def test_ratio_reproduces_volume_asymmetry_of_a_public_cohort(reference):
    """ds004469: ratio (L - R) / mean of the hippocampal volumes, group means."""
    table = read_table(reference / "ds004469/hippocampal_volumes.tsv")
    volumes = zip(table.numbers("left"), table.numbers("right"), strict=True)
    ratios = np.array([ratio_of_means(*pair) for pair in volumes])
    groups = np.array(table.texts("side"))
    expected = {"Healthy": -0.0024, "Left-TLE": -0.1257, "Right-TLE": 0.1578, "Bi-TLE": -0.0025}
    for group, value in expected.items():
        assert ratios[groups == group].mean() == pytest.approx(value, abs=1e-4), group


def test_scaling_needs_signal_in_its_reference():
    with pytest.raises(InputError, match="reference region for intensity scaling is empty"):
        scale_image(np.ones(GRID.shape), ~ALL)
    with pytest.raises(InputError, match="cannot be scaled"):
        scale_image(np.zeros(GRID.shape), ALL)


def test_where_a_correction_took_more_than_there_was_no_index_is_defined():
    grid = box_grid((-2.0, 0, 0), (2.0, 9, 0), 1.0)
    data = np.ones(grid.shape, np.float32)
    data[0, 0, 0] = -0.1
    image = TemplateImage(data, np.ones(grid.shape, bool), grid)
    with collect_notices() as notices:
        kept = _positive(image, "PET")
    found = asymmetry_index(kept.data, grid, kept.defined)
    assert not found.valid[0, 0, 0] and not found.valid[-1, 0, 0] and found.valid.sum() == 48
    assert "the corrected PET is negative in parts of the grey matter" in notices[0]
    with collect_notices() as notices:
        _positive(TemplateImage(np.abs(data), image.defined, grid), "PET")
    assert not notices
