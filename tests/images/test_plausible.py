"""The gate: what no scanner and no head can give is refused, what is odd is a notice."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import FalxNotice, InputError
from falx.core.grid import Grid, box_grid
from falx.images.nifti import Image, load, save
from falx.images.plausible import LIMITS, judge_file, judge_image, judge_mask

GRID = box_grid((-100.0, -120.0, -90.0), (100.0, 110.0, 100.0), (2.5, 3.0, 4.0))
Array = npt.NDArray[np.float32]


def head(grid: Grid = GRID, scale: float = 1.0) -> Array:
    """An ellipsoid of uptake, brighter outside, as a cortex is, and a little noise around it."""
    depth = np.linalg.norm(grid.centres_mm() / (np.array([70.0, 88.0, 75.0]) * scale), axis=-1)
    values = np.where(depth < 1, 1.0 + (depth > 0.8), 0.02) * 1000
    return (values + np.random.default_rng(0).normal(0, 20, grid.shape)).astype(np.float32)


def judge(data: Array, kind: str = "pet", affine: npt.NDArray[np.float64] = GRID.affine) -> None:
    judge_image(Image(data, affine), LIMITS[kind], what="FDG-PET image", where="sub-01")


@pytest.mark.parametrize("kind", ["T1w", "pet"])
@pytest.mark.parametrize("scale", [0.75, 1.0, 1.1])
def test_heads_of_infants_and_adults_pass_without_a_word(kind: str, scale: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(head(scale=scale), kind)


def nan_left(data: Array) -> Array:
    data[: len(data) // 2] = np.nan
    return data


def zero_right(data: Array) -> Array:
    data[len(data) // 2 :] = 0
    return data


def third_gone(data: Array) -> Array:
    data[: len(data) * 2 // 5] = np.nan
    return data


def sprinkled(value: float, share: float) -> Callable[[Array], Array]:
    def apply(data: Array) -> Array:
        where = np.random.default_rng(1).random(data.shape) < share
        data[where] = value if not np.isinf(value) else data[where] * 3
        return data

    return apply


def hole(data: Array) -> Array:
    data[36:44, 36:40, 20:24] = np.nan
    return data


REFUSED = [
    (nan_left, r"shows only a part of the head \(found: a cut on the left, through \d+%"),
    (zero_right, r"shows only a part of the head \(found: a cut on the right, through \d+%"),
    (third_gone, r"shows only a part of the head \(found: a cut on the left"),
    (sprinkled(np.nan, 0.01), r"lacks values inside the head \(found: 0\.98% of all voxels, 1\.0"),
    (hole, "lacks values inside the head"),
    (sprinkled(np.inf, 0.01), r"single voxels far brighter .* \(found: 1\.\d\d% of the head"),
    (lambda d: d * np.nan, "has no finite value"),
    (lambda d: d * 0, "is the same everywhere, .* the value 0 everywhere"),
    (lambda d: d * 0 + 7, "the value 7 everywhere"),
    (lambda d: -d, r"is negative \(found: values from -2\d\d\d"),
    (lambda d: np.random.default_rng(1).random(d.shape).astype(np.float32), "single voxels"),
]


@pytest.mark.parametrize(("change", "match"), REFUSED)
@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_what_no_scanner_gives_is_refused(change: Callable[[Array], Array], match: str) -> None:
    with pytest.raises(InputError, match=rf"^sub-01: the FDG-PET image .*{match}"):
        judge(change(head()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (sprinkled(np.nan, 1e-4), r"values that are not finite \(found: 0\.01% of all .*, 0\.01%"),
        (lambda d: np.where(d < 500, np.nan, d), r"not finite \(found: .*, 0\.00% within the h"),
        (lambda d: d[:, :, :35], "ends inside the head at the top"),
        (lambda d: d[:, :50], "ends inside the head at the front"),
        (lambda d: d[:, 28:], "ends inside the head at the back"),
    ],
)
def test_what_is_odd_is_a_notice(change: Callable[[Array], Array], match: str) -> None:
    with pytest.warns(FalxNotice, match=match):
        judge(change(head()))


def test_a_neck_that_is_cut_off_is_no_news() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(head()[:, :, 20:])
        judge(head()[:, :, :35], "T1w")


@pytest.mark.parametrize("factor", [3.0, 0.4])
def test_a_head_of_a_giant_or_a_dwarf_is_no_head(factor: float) -> None:
    affine = GRID.affine * np.array([factor, factor, factor, 1.0])
    with pytest.raises(InputError, match=r"shows is no head \(found: (412|55) mm from righ"):
        judge(head(), affine=affine)


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.01, 100.0),
    st.sampled_from(["none", "left", "sprinkled"]),
    st.tuples(st.booleans(), st.booleans()),
)
def test_units_and_storage_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, gain: float, damage: str, turned: tuple[bool, bool]
) -> None:
    """The same head in any unit, stored from either side, is judged alike."""
    changes = {"none": lambda d: d, "left": nan_left, "sprinkled": sprinkled(np.nan, 0.01)}
    data = changes[damage](head()) * np.float32(gain)
    affine = GRID.affine.copy()
    for axis, turn in enumerate(turned):
        if turn:
            data = np.flip(data, axis)
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
            affine[:3, axis] *= -1
    path = tmp_path_factory.mktemp("pet") / "x.nii"
    save(path, data, affine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if damage == "none":
            judge_file(path, "pet", what="PET", where="x")
            return
        match = "a cut on the left" if damage == "left" else "lacks values inside"
        with pytest.raises(InputError, match=match):
            judge_file(path, "pet", what="PET", where="x")


def mask(share: float) -> Image:
    data = np.zeros(GRID.shape, np.float32)
    data.reshape(-1)[: int(share * data.size)] = 1
    return Image(data, GRID.affine)


def test_masks() -> None:
    judge_mask(mask(0.001), what="ablation mask", where="x")
    one = mask(0.0)
    one.data[3, 3, 3] = 1
    judge_mask(one, what="ablation mask", where="x")
    with pytest.raises(InputError, match="the ablation mask is empty"):
        judge_mask(mask(0.0), what="ablation mask", where="x")
    for share in (1.0, 0.51, 0.1):
        with pytest.raises(InputError, match=r"larger than anything .*not inverted"):
            judge_mask(mask(share), what="ablation mask", where="x")
    one.data[0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"not finite \(found: 1 of \d+ voxels"):
        judge_mask(one, what="ablation mask", where="x")
    small = Image(np.ones((4, 4, 4), np.float32), GRID.affine)
    with pytest.raises(InputError, match="100% of the image, 2 cm³"):
        judge_mask(small, what="ablation mask", where="x")


@pytest.mark.parametrize(
    ("kind", "shape", "sizes", "match"),
    [
        ("T1w", (100, 100, 100), (12.0, 1.0, 1.0), r"found: 12 × 1 × 1 mm\); .* 0\.2 to 10 mm"),
        ("T1w", (100, 100, 100), (0.1, 1.0, 1.0), "size that no head is imaged with"),
        ("T1w", (100, 100, 10), (1.0, 1.0, 3.0), r"less than a head .* 100 × 100 × 30 mm"),
        ("bold", (10, 10, 5, 7), (3.0, 3.0, 3.0), "a field of view of 30 × 30 × 15 mm"),
        ("bold", (10, 10, 10, 7), (17.0, 3.0, 3.0), "size that no head is imaged with"),
    ],
)
def test_grids_that_no_head_is_imaged_on(
    tmp_path: Path, kind: str, shape: tuple[int, ...], sizes: tuple[float, ...], match: str
) -> None:
    save(tmp_path / "x.nii.gz", np.zeros(shape, np.uint8), np.diag([*sizes, 1.0]))
    with pytest.raises(InputError, match=match):
        judge_file(tmp_path / "x.nii.gz", kind, what="image", where="sub-01")


def test_series_are_left_to_their_stage_and_unknown_kinds_alone(tmp_path: Path) -> None:
    save(tmp_path / "x.nii.gz", np.zeros((20, 20, 20, 3), np.uint8), np.diag([5.0, 5, 5, 1]))
    judge_file(tmp_path / "x.nii.gz", "bold", what="run", where="x")
    judge_file(tmp_path / "x.nii.gz", "pet", what="PET", where="x")
    judge_file(tmp_path / "no.nii.gz", "dseg", what="labels", where="x")
    with pytest.raises(InputError, match="does not exist"):
        judge_file(tmp_path / "no.nii.gz", "pet", what="PET", where="x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("openms/T1W", "T1w"), ("openms/FLAIR", "T1w"), ("fdg_template/FDG", "pet")],
)
def test_real_heads_pass(reference: Path, name: str, kind: str) -> None:
    path = reference / f"{name}.nii.gz"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge_file(path, kind, what=kind, where=name)
    # The same head said to be ten times smaller is refused, so that it was looked at.
    image = load(path)
    tiny = Image(image.data, np.diag([0.1, 0.1, 0.1, 1]) @ image.affine)
    with pytest.raises(InputError):
        judge_image(tiny, LIMITS[kind], what=kind, where=name)
