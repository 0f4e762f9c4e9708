"""How a cohort is put together from records and participants.tsv, without any file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import FalxNotice, InputError, OptionError, collect_notices
from falx.core.participants import participants_of
from falx.core.records import plain
from falx.core.settings import keys_of, options_of
from falx.core.tables import parse_table
from falx.data.mo2025 import PUBLISHED_AI_THRESHOLD, PUBLISHED_RATE_CUT, load_patients
from falx.pet.metrics import Definition
from falx.studies.outcome.coding import read_outcomes
from falx.studies.outcome.cohort import (
    Cohort,
    _one_definition,
    join_cohort,
    published_cohort,
)
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.outcome import OutcomeSettings, _published_cuts
from falx.studies.outcome.patient import (
    PatientCurves,
    PatientNumbers,
    RuleCurve,
    StructureCurve,
    patient_of,
)
from falx.studies.outcome.rates import RateCurves, cohort_threshold, gather_curves
from falx.studies.signature.study import STUDY


def people(text):
    """Participants of a table whose cells are parted by spaces."""
    return participants_of(parse_table("\n".join("\t".join(line.split()) for line in
                                                 text.strip().splitlines()),
                                       where="participants.tsv"))  # fmt: skip


PEOPLE = people("""
    participant_id Sex  Side outcome age duration seeg
    sub-1          F    L    1       30  n/a      yes
    sub-2          male rh   3       41  7        0
    sub-3          m    Left 1       n/a 2.5      NO
    sub-4          M    R    n/a     20  3        no
