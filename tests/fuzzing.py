"""Damaged and odd input, drawn from a seed: what each kind of file may do to a study.

A kind returns ``"right"``, or ``"passed …"`` for input that only a notice excuses.

A case ends ``refused`` (one sentence of Falx), ``notice`` (it goes on and says so) or ``right``
(what is read is what an independent reading of the same bytes gives). Everything else is a fault:
``silent`` (read as something else), ``foreign`` (an error of a library) or ``hang``.
"""

from __future__ import annotations

import random
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.core.errors import FalxError, FalxNotice

__all__ = ["FAULTS", "Case", "Kind", "SilentError", "attack", "damaged", "judge"]

FAULTS = ("silent", "foreign", "hang")
LIMIT_S = 60


class SilentError(AssertionError):
    """Something was read as what it is not."""


class _HangError(BaseException):
    """The time is up."""


@dataclass(frozen=True)
class Case:
    """One draw of one kind.

    Parameters
    ----------
    folder
        Empty, of this case alone.
    """

    seed: int
    folder: Path
    rng: random.Random

    @property
    def numbers(self) -> np.random.Generator:
        """Generator of arrays."""
        return np.random.default_rng(self.rng.randrange(2**32))

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file of the case."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


Kind = Callable[[Case], str]


def judge(kind: Kind, seed: int, folder: Path) -> tuple[str, str]:
    """Run one case; return how it ended and, of a fault, what happened."""
    folder.mkdir(parents=True)
    case = Case(seed, folder, random.Random(f"{kind.__name__} {seed}"))
    try:
        with _limited(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            end = kind(case)
    except FalxError as error:
        return _sentence(str(error))
    except SilentError as error:
        return "silent", str(error)
    except _HangError:
        return "hang", f"longer than {LIMIT_S} s"
    except Exception:  # noqa: BLE001 - whatever it is, it is a fault
        return "foreign", traceback.format_exc()[-1500:]
    told = any(issubclass(warning.category, FalxNotice) for warning in caught)
    if told:
        return "notice", ""
    return ("silent", end) if end.startswith("passed") else (end, "")


def attack(kind: Kind, seeds: range, folder: Path) -> tuple[Counter[str], list[str]]:
    """Run cases of a kind; return the number of each end, and all faults."""
    counts: Counter[str] = Counter()
    faults = []
    for seed in seeds:
        end, said = judge(kind, seed, folder / f"{kind.__name__}-{seed}")
        counts[end] += 1
        if end in FAULTS:
            faults.append(f"{kind.__name__} {seed}: {end}\n{said}")
    return counts, faults


def _sentence(text: str) -> tuple[str, str]:
    """Whether what is said is one sentence for people."""
    clear = text.endswith(".") and len(text) > 15 and "Traceback" not in text
    return ("refused", "") if clear else ("foreign", f"no sentence: {text!r}")


@contextmanager
def _limited() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise _HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def damaged(data: bytes, rng: random.Random, *, low: int = 0, high: int | None = None) -> bytes:
    """Flip, cut, repeat, swap, empty or scramble a part of some bytes."""
    content = bytearray(data)
    high = len(content) if high is None else min(high, len(content))
    if high <= low:
        return bytes(content)
    place = rng.randrange(low, high)
    kind = rng.choice(["flip", "flip", "cut", "noise", "repeat", "insert", "lose", "append"])
    width = rng.choice([1, 2, 4, 8, 40])
    if kind == "flip":
        content[place] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[place:]
    elif kind == "noise":
        end = min(place + width, high)
        content[place:end] = rng.randbytes(end - place)
    elif kind == "repeat":
        content[place:place] = content[place : place + width]
    elif kind == "insert":
        content[place:place] = rng.randbytes(width)
    elif kind == "lose":
        del content[place : place + width]
    else:
        content += rng.randbytes(width)
    return bytes(content)
