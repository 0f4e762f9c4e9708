"""The page Draw: masks by hand on any image of a patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from falx.core.errors import InputError
from falx.core.records import plain
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.carrying import carried, carried_canvas, from_query
from falx.desk.draft_files import discard, drafts, keep_draft, read_draft
from falx.desk.drawing import KINDS, Bits, Draft, MaskTarget, pack, unpack
from falx.desk.mask_files import (
    OutdatedError,
    agreement,
    canvas,
    drawables,
    find_proposal,
    grid_of,
    image_of,
    mask_file,
    people,
    proposal_on,
    read_mask,
    save_mask,
)
from falx.desk.proposing import Wanted, order_of
from falx.desk.running import begun
from falx.desk.workspace import Workspace
from falx.engine.digest import digest_file
from falx.images.between import Filled, fill_between

__all__ = ["ROUTES"]

T = TypeVar("T")


@dataclass(frozen=True)
class Start:
    """What a drawing begins from: ``"empty"``, ``"saved"``, ``"proposal"``, ``"draft"``."""

    target: MaskTarget
    kind: str
    window: str = ""


@dataclass(frozen=True)
class Gap:
    """Which slices are to be filled: across which axis, and how far apart drawn ones may lie."""

    target: MaskTarget
    axis: int
    furthest_mm: float


async def apart(work: Callable[..., T], *words: Any) -> T:
    """Do what takes longer than a moment beside the server's loop."""
    return await run_in_threadpool(work, *words)


async def patients(request: Request) -> JSONResponse:
    """List the patients of the dataset."""
    return answer({"patients": await apart(people, workspace_of(request))})


async def images(request: Request) -> JSONResponse:
    """List what can be drawn on, and the kinds of masks."""
    found = await apart(drawables, workspace_of(request), request.path_params["subject"])
    kinds = [{"label": label, "title": title} for label, (title, _) in KINDS.items()]
    return answer({"images": [plain(one) for one in found], "kinds": kinds})


async def opened(request: Request) -> JSONResponse:
    """Say what there is of a mask: the grid, what is saved, drafts, a proposal."""
    target = await asked(request, MaskTarget)
    return answer(await apart(_opened, workspace_of(request), target))


def _opened(workspace: Workspace, target: MaskTarget) -> dict[str, object]:
    image = image_of(workspace, target)
    path = mask_file(workspace, target)
    digest = digest_file(path) if path.is_file() else ""
    try:
        why, proposal = "", find_proposal(workspace, target)
    except InputError as error:
        why, proposal = str(error), None
    return {
        "title": image.title,
        "digest": digest,
        "drafts": [plain(one) for one in drafts(workspace, target)],
        "proposal": None if proposal is None else plain(proposal),
        "noProposal": why,
    }


async def grey(request: Request) -> Response:
    """Send the greys of an image, uint16 of little end, the first axis fastest."""
    target = from_query(request, MaskTarget)
    return await apart(_grey, workspace_of(request), target)


def _grey(workspace: Workspace, target: MaskTarget) -> Response:
    return carried_canvas(canvas(workspace, target))


async def start(request: Request) -> Response:
    """Send what a drawing begins from."""
    return await apart(_start, workspace_of(request), from_query(request, Start))


def _start(workspace: Workspace, wanted: Start) -> Response:
    target, proposal = wanted.target, None
    bits: Bits | None
    saved, base = read_mask(workspace, target)
    if wanted.kind == "draft":
        draft, packed = read_draft(workspace, target, wanted.window)
        return carried(packed, draft)
    if wanted.kind == "proposal":
        bits, proposal = proposal_on(workspace, target)
    else:
        bits = saved if wanted.kind == "saved" else None
    if bits is None:
        bits = np.zeros(grid_of(workspace, target).shape, bool)
    return carried(pack(bits), {"base": base, "proposal": plain(proposal) if proposal else None})


async def draft_kept(request: Request) -> JSONResponse:
    """Keep a draft."""
    draft, body = from_query(request, Draft), await request.body()
    return answer(await apart(_kept, workspace_of(request), draft, body))


def _kept(workspace: Workspace, draft: Draft, packed: bytes) -> Draft:
    return keep_draft(workspace, draft, packed, grid_of(workspace, draft.target).shape)


async def draft_gone(request: Request) -> JSONResponse:
    """Discard a draft."""
    wanted = from_query(request, Start)
    await apart(discard, workspace_of(request), wanted.target, wanted.window)
    return answer({})


async def proposed(request: Request) -> JSONResponse:
    """Start the proposal of an ablation."""
    wanted, workspace = await asked(request, Wanted), workspace_of(request)
    return answer(await apart(begun, workspace, await apart(order_of, workspace, wanted)))


async def saved(request: Request) -> JSONResponse:
    """Save a mask; what another window saved in between is not overwritten."""
    draft, body = from_query(request, Draft), await request.body()
    try:
        return answer(await apart(_saved, workspace_of(request), draft, body))
    except OutdatedError as error:
        return JSONResponse({"error": str(error)}, status_code=409)


def _saved(workspace: Workspace, draft: Draft, packed: bytes) -> dict[str, object]:
    bits = unpack(packed, grid_of(workspace, draft.target).shape)
    try:
        found = save_mask(workspace, draft, bits)
    except OutdatedError:
        _kept(workspace, draft, packed)
        raise
    discard(workspace, draft.target, draft.window)
    overlap, words = agreement(workspace, draft.target)
    return {**plain(found), "dice": overlap, "agreement": words}


async def filled(request: Request) -> Response:
    """Fill between drawn slices, and say what could not be."""
    gap, body = from_query(request, Gap), await request.body()
    return await apart(_filled, workspace_of(request), gap, body)


def _filled(workspace: Workspace, gap: Gap, packed: bytes) -> Response:
    bits = unpack(packed, grid_of(workspace, gap.target).shape)
    made = fill_between(
        bits, gap.axis, grid_of(workspace, gap.target).voxel_sizes_mm, furthest_mm=gap.furthest_mm
    )
    return carried(pack(made.mask), {"slices": len(made.slices), "notices": _words(made, gap)})


def _words(made: Filled, gap: Gap) -> list[str]:
    """Say what was not filled, in slices counted from one as the page does."""
    far = [f"{a + 1} and {b + 1}" for a, b in made.too_far]
    split = [f"{a + 1} and {b + 1}" for a, b in made.apart]
    words = []
    if far:
        words.append(
            f"Left alone: slices {', '.join(far)} lie more than {gap.furthest_mm:g} mm apart."
        )
    if split:
        words.append(
            f"The shapes of slices {', '.join(split)} hardly overlap, so that some slices between "
            "stay empty; draw one of them."
        )
    return words


ROUTES = [
    Route("/api/draw/patients", patients),
    Route("/api/draw/images/{subject}", images),
    Route("/api/draw/open", opened, methods=["POST"]),
    Route("/api/draw/grey", grey),
    Route("/api/draw/start", start),
    Route("/api/draw/draft", draft_kept, methods=["PUT"]),
    Route("/api/draw/draft", draft_gone, methods=["DELETE"]),
    Route("/api/draw/propose", proposed, methods=["POST"]),
    Route("/api/draw/save", saved, methods=["POST"]),
    Route("/api/draw/fill", filled, methods=["POST"]),
]
