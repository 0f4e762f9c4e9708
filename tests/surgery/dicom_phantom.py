"""A DICOM series made from nothing: oblique, anisotropic, not square, with a telling patient."""

from __future__ import annotations

import numpy as np
import pydicom

from falx.core.grid import Grid
from falx.images.nifti import Image

TELLING = {
    "PatientName": "Quixotzky^Zebulon",
    "PatientID": "HOSP-7734219",
    "PatientBirthDate": "19610523",
    "AccessionNumber": "ACC998877",
    "StudyDate": "20240317",
    "SeriesDate": "20240317",
    "AcquisitionDate": "20240317",
    "InstitutionName": "Hospital Umbrellastein",
    "InstitutionAddress": "Glockenstrasse 99",
    "ReferringPhysicianName": "Watsonovich^John",
    "OperatorsName": "Operatorsky",
    "PatientComments": "lives beside the lighthouse",
    "StationName": "MAGNETOZOID",
    "RequestedProcedureDescription": "seizures of Zebulon",
}
"""Nothing of this may be found in a product."""


def oblique_affine_lps(steps=(0.9, 1.1, 3.0), origin=(-12.0, -40.0, -18.0)):
    """Columns, rows and slices turned about two axes."""
    a, b = 0.31, -0.22
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]]) @ (
        np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(steps)
    affine[:3, 3] = origin
    return affine


def write_series(
    folder, volume, affine_lps, *, modality="MR", description="T1 MPRAGE", number=3, rng=None,
    **tags,
):  # fmt: skip
    """Write `volume` (columns, rows, slices) as single frames with shuffled file names."""
    folder.mkdir(parents=True, exist_ok=True)
    columns, rows, count = volume.shape
    axes = affine_lps[:3, :3]
    steps = np.linalg.norm(axes, axis=0)
    study, series, frame = (pydicom.uid.generate_uid() for _ in range(3))
    sop = {
        "MR": pydicom.uid.MRImageStorage,
        "PT": pydicom.uid.PositronEmissionTomographyImageStorage,
    }
    names = np.arange(count) if rng is None else rng.permutation(count)
    for k in range(count):
        d = pydicom.Dataset()
        d.SpecificCharacterSet = "ISO_IR 100"
        for name, value in {**TELLING, **tags}.items():
            setattr(d, name, value)
        d.SOPClassUID, d.SOPInstanceUID = sop[modality], pydicom.uid.generate_uid()
        d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = study, series, frame
        d.Modality, d.SeriesDescription, d.SeriesNumber = modality, description, number
        d.ImageType = ["ORIGINAL", "PRIMARY"]
        d.StudyTime = d.SeriesTime = d.AcquisitionTime = "101112"
        d.InstanceNumber = int(names[k]) + 1
        d.Rows, d.Columns = rows, columns
        d.PixelSpacing = [f"{steps[1]:.6f}", f"{steps[0]:.6f}"]
        d.SliceThickness = f"{steps[2]:.6f}"
        d.ImageOrientationPatient = [
            f"{v:.10f}" for v in (*axes[:, 0] / steps[0], *axes[:, 1] / steps[1])
        ]
        place = affine_lps[:3, 3] + k * axes[:, 2]
        d.ImagePositionPatient = [f"{v:.6f}" for v in place]
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
        d.MRAcquisitionType, d.ScanningSequence, d.SequenceVariant = "3D", "GR", "SP"
        d.EchoTime, d.RepetitionTime, d.FlipAngle = 3.0, 2000.0, 9.0
        d.MagneticFieldStrength, d.Manufacturer = 3.0, "SIEMENS"
        d.PatientPosition, d.RescaleIntercept, d.RescaleSlope = "HFS", 0, 1
        if modality == "PT":
            d.Units, d.DecayCorrection, d.CorrectedImage = "BQML", "START", ["ATTN", "SCAT"]
            d.ActualFrameDuration, d.FrameReferenceTime = 600000, 0
            d.NumberOfSlices, d.SeriesType = count, ["STATIC", "IMAGE"]
            dose = pydicom.Dataset()
            dose.Radiopharmaceutical, dose.RadionuclideTotalDose = "FDG", "185000000"
            d.RadiopharmaceuticalInformationSequence = [dose]
        d.PixelData = volume[:, :, k].T.astype(np.uint16).tobytes()
        d.file_meta = pydicom.dataset.FileMetaDataset()
        d.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
        d.save_as(folder / f"IM{names[k]:04d}", enforce_file_format=True)
    return Grid(volume.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps)


def ball_with_hole(grid, *, offset=(6.0, 4.0, -2.0)):
    """An off-centre ball with a hole right through it."""
    centre = grid.affine[:3, :3] @ (np.array(grid.shape) / 2) + grid.affine[:3, 3]
    p = grid.centres_mm() - centre - np.array(offset)
    ball = (p**2).sum(-1) <= 13.0**2
    return ball & ((p[..., 0] ** 2 + p[..., 1] ** 2) > 4.0**2)


def as_ras(mask, grid) -> Image:
    """The same mask on a RAS-ordered array, as files hold it."""
    from falx.core.grid import reorient_to_ras

    data, affine = reorient_to_ras(mask, grid.affine)
    return Image(data, affine)
