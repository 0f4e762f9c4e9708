"""Pack the ICBM 152 2009a symmetric template for shipping.

    python scripts/build_template.py FOLDER

FOLDER holds ``mni_icbm152_{t1,gm,wm}_tal_nlin_sym_09a_converted.nii.gz``, as the nilearn wheel
has them in ``nilearn/datasets/data``. The maps are eight-bit and equal to their mirror images to
the last bit, so the left half with the plane x = 0 is all that is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from falx.data.priors import DATA, TEMPLATE_AFFINE, TEMPLATE_FILE
from falx.images.nifti import load


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    halves = {}
    for kind in ("t1", "gm", "wm"):
        image = load(folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")
        whole = image.data.astype(np.uint8)
        if not (np.array_equal(whole, image.data) and np.array_equal(whole, whole[::-1])):
            raise SystemExit(f"{kind} is not an eight-bit map that equals its mirror image")
        if not np.array_equal(image.affine, TEMPLATE_AFFINE):
            raise SystemExit(f"{kind} lies on another grid")
        halves[kind] = whole[: len(whole) // 2 + 1]
    np.savez_compressed(DATA / TEMPLATE_FILE, **halves)


if __name__ == "__main__":
    main()
