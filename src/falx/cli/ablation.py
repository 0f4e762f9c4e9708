"""``falx ablation``: what a laser took, proposed from the T1w after the operation."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.core.grid import SIDES
from falx.engine.command import by_hand
from falx.studies.ablation.files import AblationOutputs, find_inputs, propose
from falx.studies.ablation.page import proposal_words

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of falx signature's outputs")
    parser.add_argument(
        "--participant-label", required=True, metavar="LABEL", help="the patient, as 01 or sub-01"
    )
    parser.add_argument(
        "--postop", type=Path, required=True, metavar="FILE", help="T1w after the operation"
    )
    parser.add_argument("--side", choices=SIDES, help="side of the operation, if it is known")
    prior = parser.add_mutually_exclusive_group()
    prior.add_argument(
        "--planned", type=Path, metavar="FILE",
        help="mask of the planned ablation: what is proposed lies near it",
    )  # fmt: skip
    prior.add_argument(
        "--seed-mm", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="a point in the ablation, RAS+ mm of the T1w before the operation",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use, default 2")


def run(arguments: argparse.Namespace) -> int:
    """Propose; print the answer and the page. No proposal is an answer, too."""
    label = arguments.participant_label.removeprefix("sub-")
    inputs = find_inputs(arguments.out, label, arguments.postop, arguments.planned)
    outputs = AblationOutputs.below(arguments.out, label)
    seed = None if arguments.seed_mm is None else tuple(arguments.seed_mm)
    read = {name: path for name, path in vars(inputs).items() if path is not None}
    params = {"side": arguments.side, "seed_mm": seed}
    with by_hand(arguments.out, f"sub-{label}/proposed", read, params) as command:
        found = propose(
            inputs, outputs, label=f"sub-{label}", side=arguments.side, seed_mm=seed,
            threads=arguments.jobs,
        )  # fmt: skip
        command.outputs, command.notices = vars(outputs), found.notices
    for line in (*found.notices, proposal_words(found), outputs.page):
        print(line)
    return 0
