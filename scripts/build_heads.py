"""Make the heads that ship for phantoms from whole-head label maps (Apache-2.0).

    python scripts/build_heads.py HEADS

Changes to the originals: labels 502 to 530 become 202 to 230 so that they fit eight bits,
axes run right, anterior, superior, and the field of view ends 3 mm outside the head and 45 mm
below the cerebellum. Labels are not altered otherwise; hashes are written beside the result.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np

from falx.core.files import write_json
from falx.data.labels import head_labels, recode
from falx.images.nifti import Image, load_labels
from falx.phantom.heads import HEADS, SHIPPED

MARGIN_MM = 3
BELOW_CEREBELLUM_MM = 45


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("heads", type=Path, help="folder with training_seg_*.nii.gz")
    folder = parser.parse_args().heads
    HEADS.mkdir(parents=True, exist_ok=True)
    record = {}
    for number in SHIPPED:
        source = folder / f"training_seg_{number}.nii.gz"
        image = cropped(load_labels(source))
        table = head_labels().table(head_labels().stored)
        write(HEADS / f"head-{number}_dseg.nii.gz", recode(image.data, table), image.affine)
        record[f"head-{number}_dseg.nii.gz"] = {
            "Source": source.name,
            "SHA256": hashlib.sha256(source.read_bytes()).hexdigest(),
        }
    changes = " ".join(__doc__.split("Changes to the originals: ")[1].split())
    write_json(
        HEADS / "heads.json",
        {"License": "Apache-2.0", "Origin": "SynthSeg label maps", "Changes": changes,
         "Files": record},
    )  # fmt: skip


def cropped(image: Image) -> Image:
    """Cut the field of view to the head and a piece of the neck (1 mm voxels)."""
    cerebellum = np.argwhere(np.isin(image.data, (8, 47)))[:, 2].min()
    inside = np.argwhere(image.data > 0)
    low = np.maximum(inside.min(axis=0) - MARGIN_MM, 0)
    low[2] = max(low[2], cerebellum - BELOW_CEREBELLUM_MM)
    high = np.minimum(inside.max(axis=0) + 1 + MARGIN_MM, image.data.shape)
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    return Image(image.data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], affine)


def write(path: Path, labels: np.ndarray, affine: np.ndarray) -> None:
    """Write eight-bit labels as small as gzip makes them."""
    image = nib.nifti1.Nifti1Image(labels.astype(np.uint8), affine)
    image.header.set_xyzt_units("mm")
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, fileobj=raw, mtime=0) as stream:
        stream.write(image.to_bytes())


if __name__ == "__main__":
    main()
