"""Reading the outcome of surgery from a table: ILAE classes, or free of seizures or not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from falx.core.errors import InputError, OptionError, check_option

__all__ = ["CODINGS", "coding_of", "coding_sentence", "read_outcomes"]

CODINGS = ("auto", "ilae", "seizure_free")

_WORDS = {
    "yes": 1, "y": 1, "true": 1, "sf": 1, "seizure free": 1, "seizure-free": 1,
    "no": 0, "n": 0, "false": 0, "nsf": 0, "not seizure free": 0, "not seizure-free": 0,
}  # fmt: skip
_UNFREE = re.compile(r"not|non|recur|relaps|persist|fail|seizures|bad|poor")
"""Headers under which 1 may well mean that seizures went on."""

_ILAE = re.compile(r"(?:ilae[\s_-]*)?(?:class[\s_-]*)?([1-6])(?:\.0+)?a?")
"""ILAE class with or without its name; 1a, never any seizure, is part of class 1.

A dash parts a number from a name; before the number alone it is a sign, and -1 stands for what is
not known in many tables.
"""


def coding_of(cells: Mapping[str, str], header: str, coding: str = "auto") -> str:
    """Return how a column of outcomes is read, ``"ilae"`` or ``"seizure_free"``.

    Parameters
    ----------
    cells, header, coding
        See :func:`read_outcomes`.

    Raises
    ------
    InputError
        If the header or the entries do not tell what the entries mean.

    Examples
    --------
    >>> coding_of({"01": "1", "02": "4"}, "outcome")
    'ilae'
    """
    check_option("outcome coding", coding, CODINGS)
    found = _guess(cells, header) if coding == "auto" else coding
    if found == "ilae" and "engel" in header.casefold():
        raise InputError(
            "Engel's classes are not those of the ILAE, and cannot be turned into them",
            where=f"participants.tsv, column {header}",
            do="name a column of ILAE classes, or one of yes and no for free of seizures",
        )
    return found


def coding_sentence(coding: str, header: str, highest_free: int = 1) -> str:
    """Say how the outcome was read, for whoever knows what was meant.

    Examples
    --------
    >>> coding_sentence("seizure_free", "outcome")
    'The outcome is the column outcome, read as free of seizures (1 or yes) or not (0 or no).'
    """
    if coding == "ilae":
        free = "class 1 counts" if highest_free == 1 else f"classes 1 to {highest_free} count"
        return f"The outcome is the column {header}, read as ILAE classes: {free} as seizure free."
    told = "read as free of seizures (1 or yes) or not (0 or no)"
    return f"The outcome is the column {header}, {told}."


def read_outcomes(
    cells: Mapping[str, str], header: str, *, coding: str = "auto", highest_free: int = 1
) -> dict[str, bool]:
    """Return which subjects are free of seizures.

    Parameters
    ----------
    cells
        Subject label to the cell of its outcome; missing ones are absent.
    header
        Of the column.
    coding
        ``"ilae"`` (1 to 6), ``"seizure_free"`` (1 or 0, or words), or ``"auto"``: ILAE if the
        header or an entry names it or an entry exceeds 1, else free or not.
    highest_free
        Highest ILAE class that counts as free of seizures.

    Raises
    ------
    InputError
        If an entry cannot be read, or the entries do not tell what they mean.

    Examples
    --------
    >>> read_outcomes({"01": "1", "02": "4"}, "ilae")
    {'01': True, '02': False}
    >>> read_outcomes({"01": "yes", "02": "no"}, "outcome")
    {'01': True, '02': False}
    """
    read_as = coding_of(cells, header, coding)
    return {s: _read(text, s, header, read_as, highest_free) for s, text in cells.items()}


def _guess(cells: Mapping[str, str], header: str) -> str:
    words = [text.casefold().strip() for text in cells.values()]
    if "ilae" in header.casefold() or any("ilae" in word for word in words):
        return "ilae"
    numbers = {word.partition(".")[0] for word in words}
    if numbers & set("23456"):
        if numbers <= {"1", "2"}:
            raise _unclear("1 and 2 are ILAE classes or codes of free and not", header, numbers)
        return "ilae"
    named_free = "free" in header.casefold() and not re.search(r"not|non|un", header.casefold())
    if numbers <= {"1"} and not named_free:
        raise _unclear("1 means ILAE class 1 or free of seizures", header, numbers)
    if numbers & {"0", "1"} and not named_free and _UNFREE.search(header.casefold()):
        raise _unclear("1 means free of seizures or the contrary", header, numbers)
    return "seizure_free"


def _unclear(question: str, header: str, numbers: set[str]) -> OptionError:
    return OptionError(
        f"it is not clear whether {question}",
        where=f"participants.tsv, column {header}",
        found=f"{' and '.join(sorted(numbers))} and nothing else",
        do="set group.outcome_coding to ilae or seizure_free (1 is free), or write yes and no for "
        "free and not",
    )


def _read(text: str, subject: str, header: str, coding: str, highest_free: int) -> bool:
    word = text.casefold().strip()
    if coding == "ilae":
        match = _ILAE.fullmatch(word)
        if match:
            return int(match[1]) <= highest_free
        do = "write the ILAE class, 1 to 6 (Engel's classes cannot be turned into them)"
    else:
        if word in _WORDS:
            return bool(_WORDS[word])
        if re.fullmatch(r"[01](?:\.0+)?", word):
            return word[0] == "1"
        do = (
            "write 1 or yes for free of seizures and 0 or no for not, or set "
            "group.outcome_coding to ilae if these are ILAE classes"
        )
    raise InputError(
        "the outcome cannot be read",
        where=f"sub-{subject}, column {header} of participants.tsv",
        found=repr(text),
        do=do,
    )
