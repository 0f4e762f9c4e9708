"""One small head, segmented once for all tests that look at the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from anatomy import head_model
from falx.anatomy.priors import TissuePriors
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.settings import SegmentationSettings
from falx.images.nifti import Image

QUICK = SegmentationSettings(sampling_mm=5.0, rounds=9)


@dataclass(frozen=True, eq=False)
class Case:
    image: Image
    truth: np.ndarray
    affine: np.ndarray
    result: Segmentation


@pytest.fixture(scope="session")
def head_priors() -> TissuePriors:
    return head_model.priors()


@pytest.fixture(scope="session")
def quick() -> SegmentationSettings:
    return QUICK


@pytest.fixture(scope="session")
def case(head_priors: TissuePriors) -> Case:
    image, truth, affine = head_model.t1w(np.random.default_rng(7), voxel_mm=3.0)
    return Case(image, truth, affine, segment(image, head_priors, QUICK))
