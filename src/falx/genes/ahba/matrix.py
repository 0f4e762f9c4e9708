"""Reading the atlas's large matrices: text without header, probe id and one column a sample.

Full size is four gigabytes of decimal numbers. Only the probes that are wanted are parsed; the
other lines are skipped, and the file passes through memory in pieces.

The atlas: Hawrylycz et al. 2012, Nature 489:391.
"""

from __future__ import annotations

from typing import BinaryIO

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = ["read_matrix"]

PIECE_BYTES = 1 << 24
# Powers of ten that a double holds exactly; raising to a power costs as much as parsing a number.
_POWERS = 10.0 ** np.arange(23)
_OK, _LONG, _SHORT, _WORD = 0, 1, 2, 3


@numba.njit(cache=True, nogil=True)
def _number(text, i, stop):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Parse a decimal at i; return its value and the place after it, or -1 if it is a word."""
    negative = False
    if text[i] == 45 or text[i] == 43:
        negative = bool(text[i] == 45)
        i += 1
    mantissa = np.uint64(0)
    digits, after_point, exponent = 0, 0, 0
    point = False
    while i < stop:
        c = text[i]
        if 48 <= c <= 57:
            # Nineteen digits fill the integer; later ones are below double precision.
            if digits < 19:
                mantissa = mantissa * np.uint64(10) + np.uint64(c - 48)
                digits += int(mantissa > 0)
                after_point += point
            elif not point:
                after_point -= 1
        elif c == 46:
            point = True
        else:
            break
        i += 1
    if i < stop and (text[i] == 101 or text[i] == 69):
        i += 1
        sign = 1
        if text[i] == 45 or text[i] == 43:
            sign = -1 if text[i] == 45 else 1
            i += 1
        while i < stop and 48 <= text[i] <= 57:
            exponent = exponent * 10 + (text[i] - 48)
            i += 1
        exponent *= sign
    if i < stop and text[i] != 44 and text[i] != 10 and text[i] != 13:
        return 0.0, -1
    power = exponent - after_point
    value = np.float64(mantissa)
    if power < 0:
        value = value / (_POWERS[-power] if power > -_POWERS.size else 10.0 ** (-power))
    else:
        value = value * (_POWERS[power] if power < _POWERS.size else 10.0**power)
    return (-value if negative else value), i


@numba.njit(cache=True, nogil=True)
def _parse_lines(text, stop, ids, slots, out, seen):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Parse whole lines; return the error, the place of the fault, and lines read."""
    i, lines = 0, 0
    n_columns = out.shape[1]
    while i < stop:
        begin = i
        identity = 0
        while i < stop and 48 <= text[i] <= 57:
            identity = identity * 10 + (text[i] - 48)
            i += 1
        place = np.searchsorted(ids, identity)
        if place < ids.size and ids[place] == identity and i > begin:
            row = slots[place]
            for column in range(n_columns):
                if i >= stop or text[i] != 44:
                    return _SHORT, begin, lines
                i += 1
                if i + 1 < stop and 48 <= text[i] <= 57 and text[i + 1] in (10, 13, 44):
                    # One digit, as in all present calls.
                    out[row, column] = text[i] - 48
                    i += 1
                    continue
                value, i = _number(text, i, stop)
                if i < 0:
                    return _WORD, begin, lines
                out[row, column] = value
            if i < stop and text[i] == 44:
                return _LONG, begin, lines
            seen[row] = True
        while i < stop and text[i] != 10:
            i += 1
        i += 1
        lines += 1
    return _OK, 0, lines


def read_matrix(
    stream: BinaryIO,
    row_ids: npt.NDArray[np.int64],
    n_columns: int,
    *,
    where: object,
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[np.float64]:
    """Read chosen rows of a matrix, in the order of `row_ids`; shape (n_rows, n_columns).

    Parameters
    ----------
    stream
        Binary text: an integer identifier, then `n_columns` numbers, comma-separated.
    row_ids
        Identifiers of the rows that are wanted, unique.
    n_columns
        Number of samples.

    Raises
    ------
    InputError
        If a wanted row is missing, has another number of columns, or holds a word.
    """
    order = np.argsort(row_ids)
    ids, slots = np.asarray(row_ids)[order].astype(np.int64), order.astype(np.int64)
    out = np.empty((len(row_ids), n_columns), dtype=dtype)
    seen = np.zeros(len(row_ids), dtype=np.bool_)
    rest = b""
    lines = 0
    while piece := stream.read(PIECE_BYTES):
        block = rest + piece
        cut = block.rfind(b"\n") + 1
        rest = block[cut:]
        lines += _checked(block, cut, ids, slots, out, seen, where, lines)
    if rest.strip():
        lines += _checked(rest + b"\n", len(rest) + 1, ids, slots, out, seen, where, lines)
    if not seen.all():
        raise InputError(
            "probes are missing from the matrix",
            where=where,
            found=f"{int((~seen).sum())} of {len(seen)}; the file has {lines} lines",
            do="download it again: it may be incomplete",
        )
    return np.asarray(out)


def _checked(
    block: bytes,
    stop: int,
    ids: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int64],
    out: npt.NDArray[np.float64],
    seen: npt.NDArray[np.bool_],
    where: object,
    lines_before: int,
) -> int:
    fault, _, lines = _parse_lines(
        np.frombuffer(block, dtype=np.uint8), stop, ids, slots, out, seen
    )
    if fault != _OK:
        what = {
            _LONG: "a row has more columns than samples",
            _SHORT: "a row has fewer columns than samples",
            _WORD: "a value is not a number",
        }[fault]
        raise InputError(
            what,
            where=f"{where}, line {lines_before + lines + 1}",
            found=f"{out.shape[1]} samples are annotated",
            do="download the file again",
        )
    return int(lines)
