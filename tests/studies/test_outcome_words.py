"""What an outcome study may say: families of tests, cohorts too small, and its summary."""

from __future__ import annotations

import math
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError, OptionError
from falx.studies.outcome.coding import coding_of, coding_sentence, read_outcomes
from falx.studies.outcome.cohort import Cohort
from falx.studies.outcome.family import FAMILY, KINDS, adjust_family, check_family
from falx.studies.outcome.fields import Field, page_table, rows_of
from falx.studies.outcome.labels import LABELS, label, p_text
from falx.studies.outcome.rates import RateCurves, cohort_threshold, nested_threshold
from falx.studies.outcome.sound import LEAST, kept_numbers, too_few
from falx.studies.outcome.summary import summary_lines
from falx.studies.reproduce.answer import FLAGS, item_sections, items_as_text, summary
from falx.studies.reproduce.comparison import (
    CONTRADICTED,
    CONVENTION,
    EXTENSION,
    REPRODUCED,
    ROUNDING,
    UNAVAILABLE,
    Item,
    Value,
    compare,
)


def some(**given: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**given)


def group(name: str, p: float) -> types.SimpleNamespace:
    return some(name=name, welch=some(p=p))


def cut(name: str, p: float) -> types.SimpleNamespace:
    return some(name=name, permutation=some(p=p))


def increment(name: str, p: float) -> types.SimpleNamespace:
    return some(name=name, found=some(adjusted=some(p_penalised=p)))


# The family


def test_the_family_is_corrected_over_what_was_done():
    family = ("group:a", "group:missing", "cut:a", "increment:a")
    found = adjust_family(
        family, [group("a", 0.01), group("other", 1e-9)], [cut("a", 0.03)],
        [increment("a", 0.001), increment("a", 0.04), increment("a", 0.02)],
    )  # fmt: skip
    assert [(m.kind, m.name) for m in found] == [tuple(f.split(":")) for f in family]
    # An increment must beat every measure: its largest P counts.
    assert [m.p for m in found] == [0.01, None, 0.03, 0.04]
    # Holm over three: 3 × .01, 2 × .03, and the last no smaller than that.
    assert [m.holm for m in found] == [pytest.approx(0.03), None, pytest.approx(0.06),
                                       pytest.approx(0.06)]  # fmt: skip
    assert [m.test for m in found] == [KINDS[m.kind] for m in found]


def test_a_family_of_nothing_done_has_no_p():
    assert all(m.p is None and m.holm is None for m in adjust_family(FAMILY, [], [], []))
    assert adjust_family((), [group("a", 0.1)], [], []) == ()


@pytest.mark.parametrize("entry", ["groups:a", "group", "group:", ":a", "", "Group:a"])
def test_a_member_is_a_kind_and_a_number(entry):
    with pytest.raises(OptionError) as caught:
        check_family(["group:a", entry])
    assert str(caught.value).startswith("group.family: a member of the family of tests cannot")
    assert f"(found: {entry!r})" in str(caught.value)
    assert "write one of group, cut, increment, a colon and a number" in str(caught.value)


def test_a_member_is_named_once():
    check_family(FAMILY)
    check_family([])
    with pytest.raises(OptionError, match=r"named twice .found: cut:b, group:a.; name each"):
        check_family(["group:a", "cut:b", "group:a", "cut:b", "cut:c"])


# Too few


def cohort_of(free: int, others: int, **values: list[float]) -> Cohort:
    n = free + others
    return Cohort(
        tuple(map(str, range(n))),
        np.array([True] * free + [False] * others),
        {k: np.array(v, float) for k, v in values.items()},
        "made",
    )


@pytest.mark.parametrize(
    ("free", "others", "said"),
    [
        (1, 0, ("1 patient is too few, or too much alike, to relate anything to the outcome. One "
               "patient can be described, not compared.")),
        (0, 1, ("1 patient is too few, or too much alike, to relate anything to the outcome. One "
               "patient can be described, not compared.")),
        (9, 0, ("9 patients are too few, or too much alike, to relate anything to the outcome. "
               "Every patient became seizure free, so there is nobody to compare them with.")),
        (0, 7, ("7 patients are too few, or too much alike, to relate anything to the outcome. No "
               "patient became seizure free, so there is nobody to compare them with.")),
        (4, 20, ("24 patients are too few, or too much alike, to relate anything to the outcome. "
                "4 became seizure free and 20 did not; a comparison needs at least 5 of each.")),
        (20, 4, ("24 patients are too few, or too much alike, to relate anything to the outcome. "
                "20 became seizure free and 4 did not; a comparison needs at least 5 of each.")),
    ],
)  # fmt: skip
def test_small_cohorts_say_what_they_cannot(free, others, said):
    lines = too_few(cohort_of(free, others))
    assert lines[0] == said
    assert lines[1].startswith("What can be said: each patient's own numbers")
    assert "No P value, odds ratio, area under the curve or cut is given" in lines[2]


