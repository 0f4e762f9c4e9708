"""``falx dicom-in``: a patient's DICOM folder becomes BIDS images without the patient's data."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from falx import __version__
from falx.bids.derivative import description
from falx.bids.entities import folder_of, format_name
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import write_json

__all__ = ["add_arguments", "run"]

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dicom", type=Path, metavar="DICOM", help="folder of DICOM files")
    parser.add_argument("bids", type=Path, metavar="BIDS", help="folder of the dataset")
    parser.add_argument(
        "--participant-label", required=True, metavar="LABEL", help="pseudonym of the patient"
    )
    parser.add_argument(
        "--session", default="preop", choices=("preop", "postop"), help="default preop"
    )
    for role, (_, suffix, _) in TARGETS.items():
        parser.add_argument(
            f"--{role}", metavar="SERIES", help=f"number or description of the {suffix} series"
        )


def run(arguments: argparse.Namespace) -> int:
    """Convert, choose, and write; print what was written and what to check."""
    from falx.surgery.dicom.completeness import check_patient, check_whole
    from falx.surgery.dicom.converted_series import pick
    from falx.surgery.dicom.files import convert, store, survey, temporary_folder

    label = arguments.participant_label.removeprefix("sub-")
    written = []
    numbers = set()
    where = arguments.dicom.name
    with collect_notices() as notices, temporary_folder() as folder:
        converted = convert(arguments.dicom, Path(folder))
        planes, unreadable = survey(arguments.dicom)
        for role in TARGETS:
            series = pick(converted, role, getattr(arguments, role))
            if series is not None:
                check_whole(planes, unreadable, series.number, where=where)
                numbers.add(series.number)
                check_patient([p for p in planes if p.number in numbers], where=where)
                path = arguments.bids / _name(label, arguments.session, role)
                store(series, path, extra=_pet_fields(series.sidecar) if role == "pet" else {})
                written.append(path)
    if not written:
        raise InputError(
            "none of the series is known to be a T1w, FLAIR or PET image",
            where=arguments.dicom.name,
            found=", ".join(sorted(f"{c.number} {c.description}" for c in converted)),
            do="name them with --t1w, --flair and --pet",
        )
    _describe(arguments.bids)
    for notice in notices:
        print(notice)
    for path in written:
        print(path)
    return 0


def _name(label: str, session: str, role: str) -> Path:
    datatype, suffix, entities = TARGETS[role]
    entities = {"sub": label, "ses": session, **entities}
    if role == "t1w" and session == "postop":
        entities["ce"] = "gadolinium"
    return Path(folder_of(entities, datatype)) / format_name(entities, suffix, ".nii.gz")


def _pet_fields(sidecar: Mapping[str, object]) -> dict[str, object]:
    if "InjectedRadioactivity" not in sidecar:
        notify(
            "the DICOM files do not say how much activity was injected, which BIDS asks for",
            do="add InjectedRadioactivity to the sidecar; Falx itself does not need it",
        )
    return {**PET_FIELDS, **sidecar}


def _describe(bids: Path) -> None:
    path = bids / "dataset_description.json"
    if not path.exists():
        write_json(path, description("dicom-in", __version__, dataset_type="raw"))
