"""Whether a series is whole: no slice missing, damaged, turned, or of somebody else.

A converter stacks what it is given: with one slice gone, everything beyond the gap lies a slice
off, in silence. Geometry by DICOM PS3.3 2024a, C.7.6.2 (image plane) and C.7.6.16.2.3 (frames).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify

__all__ = ["Plane", "Unreadable", "check_patient", "check_whole"]

GAP = 1.5
"""Steps of this many median steps are gaps."""

UNEQUAL_MM, UNEQUAL_SHARE = 0.1, 0.05
"""Spread of the steps, in mm and in median steps, above which slices are not equally spaced."""

TURNED = 1e-3
"""Difference of direction cosines above which two slices are not parallel."""


@dataclass(frozen=True)
class Plane:
    """One slice, as its header places it.

    Parameters
    ----------
    series, number
        Unique identifier and number of the series.
    patient
        What tells patients apart; never shown.
    position_mm, orientation
        Image position (3 values, mm, LPS) and direction cosines of row and column (6 values);
        None where the header lacks them.
    instance
        Number within the series; 0 where it has none.
    expected
        Slices that the series should have by its own header; 0 where it does not say.
    complete
        Whether the file holds all of its pixels.
    pixels
        Rows, columns and the spacing of both, mm; None where the header lacks the spacing.
    """

    series: str
    number: str
    patient: str
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    instance: int = 0
    expected: int = 0
    complete: bool = True
    pixels: tuple[float, ...] | None = (1, 1, 1, 1)


@dataclass(frozen=True)
class Unreadable:
    """A file that looks like DICOM and cannot be read, or is empty."""

    name: str
    why: str


def check_whole(
    planes: Sequence[Plane], unreadable: Sequence[Unreadable], number: str, *, where: str
) -> None:
    """Raise unless the series of a number is one whole stack of one patient.

    Parameters
    ----------
    planes
        Every slice of the folder.
    unreadable
        Files that may be slices of any series.
    where
        Name of the folder, for sentences.
    """
    place = f"{where}, series {number}"
    own = [plane for plane in planes if plane.number == number]
    if not own:
        notify("the slices of the series could not be checked", where=place)
        return
    check_patient(own, where=place)
    for series in sorted({plane.series for plane in own}):
        _check_stack([plane for plane in own if plane.series == series], place)
    if unreadable:
        raise InputError(
            "files of the folder are damaged and may be slices of the series",
            where=place,
            found=", ".join(f"{file.name}: {file.why}" for file in unreadable[:3]),
            do="export the series again, or remove them if they belong to nothing",
        )


def check_patient(planes: Iterable[Plane], *, where: str) -> None:
    """Raise if slices are of several patients; who they are is not said."""
    patients = {plane.patient for plane in planes}
    if len(patients) > 1:
        raise InputError(
            "the slices are of different patients",
            where=where,
            found=f"{len(patients)} patients",
            do="give one folder for each patient",
        )


def _check_stack(planes: list[Plane], where: str) -> None:
    again = "export the series again"
    broken = sum(not plane.complete for plane in planes)
    if broken:
        raise InputError(
            "slices are truncated", where=where, found=f"{broken} of {len(planes)}", do=again
        )
    placed = [p for p in planes if p.position_mm is not None and p.orientation is not None]
    if len(placed) < len(planes):
        raise InputError(
            "slices do not say where they lie",
            where=where,
            found=f"{len(planes) - len(placed)} of {len(planes)} without position or orientation",
            do="export the series again with its geometry; it cannot be guessed",
        )
    sizes = {plane.pixels for plane in planes}
    if len(sizes) > 1 or None in sizes:
        told = sorted("unknown" if s is None else "{:g} × {:g} of {:g} × {:g} mm".format(*s)
                      for s in sizes)  # fmt: skip
        raise InputError(
            "slices differ in their pixels, or do not say how large these are",
            where=where,
            found="; ".join(told[:3]),
            do=again,
        )
    turns = np.array([plane.orientation for plane in placed], dtype=float)
    if np.abs(turns - turns[0]).max() > TURNED:
        raise InputError(
            "slices are not parallel",
            where=where,
            found="several orientations",
            do="choose another series; this one may be a localiser",
        )
    normal = np.cross(turns[0, :3], turns[0, 3:])
    depths = np.array([plane.position_mm for plane in placed], dtype=float) @ normal
    _check_steps(depths, where)
    _check_count(planes, where)


def _check_steps(depths_mm: npt.NDArray[np.float64], where: str) -> None:
    """Judge the depths of all slices along their normal, shape (n,), mm; frames may repeat."""
    counts = Counter(np.round(depths_mm, 2).tolist())
    places = np.array(sorted(counts))
    if len(set(counts.values())) > 1:
        most = max(counts.values())
        short = sum(count < most for count in counts.values())
        raise InputError(
            "slices are missing or doubled",
            where=where,
            found=f"{short} of {len(places)} places have fewer than {most} slices",
            do="export the series again",
        )
    if len(places) < 3:
        return
    steps = np.diff(places)
    usual = float(np.median(steps))
    gaps = int((np.rint(steps / usual) - 1)[steps > GAP * usual].sum())
    if gaps:
        first = int(np.argmax(steps > GAP * usual))
        raise InputError(
            "slices are missing",
            where=where,
            found=f"about {gaps}, the first after slice {first + 1} of {len(places)}: "
            f"a step of {steps[first]:.2f} mm among steps of {usual:.2f} mm",
            do="export the series again",
        )
    if np.ptp(steps) > max(UNEQUAL_MM, UNEQUAL_SHARE * usual):
        raise InputError(
            "slices are not equally spaced",
            where=where,
            found=f"steps from {steps.min():.2f} to {steps.max():.2f} mm",
            do="export the series again, or choose another",
        )


def _check_count(planes: Sequence[Plane], where: str) -> None:
    """Judge numbers, which alone tell that the first or last slice is gone."""
    expected = max(plane.expected for plane in planes)
    if expected and len(planes) % expected:
        raise InputError(
            "slices are missing",
            where=where,
            found=f"{len(planes)}, while the header says {expected}",
            do="export the series again",
        )
    numbers = sorted(plane.instance for plane in planes if plane.instance)
    whole = len(set(numbers)) == len(planes)
    if whole and (gaps := numbers[-1] - numbers[0] + 1 - len(numbers)):
        notify(
            "the slices are not numbered one after the other",
            where=where,
            found=f"{gaps} numbers are left out",
            do="check that the series was exported whole",
        )
