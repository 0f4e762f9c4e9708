"""Build the table of how large and how rough structures are, from whole-head label maps.

    python scripts/build_volumes.py HEADS [--out FILE] [--leave-out 05 ...]

HEADS holds ``training_seg_01.nii.gz`` … (Apache-2.0); heads 07 (traced amiss) and 13 (for tests)
are left out. Left and right are pooled. See :mod:`falx.data.volumes` for the columns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.files import write_table
from falx.data.averaging import structure_ids
from falx.data.labels import head_labels, recode
from falx.data.volumes import COLUMNS, FILE, faces, shape_factor
from falx.images.nifti import load_labels

LEFT_OUT = ("07", "13")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("heads", type=Path)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="NN", help="heads left out")
    options = parser.parse_args()
    left_out = {*LEFT_OUT, *options.leave_out}
    paths = sorted(options.heads.glob("training_seg_*.nii.gz"))
    heads = [measured(p) for p in paths if p.name[13:15] not in left_out]
    if len(heads) < 3:
        sys.exit(f"too few heads in {options.heads}")
    write_table(options.out, COLUMNS, list(rows(np.array(heads))))
    return 0


def measured(path: Path) -> npt.NDArray[np.float64]:
    """Volume over grey and white matter, and shape factor, of every structure, shape (n, 2)."""
    labels, image = head_labels(), load_labels(path)
    tissue = recode(image.data, labels.table(labels.tissue_number))
    brain = float(np.sum((tissue == 0) | (tissue == 1))) * image.grid.voxel_volume_mm3
    own = np.maximum(recode(image.data, labels.table(labels.structure)), 0)
    area = faces(own, image.grid.voxel_sizes_mm, max(structure_ids()) + 1)
    counts = np.bincount(own.ravel(), minlength=len(area)) * image.grid.voxel_volume_mm3
    found = [(counts[i] / brain, shape_factor(area[i], counts[i])) for i in structure_ids()]
    return np.array(found)


def rows(heads: npt.NDArray[np.float64]):  # type: ignore[no-untyped-def]
    """Rows of the table from heads of shape (heads, n, 2); both sides count to each."""
    labels, ids = head_labels(), structure_ids()
    mirror = labels.table(labels.mirror)
    names = dict(zip(labels.index.tolist(), labels.name, strict=True))
    for n, number in enumerate(ids):
        other = ids.index(int(mirror[number]))
        pooled = heads[:, [n, other] if other != n else [n]]
        if not (pooled[..., 0] > 0).all():
            continue
        share, shape = np.log(pooled[..., 0]), pooled[..., 1]
        ratio = share[:, -1] - share[:, 0]
        yield (
            number, names[number], len(heads), share.mean(), share.std(ddof=1),
            np.sqrt(np.mean(ratio**2)), shape.mean(), shape.std(ddof=1),
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
