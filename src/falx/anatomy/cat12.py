"""Volumes that CAT12 has measured: what its report says of a head.

Gaser et al. 2024, GigaScience 13:giae049.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from falx.core.errors import InputError
from falx.core.tables import number

__all__ = ["ReportedVolumes", "read_volumes"]

NUMBER = r"\s*([0-9.eE+-]+)\s*"
TIV = re.compile(rf"<vol_TIV>{NUMBER}</vol_TIV>")
PARTS = re.compile(rf"<vol_abs_CGW>\s*\[?{NUMBER}[ ,;]{NUMBER}[ ,;]{NUMBER}")
"""Fluid, grey and white matter, in this order, in mL; more may follow."""


@dataclass(frozen=True)
class ReportedVolumes:
    """Intracranial volume and its parts, mL."""

    tiv_ml: float
    gm_ml: float
    wm_ml: float
    csf_ml: float


def read_volumes(text: str, *, where: object = None) -> ReportedVolumes:
    """Read the volumes of a report (``cat_*.xml``).

    Raises
    ------
    InputError
        If one is not there.

    Examples
    --------
    >>> found = read_volumes(
    ...     "<vol_abs_CGW>[310.5 640 480 0 0]</vol_abs_CGW><vol_TIV>1430.5</vol_TIV>"
    ... )
    >>> found.tiv_ml, found.gm_ml, found.csf_ml
    (1430.5, 640.0, 310.5)
    """
    tiv, parts = TIV.search(text), PARTS.search(text)
    if tiv is None or parts is None:
        raise InputError(
            "the report of CAT12 holds no volumes",
            where=where,
            found="no vol_TIV" if tiv is None else "no vol_abs_CGW",
            do="give the cat_*.xml that CAT12 wrote beside the image, or say --no-grey-prepared",
        )
    csf, gm, wm = (number(cell, where=str(where)) for cell in parts.groups())
    return ReportedVolumes(number(tiv.group(1), where=str(where)), gm, wm, csf)
