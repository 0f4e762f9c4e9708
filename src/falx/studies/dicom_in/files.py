"""From series to files of a dataset: names, what BIDS asks of a PET, and nothing of the person."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falx import __version__
from falx.bids.derivative import description
from falx.bids.entities import folder_of, format_name
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import read_json, write_json, write_table
from falx.surgery.dicom.completeness import Plane, Unreadable, check_patient, check_whole
from falx.surgery.dicom.converted_series import Converted, kept_fields
from falx.surgery.dicom.files import store

__all__ = [
    "SLOTS",
    "TARGETS",
    "Slot",
    "describe",
    "image_path",
    "import_series",
    "nifti_series",
    "note_person",
    "pet_fields",
]

TARGETS: dict[str, tuple[str, str, dict[str, str]]] = {
    "t1w": ("anat", "T1w", {}),
    "flair": ("anat", "FLAIR", {}),
    "pet": ("pet", "pet", {"trc": "FDG"}),
}
"""Role to BIDS folder, suffix and entities."""

PET_FIELDS: dict[str, object] = {
    "TracerName": "FDG", "TracerRadionuclide": "F18", "TimeZero": "00:00:00", "ScanStart": 0,
    "InjectionStart": 0, "FrameTimesStart": [0], "FrameDuration": [1],
    "InjectedRadioactivityUnits": "MBq", "InjectedMass": "n/a",
    "InjectedMassUnits": "ug", "SpecificRadioactivity": "n/a",
    "SpecificRadioactivityUnits": "Bq/g", "ModeOfAdministration": "bolus",
    "AcquisitionMode": "list mode", "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0,
    "ReconMethodName": "n/a", "ReconMethodParameterLabels": ["none"],
    "ReconMethodParameterUnits": ["none"], "ReconMethodParameterValues": [0],
    "ReconFilterType": "none", "AttenuationCorrection": "n/a", "Units": "arbitrary",
    "Manufacturer": "n/a", "ManufacturersModelName": "n/a",
}  # fmt: skip
"""What BIDS asks of a PET image; facts of the series replace these."""

LARGEST = 4 << 30
"""Bytes of an unpacked image: a dynamic PET of 40 frames has a tenth of it."""


@dataclass(frozen=True)
class Slot:
    """A place in the dataset that a series can be given.

    Parameters
    ----------
    key, title
        For programs and for people.
    role
        One of :data:`TARGETS`.
    session
        Label.
    contrast
        Whether its name says that contrast medium was given.
    """

    key: str
    title: str
    role: str
    session: str
    contrast: bool = False


SLOTS: Mapping[str, Slot] = {
    slot.key: slot
    for slot in (
        Slot("t1w", "T1w before the operation", "t1w", "preop"),
        Slot("pet", "FDG-PET before the operation", "pet", "preop"),
        Slot("flair", "FLAIR before the operation", "flair", "preop"),
        Slot("t1w-after", "T1w after the operation", "t1w", "postop"),
        Slot("t1w-after-contrast", "T1w after the operation, contrast", "t1w", "postop", True),
    )
}
"""What the signature study takes."""


def import_series(
    bids: Path,
    label: str,
    chosen: Mapping[str, Converted],
    planes: Sequence[Plane],
    unreadable: Sequence[Unreadable],
    *,
    where: str,
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the chosen series of one patient; nothing is written unless all can be.

    Parameters
    ----------
    label
        Pseudonym.
    chosen
        Key of a slot to the series that goes there.
    planes, unreadable
        Every slice of the folder that they are from; none where they are from NIfTI files.
    where
        For sentences.

    Returns
    -------
    written, notices
        Paths, and what the user should know.

    Raises
    ------
    InputError
        If a series is not whole, they are of several patients, a file is there already, or the
        pseudonym is the patient's own name or number.
    """
    if not chosen:
        raise InputError("no image was chosen", where=where, do="say what at least one is")
    paths = {
        key: bids
        / image_path(label, SLOTS[key].session, SLOTS[key].role, contrast=SLOTS[key].contrast)
        for key in chosen
    }
    for path in paths.values():
        if path.exists():
            raise InputError(
                "the dataset has this image already", where=path.name,
                do="choose another pseudonym, or move the file away first",
            )  # fmt: skip
    _check_pseudonym(label, planes)
    with collect_notices() as notices:
        numbers = {series.number for series in chosen.values()}
        own = [plane for plane in planes if plane.number in numbers]
        for number in sorted({plane.number for plane in own}):
            check_whole(planes, unreadable, number, where=where)
        check_patient(own, where=where)
        for key, series in chosen.items():
            pet = SLOTS[key].role == "pet"
            store(series, paths[key], extra=pet_fields(series.sidecar) if pet else {})
        describe(bids)
    return tuple(paths.values()), tuple(notices)


