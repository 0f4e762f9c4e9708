"""The folders of a desk, and the only way from a text of the browser to a file in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from falx import __version__
from falx.bids.derivative import description
from falx.core.errors import InputError
from falx.core.files import write_json

__all__ = ["Workspace", "inside"]

LONGEST = 1000
"""Characters of a path that the browser may name."""


@dataclass(frozen=True)
class Workspace:
    """What a desk works on.

    Parameters
    ----------
    bids
        BIDS dataset of the patients.
    out
        Outputs of ``falx signature``.
    private
        The desk's own: uploads in progress, drafts, decisions, the record of runs.
    """

    bids: Path
    out: Path
    private: Path

    @classmethod
    def open(cls, folder: Path) -> Workspace:
        """Return the desk of a folder and make what is missing of it.

        Parameters
        ----------
        folder
            A BIDS dataset, whose desk then lies beside it in ``FOLDER-desk``, or a folder of
            desks: made if it is missing, with the dataset in ``bids``.

        Raises
        ------
        InputError
            If it is a file, or holds something else.
        """
        folder = folder.absolute()
        if folder.exists() and not folder.is_dir():
            raise InputError("the desk's folder is a file", where=folder, do="give a folder")
        beside = _is_dataset(folder)
        home = folder.with_name(f"{folder.name}-desk") if beside else folder
        if not beside:
            _check_ours(folder)
        bids = folder if beside else folder / "bids"
        made = cls(bids, home / "signature", home / "private")
        for path in (home, bids, made.private):
            path.mkdir(parents=True, mode=0o700, exist_ok=True)
        if not (bids / "dataset_description.json").exists():
            write_json(
                bids / "dataset_description.json",
                description("desk", __version__, dataset_type="raw"),
            )
        return made

    def inside(self, path_text: str, root: Path) -> Path:
        """Return the path that a text names below `root`; see :func:`inside`."""
        return inside(path_text, root)


def inside(path_text: str, root: Path) -> Path:
    """Return the path that a text names below a folder.

    Parameters
    ----------
    path_text
        Relative, with forward slashes.
    root
        The folder; links below it may point to other places in it.

    Raises
    ------
    InputError
        If the text leads elsewhere: upwards, from the root of the disk, to another drive, or
        through a link that leaves the folder.
    """
    parts = PurePosixPath(path_text).parts
    strange = (
        not path_text
        or len(path_text) > LONGEST
        or any(ord(letter) < 32 or letter in '\\:*?"<>|' for letter in path_text)
        or path_text.startswith("/")
        or ".." in path_text.split("/")
        or not parts
    )
    path = root.joinpath(*parts)
    if strange or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise InputError(
            "the path leads out of the desk's folders",
            found=ascii(path_text[:80]),
            do="choose a file that the desk lists",
        )
    return path


def _is_dataset(folder: Path) -> bool:
    return (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*/"))


def _check_ours(folder: Path) -> None:
    """Refuse a folder that holds something else: its files would be mixed with the desk's."""
    if not folder.is_dir() or (folder / "bids").is_dir():
        return
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if names:
        raise InputError(
            "the folder holds neither a BIDS dataset nor a desk",
            where=folder,
            found=", ".join(names[:5]) + (" …" if len(names) > 5 else ""),
            do="give a BIDS dataset or a new folder, and import the images from the page",
        )
