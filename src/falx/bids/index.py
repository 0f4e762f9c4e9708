"""An index of a BIDS dataset: read when asked, one subject at a time, with plain errors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from falx.bids.entities import DATATYPES, BidsName, parse_name, same_value
from falx.core.errors import InputError
from falx.core.files import read_json

__all__ = ["BidsFile", "Index"]

_SHOWN = 12

_DEEPEST = 3
"""Slashes in ``sub-01/ses-preop/anat``, and one more for folders of another making."""


@dataclass(frozen=True, slots=True)
class BidsFile:
    """A file of the dataset.

    Parameters
    ----------
    path
        Relative to the dataset, with forward slashes.
    datatype
        Folder it lies in: ``"anat"``; empty outside such a folder.
    name
        Its name, taken apart.
    """

    path: str
    datatype: str
    name: BidsName


class Index:
    """The subjects and files of one dataset.

    Parameters
    ----------
    root
        Folder of the dataset.

    Notes
    -----
    Folders are listed once, when they are first asked for. Names that do not follow BIDS
    are passed over; they are named when nothing else fits.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        if not self.root.is_dir():
            raise InputError(
                "there is no such BIDS folder", where=root,
                do="give the folder of the dataset, in which the sub-… folders lie",
            )  # fmt: skip
        self._files: dict[str, tuple[BidsFile, ...]] = {}

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Labels of all subjects, sorted.

        Raises
        ------
        InputError
            If there are none, or if two differ by upper and lower case only.
        """
        with listed(self.root) as entries:
            labels = sorted(
                entry.name[4:]
                for entry in entries
                if entry.name.startswith("sub-") and _is_folder(entry)
            )
        if not labels:
            raise InputError(
                "there are no subjects in the dataset",
                where=self.root.name,
                found="no folder called sub-…",
                do="give the folder that holds dataset_description.json and the sub- folders",
            )
        by_fold: dict[str, str] = {}
        for label in labels:
            twin = by_fold.setdefault(label.casefold(), label)
            if twin != label:
                raise InputError(
                    "two subjects differ by upper and lower case only",
                    where=self.root.name,
                    found=f"sub-{twin} and sub-{label}",
                    do="rename one of them",
                )
        return tuple(labels)

    def choose(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Return the subjects with these labels, or all; ``sub-`` in front is accepted."""
        wanted = [label.removeprefix("sub-") for label in labels]
        if not wanted:
            return self.subjects
        unknown = [label for label in wanted if label not in self.subjects]
        if unknown:
            known = ", ".join(self.subjects[:_SHOWN])
            more = len(self.subjects) - _SHOWN
            raise InputError(
                f"there is no subject {unknown[0]}",
                where=self.root.name,
                do=f"the subjects are {known}" + (f" and {more} more" if more > 0 else ""),
            )
        return tuple(sorted(set(wanted)))

    def files(self, subject: str) -> tuple[BidsFile, ...]:
        """Return every file of a subject whose name follows BIDS, sorted by path."""
        if subject not in self._files:
            found: list[BidsFile] = []
            _walk(self.root, f"sub-{subject}", "", found)
            found.sort(key=lambda file: file.path)
            for file in found:
                if file.name.entities.get("sub") != subject:
                    raise InputError(
                        "a file lies in the folder of another subject",
                        where=file.path,
                        do="move or rename it",
                    )
            self._files[subject] = tuple(found)
        return self._files[subject]

    def find(
        self,
        subject: str,
        *,
        suffix: str,
        datatype: str = "",
        sessions: Sequence[str | None] = (),
        entities: Mapping[str, str | None] | None = None,
        extensions: Sequence[str] = (".nii.gz", ".nii"),
    ) -> tuple[BidsFile, ...]:
        """Return the files that fit, from the first of `sessions` that has any.

        Parameters
        ----------
        sessions
            Labels by preference, ``None`` for files outside any session; empty: all.
        entities
            Values the name must carry; ``None`` as a value: the entity must be absent.
        """
        wanted = entities or {}
        fitting = [
            file
            for file in self.files(subject)
            if file.name.suffix == suffix
            and file.name.extension in extensions
            and (not datatype or file.datatype == datatype)
            and _carries(file.name.entities, wanted)
        ]
        if not sessions:
            return tuple(fitting)
        for session in sessions:
            here = tuple(f for f in fitting if f.name.entities.get("ses") == session)
            if here:
                return here
        return ()

    def sidecar(self, file: BidsFile) -> dict[str, object]:
        """Return the JSON metadata of a file by the inheritance principle.

        Sidecars lie beside the file or in a folder above it, have its suffix, and carry no
        entity that the file does not; values of a nearer sidecar, then of one with more
        entities, win.
        """
        metadata: dict[str, object] = {}
        folder = self.root
        for part in ("", *file.path.split("/")[:-1]):
            folder = folder / part
            for name in _sidecars_in(folder, file.name):
                metadata |= _read_sidecar(folder / name)
        return metadata


def _walk(root: Path, folder: str, datatype: str, found: list[BidsFile]) -> None:
    if folder.count("/") > _DEEPEST:
        raise InputError(
            "the folders lie too deep inside each other",
            where=root.name,
            found=folder,
            do="look for a link that leads back to a folder above it",
        )
    with listed(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{folder}/{entry.name}"
            if _is_folder(entry):
                inside = entry.name in DATATYPES
                if inside or entry.name.startswith("ses-"):
                    _walk(root, path, entry.name if inside else "", found)
            elif (name := parse_name(entry.name)) is not None:
                found.append(BidsFile(path, datatype, name))


def _carries(entities: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    for key, value in wanted.items():
        own = entities.get(key)
        if value is None or own is None:
            if own is not value:
                return False
        elif not same_value(key, own, value):
            return False
    return True


@contextmanager
def listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """List a folder, or say in a sentence why it cannot be."""
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise InputError(
            "the folder cannot be listed",
            where=folder.name,
            found=error.strerror,
            do="ask for access, or look for a link that leads nowhere or back to itself",
        ) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _sidecars_in(folder: Path, name: BidsName) -> list[str]:
    fitting: list[tuple[int, str]] = []
    with listed(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(".json"):
                continue
            stem = entry.name.removesuffix(".json")
            *words, suffix = stem.split("_")
            pairs = {tuple(word.partition("-")[::2]) for word in words}
            if suffix == name.suffix and pairs <= set(name.entities.items()):
                fitting.append((len(pairs), entry.name))
    return [name for _, name in sorted(fitting)]


def _read_sidecar(path: Path) -> dict[str, object]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(
            "the sidecar must hold an object", where=path.name,
            do="write names and values between { and }",
        )  # fmt: skip
    return content