def _check_pseudonym(label: str, planes: Iterable[Plane]) -> None:
    """Raise if a pseudonym is part of what identifies the patient; it is not said what."""
    folded = label.casefold()
    for person in {plane.patient for plane in planes}:
        number, _, name = person.partition("\0")
        letters = "".join(c if c.isalnum() else " " for c in name).casefold().split()
        joined = "".join(c for c in number if c.isalnum()).casefold()
        if folded == joined or folded in letters or folded == "".join(letters):
            raise InputError(
                "the pseudonym is the patient's name or number", do="choose one that tells nothing"
            )


def nifti_series(path: Path, into: Path, number: str, name: str) -> Converted:
    """Take a NIfTI file as a series: unpacked into a folder, with what may be kept of its sidecar.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``, with a sidecar of the same name or none.
    number, name
        By which the user knows it.

    Raises
    ------
    InputError
        If it is no single-file NIfTI-1, or larger unpacked than any image of a head.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, EOFError) as error:
        raise InputError(
            "the file cannot be unpacked",
            where=name,
            found=str(error),
            do="pack the folder again, as .zip or .tar.gz",
        ) from None
    magic = content[344:348]
    if len(content) > LARGEST or content[:4] != (348).to_bytes(4, "little") or magic != b"n+1\0":
        raise InputError(
            "the file is no NIfTI-1 image that the import can take",
            where=name,
            found=f"{len(content)} bytes" if magic == b"n+1\0" else repr(magic),
            do="convert it with dcm2niix, or put it into the dataset by hand",
        )
    image = into / f"nifti-{number}.nii"
    image.write_bytes(content)
    sidecar = path.with_name(f"{stem}.json")
    fields = read_json(sidecar) if sidecar.is_file() else {}
    return Converted(
        str(image), number, name, kept_fields(fields if isinstance(fields, dict) else {})
    )


def image_path(label: str, session: str, role: str, *, contrast: bool) -> Path:
    """Return where an image of a role lies in the dataset."""
    datatype, suffix, entities = TARGETS[role]
    entities = {"sub": label, "ses": session, **entities}
    if contrast:
        entities["ce"] = "gadolinium"
    return Path(folder_of(entities, datatype)) / format_name(entities, suffix, ".nii.gz")


def pet_fields(sidecar: Mapping[str, object]) -> dict[str, object]:
    """Return the sidecar of a PET with what BIDS asks for beside the facts of the series."""
    if "InjectedRadioactivity" not in sidecar:
        notify(
            "the DICOM files do not say how much activity was injected, which BIDS asks for",
            do="add InjectedRadioactivity to the sidecar; Falx itself does not need it",
        )
    return {**PET_FIELDS, **sidecar}


def note_person(bids: Path, label: str) -> tuple[str, ...]:
    """Make a table of participants where there is none; return what is left to write into it.

    A table that is there is the user's: it is not touched.
    """
    path = bids / "participants.tsv"
    if path.exists():
        return ()
    write_table(path, ("participant_id", "side"), [(f"sub-{label}", "n/a")])
    left = (
        f"{path.name} was made: write left or right into its column side, which DICOM files do "
        "not say, and a row for everybody who is added."
    )
    return (left,)


def describe(bids: Path) -> None:
    """Write what the dataset is, unless it says so already."""
    path = bids / "dataset_description.json"
    if not path.exists():
        write_json(path, description("dicom-in", __version__, dataset_type="raw"))
