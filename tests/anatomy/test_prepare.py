import numpy as np
import pytest

from anatomy import head_model
from falx.anatomy.segmentation.prepare import prepare
from falx.anatomy.segmentation.unified import segment
from falx.core.errors import FalxNotice, InputError
from falx.data.priors import tissue_priors
from falx.images.nifti import Image


@pytest.fixture
def image(rng):
    return head_model.t1w(rng, voxel_mm=3.4)[0]


def with_data(image, data):
    return Image(np.asarray(data, dtype=np.float32), image.affine)


def test_a_good_image_passes_unchanged(image):
    ready = prepare(image)
    np.testing.assert_array_equal(ready.image.data, image.data)
    assert not ready.extracted


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_an_empty_image_is_refused(image, value):
    with pytest.raises(InputError, match=r"sub-07: the image is empty \(found: \d in every voxel"):
        prepare(with_data(image, np.full(image.data.shape, value)), where="sub-07")


def test_an_image_of_nan_is_refused(image):
    with pytest.raises(InputError, match="not finite"):
        prepare(with_data(image, np.full(image.data.shape, np.nan)))


def test_a_label_volume_is_refused(image):
    with pytest.raises(InputError, match="not an anatomical image"):
        prepare(with_data(image, np.digitize(image.data, [30, 60, 90])))


def test_four_dimensions_are_refused(image):
    with pytest.raises(InputError, match="three axes"):
        segment(with_data(image, np.stack([image.data] * 2, axis=-1)), tissue_priors())


def test_a_slab_is_refused_and_a_cut_head_is_named(image):
    with pytest.raises(InputError, match="does not cover a brain"):
        prepare(with_data(image, image.data[:, :, :11]))
    with pytest.warns(FalxNotice, match="cuts the head"):
        prepare(with_data(image, image.data[:, :, 15:42]))


def test_nan_voxels_are_not_measured(image):
    data = image.data.copy()
    data[3, 4, 5] = np.nan
    with pytest.warns(FalxNotice, match="1 voxels"):
        ready = prepare(with_data(image, data))
    assert not ready.measured[3, 4, 5]


def test_few_negative_values_are_not_measured(image):
    data = image.data.copy()
    data[20, 20, 20] = -5
    with pytest.warns(FalxNotice, match="negative values"):
        ready = prepare(with_data(image, data))
    assert ready.image.data.min() == 0


def test_a_standardised_image_is_shifted(image):
    data = (image.data - image.data.mean()) / image.data.std()
    with pytest.warns(FalxNotice, match="start below zero"):
        ready = prepare(with_data(image, data))
    assert ready.image.data.min() >= 0
    order = np.corrcoef(ready.image.data.ravel(), image.data.ravel())[0, 1]
    assert order > 0.999


def test_thick_slices_are_named(image):
    affine = image.affine @ np.diag([1, 1, 1.5, 1])
    with pytest.warns(FalxNotice, match="thick slices"):
        prepare(Image(image.data, affine))


def test_brain_extraction_is_recognised(rng):
    image, truth, _ = head_model.t1w(rng, voxel_mm=3.0)
    brain = np.where(truth[..., :3].sum(-1) > 0.5, image.data, 0)
    with pytest.warns(FalxNotice, match="brain-extracted"):
        assert prepare(Image(brain, image.affine)).extracted
