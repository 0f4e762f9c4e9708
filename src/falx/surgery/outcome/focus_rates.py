"""What an ablation took of every focus, wherever it lies, and of all foci together.

The rates in hippocampus and amygdala ask what Mo et al. 2025 asked. A focus elsewhere has its own:
the expected volume of it that was ablated over the expected volume of all of it, with the
interval of :mod:`falx.surgery.outcome.rate_interval`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Side
from falx.core.possible import HemisphereMm3, Share
from falx.images.nifti import Image
from falx.pet.finding import Foci
from falx.pet.foci import numbers_on_t1w
from falx.pet.maps import Place
from falx.surgery.outcome.rate_interval import RateInterval

__all__ = ["ALL", "FocusRate", "focus_parts", "focus_rates", "sought_parts"]

Mask = npt.NDArray[np.bool_]

ALL = "all foci"


@dataclass(frozen=True)
class FocusRate:
    """What an ablation took of a focus.

    Parameters
    ----------
    focus
        Name: :data:`ALL`, or the number of the focus, the most certain being 1.
    region, side
        Structure that holds most of it, and its side; ``None`` for all foci.
    expected_mm3
        Sum of the probabilities of its voxels, in volume.
    rate
        Share of that which was ablated.
    interval
        Of 95 %.
    """

    focus: str
    region: str | None
    side: Side | None
    expected_mm3: HemisphereMm3
    rate: Share
    interval: RateInterval


def focus_parts(foci: Foci, place: Place) -> dict[str, Mask]:
    """Mask of each focus, and of all; shape (X, Y, Z) of the T1w grid.

    The rim, where probabilities are below a half, is left out: beyond an edge they are bounds and
    no estimates, and would count tissue that no ablation of the focus reaches.
    """
    near = np.asarray(foci.mask, dtype=bool)
    numbers = numbers_on_t1w(foci.found, near, place)
    parts = {f"focus {n}": numbers == n for n in range(1, len(foci.found.foci) + 1)}
    kept = {name: mask for name, mask in parts.items() if mask.any()}
    return {ALL: near} | kept if kept else {}


def sought_parts(foci: Foci, parts: Mapping[str, Mask]) -> tuple[str, ...]:
    """Names of the parts whose edge was sought; of all foci, where one of them was."""
    named = {f"focus {n}" for n, one in enumerate(foci.found.foci, start=1) if one.named}
    own = [name for name in parts if name != ALL and name not in named]
    return (ALL, *own) if own else ()


def focus_rates(
    foci: Foci,
    place: Place,
    ablation: Image,
    parts: Mapping[str, Mask],
    intervals: Mapping[str, RateInterval],
) -> tuple[FocusRate, ...]:
    """Take the rate of every part that :func:`focus_parts` names.

    Parameters
    ----------
    ablation
        Mask on the T1w grid.
    intervals
        By the same names.
    """
    rows = {f"focus {row.number}": row for row in foci.rows}
    voxel_mm3, taken = place.native.voxel_volume_mm3, np.asarray(ablation.data, dtype=bool)
    rates = []
    for name, mask in parts.items():
        whole = float(foci.probability[mask].sum(dtype=np.float64))
        own = float(foci.probability[mask & taken].sum(dtype=np.float64))
        row = rows.get(name)
        rates.append(
            FocusRate(
                name,
                None if row is None else row.region,
                None if row is None else row.side,
                whole * voxel_mm3,
                own / whole,
                intervals[name],
            )
        )
    return tuple(rates)
