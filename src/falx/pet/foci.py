"""The foci of a calibrated signature as rows of a table: where they lie, how large, how certain.

Places are given in scanner millimetres of the T1w and in template millimetres, which are those of
MNI 152 2009a. A region is named by the structure that holds most of the focus; the shipped
structures know no gyri, so that cortex is "cerebral cortex".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Side
from falx.core.possible import AsymmetryIndex, HemisphereMm3, Probability, Share
from falx.data.labels import head_labels
from falx.images.nifti import Image
from falx.pet.calibrated import Calibrated
from falx.pet.maps import Place

__all__ = ["FocusRow", "foci_table", "focus_rows", "numbers_on_t1w"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FocusRow:
    """A focus on the T1w grid.

    Parameters
    ----------
    number
        From 1, the most certain first.
    side
        On which it lies.
    region, region_share
        Structure that holds most of its grey matter, and how much of it.
    volume_mm3
        On the T1w grid.
    mean_asymmetry
        Mean index over it.
    lowest_z
        In standard deviations of noise and healthy asymmetry together.
    probability
        Familywise probability that an image without a focus holds such a one.
    false_share
        Expected share of its volume that is no focus.
    decoy_rate
        See :class:`falx.pet.calibrated.Focus`.
    peak_scanner_mm, peak_mni_mm
        Where z is lowest, RAS+ mm.
    """

    number: int
    side: Side
    region: str
    region_share: Share
    volume_mm3: HemisphereMm3
    mean_asymmetry: AsymmetryIndex
    lowest_z: float
    probability: Probability
    false_share: Share
    decoy_rate: Probability
    peak_scanner_mm: tuple[float, float, float]
    peak_mni_mm: tuple[float, float, float]


COLUMNS = (
    "focus", "side", "region", "region_share", "volume_mm3", "mean_asymmetry", "lowest_z",
    "familywise_p", "expected_false_share", "decoy_rate",
    *(f"{axis}_scanner_mm" for axis in "xyz"),
    *(f"{axis}_mni_mm" for axis in "xyz"),
)  # fmt: skip


def foci_table(foci: Sequence[FocusRow]) -> tuple[tuple[str, ...], list[list[object]]]:
    """Header and rows of the table of foci, one row each."""
    rows: list[list[object]] = [
        [
            row.number, row.side, row.region, row.region_share, row.volume_mm3, row.mean_asymmetry,
            row.lowest_z, row.probability, row.false_share, row.decoy_rate,
            *(round(mm, 1) for mm in (*row.peak_scanner_mm, *row.peak_mni_mm)),
        ]
        for row in foci
    ]  # fmt: skip
    return COLUMNS, rows


def numbers_on_t1w(found: Calibrated, mask: Mask, place: Place) -> npt.NDArray[np.int16]:
    """Give each voxel of a mask the number of its focus, shape (X, Y, Z) of the T1w grid.

    Parameters
    ----------
    mask
        On the T1w grid. A voxel takes the number of the nearest voxel of the template mask.
    """
    numbers = np.zeros(mask.shape, dtype=np.int16)
    if not found.mask.any() or not mask.any():
        return numbers
    own = np.where(found.mask, found.regions, np.int16(0))
    nearest = ndimage.distance_transform_edt(
        own == 0, sampling=place.template.voxel_sizes_mm, return_distances=False,
        return_indices=True,
    )  # fmt: skip
    wide = own[tuple(nearest)]
    voxels = np.linalg.inv(place.template.affine)
    at = place.to_template_mm[mask] @ voxels[:3, :3].T + voxels[:3, 3]
    index = np.clip(np.rint(at).astype(int), 0, np.array(place.template.shape) - 1)
    numbers[mask] = wide[tuple(index.T)]
    return numbers


def focus_rows(
    found: Calibrated,
    numbers: npt.NDArray[np.integer],
    index: npt.NDArray[np.floating],
    probability: npt.NDArray[np.floating],
    place: Place,
) -> tuple[FocusRow, ...]:
    """Describe the foci of a calibrated signature, the most certain first.

    Parameters
    ----------
    numbers
        From :func:`numbers_on_t1w`.
    index, probability
        Of the same shape.

    Returns
    -------
    tuple
        A focus whose grey matter on the T1w grid is empty has no row.
    """
    rows = []
    voxel_mm3 = place.native.voxel_volume_mm3
    for number, focus in enumerate(found.foci, start=1):
        inside = numbers == number
        if not inside.any():
            continue
        region, share = _region(place.labels, inside)
        rows.append(
            FocusRow(
                number=number,
                side=focus.side,
                region=region,
                region_share=share,
                volume_mm3=float(np.count_nonzero(inside) * voxel_mm3),
                mean_asymmetry=float(index[inside].mean()),
                lowest_z=focus.lowest_z,
                probability=focus.probability,
                false_share=float(1.0 - probability[inside].mean()),
                decoy_rate=focus.decoy_rate,
                peak_scanner_mm=_scanner_mm(focus.peak_mm, place),
                peak_mni_mm=focus.peak_mm,
            )
        )
    return tuple(rows)


@cache
def _grey_names() -> dict[int, str]:
    """FreeSurfer number to name, of the structures of grey matter."""
    known = head_labels()
    rows = zip(known.index.tolist(), known.name, known.tissue, strict=True)
    return {number: name for number, name, tissue in rows if tissue == "GM"}


def _region(labels: Image, inside: Mask) -> tuple[str, float]:
    """Name the grey structure that holds most of a focus, and its share of the focus."""
    names = _grey_names()
    numbers, counts = np.unique(labels.data[inside], return_counts=True)
    held = {int(n): int(c) for n, c in zip(numbers, counts, strict=True) if int(n) in names}
    if not held:
        return "no named structure", 0.0
    most = max(held, key=lambda n: (held[n], -n))
    return names[most], held[most] / int(counts.sum())


def _scanner_mm(peak_mm: tuple[float, float, float], place: Place) -> tuple[float, float, float]:
    """T1w millimetres of a template place that lies on a voxel."""
    voxels = np.linalg.inv(place.template.affine)
    i, j, k = np.rint(voxels[:3, :3] @ np.array(peak_mm) + voxels[:3, 3]).astype(int)
    x, y, z = place.to_native_mm[i, j, k].astype(float).tolist()
    return (x, y, z)
