"""Amplitude of slow fluctuations: ALFF, and fALFF as its share of all frequencies.

Zang et al. 2007, Brain Dev 29:83 (ALFF: mean amplitude of the Fourier components in the band);
Zou et al. 2008, J Neurosci Methods 172:137 (fALFF: sum of the amplitudes in the band over that of
all frequencies but zero). Series must be free of nuisance signals but not filtered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.bold.cleaning import Band
from falx.core.errors import InputError
from falx.core.threads import over_blocks

__all__ = ["Amplitude", "amplitude"]

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Amplitude:
    """ALFF in units of the series and fALFF from 0 to 1, shape (V,) each."""

    alff: npt.NDArray[np.float64]
    falff: npt.NDArray[np.float64]


def amplitude(
    series: npt.NDArray[np.floating],
    repetition_time_s: float,
    band: Band,
    *,
    padded: bool = False,
    threads: int = 1,
) -> Amplitude:
    """Measure the amplitudes of series of shape (V, T).

    Parameters
    ----------
    padded
        Extend series by zeros to a power of two and take the bins ceil(low N TR) to
        floor(high N TR) of N samples, as DPABI does; otherwise the run's own frequencies.

    Raises
    ------
    InputError
        If no frequency of the run lies in the band.

    Examples
    --------
    >>> time_s = np.arange(200) * 2.0
    >>> found = amplitude(3 * np.sin(2 * np.pi * 0.05 * time_s)[None], 2.0, Band(0.05, 0.05))
    >>> round(float(found.alff[0]), 6), round(float(found.falff[0]), 6)
    (3.0, 1.0)
    """
    n = series.shape[1]
    length = 1 << (n - 1).bit_length() if padded else n
    kept = _bins(length, repetition_time_s, band, padded=padded)
    if not kept.any():
        raise InputError(
            "no frequency of this run lies in the band",
            found=f"{n} volumes of {repetition_time_s:g} s, {band.low_hz:g} to "
            f"{band.high_hz:g} Hz",
            do="widen the band or use a longer run",
        )
    alff, falff = np.empty(len(series)), np.zeros(len(series))

    def measure(rows: slice) -> None:
        block = series[rows].astype(np.float64)
        block -= block.mean(axis=1, keepdims=True)
        sizes = 2.0 * np.abs(np.fft.rfft(block, length)) / n
        alff[rows] = sizes[:, kept].mean(axis=1)
        whole = sizes[:, 1:].sum(axis=1)
        np.divide(sizes[:, kept].sum(axis=1), whole, out=falff[rows], where=whole > 0)

    over_blocks(measure, len(series), block=_BLOCK, threads=threads)
    return Amplitude(alff, falff)


def _bins(
    length: int, repetition_time_s: float, band: Band, *, padded: bool
) -> npt.NDArray[np.bool_]:
    """Which bins of the half spectrum, shape (length // 2 + 1,), lie in the band."""
    bins = np.arange(length // 2 + 1)
    if not padded:
        return band.keeps(bins / (length * repetition_time_s)) & (bins > 0)
    low = np.ceil(band.low_hz * length * repetition_time_s)
    high = np.floor(band.high_hz * length * repetition_time_s)
    return np.asarray((bins >= low) & (bins <= high))
