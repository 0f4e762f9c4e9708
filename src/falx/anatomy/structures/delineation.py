"""Structures: warped structure priors times the patient's own intensities.

Each group of structures with a common intensity (cortex and hippocampus, thalamus, brainstem
...) has Gaussians that are fitted to this patient by expectation-maximisation under the warped
priors. Where the prior expects hippocampus and the voxel is as dark as fluid, fluid wins: an
atrophic hippocampus comes out small.

Prior times intensity likelihood after Fischl et al. 2002 (Neuron 33:341).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.anatomy.mirror_invariance import faces_left, rounded
from falx.anatomy.quality import Check
from falx.anatomy.segmentation.mirrored import mirror_segmentation
from falx.anatomy.segmentation.mixture import Mixture, class_evidence
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.structures.evidence import Evidence, gather, mirrored_evidence
from falx.anatomy.structures.groups import N_GROUPS, fit_groups, group_of
from falx.anatomy.structures.kernels import PriorTable, label_voxels, prior_of_groups
from falx.anatomy.structures.pieces import apart
from falx.anatomy.structures.trust import doubts_of, lowered, predicted_overlaps
from falx.anatomy.structures.warp import fit_structure_warp
from falx.core.grid import Grid
from falx.core.threads import kernel_threads
from falx.data.labels import head_labels, swap_sides
from falx.data.priors import StructurePriors
from falx.images.mirror import turned_over
from falx.images.resample import sample
from falx.images.warp import CoordinateMap

__all__ = [
    "SKIN",
    "SKULL",
    "Structures",
    "labelled_with_evidence",
    "segment_structures",
    "with_skull_and_skin",
]

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

SKULL, SKIN = 165, 258
"""FreeSurfer's numbers for skull and for the rest of the head."""

FIT_STRIDE = 2
EVERYWHERE = {3: 0.01, 42: 0.01, 2: 0.01, 41: 0.01, 24: 0.02}
"""Least prior of cortex, white matter and fluid in the brain, on their side: the map does not
follow every fold and ventricle, and a misplaced voxel must not broaden a Gaussian."""

VENTRICLES, OUTER_FLUID, WIDENED_MM = (4, 43), 24, 12.0
UNLABELLED = ((3, 2, 24), (42, 41, 24))
"""Labels left and right of brain that no structure's prior reaches: grey, white, fluid."""

BONE_CLASS, SOFT_CLASS = 3, 4


