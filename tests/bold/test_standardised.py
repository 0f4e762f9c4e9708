"""Maps of homogeneity as z and as share of the mean, before and after smoothing."""

from __future__ import annotations

import numpy as np
import pytest

from falx.bold.reho import regional_homogeneity
from falx.bold.standardised import comparable, relative, standardise
from falx.core.errors import InputError


def test_standardised_maps(rng):
    mask = np.ones((8, 8, 8), bool)
    reho = regional_homogeneity(rng.normal(size=(512, 30)), mask)
    z = standardise(reho.w, mask)
    assert z[mask].mean() == pytest.approx(0, abs=1e-12)
    assert z[mask].std(ddof=1) == pytest.approx(1)
    late = comparable(reho.w, reho.computed, (3, 3, 3), scale_first=False)
    assert late[mask].std(ddof=1) == pytest.approx(1)
    np.testing.assert_allclose(
        comparable(reho.w, reho.computed, (3, 3, 3), fwhm_mm=0), z, atol=1e-6
    )
    assert comparable(reho.w, reho.computed, (3, 3, 3), within_mask=True).std() < z.std()


def test_share_of_the_mean(rng):
    mask = rng.random((8, 8, 8)) > 0.3
    reho = regional_homogeneity(rng.normal(size=(int(mask.sum()), 30)), mask)
    share = relative(reho.w, reho.computed)
    assert share[reho.computed].mean() == pytest.approx(1.0, abs=1e-12)
    assert np.all(share[~reho.computed] == 0)
    # z and the share are linear in W: both order the voxels alike.
    z = standardise(reho.w, reho.computed)
    spread = reho.w[reho.computed].std(ddof=1) / reho.w[reho.computed].mean()
    np.testing.assert_allclose(share[reho.computed], 1 + spread * z[reho.computed], atol=1e-12)


def test_smoothed_share_keeps_its_mean_inside_a_mask(rng):
    mask = np.ones((9, 8, 7), bool)
    reho = regional_homogeneity(rng.normal(size=(mask.size, 30)), mask)
    np.testing.assert_allclose(
        comparable(reho.w, reho.computed, (3, 3, 3), relative, fwhm_mm=0),
        relative(reho.w, mask),
        atol=1e-6,
    )
    late = comparable(
        reho.w, reho.computed, (3, 3, 3), relative, scale_first=False, within_mask=True
    )
    assert late.mean() == pytest.approx(1.0, abs=1e-12)
    faded = comparable(reho.w, reho.computed, (3, 3, 3), relative)
    assert (
        faded[0].mean()
        < 0.8
        < comparable(reho.w, reho.computed, (3, 3, 3), relative, within_mask=True)[0].mean()
    )


def test_maps_without_mean_or_spread_are_refused():
    with pytest.raises(InputError, match="constant inside its mask"):
        standardise(np.ones((3, 3, 3)), np.ones((3, 3, 3), bool))
    with pytest.raises(InputError, match="without a positive mean .*0 voxels"):
        relative(np.ones((2, 2, 2)), np.zeros((2, 2, 2), bool))
