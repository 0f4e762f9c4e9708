"""The demonstration of the resistance study finds what was planted, from raw images on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.cli.demo_resistance import study_phantoms
from falx.core.grid import normalisation_grid
from falx.data.priors import template
from falx.images.nifti import Image, save
from falx.images.resample import resample
from falx.phantom.resting import PLACES
from falx.phantom.resting_dataset import TRUTH
from falx.studies.resistance.real_effects import compare_planted, mean_maps, render_planted
from falx.studies.resistance.recovery import (
    CohortRecovery,
    FoundChange,
    compare_cohort,
    render_cohort,
)

FIVE = {"DRE": 5, "HC": 5}


def test_what_is_not_found_is_said() -> None:
    seen = FoundChange("less grey matter", PLACES[0], (-20.0, -70.0, -30.0), (-22.0, -71.0, -31.0),
                       "left cerebellum Crus 2", -9.25, 0.002, 1.2)  # fmt: skip
    missed = FoundChange("higher ReHo", PLACES[1], (12.0, -56.0, 40.0))
    found = CohortRecovery((seen, missed), 31.4, 0.126)
    assert not found.complete
    _, first, second, last = render_cohort(found).splitlines()
    assert first.split("  ")[-1] == "0.002"
    assert "-22, -71, -31" in first
    assert "  yes  " in first
    assert "9 mm off" in render_cohort(CohortRecovery((replace(seen, apart_mm=9.2),), 1.0, 1.0))
    assert second.endswith("not found")
    assert last == ("head motion is off by 31 µm, coregistration by 0.13 mm, mean over people")


def test_maps_with_small_effects_are_compared_and_the_truth_stands_beside(tmp_path) -> None:
    grid = normalisation_grid(8.0)
    mask = Image(np.asarray(resample(template("brain"), grid) > 0.5), grid.affine)
    level = Image(np.full(mask.data.shape, 2.0, np.float32), grid.affine)
    rng = np.random.default_rng(3)
    found, false, pages = compare_planted(tmp_path, {"reho": (level, mask)}, rng, permutations=100)
    cerebellum, precuneus = found
    assert (cerebellum.change.g, precuneus.change.g) == (-1.0, 0.5)
    for one in found:  # 25 v 25: the standard error of g is .28
        assert abs(one.g_drawn - one.change.g) < 3 * 0.28
        assert one.voxels > 3 and one.found == (one.least_p <= 0.05)
    assert false == {"reho": 0}
    assert pages[0].is_file()
    told = render_planted(found, false).splitlines()
    assert told[1].split("  ")[0] == "lower ReHo, left Crus 2" and "-1.0" in told[1]
    missed = replace(found[1], found_percent=0.0, least_p=0.4)
    assert "missed" in render_planted([missed], false)
    assert told[-1].endswith("regional homogeneity: 0")


def test_the_level_of_the_maps_is_that_of_the_people(tmp_path) -> None:
    shape, affine = (3, 4, 2), np.eye(4)
    for k, subject in enumerate(("01", "02")):
        folder = tmp_path / f"sub-{subject}"
        folder.mkdir()
        values = np.full(shape, 0.2 + 0.4 * k, np.float32)
        values[0] = 0.0
        save(folder / f"sub-{subject}_label-GM_desc-smoothed_probseg.nii.gz", values, affine)
        save(folder / f"sub-{subject}_task-rest_desc-rehoz_boldmap.nii.gz", values, affine)
        held = np.ones(shape, bool)
        held[k] = False
        save(folder / f"sub-{subject}_task-rest_desc-reho_mask.nii.gz", held, affine)
    levels = mean_maps(tmp_path, ("01", "02"))
    np.testing.assert_allclose(levels["grey"][0].data[1:], 0.4)
    assert levels["grey"][1].data[1:].all() and not levels["grey"][1].data[0].any()
    assert levels["reho"][1].data[2:].all() and not levels["reho"][1].data[:2].any()


@pytest.mark.slow
def test_five_against_five_show_what_was_planted(tmp_path, capsys) -> None:
    assert study_phantoms(tmp_path, FIVE, seed=3, jobs=2) == 0
    said = capsys.readouterr().out
    subjects = [f"{k:02d}" for k in range(1, sum(FIVE.values()) + 1)]
    truth = tmp_path / "bids-resistance-seed3" / TRUTH
    found = compare_cohort(truth, tmp_path / "resistance", subjects)
    assert render_cohort(found) in said
    for change in found.changes:
        assert change.centre_mm is not None, change.what
        assert np.sign(change.centre_mm[0]) == np.sign(change.planted_mm[0])
        assert change.inside, change
        assert change.p <= 0.05
    for change in found.changes[:2]:
        assert "left cerebellum" in change.region
    # The place lies within 24 mm of its middle, in cortex of both.
    assert found.changes[2].region in {"right precuneus", "right superior parietal"}
    assert found.motion_error_um < 150
    assert found.coregistration_error_mm < 1.0
    page = (tmp_path / "resistance" / "group.html").read_text()
    assert "left cerebellum" in page
    assert "could not be computed" not in page
