"""Damaged images: refused in a sentence, or read as they are; never as something else."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from falx.core.errors import FalxError, InputError
from falx.images import nifti
from falx.images.nifti import load, save

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "x.nii.gz"
    save(path, np.random.default_rng(1).normal(100, 20, (14, 15, 16)), AFFINE)
    return path


def outcome(path: Path, whole: np.ndarray) -> str:
    """How a damaged image is taken; an error that is none of Falx's ends the test."""
    try:
        data = load(path).data
    except FalxError:
        return "refused"
    return "same" if np.array_equal(data, whole, equal_nan=True) else "silent"


def test_one_flipped_bit_of_a_packed_image_is_never_silent(image: Path, tmp_path: Path) -> None:
    content, whole, seeded = image.read_bytes(), load(image).data, random.Random(2)
    ends = []
    for _ in range(150):
        damaged = bytearray(content)
        damaged[seeded.randrange(len(content))] ^= 1 << seeded.randrange(8)
        (tmp_path / "x.nii.gz").write_bytes(damaged)
        ends.append(outcome(tmp_path / "x.nii.gz", whole))
    assert ends.count("silent") == 0
    assert ends.count("refused") > 140


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_headers_of_noise_raise_no_foreign_error(image: Path, tmp_path: Path) -> None:
    content, seeded = gzip.decompress(image.read_bytes()), random.Random(3)
    for trial in range(250):
        damaged = bytearray(content)
        for _ in range(1 + trial % 4):
            place = seeded.randrange(352)
            width = seeded.choice([1, 2, 4])
            damaged[place : place + width] = seeded.randbytes(width)
        (tmp_path / "x.nii").write_bytes(damaged)
        outcome(tmp_path / "x.nii", np.zeros(1))


def altered(content: bytes, place: int, value: np.generic) -> bytes:
    data = value.tobytes()
    return content[:place] + data + content[place + len(data) :]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: altered(c, 70, np.int16(1234)), "not an image that can be read"),
        (lambda c: altered(c, 70, np.int16(32)), r"plain numbers on a grid \(found: complex64"),
        (lambda c: altered(c, 42, np.int16(-3)), "not an image|plain numbers on a grid"),
        (lambda c: altered(c, 280, np.float32(np.nan)), "affine .* is singular"),
        (lambda c: altered(c, 108, np.float32(1e9)), "truncated or damaged"),
        (lambda c: c[:-1], "truncated or damaged"),
        (lambda c: c[:200], "not an image"),
        (lambda c: b"", "not an image"),
    ],
)
def test_headers_that_lie(
    image: Path, tmp_path: Path, change: Callable[[bytes], bytes], match: str
) -> None:
    content = change(gzip.decompress(image.read_bytes()))
    for name in ("x.nii", "x.nii.gz"):
        packed = gzip.compress(content) if name.endswith(".gz") else content
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(InputError, match=match):
            load(tmp_path / name)


def test_an_image_larger_than_the_memory_is_refused_before_it_is_read(
    image: Path, tmp_path: Path
) -> None:
    content = gzip.decompress(image.read_bytes())
    for axis in (42, 44, 46):
        content = altered(content, axis, np.int16(32000))
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=r"larger than the memory \(found: 262144.0 GB for sh"):
        load(tmp_path / "x.nii.gz")


def test_a_bomb_is_not_unpacked(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nifti, "BOMB_BYTES", 1 << 18)
    save(tmp_path / "zeros.nii.gz", np.zeros((60, 60, 60), np.float32), AFFINE)
    with pytest.raises(InputError, match="unpacks to more than any head holds"):
        load(tmp_path / "zeros.nii.gz")
    save(tmp_path / "noise.nii.gz", np.random.default_rng(0).normal(size=(60, 60, 60)), AFFINE)
    assert load(tmp_path / "noise.nii.gz").data.shape == (60, 60, 60)
    monkeypatch.setattr(nifti, "LEFT_OVER_BYTES", 1000)
    content = gzip.decompress(image.read_bytes()) + b"0" * 1001
    (tmp_path / "long.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="goes on far behind the last voxel"):
        load(tmp_path / "long.nii.gz")


def test_the_checksum_of_freesurfer_volumes_counts(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(9, 9, 9)).astype(np.float32)
    nib.save(nib.MGHImage(data, AFFINE), tmp_path / "x.mgz")
    np.testing.assert_array_equal(load(tmp_path / "x.mgz").data, data)
    content = bytearray((tmp_path / "x.mgz").read_bytes())
    content[-6] ^= 1  # of the checksum itself
    (tmp_path / "x.mgz").write_bytes(content)
    with pytest.raises(InputError, match="truncated or damaged .*CRC check failed"):
        load(tmp_path / "x.mgz")
