import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.anatomy.volumes import count_volumes, volume_asymmetry
from falx.core.errors import InputError
from falx.core.grid import Grid

VOLUME = st.floats(0.1, 1e6)


@given(VOLUME, VOLUME)
def test_exchanging_sides_changes_the_sign(left, right):
    one, other = volume_asymmetry(left, right), volume_asymmetry(right, left)
    assert one.difference_mm3 == -other.difference_mm3
    assert one.ratio == -other.ratio
    assert -2 <= one.ratio <= 2


def test_ratio_as_in_the_ds004469_table():
    # Healthy mean of the public table: 2 (L - R) / (L + R).
    assert volume_asymmetry(0.9, 1.1).ratio == pytest.approx(-0.2)


def test_two_absent_structures_have_no_ratio():
    assert volume_asymmetry(0.0, 0.0).ratio is None


def test_negative_volume_is_refused():
    with pytest.raises(InputError, match="a volume is negative"):
        volume_asymmetry(-1.0, 2.0)


def test_counts_times_voxel_volume():
    labels = np.zeros((4, 4, 4), dtype=int)
    labels[0, 0, :3] = 17
    grid = Grid(labels.shape, np.diag([1.0, 2.0, 3.0, 1.0]))
    assert count_volumes(labels, grid) == {17: 18.0}
