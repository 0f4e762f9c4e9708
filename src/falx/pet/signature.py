"""The personalised signature: tissue whose asymmetry passes a threshold that knows its scale.

Mo et al. 2025; source data and scripts: Zenodo 10.5281/zenodo.17042331.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError, check_option, check_range, notify
from falx.core.grid import Grid, Side
from falx.data.mo2025 import PUBLISHED_AI_THRESHOLD
from falx.images.nifti import Image
from falx.pet.asymmetry import Asymmetry, asymmetry_index
from falx.pet.maps import Place
from falx.pet.scaling import SCALES, Scaled, convert

__all__ = [
    "COMPARISONS",
    "DEFAULT_THRESHOLD",
    "PUBLISHED_THRESHOLD",
    "Confinement",
    "Rule",
    "SignatureMasks",
    "Threshold",
    "index_on_scale",
    "remove_small_clusters",
    "resolve_side",
    "signature_in_both_spaces",
    "signature_mask",
    "threshold_mask",
]

COMPARISONS = ("<=", "<")

NEARLY_SYMMETRIC = 0.03
"""Below this difference of both sides' asymmetry a side found from the image is doubtful."""


@dataclass(frozen=True)
class Threshold:
    """A cut on the asymmetry index and the intensity scale it belongs to.

    Parameters
    ----------
    value
        Cut, no unit.
    scale
        Intensity scale of the index that it may be applied to.
    comparison
        ``"<="`` or ``"<"``.
    origin
        Where the number comes from.
    """

    value: float
    scale: str
    comparison: str
    origin: str

    def __post_init__(self) -> None:
        check_option("threshold scale", self.scale, SCALES)
        check_option("threshold comparison", self.comparison, COMPARISONS)
        check_range("threshold", self.value, -2.0, -1e-6)


PUBLISHED_THRESHOLD = Threshold(
    PUBLISHED_AI_THRESHOLD,
    "z5",
    "<=",
    "Mo 2025, scripts: the median PET asymmetry of the 30 patients; printed as -0.06",
)
DEFAULT_THRESHOLD = Threshold(
    -0.06,
    "proportional",
    "<=",
    "head phantoms: half of the index that a 15 % reduction of the mesial temporal grey matter "
    "keeps in the smoothed map; at half depth lies the edge of a blurred region",
)


def threshold_mask(
    index: npt.NDArray[np.floating], scale: str, threshold: Threshold
) -> npt.NDArray[np.bool_]:
    """Voxels that pass a threshold, in the shape of the index, (X, Y, Z).

    Raises
    ------
    InputError
        If the index is on another intensity scale than the threshold.

    Examples
    --------
    >>> threshold_mask(np.array([-0.2, 0.0]), "proportional", DEFAULT_THRESHOLD)
    array([ True, False])
    """
    if scale != threshold.scale:
        raise InputError(
            "the threshold belongs to another intensity scale than the asymmetry index",
            found=f"threshold {threshold.value:g} on {threshold.scale}, index on {scale}",
            do="convert the index with index_on_scale first",
        )
    if threshold.comparison == "<=":
        return np.asarray(index <= threshold.value)
    return np.asarray(index < threshold.value)


def index_on_scale(
    scaled: Scaled, grid: Grid, mask: npt.NDArray[np.bool_], scale: str
) -> Asymmetry:
    """Asymmetry index of a scaled image on any scale, voxel by voxel and exact; (X, Y, Z)."""
    return asymmetry_index(convert(scaled, scale).image, grid, mask)


def remove_small_clusters(
    mask: npt.NDArray[np.bool_], voxel_volume_mm3: float, minimum_mm3: float
) -> npt.NDArray[np.bool_]:
    """Drop 18-connected clusters of a mask of shape (X, Y, Z) below a volume.

    Examples
    --------
    >>> mask = np.array([[[True, True, False, True]]])
    >>> remove_small_clusters(mask, 1.0, 2.0)
    array([[[ True,  True, False, False]]])
    """
    if minimum_mm3 <= 0:
        return mask
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))
    volume_mm3 = np.bincount(labels.ravel(), minlength=count + 1) * voxel_volume_mm3
    keep = volume_mm3 >= minimum_mm3 - 1e-9
    keep[0] = False
    return np.asarray(keep[labels])


