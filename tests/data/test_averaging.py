"""The mathematics of the priors, on a head that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import GridError
from falx.core.grid import Grid, box_grid
from falx.data.averaging import (
    RegisteredHead,
    average_structures,
    average_tissues,
    combine_tissues,
    cut_below_skull,
    structure_ids,
)
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap


@pytest.fixture
def grid():
    return box_grid((-9.5, -10, -10), (9.5, 10, 10), 1.0)


@pytest.fixture
def head(grid):
    """Skin shell, grey matter everywhere inside, a hippocampus on the left only."""
    labels = np.zeros(grid.shape, np.int32)
    labels[2:-2, 2:-2, :-2] = 511
    labels[4:-4, 4:-4, 2:-4] = 24
    labels[5:10, 5:-5, 4:-5] = 3
    labels[10:15, 5:-5, 4:-5] = 42
    labels[7:9, 8:12, 8:12] = 17
    return Image(labels, grid.affine)


def identity(grid):
    return CoordinateMap(grid.centres_mm().astype(np.float32), grid.affine)


def test_one_head_and_its_mirror_give_one_half_each(head, grid):
    priors = average_structures([RegisteredHead(head, identity(grid))], grid)
    left, right = structure_ids().index(17), structure_ids().index(53)
    assert priors[left][7:9, 8:12, 8:12].min() == pytest.approx(0.5)
    np.testing.assert_array_equal(priors[left][::-1], priors[right])


def test_tissues_sum_to_one_and_are_symmetric(head, grid):
    tissues = average_tissues([RegisteredHead(head, identity(grid))], grid)
    np.testing.assert_allclose(tissues.sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(tissues[::-1], tissues)
    assert tissues[7, 9, 9, 0] == 1.0
    assert tissues[0, 0, 5, 5] == 1.0


def test_the_map_is_followed(head, grid):
    shift = CoordinateMap(
        (grid.centres_mm() + np.array([0.0, 3.0, 0.0])).astype(np.float32), grid.affine
    )
    plain = average_structures([RegisteredHead(head, identity(grid))], grid)
    moved = average_structures([RegisteredHead(head, shift)], grid)
    np.testing.assert_allclose(moved[:, :, :-3], plain[:, :, 3:], atol=1e-5)


def test_what_the_field_of_view_cut_off_below_is_not_air(head, grid):
    cut = Image(np.where(np.arange(grid.shape[2]) < 4, 0, head.data), head.affine)
    pair = [RegisteredHead(h, identity(grid)) for h in (head, cut)]
    tissues = average_tissues(pair, grid)
    whole = average_tissues(pair[:1], grid)
    np.testing.assert_allclose(tissues[:, :, 1], whole[:, :, 1], atol=1e-6)


def test_the_template_takes_its_share(head, grid):
    heads = average_tissues([RegisteredHead(head, identity(grid))], grid)
    gm, wm = np.zeros(grid.shape), np.zeros(grid.shape)
    wm[9:11, 9, 9] = 1.0
    mixed = combine_tissues(heads, gm, wm, grid, template_weight=0.25, fwhm_mm=0.0)
    np.testing.assert_allclose(mixed[9, 9, 9], [0.75, 0.25, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mixed.sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(mixed[::-1], mixed)


def test_csf_below_the_cerebellum_is_soft_tissue():
    labels = np.zeros((5, 5, 40), np.int32)
    labels[2, 2, 20:25] = 47
    labels[2, 3, :] = 24
    cut = cut_below_skull(Image(labels, np.eye(4))).data
    assert (cut[2, 3, 15:] == 24).all()
    assert (cut[2, 3, :15] == 507).all()


def test_a_grid_without_symmetry_is_refused(head, grid):
    with pytest.raises(GridError, match="symmetric about x = 0"):
        average_tissues([RegisteredHead(head, identity(grid))], Grid((4, 4, 4), np.eye(4)))
