"""Alignment of heads that the priors do not know, in random poses: how many are misplaced.

    python -m benchmarks.poses HEADS --work build/priors [--heads 05 10] [--poses 10] [--whole]

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.stats
from scipy.spatial.transform import Rotation
from scripts.build_priors import HeadFile, find_heads, register, without_border

from benchmarks.bench_anatomy import dice
from benchmarks.leave_one_out import priors_without
from falx.anatomy.mirror_invariance import rounded
from falx.anatomy.priors import TissuePriors
from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.registration.affine import size_prior
from falx.anatomy.registration.alignment import align
from falx.anatomy.segmentation.prepare import prepare
from falx.anatomy.segmentation.unified import segment
from falx.core.errors import FalxError, collect_notices
from falx.core.files import write_json
from falx.core.grid import apply_affine, reorient_to_ras
from falx.data.priors import tissue_priors
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.images.warp import CoordinateMap
from falx.phantom.heads import Head, load_head
from falx.phantom.intensities import t1w
from falx.phantom.nuisances import regridded

VOXEL_MM = 2.0
MOST_TURN_DEG, MOST_SHIFT_MM, MOST_SCALE = 20.0, 50.0, 0.1
LEAST_MARGIN_MM, MOST_MARGIN_MM = 2.0, 40.0
MOST_LOST = 0.1
"""Affine maps of head 13 that were right lost up to .01 (.88 to .90 of .89), wrong ones .16 to
.21. How well a head can overlap depends on its fluid: head 05 has 40 % of it, and reaches .82."""

LEAST_TISSUE = 0.9
"""Dice of grey and white matter; a misplaced head has below .4 of one."""

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
    tissues
        Shape (n,): 0 grey, 1 white matter, 2 fluid at these places.
    hippocampi_mm
        Shape (2, 3): centres of the left and the right one.
    """

    image: Image
    native_mm: npt.NDArray[np.float64]
    tissues: npt.NDArray[np.uint8]
    hippocampi_mm: npt.NDArray[np.float64]


def brain_of(head: Head) -> npt.NDArray[np.bool_]:
    """Grey matter, white matter and ventricles, shape (X, Y, Z)."""
    return np.asarray(np.isin(head.tissues(), BRAIN) & ~head.mask(24))


def posed(head: Head, rng: np.random.Generator) -> Posed:
    """Draw a T1w of a head in a random pose."""
    data = t1w(head, rng)
    brain = brain_of(head)
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
        head.tissues()[brain],
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
    voxel_mm3 = seen.image.grid.voxel_volume_mm3
    overlap = overlap_with_template(found.affine, seen.native_mm, voxel_mm3, priors)
    x = apply_affine(found.affine, seen.hippocampi_mm)[:, 0]
    right = all(sign * value > 0 for (_, sign), value in zip(SIDES, x, strict=True))
    return {"overlap": round(float(overlap), 4), "sides": float(right),
            "information": round(found.information, 4)}  # fmt: skip


def overlap_with_template(
    affine: npt.NDArray[np.float64],
    brain_mm: npt.NDArray[np.float64],
    voxel_mm3: float,
    priors: TissuePriors,
) -> float:
    """Dice of a brain, its voxels at `brain_mm` (n, 3), and the template's under an affine map."""
    expected = Image(priors.probabilities[..., :3].sum(axis=-1), priors.affine)
    both = sample(expected, apply_affine(affine, brain_mm)) > 0.5
    own_mm3 = len(brain_mm) * abs(np.linalg.det(affine[:3, :3])) * voxel_mm3
    prior_voxel_mm3 = abs(np.linalg.det(priors.affine[:3, :3]))
    template_mm3 = float((expected.data > 0.5).sum()) * prior_voxel_mm3
    return float(2.0 * both.mean() * own_mm3 / (own_mm3 + template_mm3))


def reached_when_registered(head: Head, to_head: CoordinateMap, priors: TissuePriors) -> float:
    """Overlap under the affine map nearest to the head's registration to the template.

    Parameters
    ----------
    to_head
        From template mm to the head's mm, see ``scripts/build_priors.py``.
    """
    inside = priors.probabilities[..., :3].sum(axis=-1) > 0.5
    template_mm = apply_affine(priors.affine, np.argwhere(inside))
    places = np.column_stack([to_head.at(template_mm), np.ones(len(template_mm))])
    affine = np.eye(4)
    affine[:3] = np.linalg.lstsq(places, template_mm, rcond=None)[0].T
    brain = brain_of(head)
    brain_mm = apply_affine(head.affine, np.argwhere(brain))
    return overlap_with_template(affine, brain_mm, head.grid.voxel_volume_mm3, priors)


