"""The mirror image of a patient gives the mirror image of every result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from falx.cli.main import main
from falx.images.nifti import load
from falx.pet.norms import percentile_of
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec

MAPS = (
    "pet/sub-01_trc-FDG_space-MNI152NLin2009aSym_desc-scaled_pet",
    "pet/sub-01_trc-FDG_space-MNI152NLin2009aSym_desc-asymmetry_pet",
    "anat/sub-01_space-MNI152NLin2009aSym_desc-asymmetryGM_T1w",
    "anat/sub-01_space-MNI152NLin2009aSym_desc-asymmetry_FLAIR",
)
SWAP = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory) -> Path:
    """Study the patient of the other fixtures in the mirror."""
    folder = tmp_path_factory.mktemp("mirror")
    spec = PatientSpec("01", "right", voxel_mm=2.0, head="12", ablative_rate=0.6)
    write_cohort(folder / "bids", [spec], np.random.default_rng(3), mirror=True)
    words = ["signature", str(folder / "bids"), str(folder / "out"), "participant", "--serial"]
    assert main([*words, "--signature-method", "threshold"]) == 0
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_maps_are_mirrored(out, mirrored, name) -> None:
    own = load(out / "sub-01" / f"{name}.nii.gz").data
    other = load(mirrored / "sub-01" / f"{name}.nii.gz").data
    np.testing.assert_allclose(other[::-1], own, atol=1e-4)


@pytest.mark.slow
def test_numbers_are_mirrored(out, mirrored) -> None:
    own, other = (
        json.loads((folder / "sub-01/anat/sub-01_desc-numbers_metrics.json").read_text())
        for folder in (out, mirrored)
    )
    assert other["side"] == SWAP[own["side"]]
    own.pop("dice_raters")  # the patient in the mirror was drawn once only
    own.pop("dice_repeat")
    for name, value in own.items():
        if value is None:
            assert other[_across(name)] is None, name
        elif name.startswith("certain_false_share_"):  # a limit may lie between two extents
            low, high = (other[f"certain_false_share_{end}"] for end in ("low", "high"))
            assert low <= own["certain_false_share"] <= high, name
        elif name.startswith(("certain_", "asymmetry_")):  # of draws, which are no mirror images
            assert other[_across(name)] == pytest.approx(value, rel=0.1, abs=0.05), name
        elif "_healthy_" in name and not name.endswith("_ai"):  # the healthy mean has a side
            structure, _, what = name.partition("_healthy_")
            for flat in (own, other):
                index = flat[f"{structure}_healthy_ai"]
                among = percentile_of(structure, index, side=flat["side"])
                expected = {
                    "z": among.z,
                    "percentile": among.percentile,
                    "percentile_low": among.low,
                    "percentile_high": among.high,
                }
                assert flat[name] == pytest.approx(expected[what]), name
        elif name.endswith("_se"):  # from the noise, whose measurement sends draws through a fit
            assert other[_across(name)] == pytest.approx(value, rel=0.01), name
        elif isinstance(value, float):
            assert other[_across(name)] == pytest.approx(value, rel=1e-3, abs=1e-4), name


def _across(name: str) -> str:
    """Name of the same number on the other side."""
    return "_".join(SWAP.get(part, part) for part in name.split("_"))
