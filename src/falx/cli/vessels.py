"""``falx vessels``: vessels proposed from an image that shows them."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.options import add_options, options_from
from falx.core.errors import check_extra_library
from falx.engine.command import by_hand
from falx.studies.vessels.files import VesselOutputs, find_vessel_inputs, propose_vessels
from falx.studies.vessels.page import CONFIRM, vessel_words
from falx.surgery.tracks.vessels import CONTRASTS, VesselRule

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of falx signature's outputs")
    parser.add_argument(
        "--participant-label", required=True, metavar="LABEL", help="the patient, as 01 or sub-01"
    )
    parser.add_argument("--image", type=Path, required=True, metavar="FILE",
                        help="image that shows vessels, on any grid")  # fmt: skip
    parser.add_argument("--contrast", choices=CONTRASTS, required=True,
                        help="T1w with contrast agent, time of flight, or SWI")  # fmt: skip
    add_options(parser, VesselRule)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use, default 2")


def run(arguments: argparse.Namespace) -> int:
    """Propose; print the answer, what to do with it, and the page."""
    check_extra_library("SimpleITK", extra="vessels", does="vessels are sought")
    label = arguments.participant_label.removeprefix("sub-")
    inputs = find_vessel_inputs(arguments.out, label, arguments.image)
    outputs, rule = VesselOutputs.below(arguments.out, label), options_from(arguments, VesselRule)
    params = {"contrast": arguments.contrast, **vars(rule)}
    with by_hand(arguments.out, f"sub-{label}/vessels", vars(inputs), params) as command:
        found = propose_vessels(
            inputs, outputs, label=f"sub-{label}", contrast=arguments.contrast, rule=rule,
            threads=arguments.jobs,
        )  # fmt: skip
        command.outputs, command.notices = vars(outputs), found.notices
    for line in (*found.notices, vessel_words(found), CONFIRM, outputs.page):
        print(line)
    return 0
