"""Slice timing: the series of every slice as if all slices had been taken at once.

Sladky et al. 2011, NeuroImage 58:588, measured how much it gains.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option, check_range

__all__ = ["Pad", "check_slice_times", "correct_slice_timing", "shift_series"]

Pad = Literal["odd", "spm", "none"]


def correct_slice_timing(
    bold: npt.NDArray[np.floating],
    slice_times_s: npt.ArrayLike,
    repetition_time_s: float,
    *,
    slice_axis: int = 2,
    reference_s: float | None = None,
    pad: Pad = "odd",
) -> npt.NDArray[np.float32]:
    """Shift the series of every slice to one reference time.

    Parameters
    ----------
    bold
        Shape (X, Y, Z, T).
    slice_times_s
        Time of every slice after the start of the volume, s, in the order of the array axis;
        simultaneous slices repeat their time.
    slice_axis
        Array axis along which slices were taken.
    reference_s
        Time to shift to; the middle of the repetition time if absent.
    pad
        How the series is extended, see :func:`shift_series`.
    """
    times = check_slice_times(slice_times_s, bold.shape[slice_axis], repetition_time_s)
    target = 0.5 * repetition_time_s if reference_s is None else reference_s
    check_range("reference time", target, 0.0, repetition_time_s, unit="s")
    out = np.empty(bold.shape, np.float32)
    source, result = np.moveaxis(bold, slice_axis, 0), np.moveaxis(out, slice_axis, 0)
    for s, time_s in enumerate(times):
        result[s] = shift_series(source[s], target - time_s, repetition_time_s, pad=pad)
    return out


def shift_series(
    series: npt.NDArray[np.floating], shift_s: float, repetition_time_s: float, *, pad: Pad = "odd"
) -> npt.NDArray[np.float64]:
    """Values `shift_s` later, by a phase shift of every frequency, along the last axis.

    Parameters
    ----------
    pad
        ``odd``: the line through the end samples is taken out and the rest reflected, so
        that the extension has no step; ``spm``: a ramp back to the first sample, up to the
        next power of two, as SPM12 and DPABI do; ``none``: the series is taken as periodic.

    Notes
    -----
    ``x = IFFT(FFT(y) exp(2πi f shift))``; the last sample is an extrapolation whenever the
    shift is positive.

    Examples
    --------
    >>> time = np.arange(64) * 2.0
    >>> shifted = shift_series(np.cos(2 * np.pi * time / 32), 0.5, 2.0, pad="none")
    >>> bool(np.allclose(shifted, np.cos(2 * np.pi * (time + 0.5) / 32)))
    True
    """
    check_option("pad", pad, ("odd", "spm", "none"))
    values = np.asarray(series, dtype=np.float64)
    n = values.shape[-1]
    if pad == "odd":
        steps = np.arange(n) / (n - 1)
        first, last = values[..., :1], values[..., -1:]
        rest = values - (first + (last - first) * steps)
        extended = np.concatenate([rest, -rest[..., -2:0:-1]], axis=-1)
        line = first + (last - first) * (steps + shift_s / repetition_time_s / (n - 1))
        return np.asarray(_phase_shift(extended, shift_s / repetition_time_s)[..., :n] + line)
    if pad == "spm":
        # Strictly above: SPM12 pads a series of 256 to 512.
        ramp = np.linspace(0.0, 1.0, (1 << n.bit_length()) - n + 2)[1:-1]
        first, last = values[..., :1], values[..., -1:]
        values = np.concatenate([values, last + (first - last) * ramp], axis=-1)
    return _phase_shift(values, shift_s / repetition_time_s)[..., :n]


def check_slice_times(
    slice_times_s: npt.ArrayLike, n_slices: int, repetition_time_s: float
) -> npt.NDArray[np.float64]:
    """Return the slice times, shape (Z,), if they can be right, else say what is wrong."""
    times = np.asarray(slice_times_s, dtype=np.float64)
    if times.shape != (n_slices,):
        raise InputError(
            "SliceTiming does not list every slice",
            found=f"{times.size} times for {n_slices} slices",
            do="correct the sidecar or switch slice timing off",
        )
    if not np.isfinite(times).all() or times.min() < 0:
        raise InputError(
            "SliceTiming holds impossible times",
            found=f"least {times.min():g} s",
            do="correct the sidecar or switch slice timing off",
        )
    if times.max() >= repetition_time_s:
        unit = "milliseconds" if times.max() > 20.0 * repetition_time_s else "times of another TR"
        raise InputError(
            "SliceTiming exceeds the repetition time",
            found=f"largest {times.max():g}, repetition time {repetition_time_s:g} s: "
            f"these look like {unit}",
            do="write SliceTiming in seconds",
        )
    return times


def _phase_shift(values: npt.NDArray[np.float64], shift_samples: float) -> npt.NDArray[np.float64]:
    n = values.shape[-1]
    spectrum = np.fft.rfft(values, axis=-1)
    phase = np.exp(2j * np.pi * np.fft.rfftfreq(n) * shift_samples)
    return np.asarray(np.fft.irfft(spectrum * phase, n, axis=-1))
