"""Which comparisons a table of maps allows: pairs of groups, and any difference of several."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from falx.core.errors import InputError

__all__ = ["Question", "distinct", "questions_of"]

MOST_GROUPS = 5
"""Pairs of more are too many to be meant."""


@dataclass(frozen=True)
class Question:
    """One map to compute: two groups compared, or any difference of more."""

    groups: tuple[str, ...]

    @property
    def of_f(self) -> bool:
        """Whether it asks for F."""
        return len(self.groups) > 2

    @property
    def name(self) -> str:
        """Beginning of its files.

        Examples
        --------
        >>> Question(("TLE left", "HC")).name, Question(("a", "b", "c")).name
        ('TLEleft_HC', 'any_difference')
        """
        if self.of_f:
            return "any_difference"
        return "_".join(re.sub(r"[^A-Za-z0-9+]", "", group) or "group" for group in self.groups)


def questions_of(
    groups: Mapping[str, str | None], contrasts: Sequence[Sequence[str]]
) -> tuple[Question, ...]:
    """Return what to compare.

    Parameters
    ----------
    groups
        Group of everybody, in the order of the table; None where there is no entry.
    contrasts
        Pairs that were asked for; every pair, and F of three groups or more, if none.

    Raises
    ------
    InputError
        If a pair names a group that nobody is in, or fewer than two or, without pairs, more
        than five groups are there.

    Examples
    --------
    >>> [q.groups for q in questions_of({"1": "a", "2": "b", "3": None}, ())]
    [('a', 'b')]
    """
    there = list(dict.fromkeys(group for group in groups.values() if group is not None))
    if len(there) < 2:
        raise InputError(
            "there is nothing to compare", found=f"groups: {', '.join(there) or 'none'}",
            do="name the column of groups (--group-column)",
        )  # fmt: skip
    for pair in contrasts:
        for name in pair:
            if name not in there:
                raise InputError(
                    "nobody is in a group that is to be compared", where="--contrast", found=name,
                    do=f"choose from {', '.join(there)}",
                )  # fmt: skip
        if pair[0] == pair[1]:
            raise InputError(
                "a group is compared with itself", where="--contrast", found=pair[0],
                do="name two groups",
            )  # fmt: skip
    if contrasts:
        return distinct([Question(tuple(pair)) for pair in dict.fromkeys(map(tuple, contrasts))])
    if len(there) > MOST_GROUPS:
        raise InputError(
            "there are too many groups to compare every pair",
            found=f"{len(there)}: {', '.join(there[:8])}",
            do="name the pairs (--contrast FIRST SECOND, several times)",
        )
    pairs = [Question(pair) for pair in itertools.combinations(there, 2)]
    whole = [Question(tuple(there))] if len(there) > 2 else []
    return distinct([*whole, *pairs])


def distinct(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Raise where two would write the same files."""
    names = [question.name for question in questions]
    twice = [q.groups for q in questions if names.count(q.name) > 1]
    if twice:
        raise InputError(
            "two comparisons would have the same file names",
            found=" and ".join(" - ".join(groups) for groups in twice),
            do="use letters and digits that differ in the names of groups",
        )
    return tuple(questions)
