"""Accuracy on unseen heads: priors built without a head, a T1w simulated from it, Dice to truth.

    python -m benchmarks.leave_one_out HEADS --work build/priors [--heads 05 10] [--atrophy]

HEADS holds the label maps ``training_seg_*.nii.gz``; `work` keeps their maps to the template,
as ``scripts/build_priors.py`` does, their sum and the priors without each head, so that a study
that was stopped goes on. Head 13 is in no prior. Heads in poses: :mod:`benchmarks.poses`. A study
of minutes per head, not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scripts.build_priors import HeadFile, find_heads, register, registered, write_combined

from benchmarks.bench_anatomy import dice
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import Structures, segment_structures
from falx.core.grid import Grid
from falx.data.averaging import (
    RegisteredHead,
    structures_of_sum,
    summed_structures,
    summed_tissues,
    tissues_of_sum,
)
from falx.data.labels import head_labels
from falx.data.priors import (
    structure_grid,
    structure_priors,
    tissue_grid,
    tissue_priors,
    write_structures,
)
from falx.images.nifti import Image
from falx.phantom.heads import Head, load_head
from falx.phantom.intensities import t1w
from falx.phantom.lesion import atrophy

STRUCTURES = {"hippocampus": (17, 53), "amygdala": (18, 54), "thalamus": (10, 49)}
ATROPHY = (0.0, 0.1, 0.2, 0.3, 0.4)
WITHOUT_STRUCTURES, IN_NO_PRIOR = "07", "13"

Summed = Callable[[Iterable[RegisteredHead], Grid], npt.NDArray[np.float32]]


def main() -> int:
    options = _parser().parse_args()
    numbers = options.heads or sorted(
        p.name[13:15] for p in options.folder.glob("training_seg_*.nii.gz")
    )
    scores = []
    for number in numbers:
        folder = priors_without(options.folder, options.work, number)
        head = load_head(number, options.folder)
        scores.append(_scored(head, number, folder))
        print(number, {k: round(v, 3) for k, v in scores[-1].items()}, flush=True)
        if options.atrophy:
            print(number, "atrophy", list(_atrophied(head, folder)), flush=True)
    for key in scores[0]:
        values = np.array([s[key] for s in scores if key in s])
        print(f"{key:12s} median {np.median(values):.3f}  worst {values.min():.3f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--heads", nargs="*", default=[])
    parser.add_argument("--atrophy", action="store_true")
    return parser


def priors_without(heads_folder: Path, work: Path, number: str) -> Path | None:
    """Folder of the priors that do not know a head; none for the shipped ones."""
    if number == IN_NO_PRIOR:
        return None
    folder: Path = work / f"loo{number}"
    if (folder / "structure_priors.npz").exists():
        return folder
    heads = {h.number: h for h in find_heads(heads_folder) if h.number != IN_NO_PRIOR}
    for head in heads.values():
        register(head, work, threads=1)
    all_but_07 = [h for h in heads.values() if h.number != WITHOUT_STRUCTURES]
    tissues = _sum(work / "sum_tissues.npy", list(heads.values()), summed_tissues)
    structures = _sum(work / "sum_structures.npy", all_but_07, summed_structures)
    own = [heads[number]]
    tissues -= summed_tissues(registered(own, work), tissue_grid())
    if number != WITHOUT_STRUCTURES:
        structures -= summed_structures(registered(own, work), structure_grid())
    folder.mkdir(parents=True, exist_ok=True)
    write_combined(tissues_of_sum(np.maximum(tissues, 0.0)), folder)
    write_structures(structures_of_sum(np.maximum(structures, 0.0)), structure_grid(), folder)
    return folder


def _sum(kept: Path, heads: list[HeadFile], summed: Summed) -> npt.NDArray[np.float32]:
    """Sum over the heads, computed once."""
    if not kept.exists():
        grid = tissue_grid() if summed is summed_tissues else structure_grid()
        np.save(kept, summed(registered(heads, kept.parent), grid))
    return np.asarray(np.load(kept), dtype=np.float32)


def _segmented(head: Head, folder: Path | None, seed: int) -> tuple[Segmentation, Structures]:
    image = Image(t1w(head, np.random.default_rng(seed)), head.affine)
    result = segment(image, tissue_priors(folder), threads=2)
    return result, segment_structures(result, structure_priors(folder), threads=2)


def _scored(head: Head, number: str, folder: Path | None) -> dict[str, float]:
    result, found = _segmented(head, folder, int(number))
    labels = head_labels()
    truth = labels.table(labels.tissue_number)[head.labels]
    scores = {
        name: dice(tissue > 0.5, truth == k)
        for k, (name, tissue) in enumerate(
            (("gm", result.gm), ("wm", result.wm), ("csf", result.csf))
        )
    }
    if number != WITHOUT_STRUCTURES:
        for name, pair in STRUCTURES.items():
            for side, label in zip("LR", pair, strict=True):
                scores[f"{name} {side}"] = dice(found.labels == label, head.labels == label)
    return scores


def _atrophied(head: Head, folder: Path | None) -> Iterator[tuple[float, float, float]]:
    """Planted and recovered loss of the left hippocampus, and the change of the right."""
    whole: tuple[float, float] | None = None
    for planted in ATROPHY:
        changed = head if planted == 0 else atrophy(head, 17, planted)
        volumes = _segmented(changed, folder, 1)[1].volumes_mm3
        both = volumes[17], volumes[53]
        whole = whole or both
        yield planted, round(1 - both[0] / whole[0], 3), round(1 - both[1] / whole[1], 3)


if __name__ == "__main__":
    sys.exit(main())
