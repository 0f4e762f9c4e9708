"""Ablative rate as a function of the threshold: what every other cut would have given.

A threshold that comes from a cohort (Mo 2025 take the median asymmetry of their patients) can
only be judged honestly if it is estimated anew without the patient it is applied to, and the
rate recomputed. The curve holds what that needs, without the images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option, check_same_grid

__all__ = ["THRESHOLDS", "RateCurve", "rate_curve"]

THRESHOLDS: tuple[float, ...] = tuple(round(-0.5 + 0.005 * i, 3) for i in range(100))
"""Cuts on the asymmetry index at which the volumes are kept, -0.5 to -0.005."""


@dataclass(frozen=True, eq=False)
class RateCurve:
    """Signature inside a structure, and what of it was ablated, at every threshold.

    Parameters
    ----------
    thresholds
        Shape (T,), ascending, no unit.
    signature_mm3, ablated_mm3
        Shape (T,), mm³.
    """

    thresholds: npt.NDArray[np.float64]
    signature_mm3: npt.NDArray[np.float64]
    ablated_mm3: npt.NDArray[np.float64]


def rate_curve(
    index: npt.NDArray[np.floating],
    ablation: npt.NDArray[np.bool_],
    inside: npt.NDArray[np.bool_],
    affine: npt.NDArray[np.floating],
    *,
    comparison: str = "<=",
    thresholds: npt.ArrayLike = THRESHOLDS,
) -> RateCurve:
    """Volumes of signature and ablated signature at every threshold.

    Parameters
    ----------
    index
        Shape (X, Y, Z), asymmetry index on the pre-operative T1w grid.
    ablation, inside
        Masks of that shape: the ablation, and the part of the structure where a signature may
        lie.
    affine
        4×4, of that grid.
    comparison
        ``"<="`` or ``"<"``.
    thresholds
        Ascending and negative.

    Examples
    --------
    >>> index = np.array([[[-0.3, -0.1, 0.2]]]); took = np.array([[[True, False, False]]])
    >>> curve = rate_curve(index, took, np.ones_like(took), np.eye(4), thresholds=[-0.2, -0.1])
    >>> curve.signature_mm3, curve.ablated_mm3
    (array([1., 2.]), array([1., 1.]))
    """
    check_option("threshold comparison", comparison, ("<=", "<"))
    for name, mask in (("ablation", ablation), ("structure", inside)):
        check_same_grid("asymmetry", index.shape, affine, name, mask.shape, affine)
    cuts = np.asarray(thresholds, dtype=np.float64)
    if not len(cuts) or np.any(np.diff(cuts) <= 0) or cuts[-1] >= 0:
        raise InputError("thresholds of a signature must be negative and ascend", found=cuts)
    voxel_mm3 = float(abs(np.linalg.det(np.asarray(affine)[:3, :3])))
    return RateCurve(
        cuts,
        _volume_below(index[inside], cuts, comparison) * voxel_mm3,
        _volume_below(index[inside & ablation], cuts, comparison) * voxel_mm3,
    )


def _volume_below(
    values: npt.NDArray[np.floating], cuts: npt.NDArray[np.float64], comparison: str
) -> npt.NDArray[np.float64]:
    """Count of values that pass each cut, in the precision that the values are stored in."""
    ranked = np.sort(values)
    below = ranked.searchsorted(
        cuts.astype(ranked.dtype), side="right" if comparison == "<=" else "left"
    )
    return np.asarray(below, dtype=np.float64)
