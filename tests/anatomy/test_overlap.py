"""The overlap that evidence lets expect: a regression that finds what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.overlap_fit import FAVOURABLE, FREE, OWN, fit_overlap, write_overlap_model

from falx.anatomy.structures.overlap import TERMS, left_of, predicted_overlap
from falx.anatomy.structures.trust import FLUID, predicted_overlaps, terms_of
from falx.data.labels import head_labels
from falx.data.overlap import OverlapModel, overlap_model
from falx.data.volumes import expected_structures

from .test_trust import N, replace, usual


def planted(rng, n=4000):
    """Terms, structures and overlaps that follow a known line with little noise."""
    found = rng.normal(size=(n, len(TERMS)))
    found[:, 0] = 1.0
    numbers = rng.choice([17, 53, 26, 58, 16], size=n)
    level = np.array([{17: 0.5, 26: -1.0, 16: 0.0}[left_of(int(x))] for x in numbers])
    slope = np.linspace(0.1, 0.4, len(TERMS))
    slope[[name not in (*FAVOURABLE, *FREE) for name in TERMS]] *= -1.0
    logit = 1.0 + found[:, 1:] @ slope[1:] + level + 0.01 * rng.normal(size=n)
    return found, numbers.tolist(), 1.0 / (1.0 + np.exp(-logit)), slope


def test_the_planted_line_is_found(rng):
    found, numbers, dice, slope = planted(rng)
    within = (dice > 0.05) & (dice < 0.99)
    model = fit_overlap(found[within], np.array(numbers)[within].tolist(), dice[within], 0.8)
    got = np.array([model.weights[name] for name in TERMS])
    shared = [place for place, name in enumerate(TERMS) if name not in (*OWN, "constant")]
    np.testing.assert_allclose(got[shared], slope[shared], atol=0.01)
    for name in OWN:
        assert model.own[17][name] == pytest.approx(slope[TERMS.index(name)], abs=0.01)
    assert model.own[17]["level"] - model.own[26]["level"] == pytest.approx(1.5, abs=0.02)
    predicted = [predicted_overlap(model, n, row) for n, row in zip(numbers, found, strict=True)]
    assert np.abs(np.array(predicted) - dice)[within].max() < 0.02


def test_bad_evidence_never_speaks_for_a_structure(rng):
    """Terms that were planted with the wrong sign get no weight."""
    found, numbers, _, slope = planted(rng)
    dice = 1.0 / (1.0 + np.exp(found[:, 1:] @ slope[1:]))
    model = fit_overlap(found, numbers, dice, 0.8)
    bound = [name for name in TERMS if name not in FREE]
    assert [model.weights[name] for name in bound] == pytest.approx([0.0] * len(bound), abs=1e-9)
    assert model.weights["volume"] == pytest.approx(-slope[TERMS.index("volume")], abs=0.08)


def test_a_term_that_never_varies_has_no_weight(rng):
    found, numbers, dice, _ = planted(rng, 500)
    found[:, 3] = 0.0
    model = fit_overlap(found, numbers, dice, 0.8)
    assert model.weights[TERMS[3]] == 0.0
    assert np.isfinite(list(model.weights.values())).all()


def test_a_structure_has_slopes_of_its_own_and_the_common_one_where_it_says_nothing(rng):
    found = rng.normal(size=(2000, len(TERMS)))
    found[:, 0] = 1.0
    step = TERMS.index("step")
    numbers = rng.choice([17, 26], size=2000)
    logit = 1.0 - np.where(numbers == 17, 2.0, 0.2) * found[:, step]
    model = fit_overlap(found, numbers.tolist(), 1.0 / (1.0 + np.exp(-logit)), 0.8)
    assert model.own[17]["step"] < -1.5 < -0.5 < model.own[26]["step"] <= 0.0
    row = np.eye(len(TERMS))[0] + np.eye(len(TERMS))[step]
    assert predicted_overlap(model, 17, row) < predicted_overlap(model, 26, row)
    unknown = model.weights["constant"] + model.weights["step"]
    assert predicted_overlap(model, 10, row) == pytest.approx(1 / (1 + np.exp(-unknown)))


def test_few_rows_of_a_structure_say_little():
    """The level of a structure that was seen once is drawn to that of all."""
    numbers, dice = [16] * 299 + [26], np.r_[np.full(299, 0.9), 0.1]
    model = fit_overlap(np.eye(len(TERMS))[[0] * 300], numbers, dice, 0.8)
    alone = predicted_overlap(model, 26, np.eye(len(TERMS))[0])
    assert 0.1 < alone < 0.9


def test_what_is_written_is_read_again(tmp_path):
    model = OverlapModel(
        {"constant": 1.25, "step": -3.0},
        {17: {"level": 0.5, "step": -1.0}, 16: {"level": 0.0}},
        0.79,
    )
    write_overlap_model(tmp_path / "model.tsv", model)
    assert overlap_model(tmp_path / "model.tsv") == model


def test_the_shipped_regression_knows_every_structure_and_term():
    model = overlap_model()
    assert set(model.weights) == set(TERMS)
    judged = [n for n in expected_structures() if n not in FLUID]
    assert {left_of(n) for n in judged} <= set(model.own)
    assert 0.7 < model.limit < 0.9


def test_worse_evidence_never_raises_the_predicted_overlap():
    good = predicted_overlaps(usual())
    assert set(good) == set(terms_of(usual())) == set(expected_structures()) - set(FLUID)
    assert min(good[n] for n in (17, 53, 10, 49, 2, 41)) > 0.85
    white = np.isin(np.arange(N), (2, 41))
    for name, value in (
        ("expected_dice", np.full(N, 0.6)), ("edge", np.where(white, 1.0, 0.2)), ("noise", 0.15),
    ):  # fmt: skip
        worse = predicted_overlaps(replace(usual(), **{name: value}))
        assert all(worse[n] <= good[n] for n in good), name
        changed = [n for n in good if name != "edge" or not white[n]]  # white's border stays sharp
        assert sum(worse[n] < good[n] for n in changed) > 0.8 * len(changed), name


def test_a_blur_of_every_border_is_no_fault_of_a_structure():
    """Real images blur all their borders alike; noise below the usual says nothing."""
    good = predicted_overlaps(usual())
    assert predicted_overlaps(replace(usual(), edge=np.full(N, 0.6))) == good
    assert predicted_overlaps(replace(usual(), noise=0.01)) == good


def test_sides_are_predicted_alike():
    found = predicted_overlaps(usual())
    mirror = head_labels().table(head_labels().mirror)
    assert all(found[n] == pytest.approx(found[int(mirror[n])]) for n in found)


@pytest.mark.parametrize("number", [17, 26, 13, 16])
def test_terms_are_finite_whatever_is_missing(number):
    empty = replace(
        usual(), volumes_mm3=np.zeros(N), counted_mm3=np.zeros(N), area_mm2=np.zeros(N),
        expected_dice=np.zeros(N), agreement=np.zeros(N),
    )  # fmt: skip
    row = terms_of(empty)[number]
    assert row.shape == (len(TERMS),)
    assert np.isfinite(row).all()
