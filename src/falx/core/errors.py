"""One voice for everything that can be wrong with an input.

An error says *what* is wrong, *where*, what was *found* and what to *do*. A notice is the
same sentence for things that work can go on with; stages collect notices and the report
prints them.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "FalxError",
    "FalxNotice",
    "GridError",
    "InputError",
    "OptionError",
    "QualityError",
    "check_extra_library",
    "check_option",
    "check_range",
    "check_same_grid",
    "collect_notices",
    "extra_library",
    "nearest",
    "notify",
    "side_in",
]


Side = Literal["left", "right"]
_WORD = re.compile(r"[^\W_]+")
_SIDES: dict[Side, set[str]] = {"left": {"left", "l", "lh"}, "right": {"right", "r", "rh"}}
"""Words that state a side."""


class FalxError(Exception):
    """Base of every error that Falx raises about its input."""


class InputError(FalxError):
    """An input cannot be used.

    Parameters
    ----------
    what
        What is wrong, as a clause without a full stop.
    where
        The file, subject or argument concerned.
    found
        What was found there.
    do
        What the user can do about it.

    Examples
    --------
    >>> print(InputError("the PET image is empty", where="sub-07", found="all zeros",
    ...                  do="check the reconstruction"))
    sub-07: the PET image is empty (found: all zeros); check the reconstruction.
    """

    def __init__(
        self, what: str, *, where: object = None, found: object = None, do: str | None = None
    ) -> None:
        self.what, self.where, self.found, self.do = what, where, found, do
        super().__init__(_sentence(what, where, found, do))


class GridError(InputError):
    """Two images that must share a voxel grid do not, or a grid is impossible."""


class OptionError(InputError):
    """An option or configuration value is unknown or out of range."""


class QualityError(InputError):
    """A quality gate failed: the result exists but must not be used."""


class FalxNotice(UserWarning):
    """Work goes on, but the report must say this."""


def _sentence(what: str, where: object, found: object, do: str | None) -> str:
    text = f"{where}: {what}" if where is not None else what
    if found is not None:
        text += f" (found: {found})"
    if do is not None:
        text += f"; {do}"
    return text + "."


def notify(
    what: str, *, where: object = None, found: object = None, do: str | None = None
) -> None:
    """Issue a notice in the same form as an error."""
    warnings.warn(FalxNotice(_sentence(what, where, found, do)), stacklevel=2)


@contextmanager
def collect_notices() -> Iterator[list[str]]:
    """Collect the notices issued inside the block, in order and without repetition.

    Other warnings pass through unchanged.
    """
    notices: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FalxNotice)
        yield notices
    for warning in caught:
        if issubclass(warning.category, FalxNotice):
            text = str(warning.message)
            if text not in notices:
                notices.append(text)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known name most like a word, never one of a side that the word does not state.

    A wrong side that looks right is worse than no suggestion.

    Examples
    --------
    >>> nearest("left_hipocampus", ["left_hippocampus", "right_hippocampus"])
    'left_hippocampus'
    >>> nearest("lefft_hippocampus", ["right_hippocampus"]) is None
    True
    """
    side = side_in(word)
    options = [name for name in known if side_in(name) in (None, side)]
    near = difflib.get_close_matches(word, options, n=1, cutoff=cutoff)
    return near[0] if near else None


def side_in(name: str) -> Side | None:
    """Side that a name states by a word of its own, or ``None``.

    Examples
    --------
    >>> side_in("L_bankssts"), side_in("ctx-rh-insula"), side_in("Thalamus (right)")
    ('left', 'right', 'right')
    >>> side_in("lingual") is None, side_in("L_R_bridge") is None
    (True, True)
    """
    words = {word.lower() for word in _WORD.findall(name)}
    said = [side for side, names in _SIDES.items() if words & names]
    return said[0] if len(said) == 1 else None


def check_option(name: str, value: str, allowed: Iterable[str], *, where: str = "") -> str:
    """Return `value` if it is one of `allowed`, else raise and name the nearest.

    Examples
    --------
    >>> check_option("pvc", "mg3", ["none", "mg2", "mg3"])
    'mg3'
    """
    options = list(allowed)
    if value in options:
        return value
    near = nearest(str(value), options)
    hint = f"did you mean {near!r}? " if near else ""
    raise OptionError(
        f"unknown value for {name}",
        where=where,
        found=repr(value),
        do=f"{hint}choose one of {', '.join(map(repr, options))}",
    )


def check_range(
    name: str, value: float, low: float = -math.inf, high: float = math.inf, *, unit: str = ""
) -> float:
    """Return `value` if it is finite and lies in [low, high], else raise with the range."""
    if math.isfinite(value) and low <= value <= high:
        return value
    unit = f" {unit}" if unit else ""
    raise OptionError(
        f"{name} is out of range",
        found=f"{value}{unit}",
        do=f"give {range_words(low, high)}{unit}",
    )


def range_words(low: float, high: float) -> str:
    """Say a range in whole digits: a seed of 2147483647 must not read as 2.14748e+09.

    Examples
    --------
    >>> range_words(0, 2147483647), range_words(0, math.inf), range_words(-math.inf, math.inf)
    ('a value from 0 to 2147483647', 'a value of at least 0', 'a finite number')
    """
    if math.isfinite(low) and math.isfinite(high):
        return f"a value from {low:.10g} to {high:.10g}"
    if math.isfinite(low):
        return f"a value of at least {low:.10g}"
    return f"a value of at most {high:.10g}" if math.isfinite(high) else "a finite number"


def extra_library(name: str, *, extra: str, does: str) -> Any:
    """Return a library that an extra of the installation brings.

    Parameters
    ----------
    extra
        ``pip install 'falx[extra]'`` brings it.
    does
        What is done with it, for the sentence.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _not_installed(name, str(error.name), extra, does) from None


def check_extra_library(name: str, *, extra: str, does: str) -> None:
    """Raise as :func:`extra_library` does, without loading the library."""
    if importlib.util.find_spec(name) is None:
        raise _not_installed(name, name, extra, does)


def _not_installed(name: str, found: str, extra: str, does: str) -> InputError:
    return InputError(
        f"{does} by {name.partition('.')[0]}, which is not installed",
        found=f"no {found}",
        do=f"pip install 'falx[{extra}]' and run the same command again",
    )


def check_same_grid(
    name_a: str,
    shape_a: Sequence[int],
    affine_a: np.ndarray,
    name_b: str,
    shape_b: Sequence[int],
    affine_b: np.ndarray,
    *,
    where: object = None,
    tolerance_mm: float = 1e-3,
) -> None:
    """Raise unless two images have the same voxel grid, to `tolerance_mm` at every corner."""
    import numpy as np

    shape_a, shape_b = tuple(shape_a[:3]), tuple(shape_b[:3])
    if shape_a != shape_b:
        raise GridError(
            f"{name_a} and {name_b} are on different grids",
            where=where,
            found=f"{_times(shape_a)} and {_times(shape_b)} voxels",
            do="resample one of them to the other",
        )
    corners = np.array(np.meshgrid(*[[0, n - 1] for n in shape_a])).reshape(3, -1)
    homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
    apart_mm = np.linalg.norm(((affine_a - affine_b) @ homogeneous)[:3], axis=0).max()
    if apart_mm > tolerance_mm:
        raise GridError(
            f"{name_a} and {name_b} have the same shape but different positions",
            where=where,
            found=f"{apart_mm:.2f} mm apart",
            do="resample one of them to the other",
        )


def _times(shape: Sequence[int]) -> str:
    return "×".join(str(n) for n in shape)
