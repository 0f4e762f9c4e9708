"""One published number beside the recomputed one, and the verdict on the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "CONTRADICTED",
    "CONVENTION",
    "EXTENSION",
    "REPRODUCED",
    "ROUNDING",
    "UNAVAILABLE",
    "Item",
    "Value",
    "compare",
]

REPRODUCED = "reproduced"
CONVENTION = "reproduced under a convention"
ROUNDING = "differs by rounding of the input"
CONTRADICTED = "contradicted"
UNAVAILABLE = "not available"
EXTENSION = "not in the paper"
"""A figure that the published data hold and the paper does not print."""


@dataclass(frozen=True)
class Value:
    """A printed number, its recomputation, and the decimals printed.

    `allowance` is how far rounded inputs can move the number.
    """

    printed: float
    recomputed: float
    decimals: int = 2
    allowance: float = 0.0

    @property
    def equal_in_print(self) -> bool:
        """Whether the recomputed number prints as the published one."""
        return abs(round(self.recomputed, self.decimals) - self.printed) < 1e-9

    @property
    def within_allowance(self) -> bool:
        """Whether the difference is explained by rounded inputs."""
        return abs(self.recomputed - self.printed) <= self.allowance


@dataclass(frozen=True)
class Item:
    """A published statistic.

    Parameters
    ----------
    number, section, name
        Its place in the table.
    published
        As printed.
    as_published
        Recomputed by the paper's own method.
    corrected
        By the method that the question asks for.
    verdict
        One of the words of this module.
    reason
        Why, in one or two sentences.
    """

    number: int
    section: str
    name: str
    published: str
    as_published: str
    corrected: str
    verdict: str
    reason: str


def compare(values: Sequence[Value], *, convention: bool = False) -> str:
    """Return the verdict on a group of numbers.

    Examples
    --------
    >>> compare([Value(0.74, 0.7354)])
    'reproduced'
    >>> compare([Value(0.83, 0.754)])
    'contradicted'
    """
    if all(v.equal_in_print for v in values):
        return CONVENTION if convention else REPRODUCED
    if all(v.equal_in_print or v.within_allowance for v in values):
        return CONVENTION if convention else ROUNDING
    return CONTRADICTED
