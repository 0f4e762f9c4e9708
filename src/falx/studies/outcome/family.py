"""The family of tests that are judged together, as the configuration declares it.

Holm's correction (1979) holds whatever the dependence between the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from falx.core.errors import OptionError
from falx.core.multiplicity import holm
from falx.core.possible import Probability
from falx.studies.outcome.parts import CutPart, GroupComparison, IncrementPart

__all__ = ["FAMILY", "Member", "adjust_family", "check_family"]

KINDS = {
    "group": "difference of groups (Welch)",
    "cut": "best cut (permutation)",
    "increment": "beyond anatomy (penalised likelihood ratio)",
}

FAMILY = (
    "group:ai_gm", "group:ai_flair", "group:ai_pet", "group:rate_hippocampus",
    "cut:rate_hippocampus", "cut:ai_pet",
    "increment:rate_hippocampus", "increment:ai_pet",
)  # fmt: skip
"""Tests that the study asks first; others are exploratory."""


@dataclass(frozen=True)
class Member:
    """One test of the family: its P and Holm's, or None for both where it was not done."""

    kind: str
    name: str
    p: Probability | None
    holm: float | None

    @property
    def test(self) -> str:
        """What the test is, in words."""
        return KINDS[self.kind]


def check_family(family: Sequence[str]) -> None:
    """Raise unless every entry is ``KIND:NUMBER`` with a known kind, and none comes twice."""
    for entry in family:
        kind, _, name = entry.partition(":")
        if kind not in KINDS or not name:
            raise OptionError(
                "a member of the family of tests cannot be read",
                where="group.family",
                found=repr(entry),
                do=f"write one of {', '.join(KINDS)}, a colon and a number, e.g. group:ai_pet",
            )
    if len(set(family)) != len(family):
        raise OptionError(
            "a member of the family of tests is named twice",
            where="group.family",
            found=", ".join(sorted({e for e in family if list(family).count(e) > 1})),
            do="name each test once",
        )


def adjust_family(
    family: Sequence[str],
    groups: Sequence[GroupComparison],
    cuts: Sequence[CutPart],
    increments: Sequence[IncrementPart],
) -> tuple[Member, ...]:
    """Holm's P over every member that was done.

    A score that is compared with several measures of anatomy enters with its largest P: it must
    beat all of them.
    """
    found: dict[str, float] = {f"group:{g.name}": g.welch.p for g in groups}
    found |= {f"cut:{c.name}": c.permutation.p for c in cuts}
    for part in increments:
        key = f"increment:{part.name}"
        found[key] = max(found.get(key, 0.0), part.found.adjusted.p_penalised)
    done = [entry for entry in family if entry in found]
    adjusted = dict(zip(done, holm([found[e] for e in done]).tolist(), strict=True))
    return tuple(
        Member(*entry.partition(":")[::2], found.get(entry), adjusted.get(entry))
        for entry in family
    )
