import numpy as np

from falx.anatomy.segmentation import mrf
from falx.anatomy.segmentation.mrf import smooth_labels

ISO = np.ones(3)


def noisy(rng):
    labels = np.zeros((16, 16, 16), dtype=int)
    labels[8:] = 1
    wrong = rng.random(labels.shape) < 0.1
    shown = np.where(wrong, 1 - labels, labels)
    sure = np.where(wrong, 0.6, 0.95)[..., None]
    q = np.empty((*labels.shape, 2), dtype=np.float32)
    np.put_along_axis(q, shown[..., None], sure, axis=-1)
    np.put_along_axis(q, 1 - shown[..., None], 1 - sure, axis=-1)
    return q, labels


def test_lonely_voxels_follow_their_neighbours(rng):
    q, labels = noisy(rng)
    before = np.mean(q.argmax(-1) == labels)
    after = np.mean(smooth_labels(q, ISO, 1.0).argmax(-1) == labels)
    assert before < 0.92
    assert after > 0.98


def test_probabilities_stay_probabilities(rng):
    q, _ = noisy(rng)
    np.testing.assert_allclose(smooth_labels(q, ISO, 1.0).sum(-1), 1.0, atol=1e-5)


def test_no_strength_changes_nothing(rng):
    q, _ = noisy(rng)
    np.testing.assert_array_equal(smooth_labels(q, ISO, 0.0), q)


def test_mirrored_input_gives_mirrored_output(rng):
    q, _ = noisy(rng)
    # Sweeps are interleaved by parity, which a mirror of even length exchanges; an odd
    # length keeps it.
    odd = np.ascontiguousarray(q[:15])
    mirrored = smooth_labels(np.ascontiguousarray(odd[::-1]), ISO, 1.0)
    np.testing.assert_allclose(mirrored[::-1], smooth_labels(odd, ISO, 1.0), atol=1e-6)


def plain_field(evidence, pull, sweeps, certain):
    """The same field by whole arrays: one half of the voxels at a time."""
    q = evidence.astype(np.float64)
    halves = np.indices(q.shape[:3]).sum(axis=0) % 2
    undecided = evidence.max(axis=-1) < certain
    for half in range(2 * sweeps):
        vote = np.zeros_like(q)
        for axis in range(3):
            wide = np.pad(q, [(1, 1) if a == axis else (0, 0) for a in range(4)])
            n = q.shape[axis]
            vote += pull[axis] * (wide.take(range(n), axis) + wide.take(range(2, n + 2), axis))
        found = evidence * np.exp(vote)
        found /= found.sum(axis=-1, keepdims=True)
        now = undecided & (halves == half % 2)
        q[now] = found[now]
    return q


def test_sweeps_that_follow_each_other_are_those_of_whole_arrays(rng):
    sizes = np.array([0.8, 1.0, 1.3])
    for shape in ((23, 6, 7), (1, 5, 4), (3, 1, 9)):
        q = rng.dirichlet(np.full(6, 0.3), size=shape).astype(np.float32)
        exact = plain_field(q, 2.0 / 6.0 / sizes**2, mrf.SWEEPS, mrf.CERTAIN)
        np.testing.assert_allclose(smooth_labels(q, sizes, 2.0), exact, atol=2e-6)


def test_in_place_is_the_same(rng):
    q, _ = noisy(rng)
    apart = smooth_labels(q, ISO, 1.0)
    assert smooth_labels(q, ISO, 1.0, out=q) is q
    np.testing.assert_array_equal(q, apart)


def test_the_exponential_is_that_of_numpy():
    x = np.linspace(0.0, 80.0, 4001, dtype=np.float32)
    found = np.array([mrf._exp(value) for value in x])
    np.testing.assert_allclose(found, np.exp(x.astype(float)), rtol=1e-5)
    small = x < 10.0
    np.testing.assert_allclose(found[small], np.exp(x[small].astype(float)), rtol=1e-6)
