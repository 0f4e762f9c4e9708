"""Masks as a DICOM segmentation object.

DICOM PS3.3 2024a, A.51 and C.8.20, written by highdicom (Bridge et al. 2022, J Digit Imaging
35:1719).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from falx import __version__
from falx.core.errors import InputError
from falx.surgery.dicom.identity import Identity, bare
from falx.surgery.dicom.series import DonorSeries

__all__ = ["check_masks", "segmentation_object"]


def check_masks(masks: Mapping[str, npt.NDArray[np.bool_]], donor: DonorSeries) -> None:
    """Raise unless there are masks, each of the shape of the donor's grid and none empty."""
    if not masks:
        raise InputError("there is no mask to hand over", do="give at least one")
    for name, mask in masks.items():
        if mask.shape != donor.grid.shape:
            raise InputError(
                f"the mask {name} is not on the grid of the series",
                found=f"{mask.shape} and {donor.grid.shape} voxels",
                do="resample it to the series",
            )
        if not mask.any():
            raise InputError(f"the mask {name} is empty", do="leave it out")


def segmentation_object(
    masks: Mapping[str, npt.NDArray[np.bool_]],
    donor: DonorSeries,
    identity: Identity,
    *,
    series_number: int = 9001,
) -> Any:
    """Return a binary DICOM SEG with one segment a mask, in the donor's frame of reference.

    Parameters
    ----------
    masks
        Name to mask on the donor's grid, shape (columns, rows, slices).

    Notes
    -----
    A series that the segmentation refers to must be named in it: some viewers refuse the
    object otherwise. highdicom writes it from the source images.
    """
    import highdicom
    from highdicom.sr.coding import CodedConcept
    from pydicom.uid import generate_uid

    check_masks(masks, donor)
    sources = [bare(dataset, identity) for dataset in donor.slices]
    tissue = CodedConcept("85756007", "SCT", "Tissue")
    method = CodedConcept("123109", "DCM", "Manual Processing")
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=tissue,
            segmented_property_type=tissue,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=highdicom.AlgorithmIdentificationSequence(
                name="Falx", version=__version__, family=method
            ),
        )
        for number, name in enumerate(masks, start=1)
    ]
    # Frame k of the object is array[:, :, k] transposed; segments come last.
    frames = np.stack([mask.T for mask in masks.values()], axis=-1).astype(np.uint8)
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=generate_uid(),
        series_number=series_number,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Falx",
        manufacturer_model_name="Falx",
        software_versions=__version__,
        device_serial_number="0",
        series_description="RESEARCH Falx segmentation",
        content_label="FALX",
        content_description="Research use only",
    )
