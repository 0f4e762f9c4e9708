"""``falx plan``: a laser plan for one patient, from the outputs of ``falx signature``."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.cli.options import add_options, options_from
from falx.core.errors import collect_notices
from falx.engine.command import by_hand
from falx.studies.plan.files import (
    NEEDED,
    OFFERED,
    PlanChoices,
    PlanOutputs,
    find_files,
    load_images,
    plan_stage,
    write_pages,
)
from falx.studies.plan.page import plan_words
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search

__all__ = ["add_arguments", "run"]

MORE = {
    "vessels": "vessel mask on the T1w grid",
    "sinuses": "dural sinus mask on the T1w grid",
    "plan": "score this plan instead of searching",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of Falx outputs")
    parser.add_argument("--participant-label", required=True, metavar="LABEL")
    inputs = parser.add_argument_group("inputs", "found in OUT if absent")
    texts = {name: text for name, (_, _, text) in {**NEEDED, **OFFERED}.items()}
    for name, text in {**texts, **MORE}.items():
        inputs.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=text)
    inputs.add_argument("--side", choices=("left", "right"), help="side of the focus")
    rules = parser.add_argument_group("rules")
    for kind in (Limits, Goal, Placement, Search):
        add_options(rules, kind)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use, default 2")


def run(arguments: argparse.Namespace) -> int:
    """Plan or score; print the plan in words and what to look at. No plan is an answer, too."""
    label = arguments.participant_label.removeprefix("sub-")
    names = (*NEEDED, *OFFERED, "vessels", "sinuses")
    given = {name: getattr(arguments, name) for name in names} | {"user_plan": arguments.plan}
    choices = PlanChoices(
        options_from(arguments, Limits),
        options_from(arguments, Goal),
        options_from(arguments, Placement),
        options_from(arguments, Search),
    )
    files = find_files(arguments.out, label, given, side=arguments.side)
    outputs = PlanOutputs.below(arguments.out, label, scored=arguments.plan is not None)
    job = f"sub-{label}/{'planned' if arguments.plan is None else 'scored'}"
    read = {name: path for name, path in vars(files).items() if isinstance(path, Path)}
    with by_hand(arguments.out, job, read, vars(choices) | {"side": files.side}) as command:
        with collect_notices() as notices:
            planned = plan_stage(
                files, outputs, choices, label=f"sub-{label}", threads=arguments.jobs
            )
        write_pages(planned, load_images(files), outputs)
        command.outputs, command.notices = vars(outputs), tuple(notices)
    document = planned.document
    shown = (outputs.sheet, outputs.page)
    for line in (*notices, *document.notices, plan_words(document), *shown):
        print(line)
    return 0
