"""How often the failure check was right in the study whose evidence is kept."""

from __future__ import annotations

import pytest
from benchmarks.failure_check import Flagged, flagged, judged

from falx.phantom.nuisances import NUISANCES

LIMITS_SET_ON = ("03", "11", "13")


@pytest.fixture(scope="module")
def structures(reference):
    folder = reference / "failure_check"
    return judged(folder / "structures.tsv", folder / "volumes.tsv")


def test_rates_on_heads_that_set_the_limits_and_on_others(structures):
    """Targets: 95 % of what failed, 5 % of the rest. Both are missed, and the docs say so."""
    own = flagged(one for one in structures if one.head in LIMITS_SET_ON)
    others = flagged(one for one in structures if one.head not in LIMITS_SET_ON)
    assert own == Flagged(failed=41, seen=30, good=184, falsely=12)
    assert others == Flagged(failed=35, seen=19, good=140, falsely=15)


def test_the_check_of_borders_sees_most(structures):
    by_kind = {kind: flagged(structures, kind).seen for kind in ("border", "contrast", "volume")}
    assert by_kind == {"border": 32, "contrast": 16, "volume": 8}


def test_every_image_of_the_study_is_a_nuisance_that_exists(structures):
    assert {one.nuisance for one in structures} <= set(NUISANCES)


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
