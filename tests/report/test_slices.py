"""Slices: sides, layers, where the planes stand."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.image import imread

from falx.core.errors import OptionError
from falx.data.priors import template
from falx.images.nifti import Image
from falx.report.figures import paletted
from falx.report.slices import Layer, slices, slices_figure, window_in


@pytest.fixture(scope="module")
def head() -> Image:
    """Ball of 34 mm whose left half is darker, in a box of noise-free air."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -60.0
    centred = np.indices((61, 61, 61)) - 30
    ball = ((centred**2).sum(axis=0) < 300).astype(np.float32)
    ball[:30] *= 0.5
    return Image(ball, affine)


def pixels(*arguments, **options):
    return imread(io.BytesIO(slices(*arguments, **options)))[..., :3]


def test_left_of_the_patient_is_drawn_on_the_left(head):
    drawn = pixels(head, planes=["axial"])[..., 0]
    middle = drawn[drawn.shape[0] // 3 : 2 * drawn.shape[0] // 3]
    left, right = np.split(middle[:, : middle.shape[1] // 2 * 2], 2, axis=1)
    assert left.mean() < 0.75 * right.mean()


def test_a_mirrored_head_gives_the_mirrored_slices(head):
    """All but the letters: their pixels are white on either side."""
    turned = Image(np.ascontiguousarray(head.data[::-1]), head.affine)
    there, here = (pixels(image, planes=["axial"])[..., 0] for image in (turned, head))
    rows = slice(here.shape[0] // 4, here.shape[0] // 2 - 15)
    assert np.abs(there[rows] - here[rows, ::-1]).mean() < 0.01
    assert np.abs(there[rows] - here[rows]).mean() > 0.1


def test_mask_layer_colours_its_own_voxels_only(head):
    mask = Image(head.data > 0.75, head.affine)
    plain = pixels(head, planes=["axial"])
    drawn = pixels(head, [Layer(mask, kind="mask")], planes=["axial"])
    changed = np.any(plain != drawn, axis=-1)
    columns = np.flatnonzero(changed.any(axis=0))
    assert columns.min() >= plain.shape[1] // 2 - 6
    assert 0.1 < changed.mean() < 0.4


def test_a_picture_is_cropped_to_what_is_there(head):
    drawn = pixels(head, planes=["axial"])[..., 0] > 0.2
    rows = np.flatnonzero(drawn[:, drawn.shape[1] // 2 + 20])
    assert (rows[-1] - rows[0]) / len(drawn) > 0.7


def test_six_planes_take_two_rows_of_three(head):
    offsets = (-25.0, -15.0, -5.0, 5.0, 15.0, 25.0)
    six = pixels(head, planes=["axial"], offsets_mm=offsets)
    one = pixels(head, planes=["axial"])
    assert six.shape[0] == pytest.approx(2 * one.shape[0], abs=2)
    assert six.shape[1] == pytest.approx(3 * one.shape[1], abs=2)
    bright = (six[..., 0] > 0.2).reshape(2, six.shape[0] // 2, -1)[:, :, : six.shape[1] // 3 * 3]
    shown = bright.reshape(2, bright.shape[1], 3, -1).sum(axis=(1, 3))
    # The ball is widest in the third and fourth plane, and alike on either side of them.
    assert (shown[0] < np.roll(shown[0], -1))[:2].all()
    np.testing.assert_allclose(shown[0], shown[1, ::-1], rtol=0.03)


def test_bar_and_legend_take_room_beside_the_planes(head):
    plain = pixels(head).shape
    shown = pixels(head, [Layer(head, low=0, high=1, label="x", colour="magma")]).shape
    named = pixels(head, [Layer(head, "contour", label="edge")]).shape
    assert shown[0] == plain[0] and shown[1] > plain[1] + 50
    assert named[1] == plain[1] and named[0] > plain[0] + 20


def test_a_kind_that_is_not_there_is_named(head):
    with pytest.raises(OptionError, match="kind.*circle"):
        Layer(head, kind="circle")


def test_colours_of_a_bar_survive_the_few_that_are_kept():
    # A map that fills the brain must not take the colours from the ends of its own bar.
    brain = template("t1")
    middle = Image(0.1 * brain.data, brain.affine)
    layers = [
        Layer(middle, low=-1, high=1, colour="RdBu_r", label="a"),
        Layer(brain, hide_below=9.0, colour="magma", label="b"),
    ]
    drawn = np.unique(pixels(brain, layers).reshape(-1, 3), axis=0)
    for layer in layers:
        for wanted in colormaps[layer.colour](np.linspace(0.02, 0.98, 25))[:, :3]:
            assert np.abs(drawn - wanted).max(axis=1).min() < 0.06, layer.colour


def test_an_unknown_plane_is_named(head):
    with pytest.raises(OptionError, match="plane.*'coronall'.*did you mean 'coronal'"):
        slices(head, planes=["coronall"])


def test_a_figure_may_be_had_instead_of_bytes(head):
    layers = [Layer(head, low=0, high=1, label="x", colour="magma")]
    figure = slices_figure(head, layers, planes=["axial"])
    assert paletted(figure) == slices(head, layers, planes=["axial"])
    bar = figure.axes[1]
    assert bar.get_ylabel() == "x" and bar.get_ylim() == (0, 1)


def test_each_plane_says_where_it_cuts_and_which_side_is_which(head):
    figure = slices_figure(head, centre_mm=(10.0, -20.0, 4.0))
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == [
        "x = 10 mm", "P", "A", "y = -20 mm", "L", "R", "z = 4 mm", "L", "R",
    ]  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.integers(-20, 20)] * 3))
def test_a_point_is_drawn_where_the_planes_meet(place):
    """One bright voxel at any place is seen in all three planes through it, and not 6 mm off."""
    data = np.full((61, 61, 61), 0.2, np.float32)
    at = tuple(30 + v for v in place)
    data[at] = 1.0
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -60.0
    image, mm = Image(data, affine), np.array(place) * 2.0
    for plane, axis in (("sagittal", 0), ("coronal", 1), ("axial", 2)):
        off = mm.copy()
        off[axis] += 6.0
        hit, miss = (
            slices_figure(image, planes=[plane], centre_mm=where, window=(0, 1))
            .axes[0].images[0].get_array().max()
            for where in (mm, off)
        )  # fmt: skip
        assert hit == pytest.approx(1.0, abs=1e-4) and miss == pytest.approx(0.2, abs=1e-4)


def test_values_near_zero_of_a_map_are_not_drawn(head):
    values = Image(np.where(head.data > 0.75, 0.5, 0.01).astype(np.float32), head.affine)
    layer = Layer(values, low=0, high=1, hide_below=0.1, colour="magma")
    shown = slices_figure(head, [layer], planes=["axial"])
    drawn = shown.axes[0].images[1].get_array()
    assert drawn.min() > 0.1 and 0.1 < drawn.mask.mean() < 0.95


def test_an_image_of_nothing_is_drawn_black(head):
    empty = Image(np.zeros_like(head.data), head.affine)
    figure = slices_figure(empty, planes=["axial"])
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)


def test_the_window_is_that_of_the_brain(head):
    values = np.where(head.data > 0, head.data, np.float32(50))
    low, high = window_in(values, head.data > 0)
    assert (low, high) == (0.5, 1.0)
    assert window_in(values, np.zeros(values.shape, bool)) == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["mask", "map"])
def test_nothing_is_drawn_beside_an_image_that_was_cut_out_askew(kind):
    """A turned box leaves black corners, in which the rest of a layer would float."""
    cosine = np.sqrt(0.5)
    turned = np.eye(4)
    turned[:2, :2] = [[cosine, -cosine], [cosine, cosine]]
    part = Image(np.ones((40, 40, 40), np.float32), turned)
    everywhere = np.diag([1.0, 1.0, 1.0, 1.0])
    everywhere[:3, 3] = [-60.0, -20.0, -20.0]
    layer = Layer(Image(np.ones((120, 120, 80), np.float32), everywhere), kind, "orange", 0, 1)
    layer = replace(layer, colour="RdBu_r") if kind == "map" else layer
    figure = slices_figure(part, [layer], planes=("axial",))
    background, drawn = (image.get_array() for image in figure.axes[0].images)
    shown = ~np.ma.getmaskarray(drawn)
    if kind == "map":
        shown &= np.ma.getdata(drawn) != 0
    seen = np.ma.getdata(background) > 0
    assert 0.3 < seen.mean() < 0.6
    assert np.count_nonzero(shown & ~seen) == 0 and np.count_nonzero(shown) > 1000
