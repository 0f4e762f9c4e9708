"""What disease and surgery do to a head: atrophy, and the cavity of a laser ablation.

No published source: shapes simple enough for their volumes to be known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.errors import InputError, check_range
from falx.core.grid import Side, apply_affine
from falx.phantom.heads import Head

__all__ = ["Ablation", "ablate_hippocampus", "atrophy"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ablation:
    """An ablation zone and the share of the signature that it takes, exactly.

    Parameters
    ----------
    mask
        Ablated voxels, shape (X, Y, Z).
    rate
        Of the signature inside hippocampus and amygdala, the share ablated.
    rate_hippocampus, rate_amygdala
        The same within each structure; ``None`` where the signature does not reach it.
    radius_mm, length_mm
        Of the capsule, mm.
    """

    mask: Mask
    rate: float
    rate_hippocampus: float | None
    rate_amygdala: float | None
    radius_mm: float
    length_mm: float


def atrophy(head: Head, structure: int, fraction: float) -> Head:
    """Take the outermost voxels of a structure and fill them with CSF.

    Parameters
    ----------
    structure
        Label, for example 17 (left hippocampus).
    fraction
        Share of its volume to take, 0 … 1; the voxel count is exact to one voxel.
    """
    check_range("fraction", fraction, 0.0, 0.95)
    inside = head.mask(structure)
    voxels = np.argwhere(inside)
    if len(voxels) == 0:
        raise InputError("the head has no such structure", found=structure)
    depth_mm = ndimage.distance_transform_edt(inside, sampling=head.grid.voxel_sizes_mm)[inside]
    # Among equally deep voxels the far ends go first.
    far_mm = np.linalg.norm((voxels - voxels.mean(axis=0)) * head.grid.voxel_sizes_mm, axis=1)
    order = np.lexsort((-np.round(far_mm, 6), np.round(depth_mm, 6)))
    gone = voxels[order[: round(fraction * len(voxels))]]
    labels = head.labels.copy()
    labels[tuple(gone.T)] = 24
    return Head(labels, head.affine)


def ablate_hippocampus(
    head: Head, side: Side, signature: Mask, rate: float, *, length_share: float = 0.6
) -> Ablation:
    """Ablate a capsule along the hippocampus that takes a given share of the signature.

    The capsule's axis is the longest axis of the hippocampus, from its front backwards and on
    into the amygdala; its radius is the one whose capsule takes `rate` of the signature.

    Parameters
    ----------
    signature
        Shape (X, Y, Z); only its part inside hippocampus and amygdala of the side counts.
    rate
        Wanted share, 0 … 1; the exact share reached is in the result.
    length_share
        Length of the axis relative to the hippocampus.
    """
    check_range("rate", rate, 0.0, 1.0)
    hippocampus, amygdala = (head.mask(label) for label in MESIAL[side])
    target = signature & (hippocampus | amygdala)
    if not target.any():
        raise InputError("the signature does not reach hippocampus or amygdala", where=side)
    start, end = _long_axis_mm(hippocampus, head.affine, length_share)
    distance = _distance_mm(head, start, end)
    inside = np.sort(distance[target])
    count = round(rate * len(inside))
    radius_mm = float(inside[count - 1]) if count else 0.0
    mask = (distance <= radius_mm) & _can_be_ablated(head) if count else np.zeros_like(target)
    return Ablation(
        mask=mask,
        rate=float((mask & target).sum() / target.sum()),
        rate_hippocampus=_share(mask, target & hippocampus),
        rate_amygdala=_share(mask, target & amygdala),
        radius_mm=radius_mm,
        length_mm=float(np.linalg.norm(end - start)),
    )


def _long_axis_mm(
    mask: Mask, affine: npt.NDArray[np.float64], share: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Front and back end of the middle `share` of a structure's first principal axis."""
    points = apply_affine(affine, np.argwhere(mask))
    centre = points.mean(axis=0)
    axis = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    axis = axis if axis[1] > 0 else -axis
    along = (points - centre) @ axis
    front, back = np.quantile(along, [0.98, 0.02])
    return centre + front * axis, centre + (front - share * (front - back)) * axis


def _distance_mm(
    head: Head, start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Distance of every voxel from a segment, mm; far voxels are at infinity."""
    distance = np.full(head.labels.shape, np.inf)
    corners = apply_affine(np.linalg.inv(head.affine), np.stack([start, end]))
    reach = 40.0 / head.grid.voxel_sizes_mm
    low = np.maximum(np.floor(corners.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) + reach) + 1, head.labels.shape).astype(int)
    box = np.stack(
        np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), -1
    )
    points = apply_affine(head.affine, box)
    along = end - start
    t = np.clip((points - start) @ along / (along @ along), 0.0, 1.0)
    near = np.linalg.norm(points - start - t[..., None] * along, axis=-1)
    distance[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = near
    return distance


def _can_be_ablated(head: Head) -> Mask:
    """Everything but brainstem, bone, air and what lies outside the skull."""
    tissues = head.tissues()
    return np.asarray((tissues <= 2) & ~head.mask(16, 85))


def _share(mask: Mask, target: Mask) -> float | None:
    return float((mask & target).sum() / target.sum()) if target.any() else None
