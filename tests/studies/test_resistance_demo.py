"""The demonstration of the resistance study finds what was planted, from raw images on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.cli.demo_resistance import SIZES, study_phantoms
from falx.phantom.resting import PLACES
from falx.phantom.resting_dataset import TRUTH
from falx.studies.resistance.recovery import (
    CohortRecovery,
    FoundChange,
    compare_cohort,
    render_cohort,
)


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


@pytest.mark.slow
def test_five_against_five_show_what_was_planted(tmp_path, capsys) -> None:
    assert study_phantoms(tmp_path, SIZES, seed=3, jobs=2) == 0
    said = capsys.readouterr().out
    subjects = [f"{k:02d}" for k in range(1, sum(SIZES.values()) + 1)]
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
