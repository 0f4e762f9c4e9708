"""Nothing that names a patient reaches any byte of a plan's products, also unpacked."""

from __future__ import annotations

import base64
import gzip
import re
import zlib

import nibabel as nib
import numpy as np
import pytest

from falx.cli.main import main
from falx.images.nifti import save
from falx.images.warp import CoordinateMap, save_map
from surgery.phantom import head_labels, head_signature

NAMES = ("Zimtapfel", "Eulalia", "19470305", "MRN88442211", "ACC5566778")


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """A patient whose folder, file names and image headers tell who it is; what was written."""
    folder = tmp_path_factory.mktemp("plan") / f"{NAMES[0]}_{NAMES[1]}_{NAMES[2]}"
    labels = head_labels()
    signature = head_signature(labels)
    grey = np.sqrt(labels.data.astype(np.float32))
    images = {"t1w": grey, "structures": labels.data, "signature": signature.data,
              "pet": 100 * grey, "asymmetry": -0.3 * signature.data.astype(np.float32),
              "ablation": signature.data & (labels.data == 17)}  # fmt: skip
    out = tmp_path_factory.mktemp("out") / "out"
    words = ["plan", str(out), "--participant-label", "07", "--side", "left", "--draws", "200"]
    for name, data in images.items():
        path = folder / f"{NAMES[3]}_{name}.nii.gz"
        save(path, data, labels.affine)
        _tell(path)
        words += [f"--{name}", str(path)]
    save_map(
        folder / "map.nii.gz",
        CoordinateMap(labels.grid.centres_mm().astype(np.float32), labels.affine),
    )
    assert main([*words, "--to-template", str(folder / "map.nii.gz")]) == 0
    return out


def _tell(path):
    """Write names into the free text and the extensions of an image."""
    image = nib.load(path)
    image.header["descrip"] = NAMES[0].encode()
    image.header["aux_file"] = NAMES[1].encode()
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", NAMES[4].encode()))
    held = nib.nifti1.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    nib.save(held, path)


def _unpacked(content):
    """A file's bytes, and every packed part of them."""
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield from _unpacked(gzip.decompress(content))
    for part in re.findall(rb"(?:base64,|octet-stream\"[^>]*>)([A-Za-z0-9+/=]{40,})", content):
        yield from _unpacked(base64.b64decode(part))
    for part in re.findall(rb"stream\r?\n(.+?)endstream", content, re.DOTALL):
        try:
            yield zlib.decompress(part)
        except zlib.error:  # a stream that is not packed was looked at already
            continue


def test_no_name_reaches_any_product(products):
    files = [path for path in products.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".csv", ".html", ".pdf", ".gz"}
    looked = 0
    for path in files:
        for content in _unpacked(path.read_bytes()):
            looked += 1
            for name in NAMES:
                assert name.encode() not in content, f"{name} in {path.name}"
    assert looked > 3 * len(files)


def test_the_page_holds_no_path_of_the_machine(products):
    page = next(products.rglob("*.html")).read_bytes()
    for content in _unpacked(page):
        assert str(products.parent).encode() not in content
