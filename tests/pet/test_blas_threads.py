"""Sums over voxels have the same bits on one thread of the matrix library as on two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage
from threadpoolctl import threadpool_info, threadpool_limits

from ellipsoid_head import make_head, pet_grid
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.pet.decoy import _resel_voxels
from falx.pet.noise import HalfMaps, _LocalFit
from falx.pet.precision import _filter_sigma_mm, asymmetry_standard_errors
from falx.pet.pvc import Spread, regional_activities, spread_fractions
from falx.pet.receive_field import receive_field
from falx.pet.regions import grey_regions

Scan = tuple[np.ndarray, Grid, Spread]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """A noisy PET of an ellipsoid head."""
    head, grid = make_head(), pet_grid()
    tissues = (Image(t.astype(np.float32), head.grid.affine) for t in (head.gm, head.wm, head.csf))
    regions = grey_regions(head.labels, head.grid.voxel_sizes_mm)
    spread = spread_fractions(*tissues, regions, grid, np.eye(4), fwhm_mm=6.0)
    clean = head.pet(grid, matrix=np.eye(4)).data
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    return (clean + noise).astype(np.float32), grid, spread


def field_of(scan: Scan) -> object:
    head = make_head(voxel_mm=3.0)
    labels = np.where((head.wm > 0.9) & (head.labels == 0), 2, head.labels)
    labels[(labels == 2) & (head.grid.centres_mm()[..., 0] > 0)] = 41
    image = 100.0 + np.random.default_rng(2).standard_normal(labels.shape)
    return receive_field(image, np.ones(labels.shape, bool), labels, head.grid)


def resel_of(scan: Scan) -> object:
    where = np.ones((40, 60, 50), bool)
    noise = np.random.default_rng(3).standard_normal((4, *where.shape))
    maps = ndimage.gaussian_filter(noise, (0, 1.5, 1.2, 1.8)).astype(np.float32)
    return _resel_voxels(HalfMaps(maps.reshape(4, -1), where, scan[1]))


def errors_of(scan: Scan) -> object:
    image, grid, spread = scan
    return asymmetry_standard_errors(image, grid, spread, regional_activities(image, spread))


SUMS: dict[str, Callable[[Scan], object]] = {
    "receive_field": field_of,
    "correlations": lambda scan: _LocalFit(scan[2], scan[1]).correlations(scan[0]),
    "resel_voxels": resel_of,
    "filter_sigma": lambda scan: _filter_sigma_mm(scan[0], scan[2].brain > 0.02, scan[1]),
    "standard_errors": errors_of,
    "activities": lambda scan: regional_activities(scan[0], scan[2]),
}


def bits(found: object) -> bytes:
    values = np.asarray(list(found.values()) if isinstance(found, dict) else found, dtype=float)
    assert values.size and np.isfinite(values).all()
    return values.tobytes()


@pytest.mark.parametrize("name", SUMS)
def test_two_threads_sum_as_one(scan: Scan, name: str) -> None:
    with threadpool_limits(limits=1, user_api="blas"):
        one = bits(SUMS[name](scan))
    with threadpool_limits(limits=2, user_api="blas"):
        assert any(p["num_threads"] == 2 for p in threadpool_info() if p["user_api"] == "blas")
        two = bits(SUMS[name](scan))
    assert two == one
