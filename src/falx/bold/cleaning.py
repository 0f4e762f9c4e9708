"""Removing nuisance signals and unwanted frequencies from BOLD series in one projection.

Regressing first and filtering afterwards puts back what regression took out (Lindquist et
al. 2019, Hum Brain Mapp 40:2358). One projection onto what is orthogonal to both does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.bold.confounds import polynomial_trends
from falx.core.errors import InputError, QualityError, check_range
from falx.core.settings import check_settings, option
from falx.core.threads import blas_threads, over_blocks

__all__ = [
    "Band",
    "CleaningBasis",
    "clean",
    "clean_sequentially",
    "cleaning_basis",
    "fourier_columns",
    "ideal_filter",
]

RANK_TOLERANCE = 1e-10
FREQUENCY_TOLERANCE_HZ = 1e-9
_BLOCK = 4096


@dataclass(frozen=True)
class Band:
    """Frequencies to keep, both edges included, Hz.

    Examples
    --------
    >>> Band(0.01, 0.08).keeps(np.array([0.005, 0.01, 0.05, 0.2]))
    array([False,  True,  True, False])
    """

    low_hz: float = option(0.01, help="low edge of the band", unit="Hz", low=0, high=10)
    high_hz: float = option(0.08, help="high edge of the band", unit="Hz", low=0, high=10)

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("high edge of the band", self.high_hz, self.low_hz, 10.0, unit="Hz")

    def keeps(self, frequency_hz: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Whether each frequency, shape (F,), lies in the band."""
        low, high = self.low_hz - FREQUENCY_TOLERANCE_HZ, self.high_hz + FREQUENCY_TOLERANCE_HZ
        return np.asarray((frequency_hz >= low) & (frequency_hz <= high))


@dataclass(frozen=True, eq=False)
class CleaningBasis:
    """What a run keeps after cleaning, and how its degrees of freedom were spent.

    Parameters
    ----------
    kept
        Shape (T, r): orthonormal basis of the signals that remain.
    n_times
        Degrees of freedom before.
    trend_dof, band_dof, nuisance_dof
        What the trend, the band and the nuisance columns took, in this order; a column that
        an earlier one explains takes nothing.
    """

    kept: npt.NDArray[np.float64]
    n_times: int
    trend_dof: int
    band_dof: int
    nuisance_dof: int

    @property
    def dof(self) -> int:
        """Degrees of freedom left."""
        return int(self.kept.shape[1])


def cleaning_basis(
    nuisance: npt.NDArray[np.floating],
    repetition_time_s: float,
    *,
    band: Band | None = None,
    trend_order: int = 1,
    least_dof: int = 15,
) -> CleaningBasis:
    """Orthonormal basis of what is free of trends, nuisance and unwanted frequencies.

    Parameters
    ----------
    nuisance
        Shape (T, P); columns are demeaned here. P may be zero.
    repetition_time_s
        Time between volumes, s.
    band
        Frequencies to keep; all if absent.
    trend_order
        Order of the polynomial trend; 1 removes constant and line.
    least_dof
        Fewer degrees of freedom are refused.

    Raises
    ------
    QualityError
        If fewer than `least_dof` degrees of freedom would be left.

    Notes
    -----
    Every column has unit norm before its rank is judged: squared rotations in radians are
    so small that they would count as zero otherwise.
    """
    columns = np.asarray(nuisance, dtype=np.float64)
    if columns.ndim != 2 or not np.isfinite(columns).all():
        raise InputError(
            "the nuisance signals are not a finite table",
            found=f"shape {columns.shape}",
            do="check motion and tissue signals",
        )
    n = len(columns)
    trend = polynomial_trends(n, trend_order)
    outside = fourier_columns(n, repetition_time_s, band)
    demeaned = columns - columns.mean(axis=0)
    with blas_threads(1):
        after_trend = n - _rank(trend)
        after_band = n - _rank(np.hstack([trend, outside]))
        kept = _complement(np.hstack([trend, outside, demeaned]))
    basis = CleaningBasis(
        kept, n, n - after_trend, after_trend - after_band, after_band - kept.shape[1]
    )
    if basis.dof < least_dof:
        raise QualityError(
            "too few degrees of freedom are left after cleaning",
            found=f"{basis.dof} of {n}: trend {basis.trend_dof}, band {basis.band_dof}, "
            f"nuisance {basis.nuisance_dof}",
            do=f"{least_dof} are needed: exclude the run, widen the band or use fewer regressors",
        )
    return basis


def clean(
    series: npt.NDArray[np.floating], basis: CleaningBasis, *, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Project series of shape (V, T) onto the basis; the result has mean zero.

    The basis is computed in float64; the projection runs in float32 on demeaned series.
    """
    if series.ndim != 2 or series.shape[1] != basis.n_times:
        raise InputError(
            "series and cleaning basis differ in length",
            found=f"{series.shape} and {basis.n_times} time points",
        )
    kept = basis.kept.astype(np.float32)
    back = np.ascontiguousarray(kept.T)
    out = np.empty(series.shape, np.float32)

    def project(rows: slice) -> None:
        block = np.asarray(series[rows], dtype=np.float32)
        block = block - block.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        np.matmul(block @ kept, back, out=out[rows])

    with blas_threads(1):
        over_blocks(project, len(series), block=_BLOCK, threads=threads)
    return out


def clean_sequentially(
    series: npt.NDArray[np.floating],
    nuisance: npt.NDArray[np.floating],
    repetition_time_s: float,
    *,
    band: Band | None = None,
    trend_order: int = 1,
    threads: int = 1,
) -> npt.NDArray[np.float32]:
    """Regress first, then filter: the published order, kept for comparison; shape (V, T).

    The filter brings nuisance signals back; see :func:`cleaning_basis` for the default.
    """
    n = series.shape[1]
    columns = np.asarray(nuisance, dtype=np.float64)
    design = np.hstack([polynomial_trends(n, trend_order), columns - columns.mean(axis=0)])
    with blas_threads(1):
        kept = _complement(design)
    regressed = CleaningBasis(kept, n, trend_order + 1, 0, n - trend_order - 1 - kept.shape[1])
    out = clean(series, regressed, threads=threads)
    return out if band is None else ideal_filter(out, repetition_time_s, band)


def ideal_filter(
    series: npt.NDArray[np.floating], repetition_time_s: float, band: Band
) -> npt.NDArray[np.float32]:
    """Rectangular band-pass as DPABI does it, along the last axis.

    The mean is removed, the series padded with zeros to a power of two of N samples, and the
    zero-based bins ceil(low N TR) to floor(high N TR) are kept.

    Examples
    --------
    >>> time = np.arange(256) * 2.0
    >>> kept = ideal_filter(np.sin(2 * np.pi * 0.03125 * time)[None], 2.0, Band(0.01, 0.08))
    >>> round(float(kept.std()), 4)
    0.7071
    """
    n = series.shape[-1]
    padded = 1 << (n - 1).bit_length()
    low = int(np.ceil(band.low_hz * padded * repetition_time_s))
    high = int(np.floor(band.high_hz * padded * repetition_time_s))
    out = np.empty(series.shape, np.float32)
    for start in range(0, len(series), _BLOCK):
        block = series[start : start + _BLOCK].astype(np.float64)
        spectrum = np.fft.rfft(block - block.mean(axis=-1, keepdims=True), padded)
        spectrum[:, :low] = 0.0
        spectrum[:, high + 1 :] = 0.0
        out[start : start + _BLOCK] = np.fft.irfft(spectrum, padded)[:, :n]
    return out


def fourier_columns(
    n_times: int, repetition_time_s: float, band: Band | None
) -> npt.NDArray[np.float64]:
    """Cosines and sines of the Fourier frequencies outside the band, shape (T, F).

    Raises
    ------
    InputError
        If no Fourier frequency of the run lies in the band.
    """
    check_range("repetition time", repetition_time_s, 0.05, 30.0, unit="s")
    if band is None:
        return np.empty((n_times, 0))
    k = np.arange(1, n_times // 2 + 1)
    keep = band.keeps(k / (n_times * repetition_time_s))
    if not keep.any():
        raise InputError(
            "no frequency of this run lies in the band",
            found=f"{n_times} volumes of {repetition_time_s:g} s, {band.low_hz:g} to "
            f"{band.high_hz:g} Hz",
            do="widen the band or use a longer run",
        )
    phase = 2.0 * np.pi * np.outer(np.arange(n_times), k[~keep]) / n_times
    sines = np.sin(phase)[:, 2 * k[~keep] != n_times]
    return np.hstack([np.cos(phase), sines])


def _unit_columns(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norm = np.linalg.norm(columns, axis=0)
    return np.asarray(columns[:, norm > 0] / norm[norm > 0])


def _rank(columns: npt.NDArray[np.float64]) -> int:
    s = np.linalg.svd(_unit_columns(columns), compute_uv=False)
    return int(np.count_nonzero(s > RANK_TOLERANCE * s[0]))


def _complement(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Orthonormal basis of everything orthogonal to the columns, shape (T, T - rank)."""
    u, s, _ = np.linalg.svd(_unit_columns(columns), full_matrices=True)
    rank = int(np.count_nonzero(s > RANK_TOLERANCE * s[0]))
    return np.asarray(u[:, rank:])
