"""Files in, files out for the planner: one patient's outputs become a plan and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from falx import __version__
from falx.bids.derivative import output_path
from falx.core.errors import InputError, check_option
from falx.core.files import atomic_path, read_json, read_record, write_json, write_text
from falx.core.grid import SIDES, Side, apply_affine
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.warp import load_map
from falx.pet.metrics import Definition, SignatureMetrics
from falx.studies.plan.judge import chosen_by_heat, with_heat
from falx.studies.plan.live import PlanImages, plan_page, sheet
from falx.studies.plan.records import (
    FORMAT,
    HEATED_DICE,
    FunnelRecord,
    MadeRecord,
    OptionRecord,
    PlanDocument,
    Planned,
    SeededPlacement,
    ToTemplate,
    compromises_of,
    funnel_record,
    made_record,
    option_record,
    options_csv,
    plan_of_record,
    plan_of_words,
    with_acpc,
)
from falx.studies.signature.study import STUDY
from falx.surgery.assess import assess, tissue_of_image
from falx.surgery.burns.heat import Cooling
from falx.surgery.outcome.prognosis import Prognosis, prognosis, published_prognosis
from falx.surgery.robustness import shake
from falx.surgery.search import judging_draws, search
from falx.surgery.tracks.geometry import LaserPlan, ablation_mask
from falx.surgery.tracks.head_scene import scene_from_labels
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search
from falx.surgery.tracks.scene import Scene, fields_of

__all__ = [
    "NEEDED",
    "OFFERED",
    "PatientFiles",
    "PlanChoices",
    "PlanOutputs",
    "find_again",
    "find_files",
    "load_images",
    "plan_stage",
    "read_plan",
    "write_pages",
]

NEEDED: Mapping[str, tuple[str, str, str]] = {
    "t1w": ("anatomy", "corrected", "T1w image in native space"),
    "structures": ("anatomy", "structures", "label volume with FreeSurfer numbers, native space"),
    "to_template": ("anatomy", "to_template", "map from native to template millimetres"),
    "signature": ("signature", "signature_native", "signature mask, native space"),
}
"""Input of the planner to the stage that writes it, that stage's output, and what it is."""

OFFERED: Mapping[str, tuple[str, str, str]] = {
    "pet": ("pet", "corrected", "PET in T1w space, to be shown"),
    "asymmetry": ("asymmetry_pet", "asymmetry_native", "asymmetry in T1w space, to be shown"),
    "csf": ("anatomy", "csf", "share of CSF in T1w space, for sulci that the labels lack"),
    "ablation": ("ablation", "ablation_native", "ablation that was made, T1w space, to be scored"),
}
"""The same for what is used where it exists."""

PROGNOSIS_SEED = 0
"""The correction for optimism draws; every page shows the same one."""

NOTICE = (
    "The 39.79 % threshold comes from 30 patients treated at one centre, 21 of them "
    "seizure-free, and has not been confirmed elsewhere. The planned ablation is a geometric "
    "estimate; comparable published heat models overlap with measured heating at a Dice of "
    f"{HEATED_DICE[0]} to {HEATED_DICE[1]}."
)


UNCONFIRMED = (
    "The vessels are a program's proposal that nobody has confirmed: vessels may be missing among "
    "these limits."
)


@dataclass(frozen=True)
class PatientFiles:
    """Inputs of a plan, on the native T1w grid; the last eight may be absent.

    Parameters
    ----------
    side
        Side of the focus.
    t1w, structures, signature
        Image, labels of FreeSurfer numbers, and signature.
    to_template
        Coordinate map, native T1w mm → template mm.
    pet, asymmetry
        To be shown.
    ablation
        An ablation that was really made, to be scored as well.
    csf
        Share of fluid: where labels lack a sulcus it is one.
    vessels, sinuses
        Masks of what a track must keep away from.
    user_plan
        A plan file to be scored instead of a search.
    signature_metrics
        Says by which definition the signature was made; absent for a mask that was given.
    """

    side: str
    t1w: Path
    structures: Path
    to_template: Path
    signature: Path
    pet: Path | None = None
    asymmetry: Path | None = None
    ablation: Path | None = None
    csf: Path | None = None
    vessels: Path | None = None
    sinuses: Path | None = None
    user_plan: Path | None = None
    signature_metrics: Path | None = None


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
    def below(cls, out: Path, subject: str, *, scored: bool) -> PlanOutputs:
        """Name the outputs of a patient in an output folder."""
        stem = "scored" if scored else "planned"
        names = {
            "plan_json": output_path("anat", "plan", extension=".json", desc=stem),
            "plan_csv": output_path("anat", "plan", extension=".csv", desc=stem),
            "ablation_native": output_path(
                "anat", "mask", space="T1w", label="ablation", desc=stem
            ),
            "page": output_path("anat", "plan", extension=".html", desc=stem),
            "sheet": output_path("anat", "plan", extension=".pdf", desc=stem),
        }
        return cls(**{name: out / text.format(subject=subject) for name, text in names.items()})


