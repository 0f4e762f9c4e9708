"""Files in, files out for the planner: one patient's outputs become a plan and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from falx import __version__
from falx.bids.derivative import output_path
from falx.core.errors import InputError, check_option
from falx.core.files import atomic_path, read_json, read_record, write_json, write_text
from falx.core.grid import SIDES, Side, require_same
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.warp import load_map
from falx.pet.metrics import Definition, SignatureMetrics
from falx.studies.plan.answer import (
    GEOMETRIC,
    NOTICE,
    Found,
    PlanChoices,
    expected,
    expected_of_rate,
    heated,
    nothing,
    of_another,
    placed_in_acpc,
    scored,
    searched,
    vessel_notices,
    with_size,
)
from falx.studies.plan.focus import (
    FOCUS_RATE,
    FOCUS_STEM,
    focus_mask,
    focus_notices,
    region_of,
    side_notice,
)
from falx.studies.plan.inputs import (
    NEEDED,
    OFFERED,
    PatientFiles,
    check_folder,
    needed,
    offered,
    written,
)
from falx.studies.plan.live import PlanImages, plan_page, sheet
from falx.studies.plan.records import (
    FORMAT,
    MadeRecord,
    PlanDocument,
    Planned,
    SeededPlacement,
    ToTemplate,
    made_record,
    options_csv,
    plan_of_record,
    plan_of_words,
)
from falx.surgery.assess import tissue_of_image
from falx.surgery.tracks.geometry import LaserPlan, ablation_mask
from falx.surgery.tracks.head_scene import scene_from_labels, scene_of_focus, share_across
from falx.surgery.tracks.scene import Scene, Target

__all__ = [
    "PlanOutputs",
    "find_again",
    "find_files",
    "load_images",
    "plan_stage",
    "read_plan",
    "scene_of",
    "stem_of",
    "write_pages",
]


@dataclass(frozen=True)
class PlanOutputs:
    """What the planner writes.

    The mask is written for a suggested or given plan only; without one, that of an earlier run
    is removed.
    """

    plan_json: Path
    plan_csv: Path
    ablation_native: Path
    page: Path
    sheet: Path

    @classmethod
    def below(
        cls, out: Path, subject: str, *, scored: bool, focus: int | None = None
    ) -> PlanOutputs:
        """Name the outputs of a patient in an output folder; those of a focus by its number.

        The label of the ablation differs, so that no plan is taken for one that was made.
        """
        stem = stem_of(scored=scored, focus=focus)
        which, desc = f"ablation{_ending(focus)}", stem_of(scored=scored)
        names = {
            "plan_json": output_path("anat", "plan", extension=".json", desc=stem),
            "plan_csv": output_path("anat", "plan", extension=".csv", desc=stem),
            "ablation_native": output_path("anat", "mask", space="T1w", label=which, desc=desc),
            "page": output_path("anat", "plan", extension=".html", desc=stem),
            "sheet": output_path("anat", "plan", extension=".pdf", desc=stem),
        }
        return cls(**{name: out / text.format(subject=subject) for name, text in names.items()})


def stem_of(*, scored: bool, focus: int | None = None) -> str:
    """Return what a plan's files and record are called, as ``planned`` or ``scoredFocus2``."""
    return ("scored" if scored else "planned") + _ending(focus)


def _ending(focus: int | None) -> str:
    return "" if focus is None else f"{FOCUS_STEM}{focus}"


