"""Files of drawing: the images of a patient, and the masks of the dataset."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from falx import __version__
from falx.anatomy.files import load_matrix, load_still
from falx.bids.dataset import Dataset
from falx.bids.derivative import description
from falx.bids.entities import BidsName, parse_name
from falx.bids.index import Index
from falx.bids.query import Found, find_one, parse_filter
from falx.core.errors import FalxError, InputError
from falx.core.files import PART, flush, read_json, write_json
from falx.core.grid import Grid, in_stored_order, reorient_to_ras
from falx.core.records import plain
from falx.desk.drawing import (
    DERIVATIVE,
    KINDS,
    Bits,
    Canvas,
    Draft,
    MaskTarget,
    Place,
    Proposal,
    canvas_of,
    mask_path,
    parts_of,
)
from falx.desk.sessions import filters_of, read_sessions
from falx.desk.workspace import Workspace
from falx.engine.digest import digest_file
from falx.images.nifti import load_header, load_mask, save
from falx.studies.ablation.files import AblationOutputs
from falx.studies.signature.study import STUDY
from falx.surgery.outcome.ablation import bring_mask, dice

__all__ = [
    "Drawable", "OutdatedError", "Saved", "agreement", "canvas", "drawables", "find_proposal",
    "grid_of", "image_in_role", "image_of", "mask_file", "open_dataset", "people", "proposal_on",
    "read_mask", "registration_of", "save_mask",
]  # fmt: skip

SUFFIXES = ("T1w", "T2w", "FLAIR", "PDw", "T2starw", "UNIT1", "angio", "swi", "pet", "ct")
"""Images that somebody may draw on."""
SIDECAR = ".json"
ROLES = {("rater1", False): "ablation", ("rater2", False): "second_ablation",
         ("rater1", True): "repeat_ablation"}  # fmt: skip
"""Rater and repeat to the role of the ablation in the study."""


class OutdatedError(FalxError):
    """Another window saved the same mask in between."""


@dataclass(frozen=True)
class Drawable:
    """An image of a patient: path in the dataset, name for people, role in the study, session."""

    path: str
    title: str
    place: Place
    session: str


@dataclass(frozen=True)
class Saved:
    """A saved mask: its path in the dataset, digest, volume, and what should be looked at."""

    path: str
    digest: str
    volume_mm3: float
    notices: tuple[str, ...]


def people(workspace: Workspace) -> list[str]:
    """List the labels of the patients; none for a dataset that is empty yet."""
    if not any(workspace.bids.glob("sub-*/")):
        return []
    return list(Index(workspace.bids).subjects)


def open_dataset(workspace: Workspace) -> Dataset:
    """Open the dataset with the names of its sessions, as a run of the desk does."""
    chosen = filters_of(read_sessions(workspace.private), STUDY)
    filters = [parse_filter(text, list(STUDY.raw)) for text in chosen]
    return Dataset.open(workspace.bids, filters=filters)


def image_in_role(dataset: Dataset, role: str, subject: str) -> Found | None:
    """Find the file that plays a role in the study of the signature."""
    return find_one(
        role, STUDY.raw[role], subject, dataset=dataset.index,
        own_derivatives=dataset.own_derivatives, filters=dataset.filters,
    )  # fmt: skip


def drawables(workspace: Workspace, subject: str) -> list[Drawable]:
    """List the images of a patient that can be drawn on, with their roles."""
    dataset = open_dataset(workspace)
    dataset.index.choose([subject])
    places: dict[str, Place] = {}
    for place in (name for name in get_args(Place) if name):
        with contextlib.suppress(FalxError):  # several could be it: then it has no role
            found = image_in_role(dataset, place, subject)
            if found is not None:
                places[found.path.relative_to(dataset.index.root).as_posix()] = place
    made = []
    for file in dataset.index.files(subject):
        name = file.name
        if name.suffix in SUFFIXES and name.extension in (".nii", ".nii.gz"):
            session = name.entities.get("ses", "")
            made.append(Drawable(file.path, _title(name), places.get(file.path, ""), session))
    return sorted(made, key=lambda one: ({"postop": 0, "t1w": 1}.get(one.place, 2), one.path))


def _title(name: BidsName) -> str:
    words = {"preop": "before the operation", "postop": "after the operation"}
    session = name.entities.get("ses", "")
    more = [f"{k}-{v}" for k, v in name.entities.items() if k not in ("sub", "ses")]
    return " · ".join(w for w in (name.suffix, words.get(session, session), *more) if w)


def image_of(workspace: Workspace, target: MaskTarget) -> Drawable:
    """Return the image of a target, one of those that are listed."""
    for one in drawables(workspace, target.subject):
        if one.path == target.image:
            return one
    raise InputError(
        "the image is not one of this patient", where=f"sub-{target.subject}",
        found=ascii(target.image[:80]), do="choose one of the list",
    )  # fmt: skip


def grid_of(workspace: Workspace, target: MaskTarget) -> Grid:
    """Return the RAS+ grid of the image of a target, without reading its values."""
    shape, affine = load_header(workspace.bids / image_of(workspace, target).path)
    still = np.broadcast_to(np.uint8(0), shape[:3])
    turned, to_world = reorient_to_ras(still, affine, copied=False)
    x, y, z = turned.shape
    return Grid((x, y, z), to_world)


def canvas(workspace: Workspace, target: MaskTarget) -> Canvas:
    """Read the image of a target as the page draws it."""
    return canvas_of(load_still(workspace.bids / image_of(workspace, target).path, copied=False))


def mask_file(workspace: Workspace, target: MaskTarget) -> Path:
    """Return where a mask lies, or will lie.

    An ablation that lies in another derivative dataset is drawn on there: in two, no study would
    know which to take.
    """
    image = image_of(workspace, target)
    name = parse_name(image.path)
    assert name is not None  # the index lists no others
    relative = mask_path(target, name, image.place)
    if target.label == "ablation":
        role = ROLES[target.rater, target.repeat]
        found = image_in_role(open_dataset(workspace), role, target.subject)
        if found is not None and found.index is not None:
            return found.index.root / relative
    return workspace.bids / "derivatives" / DERIVATIVE / relative


def read_mask(workspace: Workspace, target: MaskTarget) -> tuple[Bits | None, str]:
    """Read a saved mask and its digest; ``None`` and an empty text where there is none.

    Raises
    ------
    InputError
        If it lies on another grid than its image.
    """
    path = mask_file(workspace, target)
    if not path.is_file():
        return None, ""
    mask, image = load_mask(path), workspace.bids / target.image
    shape, affine = load_header(image)
    here, there = load_header(path)
    if here[:3] != shape[:3] or not np.allclose(affine, there, atol=1e-3):
        raise InputError(
            "the mask lies on another grid than the image", where=path.name,
            found=f"{here[:3]} and {shape[:3]} voxels", do="draw on the image it belongs to",
        )  # fmt: skip
    return np.asarray(mask.data), digest_file(path)


def find_proposal(workspace: Workspace, target: MaskTarget) -> Proposal:
    """Find the proposal of ``falx ablation`` that could be brought to an image.

    Raises
    ------
    InputError
        If there is none, or the registration between the two images is not known.
    """
    out, subject = workspace.out, target.subject
    path = AblationOutputs.below(out, subject).mask
    if not path.is_file():
        raise InputError(
            "there is no proposal", where=f"sub-{subject}",
            do="make one, or draw without one",
        )  # fmt: skip
    image = image_of(workspace, target)
    if not image.place:
        raise InputError(
            "a proposal is of the T1w before and after the operation", found=image.title,
            do="choose one of these",
        )  # fmt: skip
    if image.place == "postop":
        registration_of(workspace, subject)
    return Proposal(path.relative_to(out).as_posix(), digest_file(path))


def proposal_on(workspace: Workspace, target: MaskTarget) -> tuple[Bits, Proposal]:
    """Bring the proposal of ``falx ablation`` to the image that is drawn on.

    Raises
    ------
    InputError
        As :func:`find_proposal`.
    """
    found = find_proposal(workspace, target)
    to_t1w = None
    if image_of(workspace, target).place == "postop":
        to_t1w = np.linalg.inv(load_matrix(registration_of(workspace, target.subject)))
    mask = load_mask(workspace.out / found.file)
    return bring_mask(mask, grid_of(workspace, target), matrix=to_t1w), found


def registration_of(workspace: Workspace, subject: str) -> Path:
    """Return the file of the registration of the T1w after the operation.

    Raises
    ------
    InputError
        If the study has not written it yet.
    """
    outputs = STUDY.stage("coregister_postop").outputs
    path = workspace.out / outputs["matrix"].format(subject=subject)
    if not path.is_file():
        raise InputError(
            "the T1w after the operation is not registered yet", where=f"sub-{subject}",
            do="run the study first",
        )  # fmt: skip
    return path


def save_mask(workspace: Workspace, draft: Draft, bits: Bits) -> Saved:
    """Write a mask with its sidecar, both or neither, on the very grid of its image.

    Parameters
    ----------
    bits
        On the RAS+ grid of the image.

    Raises
    ------
    OutdatedError
        If the mask is another one than that which the drawing went out from.
    InputError
        If nothing is drawn.
    """
    if not bits.any():
        raise InputError("nothing is drawn", do="draw, or leave the page: nothing is written")
    target = draft.target
    source = workspace.bids / image_of(workspace, target).path
    _, affine = load_header(source)
    path = mask_file(workspace, target)
    with _alone(workspace):
        now = digest_file(path) if path.is_file() else ""
        if now != draft.base:
            raise OutdatedError(_in_between(path, now))
        _describe(workspace, path)
        about = _sidecar(workspace, draft, bits, source)
        _write_both(path, in_stored_order(bits, affine), affine, about)
        found = digest_file(path)
    voxel_mm3 = float(abs(np.linalg.det(affine[:3, :3])))
    notices = (*parts_of(bits, voxel_mm3), *_unread(workspace, target, path))
    volume = float(np.count_nonzero(bits)) * voxel_mm3
    return Saved(path.relative_to(workspace.bids).as_posix(), found, volume, notices)


def _in_between(path: Path, now: str) -> str:
    if not now:
        return "the mask was deleted in between; your drawing is kept as a draft."
    when = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    return (
        f"another window saved this mask at {when:%H:%M:%S}; your drawing is kept as a draft, "
        "nothing was overwritten."
    )


def _sidecar(workspace: Workspace, draft: Draft, bits: Bits, source: Path) -> dict[str, object]:
    target = draft.target
    where = f"bids:raw:{target.image}"
    about: dict[str, object] = {
        "Type": KINDS.get(target.label, ("", "ROI"))[1],
        "SpatialReference": where,
        "Sources": [where],
        "SourceBlake2b": digest_file(source),
        "Rater": target.rater,
        "Repeat": target.repeat,
        "Confirmed": True,
        "Drawn": datetime.now(UTC).isoformat(timespec="seconds"),
        "Proposal": None,
        "GeneratedBy": [{"Name": "Falx", "Version": __version__, "Description": "falx desk"}],
    }
    if draft.proposal is not None:
        share = None
        with contextlib.suppress(FalxError):  # it is gone, or can no longer be brought here
            proposed, now = proposal_on(workspace, target)
            if now == draft.proposal and proposed.any():
                share = round(dice(proposed, bits), 4)
        about["Proposal"] = {**plain(draft.proposal), "dice": share}
    return about


def _write_both(
    path: Path, data: Bits, affine: npt.NDArray[np.float64], about: dict[str, object]
) -> None:
    """Write image and sidecar beside their places, then give both their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=PART[0], suffix=PART[1], dir=path.parent) as name:
        made = Path(name) / path.name
        save(made, data, affine, sidecar=about)
        for part in sorted(Path(name).iterdir()):
            flush(part)
        # The sidecar first: a mask never stands there as somebody else's.
        for suffix in (SIDECAR, ".nii.gz"):
            part = made.with_name(path.name.removesuffix(".nii.gz") + suffix)
            part.replace(path.with_name(part.name))
        flush(path.parent)


