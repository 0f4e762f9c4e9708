"""The brain mask against that of another program, which shares neither model nor priors."""

from __future__ import annotations

import numpy as np
import pytest

from anatomy.head_model import dice
from falx.anatomy.segmentation.unified import segment
from falx.data.priors import tissue_priors
from falx.images.nifti import load_mask
from falx.phantom.heads import load_head
from falx.phantom.nuisances import NUISANCES, regridded


@pytest.mark.slow
def test_the_brain_mask_agrees_with_deepbet(reference):
    seen = NUISANCES["plain"](regridded(load_head("10"), 1.5), np.random.default_rng(10))
    other = load_mask(reference / "deepbet" / "head-10_mask.nii.gz")
    assert other.data.shape == seen.image.data.shape
    np.testing.assert_allclose(other.affine, seen.image.affine, atol=1e-4)
    theirs = np.asarray(other.data) > 0
    own = segment(seen.image, tissue_priors(), threads=1).brain_mask
    truth = np.isin(seen.head.tissues(), (0, 1, 2))
    assert dice(theirs, truth) == pytest.approx(0.966, abs=0.001)
    print(f"own with deepbet {dice(own, theirs):.3f}, own with truth {dice(own, truth):.3f}")
    assert dice(own, theirs) > 0.95
    assert dice(own, truth) > dice(theirs, truth)
