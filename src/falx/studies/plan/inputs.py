"""What a plan needs of one patient, found among the outputs of the signature study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError
from falx.studies.plan.files import side_of_metrics
from falx.studies.signature.study import STUDY

__all__ = ["NEEDED", "OFFERED", "PatientFiles", "find_files"]

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
    "ablation": ("ablation", "ablation_native", "ablation that was made, T1w space, to be scored"),
}
"""The same for what is used where it exists."""

METRICS = ("signature", "metrics")


@dataclass(frozen=True)
class PatientFiles:
    """Inputs of a plan; the last three may be absent."""

    side: str
    t1w: Path
    structures: Path
    to_template: Path
    signature: Path
    pet: Path | None
    asymmetry: Path | None
    ablation: Path | None


def find_files(
    out: Path, subject: str, given: Mapping[str, Path | None], *, side: str | None = None
) -> PatientFiles:
    """Find a patient's files in an output folder; a file that is given goes first.

    Parameters
    ----------
    out
        Output folder of ``falx signature``.
    subject
        Label without ``sub-``.
    given
        Name to file, as in :data:`NEEDED` and :data:`OFFERED`.
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
    metrics = place / _written(*METRICS, subject)
    chosen = side or side_of_metrics(metrics)
    return PatientFiles(
        chosen, needed["t1w"], needed["structures"], needed["to_template"], needed["signature"],
        offered["pet"], offered["asymmetry"], offered["ablation"],
    )  # fmt: skip


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