def _describe(workspace: Workspace, path: Path) -> None:
    """Describe the derivative dataset of a mask, if nobody has."""
    derivatives = workspace.bids / "derivatives"
    top = derivatives / path.relative_to(derivatives).parts[0] / "dataset_description.json"
    if not top.exists():
        write_json(top, description("desk", __version__, links={"raw": "../.."}))


def _unread(workspace: Workspace, target: MaskTarget, path: Path) -> tuple[str, ...]:
    """Say that the study will take another ablation than this, if it will."""
    if target.label != "ablation":
        return ()
    role = ROLES[target.rater, target.repeat]
    try:
        found = image_in_role(open_dataset(workspace), role, target.subject)
    except FalxError as error:
        return (str(error),)
    if found is not None and found.path == path:
        return ()
    name = "no mask" if found is None else found.path.name
    return (f"falx signature takes {name} instead of this; delete one of them.",)


def agreement(workspace: Workspace, target: MaskTarget) -> tuple[float | None, str]:
    """Return the Dice overlap of a second or repeated drawing with the first, and a sentence."""
    first = MaskTarget(target.subject, target.image, target.label)
    paths = mask_file(workspace, first), mask_file(workspace, target)
    if target == first or not all(path.is_file() for path in paths):
        return None, ""
    one, other = (load_mask(path) for path in paths)
    if one.data.shape != other.data.shape or not np.allclose(one.affine, other.affine, atol=1e-3):
        return None, "The two drawings lie on different images: the study compares them."
    with contextlib.suppress(InputError):  # both are empty
        found = dice(np.asarray(one.data), np.asarray(other.data))
        who = "your first drawing" if target.repeat else "the first rater's"
        return found, f"Dice with {who}: {found:.3f}.{_shared_start(*paths)}"
    return None, "Both drawings are empty."


def _shared_start(*paths: Path) -> str:
    """Say that two drawings went out from one proposal: it is a part of what they agree on."""
    starts = []
    for path in paths:
        sidecar = path.with_name(path.name.removesuffix(".nii.gz") + SIDECAR)
        content = read_json(sidecar) if sidecar.is_file() else {}
        starts.append((content.get("Proposal") or {}).get("blake2b"))
    if starts[0] is None or starts[0] != starts[1]:
        return ""
    return (
        " Both went out from the same proposal, so that a part of this agreement is the program's."
    )


@contextlib.contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Let one window at a time look at a mask and replace it, of this desk or another."""
    workspace.private.mkdir(parents=True, exist_ok=True)
    with (workspace.private / "masks.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
