import numpy as np
from scipy import ndimage

from falx.anatomy.segmentation.cleanup import clean_up
from falx.core.grid import box_grid


def test_scalp_is_removed_and_brain_stays():
    grid = box_grid((-60, -60, -60), (60, 60, 60), 2.0)
    r = np.linalg.norm(grid.centres_mm(), axis=-1)
    q = np.zeros((*grid.shape, 6), dtype=np.float32)
    q[..., 5] = r > 50
    q[..., 0] = (r <= 30) | ((r > 44) & (r <= 50))
    q[..., 2] = (r > 30) & (r <= 34)
    q[..., 3] = (r > 34) & (r <= 44)
    # A thin bridge between brain and scalp.
    bridge = (np.abs(grid.centres_mm()[..., :2]).max(-1) < 1.5) & (r > 30) & (r < 44)
    q[bridge] = [1, 0, 0, 0, 0, 0]
    clean = clean_up(q, grid.voxel_sizes_mm)
    assert clean[r > 44][:, :2].max() == 0
    np.testing.assert_array_equal(clean[r <= 28], q[r <= 28])
    np.testing.assert_allclose(clean[(r > 31) & (r < 33), 2].mean(), 1.0, atol=0.01)
    np.testing.assert_allclose(clean.sum(-1), 1.0, atol=1e-5)


def test_an_image_without_parenchyma_stays_as_it_is():
    q = np.zeros((8, 8, 8, 6), dtype=np.float32)
    q[..., 5] = 1
    np.testing.assert_array_equal(clean_up(q, np.ones(3)), q)


def test_an_island_inside_the_brain_is_brain():
    grid = box_grid((-40, -40, -40), (40, 40, 40), 2.0)
    r = np.linalg.norm(grid.centres_mm(), axis=-1)
    q = np.zeros((*grid.shape, 6), dtype=np.float32)
    q[..., 1] = r <= 30
    q[..., 5] = r > 30
    q[r < 4] = [0.02, 0.06, 0.0, 0.0, 0.92, 0.0]
    clean = clean_up(q, grid.voxel_sizes_mm)
    np.testing.assert_allclose(clean[r < 4, :2].sum(-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(clean[r < 4, 1].mean(), 0.75, atol=1e-4)


def test_in_place_is_the_same(rng):
    raw = ndimage.gaussian_filter(rng.normal(size=(14, 15, 16, 6)), (2, 2, 2, 0))
    q = np.exp(40 * raw)
    q = (q / q.sum(-1, keepdims=True)).astype(np.float32)
    apart = clean_up(q, np.ones(3))
    assert clean_up(q, np.ones(3), out=q) is q
    np.testing.assert_array_equal(q, apart)
