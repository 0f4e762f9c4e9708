"""Clusters and TFCE against labelling with scipy and a stepwise integral."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from falx.core.errors import InputError, OptionError
from falx.maps.inference.clusters import cluster_maxima, find_clusters, label_clusters
from falx.maps.inference.neighbours import neighbour_table
from falx.maps.inference.tfce import EXTENT_POWER, _integrate, tfce

STRUCTURE = {6: 1, 18: 2, 26: 3}


def smooth_map(rng, shape=(12, 13, 11), sigma=1.0):
    values = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    return 2.0 * values / values.std()


def stepwise_tfce(values, connectivity, steps):
    """Midpoint rule over heights, as in the definition."""
    structure = ndimage.generate_binary_structure(3, STRUCTURE[connectivity])
    dh = np.abs(values).max() / steps
    out = np.zeros(values.shape)
    for sign in (1, -1):
        for h in (np.arange(steps) + 0.5) * dh:
            labels, _ = ndimage.label(sign * values >= h, structure)
            extent = np.bincount(labels.ravel())
            extent[0] = 0
            out += sign * np.sqrt(extent[labels]) * h**2 * dh
    return out


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize(("steps", "error"), [(100, 1.5e-2), (1000, 1.5e-3)])
def test_stepwise_integral_converges_to_the_exact_one(rng, connectivity, steps, error):
    values = smooth_map(rng)
    mask = np.ones(values.shape, bool)
    exact = tfce(values[mask], neighbour_table(mask, connectivity)).reshape(values.shape)
    apart = np.abs(stepwise_tfce(values, connectivity, steps) - exact).max()
    assert apart / np.abs(exact).max() < error


@pytest.mark.slow
def test_ten_thousand_steps(rng):
    values = smooth_map(rng, (9, 9, 9))
    mask = np.ones(values.shape, bool)
    exact = tfce(values[mask], neighbour_table(mask)).reshape(values.shape)
    apart = np.abs(stepwise_tfce(values, 26, 10_000) - exact).max()
    assert apart / np.abs(exact).max() < 2e-4


def test_a_block_of_equal_height_is_known():
    # 8 voxels of height 3: sqrt(8) times the integral of h² from 0 to 3.
    mask = np.ones((2, 2, 2), bool)
    out = tfce(np.full(8, 3.0), neighbour_table(mask))
    np.testing.assert_allclose(out, np.sqrt(8) * 9)


def test_two_signs_do_not_join():
    mask = np.ones((1, 1, 4), bool)
    values = np.array([2.0, 2.0, -3.0, -3.0])
    out = tfce(values, neighbour_table(mask, 6))
    expected = np.sqrt(2) * np.array([8, 8, -27, -27]) / 3
    np.testing.assert_allclose(out, expected)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_mirror_and_sign(seed):
    rng = np.random.default_rng(seed)
    values = smooth_map(rng, (6, 5, 4))
    mask = rng.random(values.shape) > 0.2
    table, mirrored = neighbour_table(mask), neighbour_table(mask[::-1])
    out = np.zeros(values.shape)
    out[mask] = tfce(values[mask], table)
    turned = np.zeros(values.shape)
    turned[mask[::-1]] = tfce(values[::-1][mask[::-1]], mirrored)
    np.testing.assert_allclose(turned[::-1], out, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(tfce(-values[mask], table), -out[mask], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_clusters_are_those_of_scipy(rng, connectivity):
    values = smooth_map(rng, sigma=0.8)
    mask = rng.random(values.shape) > 0.1
    table = neighbour_table(mask, connectivity)
    structure = ndimage.generate_binary_structure(3, STRUCTURE[connectivity])
    sizes, masses = [], []
    for sign in (1, -1):
        labels, count = ndimage.label((sign * values >= 2.0) & mask, structure)
        for k in range(1, count + 1):
            sizes.append(int((labels == k).sum()))
            masses.append(float((np.abs(values[labels == k]) - 2.0).sum()))
    found = find_clusters(values[mask], table, 2.0)
    assert [c.extent for c in found] == sorted(sizes, reverse=True)
    np.testing.assert_allclose(sorted(c.mass for c in found), sorted(masses))
    largest, heaviest = cluster_maxima(values[mask], table, 2.0)
    assert largest == max(sizes)
    assert heaviest == pytest.approx(max(masses))
    for cluster in found:
        height = np.abs(values[mask][cluster.rows])
        assert values[mask][cluster.peak_row] == cluster.sign * height.max()
    kept = find_clusters(values[mask], table, 2.0, least_extent=3)
    assert len(kept) == sum(size >= 3 for size in sizes)


def test_no_cluster():
    mask = np.ones((3, 3, 3), bool)
    table = neighbour_table(mask)
    assert find_clusters(np.zeros(27), table, 2.0) == ()
    assert cluster_maxima(np.zeros(27), table, 2.0) == (0, 0.0)
    assert np.all(label_clusters(np.zeros(27), table, 2.0) == -1)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="mask is empty"):
        neighbour_table(np.zeros((3, 3, 3), bool))
    with pytest.raises(OptionError, match="connectivity"):
        neighbour_table(np.ones((3, 3, 3), bool), 8)
    with pytest.raises(OptionError, match="cluster-forming threshold"):
        label_clusters(np.zeros(27), neighbour_table(np.ones((3, 3, 3), bool)), 0.0)


def test_the_order_of_equal_heights_is_fixed_and_moves_nothing_but_the_last_bits():
    mask = np.ones((16, 16, 16), bool)
    table = neighbour_table(mask, 26)
    heights = np.random.default_rng(3).integers(-9, 10, mask.size) / 10.0
    found = tfce(heights, table)

    def in_order(order):
        out = np.empty(len(heights))
        extent = np.arange(len(heights) + 1.0) ** EXTENT_POWER
        _integrate(heights, np.abs(heights) ** 3.0 / 3.0, order, table, extent, out)
        return np.copysign(out, heights)

    index = np.arange(len(heights))
    np.testing.assert_array_equal(found, in_order(np.lexsort((index, -np.abs(heights)))))
    last_first = in_order(np.lexsort((-index, -np.abs(heights))))
    assert not np.array_equal(found, last_first)
    np.testing.assert_allclose(found, last_first, rtol=1e-12)
