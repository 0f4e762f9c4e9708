"""Build the tissue and structure priors that Falx ships, from whole-head label maps.

    python scripts/build_priors.py HEADS [--out DIR] [--work DIR] [--leave-out 05 ...]

HEADS holds ``training_seg_01.nii.gz`` … (Apache-2.0). Each head is registered once to the
symmetric template (affine, then diffeomorphic, with picsl-greedy) and the map is kept in the
work folder, so that a second run with other heads left out only averages again. The hash of
every input and the recipe are written beside the result. See ``docs/methods/priors.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.files import write_json
from falx.core.grid import Grid, box_grid
from falx.data.averaging import (
    RegisteredHead,
    average_structures,
    average_tissues,
    combine_tissues,
    cut_below_skull,
)
from falx.data.labels import head_labels
from falx.data.priors import (
    DATA,
    structure_grid,
    template,
    tissue_grid,
    write_structures,
    write_tissues,
)
from falx.images.nifti import Image, load, load_labels, save
from falx.images.resample import resample
from falx.images.smooth import smooth
from falx.images.warp import CoordinateMap, load_map, save_map

RECIPE = 1
"""Raised whenever the registration changes: kept maps of an older recipe are not used."""

REGISTRATION_GRID = box_grid((-100, -140, -96), (100, 108, 116), 2.0)
AFFINE_OPTIONS = "-a -dof 12 -m NCC 4x4x4 -n 100x50x0"
DEFORMABLE_OPTIONS = "-m NCC 2x2x2 -s 1.5vox 0.7vox -n 100x50x10"
TEMPLATE_WEIGHT = 0.5
WITHOUT_STRUCTURES = ("07",)
"""Head 07 has a right hippocampus three times the left: traced amiss, no use as a structure."""


@dataclass(frozen=True)
class HeadFile:
    """One input: its number, path and content hash."""

    number: str
    path: Path
    sha256: str


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    heads = [h for h in find_heads(options.heads) if h.number not in options.leave_out]
    missing = set(options.leave_out) - {h.number for h in find_heads(options.heads)}
    if missing or len(heads) < 2:
        sys.exit(f"no such head to leave out: {sorted(missing)}" if missing else "too few heads")
    options.out.mkdir(parents=True, exist_ok=True)
    for head in heads:
        print(f"head {head.number}", flush=True)
        register(head, options.work, threads=options.threads)
    build_tissues(heads, options.work, options.out, template_weight=options.template_weight)
    build_structures(
        [h for h in heads if h.number not in WITHOUT_STRUCTURES], options.work, options.out
    )
    write_json(options.out / "priors.json", _provenance(heads, options.template_weight))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("heads", type=Path, help="folder with training_seg_*.nii.gz")
    parser.add_argument("--out", type=Path, default=DATA, help="folder of the result")
    parser.add_argument("--work", type=Path, default=Path("build/priors"), help="kept maps")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="NN", help="heads left out")
    parser.add_argument(
        "--template-weight", type=float, default=TEMPLATE_WEIGHT, help="share of GM and WM"
    )
    parser.add_argument("--threads", type=int, default=2)
    return parser


def find_heads(folder: Path) -> list[HeadFile]:
    """List the label maps of a folder, by number."""
    return [
        HeadFile(p.name[13:15], p, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(folder.glob("training_seg_*.nii.gz"))
    ]


def registered(heads: Iterable[HeadFile], work: Path) -> Iterator[RegisteredHead]:
    """Read the heads with their kept maps, one at a time."""
    for head in heads:
        mapping = without_border(load_map(_kept(head, work)))
        yield RegisteredHead(cut_below_skull(load_labels(head.path)), mapping)


def without_border(mapping: CoordinateMap, voxels: int = 3) -> CoordinateMap:
    """Drop the border, where the registration reads zeros from beyond its grid."""
    inner = (slice(voxels, -voxels),) * 3
    affine = mapping.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, voxels)
    return CoordinateMap(mapping.coordinates_mm[inner], affine)


def build_tissues(heads: list[HeadFile], work: Path, out: Path, *, template_weight: float) -> None:
    """Average, anchor and write the six tissue priors."""
    average = average_tissues(registered(heads, work), tissue_grid())
    write_combined(average, out, template_weight=template_weight)


def write_combined(
    average: npt.NDArray[np.floating], out: Path, *, template_weight: float = TEMPLATE_WEIGHT
) -> None:
    """Anchor the mean of the heads, shape (X, Y, Z, 6), to the template and write it."""
    grid = tissue_grid()
    gm, wm = (_on_grid(template(kind), grid) for kind in ("gm", "wm"))
    priors = combine_tissues(average, gm, wm, grid, template_weight=template_weight)
    write_tissues(priors, grid, out)


def build_structures(heads: list[HeadFile], work: Path, out: Path) -> None:
    """Average and write the structure priors and the structure atlas."""
    grid = structure_grid()
    write_structures(average_structures(registered(heads, work), grid), grid, out)


def register(head: HeadFile, work: Path, *, threads: int) -> CoordinateMap:
    """Map from template to head coordinates; computed once, then read.

    Grey and white matter drive an affine and a diffeomorphic registration at 2 mm, started
    from the two centres of mass.
    """
    kept = _kept(head, work)
    if kept.exists():
        return load_map(kept)
    labels = cut_below_skull(load_labels(head.path))
    fixed = [_on_grid(template(kind), REGISTRATION_GRID) for kind in ("gm", "wm")]
    moving = [_tissue_map(labels, tissue) for tissue in ("GM", "WM")]
    with tempfile.TemporaryDirectory() as folder:
        mapping = _greedy(fixed, moving, labels.affine, Path(folder), threads)
    save_map(kept, mapping)
    return mapping


def _greedy(
    fixed: list[npt.NDArray[np.float32]],
    moving: list[npt.NDArray[np.float32]],
    moving_affine: npt.NDArray[np.float64],
    folder: Path,
    threads: int,
) -> CoordinateMap:
    grid = REGISTRATION_GRID
    pairs = []
    for n, (f, m) in enumerate(zip(fixed, moving, strict=True)):
        save(folder / f"f{n}.nii", f, grid.affine)
        save(folder / f"m{n}.nii", m, moving_affine)
        pairs.append(f"-i {folder}/f{n}.nii {folder}/m{n}.nii")
    for axis in range(3):
        save(folder / f"x{axis}.nii", grid.centres_mm()[..., axis], grid.affine)
    start = np.eye(4)
    moving_grid = Grid(moving[0].shape, moving_affine)
    start[:3, 3] = _centre_mm(sum(moving), moving_grid) - _centre_mm(sum(fixed), grid)
    np.savetxt(folder / "start.mat", start)
    common = f"-d 3 -threads {threads} {' '.join(pairs)}"
    _run(f"{common} {AFFINE_OPTIONS} -seed 1 -ia {folder}/start.mat -o {folder}/affine.mat")
    _run(f"{common} {DEFORMABLE_OPTIONS} -it {folder}/affine.mat -o {folder}/warp.nii.gz")
    # Greedy writes displacements in its own convention; template coordinates pushed through
    # the warp alone are free of it, and the affine follows exactly.
    pushed = " ".join(f"-rm {folder}/x{a}.nii {folder}/y{a}.nii" for a in range(3))
    _run(f"-d 3 -rf {folder}/f0.nii -ri LINEAR {pushed} -r {folder}/warp.nii.gz")
    warped = np.stack([load(folder / f"y{a}.nii").data for a in range(3)], axis=-1)
    matrix = np.loadtxt(folder / "affine.mat")
    coordinates = warped @ matrix[:3, :3].T + matrix[:3, 3]
    return CoordinateMap(coordinates.astype(np.float32), grid.affine)


def _run(command: str) -> None:
    """Run greedy in a process of its own: its C++ layer writes past Python's output."""
    call = "import sys, picsl_greedy; picsl_greedy.Greedy3D().execute(sys.argv[1])"
    subprocess.run([sys.executable, "-c", call, command], check=True, capture_output=True)


