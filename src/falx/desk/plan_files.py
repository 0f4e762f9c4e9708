"""Files of planning: what a patient's plans are scored on, plans that were kept, and hand-over."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.errors import FalxError, InputError, collect_notices
from falx.core.files import read_record, write_json
from falx.core.grid import Side, apply_affine
from falx.core.records import plain, record_of
from falx.desk.drawing import Bits, MaskTarget
from falx.desk.mask_files import drawables, mask_file
from falx.desk.placing_files import check_subject
from falx.desk.planned import KeptPlan, check_name, kept_plan
from falx.desk.workspace import Workspace
from falx.engine.command import by_hand
from falx.engine.digest import digest_value
from falx.engine.provenance import read_record as read_provenance
from falx.images.nifti import load_labels, load_mask
from falx.images.warp import load_map
from falx.pet.regions import structure_mask
from falx.studies.plan.answer import PlanChoices
from falx.studies.plan.files import (
    PlanOutputs,
    find_files,
    load_images,
    plan_stage,
    scene_of,
    write_pages,
)
from falx.studies.plan.inputs import PatientFiles
from falx.studies.plan.records import PlanDocument, ToTemplate, option_record, with_acpc
from falx.surgery.assess import Assessment, assess
from falx.surgery.robustness import shake
from falx.surgery.search import judging_draws
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.scene import Fields, Scene, fields_of

__all__ = [
    "Bench", "bench_of", "forget_plan", "hand_over", "keep_plan", "kept_plans", "layer",
    "planned_options", "score", "search_plan",
]  # fmt: skip

PROGRAM = (sys.executable, "-P", "-m", "falx")
LAYERS = ("signature", "hippocampus", "amygdala")
LONGEST_S = 1800
MASKS = ("vessels", "sinuses")
"""What a track keeps away from, where somebody drew it on the T1w before the operation."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What the plans of a patient are scored on, kept in memory between two moves of the hand."""

    files: PatientFiles
    choices: PlanChoices
    scene: Scene
    side: Side
    to_template: ToTemplate
    fields: Fields
    box: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    notices: tuple[str, ...]

    def fields_for(self, plan: LaserPlan) -> Fields:
        """Return distances as ``falx plan --plan`` takes them: its window holds the ends, too."""
        ends = np.array([plan.trajectory.entry_mm, plan.trajectory.target_mm])
        voxels = apply_affine(np.linalg.inv(self.scene.grid.affine), ends)
        low, high = self.box
        if np.all((voxels >= low) & (voxels <= high)):
            return self.fields
        return fields_of(self.scene, ends)


_BENCHES: OrderedDict[str, Bench] = OrderedDict()
_ONE = threading.Lock()
MOST_BENCHES = 2


def bench_of(workspace: Workspace, subject: str) -> Bench:
    """Return the bench of a patient, made anew when a file that it rests on is another one."""
    check_subject(subject)
    masks = {name: _drawn(workspace, subject, name) for name in MASKS}
    files = find_files(workspace.out, subject, masks)
    read = {name: path for name, path in vars(files).items() if isinstance(path, Path)}
    choices, asked_with = _choices(workspace.out, subject)
    stamps = {n: (str(p), p.stat().st_mtime_ns, p.stat().st_size) for n, p in read.items()}
    key = digest_value([subject, stamps, plain(choices)])
    with _ONE:
        if key not in _BENCHES:
            _BENCHES[key] = _bench(files, choices, asked_with)
            while len(_BENCHES) > MOST_BENCHES:
                _BENCHES.popitem(last=False)
        _BENCHES.move_to_end(key)
        return _BENCHES[key]


def _bench(files: PatientFiles, choices: PlanChoices, asked_with: Sequence[str]) -> Bench:
    side: Side = "left" if files.side == "left" else "right"
    to_template = load_map(files.to_template).at
    with collect_notices() as said:
        labels, signature = load_labels(files.structures), load_mask(files.signature)
        scene = scene_of(files, labels, signature, side, choices)
    if not scene.has_target:
        raise InputError(
            f"there is no signature in the {side} hippocampus, so that no plan can be scored",
            do="look at the patient's page; falx plan --focus plans for a focus elsewhere",
        )
    notices = [*said] if files.vessels is not None else ["Vessels were not checked.", *said]
    notices += [
        f"The plan of the page was made with {name} from elsewhere, which the desk does not have."
        for name in asked_with
        if getattr(files, name) is None
    ]
    points = np.concatenate([scene.entries_mm, scene.targets_mm])
    voxels = apply_affine(np.linalg.inv(scene.grid.affine), points)
    box = np.floor(voxels.min(axis=0)), np.ceil(voxels.max(axis=0))
    return Bench(files, choices, scene, side, to_template, fields_of(scene), box, tuple(notices))


def _choices(out: Path, subject: str) -> tuple[PlanChoices, list[str]]:
    """Return the choices of the plan that was searched, and which masks it was given."""
    record = read_provenance(out / "provenance" / f"sub-{subject}" / "planned.json")
    if record is None:
        return PlanChoices(), []
    given = [name for name in MASKS if name in record.inputs]
    return record_of(PlanChoices, record.params, where="the record of the plan"), given


def _drawn(workspace: Workspace, subject: str, label: str) -> Path | None:
    """Mask that the first rater drew on the T1w before the operation, if there is one."""
    for image in drawables(workspace, subject):
        if image.place == "t1w":
            path = mask_file(workspace, MaskTarget(subject, image.path, label))
            return path if path.is_file() else None
    return None


