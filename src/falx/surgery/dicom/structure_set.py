"""Masks as a DICOM radiotherapy structure set: closed contours on the donor's slices.

DICOM PS3.3 2024a, A.19 and C.8.8.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import apply_affine
from falx.surgery.dicom.identity import Identity, new_dataset
from falx.surgery.dicom.segmentation import check_masks
from falx.surgery.dicom.series import LPS, DonorSeries

__all__ = ["slice_contours", "structure_set"]

STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
COLOURS = ((242, 142, 43), (23, 179, 201), (242, 208, 43), (47, 109, 181), (138, 148, 163))
"""Orange and cyan first; no pair of red and green."""


def slice_contours(inside: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Return the closed outlines of a slice at one half, in voxel coordinates.

    Parameters
    ----------
    inside
        Shape (columns, rows).

    Returns
    -------
    list of ndarray
        Shape (N, 2) each, without repeating the first point. A hole is an outline of its
        own; the inside is what an odd number of outlines encloses.
    """
    from contourpy import contour_generator

    padded = np.pad(inside.astype(np.float64), 1)
    lines = contour_generator(z=padded.T, line_type="Separate").lines(0.5)
    return [np.asarray(line)[:-1] - 1.0 for line in lines if len(line) > 3]


def structure_set(
    masks: Mapping[str, npt.NDArray[np.bool_]],
    donor: DonorSeries,
    identity: Identity,
    *,
    series_number: int = 9002,
) -> Any:
    """Return an RTSTRUCT with one region a mask, in the donor's frame of reference.

    Parameters
    ----------
    masks
        Name to mask on the donor's grid, shape (columns, rows, slices).
    """
    import pydicom

    check_masks(masks, donor)
    first = donor.slices[0]
    dataset = new_dataset(STRUCTURE_SET_STORAGE, "RTSTRUCT", first, identity)
    dataset.SeriesNumber = series_number
    dataset.SeriesDescription = "RESEARCH Falx structures"
    dataset.InstanceNumber = 1
    dataset.StructureSetLabel = "FALX RESEARCH"
    dataset.StructureSetDate, dataset.StructureSetTime = "", ""
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = pydicom.Sequence([_reference(donor)])
    regions, contours, observations = [], [], []
    for number, (name, mask) in enumerate(masks.items(), start=1):
        regions.append(_region(number, name, first))
        contours.append(_region_contours(number, mask, donor))
        observations.append(_observation(number))
    dataset.StructureSetROISequence = pydicom.Sequence(regions)
    dataset.ROIContourSequence = pydicom.Sequence(contours)
    dataset.RTROIObservationsSequence = pydicom.Sequence(observations)
    return dataset


def _record(**values: Any) -> Any:
    import pydicom

    dataset = pydicom.Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def _image(slice_: Any) -> Any:
    return _record(
        ReferencedSOPClassUID=slice_.SOPClassUID, ReferencedSOPInstanceUID=slice_.SOPInstanceUID
    )


def _reference(donor: DonorSeries) -> Any:
    first = donor.slices[0]
    series = _record(
        SeriesInstanceUID=first.SeriesInstanceUID,
        ContourImageSequence=[_image(slice_) for slice_ in donor.slices],
    )
    study = _record(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _record(
        FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[study]
    )


def _region(number: int, name: str, first: Any) -> Any:
    return _record(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=first.FrameOfReferenceUID,
        ROIName=name[:64],
        ROIGenerationAlgorithm="AUTOMATIC",
    )


def _observation(number: int) -> Any:
    return _record(
        ObservationNumber=number,
        ReferencedROINumber=number,
        RTROIInterpretedType="",
        ROIInterpreter="",
    )


def _region_contours(number: int, mask: npt.NDArray[np.bool_], donor: DonorSeries) -> Any:
    to_lps = LPS @ donor.grid.affine
    contours = []
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        for outline in slice_contours(mask[:, :, k]):
            voxels = np.column_stack([outline, np.full(len(outline), float(k))])
            points = apply_affine(to_lps, voxels)
            contours.append(
                _record(
                    ContourImageSequence=[_image(donor.slices[k])],
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{value:.2f}" for value in points.ravel()],
                )
            )
    return _record(
        ROIDisplayColor=list(COLOURS[(number - 1) % len(COLOURS)]),
        ReferencedROINumber=number,
        ContourSequence=contours,
    )


def inner_border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels of a mask that touch its outside within their slice, shape (X, Y, slices)."""
    cross = np.zeros((3, 3, 3), dtype=bool)
    cross[1, :, 1] = cross[:, 1, 1] = True
    return np.asarray(mask & ~ndimage.binary_erosion(mask, cross))
