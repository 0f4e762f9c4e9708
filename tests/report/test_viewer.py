"""The live view inside a page: every value of a layer comes back, and no face does."""

from __future__ import annotations

import base64
import gzip
import json
import re

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.report import live_page as module
from falx.report import viewer
from falx.report.live_page import NOT_BUILT, LiveImages, live_page, middle_mm
from falx.report.page import Section, Text
from falx.report.patient_view import (
    FACE_MARGIN_MM,
    MapSource,
    MaskSource,
    view_layers,
    view_surfaces,
)
from falx.report.viewer import Viewer, VolumeLayer, WhatIf, live_view

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = (-40.0, -50.0, -30.0)
SHAPE = (40, 50, 36)


def image(values) -> Image:
    return Image(np.ascontiguousarray(values), AFFINE)


@pytest.fixture(scope="module")
def brain() -> Image:
    centred = (np.moveaxis(np.indices(SHAPE), 0, -1) - (20, 26, 20)) / (9, 11, 8)
    return image((centred**2).sum(axis=-1) < 1)


@pytest.fixture(scope="module")
def t1w(brain) -> Image:
    """A head of tissue everywhere, its face included."""
    rng = np.random.default_rng(3)
    return image((50 + 50 * brain.data + rng.random(SHAPE)).astype(np.float32))


@pytest.fixture(scope="module")
def target(brain) -> Image:
    mask = np.zeros(SHAPE, bool)
    mask[14:18, 24:30, 16:20] = True
    return image(mask & brain.data)


def unpacked(layer: VolumeLayer) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(viewer._nifti(layer))


@given(
    hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(-50, 50, width=32)),
    st.sampled_from([0.01, 0.5, 2.0]),
)
def test_a_value_at_a_click_is_that_of_the_file_to_half_a_step(values, step) -> None:
    found = unpacked(VolumeLayer("a", "A", Image(values, AFFINE), step=step))
    assert np.abs(found.get_fdata() - values).max() <= step / 2 + 1e-5
    np.testing.assert_allclose(found.affine, AFFINE)


@pytest.mark.parametrize(
    ("largest", "kind"), [(255.0, np.uint8), (256.0, np.int16), (40_000.0, np.int32)]
)
def test_the_smallest_type_that_holds_the_steps_is_taken(largest, kind) -> None:
    values = np.array([[[0.0, largest]]], np.float32)
    assert unpacked(VolumeLayer("a", "A", Image(values, AFFINE))).get_data_dtype() == kind
    signed = VolumeLayer("a", "A", Image(-np.minimum(values, 9), AFFINE))
    assert unpacked(signed).get_data_dtype() == np.int16


def test_the_page_holds_every_layer_surface_and_setting(brain, t1w, target) -> None:
    layers = view_layers(
        t1w, brain, maps=(), masks=[MaskSource("goal", "Goal", target, (9, 8, 7))]
    )
    surfaces = view_surfaces(brain, [MaskSource("goal", "Goal", target, (9, 8, 7), alpha=70)])
    what_if = WhatIf({"burns": []}, {"limits": 1}, {"field": np.arange(3, dtype="<f4")}, 0.5)
    live = live_view(Viewer("sub-</script>", "left", (1, 2, 3), layers, surfaces, what_if))
    blobs = dict(re.findall(r'id="(falx-[\w-]+)">([^<]*)<', live.markup.html))
    assert {"falx-layer-t1w", "falx-layer-goal", "falx-surface-brain", "falx-field"} <= set(blobs)
    field = gzip.decompress(base64.b64decode(blobs["falx-field"]))
    assert np.frombuffer(field, "<f4").tolist() == [0, 1, 2]
    text = re.search(r'id="falx-setup">(.*?)</script>', live.markup.html, re.DOTALL)
    setup = json.loads(text.group(1).replace("<\\/", "</"))
    assert setup["label"] == "sub-</script>" and "sub-</script>" not in live.markup.html
    assert setup["centre"] == [1.0, 2.0, 3.0] and setup["azimuth"] == 250
    shown = next(layer for layer in setup["layers"] if layer["name"] == "goal")
    assert shown["rgb"] == [9, 8, 7] and shown["colormap"] == "falx-goal"
    assert [s["name"] for s in setup["surfaces"]] == ["goal", "brain"]
    assert setup["surfaces"][0]["rgba"] == [9, 8, 7, 70]
    assert (setup["wanted"], setup["plan"]) == (0.5, {"burns": []})
    right = live_view(Viewer("x", "right", (0, 0, 0), layers))
    assert '"azimuth": 110' in right.markup.html and "falx-field" not in right.markup.html


