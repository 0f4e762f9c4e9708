"""Labels that end inside the brain give no skull to enter by."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import InputError
from falx.images.nifti import Image
from falx.surgery.tracks.cut_labels import depth_in_brain_mm, on_skull
from falx.surgery.tracks.head_scene import scene_from_labels
from surgery.phantom import head_signature, same_place

OUTSIDE, DEEP = (0.0, -115.0, 10.0), (-30.0, -60.0, 15.0)


def test_depth_is_none_outside_and_that_of_the_nearest_border_inside():
    points = np.array([OUTSIDE, (500.0, 0.0, 0.0), DEEP])
    outside, far, deep = depth_in_brain_mm(points)
    assert outside == far == 0.0
    assert 20 < deep < 45  # the lateral and the upper surface lie some 35 mm away
    mirrored = depth_in_brain_mm(points * [-1, 1, 1])
    np.testing.assert_allclose(mirrored, [outside, far, deep], atol=1e-6)


def test_a_few_deep_places_are_dropped_and_many_refused():
    few = np.array([OUTSIDE] * 9 + [DEEP])
    assert on_skull(few).tolist() == [True] * 9 + [False]
    assert on_skull(few[:0]).shape == (0,)
    with pytest.raises(InputError, match="labels end inside the brain") as caught:
        on_skull(np.array([OUTSIDE] * 4 + [DEEP]))
    assert "20%" in str(caught.value) and "labels of the whole brain" in str(caught.value)


@pytest.mark.parametrize("side", ["left", "right"])
def test_labels_cut_behind_the_hippocampus_are_refused(labels, side):
    whole = scene_from_labels(labels, head_signature(labels, side), side, same_place)
    assert on_skull(whole.entries_mm).all()
    y = labels.grid.centres_mm()[..., 1]
    cut = Image(np.where(y < -70, 0, labels.data), labels.affine)
    with pytest.raises(InputError, match="labels end inside the brain"):
        scene_from_labels(cut, head_signature(labels, side), side, same_place)
