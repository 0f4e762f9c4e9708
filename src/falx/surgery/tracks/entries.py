"""Where a track may enter the skull: the posterior box, or the convexity of a side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Side
from falx.surgery.tracks.cut_labels import on_skull
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Mask
from falx.surgery.tracks.skull import Surface

__all__ = [
    "LOOSEST_ANGLE_DEG",
    "LOOSEST_LENGTH_MM",
    "EntryBox",
    "entries_in_box",
    "entries_on_convexity",
]


@dataclass(frozen=True)
class EntryBox:
    """Where a posterior track may enter, in template mm; x is counted from the midline.

    The cadaver route of Holanda 2017 enters below the lambdoid suture, within 40 mm of the
    transverse and sagittal sinus; the box around it is a choice of this project.
    """

    x_mm: tuple[float, float] = (15.0, 70.0)
    y_mm: tuple[float, float] = (-200.0, -60.0)
    z_mm: tuple[float, float] = (-20.0, 50.0)

    def holds(self, template_mm: npt.NDArray[np.floating], side: Side) -> Mask:
        """Whether points of shape (N, 3) lie in the box on one side."""
        lateral = -template_mm[:, 0] if side == "left" else template_mm[:, 0]
        inside = np.ones(len(template_mm), dtype=bool)
        for values, (low, high) in (
            (lateral, self.x_mm),
            (template_mm[:, 1], self.y_mm),
            (template_mm[:, 2], self.z_mm),
        ):
            inside &= (values > low) & (values < high)
        return inside


CONVEXITY = (
    EntryBox((15.0, 200.0), (-200.0, 20.0), (-20.0, 200.0)),
    EntryBox((15.0, 200.0), (20.0, 200.0), (10.0, 200.0)),
)
"""Where a track to a focus may enter: the convexity of a side, above the ear and, in front, above
the orbit and the frontal sinus; as far from the midline as the box of the posterior track, for the
sagittal sinus runs there. A choice of this project."""

LOOSEST_LENGTH_MM, LOOSEST_ANGLE_DEG = 140.0, 40.0
"""Up to which these limits are relaxed where no plan is found: entries farther away are no use."""

MOST_ENTRIES = 12_000
"""Of the convexity, evenly thinned: less than 3 mm apart on a whole hemisphere."""


def entries_in_box(
    surface: Surface,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
    box: EntryBox,
    side: Side,
) -> Surface:
    """Points of the inner skull at which a posterior track may enter, outside every cut.

    Parameters
    ----------
    surface
        Inner skull of a hemisphere, native mm.
    to_template
        Maps native points of shape (N, 3), mm, to template mm.

    Raises
    ------
    InputError
        If no point lies in the box.
    """
    places = np.asarray(to_template(surface.points_mm))
    allowed = box.holds(places, side)
    if not allowed.any():
        raise InputError(
            f"no entry on the {side} lies in the posterior entry box",
            do="check the registration to the template, or widen the box",
        )
    allowed[allowed] = on_skull(places[allowed])
    return Surface(surface.points_mm[allowed], surface.outward[allowed])


def entries_on_convexity(
    surface: Surface,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
    side: Side,
    focus_mm: npt.NDArray[np.float64],
    limits: Limits,
) -> Surface:
    """Points of the convexity from which a straight way to some point of a focus may keep limits.

    The focus, shape (N, 3), is taken as the ball around its middle that holds it. The order and
    the thinning are the same on either side.
    """
    there = np.asarray(to_template(surface.points_mm))
    good = np.any([box.holds(there, side) for box in CONVEXITY], axis=0)
    middle = focus_mm.mean(axis=0)
    radius = float(np.linalg.norm(focus_mm - middle, axis=1).max())
    way = middle - surface.points_mm
    far = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    good &= far - radius <= max(limits.max_length_mm, LOOSEST_LENGTH_MM)
    cosine = np.einsum("ij,ij->i", -surface.outward, way) / far
    wide = np.degrees(np.arcsin(np.minimum(radius / far, 1.0)))
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1))) - wide
    good &= angle <= max(limits.max_angle_deg, LOOSEST_ANGLE_DEG)
    if not good.any():
        raise InputError(
            f"no entry on the convexity of the {side} can reach the focus",
            do="check the registration to the template, or choose another focus",
        )
    good[good] = on_skull(there[good])
    rows = np.flatnonzero(good)
    x, y, z = surface.points_mm[rows].T
    rows = rows[np.lexsort((z, y, -x if side == "left" else x))]
    if len(rows) > MOST_ENTRIES:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ENTRIES).round().astype(int)]
    return Surface(surface.points_mm[rows], surface.outward[rows])
