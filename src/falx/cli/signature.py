"""``falx signature BIDS OUT participant|group``."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.app import add_study_arguments, run_command
from falx.core.errors import InputError
from falx.studies.norms.configuration import RECORD
from falx.studies.signature.study import STUDY

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_study_arguments(parser, STUDY, {"group.validate": ("--validate",)})
    parser.add_argument(
        "--norms",
        type=Path,
        metavar="FOLDER",
        help="output of falx norms with the site's own controls; the shipped norms if absent",
    )
    parser.add_argument("--ablation", metavar="FILE", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Run the study on a dataset."""
    if arguments.ablation is not None:
        raise InputError(
            "the ablation mask is not an option: it is found in the dataset by its name",
            where="--ablation",
            found=arguments.ablation,
            do="put it below BIDS/derivatives/NAME, for the patient 01 as sub-01/ses-postop/anat/"
            "sub-01_ses-postop_label-ablation_mask.nii.gz, or of ses-preop if it is drawn on the "
            "T1w before the operation; falx ablation proposes one from the T1w after it",
        )
    if arguments.norms is not None:
        record = arguments.norms / RECORD
        if not record.is_file():
            raise InputError(
                "the folder holds no norms",
                where="--norms",
                found=f"no {RECORD} in {arguments.norms}",
                do="give the output folder of falx norms, once both of its levels have run",
            )
        setattr(arguments, "norms.file", record)
    return run_command(arguments, STUDY)
