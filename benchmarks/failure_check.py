"""How often the failure check sees a structure that failed: heads × nuisances, Dice to truth.

    python -m benchmarks.failure_check HEADS --priors DIR --heads 01 03 … --out FILE

HEADS holds the label maps ``training_seg_*.nii.gz``; DIR the priors that ``scripts/build_priors.py
--leave-out`` built without the heads that are studied. Every row of FILE is one structure of one
head under one nuisance with what :mod:`falx.anatomy.structures.trust` measured, not with its
verdict, so that other limits need no other run. What FILE already holds is not run again. With
``--turns N`` every head is seen with much noise and field, then in N - 1 turns under other
nuisances. ``{head}`` in DIR and TABLES is the number of the head: priors and population
(``scripts/build_volumes.py --leave-out``) of each are built without it. The rates are printed by

    python -m benchmarks.failure_check --rates FILE --population TABLES

where each head is judged by a regression and a limit of other heads; and the regression of all
heads, which ships, is written by

    python -m benchmarks.failure_check --fit FILE --population TABLES
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.stats

from benchmarks.overlap_fit import fit_overlap, write_overlap_model
from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import labelled_with_evidence
from falx.anatomy.structures.evidence import Evidence
from falx.anatomy.structures.overlap import predicted_overlap
from falx.anatomy.structures.trust import WHY, doubts_of, terms_of
from falx.core.errors import FalxError, collect_notices
from falx.core.files import read_table
from falx.data.overlap import FILE as OVERLAP_FILE
from falx.data.overlap import OverlapModel
from falx.data.priors import structure_priors, tissue_priors
from falx.data.volumes import FILE, Expected, expected_structures
from falx.phantom.heads import Head, load_head
from falx.phantom.nuisances import NUISANCES, regridded
from falx.studies.signature.study import ANATOMY

VOXEL_MM = 1.5
OWN_VOXELS = ("0.7 mm", "2 mm", "anisotropic", "thick slices")
"""Nuisances that bring voxels of their own: they take the head as it is stored."""

HARDEST, STEP = "noise and field", 5
IN_TURNS = (
    "plain", "noise", "field", "2 mm", "partial volume", "turned", "no neck", "defaced hard",
    "stripped loosely", "stripped tightly", "lesion", "cavity", "wide ventricles",
    "contrast agent", "flat contrast", "atrophy", "small amygdalae",
)  # fmt: skip
MARGIN_MM, LOW_DICE, FALSE_SHARE = 8.0, 0.8, 0.05
PER_STRUCTURE = (
    "volumes_mm3", "area_mm2", "counted_mm3", "grey", "fluid", "contrast", "jacobian", "agreement",
    "edge", "expected_dice",
)  # fmt: skip
COLUMNS = (
    "head", "nuisance", "index", "dice", "truth_mm3", "brain_mm3", "noise",
    *PER_STRUCTURE, "failed", "version",
)  # fmt: skip


def main() -> int:
    options = _parser().parse_args()
    if options.rates is not None:
        print("\n".join(_said(options.rates, options.population)))
        return 0
    if options.fit is not None:
        model = model_with_limit(read_images(options.fit, options.population))
        write_overlap_model(options.out or OVERLAP_FILE, model)
        return 0
    done = set()
    if options.out.exists():
        lines = options.out.read_text(encoding="utf-8").splitlines()[1:]
        done = {tuple(line.split("\t")[:2]) for line in lines}
    else:
        options.out.write_text("\t".join(COLUMNS) + "\n", encoding="utf-8")
    for number, nuisance in _images(options):
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


def _images(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Every head under every nuisance that was named, or in turns as :func:`in_turns` has it."""
    if options.turns:
        yield from in_turns(options.heads, options.turns)
        return
    for nuisance in options.nuisances or NUISANCES:
        for number in options.heads:
            yield number, nuisance


