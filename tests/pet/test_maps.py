"""From one patient's image to template space and back: masks, edges and means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import InputError, OptionError
from falx.core.grid import box_grid, mirror
from falx.images.nifti import Image
from falx.pet.maps import (
    Place,
    TemplateImage,
    normalise,
    pull_defined,
    reference_mask,
    scaled_asymmetry,
    structure_means,
)

GRID = box_grid((-15, -12, -46), (15, 12, -16), 3.0)
CENTRES = GRID.centres_mm().astype(np.float32)
ALL = np.ones(GRID.shape, dtype=bool)


def place_with(labels=None, brain=ALL):
    """A head that is in template space already, on the template's grid."""
    values = np.zeros(GRID.shape, np.int32) if labels is None else labels
    return Place(
        GRID, GRID, Image(brain, GRID.affine), Image(values, GRID.affine), CENTRES, CENTRES
    )


def test_reference_regions():
    labels = np.zeros(GRID.shape, np.int32)
    labels[2], labels[3], labels[4] = 8, 47, 16
    defined = ALL.copy()
    defined[:, 0] = False
    assert reference_mask("brain", defined, labels, GRID) is defined
    cerebellum = reference_mask("cerebellum", defined, labels, GRID)
    assert np.array_equal(cerebellum, np.isin(labels, (8, 47)) & defined)
    pons = reference_mask("pons", defined, labels, GRID)
    z_mm = CENTRES[..., 2]
    assert np.array_equal(pons, (labels == 16) & (z_mm >= -42) & (z_mm <= -20) & defined)
    assert 0 < pons.sum() < (labels == 16).sum()
    with pytest.raises(OptionError, match="did you mean 'pons'"):
        reference_mask("pon", defined, labels, GRID)


@settings(max_examples=20)
@given(hnp.arrays(np.float32, GRID.shape, elements=st.floats(0, 9, width=32)))
def test_pulling_onto_the_same_grid_keeps_values_and_leaves_out_the_rest(data):
    defined = data > 3
    values, kept = pull_defined(Image(data, GRID.affine), defined, CENTRES)
    assert np.array_equal(kept, defined)
    assert np.allclose(values, np.where(defined, data, 0), atol=1e-4)


def test_between_voxels_only_defined_neighbours_count():
    data = np.where(CENTRES[..., 0] < 0, 2.0, 50.0).astype(np.float32)
    defined = CENTRES[..., 0] < 0
    for x_mm, expected in ((-4.0, True), (-2.0, True), (-1.5, True), (-1.0, False)):
        points = CENTRES[4:5].copy()
        points[..., 0] = x_mm
        values, kept = pull_defined(Image(data, GRID.affine), defined, points)
        assert kept.all() if expected else not kept.any()
        assert np.allclose(values[kept], 2.0, atol=1e-4)


@settings(max_examples=20)
@given(hnp.arrays(np.float32, GRID.shape, elements=st.floats(0, 1, width=32)), st.floats(0.1, 0.9))
def test_above_a_bound_is_decided_for_both_sides_at_once(data, least):
    kept = TemplateImage(data, ALL, GRID).above(least)
    assert np.array_equal(kept.defined, mirror(kept.defined, GRID))
    pair = 0.5 * (data + mirror(data, GRID))
    assert np.array_equal(kept.defined, pair > least)
    assert not kept.data[~kept.defined].any()


@pytest.mark.parametrize("fwhm_mm", [0.0, 8.0])
def test_a_flat_image_stays_flat_inside_the_brain_and_is_nothing_outside(fwhm_mm):
    brain = ALL.copy()
    brain[:2] = False
    image = Image(np.full(GRID.shape, 7.0, np.float32), GRID.affine)
    found = normalise(image, ALL, place_with(brain=brain), smoothing_fwhm_mm=fwhm_mm)
    assert np.array_equal(found.defined, brain)
    assert np.allclose(found.data, np.where(brain, 7.0, 0.0), atol=1e-4)


def test_an_image_elsewhere_is_refused():
    image = Image(np.ones(GRID.shape, np.float32), GRID.affine)
    far = np.eye(4)
    far[0, 3] = 500
    with pytest.raises(InputError, match="does not reach the brain"):
        normalise(image, ALL, place_with(), matrix=far)


def test_a_map_is_continued_just_around_its_voxels():
    defined = (np.abs(CENTRES) < [6, 30, 90]).all(axis=-1)
    data = np.where(defined, -0.3, 0.0).astype(np.float32)
    native, known = place_with().to_native(data, defined)
    assert np.allclose(native[known], -0.3, atol=1e-4)
    assert known[defined].all()
    away_mm = np.abs(CENTRES[..., 0])
    assert known[away_mm < 9].all()
    assert not known[away_mm > 13].any()
    assert not native[~known].any()


def test_structures_are_measured_in_native_space_and_against_their_mirror():
    labels = np.zeros(GRID.shape, np.int32)
    labels[2, 3:6, 3:6] = 17
    labels[-3, 3:6, 3:6] = 53
    labels[1, 3, 3] = 18
    data = np.full(GRID.shape, 4.0, np.float32)
    data[2, 3:6, 3:6] = 3.0
    place = place_with(labels)
    scaled, asymmetry = scaled_asymmetry(TemplateImage(data, ALL, GRID), ALL, "proportional")
    valid = ALL.copy()
    valid[2, 3, 3] = False
    found = structure_means(scaled.image, asymmetry.index, valid, place)
    left, right = found["hippocampus"]["left"], found["hippocampus"]["right"]
    assert left.mean_asymmetry == pytest.approx(-2 / 7, abs=1e-5)
    assert left.ratio_of_means == pytest.approx(-2 / 7, abs=1e-5)
    assert right.mean_asymmetry == pytest.approx(2 / 7, abs=1e-5)
    assert found["amygdala"]["left"].mean_asymmetry == pytest.approx(0, abs=1e-6)
    assert found["amygdala"]["right"].mean_asymmetry is None
    assert found["amygdala"]["right"].ratio_of_means is None
    joint = found["mesial_temporal"]["left"].mean_asymmetry
    assert joint == pytest.approx(-2 / 7 * 8 / 9, abs=1e-5)


def test_scaling_happens_inside_the_reference_and_nothing_outside_the_image():
    data = (
        np.where(CENTRES[..., 1] < 0, 2.0, 6.0).astype(np.float32) + np.abs(CENTRES[..., 0]) / 50
    )
    defined = ALL.copy()
    defined[:, -1] = False
    image = TemplateImage(data, defined, GRID)
    scaled, asymmetry = scaled_asymmetry(image, CENTRES[..., 1] < 0, "proportional")
    assert scaled.mean == pytest.approx(float(data[CENTRES[..., 1] < 0].mean()), rel=1e-6)
    assert not scaled.image[~defined].any()
    assert np.array_equal(asymmetry.valid, defined)
    assert np.abs(asymmetry.index).max() < 1e-6
    turned = replace(image, data=mirror(data + CENTRES[..., 0] / 100, GRID))
    _, other = scaled_asymmetry(turned, ALL, "proportional")
    assert (other.index[defined & (CENTRES[..., 0] < 0)] > 0).all()