def layer(workspace: Workspace, subject: str, name: str) -> Bits:
    """Return a mask on the T1w grid: :data:`LAYERS`, those of structures of the side planned."""
    check_subject(subject)
    if name not in LAYERS:
        raise InputError(
            "there is no such mask to show", found=ascii(name[:40]), do="reload the page"
        )
    files = find_files(workspace.out, subject, {})
    if name == "signature":
        return np.asarray(load_mask(files.signature).data, dtype=bool)
    side: Side = "left" if files.side == "left" else "right"
    return structure_mask(load_labels(files.structures).data, name, side)


def planned_options(workspace: Workspace, subject: str) -> PlanDocument | None:
    """Read the plans of the search, ``None`` before one."""
    check_subject(subject)
    path = PlanOutputs.below(workspace.out, subject, scored=False).plan_json
    return read_record(PlanDocument, path) if path.is_file() else None


def score(bench: Bench, plan: LaserPlan) -> Assessment:
    """Score a plan by the planner's own rules; misplacement is left for what is kept."""
    return assess(plan, bench.scene, bench.choices.limits, fields=bench.fields_for(plan))


def keep_plan(workspace: Workspace, subject: str, name: str, plan: LaserPlan) -> KeptPlan:
    """Score a plan with its placement errors, as ``falx plan --plan`` does, and keep it."""
    check_name(name)
    bench = bench_of(workspace, subject)
    assessment = score(bench, plan)
    choices = bench.choices
    rng = np.random.default_rng(choices.search.seed)
    _, draws = judging_draws(choices.placement, bench.scene, rng)
    shaken = shake(
        plan, bench.scene, bench.fields_for(plan), choices.limits,
        threshold=choices.goal.threshold, draws=draws,
    )  # fmt: skip
    (option,) = with_acpc(
        (option_record(assessment, shaken, bench.to_template),), bench.scene, bench.to_template
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = kept_plan(name, now, option, choices.goal, bench.notices)
    path = _place(workspace, subject, name)
    if path.exists():
        raise InputError(
            "there is a plan of this name already", found=name, do="give it another name"
        )
    write_json(path, plain(kept))
    return kept


def kept_plans(workspace: Workspace, subject: str) -> list[KeptPlan]:
    """List the plans that were kept, the oldest first; what cannot be read is passed over."""
    check_subject(subject)
    found = []
    for path in (workspace.private / "plans" / f"sub-{subject}").glob("*.json"):
        try:
            found.append(read_record(KeptPlan, path))
        except FalxError:
            continue
    return sorted(found, key=lambda kept: (kept.kept, kept.name))


def forget_plan(workspace: Workspace, subject: str, name: str) -> None:
    """Delete a plan that was kept."""
    check_subject(subject)
    _place(workspace, subject, name).unlink(missing_ok=True)


def _place(workspace: Workspace, subject: str, name: str) -> Path:
    check_name(name)
    return workspace.private / "plans" / f"sub-{subject}" / f"{name}.json"


def search_plan(workspace: Workspace, subject: str) -> None:
    """Look for plans, as ``falx plan`` does, with the masks that were drawn on the desk."""
    check_subject(subject)
    masks = {name: _drawn(workspace, subject, name) for name in MASKS}
    _falx("plan", workspace.out, "--participant-label", subject, *_flags(masks))


def _flags(masks: Mapping[str, Path | None]) -> list[object]:
    return [word for n, path in masks.items() if path for word in (f"--{n}", path)]


def hand_over(workspace: Workspace, subject: str, name: str, series: str) -> list[str]:
    """Write a kept plan as PDF, page and, with its series, DICOM into a folder of its own.

    Parameters
    ----------
    series
        Folder of the T1w series as DICOM; empty for no DICOM.

    Returns
    -------
    list
        What was written, relative to the desk's folder.
    """
    kept = read_record(KeptPlan, _place(workspace, subject, name))
    home = workspace.private.parent
    folder = home / "handed-over" / f"sub-{subject}" / name
    if series and not Path(series).is_dir():
        raise InputError("there is no such folder of DICOM files", found=ascii(series[:120]),
                         do="give the folder of the T1w series, or none")  # fmt: skip
    outputs = _scored_again(workspace, subject, kept, folder)
    for source in (outputs.sheet, outputs.page, outputs.plan_json):
        shutil.copyfile(source, folder / source.name)
    if series:
        signature = find_files(workspace.out, subject, {}).signature
        _falx("dicom-out", workspace.out, series, "--participant-label", subject,
              "--mask", f"ablation={outputs.ablation_native}", "--mask", f"signature={signature}",
              "--to", folder / "dicom")  # fmt: skip
    return sorted(p.relative_to(home).as_posix() for p in folder.rglob("*") if p.is_file())


def _scored_again(workspace: Workspace, subject: str, kept: KeptPlan, folder: Path) -> PlanOutputs:
    """Do what ``falx plan --plan`` does, with the limits and masks that the plan was kept by."""
    bench, out = bench_of(workspace, subject), workspace.out
    outputs = PlanOutputs.below(out, subject, scored=True)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"sub-{subject}_plan.json"
    write_json(file, plain(kept.option.plan))
    files = replace(bench.files, user_plan=file)
    read = {name: path for name, path in vars(files).items() if isinstance(path, Path)}
    values = vars(bench.choices) | {"side": bench.side}
    with by_hand(out, f"sub-{subject}/scored", read, values) as command:
        with collect_notices() as notices:
            planned = plan_stage(files, outputs, bench.choices, label=f"sub-{subject}")
        write_pages(planned, load_images(files), outputs)
        command.outputs, command.notices = vars(outputs), tuple(notices)
    return outputs


def _falx(*words: object) -> None:
    """Give a command as one would type it; its last sentence is the error."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and words, no shell
        [*PROGRAM, *map(str, words)], check=False, capture_output=True, text=True,
        timeout=LONGEST_S,
    )  # fmt: skip
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        what = f"falx {words[0]} did not end well"
        raise InputError(what, found=" ".join(last) or "nothing said")
