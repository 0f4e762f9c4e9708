from dataclasses import replace

import numpy as np
import pytest

from falx.anatomy.quality import check_segmentation, stop_on_failure
from falx.core.errors import FalxNotice, QualityError


def by_name(checks):
    return {check.name: check for check in checks}


def test_a_good_head_passes_what_does_not_depend_on_its_size(case, head_priors):
    checks = by_name(check_segmentation(case.result, head_priors))
    for name in ("template overlap", "alignment", "T1 contrast", "signal to noise", "sides"):
        assert checks[name].passed, checks[name]


def test_every_check_says_why(case, head_priors):
    for check in check_segmentation(case.result, head_priors):
        assert len(check.why) > 1
        assert check.low is not None or check.high is not None


@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_an_impossible_volume_stops(case, head_priors):
    tiny = replace(case.result, gm=case.result.gm * 0, wm=case.result.wm * 0)
    with pytest.raises(QualityError, match=r"sub-01: .*total intracranial volume is out of range"):
        stop_on_failure(check_segmentation(tiny, head_priors), where="sub-01")


@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_grey_matter_taken_for_fluid_stops(case, head_priors):
    gm, csf = case.result.gm, case.result.csf
    swapped = replace(case.result, gm=0.1 * gm, csf=csf + 0.9 * gm)
    with pytest.raises(QualityError, match="grey matter volume is out of range"):
        stop_on_failure(check_segmentation(swapped, head_priors))


@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_a_fold_stops(case, head_priors):
    folded = replace(case.result, jacobian=case.result.jacobian - 5)
    with pytest.raises(QualityError, match="smallest Jacobian"):
        stop_on_failure(check_segmentation(folded, head_priors))


@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_a_mirrored_map_stops(case, head_priors):
    native = case.result.to_native
    mirrored = replace(native, coordinates_mm=native.coordinates_mm[::-1].copy())
    swapped = replace(case.result, to_native=mirrored)
    with pytest.raises(QualityError, match="sides"):
        stop_on_failure(check_segmentation(swapped, head_priors))


def test_t2_contrast_is_named(case, head_priors):
    inverted = replace(case.result, corrected=np.float32(260) - case.result.corrected)
    with pytest.warns(FalxNotice, match="T1w image and not a T2w"):
        stop_on_failure(check_segmentation(inverted, head_priors))


@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_tissues_of_one_brightness_stop(case, head_priors):
    noise = np.random.default_rng(0).normal(1000, 20, case.result.gm.shape).astype(np.float32)
    ball = replace(case.result, corrected=noise)
    with pytest.raises(QualityError, match="tissue contrast is out of range"):
        stop_on_failure(check_segmentation(ball, head_priors))
