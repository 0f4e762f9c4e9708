"""What hospitals and archives send: each kind of image is right, doubted by name, or refused.

Head 13, which no shipped prior knows, in voxels of 1.5 mm unless the kind brings its own.
Targets are those of the leave-one-out study in ``docs/methods/anatomy.md``.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from anatomy.head_model import dice
from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import segment_structures
from falx.anatomy.structures.trust import DOUBTFUL
from falx.core.errors import QualityError, collect_notices
from falx.data.labels import head_labels
from falx.data.priors import structure_priors, tissue_priors
from falx.phantom.heads import load_head
from falx.phantom.nuisances import NUISANCES, regridded

OWN_VOXELS = ("0.7 mm", "2 mm", "anisotropic", "thick slices")
LOOKED_AT = (17, 53, 10, 49)
"""Hippocampus and thalamus."""

MAY_BE_REFUSED = ("stripped tightly",)
"""Head 05, cut half a millimetre into the brain, has 105 ml of grey matter and is refused."""

LEAST_TISSUE = 0.93


def checked(image, priors):
    result = segment(image, priors)
    stop_on_failure(check_segmentation(result, priors))
    return result


@pytest.mark.slow
@pytest.mark.parametrize("nuisance", NUISANCES)
def test_an_image_is_right_or_doubted_or_refused(nuisance, shared):
    head = load_head("13", shared / "data" / "heads")
    fine = 0.75 if nuisance == "partial volume" else 1.5
    studied = head if nuisance in OWN_VOXELS else regridded(head, fine)
    seed = [13, zlib.crc32(nuisance.encode())]
    seen = NUISANCES[nuisance](studied, np.random.default_rng(seed))
    priors = tissue_priors()
    with collect_notices():
        try:
            result = checked(seen.image, priors)
        except QualityError:
            if nuisance in MAY_BE_REFUSED:
                return
            raise
        found = segment_structures(result, structure_priors())
    truth = head_labels().table(head_labels().tissue_number)[seen.head.labels]
    for k, tissue in enumerate((result.gm, result.wm)):
        assert dice(tissue > 0.5, truth == k) > LEAST_TISSUE
    for number in LOOKED_AT:
        overlap = dice(found.labels == number, seen.head.labels == number)
        assert overlap > 0.8 or found.confidence[number] < DOUBTFUL, number
