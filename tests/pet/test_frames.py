"""What makes a PET unusable, and what is merely said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import FalxNotice, InputError, OptionError, collect_notices
from falx.core.files import write_json
from falx.images.nifti import Image, save
from falx.pet.files import read_pet
from falx.pet.frames import average_frames, check_pet, parse_frames

SHAPE = (6, 5, 4)


def stored(folder, data, **sidecar):
    path = folder / "sub-01_trc-FDG_pet.nii.gz"
    save(path, np.asarray(data, dtype=np.float32), np.eye(4))
    if sidecar:
        write_json(folder / "sub-01_trc-FDG_pet.json", sidecar)
    return path


@pytest.mark.parametrize(
    ("value", "found"), [(0.0, "zeros only"), (np.nan, "no finite value"), (-2.0, "no positive")]
)
def test_pet_without_signal_is_refused(value, found):
    with pytest.raises(InputError, match=f"PET image is empty.*{found}"):
        check_pet(Image(np.full(SHAPE, value), np.eye(4)))


def test_missing_values_are_said_and_become_zero():
    data = np.ones(SHAPE)
    data[0, 0, 0] = np.nan
    with pytest.warns(FalxNotice, match="1 voxels"):
        assert check_pet(Image(data, np.eye(4))).data[0, 0, 0] == 0


def test_one_frame_is_fine(tmp_path):
    path = stored(tmp_path, np.ones((*SHAPE, 1)), Units="Bq/mL")
    pet = read_pet(path)
    assert pet.image.data.shape == SHAPE
    assert pet.units == "Bq/mL"


def test_dynamic_pet_asks_for_its_frames(tmp_path):
    path = stored(tmp_path, np.ones((*SHAPE, 3)), Units="Bq/mL")
    with pytest.raises(InputError, match="the PET is dynamic.*3 frames.*name the frames"):
        read_pet(path)


def test_frames_are_weighted_by_their_duration(tmp_path):
    data = np.ones((*SHAPE, 3)) * [9.0, 1.0, 4.0]
    path = stored(tmp_path, data, Units="Bq/mL", FrameDuration=[10, 100, 300])
    with pytest.warns(FalxNotice, match="frames 2 to 3 of 3 were averaged"):
        assert np.allclose(read_pet(path, frames="2-3").image.data, (1 * 100 + 4 * 300) / 400)


@pytest.mark.parametrize(
    ("durations", "good"), [([1, 2], 2), ([0, 0, 0], 0), ([1, 2, -3], 2), ([5, np.nan, 5], 2)]
)
def test_durations_must_fit(durations, good):
    with pytest.raises(InputError, match=f"FrameDuration.*{good} durations for 3 frames"):
        average_frames(Image(np.ones((*SHAPE, 3)), np.eye(4)), "all", durations)


@given(
    data=hnp.arrays(np.float32, (2, 1, 1, 4), elements=st.floats(0, 100, width=32)),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)).map(sorted),
)
def test_frames_of_equal_length_average_to_the_mean_of_their_window(data, window):
    first, last = window
    with collect_notices():
        found, _ = average_frames(Image(data, np.eye(4)), f"{first}-{last}", [7.0] * 4)
    assert np.allclose(found.data, data[..., first - 1 : last].mean(axis=3), rtol=1e-5)


def test_a_sidecar_that_is_no_json_is_refused_in_a_sentence(tmp_path):
    path = stored(tmp_path, np.ones(SHAPE))
    (tmp_path / "sub-01_trc-FDG_pet.json").write_text("{")
    with pytest.raises(InputError, match="not JSON that can be read"):
        read_pet(path)


@pytest.mark.parametrize("frames", ["0-2", "3-2", "2-9", "late", "1-2-3"])
def test_window_out_of_range_is_refused(frames):
    with pytest.raises(OptionError, match="window of frames is not usable"):
        parse_frames(frames, 6)


def test_absent_unit_is_said(tmp_path):
    with pytest.warns(FalxNotice, match="has no unit; asymmetry does not depend"):
        assert read_pet(stored(tmp_path, np.ones(SHAPE))).units is None


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_pet(tmp_path / "none.nii.gz")


@pytest.mark.parametrize("durations", [["10", "20"], {"first": 10}, "10 s"])
def test_durations_that_are_no_numbers_are_refused_in_a_sentence(tmp_path, durations):
    path = stored(tmp_path, np.ones((*SHAPE, 2)), Units="Bq/mL", FrameDuration=durations)
    with pytest.raises(InputError, match=r"FrameDuration is no list of numbers.*\[300, 300\]"):
        read_pet(path, frames="all")