def test_five_of_each_are_enough():
    assert LEAST == 5
    assert too_few(cohort_of(5, 5)) == ()
    assert too_few(cohort_of(5, 4)) and too_few(cohort_of(4, 5))


def test_numbers_are_kept_by_who_has_them():
    nan = math.nan
    cohort = cohort_of(
        6, 6,
        whole=list(range(12)),
        five=[nan, *range(10), nan],
        four=[nan, nan, *range(10)],
        same=[3.0] * 11 + [nan],
        nobody=[nan] * 12,
    )  # fmt: skip
    kept, said = kept_numbers(cohort)
    # Who has no number at all loses nothing: the study leaves such columns out by itself.
    assert list(kept.values) == ["whole", "five", "nobody"]
    assert said == (
        (
            "four: known for 4 seizure-free and 6 other patients; at least 5 of each are needed, "
            "so it is left out."
        ),
        "same: the same value in all 11 patients, so it is left out.",
    )
    assert kept.subjects == cohort.subjects


# Names and numbers


def test_every_label_is_its_own_and_unknown_numbers_keep_their_name():
    assert len(set(LABELS.values())) == len(LABELS)
    assert label("ai_pet") == "asymmetry of PET"
    assert label("some_new_number") == "some new number"


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.000999, "P < 0.001"), (0.001, "P = 0.001"), (0.0994, "P = 0.099"), (0.1, "P = 0.10"),
     (0.996, "P = 1.00"), (0.0, "P < 0.001")],
)  # fmt: skip
def test_p_has_three_digits_below_a_tenth(p, text):
    assert p_text(p) == text


def test_fields_are_for_programs_for_readers_or_for_both():
    fields = [
        Field("key", lambda x: x, "head"),
        Field("", lambda x: 2 * x, "page only"),
        Field("program", lambda x: 3 * x),
        Field("shown", lambda x: x, "as text", lambda x: f"<{x}>"),
    ]
    assert rows_of(fields, [1, 2]) == (["key", "program", "shown"], [[1, 3, 1], [2, 6, 2]])
    table = page_table(fields, [1, 2], "what it shows")
    assert table.columns == ["head", "page only", "as text"]
    assert table.rows == [[1, 2, "<1>"], [2, 4, "<2>"]]
    assert table.caption == "what it shows"
    header, rows = rows_of(fields, [])
    assert header == ["remark"] and "warnings in the results say why" in rows[0][0]
    assert page_table(fields, []).rows == []


# The summary


def study_of(**changed: object) -> types.SimpleNamespace:
    plain = {
        "cohort": cohort_of(3, 1), "modalities": [], "rates": [], "increments": [], "cuts": [],
        "family": [], "splines": [], "additive": None, "prognoses": [], "validated": [],
    }  # fmt: skip
    return some(**{**plain, **changed})


def compared(name: str, free: float, others: float, p: float) -> types.SimpleNamespace:
    welch = some(difference=others - free, ci_low=-0.2, ci_high=0.05, p=p)
    return some(name=name, free=some(mean=free, n=3), not_free=some(mean=others, n=1), welch=welch)


def test_a_summary_begins_with_the_people():
    assert summary_lines(study_of()) == ["4 patients, 3 seizure free (75%)."]


def test_differences_are_others_minus_free_in_percentage_points():
    study = study_of(
        modalities=[compared("ai_gm", 0, 0, 1.0), compared("ai_pet", -0.05, -0.08, 0.0123)],
        rates=[compared("rate_hippocampus", 0.6, 0.35, 0.0004)],
    )
    lines = summary_lines(study)[1:]
    assert lines == [
        (
            "The asymmetry of PET: -5.0 % in seizure-free patients and -8.0 % in the others; "
            "others minus seizure-free -3.0 percentage points (-20.0 to 5.0), P = 0.012."
        ),
        (
            "The ablative rate of the hippocampus: 60.0 % in seizure-free patients and 35.0 % in "
            "the others; others minus seizure-free -25.0 percentage points (-20.0 to 5.0), P < "
            "0.001."
        ),
    ]


