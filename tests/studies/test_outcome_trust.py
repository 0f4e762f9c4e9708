"""What would be false if it were printed with authority: codes, units, copies, coarse scores."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.clinical.bayes import Chance, Kept
from falx.clinical.bayes_checks import FixedTruth
from falx.core.errors import FalxNotice, InputError
from falx.core.participants import participants_of
from falx.core.tables import parse_table
from falx.data.mo2025 import PUBLISHED_AI_THRESHOLD, PUBLISHED_RATE_CUT
from falx.pet.metrics import Definition
from falx.report.people import people_section
from falx.studies.outcome.cohort import Cohort, join_cohort, published_cohort
from falx.studies.outcome.labels import chance_text, counted
from falx.studies.outcome.model_fields import chance_range
from falx.studies.outcome.outcome import SCALES, _published_cuts, study_outcome
from falx.studies.outcome.page import outcome_page
from falx.studies.outcome.parts import cut_part
from falx.studies.outcome.patient import PatientNumbers, patient_of
from falx.studies.outcome.plausible import VOLUMES_MM3, check_copies, check_measured, impossible
from falx.studies.outcome.prognosis_page import _agreement, _worth
from falx.studies.outcome.score_model import Error, prognoses
from falx.studies.outcome.sound import DISTINCT, coarse
from studies.outcome_cohort import QUICK
from studies.test_outcome_words import some

# Other units and codes


SHARES = ("rate_hippocampus", "ablated_share_amygdala", "rate_amygdala_low")


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [62.0, -0.1, 1.01])
def test_a_share_in_per_cent_is_refused(name, value):
    with pytest.raises(InputError, match=f"sub-1.json: {name} is no share .found: .*not per cent"):
        patient_of({name: value}, where="sub-1.json")


@given(st.floats(0, 1))
def test_a_share_is_kept(value):
    assert patient_of({"rate_hippocampus": value}, where="x").values["rate_hippocampus"] == value


def test_the_volume_behind_a_rate_is_no_share():
    check_measured({"rate_hippocampus_of_mm3": 1463.4, "rate_x": 1.0}, where="x")


@pytest.mark.parametrize("name", VOLUMES_MM3)
def test_a_volume_in_other_units_is_refused(name):
    low, high = VOLUMES_MM3[name]
    check_measured({name: low}, where="x")
    check_measured({name: high}, where="x")
    check_measured({name: 0.0}, where="x")
    for wrong in (0.999 * low, 1.001 * high, -1.0, math.sqrt(low * high) / 1e6):
        with pytest.raises(InputError, match=f"x: {name} cannot be a volume in mm³ .*1000 mm³"):
            check_measured({name: wrong}, where="x")
    typical = {"tiv_mm3": 1.45e6, "hippocampus_ipsi_mm3": 3000, "amygdala_ipsi_mm3": 1700,
               "ablation_mm3": 5400}  # fmt: skip
    assert low < typical[name] < high
    assert not low <= typical[name] / 1000 <= high  # millilitres


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("age_years", 110, None),
        ("age_years", 111, "lies outside 0 to 110 years"),
        ("onset_years", -9, "lies outside 0 to 110 years"),
        ("duration_years", 999, "lies outside 0 to 110 years"),
        ("follow_up_months", 721, "lies outside 0 to 720 months"),
        ("follow_up_months", 0, None),
        ("sex", 2, "is neither 0 nor 1; write words"),
        ("seeg", -1, "is neither 0 nor 1; write words"),
        ("sex", 1, None),
        ("left_side", 5, None),
    ],
)
def test_codes_are_no_numbers(name, value, said):
    assert impossible(name, value) == said


def table(*lines: str):
    text = "\n".join("\t".join(line.split()) for line in lines)
    return participants_of(parse_table(text, where="participants.tsv"))


def people(n: int) -> dict[str, PatientNumbers]:
    return {str(i): PatientNumbers({"ai_pet": -0.1 - i / 100}) for i in range(n)}


def test_sex_in_codes_of_one_and_two_is_said_and_missing():
    rows = table("participant_id ilae sex age", "sub-0 1 1 30", "sub-1 4 2 -99")
    with pytest.warns(FalxNotice) as said:
        cohort = join_cohort(people(2), rows)
    told = [str(one.message) for one in said]
    assert "sub-1: sex is neither 0 nor 1; write words, and counts as missing" in told[0]
    assert "found: '2'" in told[0]
    assert "sub-1: age lies outside 0 to 110 years, and counts as missing" in told[1]
    np.testing.assert_array_equal(cohort.values["sex"], [1, np.nan])
    np.testing.assert_array_equal(cohort.values["age_years"], [30, np.nan])


# One patient twice

NUMBERS = {"ai_pet": -0.1, "ai_gm": -0.02, "tiv_mm3": 1.4e6, "ablation_mm3": 5e3, "rate_x": 0.4}


def test_one_patient_under_two_labels_is_refused():
    other = NUMBERS | {"ai_pet": -0.11}
    check_copies({"01": NUMBERS, "02": other, "03": NUMBERS | {"new": 2.0}})
    with pytest.raises(InputError, match=r"sub-01 and sub-04: two patients have the same numbers"):
        check_copies({"01": NUMBERS, "02": other, "04": dict(reversed(NUMBERS.items()))})
    few = {k: NUMBERS[k] for k in list(NUMBERS)[:4]}
    check_copies({"01": few, "02": few})
    empty = dict.fromkeys("abcdef", 0.0) | {"g": math.nan}
    check_copies({"01": empty, "02": empty})  # nothing measured tells nobody from anybody


def test_copies_are_refused_when_a_group_is_joined():
    rows = table("participant_id ilae", "sub-0 1", "sub-1 4")
    twins = {str(i): PatientNumbers(NUMBERS) for i in range(2)}
    with pytest.raises(InputError, match="one would count twice .found: 5 equal numbers"):
        join_cohort(twins, rows)


# How the table was read


def test_outcome_and_follow_up_are_said_as_they_were_read():
    lines = ("sub-0 1 24", "sub-1 4 60", "sub-2 3 n/a")
    rows = table("participant_id outcome follow_up_months", *lines)
    cohort = join_cohort(people(3), rows)
    assert cohort.read_as == (
        "The outcome is the column outcome, read as ILAE classes: class 1 counts as seizure free.",
        (
            "Followed for 24 to 60 months (fewer than 12 are left out); of 1 of 3 patients it is "
            "not known, and they stay: freedom from seizures after weeks is not that after years."
        ),
    )
    page = outcome_page(study_outcome(cohort, QUICK))
    assert all(said in page for said in cohort.read_as)
    assert "3 patients of this dataset, 1 seizure free" in page
    one = join_cohort(people(3), table("participant_id ilae", "sub-0 1", "sub-1 4", "sub-2 3"))
    assert one.read_as[1].startswith("How long these patients were followed is not stated")
    rows = table("participant_id ilae follow_up", "sub-0 1 24", "sub-1 4 24", "sub-2 3 24")
    alike = join_cohort(people(3), rows, least_follow_up_months=0)
    assert alike.read_as[1] == "Followed for 24 months."


def test_nobody_left_is_explained():
    rows = table("participant_id ilae follow_up", "sub-0 1 2", "sub-1 4 3")
    with pytest.raises(InputError) as caught:
        join_cohort(people(3), rows)
    said = str(caught.value)
    assert "0 of the 3 that went through the participant level: followed for fewer" in said
    assert "followed for fewer months than 12 (2 ×)" in said
    assert "not in participants.tsv (1 ×)" in said
    assert "the column of follow-up holds months" in said


# Coarse scores, cuts and scales


def of(rate: list[float], definition: Definition | None = None, **more: list[float]) -> Cohort:
    n = len(rate)
    values = {"rate_hippocampus": np.array(rate)} | {k: np.array(v) for k, v in more.items()}
    free = np.arange(n) % 2 == 0
    return Cohort(tuple(map(str, range(n))), free, values, "made", definition=definition)


def test_a_handful_of_values_gets_no_curve_and_no_prognosis(rng):
    few = of([0.25, 0.5, 0.75, 0.75, 0.5, 0.25] * 4)
    (said,) = coarse(few)
    assert said.startswith("ablative rate of the hippocampus: only 3 different values")
    with pytest.raises(InputError, match="at least 5 different rates, .*found: 3 among 24"):
        prognoses(few, "rate_hippocampus", rng)
    enough = of([0.1 * (1 + i % DISTINCT) for i in range(24)])
    assert coarse(enough) == ()
    assert prognoses(enough, "rate_hippocampus", rng).model.n == 24
    assert coarse(of([0.5] * 12)) == ()  # constant: left out by another sentence
    assert coarse(of([i / 12 for i in range(12)], age_years=[30, 40] * 6)) == ()
    assert any("only 3 different values" in line for line in study_outcome(few, QUICK).warnings)


def test_where_nobody_lies_about_the_cut(rng):
    cohort = replace(of([0.1, 0.2, 0.3, 0.32, 0.34, 0.7, 0.8, 0.9, 0.92, 0.94]),
                     seizure_free=np.arange(10) >= 5)  # fmt: skip
    part = cut_part(cohort, "rate_hippocampus", published_cut=None, n_resamples=20,
                    n_permutations=20, rng=rng)  # fmt: skip
    assert part.gap == (0.34, 0.7)
    assert part.best.threshold == pytest.approx(0.52)


def test_the_published_threshold_of_the_asymmetry_is_kept_from_other_scales():
    rng = np.random.default_rng(2)
    other = of(
        list(rng.uniform(0.2, 0.8, 24)), Definition("calibrated", "mg3", "proportional", 0.05),
        ai_pet=list(rng.normal(-0.08, 0.03, 24)),
    )  # fmt: skip
    cuts = _published_cuts(other)
    assert (cuts["rate_hippocampus"], cuts["ai_pet"]) == (None, None)
    own = _published_cuts(published_cohort())
    assert own["rate_hippocampus"] == cuts["rate_hippocampus_published"] == PUBLISHED_RATE_CUT
    assert own["ai_pet"] == cuts["ai_pet_z5"] == PUBLISHED_AI_THRESHOLD
    both = replace(other, definition=None, values={**other.values, "ai_pet_z5": np.zeros(24)})
    assert _published_cuts(both)["ai_pet"] is None


# Words


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0, "<1 %"), (0.0049, "<1 %"), (0.0051, "1 %"), (0.5, "50 %"), (0.994, "99 %"),
     (0.9951, ">99 %"), (1.0, ">99 %")],
)  # fmt: skip
def test_no_chance_is_certain(p, said):
    assert chance_text(p) == said
    assert chance_range(Chance(0.5, p, p)) == f"50 % ({said} to {said})"


def test_things_are_counted_in_words():
    assert [counted(n, "patient") for n in (0, 1, 2)] == ["0 patients", "1 patient", "2 patients"]


def test_every_predictor_has_a_unit():
    assert SCALES["seeg"] == SCALES["left_side"] == (1, "yes against no")
    assert SCALES["age_years"] == SCALES["onset_years"] == SCALES["duration_years"] == (1, "year")


@pytest.mark.parametrize(
    ("intercept", "slope", "said"),
    [
        (0.6, 0.4, "do not contradict the literature (chance that it holds here: 50% before"),
        (0.6, 0.4, "60% after them of the share of seizure-free patients and 40% of the relation"),
        (0.1, 0.4, "contradict the literature about the share of seizure-free patients: the"),
        (0.1, 0.4, "the chance that it holds here falls from 50% to 10%,"),
        (0.6, 0.2, "contradict the literature about the relation to the rate: the chance that it"),
        (0.6, 0.2, "the chance that it holds here falls from 50% to 20%,"),
        (0.1, 0.2, "about the share of seizure-free patients and the relation to the rate: the"),
        (0.1, 0.2, "the chance that it holds here falls from 50% to 10% and 20%,"),
    ],
)
def test_a_conflict_with_the_literature_is_said(intercept, slope, said):
    told = _agreement(some(kept=Kept(0.5, intercept, slope)))
    assert said in told
    assert ("its interval widens" in told) == ("do not" not in told)


def test_what_the_prognosis_is_worth_is_said():
    errors = [
        Error("weak", FixedTruth(1.6, 0.5, 9.0, 100)),
        *(
            Error("literature", FixedTruth(*one, 100))
            for one in ((1.0, 0.951, 0.01), (1.6, 0.939, 0.53), (2.2, 0.97, 0.9))
        ),
    ]
    told = _worth(some(errors=errors))
    assert "holds a new patient's chance in 94% to 97%;" in told
    assert "the calibration slope is 0.53 where it is 1.6, 0.90 where it is 2.2 (true" in told
    none = [Error("literature", FixedTruth(1.6, math.nan, math.nan, 0))]
    assert _worth(some(errors=none)) == ""


def test_the_summary_comes_before_everybody():
    section = people_section([])
    study = study_outcome(of([0.1 * (1 + i % 9) for i in range(24)]), QUICK)
    few = study_outcome(of([0.3, 0.4]), QUICK)
    for found, first in ((study, "Summary"), (few, "What can and cannot be said")):
        page = outcome_page(found, people=section)
        titles = re.findall(r"<h2[^>]*>([^<]+)", page)
        assert titles[:2] == [first, "Everybody"]
        assert re.findall(r"<h2[^>]*>([^<]+)", outcome_page(found))[0] == first
