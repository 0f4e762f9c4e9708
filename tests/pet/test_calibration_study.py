"""The calibrated signature on phantom heads: what docs/methods/signature.md states."""

from __future__ import annotations

import numpy as np
import pytest

from calibration_phantom import Phantom

pytestmark = pytest.mark.slow


def test_planted_foci_of_the_demonstration_are_found_to_their_edge():
    # Outlines as a segmentation draws them: by what is known of these the shares are stated.
    found = [
        Phantom(seed, traced=True).find(np.random.default_rng(7000 + seed), people=False)
        for seed in range(100, 110)
    ]
    assert all(len(patient.signature.foci) == 1 for patient in found)
    assert np.mean([patient.precision for patient in found]) >= 0.8
    assert np.mean([patient.sensitivity for patient in found]) >= 0.85
    stated = np.mean([patient.stated for patient in found])
    assert stated == pytest.approx(1 - np.mean([p.precision for p in found]), abs=0.1)
    # Of 95 % intervals 10 of 10 held; 7 and fewer have a probability of .012.
    limits = [np.quantile(patient.shares, [0.025, 0.975]) for patient in found]
    held = [low <= 1 - p.precision <= high for p, (low, high) in zip(found, limits, strict=True)]
    assert np.count_nonzero(held) >= 8
    rates = [patient.rate for patient in found]
    assert sum(r.interval.low <= r.true <= r.interval.high for r in rates) >= 8


@pytest.mark.parametrize("people", [False, True])
def test_heads_without_a_focus_have_none(people):
    rng = np.random.default_rng(9000)
    heads = [Phantom(seed, depth=0.0) for seed in range(300, 303)]
    found = [head.find(rng, people=people) for head in heads for _ in range(14)]
    # .05 of 42: 2.1 expected; 7 and more have a probability of .005.
    assert sum(bool(patient.signature.foci) for patient in found) <= 6
    assert np.mean([patient.marked for patient in found]) < 0.005
