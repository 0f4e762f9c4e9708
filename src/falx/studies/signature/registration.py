"""Registration that can be checked: every image over the T1w, and how surely it lies there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import CoregistrationMetrics
from falx.anatomy.registration.coregistration import LEAST_SHARPNESS, sharpness, surroundings
from falx.core.grid import Grid, bounds_mm
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.report.page import Block, Figure, Notice, Table
from falx.report.slices import Layer, slices, window_in
from falx.studies.signature.modalities import MODALITIES

__all__ = ["Laid", "Under", "laid_over", "registration_blocks"]

TILE_MM = 25.0
"""Edge of the tiles of the checkerboard."""

VOXEL_MM = 1.5

NAMES = {m.key: m.label for m in MODALITIES} | {"postop": "post-operative T1w"}


@dataclass(frozen=True, eq=False)
class Laid:
    """An image brought to the T1w.

    Parameters
    ----------
    found
        Its coregistration.
    sharpness
        See :func:`falx.anatomy.registration.coregistration.sharpness`.
    over, checkerboard
        The image, and tiles of it and of the T1w by turns, in T1w mm; 0 to 1 in the brain.
    """

    found: CoregistrationMetrics
    sharpness: float
    over: Image
    checkerboard: Image


@dataclass(frozen=True, eq=False)
class Under:
    """The T1w that images are laid over.

    Parameters
    ----------
    t1w
        On its own grid.
    near
        Shape (X, Y, Z) of that grid: the brain and what is around it.
    grid
        Of the pictures, along the world's axes.
    inside, grey
        Shape (X, Y, Z) of `grid`: the brain, and the T1w there, 0 to 1.
    """

    t1w: Image
    near: npt.NDArray[np.bool_]
    grid: Grid
    inside: npt.NDArray[np.bool_]
    grey: npt.NDArray[np.float32]

    @classmethod
    def of(cls, t1w: Image, brain: Image, *, threads: int = 1) -> Under:
        """Take a T1w and the mask of its brain, on one grid."""
        near = surroundings(brain)
        grid = _box(near, t1w.affine)
        inside = resample(Image(brain.data.astype(np.float32), brain.affine), grid) >= 0.5
        grey = _levelled(resample(t1w, grid, threads=threads), inside)
        return cls(t1w, near, grid, inside, grey)


def laid_over(
    under: Under, moving: Image, found: CoregistrationMetrics, *, threads: int = 1
) -> Laid:
    """Bring an image to the T1w for pictures, and measure how surely it lies there.

    Parameters
    ----------
    moving
        On its own grid.
    """
    matrix, grid = np.array(found.matrix), under.grid
    sure = sharpness(under.t1w, moving, matrix, mask=under.near, threads=threads)
    other = _levelled(resample(moving, grid, matrix=matrix, threads=threads), under.inside)
    centres = (np.floor(along / TILE_MM).astype(int) for along in _lines_mm(grid))
    tiles = sum(np.ix_(*centres)) % 2 == 0
    board = np.where(tiles, under.grey, other)
    return Laid(found, sure, Image(other, grid.affine), Image(board, grid.affine))


def _lines_mm(grid: Grid) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the coordinates of a grid along the world's axes, of one axis after the other."""
    for axis, count in enumerate(grid.shape):
        yield np.arange(count) * grid.affine[axis, axis] + grid.affine[axis, 3]


def _box(inside: npt.NDArray[np.bool_], affine: npt.NDArray[np.floating]) -> Grid:
    """Grid along the world's axes around a mask."""
    low, high = bounds_mm(inside, affine)
    across, along, up = (int(n) for n in np.ceil((high - low) / VOXEL_MM).astype(int) + 1)
    own = np.diag([VOXEL_MM] * 3 + [1.0])
    own[:3, 3] = low
    return Grid((across, along, up), own)


def _levelled(
    values: npt.NDArray[np.floating], inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Values from 0 to 1 over the range that they have in the brain."""
    low, high = window_in(values, inside)
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), dtype=np.float32)


def registration_blocks(
    laid: Mapping[str, Laid], tissues: tuple[Image, Image], centre_mm: list[float]
) -> Iterator[Block]:
    """Yield the table of coregistrations with its range, and two pictures of each image.

    Parameters
    ----------
    tissues
        Masks or fractions whose outlines are drawn: brain, and white matter.
    centre_mm
        Through which the planes run.
    """
    doubted = [NAMES.get(name, name) for name, one in laid.items() if not _passed(one)]
    if doubted:
        said = (
            f"It is doubtful whether the T1w and {' and '.join(doubted)} lie on each other: a "
            "shift of 4 mm would fit nearly as well. Look at the outlines below before anything "
            "else."
        )
        yield Notice([said])
    yield Table(
        ("image", "NMI by the header", "NMI after", "lost by a shift of 4 mm", "from", "passed",
         "moved, mm", "overlap"),
        [
            [NAMES.get(name, name), one.found.nmi_before, one.found.nmi_after, one.sharpness,
             LEAST_SHARPNESS, _passed(one), one.found.mean_shift_mm, one.found.overlap]
            for name, one in laid.items()
        ],
        flags=["ok" if _passed(one) else "warn" for one in laid.values()],
        caption="Coregistration to the pre-operative T1w by normalised mutual information, whose "
        "size depends on the contrast. What does not is the share of it, above 1, that a shift of "
        "4 mm would lose: .20 to .53 in pairs that lie rightly, at most .08 when 5 mm wrong and "
        ".14 when turned by 6°. Errors of 2 mm are not seen by it, but may be in the pictures.",
    )  # fmt: skip
    brain, white = tissues
    outlines = [
        Layer(brain, "contour", "orange", label="brain of the T1w"),
        Layer(white, "contour", "cyan", label="white matter of the T1w"),
    ]
    for name, one in laid.items():
        title = NAMES.get(name, name)
        yield Figure(
            slices(one.over, outlines, centre_mm=centre_mm, window=(0.0, 1.0)),
            f"{title} with the outlines of the T1w: edges of the image should run along them.",
        )
        yield Figure(
            slices(one.checkerboard, centre_mm=centre_mm, window=(0.0, 1.0)),
            f"T1w and {title} by turns, in tiles of {TILE_MM:.0f} mm: edges should run on from "
            "tile to tile.",
        )


def _passed(one: Laid) -> bool:
    return one.sharpness >= LEAST_SHARPNESS