@dataclass(frozen=True)
class Rule:
    """Where a signature may lie.

    Parameters
    ----------
    gm_floor
        Least grey-matter fraction.
    side
        Only this side; ``None`` for both.
    minimum_cluster_mm3
        Smaller clusters are dropped.
    """

    gm_floor: float = 0.0
    side: Side | None = None
    minimum_cluster_mm3: float = 0.0

    def __post_init__(self) -> None:
        check_range("gm_floor", self.gm_floor, 0.0, 1.0)
        check_range("minimum_cluster_mm3", self.minimum_cluster_mm3, 0.0, unit="mm³")


@dataclass(frozen=True, eq=False)
class Confinement:
    """What a rule needs to know of the grid that the asymmetry lives on.

    Parameters
    ----------
    gm
        Shape (X, Y, Z), grey-matter fraction.
    template_x_mm
        Shape (X, Y, Z), distance of each voxel from the midline in template space, to the
        right.
    voxel_volume_mm3
        Of the grid.
    """

    gm: npt.NDArray[np.floating]
    template_x_mm: npt.NDArray[np.floating]
    voxel_volume_mm3: float


def signature_mask(
    index: npt.NDArray[np.floating],
    scale: str,
    threshold: Threshold,
    rule: Rule,
    confinement: Confinement,
) -> npt.NDArray[np.bool_]:
    """Mask of the signature: past the threshold, in grey matter, on the side of the focus.

    Parameters
    ----------
    index
        Shape (X, Y, Z), as the result.
    scale
        Intensity scale of the index.
    """
    mask = threshold_mask(index, scale, threshold)
    if rule.gm_floor > 0:
        mask &= confinement.gm > rule.gm_floor
    if rule.side is not None:
        x_mm = confinement.template_x_mm
        mask &= (x_mm < 0) if rule.side == "left" else (x_mm > 0)
    return remove_small_clusters(mask, confinement.voxel_volume_mm3, rule.minimum_cluster_mm3)


def resolve_side(declared: str, left: float, right: float) -> Side:
    """Side of the focus: as declared, or for ``"auto"`` the side that is lower.

    Parameters
    ----------
    declared
        ``"left"``, ``"right"`` or ``"auto"``.
    left, right
        Mean asymmetry of the mesial temporal structures of either side.
    """
    check_option("side", declared, ("left", "right", "auto"))
    lower: Side = "left" if left < right else "right"
    found = f"asymmetry {left:.3f} left, {right:.3f} right"
    alike = abs(left - right) < NEARLY_SYMMETRIC
    if declared == "auto":
        notify(
            f"no side was declared; the {lower} mesial temporal lobe is lower and was taken",
            found=found,
            do="declare the side if another one is meant",
        )
        if alike:
            notify("both mesial temporal lobes are nearly alike; the side is doubtful")
        return lower
    focus: Side = "left" if declared == "left" else "right"
    if focus != lower and not alike:
        notify(
            f"the focus is declared on the {focus}, but the other mesial temporal lobe is lower",
            found=found,
            do="check the declared side",
        )
    return focus


@dataclass(frozen=True, eq=False)
class SignatureMasks:
    """The signature on the template grid and on the T1w grid."""

    template: npt.NDArray[np.bool_]
    native: npt.NDArray[np.bool_]


def signature_in_both_spaces(
    scaled: Scaled, threshold: Threshold, rule: Rule, place: Place, grey: Image
) -> SignatureMasks:
    """Cut the asymmetry of a scaled image by a threshold, in template and in native space.

    The index is taken on the scale of the threshold; the continuous index is pulled to the
    T1w grid and cut there.
    """
    defined = scaled.image != 0
    index = index_on_scale(scaled, place.template, defined, threshold.scale)
    native, _ = place.to_native(index.index, index.valid)
    here = Confinement(
        place.to_template(grey),
        place.template.centres_mm()[..., 0],
        place.template.voxel_volume_mm3,
    )
    there = Confinement(grey.data, place.to_template_mm[..., 0], place.native.voxel_volume_mm3)
    return SignatureMasks(
        signature_mask(index.index, threshold.scale, threshold, rule, here),
        signature_mask(native, threshold.scale, threshold, rule, there),
    )
