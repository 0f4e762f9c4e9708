"""Label volumes with names and sides, checked when they are loaded.

Several atlases in circulation have their left and right names swapped, or names that have
slipped by some rows. So the side that a name claims is compared with the sign of the region's
centroid x in millimetres, and regions called after a deep nucleus with where that lies; an
atlas that fails is refused.

Read so far: Brainnetome (Fan et al. 2016, Cereb Cortex 26:3508), Desikan-Killiany (Desikan et al.
2006, NeuroImage 31:968), Harvard-Oxford, AAL (Tzourio-Mazoyer et al. 2002, NeuroImage 15:273).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.atlas.label_table import LabelRow, name_words
from falx.core.errors import InputError, notify
from falx.core.grid import Grid, Side, apply_affine
from falx.images.nifti import Image

__all__ = [
    "MIDLINE_MM",
    "Atlas",
    "Region",
    "RegionMeans",
    "check_names",
    "check_sides",
    "make_atlas",
    "region_means",
]

MIDLINE_MM = 2.0
"""Regions whose centroid is nearer to x = 0 than this have no side to check."""

LANDMARKS_MM = {
    "hippocampus": (25.7, -21.9, -14.5),
    "amygdala": (23.4, -4.1, -19.8),
    "thalamus": (10.0, -19.3, 6.7),
    "caudate": (13.3, 9.5, 9.1),
    "putamen": (25.5, 2.4, -1.3),
    "pallidum": (19.6, -2.4, -1.9),
}
"""Centroids in the right half of the template, from the shipped structures."""

CENTRE_MM = 1.5
"""Centres of table and volume may differ by rounding and by partial voxels."""

LANDMARK_MM = 15.0
"""A whole nucleus of another atlas lies within 4 mm of ours, a part of one within this."""


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


def check_names(regions: Sequence[Region], *, where: object = None) -> None:
    """Raise if most regions called after a deep nucleus lie elsewhere; notify of a few.

    Notes
    -----
    Names that have slipped by an even number of rows keep their sides, so that
    :func:`check_sides` cannot see them.
    """
    checked, apart = 0, []
    for region in regions:
        landmarks = name_words(region.name) & LANDMARKS_MM.keys()
        if len(landmarks) != 1:
            continue
        checked += 1
        place = np.array(LANDMARKS_MM[landmarks.pop()])
        place[0] = np.copysign(place[0], region.centroid_mm[0])
        off_mm = float(np.linalg.norm(place - region.centroid_mm))
        if off_mm > LANDMARK_MM:
            apart.append(f"{region.label} {region.name}, {off_mm:.0f} mm off")
    found = "; ".join(apart[:3]) + ("; …" if len(apart) > 3 else "")
    if 2 * len(apart) > checked:
        raise InputError(
            f"{len(apart)} of {checked} regions do not lie where their names say",
            where=where,
            found=found,
            do="use the table that belongs to the volume, in the space of the template",
        )
    if apart:
        notify("regions lie far from where their names say", where=where, found=found)


def _check_centres(
    table: Sequence[LabelRow], centroids: Mapping[int, Sequence[float]], where: object
) -> None:
    """Notify if centres that the table holds are off those of the volume, all alike."""
    off = [
        np.subtract(row.centre_mm, centroids[row.label])
        for row in table
        if row.centre_mm is not None and row.label in centroids
    ]
    if off and np.linalg.norm(middle := np.median(off, axis=0)) > CENTRE_MM:
        notify(
            "the table's centres lie beside those of the volume; one of their headers is shifted",
            where=where,
            found=", ".join(f"{x:+.1f}" for x in middle) + " mm",
        )


def make_atlas(image: Image, table: Sequence[LabelRow], *, name: str = "atlas") -> Atlas:
    """Join a label volume with its names, measure the regions, check their sides and names.

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
        raise InputError(
            "no label of the volume is in the table",
            where=name,
            do="give the table that belongs to this volume",
        )
    check_names(regions, where=name)
    _check_centres(table, centroids, name)
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
