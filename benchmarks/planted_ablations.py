"""Planted laser ablations on heads that Falx does not ship: how many are found, and how well.

    python -m benchmarks.planted_ablations HEADS [--cases 200] [--nulls 20] [--first 0]
        [--heads 02 04 08 11 14] [--table FILE]

HEADS holds the label maps ``training_seg_*.nii.gz``; heads that ship with Falx, and one without
amygdala, are left out. Every case has its own head, side, shape, rate, rim, oedema, sag, contrast
agent and age, its images are coregistered anew, and the brain and structures are the true ones.
One case in seven is a straight capsule; the others are none. Nulls are scanned twice without an
operation, in turn undisturbed, with contrast agent, coregistered amiss by about a millimetre, with
motion, by another sequence, in noise, in thick slices, or with an atrophy of one hippocampus. A
study of minutes, not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from falx.anatomy.registration.coregistration import coregister, surroundings
from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import SIDES, Grid, Side
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.phantom.heads import SHIPPED, Head, load_head
from falx.phantom.lesion import atrophy
from falx.phantom.nuisances import regridded
from falx.phantom.scan import rigid
from falx.studies.ablation.files import window_of
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.cavity import Proposal
from falx.surgery.outcome.proposal import propose
from falx.surgery.robustness import share_interval
from surgery.cavity_shapes import SHAPES
from surgery.post_operative import Operated, Surgery, random_surgery, scan_operated

VOXEL_MM, THICK_MM = 1.5, 4.0
WITHOUT_STRUCTURES = "07"
SEED = 2026

CASES = ("capsule", *SHAPES)
NULLS = ("plain", "contrast", "residue", "motion", "sequence", "noise", "thick", "atrophy")

Row = dict[str, object]


class Seen(NamedTuple):
    """What a proposal sees, each of shape (X, Y, Z), and the truth."""

    before: np.ndarray
    after: np.ndarray
    inside: np.ndarray
    targets: dict[Side, np.ndarray]
    grid: Grid
    truth: np.ndarray
    cpu_s: float


def main() -> int:
    options = _parser().parse_args()
    numbers = sorted(p.name[13:15] for p in options.folder.glob("training_seg_*.nii.gz"))
    numbers = [n for n in numbers if n not in SHIPPED and n != WITHOUT_STRUCTURES]
    rows: list[Row] = []
    for n in range(options.first, options.first + options.cases + options.nulls):
        null, number = n >= options.first + options.cases, numbers[n % len(numbers)]
        if options.heads and number not in options.heads:
            continue
        # One head meets another shape each time that it comes round.
        kinds = NULLS if null else CASES
        kind = kinds[(n + n // len(numbers)) % len(kinds)]
        rows.append(_case(n, number, options.folder, kind, null=null))
        print(*rows[-1].values(), flush=True)
    if options.table is not None:
        _write(options.table, rows)
    _summary([row for row in rows if not row["null"]], [row for row in rows if row["null"]])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--nulls", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--heads", nargs="+", help="only the cases of these heads")
    parser.add_argument("--table", type=Path, help="every case, as a table")
    return parser


def _case(n: int, number: str, folder: Path, kind: str, *, null: bool) -> Row:
    side, surgery, seen = looked_at(n, number, folder, kind, null=null)
    started = time.process_time()
    found = propose(seen.before, seen.after, seen.inside, seen.targets, seen.grid)
    used = seen.cpu_s + time.process_time() - started
    return {
        "case": n, "head": number, "null": null, "side": side, "proposed": found.side or "none",
        **_scores(found, seen.truth), "confidence": round(found.confidence, 2),
        "kind": kind, "age": _age(surgery),
        "mm3": round(seen.truth.sum() * seen.grid.voxel_volume_mm3), "cpu": round(used, 1),
        "reason": found.reason,
    }  # fmt: skip


def looked_at(
    n: int, number: str, folder: Path, kind: str, *, null: bool
) -> tuple[Side, Surgery, Seen]:
    """Images of a case in the window that a proposal looks at."""
    rng = np.random.default_rng([SEED, n])
    head = regridded(load_head(number, folder), VOXEL_MM)
    side, surgery = SIDES[int(rng.integers(2))], random_surgery(rng)
    surgery = _null(surgery, kind) if null else _shaped(surgery, kind)
    made = _scanned(head, side, surgery, kind, rng)
    started = time.process_time()
    brain = Image(head.tissues() <= 2, head.affine)
    matrix = coregister(made.before, made.after, mask=surroundings(brain)).matrix
    if kind == "residue":
        matrix = rigid(rng, shift_mm=1.5, turn_degrees=1.5) @ matrix
    targets = {one: head.mask(*MESIAL[one]) for one in SIDES}
    box, grid = window_of(targets, None, head.grid)
    seen = Seen(
        np.ascontiguousarray(made.before.data[box]),
        resample(made.after, grid, matrix=matrix),
        np.ascontiguousarray(brain.data[box]),
        {one: np.ascontiguousarray(mask[box]) for one, mask in targets.items()},
        grid,
        made.ablation[box],
        time.process_time() - started,
    )
    return side, surgery, seen


def _shaped(surgery: Surgery, kind: str) -> Surgery:
    """Give an operation its shape; what has collapsed is old."""
    if kind == "collapsed":
        surgery = replace(surgery, late=True, rim=0.0, oedema=0.0, core=0.28)
    return replace(surgery, shape=kind)


def _null(surgery: Surgery, kind: str) -> Surgery:
    """Leave the operation out, and disturb the scan."""
    return replace(
        surgery, rate=0.0, contrast=surgery.contrast or kind == "contrast",
        disturbance=kind if kind in ("motion", "sequence", "noise") else "",
    )  # fmt: skip


def _scanned(
    head: Head, side: Side, surgery: Surgery, kind: str, rng: np.random.Generator
) -> Operated:
    """Images of a case; the one after, of a head that lost tissue or in thick slices."""
    before = scan_operated(head, side, surgery, rng)
    if kind == "atrophy":
        worn = atrophy(atrophy(head, MESIAL[side][0], 0.2), MESIAL[side][1], 0.1)
        return replace(scan_operated(worn, side, surgery, rng), before=before.before)
    if kind == "thick":
        return replace(before, after=_in_thick_slices(before.after))
    return before


def _in_thick_slices(image: Image) -> Image:
    """Average an image over slices of :data:`THICK_MM`."""
    thick = THICK_MM / image.grid.voxel_sizes_mm[2]
    number = int(image.grid.shape[2] / thick)
    values = np.stack([_slab(image.data, z, thick) for z in range(number)], axis=-1)
    affine = image.affine @ np.diag([1.0, 1.0, thick, 1.0])
    affine[:3, 3] += image.affine[:3, 2] * 0.5 * (thick - 1.0)
    return Image(values, affine)


def _slab(data: np.ndarray, slab: int, thick: float) -> np.ndarray:
    """Mean of the slices (X, Y, Z) whose middles lie in a slab of `thick` slices, (X, Y)."""
    low, high = slab * thick - 0.5, (slab + 1) * thick - 0.5
    edges = np.arange(data.shape[2])
    share = np.clip(np.minimum(edges + 0.5, high) - np.maximum(edges - 0.5, low), 0.0, 1.0)
    return np.asarray((data @ (share / share.sum())).astype(np.float32))


def _age(surgery: Surgery) -> str:
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


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def _summary(cases: Sequence[Row], nulls: Sequence[Row]) -> None:
    _words("all", cases)
    _words("no capsule", [row for row in cases if row["kind"] != "capsule"])
    for column in ("kind", "age"):
        for name in dict.fromkeys(row[column] for row in cases):
            _words(str(name), [row for row in cases if row[column] == name])
    for name in ("all", *NULLS):
        some = [row for row in nulls if name in ("all", row["kind"])]
        if some:
            wrong = sum(row["proposed"] != "none" for row in some)
            low, high = share_interval(wrong / len(some), len(some))
            print(
                f"no operation, {name}: proposed {wrong} of {len(some)} ({low:.2f} to {high:.2f})"
            )


def _words(name: str, some: Sequence[Row]) -> None:
    found = [row for row in some if row["proposed"] != "none"]
    if not found:
        print(f"{name}: proposed 0 of {len(some)}")
        return
    right = sum(row["side"] == row["proposed"] for row in found)
    low, high = share_interval(len(found) / len(some), len(some))
    spread = ", ".join(
        f"{measure} {_quantiles(float(str(row[measure])) for row in found)}"
        for measure in ("dice", "missed", "false")
    )
    good = sum(float(str(row["dice"])) >= 0.6 for row in found)
    print(f"{name}: proposed {len(found)} of {len(some)} ({low:.2f} to {high:.2f}), side right "
          f"{right}, Dice at least .6 {good}; {spread}")  # fmt: skip


def _quantiles(values: Iterable[float]) -> str:
    """Median, its 95 % interval by order statistics, and quartiles."""
    ordered = np.sort(list(values))
    number = len(ordered)
    half = 0.98 * number**0.5
    low, high = (int(np.clip(round(number / 2 + sign * half), 0, number - 1)) for sign in (-1, 1))
    quarter, middle, three = np.quantile(ordered, [0.25, 0.5, 0.75])
    return (
        f"median {middle:.3f} (interval {ordered[low]:.3f} to {ordered[high]:.3f}, "
        f"quartiles {quarter:.3f} to {three:.3f})"
    )


if __name__ == "__main__":
    raise SystemExit(main())
