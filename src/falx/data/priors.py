"""The priors that ship, and the template they live on.

Everything is in the symmetric template space (``MNI152NLin2009aSym``, RAS+ mm) and exactly
mirror symmetric about x = 0. ``scripts/build_priors.py`` makes the files; every function that
reads them takes another folder, so that a study can leave heads out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option
from falx.core.files import atomic_path, write_table
from falx.core.grid import Grid, box_grid
from falx.data.averaging import structure_ids
from falx.data.labels import TISSUES, head_labels
from falx.images.nifti import Image, load, save

__all__ = [
    "DATA",
    "StructurePriors",
    "TissuePriors",
    "structure_grid",
    "structure_priors",
    "template",
    "tissue_grid",
    "tissue_priors",
    "write_structures",
    "write_tissues",
]

DATA = Path(__file__).parent
FLOOR = 1e-4
TISSUE_FILE = "tissue_priors.nii.gz"
STRUCTURE_FILE = "structure_priors.npz"
ATLAS_FILE = "structures_dseg.nii.gz"
GYRI_FILE = "gyri_dseg.nii.gz"
TEMPLATE_FILE = "template.npz"
TEMPLATE_AFFINE = np.array(
    [[1.0, 0, 0, -98], [0, 1, 0, -134], [0, 0, 1, -72], [0, 0, 0, 1]], dtype=np.float64
)
BRAIN_SHARE = 0.2
"""Share of the brightest voxel above which the template is brain."""

TemplateKind = Literal["t1", "gm", "wm", "brain"]


@dataclass(frozen=True, eq=False)
class TissuePriors:
    """Tissue probabilities in template space.

    Parameters
    ----------
    probabilities
        Shape (X, Y, Z, 6), float32, at least 1e-4, sums to one; ``probabilities[::-1]`` is
        the same array.
    affine
        4×4, voxel to template mm.
    names
        ``("GM", "WM", "CSF", "bone", "soft", "air")``.
    """

    probabilities: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]
    names: tuple[str, ...] = TISSUES

    @property
    def grid(self) -> Grid:
        """Grid of the priors."""
        x, y, z = self.probabilities.shape[:3]
        return Grid((x, y, z), self.affine)


@dataclass(frozen=True, eq=False)
class StructurePriors:
    """Probability of every structure in template space, each kept in its own small box.

    Parameters
    ----------
    ids
        FreeSurfer numbers, ascending; the order of the other fields.
    names
        English names, for example ``"left hippocampus"``.
    sides
        ``"left"``, ``"right"`` or ``"none"``.
    corners
        Shape (n, 3): first voxel of each box on the grid.
    boxes
        One uint8 array a structure; 255 is probability one. Zero outside the box.
    grid
        The common 1 mm grid.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    sides: tuple[str, ...]
    corners: npt.NDArray[np.int64]
    boxes: tuple[npt.NDArray[np.uint8], ...]
    grid: Grid

    def image(self, structure: int | str) -> Image:
        """Probability of one structure inside its box, with the box's own affine.

        Sampled with ``outside=0`` it is the probability everywhere.
        """
        n = self._number(structure)
        affine = self.grid.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ self.corners[n]
        return Image(self.boxes[n].astype(np.float32) / np.float32(255), affine)

    def probability(self, structure: int | str) -> npt.NDArray[np.float32]:
        """Probability of one structure on the whole grid, shape (X, Y, Z), float32."""
        n = self._number(structure)
        full = np.zeros(self.grid.shape, dtype=np.float32)
        box = self.boxes[n]
        where = tuple(
            slice(int(c), int(c) + size)
            for c, size in zip(self.corners[n], box.shape, strict=True)
        )
        full[where] = box / np.float32(255)
        return full

    def _number(self, structure: int | str) -> int:
        if isinstance(structure, str):
            return self.names.index(check_option("structure", structure, self.names))
        if structure not in self.ids:
            raise InputError(
                "there is no prior for this structure",
                found=structure,
                do=f"use one of {self.ids}",
            )
        return self.ids.index(structure)


def tissue_grid() -> Grid:
    """Grid of the tissue priors: 1.5 mm, wide enough for the whole head down to the neck."""
    return box_grid((-97.5, -135.0, -90.0), (97.5, 105.0, 117.0), 1.5)


def structure_grid() -> Grid:
    """Grid of the structure priors: 1 mm, the brain, no voxel on the plane x = 0 itself."""
    return box_grid((-79.5, -114.0, -75.0), (79.5, 82.0, 90.0), 1.0)


