"""``falx dicom-in``: a patient's DICOM folder becomes BIDS images without the patient's data."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.core.errors import InputError, collect_notices
from falx.studies.dicom_in.files import (
    TARGETS,
    describe,
    image_path,
    note_person,
    pet_fields,
)

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dicom", type=Path, metavar="DICOM", help="folder of DICOM files")
    parser.add_argument("bids", type=Path, metavar="BIDS", help="folder of the dataset")
    parser.add_argument(
        "--participant-label", required=True, metavar="LABEL", help="pseudonym of the patient"
    )
    parser.add_argument(
        "--session",
        default="preop",
        choices=("preop", "postop"),
        help="before or after the operation, default preop",
    )
    for role, (_, suffix, _) in TARGETS.items():
        shown = {"pet": "PET"}.get(suffix, suffix)
        parser.add_argument(
            f"--{role}", metavar="SERIES", help=f"number or description of the {shown} series"
        )


def run(arguments: argparse.Namespace) -> int:
    """Convert, choose, and write; print what was written and what to check."""
    from falx.surgery.dicom.appearance import with_contrast
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
                after = role == "t1w" and arguments.session == "postop"
                contrast = after and with_contrast(series.description)
                path = arguments.bids / image_path(
                    label, arguments.session, role, contrast=contrast
                )
                store(series, path, extra=pet_fields(series.sidecar) if role == "pet" else {})
                written.append(path)
    if not written:
        raise InputError(
            "none of the series is known to be a T1w, FLAIR or PET image",
            where=arguments.dicom.name,
            found=", ".join(sorted(f"{c.number} {c.description}" for c in converted)),
            do="name them with --t1w, --flair and --pet",
        )
    describe(arguments.bids)
    for notice in (*notices, *note_person(arguments.bids, label)):
        print(notice)
    for path in written:
        print(path)
    return 0