def test_no_layer_keeps_what_lies_far_from_the_brain(brain, t1w, target) -> None:
    pet = MapSource("pet", "PET", t1w, "hot", 10.0, 100.0, 0.1)
    masks = [MaskSource("goal", "Goal", target, (1, 2, 3))]
    inside = apply_affine(AFFINE, np.argwhere(brain.data))
    for layer in view_layers(t1w, brain, maps=[pet], masks=masks, voxel_mm=2.0):
        kept = apply_affine(layer.image.affine, np.argwhere(layer.image.data != 0))
        far = [np.linalg.norm(inside - place, axis=1).min() for place in kept[::97]]
        assert max(far) < FACE_MARGIN_MM + 4.0, layer.name


def test_a_map_keeps_values_of_its_own_voxels_turned_where_lows_are_sought(brain, t1w) -> None:
    low = MapSource("asymmetry", "A", t1w, "viridis", 0.1, 0.4, 1e-4, sign=-1)
    layers = view_layers(t1w, brain, maps=[low], masks=(), voxel_mm=1.5)
    assert [layer.name for layer in layers] == ["t1w", "asymmetry", "t1w-values"]
    shown = layers[1]
    at = np.argwhere(shown.image.data != 0)[::50]
    own = np.rint(apply_affine(np.linalg.inv(AFFINE), apply_affine(shown.image.affine, at)))
    wanted = -t1w.data[tuple(own.astype(int).T)]
    np.testing.assert_allclose(shown.image.data[tuple(at.T)], wanted)
    assert shown.sign == -1 and shown.threshold and not shown.shown
    assert layers[2].values_of == "t1w" and not layers[2].shown


def test_an_empty_mask_has_no_surface(brain, target) -> None:
    nothing = MaskSource("none", "None", image(np.zeros(SHAPE, bool)), (1, 2, 3))
    found = view_surfaces(brain, [nothing, MaskSource("goal", "Goal", target, (1, 2, 3))])
    assert [surface.name for surface in found] == ["goal", "brain"]


def live(brain, t1w, target, **changes) -> str:
    images = LiveImages(t1w, brain, (), [MaskSource("goal", "Goal", target, (1, 2, 3))])
    sections = [Section("Result", [Text("first")]), Section("Numbers", [Text("second")])]
    return live_page(
        "Title", sections, images, label="sub-01", side="left", centre_mm=(0, 0, 0), **changes
    )


def test_without_the_front_end_the_page_says_so(monkeypatch, brain, t1w, target) -> None:
    monkeypatch.setattr(module, "is_built", lambda: False)
    page = live(brain, t1w, target, subtitle="below")
    assert NOT_BUILT.split(";")[0] in page and "below" in page
    assert "falx-viewer" not in page
    assert page.index("first") < page.index("second")


def test_a_page_that_is_too_large_is_made_coarser(monkeypatch, brain, t1w, target) -> None:
    if not viewer.is_built():
        pytest.skip("the live view was not built")
    fine = live(brain, t1w, target)
    assert fine.index("first") < fine.index('id="falx-viewer"') < fine.index("second")
    monkeypatch.setattr(module, "LARGEST_PAGE", len(fine.encode()) - 1)
    assert len(live(brain, t1w, target)) < len(fine)


@given(st.tuples(*[st.floats(-100, 100)] * 3), st.tuples(*[st.integers(0, 3)] * 3))
def test_the_middle_of_one_voxel_is_its_centre(shift, voxel) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = shift
    mask = np.zeros((4, 4, 4), bool)
    mask[voxel] = True
    np.testing.assert_allclose(middle_mm(Image(mask, affine)), apply_affine(affine, voxel))
