"""Converted series to images and sidecars that hold no more than an analysis needs.

What is kept is a list, not what is dropped: the opposite of DICOM PS3.15 2024a, annex E, whose
lists of what identifies a patient grow with every edition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from falx.core.errors import InputError, notify

__all__ = ["ROLES", "Converted", "kept_fields", "pick", "without_free_text"]

ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "t1w": (("t1", "mprage", "bravo", "spgr", "tfe", "brainvar"), ("flair", "post", "gd", "ce")),
    "flair": (("flair",), ()),
    "pet": (("fdg", "pet", "ac", "suv"), ("nac", "uncorrected", "ct", "mip")),
}
"""For each role, words that speak for a series and words that speak against it."""

KEPT_FIELDS = (
    "Modality", "MagneticFieldStrength", "Manufacturer", "ManufacturersModelName",
    "MRAcquisitionType", "EchoTime", "RepetitionTime", "InversionTime", "FlipAngle",
    "SliceThickness", "PixelBandwidth", "ReconMethodName", "AttenuationCorrection",
    "AttenuationCorrectionMethod", "ScatterCorrectionMethod", "RandomsCorrectionMethod",
    "DecayFactor", "FrameDuration", "FrameTimesStart", "Units", "InjectedRadioactivity",
    "InjectedRadioactivityUnits", "ImageDecayCorrected", "ImageDecayCorrectionTime",
    "ConversionSoftware", "ConversionSoftwareVersion", "PatientPosition",
    "ImageOrientationPatientDICOM",
)  # fmt: skip
"""Facts of the image. Names, dates, places, identifiers and free text stay behind."""

# Byte ranges of the NIfTI-1 header that can hold free text.
FREE_TEXT = ((4, 14), (14, 32), (148, 228), (228, 252), (328, 344))
HEADER_BYTES, DATA_START = 348, 352


@dataclass(frozen=True, eq=False)
class Converted:
    """One series after conversion.

    Parameters
    ----------
    image
        Path of an uncompressed NIfTI-1 file in a temporary folder.
    number, description
        By which the user names it; never written out.
    sidecar
        Allowed fields only.
    """

    image: str
    number: str
    description: str
    sidecar: Mapping[str, object]


def kept_fields(sidecar: Mapping[str, object]) -> dict[str, object]:
    """Return what of a sidecar may be kept, see :data:`KEPT_FIELDS`."""
    return {name: sidecar[name] for name in KEPT_FIELDS if name in sidecar}


def without_free_text(image: bytes) -> bytes:
    """Return the bytes of a NIfTI-1 file with its free text emptied and its extensions dropped."""
    content = bytearray(image)
    for low, high in FREE_TEXT:
        content[low:high] = bytes(high - low)
    start = int(np.frombuffer(content[108:112], dtype="<f4")[0])
    content[108:112] = np.float32(DATA_START).tobytes()
    return bytes(content[:HEADER_BYTES]) + bytes(4) + bytes(content[start:])


def pick(converted: tuple[Converted, ...], role: str, wanted: str | None) -> Converted | None:
    """Choose the series of a role: the one named, or by its description, with a notice.

    Returns
    -------
    Converted or None
        None if nothing was named and nothing fits.
    """
    if wanted is not None:
        fitting = [c for c in converted if wanted in (c.number, c.description)]
    else:
        words, against = ROLES[role]
        fitting = [c for c in converted if _speaks(c.description, words, against)]
    if len(fitting) > 1 or (wanted is not None and not fitting):
        raise InputError(
            f"{len(fitting) or 'no'} series fit {role}",
            found=", ".join(sorted(f"{c.number} {c.description}" for c in converted)),
            do=f"name one of them with --{role}",
        )
    if not fitting:
        return None
    if wanted is None:
        notify(
            f"the series for {role} was guessed from its description",
            found=f"series {fitting[0].number}",
            do=f"name it with --{role} to be sure",
        )
    return fitting[0]


def _speaks(description: str, words: tuple[str, ...], against: tuple[str, ...]) -> bool:
    text = description.lower()
    parts = set("".join(c if c.isalnum() else " " for c in text).split())
    named = any(word in text for word in words if len(word) > 2) or bool(parts & set(words))
    return named and not parts & set(against)
