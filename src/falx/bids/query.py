"""The one file of a subject that plays a role; a clear question where several could."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from falx.bids.entities import ENTITY_ORDER, same_value
from falx.bids.index import BidsFile, Index
from falx.core.errors import InputError, OptionError
from falx.core.study import RawInput

__all__ = ["Filter", "Found", "find_one", "nearly", "parse_filter", "taken"]


@dataclass(frozen=True)
class Filter:
    """A choice among several files, from ``--filter``.

    Parameters
    ----------
    role
        Image concerned (``"t1w"``); empty: every image of which there are several.
    key, value
        Entity and what it must be; ``None``: it must be absent. Several sessions of one image
        are taken by preference.
    """

    role: str
    key: str
    value: str | None


@dataclass(frozen=True)
class Found:
    """A file that plays a role.

    Parameters
    ----------
    path
        Absolute.
    uri
        Where it lies in its dataset, without a path of this machine:
        ``"bids:raw:sub-07/anat/sub-07_T1w.nii.gz"``.
    index, file
        Where its sidecars can be asked for; ``None`` for files that do not follow BIDS.
    """

    path: Path
    uri: str
    index: Index | None = None
    file: BidsFile | None = None


def parse_filter(text: str, roles: Sequence[str]) -> Filter:
    """Read ``run=1`` or ``t1w.run=1``.

    Examples
    --------
    >>> parse_filter("t1w.run=1", ["t1w", "pet"])
    Filter(role='t1w', key='run', value='1')
    """
    name, equals, value = text.partition("=")
    role, dot, key = name.rpartition(".")
    if not equals or not value or (dot and role not in roles) or key not in ENTITY_ORDER:
        raise OptionError(
            "the filter is not understood",
            found=repr(text),
            do=f"write an entity and its value, as run=1 or {roles[0]}.run=1; the images are "
            f"{', '.join(roles)}",
        )
    if key == "ses" and not role:
        raise OptionError(
            "a session must be chosen for one image at a time",
            found=repr(text),
            do=f"write for example {roles[0]}.{text}",
        )
    return Filter(role, key, value.removeprefix(f"{key}-"))


def find_one(
    role: str,
    wanted: RawInput,
    subject: str,
    *,
    dataset: Index,
    derivatives: Sequence[Index] = (),
    own_derivatives: Sequence[Index] = (),
    filters: Sequence[Filter] = (),
) -> Found | None:
    """Return the file that plays a role, ``None`` where there is none.

    Parameters
    ----------
    derivatives
        Derivative datasets that the user names; they go first.
    own_derivatives
        Those in ``derivatives/`` of the dataset.

    Raises
    ------
    InputError
        If several files could play it; the text names the filters that choose one.
    """
    if wanted.dataset_file:
        return _file_of_dataset(wanted.dataset_file, dataset)
    wanted = _narrowed(wanted, [choice for choice in filters if choice.role == role])
    general = [choice for choice in filters if not choice.role]
    tiers = [derivatives, own_derivatives] if wanted.derivatives else [[dataset]]
    for tier in tiers:
        found = [
            file
            for index in tier
            if (file := _in_dataset(role, wanted, subject, index, general)) is not None
        ]
        if len(found) > 1:
            raise _which_dataset(wanted, subject, found)
        if found:
            return found[0]
    return None


def taken(
    inputs: Mapping[str, RawInput], images: Mapping[str, Mapping[str, Found | None]]
) -> tuple[str, ...]:
    """Say what is taken from which derivative dataset, and of how many subjects.

    Parameters
    ----------
    images
        Subject to role to what was found.
    """
    counts: dict[str, Counter[str]] = {}
    for files in images.values():
        for role, found in files.items():
            if found is not None and role in inputs and inputs[role].derivatives:
                dataset = found.uri.split(":")[1]
                counts.setdefault(dataset, Counter())[inputs[role].what] += 1
    return tuple(
        f"taken from {dataset}: " + ", ".join(f"{what} ({n})" for what, n in of.items())
        for dataset, of in sorted(counts.items())
    )


def _file_of_dataset(name: str, dataset: Index) -> Found | None:
    path = dataset.root / name
    return Found(path, f"bids:raw:{name}") if path.is_file() else None


def _in_dataset(
    role: str,
    wanted: RawInput,
    subject: str,
    index: Index,
    choices: Sequence[Filter],
) -> Found | None:
    name = index.root.name if wanted.derivatives else "raw"
    for pattern in wanted.patterns:
        relative = pattern.format(subject=subject)
        paths = sorted(path for path in index.root.glob(relative) if path.is_file())
        if len(paths) > 1:
            raise InputError(
                f"{len(paths)} files could be the {wanted.what}",
                where=f"sub-{subject}",
                found=", ".join(path.relative_to(index.root).as_posix() for path in paths[:4]),
                do="keep one of them in the derivative folder",
            )
        if paths:
            relative = paths[0].relative_to(index.root).as_posix()
            return Found(paths[0], f"bids:{name}:{relative}")
    if not wanted.suffix or not (index.root / f"sub-{subject}").is_dir():
        return None
    files = index.find(
        subject,
        suffix=wanted.suffix,
        datatype=wanted.datatype,
        sessions=wanted.sessions,
        entities=wanted.entities,
        extensions=wanted.extensions,
    )
    files = _broken_tie(_without(files, wanted), choices)
    if len(files) > 1:
        raise _which(role, wanted, subject, files)
    if not files:
        return None
    return Found(index.root / files[0].path, f"bids:{name}:{files[0].path}", index, files[0])


def nearly(wanted: RawInput, subject: str, dataset: Index) -> str:
    """Say why files that look like the wanted one are not taken; empty if there are none.

    Other advice may follow each clause.
    """
    clauses = []
    for file in dataset.files(subject):
        name, ending = file.name, file.name.extension
        elsewhere = wanted.sessions and name.entities.get("ses") not in wanted.sessions
        if name.suffix != wanted.suffix or ending == ".json" or elsewhere:
            continue
        if wanted.derivatives and "desc" in name.entities:  # a mask of something else
            continue
        lacking = [
            f"{key}-{value}"
            for key, value in wanted.entities.items()
            if value is not None and not same_value(key, name.entities.get(key, ""), value)
        ]
        if ending not in wanted.extensions:
            clauses.append(f"let {name} end in {' or '.join(wanted.extensions)}, or ")
        elif lacking:
            clauses.append(f"write {' and '.join(lacking)} into the name of {name}, or ")
    return "".join(clauses)


def _narrowed(wanted: RawInput, choices: Sequence[Filter]) -> RawInput:
    sessions = tuple(choice.value for choice in choices if choice.key == "ses")
    if sessions:
        wanted = replace(wanted, sessions=sessions)
    for choice in choices:
        if choice.key != "ses":
            wanted = replace(wanted, entities={**wanted.entities, choice.key: choice.value})
    return wanted


def _without(files: tuple[BidsFile, ...], wanted: RawInput) -> tuple[BidsFile, ...]:
    """Drop files that play another role, unless the user asked for them by name."""
    shunned = {k: v for k, v in wanted.without.items() if k not in wanted.entities}
    return tuple(
        file
        for file in files
        if not any(
            same_value(key, file.name.entities.get(key, ""), value)
            for key, values in shunned.items()
            for value in ((values,) if isinstance(values, str) else values)
        )
    )


def _broken_tie(files: tuple[BidsFile, ...], choices: Sequence[Filter]) -> tuple[BidsFile, ...]:
    """Keep the files that a filter without a role prefers, if it concerns these at all."""
    for choice in choices:
        if len(files) > 1 and any(choice.key in file.name.entities for file in files):
            files = tuple(file for file in files if _holds(choice, file))
    return files


def _holds(choice: Filter, file: BidsFile) -> bool:
    own = file.name.entities.get(choice.key)
    if choice.value is None or own is None:
        return own is None and choice.value is None
    return same_value(choice.key, own, choice.value)


def _which(role: str, wanted: RawInput, subject: str, files: Sequence[BidsFile]) -> InputError:
    names = ", ".join(file.path.rpartition("/")[2] for file in files)
    choices = _choices(files)
    do = "keep one of them"
    if choices:
        do = "choose one with " + " or ".join(f"--filter {role}.{c}" for c in choices)
    return InputError(
        f"{len(files)} files could be the {wanted.what}",
        where=f"sub-{subject}",
        found=names,
        do=do,
    )


def _which_dataset(wanted: RawInput, subject: str, found: Sequence[Found]) -> InputError:
    names = [file.uri.split(":")[1] for file in found]
    return InputError(
        f"{len(found)} derivative datasets hold the {wanted.what}",
        where=f"sub-{subject}",
        found=", ".join(names),
        do=f"choose one with --derivatives BIDS/derivatives/{names[0]}",
    )


def _choices(files: Sequence[BidsFile]) -> list[str]:
    """Return the shortest ``key=value`` list that tells the files apart, if one key can."""
    tables: list[Mapping[str, str]] = [file.name.entities for file in files]
    for key in ENTITY_ORDER:
        values = [table[key] for table in tables if key in table]
        if len(set(values)) == len(files):
            return [f"{key}={value}" for value in values]
    return []
