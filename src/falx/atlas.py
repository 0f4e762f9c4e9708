"""Label volumes with names and sides, checked when they are loaded.

Several atlases in circulation have their left and right names swapped. So the side that a
name claims is compared with the sign of the region's centroid x in millimetres, and an atlas
that fails is refused.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.errors import InputError, notify
from falx.grid import Grid, Side, apply_affine
from falx.images.nifti import Image, load

__all__ = [
    "MIDLINE_MM",
    "Atlas",
    "LabelRow",
    "Region",
    "RegionMeans",
    "check_sides",
    "load_atlas",
    "make_atlas",
    "read_label_table",
    "region_means",
    "side_in_name",
]

MIDLINE_MM = 2.0
"""Regions whose centroid is nearer to x = 0 than this have no side to check."""

BACKGROUND_NAMES = ("unknown", "null", "empty", "background")
_SIDE_WORDS: dict[str, Side] = {
    "left": "left",
    "lh": "left",
    "l": "left",
    "right": "right",
    "rh": "right",
    "r": "right",
}


@dataclass(frozen=True)
class LabelRow:
    """One row of a label table: number, name, side and class where the table gives them."""

    label: int
    name: str
    side: Side | None = None
    structure: str | None = None


@dataclass(frozen=True)
class Region:
    """One region of an atlas, measured in its volume; coordinates in RAS+ mm."""

    label: int
    name: str
    side: Side | None
    structure: str | None
    centroid_mm: tuple[float, float, float]
    volume_mm3: float
    n_voxels: int


@dataclass(frozen=True, eq=False)
class Atlas:
    """A label volume and its regions, sides checked.

    `midline` names the regions exempt from the side check.
    """

    name: str
    image: Image
    regions: tuple[Region, ...]
    midline: tuple[str, ...] = ()

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """Label numbers in region order, shape (n,)."""
        return np.array([region.label for region in self.regions], dtype=np.int32)

    @property
    def centroids_mm(self) -> npt.NDArray[np.float64]:
        """Region centroids in RAS+ mm, shape (n, 3)."""
        return np.array([region.centroid_mm for region in self.regions])

    def select(self, keep: Sequence[int]) -> Atlas:
        """Return the atlas restricted to some label numbers; the others become background."""
        chosen = set(keep)
        data = np.where(np.isin(self.image.data, list(chosen)), self.image.data, 0)
        regions = tuple(region for region in self.regions if region.label in chosen)
        return Atlas(self.name, Image(data, self.image.affine), regions, self.midline)


@dataclass(frozen=True, eq=False)
class RegionMeans:
    """Mean of a map in each region, with how much of the region the map covers."""

    values: npt.NDArray[np.float64]
    n_voxels: npt.NDArray[np.int64]
    coverage: npt.NDArray[np.float64]


def side_in_name(name: str) -> Side | None:
    """Side that a region name claims, or None.

    Examples
    --------
    >>> side_in_name("Left_Hippocampus"), side_in_name("A8m_R"), side_in_name("vermis")
    ('left', 'right', None)
    """
    words = re.split(r"[^A-Za-z0-9]+", name.lower())
    found = {_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS}
    return found.pop() if len(found) == 1 else None


def read_label_table(path: Path | str) -> tuple[LabelRow, ...]:
    """Read a label table: CSV or TSV with or without header, FreeSurfer-style LUT, JSON.

    Raises
    ------
    InputError
        If no labels are found, or a label number occurs twice.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("the label table does not exist", where=path, do="check the path")
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".json":
        rows = _json_rows(text)
    elif path.suffix in {".txt", ".lut"}:
        rows = [_lut_row(line) for line in text.splitlines() if line.strip()]
    else:
        rows = _delimited_rows(text, "\t" if path.suffix == ".tsv" else ",", path)
    rows = [row for row in rows if row.label != 0 and row.name.lower() not in BACKGROUND_NAMES]
    if not rows:
        raise InputError("the label table names no region", where=path.name)
    numbers = [row.label for row in rows]
    doubled = sorted({n for n in numbers if numbers.count(n) > 1})
    if doubled:
        raise InputError("label numbers occur twice", where=path.name, found=doubled[:5])
    return tuple(rows)


