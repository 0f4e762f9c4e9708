"""What is measured of each labelled structure that does not come from the model that labelled it.

It is judged by :mod:`falx.anatomy.structures.trust`. There is no published source of the measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.anatomy.registration.inverse import jacobian_determinants
from falx.anatomy.segmentation.mixture import Mixture
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.structures.groups import group_of
from falx.core.grid import Grid
from falx.data.labels import head_labels
from falx.data.volumes import expected_structures, faces
from falx.images.warp import CoordinateMap

__all__ = [
    "DEEP",
    "WHITE_MATTER",
    "Evidence",
    "gather",
    "in_common_voxels",
    "mirrored_evidence",
    "noise_in_white_matter",
]

LEAST_JACOBIAN = 1e-2
WHITE_MATTER = (2, 41)

COMMON_MM = 1.5
"""Surface, roughness and steps at borders depend on the voxels in which they are measured, so
finer labels and intensities are first brought to voxels of this edge, that of the phantoms from
which the overlap is learnt."""

ALIKE_MM = 0.01
"""Voxels that are smaller by less than this count as that large."""

DEEP = (10, 49, 12, 51, 13, 52)
"""Nuclei of an intensity of their own, of which only a border with white matter tells."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is held against each structure; arrays by FreeSurfer number, shape (n,).

    Parameters
    ----------
    volumes_mm3
        As they are reported.
    brain_mm3
        Grey and white matter of the tissues.
    area_mm2, counted_mm3
        Surface and volume of the labels, in voxels of :data:`COMMON_MM` if theirs are finer.
    grey, fluid
        Mean probability of the tissue over the labels.
    contrast
        White matter's intensity less the structure's, in the SD of white matter.
    noise
        Standard deviation of the noise over the intensity of white matter, see
        :func:`noise_in_white_matter`.
    jacobian
        Mean logarithm of the change of volume by the second map relative to the first.
    agreement
        Dice of the labels with those along the map of the tissues, a second look whose place
        was found without structures.
    edge
        Step of the intensity across the faces to structures of another intensity, over the one
        that their groups have: 1 where the border is where the image has one. In the same voxels.
    expected_dice
        The model's own expectation of the overlap with the truth.
    voxel_mm
        Cube root of the voxel volume.
    """

    volumes_mm3: npt.NDArray[np.float64]
    brain_mm3: float
    area_mm2: npt.NDArray[np.float64]
    counted_mm3: npt.NDArray[np.float64]
    grey: npt.NDArray[np.float64]
    fluid: npt.NDArray[np.float64]
    contrast: npt.NDArray[np.float64]
    noise: float
    jacobian: npt.NDArray[np.float64]
    agreement: npt.NDArray[np.float64]
    edge: npt.NDArray[np.float64]
    expected_dice: npt.NDArray[np.float64]
    voxel_mm: float = 1.0


def gather(
    segmentation: Segmentation,
    labels: npt.NDArray[np.integer],
    volumes_mm3: Mapping[int, float],
    groups: Mixture,
    to_template: CoordinateMap,
    otherwise: npt.NDArray[np.integer],
    expected_dice: Mapping[int, float],
) -> Evidence:
    """Measure what speaks for and against each structure.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), FreeSurfer numbers.
    groups
        Fitted intensities of the groups of structures.
    to_template
        Native mm to template mm, along which the labels were found.
    otherwise
        Shape (X, Y, Z), labels along the map of the tissues.
    expected_dice
        The model's own expectation.
    """
    n = max(expected_structures()) + 1
    grid = segmentation.grid
    known = np.where(labels < n, labels, 0)
    held = known > 0
    own = known[held]
    counts = _counted(own, n)
    means = groups.moments()[0]
    sd = float(np.sqrt(segmentation.fit.mixture.moments()[1, 1]))
    contrast = np.zeros(n)
    for number in DEEP:
        contrast[number] = (means[1] - means[group_of(number)]) / sd

    def share(tissue: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        total = np.bincount(own, weights=tissue[held], minlength=n)
        return np.asarray(total / np.maximum(counts, 1))

    coarse, intensities, sizes_mm = in_common_voxels(known, segmentation.seen, grid.voxel_sizes_mm)
    given = intensities
    if segmentation.seen is not segmentation.corrected:
        given = in_common_voxels(known, segmentation.corrected, grid.voxel_sizes_mm)[1]
    brain = segmentation.gm.sum(dtype=np.float64) + segmentation.wm.sum(dtype=np.float64)
    return Evidence(
        volumes_mm3=_by_number(volumes_mm3, n),
        brain_mm3=float(brain) * grid.voxel_volume_mm3,
        area_mm2=faces(coarse, sizes_mm, n),
        counted_mm3=_counted(coarse, n) * float(np.prod(sizes_mm)),
        grey=share(segmentation.gm),
        fluid=share(segmentation.csf),
        contrast=contrast,
        noise=noise_in_white_matter(coarse, given),
        jacobian=_mean_log_jacobian(known, grid, segmentation.to_template, to_template, n),
        agreement=_agreement(own, np.where(otherwise < n, otherwise, 0)[held], n),
        edge=_edges(coarse, intensities, means, n),
        expected_dice=_by_number(expected_dice, n),
        voxel_mm=float(np.cbrt(grid.voxel_volume_mm3)),
    )


def noise_in_white_matter(
    labels: npt.NDArray[np.integer], intensities: npt.NDArray[np.float32]
) -> float:
    """Noise over white matter's median intensity, from neighbours that are both labelled white.

    Field and texture change little from one voxel to the next, and the tissue's borders are left
    out; what is labelled white and is not makes it larger.

    Parameters
    ----------
    labels, intensities
        Shape (X, Y, Z); intensities that no filter has smoothed.

    Returns
    -------
    float
        Root mean square difference of the neighbours over √2, over the median; 0 without any.
    """
    white = np.isin(labels, WHITE_MATTER)
    squares, count = 0.0, 0
    for axis in range(3):
        along, seen = np.moveaxis(white, axis, 0), np.moveaxis(intensities, axis, 0)
        step = (seen[1:] - seen[:-1])[along[1:] & along[:-1]].astype(np.float64)
        squares, count = squares + float(step @ step), count + step.size
    if count == 0:
        return 0.0
    return float(np.sqrt(0.5 * squares / count) / max(float(np.median(intensities[white])), 1e-9))


def in_common_voxels(
    labels: npt.NDArray[np.integer],
    intensities: npt.NDArray[np.float32],
    voxel_sizes_mm: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Labels and intensities in voxels of :data:`COMMON_MM` along every axis that has finer ones.

    An intensity is the mean over the new voxel, a label the one that fills most of it.

    Parameters
    ----------
    labels, intensities
        Shape (X, Y, Z).
    voxel_sizes_mm
        Shape (3,).

    Returns
    -------
    labels, intensities, voxel_sizes_mm
        Of the new voxels; those given if none is finer.
    """
    shares = [
        _shares(n, float(size)) for n, size in zip(labels.shape, voxel_sizes_mm, strict=True)
    ]
    shape = tuple(len(along) for along in shares)
    if shape == labels.shape:
        return labels.astype(np.int32), intensities, voxel_sizes_mm
    found, largest = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    for number, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if box is None:
            continue
        parts = [along[:, own] for along, own in zip(shares, box, strict=True)]
        rows = [np.flatnonzero(part.any(axis=1)) for part in parts]
        place = tuple(slice(int(row[0]), int(row[-1]) + 1) for row in rows)
        filled = _averaged(
            (labels[box] == number).astype(np.float32),
            [part[row] for part, row in zip(parts, place, strict=True)],
        )
        more = filled > largest[place]
        found[place][more] = number
        largest[place][more] = filled[more]
    outside = _averaged((labels == 0).astype(np.float32), shares)
    found[outside > largest] = 0
    sizes = np.where(voxel_sizes_mm < COMMON_MM - ALIKE_MM, COMMON_MM, voxel_sizes_mm)
    return found, _averaged(intensities, shares), sizes


