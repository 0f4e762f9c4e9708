import numpy as np

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
