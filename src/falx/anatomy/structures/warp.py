"""A closer fit of the deformation by the structures themselves.

Six tissue classes say little about where the thalamus ends or the caudate begins. Classes of
structures with a common intensity say more, so the deformation of the segmentation is fitted on
against their priors, with the same energy, on a finer grid of the brain alone. Only structures
are labelled along the result; the map to the template stays that of the tissues.

The idea is that of Puonti, Iglesias & Van Leemput 2016 (NeuroImage 143:235), whose mesh is a
displacement field here.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from falx.anatomy.registration.deformation import Warp, improve_warp, still, warped_priors
from falx.anatomy.registration.elastic import ElasticEnergy
from falx.anatomy.samples import Samples, take_samples
from falx.anatomy.segmentation.fitting import wrapped
from falx.anatomy.segmentation.mixture import Mixture, class_evidence
from falx.anatomy.segmentation.posterior import to_template_mm
from falx.anatomy.settings import Penalties
from falx.anatomy.structures.groups import N_GROUPS, fit_groups, group_of
from falx.core.grid import Grid
from falx.data.priors import StructurePriors, TissuePriors
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap

__all__ = ["fit_structure_warp", "group_priors"]

Floats = npt.NDArray[np.float32]

SAMPLING_MM = 2.0
MARGIN_MM = 12.0
ROUNDS = 7
"""Always as many: a stop that rounding decides parts the results of two processors."""

COARSENING = 2
FLOOR = 1e-4
ELSEWHERE = np.float32(0.05)
"""Evidence for brain that belongs to no structure, relative to the best group: a dura or a
vessel must not pull a structure towards itself."""


def fit_structure_warp(
    corrected: Floats,
    brain: npt.NDArray[np.bool_],
    grid: Grid,
    to_template: CoordinateMap,
    affine: npt.NDArray[np.float64],
    priors: StructurePriors,
    tissues: Mixture,
    *,
    threads: int,
) -> CoordinateMap:
    """Fit the deformation on by the priors of structures.

    Parameters
    ----------
    corrected
        Shape (X, Y, Z), bias-corrected T1w intensities.
    brain
        Shape (X, Y, Z).
    grid
        Their grid.
    to_template
        Native mm to template mm, where the fit starts.
    affine
        4×4, its affine part.
    priors
        Probability of every structure in template space.
    tissues
        Intensities of the tissues.

    Returns
    -------
    CoordinateMap
        Native mm to template mm, on a grid of :data:`SAMPLING_MM` around the brain.
    """
    grouped = group_priors(priors)
    samples = _samples(corrected, brain, grid)
    elastic = ElasticEnergy(
        samples.grid.shape,
        samples.grid.voxel_sizes_mm,
        Penalties(),
        samples.mm3_each,
        threads,
    )
    warp = _started(elastic, samples, to_template, affine, grouped)
    shares = np.ones(N_GROUPS + 1)
    mixture: Mixture | None = None
    for _ in range(ROUNDS):
        at_samples = warped_priors(warp, samples, grouped)
        own = np.ascontiguousarray(at_samples[:, :-1])
        mixture = fit_groups(samples.values, own, tissues, mixture)
        evidence = np.full(at_samples.shape, ELSEWHERE, dtype=np.float32)
        evidence[:, :-1] = class_evidence(mixture, samples.values)
        warp, _ = improve_warp(warp, samples, evidence, shares, grouped, elastic, factor=1.0)
    x, y, z = samples.grid.shape
    field = warp.displacement_mm[:, :x, :y, :z].transpose(1, 2, 3, 0)
    mapped = to_template_mm(np.ascontiguousarray(field), samples.grid, affine)
    return CoordinateMap(mapped, samples.grid.affine)


def group_priors(priors: StructurePriors) -> TissuePriors:
    """Prior of every group of structures, and of none, on a grid twice as coarse.

    Returns
    -------
    TissuePriors
        Probabilities of shape (X, Y, Z, groups + 1).
    """
    x, y, z = (n // COARSENING for n in priors.grid.shape)
    blocks = np.zeros((x, y, z, N_GROUPS + 1), dtype=np.float32)
    for structure, corner, box in zip(priors.ids, priors.corners, priors.boxes, strict=True):
        low = corner // COARSENING
        high = np.minimum(-(-(corner + box.shape) // COARSENING), (x, y, z))
        own = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        even = priors.probability(structure)[
            tuple(slice(COARSENING * a, COARSENING * b) for a, b in zip(low, high, strict=True))
        ]
        for first in itertools.product(range(COARSENING), repeat=3):
            of_each_block = tuple(slice(n, None, COARSENING) for n in first)
            blocks[..., group_of(structure)][own] += even[of_each_block] / np.float32(
                COARSENING**3
            )
    blocks[..., -1] = np.clip(1.0 - blocks.sum(axis=-1), 0.0, 1.0)
    np.maximum(blocks, np.float32(FLOOR), out=blocks)
    blocks /= blocks.sum(axis=-1, keepdims=True)
    to_fine = np.diag([COARSENING, COARSENING, COARSENING, 1.0])
    to_fine[:3, 3] = 0.5 * (COARSENING - 1)
    names = (*(str(n) for n in range(N_GROUPS)), "none")
    return TissuePriors(np.ascontiguousarray(blocks), priors.grid.affine @ to_fine, names)


def _samples(corrected: Floats, brain: npt.NDArray[np.bool_], grid: Grid) -> Samples:
    """Voxels of the brain, about two millimetres apart, on a grid just around it."""
    margin = np.ceil(MARGIN_MM / grid.voxel_sizes_mm).astype(int)
    found = np.argwhere(brain)
    low = np.maximum(found.min(axis=0) - margin, 0)
    high = np.minimum(found.max(axis=0) + 1 + margin, grid.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    to_box = np.eye(4)
    to_box[:3, 3] = low
    image = Image(np.ascontiguousarray(corrected[box]), grid.affine @ to_box)
    return take_samples(image, SAMPLING_MM, mask=brain[box])


def _started(
    elastic: ElasticEnergy,
    samples: Samples,
    to_template: CoordinateMap,
    affine: npt.NDArray[np.float64],
    priors: TissuePriors,
) -> Warp:
    """Carry the displacements of a map over to the grid of the samples."""
    back = np.linalg.inv(affine)
    native = to_template.on(samples.grid) @ back[:3, :3].T + back[:3, 3]
    axes = samples.grid.affine[:3, :3] / samples.grid.voxel_sizes_mm
    moved = (native - samples.grid.centres_mm()) @ np.linalg.inv(axes).T
    to_prior = np.linalg.inv(priors.affine) @ affine @ samples.grid.affine
    start = still(elastic, to_prior)
    shape = start.displacement_mm.shape[1:]
    field = [wrapped(moved[..., axis].astype(np.float32), shape) for axis in range(3)]
    return replace(start, displacement_mm=np.stack(field))
