"""``falx plan``: a laser plan for one patient, from the outputs of ``falx signature``."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.bids.derivative import output_path
from falx.core.errors import collect_notices
from falx.core.files import atomic_path, write_text
from falx.studies.plan.inputs import NEEDED, OFFERED, find_files

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of Falx outputs")
    parser.add_argument("--participant-label", required=True, metavar="LABEL")
    inputs = parser.add_argument_group("inputs", "found in OUT if absent")
    for name, (_, _, text) in {**NEEDED, **OFFERED}.items():
        inputs.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=text)
    inputs.add_argument("--side", choices=("left", "right"), help="side of the focus")
    inputs.add_argument("--vessels", type=Path, metavar="FILE", help="vessel mask on the T1w grid")
    inputs.add_argument(
        "--sinuses", type=Path, metavar="FILE", help="dural sinus mask on the T1w grid"
    )
    parser.add_argument(
        "--plan", type=Path, metavar="FILE", help="score this plan instead of searching"
    )
    rules = parser.add_argument_group("rules")
    rules.add_argument("--max-length-mm", type=float, default=120.0, help="default 120")
    rules.add_argument("--max-angle-deg", type=float, default=30.0, help="default 30")
    rules.add_argument("--min-clearance-mm", type=float, default=2.0, help="default 2")
    rules.add_argument("--protect-margin-mm", type=float, default=2.0, help="default 2")
    rules.add_argument("--min-sinus-mm", type=float, default=10.0, help="default 10")
    rules.add_argument(
        "--max-burns", type=int, choices=(1, 2, 3, 4), default=2,
        help="burns a plan may have, default 2",
    )  # fmt: skip
    rules.add_argument("--threshold", type=float, default=0.396118, help="default 0.396118")
    rules.add_argument("--margin", type=float, default=0.10, help="default 0.10")
    rules.add_argument("--probability", type=float, default=0.90, help="default 0.90")
    rules.add_argument("--tip-sd-mm", type=float, default=1.5, help="placement error, default 1.5")
    rules.add_argument("--draws", type=int, default=2000, help="misplaced copies, default 2000")
    rules.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cores to use, default 2")


def run(arguments: argparse.Namespace) -> int:
    """Plan or score; print the plan in words and what to look at; 1 if none is suggested."""
    from falx.studies.plan.files import plan_stage
    from falx.studies.plan.live import load_images, plan_page, sheet
    from falx.studies.plan.page import plan_words
    from falx.surgery.tracks.limits import Goal, Limits, Placement

    label = arguments.participant_label.removeprefix("sub-")
    given = {name: getattr(arguments, name) for name in (*NEEDED, *OFFERED)}
    files = find_files(arguments.out, label, given, side=arguments.side)
    stem = "scored" if arguments.plan else "planned"
    names = {
        "plan_json": output_path("anat", "plan", extension=".json", desc=stem),
        "plan_csv": output_path("anat", "plan", extension=".csv", desc=stem),
        "ablation_native": output_path("anat", "mask", space="T1w", label="ablation", desc=stem),
        "page": output_path("anat", "plan", extension=".html", desc=stem),
        "sheet": output_path("anat", "plan", extension=".pdf", desc=stem),
    }
    paths = {name: arguments.out / text.format(subject=label) for name, text in names.items()}
    page, printed = paths.pop("page"), paths.pop("sheet")
    with collect_notices() as notices:
        planned = plan_stage(
            structures=files.structures,
            signature_native=files.signature,
            to_template=files.to_template,
            vessels=arguments.vessels,
            sinuses=arguments.sinuses,
            made=files.ablation,
            user_plan=arguments.plan,
            label=f"sub-{label}",
            side=files.side,
            limits=Limits(
                max_length_mm=arguments.max_length_mm,
                max_angle_deg=arguments.max_angle_deg,
                min_clearance_mm=arguments.min_clearance_mm,
                protect_margin_mm=arguments.protect_margin_mm,
                min_sinus_mm=arguments.min_sinus_mm,
            ),
            goal=Goal(arguments.threshold, arguments.margin, arguments.probability),
            placement=Placement(tip_sd_mm=arguments.tip_sd_mm, draws=arguments.draws),
            seed=arguments.seed,
            max_burns=arguments.max_burns,
            threads=arguments.jobs,
            **paths,
        )
    for stale in (page, printed):
        stale.unlink(missing_ok=True)
    images = load_images(files)
    write_text(page, plan_page(planned, images))
    with atomic_path(printed) as place:
        place.write_bytes(sheet(planned, images))
    document = planned.document
    for line in (*notices, *document["notices"], plan_words(document), printed, page):
        print(line)
    return 0 if document["suggested"] is not None else 1
