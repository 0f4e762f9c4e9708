"""What a DICOM product carries over from its donor, and what it leaves behind.

Attributes that identify: DICOM PS3.15 2024a, annex E.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from falx import __version__
from falx.core.errors import notify

__all__ = ["Identity", "bare", "identify", "new_dataset"]

PATIENT_TAGS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Copied only when asked for; a navigation station needs them to file a series."""

GEOMETRY_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "ImageOrientationPatient",
    "ImagePositionPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "Rows",
    "Columns", "InstanceNumber", "Modality",
)  # fmt: skip
"""Where a slice lies, and the identifiers by which PACS joins what belongs together."""


@dataclass(frozen=True)
class Identity:
    """Under which name products are written.

    Parameters
    ----------
    label
        Pseudonym: the BIDS subject label.
    keep_patient_tags
        Copy the patient's tags from the donor instead.
    """

    label: str
    keep_patient_tags: bool = False

    def announce(self) -> None:
        """Say what of the patient the files carry."""
        if self.keep_patient_tags:
            notify(
                "the DICOM files carry the patient's name and ID, as asked",
                do="do not pass them on outside the hospital",
            )
        notify(
            "the DICOM files carry the study's identifiers, which PACS needs",
            do="treat them as data of the patient",
        )


def identify(dataset: Any, donor: Any, identity: Identity) -> None:
    """Set the patient's tags of a data set: pseudonym, or the donor's if asked for."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for name in PATIENT_TAGS:
        setattr(dataset, name, "")
    dataset.PatientName = f"{identity.label}^"
    dataset.PatientID = identity.label
    if identity.keep_patient_tags:
        for name in PATIENT_TAGS:
            if name in donor:
                setattr(dataset, name, donor.data_element(name).value)


def bare(donor: Any, identity: Identity) -> Any:
    """Return a copy of a slice's header with nothing but geometry and identity."""
    import pydicom

    copy = pydicom.Dataset()
    for name in GEOMETRY_TAGS:
        if name in donor:
            copy[name] = deepcopy(donor[name])
    identify(copy, donor, identity)
    copy.file_meta = pydicom.dataset.FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    copy.file_meta.MediaStorageSOPClassUID = donor.SOPClassUID
    copy.file_meta.MediaStorageSOPInstanceUID = donor.SOPInstanceUID
    return copy


def new_dataset(sop_class: str, modality: str, donor: Any, identity: Identity) -> Any:
    """Return a new object of the donor's study and frame of reference."""
    import pydicom

    dataset = pydicom.Dataset()
    identify(dataset, donor, identity)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.StudyInstanceUID = donor.StudyInstanceUID
    dataset.SeriesInstanceUID = pydicom.uid.generate_uid()
    dataset.FrameOfReferenceUID = donor.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = ""
    dataset.Modality = modality
    dataset.Manufacturer = "Falx"
    dataset.ManufacturerModelName = "Falx"
    dataset.SoftwareVersions = __version__
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.UID(sop_class)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset
