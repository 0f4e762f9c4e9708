"""Slice timing on sinusoids, whose shifted values are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from falx.bold.slice_timing import check_slice_times, correct_slice_timing, shift_series
from falx.core.errors import InputError, OptionError

TR = 2.0
TIME = np.arange(250) * TR


@pytest.mark.parametrize("frequency", [0.05, 0.08])
@pytest.mark.parametrize("shift", [-1.0, -0.5, 0.3, 0.98])
def test_shifted_sinusoids(frequency, shift):
    wave = np.sin(2 * np.pi * frequency * TIME)
    exact = np.sin(2 * np.pi * frequency * (TIME + shift))
    odd = np.abs(shift_series(wave, shift, TR) - exact)
    assert odd[10:-10].max() < 1e-3
    spm = np.abs(shift_series(wave, shift, TR, pad="spm") - exact)
    assert odd[:-1].max() < spm[:-1].max()


def test_periodic_series_need_no_padding():
    wave = np.cos(2 * np.pi * 0.05 * TIME + 0.3)
    exact = np.cos(2 * np.pi * 0.05 * (TIME + 0.7) + 0.3)
    np.testing.assert_allclose(shift_series(wave, 0.7, TR, pad="none"), exact, atol=1e-10)


def test_lines_and_constants_are_shifted_exactly():
    np.testing.assert_allclose(shift_series(3 * TIME + 2, 0.5, TR), 3 * (TIME + 0.5) + 2)


def test_every_slice_goes_to_the_reference_time():
    times = np.array([0.0, 1.0, 0.5, 1.5])
    bold = np.sin(2 * np.pi * 0.04 * (TIME + times[:, None]))[None, None]
    out = correct_slice_timing(bold, times, TR, slice_axis=2)
    exact = np.sin(2 * np.pi * 0.04 * (TIME + 1.0))
    assert np.abs(out[0, 0, :, 10:-10] - exact[10:-10]).max() < 1e-3
    turned = correct_slice_timing(np.moveaxis(bold, 2, 0), times, TR, slice_axis=0)
    assert np.array_equal(np.moveaxis(turned, 0, 2), out)


def test_multiband_times_of_a_scanner_pass(reference):
    # 51 slices of 3 bands: 17 distinct times, the largest 1.205 s of 1.3 s.
    sidecar = json.loads((reference / "motion" / "multiband_times.json").read_text())
    times = check_slice_times(sidecar["SliceTiming"], 51, sidecar["RepetitionTime"])
    assert len(np.unique(times)) == 17


def test_bad_times_are_named():
    with pytest.raises(InputError, match="3 times for 4 slices"):
        check_slice_times([0, 1, 1.5], 4, TR)
    with pytest.raises(InputError, match="milliseconds"):
        check_slice_times([0, 500, 1000, 1500], 4, TR)
    with pytest.raises(InputError, match="another TR"):
        check_slice_times([0, 1, 2, 2.5], 4, TR)
    with pytest.raises(InputError, match="impossible"):
        check_slice_times([-0.1, 1, 1.2, 1.5], 4, TR)
    with pytest.raises(OptionError, match="pad"):
        shift_series(TIME, 1.0, TR, pad="even")
