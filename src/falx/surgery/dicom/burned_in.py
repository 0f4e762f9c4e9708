"""The donor series written anew, with the target drawn into it, for stations that read no more.

A secondary MR series: DICOM PS3.3 2024a, A.4 and C.7.6.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.surgery.dicom.identity import GEOMETRY_TAGS, Identity, new_dataset
from falx.surgery.dicom.series import DonorSeries
from falx.surgery.dicom.structure_set import inner_border

__all__ = ["mr_series"]

PIXEL_TAGS = (
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth",
    "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "EchoTime",
    "RepetitionTime", "EchoTrainLength", "FlipAngle", "SliceLocation",
)  # fmt: skip
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")


def mr_series(
    donor: DonorSeries,
    identity: Identity,
    *,
    target: npt.NDArray[np.bool_] | None = None,
    series_number: int = 9003,
) -> Iterator[Any]:
    """Yield the slices of a new series with the donor's image, place and orientation.

    Parameters
    ----------
    target
        Mask of the donor's shape (columns, rows, slices) whose outline is drawn at the brightest
        stored value; without one the image is copied unchanged, to be shown beside the other.
    """
    import pydicom

    series_uid = pydicom.uid.generate_uid()
    outline = None if target is None else inner_border(target)
    what = "T1w with target" if target is not None else "T1w without target"
    for k, source in enumerate(donor.slices):
        dataset = new_dataset(source.SOPClassUID, source.Modality, source, identity)
        kept = (dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID)
        for name in (*GEOMETRY_TAGS, *PIXEL_TAGS):
            if name in source:
                dataset[name] = deepcopy(source[name])
        dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = kept
        dataset.SeriesInstanceUID = series_uid
        dataset.SeriesNumber = series_number
        dataset.SeriesDescription = f"RESEARCH Falx {what}"
        dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        dataset.InstanceNumber = k + 1
        dataset.BurnedInAnnotation = "YES" if outline is not None else "NO"
        dataset.PixelData = _pixels(source, None if outline is None else outline[:, :, k])
        yield dataset


def _pixels(source: Any, outline: npt.NDArray[np.bool_] | None) -> bytes:
    if str(source.file_meta.TransferSyntaxUID) not in UNCOMPRESSED:
        try:
            source.decompress()
        except (RuntimeError, ValueError, NotImplementedError) as error:
            raise InputError(
                "the donor series is compressed in a way that cannot be read here",
                found=source.file_meta.TransferSyntaxUID.name,
                do="export it uncompressed",
            ) from error
    pixels = np.array(source.pixel_array)
    if outline is not None:
        signed = int(source.PixelRepresentation)
        pixels[outline.T] = 2 ** (int(source.BitsStored) - signed) - 1
    return pixels.tobytes()