@dataclass(frozen=True, eq=False)
class Structures:
    """Structures of a head on its native grid.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), int32, FreeSurfer numbers; 0 outside the brain.
    volumes_mm3
        Sum of probabilities times the voxel volume, by label.
    confidence
        Expected Dice overlap of a label with the truth, by label: 1 where every voxel is certain
        under the model, lowered by each doubt.
    doubts
        Failed checks that do not come from the model, by label, see
        :mod:`falx.anatomy.structures.trust`.
    """

    labels: Labels
    volumes_mm3: Mapping[int, float]
    confidence: Mapping[int, float]
    doubts: Mapping[int, tuple[Check, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Found:
    """Of n voxels the most probable structure and its probability; of each structure its mass."""

    structure: npt.NDArray[np.int64]
    certainty: Floats
    mass: npt.NDArray[np.float64]


def segment_structures(
    segmentation: Segmentation, priors: StructurePriors, *, threads: int = 1
) -> Structures:
    """Label the structures of a segmented head.

    Parameters
    ----------
    segmentation
        Its intensities, brain mask and map to the template are used.
    priors
        Probability of every structure in template space.
    threads
        The result does not depend on it.
    """
    found, evidence = labelled_with_evidence(segmentation, priors, threads=threads)
    doubts = doubts_of(evidence)
    sure = lowered(found.confidence, predicted_overlaps(evidence), doubts)
    return replace(found, confidence=sure, doubts=doubts)


def labelled_with_evidence(
    segmentation: Segmentation, priors: StructurePriors, *, threads: int = 1
) -> tuple[Structures, Evidence]:
    """Label the structures, and measure what speaks for and against each before it is judged."""
    if not faces_left(segmentation.corrected):
        return _labelled(segmentation, priors, threads)
    found, evidence = _labelled(mirror_segmentation(segmentation), priors, threads)
    return _mirrored(found), mirrored_evidence(evidence)


def _labelled(
    segmentation: Segmentation, priors: StructurePriors, threads: int
) -> tuple[Structures, Evidence]:
    """Structures before any doubt, and what is held against them."""
    table = _laid_out(priors)
    grid = Grid(segmentation.grid.shape, rounded(segmentation.grid.affine))
    brain = segmentation.brain_mask
    voxels = np.argwhere(brain).astype(np.int32)
    values = np.ascontiguousarray(segmentation.seen[brain], dtype=np.float32)
    with kernel_threads(threads) as allowed:
        to_template = fit_structure_warp(
            segmentation.seen,
            brain,
            grid,
            segmentation.to_template,
            segmentation.affine,
            priors,
            segmentation.fit.mixture,
            threads=allowed,
        )
        to_node = np.linalg.inv(to_template.affine) @ grid.affine
        nodes = np.ascontiguousarray(to_template.coordinates_mm, dtype=np.float32)
        mixture = _fit_groups(values, voxels, to_node, nodes, table, segmentation.fit.mixture)
        evidence = class_evidence(mixture, values)
        place = (to_node, nodes, table)
        anywhere = np.zeros(len(voxels), dtype=np.int64)
        most, certainty, mass = label_voxels(voxels, *place, evidence, anywhere)
        first = _Found(most, certainty, mass.sum(axis=0))
        found = _in_one_piece(first, voxels, place, evidence, grid, priors.ids)
        otherwise = _along_first_map(segmentation, grid, voxels, table, evidence)
    labels = np.zeros(grid.shape, dtype=np.int32)
    ids = np.array([*priors.ids, 0], dtype=np.int32)
    named = ids[found.structure]
    missing = named == 0
    right = to_template.at(voxels[missing] @ grid.affine[:3, :3].T + grid.affine[:3, 3])[:, 0] > 0
    named[missing] = np.array(UNLABELLED)[right.astype(int), evidence[missing, :3].argmax(axis=1)]
    labels[brain] = named
    labels = _widened_ventricles(labels, grid, to_template, priors)
    summary = _summary(labels, found, grid, priors)
    second = np.zeros(grid.shape, dtype=np.int32)
    second[brain] = ids[otherwise]
    evidence_for = gather(
        segmentation,
        labels,
        summary.volumes_mm3,
        mixture,
        to_template,
        second,
        summary.confidence,
    )
    return summary, evidence_for


def _along_first_map(
    segmentation: Segmentation,
    grid: Grid,
    voxels: npt.NDArray[np.int32],
    table: PriorTable,
    evidence: Floats,
) -> npt.NDArray[np.int64]:
    """Most probable structure, shape (n,), where the map of the tissues places the priors."""
    first = segmentation.to_template
    to_node = np.linalg.inv(first.affine) @ grid.affine
    nodes = np.ascontiguousarray(first.coordinates_mm, dtype=np.float32)
    anywhere = np.zeros(len(voxels), dtype=np.int64)
    return np.asarray(label_voxels(voxels, to_node, nodes, table, evidence, anywhere)[0])


def _in_one_piece(
    first: _Found,
    voxels: npt.NDArray[np.int32],
    place: tuple[npt.NDArray[np.float64], Floats, PriorTable],
    evidence: Floats,
    grid: Grid,
    ids: tuple[int, ...],
) -> _Found:
    """Give what lies apart from its structure to the next most probable one."""
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[tuple(voxels.T)] = np.array([*ids, 0], dtype=np.int32)[first.structure]
    near, barred = apart(labels, grid.voxel_sizes_mm)
    again = np.flatnonzero(near[tuple(voxels.T)])
    chosen, seen = np.ascontiguousarray(voxels[again]), np.ascontiguousarray(evidence[again])
    bits = np.zeros(len(again), dtype=np.int64)
    _, _, before = label_voxels(chosen, *place, seen, bits)
    for structure, where in barred.items():
        bits |= where[tuple(chosen.T)].astype(np.int64) << ids.index(structure)
    structures, certainties, after = label_voxels(chosen, *place, seen, bits)
    most, certain = first.structure.copy(), first.certainty.copy()
    most[again], certain[again] = structures, certainties
    return _Found(most, certain, first.mass - before.sum(axis=0) + after.sum(axis=0))


def _mirrored(structures: Structures) -> Structures:
    partner = head_labels().table(head_labels().mirror)
    return Structures(
        swap_sides(turned_over(structures.labels)).astype(np.int32),
        {int(partner[number]): value for number, value in structures.volumes_mm3.items()},
        {int(partner[number]): value for number, value in structures.confidence.items()},
    )


def with_skull_and_skin(labels: Labels, classes: npt.NDArray[np.uint8]) -> Labels:
    """Add skull and the head's other tissue, from classes (X, Y, Z), around the brain."""
    result = labels.copy()
    outside = labels == 0
    result[outside & (classes == BONE_CLASS)] = SKULL
    result[outside & (classes != BONE_CLASS) & (classes <= SOFT_CLASS)] = SKIN
    return result


def _laid_out(priors: StructurePriors) -> PriorTable:
    groups = [group_of(structure) for structure in priors.ids]
    signs = {"left": -1.0, "right": 1.0}
    floors = [
        [255.0 * EVERYWHERE.get(i, 0.0), signs.get(side, 0.0)]
        for i, side in zip(priors.ids, priors.sides, strict=True)
    ]
    sizes = np.array([box.size for box in priors.boxes], dtype=np.int64)
    return PriorTable(
        np.concatenate([np.ascontiguousarray(box).ravel() for box in priors.boxes]),
        np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
        np.array([box.shape for box in priors.boxes], dtype=np.int64),
        np.ascontiguousarray(priors.corners, dtype=np.int64),
        np.asarray(np.linalg.inv(priors.grid.affine), dtype=np.float64),
        np.array(floors),
        0.5 * (priors.grid.shape[0] - 1),
        np.array(groups, dtype=np.int64),
    )


def _fit_groups(
    values: Floats,
    voxels: npt.NDArray[np.int32],
    to_node: npt.NDArray[np.float64],
    nodes: Floats,
    table: PriorTable,
    tissues: Mixture,
) -> Mixture:
    """Gaussians of every group, from every other voxel along each axis."""
    chosen = np.all(voxels % FIT_STRIDE == 0, axis=1)
    at_voxels = prior_of_groups(voxels[chosen], to_node, nodes, table, N_GROUPS)
    return fit_groups(np.ascontiguousarray(values[chosen]), at_voxels, tissues)


def _widened_ventricles(
    labels: Labels, grid: Grid, to_template: CoordinateMap, priors: StructurePriors
) -> Labels:
    """Give fluid that no prior expects, next to a lateral ventricle, to that ventricle.

    Ventricles wider than those of the heads behind the priors are labelled as outer fluid
    where even the priors of outer fluid end.
    """
    voxels = np.argwhere(labels == OUTER_FLUID)
    points = to_template.at(voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3])
    unexpected = sample(priors.image(OUTER_FLUID), points) < EVERYWHERE[OUTER_FLUID]
    room = np.zeros(labels.shape, dtype=bool)
    room[tuple(voxels[unexpected].T)] = True
    steps = max(1, round(WIDENED_MM / float(grid.voxel_sizes_mm.mean())))
    result = labels.copy()
    for ventricle in VENTRICLES:
        grown = ndimage.binary_dilation(labels == ventricle, iterations=steps, mask=room)
        result[grown & room] = ventricle
        room &= ~grown
    return result


def _summary(labels: Labels, found: _Found, grid: Grid, priors: StructurePriors) -> Structures:
    n = len(priors.ids)
    counts = np.bincount(found.structure, minlength=n + 1)[:n]
    certain = np.bincount(found.structure, weights=found.certainty, minlength=n + 1)[:n]
    overlap = 2.0 * certain / np.maximum(counts + found.mass, 1e-9)
    volumes = found.mass * grid.voxel_volume_mm3
    return Structures(
        labels,
        dict(zip(priors.ids, volumes.tolist(), strict=True)),
        dict(zip(priors.ids, overlap.tolist(), strict=True)),
    )
