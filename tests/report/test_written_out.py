"""Pictures, surfaces and pages measured pixel by pixel and byte by byte."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from falx.core.errors import OptionError
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.report import live_page as pages
from falx.report.figures import BLUE, COLOURS, ORANGE, new_figure, paletted, png, svg
from falx.report.live_page import LiveImages, live_page, middle_mm
from falx.report.mesh import mz3, surface
from falx.report.page import Details, Figure, Notice, Raw, Section, Table, Text, render
from falx.report.patient_view import MapSource, MaskSource, view_layers, view_surfaces
from falx.report.provenance import MadeFile, StageRecord, provenance_blocks
from falx.report.slices import (
    MARGIN_MM,
    Layer,
    _bounding_box,
    _Mosaic,
    _plane,
    _texts,
    _window,
    slices,
    slices_figure,
)
from falx.report.viewer import (
    Live,
    SurfaceLayer,
    Viewer,
    VolumeLayer,
    WhatIf,
    _nifti,
    _record,
    live_view,
)

few = settings(max_examples=5, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def ramp(shape=(20, 24, 16), voxel=2.0) -> Image:
    """Values that say where they lie: 1 + x + 100 y + 10000 z, in voxels."""
    x, y, z = np.indices(shape)
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = [-19.0, -30.0, -10.0]
    return Image((1 + x + 100 * y + 10_000 * z).astype(np.float32), affine)


# Slices


def test_the_box_is_that_of_what_is_not_zero_and_eight_millimetres() -> None:
    image = ramp()
    image.data[:5] = 0
    image.data[:, :, -3:] = 0
    low, high = _bounding_box(image)
    assert low == pytest.approx([-19 + 10 - MARGIN_MM, -30 - MARGIN_MM, -10 - MARGIN_MM])
    assert high == pytest.approx([19 + MARGIN_MM, 16 + MARGIN_MM, 14 + MARGIN_MM])
    empty = Image(0 * image.data, image.affine)
    assert _bounding_box(empty)[1] == pytest.approx([19 + 8, 16 + 8, 20 + 8])


@pytest.mark.parametrize(
    ("plane", "axis", "size"),
    [("sagittal", 0, (7, 5)), ("coronal", 1, (7, 3)), ("axial", 2, (5, 3))],
)
def test_a_plane_cuts_where_it_says_with_the_other_axes_as_columns_and_rows(
    plane, axis, size
) -> None:
    box = np.array([[0.0, 0, 0], [4, 8, 12]])
    cell = _plane(box, plane, 3.0, 2.0)
    assert (cell.axis, cell.size, cell.at_mm) == (axis, size, 3.0)
    assert cell.grid.affine[axis, 3] == 3.0
    assert [cell.grid.affine[k, 3] for k in range(3) if k != axis] == [0.0, 0.0]


@few
@given(st.sampled_from(["sagittal", "coronal", "axial"]), st.integers(-8, 8))
def test_pixels_are_values_at_their_place(plane, at) -> None:
    image = ramp()
    box = _bounding_box(image)
    mosaic = _Mosaic.lay(box, np.zeros(3), [plane], [float(at)], 2.0)
    pixels = mosaic.fill(image)
    (cell,) = mosaic.cells
    assert pixels.shape == mosaic.size == cell.size
    inverse = np.linalg.inv(image.affine)
    axes = [k for k in range(3) if k != cell.axis]
    for row, column in ((8, 7), (10, 9), (12, 6)):
        mm = np.zeros(3)
        mm[cell.axis] = at
        mm[axes[0]] = box[0][axes[0]] + 2.0 * column
        mm[axes[1]] = box[0][axes[1]] + 2.0 * row
        x, y, z = apply_affine(inverse, mm)
        inside = all(0 <= v <= n - 1 for v, n in zip((x, y, z), image.data.shape, strict=True))
        if inside:
            assert pixels[row, column] == pytest.approx(1 + x + 100 * y + 10_000 * z, rel=1e-4)


def test_planes_lie_beside_each_other_or_three_in_a_row() -> None:
    box = np.array([[0.0, 0, 0], [10, 20, 30]])
    one = _Mosaic.lay(box, np.full(3, 5.0), ["sagittal", "coronal", "axial"], [0.0], 1.0)
    assert [c.plane for c in one.cells] == ["sagittal", "coronal", "axial"]
    # 21 × 31, 11 × 31 and 11 × 21 pixels, the last in the middle of the row's height.
    assert one.size == (31, 21 + 11 + 11)
    assert [(c.row, c.column) for c in one.cells] == [(0, 0), (0, 21), (5, 32)]
    many = _Mosaic.lay(box, np.full(3, 5.0), ["axial"], [-3.0, 0.0, 3.0, 6.0], 1.0)
    assert many.size == (42, 33)
    assert [c.at_mm for c in many.cells] == [2.0, 5.0, 8.0, 11.0]
    # The first row is at the top: rows count from the bottom.
    assert [(c.row, c.column) for c in many.cells] == [(21, 0), (21, 11), (21, 22), (0, 0)]


@pytest.mark.parametrize(
    ("plane", "letters", "what"),
    [("sagittal", "PA", "x"), ("coronal", "LR", "y"), ("axial", "LR", "z")],
)
def test_letters_stand_at_the_low_and_the_high_end(plane, letters, what) -> None:
    cell = _plane(np.array([[0.0, 0, 0], [4, 4, 4]]), plane, -2.6, 1.0)
    place, low, high = _texts(cell)
    assert place == (0.5, 0.0, f"{what} = -3 mm")
    assert (low[2], high[2]) == tuple(letters)
    assert low[0] < 0.5 < high[0] and low[1] == high[1] == 0.5


def test_the_window_leaves_out_nothing_and_the_ends() -> None:
    image = Image(np.arange(27_000, dtype=np.float32).reshape(30, 30, 30), np.eye(4))
    low, high = _window(image)
    sample = image.data[::3, ::3, ::3]
    sample = sample[sample != 0]
    assert (low, high) == pytest.approx(tuple(np.percentile(sample, [2, 99.5])))
    holes = image.data.copy()
    holes[::3, ::3, :15] = np.nan
    assert np.isfinite(_window(Image(holes, np.eye(4)))).all()
    assert _window(Image(0 * image.data, np.eye(4))) == (0.0, 1.0)
    same = _window(Image(0 * image.data + 5, np.eye(4)))
    assert same[0] == 5.0 < same[1]


def test_layers_are_drawn_over_each_other_with_bar_and_legend() -> None:
    image = ramp()
    mask = Image((image.data > 50_000).astype(np.float32), image.affine)
    layers = [
        Layer(image, "map", "viridis", 0, 160_000, 10_000, "value"),
        Layer(mask, "mask", "cyan", label="mask"),
        Layer(mask, "contour", "orange", label="line"),
        Layer(Image(0 * mask.data, mask.affine), "contour", "orange"),
    ]
    figure = slices_figure(image, layers, spacing_mm=4.0)
    planes, bar = figure.axes
    assert [i.get_cmap().name for i in planes.get_images()][:2] == ["gray", "viridis"]
    assert planes.get_images()[1].get_clim() == (0, 160_000)
    assert bar.get_ylabel() == "value"
    hidden = planes.get_images()[1].get_array()
    assert hidden.mask.any() and np.abs(hidden.compressed()).min() > 10_000
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["mask", "line"]
    # A mask of nothing has no outline; the other has one in each plane.
    assert len([c for c in planes.collections if len(c.get_paths())]) == 1
    with pytest.raises(OptionError, match="did you mean 'axial'"):
        slices(image, planes=["axal"])
    with pytest.raises(OptionError, match="did you mean 'mask'"):
        Layer(image, "masks")


# Figures


def test_equal_figures_are_equal_bytes_and_few_colours_are_kept() -> None:
    def drawn():
        figure = new_figure(2, 1)
        axis = figure.subplots()
        axis.plot([0, 1], color=BLUE)
        axis.plot([1, 0], color=ORANGE)
        return figure

    assert png(drawn()) == png(drawn())
    few_colours = Picture.open(io.BytesIO(paletted(drawn(), dpi=50)))
    assert few_colours.size == (100, 50) and few_colours.mode == "P"
    assert Picture.open(io.BytesIO(png(drawn(), dpi=100))).size == (200, 100)
    assert svg(drawn()) == svg(drawn())
    assert COLOURS["blue"] == BLUE and len(set(COLOURS.values())) == len(COLOURS)


# Surfaces


@few
@given(SEEDS)
def test_surfaces_enclose_the_volume_of_their_mask(seed) -> None:
    rng = np.random.default_rng(seed)
    centre, radius = rng.uniform(12, 16, 3), rng.uniform(7, 10, 3)
    points = np.moveaxis(np.indices((28, 28, 28)), 0, -1)
    mask = (((points - centre) / radius) ** 2).sum(-1) < 1
    affine = np.diag([*rng.uniform(0.5, 2, 3), 1.0])
    affine[:3, 3] = rng.uniform(-50, 50, 3)
    mesh = surface(Image(mask, affine))
    a, b, c = (mesh.vertices_mm[mesh.faces[:, k]].astype(float) for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    voxel = abs(np.linalg.det(affine[:3, :3]))
    assert volume == pytest.approx(mask.sum() * voxel, rel=0.08)
    assert mesh.vertices_mm.mean(axis=0) == pytest.approx(apply_affine(affine, centre), abs=1.0)


def test_mz3_is_header_then_faces_then_vertices() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[2:4, 2:4, 2:4] = True
    mesh = surface(Image(mask, np.eye(4)), smooth_voxels=0.3)
    packed = mz3(mesh)
    magic, kind, n_faces, n_vertices, skip = struct.unpack("<HHIII", packed[:16])
    assert (magic, kind, skip) == (23117, 3, 0)
    assert (n_faces, n_vertices) == (len(mesh.faces), len(mesh.vertices_mm))
    faces = np.frombuffer(packed, "<i4", 3 * n_faces, 16).reshape(-1, 3)
    vertices = np.frombuffer(packed, "<f4", offset=16 + 12 * n_faces).reshape(-1, 3)
    assert (faces == mesh.faces).all() and (vertices == mesh.vertices_mm).all()


# The live view


def brain() -> Image:
    mask = np.zeros((20, 24, 16), bool)
    mask[6:14, 6:18, 4:12] = True
    return Image(mask, ramp().affine)


def test_layers_of_a_patient_are_cut_turned_and_rounded() -> None:
    image, mask = ramp(), brain()
    source = MapSource("pet", "PET", image, "hot", 0.1, 2.0, 0.5, sign=-1)
    target = MaskSource("goal", "goal", mask, (1, 2, 3), shown=False)
    t1w, pet, goal, values = view_layers(image, mask, maps=[source], masks=[target], voxel_mm=4.0)
    assert [x.name for x in (t1w, pet, goal, values)] == ["t1w", "pet", "goal", "t1w-values"]
    assert (pet.sign, pet.low, pet.high, pet.step, pet.threshold, pet.shown) == (
        -1, 0.1, 2.0, 0.5, True, False,
    )  # fmt: skip
    kept = pet.image.data[pet.image.data != 0]
    assert set((-kept).tolist()) <= set(image.data.ravel().tolist())
    assert (goal.colour, goal.shown, goal.image.data.dtype) == ((1, 2, 3), False, np.uint8)
    assert goal.image.data.sum() == mask.data.sum()
    assert values.values_of == "t1w" and not values.shown
    assert values.high == t1w.high and values.step == pytest.approx(t1w.high / 5000)
    assert t1w.step == pytest.approx(t1w.high / 255) and t1w.low == pytest.approx(5 * t1w.step)
    assert t1w.image.grid.voxel_sizes_mm == pytest.approx(4.0)


def test_surfaces_are_those_of_masks_and_the_brain_comes_last() -> None:
    target = MaskSource("goal", "goal", brain(), (9, 8, 7), alpha=55)
    nothing = MaskSource("none", "none", Image(0 * brain().data, brain().affine), (0, 0, 0))
    goal, last = view_surfaces(brain(), [nothing, target])
    assert (goal.name, goal.rgba, last.name) == ("goal", (9, 8, 7, 55), "brain")
    assert len(last.mesh.faces) > 0


@few
@given(SEEDS, st.sampled_from([0.01, 0.5, 3.0]), st.booleans())
def test_volumes_are_stored_in_steps(seed, step, signed) -> None:
    rng = np.random.default_rng(seed)
    data = rng.uniform(-1 if signed else 0, 1, (3, 4, 5)) * 200 * step
    layer = VolumeLayer(
        "a", "a", Image(data.astype(np.float32), np.diag([2.0, 2, 2, 1])), step=step
    )
    back = nib.Nifti1Image.from_bytes(_nifti(layer))
    assert np.abs(back.get_fdata() - data).max() <= 0.51 * step
    assert back.get_data_dtype() == (np.int16 if signed else np.uint8)
    assert back.affine.tolist() == np.diag([2.0, 2, 2, 1]).tolist()


def test_records_name_colour_maps_or_colours() -> None:
    image = Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
    mask = _record(VolumeLayer("m", "M", image, (1, 2, 3), 0.6, 0.5, 1.0))
    assert (mask["colormap"], mask["rgb"], mask["opacity"]) == ("falx-m", (1, 2, 3), 0.6)
    drawn = _record(VolumeLayer("p", "P", image, "hot", low=0.2, high=4, sign=-1, values_of="t"))
    assert (drawn["colormap"], drawn["rgb"], drawn["id"]) == ("hot", None, "falx-layer-p")
    assert (drawn["low"], drawn["high"], drawn["sign"], drawn["valuesOf"]) == (0.2, 4, -1, "t")


def unpacked(markup: str, name: str) -> bytes:
    (packed,) = re.findall(rf'id="{name}">([^<]*)</script>', markup)
    return gzip.decompress(base64.b64decode(packed))


def test_the_markup_holds_what_the_page_reads(monkeypatch) -> None:
    from falx.report import viewer

    monkeypatch.setattr(viewer, "_text", lambda name: f"[{name} LABEL]")
    layer = VolumeLayer("t", "T", Image(np.ones((2, 2, 2), np.float32), np.eye(4)))
    mesh = surface(brain())
    plan = WhatIf({"burns": ["</script>"]}, {"limit": 1}, {"depth": np.arange(3.0)}, 0.4)
    live = live_view(
        Viewer(
            "sub-<1>", "left", (1, 2, 3), [layer], [SurfaceLayer("s", mesh, (1, 1, 1, 9))], plan
        )
    )
    markup = live.markup.html
    assert "sub-&lt;1&gt;" in markup and "[what_if.html" in markup
    assert unpacked(markup, "falx-layer-t") == _nifti(layer)
    assert unpacked(markup, "falx-surface-s") == mz3(mesh)
    assert np.frombuffer(unpacked(markup, "falx-depth")).tolist() == [0, 1, 2]
    (text,) = re.findall(r'id="falx-setup">(.*?)</script>', markup)
    setup = json.loads(text)
    assert setup["centre"] == [1.0, 2.0, 3.0] and setup["wanted"] == 0.4
    assert setup["plan"]["burns"] == ["</script>"] and "</script>" not in text
    plain = live_view(Viewer("a", "right", (0, 0, 0), [layer]))
    assert "[what_if" not in plain.markup.html
    assert (
        json.loads(re.findall(r'falx-setup">(.*?)</s', plain.markup.html)[0])["azimuth"]
        != setup["azimuth"]
    )


def test_a_page_is_made_with_the_first_voxels_that_fit(monkeypatch) -> None:
    seen = []

    def layers(*_, voxel_mm, **__):
        seen.append(voxel_mm)
        return [VolumeLayer("t1w", "T1w", ramp())]

    live = Live(Raw("<b>live</b>"), "script", "style")
    monkeypatch.setattr(pages, "is_built", lambda: True)
    monkeypatch.setattr(pages, "view_surfaces", lambda *_: [])
    monkeypatch.setattr(pages, "view_layers", layers)
    monkeypatch.setattr(pages, "live_view", lambda _: live)
    images = LiveImages(ramp(), brain(), [], [])
    sections = [Section("One"), Section("Two")]
    asked = {"label": "sub-1", "side": "left", "centre_mm": (0, 0, 0)}
    page = live_page("T", sections, images, **asked)
    assert seen == [1.5]
    assert page.index("One") < page.index("<b>live</b>") < page.rindex("Two")
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    seen.clear()
    assert "<b>live</b>" in live_page("T", sections, images, **asked)
    assert seen == [1.5, 2.0, 3.0]


def test_the_middle_of_a_mask_is_in_millimetres() -> None:
    assert middle_mm(brain()) == pytest.approx(apply_affine(brain().affine, [9.5, 11.5, 7.5]))


# Pages


def test_every_kind_of_block_is_shown_and_escaped() -> None:
    blocks = [
        Text("first <p>\n\nsecond"), Table(("a<", "b"), [[1.23456, None], ["x&y", True]], "cap"),
        Notice(("careful",), level="fail"), Details("more", [Text("hidden")]), Raw("<i>raw</i>"),
        Figure(b"<svg/>", "caption", "alt text"),
    ]  # fmt: skip
    page = render("Title & co", [Section("S", blocks), Section("A", (), appendix=True)])
    for shown in ("first &lt;p&gt;", "second", "a&lt;", "1.235", "–", "x&amp;y", "yes", "careful",
                  "hidden", "<i>raw</i>", "alt text", "Title &amp; co"):  # fmt: skip
        assert shown in page
    assert "first <p>" not in page
    assert page.count("data:image/svg+xml;base64,") == 1


def test_flags_follow_their_rows() -> None:
    table = Table(("a", "b"), [[1, "x"], [2.0, None], [True, 3]], flags=("ok", "fail"))
    assert table.lines == [
        ("ok", [("1", True), ("x", False)]),
        ("fail", [("2", True), ("–", False)]),
        ("", [("yes", False), ("3", True)]),
    ]


def test_records_of_stages_are_folded_in_order() -> None:
    record = StageRecord(
        3, 12.34, "0.2", "3.11", {"width_mm": 6.0}, {"t1w": MadeFile("bids:raw:x", "a" * 40)},
        {"map": MadeFile("sub/x.nii", "b" * 40)}, {"numpy": "2.0", "scipy": "1.0"},
    )  # fmt: skip
    first, second = provenance_blocks({"pet": record, "tell": StageRecord()})
    assert (first.title, second.title) == ("pet (version 3, 12.3 s)", "tell (version None, 0.0 s)")
    params, files, versions = first.blocks
    assert params.rows == [["width_mm", "6.0"]]
    assert files.rows == [["t1w", "bids:raw:x", "a" * 16], ["map", "sub/x.nii", "b" * 16]]
    assert versions.text == "Falx 0.2, Python 3.11, numpy 2.0, scipy 1.0"


def test_a_grid_of_one_plane_keeps_its_spacing() -> None:
    cell = _plane(np.array([[0.0, 0, 0], [3.5, 3.5, 3.5]]), "axial", 1.0, 0.5)
    assert isinstance(cell.grid, Grid)
    assert cell.grid.shape == (8, 8, 1)
    assert cell.grid.voxel_sizes_mm == pytest.approx(0.5)