def _json_rows(text: str) -> list[LabelRow]:
    content = json.loads(text)
    entries = content.get("rois", content)
    rows = []
    for key, entry in entries.items():
        name = entry["label"] if isinstance(entry, Mapping) else str(entry)
        rows.append(LabelRow(int(key), str(name), side_in_name(str(name))))
    return rows


def _lut_row(line: str) -> LabelRow:
    number, name = line.split()[:2]
    return LabelRow(int(number), name, side_in_name(name))


def _delimited_rows(text: str, delimiter: str, path: Path) -> list[LabelRow]:
    table = [
        [cell.strip() for cell in row]
        for row in csv.reader(text.splitlines(), delimiter=delimiter)
    ]
    table = [row for row in table if any(row)]
    header = [cell.lower() for cell in table[0]] if table else []
    if "label" in header and "id" not in header and "index" not in header:
        # Node files of the Brainnetome toolbox number their regions by row.
        return [_row(str(i), row[header.index("label")]) for i, row in enumerate(table[1:], 1)]
    number = next((header.index(name) for name in ("id", "index") if name in header), None)
    if number is None:
        return [_row(row[0], row[1]) for row in table]
    named = next((header.index(n) for n in ("label", "name", "region") if n in header), None)
    if named is None:
        raise InputError("the label table has no column of names", where=path.name, found=header)
    side = next((header.index(n) for n in ("hemisphere", "hemi", "side") if n in header), None)
    structure = header.index("structure") if "structure" in header else None
    return [
        _row(
            row[number],
            row[named],
            row[side] if side is not None else "",
            row[structure] if structure is not None else "",
        )
        for row in table[1:]
    ]


def _row(number: str, name: str, side: str = "", structure: str = "") -> LabelRow:
    try:
        label = int(number)
    except ValueError as error:
        raise InputError(
            "a label number is not an integer", found=repr(number), do="give columns id,label"
        ) from error
    stated = _SIDE_WORDS.get(side.lower()) if side else side_in_name(name)
    return LabelRow(label, name, stated, structure or None)


def check_sides(
    regions: Sequence[Region], *, where: object = None, midline_mm: float = MIDLINE_MM
) -> tuple[str, ...]:
    """Raise if a region's side and the sign of its centroid x disagree.

    Returns
    -------
    tuple of str
        Sided regions within `midline_mm` of x = 0, which cannot be checked.
    """
    exempt, wrong = [], []
    for region in regions:
        x_mm = region.centroid_mm[0]
        if region.side is None:
            continue
        if abs(x_mm) < midline_mm:
            exempt.append(region.name)
        elif (x_mm < 0) != (region.side == "left"):
            wrong.append(f"{region.name} at x = {x_mm:.1f} mm")
    if wrong:
        raise InputError(
            f"{len(wrong)} regions lie on the other side than their name says",
            where=where,
            found="; ".join(wrong[:3]) + ("; …" if len(wrong) > 3 else ""),
            do="correct the label table, or the header if the volume is mirrored",
        )
    return tuple(exempt)


def make_atlas(image: Image, table: Sequence[LabelRow], *, name: str = "atlas") -> Atlas:
    """Join a label volume with its names, measure the regions and check their sides.

    Regions of the table without voxels are a notice and are left out; labels of the volume
    that the table does not name are a notice and become background.
    """
    labels = image.data.astype(np.int32)
    present, counts = np.unique(labels[labels != 0], return_counts=True)
    by_number = {row.label: row for row in table}
    unnamed = [int(n) for n in present if int(n) not in by_number]
    absent = [row.name for row in table if row.label not in set(present.tolist())]
    if unnamed:
        notify("labels without a name are left out", where=name, found=unnamed[:8])
    if absent:
        notify("named regions have no voxels", where=name, found=absent[:8])
    centroids = _centroids(labels, image.affine)
    grid = image.grid
    regions = tuple(
        Region(
            label=int(n),
            name=by_number[int(n)].name,
            side=by_number[int(n)].side,
            structure=by_number[int(n)].structure,
            centroid_mm=centroids[int(n)],
            volume_mm3=float(count * grid.voxel_volume_mm3),
            n_voxels=int(count),
        )
        for n, count in zip(present, counts, strict=True)
        if int(n) in by_number
    )
    if not regions:
        raise InputError("no label of the volume is in the table", where=name)
    named = np.where(np.isin(labels, [r.label for r in regions]), labels, 0).astype(np.int32)
    return Atlas(name, Image(named, image.affine), regions, check_sides(regions, where=name))