@dataclass(frozen=True)
class PlanChoices:
    """What a plan must respect and reach, and how it is looked for."""

    limits: Limits = field(default_factory=Limits)
    goal: Goal = field(default_factory=Goal)
    placement: Placement = field(default_factory=Placement)
    search: Search = field(default_factory=Search)
    cooling: Cooling = field(default_factory=Cooling)


def find_files(
    out: Path,
    subject: str,
    given: Mapping[str, Path | None],
    *,
    side: str | None = None,
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

    Raises
    ------
    InputError
        If a needed file or the side is missing, saying which step writes it.
    """
    place = Path(out)
    if any(given.get(name) is None for name in NEEDED):
        _check_folder(place, subject)
    needed = {name: _needed(place, subject, name, given.get(name)) for name in NEEDED}
    offered = {name: _offered(place, subject, name, given.get(name)) for name in OFFERED}
    chosen = side or _side_of_metrics(place / _written("signature", "metrics", subject))
    found: dict[str, Path | None] = {**given, **needed, **offered}
    metrics = place / _written("signature", "metrics", subject)
    if given.get("signature") is None and metrics.is_file():
        found["signature_metrics"] = metrics
    return PatientFiles(side=chosen, **found)  # type: ignore[arg-type]


def find_again(
    out: Path,
    subject: str,
    used: Mapping[str, str],
    given: Mapping[str, Path | None],
    *,
    side: Side,
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
    for name, uri in used.items():
        own = {_written(*named[:2], subject) for named in [*NEEDED.values(), *OFFERED.values()]}
        if name in found or name == "signature_metrics" or uri in own:
            continue
        if uri.startswith("given:"):
            raise InputError(
                f"the plan was made with a file from elsewhere: {name.replace('_', ' ')}",
                where=f"sub-{subject}",
                do=f"give it again with --{name.removeprefix('user_').replace('_', '-')}",
            )
        found[name] = Path(out) / uri
    return find_files(out, subject, found, side=side)


def _written(stage: str, output: str, subject: str) -> str:
    return STUDY.stage(stage).outputs[output].format(subject=subject)


def _check_folder(out: Path, subject: str) -> None:
    """Say what is wrong with the folder as a whole before single files are missed."""
    if not out.is_dir():
        raise InputError(
            "there is no such output folder", where=out.name, do="give the OUT of falx signature"
        )
    if (out / f"sub-{subject}").is_dir():
        return
    there = sorted(path.name for path in out.glob("sub-*") if path.is_dir())
    below = sorted(path.parent.name for path in out.glob(f"*/sub-{subject}") if path.is_dir())
    if there:
        advice = "choose one of the patients that are there"
    elif below:
        advice = f"give the folder of the outputs, {' or '.join(f'{out.name}/{b}' for b in below)}"
    else:
        advice = "run falx signature into this folder first"
    raise InputError(
        f"the folder holds no outputs of sub-{subject}",
        where=out.name,
        found=", ".join([*there[:8], *(["…"] if len(there) > 8 else [])]) or "no patient",
        do=advice,
    )


def _needed(out: Path, subject: str, name: str, given: Path | None) -> Path:
    stage, output, what = NEEDED[name]
    path = given or out / _written(stage, output, subject)
    if path.is_file():
        return path
    flag = name.replace("_", "-")
    again = f"run the step {stage} of falx signature for this patient, or give it with --{flag}"
    raise InputError(
        f"the {what} is missing",
        where=f"sub-{subject}",
        found=f"no {path.name}",
        do="correct the path" if given else again,
    )


def _offered(out: Path, subject: str, name: str, given: Path | None) -> Path | None:
    stage, output, what = OFFERED[name]
    if given is not None and not given.is_file():
        raise InputError(
            f"the {what.partition(',')[0]} is missing",
            where=f"sub-{subject}",
            found=f"no {given.name}",
            do="correct the path",
        )
    path = given or out / _written(stage, output, subject)
    return path if path.is_file() else None


def _side_of_metrics(path: Path) -> Side:
    """Side of the focus that the signature was computed for."""
    try:
        return read_record(SignatureMetrics, path).side
    except InputError as error:
        raise InputError(
            "the side of the focus is not known", where=path.name, do="give it with --side"
        ) from error


def load_images(files: PatientFiles) -> PlanImages:
    """Read what the page shows."""
    return PlanImages(
        load(files.t1w),
        load_mask(files.signature),
        None if files.pet is None else load(files.pet),
        None if files.asymmetry is None else load(files.asymmetry),
        None if files.ablation is None else load_mask(files.ablation),
    )


def read_plan(path: Path) -> LaserPlan:
    """Read a plan: a plan file, or only its part with entry, target and burns.

    Raises
    ------
    InputError
        If the file is no plan, or holds values that are not finite or out of place.
    """
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(
            "the plan file cannot be read", where=path.name, found=error.found,
            do="export it again from the report, or write it as the manual says",
        ) from error  # fmt: skip
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
    labels, signature = load_labels(files.structures), load_mask(files.signature)
    scene = _scene(files, labels, signature, side, choices)
    other = _other_definition(files.signature_metrics)
    made = None if files.ablation is None else _made(files.ablation, scene, other)
    plan: LaserPlan | None = None
    if not scene.has_target:
        found = _Found((), None, _nothing(scene, signature))
    elif files.user_plan is None:
        found, plan = _searched(scene, choices, to_template, threads)
    else:
        plan = read_plan(files.user_plan)
        found = _scored(plan, scene, choices, to_template, threads)
    found = _heated(found, scene, choices, given=files.user_plan is not None)
    found = replace(found, options=with_acpc(found.options, scene, to_template))
    if found.suggested is not None:
        plan = plan_of_record(found.options[found.suggested].plan)
    placement = SeededPlacement(**asdict(choices.placement), seed=choices.search.seed)
    document = PlanDocument(
        label=label,
        side=side,
        vessels_checked=scene.vessels_checked,
        sinuses_checked=scene.sinus is not None,
        notices=(
            NOTICE,
            *_vessel_notices(files.vessels),
            *(() if other is None else (_of_another(other),)),
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
        expected=None if other is not None else _expected(found),
        made=made,
    )
    planned = Planned(document, plan, scene, labels, to_template)
    _write(planned, outputs)
    return planned


def _scene(
    files: PatientFiles, labels: Image, signature: Image, side: Side, choices: PlanChoices
) -> Scene:
    return scene_from_labels(
        labels,
        signature,
        side,
        load_map(files.to_template).at,
        vessels=None if files.vessels is None else load_mask(files.vessels),
        sinuses=None if files.sinuses is None else load_mask(files.sinuses),
        csf=None if files.csf is None else load(files.csf),
        beside_mm=choices.limits.beside_mm,
    )


def _vessel_notices(vessels: Path | None) -> tuple[str, ...]:
    """Say on every page what is not known of the vessels."""
    if vessels is None:
        return ("Vessels were not checked.",)
    if "desc-proposed" in vessels.name:
        return (UNCONFIRMED,)
    return ()


def _heated(found: _Found, scene: Scene, choices: PlanChoices, *, given: bool) -> _Found:
    """Judge the finalists by the heat model: plans that pass, or the best compromises."""
    options, suggested = found.options, found.suggested
    if suggested is None or given:
        judged = list(compromises_of(options, choices.goal).values())
        if suggested is not None:
            judged = [suggested]
        return replace(found, options=with_heat(options, judged, scene, choices.cooling))
    options, suggested, words = chosen_by_heat(
        options, suggested, choices.goal, scene, choices.cooling
    )
    return replace(found, options=options, suggested=suggested, heat_words=words)


def _write(planned: Planned, outputs: PlanOutputs) -> None:
    document = planned.document
    heading = {"FalxPlan": FORMAT, "Version": __version__}
    write_json(outputs.plan_json, {**heading, **plain(document)})
    write_text(outputs.plan_csv, options_csv(document.options))
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


@dataclass(frozen=True)
class _Found:
    """The part of a plan file that a search or a scoring fills."""

    options: tuple[OptionRecord, ...]
    suggested: int | None
    explanation: str | None
    funnel: FunnelRecord | None = None
    candidates: int | None = None
    heat_words: str | None = None


def _searched(
    scene: Scene, choices: PlanChoices, to_template: ToTemplate, threads: int
) -> tuple[_Found, LaserPlan | None]:
    result = search(
        scene,
        choices.limits,
        choices.goal,
        rng=np.random.default_rng(choices.search.seed),
        placement=choices.placement,
        max_burns=choices.search.max_burns,
        threads=threads,
    )
    found = _Found(
        options=tuple(
            option_record(o.assessment, o.robustness, to_template) for o in result.options
        ),
        suggested=result.options.index(result.suggested) if result.suggested else None,
        explanation=str(result.explanation) if result.explanation else None,
        funnel=funnel_record(result.funnel),
        candidates=result.candidates,
    )
    return found, result.suggested.assessment.plan if result.suggested else None


def _scored(
    plan: LaserPlan, scene: Scene, choices: PlanChoices, to_template: ToTemplate, threads: int
) -> _Found:
    track, limits = plan.trajectory, choices.limits
    fields = fields_of(scene, [track.entry_mm, track.target_mm])
    assessment = assess(plan, scene, limits, fields=fields)
    _, draws = judging_draws(choices.placement, scene, np.random.default_rng(choices.search.seed))
    robustness = shake(
        plan, scene, fields, limits, threshold=choices.goal.threshold, draws=draws,
        threads=threads,
    )  # fmt: skip
    broken = "; ".join(str(violation) for violation in assessment.violations)
    return _Found(
        options=(option_record(assessment, robustness, to_template),),
        suggested=0,
        explanation=f"The given plan breaks, as it is given: {broken}" if broken else None,
    )


def _nothing(scene: Scene, signature: Image) -> str:
    """Say that there is nothing to plan for: an answer, unless the side is another one.

    Raises
    ------
    InputError
        If the whole signature lies in the other hemisphere.
    """
    places = apply_affine(signature.affine, np.argwhere(signature.data))
    if len(places) and np.all((places[:, 0] < 0) != (scene.side == "left")):
        raise InputError(
            f"no plan: there is no signature in the {scene.side} hippocampus, so nothing to "
            "ablate is certain",
            found=f"a signature in the other hemisphere, {len(places)} voxels",
            do="correct the side",
        )
    if not len(places):
        return (
            "The signature is empty: no voxel is certain enough to be called hypometabolic, so "
            "nothing to ablate is certain. That is no proof of health."
        )
    volume = len(places) * signature.grid.voxel_volume_mm3
    return (
        f"No voxel of the {scene.side} hippocampus is certain enough to be called hypometabolic; "
        f"the signature ({volume:.0f} mm³) lies elsewhere, where this planner makes no plan."
    )


def _expected(found: _Found) -> Prognosis | None:
    """Outcome that the published cohort lets expect of the shown plan."""
    if found.suggested is None:
        return None
    return _prognosis(found.options[found.suggested].hippocampus.rate)


def _other_definition(metrics: Path | None) -> Definition | None:
    """Definition of the signature, if it is known and not that of the published model."""
    if metrics is None:
        return None
    found = read_record(SignatureMetrics, metrics).definition
    return None if found.published else found


def _of_another(definition: Definition) -> str:
    return (
        f"The signature is {definition}. Outcomes were modelled on rates of another definition: "
        "none is predicted, and the goal of this plan is a convention, no threshold of outcome."
    )


def _made(path: Path, scene: Scene, other: Definition | None) -> MadeRecord:
    """Score an ablation that was really made, by the same rules as a planned one."""
    tissue = tissue_of_image(load_mask(path), scene, where=path.name)
    return made_record(tissue, None if other else _prognosis(tissue.hippocampus.rate))


def _prognosis(rate: float | None) -> Prognosis | None:
    if rate is None:
        return None
    model = published_prognosis(rng=np.random.default_rng(PROGNOSIS_SEED))
    return prognosis(rate, model)
