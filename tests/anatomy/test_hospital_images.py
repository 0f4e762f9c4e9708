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
from falx.core.errors import FalxError, collect_notices
from falx.data.labels import head_labels
from falx.data.priors import structure_priors, tissue_priors
from falx.phantom.heads import load_head
from falx.phantom.nuisances import NUISANCES, regridded

OWN_VOXELS = ("0.7 mm", "2 mm", "anisotropic", "thick slices")
LOOKED_AT = (17, 53, 10, 49)
"""Hippocampus and thalamus."""

REFUSED: dict[str, str] = {}
"""Kinds that are refused, and a word of the reason."""

LEAST_TISSUE = {}
"""Least Dice of grey and of white matter where it is not .93."""


def checked(image, priors):
    result = segment(image, priors)
    stop_on_failure(check_segmentation(result, priors))
    return result


def test_every_kind_of_image_is_asked_for():
    assert set(REFUSED) | set(LEAST_TISSUE) <= set(NUISANCES)


@pytest.mark.slow
@pytest.mark.parametrize("nuisance", NUISANCES)
def test_an_image_is_right_or_doubted_or_refused(nuisance, shared):
    head = load_head("13", shared / "data" / "heads")
    fine = 0.75 if nuisance == "partial volume" else 1.5
    studied = head if nuisance in OWN_VOXELS else regridded(head, fine)
    seed = [13, zlib.crc32(nuisance.encode())]
    seen = NUISANCES[nuisance](studied, np.random.default_rng(seed))
    priors = tissue_priors()
    if nuisance in REFUSED:
        with collect_notices(), pytest.raises(FalxError, match=REFUSED[nuisance]):
            checked(seen.image, priors)
        return
    with collect_notices():
        result = checked(seen.image, priors)
        found = segment_structures(result, structure_priors())
    truth = head_labels().table(head_labels().tissue_number)[seen.head.labels]
    least = LEAST_TISSUE.get(nuisance, 0.93)
    assert min(dice(p > 0.5, truth == k) for k, p in enumerate((result.gm, result.wm))) > least
    for number in LOOKED_AT:
        overlap = dice(found.labels == number, seen.head.labels == number)
        assert overlap > 0.8 or found.confidence[number] < DOUBTFUL, number
