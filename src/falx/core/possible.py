"""What a measured number can be, declared once, in the type of the field that holds it.

A field of a record is a :data:`Share` or an :data:`AsymmetryIndex` rather than a float; to a type
checker it stays one. Whoever writes or reads a record (:mod:`falx.core.records`) calls
:func:`check_possible`, so that no stage hands on what cannot be. What is not measured, None or
NaN, passes: it is said elsewhere why.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from falx.core.errors import QualityError

__all__ = [
    "Amount",
    "Angle",
    "AsymmetryIndex",
    "BodyMm3",
    "BrainMl",
    "BrainMm3",
    "HemisphereMm3",
    "MutualInformation",
    "Percent",
    "Possible",
    "Probability",
    "Share",
    "check_possible",
]

ROUNDING = 1e-6
"""By this much of the range a sum of single-precision numbers may pass its end."""


@dataclass(frozen=True)
class Possible:
    """The range of a number.

    Parameters
    ----------
    low, high
        Both are possible themselves.
    unit
        For sentences.
    """

    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if math.isinf(self.high):
            return f"{self.low:g}{unit} and more is possible"
        return f"{self.low:g} to {self.high:g}{unit} is possible"

    def wrong(self, value: Any) -> float | None:
        """Return the first number beyond the range, None if there is none.

        Parameters
        ----------
        value
            A number, or an array of any shape.

        Examples
        --------
        >>> Possible(0, 1).wrong(1.5), Possible(0, 1).wrong(float("nan"))
        (1.5, None)
        """
        margin = ROUNDING * (self.high - self.low) if math.isfinite(self.high) else ROUNDING
        if hasattr(value, "shape") and value.shape:
            beyond = value[(value < self.low - margin) | (value > self.high + margin)]
            return float(beyond.ravel()[0]) if beyond.size else None
        low, high = self.low - margin, self.high + margin
        return float(value) if value < low or value > high else None

    def check(self, what: str, value: Any, *, where: object = None) -> None:
        """Raise :class:`QualityError` if a number, or one of an array, cannot be."""
        beyond = self.wrong(value)
        if beyond is not None:
            raise QualityError(
                f"{what} came out as a number that is not possible",
                where=where,
                found=f"{beyond:.6g}; {self}",
                do="nothing was kept; look at the images and the notices of the steps before",
            )


Share = Annotated[float, Possible(0, 1)]
"""Part of a whole: an ablative rate, a Dice overlap, Kendall's W."""
Probability = Annotated[float, Possible(0, 1)]
"""P, Q, an area under a curve, a sensitivity, and their limits of confidence."""
Percent = Annotated[float, Possible(0, 100, "%")]
AsymmetryIndex = Annotated[float, Possible(-2, 2)]
"""2 (a - b) / (a + b) of two amounts, which are not negative."""
Amount = Annotated[float, Possible(0, math.inf)]
"""What cannot be negative: a distance, a standard deviation, a standard error."""
Angle = Annotated[float, Possible(0, 180, "°")]
BodyMm3 = Annotated[float, Possible(0, 2e7, "mm³")]
"""Volume of anything in the field of view."""
BrainMm3 = Annotated[float, Possible(0, 3.5e6, "mm³")]
"""Volume inside a skull; that of adults reaches 2 litres."""
BrainMl = Annotated[float, Possible(0, 3.5e3, "ml")]
HemisphereMm3 = Annotated[float, Possible(0, 1.75e6, "mm³")]
"""Volume inside one half of a skull."""
MutualInformation = Annotated[float, Possible(1, 2)]
"""Normalised mutual information of Studholme."""


def check_possible(record: Any, *, where: object = None) -> None:
    """Raise unless every number of a record, and of the records in it, can be.

    Parameters
    ----------
    record
        A dataclass; others pass. Fields that its property ``unbounded`` names pass as well, where
        it has one: a choice of the user may make a number something else.

    Raises
    ------
    QualityError
        The sentence names the field, the number and the range.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Rate:
    ...     rate: Share | None
    >>> check_possible(Rate(0.4))
    >>> try:
    ...     check_possible(Rate(1.4))
    ... except QualityError as error:
    ...     print(str(error).split(";")[0])
    rate came out as a number that is not possible (found: 1.4
    """
    for path, value, possible in _numbers(type(record), record, ""):
        possible.check(path, value, where=where)


def _numbers(kind: Any, value: Any, path: str) -> Iterator[tuple[str, Any, Possible]]:
    """Every number with a range, with the way to it, as ``rates.default.hippocampus.rate``."""
    if value is None or not _concerns(kind):
        return
    if typing.get_origin(kind) is Annotated:
        kind, *declared = typing.get_args(kind)
        yield from ((path, value, one) for one in declared if isinstance(one, Possible))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for arm in typing.get_args(kind):
            yield from _numbers(arm, value, path)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        free = getattr(value, "unbounded", ())
        for name, hint in _hints(type(value)).items():
            if name in free:
                continue
            yield from _numbers(hint, getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, Mapping):
        inner = typing.get_args(kind)[1]
        for key, item in value.items():
            yield from _numbers(inner, item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, tuple | list):
        yield from _items(kind, value, path)


def _items(kind: Any, values: Any, path: str) -> Iterator[tuple[str, Any, Possible]]:
    arguments = typing.get_args(kind)
    fixed = len(arguments) == len(values) and Ellipsis not in arguments and len(arguments) > 1
    inner = arguments if fixed else [arguments[0]] * len(values)
    for place, (one, item) in enumerate(zip(inner, values, strict=True)):
        yield from _numbers(one, item, f"{path}.{place}".lstrip("."))


@cache
def _hints(kind: type[Any]) -> dict[str, object]:
    """Types of the fields of a dataclass that hold numbers with a range."""
    hints = typing.get_type_hints(kind, include_extras=True)
    names = [item.name for item in dataclasses.fields(kind)]
    return {name: hints[name] for name in names if _concerns(hints[name])}


def _concerns(kind: Any) -> bool:
    """Whether values of a type can hold numbers with a range."""
    if typing.get_origin(kind) is Annotated:
        return True
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return True
    return any(_concerns(argument) for argument in typing.get_args(kind))