def _shares(n: int, size_mm: float) -> npt.NDArray[np.float32]:
    """Share of each of `n` voxels in the mean of each new voxel along one axis, shape (m, n)."""
    if size_mm >= COMMON_MM - ALIKE_MM:
        return np.eye(n, dtype=np.float32)
    many = max(int(n * size_mm / COMMON_MM), 1)
    first = 0.5 * (n * size_mm - many * COMMON_MM)
    low = np.maximum(first + COMMON_MM * np.arange(many), 0.0)[:, None]
    high = np.minimum(first + COMMON_MM * np.arange(1, many + 1), n * size_mm)[:, None]
    start = size_mm * np.arange(n)
    overlap = np.minimum(high, start + size_mm) - np.maximum(low, start)
    shares = np.maximum(overlap, 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def _averaged(
    values: npt.NDArray[np.float32], shares: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Means over new voxels, one axis after the other."""
    for axis, along in enumerate(shares):
        values = np.moveaxis(np.tensordot(along, values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values)


def _counted(labels: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.float64]:
    """Voxels of each of `n` labels, shape (n,)."""
    return np.bincount(labels.ravel(), minlength=n).astype(np.float64)


def _by_number(values: Mapping[int, float], n: int) -> npt.NDArray[np.float64]:
    """Place a value of each label at its number, shape (n,); 0 of what has none."""
    found = np.zeros(n)
    for number in expected_structures():
        found[number] = values.get(number, 0.0)
    return found


def _agreement(
    labels: npt.NDArray[np.integer], other: npt.NDArray[np.integer], n: int
) -> npt.NDArray[np.float64]:
    """Dice of two label volumes of one shape, by number, shape (n,)."""
    both = np.bincount(labels[labels == other].ravel(), minlength=n)
    twice = np.bincount(labels.ravel(), minlength=n) + np.bincount(other.ravel(), minlength=n)
    return np.asarray(2.0 * both / np.maximum(twice, 1))


def _mean_log_jacobian(
    labels: npt.NDArray[np.integer],
    grid: Grid,
    first: CoordinateMap,
    second: CoordinateMap,
    n: int,
) -> npt.NDArray[np.float64]:
    """Mean logarithm of the second map's Jacobian over the first's, of `n` labels, shape (n,)."""
    before = CoordinateMap(first.on(second.grid), second.affine)
    ratio = np.log(
        np.maximum(jacobian_determinants(second), LEAST_JACOBIAN)
        / np.maximum(jacobian_determinants(before), LEAST_JACOBIAN)
    )
    held = labels > 0
    voxels, own = np.argwhere(held), labels[held]
    to_node = np.linalg.inv(second.affine) @ grid.affine
    last = np.array(ratio.shape) - 1
    nodes = np.clip(np.rint(voxels @ to_node[:3, :3].T + to_node[:3, 3]).astype(int), 0, last)
    total = np.bincount(own, weights=ratio[tuple(nodes.T)], minlength=n)
    return np.asarray(total / np.maximum(np.bincount(own, minlength=n), 1))


def _edges(
    labels: npt.NDArray[np.integer],
    intensities: npt.NDArray[np.float32],
    means: npt.NDArray[np.float64],
    n: int,
) -> npt.NDArray[np.float64]:
    """Measured over expected step of intensity across the borders of each of `n` labels."""
    numbers = list(expected_structures())
    group = np.full(n, -1)
    group[numbers] = [group_of(number) for number in numbers]
    found, expected = np.zeros((2, n))
    for axis in range(3):
        along, seen = np.moveaxis(labels, axis, 0), np.moveaxis(intensities, axis, 0)
        differ = (along[1:] != along[:-1]) & (along[1:] > 0) & (along[:-1] > 0)
        a, b = along[1:][differ], along[:-1][differ]
        step = means[group[a]] - means[group[b]]
        measured = (seen[1:][differ] - seen[:-1][differ]) * np.sign(step)
        for side in (a, b):
            found += np.bincount(side, weights=measured, minlength=n)
            expected += np.bincount(side, weights=np.abs(step), minlength=n)
    return np.asarray(np.where(expected > 0.0, found / np.maximum(expected, 1e-9), 1.0))


def mirrored_evidence(evidence: Evidence) -> Evidence:
    """Evidence of a head from that of its mirror image: the sides change places."""
    partner = head_labels().table(head_labels().mirror)
    n = len(evidence.fluid)
    own = np.arange(n)
    order = np.where((partner[:n] >= 0) & (partner[:n] < n), partner[:n], own)
    turned: dict[str, Any] = {
        field.name: value[order]
        for field in fields(evidence)
        if isinstance(value := getattr(evidence, field.name), np.ndarray)
    }
    return replace(evidence, **turned)
