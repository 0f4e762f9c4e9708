"""A run as it comes from the scanner: checked, timed, and ready for motion estimation."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import numpy.typing as npt

from falx.bold.slice_timing import Pad, check_slice_times, correct_slice_timing
from falx.core.errors import InputError, check_option, notify

__all__ = ["BoldRun", "SliceOrder", "check_repetition_time", "slice_order"]

LEAST_VOLUMES = 100
_TR_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class SliceOrder:
    """When every slice of the array was taken.

    Parameters
    ----------
    axis
        Array axis along which slices were taken.
    times_s
        Time of every slice in array order, s.
    """

    axis: int
    times_s: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoldRun:
    """A resting run.

    Parameters
    ----------
    data
        Shape (X, Y, Z, T), axes closest to right, anterior, superior.
    affine
        4×4, voxels to RAS+ mm.
    repetition_time_s
        Time between volumes, s.
    slices
        None where slice times are not known.
    """

    data: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]
    repetition_time_s: float
    slices: SliceOrder | None = None

    def without_first(
        self, dropped: int, *, least_volumes: int = LEAST_VOLUMES, where: object = None
    ) -> BoldRun:
        """Drop the volumes taken before the magnetisation is steady; refuse short runs.

        Raises
        ------
        InputError
            If fewer than `least_volumes` are left, or a volume is empty or frozen.
        """
        left = self.data.shape[3] - dropped
        if left < least_volumes:
            raise InputError(
                "the run is too short",
                where=where,
                found=f"{self.data.shape[3]} volumes, {max(left, 0)} after dropping {dropped}",
                do=f"{least_volumes} are needed after the drop",
            )
        kept = self.data[..., dropped:]
        _check_volumes(kept, dropped, where)
        return BoldRun(kept, self.affine, self.repetition_time_s, self.slices)

    def slice_timed(self, *, pad: Pad = "odd", where: object = None) -> BoldRun:
        """Shift every slice to the middle of the repetition time; a notice without times.

        Parameters
        ----------
        pad
            How series are extended, see :func:`falx.bold.slice_timing.shift_series`.
        """
        if self.slices is None:
            notify(
                "slice times are not known, so slice timing is left out",
                where=where,
                do="add SliceTiming to the sidecar",
            )
            return self
        timed = correct_slice_timing(
            self.data,
            self.slices.times_s,
            self.repetition_time_s,
            slice_axis=self.slices.axis,
            pad=pad,
        )
        return BoldRun(timed, self.affine, self.repetition_time_s, self.slices)


def check_repetition_time(
    header_s: float, sidecar_s: float | None, *, where: object = None
) -> float:
    """Return the repetition time, s, if header and sidecar can both be right.

    Examples
    --------
    >>> check_repetition_time(2.0, 2.0), check_repetition_time(2000.0, 2.0)
    (2.0, 2.0)
    """
    if sidecar_s is None:
        if not 0.05 <= header_s <= 30.0:
            raise InputError(
                "the repetition time is not known",
                where=where,
                found=f"header {header_s:g}, no RepetitionTime in the sidecar",
                do="add RepetitionTime in seconds to the sidecar",
            )
        return float(header_s)
    if not 0.05 <= sidecar_s <= 30.0:
        raise InputError(
            "RepetitionTime must be given in seconds",
            where=where,
            found=sidecar_s,
            do="correct the sidecar",
        )
    # Headers without a repetition time hold 0 or 1, and some count in milliseconds.
    stated = header_s / 1000.0 if header_s > 30.0 else header_s
    unset = header_s in (0.0, 1.0)
    if not unset and abs(stated - sidecar_s) > _TR_TOLERANCE * sidecar_s:
        raise InputError(
            "header and sidecar contradict each other about the repetition time",
            where=where,
            found=f"{header_s:g} and {sidecar_s:g} s",
            do="find out which is right and correct the other",
        )
    return float(sidecar_s)


def slice_order(
    times_s: npt.ArrayLike,
    direction: str | None,
    stored_affine: npt.NDArray[np.floating],
    stored_shape: tuple[int, ...],
    repetition_time_s: float,
) -> SliceOrder:
    """Slice times in the order of an array that has been turned to RAS+.

    Parameters
    ----------
    times_s
        SliceTiming of the sidecar.
    direction
        SliceEncodingDirection, ``k`` if absent; ``k-`` lists the last slice first.
    stored_affine, stored_shape
        Of the file, before turning.
    """
    code = check_option(
        "SliceEncodingDirection", direction or "k", ("i", "j", "k", "i-", "j-", "k-")
    )
    stored_axis = "ijk".index(code[0])
    times = check_slice_times(times_s, stored_shape[stored_axis], repetition_time_s)
    if code.endswith("-"):
        times = times[::-1]
    axis, flip = nib.orientations.io_orientation(stored_affine)[stored_axis]
    return SliceOrder(int(axis), times[::-1] if flip < 0 else times)


def _check_volumes(data: npt.NDArray[np.floating], dropped: int, where: object) -> None:
    """Raise for a volume without signal or identical with the one before it."""
    for k in range(data.shape[3]):
        volume = data[..., k]
        if not np.isfinite(volume).all() or volume.max() <= volume.min():
            raise InputError(
                "a volume is empty or not finite",
                where=where,
                found=f"volume {k + dropped + 1}",
                do="export the run again, or exclude the subject",
            )
        if k and np.array_equal(volume, data[..., k - 1]):
            raise InputError(
                "two volumes in a row are identical: the run is frozen",
                where=where,
                found=f"volumes {k + dropped} and {k + dropped + 1}",
                do="export the run again, or exclude the subject",
            )
