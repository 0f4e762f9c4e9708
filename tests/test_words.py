"""The science knows no study: neither whom it compares nor what its groups are called."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "falx"
SCIENCE = ("anatomy", "pet", "bold", "maps", "clinical", "genes", "surgery")

PHRASES = re.compile(
    r"\b(resistan(?:t|ce)|(?:drug|medication).sensitive"
    r"|temporal.lobe.epilepsy|generali[sz]ed.epilepsy|DRE|DSE|TLE|IGE)\b",
    re.IGNORECASE,
)
"""What a study calls its patients; the lobe and time may be temporal anywhere."""

ROLES = {"resistant", "sensitive", "temporal", "generalised"}
"""Names under which a study keeps its groups: no argument, field or variable of the science."""


def names_in(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
    return found


def words_of_a_study(text: str) -> set[str]:
    """Phrases and names of a study in the source of a module."""
    phrases = {match.group(0).lower() for match in PHRASES.finditer(text)}
    return phrases | (names_in(ast.parse(text)) & ROLES)


@pytest.mark.parametrize("room", SCIENCE)
def test_no_module_knows_the_words_of_a_study(room: str) -> None:
    modules = sorted((SOURCE / room).rglob("*.py"))
    assert modules
    found = {
        path.relative_to(SOURCE).as_posix(): words
        for path in modules
        if (words := words_of_a_study(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("def compare(resistant, controls): ...", {"resistant"}),
        ('GROUPS = ("DRE", "HC")', {"dre"}),
        ('"""Compare temporal lobe epilepsy."""', {"temporal lobe epilepsy"}),
        ("stage(temporal=1)", {"temporal"}),
        ('"""Slices through the temporal lobe; temporal order."""\nfrom x import tle1', set()),
        ('"""A sensitive test."""\nsensitivity = 1', set()),
    ],
)
def test_planted_words_are_found(planted: str, found: set[str]) -> None:
    assert words_of_a_study(planted) == found