@pytest.mark.parametrize(
    ("p", "said"), [(0.049, "adds to the"), (0.05, "adds nothing demonstrable to the")]
)
def test_what_stands_beside_anatomy(p, said):
    found = some(
        alone=some(p_penalised=0.02), adjusted=some(p_penalised=p),
        area=some(score=0.812, measure=0.7, delong=some(p=0.2)),
    )  # fmt: skip
    part = some(name="ai_pet", measure="hippocampus_mm3", found=found)
    study = study_of(increments=[part] * 4 + [some(name="ai_gm")])
    lines = summary_lines(study)[1:]
    assert len(lines) == 3
    assert lines[0] == (
        f"The asymmetry of PET {said} hippocampus volume (mm³): P = 0.020 alone, {p_text(p)} "
        "beside it (penalised); area under the curve 0.81 against 0.70, DeLong P = 0.20."
    )


def test_a_cut_is_said_with_what_it_is_worth_elsewhere():
    part = some(
        name="rate_hippocampus", best=some(threshold=0.398),
        stability=some(ci_low=0.31, ci_high=0.52), at_best=some(balanced_accuracy=0.83),
        gap=(0.381, 0.42),
    )  # fmt: skip
    study = study_of(
        cuts=[part, some(name="ai_pet")], held_out=lambda _: some(balanced_accuracy=0.66)
    )
    assert summary_lines(study)[1:] == [
        (
            "Best cut of the ablative rate of the hippocampus: 39.8 % (nobody lies between 38.1 "
            "and 42.0 %; resampled 31.0 to 52.0 %); balanced accuracy 83% in these patients, 66% "
            "in patients not used for the cut."
        )
    ]


@pytest.mark.parametrize(
    ("holms", "said"),
    [
        ([0.2, None, 0.05], ("Of the 2 tests of the declared family, none stand after Holm's "
                            "correction.")),
        ([0.04, 0.3], ("Of the 2 tests of the declared family, 1 stands after Holm's correction: "
                      "T of the asymmetry of PET.")),
        ([0.04, 0.01, 0.5], ("Of the 3 tests of the declared family, 2 stand after Holm's "
                            "correction: T of the asymmetry of PET; T of the asymmetry of PET.")),
    ],
)  # fmt: skip
def test_what_stands_of_the_family(holms, said):
    family = [some(kind="cut", test="T", name="ai_pet", holm=h) for h in holms]
    assert summary_lines(study_of(family=family))[1:] == [said]


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.02, ("The curve of the ablative rate of the hippocampus bends (likelihood ratio P = "
            "0.020).")),
     (0.05, ("The curve of the ablative rate of the hippocampus does not demonstrably bend "
            "(likelihood ratio P = 0.050).")),
     (None, "No curve of the ablative rate of the hippocampus can be given.")],
)  # fmt: skip
def test_a_curve_bends_or_does_not(p, said):
    plain = None if p is None else some(nonlinear_ratio=some(p=p))
    splines = [some(name="ai_pet"), some(name="rate_hippocampus", plain=plain)]
    assert summary_lines(study_of(splines=splines))[1:] == [said]


@pytest.mark.parametrize(("r2", "n_lines"), [(0.1, 2), (0.2, 1), (0.3, 1)])
def test_an_additive_model_that_a_line_beats_is_said(r2, n_lines):
    study = study_of(additive=some(study=some(r2=r2), baseline_r2=0.2))
    assert len(summary_lines(study)) == n_lines


def test_a_summary_has_ten_lines_at_most():
    bent = some(name="rate_hippocampus", plain=some(nonlinear_ratio=some(p=0.5)))
    assert len(summary_lines(study_of(splines=[bent] * 20))) == 10


# Reading outcomes


