"""Regional homogeneity from a notebook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import falx
from falx.core.errors import FalxError

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
TIMES = 40


@pytest.fixture(scope="module")
def run():
    """Noise, but for a block of voxels that share one series."""
    rng = np.random.default_rng(5)
    data = rng.standard_normal((10, 10, 10, TIMES)).astype(np.float32)
    data[2:6, 2:6, 2:6] = rng.standard_normal(TIMES).astype(np.float32)
    return falx.Image(data + 100, AFFINE), falx.Image(np.ones((10, 10, 10), bool), AFFINE)


def test_voxels_that_agree_have_w_of_one(run) -> None:
    found = falx.reho(*run)
    assert found.image.data[3:5, 3:5, 3:5].min() == pytest.approx(1.0)
    assert found.image.data[8:, 8:, 8:].max() < 0.4
    assert found.mask.data.all() and found.dof is None and found.volumes == TIMES
    assert found.image.data.dtype == np.float32


@settings(max_examples=10)
@given(st.floats(0.1, 50.0), st.floats(-20.0, 200.0))
def test_scale_and_offset_of_the_scanner_do_not_matter(run, gain, offset) -> None:
    bold, mask = run
    other = falx.Image(bold.data.astype(np.float64) * gain + offset, AFFINE)
    own, again = falx.reho(bold, mask), falx.reho(other, mask)
    np.testing.assert_allclose(again.image.data, own.image.data, atol=5e-3)


def test_cleaning_needs_the_repetition_time_and_costs_degrees_of_freedom() -> None:
    rng = np.random.default_rng(6)
    bold = falx.Image(rng.standard_normal((6, 6, 6, 120)), AFFINE)
    mask = falx.Image(np.ones((6, 6, 6)), AFFINE)
    nuisance = rng.standard_normal((120, 2))
    plain = falx.reho(bold, mask, repetition_time_s=2.0)
    cleaned = falx.reho(bold, mask, repetition_time_s=2.0, nuisance=nuisance)
    assert plain.dof is not None and cleaned.dof == plain.dof - 2
    wide = falx.reho(bold, mask, repetition_time_s=2.0, band_hz=(0.01, 0.2))
    assert wide.dof > plain.dof
    assert "degrees of freedom left" in repr(plain)
    with pytest.raises(FalxError, match="give repetition_time_s"):
        falx.reho(bold, mask, nuisance=nuisance)


def test_fewer_neighbours_are_taken_as_asked(run) -> None:
    seven, all_ = falx.reho(*run, neighbours=7), falx.reho(*run)
    assert (seven.image.data[8:, 8:, 8:] > all_.image.data[8:, 8:, 8:]).mean() > 0.9


def test_it_prints_and_draws_itself(run) -> None:
    found = falx.reho(*run)
    assert repr(found).startswith("Regional homogeneity\n  voxels") and "Kendall's W" in repr(
        found
    )
    assert found.plot()._repr_png_().startswith(b"\x89PNG")


def test_what_has_no_homogeneity_is_refused(run) -> None:
    bold, mask = run
    lonely = np.zeros((10, 10, 10))
    lonely[5, 5, 5] = 1
    for call, sentence in (
        (lambda: falx.reho(bold.data, mask), "an array does not say where it lies"),
        (lambda: falx.reho(mask, mask), "a 4D image is needed"),
        (lambda: falx.reho(bold, falx.Image(mask.data[:-1], AFFINE)), "on different grids"),
        (lambda: falx.reho(bold, falx.Image(lonely, AFFINE)), "no voxel has enough neighbours"),
        (lambda: falx.reho(bold, mask, neighbours=9), "neighbours"),
        (lambda: falx.reho(bold, mask, smoothing_fwhm_mm=-1), "smoothing_fwhm_mm"),
        (lambda: falx.reho(bold, mask, repetition_time_s=2000), "repetition_time_s .* 30 s"),
    ):
        with pytest.raises(FalxError, match=sentence):
            call()