def find_files(
    out: Path,
    subject: str,
    given: Mapping[str, Path | None],
    *,
    side: str | None = None,
    focus: int | None = None,
) -> PatientFiles:
    """Find a patient's files in an output folder; a file that is given goes first.

    Parameters
    ----------
    out
        Output folder of ``falx signature``.
    subject
        Label without ``sub-``.
    given
        Name to file, a field of :class:`PatientFiles`.
    side
        Side of the focus; that of the signature if absent.
    focus
        Number of the focus to plan for instead of the hippocampus; its side is where it lies.

    Raises
    ------
    InputError
        If a needed file or the side is missing, saying which step writes it.
    """
    place = Path(out)
    if any(given.get(name) is None for name in NEEDED):
        check_folder(place, subject)
    must = {name: needed(place, subject, name, given.get(name)) for name in NEEDED}
    may = {name: offered(place, subject, name, given.get(name)) for name in OFFERED}
    chosen: str
    if focus is not None:
        chosen = _side_of_focus(must, may["foci"], focus, side, where=f"sub-{subject}")
    else:
        if given.get("foci") is not None:
            raise InputError("foci are planned for by their number", do="give --focus, too")
        may["foci"] = None
        chosen = side or _side_of_metrics(place / written("signature", "metrics", subject))
    found: dict[str, Path | None] = {**given, **must, **may}
    metrics = place / written("signature", "metrics", subject)
    if given.get("signature") is None and metrics.is_file():
        found["signature_metrics"] = metrics
    return PatientFiles(side=chosen, focus=focus, **found)  # type: ignore[arg-type]


def find_again(
    out: Path,
    subject: str,
    used: Mapping[str, str],
    given: Mapping[str, Path | None],
    *,
    side: Side,
    focus: int | None = None,
) -> PatientFiles:
    """Find what an earlier plan was made of, as it lies in the output folder now.

    Parameters
    ----------
    used
        Field of :class:`PatientFiles` to the path relative to `out`; ``"given:…"`` for a file from
        elsewhere, whose path no record keeps.
    given
        As for :func:`find_files`.

    Raises
    ------
    InputError
        If a file from elsewhere is not given again.
    """
    found = {name: path for name, path in given.items() if path is not None}
    if focus is None:
        found.pop("foci", None)  # given for another plan of those that are made again
    for name, uri in used.items():
        own = {written(*named[:2], subject) for named in [*NEEDED.values(), *OFFERED.values()]}
        if name in found or name == "signature_metrics" or uri in own:
            continue
        if uri.startswith("given:"):
            raise InputError(
                f"the plan was made with a file from elsewhere: {name.replace('_', ' ')}",
                where=f"sub-{subject}",
                do=f"give it again with --{name.removeprefix('user_').replace('_', '-')}",
            )
        found[name] = Path(out) / uri
    # A focus may lie elsewhere in a signature that was made again; its side is taken from there.
    return find_files(out, subject, found, side=side if focus is None else None, focus=focus)


def _side_of_focus(
    files: Mapping[str, Path], foci: Path | None, number: int, side: str | None, *, where: str
) -> Side:
    """Side on which a focus lies, in world coordinates; that which is given must be the same."""
    if foci is None:
        raise InputError(
            "the image of the foci is missing",
            where=where,
            found="the outputs of an earlier version, or none",
            do="run falx signature again for this patient, or give it with --foci",
        )
    image, labels = load_labels(foci), load_labels(files["structures"])
    require_same("foci", image.grid, "structures", labels.grid, where=foci.name)
    found, _ = share_across(
        focus_mask(image, number, where=where), load_map(files["to_template"]).at
    )
    if side is not None and side != found:
        raise InputError(
            f"focus {number} lies on the {found}",
            where=where,
            found=f"--side {side}",
            do="leave --side out, or give the number of a focus on that side",
        )
    return found


def _side_of_metrics(path: Path) -> Side:
    """Side of the focus that the signature was computed for."""
    try:
        return read_record(SignatureMetrics, path).side
    except InputError as error:
        raise InputError(
            "the side of the focus is not known", where=path.name, do="give it with --side"
        ) from error


def load_images(files: PatientFiles) -> PlanImages:
    """Read what the page shows; a focus that is planned for stands for the signature."""
    return PlanImages(
        load(files.t1w),
        _wanted(files),
        None if files.pet is None else load(files.pet),
        None if files.asymmetry is None else load(files.asymmetry),
        None if files.ablation is None else load_mask(files.ablation),
    )


