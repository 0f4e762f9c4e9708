"""Accuracy on unseen heads: priors built without a head, a T1w simulated from it, Dice to truth.

    python -m benchmarks.leave_one_out HEADS --work build/priors [--heads 05 10] [--atrophy]

HEADS holds the label maps ``training_seg_*.nii.gz``; `work` keeps their maps to the template,
as ``scripts/build_priors.py`` does. A study of minutes per head, not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import Structures, segment_structures
from falx.data.labels import head_labels
from falx.data.priors import structure_priors, tissue_priors
from falx.images.nifti import Image
from falx.phantom.heads import Head, load_head
from falx.phantom.intensities import t1w
from falx.phantom.lesion import atrophy

STRUCTURES = {"hippocampus": (17, 53), "amygdala": (18, 54), "thalamus": (10, 49)}
ATROPHY = (0.0, 0.1, 0.2, 0.3, 0.4)
WITHOUT_STRUCTURES = "07"


def main() -> int:
    options = _parser().parse_args()
    numbers = options.heads or sorted(
        p.name[13:15] for p in options.folder.glob("training_seg_*.nii.gz")
    )
    scores = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            _build(options, number, Path(folder))
            head = load_head(number, options.folder)
            scores.append(_scored(head, number, Path(folder)))
            print(number, {k: round(v, 3) for k, v in scores[-1].items()}, flush=True)
            if options.atrophy:
                print(number, "atrophy", list(_atrophied(head, Path(folder))), flush=True)
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


def _build(options: argparse.Namespace, number: str, out: Path) -> None:
    script = Path(__file__).parents[1] / "scripts" / "build_priors.py"
    command = [sys.executable, script, options.folder, "--out", out, "--work", options.work]
    subprocess.run([*map(str, command), "--leave-out", number], check=True, capture_output=True)


def _segmented(head: Head, folder: Path, seed: int) -> tuple[Segmentation, Structures]:
    image = Image(t1w(head, np.random.default_rng(seed)), head.affine)
    result = segment(image, tissue_priors(folder), threads=2)
    return result, segment_structures(result, structure_priors(folder), threads=2)


def _scored(head: Head, number: str, folder: Path) -> dict[str, float]:
    result, found = _segmented(head, folder, int(number))
    labels = head_labels()
    truth = labels.table(labels.tissue_number)[head.labels]
    scores = {
        name: _dice(tissue > 0.5, truth == k)
        for k, (name, tissue) in enumerate(
            (("gm", result.gm), ("wm", result.wm), ("csf", result.csf))
        )
    }
    if number != WITHOUT_STRUCTURES:
        for name, pair in STRUCTURES.items():
            for side, label in zip("LR", pair, strict=True):
                scores[f"{name} {side}"] = _dice(found.labels == label, head.labels == label)
    return scores


def _atrophied(head: Head, folder: Path) -> Iterator[tuple[float, float, float]]:
    """Planted and recovered loss of the left hippocampus, and the change of the right."""
    whole: tuple[float, float] | None = None
    for planted in ATROPHY:
        changed = head if planted == 0 else atrophy(head, 17, planted)
        volumes = _segmented(changed, folder, 1)[1].volumes_mm3
        both = volumes[17], volumes[53]
        whole = whole or both
        yield planted, round(1 - both[0] / whole[0], 3), round(1 - both[1] / whole[1], 3)


def _dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return 2.0 * float(np.sum(a & b)) / float(a.sum() + b.sum())


if __name__ == "__main__":
    sys.exit(main())
