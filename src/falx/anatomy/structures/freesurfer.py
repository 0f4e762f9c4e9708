"""Label volumes of FreeSurfer and its relatives, brought to one set of numbers.

``aseg``, FastSurfer and SynthSeg use FreeSurfer's standard numbers. The subfield volumes
``segmentHA_T1`` use numbers without a side; the side stands in the file name (``lh.`` or
``rh.``). The lists below are the union over the variants full, HBT, FS60 and CA; the fissure
(215) is no tissue and is left out, and HATA (211) counts to the hippocampus.

Subfields: Iglesias et al. 2015, NeuroImage 115:117; nuclei of the amygdala: Saygin et al. 2017,
NeuroImage 155:370.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from falx.anatomy.structures.delineation import Structures
from falx.anatomy.volumes import count_volumes
from falx.atlas.freesurfer_numbers import MESIAL, MESIAL_NUMBERS, PAIRS
from falx.core.errors import InputError
from falx.core.grid import Grid, Side
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.images.warp import CoordinateMap

__all__ = [
    "AMYGDALA",
    "HIPPOCAMPUS",
    "adopt",
    "check_side",
    "is_subfields",
    "merge_subfields",
    "side_in_name",
]

HIPPOCAMPUS = frozenset({*range(203, 207), *range(208, 213), 214, 226, *range(231, 247)})
AMYGDALA = frozenset({7001, 7003, *range(7005, 7011), 7015})
FISSURE = 215


def side_in_name(name: str) -> Side | None:
    """Side that a FreeSurfer file name states, if any.

    Examples
    --------
    >>> side_in_name("rh.hippoAmygLabels-T1.v22.FSvoxelSpace.mgz")
    'right'
    >>> side_in_name("aseg.mgz") is None
    True
    """
    found = re.search(r"(?:^|[._-])(lh|rh)(?=[._-]|$)|hemi-(L|R)(?=[._]|$)", name)
    if found is None:
        return None
    return "left" if (found.group(1) or found.group(2)) in ("lh", "L") else "right"


def is_subfields(labels: npt.NDArray[np.integer]) -> bool:
    """Whether a volume (X, Y, Z) holds hippocampal subfields or amygdalar nuclei.

    Numbers from 200 to 246 and above 7000 tell, provided that the standard numbers of both
    hippocampi are absent.
    """
    values = np.unique(labels)
    coded = ((values >= 200) & (values <= 246)) | (values > 7000)
    return bool(coded.any() and not np.isin(values, MESIAL_NUMBERS).any())


def merge_subfields(
    labels: npt.NDArray[np.integer], side: Side | None, *, where: object = None
) -> npt.NDArray[np.int32]:
    """Join the subfields of one side to hippocampus and amygdala.

    Parameters
    ----------
    labels
        Shape (X, Y, Z), subfield numbers.
    side
        From the file name; the numbers themselves carry none.

    Returns
    -------
    ndarray
        Shape (X, Y, Z): 17 and 18 on the left, 53 and 54 on the right, else 0.

    Raises
    ------
    InputError
        If the side or a number is not known, or there is no label at all.
    """
    if side is None:
        raise InputError(
            "subfield labels carry no side and the file name gives none",
            where=where,
            do="keep lh. or rh. (or hemi-L, hemi-R) in the file name",
        )
    values = set(np.unique(labels).tolist()) - {0, FISSURE}
    unknown = values - HIPPOCAMPUS - AMYGDALA
    strange = sorted(v for v in unknown if 200 <= v <= 246 or v > 7000)
    if strange:
        raise InputError(
            "unknown hippocampal or amygdalar label",
            where=where,
            found=strange[:5],
            do="give the labels as FreeSurfer 7 segmentHA_T1 writes them",
        )
    hippocampus, amygdala = MESIAL[side]
    merged = np.zeros(labels.shape, dtype=np.int32)
    merged[np.isin(labels, list(HIPPOCAMPUS))] = hippocampus
    merged[np.isin(labels, list(AMYGDALA))] = amygdala
    if not merged.any():
        raise InputError(
            "no hippocampal or amygdalar label was found",
            where=where,
            do="give the output of FreeSurfer's segmentHA_T1, or leave the labels out",
        )
    return merged


def check_side(labels: Image, to_template: CoordinateMap, *, where: object = None) -> None:
    """Raise if a paired structure lies on the other side of the midline than its number says.

    The midline is the template's, reached through the map, so that a head that is not
    centred in the scanner is judged rightly.
    """
    for name, pair in PAIRS.items():
        for number, sign in zip(pair, (-1.0, 1.0), strict=True):
            voxels = np.argwhere(labels.data == number)
            if len(voxels) == 0:
                continue
            centre = labels.affine[:3, :3] @ voxels.mean(axis=0) + labels.affine[:3, 3]
            x_mm = float(to_template.at(centre)[0])
            if sign * x_mm < 0:
                raise InputError(
                    "the label volume and the T1w image disagree about the side",
                    where=where,
                    found=f"{name} number {number} at template x = {x_mm:.0f} mm",
                    do="check the header and the lh or rh in the file name",
                )


def adopt(own: Structures, labels: Image, grid: Grid, *, where: object = None) -> Structures:
    """Put a site's label volume in the place of the built-in structures.

    Labels of the site win wherever they are, and each number that the site has is taken from
    the built-in labels everywhere else: hippocampus then means the site's hippocampus only.

    Parameters
    ----------
    own
        Built-in structures on `grid`.
    labels
        Standard FreeSurfer numbers on their own grid, in the same world space.
    grid
        Native T1w grid.

    Returns
    -------
    Structures
        Volumes of the site's labels are counted on the site's own grid; their confidence is
        left out, for it is not known.
    """
    counted = count_volumes(labels.data, labels.grid)
    site = np.asarray(resample(labels, grid, how="nearest"), dtype=np.int32)
    if not site.any():
        raise InputError(
            "the label volume does not overlap with the T1w image",
            where=where,
            do="give labels in the space of this T1w image",
        )
    replaced = np.isin(own.labels, list(counted))
    merged = np.where(replaced, 0, own.labels)
    merged = np.where(site > 0, site, _filled(merged, replaced, own.labels))
    volumes = {**own.volumes_mm3, **counted}
    confidence = {k: v for k, v in own.confidence.items() if k not in counted}
    doubts = {k: v for k, v in own.doubts.items() if k not in counted}
    return Structures(merged.astype(np.int32), volumes, confidence, doubts)


def _filled(
    merged: npt.NDArray[np.int32], replaced: npt.NDArray[np.bool_], own: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Give white matter's label of its side to voxels whose label was taken away."""
    right = np.isin(own, [number for _, number in PAIRS.values()])
    return np.where(replaced, np.where(right, 41, 2), merged)
