"""Tables of numbers from text, refused in a sentence where pandas would only raise."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from falx.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_frame"]


def read_frame(text: str, separator: str, *, where: object) -> pd.DataFrame:
    """Read a table whose first row and column are names.

    Raises
    ------
    InputError
        If there is no table, or rows differ in length.
    """
    import pandas as pd

    try:
        return pd.read_csv(io.StringIO(text), sep=separator, index_col=0)
    except pd.errors.EmptyDataError as error:
        raise InputError("the table is empty", where=where) from error
    except pd.errors.ParserError as error:
        raise InputError(
            "the rows of the table differ in length",
            where=where,
            found=str(error).strip().rpartition(": ")[2],
            do="give every row the columns of the first",
        ) from error