@pytest.mark.parametrize(
    ("cells", "header", "coding"),
    [
        (["1", "0"], "outcome", "seizure_free"),
        (["1", "2", "3"], "outcome", "ilae"),
        (["1", "2"], "ILAE", "ilae"),
        (["1", "0"], "seizures", "unclear"),
        (["1", "0"], "not_seizure_free", "unclear"),
        (["1", "0"], "nonfree", "unclear"),
        (["yes", "no"], "seizure_free", "seizure_free"),
        (["1.0", "6.0"], "outcome", "ilae"),
        (["0", "1"], "ILAE_1y", "ilae"),
        (["1", "1"], "seizure_free", "seizure_free"),
        (["yes", "1"], "outcome", "seizure_free"),
        (["ILAE 1", "1"], "outcome", "ilae"),
    ],
)
def test_the_coding_is_guessed_from_header_and_entries(cells, header, coding):
    named = dict(enumerate(cells))
    if coding == "unclear":
        with pytest.raises(OptionError, match="not clear whether 1 means free of seizures or"):
            coding_of(named, header)
        return
    assert coding_of(named, header) == coding
    if coding == "ilae" and "0" in cells:
        with pytest.raises(InputError, match=r"sub-0, column ILAE_1y .*write the ILAE class"):
            read_outcomes(named, header)
        return
    assert read_outcomes(named, header) == read_outcomes(named, header, coding=coding)


def test_ones_alone_do_not_tell_what_they_mean():
    with pytest.raises(OptionError, match="not clear whether 1 means ILAE class 1 or free"):
        read_outcomes({"a": "1", "b": "1.0"}, "outcome")
    assert read_outcomes({"a": "1"}, "outcome", coding="ilae") == {"a": True}
    assert read_outcomes({"a": "1"}, "outcome", coding="seizure_free") == {"a": True}


def test_one_and_two_alone_do_not_tell_what_they_mean():
    with pytest.raises(OptionError, match=r"column result: .* 1 and 2 are .*found: 1 and 2 and"):
        read_outcomes({"a": "1", "b": "2"}, "result")
    with pytest.raises(OptionError, match=r"found: 2 and nothing else"):
        read_outcomes({"b": "2"}, "result")
    assert read_outcomes({"a": "1", "b": "2"}, "result", coding="ilae") == {"a": True, "b": False}


@pytest.mark.parametrize("coding", ["auto", "ilae"])
def test_engel_s_classes_are_not_taken_for_those_of_the_ilae(coding):
    with pytest.raises(InputError, match=r"column Engel_1y: Engel's classes are not those"):
        read_outcomes({"a": "1", "b": "3"}, "Engel_1y", coding=coding)
    free = read_outcomes({"a": "yes", "b": "no"}, "engel_IA", coding="seizure_free")
    assert free == {"a": True, "b": False}


def test_how_the_outcome_was_read_is_said():
    assert coding_sentence("ilae", "x") == (
        "The outcome is the column x, read as ILAE classes: class 1 counts as seizure free."
    )
    assert "classes 1 to 2 count as seizure free" in coding_sentence("ilae", "x", 2)
    assert "free of seizures (1 or yes) or not (0 or no)" in coding_sentence("seizure_free", "x")


@pytest.mark.parametrize("text", ["7", "0", "1b", "Engel I", "I", "-1", "1.5", ""])
def test_what_is_no_ilae_class_is_refused(text):
    with pytest.raises(InputError, match="Engel's classes cannot be turned into them"):
        read_outcomes({"a": text}, "x", coding="ilae")


@pytest.mark.parametrize("text", ["2", "maybe", "1.5", "01", "", "free"])
def test_what_is_neither_free_nor_not_is_refused(text):
    with pytest.raises(InputError, match="write 1 or yes for free of seizures and 0 or no"):
        read_outcomes({"a": text}, "x", coding="seizure_free")


# Rates by threshold


def curves(
    asymmetry: list[float], whole: list[list[float]], took: list[list[float]]
) -> RateCurves:
    return RateCurves(
        "z", np.array(asymmetry), np.array([-0.3, -0.2, -0.1]),
        {"hippocampus": np.array(whole, float)}, {"hippocampus": np.array(took, float)},
    )  # fmt: skip


def test_volumes_are_interpolated_and_divided_then():
    found = curves([-0.2], [[0, 4, 10]], [[0, 1, 7]])
    for threshold, rate in ((-0.3, math.nan), (-0.25, 0.5 / 2), (-0.2, 0.25), (-0.15, 4 / 7),
                            (-0.1, 0.7)):  # fmt: skip
        got = found.rates("hippocampus", threshold)[0]
        assert got == pytest.approx(rate, nan_ok=True)
    for outside in (-0.301, -0.099):
        with pytest.raises(
            InputError, match=r"not known at this threshold .*measured -0.3 to -0.1"
        ):
            found.rates("hippocampus", outside)


