"""Files of registrations by hand: what is looked at, and what was decided of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from falx import __version__
from falx.anatomy.files import load_matrix, load_still
from falx.anatomy.metrics import CoregistrationMetrics, HandPlacement
from falx.bids.derivative import description
from falx.core.errors import FalxError, InputError
from falx.core.files import read_record, write_json, write_text
from falx.core.grid import Grid
from falx.core.records import plain
from falx.desk.drawing import DERIVATIVE, SUBJECT, Canvas, canvas_of
from falx.desk.mask_files import image_in_role, open_dataset
from falx.desk.placing import Nudge, centre_mm, nudged
from falx.desk.workspace import Workspace
from falx.engine.digest import digest_file
from falx.images.nifti import load, load_header
from falx.studies.signature.study import NUDGES, STUDY

__all__ = ["Decision", "Pair", "check_subject", "decide", "head_canvas", "pairs", "placed_canvas"]

ROLES = tuple(name.removeprefix("nudge_") for name in NUDGES)


@dataclass(frozen=True)
class Decision:
    """Somebody looked at a registration and found it right."""

    role: str
    verdict: str
    matrix_blake2b: str
    decided: str
    software: str


@dataclass(frozen=True)
class Pair:
    """An image over the T1w, as it is registered and as it was judged.

    Parameters
    ----------
    role, title
        Which image, for the desk and for people.
    matrix, matrix_blake2b
        T1w mm → image mm, and the digest of its file; none before the study has run.
    by_hand
        ``""``, or whether the matrix is a placement's ``"start"`` or ``"result"``.
    decided
        ``""``, ``"right"``, ``"outdated"`` (right, but of another registration), ``"nudged"``
        (waiting for a run), ``"used"`` (the registration is that of the nudge).
    why
        What stands in the way of a look.
    """

    role: str
    title: str
    matrix: tuple[tuple[float, ...], ...] | None
    matrix_blake2b: str
    by_hand: str
    decided: str
    notices: tuple[str, ...]
    why: str


def check_subject(subject: str) -> None:
    """Raise unless a text can be the label of a patient."""
    if SUBJECT.fullmatch(subject) is None:
        raise InputError(
            "there is no such patient", found=ascii(subject[:40]), do="reload the page"
        )


def pairs(workspace: Workspace, subject: str) -> list[Pair]:
    """List the images of a patient that are registered to the T1w."""
    check_subject(subject)
    dataset = open_dataset(workspace)
    dataset.index.choose([subject])
    found = []
    for role in ROLES:
        title = STUDY.raw[role].what
        try:
            image = image_in_role(dataset, role, subject)
        except FalxError as error:
            found.append(Pair(role, title, None, "", "", "", (), str(error)))
            continue
        if image is not None:
            found.append(_pair(workspace, subject, role, title))
    return found


def _pair(workspace: Workspace, subject: str, role: str, title: str) -> Pair:
    path = _matrix(workspace, subject, role)
    nudge = _nudge(workspace, subject, role)
    waiting = "nudged" if nudge.is_file() else ""
    if not path.is_file() or not _head(workspace, subject).is_file():
        why = "it is not registered yet: run the study first"
        return Pair(role, title, None, "", "", waiting, (), why)
    made, digest = read_record(CoregistrationMetrics, path), digest_file(path)
    decided = waiting or _seen(_checked(workspace, subject, role), digest)
    if waiting and made.by_hand and _is_of(nudge, made):
        decided = "used"
    return Pair(role, title, made.matrix, digest, made.by_hand, decided, made.notices, "")


def _is_of(nudge: Path, made: CoregistrationMetrics) -> bool:
    """Whether a registration is that of a nudge: its notice names the moment of the placement."""
    placed = read_record(HandPlacement, nudge)
    return placed.decided == made.placed


def _seen(checked: Path, digest: str) -> str:
    if not checked.is_file():
        return ""
    return "right" if read_record(Decision, checked).matrix_blake2b == digest else "outdated"


def head_canvas(workspace: Workspace, subject: str) -> Canvas:
    """Read the T1w that everything is registered to."""
    check_subject(subject)
    path = _head(workspace, subject)
    if not path.is_file():
        raise InputError(
            "the T1w is not segmented yet", where=f"sub-{subject}", do="run the study first"
        )
    return canvas_of(load(path, copied=False))


def placed_canvas(workspace: Workspace, subject: str, role: str) -> Canvas:
    """Read an image that is registered, on its own grid; frames are averaged as for that."""
    return canvas_of(load_still(_image(workspace, subject, role), copied=False))


def decide(workspace: Workspace, nudge: Nudge) -> Pair:
    """Store what was decided; a nudge is an input of the registration from then on.

    Raises
    ------
    InputError
        If the registration is another one than that which was looked at.
    """
    subject, role = nudge.subject, nudge.role
    image = _image(workspace, subject, role)
    place, checked = _nudge(workspace, subject, role), _checked(workspace, subject, role)
    if nudge.verdict == "forget":
        place.unlink(missing_ok=True)
        return _pair(workspace, subject, role, STUDY.raw[role].what)
    path = _matrix(workspace, subject, role)
    if not path.is_file() or digest_file(path) != nudge.matrix_blake2b:
        raise InputError(
            "the registration is another one than that which you looked at",
            where=f"sub-{subject}", do="open the page again",
        )  # fmt: skip
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _describe(workspace)
    if nudge.verdict == "right":
        write_json(checked, plain(Decision(role, "right", nudge.matrix_blake2b, now, _software())))
    else:
        before = load_matrix(path)
        shape, affine = load_header(_head(workspace, subject))
        middle = centre_mm(Grid((shape[0], shape[1], shape[2]), affine))
        matrix = nudged(before, nudge.translation_mm, nudge.rotation_deg, middle)
        asked = HandPlacement(
            _rows(matrix), nudge.refine, digest_file(image), nudge.translation_mm,
            nudge.rotation_deg, _rows(before), now, _software(),
        )  # fmt: skip
        write_json(place, plain(asked))
        checked.unlink(missing_ok=True)
    return _pair(workspace, subject, role, STUDY.raw[role].what)


def _rows(
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _software() -> str:
    return f"Falx {__version__}, falx desk"


def _image(workspace: Workspace, subject: str, role: str) -> Path:
    check_subject(subject)
    if role not in ROLES:
        raise InputError(
            "the image is not one that is registered", found=ascii(role[:40]),
            do="reload the page",
        )  # fmt: skip
    dataset = open_dataset(workspace)
    dataset.index.choose([subject])
    found = image_in_role(dataset, role, subject)
    if found is None:
        raise InputError(
            f"there is no {STUDY.raw[role].what}", where=f"sub-{subject}", do="import it first"
        )
    return found.path


def _written(workspace: Workspace, subject: str, stage: str, output: str) -> Path:
    return workspace.out / STUDY.stage(stage).outputs[output].format(subject=subject)


def _matrix(workspace: Workspace, subject: str, role: str) -> Path:
    return _written(workspace, subject, f"coregister_{role}", "matrix")


def _head(workspace: Workspace, subject: str) -> Path:
    return _written(workspace, subject, "anatomy", "corrected")


def _nudge(workspace: Workspace, subject: str, role: str) -> Path:
    (pattern,) = NUDGES[f"nudge_{role}"].patterns
    return workspace.bids / "derivatives" / DERIVATIVE / pattern.format(subject=subject)


def _checked(workspace: Workspace, subject: str, role: str) -> Path:
    place = _nudge(workspace, subject, role)
    return place.with_name(place.name.replace("desc-nudge", "desc-checked"))


def _describe(workspace: Workspace) -> None:
    """Describe the derivative dataset, and what in it BIDS has no name for."""
    folder = workspace.bids / "derivatives" / DERIVATIVE
    if not (folder / "dataset_description.json").exists():
        about = description("desk", __version__, links={"raw": "../.."})
        write_json(folder / "dataset_description.json", about)
    if not (folder / ".bidsignore").exists():
        write_text(folder / ".bidsignore", "**/*_xfm.json\n")
