"""Grey-matter regions for the regional correction, and the structures whose means are reported.

Numbers are those of FreeSurfer (Fischl et al. 2002, Neuron 33:341); regions for the correction
after Rousset, Ma & Evans 1998, J Nucl Med 39:904.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.atlas.freesurfer_numbers import (
    AMYGDALA,
    CEREBELLAR_CORTEX,
    HIPPOCAMPUS,
    MESIAL,
    STRIATUM,
    THALAMUS,
)
from falx.core.grid import SIDES, Side
from falx.pet.asymmetry import ratio_of_means
from falx.pet.pvc import Spread

__all__ = [
    "PARTS",
    "REGION_LABELS",
    "STRUCTURE_LABELS",
    "grey_regions",
    "regional_asymmetry",
    "sided_structures",
    "structure_mask",
    "volume_weights",
]

STRUCTURE_LABELS: dict[str, dict[Side, tuple[int, ...]]] = {
    "hippocampus": {side: (HIPPOCAMPUS[side],) for side in SIDES},
    "amygdala": {side: (AMYGDALA[side],) for side in SIDES},
    "mesial_temporal": dict(MESIAL),
}
"""FreeSurfer label numbers of the structures that the ablation concerns."""

REGION_LABELS: dict[str, tuple[int, ...]] = {
    **{f"hippocampus_{side}": (HIPPOCAMPUS[side],) for side in SIDES},
    **{f"amygdala_{side}": (AMYGDALA[side],) for side in SIDES},
    "cerebellum": CEREBELLAR_CORTEX,
    "striatum": STRIATUM,
    "thalamus": THALAMUS,
}
"""Regions of one activity each; all other grey matter is cortex."""

NEIGHBOURHOOD_MM = 15.0
"""Two to three point spreads: what lies farther away does not spill into the structures."""

PARTS: dict[str, tuple[str, ...]] = {
    "hippocampus": ("hippocampus",),
    "amygdala": ("amygdala",),
    "mesial_temporal": ("hippocampus", "amygdala"),
}
"""Regions that make up a reported structure, on one side."""


def structure_mask(
    labels: npt.NDArray[np.integer], structure: str, side: Side
) -> npt.NDArray[np.bool_]:
    """Mask of a structure on one side in FreeSurfer numbers of shape (X, Y, Z)."""
    return np.isin(labels, STRUCTURE_LABELS[structure][side])


def grey_regions(
    labels: npt.NDArray[np.integer], voxel_sizes_mm: npt.ArrayLike
) -> dict[str, npt.NDArray[np.bool_]]:
    """Masks of the regions present in a label volume, and of the tissue around the mesial ones.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), FreeSurfer numbers.
    voxel_sizes_mm
        Shape (3,), mm.

    Returns
    -------
    dict
        Disjoint masks. ``surroundings_of_mesial_left`` and ``…_right`` hold what lies within
        :data:`NEIGHBOURHOOD_MM` of hippocampus and amygdala of that side alone and belongs to no
        other region: the cortex whose activity spills into them is theirs, not the brain's.
    """
    masks = {name: np.isin(labels, numbers) for name, numbers in REGION_LABELS.items()}
    found = {name: mask for name, mask in masks.items() if mask.any()}
    free = ~np.any(list(found.values()), axis=0) if found else np.ones(labels.shape, dtype=bool)
    mesial = {side: structure_mask(labels, "mesial_temporal", side) for side in SIDES}
    sizes_mm = np.asarray(voxel_sizes_mm, dtype=np.float64)
    near = {side: _near(mask, sizes_mm) & free for side, mask in mesial.items() if mask.any()}
    # What is near to both sides belongs to neither: the order of the sides must not matter.
    both = np.all(list(near.values()), axis=0) if len(near) == 2 else np.False_
    return found | {f"surroundings_of_mesial_{side}": mask & ~both for side, mask in near.items()}


def _near(
    mask: npt.NDArray[np.bool_], voxel_sizes_mm: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Voxels within :data:`NEIGHBOURHOOD_MM` of a mask; distances are taken around it only."""
    margin = np.ceil(NEIGHBOURHOOD_MM / voxel_sizes_mm).astype(int) + 1
    voxels = np.argwhere(mask)
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    high = np.minimum(voxels.max(axis=0) + margin + 1, mask.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    near = np.zeros(mask.shape, dtype=bool)
    away_mm = ndimage.distance_transform_edt(~mask[box], sampling=voxel_sizes_mm)
    near[box] = away_mm <= NEIGHBOURHOOD_MM
    return near


def sided_structures() -> list[tuple[str, Side]]:
    """Every reported structure with each side."""
    return [(structure, side) for structure in STRUCTURE_LABELS for side in SIDES]


def regional_asymmetry(
    activities: Mapping[str, float], spread: Spread
) -> dict[str, dict[Side, float]]:
    """Asymmetry of each side's structure against the other, from the regional activities.

    The mesial temporal value joins hippocampus and amygdala by their volumes; it is the least
    noisy.
    """
    found: dict[str, dict[Side, float]] = {}
    for structure, parts in PARTS.items():
        means = [_joint_activity(parts, side, activities, spread) for side in SIDES]
        if all(mean is not None and mean > 0 for mean in means):
            index = ratio_of_means(float(means[0] or 0), float(means[1] or 0))
            found[structure] = {"left": index, "right": -index}
    return found


def volume_weights(
    parts: tuple[str, ...], side: Side, names: Collection[str], spread: Spread
) -> dict[str, float] | None:
    """Share of each region in the volume of its structure; ``None`` unless all are in `names`."""
    regions = [f"{part}_{side}" for part in parts]
    if any(region not in names for region in regions):
        return None
    volumes = np.array([float(spread.regions[region].sum()) for region in regions])
    return dict(zip(regions, (volumes / volumes.sum()).tolist(), strict=True))


def _joint_activity(
    parts: tuple[str, ...], side: Side, activities: Mapping[str, float], spread: Spread
) -> float | None:
    weights = volume_weights(parts, side, activities, spread)
    if weights is None:
        return None
    return sum(weight * activities[region] for region, weight in weights.items())
