"""Random fields and smoothness against SPM12 and DPABI.

The reference numbers were made with SPM12 (commit 03ac947) and DPABI (commit ecc7ac2) under
Octave 7.3; see tests/reference/random_fields/README.md.
"""

from __future__ import annotations

import csv

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage, optimize

from falx.core.errors import FalxNotice, InputError, OptionError
from falx.maps.inference.random_fields import (
    FslClusterTest,
    SpmField,
    ec_densities,
    warn_if_liberal,
)
from falx.maps.inference.smoothness import (
    fsl_smoothness,
    resel_counts,
    roughness_correction,
    spm_smoothness,
)

FOLDER = "random_fields"


def table(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def field(row):
    resels = np.array([float(row[f"R{d}"]) for d in range(4)])
    return SpmField(resels, row["stat"], float(row["df"]))


def test_probabilities_of_spm(reference):
    rows = table(reference / FOLDER / "spm_P_RF.csv")
    assert len(rows) == 802
    for row in rows:
        spm, u, k = field(row), float(row["u"]), float(row["k_resel"])
        assert spm.p_cluster(u, k) == pytest.approx(float(row["P_corr"]), abs=1e-10)
        assert spm.p_cluster(u, 0.0) == pytest.approx(float(row["P_peak"]), abs=1e-10)
        assert spm.p_cluster_uncorrected(u, k) == pytest.approx(float(row["p_unc"]), rel=1e-9)
        assert spm.expected_clusters(u) == pytest.approx(float(row["Ec"]), rel=1e-9)
        assert spm.mean_extent(u) == pytest.approx(float(row["Ek_resel"]), rel=1e-9)


def test_corrected_heights_of_spm(reference):
    rows = table(reference / FOLDER / "spm_uc_RF.csv")
    assert len(rows) == 29
    for row in rows:
        alpha, spm = float(row["alpha"]), field(row)
        height = optimize.brentq(lambda u: spm.p_cluster(u, 0.0) - alpha, 2.0, 100.0, xtol=1e-12)  # noqa: B023
        assert height == pytest.approx(float(row["u"]), abs=1e-8)


def test_resel_counts_of_spm(reference):
    image = nib.load(reference / FOLDER / "mask_3mm_61x73x61.nii.gz")
    mask = np.asarray(image.dataobj) > 0
    assert mask.sum() == 69_809
    rows = table(reference / FOLDER / "spm_resels_mask3mm.csv")
    assert len(rows) == 4
    for row in rows:
        found = resel_counts(mask, [float(row[f"fwhm_{a}"]) for a in "xyz"])
        np.testing.assert_allclose(found, [float(row[f"R{d}"]) for d in range(4)], rtol=1e-9)


@pytest.fixture(scope="module")
def residuals(reference):
    stored = np.load(reference / FOLDER / "fields.npz")
    return stored["thousandths"] / 1000.0, stored["mask"]


def test_smoothness_of_spm(reference, residuals):
    (row,) = table(reference / FOLDER / "spm_est_smoothness.csv")
    found = spm_smoothness(*residuals, 22)
    expected = [float(row[f"fwhm_{a}"]) for a in "xyz"]
    np.testing.assert_allclose(found.fwhm_voxels, expected, rtol=2e-3)
    assert found.resels_per_voxel.shape == residuals[1].shape


def test_smoothness_of_dpabi(reference, residuals):
    from_residuals, from_z = table(reference / FOLDER / "dpabi_smoothest.csv")
    found = fsl_smoothness(*residuals, 22)
    # DPABI reads a table of lambda with linear interpolation, one degree of freedom too far.
    low, high = roughness_correction(20), roughness_correction(25)
    theirs = low + (23 - 20) / (25 - 20) * (high - low)
    dlh = found.dlh * np.sqrt(theirs / roughness_correction(22))
    assert dlh == pytest.approx(float(from_residuals["dLh"]), rel=2e-4)
    assert found.dlh == pytest.approx(0.195724, rel=2e-4)
    widths = [float(from_residuals[f"fwhm_{a}_mm"]) for a in "xyz"]
    np.testing.assert_allclose(3.0 * found.fwhm_voxels, widths, rtol=1e-4)

    z = np.load(reference / FOLDER / "fields.npz")["z"]
    single = fsl_smoothness(z[None], residuals[1])
    assert single.dlh == pytest.approx(float(from_z["dLh"]), rel=2e-4)
    widths = [float(from_z[f"fwhm_{a}_mm"]) for a in "xyz"]
    np.testing.assert_allclose(3.0 * single.fwhm_voxels, widths, rtol=1e-4)
    assert single.n_voxels == 12_208


def test_cluster_sizes_of_dpabi(reference):
    rows = table(reference / FOLDER / "dpabi_grf_cluster_size.csv")
    assert len(rows) == 103
    for row in rows:
        test = FslClusterTest(
            int(row["nvox"]), float(row["dLh"]), float(row["voxel_p"]), float(row["cluster_p"]),
            row["two_tailed"] == "1",
        )  # fmt: skip
        assert test.expected_clusters == pytest.approx(float(row["Em"]), rel=1e-9)
        assert test.expected_voxels == pytest.approx(float(row["EN"]), rel=1e-9)
        assert test.beta == pytest.approx(float(row["Beta"]), rel=1e-9)
        assert test.least_extent == int(row["min_cluster_size"])


@pytest.mark.parametrize(
    ("dof", "value"),
    [(5, 1.5423138), (20, 1.0632924), (25, 1.0483053), (100, 1.0104851), (500, 1.0020191)],
)
def test_roughness_correction(dof, value):
    # Entries of the table built into FSL and DPABI (Kiebel et al. 1999, equation 16).
    assert roughness_correction(dof) == pytest.approx(value, rel=1e-6)


def test_known_smoothness_is_found(rng):
    # The width of a field is that of the kernel that makes it from white noise.
    shape, sigma, n = (30, 32, 28), 1.5, 40
    fields = [
        ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap") for _ in range(n)
    ]
    values = np.reshape(fields, (n, -1))
    rest = values - values.mean(axis=0)
    rest /= np.sqrt((rest**2).sum(axis=0) / (n - 1))
    mask, truth = np.ones(shape, bool), sigma * np.sqrt(8 * np.log(2))
    np.testing.assert_allclose(fsl_smoothness(rest, mask, n - 1).fwhm_voxels, truth, rtol=0.03)
    # A difference over one voxel falls short of the derivative: 2.8 % at this width.
    spm = spm_smoothness(rest, mask, n - 1).fwhm_voxels
    np.testing.assert_allclose(spm, 1.028 * truth, rtol=0.03)


def test_densities_of_t_approach_those_of_z():
    np.testing.assert_allclose(ec_densities(3.0, "T", 1e7), ec_densities(3.0, "Z"), rtol=1e-5)


def test_larger_clusters_are_rarer():
    test = FslClusterTest(69_809, 0.109921)
    p = [test.p_value(k) for k in range(1, 200)]
    assert np.all(np.diff(p) < 0)
    assert test.p_value(test.least_extent) < test.alpha <= test.p_value(test.least_extent - 1)


def test_notice_and_bad_input(rng):
    with pytest.warns(FalxNotice, match="not safe at this voxel threshold"):
        warn_if_liberal(0.005)
    warn_if_liberal(0.001)
    with pytest.raises(InputError, match="positive roughness"):
        FslClusterTest(100, 0.0)
    with pytest.raises(OptionError, match="statistic"):
        ec_densities(2.0, "F")
    thin = np.zeros((5, 5, 5), bool)
    thin[:, 2, 2] = True
    with pytest.raises(InputError, match="too thin"):
        fsl_smoothness(rng.normal(size=(3, 5)), thin, 2)
    with pytest.raises(InputError, match="do not match the mask"):
        spm_smoothness(rng.normal(size=(3, 4)), thin, 2)
