"""What a plan is made of: which of a patient's files, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError
from falx.studies.signature.study import STUDY

__all__ = ["NEEDED", "OFFERED", "PatientFiles", "check_folder", "needed", "offered", "written"]

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
    "foci": ("signature", "foci_native", "numbers of the foci in T1w space, for --focus"),
    "csf": ("anatomy", "csf", "share of CSF in T1w space, for sulci that the labels lack"),
    "ablation": ("ablation", "ablation_native", "ablation that was made, T1w space, to be scored"),
}
"""The same for what is used where it exists."""


@dataclass(frozen=True)
class PatientFiles:
    """Inputs of a plan, on the native T1w grid; those after the signature may be absent.

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
    foci, focus
        Numbers of the foci, and the one that is planned for instead of the hippocampus.
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
    foci: Path | None = None
    focus: int | None = None


def written(stage: str, output: str, subject: str) -> str:
    """Return the path of a stage's output, relative to the output folder."""
    return STUDY.stage(stage).outputs[output].format(subject=subject)


def check_folder(out: Path, subject: str) -> None:
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


def needed(out: Path, subject: str, name: str, given: Path | None) -> Path:
    """Return a file without which there is no plan, or say which step writes it."""
    stage, output, what = NEEDED[name]
    path = given or out / written(stage, output, subject)
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


def offered(out: Path, subject: str, name: str, given: Path | None) -> Path | None:
    """Return a file that is used where it exists."""
    stage, output, what = OFFERED[name]
    if given is not None and not given.is_file():
        raise InputError(
            f"the {what.partition(',')[0]} is missing",
            where=f"sub-{subject}",
            found=f"no {given.name}",
            do="correct the path",
        )
    path = given or out / written(stage, output, subject)
    return path if path.is_file() else None
