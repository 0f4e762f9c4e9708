"""Two real mean FDG images through coregistration, correction and asymmetry.

``TEMPLATE_FDGPET_100``: mean of 100 scans, half of people with dementia (Della Rosa et al. 2014).
``source-tum…cmrglc``: mean CMRglc of 20 healthy people. Single people were not to be had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from falx.anatomy.registration.coregistration import coregister
from falx.core.errors import collect_notices
from falx.core.grid import normalisation_grid
from falx.data.asymmetry_norms import asymmetry_norms
from falx.data.priors import ATLAS_FILE, DATA, template
from falx.images.mirror import mirror_image
from falx.images.nifti import Image, load, load_labels
from falx.images.resample import resample
from falx.pet.frames import Pet
from falx.pet.maps import Place
from falx.pet.metrics import PetMetrics
from falx.pet.settings import Correction, TemplateSettings
from falx.pet.steps import PET, CorrectedPet, Tissues, correct_measured, image_asymmetry
from falx.pet.uncorrected import uncorrected_asymmetry

pytestmark = pytest.mark.slow

IMAGES = {
    "dementia": ("TEMPLATE_FDGPET_100.nii.gz", 10.0),
    "healthy": ("source-tum_desc-cmrglc_space-MN152_den-3mm.nii.gz", 8.0),
}
"""File, and a point spread that holds the scanner and the normalisation of many people."""

GRID = normalisation_grid(2.0)


@dataclass(frozen=True)
class Studied:
    image: Image
    to_pet: np.ndarray
    found: CorrectedPet
    notices: list[str]

    @property
    def metrics(self) -> PetMetrics:
        return self.found.metrics


@pytest.fixture(scope="module")
def tissues() -> Tissues:
    labels = resample(load_labels(DATA / ATLAS_FILE), GRID, how="nearest")
    gm, wm, brain = (resample(template(kind), GRID) for kind in ("gm", "wm", "brain"))
    wm = np.clip(wm, 0, 1 - gm)
    csf = np.clip((brain > 0.5) - gm - wm, 0, 1)
    images = (Image(part.astype(np.float32), GRID.affine) for part in (gm, wm, csf))
    return Tissues(*images, Image(labels, GRID.affine))


@pytest.fixture(scope="module")
def studied(shared, tissues) -> dict[str, Studied]:
    t1w = Image(resample(template("t1"), GRID), GRID.affine)
    done = {}
    for name, (file, psf_mm) in IMAGES.items():
        image = load(shared / "data" / "pet" / file)
        to_pet = coregister(t1w, image).matrix
        with collect_notices() as notices:
            found = correct_measured(
                Pet(image, None),
                np.linalg.inv(to_pet),
                tissues,
                Correction(psf_fwhm_mm=psf_mm),
                rng=np.random.default_rng(1),
            )
        done[name] = Studied(image, to_pet, found, notices)
    return done


@pytest.mark.parametrize("name", IMAGES)
def test_grey_matter_is_brighter_than_white_once_corrected(studied, tissues, name):
    """Measured 1.1 in both; 2.4 and 2.5 once corrected; 2.5 to 4 are usual."""
    activity = studied[name].metrics.activity
    assert 2.2 < activity["cortex"] / activity["wm"] < 4.5


@pytest.mark.parametrize("name", IMAGES)
def test_the_mesial_temporal_lobe_is_the_dimmest_grey_matter(studied, name):
    activity = studied[name].metrics.activity
    mesial = [activity[f"{n}_{s}"] for n in ("hippocampus", "amygdala") for s in ("left", "right")]
    assert max(mesial) < min(activity[n] for n in ("cortex", "striatum", "thalamus", "cerebellum"))
    assert activity["wm"] < min(mesial)


def test_in_healthy_people_striatum_then_cortex_then_cerebellum_are_bright(studied):
    activity = studied["healthy"].metrics.activity
    assert activity["striatum"] > activity["cortex"] > activity["cerebellum"]


@pytest.mark.parametrize(("name", "most"), [("dementia", 1.6), ("healthy", 0.7)])
def test_structures_are_as_asymmetric_as_the_norms_say(studied, name, most):
    """The mean of a group must lie within what single people do; measured |z| up to 1.5 and .6.

    But for the pallidum of the healthy (z +2.7): a small structure between brighter ones.
    """
    norms = asymmetry_norms()
    for structure, index in studied[name].metrics.uncorrected_asymmetry.items():
        z = (index - norms[structure].mean) / norms[structure].sd
        assert abs(z) < (3.0 if (name, structure) == ("healthy", "globus_pallidus") else most)


def test_two_millimetres_of_misregistration_are_a_false_asymmetry(studied, tissues):
    """The header of this image is 2 mm beside its brain: the caudate then looks 23 % brighter."""
    case = studied["dementia"]
    assert case.to_pet[0, 3] == pytest.approx(2.0, abs=0.5)
    by_header = uncorrected_asymmetry(case.image, np.eye(4), tissues.structures)
    assert by_header["caudate"] > 0.15 > 0.06 > case.metrics.uncorrected_asymmetry["caudate"]


def test_a_mean_of_a_hundred_scans_tells_no_noise(studied):
    case = studied["dementia"]
    assert "filtered too widely" in str(case.metrics.noise.reason)
    assert any("nothing in the asymmetry can be called certain" in n for n in case.notices)


def test_the_map_of_the_healthy_is_as_asymmetric_as_its_structures(studied, tissues):
    where = np.asarray(GRID.centres_mm(), np.float32)
    brain = Image((resample(template("brain"), GRID) > 0.5).astype(np.float32), GRID.affine)
    place = Place(GRID, GRID, brain, tissues.structures, where, where)
    index = image_asymmetry(
        studied["healthy"].found.image, place, TemplateSettings(), quantity=PET, reference="brain"
    )
    grey = (tissues.gm.data > 0.5) & (index.index != 0)
    assert np.median(np.abs(index.index[grey])) < 0.06
    left = index.metrics.structures["hippocampus"]["left"].ratio_of_means
    assert abs(left) < 0.06


def test_the_mirror_image_has_the_other_sign(studied, tissues):
    case = studied["healthy"]
    labels = tissues.structures.data
    swapped = np.array(labels)
    for left, right in ((17, 53), (18, 54), (12, 51)):
        swapped[labels == left], swapped[labels == right] = right, left
    mirrored = mirror_image(case.image)
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned = mirror_image(Image(swapped, GRID.affine))
    other = uncorrected_asymmetry(mirrored, flip @ case.to_pet @ flip, turned)
    for name in ("hippocampus", "amygdala", "putamen"):
        assert other[name] == pytest.approx(-case.metrics.uncorrected_asymmetry[name], abs=1e-4)