def tissue_priors(folder: Path | None = None) -> TissuePriors:
    """Read the six tissue priors; the shipped ones unless a folder is given."""
    image = load((folder or DATA) / TISSUE_FILE, ndim=4)
    values = np.maximum(image.data / np.float32(255), np.float32(FLOOR))
    values /= values.sum(axis=-1, keepdims=True)
    return TissuePriors(values, image.affine)


def structure_priors(folder: Path | None = None) -> StructurePriors:
    """Read the structure priors; the shipped ones unless a folder is given."""
    labels = head_labels()
    name, side = (
        dict(zip(labels.index.tolist(), column, strict=True))
        for column in (labels.name, labels.side)
    )
    mirror = labels.table(labels.mirror)
    grid = structure_grid()
    corners: dict[int, npt.NDArray[np.int64]] = {}
    boxes: dict[int, npt.NDArray[np.uint8]] = {}
    with np.load((folder or DATA) / STRUCTURE_FILE) as archive:
        for key in archive.files:
            structure, *corner = (int(part) for part in key.split("_"))
            box = archive[key]
            corners[structure], boxes[structure] = np.array(corner), box
            if side[structure] == "left":
                other = int(mirror[structure])
                boxes[other] = box[::-1]
                corners[other] = np.array([grid.shape[0] - corner[0] - box.shape[0], *corner[1:]])
    ids = tuple(sorted(boxes))
    return StructurePriors(
        ids=ids,
        names=tuple(name[i] for i in ids),
        sides=tuple(side[i] for i in ids),
        corners=np.array([corners[i] for i in ids]),
        boxes=tuple(boxes[i] for i in ids),
        grid=grid,
    )


def template(kind: TemplateKind = "t1") -> Image:
    """Symmetric ICBM 152 2009a template, shape (197, 233, 189) at 1 mm.

    Fonov et al. 2011, NeuroImage 54:313. Only the left half is stored: the maps equal their
    mirror images to the last bit.

    Parameters
    ----------
    kind
        ``t1`` (brain only, 0 … 1), ``gm`` and ``wm`` (probabilities), or ``brain`` (mask).
    """
    check_option("kind", kind, ("t1", "gm", "wm", "brain"))
    with np.load(DATA / TEMPLATE_FILE) as archive:
        half = archive["t1" if kind == "brain" else kind].astype(np.float32)
    values = np.concatenate([half, half[-2::-1]])
    values = values / values.max()
    if kind == "brain":
        values = (values > BRAIN_SHARE).astype(np.float32)
    return Image(values, TEMPLATE_AFFINE.copy())


def write_tissues(priors: npt.NDArray[np.floating], grid: Grid, folder: Path) -> None:
    """Write tissue priors of shape (X, Y, Z, 6) as eight-bit NIfTI."""
    save(folder / TISSUE_FILE, np.rint(priors * 255).astype(np.uint8), grid.affine)


def write_structures(priors: npt.NDArray[np.floating], grid: Grid, folder: Path) -> None:
    """Write structure priors (left and unsided only; right is the mirror) and their atlas.

    Parameters
    ----------
    priors
        Shape (n, X, Y, Z), in the order of :func:`falx.data.averaging.structure_ids`.
    """
    labels, ids = head_labels(), structure_ids()
    side = dict(zip(labels.index.tolist(), labels.side, strict=True))
    arrays: dict[str, npt.NDArray[np.uint8]] = {}
    for values, structure in zip(priors, ids, strict=True):
        coded = np.rint(values * 255).astype(np.uint8)
        if side[structure] != "right" and coded.any():
            low, box = _crop(coded)
            arrays["_".join(map(str, (structure, *low)))] = box
    with atomic_path(folder / STRUCTURE_FILE) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    _write_atlas(priors, grid, folder)


def _crop(data: npt.NDArray[np.uint8]) -> tuple[list[int], npt.NDArray[np.uint8]]:
    where = np.argwhere(data)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    return low.tolist(), data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]


def _write_atlas(priors: npt.NDArray[np.floating], grid: Grid, folder: Path) -> None:
    """Write the most probable structure where anything is more probable than the outside."""
    ids = np.array([0, *structure_ids()], dtype=np.uint8)
    outside = 1.0 - priors.sum(axis=0)
    best = np.argmax(np.concatenate([outside[None], priors]), axis=0)
    save(folder / ATLAS_FILE, ids[best], grid.affine)
    labels = head_labels()
    rows = [
        row
        for row in zip(labels.index, labels.name, labels.side, strict=True)
        if row[0] in ids and row[0] != 0
    ]
    write_table(folder / ATLAS_FILE.replace(".nii.gz", ".tsv"), ("index", "name", "side"), rows)
