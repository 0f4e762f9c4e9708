"""Routes of the import: files in, what they seem to be, and into the dataset once confirmed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from falx.core.errors import FalxError, InputError, check_option, collect_notices
from falx.core.files import read_json, write_json
from falx.core.records import plain, record_of
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.cohort_table import add_person
from falx.desk.listing import subjects_of
from falx.desk.transfers import Transfer, open_transfer
from falx.desk.workspace import Workspace
from falx.images.nifti import load_header
from falx.studies.dicom_in.files import SLOTS, import_series, nifti_series
from falx.surgery.dicom.appearance import Appearance, appearance
from falx.surgery.dicom.completeness import Plane, Unreadable, check_whole
from falx.surgery.dicom.converted_series import Converted
from falx.surgery.dicom.files import convert, survey

__all__ = ["ROUTES"]

WHERE = "the import"
NOTE = "converted.json"
NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Series:
    """One series, as the page lists it.

    Parameters
    ----------
    index
        By which it is chosen.
    slot
        Where it seems to belong, empty: nowhere, or another is the better one.
    problem
        Why it cannot be taken; empty if it can.
    """

    index: int
    number: str
    description: str
    seems: Appearance
    slot: str
    size: str
    problem: str = ""


@dataclass(frozen=True)
class Found:
    """What the page asks the user to confirm."""

    series: tuple[Series, ...]
    slots: Mapping[str, str]
    suggestion: str
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """What the user confirmed: index of a series to key of a slot."""

    label: str
    slots: Mapping[str, str]
    side: str = ""


async def begin(request: Request) -> Response:
    """Open an import."""
    transfer = await run_in_threadpool(Transfer.new, workspace_of(request).private)
    return answer({"id": transfer.id})


async def upload(request: Request) -> Response:
    """Take one file."""
    transfer = _transfer(request)
    name = request.query_params.get("name", "")
    return answer({"bytes": await transfer.receive(name, request.stream())})


async def sort(request: Request) -> Response:
    """Answer with the series and what they seem to be."""
    workspace, transfer = workspace_of(request), _transfer(request)
    return answer(await run_in_threadpool(found_in, workspace, transfer))


async def store(request: Request) -> Response:
    """Write what was confirmed; the copies made for the import are deleted."""
    workspace, transfer = workspace_of(request), _transfer(request)
    choice = await asked(request, Choice)
    written, notices = await run_in_threadpool(_stored, workspace, transfer, choice)
    return answer({"written": list(written), "notices": list(notices), "label": _label(choice)})


async def discard(request: Request) -> Response:
    """Delete the copies."""
    await run_in_threadpool(_transfer(request).close)
    return answer({})


def found_in(workspace: Workspace, transfer: Transfer) -> Found:
    """Convert what has come in and judge every series."""
    with collect_notices() as notices:
        transfer.unpacked()
        converted = _converted(transfer)
        planes, unreadable = survey(transfer.files) if _has_dicom(transfer) else ((), ())
        series = [_judged(index, one, planes, unreadable) for index, one in enumerate(converted)]
    write_json(transfer.folder / NOTE, {"series": plain(list(converted))})
    taken = subjects_of(workspace.bids)
    suggestion = next(f"P{n:03}" for n in range(1, 10_000) if f"P{n:03}" not in taken)
    slots = {slot.key: slot.title for slot in SLOTS.values()}
    return Found(tuple(_placed(series)), slots, suggestion, tuple(notices))


def _judged(
    index: int, one: Converted, planes: Sequence[Plane], unreadable: Sequence[Unreadable]
) -> Series:
    """Say what a series seems to be, and whether it can be taken at all."""
    try:
        shape, affine = load_header(one.image)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if not _is_nifti(one):
            check_whole(planes, unreadable, one.number, where=WHERE)
    except FalxError as error:
        nothing = Appearance("", "cannot be taken")
        return Series(index, one.number, one.description, nothing, "", "", str(error))
    seems = appearance(one.description, one.sidecar, shape, [float(v) for v in spacing])
    size = " × ".join(map(str, shape)) + f" of {spacing.min():.2g} to {spacing.max():.2g} mm"
    return Series(index, one.number, one.description, seems, "", size)


def _placed(series: Sequence[Series]) -> list[Series]:
    """Give every slot the series that fits it best, at most one."""
    best: dict[str, Series] = {}
    for one in series:
        slot = _slot(one.seems)
        if slot and not one.problem:
            before = best.get(slot)
            if before is None or one.seems.score > before.seems.score:
                best[slot] = one
    chosen = {one.index: slot for slot, one in best.items()}
    return [replace(one, slot=chosen.get(one.index, "")) for one in series]


def _slot(seems: Appearance) -> str:
    if seems.role == "t1w" and seems.after:
        return "t1w-after-contrast" if seems.contrast else "t1w-after"
    return "" if seems.after else seems.role


def _converted(transfer: Transfer) -> tuple[Converted, ...]:
    """Return the series of DICOM files and NIfTI files alike."""
    shutil.rmtree(transfer.converted, ignore_errors=True)
    transfer.converted.mkdir(mode=0o700)
    niftis = [p for p in sorted(transfer.files.glob("*/*")) if p.name.endswith(NIFTI)]
    found = convert(transfer.files, transfer.converted) if _has_dicom(transfer) else ()
    taken = tuple(
        nifti_series(path, transfer.converted, f"n{k}", path.name.partition("_")[2])
        for k, path in enumerate(niftis, start=1)
    )
    if not found and not taken:
        raise InputError("nothing was given", do="choose a folder of DICOM files, or NIfTI files")
    return found + taken


def _has_dicom(transfer: Transfer) -> bool:
    return any(not p.name.endswith((*NIFTI, ".json")) for p in transfer.files.glob("*/*"))


def _is_nifti(series: Converted) -> bool:
    return Path(series.image).name.startswith("nifti-")


def _stored(
    workspace: Workspace, transfer: Transfer, choice: Choice
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write what was chosen, and the person's row."""
    label = _label(choice)
    note = transfer.folder / NOTE
    if not note.is_file():
        raise InputError("the series have not been read yet", do="choose the folder again")
    series = [record_of(Converted, one, where=WHERE) for one in read_json(note)["series"]]
    chosen: dict[str, Converted] = {}
    for index, slot in choice.slots.items():
        check_option("the place", slot, list(SLOTS))
        if slot in chosen:
            raise InputError(
                "two series were given one place", found=SLOTS[slot].title,
                do="leave one of them out",
            )  # fmt: skip
        if not index.isdecimal() or int(index) >= len(series):
            raise InputError(
                "there is no such series", found=ascii(index[:20]), do="reload the page"
            )
        chosen[slot] = series[int(index)]
    if choice.side:
        check_option("the side", choice.side, ["left", "right"])
    planes, unreadable = survey(transfer.files) if _has_dicom(transfer) else ((), ())
    written, notices = import_series(
        workspace.bids, label, chosen, planes, unreadable, where=WHERE
    )
    add_person(workspace.bids, label, {"side": choice.side} if choice.side else {})
    transfer.close()
    return tuple(path.relative_to(workspace.bids).as_posix() for path in written), notices


def _label(choice: Choice) -> str:
    label = choice.label.removeprefix("sub-")
    if not label.isalnum() or not label.isascii() or len(label) > 40:
        raise InputError(
            "the pseudonym must be letters and digits", found=ascii(choice.label[:40]),
            do="write for example P001",
        )  # fmt: skip
    return label


def _transfer(request: Request) -> Transfer:
    return open_transfer(workspace_of(request).private, request.path_params["transfer"])


ROUTES = [
    Route("/api/import/transfers", begin, methods=["POST"]),
    Route("/api/import/upload/{transfer}", upload, methods=["PUT"]),
    Route("/api/import/transfers/{transfer}/sort", sort, methods=["POST"]),
    Route("/api/import/transfers/{transfer}/store", store, methods=["POST"]),
    Route("/api/import/transfers/{transfer}", discard, methods=["DELETE"]),
]
