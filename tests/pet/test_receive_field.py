"""The receive field of an MR image goes; what is bright in grey matter stays."""

from __future__ import annotations

import numpy as np
import pytest

from ellipsoid_head import make_head
from falx.core.errors import collect_notices
from falx.core.grid import normalisation_grid
from falx.images.nifti import Image
from falx.pet.asymmetry import asymmetry_index
from falx.pet.maps import Place
from falx.pet.receive_field import receive_field
from falx.pet.settings import TemplateSettings
from falx.pet.steps import Quantity, image_asymmetry

FLAIR = Quantity("FLAIR", receive_field=True)
SETTINGS = TemplateSettings(voxel_mm=4.0)


@pytest.fixture(scope="module")
def made():
    head = make_head(voxel_mm=3.0)
    labels = np.where((head.wm > 0.9) & (head.labels == 0), 2, head.labels)
    labels[(labels == 2) & (head.grid.centres_mm()[..., 0] > 0)] = 41
    grid = normalisation_grid(4.0)
    place = Place(
        head.grid, grid, Image(head.brain, head.grid.affine), Image(labels, head.grid.affine),
        grid.centres_mm().astype(np.float32), head.grid.centres_mm().astype(np.float32),
    )  # fmt: skip
    return head, place


def seen(head, slope=0.0, lesion=1.0, structure=1.0, noise=2.0):
    """A FLAIR with a field of `slope` per 100 mm, a bright lesion in the white matter on the left
    and a brighter left hippocampus."""
    mm = head.grid.centres_mm()
    clean = 110.0 * head.gm + 90.0 * head.wm + 20.0 * head.csf
    clean = clean * np.where(head.labels == 17, structure, 1.0)
    near = np.linalg.norm(mm - np.array([-30.0, 20.0, 25.0]), axis=-1) < 9
    clean = clean * np.where(near, lesion, 1.0)
    field = 1.0 + slope * mm[..., 0] / 100.0 + 0.3 * slope * (mm[..., 1] / 100.0) ** 2
    rng = np.random.default_rng(1)
    values = clean * field + noise * rng.standard_normal(clean.shape)
    return Image(values.astype(np.float32), head.grid.affine)


def hippocampus(found):
    return found.metrics.structures["hippocampus"]["left"].mean_asymmetry


@pytest.mark.parametrize("slope", [-0.2, 0.1])
def test_a_field_makes_no_asymmetry_any_more(made, slope):
    head, place = made
    image = seen(head, slope)
    given = {"settings": SETTINGS, "reference": "brain"}
    raw = image_asymmetry(image, place, quantity=Quantity("FLAIR"), **given)
    found = image_asymmetry(image, place, quantity=FLAIR, **given)
    assert abs(hippocampus(raw)) > 0.045 and abs(hippocampus(found)) < 0.006
    assert found.metrics.field_index == pytest.approx(abs(slope), rel=0.4)
    assert raw.metrics.field_index is None


def test_a_bright_hippocampus_stays_and_a_lesion_does_not_bend_the_field(made):
    head, place = made
    given = {"settings": SETTINGS, "quantity": FLAIR, "reference": "brain"}
    plain = image_asymmetry(seen(head, structure=1.2), place, **given)
    both = image_asymmetry(seen(head, 0.1, lesion=1.8, structure=1.2), place, **given)
    assert hippocampus(plain) > 0.06
    assert hippocampus(both) == pytest.approx(hippocampus(plain), abs=0.012)


def test_mirrored_images_have_mirrored_fields(made):
    head, place = made
    labels = place.to_template(place.labels, how="nearest")
    image = place.to_template(seen(head, 0.15, lesion=1.5))
    defined = place.to_template(Image(head.brain.astype(np.float32), head.grid.affine)) > 0.5
    own = receive_field(image, defined, labels, place.template)
    other = receive_field(image[::-1], defined[::-1], labels[::-1], place.template)
    np.testing.assert_allclose(other[::-1], own, rtol=1e-4)
    index = asymmetry_index(own, place.template, defined)
    np.testing.assert_allclose(index.index, -index.index[::-1], atol=1e-6)


def test_too_little_white_matter_leaves_the_field_and_says_so(made):
    head, place = made
    bare = Place(place.native, place.template, place.brain,
                 Image(head.labels, head.grid.affine), place.to_native_mm,
                 place.to_template_mm)  # fmt: skip
    with collect_notices() as notices:
        found = image_asymmetry(seen(head, 0.1), bare, SETTINGS, quantity=FLAIR,
                                reference="brain")  # fmt: skip
    assert found.metrics.field_index is None
    assert any("receive field of the FLAIR was left" in notice for notice in notices)


def test_the_z5_scale_is_refused_its_belief_where_it_is_negative(made):
    head, place = made
    flat = Image((90.0 + 10.0 * head.gm - 40.0 * head.csf).astype(np.float32), head.grid.affine)
    with collect_notices() as notices:
        image_asymmetry(flat, place, TemplateSettings(voxel_mm=4.0, scale="z5"),
                        quantity=Quantity("PET"), reference="brain")  # fmt: skip
    assert any("more than five of its standard deviations" in notice for notice in notices)
    uptake = (4.0 * head.gm + head.wm + 0.1 * head.csf).astype(np.float32)
    deep = Image(uptake, head.grid.affine)
    with collect_notices() as calm:
        image_asymmetry(deep, place, TemplateSettings(voxel_mm=4.0, scale="z5"),
                        quantity=Quantity("PET"), reference="brain")  # fmt: skip
    assert not any("five of its standard" in notice for notice in calm)