def read_plan(path: Path, focus: int | None = None) -> LaserPlan:
    """Read a plan: a plan file, or only its part with entry, target and burns.

    Raises
    ------
    InputError
        If the file is no plan, holds values that are not finite or out of place, or says that it
        is for another target than `focus`, or than the hippocampus where that is ``None``.
    """
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(
            "the plan file cannot be read", where=path.name, found=error.found,
            do="export it again from the report, or write it as the manual says",
        ) from error  # fmt: skip
    _check_target(content, focus, where=path.name)
    try:
        return plan_of_words(content)
    except InputError as error:
        raise InputError(error.what, where=path.name, found=error.found, do=error.do) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            "the plan file lacks a part of a plan",
            where=path.name,
            found=repr(error),
            do="give entry_ras_mm, target_ras_mm and burns with radius_mm and pull_back_mm",
        ) from error


def _check_target(content: object, focus: int | None, *, where: str) -> None:
    target = content.get("target") if isinstance(content, Mapping) else None
    if not isinstance(target, Mapping) or target.get("focus") == focus:
        return
    names = [
        "the hippocampus" if number is None else f"focus {number}"
        for number in (target.get("focus"), focus)
    ]
    raise InputError(
        f"the plan was made for {names[0]}", where=where,
        found=f"it was to be scored for {names[1]}",
        do="give --focus as it was, or only the part with entry, target and burns",
    )  # fmt: skip


def plan_stage(
    files: PatientFiles,
    outputs: PlanOutputs,
    choices: PlanChoices,
    *,
    label: str,
    threads: int = 1,
) -> Planned:
    """Search, or score a plan that is given; write plan, table and planned ablation.

    Bad input leaves the files of an earlier run as they are.
    """
    check_option("side", files.side, SIDES)
    side: Side = "left" if files.side == "left" else "right"
    to_template = load_map(files.to_template).at
    labels, signature = load_labels(files.structures), _wanted(files)
    scene = scene_of(files, labels, signature, side, choices)
    modelled = files.focus is None and _other_definition(files.signature_metrics) is None
    made = _made(files, scene, signature, modelled=modelled)
    plan: LaserPlan | None = None
    if not scene.has_target:
        found = Found((), None, nothing(scene, signature))
    elif files.user_plan is None:
        found, plan = searched(scene, choices, to_template, threads)
        found = with_size(found, scene, choices)
    else:
        plan = read_plan(files.user_plan, files.focus)
        found = scored(plan, scene, choices, to_template, threads)
    found = heated(found, scene, choices, given=files.user_plan is not None)
    found = placed_in_acpc(found, scene, to_template)
    if found.suggested is not None:
        plan = plan_of_record(found.options[found.suggested].plan)
    placement = SeededPlacement(**asdict(choices.placement), seed=choices.search.seed)
    document = PlanDocument(
        label=label,
        side=side,
        vessels_checked=scene.vessels_checked,
        sinuses_checked=scene.sinus is not None,
        notices=(
            *_said(files, scene, signature, choices, to_template),
            *(() if found.heat_words is None else (found.heat_words,)),
        ),
        limits=choices.limits,
        goal=choices.goal,
        placement=placement,
        cooling=choices.cooling,
        funnel=found.funnel,
        candidates=found.candidates,
        suggested=found.suggested,
        explanation=found.explanation,
        options=found.options,
        trade_offs=found.trade_offs,
        expected=expected(found) if modelled else None,
        made=made,
        target=scene.target,
    )
    planned = Planned(document, plan, scene, labels, to_template)
    _write(planned, outputs)
    return planned


def scene_of(
    files: PatientFiles, labels: Image, signature: Image, side: Side, choices: PlanChoices
) -> Scene:
    """Build what a patient's plans are scored on; labels and signature are those of `files`.

    Where a focus is planned for, `signature` is that focus.
    """
    vessels = None if files.vessels is None else load_mask(files.vessels)
    sinuses = None if files.sinuses is None else load_mask(files.sinuses)
    csf = None if files.csf is None else load(files.csf)
    if files.focus is not None:
        target = Target.of_focus(files.focus, region_of(files.signature_metrics, files.focus))
        return scene_of_focus(
            labels, signature, target, load_map(files.to_template).at, vessels=vessels,
            sinuses=sinuses, csf=csf, limits=choices.limits,
        )  # fmt: skip
    return scene_from_labels(
        labels,
        signature,
        side,
        load_map(files.to_template).at,
        vessels=vessels,
        sinuses=sinuses,
        csf=csf,
        beside_mm=choices.limits.beside_mm,
    )


