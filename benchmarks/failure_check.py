"""How often the failure check sees a structure that failed: heads × nuisances, Dice to truth.

    python -m benchmarks.failure_check HEADS --priors DIR --heads 01 03 … --out FILE

HEADS holds the label maps ``training_seg_*.nii.gz``; DIR the priors that ``scripts/build_priors.py
--leave-out`` built without the heads that are studied. Every row of FILE is one structure of one
head under one nuisance with what :mod:`falx.anatomy.structures.trust` measured, not with its
verdict, so that other limits need no other run. What FILE already holds is not run again. The
rates are printed by

    python -m benchmarks.failure_check --rates FILE --population FILE

where the second file is that of ``scripts/build_volumes.py --leave-out``. A study of hours.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.stats

from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.segmentation.noise import noise_level
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import labelled_with_evidence
from falx.anatomy.structures.trust import FLUID, WHY, Evidence, doubts_of
from falx.core.errors import FalxError, collect_notices
from falx.core.files import read_table
from falx.data.priors import structure_priors, tissue_priors
from falx.data.volumes import FILE, expected_structures
from falx.phantom.heads import Head, load_head
from falx.phantom.nuisances import NUISANCES, regridded

VOXEL_MM = 1.5
OWN_VOXELS = ("0.7 mm", "2 mm", "anisotropic", "thick slices")
"""Nuisances that bring voxels of their own: they take the head as it is stored."""

MARGIN_MM, LOW_DICE = 8.0, 0.8
PER_STRUCTURE = (
    "volumes_mm3", "area_mm2", "counted_mm3", "grey", "fluid", "contrast", "jacobian", "agreement",
    "edge",
)  # fmt: skip
COLUMNS = (
    "head", "nuisance", "index", "dice", "truth_mm3", "expected_dice", "brain_mm3", "shift",
    "noise", *PER_STRUCTURE, "failed",
)  # fmt: skip


def main() -> int:
    options = _parser().parse_args()
    if options.rates is not None:
        print("\n".join(_said(options.rates, options.population)))
        return 0
    done = set()
    if options.out.exists():
        lines = options.out.read_text(encoding="utf-8").splitlines()[1:]
        done = {tuple(line.split("\t")[:2]) for line in lines}
    else:
        options.out.write_text("\t".join(COLUMNS) + "\n", encoding="utf-8")
    for nuisance in options.nuisances or NUISANCES:
        for number in options.heads:
            if (number, nuisance) in done:
                continue
            started = time.process_time()
            rows = measured(load_head(number, options.folder), number, nuisance, options)
            with options.out.open("a", encoding="utf-8") as file:
                file.writelines("\t".join(row) + "\n" for row in rows)
            low = sum(float(row[3]) < 0.8 for row in rows)
            print(
                f"{number} {nuisance}: {low} of {len(rows)} below .80, "
                f"{time.process_time() - started:.0f} CPU s",
                flush=True,
            )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--priors", type=Path)
    parser.add_argument("--heads", nargs="+", default=[])
    parser.add_argument("--nuisances", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rates", type=Path)
    parser.add_argument("--population", type=Path, default=FILE)
    parser.add_argument("--voxel-mm", type=float, default=VOXEL_MM)
    return parser


def measured(
    head: Head, number: str, nuisance: str, options: argparse.Namespace
) -> list[tuple[str, ...]]:
    """Rows of the table for one image; one row without a structure if it is refused."""
    fine = _cropped(head)
    voxel_mm = 0.5 * options.voxel_mm if nuisance == "partial volume" else options.voxel_mm
    studied = fine if nuisance in OWN_VOXELS else regridded(fine, voxel_mm)
    seed = [int(number), zlib.crc32(nuisance.encode())]
    seen = NUISANCES[nuisance](studied, np.random.default_rng(seed))
    priors = tissue_priors(options.priors)
    try:
        with collect_notices():
            result = segment(seen.image, priors)
            checks = check_segmentation(result, priors)
            stop_on_failure(checks)
            found, evidence = labelled_with_evidence(result, structure_priors(options.priors))
    except FalxError as error:
        print(number, nuisance, "refused:", error, flush=True)
        return [(number, nuisance, "0", "nan", *["nan"] * (len(COLUMNS) - 4))]
    noise, bright = noise_level(seen.image.data, seen.image.data > 0)
    failed = "; ".join(check.name for check in checks if not check.passed) or "-"
    voxel_mm3 = seen.head.grid.voxel_volume_mm3
    rows = []
    for index in expected_structures():
        truth, own = seen.head.labels == index, found.labels == index
        both = int(truth.sum()) + int(own.sum())
        dice = 2.0 * int((truth & own).sum()) / both if both else np.nan
        numbers = (
            dice, float(truth.sum()) * voxel_mm3, found.confidence[index], evidence.brain_mm3,
            evidence.shift, noise / bright,
        )  # fmt: skip
        values = (getattr(evidence, name)[index] for name in PER_STRUCTURE)
        measures = [f"{value:.5g}" for value in (*numbers, *values)]
        rows.append((number, nuisance, str(index), *measures, failed))
    return rows


@dataclass(frozen=True)
class Flagged:
    """Structures of one table and how many of them were flagged.

    Parameters
    ----------
    failed, seen
        Structures below :data:`LOW_DICE`, and those of them with a failed check.
    good, falsely
        The others, and those of them with a failed check.
    """

    failed: int
    seen: int
    good: int
    falsely: int


@dataclass(frozen=True)
class Judged:
    """One structure of one image: its Dice overlap with the truth, and its failed checks."""

    head: str
    nuisance: str
    index: int
    dice: float
    checks: tuple[str, ...]


def judged(rows: Path, population: Path) -> list[Judged]:
    """Hold the rows of the study against the present limits."""
    table = read_table(rows)
    usual = expected_structures(population)
    names = list(zip(table.texts("head"), table.texts("nuisance"), strict=True))
    index = table.numbers("index").astype(int)
    columns = {name: table.numbers(name) for name in COLUMNS[3:-1]}
    found = []
    for image in dict.fromkeys(names):
        own = np.array([name == image for name in names]) & (index > 0)
        if not own.any():
            continue
        measures = {}
        for name in PER_STRUCTURE:
            measures[name] = np.zeros(max(expected_structures()) + 1)
            measures[name][index[own]] = columns[name][own]
        evidence = Evidence(
            brain_mm3=float(columns["brain_mm3"][own][0]),
            shift=float(columns["shift"][own][0]),
            **measures,
        )
        doubts = doubts_of(evidence, usual)
        for number, dice in zip(index[own].tolist(), columns["dice"][own].tolist(), strict=True):
            if number not in FLUID:
                kinds = (check.name.split(": ")[1] for check in doubts.get(number, ()))
                found.append(Judged(*image, number, dice, tuple(kinds)))
    return found


def flagged(structures: Iterable[Judged], kind: str | None = None) -> Flagged:
    """Count what was flagged, by any check or by those of one kind."""
    low, good = [], []
    for one in structures:
        seen = bool(one.checks) if kind is None else kind in one.checks
        (low if one.dice < LOW_DICE else good).append(seen)
    return Flagged(len(low), sum(low), len(good), sum(good))


def _said(rows: Path, population: Path) -> Iterator[str]:
    structures = judged(rows, population)
    images = {(one.head, one.nuisance) for one in structures}
    yield f"{len(images)} images, {len({head for head, _ in images})} heads"
    yield "check\tbelow .80 and flagged\t.80 and more and flagged"
    for kind in (None, *WHY):
        found = flagged(structures, kind)
        yield (
            f"{kind or 'any'}\t{_share(found.seen, found.failed)}\t"
            f"{_share(found.falsely, found.good)}"
        )
    for nuisance in dict.fromkeys(one.nuisance for one in structures):
        found = flagged(one for one in structures if one.nuisance == nuisance)
        yield f"{nuisance}\t{found.seen} of {found.failed}\t{found.falsely} of {found.good}"


def _share(part: int, whole: int) -> str:
    if whole == 0:
        return "none"
    low, high = scipy.stats.binomtest(part, whole).proportion_ci(method="wilson")
    return f"{part} of {whole} ({low:.0%} to {high:.0%})"


def _cropped(head: Head) -> Head:
    """Head with a margin of air, which costs nothing then."""
    found = np.argwhere(head.labels > 0)
    margin = np.round(MARGIN_MM / head.grid.voxel_sizes_mm).astype(int)
    low = np.maximum(found.min(axis=0) - margin, 0)
    high = np.minimum(found.max(axis=0) + margin + 1, head.labels.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    return Head(np.ascontiguousarray(head.labels[box]), affine)


if __name__ == "__main__":
    raise SystemExit(main())
