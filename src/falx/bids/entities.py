"""File names to entities and back, in the order of the BIDS specification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType

from falx.core.errors import InputError

__all__ = ["DATATYPES", "ENTITY_ORDER", "BidsName", "format_name", "parse_name", "same_value"]

ENTITY_ORDER: tuple[str, ...] = (
    "sub", "tpl", "ses", "cohort", "sample", "from", "to", "mode",
    "task", "tracksys", "acq", "nuc", "voi", "ce",
    "trc", "stain", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc",
    "hemi", "space", "split", "recording", "chunk", "atlas", "seg", "scale", "res", "den",
    "label", "desc",
)  # fmt: skip
"""Short keys in the order in which a file name carries them (BIDS 1.11, rules/entities).

``from``, ``to`` and ``mode`` are those of the BIDS extension for transforms (BEP 14)."""

DATATYPES: tuple[str, ...] = (
    "anat", "beh", "dwi", "eeg", "fmap", "func", "ieeg", "meg", "micr", "motion", "mrs", "nirs",
    "perf", "pet", "phenotype",
)  # fmt: skip
"""Names of the folders in which the files of a subject or session lie."""

_RANK = {key: rank for rank, key in enumerate(ENTITY_ORDER)}
_PAIR = re.compile(r"([a-zA-Z]+)-([a-zA-Z0-9+]+)")
_SUFFIX = re.compile(r"[a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class BidsName:
    """A file name, taken apart.

    Parameters
    ----------
    entities
        Short key to value, in the order of the name: ``{"sub": "07", "trc": "FDG"}``.
    suffix
        The last word: ``"pet"``.
    extension
        From the first dot on: ``".nii.gz"``.
    """

    entities: Mapping[str, str] = field(hash=False)
    suffix: str
    extension: str

    def __str__(self) -> str:
        words = [f"{key}-{value}" for key, value in self.entities.items()]
        return "_".join([*words, self.suffix]) + self.extension


def parse_name(path: str) -> BidsName | None:
    """Take the last part of a path apart; ``None`` where it does not follow BIDS.

    Examples
    --------
    >>> name = parse_name("sub-07/pet/sub-07_trc-FDG_pet.nii.gz")
    >>> dict(name.entities), name.suffix, name.extension
    ({'sub': '07', 'trc': 'FDG'}, 'pet', '.nii.gz')
    """
    stem, dot, rest = path.rpartition("/")[2].partition(".")
    *words, suffix = stem.split("_")
    entities: dict[str, str] = {}
    for word in words:
        pair = _PAIR.fullmatch(word)
        if pair is None or pair[1] in entities:
            return None
        entities[pair[1]] = pair[2]
    if not _SUFFIX.fullmatch(suffix) or not entities:
        return None
    return BidsName(MappingProxyType(entities), suffix, dot + rest)


def format_name(entities: Mapping[str, str], suffix: str, extension: str) -> str:
    """Put a file name together, with its entities in the order of the specification.

    Raises
    ------
    InputError
        If a key is not an entity of BIDS or a value holds anything but letters and digits.

    Examples
    --------
    >>> format_name({"desc": "AI", "sub": "07", "space": "T1w"}, "pet", ".nii.gz")
    'sub-07_space-T1w_desc-AI_pet.nii.gz'
    """
    for key, value in entities.items():
        if key not in _RANK:
            raise InputError(
                f"{key!r} is not an entity of BIDS", where=f"{key}-{value}",
                do="spell it as in file names, for example ses or run",
            )  # fmt: skip
        if not _PAIR.fullmatch(f"{key}-{value}"):
            raise InputError(
                f"the value of {key} must be letters and digits", found=repr(value),
                do="leave everything else out",
            )  # fmt: skip
    ordered = sorted(entities.items(), key=lambda pair: _RANK[pair[0]])
    return str(BidsName(dict(ordered), suffix, extension))


def same_value(key: str, a: str, b: str) -> bool:
    """Compare two values of an entity; indices such as run compare as numbers.

    Examples
    --------
    >>> same_value("run", "01", "1"), same_value("acq", "01", "1")
    (True, False)
    """
    if key in ("run", "echo", "flip", "inv", "split", "chunk") and a.isdigit() and b.isdigit():
        return int(a) == int(b)
    return a == b


def folder_of(entities: Mapping[str, str], datatype: str) -> PurePosixPath:
    """Return the folder in which a file with these entities lies.

    Examples
    --------
    >>> str(folder_of({"sub": "07", "ses": "preop"}, "anat"))
    'sub-07/ses-preop/anat'
    """
    parts = [f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities]
    return PurePosixPath(*parts, datatype)
