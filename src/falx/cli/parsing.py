"""A parser that says what was probably meant, and takes labels before the folders."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence

from falx.core.errors import nearest

__all__ = ["LEVELS", "Parser", "folders_first", "options_of_parser", "unknown_option"]

LEVELS = ("participant", "group")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors end with what was probably meant."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print usage, the error and a suggestion, and exit with code 2."""
        super().error(with_suggestion(message))


def with_suggestion(message: str) -> str:
    """Add the nearest choice to argparse's sentence about a wrong one.

    Examples
    --------
    >>> with_suggestion("argument x: invalid choice: 'grup' (choose from participant, group)")
    "argument x: invalid choice: 'grup' (choose from participant, group); did you mean 'group'?"
    """
    found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)$", message)
    if found is None:
        return message
    near = nearest(found[1], re.findall(r"[^\s,']+", found[2]))
    return f"{message}; did you mean {near!r}?" if near else message


def unknown_option(words: Sequence[str], known: Iterable[str]) -> str:
    """Return argparse's sentence about words that no parser took, with the nearest option.

    Examples
    --------
    >>> unknown_option(["--filtr", "run=1"], ["--filter", "--jobs"])
    "unrecognized arguments: --filtr run=1; did you mean '--filter'?"
    """
    said = f"unrecognized arguments: {' '.join(words)}"
    first = next((word for word in words if word.startswith("-")), None)
    near = nearest(first.partition("=")[0], known) if first else None
    return f"{said}; did you mean {near!r}?" if near else said


def options_of_parser(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a parser and of the parsers below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options_of_parser(below)


def folders_first(words: Sequence[str], greedy: Iterable[str]) -> list[str]:
    """Put ``BIDS OUT LEVEL`` before an option of several values that stands in front of them.

    ``--participant-label 01 02 BIDS OUT participant`` is how many write it; argparse would take
    the folders for labels. Other command lines are left as they are.

    Parameters
    ----------
    words
        All behind the name of the command.
    greedy
        Options that take any number of values.

    Examples
    --------
    >>> folders_first(["--participant-label", "01", "B", "O", "group"], ["--participant-label"])
    ['B', 'O', 'group', '--participant-label', '01']
    """
    words = list(words)
    if not words or not words[0].startswith("-"):
        return words
    for at in range(len(words) - 1, 2, -1):
        if words[at] not in LEVELS:
            continue
        start = at
        while start and not words[start - 1].startswith("-"):
            start -= 1
        if start and words[start - 1] in set(greedy) and at - start >= 3:
            return [*words[at - 2 : at + 1], *words[: at - 2], *words[at + 1 :]]
    return words
