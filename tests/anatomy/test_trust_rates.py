"""How often the failure check was right in the study whose evidence is kept, as docs say."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.failure_check import (
    HARDEST,
    Flagged,
    flagged,
    in_turns,
    judged,
    model_with_limit,
    read_images,
)

from falx.data.overlap import overlap_model
from falx.phantom.nuisances import NUISANCES

ACCUMBENS = (26, 58)


@pytest.fixture(scope="module")
def images(reference):
    folder = reference / "failure_check"
    return read_images(folder / "structures.tsv", str(folder / "population/volumes_{head}.tsv"))


@pytest.fixture(scope="module")
def structures(images):
    return judged(images)


def test_rates_on_heads_that_the_regression_does_not_know(structures):
    """Targets: 95 % of what failed, missed; 5 % of the rest, met. The docs say both."""
    assert flagged(structures) == Flagged(failed=44, seen=26, good=806, falsely=40)
    gross = flagged(one for one in structures if one.dice < 0.7)
    assert (gross.failed, gross.seen) == (9, 9)


def test_a_sound_accumbens_is_doubted_as_a_failed_one_is(structures):
    """Most of both figures is the accumbens, of which little is known; the docs say so."""
    accumbens = [one for one in structures if one.index in ACCUMBENS]
    assert flagged(accumbens) == Flagged(failed=26, seen=22, good=42, falsely=33)
    others = [one for one in structures if one.index not in ACCUMBENS]
    assert flagged(others) == Flagged(failed=18, seen=4, good=764, falsely=7)


def test_half_of_the_heads_says_less_about_the_other_half(images):
    found = flagged(judged(images, halves=True))
    assert found == Flagged(failed=44, seen=24, good=806, falsely=35)


def test_the_predicted_overlap_sees_most(structures):
    by_kind = {kind: flagged(structures, kind).seen for kind in ("overlap", "contrast", "volume")}
    assert by_kind == {"overlap": 26, "contrast": 0, "volume": 0}


def test_a_predicted_overlap_is_near_the_true_one(structures):
    off = np.array([one.predicted - one.dice for one in structures])
    assert abs(off.mean()) < 0.01
    assert off.std() < 0.035


def test_the_shipped_regression_is_that_of_the_kept_evidence(images):
    fitted, shipped = model_with_limit(images), overlap_model()
    assert fitted.limit == pytest.approx(shipped.limit, rel=1e-6)
    assert fitted.weights == pytest.approx(shipped.weights, rel=1e-5, abs=1e-6)
    assert {n: pytest.approx(w, rel=1e-5, abs=1e-6) for n, w in fitted.own.items()} == shipped.own


def test_turns_take_every_head_through_other_nuisances():
    found = list(in_turns(["01", "02", "03"], 4))
    assert [name for _, name in found[:3]] == [HARDEST] * 3
    assert len(set(found)) == 12
    assert {name for _, name in found} <= set(NUISANCES)


def test_every_image_of_the_study_is_a_nuisance_that_exists(images):
    assert {one.nuisance for one in images} <= set(NUISANCES)


@pytest.mark.parametrize(
    "wanted",
    [
        "noise", "field", "0.7 mm", "2 mm", "anisotropic", "thick slices", "turned", "cropped",
        "no neck", "defaced", "defaced hard", "stripped loosely", "stripped tightly", "lesion",
        "cavity", "wide ventricles", "background", "flat contrast", "contrast agent",
        "partial volume",
    ],
)  # fmt: skip
def test_every_class_of_image_has_a_phantom(wanted):
    assert wanted in NUISANCES
