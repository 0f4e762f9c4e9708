"""``falx dicom-out``: masks of a patient become files that a navigation station takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.bids.derivative import output_path
from falx.core.errors import InputError, OptionError, collect_notices
from falx.engine.command import by_hand
from falx.images.nifti import load_mask
from falx.studies.signature.study import STUDY

__all__ = ["add_arguments", "run"]

DEFAULT_MASKS = {
    "ablation": output_path("anat", "mask", space="T1w", label="ablation", desc="planned"),
    "signature": STUDY.stage("signature").outputs["signature_native"],
}
"""Masks of a planned patient, the first of which is drawn into the series."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of Falx outputs")
    parser.add_argument(
        "dicom", type=Path, metavar="DICOM", help="folder of the T1w series as DICOM"
    )
    parser.add_argument(
        "--participant-label", required=True, metavar="LABEL", help="the patient, as 01 or sub-01"
    )
    parser.add_argument(
        "--mask", action="append", default=[], metavar="NAME=FILE",
        help="mask in T1w space; planned ablation and signature of the patient if absent",
    )  # fmt: skip
    parser.add_argument("--burn-in", metavar="NAME", help="mask drawn into the series")
    parser.add_argument("--series", help="number or description of the T1w series")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="default OUT/sub-LABEL/dicom")
    parser.add_argument(
        "--keep-patient-tags", action="store_true",
        help="copy name, ID and birth date from the series; the station may need them",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Write the files and print where they are."""
    from falx.surgery.dicom.files import hand_over, read_series
    from falx.surgery.dicom.identity import Identity

    label = arguments.participant_label.removeprefix("sub-")
    paths = _given(arguments.mask) or _known(arguments.out, label)
    folder = arguments.to or arguments.out / f"sub-{label}" / "dicom"
    asked = {"burned_in": arguments.burn_in is not None}
    with by_hand(arguments.out, f"sub-{label}/dicom", paths, asked) as command:
        with collect_notices() as notices:
            written = hand_over(
                {name: load_mask(path) for name, path in paths.items()},
                read_series(arguments.dicom, series=arguments.series),
                folder,
                Identity(f"sub-{label}", arguments.keep_patient_tags),
                burned_in=arguments.burn_in,
            )
        command.notices = tuple(notices)
        command.outputs = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    for line in (*notices, *written):
        print(line)
    return 0


def _given(texts: list[str]) -> dict[str, Path]:
    masks = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise OptionError("write --mask NAME=FILE", found=repr(text))
        masks[name] = Path(path)
    return masks


def _known(out: Path, label: str) -> dict[str, Path]:
    masks = {}
    for name, pattern in DEFAULT_MASKS.items():
        path = out / pattern.format(subject=label)
        if path.exists():
            masks[name] = path
    if not masks:
        raise InputError(
            "there is neither a planned ablation nor a signature to hand over",
            where=f"sub-{label}",
            do="run falx plan first, or give masks with --mask NAME=FILE",
        )
    return masks