def misplaced(found: dict[str, float | str], reached: float) -> bool:
    """Whether an alignment was refused, lies elsewhere or on the wrong side.

    Parameters
    ----------
    reached
        Overlap of the head when it is registered.
    """
    return (
        "refused" in found
        or float(found["overlap"]) < reached - MOST_LOST
        or not float(found["sides"])
    )


def whole(seen: Posed, priors: TissuePriors) -> dict[str, float | str]:
    """Dice of the tissues after the whole segmentation and its checks, or why it was refused."""
    try:
        with collect_notices() as notices:
            result = segment(seen.image, priors)
            stop_on_failure(check_segmentation(result, priors))
    except FalxError as error:
        return {"refused": str(error)}
    places = np.rint(apply_affine(np.linalg.inv(seen.image.affine), seen.native_mm)).astype(int)
    truth = np.full(seen.image.data.shape, 255, dtype=np.uint8)
    truth[tuple(places.T)] = seen.tissues
    dices: dict[str, float | str] = {}
    for kind, (name, tissue) in enumerate((("GM", result.gm), ("WM", result.wm))):
        dices[name] = round(dice(tissue > 0.5, truth == kind), 4)
    return {**dices, "tries again": float(any("another start" in str(n) for n in notices))}


def failed_whole(found: dict[str, float | str]) -> bool:
    """Whether a head was refused or its tissues lie elsewhere."""
    return "refused" in found or min(float(found["GM"]), float(found["WM"])) < LEAST_TISSUE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--heads", nargs="*", default=[])
    parser.add_argument("--poses", type=int, default=10, metavar="N", help="of every head")
    parser.add_argument("--whole", action="store_true", help="segment, not only align")
    options = parser.parse_args()
    heads = {head.number: head for head in find_heads(options.folder)}
    study = _whole_study if options.whole else _alignment_study
    failed = [row for number in options.heads or heads for row in study(options, heads[number])]
    low, high = scipy.stats.binomtest(sum(failed), len(failed)).proportion_ci(method="wilson")
    print(f"{sum(failed)} of {len(failed)} misplaced or refused ({low:.1%} to {high:.1%})")
    return int(any(failed))


def _alignment_study(options: argparse.Namespace, file: HeadFile) -> Iterator[bool]:
    """Align a head in every pose, and say of each whether it was misplaced."""
    priors = tissue_priors(priors_without(options.folder, options.work, file.number))
    head = regridded(load_head(file.number, options.folder), VOXEL_MM)
    to_head = without_border(register(file, options.work, threads=1))
    reached = reached_when_registered(head, to_head, priors)
    for pose, found in _kept(options, file.number, "alignments", aligned, head, priors):
        print(file.number, pose, found, f"of {reached:.4f}", flush=True)
        yield misplaced(found, reached)


def _whole_study(options: argparse.Namespace, file: HeadFile) -> Iterator[bool]:
    """Segment a head in every pose, and say of each whether that failed."""
    priors = tissue_priors(priors_without(options.folder, options.work, file.number))
    head = regridded(load_head(file.number, options.folder), VOXEL_MM)
    for pose, found in _kept(options, file.number, "wholes", whole, head, priors):
        print(file.number, pose, found, flush=True)
        yield failed_whole(found)


def _kept(
    options: argparse.Namespace,
    number: str,
    folder: str,
    find: Callable[[Posed, TissuePriors], dict[str, float | str]],
    head: Head,
    priors: TissuePriors,
) -> Iterator[tuple[int, dict[str, float | str]]]:
    """Find something in every pose of a head; what an earlier run kept is read."""
    for pose in range(options.poses):
        kept = options.work / folder / f"{number}_{pose}.json"
        if not kept.exists():
            rng = np.random.default_rng([int(number), pose])
            write_json(kept, find(posed(head, rng), priors))
        yield pose, json.loads(kept.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
