"""Planted laser ablations in a box around the structures: many cases in little time.

    python -m benchmarks.boxed_ablations HEADS [--first 1000] [--cases 84] [--nulls 48]
        [--shape collapsed] [--heads 01 03 06 09 13 15]

The cases are those of :mod:`benchmarks.planted_ablations`, but only a box of the head is scanned,
and instead of a coregistration the image after is misplaced by what one leaves, up to .3 mm and
.3° about the middle (nulls of the kind "residue" by 1.5 mm and 1.5°). The rule was chosen on heads
02, 04, 08, 11 and 14, cases 0 to 41; those here are others. With six heads every case of a head
has the same shape, and none has collapsed: ask for these by `--shape`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.planted_ablations import (
    CASES,
    NULLS,
    VOXEL_MM,
    Row,
    _age,
    _null,
    _scanned,
    _scores,
    _shaped,
    _summary,
)
from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import SIDES, apply_affine
from falx.images.resample import resample
from falx.phantom.heads import Head, load_head
from falx.phantom.nuisances import regridded
from falx.phantom.scan import rigid
from falx.studies.ablation.files import window_of
from falx.surgery.outcome.proposal import propose
from surgery.post_operative import random_surgery

OTHERS = ("01", "03", "06", "09", "13", "15")
SEED, BORDER, BIAS = 77, 9, 0.12
LEFT_OVER, MISPLACED = 0.3, 1.5


def main() -> int:
    options = _parser().parse_args()
    rows = []
    for null, number in ((False, options.cases), (True, options.nulls)):
        kinds = NULLS if null else CASES
        start = options.first + 1000 * null
        for n in range(start, start + number):
            head = options.heads[n % len(options.heads)]
            kind = kinds[(n + n // len(options.heads)) % len(kinds)]
            if options.shape and not null:
                kind = options.shape
            rows.append(_case(n, head, options.folder, kind, null=null))
            print(*rows[-1].values(), flush=True)
    _summary([row for row in rows if not row["null"]], [row for row in rows if row["null"]])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=84)
    parser.add_argument("--nulls", type=int, default=48)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--heads", nargs="+", default=OTHERS)
    parser.add_argument("--shape", choices=CASES, help="give every case this shape")
    return parser


@cache
def _boxed(number: str, folder: Path) -> Head:
    """Head around its structures, with a border for the turn between the two scans."""
    head = regridded(load_head(number, folder), VOXEL_MM)
    box, _ = window_of({one: head.mask(*MESIAL[one]) for one in SIDES}, None, head.grid)
    low = [max(part.start - BORDER, 0) for part in box]
    high = [part.stop + BORDER for part in box]
    affine = head.affine.copy()
    affine[:3, 3] = apply_affine(head.affine, np.array(low, dtype=float))
    return Head(head.labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], affine)


def _case(n: int, number: str, folder: Path, kind: str, *, null: bool) -> Row:
    rng = np.random.default_rng([SEED, int(null), n])
    head = _boxed(number, folder)
    side, surgery = SIDES[int(rng.integers(2))], replace(random_surgery(rng), bias=BIAS)
    surgery = _null(surgery, kind) if null else _shaped(surgery, kind)
    made = _scanned(head, side, surgery, kind, rng)
    middle = np.eye(4)
    middle[:3, 3] = apply_affine(head.affine, np.array(head.labels.shape) / 2)
    size = MISPLACED if kind == "residue" else LEFT_OVER
    rest = middle @ rigid(rng, shift_mm=size, turn_degrees=size) @ np.linalg.inv(middle)
    targets = {one: head.mask(*MESIAL[one]) for one in SIDES}
    box, grid = window_of(targets, None, head.grid)
    started = time.process_time()
    found = propose(
        np.ascontiguousarray(made.before.data[box]),
        resample(made.after, grid, matrix=made.to_after @ rest),
        np.ascontiguousarray((head.tissues() <= 2)[box]),
        {one: np.ascontiguousarray(mask[box]) for one, mask in targets.items()},
        grid,
    )
    truth = made.ablation[box]
    return {
        "case": n, "head": number, "null": null, "side": side, "proposed": found.side or "none",
        **_scores(found, truth), "confidence": round(found.confidence, 2), "kind": kind,
        "age": _age(surgery), "mm3": round(truth.sum() * grid.voxel_volume_mm3),
        "cpu": round(time.process_time() - started, 1), "reason": found.reason,
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