def test_people_without_signature_at_the_threshold_are_counted(rng):
    event = np.arange(10) % 2 == 0
    whole = [[0, 0, 5]] * 3 + [[1, 2, 5]] * 7
    took = [[0, 0, 4]] * 3 + [[0.5, 1, 4]] * 7
    asymmetry = [*np.linspace(-0.22, -0.2, 5), *np.linspace(-0.2, -0.18, 4), math.nan]
    found = cohort_threshold(curves(asymmetry, whole, took), event, rule="published",
                             n_resamples=50, rng=rng)  # fmt: skip
    assert found.threshold == pytest.approx(np.median(asymmetry[:9]))
    assert (found.n, found.without_signature, found.rule) == (9, 3, "published")
    assert np.isnan(found.rates[:3]).all()
    # The tenth has a rate at the threshold of the others although its asymmetry is not known.
    assert found.rates[3:] == pytest.approx(0.5)
    assert found.ci_low <= found.threshold <= found.ci_high


@given(st.integers(0, 10_000))
def test_a_perfect_rate_is_perfect_on_held_out_patients(seed):
    rng = np.random.default_rng(seed)
    event = np.arange(12) < 6
    whole = np.tile([1.0, 2.0, 4.0], (12, 1))
    took = whole * np.where(event, 0.9, 0.1)[:, None]
    table = curves(rng.uniform(-0.29, -0.11, 12), whole, took)
    found = nested_threshold(table, event, n_repeats=3, rng=rng)
    assert (found.sensitivity, found.specificity, found.balanced_accuracy) == (1, 1, 1)
    # A high rate is what is called free: turned round, no cut is better than chance.
    assert nested_threshold(table, ~event, n_repeats=3, rng=rng).balanced_accuracy <= 0.5


# Items of a reproduction


def item(number: int, section: str, verdict: str) -> Item:
    return Item(number, section, f"name {number}", "1.0", "1.01", "0.99", verdict, "why")


def test_items_are_printed_in_order_with_or_without_corrections():
    items = [item(3, "b", REPRODUCED), item(12, "a", CONTRADICTED)]
    text = items_as_text("Title", items)
    assert text.splitlines() == [
        "Title", "1 reproduced; 1 contradicted", "",
        " 3  name 3", "      published     1.0", "      as published  1.01",
        "      corrected     0.99", "      verdict       reproduced: why",
        "12  name 12", "      published     1.0", "      as published  1.01",
        "      corrected     0.99", "      verdict       contradicted: why",
    ]  # fmt: skip
    assert "corrected" not in items_as_text("Title", items, published_only=True)


def test_sections_hold_their_items_with_a_colour_each():
    verdicts = [REPRODUCED, ROUNDING, CONVENTION, CONTRADICTED, UNAVAILABLE, EXTENSION]
    items = [item(n, "one" if n % 2 else "two", v) for n, v in enumerate(verdicts)]
    first, two, one = item_sections(items)
    assert (first.title, two.title, one.title) == ("Verdicts", "Numbers: two", "Numbers: one")
    assert first.blocks[0].sentences == [summary(items)]
    assert two.blocks[0].flags == ["ok", "warn", ""]
    assert one.blocks[0].flags == ["ok", "fail", "warn"]
    assert [row[0] for row in one.blocks[0].rows] == ["1", "3", "5"]
    assert set(FLAGS) == set(verdicts)


@pytest.mark.parametrize(
    ("values", "plain", "convention"),
    [
        ([Value(0.74, 0.7351)], REPRODUCED, CONVENTION),
        ([Value(0.74, 0.7349)], CONTRADICTED, CONTRADICTED),
        ([Value(0.74, 0.7349, allowance=0.0051)], ROUNDING, CONVENTION),
        ([Value(0.74, 0.7349, allowance=0.005)], CONTRADICTED, CONTRADICTED),
        ([Value(0.74, 0.74), Value(3, 3.4, 0)], REPRODUCED, CONVENTION),
        ([Value(0.74, 0.74), Value(3, 3.6, 0)], CONTRADICTED, CONTRADICTED),
        ([Value(-2.59, -2.5949)], REPRODUCED, CONVENTION),
    ],
)
def test_verdicts_by_print_and_allowance(values, plain, convention):
    assert compare(values) == plain
    assert compare(values, convention=True) == convention
