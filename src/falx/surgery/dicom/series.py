"""A donor series: the slices of one MR image, in order, and where they lie in the patient.

Place and orientation: DICOM PS3.3 2024a, C.7.6.2.1.1, equation C.7.6.2.1-1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.images.resample import resample

__all__ = ["LPS", "DonorSeries", "chosen_series", "onto_series", "series_grid"]

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns RAS+ millimetres into DICOM's LPS+ and back."""

NEEDED = (
    "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "Rows", "Columns",
)  # fmt: skip
PLACE_TOLERANCE_MM = 0.05
ORIENTATION_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class DonorSeries:
    """Slices of one series, sorted along their normal.

    Parameters
    ----------
    slices
        One single-frame data set each.
    grid
        Shape (columns, rows, slices) and affine to RAS+ mm: slice k holds
        ``array[:, :, k].T``.
    """

    slices: tuple[Any, ...]
    grid: Grid


def chosen_series(
    groups: Mapping[str, list[Any]], series: str | None, *, where: object = None
) -> list[Any]:
    """Return the slices of the only series, or of the one named by number or description.

    Parameters
    ----------
    groups
        Identifier of a series to its slices.

    Raises
    ------
    InputError
        If no series fits, or several do.
    """

    def name(slices: list[Any]) -> str:
        first = slices[0]
        return f"{first.get('SeriesNumber', '?')} {first.get('SeriesDescription', '')}".strip()

    fitting = {
        uid: slices
        for uid, slices in groups.items()
        if series is None
        or series in (str(slices[0].get("SeriesNumber")), slices[0].get("SeriesDescription"))
    }
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    offered = ", ".join(sorted(name(slices) for slices in groups.values())) or "none"
    raise InputError(
        "no image series fits" if not fitting else "the folder holds several image series",
        where=where,
        found=offered,
        do="choose one by its number or description: --series" if groups else "check the folder",
    )


def series_grid(slices: Sequence[Any], *, where: object = None) -> DonorSeries:
    """Sort slices along their normal and check that they fill a regular grid."""
    _check_alike(slices, where)
    row, column = np.reshape(np.asarray(slices[0].ImageOrientationPatient, dtype=float), (2, 3))
    normal = np.cross(row, column)
    places = np.array([np.asarray(s.ImagePositionPatient, dtype=float) for s in slices])
    order = np.argsort(places @ normal, kind="stable")
    ordered, places = [slices[n] for n in order], places[order]
    step = _slice_step(places, normal, slices[0], where)
    affine = np.eye(4)
    row_step, column_step = (float(value) for value in slices[0].PixelSpacing)
    # ImageOrientationPatient names the direction of the column index first, and PixelSpacing
    # the distance between rows first.
    affine[:3, 0] = row * column_step
    affine[:3, 1] = column * row_step
    affine[:3, 2] = step
    affine[:3, 3] = places[0]
    shape = (int(slices[0].Columns), int(slices[0].Rows), len(ordered))
    return DonorSeries(tuple(ordered), Grid(shape, LPS @ affine))


def _check_alike(slices: Sequence[Any], where: object) -> None:
    for dataset in slices:
        missing = [name for name in NEEDED if name not in dataset]
        if missing:
            raise InputError(
                "a slice of the series lacks what says where it lies",
                where=where,
                found=f"no {', '.join(missing)}",
                do="export the series again from the scanner or PACS",
            )
    first = slices[0]
    orientation = np.asarray(first.ImageOrientationPatient, dtype=float)
    for dataset in slices:
        turned = np.abs(np.asarray(dataset.ImageOrientationPatient, dtype=float) - orientation)
        if turned.max() > ORIENTATION_TOLERANCE:
            raise InputError(
                "the series mixes orientations",
                where=where,
                found="slices that are not parallel, such as a localiser",
                do="choose the 3D T1w series",
            )
        size, spacing = (dataset.Rows, dataset.Columns), list(dataset.PixelSpacing)
        if size != (first.Rows, first.Columns) or spacing != list(first.PixelSpacing):
            raise InputError(
                "the series mixes slice sizes",
                where=where,
                found=f"{first.Rows}×{first.Columns} and {size[0]}×{size[1]}",
                do="choose the 3D T1w series",
            )


def _slice_step(
    places: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], first: Any, where: object
) -> npt.NDArray[np.float64]:
    if len(places) == 1:
        return np.asarray(normal * float(first.get("SliceThickness", 1.0) or 1.0))
    along = np.diff(places @ normal)
    usual = float(np.median(along))
    uneven = np.flatnonzero(np.abs(along - usual) > PLACE_TOLERANCE_MM)
    if usual < PLACE_TOLERANCE_MM or len(uneven):
        gap = float(along[uneven[0]]) if len(uneven) else usual
        what = "holds slices twice" if gap < usual or usual < 0.05 else "has missing slices"
        raise InputError(
            f"the series {what}",
            where=where,
            found=f"{gap:.2f} mm between two slices, {usual:.2f} mm between the others",
            do="export the whole series once",
        )
    step = (places[-1] - places[0]) / (len(places) - 1)
    aslant = np.linalg.norm(step - (step @ normal) * normal)
    if aslant > PLACE_TOLERANCE_MM:
        raise InputError(
            "the slices are stacked aslant",
            where=where,
            found=f"each is shifted by {aslant:.2f} mm within its plane",
            do="choose a series without gantry tilt",
        )
    return np.asarray(step)


def onto_series(mask: Image, donor: DonorSeries) -> npt.NDArray[np.bool_]:
    """Bring a mask to the shape of the series' grid, linearly with threshold one half.

    Raises
    ------
    InputError
        If the mask does not lie on the series.
    """
    values = Image(np.asarray(mask.data, dtype=np.float32), mask.affine)
    arrived = resample(values, donor.grid) >= 0.5
    before = float(np.count_nonzero(mask.data)) * mask.grid.voxel_volume_mm3
    after = float(np.count_nonzero(arrived)) * donor.grid.voxel_volume_mm3
    if before > 0 and after < 0.5 * before:
        raise InputError(
            "the mask does not lie on the DICOM series",
            found=f"{after:.0f} of {before:.0f} mm³ arrive there",
            do="give the series that the T1w image was converted from",
        )
    return np.asarray(arrived)
