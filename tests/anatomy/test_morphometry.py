"""Modulation keeps the amount of tissue; head size is accounted for as it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from falx.anatomy.files import GreyVolumeFiles, grey_volume_stage
from falx.anatomy.morphometry import (
    GreySettings,
    intracranial_volume_ml,
    modulated,
)
from falx.anatomy.registration.inverse import jacobian_determinants
from falx.core.errors import FalxNotice, InputError, QualityError
from falx.core.grid import Grid, normalisation_grid
from falx.images.nifti import Image, load, save
from falx.images.warp import CoordinateMap, save_map
from falx.maps.design import two_sample_design
from falx.maps.head_size import adjust_for_tiv, sample_homogeneity
from falx.maps.linear import fit_contrast


def grid(voxel_mm, n):
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = -voxel_mm * (n - 1) / 2
    return Grid((n, n, n), affine)


TEMPLATE = grid(2.0, 32)


def ball(where, radius_mm):
    data = np.linalg.norm(where.centres_mm(), axis=-1) < radius_mm
    return Image(ndimage.gaussian_filter(data.astype(np.float32), 1.0), where.affine)


def warp(points):
    """A smooth bijection with a known, uneven Jacobian."""
    shift = 3.0 * np.sin(points / 12.0)
    return (1.15 * points + shift[..., [1, 2, 0]]).astype(np.float32)


def test_amount_of_tissue_is_kept():
    native = grid(1.0, 80)
    tissue = ball(native, 20.0)
    mapping = CoordinateMap(warp(TEMPLATE.centres_mm()), TEMPLATE.affine)
    there = modulated(tissue, mapping, TEMPLATE)
    native_mm3 = tissue.data.sum()
    template_mm3 = there.sum() * TEMPLATE.voxel_volume_mm3
    assert template_mm3 == pytest.approx(native_mm3, rel=5e-3)
    plain = modulated(tissue, mapping, TEMPLATE, modulate=False)
    assert plain.max() <= 1.0 + 1e-6
    assert plain.sum() * TEMPLATE.voxel_volume_mm3 < 0.8 * native_mm3


def test_jacobian_of_a_linear_map():
    linear = np.array([[1.2, 0.1, 0.0], [0.0, 0.9, 0.2], [0.05, 0.0, 1.1]])
    coordinates = TEMPLATE.centres_mm() @ linear.T
    found = jacobian_determinants(CoordinateMap(coordinates, TEMPLATE.affine))
    np.testing.assert_allclose(found, np.linalg.det(linear), rtol=1e-9)


def test_mirrored_head_gives_mirrored_map():
    native = grid(1.0, 80)
    tissue = ball(native, 20.0)
    tissue.data[:40] *= 0.5
    points = TEMPLATE.centres_mm()
    mapping = CoordinateMap(warp(points), TEMPLATE.affine)
    flip = np.array([-1.0, 1.0, 1.0], np.float32)
    turned_map = CoordinateMap(warp(points * flip) * flip, TEMPLATE.affine)
    turned_tissue = Image(tissue.data[::-1].copy(), tissue.affine)
    a = modulated(tissue, mapping, TEMPLATE)
    b = modulated(turned_tissue, turned_map, TEMPLATE)
    np.testing.assert_allclose(b[::-1], a, atol=1e-4)


def test_folded_map_is_refused():
    folded = TEMPLATE.centres_mm().astype(np.float32)
    folded[14:18, 14:18, 14:18, 0] *= -3.0
    folded[15, 15, 15] += 9.0
    with pytest.raises(QualityError, match="deformation folds"):
        modulated(ball(grid(1.0, 80), 30.0), CoordinateMap(folded, TEMPLATE.affine), TEMPLATE)


def test_head_size(rng):
    native = grid(2.0, 20)
    tissues = [Image(np.full((20, 20, 20), share), native.affine) for share in (0.5, 0.3, 0.2)]
    assert intracranial_volume_ml(*tissues) == pytest.approx(64.0)
    tiv = rng.normal(1500, 100, 20)
    maps = (rng.normal(0.5, 0.05, (20, 30)) * tiv[:, None] / 1500).astype(np.float32)
    covariate = adjust_for_tiv(maps, tiv)
    assert np.array_equal(covariate.maps, maps)
    assert np.array_equal(covariate.covariate, tiv)
    scaled = adjust_for_tiv(maps, tiv, "proportional")
    np.testing.assert_allclose(scaled.maps, maps * (tiv.mean() / tiv)[:, None], rtol=1e-5)
    with pytest.warns(FalxNotice, match="before the group model"):
        published = adjust_for_tiv(maps, tiv, "residual")
    assert np.abs(np.corrcoef(published.maps.T, tiv)[-1, :-1]).max() < 1e-4
    assert adjust_for_tiv(maps, tiv, "none").covariate is None


def test_published_adjustment_overstates_the_degrees_of_freedom(rng):
    tiv = rng.normal(1500, 100, 20)
    maps = rng.normal(size=(20, 30)).astype(np.float32)
    groups = ["a"] * 10 + ["b"] * 10
    with pytest.warns(FalxNotice):
        published = adjust_for_tiv(maps, tiv, "residual").maps
    plain = fit_contrast(published, two_sample_design(groups, "a", "b"), np.array([1.0, 0]))
    design = two_sample_design(groups, "a", "b", {"tiv": tiv})
    honest = fit_contrast(maps, design, np.array([1.0, 0, 0]))
    assert plain.dof == honest.dof + 1


def test_a_map_unlike_the_others_is_found(rng):
    common = rng.normal(size=500)
    sample = common + 0.2 * rng.normal(size=(15, 500))
    sample[4] = rng.normal(size=500)
    found = sample_homogeneity(sample)
    assert found.outliers == (4,)
    expected = np.corrcoef(sample)[0, 1:].mean()
    assert found.mean_correlation[0] == pytest.approx(expected)
    with pytest.raises(InputError, match="at least three"):
        sample_homogeneity(sample[:2])
    with pytest.raises(InputError, match="positive intracranial volume"):
        adjust_for_tiv(sample, np.zeros(15))


def test_stage_keeps_the_amount(tmp_path):
    native = grid(2.0, 60)
    tissue = ball(native, 30.0)
    for name, share in (("gm", 1.0), ("wm", 0.5), ("csf", 0.25)):
        save(tmp_path / f"{name}.nii.gz", share * tissue.data, native.affine)
    template = normalisation_grid(4.0)
    mapping = CoordinateMap((1.1 * template.centres_mm()).astype(np.float32), template.affine)
    save_map(tmp_path / "map.nii.gz", mapping)
    files = GreyVolumeFiles(
        gm=tmp_path / "gm.nii.gz", wm=tmp_path / "wm.nii.gz", csf=tmp_path / "csf.nii.gz",
        to_native=tmp_path / "map.nii.gz", volume=tmp_path / "volume.nii.gz",
        smoothed=tmp_path / "smoothed.nii.gz", metrics=tmp_path / "metrics.json",
    )  # fmt: skip
    grey_volume_stage(files, GreySettings(voxel_mm=4.0, smoothing_fwhm_mm=8.0))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["tiv_ml"] == pytest.approx(1.75 * metrics["gm_ml"], rel=1e-5)
    assert metrics["template_gm_ml"] == pytest.approx(metrics["gm_ml"], rel=0.02)
    volume, smoothed = (load(tmp_path / f"{n}.nii.gz") for n in ("volume", "smoothed"))
    assert smoothed.data.sum() == pytest.approx(volume.data.sum(), rel=1e-3)
    assert smoothed.data.std() < volume.data.std()
