"""Typed records and the JSON that stages hand to each other.

A stage writes a frozen dataclass and the next one reads the same class, so that a key that was
renamed fails where it is written and not where it is missed. JSON has no NaN: what is not
finite becomes null and comes back as NaN where a number is expected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from falx.core.errors import InputError
from falx.core.possible import check_possible

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["name_alone", "plain", "record_of"]

T = TypeVar("T")


@cache
def _converter() -> Converter:
    import numpy as np
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=False)
    converter.register_structure_hook(float, lambda v, _: math.nan if v is None else float(v))
    # Whatever it is, as JSON holds it; by identity, for every class is a subclass of it.
    converter.register_structure_hook_func(lambda kind: kind is object, lambda v, _: v)
    converter.register_structure_hook_func(_is_array, lambda v, _: np.asarray(v, dtype=float))
    converter.register_unstructure_hook_func(_is_array, lambda v: v.tolist())
    return converter


def _is_array(kind: Any) -> bool:
    """Whether a type is numpy's array, with or without the type of its values."""
    import numpy as np

    return kind is np.ndarray or get_origin(kind) is np.ndarray


def plain(record: Any) -> Any:
    """Return a record as mappings, lists and plain values that JSON can hold.

    Raises
    ------
    QualityError
        If a number of the record is one that cannot be; see :mod:`falx.core.possible`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Volume:
    ...     volume_mm3: float
    >>> plain(Volume(3.5))
    {'volume_mm3': 3.5}
    """
    for one in record if isinstance(record, list | tuple) else [record]:
        check_possible(one)
    return _converter().unstructure(record)


def name_alone(value: object) -> object:
    """Return a value; of a whole path its name alone, which tells nothing of a machine.

    Examples
    --------
    >>> name_alone(["/home/ada/allen", "~/normal.tsv", "cortex", "~ group + age"])
    ('allen', 'normal.tsv', 'cortex', '~ group + age')
    """
    if isinstance(value, list | tuple):
        return tuple(name_alone(item) for item in value)
    if isinstance(value, str) and value.startswith(("/", "~/")):
        return PurePosixPath(value).name or value
    return value


def record_of(kind: type[T], content: Mapping[str, object], *, where: str) -> T:
    """Return the record that some JSON content holds.

    Parameters
    ----------
    kind
        A dataclass; its fields name the keys. Keys that it does not know are left alone.
    where
        Name of the file, for sentences.

    Raises
    ------
    InputError
        If a key is missing, or holds something else or a number that cannot be; the sentence
        names it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Volume:
    ...     volume_mm3: float
    >>> record_of(Volume, {"volume_mm3": None}, where="volumes.json")
    Volume(volume_mm3=nan)
    """
    from cattrs.errors import BaseValidationError
    from cattrs.v import transform_error

    try:
        record = _converter().structure(content, kind)
        check_possible(record, where=where)
        return record
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        wrong = transform_error(error, path=kind.__name__)
        raise InputError(
            "the record is not what this version of Falx writes",
            where=where,
            found="; ".join(wrong[:3]),
            do="run the step that wrote it again",
        ) from None
