"""The page Genes: a run of ``falx genes`` on any map, with files of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from filecmp import cmp
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from falx.core.errors import InputError, check_option
from falx.data.enigma import SYNDROMES
from falx.desk import running
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.processes import Run
from falx.desk.running import begun
from falx.desk.studies import GENES, STUDIES, out_of
from falx.desk.transfers import open_transfer
from falx.desk.workspace import Workspace, inside

__all__ = ["ROUTES", "Materials", "Question", "keep", "materials", "order_of"]

OWN = "files"
"""Folder of the user's own files, beside the outputs."""

EXAMPLE = "enigma:"
REPORT = "report.html"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")

MAPS = ("*_tmap.nii.gz", "*_zmap.nii.gz", "*_fmap.nii.gz", "*_profile.tsv")
"""Maps of a group level that a study of the desk has written, and their regional tables."""

PROFILE = "mean_t"
"""Column of values in the regional table of a group map."""

BLOCKS = ("", "cortex")


@dataclass(frozen=True)
class Materials:
    """What a run can be given.

    Parameters
    ----------
    maps
        What each map is called in a request, to its name for people.
    files
        The user's own files, and folders that hold an Allen download.
    done
        Names of the runs that have a page.
    folder
        Where one's own files lie.
    """

    maps: dict[str, str]
    files: tuple[str, ...]
    done: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class Question:
    """What the page asks for: files are named as :class:`Materials` lists them.

    Parameters
    ----------
    name
        Of the run, and of its folder.
    map
        The map, or the regional table.
    column
        Column of values in a table.
    atlas, labels
        Label volume that turns a map into regions, and the names of its labels.
    expression
        Region × gene table, or the folder of an Allen download.
    gene_sets
        GMT files.
    blocks
        ``"cortex"``, or all regions.
    """

    name: str
    map: str
    expression: str
    column: str = ""
    atlas: str = ""
    labels: str = ""
    gene_sets: tuple[str, ...] = ()
    blocks: str = ""


async def shown(request: Request) -> Response:
    """Answer with what a run can be given."""
    return answer(await run_in_threadpool(materials, workspace_of(request)))


async def kept(request: Request) -> Response:
    """Keep files that were sent, for this run and later ones."""
    workspace = workspace_of(request)
    await run_in_threadpool(keep, workspace, request.path_params["transfer"])
    return answer(await run_in_threadpool(materials, workspace))


async def ordered(request: Request) -> Response:
    """Start a run."""
    workspace, question = workspace_of(request), await asked(request, Question)
    order = await run_in_threadpool(order_of, workspace, question)
    return answer(await run_in_threadpool(begun, workspace, order))


def materials(workspace: Workspace) -> Materials:
    """List maps, the user's own files, and earlier runs."""
    top = out_of(workspace, GENES)
    own = top / OWN
    own.mkdir(parents=True, exist_ok=True)
    maps = {f"{EXAMPLE}{key}": f"{title} (ENIGMA-Epilepsy)" for key, title in SYNDROMES.items()}
    for study in STUDIES:
        for path in _written(out_of(workspace, study)):
            maps[f"{study}/{path}"] = f"{Path(path).name} ({study})"
    files = tuple(sorted(path.name for path in own.iterdir() if not path.name.startswith(".")))
    done = tuple(sorted(path.parent.name for path in top.glob(f"*/{REPORT}")))
    maps |= {f"{OWN}/{name}": f"{name} (my file)" for name in files}
    return Materials(maps, files, done, str(own))


def _written(out: Path) -> Iterator[str]:
    for pattern in MAPS:
        for path in sorted((out / "group").glob(pattern)):
            yield path.relative_to(out).as_posix()


def keep(workspace: Workspace, transfer_id: str) -> None:
    """Move files that were sent to the user's own.

    Raises
    ------
    InputError
        If another file of that name is there: a run that used it could not be repeated. Then
        none of the files is kept.
    """
    transfer = open_transfer(workspace.private, transfer_id)
    own = out_of(workspace, GENES) / OWN
    own.mkdir(parents=True, exist_ok=True)
    try:
        sent: dict[str, Path] = {}
        for path in sorted(transfer.files.glob("*/*")):
            name = path.name.partition("_")[2]
            for other in (own / name, *(sent[key] for key in sent if key == name)):
                if other.exists() and not (other.is_file() and cmp(other, path, shallow=False)):
                    raise InputError(
                        "there is another file of this name", found=name or "no letters",
                        do="give yours another name",
                    )  # fmt: skip
            sent[name] = path
        for name, path in sent.items():
            path.replace(own / name)
    finally:
        transfer.close()


def order_of(workspace: Workspace, question: Question) -> Run:
    """Return the command of a question.

    Raises
    ------
    InputError
        If a file is not one of those that are listed, or the name is taken.
    """
    top = out_of(workspace, GENES)
    if NAME.fullmatch(question.name) is None or question.name == OWN:
        raise InputError(
            "a run is called by letters, digits, - and _", found=ascii(question.name[:40]),
            do="write for example epilepsy-d",
        )  # fmt: skip
    if (top / question.name / REPORT).exists():
        raise InputError(
            "there is a run of this name already", found=question.name, do="choose another name"
        )
    words = [*running.PROGRAM[:-1], "genes", _map(workspace, question.map)]
    words += ["--out", str((top / question.name).absolute())]
    column = question.column or (PROFILE if question.map.endswith("_profile.tsv") else "")
    words += [f"--column={_word(column)}"] if column else []
    for option in ("atlas", "labels", "expression"):
        name = getattr(question, option)
        words += [f"--{option}={_own(workspace, name)}"] if name else []
    sets = [_own(workspace, name) for name in question.gene_sets]
    words += ["--gene-sets", *sets] if sets else []
    if check_option("the regions", question.blocks, list(BLOCKS)):
        words += ["--blocks", question.blocks]
    page = f"{question.name}/{REPORT}"
    title = f"genes behind {question.name}"
    return Run("", title, "genes", (), tuple(words), "", study=GENES, page=page)


def _word(text: str) -> str:
    if len(text) > 100 or any(ord(letter) < 32 for letter in text):
        raise InputError(
            "the name of a column is one short line", found=ascii(text[:40]),
            do="give the header as it stands in the table",
        )  # fmt: skip
    return text.strip()


def _own(workspace: Workspace, name: str) -> str:
    path = inside(name, out_of(workspace, GENES) / OWN)
    if "/" in name or not path.exists():
        raise InputError("there is no such file", found=ascii(name[:60]), do="add it first")
    return str(path.absolute())


def _map(workspace: Workspace, name: str) -> str:
    kind, _, rest = name.partition("/")
    if name.startswith(EXAMPLE):
        check_option("the map", name, [f"{EXAMPLE}{key}" for key in SYNDROMES])
        return name
    if kind == OWN:
        return _own(workspace, rest)
    check_option("the map's folder", kind, list(STUDIES))
    out = out_of(workspace, kind)
    if rest not in _written(out):
        raise InputError("there is no such map", found=ascii(name[:60]), do="choose one")
    return str((out / rest).absolute())


ROUTES = [
    Route("/api/genes", shown),
    Route("/api/genes/files/{transfer}", kept, methods=["POST"]),
    Route("/api/genes/runs", ordered, methods=["POST"]),
]
