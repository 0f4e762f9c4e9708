"""Cases of images: damaged bytes, contents that no scanner gives, odd headers."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import nibabel as nib
import numpy as np

from falx.core.errors import QualityError
from falx.images.nifti import load, save
from falx.images.plausible import judge_file
from fuzzing import Case, SilentError, damaged

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
HEADER = 352


def packed_image(case: Case) -> str:
    """Any damage to a packed image: its checksum tells."""
    data = case.numbers.normal(100, 20, (9, 10, 11)).astype(np.float32)
    gold, path = case.folder / "gold.nii.gz", case.folder / "x.nii.gz"
    save(gold, data, AFFINE)
    path.write_bytes(damaged(gold.read_bytes(), case.rng))
    if not np.array_equal(load(path).data, data):
        raise SilentError("other values under a checksum that is right")
    return "right"


def image_header(case: Case) -> str:
    """Noise in the header: what is read is where and what the header says."""
    data = case.numbers.normal(100, 20, (9, 10, 11)).astype(np.float32)
    gold, path = case.folder / "gold.nii", case.folder / case.rng.choice(["x.nii", "x.nii.gz"])
    save(gold, data, AFFINE)
    content = gold.read_bytes()
    for _ in range(case.rng.choice([1, 1, 2, 4])):
        content = damaged(content, case.rng, high=HEADER)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    found = load(path)
    _same_places(path, found.data, found.affine)
    return "right"


def _same_places(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Compare with nibabel: the same value lies at the same place of the world."""
    stored = nib.load(path)
    values = np.asanyarray(stored.dataobj, dtype=np.float32).reshape(stored.shape[:3])
    if sorted(values.shape) != sorted(data.shape):
        raise SilentError(f"shape {data.shape}, not {values.shape}")
    voxels = np.argwhere(np.ones(values.shape, bool))[:: max(1, values.size // 97)]
    world = voxels @ stored.affine[:3, :3].T + stored.affine[:3, 3]
    back = np.linalg.solve(affine[:3, :3], (world - affine[:3, 3]).T).T
    places = np.rint(back).astype(int)
    if np.abs(back - places).max() > 0.01 or not np.array_equal(
        data[tuple(places.T)], values[tuple(voxels.T)], equal_nan=True
    ):
        raise SilentError("values at another place of the world")


def head(shape: tuple[int, int, int] = (36, 40, 36)) -> np.ndarray:
    """Return a bright ellipsoid with structure, 5 mm voxels."""
    places = np.indices(shape).T - (np.array(shape) - 1) / 2
    away = np.linalg.norm(places / [14, 17, 14], axis=-1).T
    return np.where(away < 1, 100.0 + 20 * np.cos(6 * away), 1.0).astype(np.float32)


def wrong_content(case: Case) -> str:
    """An image that cannot be used for what it is: it must not pass without a word."""
    data, affine, rng = head(), np.diag([5.0, 5.0, 5.0, 1.0]), case.rng
    suffix = rng.choice(["T1w", "pet"])
    inside = data > 50
    kind = rng.choice(["half", "nothing", "constant", "negative", "holes", "cut", "size", "noise",
                       "spikes", "mask"])  # fmt: skip
    if kind == "half":
        middle = rng.randrange(10, 26)
        data[:middle] = np.nan
        data = data[:: rng.choice([-1, 1])]
    elif kind == "nothing":
        data[:] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == "constant":
        data[:] = rng.choice([0.0, 7.0, -3.0, 1e30])
    elif kind == "negative":
        data = -data
    elif kind == "holes":
        data[inside & (case.numbers.random(data.shape) < rng.uniform(0.005, 0.5))] = np.nan
    elif kind == "cut":
        data = data[rng.randrange(11, 20) :]
    elif kind == "size":
        affine = np.diag([*[5 * rng.choice([0.01, 0.1, 4.0, 100.0])] * 3, 1.0])
    elif kind == "noise":
        data = case.numbers.random(data.shape).astype(np.float32)
    elif kind == "spikes":
        suffix = "pet"
        data[inside & (case.numbers.random(data.shape) < rng.uniform(0.002, 0.05))] *= 5
    else:
        suffix, bad = "mask", rng.choice(["full", "empty", "nan", "inverted"])
        data = {"full": np.ones_like(data), "empty": np.zeros_like(data),
                "nan": np.where(inside, np.nan, 0), "inverted": (~inside)}[bad]  # fmt: skip
    path = case.folder / "x.nii.gz"
    save(path, data.astype(np.float32), affine)
    judge_file(path, suffix, what="image", where="sub-01")
    return f"passed {kind}"


def odd_content(case: Case) -> str:
    """An image that is odd and good: it passes, and every value stays where it is."""
    data, rng = head(), case.rng
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    axes = [0, 1, 2]
    rng.shuffle(axes)
    data, affine = data.transpose(axes), affine[:, [*axes, 3]]
    for axis in range(3):
        if rng.random() < 0.5:
            data = np.flip(data, axis)
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
            affine[:3, axis] *= -1
    affine[:3, 3] += [rng.uniform(-100, 100) for _ in range(3)]
    turn = math.radians(rng.uniform(-20, 20))
    rotation = np.eye(4)
    rotation[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    affine = rotation @ affine
    kind = rng.choice([np.float32, np.float64, np.int16, np.int32, np.uint8])
    scaled = data * rng.choice([1e-6, 1.0, 1e3]) if np.issubdtype(kind, np.floating) else data
    image = nib.Nifti1Image(scaled.astype(kind), affine)
    if kind in (np.int16, np.int32) and rng.random() < 0.5:
        image.header.set_slope_inter(rng.uniform(0.1, 10), rng.uniform(0, 1))
    path = case.folder / rng.choice(["x.nii", "x.nii.gz"])
    nib.save(image, path)
    try:
        judge_file(path, rng.choice(["T1w", "pet"]), what="image", where="sub-01")
    except QualityError:
        raise
    except Exception as error:
        raise SilentError(f"a good image was refused: {error}") from error
    found = load(path)
    _same_places(path, found.data, found.affine)
    return "right"