""")
NUMBERS = {
    "1": PatientNumbers({"ai_pet": -0.1, "hippocampus_ipsi_mm3": 2000.0}, "right"),
    "2": PatientNumbers({"ai_pet": -0.2}, None),
    "3": PatientNumbers({"ai_pet": -0.3}, "left"),
}


def test_columns_become_numbers():
    cohort = join_cohort(NUMBERS, PEOPLE)
    assert cohort.subjects == ("1", "2", "3")
    assert cohort.seizure_free.tolist() == [True, False, True]
    nan = float("nan")
    for name, expected in {
        "sex": [0, 1, 1],
        "left_side": [1, 0, 1],  # the table comes before the record
        "age_years": [30, 41, nan],
        "duration_years": [nan, 7, 2.5],
        "seeg": [1, 0, 0],
        "ai_pet": [-0.1, -0.2, -0.3],
        "hippocampus_mm3": [2000, nan, nan],
    }.items():
        np.testing.assert_array_equal(cohort.values[name], expected, err_msg=name)
    assert cohort.source == "3 patients of this dataset"
    assert "outcome" not in cohort.values
    assert not cohort.has("onset_years")
    assert not cohort.has("ai_pet", "nothing")
    assert cohort.complete("age_years", "duration_years").tolist() == [False, True, False]


def test_the_record_says_the_side_that_the_table_does_not():
    table = people("participant_id outcome\nsub-1 1\nsub-3 1\nsub-2 4")
    cohort = join_cohort(NUMBERS, table)
    np.testing.assert_array_equal(cohort.values["left_side"], [0, np.nan, 1])


def test_columns_under_other_names():
    table = people("participant_id result Hemisphere sf\nsub-1 3 L 1\nsub-2 1 R 0\nsub-3 5 L 1")
    usual = join_cohort(NUMBERS, table)
    assert usual.seizure_free.tolist() == [True, False, True]
    named = join_cohort(NUMBERS, table, columns=Columns(outcome="RESULT"), outcome_coding="ilae")
    assert named.seizure_free.tolist() == [False, True, False]
    lenient = join_cohort(
        NUMBERS, table, columns=Columns(outcome="result"), outcome_coding="ilae",
        ilae_seizure_free=3,
    )  # fmt: skip
    assert lenient.seizure_free.tolist() == [True, True, False]
    with pytest.raises(InputError, match="no column 'sx', which the .* names for columns.sex"):
        join_cohort(NUMBERS, table, columns=Columns(sex="sx"))


def test_words_that_are_no_value_of_a_column_are_said():
    table = people("participant_id outcome sex seeg\nsub-1 1 yes left\nsub-2 3 F 1\nsub-3 1 M no")
    with pytest.warns(FalxNotice) as said:
        cohort = join_cohort(NUMBERS, table)
    told = " ".join(str(w.message) for w in said)
    assert "sub-1: sex is neither a number nor a known word" in told
    assert "sub-1: seeg is neither a number nor a known word" in told
    np.testing.assert_array_equal(cohort.values["sex"], [np.nan, 0, 1])
    np.testing.assert_array_equal(cohort.values["seeg"], [np.nan, 1, 0])


def test_everyone_who_is_not_here_has_a_reason():
    numbers = {
        **NUMBERS,
        "4": PatientNumbers({}),
        "5": PatientNumbers({}),
        "6": PatientNumbers({}, failed_checks=("sides", "overlap")),
    }
    with pytest.warns(FalxNotice, match="left out of the group"):
        cohort = join_cohort(numbers, PEOPLE, excluded={"7": "no PET"})
    assert cohort.excluded == {
        "7": "no PET",
        "4": "no entry under outcome yet",
        "5": "not in participants.tsv",
        "6": "quality check failed: sides, overlap",
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("participant_id age\nsub-1 3", "says no outcome .found: columns participant_id, age"),
        ("participant_id ilae\nsub-9 1", "0 of the 3 that went through the participant level"),
    ],
)
@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
def test_tables_without_any_outcome_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        join_cohort(NUMBERS, people(table))


@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
@pytest.mark.parametrize(
    ("classes", "free"), [((1,), [True]), ((1, 1, 1), [True] * 3), ((2, 5, 3), [False] * 3)]
)
def test_one_outcome_only_is_said(classes, free):
    rows = "\n".join(f"sub-{i} {c}" for i, c in enumerate(classes, 1))
    with pytest.warns(FalxNotice, match="every patient has the same outcome"):
        cohort = join_cohort(NUMBERS, people(f"participant_id ilae\n{rows}"))
    assert cohort.seizure_free.tolist() == free


@given(st.integers(1, 6), st.integers(1, 5), st.sampled_from(
    ["{}", "ILAE {}", "ilae class {}", "Class {}", " {} ", "{}.0", "ILAE-{}a", "ilae_{}"]
))  # fmt: skip
def test_ilae_classes_are_read_in_any_dress(number, highest, form):
    found = read_outcomes({"1": form.format(number)}, "ilae", coding="ilae", highest_free=highest)
    assert found == {"1": number <= highest}


@given(st.sampled_from(["yes", "Y", "TRUE", "sf", "Seizure-free", "1", "1.0"]),
       st.sampled_from(["no", "N", "False", "NSF", "not seizure free", "0", "0.00"]))  # fmt: skip
def test_freedom_is_read_in_any_dress(free, other):
    found = read_outcomes({"a": free, "b": other}, "seizure_free")
    assert found == {"a": True, "b": False}


def test_codings_are_known_by_name():
    with pytest.raises(OptionError, match="did you mean 'ilae'"):
        read_outcomes({"a": "1"}, "outcome", coding="ilea")


RECORD = {
    "side": "left", "failed_checks": ["sides"], "ai_pet": -0.1, "ai_pet_z5": -0.08,
    "ai_pet_scale": "z", "ai_gm": None, "n": 3, "flag": True, "remark": "none",
    "rate_curves": {
        "thresholds": [-0.2, -0.1],
        "default": {"scale": "z", "hippocampus": {"signature_mm3": [0, 4.0],
                                                  "ablated_mm3": [0, 1.0]}},
        "published": {"scale": "z5", "hippocampus": {"signature_mm3": [0, 8.0],
                                                     "ablated_mm3": [0, None]}},
    },
}  # fmt: skip


def test_a_record_becomes_typed():
    patient = patient_of(RECORD, where="sub-1.json")
    assert patient.values == {"ai_pet": -0.1, "ai_pet_z5": -0.08, "n": 3.0}
    assert (patient.side, patient.failed_checks, patient.ai_pet_scale) == ("left", ("sides",), "z")
    assert patient.curves.thresholds == (-0.2, -0.1)
    assert patient.curves.rules["default"].scale == "z"
    assert patient.curves.rules["default"].structures["hippocampus"].ablated_mm3 == (0, 1)
    assert np.isnan(patient.curves.rules["published"].structures["hippocampus"].ablated_mm3[1])
    assert patient_of({"ai_pet": 1}, where="x") == PatientNumbers({"ai_pet": 1.0})
    broken = {**RECORD, "rate_curves": {"thresholds": [], "default": {
        "scale": "z", "hippocampus": {"signature_mm3": [1]}}}}  # fmt: skip
    with pytest.raises(InputError, match="sub-1.json: the record is not what this version"):
        patient_of(broken, where="sub-1.json")


def test_an_asymmetry_is_given_on_its_own_scale_only():
    patient = patient_of(RECORD, where="x")
    assert patient.asymmetry("z") == -0.1
    assert patient.asymmetry("z5") == -0.08
    assert np.isnan(patient.asymmetry("proportional"))
    assert replace(patient, ai_pet_scale="z5").asymmetry("z5") == -0.1


def _patient(share=0.25, scale="z", thresholds=(-0.2, -0.1)):
    curve = StructureCurve((2.0, 4.0), (2.0 * share, 4.0 * share))
    rules = {rule: RuleCurve(scale, {"hippocampus": curve}) for rule in ("default", "published")}
    return PatientNumbers(
        {"ai_pet": -0.12}, ai_pet_scale=scale, curves=PatientCurves(thresholds, rules)
    )


def test_curves_are_stacked_and_patients_without_ablation_are_rows_of_nothing():
    found = gather_curves([_patient(), PatientNumbers({"ai_pet": -0.3}, ai_pet_scale="z")])
    assert list(found) == ["default", "published"]
    curves = found["default"]
    np.testing.assert_array_equal(curves.signature_mm3["hippocampus"], [[2, 4], [np.nan] * 2])
    np.testing.assert_array_equal(curves.ablated_mm3["hippocampus"], [[0.5, 1], [np.nan] * 2])
    np.testing.assert_array_equal(curves.asymmetry, [-0.12, -0.3])
    np.testing.assert_array_equal(curves.thresholds, [-0.2, -0.1])
    assert gather_curves([PatientNumbers({})]) == {}
    assert gather_curves([_patient(), _patient(scale="z5")]) == {}
    assert gather_curves([_patient(), _patient(thresholds=(-0.3, -0.1))]) == {}


@given(st.floats(-0.3, -0.1), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_rates_of_a_constant_share_are_that_share_at_any_threshold(threshold, shares):
    whole = np.tile([1.0, 2.0, 7.0], (len(shares), 1))
    took = whole * np.array(shares)[:, None]
    curves = RateCurves("z", np.full(len(shares), -0.2), np.array([-0.3, -0.2, -0.1]),
                        {"amygdala": whole}, {"amygdala": took})  # fmt: skip
    np.testing.assert_allclose(curves.rates("amygdala", threshold), shares, atol=1e-12)


def test_the_threshold_of_a_cohort_is_its_median(rng):
    n = 12
    event = np.arange(n) % 2 == 0
    asymmetry = np.linspace(-0.29, -0.11, n)
    whole = np.full((n, 2), 10.0)
    took = whole * np.where(event, 0.8, 0.2)[:, None]
    curves = RateCurves("z", asymmetry, np.array([-0.3, -0.1]), {"hippocampus": whole},
                        {"hippocampus": took})  # fmt: skip
    found = cohort_threshold(curves, event, rule="default", n_resamples=99, rng=rng)
    assert found.threshold == pytest.approx(-0.2)
    assert -0.29 <= found.ci_low < -0.2 < found.ci_high <= -0.11
    assert (found.rule, found.scale, found.n, found.refused) == ("default", "z", 12, "")
    np.testing.assert_allclose(found.rates, np.where(event, 0.8, 0.2))
    assert found.nested.balanced_accuracy == 1
    few = cohort_threshold(
        replace(curves, asymmetry=np.where(np.arange(n) < 3, asymmetry, np.nan)), event,
        rule="default", n_resamples=9, rng=rng,
    )  # fmt: skip
    assert few.nested is None
    assert "at least two patients of each outcome" in few.refused
    with pytest.raises(InputError, match="not known on the scale of the signature.*scale z"):
        cohort_threshold(
            replace(curves, asymmetry=np.full(n, np.nan)), event, rule="default", rng=rng
        )


def test_published_patients_are_those_of_the_source_tables(reference):
    cohort, folder = published_cohort(), reference / "mo2025"
    imaging = np.genfromtxt(folder / "patients_imaging.csv", delimiter=",", names=True)
    rates = np.genfromtxt(folder / "patients_ablative_rate.csv", delimiter=",", names=True)
    volumes = np.genfromtxt(folder / "patients_volumes.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(cohort.seizure_free, imaging["SF"] == 1)
    for ours, theirs in {
        "ai_pet": imaging["ipsi_pet"], "ai_flair": imaging["ipsi_flair"],
        "seeg": imaging["SEEG"], "left_side": imaging["side"], "onset_years": imaging["Onset"],
        "rate_hippocampus": rates["x"], "rate_amygdala": rates["rate_amyg"],
        "ai_pet_full": volumes["pet"], "tiv_mm3": volumes["TIV"], "hippocampus_mm3": volumes["hv"],
        "amygdala_difference_mm3": volumes["aAI"],
    }.items():  # fmt: skip
        np.testing.assert_allclose(cohort.values[ours], theirs, rtol=1e-9, err_msg=ours)
    assert "seizure_free" not in cohort.values
    assert load_patients()["rate_hippocampus"][1] == PUBLISHED_RATE_CUT
    assert np.median(cohort.values["ai_pet_full"]) == pytest.approx(PUBLISHED_AI_THRESHOLD)


def test_settings_are_the_section_of_the_configuration_and_check_themselves():
    keys = options_of(STUDY.configuration)
    for name, key in keys_of("group", OutcomeSettings).items():
        assert keys[key].default == getattr(OutcomeSettings(), name)
    with pytest.raises(OptionError, match="resamples is out of range .found: 3.0"):
        OutcomeSettings(resamples=3)
    with pytest.raises(OptionError, match="ilae_seizure_free"):
        OutcomeSettings(ilae_seizure_free=6)
    with pytest.raises(OptionError, match="did you mean 'ilae'"):
        OutcomeSettings(outcome_coding="ilea")


def test_cohorts_know_what_they_have():
    cohort = Cohort(("a", "b"), np.array([True, False]), {"x": np.array([np.nan, 1]),
                    "y": np.full(2, np.nan)}, "two")  # fmt: skip
    assert cohort.has("x")
    assert not cohort.has("x", "y")
    assert cohort.has()
    assert cohort.complete("x").tolist() == [False, True]


CALIBRATED = Definition("calibrated", "mg3", "proportional", 0.05)
PUBLISHED = Definition("threshold", "none", "z5", PUBLISHED_AI_THRESHOLD)


@pytest.mark.parametrize("other", [PUBLISHED, None, replace(CALIBRATED, cut=0.01)])
def test_rates_of_two_definitions_are_not_joined(other) -> None:
    one = {"a": PatientNumbers({}, definition=CALIBRATED)}
    assert _one_definition(one) == CALIBRATED
    with pytest.raises(InputError, match=r"different definitions.*familywise rate of 0\.05"):
        _one_definition({**one, "b": PatientNumbers({}, definition=other)})


def test_an_empty_signature_is_named_at_the_group_level() -> None:
    some = {
        "a": PatientNumbers({"signature_mm3": 0.0}),
        "b": PatientNumbers({"signature_mm3": 9.0}),
    }
    with collect_notices() as notices:
        _one_definition(some)
    assert any("1 of 2 patients: sub-a" in notice for notice in notices)


def test_the_published_cut_is_kept_from_rates_of_another_definition() -> None:
    cohort = published_cohort()
    assert cohort.definition.published and not CALIBRATED.published
    cut = _published_cuts(cohort)["rate_hippocampus"]
    assert cut == pytest.approx(0.3979, abs=1e-4)
    other = _published_cuts(replace(cohort, definition=CALIBRATED))
    assert other["rate_hippocampus"] is None and other["rate_hippocampus_published"] == cut


def test_the_definition_survives_its_record() -> None:
    found = patient_of({"signature_definition": plain(CALIBRATED)}, where="x")
    assert found.definition == CALIBRATED
