"""Vessel trees planted in heads that Falx does not ship: how much is found, how much is false.

    python -m benchmarks.planted_vessels HEADS [--cases 24] [--first 0]

HEADS holds the label maps ``training_seg_*.nii.gz``. The rule's levels were chosen on heads 03 to
05, which are left out here. Every case has its own head, tree, contrast, noise (3 to 8 % of white
matter), receive field and a shift of up to half a millimetre between the two images; every fourth
has no vessel at all. A study of a minute or two, not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from falx.surgery.tracks.skull import brain_hull, brain_of_labels
from falx.surgery.tracks.vessels import CONTRASTS, vessels_in
from surgery.vessel_tree import (
    Tree,
    box_grid,
    grown_tree,
    length_of,
    recall_and_false,
    scanned,
    tube_share,
)

CHOSEN_ON = ("03", "04", "05")
BOX = (90, 100, 80)
WHITE = (2, 41, 7, 46, 10, 49, 16, 28, 60, 13, 52)
FLUID = (4, 5, 14, 15, 43, 44, 24)
SEED, APART_MM = 2026, 0.5


def main() -> int:
    options = _parser().parse_args()
    numbers = sorted(p.name[13:15] for p in options.folder.glob("training_seg_*.nii.gz"))
    numbers = [n for n in numbers if n not in CHOSEN_ON]
    rows = []
    for n in range(options.first, options.first + options.cases):
        rows.append(_case(n, numbers[n % len(numbers)], options.folder))
        print(*(f"{v:.3f}" if isinstance(v, float) else v for v in rows[-1]), flush=True)
    for contrast in CONTRASTS:
        kept = np.array([row[3:6] for row in rows if row[1] == contrast and not row[2]])
        if len(kept):
            recall, false, seconds = np.median(kept, axis=0)
            worst = kept[:, 0].min(), kept[:, 1].max()
            print(
                f"{contrast}: {len(kept)} cases, recall {recall:.2f} (least {worst[0]:.2f}), "
                f"false {false:.3f} (most {worst[1]:.3f}), {seconds:.1f} CPU s"
            )
    nulls = [row[4] for row in rows if row[2]]
    if nulls:
        print(
            f"no vessel: {len(nulls)} cases, proposed length over a tree's, most {max(nulls):.3f}"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    return parser


def _case(n, number, folder):  # type: ignore[no-untyped-def]
    """Head, contrast, null, recall, false share of the length, CPU seconds."""
    rng = np.random.default_rng([SEED, n])
    contrast, null = CONTRASTS[n % len(CONTRASTS)], n % 4 == 3
    image = nib.as_closest_canonical(nib.load(folder / f"training_seg_{number}.nii.gz"))
    labels = np.asarray(image.dataobj).astype(int)
    middle = np.argwhere(brain_of_labels(labels)).mean(axis=0).astype(int)
    low = middle - np.array(BOX) // 2
    labels = labels[tuple(slice(a, a + size) for a, size in zip(low, BOX, strict=True))]
    brain = brain_of_labels(labels)
    tissue = brain & ~np.isin(labels, FLUID)
    classes = np.where(np.isin(labels, WHITE), 2, np.where(tissue, 1, 0))
    tree = grown_tree(labels.shape, rng)
    share = tube_share(tree, labels.shape) * (not null)
    noise = rng.uniform(0.03, 0.08)
    shown = scanned(classes, share, contrast, rng, noise=noise)
    t1w = scanned(classes, share, "t1w", rng, noise=noise)
    t1w = ndimage.shift(t1w, rng.uniform(-1, 1, 3) * APART_MM, order=1, mode="nearest")
    grid, near = box_grid(labels.shape), brain_hull(brain, box_grid(labels.shape))
    started = time.process_time()
    found = vessels_in(shown, t1w, brain, near, grid, contrast=contrast)
    used = time.process_time() - started
    at = np.clip(tree.points_mm.astype(int), 0, np.array(labels.shape) - 1)
    inside = near[tuple(at.T)]
    tree = Tree(tree.points_mm[inside], tree.radii_mm[inside])
    recall, false = recall_and_false(found, grid, tree)
    if null:
        false = length_of(np.argwhere(found).astype(float)) / length_of(tree.points_mm)
    return number, contrast, null, recall, false, used


if __name__ == "__main__":
    raise SystemExit(main())