def _centroids(
    labels: npt.NDArray[np.int32], affine: npt.NDArray[np.float64]
) -> dict[int, tuple[float, float, float]]:
    voxels = np.argwhere(labels != 0)
    numbers = labels[tuple(voxels.T)]
    count = np.bincount(numbers)
    used = np.flatnonzero(count)
    sums = np.stack([np.bincount(numbers, weights=voxels[:, axis]) for axis in range(3)], axis=1)
    centres = apply_affine(affine, sums[used] / count[used, None])
    return {
        int(n): (float(x), float(y), float(z)) for n, (x, y, z) in zip(used, centres, strict=True)
    }


def load_atlas(
    volume: Path | str,
    table: Path | str | Sequence[LabelRow] | None = None,
    *,
    name: str | None = None,
) -> Atlas:
    """Read a label volume and its table, and check it.

    Without a table every label becomes ``region-N`` without a side.

    Raises
    ------
    InputError
        If the background is NaN, values are fractional or negative, or sides are swapped.
    """
    volume = Path(volume)
    image = load(volume)
    where = name or volume.name
    if np.isnan(image.data).any():
        raise InputError(
            "the atlas has a background that is not a number",
            where=where,
            found=f"{int(np.isnan(image.data).sum())} NaN voxels",
            do="use the atlas as its makers distribute it",
        )
    rounded = np.rint(image.data)
    if not np.array_equal(rounded, image.data) or rounded.min() < 0:
        raise InputError(
            "an atlas must hold whole, non-negative label numbers",
            where=where,
            do="resample labels with nearest neighbour",
        )
    labels = Image(rounded.astype(np.int32), image.affine)
    if table is None:
        rows: Sequence[LabelRow] = [
            LabelRow(int(n), f"region-{int(n)}") for n in np.unique(labels.data) if n != 0
        ]
    elif isinstance(table, str | Path):
        rows = read_label_table(table)
    else:
        rows = table
    return make_atlas(labels, rows, name=where)


def region_means(image: Image, atlas: Atlas, *, where: object = "map") -> RegionMeans:
    """Mean of a map in every region, the atlas being resampled by nearest neighbour.

    Voxels where the map is not finite do not count; exact zeros outside the map's own
    support do (a t map is zero outside its mask only if the mask was applied so, which a
    notice about low coverage cannot see).

    Raises
    ------
    InputError
        If a region has no voxel in the map: its mean cannot be computed.
    """
    labels = _labels_on(image.grid, atlas.image)
    finite = np.isfinite(image.data)
    size = int(atlas.labels.max()) + 1
    inside = np.bincount(labels[finite], minlength=size)
    total = np.bincount(labels[finite], weights=image.data[finite], minlength=size)
    number = atlas.labels
    empty = [r.name for r in atlas.regions if inside[r.label] == 0]
    if empty:
        raise InputError(
            f"{len(empty)} regions have no voxel in the map",
            where=where,
            found=", ".join(empty[:5]),
            do="check that map and atlas are in the same space, or leave the regions out",
        )
    volume_mm3 = np.array([r.volume_mm3 for r in atlas.regions])
    return RegionMeans(
        values=total[number] / inside[number],
        n_voxels=inside[number].astype(np.int64),
        coverage=inside[number] * image.grid.voxel_volume_mm3 / volume_mm3,
    )


def _labels_on(grid: Grid, labels: Image) -> npt.NDArray[np.int32]:
    """Nearest-neighbour labels at the voxel centres of another grid; 0 outside."""
    to_labels = np.linalg.inv(labels.affine) @ grid.affine
    out = np.zeros(grid.shape, dtype=np.int32)
    shape = np.array(labels.data.shape)
    plane = Grid((grid.shape[0], grid.shape[1], 1), to_labels).centres_mm()[:, :, 0]
    for k in range(grid.shape[2]):
        index = np.rint(plane + k * to_labels[:3, 2]).astype(np.intp)
        ok = np.all((index >= 0) & (index < shape), axis=-1)
        i, j, m = index[ok].T
        out[:, :, k][ok] = labels.data[i, j, m]
    return out