def _tissue_map(labels: Image, tissue: str) -> npt.NDArray[np.float32]:
    mask = np.isin(labels.data, head_labels().ids(tissue=tissue))
    return smooth(mask.astype(np.float32), labels.grid.voxel_sizes_mm, 2.0)


def _on_grid(image: Image, grid: Grid) -> npt.NDArray[np.float32]:
    """Bring a 1 mm template map onto a coarser grid, smoothed by the coarser voxel."""
    widths = np.sqrt(np.maximum(grid.voxel_sizes_mm**2 - image.grid.voxel_sizes_mm**2, 0))
    smoothed = smooth(image.data, image.grid.voxel_sizes_mm, widths)
    return np.asarray(resample(Image(smoothed, image.affine), grid), dtype=np.float32)


def _centre_mm(weights: npt.NDArray[np.float32], grid: Grid) -> npt.NDArray[np.float64]:
    points = grid.centres_mm()[weights > 0.5]
    return np.asarray(points.mean(axis=0))


def _kept(head: HeadFile, work: Path) -> Path:
    return work / f"head-{head.number}_{head.sha256[:12]}_recipe-{RECIPE}_map.nii.gz"


def _provenance(heads: list[HeadFile], template_weight: float) -> dict[str, object]:
    return {
        "Description": "Tissue and structure priors of Falx",
        "Recipe": RECIPE,
        "Script": "scripts/build_priors.py",
        "License": "Apache-2.0 (label maps); ICBM 152 2009a (template); see NOTICE",
        "TemplateWeight": template_weight,
        "Affine": AFFINE_OPTIONS,
        "Deformable": DEFORMABLE_OPTIONS,
        "LeftOutOfStructures": list(WITHOUT_STRUCTURES),
        "Heads": {h.path.name: f"sha256:{h.sha256}" for h in heads},
    }


if __name__ == "__main__":
    sys.exit(main())