def in_turns(heads: Sequence[str], turns: int) -> Iterator[tuple[str, str]]:
    """Every head under the hardest nuisance, then in every turn each under another one."""
    others = [name for name in IN_TURNS if name in NUISANCES]
    for turn in range(turns):
        for place, head in enumerate(heads):
            yield head, HARDEST if turn == 0 else others[(place + STEP * turn) % len(others)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--priors", help="a folder; {head} in it is the number of the head")
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--heads", nargs="+", default=[])
    parser.add_argument("--nuisances", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rates", type=Path)
    parser.add_argument("--fit", type=Path)
    parser.add_argument("--population", default=str(FILE))
    parser.add_argument("--voxel-mm", type=float, default=VOXEL_MM)
    return parser


def measured(
    head: Head, number: str, nuisance: str, options: argparse.Namespace
) -> list[tuple[str, ...]]:
    """Rows of the table for one image; one row without a structure if it is refused."""
    fine = cropped(head)
    voxel_mm = 0.5 * options.voxel_mm if nuisance == "partial volume" else options.voxel_mm
    studied = fine if nuisance in OWN_VOXELS else regridded(fine, voxel_mm)
    seed = [int(number), zlib.crc32(nuisance.encode())]
    seen = NUISANCES[nuisance](studied, np.random.default_rng(seed))
    folder = None if options.priors is None else Path(options.priors.format(head=number))
    priors = tissue_priors(folder)
    try:
        with collect_notices():
            result = segment(seen.image, priors)
            checks = check_segmentation(result, priors)
            stop_on_failure(checks)
            found, evidence = labelled_with_evidence(result, structure_priors(folder))
    except FalxError as error:
        print(number, nuisance, "refused:", error, flush=True)
        return [(number, nuisance, "0", "nan", *["nan"] * (len(COLUMNS) - 4))]
    failed = "; ".join(check.name for check in checks if not check.passed) or "-"
    voxel_mm3 = seen.head.grid.voxel_volume_mm3
    rows = []
    for index in expected_structures():
        truth, own = seen.head.labels == index, found.labels == index
        both = int(truth.sum()) + int(own.sum())
        dice = 2.0 * int((truth & own).sum()) / both if both else np.nan
        numbers = (
            dice, float(truth.sum()) * voxel_mm3, evidence.brain_mm3, evidence.noise,
        )  # fmt: skip
        values = (getattr(evidence, name)[index] for name in PER_STRUCTURE)
        measures = [f"{value:.5g}" for value in (*numbers, *values)]
        rows.append((number, nuisance, str(index), *measures, failed, str(ANATOMY.version)))
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
    predicted: float


@dataclass(frozen=True, eq=False)
class Seen:
    """One image of the study: its evidence, the terms and Dice of its structures."""

    head: str
    nuisance: str
    evidence: Evidence
    usual: Mapping[int, Expected]
    terms: Mapping[int, npt.NDArray[np.float64]]
    dice: Mapping[int, float]

    @property
    def judged_on(self) -> list[int]:
        """Structures that have a truth and a check."""
        return [n for n in self.terms if np.isfinite(self.dice.get(n, np.nan))]


def read_images(rows: Path, population: str) -> list[Seen]:
    """Read the rows of the study, each head beside a population without it."""
    table = read_table(rows)
    names = list(zip(table.texts("head"), table.texts("nuisance"), strict=True))
    index = table.numbers("index").astype(int)
    columns = {name: table.numbers(name) for name in COLUMNS[3:-2]}
    found = []
    for image in dict.fromkeys(names):
        own = np.array([name == image for name in names]) & (index > 0)
        if not own.any():
            continue
        usual = expected_structures(Path(population.format(head=image[0])))
        measures = {}
        for name in PER_STRUCTURE:
            measures[name] = np.zeros(max(expected_structures()) + 1)
            measures[name][index[own]] = columns[name][own]
        evidence = Evidence(
            brain_mm3=float(columns["brain_mm3"][own][0]),
            noise=float(columns["noise"][own][0]),
            **measures,
        )
        dice = dict(zip(index[own].tolist(), columns["dice"][own].tolist(), strict=True))
        found.append(Seen(*image, evidence, usual, terms_of(evidence, usual), dice))
    return found


def fitted(images: Sequence[Seen], limit: float = 0.0) -> OverlapModel:
    """Regression of the overlap on these images."""
    rows = [(one.terms[n], n, one.dice[n]) for one in images for n in one.judged_on]
    found, numbers, dice = zip(*rows, strict=True)
    return fit_overlap(np.array(found), numbers, np.array(dice), limit)


def model_with_limit(images: Sequence[Seen]) -> OverlapModel:
    """Regression, and the limit that flags one good structure in twenty, other checks included.

    Predictions for the limit are those of the regression without the head.
    """
    good, told = [], 0
    for head in sorted({one.head for one in images}):
        model = fitted([one for one in images if one.head != head])
        for one in images:
            if one.head == head:
                for judged in _judged(one, model):
                    if judged.dice >= LOW_DICE:
                        told += bool(judged.checks)
                        good.append(1.0 if judged.checks else judged.predicted)
    allowed = max(int(FALSE_SHARE * len(good)) - told, 0)
    return fitted(images, float(np.sort(good)[allowed]))


def _judged(image: Seen, model: OverlapModel) -> list[Judged]:
    # Large voxels are named for the volume they falsify, whatever the overlap: not counted here.
    doubts = doubts_of(image.evidence, image.usual, model)
    return [
        Judged(
            image.head,
            image.nuisance,
            n,
            image.dice[n],
            tuple(k for c in doubts.get(n, ()) if (k := c.name.split(": ")[1]) != "voxels"),
            predicted_overlap(model, n, image.terms[n]),
        )
        for n in image.judged_on
    ]


def judged(images: Sequence[Seen], *, halves: bool = False) -> list[Judged]:
    """Judge every head by regression and limit of heads other than itself.

    Parameters
    ----------
    halves
        Whether half of the heads judge the other half; else all others judge each.
    """
    heads = sorted({one.head for one in images})
    parts = [heads[::2], heads[1::2]] if halves else [[head] for head in heads]
    found = []
    for part in parts:
        model = model_with_limit([one for one in images if one.head not in part])
        found += [row for one in images if one.head in part for row in _judged(one, model)]
    return found


def flagged(structures: Iterable[Judged], kind: str | None = None) -> Flagged:
    """Count what was flagged, by any check or by those of one kind."""
    low: list[bool] = []
    good: list[bool] = []
    for one in structures:
        seen = bool(one.checks) if kind is None else kind in one.checks
        (low if one.dice < LOW_DICE else good).append(seen)
    return Flagged(len(low), sum(low), len(good), sum(good))


def _said(rows: Path, population: str) -> Iterator[str]:
    images = read_images(rows, population)
    yield f"{len(images)} images, {len({one.head for one in images})} heads"
    yield "check\tbelow .80 and flagged\t.80 and more and flagged"
    for named, halves in (("any, each head by the others", False), ("any, half by half", True)):
        structures = judged(images, halves=halves)
        yield _counted(named, flagged(structures))
        for least, most in ((0.0, 0.7), (0.7, 0.75), (0.75, LOW_DICE)):
            part = [one for one in structures if least <= one.dice < most]
            yield f"  Dice {least:.2f} to {most:.2f}\t{_share(flagged(part).seen, len(part))}"
    structures = judged(images)
    for kind in WHY:
        yield _counted(kind, flagged(structures, kind))
    for name, of in (("nuisance", attrgetter("nuisance")), ("index", attrgetter("index"))):
        for value in dict.fromkeys(of(one) for one in structures):
            found = flagged(one for one in structures if of(one) == value)
            falsely = f"{found.falsely} of {found.good}"
            yield f"{name} {value}\t{found.seen} of {found.failed}\t{falsely}"
    off = np.array([one.predicted - one.dice for one in structures])
    yield f"predicted less true Dice: mean {off.mean():+.3f}, SD {off.std():.3f}"
    sure = [one for one in structures if not one.checks]
    low = sum(one.dice < LOW_DICE for one in sure)
    yield f"Dice below .80 of what is not flagged: {_share(low, len(sure))}"


def _counted(name: str, found: Flagged) -> str:
    return f"{name}\t{_share(found.seen, found.failed)}\t{_share(found.falsely, found.good)}"


def _share(part: int, whole: int) -> str:
    if whole == 0:
        return "none"
    low, high = scipy.stats.binomtest(part, whole).proportion_ci(method="wilson")
    return f"{part} of {whole} ({low:.0%} to {high:.0%})"


def cropped(head: Head) -> Head:
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
