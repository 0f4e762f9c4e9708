"""Choices among files as other BIDS-Apps take them: session labels and a filter file.

The filter file is that of fMRIPrep (``--bids-filter-file``): image, then entity by its long name
and value, ``{"t1w": {"session": "01", "acquisition": null}}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from falx.bids.entities import ENTITY_ORDER
from falx.bids.query import Filter
from falx.core.errors import InputError, OptionError, nearest
from falx.core.study import RawInput

__all__ = ["filters_of", "session_filters"]

LONG_NAMES = {
    "session": "ses", "acquisition": "acq", "tracer": "trc", "reconstruction": "rec",
    "direction": "dir", "ceagent": "ce", "resolution": "res", "segmentation": "seg",
    "description": "desc", "hemisphere": "hemi", "modality": "mod", "processing": "proc",
}  # fmt: skip
"""Long names of entities, as filter files write them, to the short ones of file names."""

POSTOP = "postop"


def session_filters(
    labels: Sequence[str], raw: Mapping[str, RawInput], given: Iterable[Filter] = ()
) -> list[Filter]:
    """Return a filter for every image that is not post-operative, sessions by preference.

    Parameters
    ----------
    labels
        With or without ``ses-``.
    raw
        Images of the study by role.
    given
        Filters that name a session themselves; their images are left alone.
    """
    own = {one.role for one in given if one.key == "ses"}
    return [
        Filter(role, "ses", label.removeprefix("ses-"))
        for role, wanted in raw.items()
        if not wanted.dataset_file and POSTOP not in wanted.sessions and role not in own
        for label in labels
    ]


def filters_of(content: object, raw: Mapping[str, RawInput], *, where: str) -> list[Filter]:
    """Return the filters that the content of a filter file asks for.

    Raises
    ------
    OptionError
        If it names an image that the study does not read, or asks it to be of another kind.
    """
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise InputError(
            "a filter file maps images to entities and values",
            where=where,
            do='write for example {"t1w": {"session": "01"}}',
        )
    return [
        one
        for role, wanted in content.items()
        for one in _of_image(_role(role, raw, where), wanted, raw, where)
    ]


def _role(name: str, raw: Mapping[str, RawInput], where: str) -> str:
    if name in raw:
        return name
    near = nearest(name, raw)
    hint = f"did you mean {near!r}? " if near else ""
    raise OptionError(
        f"the study reads no image called {name!r}",
        where=where,
        do=f"{hint}the images are {', '.join(raw)}",
    )


def _of_image(
    role: str, wanted: Mapping[str, object], raw: Mapping[str, RawInput], where: str
) -> Iterator[Filter]:
    for name, value in wanted.items():
        if name in ("suffix", "datatype"):
            has = getattr(raw[role], name)
            if value != has:
                raise OptionError(
                    f"the {name} of {role} cannot be changed", where=where, found=repr(value),
                    do=f"it is {has!r}",
                )  # fmt: skip
            continue
        key = LONG_NAMES.get(name, name)
        if key not in ENTITY_ORDER:
            raise OptionError(
                f"{name!r} is no entity of BIDS", where=f"{where}, {role}",
                do="use names such as session, run, acquisition or task",
            )  # fmt: skip
        values = value if isinstance(value, list) and key == "ses" else [value]
        for one in values:
            if isinstance(one, bool) or not (one is None or isinstance(one, str | int)):
                raise OptionError(
                    f"the value of {name} must be a text or null",
                    where=f"{where}, {role}",
                    found=repr(one),
                )
            text = None if one is None else str(one).removeprefix(f"{key}-")
            yield Filter(role, key, text)
