"""``falx plan``: a laser plan for one patient, from the outputs of ``falx signature``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from falx.cli.options import add_options, options_from
from falx.core.errors import InputError, collect_notices
from falx.core.records import record_of
from falx.core.settings import options_of
from falx.engine.command import by_hand, stale_commands
from falx.studies.plan.answer import PlanChoices
from falx.studies.plan.files import (
    PlanOutputs,
    find_again,
    find_files,
    load_images,
    plan_stage,
    stem_of,
    write_pages,
)
from falx.studies.plan.focus import FOCUS_RATE, FOCUS_STEM
from falx.studies.plan.inputs import NEEDED, OFFERED, PatientFiles
from falx.studies.plan.words import plan_words, trade_off_lines
from falx.surgery.burns.heat import Cooling
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search

__all__ = ["add_arguments", "run"]

RULES = (Limits, Goal, Placement, Search, Cooling)

STEM = re.compile(rf"(planned|scored)({FOCUS_STEM}\d+)?")
"""Names of the records of plans that were looked for, and of those that were given."""

MORE = {
    "vessels": "vessel mask on the T1w grid",
    "sinuses": "dural sinus mask on the T1w grid",
    "plan": "score this plan instead of searching",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of Falx outputs")
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--participant-label", metavar="LABEL", help="the patient, as 01 or sub-01")
    whom.add_argument(
        "--redo",
        action="store_true",
        help="plan everybody again whose images were computed again since, with the same choices",
    )
    inputs = parser.add_argument_group("inputs", "found in OUT if absent")
    texts = {name: text for name, (_, _, text) in {**NEEDED, **OFFERED}.items()}
    for name, text in {**texts, **MORE}.items():
        inputs.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=text)
    inputs.add_argument("--side", choices=("left", "right"), help="side of the focus")
    inputs.add_argument(
        "--focus",
        type=int,
        metavar="N",
        help="plan for this focus of the patient's page instead of the hippocampus; half of it is "
        "the goal unless --threshold says otherwise",
    )
    rules = parser.add_argument_group("rules")
    for kind in RULES:
        add_options(rules, kind)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use, default 2")


def run(arguments: argparse.Namespace) -> int:
    """Plan or score; print the plan in words and what to look at. No plan is an answer, too."""
    names = (*NEEDED, *OFFERED, "vessels", "sinuses")
    given = {name: getattr(arguments, name) for name in names} | {"user_plan": arguments.plan}
    if arguments.redo:
        return _redo(arguments, given)
    goal = options_from(arguments, Goal)
    if arguments.focus is not None and "threshold" not in arguments:
        goal = replace(goal, threshold=FOCUS_RATE)
    choices = PlanChoices(
        options_from(arguments, Limits),
        goal,
        options_from(arguments, Placement),
        options_from(arguments, Search),
        options_from(arguments, Cooling),
    )
    label = arguments.participant_label.removeprefix("sub-")
    files = find_files(arguments.out, label, given, side=arguments.side,
                       focus=arguments.focus)  # fmt: skip
    return _plan(arguments, label, files, choices, scored=arguments.plan is not None)


def _redo(arguments: argparse.Namespace, given: Mapping[str, Path | None]) -> int:
    """Plan again what is outdated, as it was ordered; a file that is given now goes first."""
    asked = [key for kind in RULES for key in options_of(kind) if key in arguments]
    asked += [name for name in ("side", "focus") if getattr(arguments, name) is not None]
    if asked:
        raise InputError(
            "--redo plans with the choices that were recorded",
            found=", ".join(sorted(asked)),
            do="leave this out, or give --participant-label for a new plan",
        )
    orders = [r for r in stale_commands(arguments.out.absolute()) if STEM.fullmatch(r.stage)]
    if not orders:
        print("no plan is outdated")
    for record in orders:
        label = record.unit.removeprefix("sub-")
        used = {name: file.uri for name, file in record.inputs.items()}
        params = record.params
        files = find_again(
            arguments.out, label, used, given, side=params["side"], focus=params.get("focus")
        )
        if params.get("focus") is not None:
            print(
                f"{record.unit}: focus {params['focus']} is that of the table of foci as it is "
                "now, which may be another place than before"
            )
        where = f"the record of {record.id.replace('/', ' ')}"
        choices = record_of(PlanChoices, params, where=where)
        scored = record.stage.startswith(stem_of(scored=True))
        _plan(arguments, label, files, choices, scored=scored)
    return 0


def _plan(
    arguments: argparse.Namespace,
    label: str,
    files: PatientFiles,
    choices: PlanChoices,
    *,
    scored: bool,
) -> int:
    outputs = PlanOutputs.below(arguments.out, label, scored=scored, focus=files.focus)
    stem = stem_of(scored=scored, focus=files.focus)
    read = {name: path for name, path in vars(files).items() if isinstance(path, Path)}
    values = vars(choices) | {"side": files.side}
    if files.focus is not None:
        values["focus"] = files.focus
    with by_hand(arguments.out, f"sub-{label}/{stem}", read, values) as command:
        with collect_notices() as notices:
            planned = plan_stage(
                files, outputs, choices, label=f"sub-{label}", threads=arguments.jobs
            )
        write_pages(planned, load_images(files), outputs)
        command.outputs, command.notices = vars(outputs), tuple(notices)
    document = planned.document
    shown = (outputs.sheet, outputs.page)
    said = (plan_words(document), *trade_off_lines(document))
    for line in (*notices, *document.notices, *said, *shown):
        print(line)
    return 0
