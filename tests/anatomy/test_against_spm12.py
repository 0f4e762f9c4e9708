"""Agreement with SPM12's algorithm on one real head, with the same stand-in prior.

Origin: ``../shared/reference/spm12_segmentation`` (SPM12 on Octave; affine prior European,
regularisation [0.0001 0.001 0.5 0.05 0.2], 3 mm sampling). Limits are those of the checks S1 to
S5 and S7 of the project's imaging note.
"""

from __future__ import annotations

import numpy as np
import pytest

from anatomy.head_model import dice
from falx.anatomy.priors import as_priors
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.settings import Penalties, SegmentationSettings
from falx.core.grid import apply_affine
from falx.images.nifti import load

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference" / "spm12_segmentation"


@pytest.fixture(scope="module")
def result(shared, folder):
    image = load(shared / "data" / "images" / "chris_t1.nii.gz")
    standin = load(folder / "tpm_standin_6class.nii.gz", ndim=4)
    priors = as_priors(standin.data, standin.affine)
    settings = SegmentationSettings(penalties=Penalties(absolute=0.0001))
    return segment(image, priors, settings, threads=2)


@pytest.fixture(scope="module")
def truth(folder):
    return [load(folder / f"c{k}chris_t1.nii.gz").data for k in (1, 2, 3)]


def test_overlap(result, truth):
    tissues = (result.gm, result.wm, result.csf)
    for own, other, least in zip(tissues, truth, (0.97, 0.97, 0.955), strict=True):
        assert dice(own > 0.5, other > 0.5) >= least
    assert dice(result.gm + result.wm > 0.5, truth[0] + truth[1] > 0.5) >= 0.994


def test_correlation(result, truth):
    tissues = (result.gm, result.wm, result.csf)
    either = (sum(tissues) > 0.1) | (sum(truth) > 0.1)
    for own, other in zip(tissues, truth, strict=True):
        assert np.corrcoef(own[either], other[either])[0, 1] >= 0.98


def test_volumes(result, truth):
    for own, litres in zip((result.gm, result.wm, result.csf), (802.1, 431.7, 339.0), strict=True):
        found = own.sum() * result.grid.voxel_volume_mm3 / 1000
        np.testing.assert_allclose(found, litres, rtol=0.05)


def test_map_and_its_inverse(result, truth, folder):
    with np.load(folder / "native_to_mni_every4.npz") as archive:
        step, expected = int(archive["step"]), archive["mni_mm"]
    brain = (truth[0] + truth[1])[::step, ::step, ::step] > 0.5
    points = apply_affine(result.grid.affine, np.argwhere(brain) * step)
    mapped = result.to_template.at(points)
    apart = np.linalg.norm(mapped - expected[brain], axis=1)
    assert np.median(apart) <= 0.4
    assert np.percentile(apart, 95) <= 1.15
    assert result.jacobian.min() > 0
    back = np.linalg.norm(result.to_native.at(mapped) - points, axis=1)
    assert np.median(back) <= 0.1
    assert np.percentile(back, 99) <= 0.5
