"""Alignment of heads that the priors do not know, in random poses: how many are misplaced.

    python -m benchmarks.poses HEADS --work build/priors [--heads 05 10] [--poses 10]

HEADS holds the label maps ``training_seg_*.nii.gz``; `work` is that of
``benchmarks.leave_one_out``: every head's map to the template, priors without each head, and here
what was found. Each pose is one T1w (3 % noise, 20 % field, 2 mm) whose header is turned by up to
20° about every axis, moved by up to 50 mm and scaled by up to 10 %, whose field of view is cut on
every side to between 2 and 40 mm beyond the brain, and whose axes are stored in a random order and
direction. Only the affine alignment is run, without the second try that the chain makes when it
doubts a fit. It is misplaced if the head's brain and that of the template overlap by a Dice below
:data:`LEAST_OVERLAP`, or a side is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.stats
from scipy.spatial.transform import Rotation

from benchmarks.leave_one_out import priors_without
from falx.anatomy.mirror_invariance import rounded
from falx.anatomy.priors import TissuePriors
from falx.anatomy.registration.affine import size_prior
from falx.anatomy.registration.alignment import align
from falx.anatomy.segmentation.prepare import prepare
from falx.core.errors import FalxError, collect_notices
from falx.core.files import write_json
from falx.core.grid import apply_affine, reorient_to_ras
from falx.data.priors import tissue_priors
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.phantom.heads import Head, load_head
from falx.phantom.intensities import t1w
from falx.phantom.nuisances import regridded

VOXEL_MM = 2.0
MOST_TURN_DEG, MOST_SHIFT_MM, MOST_SCALE = 20.0, 50.0, 0.1
LEAST_MARGIN_MM, MOST_MARGIN_MM = 2.0, 40.0
LEAST_OVERLAP = 0.8
"""Affine maps of head 13 that were right gave .88 to .90, wrong ones .68 to .73."""

SIDES = ((17, -1.0), (53, 1.0))
"""Left and right hippocampus, and the sign of template x on their side."""

BRAIN = (0, 1, 2)


@dataclass(frozen=True, eq=False)
class Posed:
    """A head in a pose.

    Parameters
    ----------
    image
        T1w, RAS+, as a file in that pose is read.
    native_mm
        Shape (n, 3): places of its brain, fluid within it included, mm of the image's header.
    hippocampi_mm
        Shape (2, 3): centres of the left and the right one.
    """

    image: Image
    native_mm: npt.NDArray[np.float64]
    hippocampi_mm: npt.NDArray[np.float64]


def posed(head: Head, rng: np.random.Generator) -> Posed:
    """Draw a T1w of a head in a random pose."""
    data = t1w(head, rng)
    brain = np.isin(head.tissues(), BRAIN) & ~head.mask(24)
    found = np.argwhere(brain)
    margins = rng.uniform(LEAST_MARGIN_MM, MOST_MARGIN_MM, (2, 3)) / head.grid.voxel_sizes_mm
    low = np.maximum(np.rint(found.min(axis=0) - margins[0]).astype(int), 0)
    high = np.minimum(np.rint(found.max(axis=0) + 1 + margins[1]).astype(int), data.shape)
    moved = np.eye(4)
    turn = rng.uniform(-MOST_TURN_DEG, MOST_TURN_DEG, 3)
    scale = rng.uniform(1.0 - MOST_SCALE, 1.0 + MOST_SCALE)
    moved[:3, :3] = scale * Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    moved[:3, 3] = rng.uniform(-MOST_SHIFT_MM, MOST_SHIFT_MM, 3)
    to_mm = moved @ head.affine
    affine = to_mm.copy()
    affine[:3, 3] = apply_affine(to_mm, low)
    cut = data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    read = reorient_to_ras(*_stored(cut, affine, rng))
    centres = [np.argwhere(head.mask(number)).mean(axis=0) for number, _ in SIDES]
    return Posed(
        Image(np.asarray(read[0], dtype=np.float32), read[1]),
        apply_affine(to_mm, found),
        apply_affine(to_mm, np.array(centres)),
    )


def _stored(
    data: npt.NDArray[np.float32], affine: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Voxels and affine with axes in a random order and direction; no voxel moves."""
    order, backwards = rng.permutation(3), rng.random(3) < 0.5
    turned = np.eye(4)
    for new, old in enumerate(order):
        turned[:, new] = np.eye(4)[:, old]
    stored = data.transpose(order)
    for axis in np.flatnonzero(backwards):
        stored = np.flip(stored, axis)
        turned[:3, 3] += turned[:3, axis] * (stored.shape[axis] - 1)
        turned[:3, axis] *= -1.0
    return stored, affine @ turned


def aligned(seen: Posed, priors: TissuePriors) -> dict[str, float | str]:
    """Overlap with the template's brain after alignment, and whether sides are right."""
    try:
        with collect_notices():
            ready = prepare(seen.image).image
            ready = Image(ready.data, rounded(ready.affine))
            found = align(ready, priors, size_prior("european"))
    except FalxError as error:
        return {"refused": str(error)}
    expected = Image(priors.probabilities[..., :3].sum(axis=-1), priors.affine)
    inside = expected.data > 0.5
    template_mm = apply_affine(priors.affine, np.argwhere(inside))
    both = sample(expected, apply_affine(found.affine, seen.native_mm)) > 0.5
    voxel_mm3 = seen.image.grid.voxel_volume_mm3
    own_mm3 = len(seen.native_mm) * abs(np.linalg.det(found.affine[:3, :3])) * voxel_mm3
    template_mm3 = len(template_mm) * abs(np.linalg.det(priors.affine[:3, :3]))
    overlap = 2.0 * both.mean() * own_mm3 / (own_mm3 + template_mm3)
    x = apply_affine(found.affine, seen.hippocampi_mm)[:, 0]
    right = all(sign * value > 0 for (_, sign), value in zip(SIDES, x, strict=True))
    return {"overlap": round(float(overlap), 4), "sides": float(right),
            "information": round(found.information, 4)}  # fmt: skip


def misplaced(found: dict[str, float | str]) -> bool:
    """Whether an alignment was refused, lies elsewhere or on the wrong side."""
    return "refused" in found or float(found["overlap"]) < LEAST_OVERLAP or not found["sides"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--heads", nargs="*", default=[])
    parser.add_argument("--poses", type=int, default=10, metavar="N", help="of every head")
    options = parser.parse_args()
    numbers = options.heads or sorted(
        p.name[13:15] for p in options.folder.glob("training_seg_*.nii.gz")
    )
    failed = done = 0
    for number in numbers:
        priors = tissue_priors(priors_without(options.folder, options.work, number))
        head = regridded(load_head(number, options.folder), VOXEL_MM)
        for pose in range(options.poses):
            kept = options.work / "alignments" / f"{number}_{pose}.json"
            if not kept.exists():
                rng = np.random.default_rng([int(number), pose])
                write_json(kept, aligned(posed(head, rng), priors))
            found = json.loads(kept.read_text(encoding="utf-8"))
            print(number, pose, found, flush=True)
            done += 1
            failed += misplaced(found)
    low, high = scipy.stats.binomtest(failed, done).proportion_ci(method="wilson")
    print(f"{failed} of {done} misplaced or refused ({low:.1%} to {high:.1%})")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
