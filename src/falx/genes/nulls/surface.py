"""Places of an atlas's regions on the cortical sphere, from the surface they were drawn on.

The point of a region is the mean of its vertices, projected to the sphere (Alexander-Bloch et
al. 2018, NeuroImage 178:540); see :func:`falx.genes.nulls.spin.parcel_points`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.core.grid import Side
from falx.genes.nulls.spin import parcel_points

__all__ = ["Hemisphere", "sphere_points"]

Array = npt.NDArray[np.float64]
SIDE_MARK = re.compile(r"^(?:lh|rh|left|right|l|r)[_. -]|[_. -](?:lh|rh|left|right|l|r)$")


@dataclass(frozen=True, eq=False)
class Hemisphere:
    """Vertices of a spherical surface, shape (v, 3), and the region of each, by number of name."""

    side: Side
    vertices: Array
    of_vertex: npt.NDArray[np.integer]
    names: tuple[str, ...]


def sphere_points(
    regions: Sequence[str], sides: Sequence[Side | None], hemispheres: Sequence[Hemisphere]
) -> Array:
    """Return unit vectors of regions on their sphere, shape (n, 3); NaN off the surface.

    Names meet as they are, or without what marks the side (``L_``, ``_left`` …), case ignored.

    Raises
    ------
    InputError
        If no region is on the surface.
    """
    out = np.full((len(regions), 3), np.nan)
    for one in hemispheres:
        present = [i for i in range(len(one.names)) if (one.of_vertex == i).any()]
        points = parcel_points(one.vertices, one.of_vertex, present)
        place = {_bare(one.names[i]): point for i, point in zip(present, points, strict=True)}
        place |= {one.names[i]: point for i, point in zip(present, points, strict=True)}
        for row, (name, side) in enumerate(zip(regions, sides, strict=True)):
            point = place.get(name, place.get(_bare(name)))
            if side == one.side and point is not None:
                out[row] = point
    found = int(np.isfinite(out).all(axis=1).sum())
    if found == 0:
        raise InputError(
            "no region is on the surface",
            where="surface labels",
            found=f"{regions[0]!r} and {hemispheres[0].names[:3] if hemispheres else ()}",
            do="give annotations of the atlas of the map",
        )
    notify(f"{found} of {len(regions)} regions have a place on the surface", where="null maps")
    return out


def _bare(name: str) -> str:
    """Name without its side.

    Examples
    --------
    >>> _bare("L_bankssts"), _bare("Precuneus_left")
    ('bankssts', 'precuneus')
    """
    return SIDE_MARK.sub("", name.lower())
