"""DICOM folders to NIfTI images and sidecars that hold no more than an analysis needs."""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.core.errors import InputError, notify
from falx.core.files import atomic_path, write_json

__all__ = ["ROLES", "Converted", "convert", "pick", "store", "temporary_folder"]

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
    """One series after conversion, still in a temporary folder.

    Parameters
    ----------
    image
        NIfTI file.
    number, description
        By which the user names it; never written out.
    sidecar
        Allowed fields only.
    """

    image: Path
    number: str
    description: str
    sidecar: Mapping[str, Any]


def convert(folder: Path, into: Path) -> tuple[Converted, ...]:
    """Convert every series below `folder` with dcm2niix into the folder `into`."""
    import dcm2niix

    if not folder.is_dir():
        raise InputError("the DICOM folder does not exist", where=folder, do="check the path")
    command = [dcm2niix.bin, "-b", "y", "-ba", "y", "-z", "n", "-f", "%s_%j", "-o", str(into)]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)  # noqa: S603 - the wheel's own binary
    images = sorted(into.glob("*.nii"))
    if not images:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise InputError(
            "no DICOM series could be converted",
            where=folder.name,
            found=last[0] if last else f"dcm2niix returned {done.returncode}",
            do="check that the folder holds whole series",
        )
    return tuple(_converted(image) for image in images)


def _converted(image: Path) -> Converted:
    path = image.with_suffix(".json")
    full = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    sidecar = {name: full[name] for name in KEPT_FIELDS if name in full}
    return Converted(
        image, str(full.get("SeriesNumber", "")), str(full.get("SeriesDescription", "")), sidecar
    )


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


def store(series: Converted, path: Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Write image and sidecar under a BIDS name; voxels and affine stay as converted.

    Free text of the header is emptied and extensions are dropped; equal input gives equal
    bytes.
    """
    content = bytearray(series.image.read_bytes())
    for low, high in FREE_TEXT:
        content[low:high] = bytes(high - low)
    start = int(np.frombuffer(content[108:112], dtype="<f4")[0])
    content[108:112] = np.float32(DATA_START).tobytes()
    plain = bytes(content[:HEADER_BYTES]) + bytes(4) + bytes(content[start:])
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as stream,
    ):
        stream.write(plain)
    write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"),
               {**series.sidecar, **(extra or {})})  # fmt: skip


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a private folder for images on their way; it vanishes with its context."""
    return tempfile.TemporaryDirectory(prefix="falx-")
