"""The output folder: what it must be before the first job, and what it says of itself."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from falx import __version__
from falx.bids.dataset import Dataset
from falx.bids.derivative import IGNORED, description, readme
from falx.core.disk import existing_parent, free_mb
from falx.core.errors import InputError, notify
from falx.core.files import write_text
from falx.engine.digest import read_private
from falx.engine.job import Job

__all__ = ["LAYOUT", "check_folder", "check_space", "keep_text", "prepare_folder"]

LAYOUT = 2
"""Raised when the engine's own files change so that an older or newer Falx misreads them."""


class _Made(NamedTuple):
    """What an output folder says of its making."""

    study: str
    falx: str = __version__
    layout: int = LAYOUT


def check_folder(out: Path, bids: Path | None, study: str) -> None:
    """Raise unless the folder can take the outputs of a study; nothing is written.

    Raises
    ------
    InputError
        If it lies inside the dataset or the other way round, cannot be written, holds
        something else, another study, or a folder laid out by another version of Falx.

    Notes
    -----
    A folder that another version of Falx made in the same layout is a notice: stages whose
    version was raised since are done again.
    """
    real = out.resolve()
    dataset = real if bids is None else bids.resolve()
    outside = "give a folder outside, so that the dataset stays as it is"
    for inner, outer, what, do in (
        (real, dataset, "the output folder lies inside the BIDS folder", outside),
        (dataset, real, "the BIDS folder lies inside the output folder", "give an empty folder"),
    ):
        if bids is not None and inner.is_relative_to(outer):
            raise InputError(what, where=out, do=do)
    if out.exists() and not out.is_dir():
        raise InputError("the output folder is a file", where=out, do="give a folder")
    _check_writable(out)
    made = _made(out)
    if made is None:
        _check_empty(out)
    else:
        _check_made(out, made, study)


def prepare_folder(out: Path, study: str, dataset: Dataset | None = None) -> None:
    """Create the folder, readable by its owner only, and what describes it."""
    if not out.exists():
        out.mkdir(parents=True, mode=0o700)
    authors, links = ((), {}) if dataset is None else (dataset.authors, dataset.links(out))
    about = description(study, __version__, authors=authors, links=links)
    texts = {
        ".falx/folder.json": json.dumps(_Made(study)._asdict(), indent=1) + "\n",
        "dataset_description.json": json.dumps(about, indent=1) + "\n",
        "README.md": readme(study, __version__),
        ".bidsignore": "\n".join([".falx", ".snakemake", *IGNORED]) + "\n",
    }
    for name, text in texts.items():
        keep_text(out / name, text)


def keep_text(path: Path, text: str) -> None:
    """Write a file of the engine's own unless it holds this text."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text, durable=True)


def check_space(out: Path, jobs: Iterable[Job]) -> None:
    """Raise if the disk cannot take what the jobs will write by their stages' estimate."""
    needed_mb = sum(job.disk_mb for job in jobs)
    available_mb = free_mb(out)
    if needed_mb > available_mb:
        raise InputError(
            "there is not enough space on the disk of the output folder",
            where=out,
            found=f"{_size(available_mb)} free, about {_size(needed_mb)} needed",
            do="free some, or give another folder",
        )


def _size(mb: float) -> str:
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB"


def _check_writable(out: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=existing_parent(out), prefix=".falx-"):
            pass
    except OSError as error:
        raise InputError(
            "the output folder cannot be written",
            where=out,
            found=error.strerror,
            do="give a folder that you may write to",
        ) from None


def _check_empty(out: Path) -> None:
    if not out.is_dir():
        return
    with os.scandir(out) as entries:
        names = sorted(entry.name for entry in entries if entry.name != ".falx")
    if names:
        raise InputError(
            "the output folder is not empty and was not made by Falx",
            where=out,
            found=", ".join(names[:5]) + (" …" if len(names) > 5 else ""),
            do="give a new or empty folder",
        )


def _check_made(out: Path, made: _Made, study: str) -> None:
    if made.study not in (study, ""):
        raise InputError(
            "the output folder holds another study",
            where=out,
            found=f"falx {made.study}",
            do=f"give another folder for falx {study}",
        )
    if made.layout != LAYOUT:
        raise InputError(
            "the output folder was made by a version of Falx that lays it out differently",
            where=out,
            found=f"Falx {made.falx}; this is {__version__}",
            do=f"give a new folder, or go on with Falx {made.falx}",
        )
    if made.falx != __version__:
        notify(
            "the output folder was made by another version of Falx",
            where=out,
            found=f"{made.falx}; this is {__version__}",
            do="stages whose numbers changed since are done again, the others are kept",
        )


def _made(out: Path) -> _Made | None:
    """Return what a folder says of itself; power that is lost may damage the engine's own note."""
    note = out / ".falx" / "folder.json"
    content = read_private(note)
    try:
        return _Made(str(content["study"]), str(content["falx"]), int(content["layout"]))
    except (KeyError, TypeError, ValueError):
        if not note.exists():
            return None
    notify(
        "the note of the engine in the output folder is damaged and is written again",
        where=out,
        found=".falx/folder.json",
        do="falx verify says whether anything else is",
    )
    try:
        said = read_private(out / "dataset_description.json")["GeneratedBy"][0]["Description"]
        return _Made(str(said).removeprefix("falx "))
    except (KeyError, TypeError, IndexError):
        return _Made("")