def _wanted(files: PatientFiles) -> Image:
    """Read the signature, or the focus that is planned for."""
    if files.focus is None or files.foci is None:
        return load_mask(files.signature)
    return focus_mask(load_labels(files.foci), files.focus, where=files.foci.name)


def _said(
    files: PatientFiles,
    scene: Scene,
    wanted: Image,
    choices: PlanChoices,
    to_template: ToTemplate,
) -> tuple[str, ...]:
    """Say what the plan may not be read without."""
    vessels = vessel_notices(files.vessels)
    if files.focus is None:
        other = _other_definition(files.signature_metrics)
        return (NOTICE, *vessels, *(() if other is None else (of_another(other),)))
    _, across = share_across(wanted, to_template)
    asked = choices.goal.threshold != FOCUS_RATE
    first, *others = focus_notices(scene, choices.goal, across, asked=asked)
    elsewhere = side_notice(files.signature_metrics, scene.side, scene.target)
    made = files.ablation is not None and _apart(load_mask(files.ablation), wanted)
    return (
        f"{first} {GEOMETRIC}",
        *vessels,
        *others,
        *(() if elsewhere is None else (elsewhere,)),
        *((f"The ablation that was made took nothing of {scene.target.rated}.",) if made else ()),
    )


def _apart(one: Image, other: Image) -> bool:
    """Whether two masks of one grid share no voxel."""
    return one.data.shape == other.data.shape and not np.any(one.data & other.data)


def _write(planned: Planned, outputs: PlanOutputs) -> None:
    document = planned.document
    heading = {"FalxPlan": FORMAT, "Version": __version__}
    write_json(outputs.plan_json, {**heading, **plain(document)})
    of_focus = document.target.focus is not None
    table = options_csv(document.options, document.trade_offs, of_focus=of_focus)
    write_text(outputs.plan_csv, table)
    mask = outputs.ablation_native
    if planned.plan is None:
        for stale in (mask, mask.with_suffix("").with_suffix(".json")):
            stale.unlink(missing_ok=True)
        return
    labels: Image = planned.labels
    save(
        mask, ablation_mask(planned.plan, labels.grid), labels.affine,
        sidecar={"Type": "ROI", "SpatialReference": "orig",
                 "Description": "planned ablation, a geometric estimate"},
    )  # fmt: skip


def write_pages(planned: Planned, images: PlanImages, outputs: PlanOutputs) -> None:
    """Write the page and the sheet; those of an earlier run go first."""
    for stale in (outputs.page, outputs.sheet):
        stale.unlink(missing_ok=True)
    write_text(outputs.page, plan_page(planned, images))
    with atomic_path(outputs.sheet) as place:
        place.write_bytes(sheet(planned, images))


def _other_definition(metrics: Path | None) -> Definition | None:
    """Definition of the signature, if it is known and not that of the published model."""
    if metrics is None:
        return None
    found = read_record(SignatureMetrics, metrics).definition
    return None if found.published else found


def _made(
    files: PatientFiles, scene: Scene, wanted: Image, *, modelled: bool
) -> MadeRecord | None:
    """Score an ablation that was really made, by the same rules as a planned one.

    One that took nothing of the focus that is planned for was made for something else.
    """
    if files.ablation is None:
        return None
    made = load_mask(files.ablation)
    if files.focus is not None and _apart(made, wanted):
        return None
    tissue = tissue_of_image(made, scene, where=files.ablation.name)
    return made_record(tissue, expected_of_rate(tissue.hippocampus.rate) if modelled else None)
