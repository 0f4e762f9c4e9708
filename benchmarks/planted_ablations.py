"""Planted laser ablations on heads that Falx does not ship: how many are found, and how well.

    python -m benchmarks.planted_ablations HEADS [--cases 200] [--nulls 20] [--first 0]
        [--heads 02 04 08 11 14]

HEADS holds the label maps ``training_seg_*.nii.gz``; heads that ship with Falx, and one without
amygdala, are left out. Every case has its own head, side, rate, rim, oedema, sag, contrast agent
and age, its images are coregistered anew, and the brain and structures are the true ones. Nulls
are scanned twice without an operation. A study of minutes, not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from falx.anatomy.registration.coregistration import coregister, surroundings
from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import SIDES
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.phantom.heads import SHIPPED, load_head
from falx.phantom.nuisances import regridded
from falx.studies.ablation.files import window_of
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.cavity import Proposal, changed, propose_cavity
from falx.surgery.robustness import share_interval
from surgery.post_operative import Surgery, random_surgery, scan_operated

VOXEL_MM = 1.5
WITHOUT_STRUCTURES = "07"
SEED = 2026


def main() -> int:
    options = _parser().parse_args()
    numbers = sorted(p.name[13:15] for p in options.folder.glob("training_seg_*.nii.gz"))
    numbers = [n for n in numbers if n not in SHIPPED and n != WITHOUT_STRUCTURES]
    rows = []
    for n in range(options.first, options.first + options.cases + options.nulls):
        null, number = n >= options.first + options.cases, numbers[n % len(numbers)]
        if options.heads and number not in options.heads:
            continue
        rows.append(_case(n, number, options.folder, null=null))
        print(*rows[-1].values(), flush=True)
    _summary([row for row in rows if not row["null"]], [row for row in rows if row["null"]])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--nulls", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--heads", nargs="+", help="only the cases of these heads")
    return parser


def _case(n: int, number: str, folder: Path, *, null: bool) -> dict[str, object]:
    rng = np.random.default_rng([SEED, n])
    head = regridded(load_head(number, folder), VOXEL_MM)
    side, surgery = SIDES[int(rng.integers(2))], random_surgery(rng)
    if null:
        surgery = replace(surgery, rate=0.0)
    made = scan_operated(head, side, surgery, rng)
    started = time.process_time()
    brain = Image(head.tissues() <= 2, head.affine)
    matrix = coregister(made.before, made.after, mask=surroundings(brain)).matrix
    targets = {one: head.mask(*MESIAL[one]) for one in SIDES}
    box, grid = window_of(targets, None, head.grid)
    seen = resample(made.after, grid, matrix=matrix)
    inside = np.ascontiguousarray(brain.data[box])
    difference = changed(np.ascontiguousarray(made.before.data[box]), seen, inside, grid)
    boxed = {one: np.ascontiguousarray(mask[box]) for one, mask in targets.items()}
    found = propose_cavity(difference, inside, boxed, grid)
    used = time.process_time() - started
    scores = _scores(found, made.ablation[box])
    return {
        "case": n, "head": number, "null": null, "side": side, "proposed": found.side or "none",
        **scores, "confidence": round(found.confidence, 2), "kind": _kind(surgery),
        "mm3": round(made.ablation.sum() * head.grid.voxel_volume_mm3), "cpu": round(used, 1),
    }  # fmt: skip


def _kind(surgery: Surgery) -> str:
    if surgery.late:
        return "late"
    return "early-rim" if surgery.rim > 0 else "early-no-rim"


def _scores(found: Proposal, truth: np.ndarray) -> dict[str, float]:
    if not found.found or not truth.any():
        return {"dice": float("nan"), "missed": float("nan"), "false": float("nan")}
    return {
        "dice": round(dice(found.mask, truth), 3),
        "missed": round(float((truth & ~found.mask).sum() / truth.sum()), 3),
        "false": round(float((found.mask & ~truth).sum() / found.mask.sum()), 3),
    }


def _summary(cases: Sequence[dict[str, object]], nulls: Sequence[dict[str, object]]) -> None:
    for kind in ("all", "late", "early-rim", "early-no-rim"):
        some = [row for row in cases if kind in ("all", row["kind"])]
        found = [row for row in some if row["proposed"] != "none"]
        if not found:
            continue
        right = sum(row["side"] == row["proposed"] for row in found)
        spread = {
            name: np.quantile([float(str(row[name])) for row in found], [0.25, 0.5, 0.75])
            for name in ("dice", "missed", "false")
        }
        words = ", ".join(
            f"{name} median {mid:.3f} ({low:.3f} to {high:.3f})"
            for name, (low, mid, high) in spread.items()
        )
        low, high = share_interval(len(found) / len(some), len(some))
        print(f"{kind}: proposed {len(found)} of {len(some)} ({low:.2f} to {high:.2f}), "
              f"side right {right} of {len(found)}; {words}")  # fmt: skip
    wrong = sum(row["proposed"] != "none" for row in nulls)
    print(f"without an operation: proposed {wrong} of {len(nulls)}")


if __name__ == "__main__":
    raise SystemExit(main())
